package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"trackside/store"
)

func ids(events []store.Numbered) (out []int64) {
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

func feed(t *testing.T, d interface {
	Feed(context.Context, int64, int) ([]store.Numbered, error)
}, after int64, limit int) []store.Numbered {
	t.Helper()
	events, err := d.Feed(t.Context(), after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestFeedIsInTheOrderOfRecording(t *testing.T) {
	d := fresh(t)
	if oldest, newest, err := d.FeedEnds(t.Context()); oldest != 0 || newest != 0 || err != nil {
		t.Fatalf("an empty file: %d, %d, %v", oldest, newest, err)
	}
	b := newBoard(t, d)
	b.observe(at(5), runner("a", store.Healthy, 0), runner("b", store.Healthy, 0))
	b.observe(at(3), runner("b", store.Unhealthy, 0)) // a clock that goes back changes nothing of the order
	b.observe(at(4), runner("a", store.Unhealthy, 0))
	all := feed(t, d, 0, 100)
	if got := ids(all); !slices.Equal(got, slices.Sorted(slices.Values(got))) || got[0] != 1 {
		t.Fatalf("numbers %v", got)
	}
	last := all[len(all)-1]
	if last.Ref != ref("a") || !last.At.Equal(at(4)) || last.Verdict.Health != store.Unhealthy {
		t.Errorf("the last is %+v", last)
	}
	if oldest, newest, err := d.FeedEnds(t.Context()); oldest != 1 || newest != last.ID || err != nil {
		t.Errorf("ends %d, %d, %v", oldest, newest, err)
	}
	before, err := d.FeedBefore(t.Context(), last.ID, 1)
	if err != nil || len(before) != 1 || before[0].ID != last.ID-1 {
		t.Errorf("before the last: %v, %v", before, err)
	}
	if newest, err := d.FeedBefore(t.Context(), 0, 1); err != nil || len(newest) != 1 || newest[0].ID != last.ID {
		t.Errorf("the newest: %v, %v", newest, err)
	}
	for _, limit := range []int{0, -1} {
		_, err := d.Feed(t.Context(), 0, limit)
		wantError(t, err, store.ErrInvalid)
		_, err = d.FeedBefore(t.Context(), 0, limit)
		wantError(t, err, store.ErrInvalid)
	}
}

// TestFeedIsReadWhileItGrows follows the feed while transitions are recorded and acceptances written: each is seen once, in order.
func TestFeedIsReadWhileItGrows(t *testing.T) {
	const rounds = 150
	d := fresh(t)
	b := newBoard(t, d)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range rounds {
			h := store.Healths()[i%4]
			b.observe(at(i), runner("a", h, 0), runner("b", h, 0), runner(fmt.Sprint("c", i), h, 0))
		}
	}()
	go func() {
		for i := range rounds {
			_ = d.Accept(context.Background(), store.Acceptance{Ref: ref("a"), Code: fmt.Sprint(i), Object: "x", Note: "n", At: at(i), Until: at(i + 1)})
		}
	}()
	var got []int64
	follow := func() {
		for {
			page := feed(t, d, int64(len(got)), 7)
			got = append(got, ids(page)...)
			if len(page) == 0 {
				return
			}
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		follow()
	}
	for i, id := range got {
		if id != int64(i+1) {
			t.Fatalf("the %dth is %d", i+1, id)
		}
	}
	if n := rows(t, d, "SELECT count(*) FROM transitions"); int64(len(got)) != n || n < 3*rounds {
		t.Errorf("%d were seen of %d", len(got), n)
	}
}

func TestFeedGivesNoNumberTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	d := open(t, path)
	b := newBoard(t, d)
	b.observe(at(0), runner("a", store.Healthy, 0))
	changes := b.apply(at(1), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 0)}})
	b.record(changes)
	b.record(changes) // as after an error
	_, newest, _ := d.FeedEnds(t.Context())
	if n := rows(t, d, "SELECT count(*) FROM transitions"); n != newest {
		t.Errorf("%d transitions, the newest is %d", n, newest)
	}
	b.record(b.apply(at(2), store.Touched{Gone: []store.Ref{ref("a")}}))
	if _, err := d.Prune(t.Context(), at(1000)); err != nil {
		t.Fatal(err)
	}
	oldest, newest, err := d.FeedEnds(t.Context())
	if oldest != 0 || err != nil {
		t.Fatalf("after pruning: %d, %d, %v", oldest, newest, err)
	}
	_ = d.Close()
	d = open(t, path)
	b = newBoard(t, d)
	b.observe(at(2000), runner("a", store.Healthy, 0))
	if got := feed(t, d, 0, 10); len(got) != 1 || got[0].ID != newest+1 {
		t.Errorf("after %d came %v", newest, ids(got))
	}
}

// TestFeedNumbersWhatWasThere opens a file of the schema before the feed.
func TestFeedNumbersWhatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	d := open(t, path)
	b := newBoard(t, d)
	b.observe(at(1), runner("a", store.Healthy, 0), runner("b", store.Healthy, 0))
	b.observe(at(0), runner("b", store.Unhealthy, 0))
	_ = d.Close()
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"DROP INDEX transitions_id", "ALTER TABLE transitions DROP COLUMN id", "ALTER TABLE meta DROP COLUMN feed", "ALTER TABLE components DROP COLUMN podless", "DELETE FROM goose_db_version WHERE version_id >= 10"} {
		if _, err := raw.ExecContext(t.Context(), q); err != nil {
			t.Fatal(q, err)
		}
	}
	_ = raw.Close()
	d = open(t, path)
	all := feed(t, d, 0, 100)
	for i, e := range all {
		if e.ID != int64(i+1) || i > 0 && e.At.Before(all[i-1].At) {
			t.Errorf("the %dth is %d at %s", i+1, e.ID, e.At)
		}
	}
	_, newest, err := d.FeedEnds(t.Context())
	if len(all) == 0 || newest != int64(len(all)) || err != nil {
		t.Errorf("%d transitions, newest %d, %v", len(all), newest, err)
	}
}
