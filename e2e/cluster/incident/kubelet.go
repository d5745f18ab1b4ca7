package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"trackside/e2e/cluster/stages"
)

// warn records a Warning event about a pod, as its kubelet does.
func (p *player) warn(ctx context.Context, pod *corev1.Pod, reason, message string) error {
	return p.event(ctx, pod, "kubelet", reason, message)
}

func (p *player) event(ctx context.Context, pod *corev1.Pod, source, reason, message string) error {
	now := metav1.Now()
	_, err := p.client.CoreV1().Events(pod.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: pod.Name + ".", Namespace: pod.Namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
			ResourceVersion: pod.ResourceVersion},
		Type: corev1.EventTypeWarning, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: source, Host: pod.Spec.NodeName}, ReportingController: source, ReportingInstance: pod.Spec.NodeName,
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("recording the event %s about %s: %w", reason, pod.Name, err)
	}
	return nil
}

// annotate sets annotations of a pod; an empty value removes one.
func (p *player) annotate(ctx context.Context, pod *corev1.Pod, values map[string]string) error {
	_, err := p.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, annotationPatch(values), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("annotating the pod %s: %w", pod.Name, err)
	}
	return nil
}

func annotationPatch(values map[string]string) []byte {
	var parts []string
	for key, value := range values {
		if value == "" {
			parts = append(parts, fmt.Sprintf("%q:null", key))
		} else {
			parts = append(parts, fmt.Sprintf("%q:%q", key, value))
		}
	}
	return fmt.Appendf(nil, `{"metadata":{"annotations":{%s}}}`, strings.Join(parts, ","))
}

// status changes a pod's status as its kubelet would, and returns the pod with it.
func (p *player) status(ctx context.Context, pod *corev1.Pod, change func(*corev1.Pod)) (*corev1.Pod, error) {
	var out *corev1.Pod
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		pods := p.client.CoreV1().Pods(pod.Namespace)
		now, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(now)
		out, err = pods.UpdateStatus(ctx, now, metav1.UpdateOptions{FieldManager: "kubelet"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("writing the status of pod %s: %w", pod.Name, err)
	}
	return out, nil
}

// containerStatus is a container's status in the pod, be it an init container or another.
func containerStatus(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return &corev1.ContainerStatus{} // nothing is known of it, and what is written here is lost
}

// judge sets the conditions that follow from the containers' statuses.
func judge(pod *corev1.Pod) {
	var unready []string
	for _, c := range pod.Status.ContainerStatuses {
		if !c.Ready {
			unready = append(unready, c.Name)
		}
	}
	for i, c := range pod.Status.InitContainerStatuses {
		sidecar := i < len(pod.Spec.InitContainers) && pod.Spec.InitContainers[i].RestartPolicy != nil
		if sidecar && !c.Ready {
			unready = append(unready, c.Name)
		}
	}
	status, reason, message := corev1.ConditionTrue, "", ""
	switch {
	case pod.Status.Phase == corev1.PodFailed:
		status, reason = corev1.ConditionFalse, "PodFailed"
	case len(unready) > 0:
		status, reason = corev1.ConditionFalse, "ContainersNotReady"
		message = fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	}
	condition(pod, corev1.PodReady, status, reason, message)
	condition(pod, corev1.ContainersReady, status, reason, message)
}

// condition sets one condition; the time of its transition moves only with its status.
func condition(pod *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) {
	i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	if i < 0 {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: kind})
		i = len(pod.Status.Conditions) - 1
	}
	c := &pod.Status.Conditions[i]
	if c.Status != status {
		c.LastTransitionTime = metav1.Now()
	}
	c.Status, c.Reason, c.Message = status, reason, message
}

// shows reports whether a broken pod has come to what is wrong with it.
func shows(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodFailed {
		return true
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
			return true
		}
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range list {
			waiting := c.State.Waiting != nil && c.State.Waiting.Reason != "PodInitializing"
			failed := c.State.Terminated != nil && c.State.Terminated.ExitCode != 0
			if waiting || failed {
				return true
			}
		}
	}
	return false
}

// standing says in a word where a pod stands.
func standing(pod *corev1.Pod) string {
	if pod.Status.Reason != "" {
		return string(pod.Status.Phase) + ", " + pod.Status.Reason
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return string(pod.Status.Phase) + ", " + c.Reason + ": " + c.Message
		}
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "PodInitializing":
			return fmt.Sprintf("%s, %s is waiting: %s, %d restarts", pod.Status.Phase, c.Name, c.State.Waiting.Reason, c.RestartCount)
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("%s, %s ended: %s, exit code %d", pod.Status.Phase, c.Name, c.State.Terminated.Reason, c.State.Terminated.ExitCode)
		}
	}
	return string(pod.Status.Phase)
}

// ready reports whether a pod is Running and Ready.
func ready(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// touched keeps KWOK's Stages off a pod whose status we write.
func (p *player) touched(ctx context.Context, pod *corev1.Pod, name string) error {
	return p.annotate(ctx, pod, map[string]string{stages.Incident: name})
}

// backOff is how long a kubelet waits before the nth restart.
func backOff(n int) time.Duration {
	return min(5*time.Minute, 10*time.Second<<min(max(n-1, 0), 10))
}
