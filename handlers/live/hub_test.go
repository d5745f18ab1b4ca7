package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"trackside/handlers/internal/sse"
	"trackside/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is a page that shows the revision and notes what it was asked.
type page struct {
	key  string
	size int
	next func(*Step) Patch
	full func(*store.Snapshot) ([]byte, error)
}

func (p *page) Key() string           { return p.key }
func (p *page) Start(*store.Snapshot) {}
func (p *page) Next(st *Step) Patch {
	if p.next != nil {
		return p.next(st)
	}
	return Patch{Events: AppendElements(nil, fmt.Appendf(nil, `<p id="rev">%d</p>%s`, st.After.Rev, strings.Repeat("x", p.size)))}
}

func (p *page) Full(s *store.Snapshot) ([]byte, error) {
	if p.full != nil {
		return p.full(s)
	}
	return AppendElements(nil, fmt.Appendf(nil, `<div id="page">%d</div>%s`, s.Rev, strings.Repeat("x", p.size))), nil
}

// feed publishes.
type feed struct {
	live *store.Live
	cur  *store.Snapshot
}

func newFeed() *feed {
	s := store.NewSnapshot(nil, []store.Source{{Cluster: "eu", State: store.SourceLive}}, time.Now())
	l := store.NewLive(s)
	l.Hear("eu", time.Now())
	return &feed{l, s}
}

func (f *feed) publish() {
	next := *f.cur
	next.Rev, next.At = f.cur.Rev+1, time.Now()
	f.cur = &next
	f.live.Publish(store.Update{Snapshot: &next})
}

var quiet = slog.New(slog.DiscardHandler)

func newHub(t *testing.T, l *store.Live, o Options) *Hub {
	t.Helper()
	o.Log = quiet
	h := NewHub(l, o)
	t.Cleanup(h.Close)
	return h
}

// serve serves one page on a real port.
func serve(t *testing.T, h *Hub, pageOf func(*http.Request) Page) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.Serve(w, r, pageOf(r), r.Header.Get("X-Browser")); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(func() { h.Close(); srv.CloseClientConnections(); srv.Close() })
	return srv
}

func onePage(*http.Request) Page { return &page{key: "one"} }

// open opens a stream; cancel leaves it.
func open(t *testing.T, url string, header ...string) (*sse.Reader, *http.Response, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableCompression: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = res.Body.Close(); tr.CloseIdleConnections() })
	return sse.NewReader(res.Body), res, cancel
}

// until reads events until one of its elements or signals holds a text.
func until(t *testing.T, r *sse.Reader, text string) sse.Event {
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

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestAStreamBeginsWithTheWholePageAndGoesOnWithChanges(t *testing.T) {
	f := newFeed()
	srv := serve(t, newHub(t, f.live, Options{}), onePage)
	r, res, _ := open(t, srv.URL)
	if ct, cc := res.Header.Get("Content-Type"), res.Header.Get("Cache-Control"); ct != "text/event-stream" || !strings.Contains(cc, "no-transform") {
		t.Errorf("headers: %q, %q", ct, cc)
	}
	first, err := r.Next()
	if err != nil || !strings.Contains(first.Args["elements"], `id="page">1<`) {
		t.Fatalf("first event: %+v %v", first, err)
	}
	if first.Retry == "" || first.ID == nil || *first.ID != "" {
		t.Errorf("the first event has retry %q and id %v", first.Retry, first.ID)
	}
	until(t, r, `"_mode":"live"`)
	beat := until(t, r, `"_hb"`)
	if s := beat.Args["signals"]; !strings.Contains(s, `"_stale":false`) {
		t.Errorf("beat %s", s)
	}
	for rev := 2; rev < 20; rev++ {
		f.publish()
		until(t, r, fmt.Sprintf(`<p id="rev">%d<`, rev))
	}
}

func TestTheServersWriteTimeoutDoesNotEndAStream(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = h.Serve(w, r, onePage(r), "") }))
	srv.Config.WriteTimeout = 200 * time.Millisecond
	srv.Start()
	t.Cleanup(func() { h.Close(); srv.CloseClientConnections(); srv.Close() })
	r, _, _ := open(t, srv.URL)
	for rev := 2; rev < 8; rev++ {
		time.Sleep(100 * time.Millisecond)
		f.publish()
		until(t, r, fmt.Sprintf(`<p id="rev">%d<`, rev))
	}
}

func TestLeavingFreesTheViewerAndThenTheView(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{Linger: 50 * time.Millisecond})
	srv := serve(t, h, onePage)
	var leave []func()
	for range 20 {
		r, _, cancel := open(t, srv.URL)
		until(t, r, "_hb")
		leave = append(leave, cancel)
	}
	if s := h.Stats(); s.Viewers != 20 || s.Views != 1 {
		t.Fatalf("%+v", s)
	}
	for _, l := range leave {
		l()
	}
	eventually(t, "no viewer left", func() bool { return h.Stats().Viewers == 0 })
	eventually(t, "no view left", func() bool { return h.Stats().Views == 0 })
}

func TestAGapIsAnsweredWithOneWholePage(t *testing.T) {
	f := newFeed()
	srv := serve(t, newHub(t, f.live, Options{}), onePage)
	r, _, _ := open(t, srv.URL)
	until(t, r, "_hb")
	far := *f.cur
	far.Rev += 100 // nobody can know what was in between
	f.cur = &far
	f.publish()
	until(t, r, `<div id="page">102<`)
	f.publish()
	until(t, r, `<p id="rev">103<`)
}

func TestAStuckClientIsCutOffAndHoldsNobodyUp(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{WriteTimeout: time.Second, Beat: 100 * time.Millisecond})
	srv := serve(t, h, func(*http.Request) Page { return &page{key: "big", size: 256 << 10} })
	stuck, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	fmt.Fprintf(stuck, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	r, _, _ := open(t, srv.URL)
	until(t, r, "_hb")
	eventually(t, "two viewers", func() bool { return h.Stats().Viewers == 2 })
	for range 60 {
		start := time.Now()
		f.publish()
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Fatalf("a publication took %v", took)
		}
		until(t, r, fmt.Sprintf(`>%d<`, f.cur.Rev))
	}
	eventually(t, "the stuck client dropped", func() bool { s := h.Stats(); return s.Viewers == 1 && s.Dropped == 1 })
}

func TestWhoFallsBehindGetsOneWholePage(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{Queue: 4, Beat: time.Hour})
	x, err := h.join(&page{key: "one"}, Identity, "")
	if err != nil {
		t.Fatal(err)
	}
	defer h.leave(x)
	rec := httptest.NewRecorder()
	x.w, x.rc = rec, http.NewResponseController(rec)
	publish := func() {
		f.publish()
		eventually(t, "the step", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.snap.Load() == f.cur })
	}
	for range 10 {
		publish()
	}
	if n := len(x.queue); n != 1 || h.Stats().Lagged != 1 {
		t.Fatalf("%d in the queue, %+v", n, h.Stats())
	}
	if err := x.drain(<-x.queue); err != nil {
		t.Fatal(err)
	}
	if got := rec.Body.String(); strings.Count(got, "event:") != 1 || !strings.Contains(got, `<div id="page">11<`) {
		t.Errorf("%s", got)
	}
	publish()
	if err := x.drain(<-x.queue); err != nil || !strings.Contains(rec.Body.String(), `<p id="rev">12<`) {
		t.Errorf("%v %s", err, rec.Body)
	}
}

func TestCloseEndsFiftyStreamsAtOnce(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{})
	srv := serve(t, h, onePage)
	var wg sync.WaitGroup
	for range 50 {
		r, _, _ := open(t, srv.URL)
		until(t, r, "_hb")
		wg.Go(func() {
			for {
				if _, err := r.Next(); err != nil {
					return
				}
			}
		})
	}
	start := time.Now()
	h.Close()
	wg.Wait()
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if err := h.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), onePage(nil), ""); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("after the end: %v", err)
	}
}

func TestABrowserOnHTTP1KeepsFourStreamsAndPollsWithTheRest(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{})
	srv := serve(t, h, onePage)
	var leave context.CancelFunc
	for range PerBrowser {
		r, _, cancel := open(t, srv.URL, "X-Browser", "b")
		until(t, r, `"_mode":"live"`)
		leave = cancel
	}
	r, res, _ := open(t, srv.URL, "X-Browser", "b")
	first, _ := r.Next()
	if first.Retry != "2000" || first.ID == nil || !strings.Contains(first.Args["elements"], "page") {
		t.Fatalf("a poll begins with %+v", first)
	}
	until(t, r, `"_mode":"poll"`)
	until(t, r, "_hb")
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("a poll goes on with %q, %v", rest, err)
	}
	again, _, _ := open(t, srv.URL, "X-Browser", "b", "Last-Event-ID", *first.ID)
	if e, _ := again.Next(); strings.Contains(e.Args["elements"], "page") || !strings.Contains(e.Args["signals"], "poll") {
		t.Errorf("a poll with nothing new begins with %+v", e)
	}
	other, _, _ := open(t, srv.URL, "X-Browser", "another")
	until(t, other, `"_mode":"live"`)
	leave()
	eventually(t, "a place", func() bool { return h.Stats().Viewers == PerBrowser })
	r, _, _ = open(t, srv.URL, "X-Browser", "b", "Last-Event-ID", *first.ID)
	if e, _ := r.Next(); !strings.Contains(e.Args["elements"], "page") || e.ID == nil || *e.ID != "" {
		t.Errorf("the freed place begins with %+v", e)
	}
	until(t, r, `"_mode":"live"`)
}

func TestViewsAreCappedAndIdleOnesMakeRoom(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{Views: 2, Linger: time.Hour})
	srv := serve(t, h, func(r *http.Request) Page { return &page{key: r.URL.Path} })
	ra, _, leaveA := open(t, srv.URL+"/a")
	until(t, ra, "_hb")
	rb, _, _ := open(t, srv.URL+"/b")
	until(t, rb, "_hb")
	_, res, _ := open(t, srv.URL+"/c")
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "2 different views") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	leaveA()
	eventually(t, "an idle view", func() bool { return h.Stats().Idle == 1 })
	rc, _, _ := open(t, srv.URL+"/c")
	until(t, rc, "_hb")
	if s := h.Stats(); s.Views != 2 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAPanickingPageHarmsNoOther(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{})
	srv := serve(t, h, func(r *http.Request) Page {
		if r.URL.Path == "/bad" {
			return &page{key: "bad", next: func(*Step) Patch { panic("broken object") }}
		}
		return &page{key: "good"}
	})
	bad, _, _ := open(t, srv.URL+"/bad")
	until(t, bad, "_hb")
	good, _, _ := open(t, srv.URL+"/good")
	until(t, good, "_hb")
	f.publish()
	until(t, good, `<p id="rev">2<`)
	until(t, bad, `<div id="page">2<`)
}

func TestAPageThatCannotBeRenderedEndsItsStream(t *testing.T) {
	f := newFeed()
	h := newHub(t, f.live, Options{})
	srv := serve(t, h, func(*http.Request) Page {
		return &page{key: "bad", full: func(*store.Snapshot) ([]byte, error) { return nil, io.ErrUnexpectedEOF }}
	})
	_, res, _ := open(t, srv.URL)
	if b, err := io.ReadAll(res.Body); err != nil || strings.Contains(string(b), "elements") {
		t.Errorf("%q %v", b, err)
	}
}
