package api_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller/api"
	"trackside/store"
)

// script is a source that does in each round what a test says.
type script struct {
	t     *testing.T
	src   *api.Source
	mu    sync.Mutex
	round func(context.Context, *api.Round) error
	asked int
	heard time.Time
	stop  func()
}

const every = 10 * time.Second

func newScript(t *testing.T, round func(context.Context, *api.Round) error) *script {
	t.Helper()
	s := &script{t: t, round: round}
	s.src = api.New(api.Config{Alias: "x-api", Name: "X API", System: "x", Every: every, Log: slog.New(slog.DiscardHandler),
		Round: func(ctx context.Context, r *api.Round) error {
			s.mu.Lock()
			f := s.round
			s.asked++
			s.mu.Unlock()
			return f(ctx, r)
		},
		Heard: func(_ string, at time.Time) { s.mu.Lock(); s.heard = at; s.mu.Unlock() }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.src.Run(ctx) }()
	s.stop = func() { cancel(); <-done }
	synctest.Wait()
	return s
}

// next lets a round pass in which that happens, and returns what was touched since.
func (s *script) next(round func(context.Context, *api.Round) error) store.Touched {
	s.mu.Lock()
	s.round = round
	s.mu.Unlock()
	<-time.After(every + every/8)
	synctest.Wait()
	return s.observe(&store.Snapshot{})
}

func (s *script) observe(prev *store.Snapshot) store.Touched {
	return s.src.Observe(prev, nil, time.Now())
}

func key(name string) store.TestimonyKey {
	return store.TestimonyKey{Cluster: "x-api", Source: "X API", System: "x", Runner: name}
}

// saying is a round in which those runners are listed and said to be well.
func saying(names ...string) func(context.Context, *api.Round) error {
	return func(_ context.Context, r *api.Round) error {
		var keys []store.TestimonyKey
		for _, n := range names {
			keys = append(keys, key(n))
		}
		r.Answered()
		r.Only(keys)
		for _, k := range keys {
			r.Say(store.Testimony{TestimonyKey: k, Word: "ok", Health: store.Healthy, Heard: time.Now()})
		}
		return nil
	}
}

var refusal = &api.Failure{Call: "GET https://x", Err: api.Unfit("it is wrong")}

func failing(context.Context, *api.Round) error { return refusal }

func TestASourceIsAsFreshAsItsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, saying("a", "b"))
		defer s.stop()
		first := s.observe(&store.Snapshot{})
		if len(first.Said) != 2 || len(first.Full) != 1 || len(first.Sources) != 1 || first.Sources[0].State != store.SourceLive || first.Sources[0].Every != every {
			t.Fatalf("%+v", first)
		}
		again := s.next(saying("a"))
		if len(again.Said) != 1 || len(again.Unsaid) != 1 || again.Unsaid[0] != key("b") || len(again.Full) != 0 || len(again.Sources) != 0 {
			t.Errorf("%+v", again)
		}
		heard := s.heard
		broken := s.next(failing)
		src := broken.Sources[0]
		if src.State != store.SourceStale || src.Problem != "The X API fails: not what was expected: it is wrong (GET https://x)." || !src.Since.Equal(heard) || !src.Heard.Equal(heard) {
			t.Errorf("%+v", src)
		}
		p := broken.Said[0].Problem
		if p == nil || p.Call != "GET https://x" || p.What != "not what was expected: it is wrong" || !p.Last.Equal(heard) || broken.Said[0].Word != "ok" {
			t.Errorf("%+v: %+v", broken.Said[0], p)
		}
		if still := s.next(failing); len(still.Said)+len(still.Sources)+len(still.Unsaid) != 0 {
			t.Errorf("the same failure is news: %+v", still)
		}
		back := s.next(saying("a"))
		if len(back.Sources) != 1 || back.Sources[0].State != store.SourceLive || back.Sources[0].Problem != "" || back.Said[0].Problem != nil || len(back.Full) != 0 {
			t.Errorf("%+v", back)
		}
	})
}

// After a restart the source is as old as it was, and what it said before stays until it has spoken.
func TestARestoredSourceIsAsOldAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, failing)
		defer s.stop()
		old := time.Now().Add(-time.Hour)
		prev := store.NewSnapshot(nil, []store.Source{{Cluster: "x-api", Name: "X API", State: store.SourceRestored, Heard: old}}, old)
		if src := s.observe(prev).Sources[0]; src.State != store.SourceStale || !src.Since.Equal(old) || !src.Heard.Equal(old) {
			t.Errorf("%+v", src)
		}
		if t1 := s.next(saying("a")); len(t1.Full) != 1 || len(t1.Said) != 1 {
			t.Errorf("%+v", t1)
		}
	})
}

// A call for one runner that fails harms no other, and says since when.
func TestOneFailureIsOfOneRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, saying("a", "b"))
		defer s.stop()
		heard := time.Now()
		s.observe(&store.Snapshot{})
		half := func(_ context.Context, r *api.Round) error {
			r.Answered()
			r.Only([]store.TestimonyKey{key("a"), key("b"), key("c")})
			r.Say(store.Testimony{TestimonyKey: key("a"), Word: "ok", Heard: time.Now()})
			r.Fail(store.Testimony{TestimonyKey: key("b"), Word: "from the list", Heard: time.Now()}, refusal)
			r.Fail(store.Testimony{TestimonyKey: key("c"), Word: "from the list", Heard: time.Now()}, refusal)
			r.Limit("Half of it is missing.")
			return nil
		}
		got := s.next(half)
		if len(got.Said) != 3 || got.Said[0].Problem != nil {
			t.Fatalf("%+v", got)
		}
		if b := got.Said[1]; b.Problem == nil || b.Word != "ok" || !b.Problem.Last.Equal(heard) {
			t.Errorf("b: %+v %+v", b, b.Problem)
		}
		if c := got.Said[2]; c.Problem == nil || c.Word != "from the list" || !c.Problem.Last.IsZero() {
			t.Errorf("c: %+v %+v", c, c.Problem)
		}
		if l := got.Sources[0].Limits; len(l) != 1 || got.Sources[0].State != store.SourceLive {
			t.Errorf("%+v", got.Sources)
		}
		if after := s.next(saying("a", "b", "c")); len(after.Sources[0].Limits) != 0 || after.Said[2].Problem != nil {
			t.Errorf("%+v", after)
		}
	})
}

func TestRoundsAreAtTheirPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, saying("a"))
		<-time.After(10 * every)
		s.stop()
		if s.asked < 9 || s.asked > 12 {
			t.Errorf("asked %d times in ten intervals", s.asked)
		}
	})
}
