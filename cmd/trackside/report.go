package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"trackside/poller/report"
	"trackside/store"
	"trackside/store/sqlite"
)

// reportFlags are those of runners that report themselves.
type reportFlags struct {
	ReportAlias  string        `help:"The cluster under which runners stand that report themselves (default ${default})." default:"reported" placeholder:"NAME"`
	ReportOpen   bool          `help:"Take reports of runners without a token."`
	ReportLate   time.Duration `help:"Silence after which a runner that reports is given no work; pings are sent three times within it (default ${default})." default:"30s" placeholder:"DURATION"`
	ReportLost   time.Duration `help:"Silence after which a runner that reports counts as lost (default ${default})." default:"60s" placeholder:"DURATION"`
	ReportForget time.Duration `help:"How long a lost runner that reports stays on the board (default ${default})." default:"24h" placeholder:"DURATION"`
}

// minLate keeps pings and deadlines apart from a busy machine's hiccups.
const minLate = time.Second

// reports is the source of runners that report themselves.
func (f reportFlags) reports(ctx context.Context, readOnly bool, db *sqlite.DB, live *store.Live, log *slog.Logger) (*report.Source, error) {
	if f.ReportLate < minLate || f.ReportLost <= f.ReportLate {
		return nil, fmt.Errorf("%w: --report-late %s and --report-lost %s: the first is 1s at least, and the second is longer", store.ErrInvalid, f.ReportLate, f.ReportLost)
	}
	return report.New(ctx, report.Config{Alias: f.ReportAlias, Late: f.ReportLate, Lost: f.ReportLost, Forget: f.ReportForget, Open: f.ReportOpen,
		ReadOnly: readOnly, Tended: tending(db, log), Book: db, Log: log, Heard: live.Hear})
}

// aliases are the names of all sources; each has its own.
func (f reportFlags) aliases(all []string) ([]string, error) {
	if f.ReportAlias == "" || slices.Contains(all, f.ReportAlias) {
		return nil, fmt.Errorf("%w: --report-alias %q: a cluster goes by that name; choose another", store.ErrInvalid, f.ReportAlias)
	}
	return append(all, f.ReportAlias), nil
}

type reportCmd struct {
	Token  tokenCmd  `cmd:"" help:"Make a token; it is shown once. The server may be running."`
	Tokens tokensCmd `cmd:"" help:"List the tokens."`
	Revoke revokeCmd `cmd:"" help:"Revoke a token by its id; the server heeds it within seconds."`
}

// dataFlag names the data file to the commands beside the server's.
type dataFlag struct {
	Data string `help:"The data file (default ${default})." default:"trackside.db" placeholder:"FILE"`
}

type tokenCmd struct {
	dataFlag
	Name   string `help:"The runner it is for, or a pattern for a pool, such as 'pool-*'." env:"-" required:"" placeholder:"NAME"`
	System string `help:"What its runners are of, whatever they say, such as plue or release." env:"-" placeholder:"NAME"`
	Admin  bool   `help:"For whoever queues work, and enables, disables and deletes runners; it lets nobody report." env:"-"`
}

// Run makes a token and prints it.
func (t tokenCmd) Run(ctx context.Context) error {
	token, kept, err := report.NewToken(t.Name, t.System, t.Admin, time.Now())
	if err != nil {
		return err
	}
	db, err := sqlite.OpenBeside(ctx, t.Data)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := db.AddReportToken(ctx, kept); err != nil {
		return err
	}
	fmt.Printf("%s\n\nThis is the only time it is shown. Its id is %s; trackside report revoke %s ends it.\n", token, kept.ID, kept.ID)
	return nil
}

type tokensCmd struct{ dataFlag }

// Run lists the tokens.
func (t tokensCmd) Run(ctx context.Context) error {
	db, err := sqlite.OpenBeside(ctx, t.Data)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	all, err := db.ReportTokens(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Println("There is none. Make one: trackside report token --name NAME")
	}
	for _, x := range all {
		fmt.Println(describe(x))
	}
	return nil
}

// describe is a token in one line, without anything that lets anybody in.
func describe(t store.ReportToken) string {
	what := "runner " + t.Name
	if t.Admin {
		what = "admin " + t.Name
	}
	if t.System != "" {
		what += ", system " + t.System
	}
	state := "made " + t.Created.Format(time.DateTime)
	if !t.Revoked.IsZero() {
		state += ", revoked " + t.Revoked.Format(time.DateTime)
	}
	return t.ID + "  " + what + "  " + state + " UTC"
}

type revokeCmd struct {
	dataFlag
	ID string `arg:"" help:"The token's id, as trackside report tokens lists it."`
}

// Run revokes a token.
func (r revokeCmd) Run(ctx context.Context) error {
	db, err := sqlite.OpenBeside(ctx, r.Data)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := db.RevokeReportToken(ctx, r.ID, time.Now()); err != nil {
		return err
	}
	fmt.Printf("Token %s is revoked.\n", r.ID)
	return nil
}
