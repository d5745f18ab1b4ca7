package kube

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"trackside/systems"
	"trackside/systems/finding"
)

var budgetResource = schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}

// budget is one with that selector; nil for none.
func budget(namespace, name string, selector map[string]any) *unstructured.Unstructured {
	spec := map[string]any{"minAvailable": int64(1)}
	if selector != nil {
		spec["selector"] = selector
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
		"metadata": map[string]any{"namespace": namespace, "name": name, "uid": "b-" + name, "resourceVersion": "1"}, "spec": spec}}
}

func matching(pairs ...string) map[string]any {
	labels := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		labels[pairs[i]] = pairs[i+1]
	}
	return map[string]any{"matchLabels": labels}
}

// withBudgets starts a board of a runner of one replica, whose API server has those budgets.
func withBudgets(t *testing.T, budgets ...runtime.Object) (*board, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{budgetResource: "PodDisruptionBudgetList"}, budgets...)
	c := newCluster(t, Config{})
	c.dynamic = dyn
	return newBoardOf(t, c, func(*fake.Clientset) {
		c.served = func(_ context.Context, gv string) ([]string, error) {
			if gv == "policy/v1" {
				return []string{"poddisruptionbudgets"}, nil
			}
			return nil, nil
		}
	}, labelledRunner("r", 1)...), dyn
}

func TestASingleReplicaWithoutABudget(t *testing.T) {
	for name, c := range map[string]struct {
		budgets []runtime.Object
		want    string
	}{
		"none":                 {nil, finding.SingleUnguarded},
		"its own":              {[]runtime.Object{budget("ns", "b", matching(systems.LabelRunner, "r"))}, ""},
		"everybody's":          {[]runtime.Object{budget("ns", "b", map[string]any{})}, ""},
		"nobody's":             {[]runtime.Object{budget("ns", "b", nil)}, finding.SingleUnguarded},
		"another's":            {[]runtime.Object{budget("ns", "b", matching(systems.LabelRunner, "s"))}, finding.SingleUnguarded},
		"of another namespace": {[]runtime.Object{budget("other", "b", matching(systems.LabelRunner, "r"))}, finding.SingleUnguarded},
		"one that is broken":   {[]runtime.Object{budget("ns", "b", map[string]any{"matchExpressions": "x"})}, finding.SingleUnguarded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := withBudgets(t, c.budgets...)
				defer b.end()
				got := codes(b.runner("labelled", "r"))
				single := slices.DeleteFunc(got, func(s string) bool { return s != finding.SingleReplica && s != finding.SingleUnguarded })
				if c.want == "" && len(single) > 0 || c.want != "" && !slices.Equal(single, []string{c.want}) {
					t.Errorf("%v, want %q", single, c.want)
				}
			})
		})
	}
}

func TestABudgetThatComesChangesItsRunners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dyn := withBudgets(t)
		defer b.end()
		if _, err := dyn.Resource(budgetResource).Namespace("ns").Create(t.Context(), budget("ns", "b", matching(systems.LabelRunner, "r")), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if r := b.runner("labelled", "r"); slices.Contains(codes(r), finding.SingleUnguarded) || len(b.changes) != 1 {
			t.Errorf("%v after %d changes", codes(r), len(b.changes))
		}
		if err := dyn.Resource(budgetResource).Namespace("ns").Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if r := b.runner("labelled", "r"); !slices.Contains(codes(r), finding.SingleUnguarded) {
			t.Errorf("%v without it", codes(r))
		}
	})
}
