package act_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/poller/act"
	"trackside/store"
)

// parts is a cluster of one runner in six objects, the oldest first, of which a deletion deletes one after the other.
type parts struct {
	there []string
	live  func(*store.Snapshot)
}

// show has the board see what is there: the runner is known by its oldest part.
func (p *parts) show() {
	var runners []*store.Runner
	if len(p.there) > 0 {
		runners = append(runners, &store.Runner{Ref: ref, Incarnation: p.there[0]})
	}
	p.live(store.NewSnapshot(runners, []store.Source{{Cluster: "k", State: store.SourceLive}}, time.Now()))
}

func (p *parts) pin(store.Action) (out []store.Pinned, _ error) {
	for _, uid := range p.there {
		out = append(out, store.Pinned{Object: store.Object{Kind: "Deployment", Namespace: "ci", Name: "r-" + uid}, UID: uid})
	}
	return out, nil
}

// delete deletes so many of what was pinned, and is cut off before the next.
func (p *parts) delete(a store.Action, changes int) (out store.Outcome, _ error) {
	for _, pinned := range a.Pinned {
		if changes == 0 {
			return out, fmt.Errorf("deleting %s: %w: no answer", pinned.Name, store.ErrUnavailable)
		}
		if i := slices.Index(p.there, pinned.UID); i >= 0 {
			p.there = slices.Delete(p.there, i, i+1)
			changes--
		}
		out.Steps = append(out.Steps, store.Effect{Object: pinned.Object, Before: "there", After: "deleted"})
	}
	return out, nil
}

// deskOver is a desk over such a cluster, whose hands are cut off after so many changes the first time.
func deskOver(changes int) (*act.Desk, *parts, *book) {
	p, b := &parts{there: []string{"1", "2", "3", "4", "5", "6"}}, &book{kept: map[string]store.Kept{}}
	var snap *store.Snapshot
	p.live = func(s *store.Snapshot) { snap = s }
	p.show()
	first := true
	h := &hands{pin: p.pin, do: func(_ context.Context, a store.Action) (store.Outcome, error) {
		if first {
			first = false
			return p.delete(a, changes)
		}
		return p.delete(a, -1)
	}}
	return act.New(act.Config{Current: func() *store.Snapshot { return snap }, Hands: map[string]act.Hands{"k": h}, Book: b, Log: slog.New(slog.DiscardHandler)}), p, b
}

// A deletion that was cut off goes on to its end, by a restart or by a repeat, also when the part that the runner was known by is gone.
func TestAHalfDoneDeletionGoesOn(t *testing.T) {
	for _, changes := range []int{0, 1, 3, 5, 6} {
		for _, restart := range []bool{true, false} {
			d, p, b := deskOver(changes)
			a := action("k", store.VerbDelete)
			pinned, _ := p.pin(a)
			_, err := d.Do(t.Context(), a)
			if (err == nil) != (changes == 6) || len(p.there) != 6-changes {
				t.Fatalf("after %d changes: %v, %v is left", changes, err, p.there)
			}
			p.show()
			if restart { // as if it had been killed before its end was written
				k := b.kept["k"]
				k.Entry.Result, k.Entry.Problem, k.Entry.Ended, k.Entry.At = "", "", time.Time{}, time.Now()
				k.Action.Pinned = pinned
				b.kept["k"] = k
				err = d.Resume(t.Context())
			} else {
				_, err = d.Do(t.Context(), a)
			}
			if n := len(b.kept["k"].Action.Pinned); n > 0 {
				t.Errorf("%d changes, restart %t: it is done, and %d objects are kept", changes, restart, n)
			}
			if got := b.kept["k"].Entry; err != nil || len(p.there) != 0 || got.Result != store.ResultDone || !strings.Contains(got.After, "Deployment ci/r-6") {
				t.Errorf("%d changes, restart %t: %v, %v is left, the audit says %+v", changes, restart, err, p.there, got)
			}
		}
	}
}

// What was made anew meanwhile is another runner, and stays; and what is not known to have been deleted is not called so.
func TestATwinOfWhatWasDeletedStays(t *testing.T) {
	for name, c := range map[string]struct {
		pinned bool
		want   string
	}{"half deleted": {true, store.ResultDone}, "not begun": {false, store.ResultRefused}} {
		d, p, b := deskOver(3)
		a := action("k", store.VerbDelete)
		a.Incarnation = "1"
		if c.pinned {
			a.Pinned, _ = p.pin(a)
		}
		_, _, _ = b.Begin(t.Context(), a, store.Entry{At: time.Now(), Verb: "delete", Ref: ref})
		p.there = []string{"7", "8"}
		p.show()
		if err := d.Resume(t.Context()); err != nil || b.kept["k"].Entry.Result != c.want || len(p.there) != 2 {
			t.Errorf("%s: %v, %v is left, the audit says %+v", name, err, p.there, b.kept["k"].Entry)
		}
	}
}

// Somebody who wants back what is left of it is not overruled by a deletion that is taken up.
func TestSomebodyWantsTheRestOfADeletion(t *testing.T) {
	d, p, b := deskOver(3)
	a := action("k", store.VerbDelete)
	a.Incarnation = "1"
	a.Pinned, _ = p.pin(a)
	k, _, _ := b.Begin(t.Context(), a, store.Entry{At: time.Now(), Verb: "delete", Ref: ref})
	b.later = []store.Entry{k.Entry, {ID: 2, At: time.Now(), Verb: "enable", Ref: ref, By: store.Person{Name: "bob"}, Result: store.ResultDone, After: "enabled"}}
	p.there = p.there[3:]
	p.show()
	if err := d.Resume(t.Context()); err != nil || len(p.there) != 3 || b.kept["k"].Entry.Result != store.ResultRefused {
		t.Errorf("%v, %v is left, %+v", err, p.there, b.kept["k"].Entry)
	}
}

// Nothing is deleted that could not be written down before.
func TestADeletionIsWrittenDownBefore(t *testing.T) {
	_, p, b := deskOver(-1)
	d := act.New(act.Config{Current: func() *store.Snapshot {
		return store.NewSnapshot([]*store.Runner{{Ref: ref, Incarnation: "1"}}, nil, time.Now())
	}, Hands: map[string]act.Hands{"k": &hands{pin: p.pin, do: func(_ context.Context, a store.Action) (store.Outcome, error) { return p.delete(a, -1) }}}, Book: refusing{b}, Log: slog.New(slog.DiscardHandler)})
	if _, err := d.Do(t.Context(), action("k", store.VerbDelete)); !errors.Is(err, store.ErrUnavailable) || len(p.there) != 6 {
		t.Errorf("%v, %v is left", err, p.there)
	}
}

// refusing is an audit that takes beginnings, and nothing after them.
type refusing struct{ *book }

func (refusing) End(context.Context, store.Kept) error {
	return fmt.Errorf("%w: the disk is full", store.ErrUnavailable)
}
