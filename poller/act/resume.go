package act

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"trackside/store"
)

const (
	// resumeWithin is how old an action may be to be taken up after a restart: what is older, nobody waits for any more.
	resumeWithin = time.Hour
	// resumePatience is how long its cluster may take to be seen.
	resumePatience = 2 * time.Minute
	resumePace     = 250 * time.Millisecond
)

// Resume takes up the actions that a crash left without an end: each is done again when its runner is seen, for every step of it only does
// what is left. What cannot be is ended with a sentence. A cluster that is not seen holds up no other. It returns when all have an end.
func (d *Desk) Resume(ctx context.Context) error {
	open, err := d.cfg.Book.Open(ctx)
	if err != nil {
		return err
	}
	byCluster := map[string][]store.Kept{}
	for _, k := range open {
		byCluster[k.Action.Ref.Cluster] = append(byCluster[k.Action.Ref.Cluster], k)
	}
	var all sync.WaitGroup
	for _, own := range byCluster {
		all.Go(func() {
			for _, k := range own {
				d.resume(ctx, k)
			}
		})
	}
	all.Wait()
	return nil
}

// resume takes up one action, unless somebody who asked for it again has.
func (d *Desk) resume(ctx context.Context, k store.Kept) {
	c, first := d.join(k.Action.Key)
	if !first {
		return
	}
	if d.await(ctx, k.Action.Ref); ctx.Err() == nil {
		d.cfg.Log.Info("an action that a crash cut short is taken up", "action", string(k.Action.Verb), "runner", k.Action.Ref.String(), "by", k.Action.By.Name)
		c.kept, c.err = d.again(ctx, k)
	} else {
		c.err = fmt.Errorf("%w: the board is stopping; %s of %s is taken up when it is back", store.ErrUnavailable, k.Action.Verb, k.Action.Ref)
	}
	d.mu.Lock()
	delete(d.under, k.Action.Key)
	d.mu.Unlock()
	close(c.done)
}

// again does an action that was begun before the program started.
func (d *Desk) again(ctx context.Context, k store.Kept) (store.Kept, error) {
	if k.Action.Verb == "" || time.Since(k.Entry.At) > resumeWithin {
		return d.end(ctx, k, store.Outcome{}, fmt.Errorf("%w: the board stopped before it was done, and it is too old to be taken up; look at the runner, and ask again", store.ErrUnavailable))
	}
	if u := k.Action.Until; !u.IsZero() && !time.Now().Before(u) {
		return d.end(ctx, k, store.Outcome{}, fmt.Errorf("%w: the board stopped before it was done, and its time was over when the board was back; ask again if it is still meant", store.ErrUnavailable))
	}
	if _, err := d.runner(k.Action); err == nil || len(k.Action.Pinned) > 0 {
		if err := d.overtaken(ctx, k); err != nil {
			return d.end(ctx, k, store.Outcome{}, err)
		}
	}
	k.Action.Resumed = true
	return d.takeUp(ctx, k, "the board stopped before it was done")
}

const (
	// maxSince bounds how much of the audit is read for what came after an action.
	maxSince = 1000
	// itself is the board in the audit, where it does what a mark says.
	itself = "trackside"
)

// overtaken is store.ErrConflict for an action after which somebody has asked for something else of the same runner. It may have been done long
// ago and only its end not written, for the disk was full; doing it again would undo what was decided since.
func (d *Desk) overtaken(ctx context.Context, k store.Kept) error {
	entries, err := d.cfg.Book.Entries(ctx, store.EntryFilter{Cluster: k.Action.Ref.Cluster, Runner: k.Action.Ref.Name}, maxSince)
	if err != nil {
		return fmt.Errorf("%w: the board stopped before it was done, and what was asked for since cannot be read (%s); look at the runner, and ask again", store.ErrUnavailable, store.ErrorText(err))
	}
	for _, e := range entries {
		if e.ID > k.Entry.ID && e.Ref == k.Action.Ref && overtakes(e, k.Action.Verb) {
			return fmt.Errorf("%w: the board stopped before its end was written, and at %s %s asked to %s %s; ask again if this is still meant",
				store.ErrConflict, e.At.UTC().Format("15:04:05 UTC"), e.By.Name, e.Verb, e.Ref)
		}
	}
	return nil
}

// overtakes reports whether a later entry has changed what an action asked for. One that changed nothing has not, and the board that
// finished the action itself neither.
func overtakes(e store.Entry, v store.Verb) bool {
	failed := e.Result == store.ResultFailed || e.Result == store.ResultRefused
	if failed && (e.After == "" || e.After == asBefore) {
		return false
	}
	switch later := store.Verb(e.Verb); v {
	case store.VerbDisable, store.VerbEnable, store.VerbDelete:
		if later == v {
			return v == store.VerbDisable && e.By.Name != itself // with a note and an end of its own
		}
		return later == store.VerbDisable || later == store.VerbEnable || later == store.VerbDelete
	case store.VerbAcknowledge:
		return later == v
	case store.VerbRestart, store.VerbDeleteWorkload, store.VerbProbe: // do again only what is left
	}
	return false
}

// triable reports whether an action failed for something that was away, and is asked for again by who asked for it. Its steps can be taken
// again: each does only what is left.
func triable(k store.Kept, a store.Action) bool {
	by := k.Action.By.Name == a.By.Name && k.Action.By.Via == a.By.Via
	return by && k.Entry.Result == store.ResultFailed && errors.Is(problemOf(k.Entry), store.ErrUnavailable) && sameAction(k.Action, a)
}

// retry does an action that failed once more, to what was meant then. Its entry is open meanwhile, so that a crash does not leave it.
func (d *Desk) retry(ctx context.Context, k store.Kept, a store.Action) (store.Kept, error) {
	k.Action.By, k.Action.At, k.Action.Until = a.By, a.At, a.Until
	k.Entry.Result, k.Entry.Problem, k.Entry.After, k.Entry.Ended = "", "", "", time.Time{}
	k.Outcome = store.Outcome{ID: k.Entry.ID}
	if err := d.reopen(ctx, k); err != nil {
		return store.Kept{}, err
	}
	return d.takeUp(ctx, k, "it failed before")
}

// takeUp does an action that was begun before; why words what came between. A runner that was to be deleted may be gone by that, or pass for
// another, as its oldest part is gone: what was to be deleted is known, and what is left of it goes.
func (d *Desk) takeUp(ctx context.Context, k store.Kept, why string) (store.Kept, error) {
	r, err := d.runner(k.Action)
	gone := k.Action.Verb == store.VerbDelete && errors.Is(err, store.ErrNotFound) && d.seen(k.Action.Ref.Cluster)
	switch {
	case err == nil || len(k.Action.Pinned) > 0:
	case gone:
		return d.end(ctx, k, store.Outcome{}, nil)
	default:
		return d.end(ctx, k, store.Outcome{}, fmt.Errorf("%s: %w", why, err))
	}
	ctx, cancel := context.WithTimeout(ctx, doLimit)
	defer cancel()
	return d.perform(ctx, k, r)
}

// await waits until a runner's cluster is seen as it is now, or patience ends.
func (d *Desk) await(ctx context.Context, ref store.Ref) {
	patience, cancel := context.WithTimeout(ctx, resumePatience)
	defer cancel()
	tick := time.NewTicker(resumePace)
	defer tick.Stop()
	for !d.seen(ref.Cluster) {
		select {
		case <-patience.Done():
			return
		case <-tick.C:
		}
	}
}

// seen reports whether a cluster has spoken since the program started.
func (d *Desk) seen(cluster string) bool {
	for _, s := range d.cfg.Current().Sources {
		if s.Cluster == cluster && s.State == store.SourceLive {
			return true
		}
	}
	return false
}
