package report

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"trackside/store"
)

// A token is tsr_ID_SECRET: its id, by which it is found, and 32 random bytes. Of the secret only the SHA-256 is kept. A slow hash, as
// passwords need, would protect nothing here, since nobody guesses 256 random bits, and it would cost every heartbeat its time.
const (
	tokenPrefix = "tsr_"
	idBytes     = 6
	secretBytes = 32
	// tokenFresh is how long a token is believed before the book is asked again: a revoked one stops within that.
	tokenFresh = 5 * time.Second
	// maxTokens bounds what is remembered.
	maxTokens = 20_000
)

// NewToken makes a token for a runner, for all whose name matches a pattern, or for an administrator. The string is the token, to be
// shown once.
func NewToken(name, system string, admin bool, now time.Time) (string, store.ReportToken, error) {
	t := store.ReportToken{Name: name, System: system, Admin: admin, Created: now}
	if err := store.CheckName("the name", name); err != nil {
		return "", t, err
	}
	if _, err := path.Match(name, ""); err != nil {
		return "", t, fmt.Errorf("%w: %q is neither a name nor a pattern such as pool-*", store.ErrInvalid, name)
	}
	if system != "" && !systemName.MatchString(system) {
		return "", t, fmt.Errorf("%w: system %q is not a word of lower-case letters, digits and hyphens", store.ErrInvalid, store.Clean(system, maxWord))
	}
	id, secret := make([]byte, idBytes), make([]byte, secretBytes)
	_, _ = rand.Read(id) // never fails: the program ends instead
	_, _ = rand.Read(secret)
	sum := sha256.Sum256(secret)
	t.ID, t.Hash = hex.EncodeToString(id), sum[:]
	return tokenPrefix + t.ID + "_" + hex.EncodeToString(secret), t, nil
}

// tokens remembers the tokens that were looked up lately.
type tokens struct {
	book Book
	mu   sync.Mutex
	seen map[string]seenToken
}

type seenToken struct {
	store.ReportToken
	at time.Time
}

// Admit finds out what a token lets its bearer do. A blank one is admitted only where reports are open. Errors are store.ErrForbidden,
// or store.ErrUnavailable when the book cannot be read.
func (s *Source) Admit(ctx context.Context, token string) (store.Grant, error) {
	if token == "" {
		if s.cfg.Open {
			return store.Grant{Any: true}, nil
		}
		return store.Grant{}, fmt.Errorf("%w: a token is needed: make one with trackside report token --name NAME, and send it as X-Plue-Internal-Token or as Authorization: Bearer",
			store.ErrForbidden)
	}
	id, secret, ok := parseToken(token)
	if !ok {
		return store.Grant{}, errToken
	}
	t, err := s.tokens.find(ctx, id, time.Now())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Grant{}, err
	}
	sum := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(sum[:], t.Hash) != 1 || !t.Revoked.IsZero() {
		return store.Grant{}, errToken
	}
	return store.Grant{Admin: t.Admin, Name: t.Name, System: t.System}, nil
}

// errToken does not say whether there is such a token.
var errToken = fmt.Errorf("%w: this token does not count: it was mistyped, revoked, or made for another board; make one with trackside report token --name NAME", store.ErrForbidden)

func parseToken(s string) (id string, secret []byte, ok bool) {
	rest, ok := strings.CutPrefix(s, tokenPrefix)
	id, word, cut := strings.Cut(rest, "_")
	secret, err := hex.DecodeString(word)
	return id, secret, ok && cut && err == nil && len(id) == 2*idBytes && len(secret) == secretBytes
}

func (t *tokens) find(ctx context.Context, id string, now time.Time) (store.ReportToken, error) {
	t.mu.Lock()
	x, ok := t.seen[id]
	t.mu.Unlock()
	if ok && now.Sub(x.at) < tokenFresh {
		return x.ReportToken, nil
	}
	found, err := t.book.ReportToken(ctx, id)
	if err != nil {
		return found, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil || len(t.seen) >= maxTokens {
		t.seen = map[string]seenToken{}
	}
	t.seen[id] = seenToken{found, now}
	return found, nil
}
