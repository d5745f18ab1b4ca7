package poller

import (
	"maps"
	"slices"
	"time"

	"trackside/store"
)

// Witness is a source beside the clusters: it has no runners of its own to show, but says something of those of a system.
type Witness interface {
	Source
	// Testifies names the alias of the source, and the system whose runners it speaks of.
	Testifies() (alias, system string)
}

// joint composes what clusters show of runners with what witnesses say of them. It keeps the latest observation of the runners of
// the systems that a witness speaks of, and of no others.
type joint struct {
	aliases map[string]bool // of witnesses
	systems map[string]bool // that a witness speaks of
	began   bool

	// seen is each runner as its cluster shows it; nil for one that was read from disk and that its cluster has not shown yet.
	seen map[store.Ref]*store.Runner
	// said is all that witnesses say, and keys finds it by the reference that it has as a runner of its own.
	said  map[store.TestimonyKey]store.Testimony
	keys  map[store.Ref]store.TestimonyKey
	index index
	// place is the runner that a testimony is about, and by the other way round; a testimony without one makes a runner of its own.
	place map[store.TestimonyKey]placed
	by    map[store.Ref][]store.TestimonyKey
	// held says that runners of witnesses alone are not shown yet: some cluster has not spoken, and may know them.
	held bool
	// own are the runners of witnesses alone that are on the board; false for one that was read from disk and is not confirmed yet.
	own map[store.Ref]bool
}

// placed is the runner that a testimony is about; strong says that more than its name tells so.
type placed struct {
	ref    store.Ref
	strong bool
}

func newJoint(sources []Source) *joint {
	j := &joint{aliases: map[string]bool{}, systems: map[string]bool{}, seen: map[store.Ref]*store.Runner{}, said: map[store.TestimonyKey]store.Testimony{},
		keys: map[store.Ref]store.TestimonyKey{}, index: newIndex(), place: map[store.TestimonyKey]placed{}, by: map[store.Ref][]store.TestimonyKey{}, own: map[store.Ref]bool{}}
	for _, s := range sources {
		if w, ok := s.(Witness); ok {
			alias, system := w.Testifies()
			j.aliases[alias], j.systems[system] = true, true
		}
	}
	return j
}

// compose turns what was touched into what is to be applied: every runner that a testimony is about is joined with it anew.
func (j *joint) compose(prev *store.Snapshot, t store.Touched, due []store.Ref, now time.Time) store.Touched {
	if len(j.systems) == 0 {
		return t
	}
	if !j.began {
		j.restore(prev)
	}
	work := map[store.Ref]bool{}
	moved := j.observe(t, work, now)
	moved = j.hear(t, work) || moved
	moved = j.hold(prev, t) || moved
	if moved {
		j.settle(work, now)
	}
	for _, ref := range due {
		if len(j.by[ref]) > 0 || j.own[ref] {
			work[ref] = true
		}
	}
	return j.unheard(prev, j.write(t, work, now))
}

// unheard takes back what was read from disk of runners that only a witness knows, once that is found not to answer.
func (j *joint) unheard(prev *store.Snapshot, t store.Touched) store.Touched {
	for _, s := range t.Sources {
		if !j.aliases[s.Cluster] || s.State != store.SourceStale {
			continue
		}
		for ref, confirmed := range j.own {
			if r, err := prev.Runner(ref); err == nil && !confirmed && ref.Cluster == s.Cluster {
				t.Runners = append(t.Runners, store.Unheard(r, s))
			}
		}
	}
	return t
}

// restore takes in what was read from disk: the names of runners that their clusters will show, so that no testimony about one
// makes another of it meanwhile.
func (j *joint) restore(prev *store.Snapshot) {
	j.began = true
	for r := range prev.Runners() {
		switch {
		case j.aliases[r.Ref.Cluster]:
			j.own[r.Ref] = false
		case j.systems[r.Ref.System]:
			j.seen[r.Ref] = nil
			j.index.update(r, prev.At)
		}
	}
}

// observe takes in what clusters have shown; it reports whether a testimony may be about another runner now.
func (j *joint) observe(t store.Touched, work map[store.Ref]bool, now time.Time) (moved bool) {
	shown := map[store.Ref]bool{}
	for _, r := range t.Runners {
		if !j.systems[r.Ref.System] || j.aliases[r.Ref.Cluster] {
			continue
		}
		shown[r.Ref] = true
		moved = j.index.update(r, now) || moved
		j.seen[r.Ref] = r
		work[r.Ref] = true
	}
	gone := slices.Clone(t.Gone)
	if len(t.Full) > 0 {
		for ref := range j.seen {
			if slices.Contains(t.Full, ref.Cluster) && !shown[ref] {
				gone = append(gone, ref)
			}
		}
	}
	for _, ref := range gone {
		if _, ok := j.seen[ref]; ok {
			j.index.remove(ref)
			delete(j.seen, ref)
			moved = true
		}
	}
	return moved
}

// hear takes in what witnesses say; it reports whether a testimony may be about another runner now.
func (j *joint) hear(t store.Touched, work map[store.Ref]bool) (moved bool) {
	unsaid := slices.Clone(t.Unsaid)
	if len(t.Full) > 0 {
		still := map[store.TestimonyKey]bool{}
		for i := range t.Said {
			still[t.Said[i].TestimonyKey] = true
		}
		for k := range j.said {
			if slices.Contains(t.Full, k.Cluster) && !still[k] {
				unsaid = append(unsaid, k)
			}
		}
	}
	for _, k := range unsaid {
		delete(j.said, k)
		if j.keys[k.Ref()] == k {
			delete(j.keys, k.Ref())
		}
		work[j.place[k].ref], work[k.Ref()] = true, true
		j.move(k, placed{})
		moved = true
	}
	for i := range t.Said {
		s := t.Said[i]
		j.said[s.TestimonyKey], j.keys[s.Ref()] = s, s.TestimonyKey
		work[j.place[s.TestimonyKey].ref], work[s.Ref()] = true, true
		moved = true
	}
	return moved
}

// hold keeps runners of witnesses alone back until every cluster has spoken, or was found not to answer. It reports whether that
// has just ended.
func (j *joint) hold(prev *store.Snapshot, t store.Touched) bool {
	was := j.held
	j.held = restoring(prev, t, j.aliases)
	return was && !j.held
}

// settle finds anew which runner each testimony is about, and marks those for which that changed.
func (j *joint) settle(work map[store.Ref]bool, now time.Time) {
	j.index.sweep(j.said, now)
	for k := range j.said {
		s := j.said[k]
		was, had := j.place[k]
		ref, strong := j.index.find(&s)
		found := ref != (store.Ref{})
		if _, there := j.seen[was.ref]; had && there && was.strong && !strong {
			continue // what told it before is gone, and nothing tells of another
		}
		if found == had && ref == was.ref {
			if !found {
				work[k.Ref()] = true
			}
			continue
		}
		work[was.ref], work[ref], work[k.Ref()] = true, true, true
		j.move(k, placed{ref, strong})
	}
	delete(work, store.Ref{})
}

// move makes a testimony one about a runner; the zero place makes it one about no runner that a cluster shows.
func (j *joint) move(k store.TestimonyKey, to placed) {
	if was, ok := j.place[k]; ok {
		j.by[was.ref] = slices.DeleteFunc(j.by[was.ref], func(o store.TestimonyKey) bool { return o == k })
		if len(j.by[was.ref]) == 0 {
			delete(j.by, was.ref)
		}
		delete(j.place, k)
	}
	if to.ref != (store.Ref{}) {
		j.place[k] = to
		j.by[to.ref] = append(j.by[to.ref], k)
	}
}

// write replaces, in what was touched, the runners that are to be joined anew.
func (j *joint) write(t store.Touched, work map[store.Ref]bool, now time.Time) store.Touched {
	for _, alias := range t.Full {
		if j.aliases[alias] {
			for ref := range j.own {
				work[ref] = work[ref] || ref.Cluster == alias
			}
		}
	}
	t.Runners = slices.DeleteFunc(slices.Clone(t.Runners), func(r *store.Runner) bool { return work[r.Ref] && j.seen[r.Ref] != nil })
	for _, ref := range slices.SortedFunc(maps.Keys(work), store.Ref.Compare) {
		switch {
		case !work[ref]:
		case j.aliases[ref.Cluster]:
			j.writeOwn(&t, ref, now)
		case j.seen[ref] != nil:
			t.Runners = append(t.Runners, store.Join(j.seen[ref], j.about(ref, now), now))
		}
	}
	return t
}

// writeOwn puts a runner that only a witness knows on the board, or takes it away.
func (j *joint) writeOwn(t *store.Touched, ref store.Ref, now time.Time) {
	confirmed, shown := j.own[ref]
	key, said := j.keys[ref]
	_, elsewhere := j.place[key]
	switch {
	case said && !elsewhere && (shown || !j.held):
		j.own[ref] = true
		t.Runners = append(t.Runners, store.Join(nil, []store.Testimony{j.said[key]}, now))
	case shown && (confirmed || elsewhere || slices.Contains(t.Full, ref.Cluster)):
		delete(j.own, ref)
		t.Gone = append(t.Gone, ref)
	}
}

// about are the testimonies about a runner, with what is known of the pods that they speak of.
func (j *joint) about(ref store.Ref, now time.Time) []store.Testimony {
	out := make([]store.Testimony, 0, len(j.by[ref]))
	for _, k := range j.by[ref] {
		s := j.said[k]
		s.Workloads = slices.Clone(s.Workloads)
		j.index.note(&s, ref, now)
		out = append(out, s)
	}
	return out
}
