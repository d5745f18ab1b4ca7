package store

import "time"

// EventKind says what a transition is a change of.
type EventKind string

// The kinds of transitions.
const (
	EventAdded   EventKind = "added"
	EventRemoved EventKind = "removed"
	EventHealth  EventKind = "health"
	EventState   EventKind = "state"
	EventVersion EventKind = "version"
)

// Event is one transition of a runner, of one of its components or of one of its workloads.
type Event struct {
	At          time.Time
	Kind        EventKind
	Ref         Ref
	Incarnation string
	// Component and Workload say what changed; both are blank for the runner itself. Workload is namespace/name.
	Component, Workload string
	// From and To are words of the kind: healths, states or versions; blank where there was or is none.
	From, To string
	// Verdict holds from now on.
	Verdict Verdict
}

// Numbered is a transition with its number: the order in which transitions were recorded, from 1, over all runners. A number is never
// given twice, also when transitions are deleted.
type Numbered struct {
	ID int64
	Event
}

// transitions lists what a person would call changes between two observations of a runner.
func transitions(before, after *Runner, now time.Time) []Event {
	if after == nil {
		return []Event{{At: now, Kind: EventRemoved, Ref: before.Ref, Incarnation: before.Incarnation,
			From: before.Health.String(), Verdict: Verdict{Health: Unknown, Why: "The runner is no longer there.", Since: now}}}
	}
	l := eventList{at: now, after: after}
	if before == nil {
		l.add(EventAdded, "", "", "", after.Health.String(), after.Verdict)
		before = &Runner{}
	} else {
		l.health("", "", before.Verdict, after.Verdict)
	}
	if before.Observed != after.Observed {
		l.add(EventState, "", "", before.Observed.String(), after.Observed.String(), after.Verdict)
	}
	l.components(before, after)
	l.workloads(before, after)
	return l.events
}

type eventList struct {
	at     time.Time
	after  *Runner
	events []Event
}

func (l *eventList) add(kind EventKind, component, workload, from, to string, v Verdict) {
	l.events = append(l.events, Event{At: l.at, Kind: kind, Ref: l.after.Ref, Incarnation: l.after.Incarnation,
		Component: component, Workload: workload, From: from, To: to, Verdict: v})
}

// health adds an event when the health, or the reason of a failure, differs.
func (l *eventList) health(component, workload string, old, v Verdict) {
	if old.Health != v.Health || old.Reason != v.Reason {
		l.add(EventHealth, component, workload, old.Health.String(), v.Health.String(), v)
	}
}

func (l *eventList) components(before, after *Runner) {
	for i := range after.Components {
		c := &after.Components[i]
		old, known := before.Component(c.Name)
		if known {
			l.health(c.Name, "", old.Verdict, c.Verdict)
		}
		if known && old.Version != c.Version {
			l.add(EventVersion, c.Name, "", old.Version, c.Version, c.Verdict)
		}
	}
}

// workloads adds an event for each workload whose health changed, and for each new one that is already failing: workloads
// come and go by the thousand, and those that go well are not news.
func (l *eventList) workloads(before, after *Runner) {
	old := make(map[string]*Workload, len(before.Workloads))
	for i := range before.Workloads {
		old[before.Workloads[i].UID] = &before.Workloads[i]
	}
	for i := range after.Workloads {
		w := &after.Workloads[i]
		o, known := old[w.UID]
		switch {
		case known:
			l.health(w.Component, w.Namespace+"/"+w.Name, o.Verdict, w.Verdict)
		case w.Failing():
			l.add(EventHealth, w.Component, w.Namespace+"/"+w.Name, "", w.Health.String(), w.Verdict)
		}
	}
}
