// Package act is the desk at which actions are handed in: it checks them, sees that each is done once, writes them into the audit before
// and after, and gives them to the hands of the runner's cluster.
package act

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"trackside/store"
)

// Hands change runners of one cluster. Do may be called again for the same action: it does what is left. Its outcome says what was done,
// also beside an error. Pin names what a deletion will delete, which Do then deletes also when the runner is known no more, and r is nil.
type Hands interface {
	Plan(ctx context.Context, a store.Action, r *store.Runner) (store.Plan, error)
	Pin(ctx context.Context, a store.Action, r *store.Runner) ([]store.Pinned, error)
	Do(ctx context.Context, a store.Action, r *store.Runner) (store.Outcome, error)
}

// Book is the audit, as far as actions go. Begin answers with what was entered before when the key is known; fresh is false then.
type Book interface {
	Begin(ctx context.Context, a store.Action, e store.Entry) (k store.Kept, fresh bool, err error)
	End(ctx context.Context, k store.Kept) error
	Open(ctx context.Context) ([]store.Kept, error)
	Entries(ctx context.Context, f store.EntryFilter, limit int) ([]store.Entry, error)
}

// Acknowledger shows who is on a failure.
type Acknowledger interface {
	Acknowledge(ctx context.Context, a store.Acknowledgement) error
}

// Config of a desk.
type Config struct {
	// Current is the fleet as it is shown.
	Current func() *store.Snapshot
	// Hands are those of each cluster, by its alias.
	Hands map[string]Hands
	// Pods asks runners back that are pods of a cluster and report themselves; it may be nil.
	Pods     Pods
	Book     Book
	Failures Acknowledger
	Log      *slog.Logger
}

// Desk is where actions are handed in. Its methods may be called by several goroutines.
type Desk struct {
	cfg Config
	mu  sync.Mutex
	// under are the actions under way, by key.
	under map[string]*call
}

// call is an action under way; its result may be read when done is closed.
type call struct {
	done chan struct{}
	kept store.Kept
	err  error
}

// doLimit bounds one action from its entry to its end.
const doLimit = 2 * time.Minute

// New makes a desk.
func New(cfg Config) *Desk { return &Desk{cfg: cfg, under: map[string]*call{}} }

// Plan implements handlers.Actions.
func (d *Desk) Plan(ctx context.Context, a store.Action) (store.Plan, error) {
	r, err := d.runner(a)
	if err != nil {
		return store.Plan{}, err
	}
	if a.Verb == store.VerbAcknowledge {
		return store.Plan{Action: a, Steps: []store.Effect{acknowledging(r)}}, acknowledgeable(r)
	}
	hands, err := d.hands(a.Ref)
	if err != nil {
		return store.Plan{}, err
	}
	p, err := hands.Plan(ctx, a, r)
	if err == nil && len(p.Steps) == 0 && d.away(a, r) {
		p.Steps = []store.Effect{askedBack(r)}
	}
	return p, err
}

// Do implements handlers.Actions: once for each key. It goes on when its caller leaves, and a repeat waits for its end.
func (d *Desk) Do(ctx context.Context, a store.Action) (store.Outcome, error) {
	if err := a.Check(); err != nil {
		return store.Outcome{}, err
	}
	c, first := d.join(a.Key)
	if first {
		go d.serve(context.WithoutCancel(ctx), a, c)
	}
	select {
	case <-ctx.Done():
		return store.Outcome{}, fmt.Errorf("%w: %s of %s is under way; the board shows what comes of it", store.ErrUnavailable, a.Verb, a.Ref)
	case <-c.done:
	}
	if c.kept.Action.Key != "" && !sameAction(c.kept.Action, a) {
		return store.Outcome{}, fmt.Errorf("%w: this key was used to %s %s, with another note, end or part, or by somebody else; take a new one for another action", store.ErrInvalid, c.kept.Action.Verb, c.kept.Action.Ref)
	}
	out := c.kept.Outcome
	out.Repeated = out.Repeated || !first
	return out, c.err
}

// join is the call under way for a key; first says that it is to be served by whoever asks.
func (d *Desk) join(key string) (c *call, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.under[key]; c != nil {
		return c, false
	}
	c = &call{done: make(chan struct{})}
	d.under[key] = c
	return c, true
}

// sameAction reports whether two actions with one key are the same request, by the same person: the rest may differ by a moment.
func sameAction(kept, a store.Action) bool {
	target := kept.Target == a.Target || strings.HasPrefix(kept.Target, a.Target+"/")
	asked := kept.Verb == a.Verb && kept.Ref == a.Ref && target && kept.Drain == a.Drain
	return asked && kept.By.Name == a.By.Name && kept.Note == a.Note && sameEnd(kept, a)
}

// sameEnd reports whether two actions end at the same time, or after the same time.
func sameEnd(kept, a store.Action) bool {
	if kept.Until.IsZero() || a.Until.IsZero() {
		return kept.Until.IsZero() == a.Until.IsZero()
	}
	return kept.Until.Equal(a.Until) || (kept.Until.Sub(kept.At)-a.Until.Sub(a.At)).Abs() < time.Second
}

// serve does an action that nobody else does now, and lets go of its key.
func (d *Desk) serve(ctx context.Context, a store.Action, c *call) {
	ctx, cancel := context.WithTimeout(ctx, doLimit)
	defer cancel()
	c.kept, c.err = d.once(ctx, a)
	d.mu.Lock()
	delete(d.under, a.Key)
	d.mu.Unlock()
	close(c.done)
}

// once enters the action and does it, unless it was done before.
func (d *Desk) once(ctx context.Context, a store.Action) (store.Kept, error) {
	asked := a
	r, err := d.runner(a)
	if err == nil {
		a, err = pinned(a, r), replaced(a, r)
	}
	kept, fresh, bookErr := d.cfg.Book.Begin(ctx, a, entryOf(a, r))
	switch {
	case bookErr != nil:
		return store.Kept{}, fmt.Errorf("%s of %s is not done, for it cannot be written into the audit: %w", a.Verb, a.Ref, bookErr)
	case !fresh && triable(kept, asked):
		return d.retry(ctx, kept, asked)
	case !fresh && kept.Entry.Result != "":
		kept.Outcome.Repeated = true
		return kept, problemOf(kept.Entry)
	case !fresh: // begun before a restart, and nobody has taken it up yet
		return d.again(ctx, kept)
	case err != nil:
		return d.end(ctx, kept, store.Outcome{}, err)
	}
	return d.perform(ctx, kept, r)
}

// pinned names what the person saw, so that after a restart nothing is done to what has taken its place since.
func pinned(a store.Action, r *store.Runner) store.Action {
	if a.Incarnation == "" {
		a.Incarnation = r.Incarnation
	}
	if a.Verb == store.VerbDeleteWorkload && strings.Count(a.Target, "/") == 1 {
		for i := range r.Workloads {
			if w := &r.Workloads[i]; w.Namespace+"/"+w.Name == a.Target {
				a.Target += "/" + w.UID
				break
			}
		}
	}
	return a
}

// replaced is store.ErrConflict for a pod whose name another bears by now: the one that was seen is gone.
func replaced(a store.Action, r *store.Runner) error {
	f := strings.Split(a.Target, "/")
	if a.Verb != store.VerbDeleteWorkload || len(f) != 3 {
		return nil
	}
	for i := range r.Workloads {
		if w := &r.Workloads[i]; w.Namespace == f[0] && w.Name == f[1] && w.UID != f[2] {
			return fmt.Errorf("%w: pod %s/%s was deleted and made anew since you looked at it; look at it again", store.ErrConflict, store.Clean(f[0], 63), store.Clean(f[1], 253))
		}
	}
	return nil
}

// entryOf is the entry with which an action begins. r is the runner as it is shown, or nil.
func entryOf(a store.Action, r *store.Runner) store.Entry {
	e := store.Entry{At: a.At, By: a.By, Verb: string(a.Verb), Ref: a.Ref, Object: a.Target, Note: a.Note, Before: state(r)}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	return e
}

// perform does what was entered, and writes what came of it.
func (d *Desk) perform(ctx context.Context, k store.Kept, r *store.Runner) (store.Kept, error) {
	k.Entry.Before = cmp.Or(k.Entry.Before, state(r))
	if k.Action.Verb == store.VerbAcknowledge {
		if err := acknowledgeable(r); err != nil {
			return d.end(ctx, k, store.Outcome{}, err)
		}
		err := d.cfg.Failures.Acknowledge(ctx, store.Acknowledgement{Ref: k.Action.Ref, By: k.Action.By.Name, Note: k.Action.Note, At: k.Action.At})
		return d.end(ctx, k, store.Outcome{Steps: []store.Effect{acknowledging(r)}}, err)
	}
	hands, err := d.hands(k.Action.Ref)
	if err != nil {
		return d.end(ctx, k, store.Outcome{}, err)
	}
	if k, err = d.pin(ctx, hands, k, r); err != nil {
		return d.end(ctx, k, store.Outcome{}, err)
	}
	out, err := hands.Do(ctx, k.Action, r)
	if err == nil && len(out.Steps) == 0 && d.away(k.Action, r) {
		out, err = d.askBack(ctx, k.Action, r)
	}
	return d.end(ctx, k, out, err)
}

// pin writes what a deletion is to delete into the audit before anything of it goes: when its oldest part is gone, what is left of the
// runner passes for another.
func (d *Desk) pin(ctx context.Context, hands Hands, k store.Kept, r *store.Runner) (store.Kept, error) {
	if k.Action.Verb != store.VerbDelete || len(k.Action.Pinned) > 0 {
		return k, nil
	}
	pinned, err := hands.Pin(ctx, k.Action, r)
	if err != nil || len(pinned) == 0 {
		return k, err
	}
	k.Action.Pinned = pinned
	return k, d.reopen(ctx, k)
}

// reopen writes an action that has no end yet as it is by now.
func (d *Desk) reopen(ctx context.Context, k store.Kept) error {
	if err := d.cfg.Book.End(ctx, k); err != nil {
		return fmt.Errorf("%s of %s is not done, for it cannot be written into the audit: %w", k.Action.Verb, k.Action.Ref, err)
	}
	return nil
}

// acknowledgeable is store.ErrInvalid for a runner that nobody needs to look after.
func acknowledgeable(r *store.Runner) error {
	if r.Health == store.Healthy {
		return fmt.Errorf("%w: %s is healthy: there is no failure to be on", store.ErrInvalid, r.Ref)
	}
	return nil
}

// state is how a runner is, in a word or two.
func state(r *store.Runner) string {
	if r == nil {
		return ""
	}
	return r.Observed.String() + ", " + r.Health.String()
}

func acknowledging(r *store.Runner) store.Effect {
	return store.Effect{Object: store.Object{Kind: "failure", Namespace: r.Ref.Namespace, Name: r.Ref.Name}, Before: r.Health.String(), After: "acknowledged"}
}

// end writes the end of an action. That it could not be written is no failure of what was done: it is told, and found open after a restart.
func (d *Desk) end(ctx context.Context, k store.Kept, out store.Outcome, err error) (store.Kept, error) {
	out.ID = k.Entry.ID
	k.Outcome = out
	k.Entry.Ended, k.Entry.Result, k.Entry.After = time.Now(), store.ResultDone, after(k.Action, out, err)
	if err != nil {
		k.Entry.Result, k.Entry.Problem = store.ResultFailed, store.ErrorText(err)
		if errors.Is(err, store.ErrForbidden) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrInvalid) {
			k.Entry.Result = store.ResultRefused
		}
	} else {
		k.Action.Pinned = nil // it is not done again
	}
	if bookErr := d.cfg.Book.End(context.WithoutCancel(ctx), k); bookErr != nil {
		d.cfg.Log.Error("the end of an action is not in the audit", "action", string(k.Action.Verb), "runner", k.Action.Ref.String(), "error", store.ErrorText(bookErr))
	}
	return k, err
}

// asBefore is said of an action that failed and has changed nothing.
const asBefore = "as before"

// after words what was done to which objects; err is why that is not all.
func after(a store.Action, out store.Outcome, err error) string {
	var words []string
	for _, s := range out.Steps {
		if s.Problem == "" {
			words = append(words, s.Object.String()+": "+s.Before+" → "+s.After)
		}
	}
	if out.Waits != "" {
		words = append(words, out.Waits.Absolute())
	}
	switch {
	case len(words) == 0 && err != nil:
		return asBefore
	case len(words) == 0:
		return "nothing was to be done for " + string(a.Verb)
	}
	return store.Clean(strings.Join(words, "; "), 2000)
}

// problemOf is the error that an entry ended with, in its class.
func problemOf(e store.Entry) error {
	if e.Problem == "" {
		return nil
	}
	for _, class := range []error{store.ErrNotFound, store.ErrInvalid, store.ErrConflict, store.ErrForbidden, store.ErrUnavailable} {
		if i := strings.Index(e.Problem, class.Error()+": "); i >= 0 {
			return fmt.Errorf("%s%w: %s", e.Problem[:i], class, e.Problem[i+len(class.Error())+2:])
		}
	}
	return fmt.Errorf("%w: %s", store.ErrUnavailable, e.Problem)
}

// runner is the one that an action is about, as it is shown, if it is the one that was seen.
func (d *Desk) runner(a store.Action) (*store.Runner, error) {
	r, err := d.cfg.Current().Runner(a.Ref)
	if err != nil {
		return nil, err
	}
	if a.Incarnation != "" && r.Incarnation != "" && a.Incarnation != r.Incarnation {
		return nil, fmt.Errorf("%w: %s was deleted and made anew since you looked at it: it is incarnation %s now, and was %s; look at it again", store.ErrConflict, a.Ref, r.Incarnation, a.Incarnation)
	}
	return r, nil
}

func (d *Desk) hands(ref store.Ref) (Hands, error) {
	if h := d.cfg.Hands[ref.Cluster]; h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("%w: %s is only told of by %s, which has no way to change it", store.ErrInvalid, ref, ref.Cluster)
}
