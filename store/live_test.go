package store_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trackside/store"
)

// publish makes the next revision and publishes it.
func publish(l *store.Live, i int) *store.Snapshot {
	next, changes := observe(l.Current(), noon.Add(time.Duration(i)*time.Second), runner(fmt.Sprintf("r%d", i%7), store.Health(1+i%3)))
	l.Publish(store.Update{Snapshot: next, Changes: changes})
	return next
}

func woken(s *store.Subscription) bool {
	select {
	case <-s.Wake():
		return true
	default:
		return false
	}
}

func TestSubscribersAreWokenOnceForManyPublications(t *testing.T) {
	l := store.NewLive(nil)
	_, sub := l.Subscribe()
	defer sub.Close()
	if woken(sub) {
		t.Error("woken before anything was published")
	}
	for i := range 1_000 {
		publish(l, i)
	}
	if !woken(sub) || woken(sub) {
		t.Error("not woken exactly once")
	}
	publish(l, 1)
	if !woken(sub) {
		t.Error("not woken again")
	}
}

func TestSubscribeReturnsTheNewestSnapshot(t *testing.T) {
	l := store.NewLive(fleetOf(3))
	want := publish(l, 1)
	got, sub := l.Subscribe()
	defer sub.Close()
	if got != want || l.Current() != want || woken(sub) {
		t.Errorf("revision %d, want %d, and no wake-up", got.Rev, want.Rev)
	}
}

func TestThePublishedSnapshotAgainWakesNobody(t *testing.T) {
	l := store.NewLive(nil)
	s := publish(l, 0)
	_, sub := l.Subscribe()
	l.Publish(store.Update{Snapshot: s})
	if woken(sub) {
		t.Error("woken for nothing")
	}
}

func TestClosedSubscriptionsAreForgotten(t *testing.T) {
	l := store.NewLive(nil)
	var subs []*store.Subscription
	for range 50 {
		_, s := l.Subscribe()
		subs = append(subs, s)
	}
	if l.Viewers() != 50 {
		t.Errorf("%d viewers", l.Viewers())
	}
	for _, s := range subs {
		s.Close()
		s.Close()
	}
	if l.Viewers() != 0 {
		t.Errorf("%d viewers are left", l.Viewers())
	}
	publish(l, 0)
	if woken(subs[0]) {
		t.Error("a closed subscription is woken")
	}
}

func TestSince(t *testing.T) {
	l := store.NewLive(fleetOf(3)) // revision 1
	for i := range 100 {
		publish(l, i)
	}
	cur := l.Current().Rev
	for _, c := range []struct {
		rev  uint64
		n    int
		kept bool
	}{
		{cur, 0, true}, {cur - 1, 1, true}, {cur - 64, 64, true}, {cur - 65, 0, false}, {1, 0, false}, {0, 0, false}, {cur + 1, 0, false},
	} {
		got, kept := l.Since(c.rev)
		if len(got) != c.n || kept != c.kept {
			t.Errorf("Since(%d) at %d: %d updates, %v; want %d, %v", c.rev, cur, len(got), kept, c.n, c.kept)
		}
		for i, u := range got {
			if u.Snapshot.Rev != c.rev+uint64(i)+1 {
				t.Errorf("Since(%d): update %d has revision %d", c.rev, i, u.Snapshot.Rev)
			}
		}
	}
}

func TestSinceKnowsAJumpOfRevisions(t *testing.T) {
	l := store.NewLive(nil)
	publish(l, 0)
	old := l.Current().Rev
	jump := *publish(l, 1)
	jump.Rev += 5
	l.Publish(store.Update{Snapshot: &jump})
	if got, kept := l.Since(old); kept {
		t.Errorf("%d updates across a jump", len(got))
	}
	if got, kept := l.Since(jump.Rev - 1); !kept || len(got) != 1 {
		t.Errorf("the update after the jump: %d, %v", len(got), kept)
	}
}

// Every reader ends with the newest snapshot and, where the feed reaches, has seen each revision once; the publisher waits for none.
func TestReadersLoseNothing(t *testing.T) {
	const readers, publications = 40, 500
	l := store.NewLive(nil)
	var wg sync.WaitGroup
	for n := range readers {
		s, sub := l.Subscribe()
		wg.Go(func() {
			defer sub.Close()
			rev := s.Rev
			for rev < publications {
				<-sub.Wake()
				if n%4 == 0 {
					rev = l.Current().Rev // a slow reader takes the newest only
					continue
				}
				updates, kept := l.Since(rev)
				if !kept {
					rev = l.Current().Rev
					continue
				}
				for _, u := range updates {
					if u.Snapshot.Rev != rev+1 {
						t.Errorf("revision %d follows %d", u.Snapshot.Rev, rev)
					}
					rev = u.Snapshot.Rev
				}
			}
		})
	}
	for i := range publications {
		publish(l, i)
	}
	wg.Wait()
	if l.Viewers() != 0 {
		t.Errorf("%d viewers are left", l.Viewers())
	}
}

func TestPublishNeverWaitsForAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := store.NewLive(nil)
		for range 100 {
			_, sub := l.Subscribe() // nobody reads it
			defer sub.Close()
		}
		start := time.Now()
		for i := range 1_000 {
			publish(l, i)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("publishing waited %s", took)
		}
	})
}

func TestHeardIsTheLatestOfACluster(t *testing.T) {
	l := store.NewLive(nil)
	if _, ok := l.Heard("c"); ok {
		t.Error("a cluster was heard that never spoke")
	}
	l.Hear("c", noon)
	l.Hear("c", noon.Add(time.Second))
	if got, ok := l.Heard("c"); !ok || !got.Equal(noon.Add(time.Second)) {
		t.Errorf("heard %s, %v", got, ok)
	}
}
