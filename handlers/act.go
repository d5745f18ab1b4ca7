package handlers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// Refused is an error that is shown in the form that it is about, so that nothing that was typed is lost. Whoever answers it knows the
// sentence and the status.
type Refused struct {
	Err error
	// Page is the whole document, Part what the page's own script asked for.
	Page, Part func(sentence string) templ.Component
}

// Error is the text of what it wraps.
func (e *Refused) Error() string { return e.Err.Error() }

// Unwrap returns what it wraps.
func (e *Refused) Unwrap() error { return e.Err }

// IsScript reports whether a script of the board's own pages asks, and not a person or a program.
func IsScript(r *http.Request) bool { return r.Header.Get("Datastar-Request") != "" }

// deed answers with the content of a dialog: for a script by itself, for a person as a page.
func (h *Handlers) deed(c echo.Context, page, part templ.Component) error {
	if IsScript(c.Request()) {
		page = part
	}
	return h.page(c, http.StatusOK, page)
}

// newKey makes the word by which the repeats of a request are known. It is made with the form, so that a form that is sent twice acts once.
func newKey() string { return rand.Text() }

// looked is the moment at which a form is made, for the form: what has changed since is told to who sends it.
func looked() string { return strconv.FormatInt(time.Now().UnixMilli(), 10) }

// mayAct is store.ErrForbidden on a board that changes nothing.
func (h *Handlers) mayAct() error {
	if h.actions == nil {
		return fmt.Errorf("%w: this board was started with --read-only, so it acts on nothing", store.ErrForbidden)
	}
	return nil
}

// refOfAction reads the runner and the verb of an address below a runner's; the verb of the menu is blank.
func refOfAction(r *http.Request) (ref store.Ref, v store.Verb, err error) {
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/runners/"), "/")
	if len(parts) < 5 || len(parts) > 6 || parts[4] != "actions" {
		return ref, v, fmt.Errorf("%w: an action's path is /runners/{cluster}/{system}/{namespace}/{name}/actions/{verb}", store.ErrNotFound)
	}
	if len(parts) == 6 {
		if v, err = verbOf(parts[5]); err != nil {
			return ref, v, err
		}
	}
	ref, err = refOfParts(parts[:4])
	return ref, v, err
}

func verbOf(escaped string) (store.Verb, error) {
	s, err := url.PathUnescape(escaped)
	if err != nil {
		return "", fmt.Errorf("%w: the address cannot be read: %w", store.ErrInvalid, err)
	}
	return store.ParseVerb(s)
}

// ActionMenu answers with what can be done to a runner.
func (h *Handlers) ActionMenu(c echo.Context) error {
	ref, _, err := refOfAction(c.Request())
	if err == nil {
		err = h.mayAct()
	}
	if err != nil {
		return h.unseen("", ref, err)
	}
	snap := h.live.Current()
	r, err := snap.Runner(ref)
	if err != nil {
		return h.unseen("", ref, &NoRunner{Err: err, Near: snap.Near(ref, 5)})
	}
	m := views.NewActMenu(r, time.Now())
	m.Frame = h.frame()
	return h.deed(c, views.ActMenuPage(m), views.ActMenuDeed(m))
}

// Action answers with what an action would do, and the form that does it. It changes nothing.
func (h *Handlers) Action(c echo.Context) error {
	ref, v, err := refOfAction(c.Request())
	if err == nil {
		err = h.mayAct()
	}
	q, queryErr := query(c.Request())
	if err = cmp.Or(err, queryErr); err != nil {
		return h.unseen(v, ref, err)
	}
	snap := h.live.Current()
	r, err := snap.Runner(ref)
	if err != nil {
		return h.unseen(v, ref, &NoRunner{Err: err, Near: snap.Near(ref, 5)})
	}
	target := q.Get("target")
	if target == "" && (v == store.VerbRestart || v == store.VerbDeleteWorkload) {
		m := views.NewActChoice(v, r, time.Now())
		m.Frame = h.frame()
		return h.deed(c, views.ActPage(m), views.ActDeed(m))
	}
	form := views.ActForm{Key: newKey(), Target: views.Part(v, r, target), Incarnation: r.Incarnation, Looked: looked()}
	plan, err := h.plan(c.Request().Context(), action(PersonOf(c), v, ref, form))
	if err != nil {
		return h.unseen(v, ref, err)
	}
	m := views.NewActModel(plan, r, form, "", time.Now())
	m.Frame = h.frame()
	return h.deed(c, views.ActPage(m), views.ActDeed(m))
}

// unseen is an error that comes before there is a form.
func (h *Handlers) unseen(v store.Verb, ref store.Ref, err error) error {
	model := func(sentence string) views.ActModel {
		m := views.NewActProblem(v, ref, sentence, time.Now())
		m.Frame = h.frame()
		return m
	}
	return &Refused{Err: err, Part: func(s string) templ.Component { return views.ActDeed(model(s)) }}
}

// planTime bounds how long a preview may take, and actTime how long an action may be asked for. Neither is how long its effect takes.
const (
	planTime = 10 * time.Second
	actTime  = 30 * time.Second
)

func (h *Handlers) plan(ctx context.Context, a store.Action) (store.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	p, err := h.actions.Plan(ctx, a)
	p.Action = a
	return p, err
}

// do does it, to its end: whoever asked may have left meanwhile, and what is half done is worse than what is done.
func (h *Handlers) do(ctx context.Context, a store.Action) (store.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actTime)
	defer cancel()
	return h.actions.Do(ctx, a)
}

// action is what a form asks for, as far as it can be read.
func action(by store.Person, v store.Verb, ref store.Ref, f views.ActForm) store.Action {
	a := store.Action{Key: f.Key, Verb: v, Ref: ref, Target: f.Target, Incarnation: f.Incarnation, Note: store.Clean(f.Note, store.MaxNote+1),
		Confirm: f.Confirm, Drain: f.Mode != "now", By: by, At: time.Now()}
	if ms, err := strconv.ParseInt(f.Looked, 10, 64); err == nil && ms > 0 {
		a.Looked = time.UnixMilli(ms)
	}
	if d, ok := views.ParseTerm(f.For); ok && d > 0 && v == store.VerbDisable {
		a.Until = a.At.Add(d)
	}
	return a
}

// checkForm is store.ErrInvalid for a form that no page of the board makes.
func checkForm(v store.Verb, f views.ActForm) error {
	if _, ok := views.ParseTerm(f.For); v == store.VerbDisable && !ok {
		return fmt.Errorf("%w: for is one of %s, and %q is none", store.ErrInvalid, views.Terms(), store.Clean(f.For, 40))
	}
	if ms, err := strconv.ParseInt(cmp.Or(f.Looked, "1"), 10, 64); err != nil || ms <= 0 {
		return fmt.Errorf("%w: looked is a time in Unix milliseconds, and %q is none", store.ErrInvalid, store.Clean(f.Looked, 40))
	}
	if v == store.VerbDisable && f.Mode != "drain" && f.Mode != "now" {
		return fmt.Errorf("%w: mode is drain or now, and %q is neither", store.ErrInvalid, store.Clean(f.Mode, 40))
	}
	return nil
}

func actForm(v url.Values) views.ActForm {
	return views.ActForm{Key: v.Get("key"), Note: v.Get("note"), For: v.Get("for"), Mode: v.Get("mode"), Target: v.Get("target"), Incarnation: v.Get("incarnation"), Confirm: v.Get("confirm"), Looked: v.Get("looked")}
}

// Act does an action: a form with key, note, for, mode, target, incarnation, looked and confirm. It answers a person with the runner's page and a script
// with what was done; what is wrong, with the form as it was filled in.
func (h *Handlers) Act(c echo.Context) error {
	ref, v, err := refOfAction(c.Request())
	if err == nil {
		err = h.mayAct()
	}
	if err == nil {
		err = parseForm(c.Request())
	}
	if err != nil {
		return h.unseen(v, ref, err)
	}
	patient(c, actTime)
	form := actForm(c.Request().PostForm)
	a := action(PersonOf(c), v, ref, form)
	if err = cmp.Or(checkForm(v, form), a.Check()); err != nil {
		return h.refuse(c, a, form, 0, err)
	}
	out, err := h.do(c.Request().Context(), a)
	if err != nil {
		return h.refuse(c, a, form, out.ID, err)
	}
	if !IsScript(c.Request()) {
		return c.Redirect(http.StatusSeeOther, ref.Path()+didQuery(out.ID))
	}
	m := views.NewDoneModel(v, ref, out, time.Now())
	return h.page(c, http.StatusOK, views.DoneDeed(m))
}

// patient lets an answer take as long as what it tells of. A connection that cannot be told so is cut sooner, and its request sent again.
func patient(c echo.Context, d time.Duration) {
	_ = http.NewResponseController(c.Response().Writer).SetWriteDeadline(time.Now().Add(d + planTime))
}

func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: the form cannot be read: %w", store.ErrInvalid, err)
	}
	return nil
}

// refuse shows the form again, with what was typed. The plan is made anew, since what stood in the way may be in it. An action that has not begun
// or has ended, which its entry's id tells, gets a new key, or its correction would be taken for a repeat; one that may be under way keeps its own.
func (h *Handlers) refuse(c echo.Context, a store.Action, form views.ActForm, entry int64, err error) error {
	if !errors.Is(err, store.ErrUnavailable) || entry != 0 {
		form.Key = newKey()
	}
	r, _ := h.live.Current().Runner(a.Ref)
	if r != nil && errors.Is(err, store.ErrConflict) {
		form.Incarnation, form.Target, form.Looked = r.Incarnation, views.Part(a.Verb, r, form.Target), looked()
		a.Incarnation, a.Target, a.Looked = form.Incarnation, form.Target, time.Now()
	}
	plan := store.Plan{Action: a}
	if p, planErr := h.plan(c.Request().Context(), a); planErr == nil {
		plan = p
	}
	model := func(sentence string) views.ActModel {
		m := views.NewActModel(plan, r, form, sentence, time.Now())
		m.Frame = h.frame()
		return m
	}
	return &Refused{Err: err, Page: func(s string) templ.Component { return views.ActPage(model(s)) }, Part: func(s string) templ.Component { return views.ActDeed(model(s)) }}
}
