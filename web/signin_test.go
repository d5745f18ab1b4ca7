package web

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trackside/accounts"
	"trackside/store"
)

const password = "correct horse battery"

// book collects the audit.
type book struct {
	mu  sync.Mutex
	all []store.Entry
}

func (b *book) Enter(_ context.Context, e store.Entry) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, e)
	return int64(len(b.all)), nil
}

func (b *book) Entries(context.Context, store.EntryFilter, int) ([]store.Entry, error) {
	return nil, nil
}

func (b *book) words() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, e := range b.all {
		out = append(out, e.By.Name+" "+e.Verb+" "+e.Result)
	}
	return strings.Join(out, ", ")
}

// site is a board that people sign in to, and a browser.
type site struct {
	*signedIn
	url     string
	audit   *book
	browser *http.Client
}

func newSite(t *testing.T, change func(*Options)) *site {
	t.Helper()
	w := newSignedIn(t, nil)
	hash, err := accounts.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range store.Roles() {
		if err := w.db.AddUser(t.Context(), store.User{Name: "a-" + role.String(), Role: role, Hash: hash, Created: time.Now(), Changed: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	o := options(io.Discard)
	s := &site{signedIn: w, audit: &book{}}
	o.Accounts, o.SignIn, o.Audit = w.accounts, true, s.audit
	if change != nil {
		change(&o)
	}
	server, stop := start(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.accounts.Run(ctx) }()
	s.url, s.browser = server.URL(), newBrowser(t)
	t.Cleanup(func() { s.browser.CloseIdleConnections(); _, _ = stop(); cancel(); <-ended })
	return s
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (s *site) do(t *testing.T, method, path string, form url.Values) (*http.Response, string) {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "text/html")
	res, err := s.browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res, string(b)
}

func (s *site) signIn(t *testing.T, name, word, next string) (*http.Response, string) {
	t.Helper()
	return s.do(t, http.MethodPost, "/signin", url.Values{"name": {name}, "password": {word}, "next": {next}})
}

// session is the word in the browser's cookie.
func (s *site) session() string {
	u, _ := url.Parse(s.url)
	for _, c := range s.browser.Jar.Cookies(u) {
		if c.Name == cookieName {
			return c.Value
		}
	}
	return ""
}

func TestSignInAndOut(t *testing.T) {
	s := newSite(t, nil)
	if res, _ := s.do(t, http.MethodGet, "/failures?q=x", nil); res.Header.Get("Location") != "/signin?next=%2Ffailures%3Fq%3Dx" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if res, body := s.do(t, http.MethodGet, "/signin?next=%2Ffailures%3Fq%3Dx", nil); res.StatusCode != 200 || !strings.Contains(body, `value="/failures?q=x"`) || strings.Contains(body, "data-init") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	for name, word := range map[string]string{"a-operator": "wrong wrong wrong", "nobody-of-us": password, "<b>": password} {
		if res, body := s.signIn(t, name, word, "/"); res.StatusCode != 401 || !strings.Contains(body, "The name or the password is wrong.") || s.session() != "" {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
	res, _ := s.signIn(t, " A-Operator ", password, "/failures?q=x")
	if set := res.Header.Get("Set-Cookie"); res.StatusCode != 303 || res.Header.Get("Location") != "/failures?q=x" || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Lax") || strings.Contains(set, "Secure") {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	first := s.session()
	if _, body := s.do(t, http.MethodGet, "/", nil); !strings.Contains(body, `data-role="operator"`) || !strings.Contains(body, "a-operator") || !strings.Contains(body, `action="/signout"`) {
		t.Error("the page does not say who is signed in")
	}
	if res, _ := s.signIn(t, "a-viewer", password, "//evil.example"); res.Header.Get("Location") != "/" || s.session() == first {
		t.Errorf("not rotated, or led away to %s", res.Header.Get("Location"))
	}
	if res, _ := ask(t, http.MethodGet, s.url+"/", "Cookie", cookieName+"="+first, "Accept", "*/*"); res.StatusCode != 401 {
		t.Errorf("the session before still counts: %d", res.StatusCode)
	}
	last := s.session()
	if res, _ := s.do(t, http.MethodPost, "/signout", url.Values{}); res.Header.Get("Location") != "/signin?left=1" || s.session() != "" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if res, _ := ask(t, http.MethodGet, s.url+"/", "Cookie", cookieName+"="+last, "Accept", "*/*"); res.StatusCode != 401 {
		t.Errorf("a session that was signed out still counts: %d", res.StatusCode)
	}
	if got := s.audit.words(); strings.Count(got, "sign-in refused") != 3 || !strings.Contains(got, "a-operator sign-in done, a-viewer sign-in done, a-viewer sign-out done") {
		t.Errorf("the audit says %s", got)
	}
}

func TestGuessingIsRefused(t *testing.T) {
	s := newSite(t, nil)
	for range 10 {
		s.signIn(t, "a-admin", "wrong wrong wrong", "/")
	}
	res, body := s.signIn(t, "a-admin", password, "/")
	if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "too many attempts") || s.session() != "" {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	if res, _ := s.signIn(t, "a-viewer", password, "/"); res.StatusCode != 303 {
		t.Errorf("another name suffers: %d", res.StatusCode)
	}
	if _, err := s.accounts.SignIn(t.Context(), netip.MustParseAddr("192.0.2.7"), "a-admin", password); err != nil {
		t.Errorf("who guesses keeps a person out who is elsewhere: %v", err)
	}
}

var shown = regexp.MustCompile(`id="made">([^<]+)<`)

// make makes a token on the page.
func (s *site) make(t *testing.T, kind, role string) (token, id string) {
	t.Helper()
	_, page := s.do(t, http.MethodGet, "/tokens", nil)
	form := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(page)
	if form == nil {
		t.Fatalf("no form: %s", page)
	}
	sent := url.Values{"form": {form[1]}, "name": {"a <" + kind + ">"}, "kind": {kind}, "role": {role}, "days": {"7"}}
	res, body := s.do(t, http.MethodPost, "/tokens", sent)
	m := shown.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("%d, no token: %s", res.StatusCode, body)
	}
	if res, again := s.do(t, http.MethodPost, "/tokens", sent); res.StatusCode != 409 || shown.MatchString(again) {
		t.Errorf("the same form again: %d", res.StatusCode)
	}
	return m[1], strings.Split(m[1], "_")[1]
}

func TestTokens(t *testing.T) {
	s := newSite(t, nil)
	s.signIn(t, "a-admin", password, "/")
	token, id := s.make(t, "api", "operator")
	if _, page := s.do(t, http.MethodGet, "/tokens", nil); strings.Contains(page, token) || !strings.Contains(page, id) || !strings.Contains(page, "a &lt;api&gt;") {
		t.Error("the page shows the token again, or does not list it")
	}
	for scheme, status := range map[string]int{"Bearer ": 200, "UserKey ": 200, "userkey ": 200, "Token ": 401, "": 401} {
		if res, _ := ask(t, http.MethodGet, s.url+"/", "Authorization", scheme+token); res.StatusCode != status {
			t.Errorf("%q: %d", scheme, res.StatusCode)
		}
	}
	if res, _ := ask(t, http.MethodPost, s.url+"/findings/accept", "Authorization", "Bearer "+token, "Origin", "https://elsewhere.example", "Accept", "application/json"); res.StatusCode == 401 || res.Header.Get("Content-Type") == "" {
		t.Errorf("a program that acts: %d", res.StatusCode)
	}
	if res, _ := ask(t, http.MethodGet, s.url+"/tokens", "Authorization", "Bearer "+token); res.StatusCode != 403 {
		t.Errorf("an operator's token lists tokens: %d", res.StatusCode)
	}
	if res, _ := ask(t, http.MethodGet, s.url+"/board?wall="+token, "Accept", "text/html"); res.StatusCode != 403 {
		t.Errorf("an API token opens a wall: %d", res.StatusCode)
	}
	streaming := open(t, s.url+"/stream", "Authorization", "Bearer "+token)
	if res, _ := s.do(t, http.MethodPost, "/tokens/"+id+"/revoke", url.Values{}); res.StatusCode != 303 {
		t.Fatal(res.StatusCode)
	}
	streaming.ends(t, time.Second)
	if res, _ := ask(t, http.MethodGet, s.url+"/", "Authorization", "Bearer "+token); res.StatusCode != 401 {
		t.Errorf("a revoked token: %d", res.StatusCode)
	}
	if res, _ := s.do(t, http.MethodPost, "/tokens/"+id+"/revoke", url.Values{}); res.StatusCode != 303 {
		t.Errorf("revoked again: %d", res.StatusCode)
	}
	if res, _ := s.do(t, http.MethodPost, "/tokens/0123456789ab/revoke", url.Values{}); res.StatusCode != 404 {
		t.Errorf("one that never was: %d", res.StatusCode)
	}
	if got := s.audit.words(); strings.Count(got, "token-revoke") != 1 {
		t.Errorf("the audit says %s", got)
	}
}

func TestAWallsTokenLeavesTheAddress(t *testing.T) {
	s := newSite(t, nil)
	s.signIn(t, "a-admin", password, "/")
	address, _ := s.make(t, "wall", "viewer")
	token := regexp.MustCompile(`tsw_[0-9a-f]+_[0-9a-f]+$`).FindString(address)
	if !strings.HasPrefix(address, s.url+"/board?wall=tsw_") || token == "" {
		t.Fatal(address)
	}
	if res, _ := ask(t, http.MethodGet, s.url+"/", "Authorization", "Bearer "+token); res.StatusCode != 401 {
		t.Errorf("a wall's token in the header: %d", res.StatusCode)
	}
	admin := s.session()
	if res, _ := s.do(t, http.MethodGet, "/board?wall="+token, nil); res.Header.Get("Location") != "/board" || s.session() != admin {
		t.Error("a link to a wall signs somebody out")
	}
	screen := &site{signedIn: s.signedIn, url: s.url, browser: newBrowser(t)}
	defer screen.browser.CloseIdleConnections()
	if res, _ := screen.do(t, http.MethodGet, "/board?wall="+token, nil); res.StatusCode != 303 || res.Header.Get("Location") != "/board" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	if res, body := screen.do(t, http.MethodGet, "/board", nil); res.StatusCode != 200 || strings.Contains(body, token) || !strings.Contains(body, `data-role="viewer"`) {
		t.Errorf("%d", res.StatusCode)
	}
	if res, _ := screen.do(t, http.MethodPost, "/findings/accept", url.Values{}); res.StatusCode != 403 {
		t.Errorf("a wall acts: %d", res.StatusCode)
	}
	streaming := open(t, s.url+"/board/stream", "Cookie", cookieName+"="+screen.session())
	s.do(t, http.MethodPost, "/tokens/"+strings.Split(token, "_")[1]+"/revoke", url.Values{})
	streaming.ends(t, time.Second)
	if res, body := screen.do(t, http.MethodGet, "/board?wall="+token, nil); res.StatusCode != 403 || !strings.Contains(body, "does not count any more") {
		t.Errorf("a revoked wall: %d", res.StatusCode)
	}
}

// streaming is an open stream.
type streaming struct{ ended chan struct{} }

func open(t *testing.T, url string, header ...string) *streaming {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableCompression: true}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(res.Body)
	if _, err := r.ReadString('\n'); err != nil || res.StatusCode != 200 {
		t.Fatal(res.StatusCode, err)
	}
	s := &streaming{make(chan struct{})}
	go func() { _, _ = io.Copy(io.Discard, r); _ = res.Body.Close(); tr.CloseIdleConnections(); close(s.ended) }()
	return s
}

func (s *streaming) ends(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(within):
		t.Errorf("a stream is open after %s", within)
	}
}

// A stream ends with the session: at once when this process ends that, and within seconds when another does.
func TestASessionThatEndsClosesItsStreams(t *testing.T) {
	s := newSite(t, nil)
	for what, end := range map[string]func(){
		"signed out": func() { s.do(t, http.MethodPost, "/signout", url.Values{}) },
		"replaced":   func() { s.signIn(t, "a-operator", password, "/") },
		"removed":    func() { _ = s.db.RemoveUser(t.Context(), "a-viewer") },
		"demoted": func() {
			u, err := s.db.User(t.Context(), "a-admin")
			if err != nil {
				t.Fatal(err)
			}
			u.Role = store.Viewer
			_ = s.db.ChangeUser(t.Context(), u)
		},
	} {
		name := map[string]string{"removed": "a-viewer", "demoted": "a-admin"}[what]
		if name == "" {
			name = "a-operator"
		}
		if res, _ := s.signIn(t, name, password, "/"); res.StatusCode != 303 {
			t.Fatal(what, res.StatusCode)
		}
		stream := open(t, s.url+"/stream", "Cookie", cookieName+"="+s.session())
		end()
		stream.ends(t, 5*time.Second)
	}
}

func TestCookiesBehindHTTPS(t *testing.T) {
	s := newSite(t, func(o *Options) { o.PublicURL = "https://board.example.com" })
	res, _ := s.signIn(t, "a-viewer", password, "/")
	if set := res.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-ts-session=") || !strings.Contains(set, "; Secure") || !strings.Contains(set, "Path=/") || strings.Contains(set, "Domain") {
		t.Error(set)
	}
}

func TestACertificateIsReadAnew(t *testing.T) { synctest.Test(t, readAnew) }

func readAnew(t *testing.T) {
	cert, key, _ := certificate(t)
	log := &logBuffer{}
	o := options(log)
	conf, err := tlsConfig(cert, key, o.Logger)
	if err != nil {
		t.Fatal(err)
	}
	c := func() string {
		pair, err := conf.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(pair.Certificate[0])
	}
	first := c()
	cert2, key2, _ := certificate(t)
	replace(t, cert, []byte("no certificate"))
	time.Sleep(tlsEvery)
	if c() != first || !strings.Contains(log.String(), "the one before is") {
		t.Error("a broken pair is used, or nothing is said")
	}
	for to, from := range map[string]string{cert: cert2, key: key2} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, to, b)
	}
	time.Sleep(tlsEvery)
	if c() == first {
		t.Error("the new pair is not used")
	}
}

func replace(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
