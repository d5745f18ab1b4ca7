package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// restoredProblem is what a source says of itself until it has spoken.
const restoredProblem = "Read from disk when the program started; this source has not answered since."

// Restore returns the last fleet that was recorded, made at the time it was made, every source marked store.SourceRestored
// with the time it was last heard. Sentences have become plain text. Where nothing was recorded it is the empty snapshot,
// whose Rev is 0. Errors are store.ErrUnavailable.
func (d *DB) Restore(ctx context.Context) (*store.Snapshot, error) {
	tx, err := d.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, unavailable("read the last fleet from", d.path, err)
	}
	defer tx.Rollback() //nolint:errcheck // read only
	snap, err := d.restore(ctx, d.read.WithTx(tx))
	if err != nil {
		return nil, unavailable("read the last fleet from", d.path, err)
	}
	return snap, nil
}

func (d *DB) restore(ctx context.Context, q *db.Queries) (*store.Snapshot, error) {
	at, err := q.RecordedAt(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return &store.Snapshot{}, nil
	}
	if err != nil {
		return nil, err
	}
	runners, err := restoreRunners(ctx, q)
	if err != nil {
		return nil, err
	}
	sources, err := d.restoreSources(ctx, q)
	if err != nil {
		return nil, err
	}
	return store.NewSnapshot(runners, sources, instant(sql.NullInt64{Int64: at, Valid: true})), nil
}

func restoreRunners(ctx context.Context, q *db.Queries) ([]*store.Runner, error) {
	rows, err := q.ListRunners(ctx)
	if err != nil {
		return nil, err
	}
	runners := make([]*store.Runner, len(rows))
	byID := make(map[int64]*store.Runner, len(rows))
	for i, x := range rows {
		runners[i] = runnerOf(x)
		byID[x.ID] = runners[i]
	}
	components, err := q.ListComponents(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range components {
		if r := byID[x.Runner]; r != nil {
			r.Components = append(r.Components, componentOf(x))
		}
	}
	workloads, err := q.ListWorkloads(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range workloads {
		if r := byID[x.Runner]; r != nil {
			r.Workloads = append(r.Workloads, workloadOf(x))
		}
	}
	return runners, nil
}

func (d *DB) restoreSources(ctx context.Context, q *db.Queries) ([]store.Source, error) {
	rows, err := q.ListSources(ctx)
	if err != nil {
		return nil, err
	}
	sources := make([]store.Source, len(rows))
	for i, x := range rows {
		sources[i] = store.Source{Cluster: x.Cluster, Name: x.Name, State: store.SourceRestored, Since: d.now(),
			Heard: instant(x.Heard), Problem: restoredProblem, Limits: list[string](x.Limits), Scope: x.Scope}
	}
	return sources, nil
}
