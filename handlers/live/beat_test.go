package live

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trackside/store"
)

// queued takes a viewer's frames.
func queued(x *viewer) (frames []string) {
	for len(x.queue) > 0 {
		frames = append(frames, string((<-x.queue).Bytes(Identity)))
	}
	return frames
}

func TestHeartbeatsComeWhenItIsQuietAndWhenTheDataTurnStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		h := newHub(t, f.live, Options{Queue: 64})
		x, err := h.join(&page{key: "one"}, Identity, "")
		if err != nil {
			t.Fatal(err)
		}
		hear := func(d time.Duration) {
			for range d / time.Second {
				f.live.Hear("eu", time.Now())
				time.Sleep(time.Second)
			}
			synctest.Wait()
		}
		hear(20 * time.Second)
		if n := len(queued(x)); n < 9 || n > 10 {
			t.Errorf("%d beats in 20 quiet seconds", n)
		}
		for range 20 {
			f.publish()
			hear(time.Second)
		}
		if n := len(queued(x)) - 20; n < 4 || n > 5 {
			t.Errorf("%d beats in 20 busy seconds", n)
		}
		time.Sleep(4600 * time.Millisecond) // the last was heard a second before
		synctest.Wait()
		all := strings.Join(queued(x), "")
		if !strings.Contains(all, `"_stale":true`) {
			t.Errorf("not stale after 5.6 s: %s", all)
		}
		hear(time.Second)
		if all := strings.Join(queued(x), ""); !strings.Contains(all, `"_stale":false`) {
			t.Errorf("not fresh within a second: %s", all)
		}
		h.leave(x)
		h.Close()
	})
}

// A source beside the clusters is asked now and then: its age is not that of the data, nor does it make the data stale.
func TestASourceThatIsAskedNowAndThenIsNotTheDatasAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		h := newHub(t, f.live, Options{})
		defer h.Close()
		for _, state := range []store.SourceState{store.SourceRestored, store.SourceLive, store.SourceStale} {
			f.live.Hear("eu", time.Now())
			snap := store.NewSnapshot(nil, []store.Source{{Cluster: "api", Name: "X API", State: state, Every: time.Minute, Heard: time.Now().Add(-time.Hour)},
				{Cluster: "eu", Name: "K", State: store.SourceLive}}, time.Now())
			snap.Rev = f.live.Current().Rev + 1
			f.live.Publish(store.Update{Snapshot: snap})
			synctest.Wait()
			if age, stale := h.age(time.Now()); age != 0 || stale {
				t.Errorf("%s: %s old, stale %t", state, age, stale)
			}
		}
	})
}

func TestAnIdleViewEndsAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		h := newHub(t, f.live, Options{})
		x, _ := h.join(&page{key: "one"}, Identity, "")
		h.leave(x)
		time.Sleep(4 * time.Second)
		if h.Stats().Views != 1 {
			t.Error("a reload would have found its view gone")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if h.Stats().Views != 0 {
			t.Error("the view is still there")
		}
		h.Close()
	})
}

func TestViewsWithTheSameNewsShareOneFrame(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{})
	var xs []*viewer
	for i := range 10 {
		x, err := h.join(&page{key: fmt.Sprint(i)}, Identity, "")
		if err != nil {
			t.Fatal(err)
		}
		defer h.leave(x)
		xs = append(xs, x)
	}
	f.publish()
	eventually(t, "a frame", func() bool { return len(xs[9].queue) > 0 && len(xs[0].queue) > 0 })
	h.mu.Lock() // the step is over
	defer h.mu.Unlock()
	first := <-xs[0].queue
	for _, x := range xs[1:] {
		if <-x.queue != first {
			t.Error("another frame")
		}
	}
}

func TestAStepHoldsEachRunnerOnce(t *testing.T) {
	r := func(name string) *store.Runner { return &store.Runner{Ref: store.Ref{Name: name}} }
	a1, a2, a3, b, c := r("a"), r("a"), r("a"), r("b"), r("c")
	snap := &store.Snapshot{Rev: 3}
	st := NewStep(&store.Snapshot{Rev: 1}, []store.Update{
		{Snapshot: &store.Snapshot{Rev: 2}, Changes: []store.Change{{Before: a1, After: a2}, {After: b}}},
		{Snapshot: snap, Changes: []store.Change{{Before: a2, After: a3}, {Before: b}, {Before: c}}},
	})
	if len(st.Changes) != 2 || st.Changes[0].Before != a1 || st.Changes[0].After != a3 || st.Changes[1].Before != c || st.After != snap {
		t.Errorf("%+v", st.Changes)
	}
	if !st.Touches(a1.Ref) || st.Touches(b.Ref) || !st.Touches(c.Ref) {
		t.Error("touches")
	}
}
