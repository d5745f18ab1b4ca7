package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// besideParams wait for the server's transactions, which are short.
const besideParams = "_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_dqs=0"

// OpenBeside opens the file for a few short writes while a server may have it open: without its lock, and without changing its
// tables. Where no server runs it is Open. Errors are store.ErrUnavailable.
func OpenBeside(ctx context.Context, path string) (*DB, error) {
	d, err := Open(ctx, path)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return d, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, unavailable("open", path, err)
	}
	d = &DB{path: abs, now: time.Now, turn: make(chan struct{}, 1), doubt: map[store.Ref]bool{}}
	if d.writer, err = connect(ctx, abs, besideParams, 1); err != nil {
		return nil, unavailable("open", abs, err)
	}
	if d.write, err = db.Prepare(ctx, d.writer); err != nil {
		return nil, errors.Join(unavailable("open", abs, err), d.Close())
	}
	d.read = d.write
	return d, nil
}

// AddReportToken keeps a token's hash.
func (d *DB) AddReportToken(ctx context.Context, t store.ReportToken) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return q.PutReportToken(ctx, db.PutReportTokenParams{ID: t.ID, Name: t.Name, System: t.System, Admin: number(t.Admin), Hash: t.Hash,
			Created: t.Created.UnixMilli(), Revoked: millis(t.Revoked)})
	})
	return unavailable("record the token in", d.path, err)
}

// RevokeReportToken ends a token from t on. One that is not there, or is revoked already, is store.ErrNotFound.
func (d *DB) RevokeReportToken(ctx context.Context, id string, t time.Time) error {
	var n int64
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		n, err = q.RevokeReportToken(ctx, db.RevokeReportTokenParams{Revoked: millis(t), ID: id})
		return err
	})
	if err == nil && n == 0 {
		return fmt.Errorf("%w: there is no token %q that counts", store.ErrNotFound, store.Clean(id, 64))
	}
	return unavailable("revoke the token in", d.path, err)
}

// ReportTokens lists every token, oldest first, revoked ones included.
func (d *DB) ReportTokens(ctx context.Context) ([]store.ReportToken, error) {
	rows, err := d.read.ListReportTokens(ctx)
	if err != nil {
		return nil, unavailable("read the tokens in", d.path, err)
	}
	out := make([]store.ReportToken, len(rows))
	for i, x := range rows {
		out[i] = tokenOf(x)
	}
	return out, nil
}

// ReportToken finds a token by its public part; store.ErrNotFound if there is none.
func (d *DB) ReportToken(ctx context.Context, id string) (store.ReportToken, error) {
	x, err := d.read.FindReportToken(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ReportToken{}, fmt.Errorf("%w: there is no such token", store.ErrNotFound)
	}
	return tokenOf(x), unavailable("read the tokens in", d.path, err)
}

func tokenOf(x db.ReportToken) store.ReportToken {
	return store.ReportToken{ID: x.ID, Name: x.Name, System: x.System, Admin: x.Admin != 0, Hash: x.Hash,
		Created: time.UnixMilli(x.Created).UTC(), Revoked: instant(x.Revoked)}
}

// SaveReports writes what changed of the runners that report themselves, in one transaction. All of it may be written again.
func (d *DB) SaveReports(ctx context.Context, b store.ReportBook) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return saveReports(ctx, q, b)
	})
	return unavailable("record reports in", d.path, err)
}

func saveReports(ctx context.Context, q *db.Queries, b store.ReportBook) error {
	for _, id := range b.GoneRunners { // first: a name that is taken again is unique
		if err := q.DeleteReportRunner(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range b.GoneTasks {
		if err := q.DeleteReportTask(ctx, id); err != nil {
			return err
		}
	}
	for i := range b.Runners {
		if err := q.PutReportRunner(ctx, db.PutReportRunnerParams(reportRow(&b.Runners[i]))); err != nil {
			return err
		}
	}
	for i := range b.Tasks {
		if err := q.PutReportTask(ctx, db.PutReportTaskParams(taskRow(&b.Tasks[i]))); err != nil {
			return err
		}
	}
	for id, at := range b.Heard {
		if err := q.SetReportHeard(ctx, db.SetReportHeardParams{Heard: millis(at), ID: id}); err != nil {
			return err
		}
	}
	return q.PutReportSequence(ctx, db.PutReportSequenceParams{NextRunner: b.NextRunner, NextTask: b.NextTask})
}

// Reports reads back everything that SaveReports wrote.
func (d *DB) Reports(ctx context.Context) (store.ReportBook, error) {
	b, err := d.reports(ctx)
	return b, unavailable("read reports in", d.path, err)
}

func (d *DB) reports(ctx context.Context) (b store.ReportBook, err error) {
	runners, err := d.read.ListReportRunners(ctx)
	if err != nil {
		return b, err
	}
	for _, x := range runners {
		b.Runners = append(b.Runners, reportOf(x))
	}
	tasks, err := d.read.ListReportTasks(ctx)
	if err != nil {
		return b, err
	}
	for _, x := range tasks {
		b.Tasks = append(b.Tasks, taskOf(x))
	}
	seq, err := d.read.ReportSequence(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		seq, err = db.ReportSequenceRow{NextRunner: 1, NextTask: 1}, nil
	}
	b.NextRunner, b.NextTask = seq.NextRunner, seq.NextTask
	return b, err
}

// command is store.Command with the names it has in JSON.
type command struct {
	ID    int64     `json:"id"`
	Event string    `json:"event"`
	At    time.Time `json:"at"`
}

func reportRow(r *store.Report) db.ReportRunner {
	commands := make([]command, len(r.Commands))
	for i, c := range r.Commands {
		commands[i] = command(c)
	}
	x := db.ReportRunner{ID: r.ID, Name: r.Name, Ip: r.IP, System: r.System, Namespace: r.Namespace, Uuid: r.UUID, PublicKey: r.PublicKey,
		Version: r.Version, Capacity: int64(r.Capacity), Capabilities: text(r.Capabilities), Control: number(r.Control),
		Incarnation: r.Incarnation, Registered: millis(r.Registered), Heard: millis(r.Heard), Lost: millis(r.Lost), Beats: number(r.Beats),
		Idle: number(r.Idle), Problem: r.Problem, ProblemSince: millis(r.ProblemSince), Requested: r.Requested.String(),
		Observed: r.Observed.String(), Commands: text(commands), Mark: text(markRow(r.Mark))}
	if r.Eviction != nil {
		x.Eviction = sql.NullInt64{Int64: r.Eviction.Milliseconds(), Valid: true}
	}
	return x
}

func reportOf(x db.ReportRunner) store.Report {
	requested, _ := store.ParseState(x.Requested)
	observed, _ := store.ParseState(x.Observed)
	r := store.Report{ID: x.ID, Registration: store.Registration{Name: x.Name, IP: x.Ip, System: x.System, Namespace: x.Namespace, UUID: x.Uuid,
		PublicKey: x.PublicKey, Version: x.Version, Capacity: int(x.Capacity), Capabilities: list[string](x.Capabilities), Control: x.Control != 0},
		Incarnation: x.Incarnation, Registered: instant(x.Registered), Heard: instant(x.Heard), Lost: instant(x.Lost), Beats: x.Beats != 0,
		Idle: x.Idle != 0, Problem: x.Problem, ProblemSince: instant(x.ProblemSince), Requested: requested, Observed: observed, Mark: markOf(x.Mark)}
	for _, c := range list[command](x.Commands) {
		r.Commands = append(r.Commands, store.Command(c))
	}
	if x.Eviction.Valid {
		r.Eviction = new(time.Duration(x.Eviction.Int64) * time.Millisecond)
	}
	return r
}

func taskRow(t *store.Task) db.ReportTask {
	return db.ReportTask{ID: t.ID, Type: t.Type, Session: t.Session, Config: string(t.Config), Runner: t.Runner, Queued: millis(t.Queued),
		Claimed: millis(t.Claimed), Begun: millis(t.Begun), Ended: millis(t.Ended), Handed: int64(t.Handed), Failed: number(t.Failed),
		Error: t.Error, Words: text(t.Words)}
}

func taskOf(x db.ReportTask) store.Task {
	t := store.Task{ID: x.ID, Type: x.Type, Session: x.Session, Config: []byte(x.Config), Runner: x.Runner, Queued: instant(x.Queued),
		Claimed: instant(x.Claimed), Begun: instant(x.Begun), Ended: instant(x.Ended), Handed: int(x.Handed), Failed: x.Failed != 0,
		Error: x.Error, Words: list[string](x.Words)}
	if !json.Valid(t.Config) {
		t.Config = []byte("{}") // a hand has broken it
	}
	return t
}
