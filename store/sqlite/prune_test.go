package sqlite_test

import (
	"fmt"
	"slices"
	"testing"

	"trackside/store"
)

// words lists a runner's transitions, latest first, as "kind component workload to".
func (b *board) words(name string) (out []string) {
	b.t.Helper()
	events, err := b.db.Transitions(b.t.Context(), ref(name), 100)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s %s %s %s", e.Kind, e.Component, e.Workload, e.To))
	}
	return out
}

func TestPruneKeepsWhatHolds(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	failing := func(n int) *store.Runner {
		r := runner("a", store.Healthy, n)
		for i := range r.Workloads {
			r.Workloads[i].Verdict = verdict(store.Unhealthy)
		}
		return r
	}
	b.observe(at(0), runner("a", store.Healthy, 0), runner("gone", store.Healthy, 0), runner("quiet", store.Degraded, 0))
	b.observe(at(1), runner("a", store.Degraded, 0), runner("gone", store.Unhealthy, 0))
	b.observe(at(2), failing(2)) // healthy again, and two workloads fail
	upgraded := failing(1)       // one workload goes
	upgraded.Components[0].Version = "2.0.0"
	b.observe(at(3), upgraded)
	b.record(b.apply(at(4), store.Touched{Gone: []store.Ref{ref("gone")}}))

	n, err := d.Prune(t.Context(), at(10))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"a":     {"version agent-manager  2.0.0", "health agent-manager runners-eu/a-000 unhealthy", "health agent-manager  healthy", "health   healthy"},
		"gone":  nil,
		"quiet": {"added   degraded"},
	}
	for name, w := range want {
		if got := b.words(name); !slices.Equal(got, w) {
			t.Errorf("%s keeps %q, want %q", name, got, w)
		}
	}
	if n != 8 {
		t.Errorf("%d deleted, want 8", n)
	}
	if n := rows(t, d, "SELECT count(*) FROM refs"); n != 3 {
		t.Errorf("%d identities, want those of the 2 runners and of the one whose uptime is kept", n)
	}
	if _, err := d.PruneRollups(t.Context(), at(2*3600)); err != nil {
		t.Error(err)
	}
	if n := rows(t, d, "SELECT count(*) FROM refs"); n != 2 {
		t.Errorf("%d identities, want those of the 2 runners", n)
	}
	sameFleet(t, d, b.snap)
	if n, err := d.Prune(t.Context(), at(10)); n != 0 || err != nil {
		t.Errorf("pruned %d again, %v", n, err)
	}
}

func TestPruneKeepsTheYoung(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	b.observe(at(0), runner("a", store.Healthy, 0))
	var changes []store.Change
	for i := range 3000 {
		changes = append(changes, b.apply(at(i), store.Touched{Runners: []*store.Runner{runner("a", store.Health(1+i%2), 0)}})...)
	}
	b.record(changes)
	n, err := d.Prune(t.Context(), at(2900))
	if err != nil || n < 2900 {
		t.Errorf("pruned %d, %v", n, err)
	}
	events, err := d.Transitions(t.Context(), ref("a"), 10_000)
	if err != nil || !events[len(events)-1].At.Equal(at(2900)) {
		t.Errorf("the oldest left is %v, %v", events[len(events)-1].At, err)
	}
	wantLeft := rows(t, d, "SELECT count(*) FROM transitions")
	if int64(len(events)) != wantLeft {
		t.Errorf("%d read, %d there", len(events), wantLeft)
	}
	b.observe(at(3001), runner("a", store.Degraded, 0)) // the identity is still there
}
