package store

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verb is what an action does. The words stand in addresses and in the audit.
type Verb string

// The verbs of actions on a runner.
const (
	VerbDisable        Verb = "disable"
	VerbEnable         Verb = "enable"
	VerbDelete         Verb = "delete"
	VerbRestart        Verb = "restart"         // Target is a component
	VerbDeleteWorkload Verb = "delete-workload" // Target is namespace/name of a pod
	VerbProbe          Verb = "probe"           // Target is a component, or blank for all; a runner that reports itself is pinged
	VerbAcknowledge    Verb = "acknowledge"     // of a failure: somebody is on it
)

// Verbs lists them all.
func Verbs() []Verb {
	return []Verb{VerbDisable, VerbEnable, VerbDelete, VerbRestart, VerbDeleteWorkload, VerbProbe, VerbAcknowledge}
}

// ParseVerb reads a verb.
func ParseVerb(s string) (Verb, error) {
	if v := Verb(s); slices.Contains(Verbs(), v) {
		return v, nil
	}
	return "", fmt.Errorf("%w: %q is no action; there are %s", ErrInvalid, Clean(s, 40), joinWords(Verbs()))
}

func joinWords[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// The bounds of the time for which a runner can be taken out of service; without an end it stays out.
const (
	MinDisabled = 15 * time.Minute
	MaxDisabled = 7 * 24 * time.Hour
)

// Action is something that somebody wants done to one runner. It is a value: it can be kept, shown before it is done, and done again
// without doing it twice.
type Action struct {
	// Key makes repeats of a request one action: the same key has the same outcome. Never blank.
	Key  string
	Verb Verb
	Ref  Ref
	// Target is the part of the runner, for the verbs that have one.
	Target string
	// Incarnation is the runner's as the person saw it; another one is a conflict. Blank is not checked.
	Incarnation string
	// Looked is when the person looked at what they decide on: what somebody has disabled since is a conflict. Zero: nobody says.
	Looked time.Time
	Note   string
	// Until is when a disabled runner comes back by itself; zero: when somebody enables it.
	Until time.Time
	// Drain lets work that runs finish before the runner is out of service.
	Drain bool
	// Confirm is the runner's name as typed, for delete.
	Confirm string
	By      Person
	At      time.Time
	// Pinned are the objects that a deletion is to delete, as they were when it was begun: it ends with them, whatever stands in their place.
	Pinned []Pinned `json:",omitempty"`
	// Resumed says that it was begun before the board started: it may have been done then, and undone since.
	Resumed bool `json:"-"`
}

// Check is ErrInvalid for an action that nobody could mean.
func (a Action) Check() error {
	switch {
	case a.Key == "":
		return fmt.Errorf("%w: an action needs a key, by which a repeated request is known", ErrInvalid)
	case len(a.Key) > 128 || len(a.Note) > MaxNote || len(a.Target) > 512:
		return fmt.Errorf("%w: a note is %d bytes long at most, a key 128, a target 512", ErrInvalid, MaxNote)
	case a.Verb == VerbDisable && !a.Until.IsZero() && (a.Until.Sub(a.At) < MinDisabled-time.Minute || a.Until.Sub(a.At) > MaxDisabled+time.Minute):
		return fmt.Errorf("%w: a runner is disabled for 15 minutes to 7 days, or without an end", ErrInvalid)
	case (a.Verb == VerbDisable || a.Verb == VerbAcknowledge) && strings.TrimSpace(a.Note) == "":
		return fmt.Errorf("%w: to %s a runner needs a note that says why", ErrInvalid, a.Verb)
	case a.Verb == VerbDelete && a.Confirm != a.Ref.Name:
		return fmt.Errorf("%w: to delete %s, type its name %q; %q was typed", ErrInvalid, a.Ref, a.Ref.Name, Clean(a.Confirm, 80))
	case (a.Verb == VerbRestart || a.Verb == VerbDeleteWorkload) && a.Target == "":
		return fmt.Errorf("%w: to %s needs a target", ErrInvalid, a.Verb)
	}
	return nil
}

// Object is a Kubernetes object, or what a source calls one.
type Object struct{ Kind, Namespace, Name string }

// String is kind namespace/name.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Pinned is an object that was there when somebody looked, and no other of its name.
type Pinned struct {
	Object
	UID string
}

// Effect is one change to one object. Before and After are short words such as "2 replicas".
type Effect struct {
	Object        Object
	Before, After string
	// Problem is why it was not done, blank if it was or is yet to be.
	Problem string
}

// Trap is something that will undo, block or surprise an action; it is told before.
type Trap struct {
	// Code is a word for tests and scripts, such as managed-by-argo.
	Code string
	Why  Sentence
	// Blocks says that the action cannot work as long as this holds.
	Blocks bool
}

// TrapForbidden is the code of the trap that whoever acts lacks a right.
const TrapForbidden = "forbidden"

// TrapSharedNamespace is the code of the trap that some work may be another runner's.
const TrapSharedNamespace = "shared-namespace"

// Plan is what an action would do, for people to look at first.
type Plan struct {
	Action Action
	// Steps are in the order in which they will be taken.
	Steps []Effect
	// Work is what runs on the runner now, and is ended or waited for. What may be another runner's is left out where it would be ended.
	Work []Workload
	// Goes is what else will be gone, and Stays what will be left, such as claims and Secrets, by the names in specs.
	Goes, Stays []Object
	Traps       []Trap
}

// Blocked lists the traps that keep the action from working.
func (p Plan) Blocked() (out []Trap) {
	for _, t := range p.Traps {
		if t.Blocks {
			out = append(out, t)
		}
	}
	return out
}

// Outcome is what an action has done when it is answered. What comes of it is seen on the board.
type Outcome struct {
	// ID is of the audit's entry.
	ID    int64
	Steps []Effect
	// Waits says what is awaited, in words: a finalizer and whose it is, work that drains. Blank when nothing is.
	Waits Sentence
	Left  []Object
	// Repeated says that the same key had been done before: this is the outcome of then.
	Repeated bool
}

// Mark is what an object says of being out of service: by whom, when, why, until when.
type Mark struct {
	By, Note  string
	At, Until time.Time
	// Drain says that work is let finish first; Draining, that some still runs.
	Drain, Draining bool
}

// IsZero reports whether there is no mark.
func (m Mark) IsZero() bool { return m.At.IsZero() && m.By == "" }

// Equal reports whether two marks say the same.
func (m Mark) Equal(o Mark) bool {
	same := m.At.Equal(o.At) && m.Until.Equal(o.Until)
	m.At, m.Until, o.At, o.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && m == o
}

// Acknowledgement says that somebody is on a failure. It ends when the runner recovers.
type Acknowledgement struct {
	Ref      Ref
	By, Note string
	At       time.Time
}

// Entry is one line of the audit: who did what, on what, and what came of it.
type Entry struct {
	ID int64
	At time.Time
	By Person
	// Verb is an action's, or another word: manifest-link, manifest-download, manifest-apply, accept, withdraw, token-create, sign-in …
	Verb string
	// Ref is the runner; zero where it is about none. Object names what else it is about.
	Ref           Ref
	Object        string
	Note          string
	Before, After string
	// Result is blank while it is under way, then done, refused or failed; Problem says why.
	Result, Problem string
	Ended           time.Time
}

// The words of entries about findings.
const (
	VerbAccept   = "accept"
	VerbWithdraw = "withdraw"
)

// The results of an entry.
const (
	ResultDone    = "done"
	ResultRefused = "refused"
	ResultFailed  = "failed"
)

// EntryFilter selects entries; a zero field selects all.
type EntryFilter struct {
	Since, Until    time.Time
	By, Verb, Text  string
	Cluster, Runner string
	// Before pages: entries with a smaller id.
	Before int64
}

// Kept is an action as the audit holds it: what was asked for, the entry about it, and what was answered.
type Kept struct {
	Action  Action
	Entry   Entry
	Outcome Outcome
}
