package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

// The load of the year: each runner fails once a day for some minutes, with its component, and has a new version every week, when the board is restarted too.
// Transitions and evidence are kept for 30 days, rollups for the year.
const (
	yearRunners = 1000
	yearDays    = 365
	keptDays    = 30
	dailyActs   = 20 // entries of the audit, which is kept for the year
)

// year is a file that is being filled with a year, in the order of time.
type year struct {
	*board
	t       testing.TB
	rng     *rand.Rand
	pending []store.Change
}

// BenchmarkYear fills a file with a year of 1,000 runners and measures its size, below a gigabyte, and what the queries of each page take,
// below 50 ms. It takes about ten minutes: make bench-year.
func BenchmarkYear(b *testing.B) {
	for b.Loop() {
		d, end := yearOf(b, yearRunners, yearDays)
		if size := compact(b, d); size > 1e9 {
			b.Errorf("%d bytes", size)
		}
		for name, took := range pages(b, d, end) {
			if took > 50*time.Millisecond {
				b.Errorf("%s takes %s", name, took)
			}
		}
	}
}

// TestYear is the same in small, without a clock: what a runner's day costs is what the year follows from.
func TestYear(t *testing.T) {
	const runners, days = 10, 35
	d, end := yearOf(t, runners, days)
	if n := rows(t, d, "SELECT count(*) FROM rollups"); n > runners*days*12 {
		t.Errorf("%d rows of uptime for %d days of runners that fail once a day", n, runners*days)
	}
	if size := compact(t, d); size > runners*days*10_000 {
		t.Errorf("%d bytes", size)
	}
	if len(pages(t, d, end)) == 0 {
		t.Error("no page was asked for")
	}
}

func yearOf(t testing.TB, runners, days int) (d *sqlite.DB, end time.Time) {
	t.Helper()
	d = fresh(t)
	y := &year{board: newBoard(t, d), t: t, rng: rand.New(rand.NewPCG(1, 2))}
	fleet := make([]*store.Runner, runners)
	for i := range fleet {
		fleet[i] = runner(fmt.Sprintf("runner-%04d", i), store.Healthy, 2)
	}
	y.record(y.apply(epoch, store.Touched{Runners: fleet, Sources: prod}))
	start := time.Now()
	for day := range days {
		y.day(day, runners, day >= days-keptDays)
		y.act(day, runners)
	}
	end = epoch.Add(time.Duration(days) * 24 * time.Hour)
	cut := end.Add(-keptDays * 24 * time.Hour)
	if _, err := d.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	if _, err := d.PruneEvidence(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	t.Logf("written in %s", time.Since(start).Round(time.Second))
	for _, table := range []string{"transitions", "evidence", "proofs", "rollups", "observed", "standings", "audit"} {
		t.Logf("%-12s %9d rows", table, rows(t, d, "SELECT count(*) FROM "+table))
	}
	return d, end
}

// compact is the size of the file without the room that is free for use again.
func compact(t testing.TB, d *sqlite.DB) int64 {
	t.Helper()
	copied := t.TempDir() + "/copy.db"
	if err := d.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("size %.1f MB", float64(info.Size())/1e6)
	return info.Size()
}

// day lets each runner fail once and recover, in batches of an hour; on some days the program is not there for a while.
func (y *year) day(day, runners int, proof bool) {
	y.t.Helper()
	begin := epoch.Add(time.Duration(day) * 24 * time.Hour)
	type happening struct {
		at     time.Time
		runner int
		health store.Health
	}
	var all []happening
	for i := range runners {
		at := begin.Add(time.Duration(y.rng.Int64N(int64(23 * time.Hour))))
		all = append(all, happening{at, i, store.Unhealthy}, happening{at.Add(time.Duration(1+y.rng.IntN(40)) * time.Minute), i, store.Healthy})
	}
	slices.SortFunc(all, func(a, b happening) int { return a.at.Compare(b.at) })
	gap := begin.Add(12 * time.Hour)
	for i, h := range all {
		r := runner(fmt.Sprintf("runner-%04d", h.runner), h.health, 2)
		r.Version = fmt.Sprintf("1.%d.0", day/7)
		r.Components[0].Version = r.Version
		touched := store.Touched{Runners: []*store.Runner{r}}
		if h.health == store.Unhealthy && proof {
			e := proofOf(touched.Runners[0].Ref.Name, store.Reasons()[h.runner%5], h.at)
			e.Fingerprint = fmt.Sprintf("fingerprint %d", h.runner%40)
			for range 4 { // a proof of a usual size: five containers' worth of states and some events
				e.Proof.Containers = append(e.Proof.Containers, e.Proof.Containers[0])
				e.Proof.Events = append(e.Proof.Events, store.ProofEvent{At: h.at, Reason: "BackOff", Message: "Back-off restarting failed container main in pod runner-6c9f7d5b8-x2x7k_runners-eu(0b0ff6a6)", Count: 9, About: "pod"})
			}
			touched.Evidence = []store.Evidence{e}
		}
		y.pending = append(y.pending, y.apply(h.at, touched)...)
		if len(y.pending) >= 500 || i == len(all)-1 {
			y.flush(h.at, day%7 == 0 && h.at.After(gap))
			if h.at.After(gap) {
				gap = begin.Add(48 * time.Hour)
			}
		}
	}
}

// act enters into the audit what people did on a day.
func (y *year) act(day, runners int) {
	y.t.Helper()
	for i := range dailyActs {
		at := epoch.Add(time.Duration(day)*24*time.Hour + time.Duration(i)*time.Hour)
		_, err := y.db.Enter(y.t.Context(), store.Entry{At: at, Ended: at, By: store.Person{Name: fmt.Sprintf("person-%d", i%7)}, Verb: "disable",
			Ref: ref(fmt.Sprintf("runner-%04d", (day+i)%runners)), Note: "disk full", Result: store.ResultDone})
		if err != nil {
			y.t.Fatal(err)
		}
	}
}

// flush writes what has happened. A restart ends what was watched, and begins anew.
func (y *year) flush(at time.Time, restart bool) {
	y.t.Helper()
	y.record(y.pending)
	y.pending = y.pending[:0]
	end := at
	if restart {
		end = at.Add(-10 * time.Minute)
	}
	if _, err := y.db.Writer().ExecContext(y.t.Context(), "UPDATE observed SET until = max(until, ?) WHERE started = (SELECT max(started) FROM observed)", end.UnixMilli()); err != nil {
		y.t.Fatal(err)
	}
	if restart {
		if _, err := y.db.Writer().ExecContext(y.t.Context(), "INSERT INTO observed VALUES ('prod', ?, ?) ON CONFLICT DO NOTHING", at.UnixMilli(), at.UnixMilli()); err != nil {
			y.t.Fatal(err)
		}
	}
}

// pages measures the queries of each page, the median of eleven.
func pages(t testing.TB, d *sqlite.DB, now time.Time) map[string]time.Duration {
	t.Helper()
	out := map[string]time.Duration{}
	evidence, _, err := d.Failures(t.Context(), store.FailureFilter{Since: now.Add(-30 * 24 * time.Hour)}, 10)
	if err != nil || len(evidence) == 0 {
		t.Fatalf("%d failures, %v", len(evidence), err)
	}
	ask := func(f store.FailureFilter) func() (int, error) {
		return func() (int, error) {
			out, _, err := d.Failures(t.Context(), f, 1000) // as many as the page shows
			return len(out), err
		}
	}
	day, month := now.Add(-24*time.Hour), now.Add(-30*24*time.Hour)
	for _, q := range []struct {
		name string
		do   func() (int, error)
	}{
		{"/failures, 24 h", ask(store.FailureFilter{Since: day})},
		{"/failures, 30 d", ask(store.FailureFilter{Since: month})},
		{"/failures, 30 d, two reasons", ask(store.FailureFilter{Since: month, Reasons: []store.Reason{store.CrashLoop, store.RuntimeLost}})},
		{"/failures, 30 d, one namespace of all", ask(store.FailureFilter{Since: month, Namespaces: []string{"runners-eu"}})},
		{"/failures/{id}", func() (int, error) { _, err := d.Evidence(t.Context(), evidence[0].ID); return 1, err }},
		{"/runners/…: transitions", func() (int, error) {
			out, err := d.Transitions(t.Context(), ref("runner-0001"), 50)
			return len(out), err
		}},
		{"/runners/…: evidence", func() (int, error) {
			out, err := d.EvidenceOf(t.Context(), ref("runner-0001"), month, 200)
			return len(out), err
		}},
		{"/runners/…: uptime of 7 d", func() (int, error) {
			out, err := d.Uptime(t.Context(), ref("runner-0001"), now.Add(-7*24*time.Hour), now)
			return len(out[""]), err
		}},
		{"uptime of the year", func() (int, error) {
			out, err := d.Uptime(t.Context(), ref("runner-0001"), epoch, now)
			return len(out[""]), err
		}},
		{"/versions: since when", func() (int, error) { out, err := d.VersionsSince(t.Context()); return len(out), err }},
		{"/audit, latest", func() (int, error) {
			out, err := d.Entries(t.Context(), store.EntryFilter{}, 100)
			return len(out), err
		}},
		{"/audit, a word that stands nowhere", func() (int, error) {
			out, err := d.Entries(t.Context(), store.EntryFilter{Text: "nowhere"}, 100)
			return len(out), err
		}},
		{"/api/events, latest", func() (int, error) { out, err := d.FeedBefore(t.Context(), 0, 256); return len(out), err }},
		{"/api/stream, from the first kept", func() (int, error) { out, err := d.Feed(t.Context(), 0, 256); return len(out), err }},
	} {
		var took []time.Duration
		n := 0
		for range 11 {
			begin := time.Now()
			var err error
			if n, err = q.do(); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		t.Logf("%-40s %5d rows, median %6.2f ms, worst %6.2f ms", q.name, n, ms(took[5]), ms(took[10]))
		out[q.name] = took[5]
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
