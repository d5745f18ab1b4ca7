package sqlite

import (
	"context"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// pruneBatch bounds a transaction of Prune, in rows: a publish waits for one batch and no longer.
const pruneBatch = 1000

// Prune deletes the transitions from before olderThan and returns how many. Of what is still on the board it keeps the
// latest of each kind: since when a runner, a component or a workload is what it is. It works in batches of 1,000 rows, each
// a transaction of its own; when it ends early, with store.ErrUnavailable, what it deleted is deleted. The file does not
// shrink: the room is used again.
func (d *DB) Prune(ctx context.Context, olderThan time.Time) (int64, error) {
	cutoff := olderThan.UnixMilli()
	ids, err := d.read.RunnersWithOld(ctx, cutoff)
	if err != nil {
		return 0, unavailable("prune", d.path, err)
	}
	var total int64
	for _, id := range ids {
		n, err := d.pruneRunner(ctx, id, cutoff)
		total += n
		if err != nil {
			return total, unavailable("prune", d.path, err)
		}
	}
	return total, nil
}

// pruneRunner walks a runner's transitions from the latest to the oldest and deletes what is old and not kept.
func (d *DB) pruneRunner(ctx context.Context, id, cutoff int64) (total int64, err error) {
	k, err := d.keeper(ctx, id)
	if err != nil {
		return 0, err
	}
	for from, more := latest, true; more; {
		rows, err := d.read.Subjects(ctx, db.SubjectsParams{Runner: id, At: from.at, Seq: from.seq, MaxRows: pruneBatch})
		if err != nil {
			return total, err
		}
		var old []position
		for _, x := range rows {
			from = position{x.At, x.Seq}
			if !k.keep(x) && x.At < cutoff {
				old = append(old, from)
			}
		}
		more = len(rows) == pruneBatch
		n, err := d.deleteTransitions(ctx, id, old, !more)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// deleteTransitions deletes some transitions of a runner in one transaction and, after the last batch, the identity of a
// runner that has left nothing behind.
func (d *DB) deleteTransitions(ctx context.Context, id int64, old []position, last bool) (n int64, err error) {
	if len(old) == 0 && !last {
		return 0, nil
	}
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		for _, p := range old {
			if _, err := q.DeleteTransition(ctx, db.DeleteTransitionParams{Runner: id, At: p.at, Seq: p.seq}); err != nil {
				return err
			}
		}
		if last {
			return q.DeleteUnusedRef(ctx, id)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return int64(len(old)), nil
}

// keeper knows what of one runner is still on the board, and which of its transitions it has met.
type keeper struct {
	runner     bool
	components map[string]bool
	workloads  map[string]bool
	met        map[subject]bool
}

// subject is what a transition is a change of.
type subject struct{ kind, component, workload string }

func (d *DB) keeper(ctx context.Context, id int64) (*keeper, error) {
	k := &keeper{components: map[string]bool{}, workloads: map[string]bool{}, met: map[subject]bool{}}
	there, err := d.read.RunnerExists(ctx, id)
	if err != nil || !there {
		return k, err
	}
	k.runner = true
	components, err := d.read.ComponentNames(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, c := range components {
		k.components[c] = true
	}
	workloads, err := d.read.WorkloadNames(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, w := range workloads {
		k.workloads[w.Namespace+"/"+w.Name] = true
	}
	return k, nil
}

// keep reports whether a transition began what still holds: the first of its subject that is met, going back in time.
func (k *keeper) keep(x db.SubjectsRow) bool {
	s := subject{x.Kind, x.Component, x.Workload}
	if s.kind == string(store.EventAdded) || s.kind == string(store.EventRemoved) {
		s.kind = string(store.EventHealth) // both say a health
	}
	if !k.onBoard(s) || k.met[s] {
		return false
	}
	k.met[s] = true
	return true
}

func (k *keeper) onBoard(s subject) bool {
	switch {
	case !k.runner:
		return false
	case s.workload != "":
		return k.workloads[s.workload]
	case s.component != "":
		return k.components[s.component]
	}
	return true
}
