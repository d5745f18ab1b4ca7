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
// probe proves a port.
func (s *seeder) age(ctx context.Context, namespaces []string) error {
	list, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the pods: %w", err)
	}
	started := metav1.NewTime(time.Now().Add(-uptime))
	return parallel(ctx, len(list.Items), func(ctx context.Context, i int) error {
		pod := &list.Items[i]
		if !slices.Contains(namespaces, pod.Namespace) || !backdate(pod, started) {
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
