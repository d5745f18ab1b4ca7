// Package handlers answers requests: pages, their streams and the icon. A handler parses, reads the snapshot, builds
// the view model and renders; what goes wrong it returns as an error, which package web maps to an answer.
package handlers

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"trackside/handlers/live"
	"trackside/store"
	"trackside/views"
)

// History reads what was: the latest transitions of a runner, newest first, at most limit.
type History interface {
	Transitions(ctx context.Context, ref store.Ref, limit int) ([]store.Event, error)
}

// Options of the handlers.
type Options struct {
	// Live is the board's data.
	Live *store.Live
	// History may be nil: then pages show none.
	History History
	// Failures may be nil: then pages show what fails now, and no evidence.
	Failures Failures
	// Acceptances keeps what people accept; nil when nothing can be accepted here.
	Acceptances Acceptances
	// Actions may be nil: then this board changes nothing.
	Actions Actions
	// Audit keeps who did what; nil for a board that changes nothing.
	Audit Audit
	// Accounts tells people and programs apart; nil where everybody who reaches the board may do everything.
	Accounts Accounts
	// SecureCookies says that browsers reach the board by HTTPS.
	SecureCookies bool
	// Manifests writes manifests; its zero value is for a board that writes none.
	Manifests ManifestOptions
	// Systems are the runner systems there are, for filters.
	Systems []string
	// Version of the program, shown at the foot of pages.
	Version string
	// Log gets what a page goes on without; the default logger.
	Log *slog.Logger
	// Reports takes what runners report themselves; nil for a board that takes none.
	Reports Reports
	// PublicURL is where clients reach the board; nil where they reach it as they say.
	PublicURL *url.URL
	// Streams tunes the hub.
	Streams live.Options
}

// Handlers answers requests.
type Handlers struct {
	live     *store.Live
	hub      *live.Hub
	history  History
	failures Failures
	// refusals bounds the entries about failed sign-ins in the audit.
	refusals      *rate.Limiter
	historyLost   atomic.Bool
	acceptances   Acceptances
	actions       Actions
	audit         Audit
	accounts      Accounts
	secureCookies bool
	manifests     ManifestOptions
	made          madeLinks
	newestNow     atomic.Pointer[newestAt]
	pastLost      atomic.Bool
	systems       []string
	version       string
	log           *slog.Logger
	reports       Reports
	publicURL     *url.URL
	closing       context.Context // ends with Close
	close         context.CancelFunc
}

// New makes the handlers and starts their streams; Close ends those.
func New(o Options) *Handlers {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Streams.Log == nil {
		o.Streams.Log = o.Log
	}
	h := &Handlers{live: o.Live, hub: live.NewHub(o.Live, o.Streams), history: o.History, failures: o.Failures, acceptances: o.Acceptances, actions: o.Actions, audit: o.Audit, refusals: rate.NewLimiter(1, 60), accounts: o.Accounts, manifests: o.Manifests, secureCookies: o.SecureCookies, systems: o.Systems,
		version: o.Version, log: o.Log, reports: o.Reports, publicURL: o.PublicURL}
	h.closing, h.close = context.WithCancel(context.Background())
	return h
}

// Close ends all streams at once and waits for what the handlers started.
func (h *Handlers) Close() { h.close(); h.hub.Close() }

// TakesReports says that runners may report here.
func (h *Handlers) TakesReports() bool { return h.reports != nil }

// Stats counts streams.
func (h *Handlers) Stats() live.Stats { return h.hub.Stats() }

// frame is what stands around every page.
func (h *Handlers) frame() views.Frame {
	return views.Frame{Version: h.version, Live: true, Acts: h.actions != nil}
}

// Fleet answers with the fleet, or the part of it that the query asks for.
func (h *Handlers) Fleet(c echo.Context) error {
	f, err := h.filter(c.Request())
	if err != nil {
		return err
	}
	return h.page(c, http.StatusOK, views.FleetPage(h.fleetModel(h.live.Current(), f)))
}

// FleetStream keeps that page live.
func (h *Handlers) FleetStream(c echo.Context) error {
	f, err := h.filter(c.Request())
	if err != nil {
		return err
	}
	return h.stream(c, newFleet(h, f))
}

// Runner answers with one runner. One that is gone and left a history is shown as gone; any other is not found.
func (h *Handlers) Runner(c echo.Context) error {
	ref, err := refOf(c.Request())
	if err != nil {
		return err
	}
	snap := h.live.Current()
	history := h.transitions(c.Request().Context(), ref)
	r, err := snap.Runner(ref)
	switch {
	case err == nil:
		m := h.runnerModel(snap, r, history)
		m.Did = h.did(c, ref)
		return h.page(c, http.StatusOK, views.RunnerPage(m))
	case len(history) > 0:
		m := h.goneModel(snap, ref, history)
		m.Did = h.did(c, ref)
		return h.page(c, http.StatusNotFound, views.RunnerPage(m))
	}
	return &NoRunner{Err: err, Near: snap.Near(ref, 5)}
}

// NoRunner says that a runner is not there, and which ones there are of a similar name.
type NoRunner struct {
	Err  error
	Near []store.Ref
}

// Error is the text of what it wraps.
func (e *NoRunner) Error() string { return e.Err.Error() }

// Unwrap returns what it wraps.
func (e *NoRunner) Unwrap() error { return e.Err }

// RunnerStream keeps that page live. A runner that is not there has a stream as well: it may come back, and the page of one that
// has just gone must say so.
func (h *Handlers) RunnerStream(c echo.Context) error {
	ref, err := refOf(c.Request())
	if err != nil {
		return err
	}
	return h.stream(c, &runnerPage{h: h, ref: ref})
}

// Board answers with the wall.
func (h *Handlers) Board(c echo.Context) error {
	return h.page(c, http.StatusOK, views.BoardPage(h.boardModel(h.live.Current())))
}

// BoardStream keeps the wall live.
func (h *Handlers) BoardStream(c echo.Context) error { return h.stream(c, &boardPage{h: h}) }

// Icon answers with the tab's icon, which carries the number of runners that fail: /icon.svg?n=3&h=unhealthy.
func (h *Handlers) Icon(c echo.Context) error {
	n, worst := views.ParseIcon(c.Request().URL.Query())
	hd := c.Response().Header()
	hd.Set("Cache-Control", "public, max-age=86400") // the query names everything it depends on
	return c.Blob(http.StatusOK, "image/svg+xml", views.Icon(n, worst))
}

// filter reads a page's query. "datastar" is what the browser's library adds to every GET.
func (h *Handlers) filter(r *http.Request) (store.Filter, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return store.Filter{}, fmt.Errorf("%w: the query of the address cannot be read: %w", store.ErrInvalid, err)
	}
	q.Del("datastar")
	f, err := views.ParseQuery(q)
	if err != nil {
		return f, err
	}
	return f, views.CheckSystems(f, h.knownSystems())
}

// knownSystems are those the program knows and those that the snapshot, which may be restored from another version's, shows.
func (h *Handlers) knownSystems() []string {
	known := append([]string(nil), h.systems...)
	for _, c := range h.live.Current().Systems() {
		known = append(known, c.Value)
	}
	return known
}

// refOf reads a runner's reference from the address as it was sent: a part may hold an escaped slash, which the
// unescaped path no longer tells from one between parts.
func refOf(r *http.Request) (store.Ref, error) {
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/runners/"), "/")
	if len(parts) == 5 && parts[4] == "stream" {
		parts = parts[:4]
	}
	if len(parts) != 4 {
		return store.Ref{}, fmt.Errorf("%w: a runner's path is /runners/{cluster}/{system}/{namespace}/{name}", store.ErrNotFound)
	}
	return refOfParts(parts)
}

// refOfParts reads the four escaped parts of a runner's path.
func refOfParts(parts []string) (store.Ref, error) {
	if len(parts) != 4 {
		return store.Ref{}, fmt.Errorf("%w: a runner's path is /runners/{cluster}/{system}/{namespace}/{name}", store.ErrInvalid)
	}
	for i, p := range parts {
		s, err := url.PathUnescape(p)
		if err != nil {
			return store.Ref{}, fmt.Errorf("%w: the address cannot be read: %w", store.ErrInvalid, err)
		}
		parts[i] = s
	}
	return store.RefFromPath(parts[0], parts[1], parts[2], parts[3])
}

const (
	// shownTransitions is how many transitions a runner's page shows.
	shownTransitions = 50
	// historyTimeout bounds how long a page waits for its history: the rest of it is in memory.
	historyTimeout = 2 * time.Second
)

// transitions reads a runner's history. A page does without, if it must; that is logged when it begins and when it ends.
func (h *Handlers) transitions(ctx context.Context, ref store.Ref) []store.Event {
	if h.history == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	events, err := h.history.Transitions(ctx, ref, shownTransitions)
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return nil // the client left
	}
	switch lost := err != nil; {
	case lost && !h.historyLost.Swap(true):
		h.log.Warn("history cannot be read; pages go on without", "runner", ref.String(), "error", err)
	case !lost && h.historyLost.Swap(false):
		h.log.Info("history can be read again")
	}
	return events
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxBuffer is the size above which a buffer is not kept for the next page.
const maxBuffer = 1 << 20

func release(b *bytes.Buffer) {
	if b.Cap() <= maxBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// page renders a document, whole, before the first byte of it is written, and compresses it once.
func (h *Handlers) page(c echo.Context, status int, doc templ.Component) error {
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	if err := doc.Render(c.Request().Context(), b); err != nil {
		return fmt.Errorf("rendering %s: %w", c.Path(), err)
	}
	recogniseBrowser(c)
	return Write(c, status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

// Write answers with a body, compressed as the client asks.
func Write(c echo.Context, status int, contentType string, body []byte) error {
	hd := c.Response().Header()
	hd.Set("Cache-Control", "no-store")
	hd.Add("Vary", "Accept-Encoding")
	if e := live.Negotiate(c.Request().Header.Get("Accept-Encoding")); e != live.Identity {
		hd.Set("Content-Encoding", e.String())
		body = live.Compress(body, e)
	}
	hd.Set("Content-Length", strconv.Itoa(len(body)))
	return c.Blob(status, contentType, body)
}

// browserCookie holds a random word that tells browsers apart, and nothing else, where connections are scarce.
const browserCookie = "ts-browser"

// recogniseBrowser gives a browser on HTTP/1.1 its word. HTTP/2 has no need of it.
func recogniseBrowser(c echo.Context) {
	r := c.Request()
	if r.ProtoMajor > 1 || browserOf(r) != "" {
		return
	}
	c.SetCookie(&http.Cookie{Name: browserCookie, Value: rand.Text(), Path: "/", HttpOnly: true,
		Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode})
}

// browserOf is the word of a browser that speaks HTTP/1.1; blank for any other client.
func browserOf(r *http.Request) string {
	c, err := r.Cookie(browserCookie)
	if r.ProtoMajor > 1 || err != nil || len(c.Value) > 64 {
		return ""
	}
	return c.Value
}

// stream hands the connection to the hub. echo's own Response is told that the answer has begun, since the hub writes below it.
func (h *Handlers) stream(c echo.Context, p live.Page) error {
	res := c.Response()
	if c.Request().Method == http.MethodHead {
		live.Headers(res.Header(), live.Negotiate(c.Request().Header.Get("Accept-Encoding")))
		return c.NoContent(http.StatusOK)
	}
	h.log.Debug("a stream opens", "view", p.Key())
	res.Committed, res.Status = true, http.StatusOK
	err := h.hub.Serve(res.Writer, c.Request(), p, browserOf(c.Request()))
	if err != nil {
		res.Committed = false
		res.Header().Set("Retry-After", "5")
	}
	return err
}
