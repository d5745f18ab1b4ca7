package handlers

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// Tokens answers with the tokens there are, and the form for another.
func (h *Handlers) Tokens(c echo.Context) error {
	return h.tokensPage(c, http.StatusOK, views.TokensModel{})
}

func (h *Handlers) tokensPage(c echo.Context, status int, m views.TokensModel) error {
	all, err := h.accounts.Tokens(c.Request().Context())
	if err != nil {
		return err
	}
	m.Frame, m.Tokens, m.Form, m.Now = views.Frame{Version: h.version}, all, rand.Text(), time.Now()
	if m.Made != "" && m.Kind == store.TokenWall {
		m.Made = h.at(c, "/board?wall="+m.Made)
	}
	return h.page(c, status, views.TokensPage(m))
}

// at is an address of the board as others are told it.
func (h *Handlers) at(c echo.Context, path string) string {
	u := h.origin(c)
	return u.String() + path
}

// origin is where clients reach the board. Without --public-url only the connection itself says how: a header such as X-Forwarded-Proto is
// whoever's who sends it.
func (h *Handlers) origin(c echo.Context) url.URL {
	switch {
	case h.publicURL != nil && h.publicURL.Host != "":
		return url.URL{Scheme: h.publicURL.Scheme, Host: h.publicURL.Host}
	case c.IsTLS():
		return url.URL{Scheme: "https", Host: c.Request().Host}
	}
	return url.URL{Scheme: "http", Host: c.Request().Host}
}

// MakeToken takes the form: name, kind (api, wall), role, days until it ends (0: never) and the form's own word. The page it answers with is the
// only one that shows the token.
func (h *Handlers) MakeToken(c echo.Context) error {
	if err := c.Request().ParseForm(); err != nil {
		return fmt.Errorf("%w: the form cannot be read: %w", store.ErrInvalid, err)
	}
	form := c.Request().PostForm
	by := PersonOf(c)
	t := store.Token{Kind: store.TokenKind(form.Get("kind")), Name: strings.TrimSpace(form.Get("name")), By: by.Name, Form: form.Get("form"), Created: time.Now()}
	shown := views.TokensModel{Name: store.Clean(t.Name, store.MaxTokenName), Kind: t.Kind}
	token, made, err := "", t, error(nil)
	if t.Role, err = store.ParseRole(form.Get("role")); err == nil {
		if t.Expires, err = ends(form.Get("days"), t.Created); err == nil {
			token, made, err = h.accounts.MakeToken(c.Request().Context(), t)
		}
	}
	switch {
	case errors.Is(err, store.ErrInvalid):
		shown.Problem = store.Plain(err)
		return h.tokensPage(c, http.StatusBadRequest, shown)
	case errors.Is(err, store.ErrConflict):
		shown.Problem = store.Plain(err)
		return h.tokensPage(c, http.StatusConflict, shown)
	case err != nil:
		return err
	}
	h.enter(c, store.Entry{By: by, Verb: "token-create", Object: tokenText(made), Result: store.ResultDone})
	return h.tokensPage(c, http.StatusOK, views.TokensModel{Made: token, Kind: made.Kind, MadeName: made.Name})
}

// ends reads in how many days a token ends.
func ends(days string, from time.Time) (time.Time, error) {
	n, err := strconv.Atoi(days)
	switch {
	case err != nil || n < 0 || n > 3660:
		return time.Time{}, fmt.Errorf("%w: a token ends after 1 to 3660 days, or never (0)", store.ErrInvalid)
	case n == 0:
		return time.Time{}, nil
	}
	return from.Add(time.Duration(n) * 24 * time.Hour), nil
}

func tokenText(t store.Token) string {
	return fmt.Sprintf("%s token %s (%s, %s)", t.Kind, t.ID, store.Clean(t.Name, store.MaxTokenName), t.Role)
}

// RevokeToken ends a token, and with it what rests on it. The same again is done already, and nothing to note.
func (h *Handlers) RevokeToken(c echo.Context) error {
	id := c.Param("id")
	revoked, err := h.accounts.RevokeToken(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if revoked {
		h.enter(c, store.Entry{By: PersonOf(c), Verb: "token-revoke", Object: "token " + store.Clean(id, 40), Result: store.ResultDone})
	}
	return c.Redirect(http.StatusSeeOther, "/tokens")
}
