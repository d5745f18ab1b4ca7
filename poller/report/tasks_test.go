package report_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller"
	"trackside/poller/report"
	"trackside/store"
)

func token(text string, i int) store.TaskEvent {
	return store.TaskEvent{Type: "token", Text: text, Message: "m", Index: i}
}

// A task goes to the runner that registered first and was heard lately, is fetched with its next registration, and ends.
func TestTaskLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("silent"))
		w.pass(31 * time.Second)
		w.register(plue("first"))
		w.pass(time.Second)
		w.register(plue("second"))
		task := w.queue("agent")
		if task.Runner != 2 {
			t.Fatalf("the task went to runner %d, not to the oldest that was heard", task.Runner)
		}
		w.pass(0)
		w.wants("first", store.Healthy, "claimed", "carries task-1")
		if a := w.register(plue("second")); a.Task != nil {
			t.Errorf("another runner got %+v", a.Task)
		}
		a := w.register(plue("first"))
		if a.Task == nil || a.Task.ID != 1 || a.Task.Type != "agent" || string(a.Task.Config) != `{"a":1}` {
			t.Fatalf("the runner got %+v", a.Task)
		}
		w.event(1, token("thinking", 0))
		w.pass(0)
		if got := w.runner("first").Workloads[0]; got.Phase != "running" || got.Health != store.Healthy {
			t.Errorf("the workload is %+v", got)
		}
		w.event(1, store.TaskEvent{Type: "done", Index: -1})
		w.pass(0)
		if got := w.runner("first").Workloads[0]; got.Phase != "succeeded" || !contains(got.Containers[0].Message, "thinking") {
			t.Errorf("the workload is %+v", got)
		}
		w.register(plue("first"))
		w.pass(0)
		w.wants("first", store.Healthy, "available")
		w.pass(time.Hour)
		if n := len(w.runner("first").Workloads); n != 0 {
			t.Errorf("an hour later %d workloads are shown", n)
		}
	})
}

// A task that failed is unhealthy with its last words, and degrades its runner for a while.
// Work that nobody has taken yet is seen where the source is: how much, and since when.
func TestWaitingTasksAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		says := func(want string) {
			t.Helper()
			w.pass(0)
			src, _ := w.live.Current().Source("reported", report.SourceName)
			if got := src.Note.At(time.Now()); got != want {
				t.Errorf("the source says %q, want %q", got, want)
			}
		}
		w.queue("agent")
		w.pass(2*time.Minute - 4*poller.Ceiling)
		says("1 task waits for a runner, for 2 min")
		since := time.Now()
		w.queue("agent")
		w.queue("agent")
		says("3 tasks wait for a runner, the oldest for 2 min")
		if src, _ := w.live.Current().Source("reported", report.SourceName); src.State != store.SourceLive || src.Since.After(since) {
			t.Errorf("the source is %+v", src)
		}
		w.restart(time.Minute)
		says("3 tasks wait for a runner, the oldest for 3 min")
		w.register(plue("first"))
		says("2 tasks wait for a runner, the oldest for 1 min")
		w.register(plue("second"))
		w.register(plue("third"))
		says("")
	})
}

func TestTaskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("r"))
		w.queue("agent")
		w.register(plue("r"))
		w.event(1, store.TaskEvent{Type: "log", Level: "stderr", Text: "disk full"})
		w.event(1, store.TaskEvent{Type: "error", Text: "could not write"})
		for range 3 { // what follows changes nothing
			if err := w.source.Complete(context.Background(), anyone, 1, true); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(0)
		w.wants("r", store.Degraded, "available", "task-1 failed", "could not write")
		got := w.runner("r").Workloads[0]
		if got.Health != store.Unhealthy || got.Phase != "failed" || !contains(string(got.Why), "could not write") || !contains(got.Message, "stderr: disk full") {
			t.Errorf("the workload is %+v", got)
		}
		for range 150 {
			w.register(plue("r"))
			w.pass(4 * time.Second)
		}
		w.wants("r", store.Healthy, "available")
	})
}

// Complete alone ends a task, as success or failure; an error told afterwards is kept.
func TestComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("r"))
		w.queue("agent")
		w.register(plue("r"))
		if err := w.source.Complete(context.Background(), anyone, 1, false); err != nil {
			t.Fatal(err)
		}
		w.event(1, store.TaskEvent{Type: "error", Text: "late words"})
		w.pass(0)
		if got := w.runner("r").Workloads[0]; got.Phase != "failed" || !contains(string(got.Why), "late words") {
			t.Errorf("the workload is %+v", got)
		}
		if err := w.source.Complete(context.Background(), anyone, 99, true); err != nil {
			t.Errorf("a task that nobody knows: %v", err)
		}
		if err := w.source.Complete(context.Background(), store.Grant{Name: "x"}, 1, true); !errors.Is(err, store.ErrForbidden) {
			t.Errorf("another runner's task: %v", err)
		}
	})
}

// An answer that was lost is given again, thrice; a claimed runner that goes silent loses what it never fetched to another.
func TestHandingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("r"))
		w.queue("agent")
		for i := range 3 {
			if a := w.register(plue("r")); a.Task == nil || a.Task.ID != 1 {
				t.Fatalf("time %d: the runner got %+v", i, a.Task)
			}
		}
		if a := w.register(plue("r")); a.Task != nil {
			t.Errorf("a task that never begins is handed out for ever: %+v", a.Task)
		}
		w.pass(0)
		if got := w.runner("r").Workloads[0]; got.Phase != "failed" || !contains(string(got.Why), "handed out 3 times") {
			t.Errorf("the workload is %+v", got)
		}
		w.queue("agent")
		w.pass(20 * time.Second)
		w.register(plue("other"))
		w.pass(11 * time.Second) // r was heard 31 s ago and never asked for its task
		if a := w.register(plue("other")); a.Task == nil || a.Task.ID != 2 {
			t.Errorf("the other runner got %+v", a.Task)
		}
	})
}

// A runner that registers while it carries a task has given it up.
func TestAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("r"))
		w.queue("agent")
		w.register(plue("r"))
		w.event(1, token("x", 0))
		w.queue("agent")
		if a := w.register(plue("r")); a.Task == nil || a.Task.ID != 2 {
			t.Errorf("the runner got %+v", a.Task)
		}
		w.pass(0)
		if got := w.runner("r").Workloads[0]; got.Phase != "failed" || !contains(string(got.Why), "without having finished") {
			t.Errorf("the workload is %+v", got)
		}
	})
}

// Plue's client sends no heartbeats and is silent while a tool works: that proves nothing, in either direction, and the board says so.
// A runner that does send heartbeats is lost when they stop.
func TestSilentAtWork(t *testing.T) {
	for _, beats := range []bool{false, true} {
		t.Run(fmt.Sprintf("beats=%t", beats), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.stop()
				w.register(plue("r"))
				if beats {
					w.beat("r")
				}
				w.queue("agent")
				w.register(plue("r"))
				w.event(1, token("x", 0))
				w.pass(31 * time.Second)
				if beats {
					w.wants("r", store.Degraded, "late")
				} else {
					w.wants("r", store.Healthy, "claimed")
				}
				w.pass(30 * time.Second)
				if beats {
					w.wants("r", store.Unhealthy, "dead", "It carried task-1")
					if got := w.runner("r").Workloads[0]; got.Reason != store.RuntimeLost {
						t.Errorf("the workload is %+v", got)
					}
					return
				}
				w.wants("r", store.Unknown, "claimed", "sends no heartbeats", "nobody can say whether it lives")
				w.pass(time.Hour)
				w.wants("r", store.Unhealthy, "dead")
			})
		})
	}
}

// A restart forgets no task: not the one that waits, not the one that runs, not its last words.
func TestTasksOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		w.register(plue("r"))
		w.queue("agent")
		w.register(plue("r"))
		w.event(1, token("before", 0))
		if task := w.queue("workflow"); task.Runner != 0 {
			t.Fatalf("a busy runner got %+v", task)
		}
		w.restart(time.Minute)
		w.event(1, token(" and after", 1))
		w.event(1, store.TaskEvent{Type: "done"})
		if a := w.register(plue("r")); a.Task == nil || a.Task.ID != 2 || a.Task.Type != "workflow" {
			t.Fatalf("the runner got %+v", a.Task)
		}
		w.pass(0)
		if got := w.runner("r").Workloads[0]; got.Phase != "succeeded" || !contains(got.Containers[0].Message, "before") || !contains(got.Containers[0].Message, "after") {
			t.Errorf("the workload is %+v", got)
		}
	})
}

// What is promised is on disk: while the disk fails, work is refused, and runners are heard all the same.
func TestDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("r"))
		w.queue("agent")
		w.book.fail(store.ErrUnavailable)
		if _, err := w.source.Queue(context.Background(), admin, store.Task{Type: "agent"}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a task was taken: %v", err)
		}
		if _, err := w.source.Register(context.Background(), anyone, plue("r")); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a task was handed out: %v", err)
		}
		w.register(plue("new"))
		w.pass(0)
		w.wants("new", store.Healthy, "available")
		w.book.fail(nil)
		if a := w.register(plue("r")); a.Task == nil || a.Task.ID != 1 {
			t.Errorf("the runner got %+v", a.Task)
		}
		w.pass(saveLag)
		if len(w.book.runners) != 2 || len(w.book.tasks) != 1 {
			t.Errorf("the book holds %d runners and %d tasks", len(w.book.runners), len(w.book.tasks))
		}
	})
}

// The last words are bounded, whatever is said, and a token that is sent twice counts once.
func TestWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("r"))
		w.queue("agent")
		w.register(plue("r"))
		for i := range 500 {
			w.event(1, store.TaskEvent{Type: "log", Level: "info", Text: fmt.Sprintf("line %d %s", i, strings.Repeat("x", i*10))})
		}
		w.event(1, token("one\ntwo", 0))
		w.event(1, token("one\ntwo", 0))
		w.event(1, token("three\x00\x1b[31m\n", 1))
		w.event(1, store.TaskEvent{Type: "token", Text: strings.Repeat("y", 1<<20), Message: "n", Index: 0})
		w.event(1, store.TaskEvent{Type: "nonsense", Text: "ignored"})
		w.event(1, store.TaskEvent{Type: "error", Text: strings.Repeat("z", 1<<16)})
		w.pass(0)
		kept := w.book.tasks[1].Words
		size := 0
		for _, l := range kept {
			size += len(l)
		}
		if len(kept) > 50 || size > 16<<10 {
			t.Errorf("%d lines of %d bytes are kept", len(kept), size)
		}
		all := strings.Join(kept, "\n")
		if !contains(all, "one\ntwothree [31m") || contains(all, "twotwo") || contains(all, "\x00") || contains(all, "ignored") {
			t.Errorf("the last words are %.300q", all)
		}
		if got := w.runner("r").Workloads[0]; len(got.Message) > store.MaxMessage || len(got.Why) > 5000 {
			t.Errorf("the message is %d bytes, the sentence %d", len(got.Message), len(got.Why))
		}
	})
}
