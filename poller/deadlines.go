package poller

import (
	"container/heap"
	"time"

	"trackside/store"
)

// idle is how long the loop sleeps when nothing is due: it retries what could not be recorded.
const idle = 5 * time.Second

// deadlines knows which runner is to be looked at next, so that the loop never ticks through the fleet. A runner has one deadline;
// entries of the heap that no longer match it are dropped when they come up.
type deadlines struct {
	at   map[store.Ref]time.Time
	heap deadlineHeap
}

type deadline struct {
	at  time.Time
	ref store.Ref
}

func newDeadlines() deadlines { return deadlines{at: map[store.Ref]time.Time{}} }

// set replaces the deadline of a runner; the zero time removes it.
func (d *deadlines) set(ref store.Ref, at time.Time) {
	if at.IsZero() {
		delete(d.at, ref)
		return
	}
	if d.at[ref].Equal(at) {
		return
	}
	d.at[ref] = at
	heap.Push(&d.heap, deadline{at, ref})
}

// due takes out the runners whose deadline has come.
func (d *deadlines) due(now time.Time) (refs []store.Ref) {
	for d.prune(); len(d.heap) > 0 && !d.heap[0].at.After(now); d.prune() {
		top := heap.Pop(&d.heap).(deadline)
		delete(d.at, top.ref)
		refs = append(refs, top.ref)
	}
	return refs
}

// until is the time to the next deadline, at most idle.
func (d *deadlines) until(now time.Time) time.Duration {
	d.prune()
	if len(d.heap) == 0 {
		return idle
	}
	return max(0, min(idle, d.heap[0].at.Sub(now)))
}

func (d *deadlines) prune() {
	for len(d.heap) > 0 && !d.at[d.heap[0].ref].Equal(d.heap[0].at) {
		heap.Pop(&d.heap)
	}
}

type deadlineHeap []deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h deadlineHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *deadlineHeap) Push(x any)        { *h = append(*h, x.(deadline)) }
func (h *deadlineHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
