package store

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Snapshot is the whole fleet at one moment. It is immutable: Apply makes a new one that shares what did not change.
type Snapshot struct {
	// Rev counts snapshots from 1; the empty snapshot has 0.
	Rev uint64
	// At is when it was made.
	At time.Time
	// Sources are the places it comes from, by cluster and name.
	Sources []Source
	History History

	runners    tree[Ref, *Runner]
	totals     Totals
	versions   tree[string, int]
	namespaces tree[string, int]
	systems    tree[string, int]
	accepted   acceptances
	// acknowledged is replaced whole and never changed.
	acknowledged map[Ref]Acknowledgement
}

// Totals are the counts of a fleet.
type Totals struct {
	Runners  int
	Disabled int
	health   [numHealths]int
	reasons  [numReasons]int
}

// Health is the number of runners of that health. A disabled runner counts as disabled only.
func (t Totals) Health(h Health) int { return t.health[h] }

// Reason is the number of failures for that reason, over all runners: see [Runner.Reasons].
func (t Totals) Reason(r Reason) int { return t.reasons[r] }

// Count is a value and how many runners have it.
type Count struct {
	Value string
	N     int
}

// Totals are the counts of the whole fleet.
func (s *Snapshot) Totals() Totals { return s.totals }

// Versions counts runners by version, most first. The version of a runner that names none is "".
func (s *Snapshot) Versions() []Count { return counts(s.versions) }

// Namespaces counts runners by namespace, most first.
func (s *Snapshot) Namespaces() []Count { return counts(s.namespaces) }

// Systems counts runners by system, most first.
func (s *Snapshot) Systems() []Count { return counts(s.systems) }

func counts(t tree[string, int]) []Count {
	out := make([]Count, 0, t.size)
	for v, n := range t.all() {
		out = append(out, Count{v, n})
	}
	slices.SortStableFunc(out, func(a, b Count) int { return b.N - a.N })
	return out
}

// Len is the number of runners.
func (s *Snapshot) Len() int { return s.runners.size }

// Runner returns the runner of that reference, or ErrNotFound naming runners with a similar name.
func (s *Snapshot) Runner(ref Ref) (*Runner, error) {
	if r, ok := s.runners.get(Ref.Compare, ref); ok {
		return r, nil
	}
	return nil, fmt.Errorf("%w: there is no runner %s%s", ErrNotFound, ref, s.near(ref))
}

// near words the runners whose reference resembles one that does not exist.
func (s *Snapshot) near(ref Ref) string {
	refs := s.Near(ref, 3)
	if len(refs) == 0 {
		return "; the board shows no runner at all"
	}
	names := make([]string, len(refs))
	for i, r := range refs {
		names[i] = r.String()
	}
	return "; there is " + strings.Join(names, ", ")
}

// Near returns at most n references that resemble ref, the most similar first.
func (s *Snapshot) Near(ref Ref, n int) []Ref {
	type scored struct {
		ref  Ref
		dist int
	}
	var all []scored
	for r := range s.runners.all() {
		d := distance(r.Name, ref.Name) * 2
		for _, p := range [][2]string{{r.Namespace, ref.Namespace}, {r.System, ref.System}, {r.Cluster, ref.Cluster}} {
			if p[0] != p[1] {
				d++
			}
		}
		all = append(all, scored{r, d})
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Or(a.dist-b.dist, a.ref.Compare(b.ref)) })
	refs := make([]Ref, 0, n)
	for _, a := range all[:min(n, len(all))] {
		refs = append(refs, a.ref)
	}
	return refs
}

// distance is the Levenshtein distance of two names, of which only the first 64 bytes count.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			sub := diag
			if a[i] != b[j] {
				sub++
			}
			diag = row[j+1]
			row[j+1] = min(sub, row[j]+1, diag+1)
		}
	}
	return row[len(b)]
}

// Runners walks the fleet by reference.
func (s *Snapshot) Runners() iter.Seq[*Runner] {
	return func(yield func(*Runner) bool) {
		for _, r := range s.runners.all() {
			if !yield(r) {
				return
			}
		}
	}
}

// Compare orders runners as the board shows them: what wants attention first, newest trouble first, disabled runners last,
// and otherwise by reference.
func Compare(a, b *Runner) int {
	if c := cmp.Compare(a.rank(), b.rank()); c != 0 {
		return c
	}
	if a.Health != Healthy && a.Observed == Enabled {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
	}
	return a.Ref.Compare(b.Ref)
}

func (r *Runner) rank() int {
	if r.Observed == Disabled {
		return Healthy.Severity() + 1
	}
	return r.Health.Severity()
}

// Select returns the runners that a filter lets through, as the board orders them.
func (s *Snapshot) Select(f Filter) []*Runner {
	var out []*Runner
	for r := range s.Runners() {
		if f.Match(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, Compare)
	return out
}

// Source returns the source of that cluster and name.
func (s *Snapshot) Source(cluster, name string) (Source, bool) {
	i := slices.IndexFunc(s.Sources, func(x Source) bool { return x.Cluster == cluster && x.Name == name })
	if i < 0 {
		return Source{}, false
	}
	return s.Sources[i], true
}

// add counts a runner in (n = 1) or out (n = -1).
func (s *Snapshot) add(r *Runner, n int) {
	s.totals.Runners += n
	if r.Observed == Disabled {
		s.totals.Disabled += n
	} else {
		s.totals.health[r.Health] += n
	}
	for i, c := range r.Reasons() {
		s.totals.reasons[i] += n * c
	}
	s.versions = tally(s.versions, r.Version, n)
	s.namespaces = tally(s.namespaces, r.Ref.Namespace, n)
	s.systems = tally(s.systems, r.Ref.System, n)
}

func tally(t tree[string, int], k string, n int) tree[string, int] {
	have, _ := t.get(strings.Compare, k)
	if have+n == 0 {
		return t.del(strings.Compare, k)
	}
	return t.put(strings.Compare, k, have+n)
}

// NewSnapshot makes a snapshot of runners that are known already, such as those read back from disk, at revision 1.
func NewSnapshot(runners []*Runner, sources []Source, at time.Time) *Snapshot {
	s := &Snapshot{Rev: 1, At: at, Sources: sources}
	for _, r := range runners {
		r.Doubts = s.accepted.doubts(r)
		s.add(r, 1)
		s.runners = s.runners.put(Ref.Compare, r.Ref, r)
	}
	return s
}
