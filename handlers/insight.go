package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"trackside/handlers/live"
	"trackside/store"
	"trackside/store/versions"
	"trackside/views"
)

// Acceptances keeps what people accept.
type Acceptances interface {
	// Accept is store.ErrInvalid for an acceptance that nobody could mean.
	Accept(ctx context.Context, a store.Acceptance) error
	// Withdraw ends one now; store.ErrNotFound where none holds.
	Withdraw(ctx context.Context, a store.Acceptance) error
}

// Versions reads since when each runner and component has its version. A History may be one too.
type Versions interface {
	VersionsSince(ctx context.Context) (map[store.PartRef]time.Time, error)
}

// newestAt are the newest versions of one snapshot.
type newestAt struct {
	rev    uint64
	newest versions.Newest
}

// newest are the newest versions of a fleet, looked at once for each snapshot, however many pages ask.
func (h *Handlers) newest(s *store.Snapshot) versions.Newest {
	if at := h.newestNow.Load(); at != nil && at.rev == s.Rev {
		return at.newest
	}
	at := &newestAt{s.Rev, versions.NewestOf(s)}
	h.newestNow.Store(at)
	return at.newest
}

// insightPage is a page that looks at the whole fleet: it is sent whole when something changed that it shows, which most changes do not.
type insightPage struct {
	h       *Handlers
	key     string
	touched func(store.Change) bool
	// accepting pages change with what people accept.
	accepting bool
	main      func(*store.Snapshot) templ.Component
}

// Key is the canonical address of the page.
func (p *insightPage) Key() string { return p.key }

// Start has nothing to do: the page keeps nothing.
func (p *insightPage) Start(*store.Snapshot) {}

// Next sends the page when what it shows has changed, and otherwise the fleet's counts if they did.
func (p *insightPage) Next(st *live.Step) live.Patch {
	if slices.ContainsFunc(st.Changes, p.touched) || p.accepting && !st.Before.SameAcceptances(st.After) {
		return live.Patch{Full: true}
	}
	return live.Patch{Events: append(slices.Clip(counts(st)), sources(st)...)}
}

// Full renders the page.
func (p *insightPage) Full(s *store.Snapshot) ([]byte, error) { return appendEvent(nil, p.main(s)) }

// query reads the query of a page. "datastar" is what the browser's library adds to every GET.
func query(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: the query of the address cannot be read: %w", store.ErrInvalid, err)
	}
	q.Del("datastar")
	return q, nil
}

func (h *Handlers) findingFilter(c echo.Context) (f views.FindingFilter, err error) {
	q, err := query(c.Request())
	if err != nil {
		return f, err
	}
	if f, err = views.ParseFindingQuery(q); err != nil {
		return f, err
	}
	return f, views.CheckSystems(f.Fleet, h.knownSystems())
}

func (h *Handlers) findingsModel(s *store.Snapshot, f views.FindingFilter) views.FindingsModel {
	m := views.NewFindingsModel(s, h.newest(s), f, time.Now())
	m.Frame = h.frame()
	return m
}

// Findings answers with what makes green untrustworthy, or the part of it that the query asks for.
func (h *Handlers) Findings(c echo.Context) error {
	f, err := h.findingFilter(c)
	if err != nil {
		return err
	}
	return h.page(c, http.StatusOK, views.FindingsPage(h.findingsModel(h.live.Current(), f)))
}

// FindingsStream keeps that page live.
func (h *Handlers) FindingsStream(c echo.Context) error {
	f, err := h.findingFilter(c)
	if err != nil {
		return err
	}
	return h.stream(c, &insightPage{h: h, key: "/findings?" + f.Encode(), touched: views.FindingsTouched, accepting: true,
		main: func(s *store.Snapshot) templ.Component { return views.FindingsMain(h.findingsModel(s, f)) }})
}

func (h *Handlers) versionsModel(ctx context.Context, s *store.Snapshot) views.VersionsModel {
	since, err := h.versionsSince(ctx)
	m := views.NewVersionsModel(s, h.newest(s), since, time.Now())
	if m.Frame = h.frame(); err != nil {
		m.Problem = "Since when somebody is behind cannot be read just now."
	}
	return m
}

// versionsSince reads the history of versions. A page does without, if it must; that is logged when it begins and when it ends.
func (h *Handlers) versionsSince(ctx context.Context) (map[store.PartRef]time.Time, error) {
	v, ok := h.history.(Versions)
	if !ok {
		return map[store.PartRef]time.Time{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	since, err := v.VersionsSince(ctx)
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return nil, err // the client left
	}
	if err != nil && !h.historyLost.Swap(true) {
		h.log.Warn("the history of versions cannot be read; pages go on without", "error", err)
	}
	return since, err
}

// Versions answers with which versions run where.
func (h *Handlers) Versions(c echo.Context) error {
	return h.page(c, http.StatusOK, views.VersionsPage(h.versionsModel(c.Request().Context(), h.live.Current())))
}

// VersionsStream keeps that page live. The history is read by a viewer, so that a slow disk holds up no other page.
func (h *Handlers) VersionsStream(c echo.Context) error {
	return h.stream(c, &insightPage{h: h, key: "/versions", touched: views.VersionsTouched,
		main: func(s *store.Snapshot) templ.Component {
			return views.VersionsMain(h.versionsModel(context.Background(), s))
		}})
}

// need reads what a workload asks for.
func need(c echo.Context) (n store.Need, form views.PlaceForm, err error) {
	q, err := query(c.Request())
	if err != nil {
		return n, form, err
	}
	return views.ParseNeed(q)
}

func (h *Handlers) placeModel(s *store.Snapshot, n store.Need, form views.PlaceForm) views.PlaceModel {
	m := views.NewPlaceModel(s, n, form, time.Now())
	m.Frame = h.frame()
	return m
}

// Place answers with which runners could host a workload.
func (h *Handlers) Place(c echo.Context) error {
	n, form, err := need(c)
	if err != nil {
		return err
	}
	return h.page(c, http.StatusOK, views.PlacePage(h.placeModel(h.live.Current(), n, form)))
}

// PlaceStream keeps that page live.
func (h *Handlers) PlaceStream(c echo.Context) error {
	n, form, err := need(c)
	if err != nil {
		return err
	}
	return h.stream(c, &insightPage{h: h, key: "/place?" + form.Encode(), touched: views.PlaceTouched,
		main: func(s *store.Snapshot) templ.Component { return views.PlaceMain(h.placeModel(s, n, form)) }})
}
