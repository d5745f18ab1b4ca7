package kube

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

func arcResource(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "actions.github.com", Version: "v1alpha1", Resource: plural}
}

var arcLabels = map[string]string{"actions.github.com/scale-set-name": "linux", "actions.github.com/scale-set-namespace": "ci", "app.kubernetes.io/version": "0.12.1"}

// arcObject is a custom resource of ARC's.
func arcObject(kind, name string, spec, status map[string]any) *unstructured.Unstructured {
	labels := map[string]any{}
	for k, v := range arcLabels {
		labels[k] = v
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "actions.github.com/v1alpha1", "kind": kind, "spec": spec, "status": status,
		"metadata": map[string]any{"namespace": "ci", "name": name, "uid": "cr-" + name, "resourceVersion": "1", "labels": labels, "creationTimestamp": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}}}
}

// scaleSetObjects are a scale set of one runner.
func scaleSetObjects() []runtime.Object {
	return []runtime.Object{
		arcObject("AutoscalingRunnerSet", "linux", map[string]any{"githubConfigUrl": "https://github.com/acme", "maxRunners": int64(2)}, map[string]any{"phase": "Running"}),
		arcObject("EphemeralRunnerSet", "linux-x", map[string]any{"replicas": int64(1)}, nil),
		arcObject("EphemeralRunner", "linux-x-runner-1", nil, map[string]any{"phase": "Running", "ready": true, "runnerId": int64(7), "jobDisplayName": "build", "runnerJITConfig": "s3cret"}),
		arcObject("AutoscalingListener", "linux-listener", map[string]any{"autoscalingRunnerSetNamespace": "ci", "autoscalingRunnerSetName": "linux"}, nil),
	}
}

// arcPod is a pod of the scale set that runs since an hour.
func arcPod(namespace, name, component, main string) *corev1.Pod {
	labels := map[string]string{"app.kubernetes.io/component": component}
	maps.Copy(labels, arcLabels)
	m := meta(namespace, name, labels)
	p := podOf(m, "", name, labels, corev1.Container{Name: main, Image: "ghcr.io/actions/x:1"})
	p.OwnerReferences = nil
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	return p
}

func withARC(t *testing.T, custom []runtime.Object, pods ...runtime.Object) (*board, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{}
	var served []string
	for _, w := range systems.ARC.Watches {
		kinds[arcResource(w.Resource)] = w.Kind + "List"
		served = append(served, w.Resource)
	}
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, custom...)
	c := newCluster(t, Config{})
	c.dynamic = dyn
	b := newBoardOf(t, c, func(*fake.Clientset) {
		c.served = func(_ context.Context, gv string) ([]string, error) {
			if gv == "actions.github.com/v1alpha1" {
				return served, nil
			}
			return nil, nil
		}
	}, pods...)
	return b, dyn
}

// A scale set without a pod is a runner too, and what is missing of it is found when its grace is over, with nothing else happening.
func TestAScaleSetLosesItsPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener, runner := arcPod("arc-systems", "linux-listener", "runner-scale-set-listener", "listener"), arcPod("ci", "linux-x-runner-1", "runner", "runner")
		b, _ := withARC(t, scaleSetObjects(), listener, runner)
		defer b.end()
		r := b.runner("arc", "linux")
		if r == nil || r.Ref.Namespace != "ci" || r.Health != store.Healthy || r.Version != "0.12.1" || r.Incarnation != "cr-linux" || len(r.Components) != 2 {
			t.Fatalf("%+v", r)
		}
		for _, p := range []*corev1.Pod{listener, runner} {
			if err := b.client.CoreV1().Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		b.look()
		lost := time.Now()
		r = b.runner("arc", "linux")
		if r.Health != store.Degraded || !strings.Contains(r.Why.At(lost), "GitHub's jobs do not reach it; grace ends in") {
			t.Fatalf("at first: %s %q", r.Health, r.Why.At(lost))
		}
		next := r.NextCheck()
		if wait := next.Sub(lost); wait <= 0 || wait > time.Minute {
			t.Fatalf("it is looked at again in %s", wait)
		}
		<-time.After(time.Until(next) + time.Millisecond)
		b.snap, _ = store.Apply(b.snap, b.Observe(b.snap, []store.Ref{r.Ref}, time.Now()), time.Now())
		r = b.runner("arc", "linux")
		if c, _ := r.Component("listener"); r.Health != store.Unhealthy || c.Reason != store.RuntimeLost || !c.Since.Before(next) {
			t.Errorf("after the grace: %s %+v", r.Health, c)
		}
		var drift []string
		for _, w := range r.Workloads {
			drift = append(drift, fmt.Sprint(w.Name, " ", w.Reason, " ", w.Raw))
		}
		if len(drift) != 1 || drift[0] != "linux-x-runner-1 runtime_lost PodMissing" {
			t.Errorf("work: %v", drift)
		}
	})
}

// What registers a runner at GitHub stands in its status; it never enters the cache.
func TestACredentialInAStatusIsNotKept(t *testing.T) {
	for _, o := range scaleSetObjects() {
		u := o.(*unstructured.Unstructured)
		for _, w := range systems.ARC.Watches {
			if w.Kind == u.GetKind() {
				if kept := reduce(u, &w); strings.Contains(fmt.Sprint(kept), "s3cret") || len(kept.content) == 0 {
					t.Errorf("of %s is kept: %v", w.Kind, kept.content)
				}
			}
		}
	}
}
