package act_test

import (
	"context"
	"errors"
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

func (a *asker) Ask(_ context.Context, g store.Grant, id int64, want store.State) error {
	if !g.Admin || id != 7 {
		return store.ErrForbidden
	}
	a.asked = append(a.asked, want)
	return nil
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
		{"with an end", until(action("k", store.VerbDisable)), 0, store.ErrInvalid},
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
