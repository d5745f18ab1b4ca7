package manifests

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/systems"
)

// FuzzWriteOut writes down whatever a cluster may show of an object, with whatever mark stands on it. It is written, and what was read stays as it was.
func FuzzWriteOut(f *testing.F) {
	f.Add(`{"replicas":0,"template":{"spec":{"containers":[{"name":"a","env":[{"name":"TOKEN","value":"x"}],"args":["--token","x"]}]}}}`, `{"restore":{"/spec/replicas":3}}`)
	f.Add(`{"replicas":0,"selector":[],"template":"x"}`, `{"restore":{"/spec/replicas":{"a":[]}}}`)
	f.Add(`{"suspend":true}`, `{`)
	f.Add("{\"\x7f\u0080\u009f\ufeff\ufffe\":\"\x7f\"}", "") // which JSON lets stand, and YAML does not
	f.Fuzz(func(t *testing.T, spec, mark string) {
		var s map[string]any
		if json.Unmarshal([]byte(spec), &s) != nil {
			return
		}
		for _, sys := range systems.All() {
			o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "spec": s,
				"metadata": map[string]any{"name": "x", "namespace": "n", "annotations": map[string]any{systems.AnnotationDisabled: mark}}}}
			before, _ := json.Marshal(o.Object) // what was JSON
			out, _ := writeOut(sys, o)
			if _, err := document("", []*unstructured.Unstructured{out}); err != nil {
				t.Errorf("%s %q: %v", sys.Name, spec, err)
			}
			if _, marked := out.GetAnnotations()[systems.AnnotationDisabled]; marked {
				t.Errorf("%s: the mark is left", sys.Name)
			}
			if after, _ := json.Marshal(o.Object); string(after) != string(before) {
				t.Errorf("%s: what was read is changed", sys.Name)
			}
		}
	})
}
