package store

import (
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

// Mean is how many there were on average until Now last changed; false before there is a span to speak of.
func (l Load) Mean() (float64, bool) {
	span := l.At.Sub(l.Since)
	if span < time.Minute {
		return 0, false
	}
	return float64(l.Sum) / float64(span), true
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

// carried counts the work of a runner that has not ended. The phases are Kubernetes', or those of a reported task in lower case.
func (r *Runner) carried() (n int) {
	for i := range r.Workloads {
		if w := &r.Workloads[i]; w.Component == "" && !strings.EqualFold(w.Phase, "Succeeded") && !strings.EqualFold(w.Phase, "Failed") {
			n++
		}
	}
	return n
}
