package main

import (
	"context"
	"log/slog"
	"time"

	"trackside/handlers"
	"trackside/poller"
	"trackside/poller/act"
	"trackside/poller/report"
	"trackside/store"
	"trackside/store/sqlite"
)

// actFlags are those of acting on runners.
type actFlags struct {
	Impersonate    bool          `help:"Act in the clusters as the person who asks, by impersonation, so that their RBAC decides and their audit logs name the person."`
	AuditRetention time.Duration `help:"How long the audit is kept (default ${default})." default:"8760h" placeholder:"DURATION"`
}

// desk is what acting takes; on a board that is read only it acts on nothing, and still shows who is on which failure.
type desk struct {
	readOnly     bool
	db           *sqlite.DB
	log          *slog.Logger
	acknowledged *poller.Acknowledged
	hands        map[string]act.Hands
	act          *act.Desk
}

func (f actFlags) desk(ctx context.Context, readOnly bool, db *sqlite.DB, live *store.Live, reports *report.Source, log *slog.Logger) (*desk, error) {
	acknowledged, err := poller.NewAcknowledged(ctx, db)
	if err != nil {
		return nil, err
	}
	d := &desk{readOnly: readOnly, db: db, log: log, acknowledged: acknowledged, hands: map[string]act.Hands{reports.Alias(): act.Reported{Asker: reports}}}
	d.act = act.New(act.Config{Current: live.Current, Hands: d.hands, Pods: reports, Book: db, Failures: acknowledged, Log: log})
	return d, nil
}

// actions and audit are nil on a board that is read only.
func (d *desk) actions() handlers.Actions {
	if d.readOnly {
		return nil
	}
	return d.act
}

func (d *desk) audit() handlers.Audit {
	if d.readOnly {
		return nil
	}
	return d.db
}

// run takes up what a crash cut short. A disk that does not answer is no reason to stop the board.
func (d *desk) run(ctx context.Context) error {
	if d.readOnly {
		return nil
	}
	if err := d.act.Resume(ctx); err != nil && ctx.Err() == nil {
		d.log.Error("what a crash cut short is not taken up", "error", store.ErrorText(err))
	}
	return nil
}

// tending writes into the audit what was done beside the desk: at a mark's own time, or with a token of runners that report themselves.
func tending(db *sqlite.DB, log *slog.Logger) func(context.Context, store.Entry) {
	return func(ctx context.Context, e store.Entry) {
		if _, err := db.Enter(ctx, e); err != nil {
			log.Error("what was done is not in the audit", "action", e.Verb, "by", e.By.Name, "runner", e.Ref.String(), "error", store.ErrorText(err))
		}
	}
}
