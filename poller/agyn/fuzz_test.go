package agyn

import (
	"strings"
	"testing"

	"trackside/poller/api"
	"trackside/store"
)

// FuzzAnswers reads whatever a gateway may answer: what is taken in has a name that is fit for a reference.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{"meta":{"id":"a"},"name":"r","status":"RUNNER_STATUS_ENROLLED","labels":{"a":1},"capabilities":["x",null]}`,
		`{"meta":{"id":"w","createdAt":"2026-01-01T00:00:00Z"},"runnerId":"a","instanceId":"p","status":"WORKLOAD_STATUS_FAILED","failureReason":"WORKLOAD_FAILURE_REASON_CRASHLOOP","failureMessage":"\u0000"}`,
		`{"meta":[],"name":{},"labels":"x"}`, `{}`, `[]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var o api.Object
		if api.ReadObject(strings.NewReader(body), &o) != nil {
			return
		}
		if x, ok := runnerOf(o); ok && (x.name == "" || x.id == "" || store.Clean(x.name, nameLimit) != x.name) {
			t.Errorf("%q: %+v", body, x)
		} else if ok {
			x.offer()
			x.facts()
		}
		if w, ok := workloadOf(o); ok && (w.said.Pod == "" && w.said.ID == "" || len(w.said.Message) > store.MaxMessage+8) {
			t.Errorf("%q: %+v", body, w)
		}
	})
}
