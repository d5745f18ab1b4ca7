package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"trackside/store"
	"trackside/systems"
)

// releaseSet is a StatefulSet of Digital.ai's runners, and its pods.
func releaseSet(replicas int32, change func(*corev1.PodSpec)) (*appsv1.StatefulSet, []*corev1.Pod) {
	set := &appsv1.StatefulSet{ObjectMeta: meta("digitalai", "rr", nil)}
	set.Spec.Replicas = &replicas
	set.Spec.Template.Spec.Containers = []corev1.Container{container("runner", "docker.io/xebialabs/release-runner:24.1.3")}
	set.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "RELEASE_RUNNER_RELEASE_URL", Value: "https://r.acme.example"}, {Name: "RELEASE_RUNNER_TOKEN", Value: "rpa_s3cret"}}
	if change != nil {
		change(&set.Spec.Template.Spec)
	}
	var pods []*corev1.Pod
	for i := range replicas {
		p := podOf(set.ObjectMeta, "StatefulSet", fmt.Sprint("rr-", i), nil, set.Spec.Template.Spec.Containers...)
		p.Spec.HostNetwork = set.Spec.Template.Spec.HostNetwork
		pods = append(pods, p)
	}
	return set, pods
}

func TestEachReplicaIsARunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, pods := releaseSet(2, nil)
		executor := running(&corev1.Pod{ObjectMeta: meta("digitalai", strings.Repeat("0a", 20), nil), Spec: corev1.PodSpec{Containers: []corev1.Container{container("x", "acme/plugin:1")}}})
		b := newBoard(t, Config{}, nil, set, pods[0], pods[1], executor)
		defer b.end()
		if got := b.names(); !slices.Equal(got, []string{"release/digitalai/rr-0", "release/digitalai/rr-1"}) {
			t.Fatalf("runners %v", got)
		}
		for name, work := range map[string]int{"rr-0": 2, "rr-1": 1} {
			r := b.runner("release", name)
			if r.Health != store.Healthy || r.Why != "runner is ready: registered with https://r.acme.example." || len(r.Workloads) != work || r.Components[0].Desired != 1 || r.Version != "24.1.3" {
				t.Errorf("%s: %s %q, %d pods, %+v", name, r.Health, r.Why, len(r.Workloads), r.Components)
			}
		}
		b.update(crashing(pods[1]))
		b.look()
		if one, other := b.runner("release", "rr-1"), b.runner("release", "rr-0"); one.Reason != store.CrashLoop || other.Health != store.Healthy || len(b.changes) != 1 {
			t.Errorf("one %s, the other %s, %d changed", one.Why, other.Why, len(b.changes))
		}
	})
}

// What the cache drops must not be what the word of the system rests on.
func TestReleaseIsNotGreenWhereNothingShows(t *testing.T) {
	for raw, change := range map[string]func(*corev1.PodSpec){
		"DiagnosticMode": func(s *corev1.PodSpec) {
			s.Containers[0].Command, s.Containers[0].Args, s.Containers[0].ReadinessProbe = []string{"sleep"}, []string{"infinity"}, nil
		},
		"HostNetwork": func(s *corev1.PodSpec) { s.HostNetwork, s.Containers[0].ReadinessProbe = true, nil },
	} {
		t.Run(raw, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set, pods := releaseSet(1, change)
				b := newBoard(t, Config{}, nil, set, pods[0])
				defer b.end()
				r := b.runner("release", "rr-0")
				if r.Health != store.Unknown || r.Raw != raw || r.Workloads[0].Health != store.Unknown || !slices.Contains(r.Facts, store.Fact{Name: "State", Value: "not seen"}) {
					t.Errorf("%s %s: %s, %v", r.Health, r.Raw, r.Why, r.Facts)
				}
			})
		})
	}
}

func TestReleaseScaledToNothingIsOutOfService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, _ := releaseSet(0, nil)
		b := newBoard(t, Config{}, nil, set)
		defer b.end()
		r := b.runner("release", "rr-0")
		if r == nil || r.Observed != store.Disabled || !slices.Contains(r.Facts, store.Fact{Name: "State", Value: "disabled"}) {
			t.Errorf("%+v", r)
		}
	})
}

// pluePool is a warm pool whose probe always passes, and its pods, which began so long ago.
func pluePool(began time.Duration) []runtime.Object {
	l := map[string]string{"app": "runner-standby"}
	c := container("runner", "gcr.io/plue-prod/runner:1.7.3")
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"python", "-c", "import sys; sys.exit(0)"}}}}
	d := deployment(meta("workflows", "pool", l), 2, c)
	rs := replicaSet(d)
	out := []runtime.Object{d, rs}
	for i := range 2 {
		p := podOf(rs.ObjectMeta, "ReplicaSet", fmt.Sprint("pool-", i), l, c)
		p.Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(time.Now().Add(-began))
		out = append(out, p)
	}
	task := running(&corev1.Pod{ObjectMeta: meta("workflows", "runner-1", map[string]string{"app": "workflow-runner"}), Spec: corev1.PodSpec{Containers: []corev1.Container{c}}})
	return append(out, task)
}

func TestAProbeThatAlwaysPassesProvesNothing(t *testing.T) {
	for _, c := range []struct {
		began    time.Duration
		health   store.Health
		why      string
		unproven bool
	}{
		{3 * time.Minute, store.Unknown, "with a readiness probe that always passes", false},
		{time.Hour, store.Healthy, "warm-pool has 2 of 2 pods ready.", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBoard(t, Config{}, nil, pluePool(c.began)...)
			defer b.end()
			if got := b.names(); !slices.Equal(got, []string{"plue/workflows/pool"}) {
				t.Fatalf("runners %v", got)
			}
			r := b.runner("plue", "pool")
			if r.Health != c.health || !strings.Contains(string(r.Why), c.why) || r.Components[0].Unproven != c.unproven || len(r.Workloads) != 3 {
				t.Errorf("after %s: %s: %s, unproven %t, %d pods", c.began, r.Health, r.Why, r.Components[0].Unproven, len(r.Workloads))
			}
		})
	}
}

var agenticSessions = schema.GroupVersionResource{Group: "vteam.ambient-code", Version: "v1alpha1", Resource: "agenticsessions"}

func agenticSession(name, phase string, conditions ...any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "vteam.ambient-code/v1alpha1", "kind": "AgenticSession",
		"metadata": map[string]any{"namespace": "team", "name": name, "uid": "cr-" + name, "resourceVersion": "1", "creationTimestamp": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)},
		"spec":     map[string]any{"environmentVariables": map[string]any{"TOKEN": "s3cret"}, "initialPrompt": "s3cret"},
		"status":   map[string]any{"phase": phase, "conditions": conditions}}}
}

func withSessions(t *testing.T, sessions []runtime.Object, objects ...runtime.Object) (*board, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{agenticSessions: "AgenticSessionList"}, sessions...)
	c := newCluster(t, Config{})
	c.dynamic = dyn
	b := newBoardOf(t, c, func(*fake.Clientset) {
		c.served = func(_ context.Context, gv string) ([]string, error) {
			if gv == "vteam.ambient-code/v1alpha1" {
				return []string{"agenticsessions"}, nil
			}
			return nil, nil
		}
	}, objects...)
	return b, dyn
}

// The operator deletes the pod of a session that failed: the session alone makes the runner, and says why.
func TestASessionOutlivesItsPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := map[string]any{"type": "Ready", "status": "False", "reason": "PrerequisiteFailed", "message": "no key"}
		b, dyn := withSessions(t, []runtime.Object{agenticSession("gone", "Failed", failed), agenticSession("lost", "Running")})
		defer b.end()
		r := b.runner("ambient", "team")
		if r == nil || r.Health != store.Degraded || r.Reason != store.ConfigInvalid || len(r.Workloads) != 2 {
			t.Fatalf("%+v", r)
		}
		if got := fmt.Sprint(b.set.watched, r); strings.Contains(got, "s3cret") {
			t.Error("something of a session's spec is kept")
		}
		<-time.After(10 * time.Second)
		b.touch(r.Ref)
		b.look()
		r = b.runner("ambient", "team")
		i := slices.IndexFunc(r.Workloads, func(w store.Workload) bool { return w.Name == "lost" })
		if i < 0 || r.Workloads[i].Reason != store.RuntimeLost || r.Workloads[i].Raw != "PodMissing" {
			t.Errorf("the session without a pod: %+v", r.Workloads)
		}
		for _, name := range []string{"gone", "lost"} {
			if err := dyn.Resource(agenticSessions).Namespace("team").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		b.look()
		if r := b.runner("ambient", "team"); r != nil {
			t.Errorf("its sessions are gone, and it is %s", r.Why)
		}
	})
}

func TestASessionAndItsPodDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := running(&corev1.Pod{ObjectMeta: meta("team", "s-runner", map[string]string{"app": "ambient-code-runner", "agentic-session": "s"}),
			Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{container("state-sync", "s:1"), container("ambient-code-runner", "quay.io/ambient_code/vteam_claude_runner:v0.3.1")}}})
		b, _ := withSessions(t, []runtime.Object{agenticSession("s", "Running")}, pod)
		defer b.end()
		if r := b.runner("ambient", "team"); r.Health != store.Healthy || r.Why != "1 session runs." || r.Version != "0.3.1" {
			t.Fatalf("%s: %s, version %q", r.Health, r.Why, r.Version)
		}
		dead := pod.DeepCopy()
		s := &dead.Status.ContainerStatuses[1]
		s.Ready, s.State = false, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled",
			StartedAt: metav1.NewTime(time.Now().Add(-20 * time.Minute)), FinishedAt: metav1.Now()}}
		dead.ResourceVersion = "2"
		b.update(dead)
		b.look()
		r := b.runner("ambient", "team")
		if r.Health != store.Degraded || r.Reason != store.RuntimeLost || !strings.Contains(string(r.Why), "The session says Running, but its pod is dead: ambient-code-runner was running and exited") {
			t.Errorf("%s %s: %s", r.Health, r.Reason, r.Why)
		}
	})
}

// Nothing but what a system names is kept of an autoscaler, whoever's it is.
func TestAutoscalersAreReduced(t *testing.T) {
	i := slices.IndexFunc(systems.Plue.Watches, func(w systems.Watch) bool { return w.Resource == "horizontalpodautoscalers" })
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "h"}, "status": map[string]any{"x": "y"},
		"spec": map[string]any{"minReplicas": int64(2), "behavior": "x", "scaleTargetRef": map[string]any{"kind": "Deployment", "name": "d"}}}}
	if c := reduce(u, &systems.Plue.Watches[i]); fmt.Sprint(c.content) != "map[spec:map[minReplicas:2 scaleTargetRef:map[kind:Deployment name:d]]]" {
		t.Errorf("kept %v", c.content)
	}
}
