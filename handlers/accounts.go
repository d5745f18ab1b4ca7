package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// Accounts knows who is who. Its errors are those of package store.
type Accounts interface {
	Recognising
	SigningIn
	Tokens
}

// Recognising finds out who makes a request.
type Recognising interface {
	// Recognise answers with the zero Person for somebody unknown. A credential that does not count is store.ErrForbidden, and never
	// somebody unknown.
	Recognise(ctx context.Context, c store.Credentials) (store.Caller, error)
	// Hold returns a context that ends with ctx, and as soon as what a Caller is known by no longer counts.
	Hold(ctx context.Context, hold string) (context.Context, context.CancelFunc)
}

// SigningIn begins and ends sessions.
type SigningIn interface {
	Ways() store.SignInWays
	// SignIn by name and password: store.ErrForbidden if they do not fit, *store.TooOften.
	SignIn(ctx context.Context, from netip.Addr, name, password string) (store.SignedIn, error)
	// Begin a sign-in at the provider: where to send the browser, and what it must bring back beside the provider's answer.
	Begin(ctx context.Context, next string) (address, carry string, err error)
	// Finish it with the provider's answer; next is what Begin was given.
	Finish(ctx context.Context, carry string, answer url.Values) (in store.SignedIn, next string, err error)
	// Wall exchanges a wall's token for a session.
	Wall(ctx context.Context, token string) (store.SignedIn, error)
	// SignOut ends what a Caller is known by.
	SignOut(ctx context.Context, hold string) error
}

// Tokens are for programs and screens.
type Tokens interface {
	Tokens(ctx context.Context) ([]store.Token, error)
	// MakeToken answers with the token, to be shown once. store.ErrConflict if its form was sent before.
	MakeToken(ctx context.Context, t store.Token) (string, store.Token, error)
	// RevokeToken ends one; revoked is false for one that was revoked already, and store.ErrNotFound if there is none of that id.
	RevokeToken(ctx context.Context, id string) (revoked bool, err error)
}

// HasAccounts says that there are people and tokens to be told apart.
func (h *Handlers) HasAccounts() bool { return h.accounts != nil }

// anyone is who makes a request where nobody signs in.
var anyone = store.Person{Name: "anonymous", Role: store.Admin, Via: store.ViaNone}

const callerKey = "trackside.caller"

// Recognise says who makes a request: what [PersonOf] answers from then on. What a request that only reads gets ends with the session: a stream
// is open for hours. One that acts is let finish.
func (h *Handlers) Recognise(c echo.Context) (release context.CancelFunc, err error) {
	if h.accounts == nil {
		h.know(c, store.Caller{Person: anyone})
		return func() {}, nil
	}
	r := c.Request()
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	caller, err := h.accounts.Recognise(r.Context(), store.Credentials{Peer: peer.Addr().Unmap(), Authorization: r.Header.Values(echo.HeaderAuthorization),
		Session: h.sessionWord(r), Header: r.Header})
	if errors.Is(err, store.ErrForbidden) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, Challenge)
		return nil, fmt.Errorf("%w: %s", ErrUnauthorized, store.Plain(err))
	}
	if err != nil {
		return nil, err
	}
	if caller.Stale {
		h.dropCookie(c, h.sessionCookie())
	}
	r = h.know(c, caller)
	if caller.Hold == "" || r.Method != http.MethodGet {
		return func() {}, nil
	}
	ctx, letGo := h.accounts.Hold(r.Context(), caller.Hold)
	c.SetRequest(r.WithContext(ctx))
	// An error is answered after the release, and its page is rendered with the request's context.
	return func() { letGo(); c.SetRequest(r) }, nil
}

// know keeps who makes the request: for handlers, and in its context for the document around every page. Streams render without that context: what
// they send is everybody's.
func (h *Handlers) know(c echo.Context, caller store.Caller) *http.Request {
	SetPerson(c, caller.Person)
	c.Set(callerKey, caller)
	r := c.Request()
	r = r.WithContext(views.ForViewer(r.Context(), h.viewer(c)))
	c.SetRequest(r)
	return r
}

// Challenge tells a program how to say who it is.
const Challenge = `Bearer realm="Trackside"`

func callerOf(c echo.Context) store.Caller {
	caller, _ := c.Get(callerKey).(store.Caller)
	return caller
}
