package report_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller/report"
	"trackside/store"
)

func release(name string) store.Registration {
	return store.Registration{Name: name, System: "release", UUID: "u"}
}

// line is one open control channel, as its runner has it.
type line struct {
	got    []store.Command
	cancel context.CancelFunc
	ended  chan struct{}
	// mute acknowledges no ping.
	mute bool
}

// listen opens a channel after the command last. It acknowledges pings, as a runner does.
func (w *world) listen(id, last int64, mute bool) *line {
	ctx, cancel := context.WithCancel(context.Background())
	l := &line{cancel: cancel, ended: make(chan struct{}), mute: mute}
	go func() {
		defer close(l.ended)
		_ = w.source.Control(ctx, anyone, id, last, func(c store.Command) error {
			l.got = append(l.got, c)
			if c.Event == store.CommandPing && !l.mute {
				return w.source.Acknowledge(ctx, anyone, id, c.ID)
			}
			return nil
		})
	}()
	synctest.Wait()
	return l
}

func (l *line) close() { l.cancel(); <-l.ended }

// commands are what came but pings.
func (l *line) commands() (out []store.Command) {
	for _, c := range l.got {
		if c.Event != store.CommandPing {
			out = append(out, c)
		}
	}
	return out
}

func (w *world) acknowledge(id, command int64) {
	w.t.Helper()
	if err := w.source.Acknowledge(context.Background(), anyone, id, command); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) states(name string, requested, observed store.State) {
	w.t.Helper()
	w.pass(0)
	if r := w.runner(name); r == nil || r.Requested != requested || r.Observed != observed {
		w.t.Fatalf("%s is to be %s and %s, and is %+v", name, requested, observed, r)
	}
}

// Digital.ai's life: ready, disabled, enabled, deleted; each asked for and seen apart.
func TestControlLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		id := w.register(release("r")).Runner
		l := w.listen(id, 0, false)
		w.pass(5 * time.Minute)
		w.wants("r", store.Healthy, "ready")
		if n := len(l.got); n < 30 || n > 32 {
			t.Errorf("%d pings in five minutes", n)
		}
		w.ask(id, store.Disabled)
		w.states("r", store.Disabled, store.Enabled)
		cmds := l.commands()
		if len(cmds) != 1 || cmds[0].Event != "disable" {
			t.Fatalf("the runner was told %+v", cmds)
		}
		w.acknowledge(id, cmds[0].ID)
		<-l.ended
		w.states("r", store.Disabled, store.Disabled)
		w.pass(time.Hour)
		w.wants("r", store.Unknown, "disabled", "its silence is no failure; it was last heard")

		w.ask(id, store.Enabled)
		w.states("r", store.Enabled, store.Disabled)
		a := w.register(release("r"))
		if len(a.Commands) != 1 || a.Commands[0].Event != "enable" || a.Commands[0].ID <= cmds[0].ID {
			t.Fatalf("its next registration was answered with %+v", a.Commands)
		}
		if again := w.beat("r"); len(again) != 1 || again[0] != a.Commands[0] {
			t.Errorf("its next poll was answered with %+v", again)
		}
		w.acknowledge(id, a.Commands[0].ID)
		w.states("r", store.Enabled, store.Enabled)
		w.wants("r", store.Healthy, "ready")

		l = w.listen(id, a.Commands[0].ID, false)
		w.ask(id, store.Deleting)
		w.states("r", store.Deleting, store.Enabled)
		w.acknowledge(id, l.commands()[0].ID)
		w.states("r", store.Deleting, store.Deleting)
		w.wants("r", store.Healthy, "deleting")
		l.close()
		w.pass(0)
		if w.runner("r") != nil {
			t.Error("it exited, and is still on the board")
		}
	})
}

// A command that was sent and not acknowledged is sent again on a new channel, unless the runner says that it has it.
func TestControlResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		id := w.register(release("r")).Runner
		l := w.listen(id, 0, false)
		w.ask(id, store.Disabled)
		w.pass(0)
		first := l.commands()[0]
		l.close()
		l = w.listen(id, first.ID, false)
		w.pass(time.Second)
		if got := l.commands(); len(got) != 0 {
			t.Errorf("what the runner has was sent again: %+v", got)
		}
		l.close()
		w.restart(time.Minute)
		l = w.listen(id, 0, false)
		if got := l.commands(); len(got) != 1 || got[0].ID != first.ID || got[0].Event != "disable" {
			t.Fatalf("after the restart the runner was told %+v, not %+v", got, first)
		}
		w.ask(id, store.Enabled)
		w.pass(0)
		second := l.commands()[1]
		w.acknowledge(id, second.ID) // and all before it
		w.states("r", store.Enabled, store.Enabled)
		w.acknowledge(id, first.ID) // too late to mean anything
		w.acknowledge(id, 1<<62)
		w.states("r", store.Enabled, store.Enabled)
		other := w.listen(id, 0, false) // takes over
		<-l.ended
		other.close()
	})
}

// Who changes his mind before the runner was told tells it nothing.
func TestControlChangeOfMind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		id := w.register(release("r")).Runner
		w.ask(id, store.Disabled)
		w.ask(id, store.Disabled)
		w.ask(id, store.Enabled)
		if got := w.beat("r"); len(got) != 0 {
			t.Errorf("the runner is told %+v", got)
		}
		w.states("r", store.Enabled, store.Enabled)
	})
}

// A runner that answers no ping is idle after 30 s and lost after 60 s; one that says it is idle is degraded.
func TestControlSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		id := w.register(release("r")).Runner
		l := w.listen(id, 0, true)
		defer l.close()
		w.pass(30 * time.Second)
		w.wants("r", store.Degraded, "idle", "acknowledged no ping")
		w.pass(30 * time.Second)
		w.wants("r", store.Unhealthy, "dead")
		if _, err := w.source.Hear(context.Background(), anyone, "r", "idle"); err != nil {
			t.Fatal(err)
		}
		w.pass(0)
		w.wants("r", store.Degraded, "idle", "says that it is idle")
		w.register(release("r"))
		w.pass(0)
		w.wants("r", store.Healthy, "ready")
	})
}

// A runner that was told to disable itself and is silent may have done so: that is not known, and no failure is made up. One that could
// not be told is lost.
func TestSilentWhileDisabling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		told, untold := w.register(release("told")).Runner, w.register(release("untold")).Runner
		l := w.listen(told, 0, true)
		w.ask(told, store.Disabled)
		w.ask(untold, store.Disabled)
		w.pass(0)
		l.close()
		w.pass(61 * time.Second)
		w.wants("told", store.Unknown, "idle", "has not acknowledged")
		w.wants("untold", store.Unhealthy, "dead")
		w.acknowledge(told, l.commands()[0].ID)
		w.pass(0)
		w.wants("told", store.Healthy, "disabled")
	})
}

// Without a control channel, disabling is giving no work, and deleting is for the silent.
func TestWithoutControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.register(plue("r"))
		w.queue("agent")
		w.register(plue("r"))
		w.event(1, token("x", 0))
		w.ask(1, store.Disabled)
		w.states("r", store.Disabled, store.Enabled)
		w.event(1, store.TaskEvent{Type: "done"})
		w.states("r", store.Disabled, store.Disabled)
		if task := w.queue("agent"); task.Runner != 0 {
			t.Error("a disabled runner was given work")
		}
		if a := w.register(plue("r")); a.Task != nil || a.Commands != nil {
			t.Errorf("a disabled runner was answered %+v", a)
		}
		if err := w.source.Ask(context.Background(), admin, 1, store.Deleting); !errors.Is(err, store.ErrConflict) {
			t.Errorf("deleting it: %v", err)
		}
		w.ask(1, store.Enabled)
		if a := w.register(plue("r")); a.Task == nil || a.Task.ID != 2 {
			t.Errorf("enabled, it was answered %+v", a)
		}
		w.pass(31 * time.Second)
		w.beat("r")
		w.pass(31 * time.Second)
		w.ask(1, store.Deleting)
		w.pass(0)
		if w.runner("r") != nil {
			t.Error("a silent runner that was deleted is still there")
		}
		for name, err := range map[string]error{
			"a runner that is not there": w.source.Ask(context.Background(), admin, 1, store.Enabled),
			"a channel of nobody":        w.source.Control(context.Background(), anyone, 1, 0, nil),
			"an acknowledgement":         w.source.Acknowledge(context.Background(), anyone, 1, 1),
		} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.source.Ask(context.Background(), anyone, 1, store.Enabled); !errors.Is(err, store.ErrForbidden) {
			t.Errorf("not an admin: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		s, err := report.New(context.Background(), report.Config{Alias: "reported", Book: b})
		if err != nil {
			t.Fatal(err)
		}
		word, kept, err := report.NewToken("pool-*", "plue", false, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(word, string(kept.Hash)) || len(kept.Hash) != 32 {
			t.Errorf("the hash is %x", kept.Hash)
		}
		b.tokens[kept.ID] = kept
		g, err := s.Admit(context.Background(), word)
		if err != nil || g.Name != "pool-*" || g.System != "plue" || !g.Covers("pool-7") || g.Covers("other") || g.Admin {
			t.Errorf("the token allows %+v, %v", g, err)
		}
		last := word[len(word)-1]
		for name, wrong := range map[string]string{"none": "", "junk": "x", "cut": word[:40], "unknown": strings.Replace(word, kept.ID, "000000000000", 1),
			"one bit": word[:len(word)-1] + string(last^1), "long": word + "00", "prefix": word[4:]} {
			if _, err := s.Admit(context.Background(), wrong); !errors.Is(err, store.ErrForbidden) || !contains(err.Error(), "trackside report token") {
				t.Errorf("%s: %v", name, err)
			}
		}
		kept.Revoked = time.Now()
		b.tokens[kept.ID] = kept
		time.Sleep(6 * time.Second)
		if _, err := s.Admit(context.Background(), word); !errors.Is(err, store.ErrForbidden) {
			t.Errorf("a revoked token: %v", err)
		}
		for _, bad := range [][2]string{{"", ""}, {"[", ""}, {"a", "B d"}} {
			if _, _, err := report.NewToken(bad[0], bad[1], false, time.Now()); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("a token for %q of %q: %v", bad[0], bad[1], err)
			}
		}
	})
}

// A person's ping goes out at once, and only over an open channel.
func TestPingNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		id := w.register(release("r")).Runner
		w.pass(0)
		ref := w.runner("r").Ref
		if err := w.source.Ping(ref); !errors.Is(err, store.ErrConflict) {
			t.Errorf("without a channel: %v", err)
		}
		if err := w.source.Ping(store.Ref{Name: "gone"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("gone: %v", err)
		}
		l := w.listen(id, 0, false)
		before := len(l.got)
		if err := w.source.Ping(ref); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(l.got) != before+1 || l.got[before].Event != store.CommandPing {
			t.Errorf("it was sent %+v", l.got)
		}
		w.ask(id, store.Disabled)
		synctest.Wait()
		if cmds := l.commands(); len(l.got) != before+2 || len(cmds) != 1 {
			t.Errorf("a command brings a ping along: %+v", l.got)
		}
		l.close()
	})
}

// A runner that was disabled until a time is asked back then, also when the board was killed meanwhile.
func TestDisabledUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		id := w.register(release("r")).Runner
		l := w.listen(id, 0, false)
		m := store.Mark{By: "ada", Note: "disk", At: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := w.source.AskMarked(t.Context(), store.Grant{Admin: true}, id, store.Disabled, m); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.acknowledge(id, l.commands()[0].ID)
		<-l.ended
		w.states("r", store.Disabled, store.Disabled)
		if got := w.runner("r").Mark; !got.Equal(m) {
			t.Errorf("marked %+v", got)
		}
		w.pass(59 * time.Minute)
		w.states("r", store.Disabled, store.Disabled)
		w.pass(2 * time.Minute)
		w.states("r", store.Enabled, store.Disabled)
		if got := w.runner("r").Mark; !got.IsZero() {
			t.Errorf("still marked %+v", got)
		}
	})
}
