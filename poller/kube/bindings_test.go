package kube

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"trackside/store"
	"trackside/systems/finding"
)

var bindingResource = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"}

// binding is one to a role, for a subject of a kind.
func binding(name, role, kind, namespace, subject string) *unstructured.Unstructured {
	s := map[string]any{"kind": kind, "name": subject}
	if namespace != "" {
		s["namespace"] = namespace
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
		"metadata": map[string]any{"name": name, "uid": "b-" + name, "resourceVersion": "1"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": []any{s}}}
}

// withBindings starts a board of one runner, whose account is the namespace's default, on an API server with those bindings.
func withBindings(t *testing.T, bindings ...runtime.Object) (*board, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{bindingResource: "ClusterRoleBindingList"}, bindings...)
	c := newCluster(t, Config{})
	c.dynamic = dyn
	return newBoardOf(t, c, func(*fake.Clientset) {
		c.served = func(_ context.Context, gv string) ([]string, error) {
			if gv == "rbac.authorization.k8s.io/v1" {
				return []string{"clusterrolebindings"}, nil
			}
			return nil, nil
		}
	}, labelledRunner("r", 1)...), dyn
}

func adminFinding(r *store.Runner) (f store.Finding) {
	if i := slices.IndexFunc(r.Findings, func(f store.Finding) bool { return f.Code == finding.ClusterAdminBound }); i >= 0 {
		f = r.Findings[i]
	}
	return f
}

func TestAnAccountThatIsBoundToClusterAdmin(t *testing.T) {
	broken := binding("b", "cluster-admin", "ServiceAccount", "ns", "default")
	broken.Object["subjects"] = "x"
	for name, c := range map[string]struct {
		binding *unstructured.Unstructured
		found   bool
	}{
		"its own":                {binding("b", "cluster-admin", "ServiceAccount", "ns", "default"), true},
		"another account":        {binding("b", "cluster-admin", "ServiceAccount", "ns", "other"), false},
		"another namespace":      {binding("b", "cluster-admin", "ServiceAccount", "other", "default"), false},
		"another role":           {binding("b", "view", "ServiceAccount", "ns", "default"), false},
		"a user of that name":    {binding("b", "cluster-admin", "User", "ns", "default"), false},
		"all of its namespace":   {binding("b", "cluster-admin", "Group", "", "system:serviceaccounts:ns"), true},
		"all of another":         {binding("b", "cluster-admin", "Group", "", "system:serviceaccounts:other"), false},
		"all accounts":           {binding("b", "cluster-admin", "Group", "", "system:serviceaccounts"), true},
		"administrators":         {binding("b", "cluster-admin", "Group", "", "system:masters"), false},
		"one that is no binding": {broken, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := withBindings(t, c.binding)
				defer b.end()
				f := adminFinding(b.runner("labelled", "r"))
				if (f.Code != "") != c.found {
					t.Errorf("found %+v, want %v", f, c.found)
				}
				if c.found && (f.Severity != store.Critical || !strings.HasSuffix(f.Field, "serviceAccountName") || !strings.Contains(string(f.Why), "Its service account default is bound") ||
					f.Fix != "kubectl delete clusterrolebinding b") {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

func TestABindingThatComesChangesItsRunners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dyn := withBindings(t)
		defer b.end()
		if _, err := dyn.Resource(bindingResource).Create(t.Context(), binding("b", "cluster-admin", "ServiceAccount", "ns", "default"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if r := b.runner("labelled", "r"); adminFinding(r).Code == "" {
			t.Errorf("with it: %v", codes(r))
		}
		if err := dyn.Resource(bindingResource).Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if r := b.runner("labelled", "r"); adminFinding(r).Code != "" {
			t.Errorf("without it: %v", codes(r))
		}
	})
}
