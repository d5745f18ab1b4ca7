package kube

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
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

// VerdictOf is what the board says of a pod by itself: by the general rules, and then by the word of its system, which sees the objects
// beside it as well. A pod without a name is not there; then an object beside it may still tell of it.
func VerdictOf(sys *systems.System, f Facts, beside []systems.Object, now time.Time) PodVerdict {
	v := &systems.View{Now: now, Pods: map[string]*corev1.Pod{}, Nodes: func() []systems.Node { return nil }, Kubectl: func(args string) string { return "kubectl " + args },
		Runner: &store.Runner{Ref: store.Ref{System: sys.Name, Namespace: f.Pod.Namespace, Name: f.Pod.Name}}}
	var general PodVerdict
	if f.Pod.Name != "" {
		general = see(sys, f, v)
	}
	v.Objects = append(v.Objects, beside...)
	if sys.Assess == nil || len(v.Runner.Workloads)+len(beside) == 0 {
		return general
	}
	sys.Assess(v)
	for _, w := range v.Runner.Workloads {
		if own := (PodVerdict{w.Verdict, roleIn(f.Pod, f.Main, w.Container)}); !own.Equal(general.Verdict) {
			return own
		}
	}
	return general
}

// see adds a pod to a view, as the general rules have it.
func see(sys *systems.System, f Facts, v *systems.View) PodVerdict {
	general, component := Classify(f, v.Now), ""
	if f.Component {
		object := objectOf("Pod", &f.Pod.ObjectMeta, &f.Pod.Spec)
		claim, _ := sys.Claim(object)
		component = claim.Component
		v.Objects = append(v.Objects, object)
	}
	v.Pods[string(f.Pod.UID)] = f.Pod
	v.Runner.Workloads = append(v.Runner.Workloads, store.Workload{Namespace: f.Pod.Namespace, Name: f.Pod.Name, UID: string(f.Pod.UID), Component: component,
		Verdict: general.Verdict, Phase: string(f.Pod.Status.Phase), Created: f.Pod.CreationTimestamp.Time, Containers: containersOf(f.Pod, f.Main)})
	if component != "" {
		v.Runner.Components = append(v.Runner.Components, store.Component{Name: component, Kind: "Pod", Object: f.Pod.Name, Desired: 1, Verdict: general.Verdict})
	}
	return general
}

// roleIn is what a container of a pod is for.
func roleIn(pod *corev1.Pod, main, container string) store.ContainerRole {
	for _, c := range containersOf(pod, main) {
		if c.Name == container {
			return c.Role
		}
	}
	return store.RolePod
}
