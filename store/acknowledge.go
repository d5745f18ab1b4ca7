package store

import (
	"maps"
	"slices"
)

// Acknowledged is who is on a runner's failure; false when nobody is, or the runner has recovered since.
func (s *Snapshot) Acknowledged(ref Ref) (Acknowledgement, bool) {
	a, ok := s.acknowledged[ref]
	return a, ok
}

// Ended reports whether an acknowledgement has nothing to be about any more: its runner has recovered, or is gone.
func (a Acknowledgement) Ended(r *Runner) bool { return r == nil || r.Health == Healthy }

// Equal reports whether two acknowledgements say the same.
func (a Acknowledgement) Equal(o Acknowledgement) bool {
	return a.Ref == o.Ref && a.By == o.By && a.Note == o.Note && a.At.Equal(o.At)
}

// acknowledge replaces the acknowledgements. Runners for which they differ have changed, though nothing was observed of them.
func (s *Snapshot) acknowledge(list *[]Acknowledgement) (changes []Change) {
	if list == nil {
		return nil
	}
	before := s.acknowledged
	s.acknowledged = make(map[Ref]Acknowledgement, len(*list))
	for _, a := range *list {
		if r, ok := s.runners.get(Ref.Compare, a.Ref); !ok || !a.Ended(r) { // who is not there may only not have been seen yet
			s.acknowledged[a.Ref] = a
		}
	}
	var refs []Ref
	for ref, a := range s.acknowledged {
		if !a.Equal(before[ref]) {
			refs = append(refs, ref)
		}
	}
	for ref := range before {
		if _, both := s.acknowledged[ref]; !both {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, Ref.Compare)
	for _, ref := range refs {
		if old, ok := s.runners.get(Ref.Compare, ref); ok {
			after := *old
			after.Rev = s.Rev
			s.runners = s.runners.put(Ref.Compare, ref, &after)
			changes = append(changes, Change{Before: old, After: &after})
		}
	}
	return changes
}

// recovered ends the acknowledgement of a runner that is well again; after is nil for one that is gone.
func (s *Snapshot) recovered(ref Ref, after *Runner) {
	if a, ok := s.acknowledged[ref]; ok && a.Ended(after) {
		s.acknowledged = maps.Clone(s.acknowledged) // the map is replaced whole and never changed
		delete(s.acknowledged, ref)
	}
}
