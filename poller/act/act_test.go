package act_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller/act"
	"trackside/store"
)

// book is an audit in memory.
type book struct {
	mu   sync.Mutex
	kept map[string]store.Kept
	full error
	// later is what is read of it beside, and unread why it cannot be.
	later  []store.Entry
	unread error
}

func (b *book) Begin(_ context.Context, a store.Action, e store.Entry) (store.Kept, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.kept[a.Key]; ok || b.full != nil {
		return k, false, b.full
	}
	k := store.Kept{Action: a, Entry: e}
	k.Entry.ID = int64(len(b.kept) + 1)
	b.kept[a.Key] = k
	return k, true, nil
}

func (b *book) End(_ context.Context, k store.Kept) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept[k.Action.Key] = k
	return nil
}

func (b *book) Open(context.Context) (open []store.Kept, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.kept {
		if k.Entry.Result == "" {
			open = append(open, k)
		}
	}
	return open, nil
}

// hands count what they do.
type hands struct {
	done atomic.Int64
	plan []store.Effect
	do   func(ctx context.Context, a store.Action) (store.Outcome, error)
	pin  func(a store.Action) ([]store.Pinned, error)
}

func (h *hands) Plan(_ context.Context, a store.Action, _ *store.Runner) (store.Plan, error) {
	return store.Plan{Action: a, Steps: h.plan}, nil
}

func (h *hands) Pin(_ context.Context, a store.Action, _ *store.Runner) ([]store.Pinned, error) {
	if h.pin == nil {
		return nil, nil
	}
	return h.pin(a)
}

func (h *hands) Do(ctx context.Context, a store.Action, _ *store.Runner) (store.Outcome, error) {
	h.done.Add(1)
	return h.do(ctx, a)
}

// failures take who is on them.
type failures struct{ got []store.Acknowledgement }

func (f *failures) Acknowledge(_ context.Context, a store.Acknowledgement) error {
	f.got = append(f.got, a)
	return nil
}

var ref = store.Ref{Cluster: "k", System: "labelled", Namespace: "ci", Name: "r"}

// desk is one with a runner on the board.
func desk(t *testing.T, do func(context.Context, store.Action) (store.Outcome, error)) (*act.Desk, *hands, *book, *failures) {
	t.Helper()
	h, b, f := &hands{do: do}, &book{kept: map[string]store.Kept{}}, &failures{}
	r := &store.Runner{Ref: ref, Incarnation: "one", Verdict: store.Verdict{Health: store.Degraded},
		Workloads: []store.Workload{{Namespace: "ci", Name: "job", UID: "u1"}}}
	snap := store.NewSnapshot([]*store.Runner{r}, []store.Source{{Cluster: "k", State: store.SourceLive}}, time.Now())
	return act.New(act.Config{Current: func() *store.Snapshot { return snap }, Hands: map[string]act.Hands{"k": h}, Book: b, Failures: f,
		Log: slog.New(slog.DiscardHandler)}), h, b, f
}

func action(key string, verb store.Verb) store.Action {
	return store.Action{Key: key, Verb: verb, Ref: ref, Note: "n", At: time.Now(), Confirm: ref.Name, Target: map[store.Verb]string{
		store.VerbRestart: "agent", store.VerbDeleteWorkload: "ci/job"}[verb], By: store.Person{Name: "ada"}}
}

func done(context.Context, store.Action) (store.Outcome, error) {
	return store.Outcome{Steps: []store.Effect{{After: "done"}}}, nil
}

// Each action that is asked for five times, at once and one after the other, is done once, and all answers are the same.
func TestEachIsDoneOnce(t *testing.T) {
	for _, verb := range store.Verbs() {
		synctest.Test(t, func(t *testing.T) {
			d, h, _, f := desk(t, func(ctx context.Context, a store.Action) (store.Outcome, error) {
				time.Sleep(time.Second)
				return done(ctx, a)
			})
			var repeated atomic.Int64
			ask := func() {
				out, err := d.Do(t.Context(), action("k", verb))
				if err != nil || len(out.Steps) != 1 || out.ID != 1 {
					t.Errorf("%s: %+v, %v", verb, out, err)
				}
				if out.Repeated {
					repeated.Add(1)
				}
			}
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(ask)
			}
			wg.Wait()
			ask()
			if n := h.done.Load() + int64(len(f.got)); n != 1 || repeated.Load() != 5 {
				t.Errorf("%s: done %d times, %d repeats", verb, n, repeated.Load())
			}
		})
	}
}

// What is refused, or cannot be, is so again for the same key, in its class, and is in the audit.
func TestFailuresAreRepeated(t *testing.T) {
	for _, c := range []struct {
		class  error
		result string
	}{{store.ErrForbidden, store.ResultRefused}, {store.ErrConflict, store.ResultRefused}, {store.ErrNotFound, store.ResultFailed}} {
		d, h, b, _ := desk(t, func(context.Context, store.Action) (store.Outcome, error) {
			return store.Outcome{}, fmt.Errorf("patching: %w: no", c.class)
		})
		for range 2 {
			if _, err := d.Do(t.Context(), action("k", store.VerbEnable)); !errors.Is(err, c.class) || store.ErrorText(err) != "patching: "+c.class.Error()+": no" {
				t.Errorf("%v, want %v", err, c.class)
			}
		}
		if h.done.Load() != 1 || b.kept["k"].Entry.Result != c.result || b.kept["k"].Entry.Problem == "" {
			t.Errorf("%v: done %d times, %+v", c.class, h.done.Load(), b.kept["k"].Entry)
		}
	}
}

// What failed because something was away is tried again when it is asked for again, and what was done then is answered from there on.
func TestWhatWasUnavailableIsTriedAgain(t *testing.T) {
	var away atomic.Bool
	var b *book
	d, h, kept, _ := desk(t, func(ctx context.Context, a store.Action) (store.Outcome, error) {
		if k := b.kept["k"]; k.Entry.Result != "" || a.Incarnation != "one" || a.Target != "ci/job/u1" {
			t.Errorf("it is done while the audit says %+v, for %+v", k.Entry, a)
		}
		if away.Load() {
			return store.Outcome{}, fmt.Errorf("deleting: %w: no answer", store.ErrUnavailable)
		}
		return done(ctx, a)
	})
	b = kept
	ask := func() (store.Outcome, error) { return d.Do(t.Context(), action("k", store.VerbDeleteWorkload)) }
	away.Store(true)
	for n := range int64(2) {
		out, err := ask()
		if k := b.kept["k"].Entry; !errors.Is(err, store.ErrUnavailable) || out.Repeated || out.ID != 1 || h.done.Load() != n+1 || k.Result != store.ResultFailed || k.Ended.IsZero() {
			t.Errorf("%d: %+v, %v, %+v", n, out, err, k)
		}
	}
	other := action("k", store.VerbDeleteWorkload)
	other.By.Name = "bob"
	if out, err := d.Do(t.Context(), other); !errors.Is(err, store.ErrInvalid) || out.Repeated || h.done.Load() != 2 {
		t.Errorf("another person's key: %+v, %v", out, err)
	}
	if _, err := d.Do(t.Context(), action("k", store.VerbEnable)); !errors.Is(err, store.ErrInvalid) || h.done.Load() != 2 {
		t.Errorf("another action's key: %v", err)
	}
	away.Store(false)
	for n := range 2 {
		out, err := ask()
		if k := b.kept["k"].Entry; err != nil || out.Repeated != (n > 0) || len(out.Steps) != 1 || h.done.Load() != 3 || k.Result != store.ResultDone || k.Problem != "" {
			t.Errorf("%d: %+v, %v, %+v", n, out, err, k)
		}
	}
}

// What must not be done is not.
func TestRefused(t *testing.T) {
	other := action("k", store.VerbEnable)
	other.Incarnation = "another"
	gone := action("k", store.VerbEnable)
	gone.Ref.Name = "gone"
	elsewhere := action("k", store.VerbEnable)
	elsewhere.Ref.Cluster = "api"
	typed := action("k", store.VerbDelete)
	typed.Confirm = "R"
	for _, c := range []struct {
		name string
		a    store.Action
		want error
	}{{"another incarnation", other, store.ErrConflict}, {"not there", gone, store.ErrNotFound}, {"of a source that nobody can change", elsewhere, store.ErrNotFound},
		{"another name typed", typed, store.ErrInvalid}, {"no key", action("", store.VerbEnable), store.ErrInvalid}} {
		d, h, _, _ := desk(t, done)
		if _, err := d.Do(t.Context(), c.a); !errors.Is(err, c.want) || h.done.Load() != 0 {
			t.Errorf("%s: %v, done %d times", c.name, err, h.done.Load())
		}
	}
	d, h, b, _ := desk(t, done)
	b.full = store.ErrUnavailable
	if _, err := d.Do(t.Context(), action("k", store.VerbEnable)); !errors.Is(err, store.ErrUnavailable) || h.done.Load() != 0 {
		t.Errorf("without an audit: %v", err)
	}
	b.full = nil
	if _, err := d.Do(t.Context(), action("k", store.VerbEnable)); err != nil {
		t.Error(err)
	}
	if _, err := d.Do(t.Context(), action("k", store.VerbDelete)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("one key for two actions: %v", err)
	}
}

// What a crash left without an end is taken up once, or ended with a sentence; a pod that has taken the name since is not the one that was meant.
func TestResume(t *testing.T) {
	d, h, b, _ := desk(t, func(_ context.Context, a store.Action) (store.Outcome, error) {
		if a.Verb == store.VerbDeleteWorkload && a.Target != "ci/job/u1" {
			t.Errorf("target %s", a.Target)
		}
		return store.Outcome{}, nil
	})
	begin := func(key string, verb store.Verb, change func(*store.Action, *store.Entry)) {
		a := action(key, verb)
		e := store.Entry{At: time.Now(), Verb: string(verb), Ref: a.Ref}
		change(&a, &e)
		_, _, _ = b.Begin(t.Context(), a, e)
	}
	begin("young", store.VerbDisable, func(*store.Action, *store.Entry) {})
	begin("pod", store.VerbDeleteWorkload, func(a *store.Action, _ *store.Entry) { a.Target = "ci/job/u1" })
	begin("old", store.VerbDisable, func(_ *store.Action, e *store.Entry) { e.At = time.Now().Add(-2 * time.Hour) })
	begin("over", store.VerbDisable, func(a *store.Action, _ *store.Entry) { a.Until = time.Now().Add(-time.Second) })
	begin("anew", store.VerbDisable, func(a *store.Action, _ *store.Entry) { a.Incarnation = "zero" })
	begin("deleted", store.VerbDelete, func(a *store.Action, _ *store.Entry) { a.Ref.Name = "gone"; a.Confirm = "gone" })
	if err := d.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"young": store.ResultDone, "pod": store.ResultDone, "old": store.ResultFailed, "over": store.ResultFailed, "anew": store.ResultRefused, "deleted": store.ResultDone} {
		if got := b.kept[key].Entry; got.Result != want {
			t.Errorf("%s: %s, %s", key, got.Result, got.Problem)
		}
	}
	if h.done.Load() != 2 {
		t.Errorf("done %d times", h.done.Load())
	}
}

// Nobody is on the failure of a runner that is well.
func TestAcknowledge(t *testing.T) {
	d, _, _, f := desk(t, done)
	if _, err := d.Do(t.Context(), action("k", store.VerbAcknowledge)); err != nil || len(f.got) != 1 || f.got[0].By != "ada" {
		t.Errorf("%v, %v", f.got, err)
	}
	well := store.NewSnapshot([]*store.Runner{{Ref: ref, Verdict: store.Verdict{Health: store.Healthy}}}, nil, time.Now())
	d = act.New(act.Config{Current: func() *store.Snapshot { return well }, Book: &book{kept: map[string]store.Kept{}}, Failures: f})
	if _, err := d.Do(t.Context(), action("k", store.VerbAcknowledge)); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

// A key is of one request: with another note, another end, or by somebody else it is refused, and not answered as if it had been done.
func TestAKeyIsOfOneRequest(t *testing.T) {
	d, h, _, _ := desk(t, done)
	first := action("k", store.VerbDisable)
	first.Until = first.At.Add(time.Hour)
	if _, err := d.Do(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*store.Action)
		same   bool
	}{
		"sent again":      {func(*store.Action) {}, true},
		"a moment later":  {func(a *store.Action) { a.At, a.Until = a.At.Add(time.Minute), a.Until.Add(time.Minute) }, true},
		"to the same end": {func(a *store.Action) { a.At = a.At.Add(time.Minute) }, true},
		"for longer":      {func(a *store.Action) { a.Until = a.Until.Add(time.Hour) }, false},
		"without an end":  {func(a *store.Action) { a.Until = time.Time{} }, false},
		"another note":    {func(a *store.Action) { a.Note = "m" }, false},
		"another mode":    {func(a *store.Action) { a.Drain = true }, false},
		"somebody else":   {func(a *store.Action) { a.By.Name = "bob" }, false},
	} {
		a := first
		c.change(&a)
		if out, err := d.Do(t.Context(), a); c.same && (err != nil || !out.Repeated) || !c.same && !errors.Is(err, store.ErrInvalid) || h.done.Load() != 1 {
			t.Errorf("%s: %+v, %v, done %d times", name, out, err, h.done.Load())
		}
	}
}

// The audit holds how a runner was before anything was done, from the moment on that the action begins, and does not call done what was refused.
func TestTheAuditHoldsWhatWasBefore(t *testing.T) {
	var b *book
	d, _, kept, _ := desk(t, func(context.Context, store.Action) (store.Outcome, error) {
		if got := b.kept["k"].Entry.Before; got != "enabled, degraded" {
			t.Errorf("a crash now would leave %q as what was before", got)
		}
		return store.Outcome{}, fmt.Errorf("%w: no", store.ErrForbidden)
	})
	b = kept
	_, _ = d.Do(t.Context(), action("k", store.VerbDisable))
	if e := b.kept["k"].Entry; e.Before != "enabled, degraded" || e.After != "as before" {
		t.Errorf("before %q, after %q", e.Before, e.After)
	}
	cut := action("cut", store.VerbDisable)
	_, _, _ = b.Begin(t.Context(), cut, store.Entry{At: time.Now(), Verb: string(cut.Verb), Ref: cut.Ref, Before: "enabled, healthy"})
	b.kept["k"] = store.Kept{Action: store.Action{Key: "k"}, Entry: store.Entry{Before: "enabled, degraded", Result: store.ResultDone}}
	if err := d.Resume(t.Context()); err != nil || b.kept["cut"].Entry.Before != "enabled, healthy" {
		t.Errorf("after a crash: %+v, %v", b.kept["cut"].Entry, err)
	}
}

// A pod that has taken the name of the one that was looked at is another.
func TestAPodThatWasMadeAnew(t *testing.T) {
	for target, want := range map[string]error{"ci/job": nil, "ci/job/u1": nil, "ci/job/u0": store.ErrConflict, "ci/gone/u0": nil} {
		d, h, _, _ := desk(t, done)
		a := action("k", store.VerbDeleteWorkload)
		a.Target = target
		if _, err := d.Do(t.Context(), a); !errors.Is(err, want) || (want == nil) != (h.done.Load() == 1) {
			t.Errorf("%s: %v, done %d times", target, err, h.done.Load())
		}
	}
}
