package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Acceptance says that a finding of a runner is known and lived with for a while. When it ends, the finding is back by itself.
type Acceptance struct {
	Ref Ref
	// Code and Object are those of the findings that it holds for, whatever their field.
	Code, Object string
	// Note says why, in one line; never blank.
	Note string
	// At is when it was given, Until when it ends.
	At, Until time.Time
}

// Limits of an acceptance.
const (
	// MaxNote is how long a note may be, in bytes; MaxAcceptance, how long a finding may be lived with before somebody looks again.
	MaxNote       = 500
	MaxAcceptance = 366 * 24 * time.Hour
)

// Check is ErrInvalid, naming what is wrong, for an acceptance that nobody could mean.
func (a Acceptance) Check(now time.Time) error {
	switch {
	case a.Code == "" || a.Object == "":
		return fmt.Errorf("%w: an acceptance names the code and the object of a finding", ErrInvalid)
	case a.Note == "":
		return fmt.Errorf("%w: an acceptance needs a note that says why", ErrInvalid)
	case len(a.Note) > MaxNote:
		return fmt.Errorf("%w: a note is %d bytes long at most", ErrInvalid, MaxNote)
	case !a.Until.After(now):
		return fmt.Errorf("%w: an acceptance ends in the future, and %s is past", ErrInvalid, a.Until.UTC().Format("2006-01-02 15:04 UTC"))
	case a.Until.Sub(now) > MaxAcceptance:
		return fmt.Errorf("%w: an acceptance ends within a year, so that somebody looks again", ErrInvalid)
	}
	return nil
}

// acceptances are those that hold, by runner. The map is replaced whole and never changed.
type acceptances map[Ref][]Acceptance

func (a acceptances) of(ref Ref, code, object string) (Acceptance, bool) {
	for _, x := range a[ref] {
		if x.Code == code && x.Object == object {
			return x, true
		}
	}
	return Acceptance{}, false
}

// doubts counts the findings that make a runner's green doubtful and that nobody has accepted.
func (a acceptances) doubts(r *Runner) (n int) {
	for i := range r.Findings {
		f := &r.Findings[i]
		if !f.Doubt {
			continue
		}
		if _, ok := a.of(r.Ref, f.Code, f.Object); !ok {
			n++
		}
	}
	return n
}

// Accepted is the acceptance of a runner's findings of that code and object; false when nobody has given one, or it has ended.
func (s *Snapshot) Accepted(ref Ref, code, object string) (Acceptance, bool) {
	return s.accepted.of(ref, code, object)
}

// accept replaces the acceptances and reports whether they differ. The runners for which they do have changed, though nothing was observed
// of them.
func (s *Snapshot) accept(list *[]Acceptance) (changes []Change, moved bool) {
	if list == nil {
		return nil, false
	}
	before := s.accepted
	s.accepted = make(acceptances, len(*list))
	for _, a := range *list {
		s.accepted[a.Ref] = append(s.accepted[a.Ref], a)
	}
	refs := differing(before, s.accepted)
	for _, ref := range refs {
		old, ok := s.runners.get(Ref.Compare, ref)
		if !ok {
			continue
		}
		after := *old
		after.Doubts, after.Rev = s.accepted.doubts(old), s.Rev
		s.runners = s.runners.put(Ref.Compare, ref, &after)
		changes = append(changes, Change{Before: old, After: &after})
	}
	return changes, len(refs) > 0
}

// differing lists the runners whose acceptances are not the same, in order.
func differing(a, b acceptances) (refs []Ref) {
	for ref, list := range a {
		if !slices.EqualFunc(list, b[ref], Acceptance.equal) {
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

func (a Acceptance) equal(b Acceptance) bool {
	same := a.At.Equal(b.At) && a.Until.Equal(b.Until)
	a.At, a.Until, b.At, b.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && a == b
}

// Compare orders acceptances by runner, code and object.
func (a Acceptance) Compare(b Acceptance) int {
	return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Object, b.Object))
}

// SameAcceptances reports whether the same acceptances hold in two snapshots.
func (s *Snapshot) SameAcceptances(o *Snapshot) bool {
	return len(differing(s.accepted, o.accepted)) == 0
}
