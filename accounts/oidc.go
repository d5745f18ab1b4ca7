package accounts

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"trackside/store"
)

// OIDC is a provider that people sign in at, by the authorization code flow with PKCE.
type OIDC struct {
	// Issuer is the provider's address, and Name what people call it; blank: its host.
	Issuer, Name string
	ClientID     string
	// SecretFile holds the client's secret, and is read anew for each sign-in; blank for a public client.
	SecretFile string
	// RedirectURL is where the provider sends people back to.
	RedirectURL string
	// Scopes beside openid.
	Scopes []string
	// NameClaim and GroupsClaim say who it is. A name that is an address of mail counts only where the provider has verified it.
	NameClaim, GroupsClaim string
	Grants                 Grants
}

func (o OIDC) check() error {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%w: --oidc-issuer %q is not an address such as https://id.example.com", store.ErrInvalid, o.Issuer)
	case o.ClientID == "":
		return fmt.Errorf("%w: --oidc-issuer needs --oidc-client-id", store.ErrInvalid)
	case !strings.HasPrefix(o.RedirectURL, "http"):
		return fmt.Errorf("%w: --oidc-issuer needs --public-url, the address to which the provider sends people back", store.ErrInvalid)
	case len(o.Grants) == 0:
		return fmt.Errorf("%w: nobody of the provider would have a role; say --oidc-role, as --oidc-role operator=my-team or --oidc-role viewer='*'", store.ErrInvalid)
	}
	return nil
}

func (o OIDC) button() string {
	if o.Name != "" {
		return "Sign in with " + store.Clean(o.Name, 60)
	}
	u, err := url.Parse(o.Issuer)
	if err != nil {
		return "Sign in"
	}
	return "Sign in at " + u.Host
}

// provider is an OIDC whose discovery is tried until it succeeds. That it is away keeps nobody from the board.
type provider struct {
	cfg    OIDC
	log    *slog.Logger
	client *http.Client
	// turn is held by whoever asks the provider to describe itself; it guards what follows.
	turn   chan struct{}
	found  *oidc.Provider
	failed error
	at     time.Time // of failed
}

const (
	// providerTimeout bounds each call to the provider, providerBytes its answer.
	providerTimeout = 10 * time.Second
	providerBytes   = 1 << 20
	// discoverAgain is the least time between two attempts.
	discoverAgain = time.Second
	// maxDiscoverWait is the most time between two attempts of our own.
	maxDiscoverWait = time.Minute
	// carryTime is how long somebody may take at the provider.
	carryTime = 10 * time.Minute
	// maxCarriedNext keeps the cookie below the 4 KiB that browsers take.
	maxCarriedNext = 1000
)

func newProvider(cfg OIDC, log *slog.Logger) *provider {
	return &provider{cfg: cfg, log: log, client: &http.Client{Timeout: providerTimeout, Transport: bounded{http.DefaultTransport}}, turn: make(chan struct{}, 1)}
}

// bounded is a transport that ends long answers.
type bounded struct{ http.RoundTripper }

// RoundTrip bounds the body.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, providerBytes)
	}
	return res, err
}

// run tries until the provider has described itself.
func (p *provider) run(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, maxDiscoverWait) {
		if _, err := p.discover(ctx); err == nil || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// discover answers with what the provider says of itself, asking it when that is not known yet.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.found != nil {
		return p.found, nil
	}
	if time.Since(p.at) < discoverAgain {
		return nil, p.failed
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		if p.failed == nil {
			p.log.Warn("the sign-in provider does not answer; it is asked again", "issuer", p.cfg.Issuer, "error", err)
		}
		p.failed, p.at = fmt.Errorf("%w: the sign-in provider %s does not answer as one: %s; try again in a minute", store.ErrUnavailable, p.cfg.Issuer, store.Clean(err.Error(), 300)), time.Now()
		return nil, p.failed
	}
	p.log.Info("the sign-in provider answers", "issuer", p.cfg.Issuer)
	p.found, p.failed = found, nil
	return found, nil
}

// oauth is the client's side, with its secret as it is now.
func (p *provider) oauth(found *oidc.Provider) (*oauth2.Config, error) {
	c := &oauth2.Config{ClientID: p.cfg.ClientID, Endpoint: found.Endpoint(), RedirectURL: p.cfg.RedirectURL, Scopes: append([]string{oidc.ScopeOpenID}, p.cfg.Scopes...)}
	if p.cfg.SecretFile == "" {
		return c, nil
	}
	secret, err := os.ReadFile(p.cfg.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("%w: the client's secret cannot be read: %w", store.ErrUnavailable, err)
	}
	c.ClientSecret = string(bytes.TrimSpace(secret))
	return c, nil
}

// carried is what the browser brings back beside the provider's answer: it ties the answer to this browser and this attempt.
type carried struct {
	State, Nonce, Verifier, Next string
	Until                        int64 // Unix seconds
}

func (c carried) encode() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(c) // strings and a number
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

var errCarry = fmt.Errorf("%w: this sign-in was not begun in this browser, or longer than ten minutes ago; begin it again", store.ErrInvalid)

func decodeCarried(s string, now time.Time) (c carried, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &c) != nil || c.State == "" || c.Nonce == "" || c.Verifier == "" || now.Unix() >= c.Until {
		return carried{}, errCarry
	}
	return c, nil
}

var errNoProvider = fmt.Errorf("%w: this board has no sign-in provider", store.ErrNotFound)

// Begin a sign-in at the provider: where to send the browser, and what it must bring back.
func (s *Service) Begin(ctx context.Context, next string) (address, carry string, err error) {
	if s.provider == nil {
		return "", "", errNoProvider
	}
	found, err := s.provider.discover(ctx)
	if err != nil {
		return "", "", err
	}
	conf, err := s.provider.oauth(found)
	if err != nil {
		return "", "", err
	}
	if len(next) > maxCarriedNext {
		next = "/"
	}
	c := carried{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next, Until: time.Now().Add(carryTime).Unix()}
	return conf.AuthCodeURL(c.State, oidc.Nonce(c.Nonce), oauth2.S256ChallengeOption(c.Verifier)), c.encode(), nil
}

// Finish a sign-in with the provider's answer.
func (s *Service) Finish(ctx context.Context, carry string, answer url.Values) (in store.SignedIn, next string, err error) {
	if s.provider == nil {
		return in, "", errNoProvider
	}
	c, err := decodeCarried(carry, time.Now())
	if err != nil {
		return in, "", err
	}
	if subtle.ConstantTimeCompare([]byte(c.State), []byte(answer.Get("state"))) != 1 {
		return in, "", errCarry
	}
	if e := answer.Get("error"); e != "" {
		return in, "", fmt.Errorf("%w: the sign-in provider refused: %s", store.ErrForbidden, store.Clean(e+" "+answer.Get("error_description"), 300))
	}
	p, err := s.provider.exchange(ctx, c, answer)
	if err != nil {
		return in, "", err
	}
	if p = s.atLeast(p); p.Role == store.Nobody {
		return in, "", fmt.Errorf("%w: the provider knows %s, but none of the groups there has a role on this board; ask whoever runs it", store.ErrForbidden, p.Name)
	}
	in, err = s.begin(ctx, p, time.Now().Add(s.cfg.Max))
	return in, c.Next, err
}

// exchange gives the code for a token, and reads from that who it is.
func (p *provider) exchange(ctx context.Context, c carried, answer url.Values) (store.Person, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return store.Person{}, err
	}
	if iss := answer.Get("iss"); iss != "" && iss != p.cfg.Issuer { // RFC 9207: the answer of another provider
		return store.Person{}, errCarry
	}
	conf, err := p.oauth(found)
	if err != nil {
		return store.Person{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := conf.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(c.Verifier))
	if err != nil {
		return store.Person{}, p.refused("take its own code", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.cfg.ClientID}).Verify(ctx, raw)
	if err != nil {
		return store.Person{}, p.refused("give a token that holds", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(c.Nonce)) != 1 {
		return store.Person{}, errCarry
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return store.Person{}, p.refused("give a token that can be read", err)
	}
	if err := p.ask(ctx, found, id.Subject, token, claims); err != nil {
		return store.Person{}, err
	}
	return p.person(id.Subject, claims)
}

// ask adds what the provider says of the person only when asked, where the token lacks a claim.
func (p *provider) ask(ctx context.Context, found *oidc.Provider, subject string, token *oauth2.Token, claims map[string]any) error {
	if claims[p.cfg.GroupsClaim] != nil && claims[p.cfg.NameClaim] != nil || found.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return p.refused("say who it is", err)
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil || info.Subject != subject {
		return p.refused("say who it is", errors.Join(err, fmt.Errorf("it speaks of %s", store.Clean(info.Subject, 80))))
	}
	for name, v := range more {
		if claims[name] == nil {
			claims[name] = v
		}
	}
	return nil
}

// refused words what the provider did not do: refused, or failed to answer at all.
func (p *provider) refused(what string, err error) error {
	class := store.ErrUnavailable
	if _, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		class = store.ErrForbidden
	}
	return fmt.Errorf("%w: the sign-in provider %s did not %s: %s", class, p.cfg.Issuer, what, store.Clean(err.Error(), 300))
}

// person reads the claims. The subject, which nobody can choose, stands in for a name that is missing, or an address of mail that the provider
// does not say it has verified: many let people write whatever they like there. Some say so in a word.
func (p *provider) person(subject string, claims map[string]any) (store.Person, error) {
	name, _ := claims[p.cfg.NameClaim].(string)
	if verified := claims["email_verified"]; p.cfg.NameClaim == "email" && verified != true && verified != "true" {
		name = ""
	}
	name, ok := personName(name)
	if !ok {
		if name, ok = personName(subject); !ok {
			return store.Person{}, fmt.Errorf("%w: the sign-in provider gives a name that cannot be one", store.ErrForbidden)
		}
	}
	groups := cleanGroups(stringsOf(claims[p.cfg.GroupsClaim]))
	return store.Person{Name: name, Groups: groups, Role: p.cfg.Grants.roleOf(groups), Via: store.ViaOIDC}, nil
}

// stringsOf reads a claim that is a string or a list of them.
func stringsOf(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}
