package handlers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"trackside/handlers/internal/sse"
	"trackside/handlers/live"
	"trackside/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// history is a History made of a function.
type history func(ref store.Ref) ([]store.Event, error)

func (f history) Transitions(_ context.Context, ref store.Ref, _ int) ([]store.Event, error) {
	return f(ref)
}

// site serves the handlers on a real port.
func site(t testing.TB, w *world, past History) string {
	t.Helper()
	h := New(Options{Live: w.live, History: past, Systems: []string{"kubiya", "agyn", "labelled"}, Version: "1.2.3", Log: slog.New(slog.DiscardHandler)})
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status := http.StatusInternalServerError
		if errors.Is(err, store.ErrInvalid) {
			status = http.StatusBadRequest
		} else if errors.Is(err, store.ErrNotFound) || errors.Is(err, echo.ErrNotFound) {
			status = http.StatusNotFound
		}
		_ = c.String(status, err.Error())
	}
	const runner = "/runners/:cluster/:system/:namespace/:name"
	for path, f := range map[string]echo.HandlerFunc{"/": h.Fleet, "/stream": h.FleetStream, runner: h.Runner, runner + "/stream": h.RunnerStream,
		"/board": h.Board, "/board/stream": h.BoardStream, "/icon.svg": h.Icon} {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, f)
	}
	srv := httptest.NewServer(e)
	t.Cleanup(func() { h.Close(); srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// open reads a stream, or any answer.
func open(t testing.TB, method, url string, header ...string) (*sse.Reader, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableCompression: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = res.Body.Close(); tr.CloseIdleConnections() })
	return sse.NewReader(res.Body), res
}

func get(t testing.TB, url string, header ...string) (int, string, http.Header) {
	t.Helper()
	_, res := open(t, http.MethodGet, url, header...)
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func until(t testing.TB, r *sse.Reader, text string) sse.Event {
	t.Helper()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatalf("waiting for %q: %v", text, err)
		}
		if strings.Contains(e.Args["elements"]+e.Args["signals"], text) {
			return e
		}
	}
}

func TestPages(t *testing.T) {
	w := newWorld(20)
	url := site(t, w, nil)
	ref := w.runner(4, store.Healthy).Ref
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/", 200, ref.ID()},
		{"/?namespace=team-04", 200, ref.ID()},
		{"/?namespace=nobody", 200, `id="rows"`},
		{"/?health=sick", 400, "unhealthy, degraded, unknown, healthy"},
		{"/stream?health=sick", 400, "unhealthy, degraded, unknown, healthy"},
		{"/?reason=bad", 400, "image_pull_failed"},
		{"/?system=other", 400, "kubiya, agyn, labelled"},
		{"/?q=%zz", 400, "cannot be read"},
		{ref.Path(), 200, "agent-manager"},
		{"/runners/eu/kubiya/team-04/runner-0005", 404, "runner-0004"},
		{"/board", 200, "page"},
		{"/icon.svg?n=3&h=unhealthy", 200, "<svg"},
		{"/icon.svg?n=x&h=%00", 200, "<svg"},
	} {
		status, body, hd := get(t, url+c.path)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d, %q is missing in %.300s", c.path, status, c.want, body)
		}
		if status == 200 && strings.HasPrefix(hd.Get("Content-Type"), "text/html") && hd.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached: %q", c.path, hd.Get("Cache-Control"))
		}
		_, res := open(t, http.MethodHead, url+c.path)
		if b, _ := io.ReadAll(res.Body); len(b) > 0 || res.StatusCode != c.status {
			t.Errorf("HEAD %s: %d and %d bytes", c.path, res.StatusCode, len(b))
		}
	}
}

func TestHeadOfAStreamEnds(t *testing.T) {
	url := site(t, newWorld(1), nil)
	if _, res := open(t, http.MethodHead, url+"/stream"); res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

func TestPagesAreCompressedAsAsked(t *testing.T) {
	w := newWorld(500)
	url := site(t, w, nil)
	_, plain, _ := get(t, url+"/")
	for _, e := range []live.Encoding{live.Gzip, live.Zstd} {
		_, body, hd := get(t, url+"/", "Accept-Encoding", e.String())
		if hd.Get("Content-Encoding") != e.String() || !strings.Contains(hd.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: %v", e, hd)
		}
		if len(body) > 60<<10 {
			t.Errorf("%s: the first page of 500 runners takes %d bytes of %d", e, len(body), len(plain))
		}
		t.Logf("%s: %d bytes of %d", e, len(body), len(plain))
	}
}

// Names may hold whatever the address can carry; a slash in one is escaped, and is no border between two parts.
func TestHostilePathsFindTheirRunner(t *testing.T) {
	for _, ref := range []store.Ref{
		{Cluster: "gke/eu-1", System: "kubiya", Namespace: "a b", Name: "x%2Fy"},
		{Cluster: "c:d", System: "kubiya", Namespace: "", Name: "stream"},
		{Cluster: "%", System: "kubiya", Namespace: "é☃", Name: `"><script>alert(1)</script>`},
		{Cluster: "?#", System: "kubiya", Namespace: "..", Name: "a;b&c=d+e"},
	} {
		w := newWorld(1)
		r := w.runner(0, store.Healthy)
		r.Ref = ref
		w.apply(store.Touched{Runners: []*store.Runner{r}})
		url := site(t, w, nil)
		status, body, _ := get(t, url+ref.Path())
		if status != 200 || strings.Contains(body, "<script>alert") {
			t.Errorf("%s: %d %.200s", ref.Path(), status, body)
		}
		s, _ := open(t, http.MethodGet, url+ref.Path()+"/stream")
		until(t, s, "agent-manager")
	}
	url := site(t, newWorld(1), nil)
	for _, path := range []string{"/runners/a/b/c", "/runners/a/b/c/d/e", "/runners///x/y", "/runners/a/b/c/d%2", "/runners/%2F/%2F/%2F/%2F/stream/x"} {
		req, _ := http.NewRequest(http.MethodGet, url, nil)
		req.URL.Opaque = path
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // the client itself refuses
		}
		_ = res.Body.Close()
		if res.StatusCode != 404 && res.StatusCode != 400 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestARunnersStreamFollowsIt(t *testing.T) {
	w := newWorld(20)
	past := history(func(store.Ref) ([]store.Event, error) {
		return []store.Event{{At: epoch, Kind: store.EventVersion, From: "0.8.1", To: "0.8.2"}}, nil
	})
	url := site(t, w, past)
	ref := w.runner(4, store.Healthy).Ref
	s, _ := open(t, http.MethodGet, url+ref.Path()+"/stream?datastar=%7B%7D")
	until(t, s, "0.8.2")
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(5, store.Unhealthy)}}) // another's
	if e := until(t, s, "n-unhealthy"); strings.Contains(e.Args["elements"], `id="page"`) {
		t.Error("another runner's change sent the page")
	}
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(4, store.Unhealthy)}})
	until(t, s, "cannot pull its image")
	w.apply(store.Touched{Gone: []store.Ref{ref}})
	until(t, s, "no longer there")
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(4, store.Healthy)}})
	until(t, s, "All parts are ready.")
}

func TestARunnerThatIsGoneKeepsItsPage(t *testing.T) {
	w := newWorld(2)
	past := history(func(ref store.Ref) ([]store.Event, error) {
		if ref.Name != "late" {
			return nil, nil
		}
		return []store.Event{{At: epoch, Kind: store.EventRemoved, Ref: ref}}, nil
	})
	url := site(t, w, past)
	if status, body, _ := get(t, url+"/runners/eu/kubiya/a/late"); status != 404 || !strings.Contains(body, `id="page"`) {
		t.Errorf("%d %.200s", status, body)
	}
}

func TestHistoryThatFailsDoesNotFailThePage(t *testing.T) {
	w := newWorld(5)
	past := history(func(store.Ref) ([]store.Event, error) { return nil, errors.New("disk gone") })
	url := site(t, w, past)
	ref := w.runner(4, store.Healthy).Ref
	if status, body, _ := get(t, url+ref.Path()); status != 200 || strings.Contains(body, "disk gone") {
		t.Errorf("%d", status)
	}
	s, _ := open(t, http.MethodGet, url+ref.Path()+"/stream")
	until(t, s, "agent-manager")
}

func TestTheBoardFollowsTheFleet(t *testing.T) {
	w := newWorld(5)
	s, _ := open(t, http.MethodGet, site(t, w, nil)+"/board/stream")
	until(t, s, "runner-0003")
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(3, store.Unhealthy)}})
	until(t, s, "cannot pull")
}

func TestOneWatcherOfAFilterSeesWhatEntersAndLeaves(t *testing.T) {
	w := newWorld(5)
	s, _ := open(t, http.MethodGet, site(t, w, nil)+"/stream?health=unhealthy")
	table := &sse.Table{}
	table.Apply(until(t, s, `id="page"`))
	for _, h := range []store.Health{store.Unhealthy, store.Degraded, store.Unhealthy, store.Healthy} {
		w.apply(store.Touched{Runners: []*store.Runner{w.runner(3, h)}})
		want := 0
		if h == store.Unhealthy {
			want = 1
		}
		for {
			e, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == "datastar-patch-elements" {
				table.Apply(e)
			}
			if len(table.IDs) == want && strings.Contains(e.Args["elements"], `id="shown"`) {
				break
			}
		}
	}
}

func TestBrowsersAreToldApartOnHTTP1Only(t *testing.T) {
	url := site(t, newWorld(1), nil)
	_, _, hd := get(t, url+"/")
	c, err := http.ParseSetCookie(hd.Get("Set-Cookie"))
	if err != nil || c.Name != browserCookie || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || len(c.Value) < 20 {
		t.Fatalf("%+v %v", c, err)
	}
	if _, _, hd := get(t, url+"/", "Cookie", c.Name+"="+c.Value); hd.Get("Set-Cookie") != "" {
		t.Error("a browser that has its word got another")
	}
	for range live.PerBrowser {
		s, _ := open(t, http.MethodGet, url+"/stream", "Cookie", c.Name+"="+c.Value)
		until(t, s, `"_mode":"live"`)
	}
	s, _ := open(t, http.MethodGet, url+"/stream", "Cookie", c.Name+"="+c.Value)
	until(t, s, `"_mode":"poll"`)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(c)
	if r.ProtoMajor = 2; browserOf(r) != "" {
		t.Error("HTTP/2 needs no share")
	}
}

// A pod's message with a bare CR must not become an event of its own.
func TestAMessageCannotForgeAnEvent(t *testing.T) {
	w := newWorld(5)
	s, _ := open(t, http.MethodGet, site(t, w, nil)+"/stream")
	until(t, s, `"_hb"`)
	r := w.runner(3, store.Unhealthy)
	r.Why = "x\r\revent: datastar-patch-signals\rdata: signals {PWN: 1}\r\r\u2028y"
	w.apply(store.Touched{Runners: []*store.Runner{r}})
	for {
		e, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.Args["signals"], "PWN") {
			t.Fatalf("forged: %+v", e)
		}
		if strings.Contains(e.Args["elements"], "PWN") {
			break
		}
	}
}
