package sqlite

import (
	"context"
	"math"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// Feed returns the transitions of all runners with a number above after, in the order in which they were recorded, limit at most. Who
// goes on from the last number of what was returned misses none and sees none twice. A limit below 1 is store.ErrInvalid; what the
// disk refuses is store.ErrUnavailable.
func (d *DB) Feed(ctx context.Context, after int64, limit int) ([]store.Numbered, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	rows, err := d.read.FeedAfter(ctx, db.FeedAfterParams{After: after, MaxRows: int64(limit)})
	if err != nil {
		return nil, unavailable("read the transitions in", d.path, err)
	}
	out := make([]store.Numbered, len(rows))
	for i, x := range rows {
		out[i] = numbered(store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}, x.Transition)
	}
	return out, nil
}

// FeedBefore returns the transitions of all runners with a number below before, the latest first, limit at most; 0 asks for the
// latest there are. Errors are those of Feed.
func (d *DB) FeedBefore(ctx context.Context, before int64, limit int) ([]store.Numbered, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	if before == 0 {
		before = math.MaxInt64
	}
	rows, err := d.read.FeedBefore(ctx, db.FeedBeforeParams{Before: before, MaxRows: int64(limit)})
	if err != nil {
		return nil, unavailable("read the transitions in", d.path, err)
	}
	out := make([]store.Numbered, len(rows))
	for i, x := range rows {
		out[i] = numbered(store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}, x.Transition)
	}
	return out, nil
}

// FeedEnds returns the number of the oldest transition that is kept and the latest number that was given; 0 where there is none.
func (d *DB) FeedEnds(ctx context.Context) (oldest, newest int64, err error) {
	if oldest, err = d.read.FeedOldest(ctx); err == nil {
		newest, err = d.read.FeedNewest(ctx)
	}
	if err != nil {
		return 0, 0, unavailable("read the transitions in", d.path, err)
	}
	return oldest, newest, nil
}

func numbered(ref store.Ref, x db.Transition) store.Numbered {
	return store.Numbered{ID: x.ID, Event: eventOf(ref, x)}
}
