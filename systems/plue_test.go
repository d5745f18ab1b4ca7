package systems_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
	"trackside/systems"
)

func TestPlueIsKnownByLabelOrByWhatItRuns(t *testing.T) {
	runner := func(name, image string, env ...string) *corev1.PodSpec {
		spec := withEnv(corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: image}}}, env...)
		return &spec
	}
	pool := systems.Claim{Namespace: "n", Runner: "x", Component: "warm-pool", Carries: "n"}
	standby, task := map[string]string{"app": "runner-standby"}, map[string]string{"app": "workflow-runner"}
	hpa := func(kind, name string) map[string]any {
		return map[string]any{"spec": map[string]any{"scaleTargetRef": map[string]any{"kind": kind, "name": name}}}
	}
	for _, c := range []struct {
		name string
		o    systems.Object
		want systems.Claim
		ok   bool
	}{
		{"the warm pool", systems.Object{Kind: "Deployment", Name: "x", Labels: standby}, pool, true},
		{"a warm pod of its own", systems.Object{Kind: "Pod", Name: "x", Labels: standby}, pool, true},
		{"a task", systems.Object{Kind: "Pod", Name: "x", Labels: task}, systems.Claim{Namespace: "n"}, true},
		{"a Deployment labelled as a task", systems.Object{Kind: "Deployment", Name: "x", Labels: task}, systems.Claim{}, false},
		{"the pod without a label", systems.Object{Kind: "Pod", Name: "x", Spec: runner("runner", "plue-runner:latest", "PLUE_API_URL", "http://api:4000")}, pool, true},
		{"a mirror of its image", systems.Object{Kind: "Deployment", Name: "x", Spec: runner("runner", "reg:5000/plue-prod/runner@sha256:00", "REGISTER_URL", "")}, pool, true},
		{"its image without its variable", systems.Object{Kind: "Pod", Name: "x", Spec: runner("runner", "plue-runner")}, systems.Claim{}, false},
		{"its variable in another image", systems.Object{Kind: "Pod", Name: "x", Spec: runner("runner", "acme/runner", "PLUE_API_URL", "x")}, systems.Claim{}, false},
		{"another container's", systems.Object{Kind: "Pod", Name: "x", Spec: runner("main", "plue-runner", "PLUE_API_URL", "x")}, systems.Claim{}, false},
		{"a StatefulSet", systems.Object{Kind: "StatefulSet", Name: "x", Labels: standby}, systems.Claim{}, false},
		{"nothing in it", systems.Object{Kind: "Pod", Name: "x"}, systems.Claim{}, false},
		{"its autoscaler", systems.Object{Kind: "HorizontalPodAutoscaler", Name: "h", Custom: hpa("Deployment", "x")}, systems.Claim{Namespace: "n", Runner: "x"}, true},
		{"an autoscaler of something else", systems.Object{Kind: "HorizontalPodAutoscaler", Name: "h", Custom: hpa("StatefulSet", "x")}, systems.Claim{}, false},
		{"an autoscaler of nothing", systems.Object{Kind: "HorizontalPodAutoscaler", Name: "h"}, systems.Claim{}, false},
	} {
		c.o.Namespace = "n"
		got, ok := systems.Plue.Claim(c.o)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %v %+v, want %v %+v", c.name, ok, got, c.ok, c.want)
		}
	}
}

func TestPlueFacts(t *testing.T) {
	gvisor := "gvisor"
	v := newView("plue", "workflows", "pool")
	v.Runner.Components = []store.Component{{Name: "warm-pool", Ready: 3, Desired: 5, Verdict: store.Verdict{Health: store.Degraded, Why: "warm-pool has 3 of 5 pods ready."}}}
	v.Objects = []systems.Object{
		{Kind: "Deployment", Name: "pool", Annotations: map[string]string{systems.AnnotationIdleTimeout: "300s"}, Spec: &corev1.PodSpec{RuntimeClassName: &gvisor}},
		{Kind: "HorizontalPodAutoscaler", Custom: decoded(t, `spec: {minReplicas: 2, maxReplicas: 50, metrics: [{type: Pods}, {type: Resource, resource: {name: cpu, target: {averageUtilization: 70}}}]}`)},
		{Kind: "HorizontalPodAutoscaler", Custom: decoded(t, `spec: {maxReplicas: 4}`)},
		{Kind: "HorizontalPodAutoscaler", Custom: decoded(t, `spec: {minReplicas: many, maxReplicas: [1], metrics: none}`)},
	}
	carries(v, "warm-pool", podIn("pool-a", "runner", true, ranSince(0)), store.Verdict{Health: store.Healthy})
	carries(v, "", podIn("runner-1", "runner", true, ranSince(0)), store.Verdict{Health: store.Healthy})
	carries(v, "", podIn("runner-2", "runner", true, ranSince(0)), store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost})
	systems.Plue.Assess(v)
	for i, want := range []store.Fact{{Name: "Warm pool", Value: "3 available of 5 wanted"}, {Name: "Task pods", Value: "1 of 2 tasks run"}, {Name: "Autoscaler", Value: "2 to 50 pods, at 70 % CPU"},
		{Name: "Autoscaler", Value: "1 to 4 pods"}, {Name: "Runtime class", Value: "gvisor"}, {Name: "Idle timeout", Value: "5 min"}} {
		if i >= len(v.Runner.Facts) || v.Runner.Facts[i] != want {
			t.Fatalf("facts %+v: no %+v", v.Runner.Facts, want)
		}
	}
	empty := newView("plue", "workflows", "pool")
	systems.Plue.Assess(empty)
	if len(empty.Runner.Facts) != 0 {
		t.Errorf("a runner that has only tasks has the facts %v", empty.Runner.Facts)
	}
	idle := newView("plue", "workflows", "pool")
	idle.Runner.Components = []store.Component{{Name: "warm-pool"}}
	idle.Objects = []systems.Object{{Kind: "Deployment", Annotations: map[string]string{systems.AnnotationIdleTimeout: "soon"}, Spec: &corev1.PodSpec{}}}
	systems.Plue.Assess(idle)
	if got := factOf(idle.Runner, "Task pods"); got != "no task has a pod" || factOf(idle.Runner, "Idle timeout") != "" {
		t.Errorf("task pods are %q in %v", got, idle.Runner.Facts)
	}
}

func TestPlueWithoutItsRuntimeClass(t *testing.T) {
	const message = `pods "runner-standby-pool-7d5f-" is forbidden: pod rejected: RuntimeClass "gvisor" not found`
	for _, c := range []struct {
		name  string
		given store.Verdict
		want  wantVerdict
	}{
		{"it is gone", store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed, Raw: "FailedCreate", Message: message, Why: "warm-pool cannot create its pods."},
			wantVerdict{store.Unhealthy, store.StartFailed, "FailedCreate", "the cluster has no RuntimeClass gvisor."}},
		{"it is gone, and some pods are left", store.Verdict{Health: store.Degraded, Raw: "Unavailable", Message: message, Why: "warm-pool has 1 of 3 pods ready."},
			wantVerdict{store.Degraded, 0, "Unavailable", "1 of 3 pods ready"}},
		{"a quota", store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed, Raw: "FailedCreate", Message: "exceeded quota", Why: "warm-pool cannot create its pods: exceeded quota."},
			wantVerdict{store.Unhealthy, store.StartFailed, "FailedCreate", "exceeded quota"}},
	} {
		v := newView("plue", "workflows", "pool")
		v.Runner.Components = []store.Component{{Name: "warm-pool", Desired: 3, Verdict: c.given}}
		systems.Plue.Assess(v)
		c.want.check(t, c.name, v.Runner.Components[0].Verdict)
		if v.Runner.Components[0].Message != c.given.Message {
			t.Errorf("%s: the raw message is lost", c.name)
		}
	}
}
