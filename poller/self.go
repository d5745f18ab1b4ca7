package poller

import (
	"maps"
	"slices"

	"trackside/store"
)

// Reporter is a source of runners that report themselves. Some of them are pods that a watched cluster shows too.
type Reporter interface {
	Source
	// Reports is the alias under which its runners stand on the board.
	Reports() (alias string)
}

// self joins runners that report themselves with the pods that clusters show: what is a pod of a cluster's runner stands on the board
// once, there. The reported runner is off the board meanwhile, and comes back when the pod goes: its silence is news then.
type self struct {
	aliases map[string]bool // of reporters
	beside  map[string]bool // those and the witnesses': clusters are the rest
	began   bool
	held    bool

	// reported is each reported runner as its source last told it, and named finds it by the name of its pod.
	reported map[store.Ref]*store.Runner
	named    map[named]map[store.Ref]bool
	// systems are those of which some runner has reported; of others nothing is kept.
	systems map[string]bool
	// seen is each runner of them as its cluster shows it; nil for one that was read from disk and that its cluster has not shown yet.
	seen map[store.Ref]*store.Runner
	pods map[named]map[pod]bool
	has  map[store.Ref]map[string][]string // namespaces by pod, of each runner
	// hidden is the runner of a cluster that a reported runner is a pod of, and by the other way round.
	hidden map[store.Ref]store.Ref
	by     map[store.Ref]map[store.Ref]bool
}

// pod is a pod of a runner that a cluster shows.
type pod struct {
	ref       store.Ref
	namespace string
}

func newSelf(sources []Source) *self {
	s := &self{aliases: map[string]bool{}, beside: map[string]bool{}, reported: map[store.Ref]*store.Runner{}, named: map[named]map[store.Ref]bool{},
		systems: map[string]bool{}, seen: map[store.Ref]*store.Runner{}, pods: map[named]map[pod]bool{}, has: map[store.Ref]map[string][]string{},
		hidden: map[store.Ref]store.Ref{}, by: map[store.Ref]map[store.Ref]bool{}}
	for _, x := range sources {
		if r, ok := x.(Reporter); ok {
			s.aliases[r.Reports()], s.beside[r.Reports()] = true, true
		}
		if w, ok := x.(Witness); ok {
			alias, _ := w.Testifies()
			s.beside[alias] = true
		}
	}
	return s
}

// due adds the reported runners that are off the board: they are looked at when the runner that they are pods of is.
func (s *self) due(due []store.Ref) []store.Ref {
	for _, ref := range due {
		for r := range s.by[ref] {
			due = append(due, r)
		}
	}
	return due
}

// compose turns what was touched into what is to be applied.
func (s *self) compose(prev *store.Snapshot, t store.Touched) store.Touched {
	if len(s.aliases) == 0 {
		return t
	}
	look, work := map[store.Ref]bool{}, map[store.Ref]bool{}
	t = s.hear(prev, t, look, work)
	s.observe(t, look, work)
	if was := s.held; s.hold(prev, t) != was {
		for ref := range s.reported {
			look[ref] = true
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(look), store.Ref.Compare) {
		s.place(prev, &t, ref, work)
	}
	return s.write(t, work)
}

// hear takes the reported runners out of what was touched. Whether they are shown is decided later.
func (s *self) hear(prev *store.Snapshot, t store.Touched, look, work map[store.Ref]bool) store.Touched {
	if !s.began {
		s.began, s.held = true, true
		for r := range prev.Runners() {
			if s.aliases[r.Ref.Cluster] {
				s.follow(r.Ref.System, prev, true)
			}
		}
		for _, r := range t.Runners {
			if s.aliases[r.Ref.Cluster] {
				s.follow(r.Ref.System, prev, true)
			}
		}
	}
	rest := make([]*store.Runner, 0, len(t.Runners))
	for _, r := range t.Runners {
		if !s.aliases[r.Ref.Cluster] {
			rest = append(rest, r)
			continue
		}
		s.follow(r.Ref.System, prev, false)
		s.reported[r.Ref], look[r.Ref] = r, true
		add(s.named, named{r.Ref.System, r.Ref.Name}, r.Ref)
	}
	t.Runners = rest
	for _, ref := range t.Gone {
		if s.reported[ref] != nil {
			delete(s.reported, ref)
			drop(s.named, named{ref.System, ref.Name}, ref)
			s.move(ref, store.Ref{}, work)
		}
	}
	return t
}

// follow begins to keep the runners of a system: those that are on the board. FromDisk says that their clusters have not shown them yet.
func (s *self) follow(system string, prev *store.Snapshot, fromDisk bool) {
	if s.systems[system] {
		return
	}
	s.systems[system] = true
	for r := range prev.Runners() {
		if r.Ref.System != system || s.beside[r.Ref.Cluster] {
			continue
		}
		s.index(r, nil)
		if s.seen[r.Ref] = r; fromDisk {
			s.seen[r.Ref] = nil
		}
	}
}

// observe takes in what clusters have shown.
func (s *self) observe(t store.Touched, look, work map[store.Ref]bool) {
	shown := map[store.Ref]bool{}
	for _, r := range t.Runners {
		if s.systems[r.Ref.System] && !s.beside[r.Ref.Cluster] {
			shown[r.Ref] = true
			s.index(r, look)
			s.seen[r.Ref] = r
			work[r.Ref] = true
		}
	}
	gone := slices.Clone(t.Gone)
	if len(t.Full) > 0 {
		for ref := range s.seen {
			if slices.Contains(t.Full, ref.Cluster) && !shown[ref] {
				gone = append(gone, ref)
			}
		}
	}
	for _, ref := range gone {
		if _, ok := s.seen[ref]; ok {
			s.index(&store.Runner{Ref: ref}, look)
			delete(s.seen, ref)
		}
	}
}

// index takes in the pods of a runner, and marks the reported runners that are called like one that came or went.
func (s *self) index(r *store.Runner, look map[store.Ref]bool) {
	before, now := s.has[r.Ref], map[string][]string{}
	for i := range r.Workloads {
		if w := &r.Workloads[i]; w.IsPod() {
			now[w.Name] = append(now[w.Name], w.Namespace)
		}
	}
	s.has[r.Ref] = now
	if len(now) == 0 {
		delete(s.has, r.Ref)
	}
	mark := func(k named) {
		for ref := range s.named[k] {
			look[ref] = true
		}
	}
	for name, spaces := range before {
		if k := (named{r.Ref.System, name}); !slices.Equal(spaces, now[name]) {
			for _, ns := range spaces {
				drop(s.pods, k, pod{r.Ref, ns})
			}
			mark(k)
		}
	}
	for name, spaces := range now {
		if k := (named{r.Ref.System, name}); !slices.Equal(spaces, before[name]) {
			for _, ns := range spaces {
				add(s.pods, k, pod{r.Ref, ns})
			}
			mark(k)
		}
	}
}

// hold keeps reported runners that are not on the board back until every cluster has spoken, or was found not to answer.
func (s *self) hold(prev *store.Snapshot, t store.Touched) bool {
	s.held = restoring(prev, t, s.beside)
	return s.held
}

// restoring reports whether some cluster has not spoken yet since the program started; aliases are of sources that are no clusters.
func restoring(prev *store.Snapshot, t store.Touched, aliases map[string]bool) bool {
	states := map[[2]string]store.SourceState{}
	for _, s := range slices.Concat(prev.Sources, t.Sources) {
		if !aliases[s.Cluster] {
			states[[2]string{s.Cluster, s.Name}] = s.State
		}
	}
	for _, state := range states {
		if state == store.SourceRestored {
			return true
		}
	}
	return false
}

// find is the runner that a reported one is a pod of; the zero reference where no pod bears its name, or several do.
func (s *self) find(ref store.Ref) (found store.Ref) {
	for p := range s.pods[named{ref.System, ref.Name}] {
		if ref.Namespace != "" && ref.Namespace != p.namespace {
			continue
		}
		if found != (store.Ref{}) {
			return store.Ref{}
		}
		found = p.ref
	}
	return found
}

// place decides where a reported runner stands: with the runner that it is a pod of, or for itself.
func (s *self) place(prev *store.Snapshot, t *store.Touched, ref store.Ref, work map[store.Ref]bool) {
	r := s.reported[ref]
	if r == nil {
		return
	}
	to := s.find(ref)
	s.move(ref, to, work)
	_, err := prev.Runner(ref)
	switch shown := err == nil; {
	case to != (store.Ref{}) && shown:
		t.Gone = append(t.Gone, ref)
	case to == (store.Ref{}) && (shown || !s.held):
		t.Runners = append(t.Runners, r)
	}
}

// move makes a reported runner a pod of another; the zero reference makes it one for itself.
func (s *self) move(ref, to store.Ref, work map[store.Ref]bool) {
	if was, ok := s.hidden[ref]; ok {
		drop(s.by, was, ref)
		delete(s.hidden, ref)
		work[was] = true
	}
	if to != (store.Ref{}) {
		s.hidden[ref] = to
		add(s.by, to, ref)
		work[to] = true
	}
}

// write replaces, in what was touched, the runners whose pods report themselves, or did.
func (s *self) write(t store.Touched, work map[store.Ref]bool) store.Touched {
	t.Runners = slices.DeleteFunc(t.Runners, func(r *store.Runner) bool { return work[r.Ref] })
	for _, ref := range slices.SortedFunc(maps.Keys(work), store.Ref.Compare) {
		if r := s.seen[ref]; r != nil {
			t.Runners = append(t.Runners, store.JoinReports(r, s.pieces(ref)))
		}
	}
	return t
}

// pieces are the reported runners that are pods of a runner.
func (s *self) pieces(ref store.Ref) (out []*store.Runner) {
	for r := range s.by[ref] {
		out = append(out, s.reported[r])
	}
	return out
}

func add[K, V comparable](m map[K]map[V]bool, k K, v V) {
	if m[k] == nil {
		m[k] = map[V]bool{}
	}
	m[k][v] = true
}

func drop[K, V comparable](m map[K]map[V]bool, k K, v V) {
	delete(m[k], v)
	if len(m[k]) == 0 {
		delete(m, k)
	}
}
