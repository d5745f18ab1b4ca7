package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/client"
	"trackside/e2e/rig"
	"trackside/store"
)

// Limits of silence short enough for a test; TestTrueLimits waits for the real ones.
var quick = []string{"--report-late", "3s", "--report-lost", "6s"}

// reporting is a board that takes reports, beside the shared cluster, with a token for all runners and one for an administrator.
type reporting struct {
	*rig.Board
	token string
	ops   client.Admin
}

func startReporting(t *testing.T, flags ...string) reporting {
	t.Helper()
	b := rig.StartBoard(t, cluster.Kubeconfig, append([]string{"--namespace", "nobody"}, flags...)...)
	return reporting{b, makeToken(t, b, "--name", "*"), client.Admin{Base: b.URL, Token: makeToken(t, b, "--name", "ops", "--admin")}}
}

// makeToken makes one as an operator does, while the board runs.
func makeToken(t *testing.T, b *rig.Board, args ...string) string {
	t.Helper()
	out, code := rig.Trackside(t, bare(t), append([]string{"report", "token", "--data", b.Data}, args...)...)
	token, _, _ := strings.Cut(out, "\n")
	if code != 0 || !strings.HasPrefix(token, "tsr_") {
		t.Fatalf("making a token: %d %s", code, out)
	}
	return token
}

func (r reporting) runner(name string, self map[string]any) *client.Runner {
	return &client.Runner{Base: r.URL, Token: r.token, Name: name, Self: self, Delay: 10 * time.Millisecond}
}

func reportedRef(system, namespace, name string) store.Ref {
	return store.Ref{Cluster: "reported", System: system, Namespace: namespace, Name: name}
}

// keepAlive has a runner say that it lives until the returned function is called.
func keepAlive(t *testing.T, r *client.Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(time.Second); ctx.Err() == nil; {
			_, _ = r.Heartbeat(ctx, "")
			select {
			case <-ctx.Done():
				tick.Stop()
			case <-tick.C:
			}
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

// Plue's life: register, heartbeats, claim, stream, complete; silence and return; and a restart that forgets nothing.
func TestReportPlue(t *testing.T) {
	b := startReporting(t, quick...)
	ctx := t.Context()
	r := b.runner("pod-1", nil)
	_, err := r.Register(ctx)
	must(t, err)
	stop := keepAlive(t, r)
	ref := reportedRef("plue", "", "pod-1")
	fleet, page := openLive(t, b.Board, "/"), openLive(t, b.Board, ref.Path())
	mark(t, page)
	has(t, fleet.Locator("#"+ref.ID()), "healthy", soon)
	has(t, page.Locator("#facts"), "available", soon)

	task, err := b.ops.Queue(ctx, "agent", map[string]any{"type": "agent"})
	must(t, err)
	has(t, page.Locator("#facts"), "claimed", soon)
	a, err := r.Register(ctx)
	must(t, err)
	if a.Task == nil || a.Task.ID != task || a.Task.Config["type"] != "agent" {
		t.Fatalf("the runner was given %+v", a.Task)
	}
	send := func(event map[string]any) { t.Helper(); must(t, r.Send(ctx, a.Callback, event)) }
	send(map[string]any{"type": "token", "text": "reading the code", "token_index": 0, "message_id": "m"})
	has(t, page.Locator("#workloads"), "running", soon)
	send(map[string]any{"type": "tool_end", "tool_state": "error", "output": "no space left"})
	send(map[string]any{"type": "error", "message": "the disk is full"})
	has(t, page.Locator("#workloads"), "failed", soon)
	has(t, page.Locator("#workloads"), "the disk is full", soon)
	has(t, page.Locator("#workloads"), "no space left", soon)
	has(t, page.Locator(".head"), "degraded", soon)

	second, err := b.ops.Queue(ctx, "agent", nil)
	must(t, err)
	a, err = r.Register(ctx)
	must(t, err)
	send(map[string]any{"type": "done"})
	must(t, r.Complete(ctx, second, true))
	has(t, page.Locator("#workloads"), "succeeded", soon)
	has(t, page.Locator(".head"), "healthy", soon)

	stop()
	has(t, page.Locator(".head"), "Late: it was last heard", 3*soon)
	has(t, page.Locator(".head"), "It stopped reporting", 3*soon)
	has(t, page.Locator("#components"), "Runtime lost", soon)
	has(t, fleet.Locator("#"+ref.ID()), "unhealthy", soon)
	stop = keepAlive(t, r)
	has(t, page.Locator(".head"), "recovered", soon)
	must(t, b.ops.Ask(ctx, r.ID(), "disable"))
	has(t, page.Locator(".head"), "disabled", soon)
	stop()
	same(t, page)

	page.Allow(refused)
	fleet.Allow(refused)
	b.Kill()
	b.Start(t)
	visit(t, page, b.URL+ref.Path())
	has(t, page.Locator(".head"), "disabled", soon)
	has(t, page.Locator("#workloads"), "the disk is full", soon)
	must(t, b.ops.Ask(ctx, r.ID(), "enable"))
	again, err := r.Register(ctx)
	must(t, err)
	if again.RunnerID != a.RunnerID {
		t.Errorf("the runner was %d, and is %d", a.RunnerID, again.RunnerID)
	}
	has(t, page.Locator(".head"), "healthy", soon)
}

// Digital.ai's life: registering until it is let in, ready, disabled, enabled, cut off and back, a restart of the board, deleted.
func TestReportRelease(t *testing.T) {
	b := startReporting(t, quick...)
	cable, err := client.NewCable(strings.TrimPrefix(b.URL, "http://"))
	must(t, err)
	t.Cleanup(cable.Close)
	self := map[string]any{"system": "release", "namespace": "digitalai", "uuid": "5f0c", "public_key": "ssh-ed25519 " + strings.Repeat("A", 300),
		"capacity": 4, "eviction_time_ms": 3600_000, "version": "26.1.2", "capabilities": []string{"remote", "k8s"}}
	r := b.runner("release-runner-0", self)
	r.Base, r.HTTP = "http://"+cable.Addr, &http.Client{Transport: &http.Transport{}}
	t.Cleanup(r.HTTP.CloseIdleConnections)
	cable.Cut() // its Release is not there yet
	life := &client.Life{Runner: r, Poll: 300 * time.Millisecond, Silence: 3 * time.Second}
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(ended); life.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	rig.Eventually(t, soon, "the runner tries to register", func() error { return is1(life.State(), "registering") })
	cable.Mend()
	ref := reportedRef("release", "digitalai", "release-runner-0")
	fleet := openLive(t, b.Board, "/")
	has(t, fleet.Locator("#"+ref.ID()), "26.1.2", soon)
	page := openLive(t, b.Board, ref.Path())
	facts, head := page.Locator("#facts"), page.Locator(".head")
	for _, s := range []string{"ready", "5f0c", "ssh-ed25519 AAAA", "4 at once", "1 h", "remote, k8s", "within the last 3 s"} {
		has(t, facts, s, soon)
	}
	must(t, b.ops.Ask(ctx, r.ID(), "disable"))
	has(t, head, "disabled", soon)
	has(t, facts, "disabled", soon)
	rig.Eventually(t, soon, "the runner is disabled", func() error { return is1(life.State(), "disabled") })
	must(t, b.ops.Ask(ctx, r.ID(), "enable"))
	rig.Eventually(t, soon, "the runner is ready", func() error { return is1(life.State(), "ready") })
	has(t, facts, "ready", soon)

	cable.Cut()
	rig.Eventually(t, 3*soon, "the runner is idle", func() error { return is1(life.State(), "idle") })
	has(t, head, "should be idle", 2*soon)
	has(t, head, "It stopped reporting", 2*soon)
	must(t, b.ops.Ask(ctx, r.ID(), "disable")) // it hears of it when it is back
	has(t, head, "disabling", soon)
	cable.Mend()
	rig.Eventually(t, soon, "the runner is disabled", func() error { return is1(life.State(), "disabled") })
	has(t, facts, "disabled", soon)

	page.Allow(refused)
	fleet.Allow(refused)
	b.Kill()
	b.Start(t)
	visit(t, page, b.URL+ref.Path())
	has(t, head, "disabled", soon)
	must(t, b.ops.Ask(ctx, r.ID(), "enable"))
	rig.Eventually(t, soon, "the runner is ready", func() error { return is1(life.State(), "ready") })
	has(t, facts, "ready", soon)
	must(t, b.ops.Ask(ctx, r.ID(), "delete"))
	<-ended
	has(t, head, "no longer there", soon)
	if got := strings.Join(life.Done(), " "); got != "disable enable disable enable delete" {
		t.Errorf("the runner did %s", got)
	}
}

func is1(got, want string) error {
	if got != want {
		return fmt.Errorf("it is %s", got)
	}
	return nil
}

// Without a token nobody reports, and no token can be guessed from what the board says; a revoked one ends within seconds.
func TestReportTokens(t *testing.T) {
	b := startReporting(t)
	ctx := t.Context()
	for token, says := range map[string]string{"": "trackside report token --name", b.token + "0": "does not count", b.ops.Token: "not for the runner"} {
		r := b.runner("ops", nil)
		r.Token = token
		_, err := r.Register(ctx)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), token) && token != "" {
			t.Errorf("a token of %d bytes: %v", len(token), err)
		}
	}
	// Plue's public client sends no header: the token stands in the URL it is given.
	r := b.runner("pod-url", nil)
	u, err := url.Parse(b.URL)
	must(t, err)
	u.User = url.UserPassword("runner", b.token)
	r.Token, r.Base = "", u.String()
	_, err = r.Register(ctx)
	must(t, err)
	_, err = b.ops.Queue(ctx, "agent", nil)
	must(t, err)
	a, err := r.Register(ctx)
	must(t, err)
	must(t, r.Send(ctx, a.Callback, map[string]any{"type": "done"}))
	p := openLive(t, b.Board, reportedRef("plue", "", "pod-url").Path())
	has(t, p.Locator("#workloads"), "succeeded", soon)

	out, code := rig.Trackside(t, bare(t), "report", "tokens", "--data", b.Data)
	if code != 0 || strings.Count(out, "\n") != 2 || strings.Contains(out, "tsr_") {
		t.Errorf("the tokens are listed as %s", out)
	}
	id := strings.Split(b.token, "_")[1]
	if out, code = rig.Trackside(t, bare(t), "report", "revoke", "--data", b.Data, id); code != 0 {
		t.Errorf("revoking: %s", out)
	}
	rig.Eventually(t, 3*soon, "the token does not count", func() error {
		if _, err := r.Heartbeat(ctx, ""); err == nil {
			return fmt.Errorf("it does")
		}
		return nil
	})
	open := startReporting(t, "--report-open")
	r = open.runner("anybody", nil)
	r.Token = ""
	_, err = r.Register(ctx)
	must(t, err)
}

// Whatever a runner says in whatever field is shown as text, and harms nobody.
func TestReportHostile(t *testing.T) {
	b := startReporting(t)
	ctx := t.Context()
	fleet := openLive(t, b.Board, "/")
	other := b.runner("other", nil)
	_, err := other.Register(ctx)
	must(t, err)
	i := 0
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			i++
			token := "token-" + strings.ReplaceAll(name, " ", "-")
			evil := token + " " + attack
			r := b.runner(fmt.Sprintf(`evil %d <img src=x onerror="document.title='gone'"> {{.}}`, i), map[string]any{
				"pod_ip": evil, "uuid": evil, "public_key": evil, "version": evil, "capabilities": []string{evil, evil}, "capacity": 1})
			_, err := r.Register(ctx)
			must(t, err)
			task, err := b.ops.Queue(ctx, evil, map[string]any{"x": evil})
			must(t, err)
			// The oldest runner that is free gets it: that is the evil one, since the other is kept at work.
			a := takeTask(t, task, other, r)
			for _, event := range []map[string]any{
				{"type": "token", "text": evil, "message_id": evil, "token_index": evil}, {"type": "tool_start", "tool_name": evil, "args": evil},
				{"type": "tool_end", "tool_state": evil, "output": map[string]any{evil: evil}}, {"type": "step_start", "step_name": []any{evil}},
				{"type": "log", "level": evil, "message": evil}, {"type": evil, "text": evil}, {"type": "error", "message": evil}} {
				must(t, r.Send(ctx, a.Callback, event))
			}
			has(t, fleet.Locator("#rows"), fmt.Sprintf("evil %d", i), soon)
			unharmed(t, fleet)
			for _, ref := range []store.Ref{reportedRef("plue", "", r.Name), reportedRef("plue", "", "other")} {
				p := openLive(t, b.Board, ref.Path())
				has(t, p.Locator("h1"), strings.Fields(ref.Name)[0], soon)
				unharmed(t, p)
			}
			for field, bad := range map[string]string{"pod_name": attack, "namespace": attack, "system": attack} {
				x := b.runner("refused", map[string]any{field: bad})
				_, err := x.Register(ctx)
				if err == nil && strings.ContainsAny(bad, "\r\n\x00") {
					t.Errorf("%s %.40q was taken", field, bad)
				}
			}
		})
	}
}

// takeTask has the runners ask until one of them is given the task.
func takeTask(t *testing.T, task int64, runners ...*client.Runner) (a client.Answer) {
	t.Helper()
	rig.Eventually(t, soon, "somebody is given the task", func() error {
		for _, r := range runners {
			var err error
			if a, err = r.Register(t.Context()); err == nil && a.Task != nil && a.Task.ID == task {
				return nil
			}
		}
		return fmt.Errorf("nobody was")
	})
	return a
}

// The limits as they are when nobody sets them: late after 30 s, lost after 60 s, to the second; and a runner that gets no ping for 30 s, its
// connections open all the while, is idle, and ready again when they carry again.
func TestTrueLimits(t *testing.T) {
	b := startReporting(t)
	life, cable := b.listening(t, "release-true")
	one := openLive(t, b.Board, reportedRef("release", "", "release-true").Path())
	is(t, one.Locator(stateFact), "ready", soon)
	r := b.runner("pod-true", nil)
	page := openLive(t, b.Board, "/")
	_, err := r.Register(t.Context())
	must(t, err)
	start := time.Now()
	cable.Stall()
	idle := firstIdle(t, life)
	row := page.Locator("#" + reportedRef("plue", "", "pod-true").ID())
	has(t, row, "healthy", soon)
	comes(t, row, "Late", start, 30*time.Second)
	select {
	case took := <-idle: // a ping came at most 10 s before
		if t.Logf("the runner was idle after %.1f s", took.Seconds()); took < 19*time.Second {
			t.Errorf("the runner was idle after %s without a ping", took)
		}
	case <-time.After(2 * soon):
		t.Fatalf("the runner has had no ping for %s, and is %s", time.Since(start), life.State())
	}
	is(t, one.Locator(stateFact), "idle", soon)
	has(t, one.Locator(".head"), "should be idle", soon)
	cable.Mend()
	rig.Eventually(t, soon, "the runner is ready", func() error { return is1(life.State(), "ready") })
	is(t, one.Locator(stateFact), "ready", soon)
	comes(t, row, "It stopped reporting", start, 60*time.Second)
	is(t, one.Locator(stateFact), "ready", soon)
}

// listening is a runner of Digital.ai's kind that is ready, over a cable of its own. It calls no answer late before two seconds.
func (r reporting) listening(t *testing.T, name string) (*client.Life, *client.Cable) {
	t.Helper()
	cable, err := client.NewCable(strings.TrimPrefix(r.URL, "http://"))
	must(t, err)
	t.Cleanup(cable.Close)
	one := r.runner(name, map[string]any{"system": "release", "uuid": "5f0c"})
	one.Base, one.HTTP = "http://"+cable.Addr, &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: 2 * time.Second}}
	t.Cleanup(one.HTTP.CloseIdleConnections)
	life := &client.Life{Runner: one, Poll: 300 * time.Millisecond, Silence: 30 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); life.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	rig.Eventually(t, soon, "the runner is ready", func() error { return is1(life.State(), "ready") })
	return life, cable
}

// firstIdle receives how long it took a runner to be idle, from now on.
func firstIdle(t *testing.T, life *client.Life) <-chan time.Duration {
	t.Helper()
	took, start, ctx := make(chan time.Duration, 1), time.Now(), t.Context()
	go func() {
		for tick := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			if life.State() == "idle" {
				tick.Stop()
				took <- time.Since(start)
				return
			}
		}
	}()
	return took
}

// comes waits for a text that is to come at a time after the start, and a second before that at the earliest.
func comes(t *testing.T, row playwright.Locator, text string, start time.Time, at time.Duration) {
	t.Helper()
	has(t, row, text, at-time.Since(start)+soon)
	if took := time.Since(start); took < at-time.Second {
		t.Errorf("%q came after %s", text, took)
	} else {
		t.Logf("%q came after %.1f s", text, took.Seconds())
	}
}

// TestReportShots writes pictures of runners that report, in all their states, into the folder that SHOTS names.
func TestReportShots(t *testing.T) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		t.Log("no folder is named by SHOTS: nothing is drawn")
		return
	}
	b := startReporting(t, "--report-late", "6s", "--report-lost", "12s")
	ctx := t.Context()
	join := func(name string, self map[string]any) *client.Runner {
		r := b.runner(name, self)
		_, err := r.Register(ctx)
		must(t, err)
		return r
	}
	lost := join("vm-frankfurt-17.internal.example.com", map[string]any{"system": "nomad", "version": "1.9.3"})
	release := map[string]any{"system": "release", "namespace": "digitalai", "uuid": "5f0c61c4-9a57-4f0e-8a39-0f6a3a3a1f10", "public_key": "ssh-ed25519 " + strings.Repeat("AAAAC3NzaC1lZDI1NTE5", 8),
		"capacity": 4, "eviction_time_ms": 3600_000, "version": "26.1.2", "capabilities": []string{"remote", "remote-script", "container", "k8s"}}
	ready, off := join("release-runner-0", release), join("release-runner-1", map[string]any{"system": "release", "namespace": "digitalai", "version": "26.1.2"})
	must(t, b.ops.Ask(ctx, off.ID(), "disable"))
	told, err := off.Register(ctx)
	must(t, err)
	must(t, off.Acknowledge(ctx, told.Commands[0].ID))
	page := openLive(t, b.Board, "/")
	has(t, page.Locator("#"+reportedRef("nomad", "", lost.Name).ID()), "It stopped reporting", 6*soon)
	pod := join("runner-standby-7c9d", nil)
	for _, r := range []*client.Runner{ready, pod} {
		_, err := r.Register(ctx)
		must(t, err)
		keepAlive(t, r)
	}
	task, err := b.ops.Queue(ctx, "agent", nil)
	must(t, err)
	a := takeTask(t, task, ready, pod)
	for _, e := range []map[string]any{{"type": "token", "text": "I will run the tests first."}, {"type": "tool_start", "tool_name": "bash"},
		{"type": "tool_end", "tool_state": "error", "output": "go: write /tmp/go-build: no space left on device"}, {"type": "error", "message": "tool bash failed three times: no space left on device"}} {
		must(t, pod.Send(ctx, a.Callback, e))
	}
	has(t, page.Locator("#rows"), "no space left", soon)
	for name, ref := range map[string]store.Ref{"lost": reportedRef("nomad", "", lost.Name), "release": reportedRef("release", "digitalai", "release-runner-0"),
		"disabled": reportedRef("release", "digitalai", "release-runner-1"), "plue": reportedRef("plue", "", pod.Name)} {
		shoot(t, b.Board, dir, name, "/", ref.Path(), "")
	}
}
