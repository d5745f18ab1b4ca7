package store

import (
	"slices"
	"time"
)

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
