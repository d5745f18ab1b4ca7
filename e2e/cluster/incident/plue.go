package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"trackside/e2e/cluster/stages"
)

func plueKinds() []kind {
	return []kind{
		{"plue-runtimeclass", "the RuntimeClass of the warm pool is gone, and so are its pods: the real API server admits no new one", plueRuntimeClass},
		{"plue-dead-warm", "the warm pool is replaced by runners that do nothing; their probes pass all the same", plueDeadWarm},
		{deadline, "a task's pod ran longer than it may, and the kubelet ended it", plueDeadline},
	}
}

const (
	// lostClass on a Deployment holds the RuntimeClass that was taken away, as JSON.
	lostClass = stages.Prefix + "runtime-class"
	deadWarm  = "plue-dead-warm"
	deadline  = "plue-deadline"
)

// plueDeadline ends a task as the kubelet does, with the words of its active deadline handler.
func plueDeadline(ctx context.Context, p *player, s *subject) error {
	if len(s.workloads) == 0 {
		return errors.New("it carries no task")
	}
	pod := &s.workloads[0]
	if err := p.touched(ctx, pod, deadline); err != nil {
		return err
	}
	ended, err := p.status(ctx, pod, func(pod *corev1.Pod) {
		pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
		endRest(pod, death{reason: "Error", code: 137})
		judge(pod)
	})
	if err == nil {
		p.say("pod %s/%s: %s", ended.Namespace, ended.Name, standing(ended))
	}
	return err
}

func plueRuntimeClass(ctx context.Context, p *player, s *subject) error {
	d := s.components[0].deployment
	if d == nil || d.Spec.Template.Spec.RuntimeClassName == nil {
		return errors.New("it has no RuntimeClass")
	}
	classes := p.client.NodeV1().RuntimeClasses()
	class, err := classes.Get(ctx, *d.Spec.Template.Spec.RuntimeClassName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	class.ObjectMeta = metav1.ObjectMeta{Name: class.Name, Labels: class.Labels}
	kept, err := json.Marshal(class)
	if err != nil {
		return err
	}
	if err := p.annotateDeployment(ctx, d.Namespace, d.Name, map[string]string{lostClass: string(kept)}); err != nil {
		return err
	}
	if err := classes.Delete(ctx, class.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	for _, pod := range s.components[0].pods {
		if err := p.remove(ctx, &pod); err != nil {
			return err
		}
	}
	p.say("RuntimeClass %s: gone, and the %d pods of %s with it", class.Name, len(s.components[0].pods), d.Name)
	return nil
}

// recoverClass brings a RuntimeClass back, and wakes those who wait to make pods of it.
func (p *player) recoverClass(ctx context.Context, c *component) error {
	if c.deployment == nil || c.deployment.Annotations[lostClass] == "" {
		return nil
	}
	d := c.deployment
	class := &nodev1.RuntimeClass{}
	if err := json.Unmarshal([]byte(d.Annotations[lostClass]), class); err != nil {
		return fmt.Errorf("reading the RuntimeClass that was: %w", err)
	}
	if _, err := p.client.NodeV1().RuntimeClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("bringing back RuntimeClass %s: %w", class.Name, err)
	}
	if err := p.annotateDeployment(ctx, d.Namespace, d.Name, map[string]string{lostClass: ""}); err != nil {
		return err
	}
	sets, err := p.client.AppsV1().ReplicaSets(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
	if err != nil {
		return err
	}
	for _, set := range sets.Items { // it would ask again only when its back-off is over
		body := annotationPatch(map[string]string{stages.Prefix + "woken": time.Now().Format(time.RFC3339)})
		if _, err := p.client.AppsV1().ReplicaSets(d.Namespace).Patch(ctx, set.Name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("waking %s: %w", set.Name, err)
		}
	}
	p.say("RuntimeClass %s: there again", class.Name)
	return p.seasoned(ctx, c)
}

// seasoned waits for a component's pods to run, and lets them have done so for long.
func (p *player) seasoned(ctx context.Context, c *component) error {
	d := c.deployment
	var pods []corev1.Pod
	err := until(ctx, "the pods of "+d.Name, func(ctx context.Context) (bool, error) {
		list, err := p.client.CoreV1().Pods(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
		if err != nil {
			return false, err
		}
		pods = pods[:0]
		for _, pod := range list.Items {
			if ready(&pod) {
				pods = append(pods, pod)
			}
		}
		return len(pods) == int(*d.Spec.Replicas) && len(list.Items) == len(pods), nil
	})
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err := p.backdate(ctx, &pod); err != nil {
			return err
		}
	}
	return nil
}

// backdate lets a pod's containers have started two hours ago, as those of the fleet have.
func (p *player) backdate(ctx context.Context, pod *corev1.Pod) error {
	_, err := p.status(ctx, pod, func(pod *corev1.Pod) {
		for i := range pod.Status.ContainerStatuses {
			if c := &pod.Status.ContainerStatuses[i]; c.State.Running != nil {
				c.State.Running.StartedAt = metav1.NewTime(time.Now().Add(-2 * time.Hour))
			}
		}
	})
	return err
}

// plueDeadWarm makes new pods: they are Ready at once, for their probe asks nothing, and no runner works in them.
func plueDeadWarm(ctx context.Context, p *player, s *subject) error {
	return p.renew(ctx, s.components[0], deadWarm, "503 no runner answers")
}

// renew makes all pods of a component anew, and marks the new ones with the incident, by whose name recovery lets them have run for long.
func (p *player) renew(ctx context.Context, c *component, name, answer string) error {
	if c.deployment == nil {
		return fmt.Errorf("%s is no Deployment", c.name)
	}
	old := map[types.UID]bool{}
	for _, pod := range c.pods {
		old[pod.UID] = true
		if err := p.remove(ctx, &pod); err != nil {
			return err
		}
	}
	var found []corev1.Pod
	err := until(ctx, "the new pods of "+c.name, func(ctx context.Context) (bool, error) {
		pods, err := p.client.CoreV1().Pods(c.deployment.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(c.deployment.Spec.Selector)})
		if err != nil {
			return false, err
		}
		found = slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return !ready(&pod) || old[pod.UID] })
		return len(found) == int(*c.deployment.Spec.Replicas), nil
	})
	if err != nil {
		return err
	}
	for _, pod := range found {
		values := map[string]string{stages.Incident: name}
		if answer != "" {
			values[stages.HTTP] = answer
		}
		if err := p.annotate(ctx, &pod, values); err != nil {
			return err
		}
		p.say("pod %s/%s: Ready, and proves nothing", pod.Namespace, pod.Name)
	}
	return nil
}

func (p *player) annotateDeployment(ctx context.Context, namespace, name string, values map[string]string) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		_, err := p.client.AppsV1().Deployments(namespace).Patch(ctx, name, types.MergePatchType, annotationPatch(values), metav1.PatchOptions{})
		return err
	})
}
