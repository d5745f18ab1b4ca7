package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/e2e/cluster/stages"
)

// lostFor on a node names the runner whose incident it is.
const lostFor = stages.Prefix + "lost-for"

// changeImage changes the main container's image of a component's workload, and nothing else.
func (p *player) changeImage(ctx context.Context, c *component, to func(string) string) error {
	return p.changeTemplate(ctx, c, func(_ *metav1.ObjectMeta, template *corev1.PodTemplateSpec, _ *appsv1.DeploymentStrategy) error {
		image := &template.Spec.Containers[0].Image
		*image = to(*image)
		return nil
	})
}

// nodeLost silences the kubelet of the node the runner's pod is on. The real
// controller manager taints the node, and replaces its pods after five minutes.
// It marks pods only on nodes it gave up itself, so the player does that part.
func nodeLost(ctx context.Context, p *player, s *subject) error {
	pods, err := p.runningPods(s)
	if err != nil {
		return err
	}
	name := pods[0].Spec.NodeName
	if err := p.annotateNode(ctx, name, map[string]string{stages.NotReady: "Kubelet stopped posting node status.", lostFor: p.runner}); err != nil {
		return err
	}
	if err := p.nodeIs(ctx, name, corev1.ConditionUnknown); err != nil {
		return err
	}
	on, err := p.podsOn(ctx, name)
	if err != nil {
		return err
	}
	for _, pod := range on {
		if err := p.unready(ctx, &pod); err != nil {
			return err
		}
	}
	p.say("node %s: NotReady, with %d pods on it; %s/%s is one of them", name, len(on), pods[0].Namespace, pods[0].Name)
	return nil
}

// unready does to a pod what the node controller does when it gives a node up:
// it takes its Ready condition, and leaves the rest as last heard.
func (p *player) unready(ctx context.Context, pod *corev1.Pod) error {
	if !ready(pod) {
		return nil
	}
	if _, err := p.status(ctx, pod, func(pod *corev1.Pod) { condition(pod, corev1.PodReady, corev1.ConditionFalse, "", "") }); err != nil {
		return err
	}
	return p.event(ctx, pod, "node-controller", "NodeNotReady", "Node is not ready")
}

func (p *player) annotateNode(ctx context.Context, name string, values map[string]string) error {
	_, err := p.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, annotationPatch(values), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("annotating the node %s: %w", name, err)
	}
	return nil
}

// nodeIs waits until a node's Ready condition has a status.
func (p *player) nodeIs(ctx context.Context, name string, status corev1.ConditionStatus) error {
	return until(ctx, fmt.Sprintf("node %s to be Ready=%s", name, status), func(ctx context.Context) (bool, error) {
		node, err := p.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady {
				return c.Status == status, nil
			}
		}
		return false, nil
	})
}

func (p *player) podsOn(ctx context.Context, node string) ([]corev1.Pod, error) {
	pods, err := p.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return nil, fmt.Errorf("listing the pods on %s: %w", node, err)
	}
	return pods.Items, nil
}

// recovery undoes every incident of the runner, and waits until all its pods are Ready.
func recovery(ctx context.Context, p *player, s *subject) error {
	if err := p.recoverNodes(ctx, s); err != nil {
		return err
	}
	if err := errors.Join(p.recoverSessions(ctx, s.namespace), p.recoverDeclared(ctx, s)); err != nil {
		return err
	}
	if err := p.recoverScaleSet(ctx, s); err != nil {
		return err
	}
	for _, c := range s.components {
		if err := errors.Join(p.recoverTemplate(ctx, c), p.recoverClass(ctx, c), p.recoverPart(ctx, c)); err != nil {
			return err
		}
	}
	s, err := p.find(ctx) // sessions have new pods by now
	if err != nil {
		return err
	}
	for _, pod := range s.allPods() {
		if err := p.recoverPod(ctx, &pod); err != nil {
			return err
		}
	}
	return until(ctx, p.runner+" to be healthy again", func(ctx context.Context) (bool, error) {
		now, err := p.find(ctx)
		if err != nil {
			return false, err
		}
		return now.healthy(), nil
	})
}

// healthy reports whether all components have their pods, and all pods are Ready.
func (s *subject) healthy() bool {
	for _, c := range s.components {
		if d := c.deployment; d != nil && (d.Status.ReadyReplicas != *d.Spec.Replicas || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.ObservedGeneration < d.Generation) {
			return false
		}
		if set := c.set; set != nil && (set.Status.ReadyReplicas != *set.Spec.Replicas || set.Status.UpdatedReplicas != *set.Spec.Replicas || set.Status.ObservedGeneration < set.Generation) {
			return false
		}
	}
	for _, pod := range s.allPods() {
		if !ready(&pod) && pod.Status.Phase != corev1.PodSucceeded {
			return false
		}
	}
	return true
}

// recoverNodes brings back the nodes lost for this runner, and what ran on them.
func (p *player) recoverNodes(ctx context.Context, s *subject) error {
	nodes, err := p.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the nodes: %w", err)
	}
	hosts := map[string]bool{}
	for _, pod := range s.allPods() {
		hosts[pod.Spec.NodeName] = true
	}
	for _, node := range nodes.Items {
		if node.Annotations[stages.NotReady] == "" || !hosts[node.Name] && node.Annotations[lostFor] != p.runner {
			continue
		}
		if err := p.annotateNode(ctx, node.Name, map[string]string{stages.NotReady: "", lostFor: ""}); err != nil {
			return err
		}
		if err := p.nodeIs(ctx, node.Name, corev1.ConditionTrue); err != nil {
			return err
		}
		pods, err := p.podsOn(ctx, node.Name)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if pod.Status.Phase != corev1.PodRunning || pod.Annotations[stages.Incident] != "" {
				continue
			}
			if _, err := p.status(ctx, &pod, judge); err != nil && !apierrors.IsNotFound(errors.Unwrap(err)) {
				return err
			}
		}
		p.say("node %s: Ready again, with %d pods on it", node.Name, len(pods))
	}
	return nil
}

// recoverTemplate takes a broken release back.
func (p *player) recoverTemplate(ctx context.Context, c *component) error {
	if c.deployment == nil && c.set == nil {
		return nil
	}
	if o, _ := c.object(); o.GetAnnotations()[undo] == "" {
		return nil
	}
	err := p.changeTemplate(ctx, c, func(meta *metav1.ObjectMeta, template *corev1.PodTemplateSpec, strategy *appsv1.DeploymentStrategy) error {
		var was before
		if err := json.Unmarshal([]byte(meta.Annotations[undo]), &was); err != nil {
			return err
		}
		*template = was.Template
		if strategy != nil && was.Strategy != nil {
			*strategy = *was.Strategy
		}
		delete(meta.Annotations, undo)
		return nil
	})
	if err != nil {
		return fmt.Errorf("taking the broken release of %s back: %w", c.name, err)
	}
	p.say("%s: the release before is rolled out again", c.name)
	return nil
}

// recoverPod undoes what befell one pod.
func (p *player) recoverPod(ctx context.Context, pod *corev1.Pod) error {
	a := pod.Annotations
	replaced := controlled(pod)
	switch {
	case a[stages.HTTPDelay] != "" || a[stages.HTTP] != "" && a[stages.HTTP] != "200 ok":
		if err := p.annotate(ctx, pod, map[string]string{stages.HTTP: "200 ok", stages.HTTPDelay: ""}); err != nil {
			return err
		}
		p.say("pod %s/%s: its endpoint answers 200", pod.Namespace, pod.Name)
		fallthrough
	default:
		if a[stages.Incident] == "" {
			return nil
		}
	}
	switch {
	case replaced && pod.Status.Phase != corev1.PodRunning, a[made] != "":
		if err := p.remove(ctx, pod); err != nil && !replaced { // a StatefulSet takes the name again at once
			return err
		}
		p.say("pod %s/%s: removed", pod.Namespace, pod.Name)
		return nil
	case a[undo] != "" || pod.Status.Phase != corev1.PodRunning || terminated(pod):
		return p.rebirth(ctx, pod)
	}
	return p.heal(ctx, pod)
}

// terminated reports whether a container has ended that no kubelet starts again.
func terminated(pod *corev1.Pod) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			return true
		}
	}
	return false
}

// heal writes that all containers of a pod run. Their restarts stay counted.
func (p *player) heal(ctx context.Context, pod *corev1.Pod) error {
	if err := p.touched(ctx, pod, ""); err != nil {
		return err
	}
	if slices.Contains([]string{deadWarm, enrolling, kubiyaStarts}, pod.Annotations[stages.Incident]) {
		return p.backdate(ctx, pod)
	}
	well, err := p.status(ctx, pod, func(pod *corev1.Pod) {
		for _, c := range pod.Status.ContainerStatuses {
			if !c.Ready {
				restart(pod, c.Name, int(c.RestartCount))
			}
		}
		for i, c := range pod.Status.InitContainerStatuses {
			if !c.Ready && pod.Spec.InitContainers[i].RestartPolicy != nil {
				restart(pod, c.Name, int(c.RestartCount))
			}
		}
		judge(pod)
	})
	if err != nil {
		return err
	}
	p.say("pod %s/%s: %s and Ready again", well.Namespace, well.Name, well.Status.Phase)
	return nil
}

// rebirth makes a bare pod anew as it was before its incident.
func (p *player) rebirth(ctx context.Context, pod *corev1.Pod) error {
	was := bareCopy(pod)
	if text := pod.Annotations[undo]; text != "" {
		was = &corev1.Pod{}
		if err := json.Unmarshal([]byte(text), was); err != nil {
			return fmt.Errorf("reading what the pod %s was: %w", pod.Name, err)
		}
	}
	for _, key := range []string{undo, stages.Incident, stages.Container, stages.Message, stages.Restarts, stages.Step} {
		delete(was.Annotations, key)
	}
	if err := p.remove(ctx, pod); err != nil {
		return err
	}
	if pod.Annotations[stages.Incident] == planeOOM {
		return p.revive(ctx, was) // it has no probe
	}
	if _, err := p.client.CoreV1().Pods(was.Namespace).Create(ctx, was, metav1.CreateOptions{FieldManager: "runner-controller"}); err != nil {
		return fmt.Errorf("creating the pod %s: %w", was.Name, err)
	}
	p.say("pod %s/%s: made anew", was.Namespace, was.Name)
	return nil
}
