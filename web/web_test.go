package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"trackside/handlers"
	"trackside/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer is a log that a test may read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func someRunner() *store.Runner {
	return &store.Runner{Ref: store.Ref{Cluster: "eu", System: "kubiya", Namespace: "runners-eu", Name: "alpha"},
		Verdict: store.Verdict{Health: store.Healthy, Why: "All parts are ready."}}
}

func options(log io.Writer) Options {
	snap := store.NewSnapshot([]*store.Runner{someRunner()}, []store.Source{{Cluster: "eu", Name: "Kubernetes API", State: store.SourceLive, Heard: time.Now()}}, time.Now())
	return Options{Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", Live: store.NewLive(snap), Systems: []string{"kubiya"}, Version: "1.2.3",
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
}

// start runs a server until the test ends, or stop is called, which returns what Run did and how long it took.
func start(t *testing.T, o Options) (s *Server, stop func() (time.Duration, error)) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValues(func() (time.Duration, error) {
		begun := time.Now()
		cancel()
		err := <-ended
		return time.Since(begun), err
	})
	t.Cleanup(func() { _, _ = stop(); http.DefaultClient.CloseIdleConnections() })
	return s, stop
}

func ask(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res, string(b)
}

func TestEveryRouteHasTheHeadersAndRefusesWhatItCannotDo(t *testing.T) {
	s, _ := start(t, options(io.Discard))
	for path, status := range map[string]int{"/": 200, "/?health=sick": 400, "/runners/eu/kubiya/runners-eu/alpha": 200, "/runners/eu/kubiya/runners-eu/alpa": 404,
		"/board": 200, "/icon.svg": 200, "/static/nothing.js": 404, "/nowhere": 404, "/stream?reason=x": 400, "/healthz": 404, "/metrics": 404} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			res, body := ask(t, method, s.URL()+path)
			hd := res.Header
			if res.StatusCode != status {
				t.Errorf("%s %s: %d", method, path, res.StatusCode)
			}
			if hd.Get("Content-Security-Policy") != policy || hd.Get("X-Content-Type-Options") != "nosniff" || hd.Get("X-Request-Id") == "" || hd.Get("Cross-Origin-Opener-Policy") == "" {
				t.Errorf("%s %s: %v", method, path, hd)
			}
			if method == http.MethodHead && body != "" {
				t.Errorf("%s has a body", path)
			}
		}
	}
	for _, path := range []string{"/", "/stream", "/board", "/static/app.css"} {
		res, body := ask(t, http.MethodPost, s.URL()+path)
		if res.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(res.Header.Get("Allow"), "GET") || !strings.Contains(body, "does not take") {
			t.Errorf("POST %s: %d, Allow %q", path, res.StatusCode, res.Header.Get("Allow"))
		}
	}
	if res, _ := ask(t, http.MethodPost, s.URL()+"/", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's POST: %d", res.StatusCode)
	}
}

func TestHostsOfALoopbackBoard(t *testing.T) {
	o := options(io.Discard)
	o.PublicURL = "https://board.example.com:8443/"
	s, _ := start(t, o)
	_, port, _ := net.SplitHostPort(s.Addr())
	for host, status := range map[string]int{"localhost": 200, "LOCALHOST:" + port: 200, "127.0.0.1:" + port: 200, "[::1]:" + port: 200, "board.example.com": 200,
		"trackside.localhost": 200, "evil.example": 421, "localhost.evil.example": 421, "10.0.0.1": 421} {
		if res, body := ask(t, http.MethodGet, s.URL()+"/", "Host", host); res.StatusCode != status || status == 421 && !strings.Contains(body, "--public-url") {
			t.Errorf("%s: %d", host, res.StatusCode)
		}
	}
}

func TestErrors(t *testing.T) {
	he := echo.NewHTTPError(http.StatusNotFound, "Not Found")
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{fmt.Errorf("reading alpha: %w: there is no runner a/b/c/d; there is x", store.ErrNotFound), 404, "There is no runner a/b/c/d; there is x."},
		{&handlers.NoRunner{Err: fmt.Errorf("%w: no such", store.ErrNotFound)}, 404, "No such."},
		{fmt.Errorf("%w: health \"x\" is not one of a, b", store.ErrInvalid), 400, "Health \"x\" is not one of a, b."},
		{store.ErrConflict, 409, "It has changed meanwhile."},
		{fmt.Errorf("%w: Trackside's account may not patch deployments", store.ErrForbidden), 403, "Trackside's account may not patch deployments."},
		{fmt.Errorf("%w: the cluster does not answer", store.ErrUnavailable), 503, "The cluster does not answer."},
		{fmt.Errorf("wrapped: %w", he), 404, "There is no page at this address."},
		{echo.ErrMethodNotAllowed, 405, "This address does not take that method."},
		{fmt.Errorf("reading: %w", &http.MaxBytesError{Limit: 10}), 413, "A request may carry 10 bytes at most."},
		{errors.New("sql: secret detail"), 500, "Something failed inside Trackside; its log says what, beside the word WORD."},
		{fmt.Errorf("%w: boom", errPanic), 500, "Something failed inside Trackside; its log says what, beside the word WORD."},
		{context.Canceled, 499, "The client left."},
		{fmt.Errorf("%w: x\r\n\x00<script>\u202e", store.ErrInvalid), 400, "X <script>."},
	} {
		if p := problemOf(c.err, "WORD"); p.Status != c.status || p.Detail != c.text || p.Title == "" {
			t.Errorf("%v: %d %q", c.err, p.Status, p.Detail)
		}
	}
}

func TestAnErrorSpeaksTheClientsLanguage(t *testing.T) {
	s, _ := start(t, options(io.Discard))
	url := s.URL() + "/?health=sick"
	res, body := ask(t, http.MethodGet, url, "Accept", "text/html,application/xhtml+xml")
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || !strings.Contains(body, "healthy") {
		t.Errorf("a person: %v", res.Header)
	}
	res, body = ask(t, http.MethodGet, url, "Accept", "application/json")
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" || p.Status != 400 || p.Instance != res.Header.Get("X-Request-Id") {
		t.Errorf("a program: %v %s", err, body)
	}
	res, body = ask(t, http.MethodGet, url, "Accept", "text/event-stream, text/html, application/json", "Datastar-Request", "true")
	if res.StatusCode != 400 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") || strings.Contains(body, "<") {
		t.Errorf("the page's script: %v %s", res.Header, body)
	}
	_, body = ask(t, http.MethodGet, s.URL()+"/runners/eu/kubiya/runners-eu/alpa", "Accept", "text/html")
	if !strings.Contains(body, `href="/runners/eu/kubiya/runners-eu/alpha"`) {
		t.Error("no link to the near one")
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	log := &logBuffer{}
	rt := routing{log: slog.New(slog.NewTextHandler(log, nil)), metrics: newMetrics(nil, "x", store.NewLive(nil))}
	e := echo.New()
	e.HTTPErrorHandler = rt.answerError
	e.Pre(rt.identify, rt.record, rt.recoverPanic)
	e.GET("/", func(echo.Context) error { panic("secret detail") })
	req, _ := http.NewRequest(http.MethodGet, "/", nil)
	rec := newRecorder()
	e.ServeHTTP(rec, req)
	if rec.status != 500 || strings.Contains(rec.body.String(), "secret") || !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "level=ERROR msg=request") {
		t.Errorf("%d %s\n%s", rec.status, rec.body.String(), log)
	}
}

type recorder struct {
	hd     http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder                    { return &recorder{hd: http.Header{}} }
func (r *recorder) Header() http.Header         { return r.hd }
func (r *recorder) WriteHeader(n int)           { r.status = n }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

func TestMetricsHealthAndReadiness(t *testing.T) {
	o := options(io.Discard)
	ready := false
	o.Ready = func() bool { return ready }
	s, _ := start(t, o)
	ops := "http://" + s.MetricsAddr()
	if res, _ := ask(t, http.MethodGet, ops+"/healthz"); res.StatusCode != 200 {
		t.Errorf("healthz %d", res.StatusCode)
	}
	if res, body := ask(t, http.MethodGet, ops+"/readyz"); res.StatusCode != 503 || !strings.Contains(body, "no source") {
		t.Errorf("readyz %d %s", res.StatusCode, body)
	}
	ready = true
	if res, _ := ask(t, http.MethodGet, ops+"/readyz"); res.StatusCode != 200 {
		t.Errorf("readyz %d", res.StatusCode)
	}
	ask(t, http.MethodGet, s.URL()+"/runners/eu/kubiya/runners-eu/alpha")
	ask(t, http.MethodGet, s.URL()+"/nowhere/at/all")
	_, body := ask(t, http.MethodGet, ops+"/metrics")
	for _, want := range []string{`trackside_data_age_seconds{cluster="eu"}`, "trackside_viewers 0", "trackside_views 0", "trackside_stream_frames_total", "trackside_stream_bytes_total",
		"trackside_stream_dropped_total", `trackside_http_requests_total{class="2xx",route="/runners/:cluster/:system/:namespace/:name"} 1`,
		`class="4xx",route="none"`, `trackside_build_info{`, `version="1.2.3"`, "trackside_publish_to_frame_seconds_bucket", `trackside_runners{health="healthy"} 1`, "go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(body, "alpha") || strings.Contains(body, "nowhere") {
		t.Error("a name got into the labels")
	}
}

func TestTheEndTakesLessThanASecondWithFiftyStreams(t *testing.T) {
	log := &logBuffer{}
	s, stop := start(t, options(log))
	tr := &http.Transport{DisableCompression: true} // a gzip stream has no end of its own
	defer tr.CloseIdleConnections()
	var wg sync.WaitGroup
	for range 50 {
		res := stream(t, &http.Client{Transport: tr}, s.URL()+"/stream")
		wg.Go(func() {
			defer res.Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Errorf("a stream was cut instead of ended: %v", err)
			}
		})
	}
	stuck, err := net.Dial("tcp", s.Addr()) // and one connection that says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	took, err := stop()
	wg.Wait()
	if err != nil || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if n := strings.Count(log.String(), "level=INFO msg=request"); n > 0 {
		t.Errorf("%d streams were logged loudly", n)
	}
}

// stream opens a stream and reads the first line of it.
func stream(t *testing.T, c *http.Client, url string) *http.Response {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return res
}

func TestTwelveTabsOverHTTP2(t *testing.T) {
	o := options(io.Discard)
	var pool *x509.CertPool
	o.TLSCert, o.TLSKey, pool = certificate(t)
	s, stop := start(t, o)
	if !strings.HasPrefix(s.URL(), "https://") {
		t.Error(s.URL())
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, MaxConnsPerHost: 1}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	for range 12 {
		res := stream(t, c, s.URL()+"/stream")
		defer res.Body.Close()
		if res.ProtoMajor != 2 {
			t.Fatal(res.Proto)
		}
	}
	res, err := c.Get(s.URL() + "/")
	if err != nil || res.StatusCode != 200 || res.Header.Get("Set-Cookie") != "" {
		t.Fatalf("the page beside them: %v", err)
	}
	_ = res.Body.Close()
	if took, err := stop(); err != nil || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// certificate makes one for loopback.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

func TestWhatIsWrongWithTheOptionsIsSaidInASentence(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for want, change := range map[string]func(*Options){
		"another program listens on " + busy.Addr().String() + "; stop it, or choose another port with --listen": func(o *Options) { o.Listen = busy.Addr().String() },
		"choose another port with --metrics-listen":                                                              func(o *Options) { o.MetricsListen = busy.Addr().String() },
		"--insecure-no-auth":                   func(o *Options) { o.Listen = "0.0.0.0:0" },
		"such as 127.0.0.1:8080":               func(o *Options) { o.Listen = "nonsense" },
		"--tls-cert and --tls-key go together": func(o *Options) { o.TLSCert = "x" },
		"cannot use the certificate":           func(o *Options) { o.TLSCert, o.TLSKey = "x", "y" },
		"--public-url":                         func(o *Options) { o.PublicURL = "board" },
	} {
		o := options(io.Discard)
		change(&o)
		if s, err := New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			if err == nil {
				s.Close()
			}
			t.Errorf("%s: %v", want, err)
		}
	}
	o := options(io.Discard)
	o.Listen, o.InsecureNoAuth = "0.0.0.0:0", true
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
