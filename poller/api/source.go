package api

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"trackside/store"
)

// Config says who a source is and how it is asked.
type Config struct {
	// Alias is the source's place on the board, beside the aliases of clusters. Name is what it is called, such as "Kubiya API".
	Alias, Name string
	// System is the one whose runners it speaks of.
	System string
	// Every is the pace of rounds, give or take a tenth.
	Every time.Duration
	// Scope says in words what is asked, and where.
	Scope string
	// KeyFlag and PaceFlag are named in sentences that say what to do.
	KeyFlag, PaceFlag string
	// Round asks once. An error is a round that failed as a whole, and a *Failure.
	Round func(context.Context, *Round) error
	// Heard is told each time the source answers; Live.Hear is one.
	Heard func(alias string, t time.Time)
	Log   *slog.Logger
}

// Source asks an API in rounds, keeps what it says, and how fresh that is. It is a poller.Source and a poller.Witness.
type Source struct {
	cfg  Config
	wake chan struct{}

	mu     sync.Mutex
	said   map[store.TestimonyKey]store.Testimony
	dirty  map[store.TestimonyKey]bool // said anew, or no longer
	listed bool                        // a round has been complete
	full   bool                        // the first one has just been: what the board had before it is gone
	source store.Source
	told   bool // source is as it was last handed over
}

// New prepares a source; nothing is asked before Run.
func New(cfg Config) *Source {
	return &Source{cfg: cfg, wake: make(chan struct{}, 1), said: map[store.TestimonyKey]store.Testimony{}, dirty: map[store.TestimonyKey]bool{},
		source: store.Source{Cluster: cfg.Alias, Name: cfg.Name, State: store.SourceRestored, Since: time.Now(), Every: cfg.Every, Scope: cfg.Scope}}
}

// Testifies implements poller.Witness.
func (s *Source) Testifies() (alias, system string) { return s.cfg.Alias, s.cfg.System }

// Wake implements poller.Source.
func (s *Source) Wake() <-chan struct{} { return s.wake }

// Run implements poller.Source: it asks, and waits, until the context ends.
func (s *Source) Run(ctx context.Context) error {
	for {
		r := &Round{src: s}
		err := s.cfg.Round(ctx, r)
		if ctx.Err() == nil { // a round that the end of the program cut off says nothing of the source
			s.end(r, err)
		}
		pause := time.NewTimer(jitter(s.cfg.Every))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

// jitter varies a pace by a tenth either way, so that several boards do not ask in step.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)/5*float64(d))
}

// Observe implements poller.Source.
func (s *Source) Observe(prev *store.Snapshot, _ []store.Ref, _ time.Time) (t store.Touched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherit(prev)
	if !s.told {
		t.Sources, s.told = []store.Source{s.source}, true
	}
	if s.full {
		t.Full, s.full = []string{s.cfg.Alias}, false
		for k := range s.said {
			s.dirty[k] = true
		}
	}
	for k := range s.dirty {
		if said, ok := s.said[k]; ok {
			t.Said = append(t.Said, said)
		} else {
			t.Unsaid = append(t.Unsaid, k)
		}
	}
	clear(s.dirty)
	slices.SortFunc(t.Said, func(a, b store.Testimony) int { return a.Compare(b.TestimonyKey) })
	slices.SortFunc(t.Unsaid, store.TestimonyKey.Compare)
	return t
}

// inherit takes over when the source was last heard before the program started; s.mu is held.
func (s *Source) inherit(prev *store.Snapshot) {
	old, ok := prev.Source(s.cfg.Alias, s.cfg.Name)
	if !ok || !s.source.Heard.IsZero() || old.Heard.IsZero() {
		return
	}
	s.source.Heard, s.told = old.Heard, false
	if s.source.State == store.SourceStale {
		s.source.Since = old.Heard
	}
}

// signal wakes the poller.
func (s *Source) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Round is one time of asking.
type Round struct {
	src    *Source
	limits []string
}

// Limit notes something that this round could not learn, in a sentence. It is shown with the source until a round goes without.
func (r *Round) Limit(sentence string) { r.limits = append(r.limits, sentence) }

// Answered notes that the source answered just now.
func (r *Round) Answered() {
	now := time.Now()
	r.src.cfg.Heard(r.src.cfg.Alias, now)
	r.src.mu.Lock()
	defer r.src.mu.Unlock()
	r.src.source.Heard = now
}

// Only says which runners there are: what was said of others is said no more. The source is live with that.
func (r *Round) Only(keys []store.TestimonyKey) {
	s := r.src
	s.mu.Lock()
	defer s.mu.Unlock()
	s.goLive()
	there := make(map[store.TestimonyKey]bool, len(keys))
	for _, k := range keys {
		there[k] = true
	}
	for k := range s.said {
		if !there[k] {
			delete(s.said, k)
			s.dirty[k] = true
		}
	}
	s.signal()
}

// Say tells what the source has just said of runners.
func (r *Round) Say(said ...store.Testimony) {
	s := r.src
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range said {
		t.Problem = nil
		s.said[t.TestimonyKey] = t
		s.dirty[t.TestimonyKey] = true
	}
	s.signal()
}

// Fail tells that the call failed that asks for one runner. What was said of it before stays beside; of a runner of which nothing
// was, first is what the list says, and that decides nothing.
func (r *Round) Fail(first store.Testimony, f *Failure) {
	s := r.src
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.said[first.TestimonyKey]
	if !known {
		t = first
		t.Heard = time.Time{}
	}
	s.fail(t, f)
	s.signal()
}

// fail marks a testimony with a failure; s.mu is held. A failure that goes on keeps its beginning.
func (s *Source) fail(t store.Testimony, f *Failure) {
	p := &store.CallProblem{Call: f.Call, What: f.What(), Since: time.Now(), Last: t.Heard}
	if t.Problem != nil {
		p.Since, p.Last = t.Problem.Since, t.Problem.Last
	}
	if t.Problem != nil && *t.Problem == *p {
		return
	}
	t.Problem = p
	s.said[t.TestimonyKey] = t
	s.dirty[t.TestimonyKey] = true
}

// end takes the outcome of a round: the source is live, or stale with everything that it said.
func (s *Source) end(r *Round, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signal()
	if err != nil {
		s.goStale(err)
		return
	}
	if !slices.Equal(s.source.Limits, r.limits) {
		s.source.Limits, s.told = r.limits, false
		for _, l := range r.limits {
			s.cfg.Log.Warn("source does not tell all", "source", s.cfg.Alias, "what", l)
		}
	}
	s.goLive()
	if !s.listed {
		s.listed, s.full = true, true
	}
}

// goLive notes that the source has answered what it was asked; s.mu is held.
func (s *Source) goLive() {
	if s.source.State == store.SourceLive {
		return
	}
	s.cfg.Log.Info("source is live", "source", s.cfg.Alias, "was", string(s.source.State))
	s.source.State, s.source.Problem, s.source.Since, s.told = store.SourceLive, "", time.Now(), false
}

func (s *Source) goStale(err error) {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Call: s.cfg.Name, Err: err}
	}
	for _, t := range s.said {
		s.fail(t, f)
	}
	problem := f.Problem(s.cfg.Name, s.cfg.KeyFlag, s.cfg.PaceFlag)
	if s.source.State == store.SourceStale && s.source.Problem == problem {
		return
	}
	if s.source.State != store.SourceStale {
		s.cfg.Log.Warn("source is stale", "source", s.cfg.Alias, "error", store.ErrorText(err))
		s.source.Since = time.Now()
		if !s.source.Heard.IsZero() {
			s.source.Since = s.source.Heard
		}
	}
	s.source.State, s.source.Problem, s.told = store.SourceStale, problem, false
}
