// Package api answers programs: the board's own JSON and CSV, the stream of transitions, actions, and the API of Kubiya's runners, so that
// its public clients work against this board. What it says is read from the same snapshot, by the same filters, as the pages are, so
// that the page at rest equals the JSON at rest. Every shape is a struct of this package and a promise; the document that
// [Document] returns is made of them.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/store"
	"trackside/store/versions"
	"trackside/views"
)

// Feed reads transitions by their numbers: see package store/sqlite.
type Feed interface {
	// Feed are those after a number, oldest first, and FeedBefore those before one, latest first; limit at most.
	Feed(ctx context.Context, after int64, limit int) ([]store.Numbered, error)
	FeedBefore(ctx context.Context, before int64, limit int) ([]store.Numbered, error)
	// FeedEnds are the oldest number that is kept, and the newest that was given.
	FeedEnds(ctx context.Context) (oldest, newest int64, err error)
}

// Links makes links to manifests. Errors are of the closed set.
type Links interface {
	// LinkToRunner is the address from which the manifest of a runner can be applied for a while.
	LinkToRunner(c echo.Context, r *store.Runner) (string, error)
}

// Options of the API.
type Options struct {
	// Live is the board's data.
	Live *store.Live
	// Feed may be nil: then there are no transitions to read.
	Feed Feed
	// Failures may be nil: then only what fails now is told.
	Failures handlers.Failures
	// Actions is nil for a board that changes nothing, Audit for one that keeps none.
	Actions handlers.Actions
	Audit   handlers.Audit
	// Links is nil for a board that hands out no manifests.
	Links Links
	// ManifestLinks and Tokens are what was handed out; nil for a board that hands out none.
	ManifestLinks ManifestLinks
	Tokens        Tokens
	// Systems are the runner systems there are, for filters.
	Systems []string
	// Beat is how long a stream may be quiet before it carries a comment: 2 s where it is 0.
	Beat time.Duration
	// Log gets what went wrong after an answer had begun; the default logger.
	Log *slog.Logger
}

// API answers programs.
type API struct {
	o       Options
	newest  atomic.Pointer[newestAt]
	streams atomic.Int64
	closing context.Context // ends with Close
	close   context.CancelFunc
}

type newestAt struct {
	rev    uint64
	newest versions.Newest
}

const (
	// readTime bounds how long an answer waits for the disk.
	readTime = 5 * time.Second
	// actTime bounds how long an answer waits for what an action does; the server gives it half a minute.
	actTime = 20 * time.Second
	// writeTime bounds how long a client may take to take what was sent.
	writeTime = 10 * time.Second
)

// New makes the API; Close ends its streams.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Beat == 0 {
		o.Beat = 2 * time.Second
	}
	a := &API{o: o}
	a.closing, a.close = context.WithCancel(context.Background())
	return a
}

// Close ends all streams at once. It may be called again.
func (a *API) Close() { a.close() }

// newestOf are the newest versions of a fleet, looked at once for each snapshot.
func (a *API) newestOf(s *store.Snapshot) versions.Newest {
	if at := a.newest.Load(); at != nil && at.rev == s.Rev {
		return at.newest
	}
	at := &newestAt{s.Rev, versions.NewestOf(s)}
	a.newest.Store(at)
	return at.newest
}

// query reads the query of an address.
func query(c echo.Context) (url.Values, error) {
	q, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: the query of the address cannot be read: %w", store.ErrInvalid, err)
	}
	return q, nil
}

// checkSystems refuses a filter by a system that neither the program nor the snapshot knows.
func (a *API) checkSystems(f store.Filter, s *store.Snapshot) error {
	known := slices.Clone(a.o.Systems)
	for _, x := range s.Systems() {
		known = append(known, x.Value)
	}
	slices.Sort(known)
	return views.CheckSystems(f, slices.Compact(known))
}

// fleet reads the filter of the fleet's page.
func (a *API) fleet(c echo.Context, s *store.Snapshot) (store.Filter, error) {
	q, err := query(c)
	if err != nil {
		return store.Filter{}, err
	}
	f, err := views.ParseQuery(q)
	if err != nil {
		return f, err
	}
	return f, a.checkSystems(f, s)
}

// encode writes a value as JSON, with an end of line after it. What a browser could take for HTML stays readable: the type of the answer
// says that it is none.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the answer: %w", err)
	}
	return b.Bytes(), nil
}

// answer is one whole answer, for what is known to be short.
func answer(c echo.Context, status int, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	return handlers.Write(c, status, echo.MIMEApplicationJSON, b)
}

// Document answers with the OpenAPI document of this package.
func (a *API) Document(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.Blob(http.StatusOK, "application/vnd.oai.openapi+json;version=3.1", document)
}
