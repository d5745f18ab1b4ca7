package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"trackside/store"
)

// switched are a runner of each system, and where its objects are.
var switched = []struct {
	ref store.Ref
	// work says that work runs on it in the standard fleet.
	work bool
	// waits says that it goes out of service only when its work has ended.
	waits bool
}{
	{ref: store.Ref{Cluster: "k", System: "kubiya", Namespace: "kubiya-eu", Name: "runner-eu"}, work: true, waits: true},
	{ref: store.Ref{Cluster: "k", System: "agyn", Namespace: "platform", Name: "k8s-runner"}, work: true},
	{ref: store.Ref{Cluster: "k", System: "plue", Namespace: "workflows", Name: "runner-standby-pool"}, work: true, waits: true},
	{ref: store.Ref{Cluster: "k", System: "release", Namespace: "digitalai", Name: "release-runner-0"}, work: true, waits: true},
	{ref: store.Ref{Cluster: "k", System: "ambient", Namespace: "team-blue", Name: "team-blue"}, work: true, waits: true},
	{ref: store.Ref{Cluster: "k", System: "ambient", Namespace: "ambient-code", Name: "ambient-code"}},
	{ref: store.Ref{Cluster: "k", System: "arc", Namespace: "arc-runners", Name: "linux-x64"}, work: true},
	{ref: store.Ref{Cluster: "k", System: "arc", Namespace: "arc-systems", Name: "arc-gha-rs-controller"}},
	{ref: store.Ref{Cluster: "k", System: "gitlab", Namespace: "gitlab", Name: "gitlab-runner"}, work: true, waits: true},
	{ref: store.Ref{Cluster: "k", System: "buildkite", Namespace: "buildkite", Name: "agent-stack-k8s"}, work: true},
	{ref: store.Ref{Cluster: "k", System: "labelled", Namespace: "ci", Name: "ci-linux"}, work: true, waits: true},
}

// Every system: drained, brought back; disabled at once, and back by itself at its time. What it was before, it is afterwards. Each is
// asked five times at once.
func TestActDisableEverySystem(t *testing.T) {
	c := ownCluster(t, "--fleet")
	h := newHands(t, c, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { h.operator(ctx, "team-blue") })
	defer wg.Wait()
	defer cancel()
	for _, s := range switched {
		t.Run(s.ref.System+"/"+s.ref.Name, func(t *testing.T) {
			own := *h
			own.t = t
			before := own.fields(s.ref.Namespace)
			own.drain(s.ref, s.work, s.waits)
			own.five(action(store.VerbEnable, s.ref))
			own.until(s.ref, "back in service", enabled)
			if after := own.fields(s.ref.Namespace); after != before {
				t.Errorf("drained and enabled, it is\n%s\nand was\n%s", after, before)
			}
			own.now(s.ref)
			own.until(s.ref, "back by itself", enabled)
			if after := own.fields(s.ref.Namespace); after != before {
				t.Errorf("expired, it is\n%s\nand was\n%s", after, before)
			}
		})
	}
}

// drain disables a runner and lets its work end.
func (h *hands) drain(ref store.Ref, work, waits bool) {
	h.t.Helper()
	a := action(store.VerbDisable, ref)
	a.Drain, a.Until = true, a.At.Add(time.Hour)
	plan, err := h.desk.Plan(h.t.Context(), a)
	must(h.t, err)
	if len(plan.Steps) == 0 || len(plan.Blocked()) > 0 || work != (len(plan.Work) > 0) {
		h.t.Errorf("the plan of %s: %d steps, work %d, blocked %v", ref, len(plan.Steps), len(plan.Work), plan.Blocked())
	}
	out := h.five(a)
	if work && out.Waits == "" {
		h.t.Errorf("%s has work, and says nothing of it: %+v", ref, out)
	}
	if waits {
		h.until(ref, "draining", func(r *store.Runner) bool {
			return r != nil && r.Requested == store.Disabled && r.Observed == store.Enabled && r.Mark.Draining && r.Mark.By == "ada" && r.Mark.Note == "broken disk"
		})
	}
	h.endWork(ref)
	h.until(ref, "drained", func(r *store.Runner) bool { return disabled(r) && !r.Mark.Draining })
}

// now disables a runner at once, and has the end of that come in a moment.
func (h *hands) now(ref store.Ref) {
	h.t.Helper()
	a := action(store.VerbDisable, ref)
	a.Until = a.At.Add(time.Hour)
	h.five(a)
	h.until(ref, "disabled at once", disabled)
	h.expire(ref.Namespace)
}
