package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

// poolRunner is a warm pool of two pods as its cluster shows it.
func poolRunner(change ...func(*store.Runner)) *store.Runner {
	well := store.Verdict{Health: store.Healthy, Why: "It is ready."}
	r := &store.Runner{Ref: store.Ref{Cluster: "prod", System: "plue", Namespace: "plue", Name: "runner-standby"}, Verdict: well,
		Components: []store.Component{{Name: "warm-pool", Verdict: well, Desired: 2, Ready: 2}}}
	for _, name := range []string{"warm-1", "warm-2"} {
		r.Workloads = append(r.Workloads, store.Workload{Namespace: "plue", Name: name, UID: "uid-" + name, Component: "warm-pool", Phase: "Running", Verdict: well})
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func reportedPod(name string, v store.Verdict, state store.Sentence, tasks ...store.Workload) *store.Runner {
	return &store.Runner{Ref: store.Ref{Cluster: "reported", System: "plue", Name: name}, Verdict: v, Workloads: tasks,
		Components: []store.Component{{Name: "process", Verdict: v}},
		Facts:      []store.Fact{{Name: "State", Value: state}, {Name: "Runner id", Value: "7"}}}
}

var (
	reportsWell = store.Verdict{Health: store.Healthy, Why: "It is registered and reports."}
	reportsLate = store.Verdict{Health: store.Degraded, Raw: "Late", Why: "Late.", Next: joinNow.Add(30 * time.Second)}
	reportsDead = store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: store.RawSilent, Why: "It stopped reporting.", Next: joinNow.Add(time.Hour)}
)

const nothingProves = "The cluster shows that its pod runs, and nothing proves that it works."

var reportsUnknown = store.Verdict{Health: store.Unknown, Why: "Nobody can say whether it lives."}

// unproven is a pool whose pods are green by time alone, and partUnproven one whose component is.
func unproven(r *store.Runner) {
	for i := range r.Workloads {
		r.Workloads[i].Unproven = true
	}
}

func partUnproven(r *store.Runner) { r.Unproven, r.Components[0].Unproven = true, true }

func podFails(r *store.Runner) {
	r.Workloads[0].Verdict = fails("warm-1 keeps exiting.", store.CrashLoop)
}

var joinedReports = []struct {
	name     string
	observed *store.Runner
	reported []*store.Runner
	health   store.Health
	reason   store.Reason
	why      string
	part     store.Health
	pod      string // health reason: why of warm-1
	facts    []string
	next     time.Time
}{
	{name: "nobody reports", observed: poolRunner(), health: store.Healthy, why: "It is ready.", part: store.Healthy, pod: "healthy : It is ready."},
	{name: "a pod reports that it is well", observed: poolRunner(), reported: []*store.Runner{reportedPod("warm-1", reportsWell, "available")},
		health: store.Healthy, why: "It is ready.", part: store.Healthy, pod: "healthy : It is ready.", facts: []string{"warm-1: reports itself: available, runner id 7"}},
	{name: "a pod is late", observed: poolRunner(), reported: []*store.Runner{reportedPod("warm-1", reportsLate, "late")},
		health: store.Degraded, why: "warm-pool: Pod warm-1: Late. The cluster shows its pod well.", part: store.Degraded, pod: "degraded : Late. The cluster shows its pod well.",
		facts: []string{"warm-1: reports itself: late, runner id 7", "Disagreement: the pod's own report says late of warm-1, whose pod is well"}, next: joinNow.Add(30 * time.Second)},
	{name: "one of two is silent", observed: poolRunner(), reported: []*store.Runner{reportedPod("warm-1", reportsDead, "dead"), reportedPod("warm-2", reportsWell, "available")},
		health: store.Degraded, reason: store.RuntimeLost, why: "warm-pool: Pod warm-1: It stopped reporting. The cluster shows its pod well.", part: store.Degraded,
		pod: "unhealthy runtime_lost: It stopped reporting. The cluster shows its pod well.", next: joinNow.Add(time.Hour),
		facts: []string{"warm-1: reports itself: dead, runner id 7", "warm-2: reports itself: available, runner id 7", "Disagreement: the pod's own report says dead of warm-1, whose pod is well"}},
	{name: "all are silent", observed: poolRunner(), reported: []*store.Runner{reportedPod("warm-2", reportsDead, "dead"), reportedPod("warm-1", reportsDead, "dead")},
		health: store.Unhealthy, reason: store.RuntimeLost, part: store.Unhealthy, pod: "unhealthy runtime_lost: It stopped reporting. The cluster shows its pod well.", next: joinNow.Add(time.Hour),
		why: "warm-pool: 2 of 2 pods are unwell by their own reports. Pod warm-1: It stopped reporting. The cluster shows its pod well.",
		facts: []string{"warm-1: reports itself: dead, runner id 7", "warm-2: reports itself: dead, runner id 7", "Disagreement: the pod's own report says dead of warm-1, whose pod is well",
			"Disagreement: the pod's own report says dead of warm-2, whose pod is well"}},
	{name: "the cluster knows a better reason", observed: poolRunner(podFails), reported: []*store.Runner{reportedPod("warm-1", reportsDead, "dead")},
		health: store.Healthy, why: "It is ready.", part: store.Healthy, pod: "unhealthy crashloop: warm-1 keeps exiting.", facts: []string{"warm-1: reports itself: dead, runner id 7"}, next: joinNow.Add(time.Hour)},
	{name: "the pod has ended well", observed: poolRunner(func(r *store.Runner) { r.Workloads[0].Phase = "Succeeded" }), reported: []*store.Runner{reportedPod("warm-1", reportsDead, "dead")},
		health: store.Healthy, why: "It is ready.", part: store.Healthy, pod: "healthy : It is ready.", facts: []string{"warm-1: reports itself: dead, runner id 7"}, next: joinNow.Add(time.Hour)},
	{name: "the pool is out of service", observed: poolRunner(func(r *store.Runner) { r.Requested = store.Disabled }), reported: []*store.Runner{reportedPod("warm-1", reportsDead, "dead")},
		health: store.Healthy, why: "It is ready.", part: store.Healthy, pod: "healthy : It is ready.", facts: []string{"warm-1: reports itself: dead, runner id 7"}, next: joinNow.Add(time.Hour)},
	{name: "nobody knows of a pod that a probe proves", observed: poolRunner(), reported: []*store.Runner{reportedPod("warm-1", reportsUnknown, "claimed")},
		health: store.Healthy, why: "It is ready.", part: store.Healthy, pod: "healthy : It is ready.", facts: []string{"warm-1: reports itself: claimed, runner id 7"}},
	{name: "nobody knows of a pod that nothing proves", observed: poolRunner(unproven, partUnproven), reported: []*store.Runner{reportedPod("warm-1", reportsUnknown, "claimed")},
		health: store.Unknown, why: "warm-pool: Pod warm-1: Nobody can say whether it lives. " + nothingProves, part: store.Unknown,
		pod: "unknown : Nobody can say whether it lives. " + nothingProves, facts: []string{"warm-1: reports itself: claimed, runner id 7"}},
	{name: "nobody knows of a pod whose component answers", observed: poolRunner(unproven), reported: []*store.Runner{reportedPod("warm-1", reportsUnknown, "claimed")},
		health: store.Healthy, why: "It is ready.", part: store.Healthy, pod: "unknown : Nobody can say whether it lives. " + nothingProves,
		facts: []string{"warm-1: reports itself: claimed, runner id 7"}},
}

func TestJoinReports(t *testing.T) {
	for _, c := range joinedReports {
		t.Run(c.name, func(t *testing.T) {
			before := *c.observed
			r := store.JoinReports(c.observed, c.reported)
			w := r.Workloads[0]
			got := []string{r.Health.String(), r.Reason.String(), string(r.Why), r.Components[0].Health.String(), w.Health.String() + " " + w.Reason.String() + ": " + string(w.Why)}
			want := []string{c.health.String(), c.reason.String(), c.why, c.part.String(), c.pod}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			var facts []string
			for _, f := range r.Facts {
				facts = append(facts, f.Name+": "+string(f.Value))
			}
			if d := cmp.Diff(c.facts, facts); d != "" {
				t.Error(d)
			}
			if !r.NextCheck().Equal(c.next) {
				t.Errorf("looked at again at %v, want %v", r.NextCheck(), c.next)
			}
			if !before.Equal(c.observed) {
				t.Error("the observation was changed")
			}
		})
	}
}

// The tasks that a pod reports are work of its pool; one that failed degrades the pool while it is news, and not the pod.
func TestJoinReportsTasks(t *testing.T) {
	failed := store.Verdict{Health: store.Unhealthy, Raw: "TaskFailed", Why: "It failed."}
	p := reportedPod("warm-2", reportsWell, "available", store.Workload{Name: "task-5", UID: "task-5", Phase: "failed", Node: "warm-2", Verdict: failed})
	p.Verdict = store.Verdict{Health: store.Degraded, Raw: "TaskFailed", Why: "task-5 failed."}
	r := store.JoinReports(poolRunner(), []*store.Runner{p})
	if len(r.Workloads) != 3 || r.Workloads[0].Name != "task-5" || r.Workloads[0].Namespace != "plue" {
		t.Fatalf("workloads: %+v", r.Workloads)
	}
	if r.Health != store.Degraded || r.Why != "Pod warm-2: task-5 failed." || r.Components[0].Health != store.Healthy {
		t.Errorf("%s: %s; the pool is %s", r.Health, r.Why, r.Components[0].Health)
	}
}

// What was asked of the process in a pod stays visible, and the pool stays in service.
func TestJoinReportsOfADisabledProcess(t *testing.T) {
	p := reportedPod("warm-1", reportsWell, "disabled")
	p.Requested, p.Observed, p.Mark = store.Disabled, store.Disabled, store.Mark{By: "ada", Note: "disk"}
	r := store.JoinReports(poolRunner(), []*store.Runner{p})
	if want := (store.Fact{Name: "warm-1", Value: "reports itself: disabled, runner id 7, asked to be disabled by ada: disk"}); len(r.Facts) != 1 || r.Facts[0] != want {
		t.Errorf("%+v", r.Facts)
	}
	if r.Requested != store.Enabled || r.Health != store.Healthy {
		t.Errorf("%s, %s", r.Requested, r.Health)
	}
}

// A runner that is one pod carries all that the pod says of itself.
func TestJoinReportsOfARunnerThatIsThePod(t *testing.T) {
	r := store.JoinReports(poolRunner(func(r *store.Runner) {
		r.Ref.Name, r.Workloads = "warm-1", r.Workloads[:1]
		r.Facts = []store.Fact{{Name: "State", Value: "Running"}}
	}), []*store.Runner{reportedPod("warm-1", reportsDead, "dead")})
	if r.Health != store.Unhealthy || r.Reason != store.RuntimeLost {
		t.Errorf("%s %s: %s", r.Health, r.Reason, r.Why)
	}
	want := []store.Fact{{Name: "State", Value: "Running"}, {Name: "State by the pod's own report", Value: "dead"}, {Name: "Runner id", Value: "7"},
		{Name: "Disagreement", Value: "the pod's own report says dead of warm-1, whose pod is well"}}
	if d := cmp.Diff(want, r.Facts); d != "" {
		t.Error(d)
	}
}

// onePod is a runner that is its pod, as its cluster shows it: in service and well.
func onePod(change ...func(*store.Runner)) *store.Runner {
	return poolRunner(append([]func(*store.Runner){func(r *store.Runner) { r.Ref.Name, r.Workloads = "warm-1", r.Workloads[:1] }}, change...)...)
}

// A runner that is its pod is out of service when its process was asked to be: it takes no work, whatever its cluster shows. What its cluster
// itself says of being out of service stands, and so does a failure.
func TestJoinReportsOfARunnerThatIsThePodAndOutOfService(t *testing.T) {
	mark, own := store.Mark{By: "ada", Note: "disk", At: joinNow}, store.Mark{By: "bob", At: joinNow}
	for name, c := range map[string]struct {
		observed      *store.Runner
		asked, seen   store.State
		requested, is store.State
		mark          store.Mark
		health        store.Health
		why, place    string
	}{
		"in service":   {onePod(), store.Enabled, store.Enabled, store.Enabled, store.Enabled, store.Mark{}, store.Healthy, "It is ready.", "It offers all that was asked."},
		"asked for":    {onePod(), store.Disabled, store.Enabled, store.Disabled, store.Enabled, mark, store.Healthy, "It is ready.", "It is out of service."},
		"disabled":     {onePod(), store.Disabled, store.Disabled, store.Disabled, store.Disabled, mark, store.Healthy, "It is ready. It is disabled over its control channel: it takes no work.", "It is out of service."},
		"to come back": {onePod(), store.Enabled, store.Disabled, store.Enabled, store.Disabled, store.Mark{}, store.Healthy, "It is ready. It is disabled over its control channel: it takes no work.", "It is out of service."},
		"deleting":     {onePod(), store.Deleting, store.Deleting, store.Deleting, store.Deleting, mark, store.Healthy, "It is ready. It was told over its control channel to exit: it takes no work.", "It is out of service."},
		"out of service in its cluster too": {onePod(func(r *store.Runner) { r.Requested, r.Observed, r.Mark = store.Disabled, store.Disabled, own }), store.Deleting, store.Deleting,
			store.Disabled, store.Disabled, own, store.Healthy, "It is ready.", "It is out of service."},
		"failing": {onePod(func(r *store.Runner) { r.Verdict = fails("warm-1 keeps exiting.", store.CrashLoop) }), store.Disabled, store.Disabled,
			store.Enabled, store.Enabled, store.Mark{}, store.Unhealthy, "warm-1 keeps exiting.", "It is unhealthy now."},
	} {
		p := reportedPod("warm-1", reportsWell, "disabled")
		p.Requested, p.Observed = c.asked, c.seen
		if c.asked != store.Enabled {
			p.Mark = mark
		}
		r := store.JoinReports(c.observed, []*store.Runner{p})
		if r.Requested != c.requested || r.Observed != c.is || !r.Mark.Equal(c.mark) || r.Health != c.health || string(r.Why) != c.why {
			t.Errorf("%s: to be %s, is %s, %+v; %s: %s", name, r.Requested, r.Observed, r.Mark, r.Health, r.Why)
		}
		snap := store.NewSnapshot([]*store.Runner{r}, nil, joinNow)
		if got := snap.Place(store.Need{})[0]; got.Why != c.place {
			t.Errorf("%s: a workload is told %q, want %q", name, got.Why, c.place)
		}
	}
}
