package sqlite_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
	"trackside/store/sqlite"
)

func auditFile(t *testing.T) *sqlite.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "trackside.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// An action is entered once, however often and by how many it is begun at once; its end is what a repeat reads.
func TestActionIsEnteredOnce(t *testing.T) {
	d := auditFile(t)
	a := store.Action{Key: "k", Verb: store.VerbDisable, Ref: store.Ref{Cluster: "c", System: "s", Namespace: "n", Name: "r"}, Note: "why",
		By: store.Person{Name: "ada", Groups: []string{"ops"}, Role: store.Operator}, At: at(1).UTC(), Until: at(60).UTC()}
	e := store.Entry{At: a.At, By: a.By, Verb: string(a.Verb), Ref: a.Ref, Note: a.Note}
	var fresh int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			_, first, err := d.Begin(t.Context(), a, e)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if first {
				fresh++
			}
		})
	}
	wg.Wait()
	open, err := d.Open(t.Context())
	if err != nil || fresh != 1 || len(open) != 1 {
		t.Fatalf("%d fresh, %d open, %v", fresh, len(open), err)
	}
	if diff := cmp.Diff(a, open[0].Action); diff != "" {
		t.Errorf("read back differently:\n%s", diff)
	}
	k := open[0]
	k.Entry.Result, k.Entry.Before, k.Entry.Ended = store.ResultDone, "enabled", at(2).UTC()
	k.Outcome.Waits = store.Sentence("since " + store.For(at(1)))
	if err := d.End(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	again, first, err := d.Begin(t.Context(), a, e)
	if err != nil || first {
		t.Fatalf("fresh %t, %v", first, err)
	}
	if diff := cmp.Diff(k, again); diff != "" {
		t.Errorf("a repeat reads:\n%s", diff)
	}
	again.Entry.Result, again.Entry.Ended = "", time.Time{} // it is tried again
	if err := d.End(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if open, err = d.Open(t.Context()); err != nil || len(open) != 1 || !open[0].Entry.Ended.IsZero() {
		t.Errorf("reopened: %+v, %v", open, err)
	}
}

// An action that is tried again later, or is known better by then, is read back as it is to be done now.
func TestTheEndKeepsTheActionAsItIsByThen(t *testing.T) {
	d := auditFile(t)
	a := store.Action{Key: "k", Verb: store.VerbDisable, Ref: store.Ref{Cluster: "c", System: "s", Namespace: "n", Name: "r"}, At: at(1).UTC(), Until: at(60).UTC()}
	k, _, err := d.Begin(t.Context(), a, store.Entry{At: a.At, Verb: string(a.Verb), Ref: a.Ref})
	if err != nil {
		t.Fatal(err)
	}
	k.Action.At, k.Action.Until = at(30).UTC(), at(90).UTC()
	if err := d.End(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	open, err := d.Open(t.Context())
	if err != nil || len(open) != 1 {
		t.Fatalf("%+v, %v", open, err)
	}
	if diff := cmp.Diff(k.Action, open[0].Action); diff != "" {
		t.Errorf("a restart reads:\n%s", diff)
	}
}

// Entries are read newest first, by page, and by what the filter says; what is old goes.
func TestEntries(t *testing.T) {
	d := auditFile(t)
	for i, verb := range []string{"sign-in", "disable", "enable", "disable"} {
		e := store.Entry{At: at(i), By: store.Person{Name: "ada"}, Verb: verb, Ref: store.Ref{Cluster: "c", Name: "r"}, Note: "100% sure", Result: store.ResultDone}
		if _, err := d.Enter(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		f     store.EntryFilter
		limit int
		want  int
	}{
		{"all", store.EntryFilter{}, 10, 4},
		{"a page", store.EntryFilter{}, 3, 3},
		{"the next page", store.EntryFilter{Before: 2}, 3, 1},
		{"by verb", store.EntryFilter{Verb: "disable"}, 10, 2},
		{"by somebody else", store.EntryFilter{By: "bob"}, 10, 0},
		{"by text, which is no pattern", store.EntryFilter{Text: "100% S"}, 10, 4},
		{"by text that is not there", store.EntryFilter{Text: "1_0"}, 10, 0},
		{"since", store.EntryFilter{Since: at(2)}, 10, 2},
		{"until", store.EntryFilter{Until: at(2)}, 10, 2},
		{"another cluster", store.EntryFilter{Cluster: "x"}, 10, 0},
	} {
		got, err := d.Entries(t.Context(), c.f, c.limit)
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %d entries, %v", c.name, len(got), err)
		}
		for i := 1; i < len(got); i++ {
			if got[i].ID >= got[i-1].ID {
				t.Errorf("%s: %d comes after %d", c.name, got[i].ID, got[i-1].ID)
			}
		}
	}
	if n, err := d.PruneAudit(t.Context(), at(2)); n != 2 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
}

// A mark survives a restart, and so does who is on a failure.
func TestMarkAndAcknowledgementSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trackside.db")
	d, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := runner("a", store.Degraded, 0)
	r.Mark = store.Mark{By: "ada", Note: "broken disk", At: at(1).UTC(), Until: at(90).UTC(), Drain: true, Draining: true}
	newBoard(t, d).observe(at(0), r)
	ack := store.Acknowledgement{Ref: r.Ref, By: "bob", Note: "on it", At: at(3).UTC()}
	if err := d.Acknowledge(t.Context(), ack); err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
	if d, err = sqlite.Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	snap, err := d.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := snap.Runner(r.Ref); got == nil || !got.Mark.Equal(r.Mark) {
		t.Errorf("restored %+v", got)
	}
	older := ack
	older.At = ack.At.Add(-time.Minute)
	if err := d.EndAcknowledgement(t.Context(), older); err != nil {
		t.Error(err)
	}
	if got, err := d.Acknowledgements(t.Context()); err != nil || len(got) != 1 || !got[0].Equal(ack) {
		t.Errorf("%+v, %v", got, err)
	}
}
