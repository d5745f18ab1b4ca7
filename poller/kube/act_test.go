package kube

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"trackside/store"
)

// withHands starts a board whose hands reach the same objects, and those beside.
func withHands(t *testing.T, beside []runtime.Object, objects ...runtime.Object) (*board, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	scheme, names := runtime.NewScheme(), map[schema.GroupVersionResource]string{}
	for kind, gvr := range kinds {
		names[gvr] = kind + "List"
	}
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := newCluster(t, Config{})
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme, names, slices.Concat(beside, objects)...)
	c.dynamic = dyn
	return newBoardOf(t, c, nil, objects...), dyn
}

// planned is the plan of an action on a runner that is shown.
func (b *board) planned(a store.Action, system, name string) store.Plan {
	b.t.Helper()
	r := b.runner(system, name)
	if r == nil {
		b.t.Fatalf("%s %s is not there among %v", system, name, b.names())
	}
	a.Ref, a.At, a.By = r.Ref, time.Now(), store.Person{Name: "ada"}
	p, err := b.Plan(b.t.Context(), a, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// trap is what a plan says under a code; blank when it does not.
func trap(p store.Plan, code string) string {
	for _, t := range p.Traps {
		if t.Code == code {
			return t.Why.Absolute()
		}
	}
	return ""
}

// besideAService is a labelled runner whose pods bear the label that a Service of the namespace chooses by.
func besideAService(name string, replicas int32) []runtime.Object {
	objects := labelledRunner(name, replicas)
	objects[0].(*appsv1.Deployment).Spec.Template.Labels = map[string]string{"app": "runner"}
	for _, o := range objects[2:] {
		o.(*corev1.Pod).Labels["app"] = "runner"
	}
	return objects
}

func TestDeleteKeepsAServiceOfOthers(t *testing.T) {
	service := &corev1.Service{ObjectMeta: meta("ns", "runners", nil), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "runner"}}}
	for name, c := range map[string]struct {
		others []runtime.Object
		stays  bool
	}{
		"its own alone":             {nil, false},
		"another Deployment's":      {besideAService("b", 1), true},
		"one's that is scaled to 0": {besideAService("b", 0), true},
		"a bare pod's":              {[]runtime.Object{running(&corev1.Pod{ObjectMeta: meta("ns", "bare", map[string]string{"app": "runner"})})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := withHands(t, []runtime.Object{service}, slices.Concat(besideAService("a", 2), c.others)...)
				defer b.end()
				p := b.planned(store.Action{Verb: store.VerbDelete}, "labelled", "a")
				o := store.Object{Kind: "Service", Namespace: "ns", Name: "runners"}
				if slices.Contains(p.Goes, o) == c.stays || slices.Contains(p.Stays, o) != c.stays {
					t.Errorf("goes %v, stays %v", p.Goes, p.Stays)
				}
			})
		})
	}
}

var _ = []any{context.Background, strings.Contains, clienttesting.NewRootGetAction}
