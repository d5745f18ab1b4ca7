package kubiya

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"trackside/poller/api"
	"trackside/store"
)

// FuzzAnswers reads whatever an API may answer for a list and for a health call: what is taken in has a name, and nobody is well who does not say so.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`[{"name":"a","runner_health":{"status":"ok","health":"true"},"version":2}]`, `{"a":{"version":"0","runner_health":"ok"},"total":1}`,
		`{"runners":[{"name":".."},null,1]}`, `{"error":"x"}`, `{"name":"a","checks":[{"name":"tool-manager","status":"ok","metadata":{"git_sha":"x"}},{}]}`, `[[]]`, `1e999`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		l := listing{seen: map[store.Ref]bool{}}
		if api.Each(strings.NewReader(body), l.take) == nil {
			_ = l.check()
		}
		for _, r := range l.runners {
			if r.Runner == "" || r.Runner == ".." || store.Clean(r.Runner, nameLimit) != r.Runner {
				t.Errorf("%q: a runner %q", body, r.Runner)
			}
		}
		var o api.Object
		if json.Unmarshal([]byte(body), &o) != nil {
			return
		}
		r := withHealth(store.Testimony{}, o, time.Unix(1, 0))
		for _, c := range r.Components {
			if c.Name == "" || c.Health == store.Healthy && c.Word == "" {
				t.Errorf("%q: a component %+v", body, c)
			}
		}
		if r.Health == store.Healthy && r.Word == "" {
			t.Errorf("%q is well without a word", body)
		}
	})
}
