package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"trackside/store"
)

// A token is tst_ID_SECRET, or tsw_ID_SECRET for a wall: its id, by which it is found, and 32 random bytes. Of the secret only the SHA-256 is kept. A
// slow hash, as passwords need, would protect nothing here, since nobody guesses 256 random bits, and would cost every request its time.
const (
	idBytes     = 6
	secretBytes = 32
)

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the program ends instead
	return b
}

// newWord is what a session's cookie holds.
func newWord() string { return base64.RawURLEncoding.EncodeToString(random(secretBytes)) }

// hashWord is the SHA-256 of the bytes of a session's word.
func hashWord(word string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(word)
	if err != nil || len(b) != secretBytes || base64.RawURLEncoding.EncodeToString(b) != word { // line breaks are skipped in decoding
		return nil, false
	}
	sum := sha256.Sum256(b)
	return sum[:], true
}

// parseToken takes a token apart.
func parseToken(s string) (kind store.TokenKind, id string, secret []byte, ok bool) {
	rest, api := strings.CutPrefix(s, store.APIPrefix)
	kind = store.TokenAPI
	if !api {
		kind = store.TokenWall
		if rest, ok = strings.CutPrefix(s, store.WallPrefix); !ok {
			return "", "", nil, false
		}
	}
	id, word, _ := strings.Cut(rest, "_")
	raw, err := hex.DecodeString(id)
	secret, err2 := hex.DecodeString(word)
	if err != nil || err2 != nil || len(raw) != idBytes || len(secret) != secretBytes {
		return "", "", nil, false
	}
	return kind, id, secret, true
}

// maxAuthorization bounds the header, in bytes.
const maxAuthorization = 4 << 10

var (
	errHeader = fmt.Errorf("%w: the header Authorization cannot be read: it is sent once, as Bearer TOKEN or UserKey TOKEN", store.ErrForbidden)
	errScheme = fmt.Errorf("%w: this board takes Authorization: Bearer TOKEN, or UserKey TOKEN, and no other scheme", store.ErrForbidden)
	// errToken does not say whether there is such a token.
	errToken = fmt.Errorf("%w: this token does not count: it was mistyped, revoked, has ended, or was made for another board; an admin makes one on the page /tokens", store.ErrForbidden)
)

// parseAuthorization reads the header Authorization. One that is repeated, or has a scheme of ours and no token, is an error; ours is false for another scheme.
func parseAuthorization(values []string) (token string, ours bool, err error) {
	if len(values) != 1 || len(values[0]) > maxAuthorization {
		return "", false, errHeader
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "UserKey") {
		return "", false, nil
	}
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	if token = strings.Trim(token, " \t"); token == "" || strings.ContainsFunc(token, odd) {
		return "", true, errHeader
	}
	return token, true, nil
}

// passedOn reports whether the header is what a proxy got for itself and passes on, as a provider's token is: a Bearer that is none of ours.
func passedOn(values []string) bool {
	if len(values) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	token = strings.Trim(token, " \t")
	return strings.EqualFold(scheme, "Bearer") && token != "" && !store.IsToken(token)
}

// byToken finds out whose token it is.
func (s *Service) byToken(ctx context.Context, token string) (store.Caller, error) {
	t, err := s.admit(ctx, token, store.TokenAPI)
	if err != nil {
		return store.Caller{}, err
	}
	return store.Caller{Person: store.Person{Name: "token:" + t.Name, Role: t.Role, Via: store.ViaToken, Token: t.ID}, Hold: tokenHold + t.ID}, nil
}

// admit finds a token of a kind that counts.
func (s *Service) admit(ctx context.Context, token string, want store.TokenKind) (store.Token, error) {
	kind, id, secret, ok := parseToken(token)
	if !ok || kind != want {
		return store.Token{}, errToken
	}
	t, err := s.cfg.Book.Token(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Token{}, err
	}
	sum := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(sum[:], t.Hash) != 1 || t.Kind != want || !t.Counts(time.Now()) {
		return store.Token{}, errToken
	}
	s.note(s.used, id)
	return t, nil
}

// Wall exchanges a wall's token for a session that lasts as long as the token, or 400 days.
func (s *Service) Wall(ctx context.Context, token string) (store.SignedIn, error) {
	t, err := s.admit(ctx, token, store.TokenWall)
	if errors.Is(err, store.ErrForbidden) {
		return store.SignedIn{}, fmt.Errorf("%w: this wall's address does not count any more: its token was revoked or has ended; an admin makes another on the page /tokens", store.ErrForbidden)
	}
	if err != nil {
		return store.SignedIn{}, err
	}
	expires := time.Now().Add(wallMax)
	if !t.Expires.IsZero() && t.Expires.Before(expires) {
		expires = t.Expires
	}
	return s.begin(ctx, store.Person{Name: "wall:" + t.Name, Role: store.Viewer, Via: store.ViaWall, Token: t.ID}, expires)
}

// Tokens lists every token, with the time of its last use, a minute behind at most.
func (s *Service) Tokens(ctx context.Context) ([]store.Token, error) { return s.cfg.Book.Tokens(ctx) }

// MakeToken makes a token. The string is the token, to be shown once.
func (s *Service) MakeToken(ctx context.Context, t store.Token) (string, store.Token, error) {
	if err := t.Check(); err != nil {
		return "", t, err
	}
	if t.Form == "" || len(t.Form) > 64 {
		return "", t, fmt.Errorf("%w: the form lacks its word; open the page of tokens again", store.ErrInvalid)
	}
	secret := random(secretBytes)
	sum := sha256.Sum256(secret)
	t.ID, t.Hash = hex.EncodeToString(random(idBytes)), sum[:]
	prefix := store.APIPrefix
	if t.Kind == store.TokenWall {
		prefix = store.WallPrefix
	}
	if err := s.cfg.Book.AddToken(ctx, t); err != nil {
		return "", t, err
	}
	return prefix + t.ID + "_" + hex.EncodeToString(secret), t, nil
}

// RevokeToken ends a token, the sessions of the walls it let in, and the streams of both; revoked is false for one that was revoked already.
func (s *Service) RevokeToken(ctx context.Context, id string) (revoked bool, err error) {
	if revoked, err = s.cfg.Book.RevokeToken(ctx, id, time.Now()); err != nil {
		return false, err
	}
	s.check(ctx)
	return revoked, nil
}
