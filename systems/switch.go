package systems

import (
	"fmt"
	"math"
	"slices"

	"trackside/store"
)

// AnnotationDisabled is the mark of what is out of service by way of the board: JSON that says who, when, why, until when, and what to
// restore. It stands on every object that was changed, so that any replica of the board, or a person with kubectl, can undo it.
const AnnotationDisabled = "trackside.dev/disabled"

// Setting is one field that a lever sets.
type Setting struct {
	// Path leads to the field; below metadata.annotations the last part is a key.
	Path []string
	// Off is the value that takes the object out of service: an int64, a bool or a string.
	Off any
	// On is what it is given back when nothing, or only its absence, is remembered; nil removes the field.
	On any
	// Word says what a value means, such as "3 replicas"; nil for an absent field.
	Word func(v any) string
	// Fits tells a value that can be given back from what somebody else has written into a mark.
	Fits func(v any) bool
}

// Lever says how objects of a kind are taken out of service.
type Lever struct {
	// Kind is an Object's.
	Kind string
	// Pulls chooses among the objects of the kind; component is the part that the object is. Nil means all.
	Pulls func(o Object, component string) bool
	// Settings are made in one change of the object; none only marks it.
	Settings []Setting
	// Out tells whether an object of a watch is out of service; Deployments and the like say it by their replicas. Nil: it says nothing.
	Out func(Object) bool
	// Early levers are pulled at once, even while work is let finish: those of updaters, which would undo the others.
	Early bool
}

// Switch says how a runner is taken out of service and deleted. It is data, and pure functions.
type Switch struct {
	// Levers are pulled in this order, and let go in the opposite one.
	Levers []Lever
	// Outlives says that work goes on in pods of its own, and is looked after by others, when the runner is taken away: to let it finish
	// is to take the runner away. Otherwise the runner must live until its work is done, and is left alone until then.
	Outlives bool
	// Work is the kind of the watch whose objects are the work, where deleting their pods would only have them made anew.
	Work string
	// Spares chooses the pods of work that the levers stop by themselves.
	Spares func(pod Object) bool
	// Deletes are the kinds of watches that go with the runner, in this order and before its workloads.
	Deletes []string
	// Secrets are the fields of the kinds that it deletes which name a Secret that stays, as paths.
	Secrets map[string][]string
	// Traps are what only this system knows to tell before.
	Traps func(verb store.Verb, objects []Object) []store.Trap
}

// Levers that most systems have.
var (
	scaleDeployments  = Lever{Kind: "Deployment", Settings: []Setting{replicasSetting}}
	scaleStatefulSets = Lever{Kind: "StatefulSet", Settings: []Setting{replicasSetting}}
	suspendCronJobs   = Lever{Kind: "CronJob", Settings: []Setting{suspendSetting}, Early: true}
)

// MaxReplicas is more than anybody remembers in good faith.
const MaxReplicas = 10_000

var replicasSetting = Setting{Path: []string{"spec", "replicas"}, Off: int64(0), On: int64(1),
	Word: func(v any) string { return Count(v, 1, "replica") },
	Fits: func(v any) bool { n, ok := number(v); return ok && n >= 0 && n <= MaxReplicas }}

var suspendSetting = Setting{Path: []string{"spec", "suspend"}, Off: true, On: false,
	Word: func(v any) string {
		if v == true {
			return "suspended"
		}
		return "on schedule"
	},
	Fits: func(v any) bool { _, ok := v.(bool); return ok }}

// Count words a number of things; absent is what a field that is not there stands for.
func Count(v any, absent int64, what string) string {
	n, ok := number(v)
	if !ok {
		n = absent
	}
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// standardSwitch scales what there is to scale.
var standardSwitch = Switch{Levers: []Lever{suspendCronJobs, scaleDeployments, scaleStatefulSets}}

// SwitchOf is how a system is switched.
func (s *System) SwitchOf() Switch {
	if s != nil && s.Switch != nil {
		return *s.Switch
	}
	return standardSwitch
}

// Lever is the one for an object; nil when the object has none.
func (w Switch) Lever(o Object, component string) (lever *Lever, order int) {
	i := slices.IndexFunc(w.Levers, func(l Lever) bool { return l.Kind == o.Kind && (l.Pulls == nil || l.Pulls(o, component)) })
	if i < 0 {
		return nil, -1
	}
	return &w.Levers[i], i
}

// IsOff reports whether a value is the one of being out of service, whatever Go made of a number.
func (s Setting) IsOff(v any) bool { return same(v, s.Off) }

// Back is the value to give back: what is remembered when it fits, which may be that it was off, otherwise what is usual. False means that
// the field is removed.
func (s Setting) Back(remembered any) (any, bool) {
	if remembered != nil && s.Fits(remembered) {
		if n, ok := number(remembered); ok {
			return n, true
		}
		return remembered, true
	}
	return s.On, s.On != nil
}

func same(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return a == b
}

// atMost words a bound of a scale set.
func atMost(word string) func(any) string {
	return func(v any) string {
		n, ok := number(v)
		if !ok {
			return "no " + word
		}
		return fmt.Sprintf("%s %d", word, n)
	}
}

// bounds tells a number of runners from anything else.
func bounds(v any) bool { n, ok := number(v); return ok && n >= 0 && n <= math.MaxInt32 }
