package web

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/accounts"
	"trackside/handlers"
	"trackside/poller/report"
	"trackside/store"
	"trackside/store/sqlite"
)

// signedIn is a board's accounts with a session and a token of every role.
type signedIn struct {
	db       *sqlite.DB
	accounts *accounts.Service
	// words and tokens are by the role's word; the session "expired" is over.
	words, tokens map[string]string
}

func newSignedIn(t *testing.T, change func(*accounts.Config)) *signedIn {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "trackside.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	conf := accounts.Config{Book: db, Local: true, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&conf)
	}
	s, err := accounts.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	w := &signedIn{db: db, accounts: s, words: map[string]string{}, tokens: map[string]string{}}
	for i, role := range store.Roles() {
		w.words[role.String()] = w.session(t, byte(i), role, time.Hour)
		token, _, err := s.MakeToken(t.Context(), store.Token{Kind: store.TokenAPI, Name: role.String(), Role: role, Form: role.String(), Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[role.String()] = token
	}
	w.words["expired"] = w.session(t, 99, store.Admin, -time.Minute)
	w.special(t)
	return w
}

// special adds tokens that do not count any more, and a wall.
func (w *signedIn) special(t *testing.T) {
	t.Helper()
	token := func(name string, kind store.TokenKind, role store.Role, ends time.Time) store.Token {
		word, made, err := w.accounts.MakeToken(t.Context(), store.Token{Kind: kind, Name: name, Role: role, Form: name, Created: time.Now().Add(-2 * time.Hour), Expires: ends})
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[name] = word
		return made
	}
	token("ended", store.TokenAPI, store.Admin, time.Now().Add(-time.Hour))
	revoked := token("revoked", store.TokenAPI, store.Admin, time.Time{})
	if _, err := w.accounts.RevokeToken(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	token("wall", store.TokenWall, store.Viewer, time.Time{})
	in, err := w.accounts.Wall(t.Context(), w.tokens["wall"])
	if err != nil {
		t.Fatal(err)
	}
	w.words["wall"] = in.Word
}

// session makes one that ends after a while, and answers with the word of its cookie.
func (w *signedIn) session(t *testing.T, seed byte, role store.Role, lasts time.Duration) string {
	t.Helper()
	raw := sha256.Sum256([]byte{seed})
	hash := sha256.Sum256(raw[:])
	now := time.Now()
	err := w.db.AddSession(t.Context(), store.Session{Hash: hash[:], Person: store.Person{Name: "some-" + role.String(), Role: role, Via: store.ViaLocal}, Created: now, Seen: now, Expires: now.Add(lasts)})
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

const cookieName = "ts-session"

// caller is somebody who asks for every address.
type caller struct {
	name   string
	header http.Header
	role   store.Role
	// wrong says that a credential is shown that does not count.
	wrong, foreign bool
}

func cookie(word string) http.Header { return http.Header{"Cookie": {cookieName + "=" + word}} }

func authorization(v ...string) http.Header { return http.Header{"Authorization": v} }

func (w *signedIn) callers() []caller {
	forged := strings.Repeat("A", 43)
	other := cookie(w.words["admin"])
	other["Sec-Fetch-Site"], other["Origin"] = []string{"cross-site"}, []string{"https://evil.example"}
	all := []caller{
		{name: "nobody", header: http.Header{}},
		{name: "an expired session", header: cookie(w.words["expired"])},
		{name: "a forged cookie", header: cookie(forged)},
		{name: "two cookies", header: http.Header{"Cookie": {cookieName + "=" + w.words["admin"] + "; " + cookieName + "=" + forged}}},
		{name: "headers of a proxy that is none", header: http.Header{"X-Forwarded-User": {"root"}, "X-Forwarded-Groups": {"admins"}, "X-Forwarded-For": {"10.9.9.9"}}},
		{name: "a forged token", header: authorization("Bearer tst_000000000000_" + strings.Repeat("00", 32)), wrong: true},
		{name: "a token with another secret", header: authorization("Bearer " + w.tokens["admin"][:len(w.tokens["admin"])-2] + "zz"), wrong: true},
		{name: "two tokens", header: authorization("Bearer "+w.tokens["admin"], "Bearer x"), wrong: true},
		{name: "a password", header: authorization("Basic cm9vdDpyb290"), wrong: true},
		{name: "a token that has ended", header: authorization("Bearer " + w.tokens["ended"]), wrong: true},
		{name: "a revoked token", header: authorization("UserKey " + w.tokens["revoked"]), wrong: true},
		{name: "a wall's token", header: authorization("Bearer " + w.tokens["wall"]), wrong: true},
		{name: "a wall", header: cookie(w.words["wall"]), role: store.Viewer},
		{name: "another site's page", header: other, role: store.Admin, foreign: true},
	}
	wrong := cookie(w.words["admin"])
	wrong.Set("Authorization", "Bearer nonsense")
	all = append(all, caller{name: "an admin's cookie beside a wrong token", header: wrong, wrong: true})
	for _, role := range store.Roles() {
		all = append(all, caller{name: role.String(), header: cookie(w.words[role.String()]), role: role},
			caller{name: role.String() + "'s token", header: authorization("Bearer " + w.tokens[role.String()]), role: role},
			caller{name: role.String() + "'s key", header: authorization("UserKey " + w.tokens[role.String()]), role: role})
	}
	return all
}

// noManifests stands for what writes manifests, so that its routes are in the table.
type noManifests struct{ handlers.Manifests }

// table is the board's own table of routes, each with a handler that says it was reached.
func (w *signedIn) table(t *testing.T) ([]Route, http.Handler) {
	t.Helper()
	live := store.NewLive(nil)
	source, err := report.New(t.Context(), report.Config{Alias: "reported", Late: 30 * time.Second, Lost: time.Minute, Forget: time.Hour, Book: w.db, Log: slog.New(slog.DiscardHandler),
		Heard: live.Hear})
	if err != nil {
		t.Fatal(err)
	}
	h := handlers.New(handlers.Options{Live: live, Accounts: w.accounts, Reports: source, Manifests: handlers.ManifestOptions{Manifests: noManifests{}}, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	all := routes(h, nil)
	if n := len(slices.Concat(pages(h), acts(h), assets(h), programs(nil), signing(h), manifests(h), reports(h))); len(all) != n {
		t.Fatalf("the table has %d of %d routes: nobody asks for the others", len(all), n)
	}
	for i := range all {
		all[i].handler = func(c echo.Context) error { return c.String(http.StatusTeapot, handlers.PersonOf(c).Name) }
	}
	return all, router(routing{handlers: h, log: slog.New(slog.DiscardHandler), metrics: newMetrics(nil, "x", live)}, all)
}

var parameter = regexp.MustCompile(`:[a-z]+|\*`)

// askAs asks as somebody, in the ways of a person, a program and a page's script.
func askAs(h http.Handler, who caller, method, path, accept string, script bool) *http.Response {
	r := httptest.NewRequest(method, parameter.ReplaceAllString(path, "x"), nil)
	r.RemoteAddr = "127.0.0.1:4000"
	maps.Copy(r.Header, who.header)
	r.Header.Set("Accept", accept)
	if script {
		r.Header.Set("Datastar-Request", "true")
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}

// Every address of the table, asked for by everybody: who may gets there, and nobody else does.
func TestWhoMayAskForWhat(t *testing.T) {
	w := newSignedIn(t, nil)
	all, h := w.table(t)
	checks := 0
	for _, route := range all {
		for _, method := range route.Methods {
			for _, who := range w.callers() {
				checks++
				res := askAs(h, who, method, route.Path, "text/html", false)
				if got, want := outcome(res), expected(route, who); got != want {
					t.Errorf("%s %s (needs %s) by %s: %s, want %s", method, route.Path, route.Need, who.name, got, want)
				}
			}
		}
	}
	t.Logf("%d routes, %d callers, %d requests", len(all), len(w.callers()), checks)
}

func outcome(res *http.Response) string {
	switch loc := res.Header.Get("Location"); {
	case res.StatusCode == http.StatusTeapot:
		return "reached"
	case res.StatusCode == http.StatusSeeOther && strings.HasPrefix(loc, "/signin"):
		return "to sign-in"
	case res.StatusCode == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "":
		return "401 without a challenge"
	}
	return fmt.Sprint(res.StatusCode)
}

// expected is the rule, said another way than the code does.
func expected(r Route, who caller) string {
	internal, asset := strings.HasPrefix(r.Path, "/internal/"), r.Path == "/icon.svg" || strings.HasPrefix(r.Path, "/static/")
	switch {
	case who.foreign && r.Acts:
		return "403"
	case internal, asset:
		return "reached" // a token of its own, or nothing to tell
	case who.wrong:
		return "401"
	case r.Need == store.Nobody:
		return "reached"
	case who.role == store.Nobody && (strings.HasPrefix(r.Path, "/api/") || strings.HasSuffix(r.Path, ".json") || strings.HasSuffix(r.Path, ".csv")):
		return "401" // programs ask there
	case who.role == store.Nobody:
		return "to sign-in"
	case who.role < r.Need:
		return "403"
	}
	return "reached"
}

// Everything that acts needs a role, and so does everything that tells; what does not is listed here, to be thought about.
func TestWhatIsOpenToAll(t *testing.T) {
	open := map[string]bool{"/icon.svg": true, "/static/*": true, "/signin": true, "/signin/provider": true, "/signin/callback": true, "/signout": true,
		"/m/:file": true} // the address is the secret
	all, _ := newSignedIn(t, nil).table(t)
	for _, r := range all {
		if r.Need == store.Nobody && !open[r.Path] && !strings.HasPrefix(r.Path, "/internal/") {
			t.Errorf("%v %s is open to all", r.Methods, r.Path)
		}
		for _, m := range r.Methods {
			if reads := m == http.MethodGet || m == http.MethodHead; reads == r.Acts && !strings.HasSuffix(r.Path, "/control") {
				t.Errorf("%s %s: acts is %v", m, r.Path, r.Acts)
			}
		}
	}
}

func TestARefusalSpeaksTheClientsLanguage(t *testing.T) {
	w := newSignedIn(t, nil)
	_, h := w.table(t)
	res := askAs(h, caller{}, http.MethodGet, "/failures?reason=crashloop", "text/html", false)
	if got := res.Header.Get("Location"); got != "/signin?next=%2Ffailures%3Freason%3Dcrashloop" {
		t.Errorf("a person goes to %s", got)
	}
	for accept, script := range map[string]bool{"application/json": false, "*/*": false, "text/event-stream, text/html, application/json": true} {
		res := askAs(h, caller{}, http.MethodGet, "/stream", accept, script)
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") == "" || strings.Contains(string(body), "<html") {
			t.Errorf("%s: %d %s", accept, res.StatusCode, body)
		}
	}
	res = askAs(h, caller{header: cookie(w.words["operator"])}, http.MethodGet, "/tokens", "text/html", false)
	if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), "<p class=\"why\">This takes the role admin, and some-operator has the role operator.</p>") || !strings.Contains(string(body), `data-role="operator"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	res = askAs(h, caller{header: cookie(w.words["expired"])}, http.MethodGet, "/", "text/html", false)
	if got := res.Header.Get("Set-Cookie"); !strings.Contains(got, "Max-Age=0") {
		t.Errorf("the dead cookie stays: %q", got)
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*accounts.Config)
		header http.Header
		want   string
	}{
		{"nobody signs in", func(c *accounts.Config) { c.Local = false }, nil, "anonymous admin"},
		{"everybody may look", func(c *accounts.Config) { c.AnonymousView = true }, nil, "anonymous viewer"},
		{"a proxy says nothing", proxied, nil, " nobody"},
		{"a proxy says who", proxied, http.Header{"X-Forwarded-User": {"ada"}, "X-Forwarded-Groups": {"a, ops"}}, "ada operator"},
		{"a proxy's person without a role", proxied, http.Header{"X-Forwarded-User": {"ada"}}, "ada nobody"},
		{"a proxy's person where everybody may look", func(c *accounts.Config) { proxied(c); c.AnonymousView = true }, http.Header{"X-Forwarded-User": {"ada"}}, "ada viewer"},
		{"two users", proxied, http.Header{"X-Forwarded-User": {"ada", "root"}}, "forbidden"},
		{"two lines of groups", proxied, http.Header{"X-Forwarded-User": {"ada"}, "X-Forwarded-Groups": {"a", "ops"}}, "forbidden"},
		{"blank groups", proxied, http.Header{"X-Forwarded-User": {"ada"}, "X-Forwarded-Groups": {""}}, "ada nobody"},
		{"a cluster's own", proxied, http.Header{"X-Forwarded-User": {"system:admin"}}, "forbidden"},
		{"a password for the proxy", proxied, http.Header{"Authorization": {"Basic eA=="}, "X-Forwarded-User": {"ada"}, "X-Forwarded-Groups": {"ops"}}, "ada operator"},
		{"a wrong token through the proxy", proxied, http.Header{"Authorization": {"Bearer tst_x"}, "X-Forwarded-User": {"ada"}}, "forbidden"},
		{"a wall's token through the proxy", proxied, http.Header{"Authorization": {"bearer  tsw_x"}, "X-Forwarded-User": {"ada"}}, "forbidden"},
		{"Kubiya's scheme through the proxy", proxied, http.Header{"Authorization": {"UserKey x"}, "X-Forwarded-User": {"ada"}}, "forbidden"},
		{"the proxy's own token", proxied, http.Header{"Authorization": {"Bearer eyJhbGciOi.eyJzdWIiOi.c2ln"}, "X-Forwarded-User": {"ada"}, "X-Forwarded-Groups": {"ops"}}, "ada operator"},
		{"a long one", proxied, http.Header{"Authorization": {"Bearer ey" + strings.Repeat("x", 8<<10)}, "X-Forwarded-User": {"ada"}, "X-Forwarded-Groups": {"ops"}}, "ada operator"},
		{"the proxy's own token, and nobody named", proxied, http.Header{"Authorization": {"Bearer eyJhbGciOi"}}, " nobody"},
		{"two tokens", proxied, http.Header{"Authorization": {"Bearer ey1", "Bearer ey2"}, "X-Forwarded-User": {"ada"}}, "forbidden"},
		{"a proxy's token from elsewhere", func(c *accounts.Config) { proxied(c); c.Proxy.From[0] = netip.MustParsePrefix("10.9.0.0/16") },
			http.Header{"Authorization": {"Bearer eyJhbGciOi"}, "X-Forwarded-User": {"ada"}}, "forbidden"},
		{"a wrong token where nobody signs in", func(c *accounts.Config) { c.Local = false }, http.Header{"Authorization": {"UserKey x"}}, "forbidden"},
	} {
		w := newSignedIn(t, c.change)
		got := "forbidden"
		who, err := w.accounts.Recognise(t.Context(), store.Credentials{Peer: netip.MustParseAddr("::ffff:10.1.2.3"), Authorization: c.header.Values("Authorization"), Header: c.header})
		if err == nil {
			got = who.Name + " " + who.Role.String()
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

func proxied(c *accounts.Config) {
	c.Proxy = &accounts.Proxy{From: []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")}, UserHeader: "X-Forwarded-User", GroupsHeader: "x-forwarded-groups", Grants: accounts.Grants{"ops": store.Operator}}
}
