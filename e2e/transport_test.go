package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
)

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "trackside"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

// twelveTabs opens twelve pages in one browser context and checks that each loads, and follows a change.
func twelveTabs(t *testing.T, b *rig.Board, f fixture, opts playwright.BrowserNewContextOptions) {
	t.Helper()
	context, err := browser.NewContext(opts)
	must(t, err)
	t.Cleanup(func() { _ = context.Close() })
	paths := []string{"/", f.ref().Path(), "/board", "/?q=tabbed"}
	var tabs []*rig.Page
	for i := range 12 {
		page, err := context.NewPage()
		must(t, err)
		p := rig.Watch(t, page)
		t.Cleanup(func() { p.Check(t) })
		start := time.Now()
		visit(t, p, b.URL+paths[i%len(paths)])
		isLive(t, p)
		if took := time.Since(start); took > soon {
			t.Errorf("tab %d took %s to load", i+1, took)
		}
		mark(t, p)
		tabs = append(tabs, p)
	}
	for _, message := range []string{"once", "twice"} {
		start := time.Now()
		f.crash(t, message+" in all tabs")
		for i, p := range tabs {
			has(t, p.Locator("#page"), message+" in all tabs", max(time.Millisecond, soon-time.Since(start)))
			is(t, p.Locator("#conn i"), "live", soon)
			same(t, p)
			if i == len(tabs)-1 {
				t.Logf("%s: %d tabs follow after %.1f s", message, len(tabs), time.Since(start).Seconds())
			}
		}
	}
}

// Over HTTP/2 all tabs share one connection.
func TestTwelveTabsHTTP2(t *testing.T) {
	f := newRunner(t, cluster, "", "tabbed", "60s")
	cert, key := selfSigned(t)
	b := scoped(t, cluster, f.ns, "--tls-cert="+cert, "--tls-key="+key)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a certificate of our own
	resp, err := client.Get(b.URL + "/")
	must(t, err)
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("the board speaks %s over TLS", resp.Proto)
	}
	twelveTabs(t, b, f, playwright.BrowserNewContextOptions{IgnoreHttpsErrors: new(true)})
}

// Over HTTP/1.1 a browser opens six connections to a host, so only some of the tabs keep a stream and the others ask every two seconds.
func TestTwelveTabsHTTP1(t *testing.T) {
	f := newRunner(t, cluster, "", "tabbed", "60s")
	twelveTabs(t, scoped(t, cluster, f.ns), f, playwright.BrowserNewContextOptions{})
}

// No page asks anybody but the board, and every answer carries the policy that would keep it from doing so.
func TestNothingExternal(t *testing.T) {
	b := shared(t)
	var mu sync.Mutex
	var asked []string
	f := newRunner(t, cluster, "", "watched", "60s")
	for _, path := range []string{"/", "/board", f.ref().Path(), "/?health=unhealthy"} {
		p := browser.Page(t)
		p.OnRequest(func(r playwright.Request) { mu.Lock(); asked = append(asked, r.URL()); mu.Unlock() })
		visit(t, p, b.URL+path)
		isLive(t, p)
		must(t, expect.Locator(p.Locator("#page")).ToBeVisible())
	}
	home, err := url.Parse(b.URL)
	must(t, err)
	mu.Lock()
	defer mu.Unlock()
	if len(asked) < 12 {
		t.Errorf("only %d requests were seen", len(asked))
	}
	for _, a := range asked {
		if u, err := url.Parse(a); err != nil || u.Host != home.Host && u.Scheme != "data" {
			t.Errorf("a page asked for %s", a)
		}
		guarded(t, a)
	}
	for _, path := range []string{"/nothing/here", "/?health=ill", "/static/none.js", "/runners/a/b/c/d", "/icon.svg?n=2"} {
		guarded(t, b.URL+path)
	}
}

// guarded checks the headers of an answer.
func guarded(t *testing.T, address string) {
	t.Helper()
	client := http.Client{Timeout: soon}
	resp, err := client.Get(address)
	must(t, err)
	defer resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("%s is answered with the policy %q, without %s", address, policy, part)
		}
	}
	if strings.Contains(policy, "'unsafe-inline'") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s is answered with %v", address, resp.Header)
	}
}

// A site whose name was turned to point here must not read the board.
func TestForeignHost(t *testing.T) {
	b := shared(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/", nil)
	must(t, err)
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a foreign name is answered with %s", resp.Status)
	}
	if got := fmt.Sprint(resp.Header["Set-Cookie"]); got != "[]" {
		t.Errorf("it is given a cookie: %s", got)
	}
}

// A tab that nobody sees gives its stream back, and is right at once when it is seen again.
func TestHiddenTab(t *testing.T) {
	f := newRunner(t, cluster, "", "unseen", "60s")
	b := scoped(t, cluster, f.ns)
	p := openLive(t, b, "/")
	healthy(t, p, f)
	mark(t, p)
	viewers := func(n int) {
		t.Helper()
		rig.Eventually(t, soon, fmt.Sprintf("there are %d viewers", n), func() error {
			metrics, err := rig.Get(b.MetricsURL + "/metrics")
			if want := fmt.Sprintf("\ntrackside_viewers %d\n", n); err == nil && !strings.Contains(metrics, want) {
				err = fmt.Errorf("the metrics do not say%s", want)
			}
			return err
		})
	}
	show := func(state bool) {
		t.Helper()
		eval(t, p, `hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); document.dispatchEvent(new Event('visibilitychange')) }`, !state)
	}
	viewers(1)
	show(false)
	viewers(0)
	f.crash(t, "while nobody looked")
	show(true)
	has(t, f.row(p), "while nobody looked", soon)
	viewers(1)
	same(t, p)
}

// The listener for machines tells how the board does, and names no pod and no runner.
func TestMetrics(t *testing.T) {
	f := newRunner(t, cluster, "", "nameless", "60s")
	b := scoped(t, cluster, f.ns)
	p := openLive(t, b, f.ref().Path())
	f.crash(t, "counted")
	has(t, p.Locator(".head"), "counted", soon)
	for _, path := range []string{"/healthz", "/readyz"} {
		_, err := rig.Get(b.MetricsURL + path)
		must(t, err)
	}
	metrics, err := rig.Get(b.MetricsURL + "/metrics")
	must(t, err)
	if !strings.Contains(metrics, "\ntrackside_publish_seconds_count ") || strings.Contains(metrics, f.name) {
		t.Errorf("the metrics lack what they should tell, or name the runner:\n%s", metrics)
	}
	if _, err := rig.Get(b.URL + "/metrics"); err == nil {
		t.Error("the board itself answers /metrics")
	}
}
