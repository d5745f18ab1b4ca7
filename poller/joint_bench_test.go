package poller

import (
	"fmt"
	"testing"
	"time"

	"trackside/store"
)

type benchWitness struct{ Source }

func (benchWitness) Testifies() (alias, system string) { return "api", "agyn" }

// BenchmarkAChangeAmongTestimonies is one runner of a thousand that changes, each with five workloads and a testimony.
func BenchmarkAChangeAmongTestimonies(b *testing.B) {
	j, now := newJoint([]Source{benchWitness{}}), time.Now()
	var t store.Touched
	for i := range 1000 {
		r := &store.Runner{Ref: store.Ref{Cluster: "c", System: "agyn", Name: fmt.Sprint("r", i)}, Verdict: store.Verdict{Health: store.Healthy, Why: "It is ready."}}
		s := store.Testimony{TestimonyKey: store.TestimonyKey{Cluster: "api", Source: "agyn API", System: "agyn", Runner: r.Ref.Name}, Word: "enrolled", Health: store.Healthy, Heard: now}
		for n := range 5 {
			pod := fmt.Sprintf("w-%d-%d", i, n)
			r.Workloads = append(r.Workloads, store.Workload{Name: pod, UID: pod, Verdict: r.Verdict})
			s.Workloads = append(s.Workloads, store.SaidWorkload{Pod: pod, Word: "running", Active: true})
		}
		t.Runners, t.Said = append(t.Runners, r), append(t.Said, s)
	}
	prev := &store.Snapshot{}
	j.compose(prev, t, nil, now)
	for i := 0; b.Loop(); i++ {
		r := *t.Runners[i%1000]
		r.Version = fmt.Sprint(i)
		if out := j.compose(prev, store.Touched{Runners: []*store.Runner{&r}}, nil, now); len(out.Runners) != 1 || len(out.Runners[0].Facts) != 1 {
			b.Fatalf("%d runners", len(out.Runners))
		}
	}
}

// BenchmarkARound is the same thousand, of which the source has just spoken again.
func BenchmarkARound(b *testing.B) {
	j, now := newJoint([]Source{benchWitness{}}), time.Now()
	var t store.Touched
	for i := range 1000 {
		t.Said = append(t.Said, store.Testimony{TestimonyKey: store.TestimonyKey{Cluster: "api", Source: "agyn API", System: "agyn", Runner: fmt.Sprint("r", i)}, Word: "enrolled", Heard: now})
	}
	prev := &store.Snapshot{}
	for b.Loop() {
		if out := j.compose(prev, t, nil, now); len(out.Runners) != 1000 {
			b.Fatalf("%d runners", len(out.Runners))
		}
	}
}
