package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// evidence adds the proof of a failure, unless it is there, and the logs that came with it.
func (r *recorder) evidence(ctx context.Context, e *store.Evidence) error {
	id, err := r.id(ctx, e.Ref)
	if err != nil {
		return err
	}
	n, err := r.q.AddEvidence(ctx, db.AddEvidenceParams(evidenceRow(id, e)))
	if err != nil {
		return err
	}
	if n > 0 {
		if err := r.q.AddProof(ctx, db.AddProofParams{Evidence: e.ID, Proof: text(e.Proof)}); err != nil {
			return err
		}
	}
	for _, l := range e.Logs {
		if err := r.q.PutLog(ctx, db.PutLogParams{Evidence: e.ID, Container: l.Container, Previous: number(l.Previous), At: r.at.UnixMilli(), Text: l.Text, Problem: l.Problem}); err != nil {
			return err
		}
	}
	return nil
}

func evidenceRow(runner int64, e *store.Evidence) db.Evidence {
	v := flatten(e.Verdict)
	return db.Evidence{ID: e.ID, Runner: runner, At: e.At.UnixMilli(), Incarnation: e.Incarnation, Namespace: e.Namespace, Name: e.Name, Uid: e.UID,
		Component: e.Component, Health: v.Health, Reason: v.Reason, Why: v.Why, Since: v.Since, Raw: v.Raw, Message: v.Message, Container: v.Container,
		Next: v.Next, Unproven: v.Unproven, Inspect: v.Inspect, Image: e.Image, Node: e.Node, Fingerprint: e.Fingerprint}
}

func evidenceOf(ref store.Ref, x *db.Evidence) store.Evidence {
	v := verdict{x.Health, x.Reason, x.Why, x.Since, x.Raw, x.Message, x.Container, x.Next, x.Unproven, x.Inspect}
	return store.Evidence{ID: x.ID, Ref: ref, Incarnation: x.Incarnation, Namespace: x.Namespace, Name: x.Name, UID: x.Uid, Component: x.Component,
		At: time.UnixMilli(x.At).UTC(), Verdict: v.domain(), Image: x.Image, Node: x.Node, Fingerprint: x.Fingerprint}
}

// Evidence returns the proof of one failure, with the logs that have arrived. One that was never there, or is older than evidence is
// kept, is store.ErrNotFound; what the disk refuses is store.ErrUnavailable.
func (d *DB) Evidence(ctx context.Context, id string) (store.Evidence, error) {
	x, err := d.read.EvidenceByID(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Evidence{}, fmt.Errorf("%w: there is no evidence of a failure %q", store.ErrNotFound, store.Clean(id, 64))
	}
	if err != nil {
		return store.Evidence{}, unavailable("read the evidence in", d.path, err)
	}
	e := evidenceOf(store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.RefNamespace, Name: x.RefName}, &x.Evidence)
	_ = json.Unmarshal([]byte(x.Proof.String), &e.Proof) // a proof that a hand has broken is shown as far as it can be read
	logs, err := d.read.LogsOf(ctx, id)
	if err != nil {
		return store.Evidence{}, unavailable("read the evidence in", d.path, err)
	}
	for _, l := range logs {
		e.Logs = append(e.Logs, store.Log{Container: l.Container, Previous: l.Previous != 0, Text: l.Text, Problem: l.Problem})
	}
	return e, nil
}

// EvidenceOf returns the failures of a runner from a time on, latest first, limit at most, without proofs and logs.
func (d *DB) EvidenceOf(ctx context.Context, ref store.Ref, since time.Time, limit int) ([]store.Evidence, error) {
	id, err := d.read.FindRef(ctx, db.FindRefParams(ref))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var rows []db.Evidence
	if err == nil {
		rows, err = d.read.EvidenceOfRunner(ctx, db.EvidenceOfRunnerParams{Runner: id, Since: since.UnixMilli(), MaxRows: int64(limit)})
	}
	if err != nil {
		return nil, unavailable("read the evidence of "+ref.String()+" in", d.path, err)
	}
	out := make([]store.Evidence, len(rows))
	for i := range rows {
		out[i] = evidenceOf(ref, &rows[i])
	}
	return out, nil
}

// How Failures reads: of few runners one after the other, of more by time, of few reasons each by time, some pages at most.
const (
	fewRunners  = 100
	fewReasons  = 2
	scanPages   = 4
	scanPerPage = 500
)

// Failures returns the failures that a filter lets through, latest first, limit at most, without proofs and logs. More says that there
// are, or may be, others: only so many are looked at. Errors are store.ErrUnavailable.
func (d *DB) Failures(ctx context.Context, f store.FailureFilter, limit int) (out []store.Evidence, more bool, err error) {
	refs, err := d.refs(ctx, f)
	if err != nil {
		return nil, false, unavailable("read the failures in", d.path, err)
	}
	scan := scanner{d.read, f, refs, limit, map[string]bool{}, nil}
	if f.Everywhere() || len(refs) > fewRunners {
		more, err = scan.byTime(ctx)
	} else {
		err = scan.byRunner(ctx)
	}
	if err != nil {
		return nil, false, unavailable("read the failures in", d.path, err)
	}
	slices.SortFunc(scan.out, func(a, b store.Evidence) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	if len(scan.out) > limit {
		scan.out, more = scan.out[:limit], true
	}
	return scan.out, more, nil
}

// refs are the runners that a filter lets through, of all that were ever known.
func (d *DB) refs(ctx context.Context, f store.FailureFilter) (map[int64]store.Ref, error) {
	rows, err := d.read.ListRefs(ctx)
	if err != nil {
		return nil, err
	}
	refs := make(map[int64]store.Ref, len(rows))
	for _, x := range rows {
		if ref := (store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}); f.MatchRef(ref) {
			refs[x.ID] = ref
		}
	}
	return refs, nil
}

// scanner collects failures.
type scanner struct {
	q     *db.Queries
	f     store.FailureFilter
	refs  map[int64]store.Ref
	limit int
	seen  map[string]bool
	out   []store.Evidence
}

// add takes the rows that the filter lets through and reports how many rows were new.
func (s *scanner) add(rows []db.Evidence) (fresh int) {
	for i := range rows {
		x := &rows[i]
		if s.seen[x.ID] {
			continue
		}
		s.seen[x.ID] = true
		fresh++
		ref, ok := s.refs[x.Runner]
		if reason, _ := store.ParseReason(x.Reason); ok && s.f.MatchReason(reason) {
			s.out = append(s.out, evidenceOf(ref, x))
		}
	}
	return fresh
}

func (s *scanner) byRunner(ctx context.Context) error {
	for id := range s.refs {
		rows, err := s.q.EvidenceOfRunner(ctx, db.EvidenceOfRunnerParams{Runner: id, Since: s.f.Since.UnixMilli(), MaxRows: int64(s.limit) + 1})
		if err != nil {
			return err
		}
		s.add(rows)
	}
	return nil
}

// byTime goes back in time, for each reason that is asked for alone or for all at once.
func (s *scanner) byTime(ctx context.Context) (more bool, err error) {
	if n := len(s.f.Reasons); n == 0 || n > fewReasons {
		return s.pages(func(until int64) ([]db.Evidence, error) {
			return s.q.EvidenceSince(ctx, db.EvidenceSinceParams{Since: s.f.Since.UnixMilli(), Until: until, MaxRows: scanPerPage})
		})
	}
	since, err := s.since(ctx)
	if err != nil {
		return false, err
	}
	for _, r := range s.f.Reasons {
		m, err := s.pages(func(until int64) ([]db.Evidence, error) {
			return s.q.EvidenceOfReason(ctx, db.EvidenceOfReasonParams{Reason: r.String(), Since: since, Until: until, MaxRows: scanPerPage})
		})
		if err != nil {
			return false, err
		}
		more = more || m
	}
	return more, nil
}

// since is how far back the reasons that are asked for need to be read: to the last failure of all of them together that is within the limit. An
// index holds the times; reading whole rows of each reason would take as long for each as for all.
func (s *scanner) since(ctx context.Context) (int64, error) {
	from := s.f.Since.UnixMilli()
	if len(s.f.Reasons) == 1 || !s.f.Everywhere() {
		return from, nil
	}
	var times []int64
	for _, r := range s.f.Reasons {
		at, err := s.q.TimesOfReason(ctx, db.TimesOfReasonParams{Reason: r.String(), Since: from, MaxRows: int64(s.limit) + 1})
		if err != nil {
			return 0, err
		}
		times = append(times, at...)
	}
	if len(times) <= s.limit {
		return from, nil
	}
	slices.Sort(times)
	return times[len(times)-1-s.limit], nil
}

// pages reads page after page until enough is found or there is no more; a page begins where the last one ended, ties included.
func (s *scanner) pages(read func(until int64) ([]db.Evidence, error)) (more bool, err error) {
	until, enough := latest.at, len(s.out)+s.limit
	for range scanPages {
		rows, err := read(until)
		if err != nil {
			return false, err
		}
		fresh := s.add(rows)
		switch {
		case len(rows) < scanPerPage:
			return false, nil
		case len(s.out) > enough || fresh == 0:
			return true, nil
		}
		until = rows[len(rows)-1].At
	}
	return true, nil
}

// PruneEvidence deletes the evidence of failures from before olderThan and returns how many. It works in batches, as Prune does.
func (d *DB) PruneEvidence(ctx context.Context, olderThan time.Time) (total int64, err error) {
	for {
		n, err := d.pruneEvidence(ctx, olderThan.UnixMilli())
		total += n
		if err != nil {
			return total, unavailable("prune", d.path, err)
		}
		if n < pruneBatch {
			return total, nil
		}
	}
}

func (d *DB) pruneEvidence(ctx context.Context, before int64) (n int64, err error) {
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		rows, err := q.DeleteOldEvidence(ctx, db.DeleteOldEvidenceParams{Before: before, MaxRows: pruneBatch})
		if err != nil {
			return err
		}
		runners := map[int64]bool{}
		for _, x := range rows {
			runners[x.Runner] = true
			if err := errors.Join(q.DeleteProof(ctx, x.ID), q.DeleteLogs(ctx, x.ID)); err != nil {
				return err
			}
		}
		for id := range runners {
			if err := q.DeleteUnusedRef(ctx, id); err != nil {
				return err
			}
		}
		n = int64(len(rows))
		return q.DeleteStrayLogs(ctx, before)
	})
	return n, err
}

// PruneRollups deletes the uptime of hours before olderThan, and when nobody looked then; it returns how many rows of hours.
func (d *DB) PruneRollups(ctx context.Context, olderThan time.Time) (total int64, err error) {
	refs, err := d.read.ListRefs(ctx)
	if err != nil {
		return 0, unavailable("prune", d.path, err)
	}
	for _, x := range refs {
		n, err := d.pruneRollups(ctx, x.ID, hourOf(olderThan))
		total += n
		if err != nil {
			return total, unavailable("prune", d.path, err)
		}
	}
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) error { return q.DeleteOldObserved(ctx, olderThan.UnixMilli()) })
	return total, unavailable("prune", d.path, err)
}

func (d *DB) pruneRollups(ctx context.Context, id, before int64) (total int64, err error) {
	components, err := d.read.RollupComponents(ctx, id)
	if err != nil {
		return 0, err
	}
	for _, c := range components {
		err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
			n, err := q.DeleteOldRollups(ctx, db.DeleteOldRollupsParams{Runner: id, Component: c, Before: before})
			total += n
			return errors.Join(err, q.DeleteUnusedRef(ctx, id))
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
