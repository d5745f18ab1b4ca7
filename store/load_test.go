package store_test

import (
	"testing"
	"time"

	"trackside/store"
)

func TestLoadIsCountedOverTime(t *testing.T) {
	carrying := func(n int, ended ...string) *store.Runner {
		r := runner("a", store.Healthy)
		for i := range n {
			r.Workloads = append(r.Workloads, store.Workload{Name: string(rune('a' + i)), UID: string(rune('a' + i)), Phase: "Running", Verdict: store.Verdict{Health: store.Healthy, Why: "Fine."}})
		}
		for _, phase := range ended {
			r.Workloads = append(r.Workloads, store.Workload{Name: phase, UID: phase, Phase: phase, Verdict: store.Verdict{Health: store.Healthy, Why: "Fine."}})
		}
		return r
	}
	s, _ := observe(&store.Snapshot{}, noon, carrying(2))
	if _, ok := must(s, "a").Load.Mean(noon); ok {
		t.Error("there is a mean of no time at all")
	}
	s, _ = observe(s, noon.Add(10*time.Minute), carrying(4, "Succeeded", "Failed"))
	s, _ = observe(s, noon.Add(20*time.Minute), carrying(0))
	l := must(s, "a").Load
	if mean, ok := l.Mean(noon.Add(20 * time.Minute)); !ok || mean != 3 || l.Now != 0 {
		t.Errorf("%d now and %g on average, want 0 and 3", l.Now, mean)
	}
	if mean, _ := l.Mean(noon.Add(time.Hour)); mean != 1 {
		t.Errorf("after 40 minutes without work there are %g on average, want 1", mean)
	}
	steady, _ := observe(&store.Snapshot{}, noon, carrying(3))
	if mean, ok := must(steady, "a").Load.Mean(noon.Add(time.Hour)); !ok || mean != 3 {
		t.Errorf("three all the time are %g on average", mean)
	}
	anew := carrying(1)
	anew.Incarnation = "another"
	first := carrying(1)
	first.Incarnation = "one"
	s, _ = observe(s, noon.Add(30*time.Minute), first)
	s, _ = observe(s, noon.Add(40*time.Minute), anew)
	if l = must(s, "a").Load; !l.Since.Equal(noon.Add(40 * time.Minute)) {
		t.Errorf("a runner that was made anew is counted since %s", l.Since)
	}
}
