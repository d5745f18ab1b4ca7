package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

const (
	signInPath = "/signin"
	// providerTime is how long somebody may take at the provider.
	providerTime = 10 * time.Minute
	// maxNext bounds the address to go on to.
	maxNext = 2 << 10
)

// LocalPath is an address on this board to go on to, as somebody's link asks for it: "/" for one that leads elsewhere, or that a browser might
// read in another way than we do, such as //host, /\host, or one with a tab in it.
func LocalPath(next string) string {
	odd := func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }
	if len(next) > maxNext || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, odd) {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || u.Path == signInPath || strings.HasPrefix(u.Path, signInPath+"/") || u.Path == "/signout" {
		return "/"
	}
	u.Fragment, u.RawFragment = "", ""
	if local := u.String(); !strings.HasPrefix(local, "//") {
		return local
	}
	return "/"
}

// ToSignIn sends a person to the page to sign in on, and then back to where the request was for.
func ToSignIn(c echo.Context) error {
	next := "/"
	if m := c.Request().Method; m == http.MethodGet || m == http.MethodHead {
		next = LocalPath(c.Request().URL.RequestURI())
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if next == "/" {
		return c.Redirect(http.StatusSeeOther, signInPath)
	}
	return c.Redirect(http.StatusSeeOther, signInPath+"?next="+url.QueryEscape(next))
}

// SignInPage answers with the ways to sign in. Who has signed in goes on.
func (h *Handlers) SignInPage(c echo.Context) error {
	next := LocalPath(c.QueryParam("next"))
	if p := PersonOf(c); p.Role != store.Nobody && (p.Via != store.ViaNone || p.Role == store.Admin) {
		return c.Redirect(http.StatusSeeOther, next)
	}
	return h.signInPage(c, http.StatusOK, views.SignInModel{Next: next, Left: c.QueryParam("left") != ""})
}

func (h *Handlers) signInPage(c echo.Context, status int, m views.SignInModel) error {
	m.Frame, m.Ways, m.Now = views.Frame{Version: h.version}, h.accounts.Ways(), time.Now()
	return h.page(c, status, views.SignInPage(m))
}

// SignIn takes the form: name, password, and next, a local path to go on to.
func (h *Handlers) SignIn(c echo.Context) error {
	if err := c.Request().ParseForm(); err != nil {
		return fmt.Errorf("%w: the form cannot be read: %w", store.ErrInvalid, err)
	}
	form := c.Request().PostForm
	name, next := strings.TrimSpace(form.Get("name")), LocalPath(form.Get("next"))
	peer, _ := netip.ParseAddrPort(c.Request().RemoteAddr)
	in, err := h.accounts.SignIn(c.Request().Context(), peer.Addr().Unmap(), name, form.Get("password"))
	if err != nil {
		return h.refuse(c, err, name, next)
	}
	return h.goIn(c, in, next)
}

// refuse shows the form again with a sentence. Names that were typed go to the audit, as many as it can bear.
func (h *Handlers) refuse(c echo.Context, err error, name, next string) error {
	m := views.SignInModel{Next: next, Name: store.Clean(name, 80), Problem: store.Plain(err)}
	if often, ok := errors.AsType[*store.TooOften](err); ok {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(often.After.Seconds())+1))
		return h.signInPage(c, http.StatusTooManyRequests, m)
	}
	if !errors.Is(err, store.ErrForbidden) {
		return err
	}
	if h.refusals.Allow() {
		h.enter(c, store.Entry{By: store.Person{Name: m.Name}, Verb: "sign-in", Result: store.ResultRefused, Problem: m.Problem})
	}
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, Challenge)
	return h.signInPage(c, http.StatusUnauthorized, m)
}

// goIn begins a session in the browser. One that it had before ends: no word is ever used for two people.
func (h *Handlers) goIn(c echo.Context, in store.SignedIn, next string) error {
	if old := callerOf(c).Hold; old != "" {
		if err := h.accounts.SignOut(c.Request().Context(), old); err != nil {
			h.log.Warn("an earlier session is not ended", "error", err)
		}
	}
	h.setCookie(c, h.sessionCookie(), in.Word, in.Expires)
	h.enter(c, store.Entry{By: in.Person, Verb: "sign-in", Object: "role " + in.Role.String(), Result: store.ResultDone})
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusSeeOther, next)
}

// SignInAtProvider sends the browser to the OpenID provider.
func (h *Handlers) SignInAtProvider(c echo.Context) error {
	address, carry, err := h.accounts.Begin(c.Request().Context(), LocalPath(c.QueryParam("next")))
	if err != nil {
		return h.unfinished(c, err)
	}
	h.setCookie(c, h.cookieName(providerName), carry, time.Now().Add(providerTime))
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusSeeOther, address)
}

// SignInFromProvider takes the provider's answer.
func (h *Handlers) SignInFromProvider(c echo.Context) error {
	carry := one(c.Request(), h.cookieName(providerName))
	h.dropCookie(c, h.cookieName(providerName))
	in, next, err := h.accounts.Finish(c.Request().Context(), carry, c.QueryParams())
	if err != nil {
		return h.unfinished(c, err)
	}
	return h.goIn(c, in, LocalPath(next))
}

// unfinished shows the page to sign in on again, with what went wrong at the provider.
func (h *Handlers) unfinished(c echo.Context, err error) error {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, store.ErrForbidden):
		status = http.StatusForbidden
		if h.refusals.Allow() {
			h.enter(c, store.Entry{By: store.Person{Via: store.ViaOIDC}, Verb: "sign-in", Result: store.ResultRefused, Problem: store.Plain(err)})
		}
	case errors.Is(err, store.ErrInvalid):
		status = http.StatusBadRequest
	case !errors.Is(err, store.ErrUnavailable):
		return err
	}
	h.log.Warn("a sign-in at the provider failed", "error", store.ErrorText(err))
	return h.signInPage(c, status, views.SignInModel{Next: "/", Problem: store.Plain(err)})
}

// SignOut ends the session, its cookie and its streams.
func (h *Handlers) SignOut(c echo.Context) error {
	caller := callerOf(c)
	if err := h.accounts.SignOut(c.Request().Context(), caller.Hold); err != nil {
		return err
	}
	h.dropCookie(c, h.sessionCookie())
	if caller.Role != store.Nobody {
		h.enter(c, store.Entry{By: caller.Person, Verb: "sign-out", Result: store.ResultDone})
	}
	return c.Redirect(http.StatusSeeOther, signInPath+"?left=1")
}

// EnterWall exchanges the token in the wall's address for a cookie, so that the token leaves the address. Who is signed in stays so.
func (h *Handlers) EnterWall(c echo.Context, token string) error {
	if PersonOf(c).Role == store.Nobody || PersonOf(c).Via == store.ViaWall {
		in, err := h.accounts.Wall(c.Request().Context(), token)
		if err != nil {
			return err
		}
		return h.goIn(c, in, "/board")
	}
	return c.Redirect(http.StatusSeeOther, "/board")
}

// enter adds an entry to the audit. What was done is done: an audit that cannot be written is told in the log.
func (h *Handlers) enter(c echo.Context, e store.Entry) {
	e.At = time.Now()
	e.Ended = e.At
	h.log.Info("somebody acted", "verb", e.Verb, "by", e.By.Name, "via", string(e.By.Via), "object", e.Object, "result", e.Result, "from", c.RealIP())
	if h.audit == nil {
		return
	}
	if _, err := h.audit.Enter(context.WithoutCancel(c.Request().Context()), e); err != nil {
		h.log.Error("the audit is not written", "verb", e.Verb, "by", e.By.Name, "error", err)
	}
}

// viewer is the person as every document shows it.
func (h *Handlers) viewer(c echo.Context) views.Viewer {
	p := PersonOf(c)
	v := views.Viewer{Role: p.Role}
	switch {
	case h.accounts == nil, p.Via == store.ViaNone && p.Role == store.Admin, p.Via == store.ViaWall:
	case p.Role == store.Nobody, p.Via == store.ViaNone:
		v.MayEnter = c.Request().URL.Path != signInPath
	default:
		v.Name, v.MayLeave = p.Name, p.Via == store.ViaLocal || p.Via == store.ViaOIDC
	}
	return v
}
