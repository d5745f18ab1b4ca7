package sqlite_test

import (
	"errors"
	"testing"
	"time"

	"trackside/store"
)

func TestAcceptancesAreKeptAndReplaced(t *testing.T) {
	d := fresh(t)
	ref := store.Ref{Cluster: "c", System: "labelled", Namespace: "ns", Name: "a"}
	first := store.Acceptance{Ref: ref, Code: "probe", Object: "deployment/a", Note: "for now", At: at(0), Until: at(60)}
	second := first
	second.Note, second.Until = "longer \x00\xff", at(600)
	other := first
	other.Object = "deployment/b"
	for _, a := range []store.Acceptance{first, other, second} {
		if err := d.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.Acceptances(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if g := got[0]; g.Note != second.Note || !g.Until.Equal(second.Until) || !g.At.Equal(second.At) || g.Compare(second) != 0 {
		t.Errorf("%+v, want %+v", g, second)
	}
	if err := d.Withdraw(t.Context(), first); err != nil {
		t.Error(err)
	}
	if err := d.Withdraw(t.Context(), first); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("withdrawn twice: %v", err)
	}
	if got, err := d.Acceptances(t.Context()); err != nil || len(got) != 1 || got[0].Object != "deployment/b" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestVersionsSince(t *testing.T) {
	d := fresh(t)
	ref := store.Ref{Cluster: "c", System: "labelled", Namespace: "ns", Name: "a"}
	event := func(sec int, kind store.EventKind, component string) store.Event {
		return store.Event{At: at(sec), Kind: kind, Ref: ref, Component: component, Verdict: store.Verdict{Why: "x"}}
	}
	r := &store.Runner{Ref: ref}
	snap := store.NewSnapshot([]*store.Runner{r}, nil, at(9))
	err := d.Record(t.Context(), snap, []store.Change{{After: r, Events: []store.Event{event(1, store.EventAdded, ""), event(2, store.EventVersion, "agent"),
		event(3, store.EventHealth, "agent"), event(4, store.EventVersion, "agent"), event(5, store.EventHealth, "")}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.VersionsSince(t.Context())
	want := map[store.PartRef]time.Time{{Ref: ref}: at(1), {Ref: ref, Component: "agent"}: at(4)}
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v", got, err)
	}
	for p, at := range want {
		if !got[p].Equal(at) {
			t.Errorf("%v since %s, want %s", p, got[p], at)
		}
	}
}
