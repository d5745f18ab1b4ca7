package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers/live"
	"trackside/store"
	"trackside/views"
)

// Failures reads the evidence of failures, and uptime: see package store/sqlite.
type Failures interface {
	// Failures are those that a filter lets through, latest first, limit at most, without proofs.
	Failures(ctx context.Context, f store.FailureFilter, limit int) (list []store.Evidence, more bool, err error)
	// Evidence is one failure with its proof; store.ErrNotFound when there is none of that ID.
	Evidence(ctx context.Context, id string) (store.Evidence, error)
	Past
}

// Past reads what was of one runner.
type Past interface {
	EvidenceOf(ctx context.Context, ref store.Ref, since time.Time, limit int) ([]store.Evidence, error)
	Uptime(ctx context.Context, ref store.Ref, from, now time.Time) (map[string][]store.Account, error)
}

const (
	// shownFailures is how many failures one page groups.
	shownFailures = 1000
	// linkedFailures and linkedFor are how many failures of a runner its page links to, and how far back.
	linkedFailures = 200
	linkedFor      = 30 * 24 * time.Hour
)

// failureQuery reads the query of /failures.
func (h *Handlers) failureQuery(c echo.Context) (q views.FailuresQuery, err error) {
	v, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return q, fmt.Errorf("%w: the query of the address cannot be read: %w", store.ErrInvalid, err)
	}
	if q, err = views.ParseFailures(v); err != nil {
		return q, err
	}
	return q, views.CheckSystems(store.Filter{Systems: q.Filter.Systems}, h.knownSystems())
}

// FailureList answers with what failed and what fails, by cause.
func (h *Handlers) FailureList(c echo.Context) error {
	q, err := h.failureQuery(c)
	if err != nil {
		return err
	}
	return h.page(c, 200, views.FailuresPage(h.failuresModel(c.Request().Context(), h.live.Current(), q)))
}

// FailureListStream keeps that page live.
func (h *Handlers) FailureListStream(c echo.Context) error {
	q, err := h.failureQuery(c)
	if err != nil {
		return err
	}
	return h.stream(c, &failuresPage{h: h, query: q})
}

// Failure answers with one failure and its evidence.
func (h *Handlers) Failure(c echo.Context) error {
	e, err := h.evidence(c)
	if err != nil {
		return err
	}
	return h.page(c, 200, views.FailurePage(h.failureModel(h.live.Current(), &e)))
}

// FailureStream keeps that page live: logs may arrive, and a failure ends.
func (h *Handlers) FailureStream(c echo.Context) error {
	e, err := h.evidence(c)
	if err != nil {
		return err
	}
	return h.stream(c, &failurePage{h: h, id: e.ID, ref: e.Ref})
}

// evidence reads the failure that an address names.
func (h *Handlers) evidence(c echo.Context) (store.Evidence, error) {
	id := c.Param("id")
	if h.failures == nil {
		return store.Evidence{}, fmt.Errorf("%w: there is no evidence of a failure %q", store.ErrNotFound, store.Clean(id, 64))
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), historyTimeout)
	defer cancel()
	return h.failures.Evidence(ctx, id)
}

func (h *Handlers) failuresModel(ctx context.Context, s *store.Snapshot, q views.FailuresQuery) views.FailuresModel {
	now := time.Now()
	if h.failures == nil {
		m := views.NewFailuresModel(s, q, nil, false, "", now)
		m.Frame = h.frame()
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	problem := ""
	past, more, err := h.failures.Failures(ctx, q.At(now), shownFailures)
	if h.noteLost(ctx, err); err != nil {
		problem = "What failed before cannot be read just now; what fails at present is here."
	} else {
		past = append(past, views.OlderEvidence(s, q, past, func(ref store.Ref) ([]store.Evidence, error) {
			return h.failures.EvidenceOf(ctx, ref, time.Time{}, linkedFailures)
		})...)
	}
	m := views.NewFailuresModel(s, q, past, more, problem, now)
	m.Explain(func(id string) (store.Evidence, error) { return h.failures.Evidence(ctx, id) })
	m.Frame = h.frame()
	return m
}

func (h *Handlers) failureModel(s *store.Snapshot, e *store.Evidence) views.FailureModel {
	m := views.NewFailureModel(s, e, time.Now())
	m.Frame = h.frame()
	return m
}

// past reads what was of a runner; its page does without, if it must.
func (h *Handlers) past(ref store.Ref) (p views.Past) {
	if h.failures == nil {
		return p
	}
	ctx, cancel := context.WithTimeout(context.Background(), historyTimeout)
	defer cancel()
	now := time.Now()
	var errs [2]error
	p.Evidence, errs[0] = h.failures.EvidenceOf(ctx, ref, now.Add(-linkedFor), linkedFailures)
	p.Uptime, errs[1] = h.failures.Uptime(ctx, ref, now.Add(-views.PastWindow), now)
	err := errors.Join(errs[:]...)
	if h.noteLost(ctx, err); err != nil {
		p.Problem = "Its uptime and the evidence of its failures cannot be read just now; how it is at present is here."
	}
	return p
}

// noteLost logs when the past ceases to be readable, and when it is again. That a client left is neither.
func (h *Handlers) noteLost(ctx context.Context, err error) {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return
	}
	switch lost := err != nil; {
	case lost && !h.pastLost.Swap(true):
		h.log.Warn("evidence and uptime cannot be read; pages go on without", "error", err)
	case !lost && h.pastLost.Swap(false):
		h.log.Info("evidence and uptime can be read again")
	}
}

// failuresPage is the page of failures.
type failuresPage struct {
	h     *Handlers
	query views.FailuresQuery
}

// Key is the canonical address of the page.
func (p *failuresPage) Key() string { return p.query.URL() }

// Start has nothing to do: the page keeps nothing.
func (p *failuresPage) Start(*store.Snapshot) {}

// sharedFailures says whether a step changes what fails.
const sharedFailures = sharedPart(-1)

// Next sends the page when something failed, ceased to fail, or left evidence.
func (p *failuresPage) Next(st *live.Step) live.Patch {
	changed := st.Shared(sharedFailures, func() []byte {
		if len(st.Evidence) > 0 || acknowledged(st) || slices.ContainsFunc(st.Changes, func(c store.Change) bool { return views.FailuresChanged(c.Before, c.After) }) {
			return []byte{1}
		}
		return nil
	})
	if changed != nil {
		return live.Patch{Full: true}
	}
	return live.Patch{Events: append(slices.Clip(counts(st)), sources(st)...)}
}

// Full renders the page.
func (p *failuresPage) Full(s *store.Snapshot) ([]byte, error) {
	return appendEvent(nil, views.FailuresMain(p.h.failuresModel(context.Background(), s, p.query)))
}

// failurePage is the page of one failure.
type failurePage struct {
	h   *Handlers
	id  string
	ref store.Ref
}

// Key is the failure's permalink.
func (p *failurePage) Key() string { return views.FailurePath(p.id) }

// Start has nothing to do: the page keeps nothing.
func (p *failurePage) Start(*store.Snapshot) {}

// Next sends the page when its runner changed or more evidence came.
func (p *failurePage) Next(st *live.Step) live.Patch {
	if st.Touches(p.ref) || st.Evidence[p.id] {
		return live.Patch{Full: true}
	}
	return live.Patch{Events: append(slices.Clip(counts(st)), sources(st)...)}
}

// Full renders the page.
func (p *failurePage) Full(s *store.Snapshot) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), historyTimeout)
	defer cancel()
	e, err := p.h.failures.Evidence(ctx, p.id)
	if err != nil {
		return nil, err
	}
	return appendEvent(nil, views.FailureMain(p.h.failureModel(s, &e)))
}
