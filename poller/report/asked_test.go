package report_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

// A runner that was disabled is found by the name that its pod's runner has on the board, of its system and from its namespace.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		in := release("in")
		in.Namespace = "digitalai"
		w.register(in)
		w.register(release("anywhere"))
		w.register(release("well"))
		w.ask(1, store.Disabled)
		w.ask(2, store.Disabled)
		for name, c := range map[string]struct {
			ref store.Ref
			id  int64
		}{
			"its namespace":     {store.Ref{Cluster: "prod", System: "release", Namespace: "digitalai", Name: "in"}, 1},
			"another namespace": {store.Ref{Cluster: "prod", System: "release", Namespace: "other", Name: "in"}, 0},
			"another system":    {store.Ref{Cluster: "prod", System: "plue", Namespace: "digitalai", Name: "in"}, 0},
			"any namespace":     {store.Ref{Cluster: "prod", System: "release", Namespace: "other", Name: "anywhere"}, 2},
			"in service":        {store.Ref{Cluster: "prod", System: "release", Namespace: "other", Name: "well"}, 0},
			"nobody":            {store.Ref{Cluster: "prod", System: "release", Namespace: "other", Name: "nobody"}, 0},
		} {
			id, err := w.source.Away(c.ref)
			if id != c.id || (c.id == 0) != errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %d, %v", name, id, err)
			}
		}
	})
}

// What is asked with a token is in the audit, also when it is refused, and the board says who disabled the runner; so is the end of a mark.
func TestWhatIsAskedIsInTheAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		id, plain := w.register(release("r")).Runner, w.register(plue("p")).Runner
		w.pass(0)
		w.ask(id, store.Disabled)
		w.pass(0)
		if m := w.runner("r").Mark; m.By != "report token ops" || m.At.IsZero() || !m.Until.IsZero() {
			t.Errorf("marked %+v", m)
		}
		w.ask(id, store.Enabled)
		w.pass(0)
		if m := w.runner("r").Mark; !m.IsZero() {
			t.Errorf("still marked %+v", m)
		}
		_ = w.source.Ask(t.Context(), admin, plain, store.Deleting)
		_ = w.source.Ask(t.Context(), admin, 99, store.Deleting)
		_ = w.source.Ask(t.Context(), anyone, id, store.Deleting)
		until := store.Mark{By: "ada", Note: "disk", At: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := w.source.AskMarked(t.Context(), admin, id, store.Disabled, until); err != nil { // the desk has an audit of its own
			t.Fatal(err)
		}
		w.pass(61 * time.Minute)
		var got []string
		for _, e := range w.told {
			if e.At.IsZero() || e.Ended.IsZero() || e.Ref.Cluster != "reported" {
				t.Errorf("%+v", e)
			}
			got = append(got, strings.Join([]string{e.By.Name, e.Verb, e.Ref.Name, e.Note, e.Before, e.After, e.Result, e.Problem}, "|"))
		}
		want := []string{
			"report token ops|disable|r||enabled|asked to be disabled|done|",
			"report token ops|enable|r||enabled|asked to be enabled|done|",
			"report token ops|delete|p||enabled||refused|conflict: p has no control channel, so it cannot be told to exit; stop its process, and delete it when it is silent",
			"trackside|enable|r|its time was over; disabled by ada|enabled|asked to be enabled|done|",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// A board that is read only asks nothing of runners, and ends no mark.
func TestReadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		id := w.register(plue("r")).Runner
		m := store.Mark{By: "ada", Note: "disk", At: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := w.source.AskMarked(t.Context(), admin, id, store.Disabled, m); err != nil {
			t.Fatal(err)
		}
		w.readOnly = true
		w.restart(time.Minute)
		for _, want := range []store.State{store.Enabled, store.Disabled, store.Deleting} {
			if err := w.source.Ask(t.Context(), admin, id, want); !errors.Is(err, store.ErrForbidden) || !contains(err.Error(), "--read-only") || !contains(err.Error(), "runner 1") {
				t.Errorf("asked to be %s: %v", want, err)
			}
		}
		w.beat("r")
		w.pass(2 * time.Hour)
		w.states("r", store.Disabled, store.Disabled)
		if got := w.runner("r").Mark; !got.Equal(m) || len(w.told) > 0 {
			t.Errorf("marked %+v; the audit holds %+v", got, w.told)
		}
		w.readOnly = false
		w.restart(time.Minute)
		w.pass(time.Minute)
		w.states("r", store.Enabled, store.Enabled)
	})
}
