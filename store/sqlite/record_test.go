package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"trackside/store"
)

// TestRecordOnlyWhatChanged counts the rows that SQLite touches: the expected rows and one of meta.
func TestRecordOnlyWhatChanged(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.observe(at(0), runner("a", store.Healthy, 3), runner("b", store.Healthy, 3))
	changed := func(change func(*store.Runner)) *store.Runner {
		r := runner("a", store.Healthy, 3)
		change(r)
		return r
	}
	tests := []struct {
		name    string
		touched store.Touched
		want    int64
	}{
		{"nothing", store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 3)}}, 0},
		{"a workload's node", store.Touched{Runners: []*store.Runner{changed(func(r *store.Runner) { r.Workloads[1].Node = "n2" })}}, 1},
		{"a component's restarts, and the workload back", store.Touched{Runners: []*store.Runner{changed(func(r *store.Runner) { r.Components[0].Restarts++ })}}, 2},
		{"a component's version: its row and a transition", store.Touched{Runners: []*store.Runner{changed(func(r *store.Runner) {
			r.Components[0].Restarts++
			r.Components[0].Version = "1.3.0"
		})}}, 2},
		// What ends is counted as well: a row of rollups, and the standing.
		{"one component and two workloads gone", store.Touched{Runners: []*store.Runner{changed(func(r *store.Runner) {
			r.Components = r.Components[1:]
			r.Workloads = r.Workloads[2:]
		})}}, 3 + 2},
		{"health of the runner: its row and a transition", store.Touched{Runners: []*store.Runner{changed(func(r *store.Runner) {
			r.Verdict = verdict(store.Degraded)
			r.Components = r.Components[1:]
			r.Workloads = r.Workloads[2:]
		})}}, 2 + 2},
		{"a source, and that its cluster is watched", store.Touched{Sources: []store.Source{{Cluster: "prod", Name: "api", State: store.SourceLive}}}, 2},
		{"a runner gone: its row, a component, a workload and a transition", store.Touched{Gone: []store.Ref{ref("a")}}, 4 + 2*2 + 1},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := rows(t, d, "SELECT total_changes()")
			changes := b.apply(at(i+1), tt.touched)
			b.record(changes)
			if got := rows(t, d, "SELECT total_changes()") - before - 1; got != tt.want {
				t.Errorf("%d rows written, want %d", got, tt.want)
			}
		})
	}
	if n := rows(t, d, "SELECT (SELECT count(*) FROM components) * 100 + (SELECT count(*) FROM workloads)"); n != 203 {
		t.Errorf("components and workloads left: %d, want 203", n)
	}
}

// TestRecordAgain retries a batch as it was, and merged with a later one, after an attempt that failed before it wrote anything
// and after one that wrote everything but could not say so.
func TestRecordAgain(t *testing.T) {
	for name, written := range map[string]bool{"nothing was written": false, "all was written": true} {
		t.Run(name, func(t *testing.T) {
			d := fresh(t)
			b := newBoard(t, d)
			b.observe(at(0), runner("a", store.Healthy, 1))
			first := b.apply(at(1), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 2)}})
			b.fail(first, written)
			second := b.apply(at(2), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 1)}})
			merged := store.Change{Before: first[0].Before, After: second[0].After, Events: slices.Concat(first[0].Events, second[0].Events)}
			b.record([]store.Change{merged})
			sameFleet(t, d, b.snap)
			b.record([]store.Change{merged})
			sameFleet(t, d, b.snap)

			events, err := d.Transitions(t.Context(), ref("a"), 100)
			if err != nil {
				t.Fatal(err)
			}
			sameEvents(t, events, slices.Concat(b.snapEvents(), first[0].Events, second[0].Events))
		})
	}
}

// fail makes an attempt that fails; before, it writes the batch behind the back of that attempt, if told so.
func (b *board) fail(changes []store.Change, written bool) {
	b.t.Helper()
	if written {
		b.record(changes)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	wantError(b.t, b.db.Record(ctx, b.snap, changes), store.ErrUnavailable)
}

// snapEvents are the transitions of the first observation of runner a.
func (b *board) snapEvents() []store.Event {
	_, changes := store.Apply(&store.Snapshot{}, store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 1)}}, at(0))
	return changes[0].Events
}

// TestRecordOneMillisecond: what happened within one millisecond in several batches stays, in order.
func TestRecordOneMillisecond(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	var want []store.Event
	for _, h := range []store.Health{store.Healthy, store.Degraded, store.Unhealthy, store.Healthy} {
		changes := b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", h, 0)}})
		b.record(changes)
		want = append(want, changes[0].Events...)
	}
	events, err := d.Transitions(t.Context(), ref("a"), 100)
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, events, want)
}

// TestRecordHeals: a row that a hand deleted is written again with the runner's next change.
func TestRecordHeals(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.observe(at(0), runner("a", store.Healthy, 2))
	if _, err := d.Writer().ExecContext(t.Context(), "DELETE FROM runners"); err != nil {
		t.Fatal(err)
	}
	r := runner("a", store.Healthy, 2)
	r.Components[0].Restarts++
	b.observe(at(1), r)
	sameFleet(t, d, b.snap)
}

// TestRecordAnew: a change without Before leaves nothing of what was there.
func TestRecordAnew(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.observe(at(0), runner("a", store.Healthy, 5))
	b = newBoard(t, d)
	b.observe(at(1), runner("a", store.Degraded, 1))
	sameFleet(t, d, b.snap)
}

func TestRecordDeadline(t *testing.T) {
	hold := map[string]func(t *testing.T, b *board) (release func()){
		"a write that hangs": func(t *testing.T, b *board) func() {
			release, err := b.db.HoldTurn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return release
		},
		"another program's transaction": func(t *testing.T, b *board) func() { return holdLock(t, b.db.Path()) },
	}
	for name, f := range hold {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, fresh(t))
			b.observe(at(0), runner("a", store.Healthy, 1))
			changes := b.apply(at(1), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 1)}})
			release := f(t, b)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := b.db.Record(ctx, b.snap, changes)
			wantError(t, err, store.ErrUnavailable, b.db.Path())
			if took := time.Since(start); took > time.Second {
				t.Errorf("Record came back after %v", took)
			}
			release()
			b.record(changes)
			sameFleet(t, b.db, b.snap)
		})
	}
}

// holdLock begins a write in a connection of its own, as a person in sqlite3 does.
func holdLock(t *testing.T, path string) (release func()) {
	t.Helper()
	pool, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), pool.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestRecordCancelled(t *testing.T) {
	b := newBoard(t, fresh(t))
	changes := b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 1)}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.db.Record(ctx, b.snap, changes)
	wantError(t, err, store.ErrUnavailable)
	wantError(t, err, context.Canceled)
	b.record(changes)
	sameFleet(t, b.db, b.snap)
}

// TestRecordInterrupted ends the context at many points of a large batch: what is on disk is the old fleet or the new one.
func TestRecordInterrupted(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.observe(at(0), runner("a", store.Healthy, 1))
	old := b.snap
	changes := b.apply(at(1), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 1), runner("b", store.Healthy, 300)}})
	for after := 100 * time.Microsecond; after < 50*time.Millisecond; after = after * 3 / 2 {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		err := d.Record(ctx, b.snap, changes)
		cancel()
		if err != nil {
			wantError(t, err, store.ErrUnavailable)
			wantError(t, err, context.DeadlineExceeded, "not done in time")
		}
		got, restoreErr := d.Restore(t.Context())
		if restoreErr != nil {
			t.Fatal(restoreErr)
		}
		if got.Len() == old.Len() && err != nil {
			sameFleet(t, d, old)
		} else {
			sameFleet(t, d, b.snap)
		}
	}
	b.record(changes)
	sameFleet(t, d, b.snap)
	if n := rows(t, d, "SELECT count(*) FROM transitions"); n != 4 {
		t.Errorf("%d transitions, want those of 4 changes", n)
	}
}

// TestRecordDiskFull bounds the file, fills it, and looks at what is left; then there is room again.
func TestRecordDiskFull(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.observe(at(0), runner("a", store.Healthy, 2))
	good := b.snap
	limit := rows(t, d, "PRAGMA page_count") + 2
	if _, err := d.Writer().ExecContext(t.Context(), "PRAGMA max_page_count = "+itoa(limit)); err != nil {
		t.Fatal(err)
	}
	changes := b.apply(at(1), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 2), runner("b", store.Healthy, 500)}})
	wantError(t, d.Record(t.Context(), b.snap, changes), store.ErrUnavailable, d.Path(), "the disk is full")
	sameFleet(t, d, good)
	if n := rows(t, d, "SELECT count(*) FROM transitions"); n != 1 {
		t.Errorf("%d transitions after a failed batch, want 1", n)
	}
	if _, err := d.Writer().ExecContext(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	b.record(changes)
	sameFleet(t, d, b.snap)
}
