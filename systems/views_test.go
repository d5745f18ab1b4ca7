package systems_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"trackside/store"
	"trackside/systems"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// newView is a view of a runner at noon, before anything is in it.
func newView(system, namespace, name string) *systems.View {
	return &systems.View{Now: noon, Runner: &store.Runner{Ref: store.Ref{Cluster: "c", System: system, Namespace: namespace, Name: name}},
		Pods: map[string]*corev1.Pod{}, Nodes: func() []systems.Node { return nil }, Kubectl: func(args string) string { return "kubectl " + args }}
}

// carries adds a pod, with the verdict that the general rules have on it.
func carries(v *systems.View, component string, pod *corev1.Pod, verdict store.Verdict) {
	v.Pods[string(pod.UID)] = pod
	w := store.Workload{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Component: component, Verdict: verdict, Phase: string(pod.Status.Phase),
		Created: pod.CreationTimestamp.Time}
	for _, c := range pod.Status.ContainerStatuses {
		k := store.Container{Name: c.Name, State: "waiting", Ready: c.Ready, Restarts: c.RestartCount}
		switch {
		case c.State.Running != nil:
			k.State = "running"
		case c.State.Terminated != nil:
			k.State, k.HasExit, k.ExitCode, k.Message = "terminated", true, c.State.Terminated.ExitCode, c.State.Terminated.Message
		}
		w.Containers = append(w.Containers, k)
	}
	v.Runner.Workloads = append(v.Runner.Workloads, w)
}

// podIn is a pod whose container has the state, ready or not.
func podIn(name, container string, ready bool, state corev1.ContainerState) *corev1.Pod {
	phase := corev1.PodRunning
	if state.Waiting != nil {
		phase = corev1.PodPending
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(noon.Add(-2 * time.Hour))},
		Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: container, ReadinessProbe: &corev1.Probe{}}}},
		Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: container, Ready: ready, State: state}}}}
}

func ranSince(d time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon.Add(-d))}}
}

func endedSince(d time.Duration, code int32, reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message,
		StartedAt: metav1.NewTime(noon.Add(-time.Hour)), FinishedAt: metav1.NewTime(noon.Add(-d))}}
}

// unreadySince is a pod whose Ready condition has been false for so long.
func unreadySince(pod *corev1.Pod, d time.Duration) *corev1.Pod {
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse,
		Reason: "ContainersNotReady", LastTransitionTime: metav1.NewTime(noon.Add(-d))})
	return pod
}

// decoded is what is kept of a custom object, from YAML.
func decoded(t *testing.T, text string) (out map[string]any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func factOf(r *store.Runner, name string) string {
	for _, f := range r.Facts {
		if f.Name == name {
			return f.Value.At(noon)
		}
	}
	return ""
}

type wantVerdict struct {
	health store.Health
	reason store.Reason
	raw    string
	why    string
}

func (w wantVerdict) check(t *testing.T, name string, v store.Verdict) {
	t.Helper()
	if why := v.Why.At(noon); v.Health != w.health || v.Reason != w.reason || v.Raw != w.raw || !strings.Contains(why, w.why) || why == "" {
		t.Errorf("%s: %s %q %q: %s; want %s %q %q: …%s…", name, v.Health, v.Reason, v.Raw, why, w.health, w.reason, w.raw, w.why)
	}
	if (v.Reason != store.NoReason) != (v.Health == store.Unhealthy) && v.Raw != "ProbeFailed" {
		t.Errorf("%s: %s with reason %q", name, v.Health, v.Reason)
	}
}
