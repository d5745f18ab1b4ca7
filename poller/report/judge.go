package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// The words for what a runner is doing, in Plue's and Digital.ai's terms.
const (
	stateRegistering = "registering"
	stateReady       = "ready"
	stateAvailable   = "available"
	stateIdle        = "idle"
	stateLate        = "late"
	stateClaimed     = "claimed"
	stateDisabled    = "disabled"
	stateDeleting    = "deleting"
	stateDead        = "dead"
)

// observe is a runner as the board shows it.
func (s *Source) observe(r *runner, now time.Time) *store.Runner {
	s.expire(r, now)
	v, state := s.judge(r, now)
	if state == stateDead && r.Lost.IsZero() {
		r.Lost = now
		s.book.runner(r.ID)
	}
	out := &store.Runner{Ref: s.ref(r), Incarnation: r.Incarnation, Verdict: v, Version: r.Version, Requested: r.Requested, Observed: r.Observed, Mark: r.Mark}
	out.Facts = s.facts(r, state, now)
	out.Components = []store.Component{s.process(r, v, now)}
	for _, t := range r.ended {
		out.Workloads = append(out.Workloads, s.workload(r, t, state))
	}
	if r.task != nil {
		out.Workloads = append(out.Workloads, s.workload(r, r.task, state))
	}
	return out
}

// processName is the one component of a runner that reports itself.
const processName = "process"

// process is the runner's process, as its component: how it is, whatever became of its tasks.
func (s *Source) process(r *runner, v store.Verdict, now time.Time) store.Component {
	c := store.Component{Name: processName, Verdict: v, Version: r.Version, Desired: 1}
	if v.Raw == rawTaskFailed {
		c.Verdict = store.Verdict{Health: store.Healthy, Why: "It is registered and reports."}
	}
	if r.Observed != store.Enabled {
		c.Desired = 0
	} else if now.Sub(s.basis(r)) < s.cfg.Late && r.Problem == "" {
		c.Ready = 1
	}
	return c
}

// rawTaskFailed is the raw reason where a task failed, and not its runner.
const rawTaskFailed = "TaskFailed"

// judge says how a runner is, and in one word what it is doing.
func (s *Source) judge(r *runner, now time.Time) (store.Verdict, string) {
	silent := now.Sub(s.basis(r))
	switch {
	case r.Observed == store.Deleting:
		return store.Verdict{Health: store.Healthy, Why: "It cleans up and exits, as it was asked to.", Next: r.Heard.Add(s.cfg.Late)}, stateDeleting
	case r.Observed == store.Disabled:
		return outOfService(r, !r.unheard && silent < s.cfg.Late), stateDisabled
	case r.Problem != "":
		return s.refused(r, now), stateRegistering
	case silent < s.cfg.Late:
		return s.present(r, now)
	case r.task != nil && !r.Beats && !r.Control && silent < workLimit:
		return s.working(r, silent), stateClaimed
	case silent < s.cfg.Lost:
		return s.late(r), lateWord(r)
	case toldToDisable(r):
		return store.Verdict{Health: store.Unknown, Why: store.Sentence("It was told to stop taking work and has not acknowledged it; it was last heard " + store.Ago(r.Heard) +
			". So it is disabled, and silent as it should be, or lost.")}, lateWord(r)
	}
	return s.lost(r, now), stateDead
}

// outOfService is a runner that has disabled itself. Its silence is no failure, and no proof that it is there either.
func outOfService(r *runner, heard bool) store.Verdict {
	if heard {
		return store.Verdict{Health: store.Healthy, Why: "It is disabled: it takes no work."}
	}
	return store.Verdict{Health: store.Unknown, Why: store.Sentence("It is disabled: it takes no work, and its silence is no failure; it was last heard " + store.Ago(r.Heard) + ".")}
}

// toldToDisable reports whether a runner may have disabled itself, its acknowledgement having got lost.
func toldToDisable(r *runner) bool {
	n := len(r.Commands)
	return n > 0 && r.Commands[n-1].Event == store.CommandDisable && r.Commands[n-1].ID <= r.told
}

// refused is a runner that tries to register.
func (s *Source) refused(r *runner, now time.Time) store.Verdict {
	v := store.Verdict{Health: store.Degraded, Raw: "RegistrationRefused", Message: r.Problem, Since: r.ProblemSince, Next: r.ProblemSince.Add(registerGrace),
		Why: store.Sentence("It tries to register and is refused: " + strings.TrimSuffix(r.Problem, ".") + ".")}
	if !now.Before(v.Next) {
		v.Health, v.Reason, v.Next = store.Unhealthy, store.ConfigInvalid, s.basis(r).Add(s.cfg.Forget)
	}
	return v
}

// present is a runner that was heard within the limit.
func (s *Source) present(r *runner, now time.Time) (store.Verdict, string) {
	if r.Idle {
		return store.Verdict{Health: store.Degraded, Raw: "Idle", Why: "It says that it is idle: it lost its control channel, and is on its way to register again."}, stateIdle
	}
	if v, ok := taskTrouble(r, now); ok {
		return v, presentWord(r)
	}
	why := store.Sentence("It is registered and reports; it can be given work.")
	switch {
	case r.task != nil:
		why = store.Sentence("It is registered and carries " + taskName(r.task) + ".")
	case r.Control:
		why = "It is registered and answers."
	}
	return store.Verdict{Health: store.Healthy, Why: why}, presentWord(r)
}

// taskTrouble is the latest task's failure, while it is news.
func taskTrouble(r *runner, now time.Time) (store.Verdict, bool) {
	if len(r.ended) == 0 {
		return store.Verdict{}, false
	}
	t := r.ended[len(r.ended)-1]
	until := t.Ended.Add(taskNews)
	if !t.Failed || !now.Before(until) {
		return store.Verdict{}, false
	}
	return store.Verdict{Health: store.Degraded, Raw: rawTaskFailed, Next: until,
		Why: store.Sentence("Workload "+taskName(t)+" failed "+store.Ago(t.Ended)) + period(t.Error)}, true
}

// period ends a sentence, with a message if there is one.
func period(message string) store.Sentence {
	if message == "" {
		return "."
	}
	return store.Sentence(": " + strings.TrimSuffix(message, ".") + ".")
}

func presentWord(r *runner) string {
	switch {
	case r.task != nil:
		return stateClaimed
	case r.Control:
		return stateReady
	}
	return stateAvailable
}

// working is a runner of the kind that speaks, while it carries a task, only when the task has something to say. Its silence proves
// nothing, in either direction.
func (s *Source) working(r *runner, silent time.Duration) store.Verdict {
	name := taskName(r.task)
	if silent < s.cfg.Lost {
		return store.Verdict{Health: store.Healthy, Next: s.basis(r).Add(s.cfg.Lost),
			Why: store.Sentence("It carries " + name + ", and was last heard " + store.Ago(r.Heard) + ".")}
	}
	return store.Verdict{Health: store.Unknown, Next: s.basis(r).Add(workLimit),
		Why: store.Sentence("It carries " + name + " and was last heard " + store.Ago(r.Heard) +
			". It sends no heartbeats and speaks only when its work does, so nobody can say whether it lives; it counts as lost " +
			store.Until(s.basis(r).Add(workLimit)) + ".")}
}

func lateWord(r *runner) string {
	if r.Control {
		return stateIdle
	}
	return stateLate
}

// late is a runner between the two limits. Digital.ai's own goes idle when it misses our pings, and registers again.
func (s *Source) late(r *runner) store.Verdict {
	lost := s.basis(r).Add(s.cfg.Lost)
	v := store.Verdict{Health: store.Degraded, Raw: "Late", Next: lost}
	end := "; it is given no work, and counts as lost " + store.Until(lost) + "."
	switch {
	case r.unheard:
		v.Why = store.Sentence("It has not reported since Trackside started " + store.Ago(s.started) + "; before, it was last heard " + store.Ago(r.Heard) + end)
	case r.Control:
		v.Why = store.Sentence("It has acknowledged no ping since it was last heard " + store.Ago(r.Heard) + ", so it should be idle and registering again" + end)
	default:
		v.Why = store.Sentence("Late: it was last heard " + store.Ago(r.Heard) + end)
	}
	return v
}

// lost is a runner whose silence is longer than the limit.
func (s *Source) lost(r *runner, now time.Time) store.Verdict {
	limit := store.Duration(s.cfg.Lost)
	if r.task != nil && !r.Beats && !r.Control {
		limit = store.Duration(workLimit)
	}
	why := "It stopped reporting: it was last heard " + store.Ago(r.Heard) + ", and the limit is " + limit + ". Look whether its process lives and reaches this address."
	if r.task != nil {
		why += " It carried " + taskName(r.task) + "."
	}
	since := now
	if !r.Lost.IsZero() {
		since = r.Lost
	}
	return store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: store.RawSilent, Why: store.Sentence(why), Since: since,
		Next: since.Add(s.cfg.Forget)}
}

func taskName(t *task) string { return "task-" + strconv.FormatInt(t.ID, 10) }

// workload is a task as the board shows it. Next is when it leaves.
func (s *Source) workload(r *runner, t *task, state string) store.Workload {
	w := store.Workload{Namespace: r.Namespace, Name: taskName(t), UID: taskName(t), Node: r.Name, Created: t.Queued, Phase: "claimed"}
	c := store.Container{Name: store.Clean(t.Type, maxWord), Role: store.RoleMain, State: "waiting", Message: t.words.tail(store.MaxMessage)}
	lost := state == stateDead
	switch {
	case !t.Ended.IsZero() && t.Failed:
		w.Phase, c.State = "failed", "terminated"
		w.Verdict = store.Verdict{Health: store.Unhealthy, Raw: rawTaskFailed, Since: t.Ended, Next: t.Ended.Add(taskLinger), Message: c.Message,
			Why: "It failed " + store.Sentence(store.Ago(t.Ended)) + period(t.Error)}
		c.Message = ""
	case !t.Ended.IsZero():
		w.Phase, c.State, c.HasExit = "succeeded", "terminated", true
		w.Verdict = store.Verdict{Health: store.Healthy, Since: t.Ended, Next: t.Ended.Add(taskLinger), Why: "It completed " + store.Sentence(store.Ago(t.Ended)) + "."}
	case lost && !t.Begun.IsZero():
		w.Phase, c.State = "lost", "terminated"
		w.Verdict = store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: store.RawSilent, Message: c.Message, Since: r.Lost,
			Why: "Its runner stopped reporting; it was last heard " + store.Sentence(store.Ago(r.Heard)) + "."}
		c.Message = ""
	case !t.Begun.IsZero():
		w.Phase, c.State, c.Ready = "running", "running", true
		w.Verdict = store.Verdict{Health: store.Healthy, Since: t.Begun, Why: "It runs for " + store.Sentence(store.For(t.Begun)) + "."}
	case t.Handed > 0:
		w.Verdict = store.Verdict{Health: store.Unknown, Since: t.Claimed, Why: "It was handed to the runner, which has said nothing of it yet."}
	default:
		w.Verdict = store.Verdict{Health: store.Unknown, Since: t.Claimed, Why: "It waits for the runner to fetch it."}
	}
	w.Containers = []store.Container{c}
	return w
}

// facts are what the runner said of itself, and what it is doing. They hold no instant that moves with every report.
func (s *Source) facts(r *runner, state string, now time.Time) (out []store.Fact) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, store.Fact{Name: name, Value: store.Sentence(value)})
		}
	}
	add("State", state)
	if r.task != nil {
		add("Current task", taskName(r.task)+" ("+orWord(store.Clean(r.task.Type, maxWord), "no type")+")")
	}
	heard := "within the last " + store.Duration(s.cfg.Late)
	if now.Sub(r.Heard) >= s.cfg.Late {
		heard = store.Ago(r.Heard)
	}
	add("Last heard", heard)
	add("Registered", store.Ago(r.Registered))
	add("Runner id", strconv.FormatInt(r.ID, 10))
	add("Address", r.IP)
	add("UUID", r.UUID)
	add("Public key", r.PublicKey)
	if r.Capacity > 0 {
		add("Capacity", fmt.Sprintf("%d at once", r.Capacity))
	}
	if r.Eviction != nil {
		add("Eviction time", eviction(*r.Eviction))
	}
	add("Capabilities", strings.Join(r.Capabilities, ", "))
	if n := len(r.Commands); n > 0 {
		add("Not acknowledged", r.Commands[n-1].Event+", sent "+store.Ago(r.Commands[n-1].At))
	}
	return out
}

func eviction(d time.Duration) string {
	if d == 0 {
		return "0: for one piece of work only"
	}
	for _, u := range []struct {
		size time.Duration
		word string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if d%u.size == 0 {
			return fmt.Sprintf("%d %s", d/u.size, u.word)
		}
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
