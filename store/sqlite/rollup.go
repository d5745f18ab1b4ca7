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

// How rollups are kept. A standing says how a runner or a component is, and up to when that is counted. It is counted when it ends, and
// not before: what is open is counted by whoever reads. Time counts in a health only where somebody looked; a process begins with
// nothing watched, so that the time in which none ran is nobody's.

// watchGap is how far apart two signs of life of a source may be for the time between them to count as watched: Hear comes every ten
// seconds, with a time that may be some seconds old.
const watchGap = 20 * time.Second

// watched extends the stretches of the clusters whose sources all answer, as of a snapshot.
func (d *DB) watched(ctx context.Context, q *db.Queries, snap *store.Snapshot) error {
	answers := map[string]bool{}
	for _, s := range snap.Sources {
		before, known := answers[s.Cluster]
		answers[s.Cluster] = s.State == store.SourceLive && (before || !known)
	}
	for cluster, yes := range answers {
		if !yes {
			continue
		}
		if err := d.observe(ctx, q, cluster, snap.At); err != nil {
			return err
		}
	}
	return nil
}

// observe notes that a cluster was watched at t.
func (d *DB) observe(ctx context.Context, q *db.Queries, cluster string, t time.Time) error {
	d.mu.Lock()
	s, ok := d.watch[cluster]
	if !ok || t.Sub(s.To) > watchGap {
		s = store.Span{From: t, To: t}
	}
	if t.After(s.To) {
		s.To = t
	}
	d.watch[cluster] = s
	d.mu.Unlock()
	return q.AddObserved(ctx, db.AddObservedParams{Cluster: cluster, Started: s.From.UnixMilli(), Until: s.To.UnixMilli()})
}

// spansFrom are the stretches in which a cluster was watched, from the one that holds a time on.
func spansFrom(ctx context.Context, q *db.Queries, cluster string, from int64) ([]store.Span, error) {
	rows, err := q.ObservedFrom(ctx, db.ObservedFromParams{Cluster: cluster, Since: from})
	if err != nil {
		return nil, err
	}
	spans := make([]store.Span, len(rows))
	for i, x := range rows {
		spans[i] = store.Span{From: time.UnixMilli(x.Started).UTC(), To: time.UnixMilli(x.Until).UTC()}
	}
	return spans, nil
}

// account counts what a change has ended, given those of its transitions that were not recorded before: a repetition counts nothing.
func (r *recorder) account(ctx context.Context, c *store.Change, fresh []*store.Event) error {
	if c.Before == nil && c.After == nil || len(fresh) == 0 && (c.After == nil || c.Before != nil && sameParts(c.Before, c.After)) {
		return nil
	}
	id, err := r.id(ctx, c.Ref())
	if err != nil {
		return err
	}
	rows, err := r.q.StandingsOf(ctx, id)
	if err != nil {
		return err
	}
	standings := make(map[string]*db.Standing, len(rows))
	for i := range rows {
		standings[rows[i].Component] = &rows[i]
	}
	at := r.at
	for _, e := range fresh {
		at = e.At
		if s := standings[e.Component]; s != nil && e.Workload == "" && e.Kind == store.EventHealth && (e.Component != "" || s.Condition != store.Disabled.String()) {
			h, _ := store.ParseHealth(e.To)
			if err := r.move(ctx, c.Ref().Cluster, s, store.Condition{Health: h}, at); err != nil {
				return err
			}
		}
	}
	return r.settle(ctx, c, id, standings, len(fresh) > 0, at)
}

// settle makes the standings those of the runner as it is after a change: parts come and go, and being out of service is no health.
func (r *recorder) settle(ctx context.Context, c *store.Change, id int64, standings map[string]*db.Standing, news bool, at time.Time) error {
	conditions := conditionsOf(c.After)
	for component, s := range standings {
		now, there := conditions[component]
		delete(conditions, component)
		var err error
		switch {
		case !there:
			err = r.close(ctx, c.Ref().Cluster, s, at)
		case news:
			err = r.move(ctx, c.Ref().Cluster, s, now, at)
		}
		if err != nil {
			return err
		}
	}
	return r.begin(ctx, id, conditions, at)
}

// sameParts reports whether two states of a runner have components of the same names.
func sameParts(a, b *store.Runner) bool {
	return slices.EqualFunc(a.Components, b.Components, func(x, y store.Component) bool { return x.Name == y.Name })
}

// conditionsOf are a runner's condition, under the blank name, and its components'; none for one that has gone.
func conditionsOf(r *store.Runner) map[string]store.Condition {
	out := map[string]store.Condition{}
	if r == nil {
		return out
	}
	for i := range r.Components {
		out[r.Components[i].Name] = store.Condition{Health: r.Components[i].Health}
	}
	out[""] = r.Condition()
	return out
}

// begin starts to count for what is new. What is first seen failing has failed.
func (r *recorder) begin(ctx context.Context, id int64, conditions map[string]store.Condition, at time.Time) error {
	for component, c := range conditions {
		x := db.AddStandingParams{Runner: id, Component: component, Condition: c.String(), Counted: at.UnixMilli()}
		if fails(c) {
			x.Failed = millis(at)
		}
		n, err := r.q.AddStanding(ctx, x)
		if err != nil {
			return err
		}
		if n > 0 && fails(c) {
			if err := r.rollup(ctx, id, component, store.Account{Start: at, Hours: 1, Failures: 1}); err != nil {
				return err
			}
		}
	}
	return nil
}

func fails(c store.Condition) bool { return !c.Disabled && c.Health == store.Unhealthy }

// close counts what is left of something that has gone.
func (r *recorder) close(ctx context.Context, cluster string, s *db.Standing, at time.Time) error {
	if _, err := r.count(ctx, cluster, s, at); err != nil {
		return err
	}
	return r.q.DeleteStanding(ctx, db.DeleteStandingParams{Runner: s.Runner, Component: s.Component})
}

// move counts the time in the old condition and begins the new one, if it is another.
func (r *recorder) move(ctx context.Context, cluster string, s *db.Standing, now store.Condition, at time.Time) error {
	if now.String() == s.Condition {
		return nil
	}
	at = time.UnixMilli(max(at.UnixMilli(), s.Counted)).UTC() // a clock that was set back
	unseen, err := r.count(ctx, cluster, s, at)
	if err != nil {
		return err
	}
	news := store.Account{Start: at, Hours: 1}
	switch {
	case now.Disabled:
		s.Failed = sql.NullInt64{}
	case fails(now):
		news.Failures++
		if !s.Failed.Valid {
			s.Failed = millis(at)
		}
	case now.Health != store.Unknown && s.Failed.Valid:
		if unseen == 0 { // otherwise nobody saw when it recovered
			news.Recoveries, news.Recovering = 1, at.Sub(instant(s.Failed))
		}
		s.Failed = sql.NullInt64{}
	}
	if news.Failures+news.Recoveries > 0 {
		if err := r.rollup(ctx, s.Runner, s.Component, news); err != nil {
			return err
		}
	}
	s.Condition, s.Counted = now.String(), at.UnixMilli()
	return r.q.SetStanding(ctx, db.SetStandingParams{Condition: s.Condition, Counted: s.Counted, Failed: s.Failed, Runner: s.Runner, Component: s.Component})
}

// count writes the time since a standing was counted last, and returns how much of it nobody saw.
func (r *recorder) count(ctx context.Context, cluster string, s *db.Standing, at time.Time) (unseen time.Duration, err error) {
	spans, known := r.spans[cluster]
	if !known || len(spans) > 0 && spans[0].From.UnixMilli() > s.Counted {
		if spans, err = spansFrom(ctx, r.q, cluster, s.Counted); err != nil {
			return 0, err
		}
		r.spans[cluster] = spans
	}
	for _, a := range openAccounts(s, at, spans) {
		unseen += a.Unseen
		if err := r.rollup(ctx, s.Runner, s.Component, a); err != nil {
			return 0, err
		}
	}
	return unseen, nil
}

// openAccounts are of the time since a standing was counted last. A condition that a hand has spoilt is unknown.
func openAccounts(s *db.Standing, at time.Time, spans []store.Span) []store.Account {
	c, _ := store.ParseCondition(s.Condition)
	return store.Accounts(store.Span{From: time.UnixMilli(s.Counted).UTC(), To: at}, c, spans)
}

func (r *recorder) rollup(ctx context.Context, id int64, component string, a store.Account) error {
	return r.q.AddRollup(ctx, db.AddRollupParams(rollupRow(id, component, a)))
}

const hourMillis = int64(time.Hour / time.Millisecond)

func hourOf(t time.Time) int64 { return t.UnixMilli() / hourMillis }

func rollupRow(id int64, component string, a store.Account) db.Rollup {
	return db.Rollup{Runner: id, Component: component, Hour: hourOf(a.Start), Hours: int64(a.Hours),
		Healthy: a.In[store.Healthy].Milliseconds(), Degraded: a.In[store.Degraded].Milliseconds(), Unhealthy: a.In[store.Unhealthy].Milliseconds(),
		Unknown: a.In[store.Unknown].Milliseconds(), Disabled: a.Disabled.Milliseconds(), Unseen: a.Unseen.Milliseconds(),
		Failures: int64(a.Failures), Recoveries: int64(a.Recoveries), Recovering: a.Recovering.Milliseconds()}
}

func accountOf(x db.Rollup) store.Account {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	a := store.Account{Start: time.UnixMilli(x.Hour * hourMillis).UTC(), Hours: int(x.Hours), Disabled: ms(x.Disabled), Unseen: ms(x.Unseen),
		Failures: int(x.Failures), Recoveries: int(x.Recoveries), Recovering: ms(x.Recovering)}
	a.In[store.Healthy], a.In[store.Degraded], a.In[store.Unhealthy], a.In[store.Unknown] = ms(x.Healthy), ms(x.Degraded), ms(x.Unhealthy), ms(x.Unknown)
	return a
}

// Uptime returns how a runner (under the blank name) and its components were from an hour on until now, as they were counted, in the
// order of time. A runner that nobody knows has none; of one that has gone only its own are left. Errors are store.ErrUnavailable.
func (d *DB) Uptime(ctx context.Context, ref store.Ref, from, now time.Time) (map[string][]store.Account, error) {
	tx, err := d.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, unavailable("read the uptime of "+ref.String()+" in", d.path, err)
	}
	defer tx.Rollback() //nolint:errcheck // read only
	out, err := d.uptime(ctx, d.read.WithTx(tx), ref, from, now)
	if err != nil {
		return nil, unavailable("read the uptime of "+ref.String()+" in", d.path, err)
	}
	return out, nil
}

func (d *DB) uptime(ctx context.Context, q *db.Queries, ref store.Ref, from, now time.Time) (map[string][]store.Account, error) {
	id, err := q.FindRef(ctx, db.FindRefParams(ref))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	standings, err := q.StandingsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(standings) == 0 || standings[0].Component != "" {
		standings = append([]db.Standing{{Runner: id, Counted: now.UnixMilli()}}, standings...)
	}
	oldest := now.UnixMilli()
	for i := range standings {
		s := &standings[i]
		s.Counted = max(s.Counted, hourOf(from)*hourMillis) // what was before nobody asks for
		oldest = min(oldest, s.Counted)
	}
	spans, err := spansFrom(ctx, q, ref.Cluster, oldest)
	if err != nil {
		return nil, err
	}
	spans = d.upToNow(ref.Cluster, spans, now)
	out := map[string][]store.Account{}
	for i := range standings {
		s := &standings[i]
		rows, err := q.RollupsFrom(ctx, db.RollupsFromParams{Runner: id, Component: s.Component, Hour: hourOf(from)})
		if err != nil {
			return nil, err
		}
		for _, x := range rows {
			out[s.Component] = append(out[s.Component], accountOf(x))
		}
		out[s.Component] = append(out[s.Component], openAccounts(s, now, spans)...)
	}
	return out, nil
}

// upToNow lengthens the stretch in which this process watches a cluster to the present: its end is written every few seconds only.
func (d *DB) upToNow(cluster string, spans []store.Span, now time.Time) []store.Span {
	d.mu.Lock()
	s, ok := d.watch[cluster]
	d.mu.Unlock()
	if n := len(spans); ok && n > 0 && spans[n-1].From.UnixMilli() == s.From.UnixMilli() && now.After(spans[n-1].To) && now.Sub(s.To) <= watchGap {
		spans[n-1].To = now
	}
	return spans
}
