package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"trackside/store"
	"trackside/systems"
)

var agynRunners = schema.GroupVersionResource{Group: "platform.agyn.io", Version: "v1alpha1", Resource: "runners"}

// declared is an agyn Runner object with a Ready condition.
func declared(name, status, reason, message string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "platform.agyn.io/v1alpha1", "kind": "Runner",
		"metadata": map[string]any{"namespace": "platform", "name": name, "uid": "cr-" + name, "resourceVersion": "1"},
		"spec":     map[string]any{"capabilities": []any{"docker", "gpu"}, "labels": map[string]any{"zone": "eu"}, "secretThing": "s3cret"},
		"status": map[string]any{"runnerId": "r-1", "conditions": []any{map[string]any{
			"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}}},
	}}
}

// agynObjects are a k8s-runner and its pod.
func agynObjects() []runtime.Object {
	l := map[string]string{"app.kubernetes.io/name": "k8s-runner", "app.kubernetes.io/instance": "k8s-runner"}
	d := deployment(meta("platform", "k8s-runner", l), 1, container("k8s-runner", "ghcr.io/agynio/k8s-runner:0.9.4"))
	rs := replicaSet(d)
	return []runtime.Object{d, rs, podOf(rs.ObjectMeta, "ReplicaSet", "k8s-runner-0", l, d.Spec.Template.Spec.Containers...)}
}

// withCustom starts a board whose API server serves agyn's CRD while serves says so.
func withCustom(t *testing.T, serves *atomic.Bool, custom []runtime.Object, objects ...runtime.Object) (*board, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{agynRunners: "RunnerList"}, custom...)
	c := newCluster(t, Config{})
	c.dynamic = dyn
	b := newBoardOf(t, c, func(*fake.Clientset) {
		c.served = func(_ context.Context, gv string) ([]string, error) {
			if gv == "platform.agyn.io/v1alpha1" && serves.Load() {
				return []string{"runners", "runners/status"}, nil
			}
			return nil, nil
		}
	}, objects...)
	return b, dyn
}

func TestACustomResourceIsReadWhereItsCRDIs(t *testing.T) {
	for _, c := range []struct {
		name, status, reason, message string
		health                        store.Health
		failure                       store.Reason
		why                           string
	}{
		{"registered", "True", "Reconciled", "", store.Healthy, store.NoReason, "All 2 components are healthy."},
		{"credential missing", "False", "CredentialMissing", "token\r\nlost", store.Unhealthy, store.ConfigInvalid, "The runner's token is lost (CredentialMissing: token lost)."},
		{"failed", "False", "Failed", "", store.Unhealthy, store.ConfigInvalid, "could not be registered"},
		{"pending", "False", "Pending", "waits", store.Degraded, store.NoReason, "is not registered yet (Pending: waits)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var serves atomic.Bool
				serves.Store(true)
				b, _ := withCustom(t, &serves, []runtime.Object{declared("k8s-runner", c.status, c.reason, c.message)}, agynObjects()...)
				defer b.end()
				r := b.runner("agyn", "k8s-runner")
				if r.Health != c.health || r.Reason != c.failure || !strings.Contains(string(r.Why), c.why) {
					t.Errorf("%s, %s: %q", r.Health, r.Reason, r.Why)
				}
				if !slices.Contains(r.Facts, store.Fact{Name: "Declared capabilities", Value: "docker, gpu"}) || !slices.Contains(r.Facts, store.Fact{Name: "Labels", Value: "zone=eu"}) {
					t.Errorf("facts %v", r.Facts)
				}
			})
		})
	}
}

// A CRD may be installed, and removed, at any time.
func TestACRDComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var serves atomic.Bool
		b, _ := withCustom(t, &serves, []runtime.Object{declared("k8s-runner", "False", "CredentialMissing", "")}, agynObjects()...)
		defer b.end()
		health := func(step string, want store.Health) {
			<-time.After(2 * discoveryInterval)
			b.look()
			if r := b.runner("agyn", "k8s-runner"); r == nil || r.Health != want {
				t.Errorf("%s: %+v, want %s", step, r, want)
			}
		}
		health("without the CRD", store.Healthy)
		serves.Store(true)
		health("with the CRD", store.Unhealthy)
		serves.Store(false)
		health("without it again", store.Healthy)
	})
}

func TestACustomObjectAloneIsARunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var serves atomic.Bool
		serves.Store(true)
		b, dyn := withCustom(t, &serves, []runtime.Object{declared("elsewhere", "True", "Reconciled", "")})
		defer b.end()
		if r := b.runner("agyn", "elsewhere"); r == nil || len(r.Components) != 1 {
			t.Fatalf("%+v", r)
		}
		if err := dyn.Resource(agynRunners).Namespace("platform").Delete(t.Context(), "elsewhere", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if r := b.runner("agyn", "elsewhere"); r != nil {
			t.Errorf("it is still there: %+v", r)
		}
	})
}

// When the API server cannot say what it serves, what is watched stays.
func TestDiscoveryThatFailsChangesNothing(t *testing.T) {
	c := newCluster(t, Config{})
	c.served = func(context.Context, string) ([]string, error) { return nil, errors.New("busy") }
	before := optional()[:1]
	if got, ok := c.discover(t.Context(), before); ok || len(got) != 1 {
		t.Errorf("found %v, %t", got, ok)
	}
}

func TestOnlyWhatIsKeptEntersTheCache(t *testing.T) {
	w := optional()[slices.IndexFunc(optional(), func(w systems.Watch) bool { return w.Resource == "runners" })]
	u := declared("k8s-runner", "True", "Reconciled", strings.Repeat("x", 100_000))
	deep := any("bottom")
	for range 1000 {
		deep = map[string]any{"d": deep}
	}
	u.Object["spec"].(map[string]any)["labels"] = deep
	c := reduce(u, &w)
	if _, there := c.content["spec"].(map[string]any)["secretThing"]; there {
		t.Error("what no system reads is kept")
	}
	conditions := c.content["status"].(map[string]any)["conditions"].([]any)
	if m := conditions[0].(map[string]any)["message"].(string); len(m) > store.MaxMessage {
		t.Errorf("%d bytes of a message are kept", len(m))
	}
	foreign := declared("x", "True", "", "")
	foreign.SetLabels(map[string]string{systems.LabelIgnore: "true"})
	if c := reduce(foreign, &w); c.content != nil {
		t.Errorf("an object that is nobody's is kept: %v", c.content)
	}
}

// Each replica of a set whose system says so is a runner of its own.
func TestReplicasAreRunners(t *testing.T) {
	refs := replicaRefs(store.Ref{Cluster: "c", System: "s", Namespace: "ns", Name: "set"}, statefulSet(meta("ns", "set", nil), 3))
	if len(refs) != 3 || refs[0].Name != "set-0" || refs[2].Name != "set-2" {
		t.Errorf("%v", refs)
	}
	if refs = replicaRefs(store.Ref{Name: "set"}, statefulSet(meta("ns", "set", nil), 0)); len(refs) != 1 {
		t.Errorf("one that is scaled to 0: %v", refs)
	}
	if refs = replicaRefs(store.Ref{Name: "set"}, statefulSet(meta("ns", "set", nil), 2_000_000_000)); len(refs) != maxReplicas {
		t.Errorf("%d runners", len(refs))
	}
}

func statefulSet(m metav1.ObjectMeta, replicas int32) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: m, Spec: appsv1.StatefulSetSpec{Replicas: &replicas}}
}
