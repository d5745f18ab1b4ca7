package agyn_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/poller/agyn"
	"trackside/store"
)

// fake answers a method for an organization, "ListRunners" or "ListWorkloads acme", page by page.
type fake struct {
	t     *testing.T
	mu    sync.Mutex
	pages map[string][]string
	fails map[string]int
	asked []string
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	var body struct {
		PageSize       int
		PageToken      string
		OrganizationID string `json:"organizationId"`
		Filter         struct{ StatusIn []string }
		Sort           struct{ Field, Direction string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost || r.Header.Get("Connect-Protocol-Version") != "1" ||
		r.Header.Get("Content-Type") != "application/json" || body.PageSize == 0 {
		f.t.Errorf("%s %s %v: %v", r.Method, r.URL, r.Header, err)
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/api/agynio.api.gateway.v1.RunnersGateway/")
	if !ok || method == "ListWorkloads" && (body.OrganizationID == "" || len(body.Filter.StatusIn) == 0) {
		f.t.Errorf("%s with %+v", r.URL.Path, body)
	}
	key := strings.TrimSpace(method + " " + body.OrganizationID)
	if slices.Equal(body.Filter.StatusIn, []string{"WORKLOAD_STATUS_FAILED"}) {
		key += " failed"
		if body.Sort.Field != "LIST_WORKLOADS_SORT_FIELD_STARTED" || body.Sort.Direction != "SORT_DIRECTION_DESC" {
			f.t.Errorf("failures are asked for by %+v: of many, the latest would not be among the first", body.Sort)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, key)
	if code := f.fails[key]; code != 0 {
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"code":"permission_denied","message":"not yours"}`))}, nil
	}
	page := 0
	_, _ = fmt.Sscanf(body.PageToken, "p%d", &page)
	text := "{}"
	if p := f.pages[key]; page < len(p) {
		text = p[page]
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func (f *fake) set(key string, pages ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages[key] = pages
}

func (f *fake) fail(key string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails[key] = code
}

// asking is a source at work in a synctest bubble.
type asking struct {
	*fake
	observe func() store.Touched
	stop    func()
}

func ask(t *testing.T, organizations []string, pages map[string][]string, fails map[string]int) *asking {
	t.Helper()
	if fails == nil {
		fails = map[string]int{}
	}
	f := &fake{t: t, pages: pages, fails: fails}
	s, err := agyn.New(agyn.Config{URL: "https://agyn.example/api", Organizations: organizations, Transport: f, Heard: func(string, time.Time) {}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-time.After(5 * time.Second)
	synctest.Wait()
	return &asking{f, func() store.Touched { return s.Observe(&store.Snapshot{}, nil, time.Now()) }, func() { cancel(); <-done }}
}

func lines(said []store.Testimony) (out []string) {
	for _, t := range said {
		line := fmt.Sprintf("%s (%s) %q %s", t.Runner, t.UID, t.Word, t.Health)
		for _, f := range t.Facts {
			line += fmt.Sprintf(" {%s: %s}", f.Name, f.Value)
		}
		for _, w := range t.Workloads {
			line += fmt.Sprintf(" [%s %q %s %q", w.Pod, w.Word, w.Reason, w.Message)
			for word, is := range map[string]bool{" active": w.Active, " starting": w.Starting, " failed": w.Failed, " stale": w.Stale} {
				if is {
					line += word
				}
			}
			line += "]"
		}
		if t.Problem != nil {
			line += " ! " + t.Problem.Call + ": " + t.Problem.What
		}
		out = append(out, line)
	}
	return out
}

const eu1 = `{"meta":{"id":"r-1","createdAt":"2026-01-01T00:00:00Z"},"name":"eu-1","organizationId":"acme","identityId":"i","status":"RUNNER_STATUS_ENROLLED",
 "labels":{"region":"eu","gpu":"a100"},"openzitiServiceName":"runner-r-1","capabilities":["docker","kvm"]}`

func TestDecoding(t *testing.T) {
	for _, c := range []struct {
		name          string
		organizations []string
		pages         map[string][]string
		fails         map[string]int
		want          []string
		limits        []string
		problem       string
	}{
		{"whole", []string{"acme"}, map[string][]string{
			"ListRunners": {`{"runners":[{"meta":{"id":"r-2"},"name":"shared","status":"RUNNER_STATUS_PENDING"}],"nextPageToken":"p1"}`,
				`{"runners":[{"meta":{"id":"r-3"},"name":"off","status":"RUNNER_STATUS_OFFLINE"}]}`},
			"ListRunners acme": {`{"runners":[` + eu1 + `,{"meta":{"id":"r-2"},"name":"shared"}]}`},
			"ListWorkloads acme": {`{"workloads":[{"meta":{"id":"w-1"},"runnerId":"r-1","status":"WORKLOAD_STATUS_RUNNING","instanceId":"workload-1"}],"nextPageToken":"p1"}`,
				`{"workloads":[{"meta":{"id":"w-3"},"runnerName":"shared","status":"WORKLOAD_STATUS_STARTING"}]}`},
			"ListWorkloads acme failed": {`{"workloads":[{"meta":{"id":"w-2","updatedAt":"2026-01-02T00:00:00Z"},"runnerId":"r-1","status":"WORKLOAD_STATUS_FAILED","instanceId":"workload-2",
				  "failureReason":"WORKLOAD_FAILURE_REASON_IMAGE_PULL_FAILED","failureMessage":"401"}]}`}}, nil,
			[]string{`eu-1 (r-1) "enrolled" healthy {Scope: organization acme} {Labels: gpu=a100, region=eu} {Capabilities: docker, kvm}` +
				` [workload-1 "running"  "" active] [workload-2 "failed" image_pull_failed "401" failed]`,
				`off (r-3) "offline" unhealthy {Scope: the whole platform}`, `shared (r-2) "pending" degraded {Scope: the whole platform} [ "starting"  "" starting]`}, nil, ""},
		{"organizations are learnt from runners", nil, map[string][]string{"ListRunners": {`{"runners":[` + eu1 + `]}`},
			"ListWorkloads acme": {`{"workloads":[{"meta":{"id":"w-9"},"runnerId":"r-9","status":"WORKLOAD_STATUS_RUNNING"}]}`}}, nil,
			[]string{`eu-1 (r-1) "enrolled" healthy {Scope: organization acme} {Labels: gpu=a100, region=eu} {Capabilities: docker, kvm}`},
			[]string{"1 workloads are of runners that are not listed."}, ""},
		{"no organization", nil, map[string][]string{"ListRunners": {`{"runners":[{"name":"a"}]}`}}, nil, []string{`a (a) "" unknown {Scope: the whole platform}`},
			[]string{"Workloads are not shown: agyn tells them by organization only. Name organizations with --agyn-organization."}, ""},
		{"the platform is not ours to see", []string{"acme"}, map[string][]string{"ListRunners acme": {`{"runners":[{"meta":{"id":"1"},"name":"a"}]}`}}, map[string]int{"ListRunners": 403},
			[]string{`a (1) "" unknown {Scope: the whole platform}`},
			[]string{"The runners of the platform as a whole are not shown: POST https://agyn.example/api/agynio.api.gateway.v1.RunnersGateway/ListRunners: 403 Forbidden: not yours."}, ""},
		{"nothing is ours to see", nil, nil, map[string]int{"ListRunners": 403}, nil, nil,
			"The agyn API does not let us ask: 403 Forbidden: not yours (POST https://agyn.example/api/agynio.api.gateway.v1.RunnersGateway/ListRunners). Check what the credential in --agyn-token-file may do."},
		{"one name twice", []string{"a", "b"}, map[string][]string{"ListRunners a": {`{"runners":[{"meta":{"id":"1"},"name":"x","organizationId":"a"}]}`},
			"ListRunners b": {`{"runners":[{"meta":{"id":"2"},"name":"x","organizationId":"b"}]}`}}, nil,
			[]string{`x (1) "" unknown {Scope: organization a}`, `x (2) (2) "" unknown {Scope: organization b}`}, nil, ""},
		{"wrong types", []string{"acme"}, map[string][]string{"ListRunners": {`{"runners":[{"meta":"x","name":7,"status":[],"labels":[1],"capabilities":{"a":1}},null,"x",{}]}`},
			"ListWorkloads acme": {`{"workloads":[{"runnerId":"7","status":12,"instanceId":{},"meta":{"id":"w"}},17]}`}}, nil,
			[]string{`7 (7) "" unknown {Scope: the whole platform} [ "12"  ""]`},
			[]string{"Of a page of runners, 3 entries cannot be read: they are no objects, or have no name.", "Of a page of workloads, 1 entries cannot be read: they are no objects, or have no name."}, ""},
		{"no list", nil, map[string][]string{"ListRunners": {`{"runners":"none"}`}}, nil, nil, nil,
			"The agyn API fails: not what was expected: the field runners is no list (POST https://agyn.example/api/agynio.api.gateway.v1.RunnersGateway/ListRunners)."},
		{"a circle", nil, map[string][]string{"ListRunners": {`{"runners":[{"name":"a"}],"nextPageToken":"p1"}`, `{"runners":[{"name":"b"}],"nextPageToken":"p1"}`}}, nil, nil, nil,
			"The agyn API fails: not what was expected: the pages of the list go round in a circle (POST https://agyn.example/api/agynio.api.gateway.v1.RunnersGateway/ListRunners)."},
		{"failures that nobody removed", []string{"acme"}, map[string][]string{"ListRunners": {`{"runners":[{"name":"a"}]}`}, "ListWorkloads acme failed": endless()}, nil,
			[]string{`a (a) "" unknown {Scope: the whole platform}`}, []string{"Of the failed workloads of organization acme the 500 that began last are shown."}, ""},
		{"without end", nil, map[string][]string{"ListRunners": endless()}, nil, nil, nil,
			"The agyn API fails: not what was expected: the list does not end after 50 pages (POST https://agyn.example/api/agynio.api.gateway.v1.RunnersGateway/ListRunners)."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := ask(t, c.organizations, c.pages, c.fails)
				defer a.stop()
				touched := a.observe()
				if got := lines(touched.Said); !cmp.Equal(got, c.want) {
					t.Error(cmp.Diff(c.want, got))
				}
				if src := touched.Sources[0]; src.Problem != c.problem || !cmp.Equal(src.Limits, c.limits) {
					t.Errorf("%q, %q; want %q, %q", src.Problem, src.Limits, c.problem, c.limits)
				}
			})
		})
	}
}

// What a runner offers is what agyn says, whatever stands in it: a value is no list.
func TestOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := ask(t, nil, map[string][]string{"ListRunners": {`{"runners":[{"meta":{"id":"1"},"name":"x","organizationId":"acme","labels":{"team":"ml, infra","zone":"b"},
			"capabilities":["kata qemu","docker","docker"]},{"meta":{"id":"2"},"name":"y"}]}`}}, nil)
		defer a.stop()
		said := a.observe().Said
		want := store.Offer{Scope: store.Scope{Kind: store.ScopeOrganization, Organization: "acme"}, Capabilities: []string{"docker", "kata qemu"},
			Labels: []store.Label{{Key: "team", Value: "ml, infra"}, {Key: "zone", Value: "b"}}}
		if !said[0].Offer.Equal(want) {
			t.Errorf("%+v, want %+v", said[0].Offer, want)
		}
		if none := (store.Offer{Scope: store.Scope{Kind: store.ScopeCluster}, Labels: []store.Label{}, Capabilities: []string{}}); !said[1].Offer.Equal(none) {
			t.Errorf("%+v, want %+v", said[1].Offer, none)
		}
	})
}

func endless() (pages []string) {
	for i := range 60 {
		pages = append(pages, fmt.Sprintf(`{"runners":[{"name":"r%d"}],"nextPageToken":"p%d"}`, i, i+1))
	}
	return pages
}

// The workloads of an organization that does not answer are as they were last heard, and marked so.
func TestWorkloadsThatAreNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := ask(t, []string{"acme"}, map[string][]string{"ListRunners": {`{"runners":[` + eu1 + `]}`},
			"ListWorkloads acme": {`{"workloads":[{"meta":{"id":"w-1"},"runnerId":"r-1","status":"WORKLOAD_STATUS_RUNNING","instanceId":"workload-1"}]}`}}, nil)
		defer a.stop()
		a.observe()
		a.fail("ListWorkloads acme", 500)
		<-time.After(2 * agyn.DefaultInterval)
		synctest.Wait()
		touched := a.observe()
		if got := lines(touched.Said); len(got) != 1 || !strings.HasSuffix(got[0], `[workload-1 "running"  "" active stale]`) && !strings.HasSuffix(got[0], `[workload-1 "running"  "" stale active]`) {
			t.Errorf("%q", got)
		}
		if l := touched.Sources[0].Limits; len(l) != 1 || !strings.Contains(l[0], "organization acme are as they were last heard: POST https://") || !strings.Contains(l[0], "500") {
			t.Errorf("%q", l)
		}
		a.fail("ListWorkloads acme", 0)
		a.set("ListWorkloads acme", `{}`)
		<-time.After(2 * agyn.DefaultInterval)
		synctest.Wait()
		if touched := a.observe(); len(touched.Said[0].Workloads) != 0 || len(touched.Sources[0].Limits) != 0 {
			t.Errorf("%+v", touched)
		}
	})
}

// What a runner says of itself proves something only where agyn writes it.
func TestEnrolledProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := ask(t, nil, map[string][]string{"ListRunners": {`{"runners":[` + eu1 + `]}`}}, nil)
		defer a.stop()
		r := store.Join(nil, a.observe().Said, time.Now())
		if r.Health != store.Unknown || !strings.Contains(string(r.Why), "agyn never writes offline, so the cluster decides") {
			t.Errorf("%s: %s", r.Health, r.Why)
		}
	})
}
