package handlers

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers/internal/sse"
	"trackside/store"
)

// accepts is an Acceptances that keeps what it is given, and a History of versions.
type accepts struct {
	given   []store.Acceptance
	entries []store.Entry
	err     error
}

func (a *accepts) Accept(_ context.Context, x store.Acceptance) error {
	if err := x.Check(time.Now()); err != nil {
		return err
	}
	a.given = append(a.given, x)
	return a.err
}

func (a *accepts) Withdraw(_ context.Context, x store.Acceptance) error {
	n := len(a.given)
	a.given = slices.DeleteFunc(a.given, func(y store.Acceptance) bool { return x.Compare(y) == 0 })
	if a.err == nil && len(a.given) == n {
		return store.ErrNotFound
	}
	return a.err
}

// Enter and Entries make it an Audit.
func (a *accepts) Enter(_ context.Context, e store.Entry) (int64, error) {
	a.entries = append(a.entries, e)
	return int64(len(a.entries)), nil
}

func (a *accepts) Entries(context.Context, store.EntryFilter, int) ([]store.Entry, error) {
	return a.entries, nil
}

func (a *accepts) Transitions(context.Context, store.Ref, int) ([]store.Event, error) {
	return nil, nil
}

func (a *accepts) VersionsSince(context.Context) (map[store.PartRef]time.Time, error) {
	return map[store.PartRef]time.Time{}, a.err
}

// insightSite serves the pages of the whole fleet; without acceptances it is read only.
func insightSite(t *testing.T, w *world, a *accepts) string {
	t.Helper()
	o := Options{Live: w.live, Systems: []string{"kubiya", "agyn", "labelled"}, Log: slog.New(slog.DiscardHandler)}
	if a != nil {
		o.History, o.Acceptances, o.Audit = a, a, a
	}
	h := New(o)
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		for is, status := range map[error]int{store.ErrInvalid: 400, store.ErrForbidden: 403, store.ErrNotFound: 404, store.ErrConflict: 409, store.ErrUnavailable: 503} {
			if errors.Is(err, is) {
				_ = c.String(status, err.Error())
				return
			}
		}
		_ = c.String(500, err.Error())
	}
	for path, f := range map[string]echo.HandlerFunc{"/findings": h.Findings, "/findings/stream": h.FindingsStream, "/versions": h.Versions,
		"/versions/stream": h.VersionsStream, "/place": h.Place, "/place/stream": h.PlaceStream} {
		e.GET(path, f)
	}
	e.POST("/findings/accept", h.AcceptFinding)
	e.POST("/findings/withdraw", h.WithdrawAcceptance)
	srv := httptest.NewServer(e)
	t.Cleanup(func() { h.Close(); srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// found gives runner 4 of a world a finding.
func found(w *world) *store.Runner {
	r := w.runner(4, store.Healthy)
	r.Findings = []store.Finding{{Code: "privileged", Severity: store.Critical, Object: "deployment/x", Why: "It owns the node."}}
	return r
}

func TestInsightPages(t *testing.T) {
	w := newWorld(20)
	w.apply(store.Touched{Runners: []*store.Runner{found(w)}})
	url := insightSite(t, w, &accepts{err: errors.New("the disk is away")})
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/findings", 200, "It owns the node."}, {"/findings?severity=critical&namespace=team-04", 200, "g-privileged"}, {"/findings?severity=notice", 200, "Version behind"},
		{"/findings?severity=bad", 400, "critical, warning, notice"}, {"/findings?system=other", 400, "kubiya, agyn, labelled"}, {"/findings?q=%zz", 400, "cannot be read"},
		{"/findings/stream?severity=bad", 400, "critical"}, {"/versions", 200, "1.6.0"}, {"/versions", 200, "cannot be read just now"}, {"/place", 200, "Fill in"},
		{"/place?scope=cluster", 200, "It says nothing of its scope."}, {"/place?cpu=lots", 400, "500m"}, {"/place/stream?cpu=lots", 400, "500m"},
	} {
		if status, body, _ := get(t, url+c.path); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d, %q is missing in %.300s", c.path, status, c.want, body)
		}
	}
}

func TestVersionsWithTheirHistorySayNothingOfADisk(t *testing.T) {
	w := newWorld(20)
	if _, body, _ := get(t, insightSite(t, w, &accepts{})+"/versions"); strings.Contains(body, "cannot be read") {
		t.Error(body)
	}
}

func TestInsightStreamsFollowWhatTheyShow(t *testing.T) {
	w := newWorld(20)
	url := insightSite(t, w, nil)
	streams := map[string]*sse.Reader{}
	for path, text := range map[string]string{"/findings/stream": "Findings", "/versions/stream": "1.6.0", "/place/stream?scope=cluster": "says nothing of its scope"} {
		streams[path], _ = open(t, http.MethodGet, url+path)
		until(t, streams[path], text)
	}
	r := found(w)
	r.Components[0].Version, r.Components[0].Image = "9.8.7", "registry.example.com/agent-manager:9.8.7"
	r.Offer.Scope = store.Scope{Kind: store.ScopeCluster}
	w.apply(store.Touched{Runners: []*store.Runner{r}})
	until(t, streams["/findings/stream"], "It owns the node.")
	until(t, streams["/versions/stream"], "9.8.7")
	until(t, streams["/place/stream?scope=cluster"], "It offers all that was asked.")
	list := []store.Acceptance{{Ref: r.Ref, Code: "privileged", Object: "deployment/x", Note: "it builds images", Until: time.Now().Add(time.Hour)}}
	w.apply(store.Touched{Accepted: &list})
	until(t, streams["/findings/stream"], "it builds images")
	w.apply(store.Touched{Accepted: &[]store.Acceptance{}})
	if e := until(t, streams["/findings/stream"], "It owns the node."); strings.Contains(e.Args["elements"], "it builds images") {
		t.Error("still accepted")
	}
}

func post(t *testing.T, address string, form url.Values) (int, string, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b := make([]byte, 1000)
	n, _ := res.Body.Read(b)
	return res.StatusCode, string(b[:n]), res.Header.Get("Location")
}

func TestAcceptFinding(t *testing.T) {
	w := newWorld(20)
	r := found(w)
	w.apply(store.Touched{Runners: []*store.Runner{r}})
	a := &accepts{}
	address := insightSite(t, w, a) + "/findings/accept"
	form := func(key, value string) url.Values {
		v := url.Values{"cluster": {r.Ref.Cluster}, "system": {r.Ref.System}, "namespace": {r.Ref.Namespace}, "name": {r.Ref.Name}, "code": {"privileged"},
			"object": {"deployment/x"}, "note": {" it builds\nimages "}, "until": {time.Now().Add(48 * time.Hour).UTC().Format(time.DateOnly)}}
		if key != "" {
			v.Set(key, value)
		}
		return v
	}
	if status, body, to := post(t, address, form("", "")); status != http.StatusSeeOther || to != r.Ref.Path()+"#findings" {
		t.Fatalf("%d %s %s", status, body, to)
	}
	if status, body, _ := post(t, address, form("until", time.Now().Add(time.Minute).Format(time.RFC3339))); status != http.StatusSeeOther {
		t.Errorf("an instant: %d %s", status, body)
	}
	if len(a.given) != 2 || a.given[0].Note != "it builds images" || a.given[0].Ref != r.Ref {
		t.Errorf("%+v", a.given)
	}
	for _, c := range []struct {
		key, value string
		status     int
		want       string
	}{
		{"note", "", 400, "note"}, {"note", strings.Repeat("x", 501), 400, "500"}, {"until", "", 400, "day"}, {"until", "soon", 400, "soon"}, {"until", "2001-01-01", 400, "future"},
		{"until", "2999-01-01", 400, "within a year"}, {"name", "nobody", 404, "nobody"}, {"code", "image-latest", 409, "no finding image-latest"}, {"object", "deployment/y", 409, "no finding"},
	} {
		if status, body, _ := post(t, address, form(c.key, c.value)); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s=%.20s: %d %s", c.key, c.value, status, body)
		}
	}
	a.err = store.ErrUnavailable
	if status, _, _ := post(t, address, form("", "")); status != http.StatusServiceUnavailable {
		t.Errorf("a disk that is away: %d", status)
	}
	if status, body, _ := post(t, insightSite(t, w, nil)+"/findings/accept", form("", "")); status != http.StatusForbidden || !strings.Contains(body, "--read-only") {
		t.Errorf("read only: %d %s", status, body)
	}
}

func TestWithdrawAcceptance(t *testing.T) {
	w := newWorld(20)
	r := found(w)
	w.apply(store.Touched{Runners: []*store.Runner{r}})
	a := &accepts{}
	base := insightSite(t, w, a)
	form := url.Values{"cluster": {r.Ref.Cluster}, "system": {r.Ref.System}, "namespace": {r.Ref.Namespace}, "name": {r.Ref.Name}, "code": {"privileged"},
		"object": {"deployment/x"}, "note": {"it builds images"}, "until": {time.Now().Add(48 * time.Hour).UTC().Format(time.DateOnly)}}
	for field, of := range map[string]string{"object": "deployment/none", "code": "none", "name": "none"} {
		other := maps.Clone(form)
		other.Set(field, of)
		if status, body, _ := post(t, base+"/findings/withdraw", other); status != http.StatusNotFound {
			t.Errorf("%s of nothing: %d %s", field, status, body)
		}
	}
	if status, body, _ := post(t, base+"/findings/accept", form); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, body)
	}
	w.apply(store.Touched{Accepted: &a.given})
	if status, body, to := post(t, base+"/findings/withdraw", form); status != http.StatusSeeOther || to != r.Ref.Path()+"#findings" || len(a.given) != 0 {
		t.Errorf("%d %s %s; there hold %v", status, body, to, a.given)
	}
	if status, body, to := post(t, base+"/findings/withdraw", form); status != http.StatusSeeOther || to != r.Ref.Path()+"#findings" {
		t.Errorf("withdrawn again: %d %s %s", status, body, to)
	}
	if len(a.entries) != 2 || a.entries[0].Verb != "accept" || a.entries[1].Verb != "withdraw" || a.entries[1].Ref != r.Ref ||
		a.entries[1].Object != "privileged deployment/x" || a.entries[1].Note != "it builds images" || a.entries[1].Before != a.entries[0].After {
		t.Errorf("the audit says %+v", a.entries)
	}
	if status, body, _ := post(t, insightSite(t, w, nil)+"/findings/withdraw", form); status != http.StatusForbidden || !strings.Contains(body, "--read-only") {
		t.Errorf("read only: %d %s", status, body)
	}
}

func TestARunnersPageLearnsThatItIsBehind(t *testing.T) {
	w := newWorld(20)
	base := site(t, w, nil)
	r := w.runner(6, store.Healthy) // of the newest version there is
	stream, _ := open(t, http.MethodGet, base+r.Ref.Path()+"/stream")
	if e := until(t, stream, "agent-manager"); strings.Contains(e.Args["elements"], "Version behind") {
		t.Fatal("behind before anything is newer")
	}
	other := w.runner(0, store.Healthy)
	other.Components[0].Version = "2.0.0"
	w.apply(store.Touched{Runners: []*store.Runner{other}})
	until(t, stream, "Version behind")
}
