package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// uptime is how long the fleet has been running by its own word. A container without a readiness probe, or with one that proves little,
// counts as healthy only after minutes of steady running, which nobody wants to wait for at each start.
const uptime = 2 * time.Hour

// age lets the containers of running pods in these namespaces that no HTTP probe proves to be well have started a while ago. A TCP
// probe proves a port. Of a fleet of a given size, only the runners' own pods are: their work may be thousands.
func (s *seeder) age(ctx context.Context, namespaces []string, work bool) error {
	var pods []corev1.Pod
	slices.Sort(namespaces)
	for _, namespace := range slices.Compact(namespaces) {
		list, err := s.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing the pods of %s: %w", namespace, err)
		}
		pods = append(pods, list.Items...)
	}
	started := metav1.NewTime(time.Now().Add(-uptime))
	return parallel(ctx, len(pods), func(ctx context.Context, i int) error {
		pod := &pods[i]
		if !work && metav1.GetControllerOfNoCopy(pod) == nil || !backdate(pod, started) {
			return nil
		}
		body, err := json.Marshal(map[string]any{"status": map[string]any{"containerStatuses": pod.Status.ContainerStatuses}})
		if err != nil {
			return err
		}
		_, err = s.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "kubelet"}, "status")
		if err != nil {
			return fmt.Errorf("aging the pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		return nil
	})
}

// backdate reports whether it changed anything.
func backdate(pod *corev1.Pod, started metav1.Time) (changed bool) {
	probed := map[string]bool{}
	for i := range pod.Spec.Containers {
		probe := pod.Spec.Containers[i].ReadinessProbe
		probed[pod.Spec.Containers[i].Name] = probe != nil && probe.Exec == nil && probe.TCPSocket == nil
	}
	for i := range pod.Status.ContainerStatuses {
		if c := &pod.Status.ContainerStatuses[i]; c.State.Running != nil && !probed[c.Name] {
			c.State.Running.StartedAt, changed = started, true
		}
	}
	return changed
}
