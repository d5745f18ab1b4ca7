package e2e

import (
	"context"
	"testing"
	"time"

	"trackside/e2e/client"
	"trackside/e2e/rig"
)

// A pod that reports itself stands on the board once. When its report falls silent while the pod stays ready, the board is not green;
// when the pod goes, what reported itself is missed under its own name.
func TestAPodThatReportsItself(t *testing.T) {
	f := newRunner(t, cluster, "", "reports", "60s")
	b := rig.StartBoard(t, cluster.Kubeconfig, append([]string{"--namespace", f.ns}, quick...)...)
	pod := f.pod(t).Name
	r := &client.Runner{Base: b.URL, Token: makeToken(t, b, "--name", "*"), Name: pod, Self: map[string]any{"system": "labelled"}, Delay: 10 * time.Millisecond}
	fleet, page := openLive(t, b, "/"), openLive(t, b, f.ref().Path())
	is(t, f.health(fleet), "healthy", 20*time.Second)
	_, err := r.Register(t.Context())
	must(t, err)
	stop := keepAlive(t, r)
	has(t, page.Locator("#facts"), "reports itself: available", soon)
	own := reportedRef("labelled", "", pod)
	counts(t, fleet.Locator("#"+own.ID()), 0, soon)
	counts(t, fleet.Locator("#rows > *"), 1, soon)

	ops := client.Admin{Base: b.URL, Token: makeToken(t, b, "--name", "ops", "--admin")}
	for range 2 {
		_, err = ops.Queue(t.Context(), "agent", nil)
		must(t, err)
	}
	has(t, page.Locator("#workloads"), "task-1", soon)
	has(t, fleet.Locator("#sources"), "1 task waits for a runner", soon)
	a, err := r.Register(t.Context())
	must(t, err)
	for range 2 {
		must(t, r.Send(t.Context(), a.Callback, map[string]any{"type": "done"}))
		a, err = r.Register(t.Context())
		must(t, err)
	}
	hasNot(t, fleet.Locator("#sources"), "for a runner", soon)

	stop()
	is(t, f.health(fleet), "unhealthy", 20*time.Second)
	has(t, page.Locator(".head"), "It stopped reporting", soon)
	has(t, page.Locator(".head"), "The cluster shows its pod well", soon)
	has(t, page.Locator("#facts"), "the pod's own report says dead of "+pod, soon)
	f.restore(t)
	has(t, fleet.Locator("#"+own.ID()), "unhealthy", 20*time.Second)
	is(t, f.health(fleet), "healthy", 20*time.Second)

	r.Name = f.pod(t).Name
	_, err = r.Register(context.WithoutCancel(t.Context()))
	must(t, err)
	has(t, page.Locator("#facts"), r.Name, soon)
}
