package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// Record writes what changed, in one transaction: the rows of runners, components and workloads that differ, every
// transition, and the sources that are not on disk as they are now. It costs what changed and not the fleet. It returns when
// all of it is committed, or with store.ErrUnavailable, at the latest when the context ends.
//
// After an error nothing is half-written, but all of it may have been written. So the same changes are to be recorded again,
// alone or merged with later ones: the first Before, the last After (even where the two are equal), all events. A transition
// that is there already is not doubled. A change without Before writes the runner anew, whatever was there.
// Record is for one goroutine at a time.
func (d *DB) Record(ctx context.Context, snap *store.Snapshot, changes []store.Change) error {
	r := recorder{ids: map[store.Ref]int64{}, moments: map[moment][]db.Transition{}, doubt: d.suspect(changes), at: snap.At, spans: map[string][]store.Span{}}
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		r.q = q
		if err := d.watched(ctx, q, snap); err != nil {
			return err
		}
		for i := range changes {
			if err := r.change(ctx, &changes[i]); err != nil {
				return err
			}
		}
		if err := recordSources(ctx, q, snap.Sources); err != nil {
			return err
		}
		return q.SetRecordedAt(ctx, db.SetRecordedAtParams{RecordedAt: snap.At.UnixMilli(), Feed: r.feed})
	})
	if err == nil {
		d.trust(changes)
	}
	return unavailable("record the fleet in", d.path, err)
}

// suspect puts the runners of a batch in doubt until it is known to be committed, and returns those that were before.
func (d *DB) suspect(changes []store.Change) map[store.Ref]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := map[store.Ref]bool{}
	for _, c := range changes {
		if c.After == nil {
			continue // nothing of it is compared
		}
		if d.doubt[c.After.Ref] {
			was[c.After.Ref] = true
		}
		d.doubt[c.After.Ref] = true
	}
	return was
}

func (d *DB) trust(changes []store.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		if c.After != nil {
			delete(d.doubt, c.After.Ref)
		}
	}
}

// Hear notes on disk that a cluster's sources answered at t, and so that the board was watching it then. A snapshot says when a source was heard only when its state
// changes; a caller that wants a restart to show the true age of what it shows calls this now and then, and before Close.
func (d *DB) Hear(ctx context.Context, cluster string, t time.Time) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		if err := q.SetHeard(ctx, db.SetHeardParams{Heard: millis(t), Cluster: cluster}); err != nil {
			return err
		}
		return d.observe(ctx, q, cluster, t)
	})
	return unavailable("record in", d.path, err)
}

// recordSources makes the table hold these sources and no others. There are a handful, so it compares with the disk itself.
func recordSources(ctx context.Context, q *db.Queries, sources []store.Source) error {
	rows, err := q.ListSources(ctx)
	if err != nil {
		return err
	}
	type key struct{ cluster, name string }
	old := make(map[key]db.Source, len(rows))
	for _, x := range rows {
		old[key{x.Cluster, x.Name}] = x
	}
	for i := range sources {
		x := sourceRow(&sources[i])
		o, known := old[key{x.Cluster, x.Name}]
		delete(old, key{x.Cluster, x.Name})
		if o.Heard.Int64 > x.Heard.Int64 {
			x.Heard = o.Heard // Hear knew better
		}
		if known && o == x {
			continue
		}
		if err := q.PutSource(ctx, db.PutSourceParams(x)); err != nil {
			return err
		}
	}
	for _, x := range old {
		if err := q.DeleteSource(ctx, db.DeleteSourceParams{Cluster: x.Cluster, Name: x.Name}); err != nil {
			return err
		}
	}
	return nil
}

// recorder is one Record under way.
type recorder struct {
	q *db.Queries
	// ids are the identities already looked up.
	ids map[store.Ref]int64
	// moments are the transitions that are on disk, of each runner and millisecond that this batch touches.
	moments map[moment][]db.Transition
	// doubt are runners whose rows may not be as Before says.
	doubt map[store.Ref]bool
	// at is when the snapshot was made.
	at time.Time
	// spans are when each cluster was watched.
	spans map[string][]store.Span
	// feed is the latest number given to a transition; 0 before it is read.
	feed int64
}

// moment is one millisecond of one runner.
type moment struct{ runner, at int64 }

func (r *recorder) change(ctx context.Context, c *store.Change) error {
	var err error
	switch {
	case c.After != nil:
		err = r.put(ctx, c.Before, c.After)
	case c.Before != nil:
		err = r.remove(ctx, c.Before.Ref)
	}
	if err != nil {
		return err
	}
	var fresh []*store.Event
	for i := range c.Events {
		added, err := r.event(ctx, &c.Events[i])
		if err != nil {
			return err
		}
		if added {
			fresh = append(fresh, &c.Events[i])
		}
	}
	if err := r.account(ctx, c, fresh); err != nil {
		return err
	}
	for i := range c.Evidence {
		if err := r.evidence(ctx, &c.Evidence[i]); err != nil {
			return err
		}
	}
	return nil
}

// put writes the difference between two states of a runner.
func (r *recorder) put(ctx context.Context, before, after *store.Runner) error {
	id, err := r.id(ctx, after.Ref)
	if err != nil {
		return err
	}
	if before, err = r.base(ctx, id, before, after); err != nil {
		return err
	}
	if before == nil || !sameRunner(before, after) {
		if err := r.q.PutRunner(ctx, db.PutRunnerParams(runnerRow(id, after))); err != nil {
			return err
		}
	}
	if before == nil {
		before = &store.Runner{}
	}
	if err := r.components(ctx, id, before.Components, after.Components); err != nil {
		return err
	}
	return r.workloads(ctx, id, before.Workloads, after.Workloads)
}

// base is the state the disk is at: before, or nil when the runner's rows are to be written anew. A row that should be there
// and is not (a hand deleted it) must not make every later batch fail.
func (r *recorder) base(ctx context.Context, id int64, before, after *store.Runner) (*store.Runner, error) {
	if before == nil || r.doubt[after.Ref] {
		delete(r.doubt, after.Ref) // a second change of the same batch goes on from this one
		return nil, r.q.DeleteRunner(ctx, id)
	}
	there, err := r.q.RunnerExists(ctx, id)
	if err != nil || !there {
		return nil, err
	}
	return before, nil
}

// sameRunner compares the runner's own row, without its components and workloads.
func sameRunner(a, b *store.Runner) bool {
	x, y := *a, *b
	x.Components, x.Workloads, y.Components, y.Workloads = nil, nil, nil, nil
	return x.Equal(&y)
}

func (r *recorder) components(ctx context.Context, id int64, before, after []store.Component) error {
	old := make(map[string]*store.Component, len(before))
	for i := range before {
		old[before[i].Name] = &before[i]
	}
	for i := range after {
		c := &after[i]
		o, known := old[c.Name]
		delete(old, c.Name)
		if known && o.Equal(*c) {
			continue
		}
		if err := r.q.PutComponent(ctx, db.PutComponentParams(componentRow(id, c))); err != nil {
			return err
		}
	}
	for name := range old {
		if err := r.q.DeleteComponent(ctx, db.DeleteComponentParams{Runner: id, Name: name}); err != nil {
			return err
		}
	}
	return nil
}

// workloadKey identifies a workload within its runner. A pod that was made again under its name has another UID.
type workloadKey struct{ namespace, name, uid string }

func (r *recorder) workloads(ctx context.Context, id int64, before, after []store.Workload) error {
	old := make(map[workloadKey]*store.Workload, len(before))
	for i := range before {
		w := &before[i]
		old[workloadKey{w.Namespace, w.Name, w.UID}] = w
	}
	for i := range after {
		w := &after[i]
		key := workloadKey{w.Namespace, w.Name, w.UID}
		o, known := old[key]
		delete(old, key)
		if known && o.Equal(*w) {
			continue
		}
		if err := r.q.PutWorkload(ctx, db.PutWorkloadParams(workloadRow(id, w))); err != nil {
			return err
		}
	}
	for k := range old {
		if err := r.q.DeleteWorkload(ctx, db.DeleteWorkloadParams{Runner: id, Namespace: k.namespace, Name: k.name, Uid: k.uid}); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a runner off the fleet; its components and workloads go with it, its transitions stay.
func (r *recorder) remove(ctx context.Context, ref store.Ref) error {
	id, err := r.id(ctx, ref)
	if err != nil {
		return err
	}
	return r.q.DeleteRunner(ctx, id)
}

// event adds a transition after those of the same millisecond, unless it is there already; it reports whether it was new.
func (r *recorder) event(ctx context.Context, e *store.Event) (added bool, err error) {
	id, err := r.id(ctx, e.Ref)
	if err != nil {
		return false, err
	}
	x := transitionRow(id, e)
	when := moment{id, x.At}
	there, known := r.moments[when]
	if !known {
		if there, err = r.q.TransitionsAt(ctx, db.TransitionsAtParams{Runner: id, At: x.At}); err != nil {
			return false, err
		}
	}
	r.moments[when] = there
	if slices.ContainsFunc(there, func(t db.Transition) bool { x.Seq, x.ID = t.Seq, t.ID; return t == x }) {
		return false, nil
	}
	x.Seq = 0
	if n := len(there); n > 0 {
		x.Seq = there[n-1].Seq + 1
	}
	if x.ID, err = r.number(ctx); err != nil {
		return false, err
	}
	r.moments[when] = append(there, x)
	return true, r.q.AddTransition(ctx, db.AddTransitionParams(x))
}

// number is the next of the feed. It is taken within the transaction, of which there is one at a time: whoever reads what is committed
// sees the numbers up to some number and none beyond.
func (r *recorder) number(ctx context.Context) (int64, error) {
	if r.feed == 0 {
		newest, err := r.q.FeedNewest(ctx)
		if err != nil {
			return 0, err
		}
		r.feed = newest
	}
	r.feed++
	return r.feed, nil
}

// id is the identity of a runner, which outlives its rows.
func (r *recorder) id(ctx context.Context, ref store.Ref) (int64, error) {
	if id, ok := r.ids[ref]; ok {
		return id, nil
	}
	id, err := r.q.FindRef(ctx, db.FindRefParams(ref))
	if errors.Is(err, sql.ErrNoRows) {
		id, err = r.q.AddRef(ctx, db.AddRefParams(ref))
	}
	if err != nil {
		return 0, err
	}
	r.ids[ref] = id
	return id, nil
}
