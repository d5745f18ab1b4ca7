package manifests

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"trackside/store"
	"trackside/systems"
)

func placed(t *testing.T, system string, given map[string]string) (*systems.Manifest, systems.Values, placement) {
	t.Helper()
	m := systems.Named(system).Manifest
	v := systems.NewValues(m.Fields, given)
	return m, v, placementOf(m, v)
}

// What an API server has against a path is shown beside the field that it comes from.
func TestWhichFieldAPathComesFrom(t *testing.T) {
	for name, c := range map[string]struct{ system, object, path, message, want string }{
		"an image":            {"labelled", "Deployment/0", "spec.template.spec.containers[0].image", "", "image"},
		"a request":           {"labelled", "Deployment/0", "spec.template.spec.containers[0].resources.requests", `Invalid value: "4"`, "cpuRequest"},
		"the other":           {"labelled", "Deployment/0", "spec.template.spec.containers[0].resources.requests", `Invalid value: "9Gi"`, "memoryRequest"},
		"a limit":             {"labelled", "Deployment/0", "spec.template.spec.containers[0].resources.limits[cpu]", "", "cpuLimit"},
		"a namespace":         {"agyn", "Deployment/0", "metadata.namespace", "", "namespace"},
		"the workloads' own":  {"agyn", "Role/0", "metadata.namespace", "", "workloads"},
		"an autoscaler's":     {"plue", "HorizontalPodAutoscaler/0", "spec.maxReplicas", "", "most"},
		"a second deployment": {"kubiya", "Deployment/2", "spec.template.spec.containers[1].image", "", "sdkImage"},
		"nobody's":            {"labelled", "Deployment/0", "spec.strategy", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, v, p := placed(t, c.system, map[string]string{"image": "r/x:1.2.3", "cpuRequest": "4", "memoryRequest": "9Gi"})
			if got := p.fieldAt(m, v, c.object, c.path, c.message); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Whatever a form made is read back into it, for every system.
func TestWhatAFormMadeIsReadBack(t *testing.T) {
	for _, form := range Forms() {
		t.Run(form.System, func(t *testing.T) {
			given := map[string]string{}
			for _, f := range form.Fields {
				switch {
				case f.Kind == store.FieldChoice || f.Name == "name":
				case f.Kind == store.FieldNumber || f.Kind == store.FieldQuantity:
					given[f.Name] = another(f, f.Default)
				case f.Example != "":
					given[f.Name] = f.Example
				}
			}
			m, v, _ := placed(t, form.System, given)
			var live []*unstructured.Unstructured
			for _, o := range m.Build(v) {
				u, err := bare(o)
				if err != nil {
					t.Fatal(err)
				}
				live = append(live, u)
			}
			base := systems.NewValues(m.Fields, nil)
			got := placementOf(m, base).read(m, base, live)
			for name, want := range given {
				if f, _ := form.Field(name); got[name] != want && f.Kind != store.FieldNumber {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
		})
	}
}

func TestWhatAClusterHasAgainstAnObject(t *testing.T) {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "x", "namespace": "ns"}}}
	status := func(s metav1.Status) error { return &apierrors.StatusError{ErrStatus: s} }
	for name, c := range map[string]struct {
		err        error
		path, text string
		class      error
	}{
		"no namespace": {status(metav1.Status{Reason: metav1.StatusReasonNotFound, Details: &metav1.StatusDetails{Kind: "namespaces", Name: "ns"}}), "metadata.namespace", "kubectl create namespace ns", store.ErrInvalid},
		"a conflict": {status(metav1.Status{Reason: metav1.StatusReasonConflict, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "hpa"`, Field: ".spec.replicas"}}}}), "spec.replicas", "Somebody else keeps this field", store.ErrConflict},
		"forbidden": {apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "x", errors.New("no verb patch")), "", "no verb patch", store.ErrForbidden},
		"nobody":    {apierrors.NewServiceUnavailable("down"), "", "down", store.ErrUnavailable},
		"hostile":   {errors.New("a\x00\nb"), "", "a", store.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			found := problems(o, c.err)
			if len(found) != 1 || found[0].Path != c.path || !strings.Contains(found[0].Text, c.text) || found[0].Object != "deployment/x" || strings.ContainsAny(found[0].Text, "\x00\n") {
				t.Errorf("%+v", found)
			}
			if err := refused("prod", "deployment/x", found, c.err); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCleanAndRedact(t *testing.T) {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "status": map[string]any{"replicas": int64(1)},
		"metadata": map[string]any{"name": "x", "uid": "u", "resourceVersion": "7", "annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "env": []any{
			map[string]any{"name": "API_TOKEN", "value": "hunter2"}, map[string]any{"name": "LEVEL", "value": "info"}}}}}}}}}
	out, said := writeOut(nil, o)
	text, err := document(comments(said), []*unstructured.Unstructured{out})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"hunter2", "status", "uid", "resourceVersion", "last-applied", "annotations"} {
		if strings.Contains(string(text), bad) {
			t.Errorf("it holds %s:\n%s", bad, text)
		}
	}
	if len(said) != 1 || !strings.Contains(string(text), "# The variable API_TOKEN of deployment/x is left out") || !strings.Contains(string(text), "value: info") {
		t.Errorf("%v\n%s", said, text)
	}
}

func TestGrantsNeverNameSecrets(t *testing.T) {
	for _, g := range Grants() {
		if g.Resource == "secrets" || g.Resource == "*" || g.Group == "*" {
			t.Errorf("%+v", g)
		}
		for _, v := range g.Verbs {
			if v != "create" && v != "get" && v != "list" && v != "patch" {
				t.Errorf("%+v", g)
			}
		}
	}
}

func TestNoArchiveClimbs(t *testing.T) {
	if got := fileOf(store.Ref{Cluster: "../..", System: "a/b", Namespace: "", Name: "..\\x"}); strings.Contains(got, "..") || strings.Contains(got, "\\") || strings.Count(got, "/") != 3 {
		t.Error(got)
	}
}
