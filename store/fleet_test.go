package store_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"trackside/store"
)

// ref is a runner of the cluster "c".
func ref(name string) store.Ref {
	return store.Ref{Cluster: "c", System: "labelled", Namespace: "ns", Name: name}
}

// runner is an observation, as a source makes it: with no memory.
func runner(name string, h store.Health) *store.Runner {
	r := &store.Runner{Ref: ref(name), Incarnation: "uid-" + name, Version: "1.0.0", Verdict: verdict(h)}
	r.Components = []store.Component{{Name: "main", Kind: "Deployment", Object: name, Verdict: verdict(h), Version: "1.0.0", Image: "acme/" + name + ":1.0.0", Ready: 1, Desired: 1}}
	r.Workloads = []store.Workload{{Namespace: "ns", Name: name + "-0", UID: "pod-" + name, Component: "main", Verdict: verdict(h), Phase: "Running"}}
	return r
}

func verdict(h store.Health) store.Verdict {
	v := store.Verdict{Health: h, Why: store.Sentence("It is " + h.String() + ".")}
	if h == store.Unhealthy {
		v.Reason, v.Raw = store.CrashLoop, "CrashLoopBackOff"
	}
	return v
}

// observe applies observations of whole runners.
func observe(s *store.Snapshot, now time.Time, runners ...*store.Runner) (*store.Snapshot, []store.Change) {
	return store.Apply(s, store.Touched{Runners: runners}, now)
}

// must is the runner of that name, which the snapshot has.
func must(s *store.Snapshot, name string) *store.Runner {
	r, err := s.Runner(ref(name))
	if err != nil {
		panic(err)
	}
	return r
}

// fleetOf is a snapshot of n healthy runners.
func fleetOf(n int) *store.Snapshot {
	var all []*store.Runner
	for i := range n {
		all = append(all, runner(fmt.Sprintf("runner-%04d", i), store.Healthy))
	}
	s, _ := observe(&store.Snapshot{}, noon, all...)
	return s
}

// random is an observation of one of few runners in some condition.
func random(rng *rand.Rand) *store.Runner {
	r := runner(fmt.Sprintf("r%d", rng.IntN(12)), store.Health(rng.IntN(4)))
	r.Ref.Cluster = []string{"a", "b"}[rng.IntN(2)]
	r.Ref.Namespace = fmt.Sprintf("ns%d", rng.IntN(3))
	r.Version = []string{"", "1", "2"}[rng.IntN(3)]
	r.Incarnation = []string{"one", "two"}[rng.IntN(2)]
	r.Observed = store.State(rng.IntN(3))
	for i := range rng.IntN(4) {
		w := store.Workload{Namespace: "work", Name: fmt.Sprint(i), UID: fmt.Sprint("w", i), Verdict: verdict(store.Health(rng.IntN(4)))}
		if w.Failing() {
			w.Reason = store.Reasons()[rng.IntN(5)]
		}
		r.Workloads = append(r.Workloads, w)
	}
	return r
}
