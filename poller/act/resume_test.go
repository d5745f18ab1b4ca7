package act_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller/act"
	"trackside/store"
)

// Entries answers newest first, as the data file does.
func (b *book) Entries(_ context.Context, f store.EntryFilter, limit int) (out []store.Entry, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.later) - 1; i >= 0 && len(out) < limit; i-- {
		if e := b.later[i]; e.Ref.Cluster == f.Cluster && e.Ref.Name == f.Runner {
			out = append(out, e)
		}
	}
	return out, b.unread
}

// What somebody has asked for since an action was begun is not undone by it when its end was never written.
func TestWhatSomebodyHasChangedSince(t *testing.T) {
	entry := func(change func(*store.Entry)) store.Entry {
		e := store.Entry{ID: 2, At: time.Now(), Verb: "enable", Ref: ref, By: store.Person{Name: "bob"}, Result: store.ResultDone, After: "Deployment ci/r: 0 replicas → 1 replica"}
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		open  store.Verb
		later store.Entry
		again bool
	}{
		"enabled since":            {store.VerbDisable, entry(func(*store.Entry) {}), false},
		"being enabled":            {store.VerbDisable, entry(func(e *store.Entry) { e.Result, e.After = "", "" }), false},
		"enabled in part":          {store.VerbDisable, entry(func(e *store.Entry) { e.Result = store.ResultFailed }), false},
		"enabled by its end":       {store.VerbDisable, entry(func(e *store.Entry) { e.By.Name, e.After = "trackside", "enabled" }), false},
		"disabled by another":      {store.VerbDisable, entry(func(e *store.Entry) { e.Verb = "disable" }), false},
		"to be deleted":            {store.VerbEnable, entry(func(e *store.Entry) { e.Verb = "delete" }), false},
		"disabled since":           {store.VerbEnable, entry(func(e *store.Entry) { e.Verb = "disable" }), false},
		"wanted since":             {store.VerbDelete, entry(func(*store.Entry) {}), false},
		"nothing since":            {store.VerbDisable, store.Entry{}, true},
		"enabled before":           {store.VerbDisable, entry(func(e *store.Entry) { e.ID = 0 }), true},
		"refused":                  {store.VerbDisable, entry(func(e *store.Entry) { e.Result, e.After = store.ResultRefused, "as before" }), true},
		"of another namespace":     {store.VerbDisable, entry(func(e *store.Entry) { e.Ref.Namespace = "cd" }), true},
		"finished by another":      {store.VerbDisable, entry(func(e *store.Entry) { e.Verb, e.By.Name, e.After = "disable", "trackside", "disabled" }), true},
		"enabled twice":            {store.VerbEnable, entry(func(*store.Entry) {}), true},
		"probed":                   {store.VerbDisable, entry(func(e *store.Entry) { e.Verb = "probe" }), true},
		"a restart, and a disable": {store.VerbRestart, entry(func(e *store.Entry) { e.Verb = "disable" }), true},
	} {
		d, h, b, _ := desk(t, done)
		a := action("open", c.open)
		k, _, _ := b.Begin(t.Context(), a, store.Entry{At: time.Now(), Verb: string(c.open), Ref: ref})
		b.later = []store.Entry{k.Entry, c.later}
		if err := d.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := b.kept["open"].Entry
		if c.again && (h.done.Load() != 1 || got.Result != store.ResultDone) {
			t.Errorf("%s: done %d times, %+v", name, h.done.Load(), got)
		}
		if !c.again && (h.done.Load() != 0 || got.Result != store.ResultRefused || !strings.Contains(got.Problem, c.later.By.Name+" asked to "+c.later.Verb)) {
			t.Errorf("%s: done %d times, %+v", name, h.done.Load(), got)
		}
	}
}

// Who is on a failure by now stays so.
func TestSomebodyElseIsOnItSince(t *testing.T) {
	d, _, b, f := desk(t, done)
	_, _, _ = b.Begin(t.Context(), action("open", store.VerbAcknowledge), store.Entry{At: time.Now(), Verb: "acknowledge", Ref: ref})
	b.later = []store.Entry{{ID: 2, At: time.Now(), Verb: "acknowledge", Ref: ref, By: store.Person{Name: "bob"}, Result: store.ResultDone}}
	if err := d.Resume(t.Context()); err != nil || len(f.got) != 0 || b.kept["open"].Entry.Result != store.ResultRefused {
		t.Errorf("%v, acknowledged %v, %+v", err, f.got, b.kept["open"].Entry)
	}
}

// Where it cannot be read what came since, nothing is done; and hands know that what they are given was begun before.
func TestWhatIsTakenUpIsToldApart(t *testing.T) {
	resumed := 0
	d, h, b, _ := desk(t, func(ctx context.Context, a store.Action) (store.Outcome, error) {
		if a.Resumed {
			resumed++
		}
		return done(ctx, a)
	})
	_, _, _ = b.Begin(t.Context(), action("open", store.VerbDisable), store.Entry{At: time.Now(), Verb: "disable", Ref: ref})
	b.unread = errors.New("database disk image is malformed")
	if err := d.Resume(t.Context()); err != nil || h.done.Load() != 0 || b.kept["open"].Entry.Result != store.ResultFailed {
		t.Errorf("unread: %v, done %d times, %+v", err, h.done.Load(), b.kept["open"].Entry)
	}
	b.unread = nil
	_, _, _ = b.Begin(t.Context(), action("another", store.VerbDisable), store.Entry{At: time.Now(), Verb: "disable", Ref: ref})
	if err := d.Resume(t.Context()); err != nil || resumed != 1 {
		t.Errorf("%v, %d times told that it was begun before", err, resumed)
	}
	if _, err := d.Do(t.Context(), action("fresh", store.VerbDisable)); err != nil || resumed != 1 || h.done.Load() != 2 {
		t.Errorf("%v, a fresh one is told to be an old one", err)
	}
}

// A cluster that is not seen holds up its own actions, and those of no other.
func TestADeadClusterHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, at := time.Now(), map[string]time.Duration{}
		live := store.NewSnapshot([]*store.Runner{{Ref: ref}}, []store.Source{{Cluster: "k", State: store.SourceLive}, {Cluster: "dead", State: store.SourceStale}}, time.Now())
		b := &book{kept: map[string]store.Kept{}}
		h := &hands{do: func(_ context.Context, a store.Action) (store.Outcome, error) {
			at[a.Key] = time.Since(begun)
			return store.Outcome{}, nil
		}}
		d := act.New(act.Config{Current: func() *store.Snapshot { return live }, Hands: map[string]act.Hands{"k": h, "dead": h}, Book: b, Log: slog.New(slog.DiscardHandler)})
		for key, cluster := range map[string]string{"a": "dead", "b": "k", "c": "dead", "d": "k"} {
			a := action(key, store.VerbDisable)
			a.Ref.Cluster = cluster
			_, _, _ = b.Begin(t.Context(), a, store.Entry{At: time.Now(), Verb: "disable", Ref: a.Ref})
		}
		if err := d.Resume(t.Context()); err != nil || len(at) != 2 || at["b"] != 0 || at["d"] != 0 {
			t.Errorf("%v, done %v", err, at)
		}
		for key, k := range b.kept {
			if k.Entry.Ended.IsZero() {
				t.Errorf("%s has no end when Resume returns", key)
			}
		}
	})
}
