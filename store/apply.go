package store

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// How a recovery and a flapping runner are shown (DESIGN: green must be earned).
const (
	// RecoveryLinger is how long a runner that recovered says so.
	RecoveryLinger = 2 * time.Minute
	// FlapWindow and FlapCount: that many failures within the window are one incident, which lasts until the window is clear.
	FlapWindow = 10 * time.Minute
	FlapCount  = 3
)

// Touched is what sources have observed anew; what it does not name stays as it was.
type Touched struct {
	// Runners are the touched runners as they are now, each with its Since left zero or set to what the objects say.
	Runners []*Runner
	// Gone are runners that are no longer there.
	Gone []Ref
	// Full lists clusters whose every runner is in Runners: what else the snapshot has of them is gone. The alias of a source beside
	// the cluster stands here when all that it says is in Said.
	Full []string
	// Said is what sources beside the cluster say of runners, and Unsaid what they say no more. The poller joins them with what the
	// clusters show; Apply does not look at them.
	Said   []Testimony
	Unsaid []TestimonyKey
	// Sources are the sources whose state changed.
	Sources []Source
	// Evidence is of failures that were just seen, or more of failures seen before: what has an ID that is known adds its logs to it.
	Evidence []Evidence
	// History replaces the snapshot's when it is not nil.
	History *History
	// Accepted replaces the snapshot's acceptances of findings when it is not nil: those that hold now.
	Accepted *[]Acceptance
	// Acknowledged replaces the snapshot's acknowledgements of failures when it is not nil.
	Acknowledged *[]Acknowledgement
}

// Add adds what another source has observed.
func (t *Touched) Add(o Touched) {
	t.Runners = append(t.Runners, o.Runners...)
	t.Gone = append(t.Gone, o.Gone...)
	t.Full = append(t.Full, o.Full...)
	t.Said = append(t.Said, o.Said...)
	t.Unsaid = append(t.Unsaid, o.Unsaid...)
	t.Sources = append(t.Sources, o.Sources...)
	t.Evidence = append(t.Evidence, o.Evidence...)
	if o.History != nil {
		t.History = o.History
	}
	if o.Accepted != nil {
		t.Accepted = o.Accepted
	}
	if o.Acknowledged != nil {
		t.Acknowledged = o.Acknowledged
	}
}

// Empty reports whether nothing was touched.
func (t Touched) Empty() bool {
	return len(t.Runners) == 0 && len(t.Gone) == 0 && len(t.Full) == 0 && len(t.Sources) == 0 && len(t.Evidence) == 0 && len(t.Said) == 0 && len(t.Unsaid) == 0 && t.History == nil && t.Accepted == nil && t.Acknowledged == nil
}

// Change is one runner before and after: Before is nil for one that is new, After for one that is gone.
type Change struct {
	Before, After *Runner
	// Events are the transitions the change is made of; a change of detail has none.
	Events []Event
	// Evidence is recorded with the change, before anybody sees it. A change that is nothing else has Before and After alike, or neither
	// when the runner has gone.
	Evidence []Evidence
}

// Ref is the runner's.
func (c Change) Ref() Ref {
	switch {
	case c.After != nil:
		return c.After.Ref
	case c.Before != nil:
		return c.Before.Ref
	case len(c.Evidence) > 0:
		return c.Evidence[0].Ref
	}
	return Ref{}
}

// Apply makes the next snapshot out of the previous one and what was touched. It shares everything else, so it costs what was
// touched and not the fleet. When nothing differs it returns prev itself.
func Apply(prev *Snapshot, t Touched, now time.Time) (*Snapshot, []Change) {
	next := *prev
	next.Rev, next.At = prev.Rev+1, now
	changes, accepted := next.accept(t.Accepted)
	for _, r := range t.Runners {
		if c, ok := next.set(r, now); ok {
			changes = append(changes, c)
		}
	}
	for _, ref := range slices.Concat(t.Gone, absent(prev, t)) {
		if c, ok := next.remove(ref, now); ok {
			changes = append(changes, c)
		}
	}
	changes = append(changes, next.acknowledge(t.Acknowledged)...)
	changes = next.attach(changes, t.Evidence)
	moved := next.setSources(t)
	if len(changes) == 0 && !moved && !accepted {
		return prev, nil
	}
	return &next, changes
}

// absent lists the runners of a fully observed cluster that were not observed.
func absent(prev *Snapshot, t Touched) (gone []Ref) {
	if len(t.Full) == 0 {
		return nil
	}
	seen := make(map[Ref]bool, len(t.Runners))
	for _, r := range t.Runners {
		seen[r.Ref] = true
	}
	for r := range prev.Runners() {
		if slices.Contains(t.Full, r.Ref.Cluster) && !seen[r.Ref] {
			gone = append(gone, r.Ref)
		}
	}
	return gone
}

// attach puts evidence with the change of its runner, so that both are recorded together.
func (s *Snapshot) attach(changes []Change, evidence []Evidence) []Change {
	for _, e := range evidence {
		i := slices.IndexFunc(changes, func(c Change) bool { return c.Ref() == e.Ref })
		if i < 0 {
			r, _ := s.runners.get(Ref.Compare, e.Ref)
			i, changes = len(changes), append(changes, Change{Before: r, After: r})
		}
		changes[i].Evidence = append(changes[i].Evidence, e)
	}
	return changes
}

func (s *Snapshot) set(observed *Runner, now time.Time) (Change, bool) {
	before, _ := s.runners.get(Ref.Compare, observed.Ref)
	after := settle(before, observed, now)
	after.Doubts = s.accepted.doubts(after)
	if before != nil && before.Equal(after) {
		return Change{}, false
	}
	after.Rev = s.Rev
	if before != nil {
		s.add(before, -1)
	}
	s.add(after, 1)
	s.runners = s.runners.put(Ref.Compare, after.Ref, after)
	s.recovered(after.Ref, after)
	return Change{Before: before, After: after, Events: transitions(before, after, now)}, true
}

func (s *Snapshot) remove(ref Ref, now time.Time) (Change, bool) {
	before, ok := s.runners.get(Ref.Compare, ref)
	if !ok {
		return Change{}, false
	}
	s.add(before, -1)
	s.runners = s.runners.del(Ref.Compare, ref)
	s.recovered(ref, nil)
	return Change{Before: before, Events: transitions(before, nil, now)}, true
}

func (s *Snapshot) setSources(t Touched) (changed bool) {
	if t.History != nil && *t.History != s.History {
		s.History, changed = *t.History, true
	}
	if len(t.Sources) == 0 {
		return changed
	}
	s.Sources = slices.Clone(s.Sources)
	for _, src := range t.Sources {
		i := slices.IndexFunc(s.Sources, func(x Source) bool { return x.Cluster == src.Cluster && x.Name == src.Name })
		if i < 0 {
			s.Sources = append(s.Sources, src)
		} else {
			s.Sources[i] = src
		}
	}
	slices.SortFunc(s.Sources, func(a, b Source) int { return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name)) })
	return true
}

// settle gives an observation its memory: since when each verdict holds, a recovery that lingers, flapping. It changes a copy.
func settle(before, observed *Runner, now time.Time) *Runner {
	if before == nil || before.Incarnation != observed.Incarnation && before.Incarnation != "" {
		before = &Runner{}
	}
	after := *observed
	after.Verdict = since(before.Verdict, after.Verdict, now)
	after.Components = slices.Clone(observed.Components)
	for i := range after.Components {
		old, _ := before.Component(after.Components[i].Name)
		after.Components[i].Verdict = since(old.Verdict, after.Components[i].Verdict, now)
	}
	settleWorkloads(before, &after, now)
	after.Load = before.Load.next(after.Carried(), now)
	remember(before, &after, now)
	after.Asked = asked(before, &after, now)
	return &after
}

func settleWorkloads(before, after *Runner, now time.Time) {
	old := make(map[string]Verdict, len(before.Workloads))
	for i := range before.Workloads {
		old[before.Workloads[i].UID] = before.Workloads[i].Verdict
	}
	after.Workloads = slices.Clone(after.Workloads)
	for i := range after.Workloads {
		w := &after.Workloads[i]
		w.Verdict = since(old[w.UID], w.Verdict, now)
	}
}

// since keeps the beginning of a verdict that goes on. A beginning that the objects name in the future is another clock's: it is now.
func since(old, v Verdict, now time.Time) Verdict {
	if old.Health == v.Health && old.Reason == v.Reason && !old.Since.IsZero() {
		v.Since = old.Since
	} else if v.Since.IsZero() || v.Since.After(now) {
		v.Since = now
	}
	return v
}

// remember adds what only history knows: failures within the window, flapping, and the time of a recovery, which is known only when the
// health is.
func remember(before, after *Runner, now time.Time) {
	failed, known := before.Failing() || before.WasFailing, after.Health != Unknown
	after.Recovered, after.WasFailing = before.Recovered, failed && !known
	for _, t := range before.Failures {
		if now.Sub(t) < FlapWindow {
			after.Failures = append(after.Failures, t)
		}
	}
	switch {
	case after.Failing() && !before.Failing() && before.Ref != (Ref{}):
		after.Failures = append(after.Failures, now)
		after.Recovered = time.Time{}
	case failed && known && !after.Failing():
		after.Recovered = now
	case !after.Recovered.IsZero() && now.Sub(after.Recovered) >= RecoveryLinger:
		after.Recovered = time.Time{}
	}
	if len(after.Failures) >= FlapCount && after.Health == Healthy {
		after.Verdict = flapping(before, after)
	}
}

func flapping(before, after *Runner) Verdict {
	clear := after.Failures[len(after.Failures)-FlapCount].Add(FlapWindow)
	v := Verdict{Health: Degraded, Raw: "Flapping", Next: clear, Since: after.Failures[0]} // the incident, not its latest recovery
	v.Why = Sentence("Flapping: it failed " + strconv.Itoa(len(after.Failures)) + " times within 10 min and is up again; counts as healthy " + Until(clear) + ".")
	if before.Health == v.Health && before.Raw == v.Raw {
		v.Since = before.Since
	}
	return v
}

// NextCheck is when the runner may change with nothing else happening; zero: never.
func (r *Runner) NextCheck() time.Time {
	next := earlier(r.Next, r.Mark.Until) // then it is to come back
	for i := range r.Components {
		next = earlier(next, r.Components[i].Next)
	}
	for i := range r.Workloads {
		next = earlier(next, r.Workloads[i].Next)
	}
	if !r.Recovered.IsZero() {
		next = earlier(next, r.Recovered.Add(RecoveryLinger))
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
