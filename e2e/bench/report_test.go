package bench

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"trackside/e2e/client"
	"trackside/e2e/rig"
)

// The fleet that reports: as many runners, each as often, for as long.
const (
	reporters   = 1000
	reportEvery = 5 * time.Second
	reportFor   = 30 * time.Second
)

// BenchmarkReports has 1,000 runners report every five seconds, half of them by heartbeat and half by registering anew as Plue's client does,
// each over a connection of its own, and measures what a report costs the board and how soon it is answered.
func BenchmarkReports(b *testing.B) {
	board, err := rig.NewBoard(b.TempDir(), nowhere(b), "--log-level", "info", "--report-open")
	if err != nil {
		b.Fatal(err)
	}
	board.Start(b)
	b.Cleanup(board.Kill)
	for range b.N {
		ctx, cancel := context.WithCancel(b.Context())
		runners := make([]*client.Runner, reporters)
		for i := range runners {
			runners[i] = &client.Runner{Base: board.URL, Name: fmt.Sprintf("runner-%04d", i), HTTP: &http.Client{Transport: &http.Transport{MaxIdleConns: 1}}}
		}
		each(b, runners, func(r *client.Runner) error { _, err := r.Register(ctx); return err })
		before := cpu(b, board.PID())
		start := time.Now()
		took := reportAll(ctx, b, runners)
		used := cpu(b, board.PID()) - before
		slices.Sort(took)
		b.ReportMetric(float64(used.Microseconds())/float64(len(took)), "cpu-µs/report")
		b.ReportMetric(100*used.Seconds()/time.Since(start).Seconds(), "cpu-%")
		b.ReportMetric(float64(len(took)), "reports")
		b.ReportMetric(float64(percentile(took, 0.50).Microseconds())/1000, "answer-p50-ms")
		b.ReportMetric(float64(percentile(took, 0.99).Microseconds())/1000, "answer-p99-ms")
		b.ReportMetric(peakRSS(b, board.PID()), "peak-MiB")
		cancel()
		for _, r := range runners {
			r.HTTP.CloseIdleConnections()
		}
	}
}

// nowhere is a kubeconfig of a cluster that is not there: the reports alone are measured.
func nowhere(b *testing.B) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:9"}}],"contexts":[{"name":"c","context":{"cluster":"c"}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// each calls f for every runner, 16 at a time.
func each(b *testing.B, runners []*client.Runner, f func(*client.Runner) error) {
	b.Helper()
	var wg sync.WaitGroup
	work := make(chan *client.Runner)
	for range 16 {
		wg.Go(func() {
			for r := range work {
				if err := f(r); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, r := range runners {
		work <- r
	}
	close(work)
	wg.Wait()
}

// reportAll has every runner report at its own moment of each period, and returns how long the answers took. A report waits for no other.
func reportAll(ctx context.Context, b *testing.B, runners []*client.Runner) []time.Duration {
	b.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	start := time.Now()
	for i, r := range runners {
		wg.Go(func() {
			var took []time.Duration
			for at := reportEvery * time.Duration(i) / reporters; at < reportFor; at += reportEvery {
				time.Sleep(time.Until(start.Add(at)))
				begun := time.Now()
				if err := reportOnce(ctx, r, i%2 == 0); err != nil {
					b.Error(err)
					return
				}
				took = append(took, time.Since(begun))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	wg.Wait()
	return all
}

func reportOnce(ctx context.Context, r *client.Runner, beat bool) error {
	if beat {
		_, err := r.Heartbeat(ctx, "")
		return err
	}
	a, err := r.Register(ctx)
	if err == nil && a.RunnerID == 0 {
		err = fmt.Errorf("the answer is %+v", a)
	}
	return err
}
