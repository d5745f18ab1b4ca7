package kube

import (
	corev1 "k8s.io/api/core/v1"

	"trackside/systems"
)

// FactsOf are the facts on a pod as the API server returns it, with its node, nil when that cannot be read, and the events about it.
// Only memory knows the rest: Component, OwnerGone and Ran are the caller's.
func FactsOf(sys *systems.System, pod *corev1.Pod, node *corev1.Node, events []corev1.Event) Facts {
	object := objectOf("Pod", &pod.ObjectMeta, &pod.Spec)
	claim, _ := sys.Claim(object)
	f := Facts{Pod: pod, Main: sys.MainContainer(object, claim.Component), Thresholds: systems.ThresholdsOf(pod.Annotations)}
	if node != nil {
		f.Node = transformNode(node)
	}
	for i := range events {
		f.Events = append(f.Events, transformEvent(&events[i]))
	}
	return f
}
