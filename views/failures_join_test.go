package views

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trackside/store"
)

// A list of failures comes without proofs: what names the pull secret is read for each cause, and nothing is made up where it cannot be.
func TestACauseIsExplainedByItsProof(t *testing.T) {
	whole := pulled(3, "x:1", ago(time.Hour))
	byID, list := map[string]store.Evidence{}, make([]store.Evidence, len(whole))
	for i, e := range whole {
		byID[e.ID] = e
		e.Proof = store.Proof{}
		list[i] = e
	}
	page := func(read func(string) (store.Evidence, error)) string {
		m := NewFailuresModel(failingWith(list...), FailuresQuery{Since: defaultSince}, list, false, "", StoryTime)
		m.Explain(read)
		return strings.Join(strings.Fields(parse(t, render(t, FailuresPage(m))).Find("article.cause").Text()), " ")
	}
	if got := page(func(id string) (store.Evidence, error) { return byID[id], nil }); !strings.Contains(got, "Check the pull secret regcred in namespace") {
		t.Error(got)
	}
	got := page(func(string) (store.Evidence, error) { return store.Evidence{}, errors.New("disk full") })
	if strings.Contains(got, "names none") || !strings.Contains(got, "Check the pull secret of the pod") {
		t.Error(got)
	}
}

// What has failed for longer than the page looks back has its permalink and its cause all the same.
func TestAFailureThatGoesOnKeepsItsEvidence(t *testing.T) {
	old := pulled(2, "x:1", ago(3*24*time.Hour))
	over := old[0]
	over.UID, over.At = "uid-over", ago(4*24*time.Hour)
	over.Identify()
	again := old[0]
	again.At = ago(5 * 24 * time.Hour)
	again.Identify()
	s, q := failingWith(old...), FailuresQuery{Since: defaultSince}
	read := func(ref store.Ref) ([]store.Evidence, error) {
		if ref == old[0].Ref {
			return []store.Evidence{old[0], over, again}, nil
		}
		return nil, errors.New("disk full")
	}
	got := OlderEvidence(s, q, old[1:], read)
	if len(got) != 1 || got[0].ID != old[0].ID {
		t.Fatalf("%+v", got)
	}
	items := JoinFailures(s, q, append(old[1:], got...))
	for _, it := range items {
		if it.ID == "" || !it.Now {
			t.Errorf("%s of %s goes on: %v, with the ID %q", it.Name, it.Ref, it.Now, it.ID)
		}
	}
	if got := OlderEvidence(s, q, nil, func(store.Ref) ([]store.Evidence, error) { return nil, errors.New("disk full") }); len(got) != 0 {
		t.Errorf("without a disk: %+v", got)
	}
}
