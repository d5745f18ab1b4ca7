package manifests

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
)

// A cluster takes characters that YAML lets stand only when they are escaped: an object that bears one is written, and compared, all the same.
func TestWhatYAMLDoesNotLetStandIsEscaped(t *testing.T) {
	object := func(value string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "x"}, "data": map[string]any{"a": value}}}
	}
	text, err := document("", []*unstructured.Unstructured{object("<\x7f\u009f\ufeff\u0085é\U0001f600>")})
	if err != nil || !strings.Contains(string(text), `<\x7F\x9F\uFEFF`) {
		t.Errorf("%v in %s", err, text)
	}
	if what, diff := difference(object("one\x7f"), object("two\x7f")); what != store.ChangeChanged || !strings.Contains(diff, "two") {
		t.Errorf("%q: %q", what, diff)
	}
}
