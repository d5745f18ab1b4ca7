package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// AcceptFinding accepts a finding for a while: a form with cluster, system, namespace and name of the runner, code, object, note and until, a
// date or an RFC 3339 instant. It answers with the runner's page.
func (h *Handlers) AcceptFinding(c echo.Context) error {
	form, err := h.acceptanceForm(c)
	if err != nil {
		return err
	}
	a, err := acceptance(form)
	if err != nil {
		return err
	}
	snap := h.live.Current()
	r, err := snap.Runner(a.Ref)
	if err != nil {
		return &NoRunner{Err: err, Near: snap.Near(a.Ref, 5)}
	}
	if !views.HasFinding(r, h.newest(snap), a.Code, a.Object) {
		return fmt.Errorf("%w: %s has no finding %s of %s; it may have been mended meanwhile", store.ErrConflict, a.Ref, store.Clean(a.Code, 100), store.Clean(a.Object, 100))
	}
	if err := h.acceptances.Accept(c.Request().Context(), a); err != nil {
		return err
	}
	h.enter(c, store.Entry{By: PersonOf(c), Verb: store.VerbAccept, Ref: a.Ref, Object: findingOf(a), Note: a.Note, After: acceptedUntil(a), Result: store.ResultDone})
	return c.Redirect(http.StatusSeeOther, a.Ref.Path()+"#findings")
}

// WithdrawAcceptance ends an acceptance before its time: a form with cluster, system, namespace and name of the runner, code and object. It
// answers with the runner's page, also for a finding that is accepted no longer: then there is nothing to note.
func (h *Handlers) WithdrawAcceptance(c echo.Context) error {
	form, err := h.acceptanceForm(c)
	if err != nil {
		return err
	}
	a := acceptanceOf(form)
	snap := h.live.Current()
	held, _ := snap.Accepted(a.Ref, a.Code, a.Object)
	err = h.acceptances.Withdraw(c.Request().Context(), a)
	switch {
	case err == nil:
		h.enter(c, store.Entry{By: PersonOf(c), Verb: store.VerbWithdraw, Ref: a.Ref, Object: findingOf(a), Note: held.Note, Before: acceptedUntil(held), Result: store.ResultDone})
	case !errors.Is(err, store.ErrNotFound) || !h.hasFinding(snap, a):
		return err
	}
	return c.Redirect(http.StatusSeeOther, a.Ref.Path()+"#findings")
}

// hasFinding reports whether there is what an acceptance is about.
func (h *Handlers) hasFinding(s *store.Snapshot, a store.Acceptance) bool {
	r, err := s.Runner(a.Ref)
	return err == nil && views.HasFinding(r, h.newest(s), a.Code, a.Object)
}

// acceptanceForm is the form of a request about an acceptance, where there may be any.
func (h *Handlers) acceptanceForm(c echo.Context) (url.Values, error) {
	if h.acceptances == nil {
		return nil, fmt.Errorf("%w: this board was started with --read-only, so nothing can be accepted here", store.ErrForbidden)
	}
	if err := c.Request().ParseForm(); err != nil {
		return nil, fmt.Errorf("%w: the form cannot be read: %w", store.ErrInvalid, err)
	}
	return c.Request().PostForm, nil
}

// findingOf is what an acceptance is about, and acceptedUntil how long it holds, as the audit has them.
func findingOf(a store.Acceptance) string { return store.Clean(a.Code+" "+a.Object, 200) }

func acceptedUntil(a store.Acceptance) string {
	if a.Until.IsZero() {
		return ""
	}
	return "accepted until " + a.Until.UTC().Format(time.RFC3339)
}

// acceptance reads the form.
func acceptance(form url.Values) (a store.Acceptance, err error) {
	a = acceptanceOf(form)
	a.Note = store.Clean(form.Get("note"), store.MaxNote+1)
	a.Until, err = endOf(strings.TrimSpace(form.Get("until")))
	return a, err
}

// acceptanceOf reads what an acceptance is about.
func acceptanceOf(form url.Values) store.Acceptance {
	return store.Acceptance{Ref: store.Ref{Cluster: form.Get("cluster"), System: form.Get("system"), Namespace: form.Get("namespace"), Name: form.Get("name")},
		Code: form.Get("code"), Object: form.Get("object")}
}

// endOf reads when an acceptance ends: an instant, or a day, whose beginning in UTC it is.
func endOf(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: %q is neither a day such as 2026-12-31 nor an instant such as 2026-12-31T18:00:00Z", store.ErrInvalid, store.Clean(s, 40))
}
