package manifests

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"trackside/store"
)

// A cluster takes characters that YAML lets stand only when they are escaped, and keys that YAML reads only when they are marked: an object
// that bears them is written, and compared, all the same.
func TestWhatYAMLDoesNotLetStandIsWritten(t *testing.T) {
	key := strings.Repeat("k", 1100) // more than YAML reads without its question mark
	object := func(value string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "x"}, "data": map[string]any{key: value}}}
	}
	strange := object("<\x7f\u009f\ufeff\u0085é\u2028\u2029\U0001f600>")
	text, err := document("", []*unstructured.Unstructured{strange})
	if err != nil || !strings.Contains(string(text), `<\x7F\x9F\uFEFF`) {
		t.Errorf("%v in %s", err, text)
	}
	back := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &back.Object); err != nil || !reflect.DeepEqual(back, strange) {
		t.Errorf("read back as %q (%v) from %s", back, err, text)
	}
	if what, diff := difference(object("one\x7f"), object("two\x7f")); what != store.ChangeChanged || !strings.Contains(diff, "two") {
		t.Errorf("%q: %q", what, diff)
	}
}
