package store

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// Credentials are what a request shows of who makes it.
type Credentials struct {
	// Peer is the machine at the other end of the connection itself, whatever headers say.
	Peer netip.Addr
	// Authorization are the values of that header, mostly one or none.
	Authorization []string
	// Session is the word in the session's cookie; blank without one.
	Session string
	// Header are all headers, for a proxy that says who it is.
	Header map[string][]string
}

// Caller is who makes a request, and what that rests on.
type Caller struct {
	Person
	// Hold names what the caller is known by, which can end while a stream is open; blank for what does not end.
	Hold string
	// Stale says that the request shows a session that no longer counts.
	Stale bool
}

// SignedIn is a session that has just begun.
type SignedIn struct {
	Person
	// Word goes into the cookie, and is kept nowhere else.
	Word string
	// Expires is until when the browser keeps the cookie; zero: until it is closed.
	Expires time.Time
}

// SignInWays are the ways to sign in that a board offers.
type SignInWays struct {
	// Local says that the board has users of its own.
	Local bool
	// Provider is what the button of the OpenID provider says; blank without one.
	Provider string
}

// TooOften refuses somebody who tries too often. It is ErrUnavailable.
type TooOften struct {
	// After is how long to wait.
	After time.Duration
}

// Error is a sentence.
func (e *TooOften) Error() string {
	return fmt.Sprintf("%v: there were too many attempts to sign in; try again in %d s", ErrUnavailable, int64(e.After.Seconds()+1))
}

// Unwrap is ErrUnavailable.
func (e *TooOften) Unwrap() error { return ErrUnavailable }

// User is somebody who signs in with a password kept here.
type User struct {
	Name string
	Role Role
	// Hash is the password's, a PHC string of argon2id.
	Hash string
	// Created, and Changed when the role or the password last did.
	Created, Changed time.Time
}

var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,63}$`)

// UserName is a user's name as it is kept: in lower case. ErrInvalid for what cannot be one.
func UserName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if !userName.MatchString(name) {
		return "", fmt.Errorf("%w: %q is no user's name: 1 to 64 letters, digits and . _ @ + -, the first a letter or a digit", ErrInvalid, Clean(s, 80))
	}
	return name, nil
}

// Session is a sign-in, as it is kept.
type Session struct {
	// Hash is the SHA-256 of the word in the cookie.
	Hash   []byte
	Person Person
	// Created; Seen, when it was last used, a minute behind at most; Expires, when it ends however much it is used.
	Created, Seen, Expires time.Time
}

// TokenKind says what a token is for.
type TokenKind string

// The kinds of tokens.
const (
	// TokenAPI is for programs, in the header Authorization.
	TokenAPI TokenKind = "api"
	// TokenWall is for a screen nobody touches, in the address of its first page.
	TokenWall TokenKind = "wall"
)

// What tokens of each kind begin with.
const (
	APIPrefix  = "tst_"
	WallPrefix = "tsw_"
)

// IsToken reports whether a word begins as a token of this board does, whether or not there is such a token.
func IsToken(word string) bool {
	return strings.HasPrefix(word, APIPrefix) || strings.HasPrefix(word, WallPrefix)
}

// Token lets a program or a screen in. The token itself is shown once and kept nowhere.
type Token struct {
	// ID is its public part.
	ID   string
	Kind TokenKind
	// Name is what it is for, in its maker's words.
	Name string
	Role Role
	// By made it.
	By string
	// Form tells one page with the form from another, so that a form that is sent twice makes one token.
	Form string
	// Hash is the SHA-256 of its secret part.
	Hash []byte
	// Created; Expires, zero for never; Used, a minute behind at most, zero for never; Revoked, zero while it counts.
	Created, Expires, Used, Revoked time.Time
}

// MaxTokenName bounds a token's name, in bytes.
const MaxTokenName = 100

// Check is ErrInvalid for a token that nobody could mean.
func (t Token) Check() error {
	switch {
	case strings.TrimSpace(t.Name) == "" || len(t.Name) > MaxTokenName || t.Name != Clean(t.Name, MaxTokenName):
		return fmt.Errorf("%w: a token needs a name that says what it is for, of %d bytes at most", ErrInvalid, MaxTokenName)
	case t.Kind != TokenAPI && t.Kind != TokenWall:
		return fmt.Errorf("%w: a token is for the api or for a wall", ErrInvalid)
	case t.Role == Nobody || t.Role > Admin:
		return fmt.Errorf("%w: a token has one of the roles viewer, operator, admin", ErrInvalid)
	case t.Kind == TokenWall && t.Role != Viewer:
		return fmt.Errorf("%w: a wall only looks: its role is viewer", ErrInvalid)
	case !t.Expires.IsZero() && !t.Expires.After(t.Created):
		return fmt.Errorf("%w: the token would have ended before it began", ErrInvalid)
	}
	return nil
}

// Counts reports whether the token lets anybody in at a time.
func (t Token) Counts(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}
