package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/store"
)

type linkTo func(store.Ref, store.Person) (string, error)

func (f linkTo) LinkToRunner(c echo.Context, r *store.Runner) (string, error) {
	return f(r.Ref, handlers.PersonOf(c))
}

// TestLinksByGet: a GET makes a link for a program with a token, and for nobody else.
func TestLinksByGet(t *testing.T) {
	live := store.NewLive(store.NewSnapshot([]*store.Runner{{Ref: store.Ref{Cluster: "eu", System: "kubiya", Namespace: "n", Name: "a"}, Verdict: store.Verdict{Why: "x"}}}, nil, time.Now()))
	made := 0
	a := New(Options{Live: live, Links: linkTo(func(r store.Ref, by store.Person) (string, error) {
		made++
		return "https://b/" + r.Name + "/" + by.Token, nil
	})})
	defer a.Close()
	e := echo.New()
	for _, via := range []store.Via{store.ViaNone, store.ViaLocal, store.ViaOIDC, store.ViaProxy, store.ViaWall, store.ViaToken} {
		for _, path := range []string{"/api/v3/runners/a/manifest", "/api/v1/runners/eu/kubiya/n/a/manifest"} {
			rec := httptest.NewRecorder()
			c := e.NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil), rec)
			handlers.SetPerson(c, store.Person{Name: "ci", Role: store.Operator, Via: via, Token: "t1"})
			err := a.KubiyaGetManifest(c)
			if via != store.ViaToken && !errors.Is(err, store.ErrForbidden) {
				t.Errorf("%s got %v %s", via, err, rec.Body)
			}
			if via == store.ViaToken && (err != nil || rec.Body.String() != `{"url":"https://b/a/t1"}`+"\n") {
				t.Errorf("a token got %v %s", err, rec.Body)
			}
		}
	}
	if made != 2 {
		t.Errorf("%d links were made", made)
	}
}

// TestDocumentNamesEveryOperation notices a document that is older than the types; tools/openapi writes it.
func TestDocumentNamesEveryOperation(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, ops := range doc.Paths {
		n += len(ops)
	}
	if n != len(Operations()) {
		t.Errorf("%d operations are documented, and there are %d: run go run ./tools/openapi", n, len(Operations()))
	}
}

func TestFor(t *testing.T) {
	for s, want := range map[string]time.Duration{"90m": 90 * time.Minute, "24h": 24 * time.Hour, "7d": 168 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := parseFor(s); err != nil || got != want {
			t.Errorf("%s is %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0", "-1h", "d", "0d", "-7d", "7days", "999d", "1e9h"} {
		if d, err := parseFor(s); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q is %s", s, d)
		}
	}
}

func FuzzAction(f *testing.F) {
	f.Add(`{"note":"x","until":"2026-12-31T18:00:00Z","for":"7d","drain":true,"target":"a","incarnation":"b","confirm":"c"}`, "until=2026-12-31T18:00:00Z&drain=1&for=1h")
	f.Add("", "")
	f.Add(`{"until":"0000-00-00T00:00:00Z"}`, "drain=maybe&for=%zz")
	f.Fuzz(func(t *testing.T, body, rawQuery string) {
		b, err := decodeAction([]byte(body))
		if err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("%v", err)
		}
		q, _ := url.ParseQuery(rawQuery)
		if b2, err := actionQuery(q); err == nil {
			b.For = b2.For
		} else if !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("%v", err)
		}
		a := store.Action{Key: "k", Verb: store.VerbDisable, At: time.Now()}
		if err := b.into(&a); err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("%v", err)
		}
		if err := a.Check(); err == nil && !a.Until.IsZero() && a.Until.Before(a.At) {
			t.Fatalf("%q ends at %s", body, a.Until)
		}
	})
}

func FuzzLastEventID(f *testing.F) {
	for _, s := range []string{"", "0", "1", "-1", "9223372036854775808", " 1", "0x1", "1_000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := lastEvent(s)
		switch {
		case err != nil && !errors.Is(err, store.ErrInvalid):
			t.Fatal(err)
		case err == nil && n < fromNow, err == nil && n == fromNow && s != "":
			t.Fatalf("%q is %d", s, n)
		}
	})
}

// FuzzQuery reads every query the package reads. What is accepted matches without a panic.
func FuzzQuery(f *testing.F) {
	f.Add("name=a&kind=health,added&health=healthy&cluster=x&limit=7&before=3")
	f.Add("since=2026-01-01&until=2026-01-01T00:00:00Z&by=a&verb=b&q=c")
	f.Add("kind=%00&limit=-1")
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if x, err := parseEvents(v); err == nil {
			x.match(&store.Numbered{Event: store.Event{Kind: store.EventHealth}})
		} else if !errors.Is(err, store.ErrInvalid) {
			t.Fatal(err)
		}
		if before, limit, err := page(v); err == nil && (before < 0 || limit < 1 || limit > maxEvents) {
			t.Fatalf("%q is %d, %d", raw, before, limit)
		}
		c := echo.New().NewContext(&http.Request{URL: &url.URL{RawQuery: raw}}, nil)
		if e, err := auditFilter(c); err != nil && !errors.Is(err, store.ErrInvalid) || len(e.Text) > 4*256+8 {
			t.Fatalf("%q is %+v, %v", raw, e, err)
		}
	})
}

// FuzzName looks runners up by whatever stands in an address. A runner is found by its name in full, whatever it is called.
func FuzzName(f *testing.F) {
	f.Add("eu", "n", "a", "/api/v3/runners/eu%2Fkubiya%2Fn%2Fa/health")
	f.Add("e/u", "", "a/b", "/api/v3/runners/%zz")
	f.Fuzz(func(t *testing.T, cluster, namespace, name, path string) {
		r := &store.Runner{Ref: store.Ref{Cluster: cluster, System: "kubiya", Namespace: namespace, Name: name}, Verdict: store.Verdict{Why: "x"}}
		s := store.NewSnapshot([]*store.Runner{r}, nil, time.Now())
		if got, err := find(s, r.Ref.Full(), nil); err != nil || got.Ref != r.Ref && r.Ref.Name != r.Ref.Full() {
			t.Fatalf("%q: %v", r.Ref.Full(), err)
		}
		var none *handlers.NoRunner
		if _, err := find(s, path, nil); err != nil && (!errors.As(err, &none) || strings.TrimSpace(err.Error()) == "") {
			t.Fatalf("%q: %v", path, err)
		}
		if u, err := url.Parse(path); err == nil {
			if _, err := segments(&http.Request{URL: u}, kubiyaV3); err != nil && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
	})
}

func FuzzGuard(f *testing.F) {
	f.Add("=1")
	f.Fuzz(func(t *testing.T, s string) {
		if g := guard(s); g != "" && strings.ContainsRune("=+-@\t\r\n", rune(g[0])) || strings.TrimPrefix(g, "'") != strings.TrimPrefix(s, "'") {
			t.Fatalf("%q becomes %q", s, g)
		}
	})
}
