package poller_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller"
	"trackside/store"
)

// teller is a source of which a test says what it tells next.
type teller struct {
	*source
	mu   sync.Mutex
	next store.Touched
}

func newTeller() *teller {
	x := &teller{}
	x.source = newSource(func(*store.Snapshot, []store.Ref, time.Time) store.Touched {
		x.mu.Lock()
		defer x.mu.Unlock()
		t := x.next
		x.next = store.Touched{}
		return t
	})
	return x
}

// tell hands something over and waits until it is published.
func (x *teller) tell(t store.Touched) {
	x.mu.Lock()
	x.next = t
	x.mu.Unlock()
	x.touch()
	after(poller.Ceiling)
}

// witness is a teller beside the clusters.
type witness struct{ *teller }

func (witness) Testifies() (alias, system string) { return "api", "agyn" }

func agynRef(cluster, ns, name string) store.Ref {
	return store.Ref{Cluster: cluster, System: "agyn", Namespace: ns, Name: name}
}

// shown is an agyn runner as a cluster shows it, with that work.
func shown(cluster, ns, name string, pods ...string) *store.Runner {
	r := &store.Runner{Ref: agynRef(cluster, ns, name), Verdict: store.Verdict{Health: store.Healthy, Why: "It is ready."}}
	for _, p := range pods {
		r.Workloads = append(r.Workloads, store.Workload{Namespace: "work", Name: p, UID: "uid-" + p, Verdict: r.Verdict})
	}
	return r
}

// says is a testimony that a runner is well and runs those pods.
func says(name string, pods ...string) store.Testimony {
	t := store.Testimony{TestimonyKey: store.TestimonyKey{Cluster: "api", Source: "agyn API", System: "agyn", Runner: name},
		Word: "enrolled", Health: store.Healthy, Heard: time.Now()}
	for _, p := range pods {
		t.Workloads = append(t.Workloads, store.SaidWorkload{Pod: p, ID: p, Word: "running", Active: true})
	}
	return t
}

// joined is the poller with a cluster and a witness.
type joined struct {
	*running
	cluster *teller
	api     *teller
}

func join(t *testing.T, from *store.Snapshot) *joined {
	t.Helper()
	j := &joined{cluster: newTeller(), api: newTeller()}
	j.running = start(t, from, &recorder{}, j.cluster, witness{j.api})
	return j
}

// board is every runner: "cluster/namespace/name health", with + where the witness is joined.
func (j *joined) board() (lines []string) {
	for r := range j.live.Current().Runners() {
		line := r.Ref.Cluster + "/" + r.Ref.Namespace + "/" + r.Ref.Name + " " + r.Health.String()
		if slices.ContainsFunc(r.Facts, func(f store.Fact) bool { return f.Name == "agyn API" }) {
			line += " +"
		}
		lines = append(lines, line)
	}
	return lines
}

func (j *joined) is(what string, want ...string) {
	j.t.Helper()
	if got := j.board(); !slices.Equal(got, want) {
		j.t.Errorf("%s: the board shows %q, want %q", what, got, want)
	}
}

func (j *joined) runner(ref store.Ref) *store.Runner {
	j.t.Helper()
	r, err := j.live.Current().Runner(ref)
	if err != nil {
		j.t.Fatal(err)
	}
	return r
}

func TestATestimonyFindsItsRunnerByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, nil)
		defer j.end()
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "r1"), shown("west", "b", "r2"), shown("west", "c", "r2")}})
		j.api.tell(store.Touched{Said: []store.Testimony{says("r1"), says("r2"), says("r3")}})
		j.is("r2 is the name of two, r3 of none", "api//r2 healthy +", "api//r3 healthy +", "east/a/r1 healthy +", "west/b/r2 healthy", "west/c/r2 healthy")

		named := says("r2")
		named.Namespace = "c"
		j.api.tell(store.Touched{Said: []store.Testimony{named}, Unsaid: []store.TestimonyKey{says("r2").TestimonyKey, says("r3").TestimonyKey}})
		j.is("a namespace tells them apart", "east/a/r1 healthy +", "west/b/r2 healthy", "west/c/r2 healthy +")

		j.cluster.tell(store.Touched{Gone: []store.Ref{agynRef("east", "a", "r1")}})
		j.is("gone from its cluster", "api//r1 healthy +", "west/b/r2 healthy", "west/c/r2 healthy +")
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "r1")}})
		j.is("and back", "east/a/r1 healthy +", "west/b/r2 healthy", "west/c/r2 healthy +")

		j.cluster.tell(store.Touched{Full: []string{"west"}, Runners: []*store.Runner{shown("west", "b", "r2")}})
		j.is("a full look leaves one", "api/c/r2 healthy +", "east/a/r1 healthy +", "west/b/r2 healthy")
		j.api.tell(store.Touched{Full: []string{"api"}, Said: []store.Testimony{says("r1")}})
		j.is("all that the source says now", "east/a/r1 healthy +", "west/b/r2 healthy")
	})
}

func TestATestimonyFindsItsRunnerByIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, nil)
		defer j.end()
		r := shown("east", "a", "k8s-runner")
		r.Facts = []store.Fact{{Name: "Runner ID", Value: "0f-1"}}
		j.cluster.tell(store.Touched{Runners: []*store.Runner{r, shown("east", "a", "eu-1")}})
		s := says("eu-1")
		s.UID = "0f-1"
		j.api.tell(store.Touched{Said: []store.Testimony{s}})
		j.is("the identity outweighs the name", "east/a/eu-1 healthy", "east/a/k8s-runner healthy +")
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "k8s-runner")}})
		j.is("that identity is told no more", "east/a/eu-1 healthy", "east/a/k8s-runner healthy +")
	})
}

// A control plane has names of its own for runners, but the same for pods. When the pod is gone and it still says running, a minute later
// that is a runtime that was lost.
func TestAPodThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, nil)
		defer j.end()
		ref := agynRef("east", "a", "k8s-runner")
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "k8s-runner", "w1", "w2"), shown("east", "b", "k8s-runner", "w3")}})
		j.api.tell(store.Touched{Said: []store.Testimony{says("eu-1", "w2")}})
		j.is("found by its pod", "east/a/k8s-runner healthy +", "east/b/k8s-runner healthy")
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "k8s-runner", "w1")}})
		if w := j.runner(ref).Workloads; len(w) != 2 || w[1].Health != store.Unknown || !strings.Contains(string(w[1].Why), "the pod is gone") {
			t.Fatalf("%+v", w)
		}
		begin := time.Now()
		after(40 * time.Second)
		j.api.tell(store.Touched{Said: []store.Testimony{says("eu-1", "w2")}})
		j.is("within the grace", "east/a/k8s-runner healthy +", "east/b/k8s-runner healthy")
		after(store.LostGrace - time.Since(begin) + time.Second)
		r := j.runner(ref)
		if r.Health != store.Degraded || r.Reason != store.RuntimeLost || r.Why != "Workload w2: The agyn API says running; the pod is gone." {
			t.Errorf("%s %s: %s", r.Health, r.Reason, r.Why)
		}
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "k8s-runner", "w1", "w2")}})
		j.is("the pod is back", "east/a/k8s-runner healthy +", "east/b/k8s-runner healthy")
		after(11 * time.Minute)
		j.api.tell(store.Touched{Said: []store.Testimony{says("eu-1")}})
		j.is("found by nothing now, but known", "east/a/k8s-runner healthy +", "east/b/k8s-runner healthy")
		j.cluster.tell(store.Touched{Gone: []store.Ref{ref}})
		j.is("gone", "api//eu-1 healthy +", "east/b/k8s-runner healthy")
	})
}

// Until every cluster has spoken nobody can say that a runner is known to no cluster.
func TestARunnerOfItsOwnWaitsForTheClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, store.NewSnapshot([]*store.Runner{shown("east", "a", "r1")}, []store.Source{{Cluster: "east", Name: "K", State: store.SourceRestored}}, time.Now()))
		defer j.end()
		j.api.tell(store.Touched{Full: []string{"api"}, Said: []store.Testimony{says("r1"), says("r2")}})
		j.is("before the cluster has spoken", "east/a/r1 healthy")
		j.cluster.tell(store.Touched{Sources: []store.Source{{Cluster: "east", Name: "K", State: store.SourceStale}}})
		j.is("it does not answer, but is known to have one", "api//r2 healthy +", "east/a/r1 healthy")
		j.cluster.tell(store.Touched{Full: []string{"east"}, Sources: []store.Source{{Cluster: "east", Name: "K", State: store.SourceLive}}})
		j.is("it has none", "api//r1 healthy +", "api//r2 healthy +")
	})
}

func TestARestoredRunnerOfItsOwnStaysUntilItsSourceSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := shown("api", "", "r1")
		old.Next = time.Now().Add(time.Second)
		j := join(t, store.NewSnapshot([]*store.Runner{old, shown("api", "", "r2")}, nil, time.Now()))
		defer j.end()
		after(3 * time.Second)
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "r9")}})
		j.is("nothing was said yet", "api//r1 healthy", "api//r2 healthy", "east/a/r9 healthy")
		j.api.tell(store.Touched{Sources: []store.Source{{Cluster: "api", Name: "agyn API", State: store.SourceStale}}})
		j.is("it does not answer", "api//r1 unknown", "api//r2 unknown", "east/a/r9 healthy")
		if why := j.runner(agynRef("api", "", "r1")).Why; why != "The agyn API has not answered since the program started. When it last did, this was healthy." {
			t.Error(why)
		}
		j.api.tell(store.Touched{Full: []string{"api"}, Said: []store.Testimony{says("r1")}})
		j.is("one is left", "api//r1 healthy +", "east/a/r9 healthy")
	})
}

// A testimony that says the same again is no change.
func TestTheSameAgainIsNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, nil)
		defer j.end()
		j.cluster.tell(store.Touched{Runners: []*store.Runner{shown("east", "a", "r1", "w1")}})
		j.api.tell(store.Touched{Said: []store.Testimony{says("r1", "w1"), says("r2")}})
		rev := j.live.Current().Rev
		for range 3 {
			after(30 * time.Second)
			j.api.tell(store.Touched{Full: []string{"api"}, Said: []store.Testimony{says("r1", "w1"), says("r2")}})
		}
		if now := j.live.Current().Rev; now != rev {
			t.Errorf("%d publications", now-rev)
		}
	})
}
