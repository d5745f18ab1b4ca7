package act_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"trackside/poller/act"
	"trackside/store"
)

// asker notes what runners that report themselves are asked.
type asker struct {
	asked  []store.State
	pinged int
}

func (a *asker) ID(r store.Ref) (int64, error) {
	if r != ref {
		return 0, store.ErrNotFound
	}
	return 7, nil
}

func (a *asker) AskMarked(_ context.Context, g store.Grant, id int64, want store.State, m store.Mark) error {
	if !g.Admin || id != 7 || (want == store.Disabled) != (m.By == "ada") {
		return store.ErrForbidden
	}
	a.asked = append(a.asked, want)
	return nil
}

// Away implements act.Pods: a runner is away until it is asked back.
func (a *asker) Away(r store.Ref) (int64, error) {
	if r != ref || len(a.asked) > 0 {
		return 0, store.ErrNotFound
	}
	return 7, nil
}

func (a *asker) Ping(store.Ref) error { a.pinged++; return nil }

// A runner that reports itself is asked over its channel; what is out of reach is refused before.
func TestReported(t *testing.T) {
	until := func(a store.Action) store.Action { a.Until = a.At.Add(time.Hour); return a }
	gone := action("k", store.VerbEnable)
	gone.Ref.Name = "gone"
	for _, c := range []struct {
		name string
		a    store.Action
		want store.State
		err  error
	}{
		{"disable", action("k", store.VerbDisable), store.Disabled, nil},
		{"enable", action("k", store.VerbEnable), store.Enabled, nil},
		{"delete", action("k", store.VerbDelete), store.Deleting, nil},
		{"with an end", until(action("k", store.VerbDisable)), store.Disabled, nil},
		{"a restart", action("k", store.VerbRestart), 0, store.ErrInvalid},
		{"gone", gone, 0, store.ErrNotFound},
	} {
		asker := &asker{}
		out, err := act.Reported{Asker: asker}.Do(t.Context(), c.a, &store.Runner{Ref: ref})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.err == nil && (len(asker.asked) != 1 || asker.asked[0] != c.want || len(out.Steps) != 1) || c.err != nil && len(asker.asked) > 0 {
			t.Errorf("%s: asked %v, %+v", c.name, asker.asked, out)
		}
	}
	asker := &asker{}
	if _, err := (act.Reported{Asker: asker}).Do(t.Context(), action("k", store.VerbProbe), &store.Runner{Ref: ref}); err != nil || asker.pinged != 1 {
		t.Errorf("pinged %d times, %v", asker.pinged, err)
	}
}

// Who has not seen that somebody else disabled the runner is told so, and not obeyed in their place.
func TestReportedOfTwoOperators(t *testing.T) {
	at := time.Now()
	mark := store.Mark{By: "bob", Note: "broken disk", At: at}
	for name, c := range map[string]struct {
		verb   store.Verb
		asked  time.Duration // after the mark
		looked time.Duration // after the mark; 0 does not say
		rivals bool
	}{
		"both disable it":               {store.VerbDisable, time.Second, 0, true},
		"one disables it later":         {store.VerbDisable, time.Hour, 0, false},
		"one had looked before":         {store.VerbDisable, time.Hour, -time.Second, true},
		"one has seen it":               {store.VerbDisable, 2 * time.Second, time.Second, false},
		"one enables it without seeing": {store.VerbEnable, time.Hour, -time.Second, true},
		"one enables it":                {store.VerbEnable, 2 * time.Second, time.Second, false},
		"a program enables it":          {store.VerbEnable, time.Second, 0, false},
		"one deletes it without seeing": {store.VerbDelete, time.Second, -time.Second, false},
	} {
		a := action("k", c.verb)
		if a.At = at.Add(c.asked); c.looked != 0 {
			a.Looked = at.Add(c.looked)
		}
		asker := &asker{}
		_, err := act.Reported{Asker: asker}.Do(t.Context(), a, &store.Runner{Ref: ref, Mark: mark})
		n := len(asker.asked)
		own := store.Mark{By: a.By.Name, Note: a.Note, At: at}
		if _, err := (act.Reported{Asker: asker}).Do(t.Context(), a, &store.Runner{Ref: ref, Mark: own}); c.verb == store.VerbDisable && err != nil {
			t.Errorf("%s, taken up after a kill: %v", name, err)
		}
		if errors.Is(err, store.ErrConflict) != c.rivals || (n == 0) != c.rivals {
			t.Errorf("%s: %v, asked %v", name, err, asker.asked)
		}
	}
}

// A runner of a cluster that was disabled over its control channel is asked back there: its cluster has nothing to undo. One that the cluster
// itself has out of service comes back by its cluster alone.
func TestTheClustersRunnerIsAskedBack(t *testing.T) {
	for name, c := range map[string]struct {
		verb      store.Verb
		requested store.State
		steps     []store.Effect
		asked     int
	}{
		"disabled over its channel": {store.VerbEnable, store.Disabled, nil, 1},
		"disabled in its cluster":   {store.VerbEnable, store.Disabled, []store.Effect{{After: "1 replica"}}, 0},
		"in service":                {store.VerbEnable, store.Enabled, nil, 0},
		"probed":                    {store.VerbProbe, store.Disabled, nil, 0},
	} {
		h := &hands{plan: c.steps, do: func(context.Context, store.Action) (store.Outcome, error) {
			return store.Outcome{Steps: c.steps}, nil
		}}
		r, asker := &store.Runner{Ref: ref, Requested: c.requested, Observed: store.Disabled}, &asker{}
		snap := store.NewSnapshot([]*store.Runner{r}, []store.Source{{Cluster: "k", State: store.SourceLive}}, time.Now())
		d := act.New(act.Config{Current: func() *store.Snapshot { return snap }, Hands: map[string]act.Hands{"k": h}, Pods: asker,
			Book: &book{kept: map[string]store.Kept{}}, Log: slog.New(slog.DiscardHandler)})
		p, err := d.Plan(t.Context(), action("k", c.verb))
		if n := c.asked + len(c.steps); err != nil || len(p.Steps) != n || len(asker.asked) != 0 {
			t.Errorf("%s: the plan is %+v, %v, and %v was asked", name, p.Steps, err, asker.asked)
		}
		out, err := d.Do(t.Context(), action("k", c.verb))
		if err != nil || len(asker.asked) != c.asked || len(out.Steps) != c.asked+len(c.steps) || (out.Waits != "") != (c.asked > 0) {
			t.Errorf("%s: %+v, %v, asked %v", name, out, err, asker.asked)
		}
	}
}
