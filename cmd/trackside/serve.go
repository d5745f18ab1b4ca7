package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"trackside/handlers"
	"trackside/poller"
	"trackside/poller/kube"
	"trackside/poller/report"
	"trackside/static"
	"trackside/store"
	"trackside/store/sqlite"
	"trackside/systems"
	"trackside/web"
)

type serveCmd struct {
	Listen         string `help:"Address of the board (default ${default})." default:"127.0.0.1:8080" placeholder:"ADDR"`
	MetricsListen  string `help:"Address of /healthz, /readyz and /metrics; blank for none (default ${default})." default:"127.0.0.1:9090" placeholder:"ADDR"`
	PublicURL      string `name:"public-url" help:"Where people reach the board, for links and the check of the Host header." placeholder:"URL"`
	TLSCert        string `name:"tls-cert" help:"Certificate file; with --tls-key the board speaks HTTPS and HTTP/2." placeholder:"FILE"`
	TLSKey         string `name:"tls-key" help:"Private key file." placeholder:"FILE"`
	InsecureNoAuth bool   `name:"insecure-no-auth" help:"Listen where other machines reach it although nobody signs in."`

	Kubeconfig string   `help:"Kubeconfig file; otherwise KUBECONFIG, then ~/.kube/config, then the Pod's ServiceAccount." placeholder:"FILE"`
	Cluster    []string `help:"A cluster by its context, as ALIAS=CONTEXT or CONTEXT; repeatable." placeholder:"ALIAS=CONTEXT" sep:","`
	Namespace  []string `help:"Watch this namespace only; repeatable." placeholder:"NAME" sep:","`
	ProbeVia   string   `help:"How health probes reach pods: pod-ip, api-proxy or off; by default pod-ip inside a cluster, api-proxy outside." placeholder:"WAY" enum:",pod-ip,api-proxy,off" default:""`
	ProbeLimit int      `help:"Health probes under way at once (default ${default})." default:"32" placeholder:"N"`

	reportFlags
	besideFlags `embed:""`
	actFlags    `embed:""`
	authFlags   `embed:""`

	Data   string        `help:"The data file, SQLite (default ${default})." default:"trackside.db" placeholder:"FILE"`
	Retain time.Duration `help:"How long transitions are kept (default ${default})." default:"720h" placeholder:"DURATION"`

	EvidenceRetention time.Duration `help:"How long the evidence of failures is kept (default ${default})." default:"720h" placeholder:"DURATION"`
	CaptureLogs       bool          `help:"Keep the last 50 lines of containers that fail, with secrets masked; needs the verb get on pods/log."`

	ReadOnly bool `help:"Change nothing: act on no runner, tend no mark, and accept no findings."`

	LogFormat string `help:"text or json." enum:"text,json" default:"text"`
	LogLevel  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
}

// gcPercent trades a little processor time for memory: most of the heap is a cache that hardly changes.
const gcPercent = 15

// pruneEvery is the pace of retention.
const pruneEvery = time.Hour

// keepRollups is how long uptime is kept: a year, and some.
const keepRollups = 400 * 24 * time.Hour

// Run wires everything together and serves until the context ends.
func (s serveCmd) Run(ctx context.Context) error {
	log := s.prepare()
	if err := static.Check(); err != nil {
		return err
	}
	targets, aliases, err := s.asked()
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, s.Data)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	start, err := db.Restore(ctx)
	if err != nil {
		return err
	}
	gone := unwatched(start, aliases)
	live := store.NewLive(start)
	reports, err := s.reports(ctx, s.ReadOnly, db, live, log)
	if err != nil {
		return err
	}
	accepted, err := poller.NewAccepted(ctx, db)
	if err != nil {
		return err
	}
	desk, err := s.desk(ctx, s.ReadOnly, db, live, reports, log)
	if err != nil {
		return err
	}
	who, signIn, err := s.accounts(ctx, s.PublicURL, db, log)
	if err != nil {
		return err
	}
	writes, err := s.manifests(targets, db)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	server, err := web.New(web.Options{Listen: s.Listen, MetricsListen: s.MetricsListen, TLSCert: s.TLSCert, TLSKey: s.TLSKey,
		Actions: desk.actions(), Audit: desk.audit(), Accounts: who, SignIn: signIn, Manifests: writes,
		PublicURL: s.PublicURL, InsecureNoAuth: s.InsecureNoAuth, Live: live, History: db, Failures: db, Acceptances: s.acceptances(accepted), Reports: reports,
		Systems: systems.Names(),
		Version: buildVersion(), Logger: log, Ready: func() bool { return heard(live) }, Registry: registry})
	if err != nil {
		return err
	}
	sources, err := s.sources(targets, live, desk, log)
	if err != nil {
		server.Close()
		return err
	}
	sources = append(sources, accepted, desk.acknowledged)
	fmt.Fprintf(os.Stderr, "Trackside %s shows %s at %s\n", buildVersion(), names(targets), server.URL())
	p := poller.New(live, db, log, newPublications(registry).observe, append(sources, reports)...)
	p.Discard(gone...)
	return together(ctx, p.Run, server.Run, desk.run,
		func(ctx context.Context) error { who.Run(ctx); return nil },
		func(ctx context.Context) error { s.retain(ctx, db, log); return nil },
		func(ctx context.Context) error { remember(ctx, db, live, aliases); return nil })
}

// together runs all until the context ends or one of them fails, which ends the others.
func together(ctx context.Context, all ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, f := range all {
		group.Go(func() error { return f(ctx) })
	}
	return group.Wait()
}

// prepare sets what holds for the whole process, and returns where it logs.
func (s serveCmd) prepare() *slog.Logger {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := newLogger(os.Stderr, s.LogFormat, s.LogLevel)
	klog.SetLogger(logr.FromSlogHandler(quiet{log.Handler()}))
	return log
}

// asked are the clusters to watch, and the aliases of all sources: theirs, and those of the sources beside them.
func (s serveCmd) asked() (targets []target, aliases []string, err error) {
	if targets, err = s.targets(); err != nil {
		return nil, nil, err
	}
	if aliases, err = s.aliases(aliasesOf(targets)); err != nil {
		return nil, nil, err
	}
	aliases, err = s.besideAliases(aliases)
	return targets, aliases, err
}

// acceptances is where findings can be accepted: nowhere on a board that is read only. What was accepted before holds there too.
func (s serveCmd) acceptances(a *poller.Accepted) handlers.Acceptances {
	if s.ReadOnly {
		return nil
	}
	return a
}

// unwatched takes the sources that are not asked any more out of what was restored, and lists their runners.
func unwatched(s *store.Snapshot, aliases []string) (gone []store.Ref) {
	watched := func(cluster string) bool { return slices.Contains(aliases, cluster) }
	s.Sources = slices.DeleteFunc(s.Sources, func(x store.Source) bool { return !watched(x.Cluster) })
	for r := range s.Runners() {
		if !watched(r.Ref.Cluster) {
			gone = append(gone, r.Ref)
		}
	}
	return gone
}

// rememberEvery is the pace at which the time a source last answered is saved, so that a restart shows the true age.
const rememberEvery = 10 * time.Second

// remember saves when each source last answered, now and then and at the end. A failure is the disk's, which recording tells of.
func remember(ctx context.Context, db *sqlite.DB, live *store.Live, aliases []string) {
	ticker := time.NewTicker(rememberEvery)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
		for _, alias := range aliases {
			if at, ok := live.Heard(alias); ok {
				_ = db.Hear(context.WithoutCancel(ctx), alias, at)
			}
		}
	}
}

// heard reports whether every cluster has spoken, or was found not to answer: then the board says something true. A source that is
// asked now and then may take its time.
func heard(live *store.Live) bool {
	sources := live.Current().Sources
	for _, s := range sources {
		if s.State == store.SourceRestored && s.Name != report.SourceName { // its runners may take their time
			return false
		}
	}
	return len(sources) > 0
}

func (s serveCmd) sources(targets []target, live *store.Live, desk *desk, log *slog.Logger) ([]poller.Source, error) {
	var sources []poller.Source
	for _, t := range targets {
		c, err := kube.New(kube.Config{Alias: t.alias, Context: t.context, REST: t.config, Namespaces: s.Namespace,
			Probes: s.probeVia(t), ProbeLimit: s.ProbeLimit, CaptureLogs: s.CaptureLogs, Act: !s.ReadOnly, Impersonate: s.Impersonate, Tended: tending(desk.db, log), Log: log, Heard: live.Hear})
		if err != nil {
			return nil, err
		}
		sources = append(sources, c)
		desk.hands[t.alias] = c
	}
	beside, err := s.besideFlags.sources(live, log)
	return append(sources, beside...), err
}

// probeVia is the way that is asked for, or the one that works from where we are.
func (s serveCmd) probeVia(t target) kube.ProbeVia {
	switch {
	case s.ProbeVia != "":
		return kube.ProbeVia(s.ProbeVia)
	case t.inside:
		return kube.ProbePodIP
	}
	return kube.ProbeAPIProxy
}

// retain deletes what is too old now and then: transitions, evidence and uptime.
func (s serveCmd) retain(ctx context.Context, db *sqlite.DB, log *slog.Logger) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		prune(ctx, log, "transitions", s.Retain, db.Prune)
		prune(ctx, log, "evidence", s.EvidenceRetention, db.PruneEvidence)
		prune(ctx, log, "uptime", keepRollups, db.PruneRollups)
		prune(ctx, log, "audit", s.AuditRetention, db.PruneAudit)
		prune(ctx, log, "manifest links", keepLinks, db.PruneManifestLinks)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func prune(ctx context.Context, log *slog.Logger, what string, keep time.Duration, do func(context.Context, time.Time) (int64, error)) {
	if n, err := do(ctx, time.Now().Add(-keep)); err != nil && ctx.Err() == nil {
		log.Error("what is too old is not deleted", "what", what, "error", store.ErrorText(err))
	} else if n > 0 {
		log.Info("what is too old is deleted", "what", what, "count", n, "older_than", keep.String())
	}
}

func newLogger(w io.Writer, format, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// quiet lets the client library speak at debug level only: what it has to say of a failing watch is said by us, once.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}
func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }
