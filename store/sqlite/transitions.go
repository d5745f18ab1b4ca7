package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// Transitions returns the latest transitions of a runner, latest first, limit at most. A runner that nobody knows has none.
// A limit below 1 is store.ErrInvalid; what the disk refuses is store.ErrUnavailable.
func (d *DB) Transitions(ctx context.Context, ref store.Ref, limit int) ([]store.Event, error) {
	events, _, err := d.TransitionsBefore(ctx, ref, "", limit)
	return events, err
}

// TransitionsBefore returns one page of a runner's transitions, latest first, limit at most, and the cursor of the next
// page; it is blank after the last. A blank cursor asks for the first page; any other that was not returned by this method is
// store.ErrInvalid. A page stays what it is while later transitions arrive.
func (d *DB) TransitionsBefore(ctx context.Context, ref store.Ref, cursor string, limit int) ([]store.Event, string, error) {
	from, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	id, err := d.read.FindRef(ctx, db.FindRefParams(ref))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", unavailable("read the transitions of "+ref.String()+" in", d.path, err)
	}
	// One more than asked for tells whether there is a next page.
	rows, err := d.read.TransitionsBefore(ctx, db.TransitionsBeforeParams{Runner: id, At: from.at, Seq: from.seq, MaxRows: int64(limit) + 1})
	if err != nil {
		return nil, "", unavailable("read the transitions of "+ref.String()+" in", d.path, err)
	}
	next := ""
	if len(rows) > limit {
		rows = rows[:limit]
		next = position{rows[limit-1].At, rows[limit-1].Seq}.String()
	}
	events := make([]store.Event, len(rows))
	for i, x := range rows {
		events[i] = eventOf(ref, x)
	}
	return events, next, nil
}

// Since returns the transitions of all runners from t on, t included, oldest first, limit at most. A limit below 1 is
// store.ErrInvalid; what the disk refuses is store.ErrUnavailable.
func (d *DB) Since(ctx context.Context, t time.Time, limit int) ([]store.Event, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	rows, err := d.read.TransitionsSince(ctx, db.TransitionsSinceParams{At: t.UnixMilli(), MaxRows: int64(limit)})
	if err != nil {
		return nil, unavailable("read the transitions in", d.path, err)
	}
	events := make([]store.Event, len(rows))
	for i, x := range rows {
		ref := store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}
		events[i] = eventOf(ref, x.Transition)
	}
	return events, nil
}

func checkLimit(limit int) error {
	if limit < 1 || limit == math.MaxInt {
		return fmt.Errorf("%w: a limit of %d transitions; it is 1 at least", store.ErrInvalid, limit)
	}
	return nil
}

// position is a place in the transitions of one runner.
type position struct{ at, seq int64 }

// latest is after every transition.
var latest = position{math.MaxInt64, math.MaxInt64}

func (p position) String() string { return fmt.Sprintf("%d-%d", p.at, p.seq) }

func parseCursor(s string) (position, error) {
	if s == "" {
		return latest, nil
	}
	var p position
	if n, err := fmt.Sscanf(s, "%d-%d", &p.at, &p.seq); n != 2 || err != nil || p.String() != s {
		return position{}, fmt.Errorf("%w: %q is not a page of transitions; start again from the first", store.ErrInvalid, s)
	}
	return p, nil
}
