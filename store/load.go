package store

import (
	"slices"
	"strings"
	"time"
)

// Load is how much work a runner carries, counted while Trackside watches it: pods that are no part of a component and have not ended.
type Load struct {
	// Now is how many there are.
	Now int
	// Since is when counting began, At when Now last changed, and Sum how long all of them together ran in between.
	Since, At time.Time
	Sum       time.Duration
}

// Mean is how many there were on average from Since to now; false before there is a span to speak of.
func (l Load) Mean(now time.Time) (float64, bool) {
	span := now.Sub(l.Since)
	if l.Since.IsZero() || span < time.Minute {
		return 0, false
	}
	return float64(l.Sum+time.Duration(l.Now)*max(now.Sub(l.At), 0)) / float64(span), true
}

// next is the load after an observation that found n.
func (l Load) next(n int, now time.Time) Load {
	if l.Since.IsZero() {
		return Load{Now: n, Since: now, At: now}
	}
	if n == l.Now || now.Before(l.At) {
		return l
	}
	l.Sum += time.Duration(l.Now) * now.Sub(l.At)
	l.Now, l.At = n, now
	return l
}

// Carried counts the work of a runner that has not ended and is not gone.
func (r *Runner) Carried() (n int) {
	for i := range r.Workloads {
		if w := &r.Workloads[i]; w.Component == "" && !w.Ended() {
			n++
		}
	}
	return n
}

// over are the phases of work that has ended, in lower case: those of pods, reported tasks, AgenticSessions and EphemeralRunners.
var over = []string{"succeeded", "failed", "completed", "stopped", "outdated"}

// Ended holds for a workload that has ended, or whose pod is gone for good.
func (w *Workload) Ended() bool {
	return slices.Contains(over, strings.ToLower(w.Phase)) || w.Raw == RawGone && w.Failing()
}
