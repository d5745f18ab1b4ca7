package handlers

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
)

// A browser, or a proxy, may send a form again whose answer it has not seen. A link's token is kept nowhere but in the link, so that the second
// sending could not be answered with it: the answer is kept in memory for a while. What tells the sendings apart after that is the link's ID,
// which is made of the form's key, and which the data file takes once.

// keptFor is how long the answer to a form is kept: longer than anything sends it again by itself.
const keptFor = 10 * time.Minute

// madeLinks are the links of forms that were sent just now, by ID.
type madeLinks struct {
	mu    sync.Mutex
	links map[string]madeLink
}

type madeLink struct {
	store.ManifestLink
	token string
}

// prune forgets what is too old by then.
func (m *madeLinks) prune(now time.Time) {
	for id, l := range m.links {
		if now.Sub(l.Made) > keptFor {
			delete(m.links, id)
		}
	}
}

// keyOf reads the key of a form. One that has none is a request of its own.
func keyOf(key string) (string, error) {
	if len(key) > 128 {
		return "", fmt.Errorf("%w: a key is 128 bytes long at most", store.ErrInvalid)
	}
	if key == "" {
		key = newKey()
	}
	return key, nil
}

// linkID is the same for the same form, sent again by the same person, and another for another: 50 bits.
func linkID(key string, by store.Person, text string, life time.Duration, single bool) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d %t", key, by.Name, text, life, single))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10])
}

// linkOnce makes a link for a form: one, however often it is sent. It is store.ErrConflict when that cannot be shown any more.
func (h *Handlers) linkOnce(c echo.Context, d store.ManifestDraft, key string, life time.Duration, single bool) (address string, l store.ManifestLink, err error) {
	id, now := linkID(key, PersonOf(c), d.YAML, life, single), time.Now()
	h.made.mu.Lock()
	defer h.made.mu.Unlock()
	h.made.prune(now)
	if m, ok := h.made.links[id]; ok {
		l, err = h.manifests.Links.ManifestLink(c.Request().Context(), m.Hash)
		if dead := l.Dead(now); err == nil && dead != "" {
			err = fmt.Errorf("%w: this form has made its link already, which is dead: %s. Check the form again to make another", store.ErrConflict, dead)
		}
		return h.linkURL(c, m.token), l, err
	}
	l, token := newLink(id, d, PersonOf(c), life, single)
	if err = h.keepLink(c, l); err != nil {
		return "", l, err
	}
	if h.made.links == nil {
		h.made.links = map[string]madeLink{}
	}
	h.made.links[id] = madeLink{ManifestLink: store.ManifestLink{Hash: l.Hash, Made: l.Made}, token: token}
	return h.linkURL(c, token), l, nil
}
