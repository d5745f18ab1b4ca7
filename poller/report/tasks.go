package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"trackside/store"
)

// task is a piece of work as it is in memory.
type task struct {
	store.Task
	words words
}

func newTask(t store.Task) *task { return &task{Task: t, words: newWords(t.Words)} }

// kept is the task for the book.
func (t *task) kept() store.Task {
	out := t.Task
	out.Words = t.words.lines()
	return out
}

func sortTasks(ts []*task) {
	slices.SortFunc(ts, func(a, b *task) int { return cmp.Or(a.Ended.Compare(b.Ended), cmp.Compare(a.ID, b.ID)) })
}

// Queue takes a task, gives it to the oldest registered runner that is available, if there is one, and returns it; its Runner is 0
// while it waits. It is for an administrator. When the disk does not take it, it is not taken.
func (s *Source) Queue(ctx context.Context, g store.Grant, t store.Task) (store.Task, error) {
	if !g.Admin {
		return t, notAdmin("queue work")
	}
	now := time.Now()
	s.mu.Lock()
	if len(s.queue) >= maxQueue {
		s.mu.Unlock()
		return t, fmt.Errorf("%w: %d tasks wait for a runner already", store.ErrUnavailable, maxQueue)
	}
	x := newTask(store.Task{ID: s.next.NextTask, Type: t.Type, Session: t.Session, Config: t.Config, Queued: now})
	s.next.NextTask++
	s.tasks[x.ID] = x
	s.queue = append(s.queue, x)
	s.book.task(x.ID)
	s.dispatch(now)
	s.signal() // also when nobody takes it: that it waits is news
	s.mu.Unlock()
	err := s.save(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && x.Handed == 0 {
		s.withdraw(x)
		return t, err
	}
	return x.kept(), nil
}

// withdraw takes back a task that nobody has begun.
func (s *Source) withdraw(t *task) {
	if r := s.byID[t.Runner]; r != nil && r.task == t {
		s.release(r)
	}
	s.queue = slices.DeleteFunc(s.queue, func(x *task) bool { return x == t })
	s.dropTask(t)
	s.signal()
}

func notAdmin(what string) error {
	return fmt.Errorf("%w: this token may report, but not %s; use one made with --admin", store.ErrForbidden, what)
}

// available reports whether a runner can be given work.
func (s *Source) available(r *runner, now time.Time) bool {
	return r.task == nil && r.Requested == store.Enabled && r.Observed == store.Enabled && r.Problem == "" && !r.Idle && !r.unheard &&
		r.Lost.IsZero() && now.Sub(r.Heard) < s.cfg.Late
}

// dispatch gives the tasks that wait to the runners that are available, the oldest to the oldest.
func (s *Source) dispatch(now time.Time) {
	if len(s.queue) == 0 {
		return
	}
	var free []*runner
	for _, r := range s.byID {
		if s.available(r, now) {
			free = append(free, r)
		}
	}
	slices.SortFunc(free, func(a, b *runner) int { return cmp.Or(a.Registered.Compare(b.Registered), cmp.Compare(a.ID, b.ID)) })
	for _, r := range free {
		if !s.assign(r, now) {
			return
		}
	}
}

// assign gives a runner the task that waits longest; false if none does.
func (s *Source) assign(r *runner, now time.Time) bool {
	if len(s.queue) == 0 {
		return false
	}
	t := s.queue[0]
	s.queue = s.queue[1:]
	t.Runner, t.Claimed, t.Handed = r.ID, now, 0
	r.task = t
	s.book.task(t.ID)
	s.touch(r)
	return true
}

// release takes a task from a runner that never fetched it, and puts it first in the queue.
func (s *Source) release(r *runner) {
	t := r.task
	r.task, t.Runner, t.Claimed, t.Handed = nil, 0, time.Time{}, 0
	s.queue = slices.Insert(s.queue, 0, t)
	s.book.task(t.ID)
	s.touch(r)
}

// hand counts that a task goes out to its runner. One that was handed out too often without having begun has failed.
func (s *Source) hand(r *runner, t *task, now time.Time) (news bool) {
	if t.Handed >= maxHanded {
		s.finish(t, true, fmt.Sprintf("It was handed out %d times, and the runner never began it.", t.Handed), now)
		return true
	}
	t.Handed++
	s.book.task(t.ID)
	s.touch(r)
	return true
}

// carried finds a task and its runner, and hears the runner. A task that nobody knows is nil: Plue answers it without complaint.
func (s *Source) carried(g store.Grant, id int64, now time.Time) (*task, error) {
	t := s.tasks[id]
	if t == nil || t.Runner == 0 {
		return nil, nil //nolint:nilnil // there is nothing to say, and nothing went wrong
	}
	r := s.byID[t.Runner]
	if !g.Covers(r.Name) {
		return nil, notCovered(r.Name)
	}
	s.hear(r, now)
	return t, nil
}

// Event takes what a runner streams about its task. The first says that it has begun; done and error end it. The rest is kept as
// its last words.
func (s *Source) Event(ctx context.Context, g store.Grant, id int64, e store.TaskEvent) error {
	now := time.Now()
	s.mu.Lock()
	t, err := s.carried(g, id, now)
	if t == nil {
		s.mu.Unlock()
		return err
	}
	t.words.add(e)
	news := t.Begun.IsZero()
	if news {
		t.Begun = now
		s.touch(s.byID[t.Runner])
	}
	switch e.Type {
	case "done":
		news = s.finish(t, false, "", now) || news
	case "error":
		news = s.finish(t, true, e.Text, now) || news
	}
	s.book.task(t.ID)
	s.mu.Unlock()
	if news {
		return s.save(ctx) // the client tries again what it is told has failed
	}
	return nil
}

// Complete ends a task.
func (s *Source) Complete(ctx context.Context, g store.Grant, id int64, success bool) error {
	now := time.Now()
	s.mu.Lock()
	t, err := s.carried(g, id, now)
	news := t != nil && s.finish(t, !success, "", now)
	s.mu.Unlock()
	if err != nil || !news {
		return err
	}
	return s.save(ctx)
}

// finish ends a task and frees its runner. A failure is not taken back by a success that is told later; the other way round it counts.
func (s *Source) finish(t *task, failed bool, message string, now time.Time) (news bool) {
	r := s.byID[t.Runner]
	ended, message := !t.Ended.IsZero(), store.Clean(message, store.MaxMessage)
	if ended && (!failed || t.Failed && (message == "" || t.Error != "")) {
		return false
	}
	if t.Begun.IsZero() && !failed {
		t.Begun = now
	}
	t.Ended, t.Failed = now, failed
	if message != "" {
		t.Error = message
	}
	s.book.task(t.ID)
	s.touch(r)
	if ended {
		return true
	}
	r.task = nil
	r.ended = append(r.ended, t)
	for len(r.ended) > keptTasks {
		s.dropTask(r.ended[0])
		r.ended = r.ended[1:]
	}
	s.settle(r)
	return true
}

// expire drops the tasks of a runner that ended long ago.
func (s *Source) expire(r *runner, now time.Time) {
	for len(r.ended) > 0 && now.Sub(r.ended[0].Ended) >= taskLinger {
		s.dropTask(r.ended[0])
		r.ended = r.ended[1:]
	}
}
