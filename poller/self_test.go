package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"trackside/store"
)

// reporter is a teller of runners that report themselves.
type reporter struct{ *teller }

func (reporter) Reports() string { return "reported" }

func plueRef(cluster, ns, name string) store.Ref {
	return store.Ref{Cluster: cluster, System: "plue", Namespace: ns, Name: name}
}

// pool is a warm pool as a cluster shows it, with those pods, all ready.
func pool(cluster, ns string, pods ...string) *store.Runner {
	well := store.Verdict{Health: store.Healthy, Why: "It is ready."}
	r := &store.Runner{Ref: plueRef(cluster, ns, "pool"), Verdict: well, Components: []store.Component{{Name: "warm-pool", Verdict: well}}}
	for _, p := range pods {
		r.Workloads = append(r.Workloads, store.Workload{Namespace: ns, Name: p, UID: "uid-" + p, Component: "warm-pool", Verdict: well})
	}
	return r
}

// reports is a runner that reports itself.
func reports(name string, h store.Health) *store.Runner {
	v := store.Verdict{Health: h, Why: "So it reports."}
	if h == store.Unhealthy {
		v.Reason, v.Raw = store.RuntimeLost, store.RawSilent
	}
	return &store.Runner{Ref: plueRef("reported", "", name), Verdict: v, Facts: []store.Fact{{Name: "State", Value: store.Sentence(h.String())}}}
}

func report(t *testing.T, from *store.Snapshot) *joined {
	t.Helper()
	j := &joined{cluster: newTeller(), api: newTeller()}
	j.running = start(t, from, &recorder{}, j.cluster, reporter{j.api})
	return j
}

func one(r ...*store.Runner) store.Touched { return store.Touched{Runners: r} }

func TestAPodThatReportsItselfStandsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := report(t, nil)
		defer j.end()
		j.api.tell(one(reports("warm-1", store.Healthy), reports("vm-1", store.Healthy)))
		j.is("before its cluster shows it", "reported//vm-1 healthy", "reported//warm-1 healthy")
		j.cluster.tell(one(pool("east", "a", "warm-1")))
		j.is("its cluster shows it", "east/a/pool healthy", "reported//vm-1 healthy")
		j.api.tell(one(reports("warm-1", store.Unhealthy)))
		j.is("it falls silent while its pod stays ready", "east/a/pool unhealthy", "reported//vm-1 healthy")
		if r := j.runner(plueRef("east", "a", "pool")); r.Reason != store.RuntimeLost {
			t.Errorf("%s: %s", r.Reason, r.Why)
		}
		j.cluster.tell(one(pool("east", "a", "warm-1", "warm-2")))
		j.is("another pod is well", "east/a/pool degraded", "reported//vm-1 healthy")
		j.cluster.tell(one(pool("east", "a", "warm-2")))
		j.is("the pod goes", "east/a/pool healthy", "reported//vm-1 healthy", "reported//warm-1 unhealthy")
		j.api.tell(one(reports("warm-2", store.Unhealthy)))
		j.is("the other reports, late", "east/a/pool unhealthy", "reported//vm-1 healthy", "reported//warm-1 unhealthy")
		j.api.tell(store.Touched{Gone: []store.Ref{plueRef("reported", "", "warm-2"), plueRef("reported", "", "warm-1")}})
		j.is("it is forgotten", "east/a/pool healthy", "reported//vm-1 healthy")
		j.api.tell(one(reports("warm-2", store.Unhealthy)))
		j.cluster.tell(store.Touched{Full: []string{"east"}})
		j.is("the pool is gone", "reported//vm-1 healthy", "reported//warm-2 unhealthy")
	})
}

// Two pods of one name are told apart by a namespace only.
func TestAReportThatMayBeOfTwoPodsStandsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := report(t, nil)
		defer j.end()
		j.cluster.tell(one(pool("east", "a", "runner-0"), pool("east", "b", "runner-0")))
		j.api.tell(one(reports("runner-0", store.Unhealthy)))
		j.is("no namespace", "east/a/pool healthy", "east/b/pool healthy", "reported//runner-0 unhealthy")
		r := reports("runner-0", store.Unhealthy)
		r.Ref.Namespace = "b"
		j.api.tell(store.Touched{Runners: []*store.Runner{r}, Gone: []store.Ref{plueRef("reported", "", "runner-0")}})
		j.is("a namespace", "east/a/pool healthy", "east/b/pool unhealthy")
	})
}

// A report that is off the board is looked at when its time has come all the same: late becomes lost with nothing else happening.
func TestAHiddenReportIsLookedAtWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pile{}
		api := &teller{source: newSource(p.observe)}
		j := &joined{cluster: newTeller(), api: api}
		j.running = start(t, nil, &recorder{}, j.cluster, reporter{api})
		defer j.end()
		late := reports("warm-1", store.Degraded)
		late.Next = time.Now().Add(30 * time.Second)
		p.add(late)
		j.cluster.tell(one(pool("east", "a", "warm-1")))
		j.is("late", "east/a/pool degraded")
		after(31 * time.Second)
		dues, _ := p.looks()
		if len(dues) == 0 || len(dues[0]) != 2 || dues[0][1] != late.Ref {
			t.Errorf("it was asked for %v", dues)
		}
	})
}

// After a restart nobody can say which reports are of pods until the clusters have spoken.
func TestReportsWaitForTheClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		was := []*store.Runner{pool("east", "a", "warm-1"), reports("vm-1", store.Healthy)}
		j := report(t, store.NewSnapshot(was, []store.Source{{Cluster: "east", Name: "K", State: store.SourceRestored}}, time.Now()))
		defer j.end()
		j.api.tell(one(reports("vm-1", store.Unhealthy), reports("vm-2", store.Healthy), reports("warm-1", store.Unhealthy), reports("warm-2", store.Healthy)))
		j.is("before the cluster has spoken", "east/a/pool healthy", "reported//vm-1 unhealthy")
		j.cluster.tell(store.Touched{Full: []string{"east"}, Runners: []*store.Runner{pool("east", "a", "warm-1", "warm-2")},
			Sources: []store.Source{{Cluster: "east", Name: "K", State: store.SourceLive}}})
		j.is("it has spoken", "east/a/pool degraded", "reported//vm-1 unhealthy", "reported//vm-2 healthy")
	})
}
