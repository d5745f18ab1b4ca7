package views

import (
	"cmp"
	"maps"
	"slices"

	"trackside/store"
)

// FailureItem is a failure and whether it goes on.
type FailureItem struct {
	store.Evidence
	Now bool
	// ack is who is on it; nil for nobody.
	ack []store.Part
}

// JoinFailures puts past and present together: of the latest evidence of what still fails it is said that it goes on, and what fails without
// evidence is there as the board knows it.
func JoinFailures(s *store.Snapshot, q FailuresQuery, past []store.Evidence) []FailureItem {
	failing := failingNow(s, q)
	items := make([]FailureItem, 0, len(past)+len(failing))
	for _, e := range past { // the latest come first
		_, on := failing[e.Failure()]
		delete(failing, e.Failure())
		items = append(items, FailureItem{e, on, nil})
	}
	for _, e := range failing {
		items = append(items, FailureItem{e, true, nil})
	}
	for i := range items {
		if r, err := s.Runner(items[i].Ref); err == nil && items[i].Now {
			items[i].ack = ackParts(s, r)
		}
	}
	slices.SortFunc(items, func(a, b FailureItem) int {
		return cmp.Or(boolFirst(a.Now, b.Now), b.At.Compare(a.At), a.Ref.Compare(b.Ref), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return items
}

// failingNow is what fails at present, as the board knows it.
func failingNow(s *store.Snapshot, q FailuresQuery) map[store.Failure]store.Evidence {
	failing := map[store.Failure]store.Evidence{}
	for r := range s.Runners() {
		if !q.Filter.MatchRef(r.Ref) {
			continue
		}
		for _, e := range r.Failed() {
			if q.Filter.MatchReason(e.Verdict.Reason) {
				failing[e.Failure()] = e
			}
		}
	}
	return failing
}

// maxOlder is of how many runners the evidence is looked for that is older than what was asked for.
const maxOlder = 100

// OlderEvidence is the evidence of what still fails and began before the time that is asked for, so that it is not among the past: without it,
// what has failed for long would have no permalink. Read gives the evidence of one runner, latest first.
func OlderEvidence(s *store.Snapshot, q FailuresQuery, past []store.Evidence, read func(store.Ref) ([]store.Evidence, error)) (older []store.Evidence) {
	failing := failingNow(s, q)
	for i := range past {
		delete(failing, past[i].Failure())
	}
	refs := map[store.Ref]bool{}
	for f := range failing {
		refs[f.Ref] = true
	}
	for _, ref := range slices.SortedFunc(maps.Keys(refs), store.Ref.Compare)[:min(len(refs), maxOlder)] {
		list, err := read(ref)
		if err != nil {
			return older // the disk is away: what fails is there without
		}
		for _, e := range list {
			if _, on := failing[e.Failure()]; on {
				older = append(older, e)
				delete(failing, e.Failure())
			}
		}
	}
	return older
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
