package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

// prod is the cluster of all runners here, answering.
var prod = []store.Source{{Cluster: "prod", Name: "api", State: store.SourceLive}}

// uptime adds up how a runner, or a component, was within n hours from the epoch.
func uptime(t *testing.T, d *sqlite.DB, name, component string, now time.Time, n int) store.Account {
	t.Helper()
	all, err := d.Uptime(t.Context(), ref(name), epoch, now)
	if err != nil {
		t.Fatal(err)
	}
	var sum store.Account
	for _, a := range store.Hourly(all[component], epoch, n) {
		if a.Total() > time.Hour {
			t.Errorf("an hour of %v: %+v", a.Total(), a)
		}
		sum.Add(a)
	}
	return sum
}

// hear says every ten seconds that the cluster answers, as the program does.
func hear(t *testing.T, d *sqlite.DB, from, to int) {
	t.Helper()
	for s := from; s <= to; s += 10 {
		if err := d.Hear(t.Context(), "prod", at(s)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantAccount(t *testing.T, what string, got store.Account, healthy, unhealthy, unseen, failures, recoveries, recovering int) {
	t.Helper()
	s := func(d time.Duration) int { return int(d / time.Second) }
	if s(got.In[store.Healthy]) != healthy || s(got.In[store.Unhealthy]) != unhealthy || s(got.Unseen) != unseen ||
		got.Failures != failures || got.Recoveries != recoveries || s(got.Recovering) != recovering {
		t.Errorf("%s: healthy %d s, unhealthy %d s, unseen %d s, %d failures, %d recoveries in %d s; want %d, %d, %d, %d, %d, %d", what, s(got.In[store.Healthy]),
			s(got.In[store.Unhealthy]), s(got.Unseen), got.Failures, got.Recoveries, s(got.Recovering), healthy, unhealthy, unseen, failures, recoveries, recovering)
	}
}

func TestUptimeCountsWhatWasSeen(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 1)}, Sources: prod}))
	hear(t, d, 10, 3600)
	b.observe(at(3605), runner("a", store.Unhealthy, 1))
	hear(t, d, 3610, 3900)
	wantAccount(t, "failing", uptime(t, d, "a", "", at(3905), 3), 3605, 300, 0, 1, 0, 0)
	b.observe(at(3905), runner("a", store.Healthy, 1))
	hear(t, d, 3910, 7200)
	wantAccount(t, "the runner", uptime(t, d, "a", "", at(7205), 3), 3605+3300, 300, 0, 1, 1, 300)
	wantAccount(t, "its component", uptime(t, d, "a", "agent-manager", at(7205), 3), 3605+3300, 300, 0, 1, 1, 300)
	wantAccount(t, "a component that did not change", uptime(t, d, "a", "tool-manager", at(7205), 3), 7205, 0, 0, 0, 0, 0)
	if n := rows(t, d, "SELECT count(*) FROM rollups WHERE component = 'tool-manager'"); n != 0 {
		t.Errorf("%d rows of a component that did not change", n)
	}
	if all, err := d.Uptime(t.Context(), ref("nobody"), epoch, at(1)); len(all) != 0 || err != nil {
		t.Errorf("nobody: %v, %v", all, err)
	}
}

// Time in which no process ran is unseen, whatever was before and after; the time up to the last sign of life is not.
func TestUptimeAcrossRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trackside.db")
	d, err := sqlite.Open(t.Context(), path, sqlite.WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	b := newBoard(t, d)
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("quiet", store.Healthy, 0), runner("falls", store.Healthy, 0), runner("rises", store.Unhealthy, 0)}, Sources: prod}))
	hear(t, d, 10, 1000)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	d = open(t, path)
	b.db = d
	if b.snap, err = d.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if up := uptime(t, d, "quiet", "", at(1900), 2); up.In[store.Healthy] != 1000*time.Second || up.Unseen != 900*time.Second {
		t.Errorf("before the cluster answers: %+v", up)
	}
	b.record(b.apply(at(2000), store.Touched{Runners: []*store.Runner{runner("falls", store.Unhealthy, 0), runner("rises", store.Healthy, 0)}, Sources: prod}))
	hear(t, d, 2010, 5000)
	wantAccount(t, "quiet", uptime(t, d, "quiet", "", at(5000), 3), 4000, 0, 1000, 0, 0, 0)
	wantAccount(t, "falls", uptime(t, d, "falls", "", at(5000), 3), 1000, 3000, 1000, 1, 0, 0)
	wantAccount(t, "rises, nobody saw when", uptime(t, d, "rises", "", at(5000), 3), 3000, 1000, 1000, 1, 0, 0)
}

// A source that stops answering is a gap within one process.
func TestUptimeWhileTheSourceIsSilent(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 0)}, Sources: prod}))
	hear(t, d, 10, 100)
	b.record(b.apply(at(104), store.Touched{Sources: []store.Source{{Cluster: "prod", Name: "api", State: store.SourceStale, Heard: at(100)}}}))
	for range 30 {
		if err := d.Hear(t.Context(), "prod", at(100)); err != nil { // the time it was last heard stands still
			t.Fatal(err)
		}
	}
	wantAccount(t, "silent", uptime(t, d, "a", "", at(400), 2), 100, 0, 300, 0, 0, 0)
	b.record(b.apply(at(400), store.Touched{Sources: prod}))
	hear(t, d, 410, 500)
	wantAccount(t, "back", uptime(t, d, "a", "", at(500), 2), 200, 0, 300, 0, 0, 0)
}

func TestUptimeOutOfServiceAndGone(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	off := runner("a", store.Unknown, 0)
	off.Observed = store.Disabled
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 0)}, Sources: prod}))
	hear(t, d, 10, 100)
	b.observe(at(100), off)
	hear(t, d, 110, 300)
	b.observe(at(300), runner("a", store.Healthy, 0))
	hear(t, d, 310, 400)
	b.record(b.apply(at(400), store.Touched{Gone: []store.Ref{ref("a")}}))
	hear(t, d, 410, 600)
	b.observe(at(600), runner("a", store.Healthy, 0))
	hear(t, d, 610, 650)
	up := uptime(t, d, "a", "", at(650), 1)
	wantAccount(t, "a", up, 150, 100, 0, 1, 0, 0)
	if up.Disabled != 200*time.Second {
		t.Errorf("disabled for %v", up.Disabled)
	}
	if n := rows(t, d, "SELECT count(*) FROM standings"); n != 3 {
		t.Errorf("%d standings, want 3", n)
	}
}

// What is recorded again, alone or merged, counts once.
func TestUptimeOfRepeatedChanges(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 0)}, Sources: prod}))
	hear(t, d, 10, 200)
	first := b.apply(at(100), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 0)}})
	b.fail(first, true)
	second := b.apply(at(160), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 0)}})
	merged := store.Change{Before: first[0].Before, After: second[0].After, Events: append(append([]store.Event(nil), first[0].Events...), second[0].Events...)}
	for range 2 {
		b.record([]store.Change{merged})
		b.record(append(first, second...))
	}
	wantAccount(t, "a", uptime(t, d, "a", "", at(200), 1), 140, 60, 0, 1, 1, 60)

	never := newBoard(t, fresh(t)) // both in one batch, after an attempt that wrote nothing
	never.record(never.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 0)}, Sources: prod}))
	hear(t, never.db, 10, 200)
	never.record([]store.Change{merged})
	wantAccount(t, "merged at once", uptime(t, never.db, "a", "", at(200), 1), 140, 60, 0, 1, 1, 60)
}

func TestUptimeOfAMonthWithoutAChangeIsFewRows(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 0)}, Sources: prod}))
	const month = 30 * 24 * 3600
	if _, err := d.Writer().ExecContext(t.Context(), "UPDATE observed SET until = ?", at(month).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	b.observe(at(month), runner("a", store.Degraded, 0))
	if n := rows(t, d, "SELECT count(*) FROM rollups WHERE component = ''"); n > 3 {
		t.Errorf("%d rows", n)
	}
	all, err := d.Uptime(t.Context(), ref("a"), at(month-7*24*3600), at(month))
	if err != nil {
		t.Fatal(err)
	}
	var week store.Account
	for _, a := range store.Hourly(all[""], at(month-7*24*3600), 7*24) {
		week.Add(a)
	}
	if week.In[store.Healthy] != 7*24*time.Hour {
		t.Errorf("the last week: %+v", week)
	}
}

func TestPruneRollups(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 0)}, Sources: prod}))
	for h := 1; h <= 10; h++ {
		b.observe(at(h*3600+60), runner("a", []store.Health{store.Healthy, store.Degraded}[h%2], 0))
	}
	n, err := d.PruneRollups(t.Context(), at(5*3600))
	if err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	if left := rows(t, d, "SELECT min(hour) FROM rollups") - at(5*3600).Unix()/3600; left < 0 {
		t.Errorf("an hour %d too old is left", left)
	}
	if again, err := d.PruneRollups(t.Context(), at(5*3600)); again != 0 || err != nil {
		t.Errorf("%d again, %v", again, err)
	}
}
