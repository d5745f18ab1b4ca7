// Package web is the HTTP server of the board: its routes, what stands before every one of them, the one table of errors, its
// metrics, and its beginning and end.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trackside/handlers"
	"trackside/handlers/api"
	"trackside/handlers/live"
	"trackside/store"
)

// Options of a Server.
type Options struct {
	// Listen is the address of the board, such as 127.0.0.1:8080.
	Listen string
	// MetricsListen is the address of /healthz, /readyz and /metrics; blank for none.
	MetricsListen string
	// TLSCert and TLSKey are files; with both the board speaks HTTPS and HTTP/2.
	TLSCert, TLSKey string
	// PublicURL is where people reach the board, if that is not Listen.
	PublicURL string
	// InsecureNoAuth allows Listen to be reachable from other machines although nobody signs in.
	InsecureNoAuth bool
	// Live is the board's data.
	Live *store.Live
	// History may be nil.
	History handlers.History
	// Failures may be nil.
	Failures handlers.Failures
	// Acceptances keeps what people accept; nil when nothing can be accepted here.
	Acceptances handlers.Acceptances
	// Actions and Audit are nil for a board that changes nothing.
	Actions handlers.Actions
	Audit   handlers.Audit
	// Accounts tells people and programs apart; nil where everybody who reaches the board may do everything.
	Accounts handlers.Accounts
	// SignIn says that nobody may do everything without signing in, so that Listen may be reachable from other machines.
	SignIn bool
	// Links makes links to manifests; nil for those of Manifests.
	Links api.Links
	// Manifests writes manifests of new runners.
	Manifests handlers.ManifestOptions
	// Systems are the runner systems there are.
	Systems []string
	// Reports takes what runners report themselves; nil for none.
	Reports handlers.Reports
	// Version of the program.
	Version string
	// Logger; the default one if nil.
	Logger *slog.Logger
	// Ready says whether the board has something true to show; nil means always.
	Ready func() bool
	// Registry gets the metrics, and may hold others; nil for one of the server's own.
	Registry *prometheus.Registry
	// Streams tunes the streams; its Rendered and Published are the server's.
	Streams live.Options
}

// Server is the board's HTTP server, listening from the moment it is made.
type Server struct {
	opts     Options
	log      *slog.Logger
	handlers *handlers.Handlers
	api      *api.API
	board    *http.Server
	ops      *http.Server // nil without MetricsListen
	boardLn  net.Listener
	opsLn    net.Listener
	draining atomic.Bool
	unbase   context.CancelFunc
}

const (
	// drainTime is how long answers that were begun may take at the end. Streams end at once.
	drainTime = 700 * time.Millisecond
	// maxBody bounds what a request may carry.
	maxBody = 1 << 20
	// maxHeader leaves room for a long filter in the address.
	maxHeader = 64 << 10
	// headerTime bounds how long a client may take to say what it wants; idleTime, how long a connection waits for the next.
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	// bodyTime bounds how long a client may take to send what its request carries.
	bodyTime = 30 * time.Second
	// writeTime bounds how long a page may take to be read. A stream moves its own deadline on with every write.
	writeTime = 30 * time.Second
)

// New checks the options and opens the listeners, so that whatever is wrong with them is known before anything is served.
func New(o Options) (*Server, error) {
	s := &Server{opts: o, log: cmp.Or(o.Logger, slog.Default())}
	public, err := publicURL(o.PublicURL)
	if err != nil {
		return nil, err
	}
	conf, err := tlsConfig(o.TLSCert, o.TLSKey, s.log)
	if err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	m := newMetrics(o.Registry, o.Version, o.Live)
	streams := o.Streams
	streams.Rendered, streams.Published = m.rendered, m.published
	s.handlers = handlers.New(handlers.Options{Live: o.Live, History: o.History, Failures: o.Failures, Acceptances: o.Acceptances, Actions: o.Actions, Audit: o.Audit, Accounts: o.Accounts, Manifests: o.Manifests, SecureCookies: conf != nil || public.Scheme == "https", Systems: o.Systems, Version: o.Version,
		Log: s.log, Streams: streams, Reports: o.Reports, PublicURL: public})
	m.watch(s.handlers.Stats)
	feed, _ := o.History.(api.Feed)
	s.api = api.New(api.Options{Live: o.Live, Feed: feed, Failures: o.Failures, Actions: o.Actions, Audit: o.Audit, Links: s.links(),
		ManifestLinks: o.Manifests.Links, Tokens: o.Accounts, Systems: o.Systems, Log: s.log})
	rt := routing{handlers: s.handlers, api: s.api, log: s.log, metrics: m, version: o.Version, hosts: hostsFor(s.boardLn.Addr(), o.Listen, public)}
	base, unbase := context.WithCancel(context.Background())
	s.unbase = unbase
	s.board = s.httpServer(base, router(rt, routes(s.handlers, s.api)))
	s.board.TLSConfig = conf
	s.board.RegisterOnShutdown(s.handlers.Close)
	s.board.RegisterOnShutdown(s.api.Close)
	if s.opsLn != nil {
		s.ops = s.httpServer(base, s.opsRoutes(m))
	}
	return s, nil
}

// links is what hands out manifests; nil for a board that writes none.
func (s *Server) links() api.Links {
	switch {
	case s.opts.Links != nil:
		return s.opts.Links
	case s.handlers.WritesManifests():
		return s.handlers
	}
	return nil
}

// httpServer makes a server with every bound there is.
func (s *Server) httpServer(base context.Context, h http.Handler) *http.Server {
	return &http.Server{Handler: hurry(h, bodyTime), ReadHeaderTimeout: headerTime, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
}

// listen opens both listeners or none.
func (s *Server) listen() (err error) {
	if s.boardLn, err = listen(s.opts.Listen, "--listen"); err != nil {
		return err
	}
	if !loopback(s.boardLn.Addr()) && !s.opts.InsecureNoAuth && !s.opts.SignIn {
		_ = s.boardLn.Close()
		return fmt.Errorf("%w: %s can be reached from other machines, and nobody has to sign in; "+
			"listen on 127.0.0.1, let people sign in (--local-users, --oidc-issuer, --proxy-from), or say --insecure-no-auth if something in front of Trackside keeps strangers out", store.ErrInvalid, s.opts.Listen)
	}
	if s.opts.MetricsListen == "" {
		return nil
	}
	if s.opsLn, err = listen(s.opts.MetricsListen, "--metrics-listen"); err != nil {
		_ = s.boardLn.Close()
	}
	return err
}

// listen opens a listener, or says in a sentence why it cannot and which flag to change.
func listen(addr, flag string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%w: another program listens on %s; stop it, or choose another port with %s", store.ErrUnavailable, addr, flag)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%w: this user may not listen on %s; choose a port above 1023 with %s", store.ErrForbidden, addr, flag)
	case err != nil:
		return nil, fmt.Errorf("%w: cannot listen on %q (%w); %s takes an address such as 127.0.0.1:8080", store.ErrInvalid, addr, err, flag)
	}
	return ln, nil
}

func publicURL(s string) (*url.URL, error) {
	if s == "" {
		return &url.URL{}, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: --public-url %q is not an address such as https://trackside.example.com", store.ErrInvalid, s)
	}
	return u, nil
}

// Addr is where the board listens; MetricsAddr is blank if nothing does.
func (s *Server) Addr() string { return s.boardLn.Addr().String() }

// MetricsAddr is where /healthz, /readyz and /metrics are; blank if nowhere.
func (s *Server) MetricsAddr() string {
	if s.opsLn == nil {
		return ""
	}
	return s.opsLn.Addr().String()
}

// secure reports whether the board speaks HTTPS. The http.Server's own field does not tell: it sets one for itself.
func (s *Server) secure() bool { return s.opts.TLSCert != "" }

// URL is what to open in a browser on this machine.
func (s *Server) URL() string {
	scheme := "http"
	if s.secure() {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(s.Addr())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Run serves until ctx ends, then drains: readiness goes first, streams end at once, answers that were begun are finished,
// all within a second. It returns nil after such an end.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var serving sync.WaitGroup
	serve := func(f func() error) {
		serving.Go(func() {
			if err := f(); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("serving: %w", err))
			}
		})
	}
	serve(s.serveBoard)
	if s.ops != nil {
		serve(func() error { return s.ops.Serve(s.opsLn) })
	}
	<-ctx.Done()
	s.drain(context.WithoutCancel(ctx))
	serving.Wait()
	if err := context.Cause(ctx); !errors.Is(err, ctx.Err()) {
		return err
	}
	return nil
}

func (s *Server) serveBoard() error {
	if s.secure() {
		return s.board.ServeTLS(s.boardLn, "", "")
	}
	return s.board.Serve(s.boardLn)
}

// drain ends the board and then what tells of it.
func (s *Server) drain(ctx context.Context) {
	s.draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	if err := s.board.Shutdown(ctx); err != nil {
		s.log.Warn("some answers were cut off at the end", "error", err)
	}
	s.Close()
}

// Close ends everything at once. It is for a server that was never run; Run calls it at its end.
func (s *Server) Close() {
	s.unbase()
	_ = s.board.Close()
	_ = s.boardLn.Close()
	if s.ops != nil {
		_ = s.ops.Close()
		_ = s.opsLn.Close()
	}
	s.api.Close()
	s.handlers.Close()
}
