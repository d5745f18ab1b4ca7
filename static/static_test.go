package static

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestServesForEver(t *testing.T) {
	for name, mime := range map[string]string{"app.css": "text/css; charset=utf-8", "hold.js": "text/javascript; charset=utf-8"} {
		u := URL(name)
		if !strings.HasPrefix(u, Prefix) || u == Prefix+name {
			t.Errorf("%s has no hash: %s", name, u)
		}
		w := get(u)
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Type") != mime || h.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d %v", u, w.Code, h)
		}
		if again := get(u, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s again: %d", u, again.Code)
		}
		zipped := get(u, "Accept-Encoding", "br, gzip;q=0.5")
		r, err := gzip.NewReader(zipped.Body)
		if err != nil || zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Header().Get("ETag") == h.Get("ETag") {
			t.Fatalf("%s compressed: %v %v", u, err, zipped.Header())
		}
		if plain, err := io.ReadAll(r); err != nil || string(plain) != w.Body.String() {
			t.Errorf("%s compressed is another text: %v", u, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	if w := get(Prefix + "app.css"); w.Code != http.StatusNotFound {
		t.Errorf("a name without hash: %d", w.Code)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, URL("app.css"), nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	for header, want := range map[string]bool{"": false, "gzip": true, "br,gzip": true, "gzip;q=0": false, "x-gzip": false, "gzip; q=0.1": true, "GZIP": true, "gzip;Q=0": false} {
		if acceptsGzip(header) != want {
			t.Errorf("%q", header)
		}
	}
}

// FuzzAcceptsGzip reads whatever a client says that it accepts. Nobody gets gzip who does not name it, or refuses it first.
func FuzzAcceptsGzip(f *testing.F) {
	for _, s := range []string{"", "gzip", "GZIP;Q=0", "br;q=1.0, gzip;q=0.5, *;q=0", "gzip;q=NaN", "gzip;q=-1", "gzip;q=1e999", "gzip;;q=0", ",,;=", "gzip\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := acceptsGzip(s)
		if got && !strings.Contains(strings.ToLower(s), "gzip") {
			t.Errorf("%q accepts what it does not name", s)
		}
		if acceptsGzip("gzip;q=0,"+s) || acceptsGzip("gzip; Q=0.000 ,"+s) || !acceptsGzip("gzip,"+s) || !acceptsGzip("GZip;q=0.001,"+s) {
			t.Errorf("before %q, gzip is not what it says", s)
		}
		if acceptsGzip("br, "+s) != got || acceptsGzip(s+", br;q=0") != got {
			t.Errorf("%q is read otherwise beside another", s)
		}
	})
}
