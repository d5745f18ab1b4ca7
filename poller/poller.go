// Package poller is the loop between the sources and the page: a wake-up or a deadline → observe what was touched → apply →
// record → publish. It knows no Kubernetes.
package poller

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"trackside/store"
)

// Coalescing: a publication waits Quiet after the last wake-up, but never longer than Ceiling after the first.
const (
	Quiet   = 50 * time.Millisecond
	Ceiling = 250 * time.Millisecond
	// RecordTimeout is how long a publication waits for the disk; after that the truth goes out and history says since when it is missing.
	RecordTimeout = 200 * time.Millisecond
	// RecordPerChange is added for each change before a slow disk is called lost: the first sight of a fleet is thousands of rows.
	RecordPerChange = 5 * time.Millisecond
	// maxUnrecorded bounds the changes kept for a disk that does not answer.
	maxUnrecorded = 10_000
)

// Source is a place where runners are, such as a cluster.
type Source interface {
	// Run watches until the context ends.
	Run(ctx context.Context) error
	// Wake receives when something was touched; it has a capacity of one.
	Wake() <-chan struct{}
	// Observe returns what was touched since it was last called, as it is now, and the due runners of this source.
	Observe(prev *store.Snapshot, due []store.Ref, now time.Time) store.Touched
}

// Recorder writes a publication to disk before it is published.
type Recorder interface {
	// Record writes all or nothing, within the context's deadline. Changes that were recorded already do no harm.
	Record(ctx context.Context, s *store.Snapshot, changes []store.Change) error
}

// Observer is told of each publication, for metrics; took is the time it took to observe, apply, record and publish.
type Observer func(took time.Duration, changes int)

// Poller runs the loop.
type Poller struct {
	live      *store.Live
	recorder  Recorder
	sources   []Source
	log       *slog.Logger
	published Observer

	deadlines  deadlines
	unrecorded []store.Change
	history    store.History
	recording  chan error // of an attempt that outlived its deadline; nil when none does
	giveUp     context.CancelFunc
	pending    int       // how many of unrecorded that attempt writes
	overdue    time.Time // when that attempt has taken too long
	overflow   bool      // changes were dropped unrecorded: every runner is to be written anew
	discarded  []store.Ref
	joint      *joint
	self       *self
}

// New makes a poller. A nil observer is allowed.
func New(live *store.Live, recorder Recorder, log *slog.Logger, published Observer, sources ...Source) *Poller {
	if published == nil {
		published = func(time.Duration, int) {}
	}
	return &Poller{live: live, recorder: recorder, sources: sources, log: log, published: published, deadlines: newDeadlines(),
		joint: newJoint(sources), self: newSelf(sources)}
}

// Discard takes runners off the board and out of the records: those of a cluster that is not watched any more. Call it before Run.
func (p *Poller) Discard(refs ...store.Ref) { p.discarded = append(p.discarded, refs...) }

// Run starts every source and publishes what they observe until the context ends, then waits for the sources.
func (p *Poller) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wake := make(chan struct{}, 1)
	for _, s := range p.sources {
		wg.Go(func() {
			if err := s.Run(ctx); err != nil && ctx.Err() == nil {
				p.log.Error("source ended", "error", store.ErrorText(err))
			}
		})
		wg.Go(func() { forward(ctx, s.Wake(), wake) })
	}
	for r := range p.live.Current().Runners() {
		p.deadlines.set(r.Ref, r.NextCheck())
	}
	for again := true; again; again = p.wait(ctx, wake) {
		p.step(ctx, time.Now())
		if p.history != p.live.Current().History {
			p.step(ctx, time.Now()) // recording has just begun or ceased to fail: the page says so
		}
	}
	p.finish(ctx)
	return nil
}

// forward merges wake-ups of several sources into one.
func forward(ctx context.Context, from <-chan struct{}, to chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-from:
			select {
			case to <- struct{}{}:
			default:
			}
		}
	}
}

// wait returns true when there is something to do: a coalesced wake-up, or a deadline that has come.
func (p *Poller) wait(ctx context.Context, wake <-chan struct{}) bool {
	timer := time.NewTimer(p.deadlines.until(time.Now()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-wake:
		return coalesce(ctx, wake)
	}
}

// coalesce waits for quiet, with a ceiling: a debounce that starts anew at each event would never fire under a steady load.
func coalesce(ctx context.Context, wake <-chan struct{}) bool {
	ceiling := time.NewTimer(Ceiling)
	defer ceiling.Stop()
	for {
		quiet := time.NewTimer(Quiet)
		select {
		case <-ctx.Done():
			quiet.Stop()
			return false
		case <-ceiling.C:
			quiet.Stop()
			return true
		case <-quiet.C:
			return true
		case <-wake:
			quiet.Stop()
		}
	}
}

// step observes, applies, records and publishes once.
func (p *Poller) step(ctx context.Context, now time.Time) {
	start := time.Now()
	prev := p.live.Current()
	due := p.self.due(p.deadlines.due(now))
	t := store.Touched{Gone: p.discarded}
	p.discarded = nil
	for _, s := range p.sources {
		t.Add(s.Observe(prev, due, now))
	}
	t = p.self.compose(prev, p.joint.compose(prev, t, due, now))
	t.History = &p.history
	next, changes := store.Apply(prev, t, now)
	store.Witness(changes, now)
	for _, r := range t.Runners {
		p.reschedule(next, r.Ref, now)
	}
	for _, c := range changes {
		p.reschedule(next, c.Ref(), now)
	}
	if next == prev {
		if len(p.unrecorded) > 0 || !p.history.LostSince.IsZero() {
			p.record(ctx, prev, nil, now)
		}
		return
	}
	p.record(ctx, next, changes, now)
	p.live.Publish(store.Update{Snapshot: next, Changes: changes})
	p.published(time.Since(start), len(changes))
}

// reschedule sets when a runner is looked at again. A time that has passed was answered just now: asking again at once would spin.
func (p *Poller) reschedule(s *store.Snapshot, ref store.Ref, now time.Time) {
	r, err := s.Runner(ref)
	if err != nil {
		p.deadlines.set(ref, time.Time{})
		return
	}
	next := r.NextCheck()
	if !next.IsZero() && !next.After(now) {
		next = now.Add(time.Second)
	}
	p.deadlines.set(ref, next)
}
