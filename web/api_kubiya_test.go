package web

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/e2e/kubiyaclient"
	"trackside/handlers/api"
	"trackside/poller/kubiya"
	"trackside/store"
)

func (w *world) client() kubiyaclient.Client {
	return kubiyaclient.Client{Base: w.s.URL(), Key: "secret"}
}

func TestKubiyaClientLists(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	runners, err := w.client().List(t.Context())
	if err != nil || len(runners) != 6 {
		t.Fatalf("%d runners, %v", len(runners), err)
	}
	by := map[string]kubiyaclient.Runner{}
	for _, r := range runners {
		by[r.Name] = r
	}
	good, bad := by["eu/kubiya/runners-eu/alpha"], by["eu/kubiya/runners-us/alpha"]
	if good.Score() != 100 || good.Generation() != "v2" || good.Place() != "runners-eu" || good.RunnerType != "kubiya" || good.ToolManagerHealth.Version != "0.5.1" {
		t.Errorf("the healthy one is %+v", good)
	}
	if bad.Score() != 0 || bad.RunnerHealth.Status != "unhealthy" || !strings.Contains(bad.RunnerHealth.Error, "restarted 5 times") || !bad.AgentManagerHealth.OK() {
		t.Errorf("the unhealthy one is %+v", bad)
	}
	if x := by["k8s-runner"]; x.RunnerHealth.OK() || x.RunnerType != "agyn" || x.ToolManagerHealth.OK() || x.Score() != 0 {
		t.Errorf("agyn's is %+v", x)
	}
	if x := by["standby"]; x.RunnerHealth.OK() || x.Status != "disabled" {
		t.Errorf("the one out of service is %+v", x)
	}
	if x := by[`=HYPERLINK("http://x")`]; x.Generation() != "v1" || x.Place() != "unknown" {
		t.Errorf("the one without a namespace is %+v", x)
	}
	if x := by["runner-0"]; x.RunnerHealth.OK() || x.RunnerHealth.Status != "unknown" || !strings.Contains(x.RunnerHealth.Error, "does not answer") {
		t.Errorf("the one of a dead cluster is %+v", x)
	}
	older, err := w.client().Older(t.Context())
	if err != nil || len(older) != 6 || older["k8s-runner"].Status != "degraded" {
		t.Errorf("the older list: %+v, %v", older, err)
	}
}

func TestKubiyaClientAsksForHealth(t *testing.T) {
	w := newWorld(t, assorted()[:4]).serve()
	all, err := w.client().Healths(t.Context())
	if err != nil || len(all) != 4 {
		t.Fatalf("%+v, %v", all, err)
	}
	bad := all["eu/kubiya/runners-us/alpha"]
	if bad.Health != "false" || bad.Status != "unhealthy" || len(bad.Checks) != 2 || bad.Checks[0].Status != "ok" || bad.Checks[1].Error != "It is unhealthy." || bad.Checks[1].Metadata.Release != "0.5.1" {
		t.Errorf("the unhealthy one: %+v", bad)
	}
	if h := all["eu/kubiya/runners-eu/alpha"]; h.Health != "true" || h.Status != "ok" {
		t.Errorf("the healthy one: %+v", h)
	}
	if _, err := time.Parse(time.RFC3339, bad.Time); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"k8s-runner": "k8s-runner", "eu/kubiya/runners-us/alpha": "alpha"} {
		if r, err := w.client().Describe(t.Context(), name); err != nil || r.Name != want {
			t.Errorf("%s is described as %+v, %v", name, r, err)
		}
	}
	one := get[kubiyaclient.Runner](t, w, "/api/v3/runners/alpha/describe?namespace=runners-us")
	if one.Name != "alpha" || one.Namespace != "runners-us" {
		t.Errorf("chosen by namespace: %+v", one)
	}
	if one = get[kubiyaclient.Runner](t, w, "/api/v3/runners/eu%2Fkubiya%2Frunners-eu%2Falpha/describe"); one.Namespace != "runners-eu" {
		t.Errorf("chosen in full: %+v", one)
	}
}

func TestKubiyaClientGetsALinkAndDeletes(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	c := w.client()
	if u, err := c.Manifest(t.Context(), "k8s-runner"); err != nil || u != "https://board.example/m/k8s-runner?by=anonymous" {
		t.Errorf("%s, %v", u, err)
	}
	if _, err := c.GetManifest(t.Context(), "k8s-runner"); status(err) != http.StatusForbidden {
		t.Errorf("a link by GET without a token: %v", err)
	}
	for range 5 {
		if err := c.Delete(t.Context(), "eu/kubiya/runners-us/alpha"); err != nil {
			t.Fatal(err)
		}
	}
	a := w.acts.last
	if a.Verb != store.VerbDelete || a.Confirm != "alpha" || a.Ref.Namespace != "runners-us" || a.Incarnation != "uid-alpha" || a.By.Name != "anonymous" || len(w.acts.done) != 1 {
		t.Errorf("asked for %+v, done %d times", a, len(w.acts.done))
	}
}

// status is what an answer was refused with; 0 when it was not.
func status(err error) int {
	if r, ok := errors.AsType[*kubiyaclient.Refused](err); ok {
		return r.Status
	}
	return 0
}

func TestKubiyaClientIsToldWhatIsWrong(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	c := w.client()
	for name, want := range map[string]struct {
		status int
		word   string
	}{
		"alpa": {404, "alpha"}, "alpha": {409, "eu/kubiya/runners-us/alpha"}, "eu/kubiya/nowhere/alpha": {404, "there is"}, "..": {404, ""}, "a%2": {404, ""}, "%00": {404, ""},
	} {
		_, health := c.Health(t.Context(), name)
		_, link := c.Manifest(t.Context(), name)
		for call, err := range map[string]error{"health": health, "manifest": link, "delete": c.Delete(t.Context(), name)} {
			r, ok := errors.AsType[*kubiyaclient.Refused](err)
			if ok && strings.TrimSpace(r.Message) == "" {
				t.Errorf("%s of %q: a blank error: %s", call, name, r.Body)
			}
			if name == "alpa" || name == "alpha" || strings.Contains(name, "nowhere") {
				if !ok || r.Status != want.status || !strings.Contains(r.Message, want.word) {
					t.Errorf("%s of %q: %v", call, name, err)
				}
			} else if err == nil {
				t.Errorf("%s of %q was answered", call, name)
			}
		}
	}
	if len(w.acts.done) != 0 {
		t.Errorf("something was deleted: %+v", w.acts.last)
	}
	var p api.Problem
	_, body := ask(t, "GET", w.s.URL()+"/api/v3/runners/alpha/health")
	if json.Unmarshal([]byte(body), &p) != nil || p.Runner != "alpha" || !slices.Equal(p.Near, []string{"eu/kubiya/runners-eu/alpha", "eu/kubiya/runners-us/alpha"}) {
		t.Errorf("the choices: %s", body)
	}
}

func TestKubiyaClientOfAnEmptyBoard(t *testing.T) {
	w := newWorld(t, nil).serve()
	runners, err := w.client().List(t.Context())
	if err != nil || runners == nil || len(runners) != 0 {
		t.Errorf("an empty fleet: %v, %v", runners, err)
	}
	if _, err := w.client().Health(t.Context(), "alpha"); status(err) != 404 || !strings.Contains(err.Error(), "no runner at all") {
		t.Errorf("%v", err)
	}
	_, _ = w.stop()
	if _, err := w.client().List(t.Context()); err == nil {
		t.Error("a board that is gone answered")
	}
}

func TestKubiyaClientOfABoardThatChangesNothing(t *testing.T) {
	w := newWorld(t, assorted()).serve(func(o *Options) { o.Actions, o.Links, o.Audit = nil, nil, nil })
	if err := w.client().Delete(t.Context(), "k8s-runner"); status(err) != 403 || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("%v", err)
	}
	if _, err := w.client().Manifest(t.Context(), "k8s-runner"); status(err) != 403 || !strings.Contains(err.Error(), "no manifests") {
		t.Errorf("%v", err)
	}
	if a := get[api.Audit](t, w, "/audit.json"); len(a.Entries) != 0 {
		t.Errorf("%+v", a)
	}
}

// TestTracksideReadsTrackside points the board's own reader of Kubiya's API at the board.
func TestTracksideReadsTrackside(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	s, err := kubiya.New(kubiya.Config{URL: w.s.URL(), Transport: &http.Transport{DisableKeepAlives: true}, Heard: func(string, time.Time) {}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	said := map[string]store.Testimony{}
	go func() { done <- s.Run(t.Context()) }()
	var source store.Source
	for complete := 0; complete < 6; {
		<-s.Wake()
		touched := s.Observe(&store.Snapshot{}, nil, time.Now())
		for _, x := range touched.Said {
			if x.Problem != nil {
				t.Errorf("%s: %+v", x.Runner, x.Problem)
			}
			said[x.Runner] = x
		}
		for _, x := range touched.Sources {
			source = x
		}
		complete = 0
		for _, x := range said {
			if !x.Heard.IsZero() {
				complete++
			}
		}
	}
	if source.Problem != "" || len(source.Limits) != 0 {
		t.Errorf("the source: %+v", source)
	}
	for name, want := range map[string]store.Health{"eu/kubiya/runners-eu/alpha": store.Healthy, "eu/kubiya/runners-us/alpha": store.Unhealthy, "k8s-runner": store.Degraded,
		"standby": store.Unknown, "runner-0": store.Unknown} {
		if got := said[name]; got.Health != want {
			t.Errorf("%s is read as %+v", name, got)
		}
	}
	if x := said["eu/kubiya/runners-us/alpha"]; len(x.Components) != 2 || x.Components[1].Health != store.Unhealthy || x.Components[1].Version != "0.5.1" {
		t.Errorf("its components: %+v", x.Components)
	}
}
