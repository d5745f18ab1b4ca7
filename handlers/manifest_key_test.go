package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"trackside/store"
)

// linkPath is the path of the link that a page shows; blank when it shows none.
func linkPath(body string) string {
	_, rest, _ := strings.Cut(body, "kubectl apply -f https://board.example")
	path, _, _ := strings.Cut(rest, "<")
	return path
}

// A form that is sent five times, at once, makes one link, and each answer shows it.
func TestAFormThatIsSentFiveTimesMakesOneLink(t *testing.T) {
	d := newDesk(t, false)
	body := d.serve("POST", "/manifests/preview", form()).Body.String()
	_, rest, _ := strings.Cut(body, `name="key" value="`)
	key, _, _ := strings.Cut(rest, `"`)
	if len(key) < 20 || strings.Contains(d.serve("POST", "/manifests/preview", form()).Body.String(), key) {
		t.Fatalf("the form has the key %q, or has it again", key)
	}
	var wg sync.WaitGroup
	paths := make([]string, 5)
	for i := range paths {
		wg.Go(func() {
			res := d.serve("POST", "/manifests/links", form("key", key))
			if paths[i] = linkPath(res.Body.String()); res.Code != http.StatusOK || paths[i] == "" {
				t.Errorf("%d %s", res.Code, res.Body)
			}
		})
	}
	wg.Wait()
	for _, p := range paths {
		if p != paths[0] {
			t.Errorf("one answer shows %s, another %s", paths[0], p)
		}
	}
	if len(d.links) != 1 || len(*d.audit) != 1 {
		t.Errorf("%d links, and %d entries in the audit", len(d.links), len(*d.audit))
	}
	for name, other := range map[string]url.Values{"another form": form("key", key+"x"), "for one use": form("key", key, "single", "1"), "for longer": form("key", key, "life", "24h"), "no key": form()} {
		before := len(d.links)
		if res := d.serve("POST", "/manifests/links", other); res.Code != http.StatusOK || linkPath(res.Body.String()) == paths[0] || len(d.links) != before+1 {
			t.Errorf("%s: %d, %d links after %d", name, res.Code, len(d.links), before)
		}
	}
	if res := d.serve("POST", "/manifests/links", form("key", strings.Repeat("k", 129))); res.Code != http.StatusBadRequest {
		t.Errorf("a key without end: %d", res.Code)
	}
}

// A link that is dead by now, or whose token is not known any more, is not shown as new, and no other is made.
func TestAFormWhoseLinkIsGone(t *testing.T) {
	for name, gone := range map[string]func(d desk){
		"revoked": func(d desk) { d.only().Revoked = time.Now() },
		"used": func(d desk) {
			d.serve("GET", linkPath(d.serve("POST", "/manifests/links", form("key", "k", "single", "1")).Body.String()), nil)
		},
		"after a while": func(d desk) { d.h.made.prune(time.Now().Add(time.Hour)) },
	} {
		d := newDesk(t, false)
		d.serve("POST", "/manifests/links", form("key", "k", "single", "1"))
		gone(d)
		res := d.serve("POST", "/manifests/links", form("key", "k", "single", "1"))
		if res.Code != http.StatusConflict || len(d.links) != 1 || !strings.Contains(res.Body.String(), "this form has made its link already") {
			t.Errorf("%s: %d, %d links, %s", name, res.Code, len(d.links), res.Body)
		}
	}
}

// only is the one link that there is.
func (d desk) only() (l *store.ManifestLink) {
	for _, l = range d.links {
	}
	return l
}
