package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// Where the board is reached by HTTPS the names begin with __Host-: browsers take such a cookie from this very host only, by HTTPS and
// for every path, so that a neighbour under the same domain can plant none.
const (
	hostPrefix   = "__Host-"
	sessionName  = "ts-session"
	providerName = "ts-provider"
	// maxCookie bounds what is looked at of a cookie.
	maxCookie = 4 << 10
)

func (h *Handlers) cookieName(name string) string {
	if h.secureCookies {
		return hostPrefix + name
	}
	return name
}

func (h *Handlers) sessionCookie() string { return h.cookieName(sessionName) }

// sessionWord is the word in the session's cookie. Two of the name are one too many: nobody knows which is the browser's.
func (h *Handlers) sessionWord(r *http.Request) string { return one(r, h.sessionCookie()) }

func one(r *http.Request, name string) string {
	all := r.CookiesNamed(name)
	if len(all) != 1 || len(all[0].Value) > maxCookie {
		return ""
	}
	return all[0].Value
}

// setCookie gives the browser a cookie that scripts cannot read and that other sites' forms do not send.
func (h *Handlers) setCookie(c echo.Context, name, value string, expires time.Time) {
	c.SetCookie(&http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: h.secureCookies, SameSite: http.SameSiteLaxMode, Expires: expires})
}

func (h *Handlers) dropCookie(c echo.Context, name string) {
	c.SetCookie(&http.Cookie{Name: name, Path: "/", HttpOnly: true, Secure: h.secureCookies, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}
