package kube

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"
)

// saying is a pod in which every message, every image and every reason of an exit is that text, and every waiting reason too unless the
// rules are to know it.
func saying(t *testing.T, pod []byte, text string, known bool) []byte {
	t.Helper()
	var root any
	if err := json.Unmarshal(pod, &root); err != nil {
		t.Fatal(err)
	}
	var walk func(parent string, v any)
	walk = func(parent string, v any) {
		switch x := v.(type) {
		case map[string]any:
			for k, v := range x {
				switch {
				case k == "message" || k == "image", k == "reason" && (parent == "terminated" || !known):
					x[k] = text
				default:
					walk(k, v)
				}
			}
		case []any:
			for _, e := range x {
				walk(parent, e)
			}
		}
	}
	walk("", root)
	b, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mutants are a JSON object once without each of its values, and once with another in its place.
func mutants(t *testing.T, b []byte) (out [][]byte) {
	t.Helper()
	var root any
	if err := json.Unmarshal(b, &root); err != nil {
		t.Fatal(err)
	}
	emit := func() {
		m, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	var walk func(any)
	walk = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(x)) {
				old := x[k]
				delete(x, k)
				emit()
				x[k] = another(old, len(out))
				emit()
				x[k] = old
				walk(old)
			}
		case []any:
			for _, e := range x {
				walk(e)
			}
		}
	}
	walk(root)
	return out
}

// another is a value of the same type that nobody expects.
func another(v any, n int) any {
	switch x := v.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339, x); err == nil {
			return []string{"0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"}[n/2%3]
		}
		return hostile[n/2%len(hostile)]
	case float64:
		return []float64{-1, 1<<31 - 1, 0}[n/2%3]
	case bool:
		return !x
	case []any:
		return append(slices.Clone(x), x...)
	}
	return map[string]any{}
}
