package store_test

import (
	"testing"
	"time"

	"trackside/store"
)

// silent is a runner that reports itself and has stopped, or reports.
func silent(is bool) *store.Runner {
	v := store.Verdict{Health: store.Healthy, Why: "It reports."}
	if is {
		v = store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: store.RawSilent, Why: "It stopped reporting.", Message: "token=abcdef0123456789"}
	}
	return &store.Runner{Ref: store.Ref{Cluster: "reported", System: "plue", Name: "vm-1"}, Incarnation: "1", Verdict: v,
		Components: []store.Component{{Name: "process", Verdict: v}}}
}

// applied is what changes when a runner is observed, with that evidence.
func applied(s *store.Snapshot, r *store.Runner, taken ...store.Evidence) (*store.Snapshot, []store.Change) {
	next, changes := store.Apply(s, store.Touched{Runners: []*store.Runner{r}, Evidence: taken}, noon)
	store.Witness(changes, noon)
	return next, changes
}

// What no cluster shows leaves evidence too, once for each time that it fails.
func TestAFailureThatNoSourceExaminedLeavesEvidence(t *testing.T) {
	s, changes := applied(store.NewSnapshot(nil, nil, noon), silent(false))
	if len(changes[0].Evidence) != 0 {
		t.Fatalf("one that is well: %+v", changes[0].Evidence)
	}
	s, changes = applied(s, silent(true))
	if len(changes) != 1 || len(changes[0].Evidence) != 1 {
		t.Fatalf("one that falls silent: %+v", changes)
	}
	e := changes[0].Evidence[0]
	if e.ID == "" || !e.At.Equal(noon) || !e.Proof.Told || e.Verdict.Reason != store.RuntimeLost || e.Verdict.Message != "token=***" || e.Component != "process" {
		t.Errorf("%+v", e)
	}
	more := silent(true)
	more.Version = "2.0.0"
	if s, changes = applied(s, more); len(changes) != 1 || len(changes[0].Evidence) != 0 {
		t.Errorf("it fails on: %+v", changes)
	}
	if s, _ = applied(s, silent(false)); s == nil {
		t.Fatal("no snapshot")
	}
	if _, changes = applied(s, silent(true)); len(changes[0].Evidence) != 1 {
		t.Errorf("it fails again: %+v", changes)
	}
}

// What a source has examined is not told once more; what fails for another reason by the word of its control plane has the same proof.
func TestAFailureThatWasExaminedIsNotToldOnceMore(t *testing.T) {
	v := store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Why: "It crashes."}
	r := &store.Runner{Ref: ref("a"), Verdict: v, Workloads: []store.Workload{{Name: "w", UID: "u", Verdict: v}}}
	taken := r.EvidenceOf(&r.Workloads[0])
	taken.At, taken.Proof = noon, store.Proof{Phase: "Failed", RestartPolicy: "Never"}
	taken.Identify()
	_, changes := applied(store.NewSnapshot(nil, nil, noon), r, taken)
	if len(changes[0].Evidence) != 1 {
		t.Errorf("%+v", changes[0].Evidence)
	}
	said := *r
	v.Reason = store.StartFailed
	said.Workloads = []store.Workload{{Name: "w", UID: "u", Verdict: v}}
	_, changes = applied(store.NewSnapshot(nil, nil, noon), &said, taken)
	if ev := changes[0].Evidence; len(ev) != 2 || ev[1].Proof.RestartPolicy != "Never" || ev[1].Verdict.Reason != store.StartFailed || ev[1].ID == ev[0].ID {
		t.Errorf("%+v", changes[0].Evidence)
	}
}

// A component whose pod failed fails on when the pod has gone: that is no other failure.
func TestAPodThatGoesIsNoOtherFailure(t *testing.T) {
	v := store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed, Why: "It does not start.", Since: noon.Add(-time.Hour)}
	r := &store.Runner{Ref: ref("a"), Verdict: v, Components: []store.Component{{Name: "agent", Verdict: v}}, Workloads: []store.Workload{{Name: "w", UID: "u", Component: "agent", Verdict: v}}}
	s, changes := applied(store.NewSnapshot(nil, nil, noon), r)
	if len(changes[0].Evidence) != 1 || changes[0].Evidence[0].UID != "u" {
		t.Fatalf("%+v", changes[0].Evidence)
	}
	left := *r
	left.Workloads = nil
	for _, c := range func() []store.Change { _, c := applied(s, &left); return c }() {
		if len(c.Evidence) != 0 {
			t.Errorf("%+v", c.Evidence)
		}
	}
}
