package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/static"
	"trackside/store"
)

// identify gives each request a word by which an answer and the log's lines about it can be put together. A word sent by the client is
// not taken: it could be another's.
func (rt routing) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, rand.Text()[:12])
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

func isStream(c echo.Context) bool { return strings.HasSuffix(c.Path(), "/stream") }

// isReport says that a program speaks, and not a person. Runners do it every few seconds.
func isReport(c echo.Context) bool { return strings.HasPrefix(c.Path(), internalPath) }

// record answers errors, then counts and logs the request. It stands outside of everything that may fail. Streams, which live for hours, and assets are
// logged for who debugs only.
func (rt routing) record(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		status := c.Response().Status
		rt.metrics.request(c.Path(), status)
		level := slog.LevelInfo
		switch {
		case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
			level = slog.LevelError
		case status < http.StatusBadRequest && (isStream(c) || isReport(c) || strings.HasPrefix(c.Path(), "/static")):
			level = slog.LevelDebug
		}
		attrs := []slog.Attr{slog.String("id", requestID(c)), slog.String("method", c.Request().Method),
			slog.String("path", loggedPath(c)), slog.Int("status", status),
			slog.Duration("took", time.Since(start).Round(time.Microsecond)), slog.String("from", c.RealIP())}
		if err != nil {
			attrs = append(attrs, slog.String("error", store.ErrorText(err)))
		}
		rt.log.LogAttrs(c.Request().Context(), level, "request", attrs...)
		return nil
	}
}

// loggedPath is the address of a request as it may stand in a log: that of a manifest's link is the secret itself.
func loggedPath(c echo.Context) string {
	if path := c.Request().URL.EscapedPath(); !strings.HasPrefix(path, "/m/") {
		return path
	}
	return "/m/…"
}

// errPanic is what a panic becomes.
var errPanic = errors.New("panic")

// recoverPanic turns a panic into an error with its stack. A stream that has begun is simply cut.
func (rt routing) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				rt.log.Error("a handler panicked", "id", requestID(c), "panic", p, "stack", string(debug.Stack()))
				err = fmt.Errorf("%w: %v", errPanic, p)
			}
		}()
		return next(c)
	}
}

// policy lets a page load what the board itself serves, and nothing else. Datastar evaluates the expressions of its attributes, which needs
// 'unsafe-eval'; no inline script and no inline style is allowed.
const policy = "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that every answer has, errors too.
func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		hd := c.Response().Header()
		hd.Set("Content-Security-Policy", policy)
		hd.Set("X-Content-Type-Options", "nosniff")
		hd.Set("Referrer-Policy", "same-origin")
		hd.Set("Cross-Origin-Opener-Policy", "same-origin")
		hd.Set("Cross-Origin-Resource-Policy", "same-origin")
		return next(c)
	}
}

// crossOrigin refuses a request that changes something and was made by another site's page.
//
// A request with a token passes: it is judged by its header Authorization alone, never by a cookie, and no page can make another's browser send
// it. A password is another matter: browsers keep those that a proxy asked for, and send them with whatever a page posts.
func crossOrigin() echo.MiddlewareFunc {
	check := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if bringsToken(c.Request()) && c.Request().Header.Get(echo.HeaderCookie) == "" {
				return next(c)
			}
			if err := check.Check(c.Request()); err != nil {
				return errOtherSite
			}
			return next(c)
		}
	}
}

var errOtherSite = fmt.Errorf("%w: the request came from a page of another site", store.ErrForbidden)

// fromHere refuses what another site's page asks of an address that acts although its method is said to be safe, as a runner's control channel is:
// an EventSource of any page could open one, and end the runner's own.
func fromHere(next echo.HandlerFunc) echo.HandlerFunc {
	check := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			r = &http.Request{Method: http.MethodPost, Host: r.Host, URL: r.URL, Header: r.Header}
			if check.Check(r) != nil {
				return errOtherSite
			}
		}
		return next(c)
	}
}

// bringsToken says that a request has a header Authorization that neither a browser nor a proxy adds by itself: a token of this board's, or of a
// runner's. Some proxies add their provider's token, as a Bearer, to whatever they let through.
func bringsToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(strings.Trim(r.Header.Get(echo.HeaderAuthorization), " \t"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return store.IsToken(strings.Trim(token, " \t")) || strings.HasPrefix(r.URL.Path, internalPath)
	}
	return strings.EqualFold(scheme, "UserKey")
}

// recognise says who makes the request. What runners call has tokens of its own, in the same header; what pages are made of tells nothing, and
// may be kept by caches that must not keep a cookie with it.
func (rt routing) recognise(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if path := c.Request().URL.Path; strings.HasPrefix(path, internalPath) || strings.HasPrefix(path, static.Prefix) || path == iconPath {
			return next(c)
		}
		release, err := rt.handlers.Recognise(c)
		if err != nil {
			return err
		}
		defer release()
		if token := c.QueryParam("wall"); token != "" && c.Request().URL.Path == "/board" && c.Request().Method == http.MethodGet && rt.handlers.HasAccounts() {
			return rt.handlers.EnterWall(c, token)
		}
		return next(c)
	}
}

// internalPath begins the addresses of runners that report themselves.
const internalPath = "/internal/"

// iconPath is the tab's icon.
const iconPath = "/icon.svg"

// hosts are the names by which the board may be called; nil for any.
type hosts map[string]bool

// hostsFor lists the names of a board on loopback. There a name that some site lets point to 127.0.0.1 would make that site's pages
// this board's own (DNS rebinding). A board that listens to other machines is called by names nobody here can know.
func hostsFor(addr net.Addr, listen string, public *url.URL) hosts {
	if !loopback(addr) {
		return nil
	}
	h := hosts{"localhost": true, "127.0.0.1": true, "::1": true}
	for _, name := range []string{public.Hostname(), hostname(listen), hostname(addr.String())} {
		if name != "" {
			h[strings.ToLower(name)] = true
		}
	}
	return h
}

func loopback(addr net.Addr) bool {
	ip := net.ParseIP(hostname(addr.String()))
	return ip != nil && ip.IsLoopback()
}

// hostname is a Host header without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.Trim(strings.TrimSuffix(strings.ToLower(host), "."), "[]")
}

// errHost says that the board was called by a name that is not its own.
var errHost = errors.New("misdirected")

// checkHost refuses a request for another host.
func (rt routing) checkHost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		name := hostname(c.Request().Host)
		if ip := net.ParseIP(name); rt.hosts == nil || rt.hosts[name] || ip != nil && ip.IsLoopback() || strings.HasSuffix(name, ".localhost") {
			return next(c)
		}
		return fmt.Errorf("%w: this board does not go by the name %q; open it at localhost, or start it with --public-url set to its address",
			errHost, store.Clean(name, 100))
	}
}
