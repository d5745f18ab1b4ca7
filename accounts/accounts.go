// Package accounts knows who is who: users of this board, people whom an OpenID provider or a proxy in front vouches for, programs with tokens and
// wall screens. It keeps sessions, and ends what rests on one when it ends. It speaks no HTTP but with the provider.
package accounts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"trackside/store"
)

// Users are those with a password kept here; store.ErrNotFound for one that is not there.
type Users interface {
	User(ctx context.Context, name string) (store.User, error)
}

// Sessions keeps sign-ins.
type Sessions interface {
	AddSession(ctx context.Context, s store.Session) error
	Session(ctx context.Context, hash []byte) (store.Session, error)
	EndSession(ctx context.Context, hash []byte) error
	// PruneSessions forgets those that ended before now, or were last used before idle.
	PruneSessions(ctx context.Context, now, idle time.Time) error
}

// Tokens keeps tokens.
type Tokens interface {
	AddToken(ctx context.Context, t store.Token) error
	Token(ctx context.Context, id string) (store.Token, error)
	Tokens(ctx context.Context) ([]store.Token, error)
	// RevokeToken ends one; revoked is false for one that was revoked already.
	RevokeToken(ctx context.Context, id string, at time.Time) (revoked bool, err error)
}

// Book keeps all of it.
type Book interface {
	Users
	Sessions
	Tokens
	// Saw records when sessions, by their hash in hexadecimal, and tokens, by their id, were used.
	Saw(ctx context.Context, sessions, tokens map[string]time.Time) error
}

// Config of a Service.
type Config struct {
	Book Book
	// Local lets users of this board sign in by name and password.
	Local bool
	// OIDC is nil without a provider.
	OIDC *OIDC
	// Proxy is nil where no proxy is believed.
	Proxy *Proxy
	// AnonymousView lets everybody look.
	AnonymousView bool
	// Idle ends a session that is not used: 8 h. Max ends it anyway: 24 h.
	Idle, Max time.Duration
	Log       *slog.Logger
}

// SignIn says that nobody may do everything without signing in.
func (c Config) SignIn() bool {
	return c.Local || c.OIDC != nil || c.Proxy != nil || c.AnonymousView
}

// Service is who is who.
type Service struct {
	cfg      Config
	provider *provider // nil without one
	local    *local

	mu sync.Mutex
	// held are the requests that end with what their caller is known by. Guarded by mu, as what follows.
	held map[string]map[*context.CancelFunc]bool
	// seen and used are not written yet.
	seen, used map[string]time.Time
}

const (
	// wallIdle and wallMax are for screens that nobody touches. Browsers keep no cookie longer than 400 days.
	wallIdle = 30 * 24 * time.Hour
	wallMax  = 400 * 24 * time.Hour
	// proxyHold names what a proxy says. Nobody tells when that is no longer so, so a stream ends after proxyTime, and its page asks again.
	proxyHold = "proxy"
	proxyTime = 5 * time.Minute
	// checkEvery is how soon a stream ends with a session that another process ended, or that expired.
	checkEvery = 2 * time.Second
	// writeEvery is the pace at which it is written who was seen; pruneEvery, at which old sessions go.
	writeEvery = time.Minute
	pruneEvery = time.Hour
)

// The kinds of what callers are known by.
const (
	sessionHold = "s:"
	tokenHold   = "t:"
)

// New makes a Service. Run must be called for what it does beside answering.
func New(cfg Config) (*Service, error) {
	cfg.Idle = cmp.Or(cfg.Idle, 8*time.Hour)
	cfg.Max = cmp.Or(cfg.Max, 24*time.Hour)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	s := &Service{cfg: cfg, local: newLocal(), held: map[string]map[*context.CancelFunc]bool{}, seen: map[string]time.Time{}, used: map[string]time.Time{}}
	if cfg.OIDC != nil {
		if err := cfg.OIDC.check(); err != nil {
			return nil, err
		}
		s.provider = newProvider(*cfg.OIDC, cfg.Log)
	}
	return s, cfg.Proxy.check()
}

// Ways are the ways to sign in.
func (s *Service) Ways() store.SignInWays {
	w := store.SignInWays{Local: s.cfg.Local}
	if s.provider != nil {
		w.Provider = s.provider.cfg.button()
	}
	return w
}

// Recognise finds out who makes a request: by a token, else by a session, else by what a proxy says. Somebody unknown is the zero Person, or
// whoever may look, or do everything where nobody signs in. A token that does not count is store.ErrForbidden, and nothing else is looked at;
// a Bearer that a trusted proxy passes on is one only where it begins as ours do.
func (s *Service) Recognise(ctx context.Context, c store.Credentials) (store.Caller, error) {
	vouched := s.cfg.Proxy.trusts(c.Peer)
	if len(c.Authorization) > 0 && (!vouched || !passedOn(c.Authorization)) {
		token, ours, err := parseAuthorization(c.Authorization)
		switch {
		case err != nil:
			return store.Caller{}, err
		case ours:
			return s.byToken(ctx, token)
		case s.cfg.SignIn() && !vouched:
			return store.Caller{}, errScheme
		}
	}
	stale := false
	if c.Session != "" {
		caller, err := s.bySession(ctx, c.Session)
		if !errors.Is(err, store.ErrNotFound) {
			return caller, err
		}
		stale = true
	}
	if vouched {
		p, ok, err := s.cfg.Proxy.person(c.Header)
		if err != nil {
			return store.Caller{}, err
		}
		if ok {
			return store.Caller{Person: s.atLeast(p), Hold: proxyHold, Stale: stale}, nil
		}
	}
	return store.Caller{Person: s.atLeast(store.Person{}), Stale: stale}, nil
}

// atLeast is what somebody may do whom nobody gave a role.
func (s *Service) atLeast(p store.Person) store.Person {
	switch {
	case p.Role != store.Nobody:
	case !s.cfg.SignIn():
		return store.Person{Name: "anonymous", Role: store.Admin, Via: store.ViaNone}
	case s.cfg.AnonymousView && p.Name != "":
		p.Role = store.Viewer
	case s.cfg.AnonymousView:
		return store.Person{Name: "anonymous", Role: store.Viewer, Via: store.ViaNone}
	}
	return p
}

func (s *Service) bySession(ctx context.Context, word string) (store.Caller, error) {
	hash, ok := hashWord(word)
	if !ok {
		return store.Caller{}, errNoSession
	}
	x, err := s.session(ctx, hash)
	if err != nil {
		return store.Caller{}, err
	}
	id := hex.EncodeToString(hash)
	s.note(s.seen, id)
	return store.Caller{Person: x.Person, Hold: sessionHold + id}, nil
}

var errNoSession = fmt.Errorf("%w: the session has ended", store.ErrNotFound)

// session finds a session that counts.
func (s *Service) session(ctx context.Context, hash []byte) (store.Session, error) {
	x, err := s.cfg.Book.Session(ctx, hash)
	if err != nil {
		return x, err
	}
	s.mu.Lock()
	seen, now := s.seen[hex.EncodeToString(hash)], time.Now()
	s.mu.Unlock()
	if x.Seen.After(seen) {
		seen = x.Seen
	}
	idle := s.cfg.Idle
	if x.Person.Via == store.ViaWall {
		idle = wallIdle
	}
	if !now.Before(x.Expires) || now.Sub(seen) >= idle {
		return x, errNoSession
	}
	x.Person, err = s.granted(x.Person)
	return x, err
}

// granted is a session's person with the role of today: what is granted, and which ways to sign in are on, may differ from when it began. The role
// of the board's own user is as it was, since a change of it ends the session, and a wall rests on its token.
func (s *Service) granted(p store.Person) (store.Person, error) {
	on := p.Via == store.ViaWall || p.Via == store.ViaLocal && s.cfg.Local
	if p.Via == store.ViaOIDC && s.provider != nil {
		p.Role = s.provider.cfg.Grants.roleOf(p.Groups)
		p = s.atLeast(p)
		on = p.Role != store.Nobody
	}
	if !on {
		return store.Person{}, errNoSession
	}
	return p, nil
}

// note keeps that one was seen or used now. The map is one of ours.
func (s *Service) note(in map[string]time.Time, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in[id] = time.Now()
}

// begin makes a session. Its word is new: nobody can have planted it.
func (s *Service) begin(ctx context.Context, p store.Person, expires time.Time) (store.SignedIn, error) {
	word := newWord()
	hash, _ := hashWord(word)
	now := time.Now()
	if err := s.cfg.Book.AddSession(ctx, store.Session{Hash: hash, Person: p, Created: now, Seen: now, Expires: expires}); err != nil {
		return store.SignedIn{}, err
	}
	return store.SignedIn{Person: p, Word: word, Expires: expires}, nil
}

// SignOut ends a session and its streams. What a caller is known by otherwise stays: a token is revoked, and a proxy has its own way.
func (s *Service) SignOut(ctx context.Context, hold string) error {
	hash, err := hex.DecodeString(cutHold(hold, sessionHold))
	if err != nil || len(hash) != sha256.Size {
		return nil //nolint:nilerr // there is no session to end
	}
	if err := s.cfg.Book.EndSession(ctx, hash); err != nil {
		return err
	}
	s.end(hold)
	return nil
}

func cutHold(hold, kind string) string {
	if len(hold) > len(kind) && hold[:len(kind)] == kind {
		return hold[len(kind):]
	}
	return ""
}
