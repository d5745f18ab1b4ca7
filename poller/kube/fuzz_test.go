package kube

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
)

// FuzzManagedFields reads whatever an API server says of who keeps a finalizer: a bounded word that a page can show, and never of another's finalizer.
func FuzzManagedFields(f *testing.F) {
	for _, s := range []string{`{"f:metadata":{"f:finalizers":{"v:\"a.example/x\"":{}}}}`, `{"f:metadata":{"f:finalizers":[]}}`, `{"f:metadata":3}`, `{}`, `null`, `"x"`, `{"f:metadata":{"f:finalizers":null}}`} {
		f.Add(s, "keeper", "a.example/x")
	}
	f.Add(`{"f:metadata":{"f:finalizers":{"v:\"a\"":{}}}}`, strings.Repeat("\x1b", 200), "a")
	f.Add(`{}`, "keeper", strings.Repeat("é", 200)+"/x")
	f.Add(`{}`, "", "/x")
	f.Fuzz(func(t *testing.T, fields, manager, finalizer string) {
		var v any
		if json.Unmarshal([]byte(fields), &v) != nil {
			return // no API server sends it
		}
		live := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{
			"managedFields": []any{map[string]any{"manager": manager, "operation": "Update", "fieldsV1": v}}}}}
		got := owner(live, finalizer)
		if utf8.RuneCountInString(got) > 100 || got != store.Clean(got, 200) {
			t.Errorf("%q of %q by %q is worded as %q", finalizer, fields, manager, got)
		}
		if strings.HasPrefix(got, "set by ") && !strings.Contains(fields, "f:finalizers") && !strings.Contains(fields, `\`) {
			t.Errorf("%q is said to set %q, of which %q says nothing", manager, finalizer, fields)
		}
	})
}

// FuzzBudget reads whatever a disruption budget selects. One that cannot be read selects nothing, and an empty selector everything.
func FuzzBudget(f *testing.F) {
	for _, s := range []string{`{"matchLabels":{"app":"a"}}`, `{}`, `null`, `[]`, `{"matchLabels":3}`, `{"matchExpressions":[{"key":"app","operator":"In","values":["a"]}]}`,
		`{"matchExpressions":[{"key":"","operator":"Never"}]}`, `{"matchLabels":{"/":"\u0000"}}`} {
		f.Add(s, "app", "a")
	}
	f.Fuzz(func(t *testing.T, selector, key, value string) {
		var v any
		if json.Unmarshal([]byte(selector), &v) != nil {
			return
		}
		c := &custom{content: map[string]any{"spec": map[string]any{"selector": v}}}
		got := c.selects(map[string]string{key: value})
		m, ok := v.(map[string]any)
		switch {
		case got && !ok:
			t.Errorf("%q selects pods", selector)
		case ok && len(m) == 0 && !got:
			t.Errorf("an empty selector does not select %s=%s", key, value)
		}
		if (&custom{content: map[string]any{"spec": v}}).selects(nil) && !ok {
			t.Errorf("the spec %q selects pods", selector)
		}
	})
}

// FuzzRoom reads whatever a runner says that one workload may ask for: amounts from nothing up, which can be worded.
func FuzzRoom(f *testing.F) {
	for _, s := range []string{"cpu=8,memory=32Gi,gpu=1", "cpu=-1", "cpu=9223372036854775807", "cpu=9e99,memory=9e99,gpu=9e99", "cpu=1n", "memory=1e-99", "cpu=", "cpu==1,", "cpu=1,cpu=2", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := roomOf(text)
		if r.CPU < 0 || r.Memory < 0 || r.GPU < 0 {
			t.Errorf("%q is %+v", text, r)
		}
		if s := r.String(); s != store.Clean(s, 200) {
			t.Errorf("%q is worded as %q", text, s)
		}
	})
}
