package poller_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller"
	"trackside/store"
)

// source is a poller.Source made of functions; those that are nil do the least that a source may.
type source struct {
	wake    chan struct{}
	run     func(context.Context) error
	observe func(prev *store.Snapshot, due []store.Ref, now time.Time) store.Touched
}

func newSource(observe func(*store.Snapshot, []store.Ref, time.Time) store.Touched) *source {
	return &source{wake: make(chan struct{}, 1), observe: observe}
}

func (s *source) Run(ctx context.Context) error {
	if s.run != nil {
		return s.run(ctx)
	}
	<-ctx.Done()
	return nil
}

func (s *source) Wake() <-chan struct{} { return s.wake }

func (s *source) Observe(prev *store.Snapshot, due []store.Ref, now time.Time) store.Touched {
	if s.observe == nil {
		return store.Touched{}
	}
	return s.observe(prev, due, now)
}

func (s *source) touch() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pile is what a source has to tell: it is handed over once.
type pile struct {
	mu      sync.Mutex
	runners []*store.Runner
	asked   []time.Time
	dues    [][]store.Ref
}

func (p *pile) add(r ...*store.Runner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runners = append(p.runners, r...)
}

func (p *pile) observe(_ *store.Snapshot, due []store.Ref, now time.Time) store.Touched {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := store.Touched{Runners: p.runners}
	p.runners, p.asked = nil, append(p.asked, now)
	if len(due) > 0 {
		p.dues = append(p.dues, due)
	}
	return t
}

// looks are the due runners it was asked for, and when it was last asked.
func (p *pile) looks() ([][]store.Ref, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) == 0 {
		return p.dues, time.Time{}
	}
	return p.dues, p.asked[len(p.asked)-1]
}

// trouble is what a disk has: an error, a delay, or neither.
type trouble struct {
	mu    sync.Mutex
	err   error
	delay time.Duration
}

func (d *trouble) set(err error, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.delay = err, delay
}

func (d *trouble) record(context.Context, *store.Snapshot, []store.Change) error {
	d.mu.Lock()
	err, delay := d.err, d.delay
	d.mu.Unlock()
	<-time.After(delay)
	return err
}

// recorder is a poller.Recorder made of a function; without one it remembers what it is given.
type recorder struct {
	mu      sync.Mutex
	record  func(ctx context.Context, s *store.Snapshot, changes []store.Change) error
	written []store.Change
	calls   int
}

func (r *recorder) Record(ctx context.Context, s *store.Snapshot, changes []store.Change) error {
	if r.record != nil {
		if err := r.record(ctx, s, changes); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.written = append(r.written, changes...)
	return nil
}

// state is what was written, and by how many calls.
func (r *recorder) state() ([]store.Change, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written, r.calls
}

func (r *recorder) names() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.written {
		out = append(out, c.Ref().Name)
	}
	return out
}

// running is a poller at work in a synctest bubble, and all that it published.
type running struct {
	t    *testing.T
	live *store.Live
	stop context.CancelFunc
	done chan error

	mu   sync.Mutex
	at   []time.Time
	revs []*store.Snapshot
}

// start runs a poller, and waits until it is idle. The test ends it with end.
func start(t *testing.T, from *store.Snapshot, r poller.Recorder, sources ...poller.Source) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	run := &running{t: t, live: store.NewLive(from), stop: cancel, done: make(chan error, 1)}
	_, sub := run.live.Subscribe()
	go func() {
		defer sub.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-sub.Wake():
				run.mu.Lock()
				run.at, run.revs = append(run.at, time.Now()), append(run.revs, run.live.Current())
				run.mu.Unlock()
			}
		}
	}()
	p := poller.New(run.live, r, slog.New(slog.DiscardHandler), nil, sources...)
	go func() { run.done <- p.Run(ctx) }()
	synctest.Wait()
	return run
}

// end stops the poller and waits for it; synctest fails the test when it leaves a goroutine.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// publications are the times at which something was published since a time.
func (r *running) publications(since time.Time) (out []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.at {
		if !at.Before(since) {
			out = append(out, at.Sub(since))
		}
	}
	return out
}

func ref(name string) store.Ref { return store.Ref{Cluster: "c", System: "labelled", Name: name} }

func runner(name string, h store.Health) *store.Runner {
	return &store.Runner{Ref: ref(name), Verdict: store.Verdict{Health: h, Why: store.Sentence(h.String())}}
}

// after lets time pass in the bubble and everything come to rest.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
