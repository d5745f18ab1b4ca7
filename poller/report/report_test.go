package report_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trackside/store"
)

func contains(s, sub string) bool { return strings.Contains(s, sub) }

// Silence is judged by the limits of Plue: 30 s and 60 s, and the runner that speaks again is well.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("pod-1"))
		w.pass(0)
		w.wants("pod-1", store.Healthy, "available", "can be given work")
		w.pass(29 * time.Second)
		w.wants("pod-1", store.Healthy, "available")
		w.pass(time.Second)
		w.wants("pod-1", store.Degraded, "late", "last heard 31 s ago", "counts as lost in 28 s")
		w.pass(29 * time.Second)
		w.wants("pod-1", store.Unhealthy, "dead", "stopped reporting", "the limit is 1 min")
		if r := w.runner("pod-1"); r.Reason != store.RuntimeLost {
			t.Errorf("the reason is %v", r.Reason)
		}
		if n := w.live.Current().Totals().Reason(store.RuntimeLost); n != 1 {
			t.Errorf("the fleet counts %d lost", n)
		}
		w.beat("pod-1")
		w.pass(0)
		w.wants("pod-1", store.Healthy, "available")
		if c := w.runner("pod-1").Components; len(c) != 1 || c[0].Ready != 1 || c[0].Health != store.Healthy {
			t.Errorf("its process is %+v", c)
		}
		if w.runner("pod-1").Recovered.IsZero() {
			t.Error("its recovery is not shown")
		}
	})
}

// A runner that reports every five seconds publishes nothing, and writes a row to disk only now and then.
func TestReportsAreNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		for i := range 50 {
			w.register(plue(fmt.Sprintf("pod-%d", i)))
		}
		w.pass(time.Second)
		_, rows := w.book.written()
		rev, recorded := w.live.Current().Rev, w.disk.count()
		for range 60 { // five minutes
			for i := range 50 {
				if i%2 == 0 {
					w.register(plue(fmt.Sprintf("pod-%d", i)))
				} else {
					w.beat(fmt.Sprintf("pod-%d", i))
				}
			}
			w.pass(5*time.Second - time.Second/2)
		}
		// The first heartbeat of each of 25 is news: from then on it is known to send them.
		if got := w.live.Current().Rev - rev; got > 1 {
			t.Errorf("3,000 reports made %d publications", got)
		}
		if got := w.disk.count() - recorded; got > 0 {
			t.Errorf("3,000 reports changed %d runners on the board", got)
		}
		saves, after := w.book.written()
		if after-rows > 25 || saves > 50+15+25 {
			t.Errorf("3,000 reports wrote %d rows in %d transactions", after-rows, saves)
		}
	})
}

// While Trackside is away nobody can be heard: a restart makes nobody late, lost, disabled or forgotten.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		for _, n := range []string{"well", "off", "dead"} {
			w.register(plue(n))
		}
		w.ask(2, store.Disabled)
		w.pass(20 * time.Second)
		for range 5 {
			w.beat("well")
			w.beat("off")
			w.pass(10 * time.Second)
		}
		w.wants("dead", store.Unhealthy, "dead")
		before := w.runner("well")
		w.restart(time.Hour)
		w.pass(0)
		for _, n := range []string{"well", "off", "dead"} {
			if w.runner(n) == nil {
				t.Fatalf("%s was forgotten", n)
			}
		}
		if src, ok := w.live.Current().Source("reported", "Reports"); !ok || src.State != store.SourceRestored {
			t.Errorf("the source is %+v", src)
		}
		w.wants("well", store.Healthy, "available")
		w.wants("off", store.Healthy, "disabled")
		w.wants("dead", store.Unhealthy, "dead")
		w.beat("well")
		w.pass(0)
		w.wants("well", store.Healthy, "available")
		if got := w.runner("well"); !got.Since.Equal(before.Since) || got.Incarnation != before.Incarnation {
			t.Errorf("after the restart it is healthy since %v as %s, before since %v as %s", got.Since, got.Incarnation, before.Since, before.Incarnation)
		}
		if src, _ := w.live.Current().Source("reported", "Reports"); src.State != store.SourceLive {
			t.Errorf("all that are awaited have spoken, and the source is %s", src.State)
		}
		if r := w.runner("off"); r.Requested != store.Disabled || r.Observed != store.Disabled {
			t.Errorf("the disabled runner is asked to be %s and is %s", r.Requested, r.Observed)
		}
		w.restart(time.Minute)
		w.pass(29 * time.Second)
		w.wants("well", store.Healthy, "available")
		w.pass(2 * time.Second)
		w.wants("well", store.Degraded, "late", "not reported since Trackside started")
		w.pass(30 * time.Second)
		w.wants("well", store.Unhealthy, "dead")
	})
}

// A lost runner leaves the board after its time; a disabled one never does.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		w.register(plue("lost"))
		w.register(plue("off"))
		w.ask(2, store.Disabled)
		w.pass(23 * time.Hour)
		w.wants("lost", store.Unhealthy, "dead")
		w.pass(2 * time.Hour)
		if w.runner("lost") != nil {
			t.Error("a runner lost for a day is still on the board")
		}
		w.wants("off", store.Unknown, "disabled", "its silence is no failure")
		w.pass(saveLag)
		if len(w.book.runners) != 1 {
			t.Errorf("the book holds %d runners", len(w.book.runners))
		}
		w.ask(2, store.Enabled)
		w.ask(2, store.Deleting)
		w.pass(0)
		w.restart(time.Minute) // nobody is left, and nobody is waited for
		w.pass(0)
		if src, ok := w.live.Current().Source("reported", "Reports"); !ok || src.State != store.SourceLive || w.live.Current().Len() != 0 {
			t.Errorf("there are %d runners, and the source is %+v", w.live.Current().Len(), src)
		}
		if a := w.register(plue("lost")); a.Runner != 3 {
			t.Errorf("an id was given twice: %d", a.Runner)
		}
	})
}

// saveLag is more than the time after which everything is in the book.
const saveLag = 31 * time.Second

// What a runner says of itself is shown; what is wrong with it is told to it, and shown.
func TestRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		hour := time.Hour
		w.register(store.Registration{Name: "release/0", System: "release", Namespace: "digitalai", UUID: "u-1", PublicKey: "ssh-ed25519 AAAA", Version: "v26.1.2",
			Capacity: 3, Eviction: &hour, Capabilities: []string{"remote", "k8s"}, IP: "10.1.1.1"})
		w.pass(0)
		w.wants("release/0", store.Healthy, "ready")
		r := w.runner("release/0")
		want := store.Ref{Cluster: "reported", System: "release", Namespace: "digitalai", Name: "release/0"}
		if r.Ref != want || r.Version != "26.1.2" || r.Incarnation != "u-1" {
			t.Errorf("the runner is %v, version %q, incarnation %q", r.Ref, r.Version, r.Incarnation)
		}
		for name, v := range map[string]string{"UUID": "u-1", "Public key": "ssh-ed25519 AAAA", "Capacity": "3 at once", "Eviction time": "1 h",
			"Capabilities": "remote, k8s", "Address": "10.1.1.1", "Last heard": "within the last 30 s", "Runner id": "1"} {
			if got := fact(r, name); got != v {
				t.Errorf("the fact %s is %q, want %q", name, got, v)
			}
		}
		bad := store.Registration{Name: "refused", System: "release", Capacity: -1}
		if _, err := w.source.Register(context.Background(), anyone, bad); !errors.Is(err, store.ErrInvalid) || !contains(err.Error(), "capacity -1") {
			t.Errorf("a capacity of -1: %v", err)
		}
		w.pass(0)
		w.wants("refused", store.Degraded, "registering", "is refused: capacity -1")
		w.pass(time.Minute)
		w.wants("refused", store.Unhealthy, "registering")
		bad.Capacity = 1
		w.register(bad)
		w.pass(0)
		w.wants("refused", store.Healthy, "ready")
	})
}

func TestRegistrationRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		for name, c := range map[string]struct {
			g     store.Grant
			r     store.Registration
			class error
			says  string
		}{
			"blank name":    {anyone, plue(""), store.ErrInvalid, "blank"},
			"long name":     {anyone, plue(strings.Repeat("x", 254)), store.ErrInvalid, "253"},
			"dots":          {anyone, plue(".."), store.ErrInvalid, `".."`},
			"control bytes": {anyone, plue("a\x00b"), store.ErrInvalid, "cannot be seen"},
			"no text":       {anyone, plue("a\xff"), store.ErrInvalid, "no text"},
			"another's":     {store.Grant{Name: "pool-*"}, plue("other"), store.ErrForbidden, `"other"`},
			"an admin":      {admin, plue("ops"), store.ErrForbidden, `"ops"`},
			"no system":     {anyone, store.Registration{Name: "a", System: "<b>"}, store.ErrInvalid, "system"},
			"bad namespace": {anyone, store.Registration{Name: "b", Namespace: "a\nb"}, store.ErrInvalid, "namespace"},
		} {
			_, err := w.source.Register(context.Background(), c.g, c.r)
			if !errors.Is(err, c.class) || !contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.source.Hear(context.Background(), store.Grant{Name: "a"}, "b", ""); !errors.Is(err, store.ErrForbidden) {
			t.Errorf("a heartbeat for another: %v", err)
		}
		if _, err := w.source.Hear(context.Background(), anyone, "a", "poorly"); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("a heartbeat of an unknown state: %v", err)
		}
		if cmds, err := w.source.Hear(context.Background(), anyone, "nobody", ""); err != nil || cmds != nil {
			t.Errorf("a heartbeat of nobody: %v, %v", cmds, err)
		}
		if w.pass(0); w.runner("nobody") != nil {
			t.Error("a heartbeat made a runner")
		}
	})
}

// Another process under the name is another incarnation; the same one that registers again is not.
func TestIncarnations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(store.Registration{Name: "r", UUID: "one"})
		w.pass(0)
		w.register(store.Registration{Name: "r"})
		w.pass(0)
		if got := w.runner("r").Incarnation; got != "one" {
			t.Errorf("the incarnation is %q", got)
		}
		w.register(store.Registration{Name: "r", UUID: "two", Namespace: "elsewhere"})
		w.pass(0)
		if r := w.runner("r"); r.Incarnation != "two" || r.Ref.Namespace != "elsewhere" || w.live.Current().Len() != 1 {
			t.Errorf("there are %d runners; %v is %q", w.live.Current().Len(), r.Ref, r.Incarnation)
		}
	})
}

// A disabled runner stands after a restart as it stood before, whether it was silent or not, until it speaks or is late: a restart is no
// news of it.
func TestRestartOfTheDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		silent, heard := w.register(plue("silent")).Runner, w.register(plue("heard")).Runner
		w.ask(silent, store.Disabled)
		w.ask(heard, store.Disabled)
		for range 6 {
			w.pass(10 * time.Second)
			w.beat("heard")
		}
		w.pass(0)
		w.wants("silent", store.Unknown, "disabled", "its silence is no failure")
		w.wants("heard", store.Healthy, "disabled")
		since := w.runner("silent").Since
		w.restart(time.Minute)
		w.pass(time.Second)
		w.wants("silent", store.Unknown, "disabled", "its silence is no failure")
		w.wants("heard", store.Healthy, "disabled")
		w.ask(silent, store.Disabled) // what is asked meanwhile makes nobody heard
		w.pass(0)
		w.wants("silent", store.Unknown, "disabled", "its silence is no failure")
		w.beat("heard")
		w.pass(20 * time.Second)
		w.beat("heard")
		w.pass(15 * time.Second)
		w.wants("silent", store.Unknown, "disabled", "its silence is no failure")
		w.wants("heard", store.Healthy, "disabled")
		if got := w.runner("silent").Since; !got.Equal(since) {
			t.Errorf("it is unknown since %v, and was since %v before the restart", got, since)
		}
		w.restart(time.Minute)
		w.pass(31 * time.Second)
		w.wants("heard", store.Unknown, "disabled", "its silence is no failure")
		w.restart(time.Minute)
		w.beat("silent")
		w.pass(0)
		w.wants("silent", store.Healthy, "disabled")
	})
}

// A name is held by the runner that has it and still reports: one of another namespace is told so, and takes over nothing. It may when the
// other is lost, or was told to exit.
func TestOneNameInTwoNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		in := func(namespace string) store.Registration {
			return store.Registration{Name: "runner-0", System: "release", Namespace: namespace, UUID: "u-" + namespace}
		}
		refused := func() {
			t.Helper()
			_, err := w.source.Register(context.Background(), anyone, in("b"))
			if !errors.Is(err, store.ErrConflict) {
				t.Fatalf("the other was answered %v", err)
			}
			for _, word := range []string{`"runner-0"`, "namespace a", "namespace b", "last heard", "1 min", "another pod_name"} {
				if !contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		}
		id := w.register(in("a")).Runner
		l := w.listen(id, 0, false)
		refused()
		w.pass(10 * time.Minute)
		refused()
		w.wants("runner-0", store.Healthy, "ready")
		if r := w.runner("runner-0"); r.Ref.Namespace != "a" || r.Incarnation != "u-a" || len(l.got) < 60 {
			t.Errorf("it is %v, %s, and was sent %d events", r.Ref, r.Incarnation, len(l.got))
		}
		w.register(in("a")) // it may say so again
		w.register(store.Registration{Name: "runner-0", System: "release", UUID: "u-a"})
		w.register(in("a"))
		l.close()
		w.pass(40 * time.Second)
		refused() // which makes nobody heard
		w.pass(21 * time.Second)
		w.wants("runner-0", store.Unhealthy, "dead")
		w.register(in("b"))
		w.pass(0)
		w.wants("runner-0", store.Healthy, "ready")
		if r := w.runner("runner-0"); r.Ref.Namespace != "b" || w.live.Current().Len() != 1 {
			t.Errorf("it is %v, of %d", r.Ref, w.live.Current().Len())
		}
		l = w.listen(id, 0, false)
		w.ask(id, store.Deleting)
		w.pass(0)
		w.acknowledge(id, l.commands()[0].ID)
		w.register(in("a"))
		l.close()
	})
}
