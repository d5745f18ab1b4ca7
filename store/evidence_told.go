package store

import (
	"slices"
	"time"
)

// Witness adds to changes the evidence of what newly fails and of which no source took any: a runner that reports itself, and work that only a
// control plane speaks of, leave no pod to examine. What the board knows is kept then, so that every failure has its permalink and its place in the past.
func Witness(changes []Change, now time.Time) {
	for i := range changes {
		if c := &changes[i]; c.After != nil && len(c.Events) > 0 {
			c.Evidence = append(c.Evidence, c.untaken(now)...)
		}
	}
}

// untaken is the evidence of what fails after a change, did not before, and has none.
func (c *Change) untaken(now time.Time) (out []Evidence) {
	var known map[Failure]bool
	for _, e := range c.After.Failed() {
		if known == nil {
			known = c.known()
		}
		if !known[e.Failure()] {
			out = append(out, c.told(e, now))
		}
	}
	return out
}

// known is what failed before a change, shown or not, and what has evidence already.
func (c *Change) known() map[Failure]bool {
	known := map[Failure]bool{}
	for i := range c.Evidence {
		known[c.Evidence[i].Failure()] = true
	}
	if c.Before == nil || c.Before.Incarnation != c.After.Incarnation {
		return known
	}
	for i := range c.Before.Workloads {
		if w := &c.Before.Workloads[i]; w.Failing() {
			known[Failure{Ref: c.After.Ref, UID: w.UID, Reason: w.Reason}] = true
		}
	}
	for i := range c.Before.Components {
		if x := &c.Before.Components[i]; x.Failing() {
			known[Failure{Ref: c.After.Ref, Component: x.Name, Reason: x.Reason}] = true
		}
	}
	return known
}

// told is a failure with what the board knows of it, and with the proof that was taken of the same workload for another reason.
func (c *Change) told(e Evidence, now time.Time) Evidence {
	e.At = now
	e.Verdict.Message = Mask(e.Verdict.Message)
	e.Proof = Proof{Told: true}
	if i := slices.IndexFunc(c.After.Workloads, func(w Workload) bool { return w.UID == e.UID }); i >= 0 && e.UID != "" {
		e.Proof.Phase, e.Proof.Created = c.After.Workloads[i].Phase, c.After.Workloads[i].Created
	}
	if i := slices.IndexFunc(c.Evidence, func(o Evidence) bool { return e.UID != "" && o.UID == e.UID }); i >= 0 {
		e.Proof = c.Evidence[i].Proof
	}
	e.Identify()
	return e
}
