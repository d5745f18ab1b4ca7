package views

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// How much of a runner one page shows.
const (
	maxWorkloads = 200
	maxEvents    = 100
)

// RunnerModel is the page of one runner.
type RunnerModel struct {
	Frame Frame
	Ref   store.Ref
	// Gone says that there is no such runner any more; the history is what is left.
	Gone bool
	// Findings is what was found about it; its zero value shows nothing.
	Findings RunnerFindings
	// Did is what somebody was sent back from; its zero value shows nothing.
	Did DidModel

	mark
	name      string
	place     string
	moving    movingView
	out, ack  []store.Part // who took it out of service, and who is on its failure
	acts      []actLink
	why       []store.Part
	message   string
	since     time.Time
	recovered time.Time
	unproven  bool
	inspect   string
	version   string

	facts      []factView
	components []componentView
	workloads  []workloadView
	// work counts the workloads; more says how many are not shown.
	work, more string
	events     []eventView
	uptime     []uptimeView
	// pastProblem says why the past is not whole; blank where it is.
	pastProblem string

	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
}

// componentView is a line of the components' table.
type componentView struct {
	verdictView
	Name, Object   string
	Version, Image string
	Ready          string
	Short          bool // fewer pods are ready than desired
	Restarts       string
	Probe          *probeView
	// Restart is the action on it; blank where it has nothing to restart.
	Restart actLink
}

// verdictView is what is said of a component or a workload.
type verdictView struct {
	mark
	Reason  string
	Why     []store.Part
	Raw     string
	Message string
	Since   time.Time
	// Next is when it is looked at again with nothing else happening: the end of a grace. Zero where the sentence says so itself.
	Next     time.Time
	Inspect  string
	Unproven bool
	// Evidence is the address of the failure's page; blank where there is none.
	Evidence string
}

// probeView is the outcome of an HTTP probe.
type probeView struct{ URL, Outcome, Took string }

// workloadView is one pod.
type workloadView struct {
	verdictView
	Name       name
	Namespace  string
	Part       string
	Phase      string
	Node       string
	Created    time.Time
	Containers []containerView
	// Delete is the action on it.
	Delete actLink
	uid    string
}

// containerView is one container of a pod.
type containerView struct {
	mark
	Name, Role, State, Detail, Message string
}

// eventView is one transition.
type eventView struct {
	mark
	At   time.Time
	What string
	Why  string
	// Evidence is the address of the page of the failure that it was the beginning of; blank where there is none.
	Evidence string
	key      eventKey
}

// NewRunnerModel builds the page of a runner with its latest transitions, newest first.
func NewRunnerModel(s *store.Snapshot, r *store.Runner, history []store.Event, now time.Time) RunnerModel {
	m := RunnerModel{
		Ref: r.Ref, mark: runnerMark(r), name: newName(r.Ref.Name).whole(), place: place(r.Ref), moving: newMoving(r), out: markParts(r), ack: ackParts(s, r), acts: actLinks(r),
		why: parts(r.Why), message: store.Clean(r.Message, lineLimit), since: r.Since, recovered: r.Recovered, unproven: r.Unproven,
		inspect: store.Clean(r.Inspect, lineLimit), version: version(r.Version),
		now: now, snapshot: s, totals: totalLinks(s, store.Filter{}), events: newEvents(history), facts: newFacts(append(slices.Clip(r.Facts), loadFacts(r.Load, now)...)),
	}
	for i := range r.Components {
		c := newComponent(&r.Components[i])
		if restartable(&r.Components[i]) && r.Requested != store.Deleting {
			c.Restart = newActLink(r.Ref, store.VerbRestart, r.Components[i].Name)
		}
		m.components = append(m.components, c)
	}
	m.setWorkloads(r.Ref, r.Workloads)
	return m
}

// NewGoneModel builds the page of a runner that has gone, or was never there but has a history.
func NewGoneModel(s *store.Snapshot, ref store.Ref, history []store.Event, now time.Time) RunnerModel {
	return RunnerModel{
		Ref: ref, Gone: true, mark: mark{"k", "gone"}, name: newName(ref.Name).whole(), place: place(ref),
		why:    []store.Part{{Text: "This runner is no longer there. Its name may come back; then this page shows it again."}},
		events: newEvents(history), now: now, snapshot: s, totals: totalLinks(s, store.Filter{}),
	}
}

// StreamURL is the address of the page's stream.
func (m RunnerModel) StreamURL() string { return m.Ref.Path() + "/stream" }

func (m RunnerModel) shell() shell {
	return shell{Frame: m.Frame, Title: m.title(), Icon: IconURL(m.snapshot.Totals()), Stream: m.StreamURL(), Now: m.now, Class: "one"}
}

func (m RunnerModel) title() string { return m.name + ", " + m.Word + " · Trackside" }

// setWorkloads keeps those that want attention first, and says how many more there are.
func (m *RunnerModel) setWorkloads(ref store.Ref, ws []store.Workload) {
	order := make([]*store.Workload, len(ws))
	for i := range ws {
		order[i] = &ws[i]
	}
	slices.SortStableFunc(order, func(a, b *store.Workload) int {
		return cmp.Or(a.Health.Severity()-b.Health.Severity(), b.Since.Compare(a.Since))
	})
	m.work = strconv.Itoa(len(ws))
	if n := len(order) - maxWorkloads; n > 0 {
		order = order[:maxWorkloads]
		m.more = plural(n, "more workload") + " not shown; those that want attention are above."
	}
	for _, w := range order {
		v := newWorkload(w)
		v.Delete = newActLink(ref, store.VerbDeleteWorkload, w.Namespace+"/"+w.Name)
		v.Delete.Word = "Delete"
		m.workloads = append(m.workloads, v)
	}
}

func newVerdict(v store.Verdict) verdictView {
	out := verdictView{
		mark: markOf(v.Health), Reason: v.Reason.Title(), Raw: store.Clean(v.Raw, nameLimit), Message: store.Clean(v.Message, lineLimit),
		Since: v.Since, Inspect: store.Clean(v.Inspect, lineLimit), Unproven: v.Unproven, Why: parts(v.Why),
	}
	says := slices.ContainsFunc(out.Why, func(p store.Part) bool { return p.Tense == store.TenseUntil })
	if v.Health != store.Unhealthy && !says {
		out.Next = v.Next
	}
	return out
}

func newComponent(c *store.Component) componentView {
	v := componentView{
		verdictView: newVerdict(c.Verdict), Name: store.Clean(c.Name, nameLimit), Version: version(c.Version), Image: store.Clean(c.Image, lineLimit),
		Object: strings.TrimSpace(store.Clean(c.Kind, nameLimit) + " " + store.Clean(c.Object, nameLimit)),
		Ready:  ratio(c), Short: c.Ready < c.Desired, Restarts: restarts(c),
	}
	if c.Probe.URL != "" {
		v.Probe = newProbe(c.Probe)
	}
	if bodiless(c) && c.Version == "" {
		v.Version = ""
	}
	return v
}

func newProbe(p store.Probe) *probeView {
	out := &probeView{URL: store.Clean(p.URL, lineLimit), Took: strconv.FormatInt(p.Took.Milliseconds(), 10) + " ms"}
	switch {
	case p.Problem != "":
		out.Outcome = store.Clean(p.Problem, lineLimit)
	case p.Status != 0:
		out.Outcome = strconv.Itoa(p.Status)
	default:
		out.Outcome = "no answer yet"
	}
	return out
}

func newWorkload(w *store.Workload) workloadView {
	v := workloadView{
		verdictView: newVerdict(w.Verdict), Name: newName(w.Name), Namespace: namespaceWord(w.Namespace), Part: "work",
		Phase: store.Clean(w.Phase, versionLimit), Node: store.Clean(w.Node, nameLimit), Created: w.Created, uid: w.UID,
	}
	if w.Component != "" {
		v.Part = store.Clean(w.Component, nameLimit)
	}
	for i := range w.Containers {
		v.Containers = append(v.Containers, newContainer(&w.Containers[i]))
	}
	return v
}

func newContainer(c *store.Container) containerView {
	v := containerView{mark: containerMark(c), Name: store.Clean(c.Name, nameLimit), Role: store.Clean(string(c.Role), versionLimit),
		State: store.Clean(c.State, versionLimit), Message: store.Clean(c.Message, lineLimit)}
	var detail []string
	if c.Reason != "" {
		detail = append(detail, store.Clean(c.Reason, nameLimit))
	}
	if c.HasExit {
		detail = append(detail, "exit code "+strconv.Itoa(int(c.ExitCode)))
	}
	if c.Restarts > 0 {
		detail = append(detail, plural(int(c.Restarts), "restart"))
	}
	v.Detail = strings.Join(detail, " · ")
	return v
}

// containerMark marks a container by what it does now; whether that is a failure is the workload's verdict.
func containerMark(c *store.Container) mark {
	switch {
	case c.State == "running" && c.Ready, c.State == "terminated" && c.HasExit && c.ExitCode == 0:
		return mark{"h", ""}
	case c.State == "terminated":
		return mark{"u", ""}
	}
	return mark{"d", ""}
}

func newEvents(history []store.Event) (out []eventView) {
	for i := range history[:min(len(history), maxEvents)] {
		out = append(out, newEvent(&history[i]))
	}
	return out
}

func newEvent(e *store.Event) eventView {
	v := eventView{mark: markOf(e.Verdict.Health), At: e.At, Why: store.Clean(e.Verdict.Why.Absolute(), lineLimit), key: eventKey{e.At.UnixMilli(), e.Component, e.Workload}}
	subject := "The runner"
	switch {
	case e.Workload != "":
		subject = store.Clean(e.Workload, nameLimit)
	case e.Component != "":
		subject = store.Clean(e.Component, nameLimit)
	}
	from, to := store.Clean(e.From, nameLimit), store.Clean(e.To, nameLimit)
	switch e.Kind {
	case store.EventAdded:
		v.What = subject + " appeared, " + to
	case store.EventRemoved:
		v.mark, v.What = mark{"x", "gone"}, subject+" went away"
	case store.EventState:
		v.What = subject + " is " + to + ", was " + orNone(from)
	case store.EventVersion:
		v.What, v.Why = subject+" went from version "+orNone(from)+" to "+orNone(to), ""
	case store.EventHealth:
		v.What = subject + " became " + to
		if from == "" {
			v.What = subject + " began " + to
		}
	default:
		v.What = subject + " changed"
	}
	return v
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
