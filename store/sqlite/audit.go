package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// Enter adds an entry that is about no action with a key, such as a sign-in, and answers with its id. Errors are store.ErrUnavailable.
func (d *DB) Enter(ctx context.Context, e store.Entry) (id int64, err error) {
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		id, err = q.AddEntry(ctx, entryRow(e))
		return err
	})
	return id, unavailable("record in", d.path, err)
}

// Begin enters an action before anything is done. When its key is known, what was entered first is the answer, and fresh is false.
// Errors are store.ErrUnavailable.
func (d *DB) Begin(ctx context.Context, a store.Action, e store.Entry) (k store.Kept, fresh bool, err error) {
	row := entryRow(e)
	row.Key, row.Action = sql.NullString{String: a.Key, Valid: true}, text(a)
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		x, err := q.EntryByKey(ctx, row.Key)
		if err == nil {
			k = keptOf(x)
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		k, fresh = store.Kept{Action: a, Entry: e}, true
		k.Entry.ID, err = q.AddEntry(ctx, row)
		k.Outcome.ID = k.Entry.ID
		return err
	})
	return k, fresh, unavailable("record in", d.path, err)
}

// End writes what came of an action, and the action as it is by then. Errors are store.ErrUnavailable.
func (d *DB) End(ctx context.Context, k store.Kept) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return q.EndEntry(ctx, db.EndEntryParams{ID: k.Entry.ID, Before: k.Entry.Before, After: k.Entry.After, Result: k.Entry.Result,
			Problem: k.Entry.Problem, Ended: millis(k.Entry.Ended), Outcome: text(k.Outcome), Action: text(k.Action)})
	})
	return unavailable("record in", d.path, err)
}

// Open lists the actions that were begun and have no end, the oldest first. Errors are store.ErrUnavailable.
func (d *DB) Open(ctx context.Context) ([]store.Kept, error) {
	rows, err := d.read.OpenEntries(ctx)
	if err != nil {
		return nil, unavailable("read the audit in", d.path, err)
	}
	out := make([]store.Kept, len(rows))
	for i, x := range rows {
		out[i] = keptOf(x)
	}
	return out, nil
}

// maxEntries bounds one reading of the audit.
const maxEntries = 10_000

// Entries reads the audit, newest first. Errors are store.ErrUnavailable.
func (d *DB) Entries(ctx context.Context, f store.EntryFilter, limit int) ([]store.Entry, error) {
	since, until := int64(0), int64(0)
	if !f.Since.IsZero() {
		since = f.Since.UnixMilli()
	}
	if !f.Until.IsZero() {
		until = f.Until.UnixMilli()
	}
	rows, err := d.read.ListEntries(ctx, db.ListEntriesParams{BeforeID: f.Before, Since: since, Until: until, Person: f.By, Verb: f.Verb,
		Cluster: f.Cluster, Runner: f.Runner, Words: f.Text, MaxRows: int64(min(max(limit, 0), maxEntries))})
	if err != nil {
		return nil, unavailable("read the audit in", d.path, err)
	}
	out := make([]store.Entry, len(rows))
	for i, x := range rows {
		out[i] = entryOf(x)
	}
	return out, nil
}

// PruneAudit deletes the entries from before olderThan and returns how many. Errors are store.ErrUnavailable.
func (d *DB) PruneAudit(ctx context.Context, olderThan time.Time) (total int64, err error) {
	for more := true; more; {
		var n int64
		err := d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
			n, err = q.PruneEntries(ctx, db.PruneEntriesParams{Older: olderThan.UnixMilli(), MaxRows: pruneBatch})
			return err
		})
		if err != nil {
			return total, unavailable("prune", d.path, err)
		}
		total, more = total+n, n == pruneBatch
	}
	return total, nil
}

func entryRow(e store.Entry) db.AddEntryParams {
	return db.AddEntryParams{At: e.At.UnixMilli(), Person: e.By.Name, Groups: text(append([]string{}, e.By.Groups...)), Role: e.By.Role.String(), Via: string(e.By.Via),
		Token: e.By.Token, Verb: e.Verb, Cluster: e.Ref.Cluster, System: e.Ref.System, Namespace: e.Ref.Namespace, Name: e.Ref.Name,
		Object: e.Object, Note: e.Note, Before: e.Before, After: e.After, Result: e.Result, Problem: e.Problem, Ended: millis(e.Ended)}
}

func entryOf(x db.Audit) store.Entry {
	role, _ := store.ParseRole(x.Role)
	return store.Entry{ID: x.ID, At: time.UnixMilli(x.At).UTC(), By: store.Person{Name: x.Person, Groups: list[string](x.Groups), Role: role, Via: store.Via(x.Via), Token: x.Token},
		Verb: x.Verb, Ref: store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}, Object: x.Object, Note: x.Note,
		Before: x.Before, After: x.After, Result: x.Result, Problem: x.Problem, Ended: instant(x.Ended)}
}

// keptOf reads an action back; one that a hand has broken is without its verb, and nobody does it again.
func keptOf(x db.Audit) (k store.Kept) {
	if json.Unmarshal([]byte(x.Action), &k.Action) != nil {
		k.Action = store.Action{Key: x.Key.String}
	}
	if x.Outcome != "" && json.Unmarshal([]byte(x.Outcome), &k.Outcome) != nil {
		k.Outcome = store.Outcome{}
	}
	k.Entry = entryOf(x)
	k.Outcome.ID = x.ID
	return k
}

// Acknowledgements lists who is on which failure. Errors are store.ErrUnavailable.
func (d *DB) Acknowledgements(ctx context.Context) ([]store.Acknowledgement, error) {
	rows, err := d.read.ListAcknowledgements(ctx)
	if err != nil {
		return nil, unavailable("read the acknowledgements in", d.path, err)
	}
	out := make([]store.Acknowledgement, len(rows))
	for i, x := range rows {
		out[i] = store.Acknowledgement{Ref: store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name},
			By: x.Person, Note: x.Note, At: time.UnixMilli(x.At).UTC()}
	}
	return out, nil
}

// Acknowledge keeps who is on a runner's failure, in place of who was. Errors are store.ErrUnavailable.
func (d *DB) Acknowledge(ctx context.Context, a store.Acknowledgement) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return q.PutAcknowledgement(ctx, db.PutAcknowledgementParams{Cluster: a.Ref.Cluster, System: a.Ref.System, Namespace: a.Ref.Namespace,
			Name: a.Ref.Name, Person: a.By, Note: a.Note, At: a.At.UnixMilli()})
	})
	return unavailable("record in", d.path, err)
}

// EndAcknowledgement forgets an acknowledgement, unless another has taken its place. Errors are store.ErrUnavailable.
func (d *DB) EndAcknowledgement(ctx context.Context, a store.Acknowledgement) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return q.DeleteAcknowledgement(ctx, db.DeleteAcknowledgementParams{Cluster: a.Ref.Cluster, System: a.Ref.System, Namespace: a.Ref.Namespace,
			Name: a.Ref.Name, At: a.At.UnixMilli()})
	})
	return unavailable(fmt.Sprintf("forget the acknowledgement of %s in", a.Ref), d.path, err)
}

// standing is store.Mark with the names it has in JSON.
type standing struct {
	By       string `json:"by,omitempty"`
	Note     string `json:"note,omitempty"`
	At       int64  `json:"at,omitempty"` // Unix milliseconds
	Until    int64  `json:"until,omitempty"`
	Drain    bool   `json:"drain,omitempty"`
	Draining bool   `json:"draining,omitempty"`
}

func markRow(m store.Mark) standing {
	out := standing{By: m.By, Note: m.Note, Drain: m.Drain, Draining: m.Draining}
	if !m.At.IsZero() {
		out.At = m.At.UnixMilli()
	}
	if !m.Until.IsZero() {
		out.Until = m.Until.UnixMilli()
	}
	return out
}

// markOf reads a mark back; one that a hand has broken says nothing.
func markOf(s string) store.Mark {
	var x standing
	if json.Unmarshal([]byte(s), &x) != nil {
		return store.Mark{}
	}
	at := func(ms int64) time.Time { return instant(sql.NullInt64{Int64: ms, Valid: ms != 0}) }
	return store.Mark{By: x.By, Note: x.Note, At: at(x.At), Until: at(x.Until), Drain: x.Drain, Draining: x.Draining}
}
