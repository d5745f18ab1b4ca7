package poller_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller"
	"trackside/store"
)

var discard = slog.New(slog.DiscardHandler)

func TestAChangeIsRecordedBeforeItIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		rec := &recorder{}
		var run *running
		rec.record = func(_ context.Context, next *store.Snapshot, changes []store.Change) error {
			if run.live.Current() == next {
				t.Errorf("revision %d was published before it was recorded", next.Rev)
			}
			for _, c := range changes {
				if got, err := next.Runner(c.Ref()); err != nil || got != c.After {
					t.Errorf("the snapshot does not hold the change of %s", c.Ref())
				}
			}
			return nil
		}
		run = start(t, nil, rec, s)
		defer run.end()
		p.add(runner("a", store.Healthy), runner("b", store.Healthy))
		s.touch()
		after(time.Second)
		if got := rec.names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestASlowDiskDoesNotHoldTheTruthBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		disk := &trouble{delay: 3 * time.Second}
		rec := &recorder{record: disk.record}
		run := start(t, nil, rec, s)
		defer run.end()
		begin := time.Now()
		p.add(runner("a", store.Healthy))
		s.touch()
		after(poller.Quiet + poller.RecordTimeout)
		cur := run.live.Current()
		if cur.Len() != 1 || cur.History.LostSince.IsZero() || cur.History.Problem == "" {
			t.Fatalf("after %s: %d runners, history %+v", time.Since(begin), cur.Len(), cur.History)
		}
		since := cur.History.LostSince
		p.add(runner("b", store.Healthy)) // while the first attempt still runs
		s.touch()
		after(poller.Quiet)
		cur = run.live.Current()
		if cur.Len() != 2 || !cur.History.LostSince.Equal(since) {
			t.Errorf("the second change: %d runners, history %+v, want it lost since %s", cur.Len(), cur.History, since)
		}
		disk.set(nil, 0)
		after(15 * time.Second)
		if h := run.live.Current().History; h != (store.History{}) {
			t.Errorf("the disk answers again, and history is %+v", h)
		}
		if got := rec.names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestAFailingDiskLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		full := errors.New("database or disk is full")
		disk := &trouble{err: full}
		rec := &recorder{record: disk.record}
		run := start(t, nil, rec, s)
		defer run.end()
		for i := range 5 {
			p.add(runner("a", store.Health(1+i%3)))
			s.touch()
			after(time.Second)
		}
		h := run.live.Current().History
		if h.LostSince.IsZero() || !strings.Contains(h.Problem, full.Error()) {
			t.Errorf("history %+v", h)
		}
		disk.set(nil, 0)
		after(10 * time.Second) // with no further change
		written, _ := rec.state()
		if len(written) != 5 {
			t.Fatalf("%d of 5 changes were recorded", len(written))
		}
		for i := 1; i < 5; i++ {
			if written[i].Before != written[i-1].After {
				t.Errorf("change %d does not follow the one before it", i)
			}
		}
		if h := run.live.Current().History; h != (store.History{}) {
			t.Errorf("the disk is well again, and history is %+v", h)
		}
	})
}

func TestADiskThatFailsFromTheStartIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		p.add(runner("a", store.Healthy))
		rec := &recorder{record: func(context.Context, *store.Snapshot, []store.Change) error {
			return errors.New("read-only file system")
		}}
		run := start(t, nil, rec, newSource(p.observe))
		defer run.end()
		if cur := run.live.Current(); cur.Len() != 1 || cur.History.LostSince.IsZero() {
			t.Errorf("%d runners, history %+v", cur.Len(), cur.History)
		}
	})
}

// A publication without a changed runner, such as that of a source's state, is recorded too: its failure must end as well.
func TestHistoryRecoversWithNothingToWrite(t *testing.T) {
	for name, ails := range map[string]func() error{
		"failing": func() error { return errors.New("disk full") },
		"slow":    func() error { <-time.After(time.Second); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := false
				s := newSource(func(*store.Snapshot, []store.Ref, time.Time) store.Touched {
					if told {
						return store.Touched{}
					}
					told = true
					return store.Touched{Sources: []store.Source{{Cluster: "c", State: store.SourceLive}}}
				})
				begin := time.Now()
				rec := &recorder{record: func(context.Context, *store.Snapshot, []store.Change) error {
					if time.Since(begin) > 3*time.Second {
						return nil
					}
					return ails()
				}}
				run := start(t, nil, rec, s)
				defer run.end()
				after(time.Second)
				if run.live.Current().History.LostSince.IsZero() {
					t.Error("nothing says that history is not recorded")
				}
				after(20 * time.Second)
				if h := run.live.Current().History; h != (store.History{}) {
					t.Errorf("history %+v", h)
				}
			})
		})
	}
}

// What an endless failure piles up is bounded, and once the disk is back every runner is written anew.
func TestThePileOfUnrecordedChangesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		disk, most := &trouble{err: errors.New("disk full")}, atomic.Int64{}
		rec := &recorder{}
		rec.record = func(ctx context.Context, next *store.Snapshot, changes []store.Change) error {
			most.Store(max(most.Load(), int64(len(changes))))
			return disk.record(ctx, next, changes)
		}
		run := start(t, nil, rec, s)
		defer run.end()
		for round := range 15 {
			for i := range 1_000 {
				p.add(runner(fmt.Sprint(i), store.Health(1+round%2)))
			}
			s.touch()
			after(time.Second)
		}
		disk.set(nil, 0)
		after(20 * time.Second)
		if most.Load() > 12_000 {
			t.Errorf("%d changes were kept", most.Load())
		}
		anew := map[store.Ref]bool{}
		written, _ := rec.state()
		for _, c := range written {
			if c.Before == nil {
				anew[c.Ref()] = true
			}
		}
		if len(anew) != 1_000 || run.live.Current().History != (store.History{}) {
			t.Errorf("%d of 1000 runners were written anew, history %+v", len(anew), run.live.Current().History)
		}
	})
}

func TestWhatIsUnrecordedAtTheEndIsTriedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		p.add(runner("a", store.Healthy))
		disk := &trouble{err: errors.New("disk full")}
		rec := &recorder{record: disk.record}
		run := start(t, nil, rec, newSource(p.observe))
		disk.set(nil, 0)
		run.end()
		if got := rec.names(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestADiskThatHangsDoesNotOutliveThePoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		p.add(runner("a", store.Healthy))
		rec := &recorder{record: func(ctx context.Context, _ *store.Snapshot, _ []store.Change) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		run := start(t, nil, rec, newSource(p.observe))
		after(time.Second)
		begin := time.Now()
		run.end()
		if took := time.Since(begin); took > 2*poller.RecordTimeout {
			t.Errorf("the end took %s", took)
		}
	})
}

// The first sight of a large fleet is thousands of rows: that it takes a while is no failure of the disk.
func TestALargeFirstWriteIsGivenItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pile
		s := newSource(p.observe)
		disk := &trouble{delay: time.Second}
		run := start(t, nil, &recorder{record: disk.record}, s)
		defer run.end()
		for i := range 500 {
			p.add(runner(fmt.Sprintf("r%d", i), store.Healthy))
		}
		s.touch()
		after(poller.Quiet + poller.RecordTimeout)
		if cur := run.live.Current(); cur.Len() != 500 || !cur.History.LostSince.IsZero() {
			t.Errorf("%d runners, history %+v: want all of them, and no alarm", cur.Len(), cur.History)
		}
		after(2 * time.Second)
	})
}
