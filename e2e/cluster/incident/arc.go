package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// No controller of ARC's runs here: what it would do is done by the incident, and what it would mend stays broken.
func arcKinds() []kind {
	return []kind{
		{"arc-failed-runner", "a runner's pod has failed six times: the runner is Failed, and has no pod any more", arcFailed},
		{"arc-listener-gone", "the listener's pod is gone, and nobody makes it anew", arcListenerGone},
		{"arc-drift", "a runner says Running, and its pod is gone", arcDrift},
		{"arc-outdated", "GitHub no longer serves the runners' version: the scale set is Outdated, without a listener", arcOutdated},
	}
}

const (
	scaleSetName      = "actions.github.com/scale-set-name"
	scaleSetNamespace = "actions.github.com/scale-set-namespace"
)

func arcResource(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "actions.github.com", Version: "v1alpha1", Resource: plural}
}

var (
	scaleSets  = arcResource("autoscalingrunnersets")
	arcRunners = arcResource("ephemeralrunners")
)

// addScaleSet adds the listener of a runner that is a scale set; its pod stands in the controller's namespace.
func (p *player) addScaleSet(ctx context.Context, s *subject) error {
	if _, err := p.custom.Resource(scaleSets).Namespace(s.namespace).Get(ctx, s.name, metav1.GetOptions{}); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	pods, err := p.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		LabelSelector: scaleSetName + "=" + s.name + "," + scaleSetNamespace + "=" + s.namespace + "," + appComponent + "=runner-scale-set-listener"})
	if err != nil {
		return err
	}
	s.components = append(s.components, &component{name: "listener", pods: pods.Items})
	return nil
}

// keptScaleSet is what recovery makes of a scale set again.
type keptScaleSet struct {
	Status  any            `json:"status"`
	Runners map[string]any `json:"runners"`
	Pods    []*corev1.Pod  `json:"pods"`
}

// keepScaleSet notes in a scale set what it is, before the first of several incidents.
func (p *player) keepScaleSet(ctx context.Context, s *subject) error {
	set, err := p.custom.Resource(scaleSets).Namespace(s.namespace).Get(ctx, s.name, metav1.GetOptions{})
	if err != nil || set.GetAnnotations()[undo] != "" {
		return err
	}
	runners, err := p.custom.Resource(arcRunners).Namespace(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: scaleSetName + "=" + s.name})
	if err != nil {
		return err
	}
	now := keptScaleSet{Status: set.Object["status"], Runners: map[string]any{}}
	for _, r := range runners.Items {
		now.Runners[r.GetName()] = r.Object["status"]
	}
	for _, pod := range s.allPods() {
		now.Pods = append(now.Pods, bareCopy(&pod))
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return p.patch(ctx, scaleSets, s.namespace, s.name, map[string]any{"metadata": map[string]any{"annotations": map[string]any{undo: string(text)}}})
}

func (p *player) patch(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, change map[string]any, subresources ...string) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = p.custom.Resource(resource).Namespace(namespace).Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{}, subresources...)
	if err != nil {
		return fmt.Errorf("changing %s %s/%s: %w", resource.Resource, namespace, name, err)
	}
	return nil
}

// arcRunner begins an incident of a scale set with a pod of one of its runners, the one named or the first.
func (p *player) arcRunner(ctx context.Context, s *subject) (*corev1.Pod, error) {
	if err := p.keepScaleSet(ctx, s); err != nil {
		return nil, err
	}
	if s.workload != nil {
		return s.workload, nil
	}
	if len(s.workloads) == 0 {
		return nil, errors.New("it has no runner with a pod")
	}
	return &s.workloads[0], nil
}

func arcFailed(ctx context.Context, p *player, s *subject) error {
	pod, err := p.arcRunner(ctx, s)
	if err != nil {
		return err
	}
	failures := map[string]any{}
	for i := range 6 {
		failures[fmt.Sprintf("00000000-0000-4000-8000-%012d", i)] = time.Now().Add(-time.Duration(6-i) * 10 * time.Second).UTC().Format(time.RFC3339)
	}
	if err := p.patch(ctx, arcRunners, pod.Namespace, pod.Name, map[string]any{"status": map[string]any{"phase": "Failed", "ready": false, "reason": "TooManyPodFailures",
		"message": "Pod has failed to start more than 5 times: The node was low on resource: ephemeral-storage.", "failures": failures}}, "status"); err != nil {
		return err
	}
	if err := p.patch(ctx, scaleSets, s.namespace, s.name, map[string]any{"status": map[string]any{"runningEphemeralRunners": len(s.workloads) - 1, "failedEphemeralRunners": 1}}, "status"); err != nil {
		return err
	}
	p.say("runner %s/%s: Failed, TooManyPodFailures, and its pod deleted", pod.Namespace, pod.Name)
	return p.remove(ctx, pod)
}

func arcDrift(ctx context.Context, p *player, s *subject) error {
	pod, err := p.arcRunner(ctx, s)
	if err != nil {
		return err
	}
	p.say("runner %s/%s: Running, and its pod deleted", pod.Namespace, pod.Name)
	return p.remove(ctx, pod)
}

func arcListenerGone(ctx context.Context, p *player, s *subject) error {
	if err := p.keepScaleSet(ctx, s); err != nil {
		return err
	}
	for _, c := range s.components {
		for _, pod := range c.pods {
			p.say("listener %s/%s: deleted", pod.Namespace, pod.Name)
			if err := p.remove(ctx, &pod); err != nil {
				return err
			}
		}
	}
	return nil
}

func arcOutdated(ctx context.Context, p *player, s *subject) error {
	if err := arcListenerGone(ctx, p, s); err != nil {
		return err
	}
	p.say("scale set %s/%s: Outdated", s.namespace, s.name)
	return p.patch(ctx, scaleSets, s.namespace, s.name, map[string]any{"status": map[string]any{"phase": "Outdated"}}, "status")
}

// recoverScaleSet makes a scale set, its runners and their pods what they were.
func (p *player) recoverScaleSet(ctx context.Context, s *subject) error {
	set, err := p.custom.Resource(scaleSets).Namespace(s.namespace).Get(ctx, s.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && set.GetAnnotations()[undo] == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up the scale set %s: %w", s.name, err)
	}
	var was keptScaleSet
	if err := json.Unmarshal([]byte(set.GetAnnotations()[undo]), &was); err != nil {
		return fmt.Errorf("reading what the scale set %s was: %w", s.name, err)
	}
	for _, pod := range was.Pods {
		if err := p.revive(ctx, pod); err != nil {
			return err
		}
	}
	for name, status := range was.Runners {
		if err := p.setStatus(ctx, arcRunners, s.namespace, name, status); err != nil {
			return err
		}
	}
	if err := p.setStatus(ctx, scaleSets, s.namespace, s.name, was.Status); err != nil {
		return err
	}
	p.say("scale set %s/%s: as it was", s.namespace, s.name)
	return p.patch(ctx, scaleSets, s.namespace, s.name, map[string]any{"metadata": map[string]any{"annotations": map[string]any{undo: nil}}})
}

// setStatus replaces a status.
func (p *player) setStatus(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, status any) error {
	objects := p.custom.Resource(resource).Namespace(namespace)
	o, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("looking up %s %s: %w", resource.Resource, name, err)
	}
	o = &unstructured.Unstructured{Object: o.DeepCopy().Object}
	o.Object["status"] = status
	if _, err = objects.UpdateStatus(ctx, o, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing the status of %s %s: %w", resource.Resource, name, err)
	}
	return nil
}

// revive makes a pod anew where it is gone, running since a while: nobody wants to wait until time has proven it.
func (p *player) revive(ctx context.Context, was *corev1.Pod) error {
	pods := p.client.CoreV1().Pods(was.Namespace)
	switch _, err := pods.Get(ctx, was.Name, metav1.GetOptions{}); {
	case err == nil:
		return nil
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("looking up the pod %s: %w", was.Name, err)
	}
	if _, err := pods.Create(ctx, was, metav1.CreateOptions{FieldManager: "operator"}); err != nil {
		return fmt.Errorf("creating the pod %s: %w", was.Name, err)
	}
	var now *corev1.Pod
	if err := until(ctx, "the pod "+was.Name+" to run", func(ctx context.Context) (bool, error) {
		var err error
		now, err = pods.Get(ctx, was.Name, metav1.GetOptions{})
		return err == nil && ready(now), err
	}); err != nil {
		return err
	}
	_, err := p.status(ctx, now, func(pod *corev1.Pod) {
		for i := range pod.Status.ContainerStatuses {
			if r := pod.Status.ContainerStatuses[i].State.Running; r != nil {
				r.StartedAt = metav1.NewTime(time.Now().Add(-time.Hour))
			}
		}
	})
	return err
}
