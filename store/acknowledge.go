package store

import (
	"slices"
	"time"
)

// acknowledgements are those that hold, by runner. The map is replaced whole and never changed.
type acknowledgements map[Ref]Acknowledgement

func (a Acknowledgement) equal(b Acknowledgement) bool {
	return a.Ref == b.Ref && a.By == b.By && a.Note == b.Note && a.At.Equal(b.At)
}

// Acknowledged says who is on a runner's failure; false when nobody is.
func (s *Snapshot) Acknowledged(ref Ref) (Acknowledgement, bool) {
	a, ok := s.acknowledged[ref]
	return a, ok
}

// acknowledge replaces the acknowledgements and reports whether they differ. As with acceptances, the runners for which they do have changed.
func (s *Snapshot) acknowledge(list *[]Acknowledgement) (changes []Change, moved bool) {
	if list == nil {
		return nil, false
	}
	before := s.acknowledged
	s.acknowledged = make(acknowledgements, len(*list))
	for _, a := range *list {
		s.acknowledged[a.Ref] = a
	}
	refs := before.differing(s.acknowledged)
	for _, ref := range refs {
		old, ok := s.runners.get(Ref.Compare, ref)
		if !ok {
			continue
		}
		after := *old
		after.Rev = s.Rev
		s.runners = s.runners.put(Ref.Compare, ref, &after)
		changes = append(changes, Change{Before: old, After: &after})
	}
	return changes, len(refs) > 0
}

// differing lists the runners whose acknowledgements are not the same, in order.
func (a acknowledgements) differing(b acknowledgements) (refs []Ref) {
	for ref, x := range a {
		if y, ok := b[ref]; !ok || !x.equal(y) {
			refs = append(refs, ref)
		}
	}
	for ref := range b {
		if _, both := a[ref]; !both {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, Ref.Compare)
	return refs
}

// fresh is how long after a mark a disagreement is still the mark's own: the cluster takes a moment to follow.
const fresh = time.Minute

// asked is since when another state is asked for than is seen; zero while the two agree.
func asked(before, after *Runner, now time.Time) time.Time {
	switch {
	case after.Requested == after.Observed:
		return time.Time{}
	case before.Requested == after.Requested && !before.Asked.IsZero():
		return before.Asked
	case after.Mark.At.IsZero() || after.Mark.At.After(now):
		return now
	case before.Ref == Ref{} || now.Sub(after.Mark.At) < fresh: // a board that has just begun knows no better
		return after.Mark.At
	}
	return now
}

// DeadAfter is how long a runner must have been down before it counts as dead.
const DeadAfter = 24 * time.Hour

// Dead reports whether nothing is left of a runner that could be of use: it is meant to be in service, has been unhealthy for more than
// [DeadAfter], none of its components has a pod that is ready, and none of its workloads is well. It is what a clean-up offers, so it
// rather leaves one out.
func (r *Runner) Dead(now time.Time) bool {
	if r.Requested != Enabled || r.Observed != Enabled || r.Health != Unhealthy || now.Sub(r.Since) <= DeadAfter {
		return false
	}
	ready := slices.ContainsFunc(r.Components, func(c Component) bool { return c.Ready > 0 || c.Health == Healthy })
	well := slices.ContainsFunc(r.Workloads, func(w Workload) bool { return w.Health == Healthy })
	return !ready && !well
}
