package views

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// FailureModel is the page of one failure.
type FailureModel struct {
	Frame Frame

	path string
	mark
	name, place string
	runner      string
	runnerHref  string
	reason      string
	reasonHref  string
	state       string
	at, since   time.Time
	why         []store.Part
	ack         []store.Part
	message     string
	inspect     string
	explanation
	facts      []proofView
	containers []proofContainerView
	conditions []conditionView
	events     []proofEventView
	logs       []logView
	// told says that no pod was examined, so that there is nothing to say of events and nodes.
	told bool

	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
}

// proofView is a name and what is so; At is an instant beside it, zero where there is none.
type proofView struct {
	Name, Value string
	Code        bool
	At          time.Time
}

// proofContainerView is one container as it was.
type proofContainerView struct {
	mark
	Name, Role, Image string
	Asked             string
	State, Last       string
	Message           string
	Restarts          string
}

// conditionView is one condition of the pod.
type conditionView struct {
	mark
	Name, Reason, Message string
	At                    time.Time
}

// proofEventView is one Warning event.
type proofEventView struct {
	At                            time.Time
	Reason, Message, Times, About string
}

// logView is the end of one container's log.
type logView struct{ Title, Text, Problem string }

// NewFailureModel builds the page of a failure. The snapshot says whether it goes on.
func NewFailureModel(s *store.Snapshot, e *store.Evidence, now time.Time) FailureModel {
	v := e.Verdict
	m := FailureModel{path: FailurePath(e.ID), mark: mark{"x", "over"}, name: newName(cmp.Or(e.Name, e.Component)).whole(), place: place(e.Ref),
		runner: store.Clean(e.Ref.Name, nameLimit), runnerHref: e.Ref.Path(), reason: reasonTitle(v.Reason), reasonHref: "/failures", at: e.At, since: v.Since,
		why: parts(v.Why), message: store.Clean(v.Message, lineLimit), inspect: store.Clean(v.Inspect, lineLimit), explanation: explain(e),
		told: e.Proof.Told, now: now, snapshot: s, totals: totalLinks(s, store.Filter{})}
	if v.Reason != store.NoReason {
		m.reasonHref += "?reason=" + v.Reason.String()
	}
	m.state = "It is over, or was replaced."
	if r, err := s.Runner(e.Ref); err != nil {
		m.state = "Its runner is no longer there."
	} else {
		for _, f := range r.Failed() {
			if f.Failure() == e.Failure() {
				m.mark, m.state, m.ack = mark{"u", "failing"}, "", ackParts(s, r)
			}
		}
	}
	m.setFacts(e)
	m.setStatus(&e.Proof)
	for _, l := range e.Logs {
		m.logs = append(m.logs, newLog(l))
	}
	return m
}

func (m *FailureModel) setFacts(e *store.Evidence) {
	p := &e.Proof
	add := func(name, value string, code bool) {
		if value = store.Clean(value, lineLimit); value != "" {
			m.facts = append(m.facts, proofView{Name: name, Value: value, Code: code})
		}
	}
	when := func(name string, t time.Time) {
		if !t.IsZero() {
			m.facts = append(m.facts, proofView{Name: name, At: t})
		}
	}
	add("Component", e.Component, false)
	switch {
	case e.UID != "" && p.Told:
		add("Workload", strings.TrimPrefix(e.Namespace+"/"+e.Name, "/"), true)
		add("Where", e.Node, true)
	case e.UID != "":
		add("Pod", e.Namespace+"/"+e.Name, true)
	}
	for _, o := range p.Owners {
		add("Made by", o, true)
	}
	add("Container", e.Verdict.Container, true)
	add("Image", e.Image, true)
	m.facts = append(m.facts, nodeFacts(e)...)
	add("Phase", strings.TrimSpace(p.Phase+" "+p.Reason), false)
	add("Phase message", p.Message, false)
	when("Created", p.Created)
	when("Started", p.Started)
	add("Restart policy", p.RestartPolicy, false)
	add("Runtime class", p.RuntimeClass, true)
	add("Pull secrets", strings.Join(p.PullSecrets, ", "), true)
	add("Health probe", p.Probe, false)
	add("Raw reason", e.Verdict.Raw, true)
	add("Fingerprint", e.Fingerprint, false)
}

// nodeFacts say how the node was.
func nodeFacts(e *store.Evidence) (out []proofView) {
	n := e.Proof.Node
	switch {
	case n == nil && (e.UID == "" || e.Proof.Told):
		return nil
	case n == nil:
		return []proofView{{Name: "Node", Value: cmp.Or(store.Clean(e.Node, nameLimit), "not scheduled")}}
	}
	state := map[string]string{"True": "ready", "False": "not ready", "Unknown": "silent"}[n.Ready]
	f := proofView{Name: "Node", Value: store.Clean(n.Name, nameLimit) + ", " + cmp.Or(state, "its state could not be seen")}
	if n.Reason != "" && n.Ready != "True" {
		f.Value += " (" + store.Clean(n.Reason, nameLimit) + ")"
	}
	if !n.Since.IsZero() && n.Ready != "" {
		f.Value += " since "
		f.At = n.Since
	}
	return []proofView{f}
}

func (m *FailureModel) setStatus(p *store.Proof) {
	for i := range p.Containers {
		m.containers = append(m.containers, newProofContainer(&p.Containers[i]))
	}
	for _, c := range p.Conditions {
		v := conditionView{mark: mark{"h", c.Status}, Name: store.Clean(c.Type, nameLimit), Reason: store.Clean(c.Reason, nameLimit), Message: store.Clean(c.Message, lineLimit), At: c.Since}
		if good := c.Status == "True"; good == (c.Type == "DisruptionTarget") {
			v.mark = mark{"d", store.Clean(c.Status, versionLimit)}
		}
		m.conditions = append(m.conditions, v)
	}
	for _, x := range p.Events {
		v := proofEventView{At: x.At, Reason: store.Clean(x.Reason, nameLimit), Message: store.Clean(x.Message, lineLimit)}
		if x.Count > 1 {
			v.Times = strconv.Itoa(int(x.Count)) + " times"
		}
		if x.About == "owner" {
			v.About = "about its owner"
		}
		m.events = append(m.events, v)
	}
}

func newProofContainer(c *store.ProofContainer) proofContainerView {
	v := proofContainerView{mark: mark{"d", ""}, Name: store.Clean(c.Name, nameLimit), Role: store.Clean(string(c.Role), versionLimit), Image: store.Clean(c.Image, lineLimit),
		State: stateWords(&c.State), Message: store.Clean(c.State.Message, lineLimit)}
	switch {
	case c.State.State == "running" && c.Ready, c.State.State == "terminated" && c.State.ExitCode == 0:
		v.mark = mark{"h", ""}
	case c.State.State == "terminated", c.Last != nil:
		v.mark = mark{"u", ""}
	}
	if c.Last != nil {
		v.Last = stateWords(c.Last)
		if v.Message == "" {
			v.Message = store.Clean(c.Last.Message, lineLimit)
		}
	}
	if c.Restarts > 0 {
		v.Restarts = plural(int(c.Restarts), "restart")
	}
	var asked []string
	for _, x := range []struct {
		word string
		list []string
	}{{"requests", c.Requests}, {"limits", c.Limits}} {
		if len(x.list) > 0 {
			asked = append(asked, x.word+" "+store.Clean(strings.Join(x.list, ", "), nameLimit))
		}
	}
	v.Asked = strings.Join(asked, " · ")
	return v
}

// stateWords words a container's state with what it ended with.
func stateWords(s *store.ProofState) string {
	words := []string{cmp.Or(store.Clean(s.State, versionLimit), "no status")}
	if s.Reason != "" {
		words = append(words, store.Clean(s.Reason, nameLimit))
	}
	if s.State == "terminated" {
		words = append(words, "exit code "+strconv.Itoa(int(s.ExitCode)))
		if s.Signal != 0 {
			words = append(words, "signal "+strconv.Itoa(int(s.Signal)))
		}
		if !s.Finished.IsZero() && s.Finished.Year() > 1970 {
			words = append(words, "at "+utcSeconds(s.Finished))
		}
	}
	return strings.Join(words, " · ")
}

// newLog makes a log fit to show, line by line, whoever wrote it.
func newLog(l store.Log) logView {
	v := logView{Title: store.Clean(l.Container, nameLimit), Problem: store.Clean(l.Problem, lineLimit)}
	if l.Previous {
		v.Title += ", the instance before"
	}
	lines := strings.Split(l.Text, "\n")
	for i := range lines {
		lines[i] = store.Clean(lines[i], lineLimit)
	}
	v.Text = strings.Join(lines, "\n")
	return v
}

// StreamURL is the address of the page's stream.
func (m FailureModel) StreamURL() string { return m.path + "/stream" }

func (m FailureModel) title() string { return m.name + ", " + m.reason + " · Trackside" }

func (m FailureModel) shell() shell {
	return shell{Frame: m.Frame, Title: m.title(), Icon: IconURL(m.snapshot.Totals()), Stream: m.StreamURL(), Now: m.now, Class: "one failure"}
}
