package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

// fleet records a fleet of n runners with two components and five workloads each.
func fleet(b *testing.B, n int) *board {
	b.Helper()
	brd := newBoard(b, fresh(b))
	runners := make([]*store.Runner, n)
	for i := range runners {
		runners[i] = runner(fmt.Sprintf("runner-%04d", i), store.Healthy, 5)
	}
	brd.observe(at(0), runners...)
	return brd
}

// BenchmarkRecordOneChange records one runner that fails or recovers: its row, a component's row and two transitions.
func BenchmarkRecordOneChange(b *testing.B) {
	for _, n := range []int{100, 2000} {
		b.Run(fmt.Sprintf("runners=%d", n), func(b *testing.B) {
			brd := fleet(b, n)
			i := 0
			for b.Loop() {
				i++
				b.StopTimer()
				r := runner(fmt.Sprintf("runner-%04d", i*7%n), store.Unhealthy, 5)
				if old, err := brd.snap.Runner(r.Ref); err == nil && old.Failing() {
					r = runner(r.Ref.Name, store.Degraded, 5)
				}
				changes := brd.apply(at(i), store.Touched{Runners: []*store.Runner{r}})
				b.StartTimer()
				brd.record(changes)
			}
		})
	}
}

// BenchmarkRestore2000 reads 2,000 runners, 4,000 components and 10,000 workloads.
func BenchmarkRestore2000(b *testing.B) {
	brd := fleet(b, 2000)
	for b.Loop() {
		if _, err := brd.db.Restore(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMillionTransitions fills a file with a million transitions of 2,000 runners and measures its size, the reading of
// one page, of the last minute of all, and the pruning of half.
func BenchmarkMillionTransitions(b *testing.B) {
	brd := fleet(b, 2000)
	for b.Loop() {
		start := time.Now()
		fillTransitions(b, brd)
		b.ReportMetric(1e6/time.Since(start).Seconds(), "rows/s")
		b.ReportMetric(float64(rows(b, brd.db, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))/1e6, "B/row")
		if _, err := brd.db.Writer().ExecContext(b.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			b.Fatal(err)
		}
		if info, err := os.Stat(brd.db.Path()); err == nil {
			b.ReportMetric(float64(info.Size())/1e6, "MB")
		}
		measure(b, "page-µs", func() error {
			_, err := brd.db.Transitions(b.Context(), ref("runner-0100"), 50)
			return err
		})
		measure(b, "since-µs", func() error {
			_, err := brd.db.Since(b.Context(), at(999_940), 1000)
			return err
		})
		measure(b, "prune-half-µs", func() error { return prune(b.Context(), brd.db) })
	}
}

func prune(ctx context.Context, d *sqlite.DB) error {
	n, err := d.Prune(ctx, at(500_000))
	if err == nil && n < 490_000 {
		err = fmt.Errorf("%d pruned", n)
	}
	return err
}

func measure(b *testing.B, unit string, f func() error) {
	b.Helper()
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(start).Microseconds()), unit)
}

// fillTransitions records a million transitions, a thousand in each transaction.
func fillTransitions(b *testing.B, brd *board) {
	b.Helper()
	const batch = 1000
	for i := 0; i < 1_000_000; i += batch {
		events := make([]store.Event, batch)
		for j := range events {
			n := i + j
			h := store.Health(1 + n/2000%3)
			events[j] = store.Event{At: at(n), Kind: store.EventHealth, Ref: ref(fmt.Sprintf("runner-%04d", n%2000)), Incarnation: "b1946ac9-2492-4d23-a1b3-0f6a9c1e7d55",
				Component: "agent-manager", From: "healthy", To: h.String(), Verdict: verdict(h)}
		}
		brd.record([]store.Change{{Events: events}})
	}
}
