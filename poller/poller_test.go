package poller_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller"
	"trackside/store"
)

func TestAWakeUpIsPublishedAfterQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		run := start(t, nil, &recorder{}, s)
		defer run.end()
		after(time.Second)
		begin := time.Now()
		for range 3 { // each within the quiet of the one before
			p.add(runner("a", store.Healthy))
			s.touch()
			after(poller.Quiet - 10*time.Millisecond)
		}
		after(time.Second)
		if got, want := run.publications(begin), []time.Duration{2*(poller.Quiet-10*time.Millisecond) + poller.Quiet}; !slices.Equal(got, want) {
			t.Errorf("published after %v, want %v", got, want)
		}
	})
}

func TestASteadyStreamIsPublishedAtTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		run := start(t, nil, &recorder{}, s)
		defer run.end()
		after(time.Second)
		begin := time.Now()
		for i := range 100 { // 100 changes within a second
			p.add(runner(fmt.Sprint(i), store.Healthy))
			s.touch()
			after(10 * time.Millisecond)
		}
		got := run.publications(begin)
		if len(got) == 0 || got[0] != poller.Ceiling {
			t.Fatalf("published after %v, want the first after %s", got, poller.Ceiling)
		}
		for i := 1; i < len(got); i++ {
			if gap := got[i] - got[i-1]; gap > poller.Ceiling+10*time.Millisecond {
				t.Errorf("%s between two publications", gap)
			}
		}
		after(time.Second)
		if n := run.live.Current().Len(); n != 100 {
			t.Errorf("%d of 100 runners arrived", n)
		}
	})
}

func TestTwoSourcesAreOneFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b pile
		one, two := newSource(a.observe), newSource(b.observe)
		run := start(t, nil, &recorder{}, one, two)
		defer run.end()
		begin := time.Now()
		a.add(runner("a", store.Healthy))
		b.add(runner("b", store.Unhealthy))
		one.touch()
		two.touch()
		after(time.Second)
		if got := run.publications(begin); len(got) != 1 || run.live.Current().Len() != 2 {
			t.Errorf("%d runners after publications at %v, want both in one", run.live.Current().Len(), got)
		}
		a.add(runner("a", store.Degraded))
		one.touch()
		after(time.Second)
		if r, _ := run.live.Current().Runner(ref("b")); r == nil || r.Health != store.Unhealthy {
			t.Errorf("the other source's runner is %v", r)
		}
	})
}

// Evidence is in the hands of the recorder before anybody sees that something failed.
func TestEvidenceIsRecordedBeforeItIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := false
		s := newSource(func(*store.Snapshot, []store.Ref, time.Time) store.Touched {
			if told {
				return store.Touched{}
			}
			told = true
			return store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy)}, Evidence: []store.Evidence{{ID: "1", Ref: ref("a")}, {ID: "2", Ref: ref("gone")}}}
		})
		rec := &recorder{}
		published := []int{}
		var run *running
		rec.record = func(_ context.Context, _ *store.Snapshot, changes []store.Change) error {
			for _, c := range changes {
				if len(c.Evidence) > 0 {
					published = append(published, run.live.Current().Len())
				}
			}
			return nil
		}
		run = start(t, nil, rec)
		run.end()
		run = start(t, nil, rec, s)
		defer run.end()
		after(time.Second)
		changes, _ := rec.state()
		if len(changes) != 2 || len(changes[0].Events) == 0 || changes[0].Evidence[0].ID != "1" || changes[1].Evidence[0].ID != "2" {
			t.Fatalf("recorded %+v", changes)
		}
		if len(published) != 2 || published[0] != 0 || run.live.Current().Len() != 1 {
			t.Errorf("when the evidence was recorded %v runners were published", published)
		}
	})
}

func TestNothingNewIsNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		rec := &recorder{}
		run := start(t, nil, rec, s)
		defer run.end()
		p.add(runner("a", store.Healthy))
		s.touch()
		after(time.Second)
		begin := time.Now()
		_, calls := rec.state()
		p.add(runner("a", store.Healthy))
		s.touch()
		after(time.Minute)
		got := run.publications(begin)
		if _, n := rec.state(); len(got) != 0 || n != calls {
			t.Errorf("published at %v, recorded %d times", got, n-calls)
		}
	})
}

func TestARunnerIsLookedAtWhenItSaidAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		run := start(t, nil, &recorder{}, s)
		defer run.end()
		r := runner("a", store.Unknown)
		r.Next = time.Now().Add(41 * time.Second)
		p.add(r, runner("b", store.Healthy))
		s.touch()
		<-time.After(time.Until(r.Next) - time.Nanosecond)
		synctest.Wait()
		if dues, _ := p.looks(); len(dues) != 0 {
			t.Fatalf("looked at too early: %v", dues)
		}
		after(time.Nanosecond)
		if dues, at := p.looks(); len(dues) != 1 || !slices.Equal(dues[0], []store.Ref{ref("a")}) || !at.Equal(r.Next) {
			t.Fatalf("due %v, asked at %s, want a at %s", dues, at, r.Next)
		}
		after(time.Hour)
		if dues, _ := p.looks(); len(dues) != 1 {
			t.Errorf("looked at again, %d times", len(dues)-1)
		}
	})
}

func TestTheLatestDeadlineOfARunnerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		run := start(t, nil, &recorder{}, s)
		defer run.end()
		begin := time.Now()
		for _, d := range []time.Duration{30 * time.Second, 20 * time.Second, 40 * time.Second} {
			r := runner("a", store.Unknown)
			r.Next = begin.Add(d)
			p.add(r)
			s.touch()
			after(time.Second)
		}
		after(35 * time.Second)
		if dues, _ := p.looks(); len(dues) != 0 {
			t.Errorf("a deadline that was replaced came up: %v", dues)
		}
		after(10 * time.Second)
		if dues, _ := p.looks(); len(dues) != 1 {
			t.Errorf("looked at %d times", len(dues))
		}
	})
}

func TestADeadlineInThePastDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		s := newSource(func(_ *store.Snapshot, _ []store.Ref, now time.Time) store.Touched {
			looks.Add(1)
			r := runner("a", store.Unknown)
			r.Next = now.Add(-time.Hour) // a source whose clock is an hour behind
			return store.Touched{Runners: []*store.Runner{r}}
		})
		run := start(t, nil, &recorder{}, s)
		defer run.end()
		before := looks.Load()
		after(10 * time.Second)
		if n := looks.Load() - before; n < 5 || n > 25 {
			t.Errorf("looked %d times in ten seconds, want about one a second", n)
		}
	})
}

func TestRestoredRunnersKeepTheirDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		r := runner("a", store.Unknown)
		r.Next = time.Now().Add(10 * time.Second)
		run := start(t, store.NewSnapshot([]*store.Runner{r}, nil, time.Now()), &recorder{}, newSource(p.observe))
		defer run.end()
		after(9 * time.Second)
		if dues, _ := p.looks(); len(dues) != 0 {
			t.Fatal("looked at too early")
		}
		after(time.Second)
		if dues, _ := p.looks(); len(dues) != 1 {
			t.Errorf("looked at %d times", len(dues))
		}
	})
}

func TestDiscardedRunnersLeaveTheBoardAndTheRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, rec := store.NewLive(store.NewSnapshot([]*store.Runner{runner("old", store.Healthy)}, nil, time.Now())), &recorder{}
		p := poller.New(live, rec, discard, nil)
		p.Discard(ref("old"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		synctest.Wait()
		if written, _ := rec.state(); live.Current().Len() != 0 || len(written) != 1 || written[0].After != nil {
			t.Errorf("%d runners are left, recorded %v", live.Current().Len(), written)
		}
		cancel()
		<-done
	})
}

func TestASourceThatEndsLeavesTheOthersAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := newSource(nil)
		broken.run = func(context.Context) error { return errors.New("no such cluster") }
		var p pile
		s := newSource(p.observe)
		run := start(t, nil, &recorder{}, broken, s)
		defer run.end()
		p.add(runner("a", store.Healthy))
		s.touch()
		after(time.Second)
		if run.live.Current().Len() != 1 {
			t.Error("the other source is not heard")
		}
	})
}

func TestRunWaitsForItsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ended := newSource(nil), false
		s.run = func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(time.Second)
			ended = true
			return ctx.Err()
		}
		run := start(t, nil, &recorder{}, s)
		run.end()
		if !ended {
			t.Error("Run returned before its source")
		}
	})
}
