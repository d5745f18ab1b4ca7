package report

import (
	"container/heap"
	"time"

	"trackside/store"
)

// idle is how long the source sleeps when nobody is due.
const idle = time.Minute

// due is when a runner may have become late.
type due struct {
	at time.Time
	id int64
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// arm has a runner looked at then. A runner has one entry, which is moved on when it comes up, and not with every report.
func (s *Source) arm(r *runner, at time.Time) {
	if !r.due.IsZero() {
		return
	}
	r.due = at
	heap.Push(&s.due, due{at, r.ID})
	if s.due[0].id == r.ID {
		s.stir()
	}
}

// stir has Run look anew at what is to be done.
func (s *Source) stir() {
	select {
	case s.rearm <- struct{}{}:
	default:
	}
}

// fire looks at the runners that are due, and returns the time to the next.
func (s *Source) fire(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.due) > 0 && !s.due[0].at.After(now) {
		d := heap.Pop(&s.due).(due)
		if r := s.byID[d.id]; r != nil {
			r.due = time.Time{}
			s.check(r, now)
		}
	}
	if len(s.due) == 0 {
		return idle
	}
	return max(0, s.due[0].at.Sub(now))
}

// check finds out whether a runner is late. If it spoke meanwhile, it is looked at again when that is old.
func (s *Source) check(r *runner, now time.Time) {
	if at := s.basis(r).Add(s.cfg.Late); at.After(now) {
		s.arm(r, at)
		return
	}
	r.late = true
	s.unawait(r)
	if t := r.task; t != nil && t.Begun.IsZero() && t.Handed == 0 {
		s.release(r) // it never fetched it
		s.dispatch(now)
	}
	s.touch(r)
}

// unawait notes that what was restored of a runner no longer stands.
func (s *Source) unawait(r *runner) {
	r.stands = false
	if !r.awaited {
		return
	}
	r.awaited = false
	if s.waiting--; s.waiting == 0 {
		s.signal()
	}
}

// basis is from when the silence of a runner counts. While we were away nobody could be heard.
func (s *Source) basis(r *runner) time.Time {
	if r.unheard && r.Lost.IsZero() && s.started.After(r.Heard) {
		return s.started
	}
	return r.Heard
}

// over reports whether a runner is to leave the board: deleted and silent, or lost for long.
func (s *Source) over(r *runner, now time.Time) bool {
	silent := now.Sub(s.basis(r))
	switch {
	case r.Observed == store.Deleting:
		return silent >= s.cfg.Late
	case r.Observed == store.Disabled || r.Requested == store.Disabled:
		return false
	case r.Problem != "":
		return silent >= s.cfg.Forget
	}
	return !r.Lost.IsZero() && now.Sub(r.Lost) >= s.cfg.Forget
}

// forget takes a runner off the board. Its history stays there.
func (s *Source) forget(r *runner) {
	s.unawait(r)
	ref := s.ref(r)
	delete(s.byName, r.Name)
	delete(s.byID, r.ID)
	delete(s.byRef, ref)
	for _, t := range r.ended {
		s.dropTask(t)
	}
	if r.task != nil {
		s.dropTask(r.task)
	}
	if r.channel != nil {
		r.channel.end()
	}
	s.book.goneRunner(r.ID)
	s.gone[ref] = struct{}{}
	s.signal()
}

// dropTask forgets a task.
func (s *Source) dropTask(t *task) {
	delete(s.tasks, t.ID)
	s.book.goneTask(t.ID)
}
