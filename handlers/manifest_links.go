package handlers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// ManifestLinks keeps links that hand out manifests, by the SHA-256 of their tokens.
type ManifestLinks interface {
	// AddManifestLink keeps a link; store.ErrConflict where there is one of its ID.
	AddManifestLink(ctx context.Context, l store.ManifestLink) error
	// ManifestLink looks at a link without using it.
	ManifestLink(ctx context.Context, hash []byte) (store.ManifestLink, error)
	// UseManifestLink counts a use and hands out the text, or answers false for a link that is dead.
	UseManifestLink(ctx context.Context, hash []byte, now time.Time) (store.ManifestLink, bool, error)
	// RevokeManifestLink ends one; revoked is false for one that was revoked already, and store.ErrNotFound if there is none of that id.
	RevokeManifestLink(ctx context.Context, id string, now time.Time) (revoked bool, err error)
	ManifestLinks(ctx context.Context, limit int) ([]store.ManifestLink, error)
}

// ErrGone says that something was there and is no more; package web maps it to 410.
var ErrGone = errors.New("gone")

const (
	// tokenBytes of randomness are in a link: 192 bits.
	tokenBytes = 24
	// shownLinks is how many links a page lists.
	shownLinks = 200
	// defaultLife is how long a link lives unless somebody says otherwise.
	defaultLife = time.Hour
)

// newLink makes a link to a draft, and its token, which is known here and nowhere else. Its sum is that of the text it hands out: a draft of what
// runs has none of its own.
func newLink(id string, d store.ManifestDraft, by store.Person, life time.Duration, single bool) (store.ManifestLink, string) {
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	token := base64.RawURLEncoding.EncodeToString(raw)
	hash, sum := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(d.YAML))
	now := time.Now()
	return store.ManifestLink{ID: id, Hash: hash[:], File: d.File(), Ref: d.Ref(), SHA256: hex.EncodeToString(sum[:]), YAML: d.YAML, By: by.Name,
		Made: now, Expires: now.Add(life), Single: single}, token
}

// ParseLinkFile reads the token out of the last part of a link's address, as in <token>.yaml. Anything that cannot be one is
// store.ErrNotFound, in the words of a token that never was.
func ParseLinkFile(file string) (hash []byte, err error) {
	token, ok := strings.CutSuffix(file, ".yaml")
	raw, decodeErr := base64.RawURLEncoding.DecodeString(token)
	if !ok || decodeErr != nil || len(raw) != tokenBytes || base64.RawURLEncoding.EncodeToString(raw) != token { // line breaks are skipped in decoding
		return nil, fmt.Errorf("%w: there is no such link", store.ErrNotFound)
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:], nil
}

// keepLink keeps a link and enters it into the audit.
func (h *Handlers) keepLink(c echo.Context, l store.ManifestLink) error {
	err := h.manifests.Links.AddManifestLink(c.Request().Context(), l)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%w: this form has made its link already, which was shown then and is listed under /manifests. Check the form again to make another", store.ErrConflict)
	}
	if err != nil {
		return err
	}
	once := ""
	if l.Single {
		once = ", for one use"
	}
	h.note(c, store.Entry{By: PersonOf(c), Verb: store.VerbManifestLink, Ref: l.Ref, Object: "link " + l.ID, Result: store.ResultDone,
		Note: fmt.Sprintf("%s, sha256 %s, until %s%s", l.File, l.SHA256, l.Expires.UTC().Format(time.RFC3339), once)})
	return nil
}

// LinkToRunner makes a link to the manifest of a runner as it runs, for an hour.
func (h *Handlers) LinkToRunner(c echo.Context, r *store.Runner) (address string, err error) {
	if !h.WritesManifests() {
		return "", fmt.Errorf("%w: this board writes no manifests", store.ErrUnavailable)
	}
	d, err := h.manifests.Running.Written(c.Request().Context(), r, PersonOf(c))
	if err != nil {
		return "", err
	}
	l, token := newLink(strings.ToLower(rand.Text()[:10]), d, PersonOf(c), defaultLife, false)
	return h.linkURL(c, token), h.keepLink(c, l)
}

// linkURL is where a link is, as clients reach this board.
func (h *Handlers) linkURL(c echo.Context, token string) string {
	u := h.origin(c)
	u.Path = "/m/" + token + ".yaml"
	return u.String()
}

// lifeOf reads how long a link is to live; blank is an hour.
func lifeOf(s string) (time.Duration, error) {
	if s == "" {
		return defaultLife, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < store.MinLinkLife || d > store.MaxLinkLife {
		return 0, fmt.Errorf("%w: a link lives for a minute to seven days, such as 1h; %q is asked", store.ErrInvalid, store.Clean(s, 40))
	}
	return d, nil
}

// MakeManifestLink makes a link to what a form says, and answers with the page that shows it, this once.
func (h *Handlers) MakeManifestLink(c echo.Context) error {
	_, d, err := h.complete(c)
	if err != nil {
		return err
	}
	life, err := lifeOf(c.Request().PostForm.Get("life"))
	if err != nil {
		return err
	}
	key, err := keyOf(c.Request().PostForm.Get("key"))
	if err != nil {
		return err
	}
	address, l, err := h.linkOnce(c, d, key, life, c.Request().PostForm.Get("single") == "1")
	if err != nil {
		return err
	}
	m, err := h.linksModel(c)
	if err != nil {
		return err
	}
	m.Made, m.MadeFile, m.MadeSingle, m.MadeUntil = address, l.File, l.Single, l.Expires
	return h.page(c, http.StatusOK, views.ManifestLinksPage(m))
}

// ManifestLinkList answers with the links there are.
func (h *Handlers) ManifestLinkList(c echo.Context) error {
	m, err := h.linksModel(c)
	if err != nil {
		return err
	}
	return h.page(c, http.StatusOK, views.ManifestLinksPage(m))
}

func (h *Handlers) linksModel(c echo.Context) (views.ManifestLinksModel, error) {
	links, err := h.manifests.Links.ManifestLinks(c.Request().Context(), shownLinks)
	return views.ManifestLinksModel{Frame: h.frame(), Links: links, Healthy: len(h.healthy()), Snapshot: h.live.Current(), Now: time.Now()}, err
}

// RevokeManifestLink ends a link at once. The same again is done already, and nothing to note.
func (h *Handlers) RevokeManifestLink(c echo.Context) error {
	id := c.Param("id")
	revoked, err := h.manifests.Links.RevokeManifestLink(c.Request().Context(), id, time.Now())
	if err != nil {
		return err
	}
	if revoked {
		h.note(c, store.Entry{By: PersonOf(c), Verb: store.VerbManifestRevoke, Object: "link " + store.Clean(id, 40), Result: store.ResultDone})
	}
	return c.Redirect(http.StatusSeeOther, "/manifests")
}

// ManifestByLink hands out the manifest behind a link, to whoever has it. A HEAD looks and uses nothing.
func (h *Handlers) ManifestByLink(c echo.Context) error {
	hash, err := ParseLinkFile(c.Param("file"))
	if err != nil {
		return err
	}
	now, ctx := time.Now(), c.Request().Context()
	c.Response().Header().Set("Referrer-Policy", "no-referrer") // the address is the secret
	if c.Request().Method == http.MethodHead {
		l, err := h.manifests.Links.ManifestLink(ctx, hash)
		if err == nil && l.Dead(now) != "" {
			err = gone(l, now)
		}
		if err != nil {
			return err
		}
		c.Response().Header().Set("Content-Type", "application/yaml")
		return c.NoContent(http.StatusOK)
	}
	l, used, err := h.manifests.Links.UseManifestLink(ctx, hash, now)
	if err != nil {
		return err
	}
	entry := store.Entry{By: store.Person{Name: "link " + l.ID, Via: store.ViaToken, Token: l.ID}, Verb: store.VerbManifestDownload, Ref: l.Ref, Object: "link " + l.ID,
		Note: "made by " + l.By + ", from " + c.RealIP(), Result: store.ResultDone}
	if !used {
		err = gone(l, now)
		entry.Result, entry.Problem = store.ResultRefused, l.Dead(now)
	}
	h.note(c, entry)
	if err != nil {
		return err
	}
	return writeYAML(c, l.File, l.YAML, c.QueryParam("download") == "1")
}

func gone(l store.ManifestLink, now time.Time) error {
	why := l.Dead(now)
	if why == "" {
		why = "it was used at the same moment by somebody else"
	}
	return fmt.Errorf("%w: this link is dead: %s. Ask %s for another", ErrGone, why, store.Clean(l.By, 80))
}
