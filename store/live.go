package store

import (
	"sync"
	"time"
)

// feedLength is how many updates Live keeps for readers that fell behind; one that needs an older one reads the snapshot.
const feedLength = 64

// Update is one publication: a snapshot and what it changed.
type Update struct {
	Snapshot *Snapshot
	Changes  []Change
}

// Live holds the newest snapshot and wakes its readers when it changes. Publishing never waits for a reader: a reader that
// is late finds one wake-up and asks for all it missed.
type Live struct {
	mu    sync.Mutex
	cur   *Snapshot
	feed  []Update // the latest updates, oldest first, revisions without a gap
	subs  map[*Subscription]struct{}
	heard map[string]time.Time
}

// NewLive starts with a snapshot, such as the one restored from disk; nil means an empty one.
func NewLive(start *Snapshot) *Live {
	if start == nil {
		start = &Snapshot{}
	}
	return &Live{cur: start, subs: map[*Subscription]struct{}{}, heard: map[string]time.Time{}}
}

// Subscription is one reader's place in the queue.
type Subscription struct {
	live *Live
	wake chan struct{}
}

// Current is the newest snapshot.
func (l *Live) Current() *Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cur
}

// Subscribe returns the newest snapshot and a subscription to all that come after it, with nothing lost in between.
func (l *Live) Subscribe() (*Snapshot, *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &Subscription{l, make(chan struct{}, 1)}
	l.subs[s] = struct{}{}
	return l.cur, s
}

// Wake receives when something was published since the last receive.
func (s *Subscription) Wake() <-chan struct{} { return s.wake }

// Close ends the subscription.
func (s *Subscription) Close() {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	delete(s.live.subs, s)
}

// Publish makes a snapshot the newest one and wakes every reader.
func (l *Live) Publish(u Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u.Snapshot == l.cur {
		return
	}
	if u.Snapshot.Rev != l.cur.Rev+1 {
		l.feed = nil
	}
	l.cur = u.Snapshot
	if len(l.feed) == feedLength {
		copy(l.feed, l.feed[1:])
		l.feed = l.feed[:feedLength-1]
	}
	l.feed = append(l.feed, u)
	for s := range l.subs {
		select {
		case s.wake <- struct{}{}:
		default: // a wake-up is pending; its reader will see the newest
		}
	}
}

// Since returns the updates after revision rev, oldest first. It reports false when they are no longer all kept: then the
// reader starts again from the current snapshot.
func (l *Live) Since(rev uint64) ([]Update, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rev == l.cur.Rev {
		return nil, true
	}
	missed := l.cur.Rev - rev
	if rev > l.cur.Rev || missed > uint64(len(l.feed)) {
		return nil, false
	}
	return append([]Update(nil), l.feed[len(l.feed)-int(missed):]...), true
}

// Hear notes that a cluster's source answered at t. It wakes nobody: age is read by whoever shows it, since a source that has
// died cannot report it.
func (l *Live) Hear(cluster string, t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[cluster] = t
}

// Heard is when a cluster's source last answered; false if it has not since the program started.
func (l *Live) Heard(cluster string) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.heard[cluster]
	return t, ok
}

// Viewers is the number of open subscriptions.
func (l *Live) Viewers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.subs)
}
