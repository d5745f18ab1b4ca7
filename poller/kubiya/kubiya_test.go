package kubiya_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/poller/kubiya"
	"trackside/store"
)

// fake answers by path; a path without an answer is 404.
type fake struct {
	mu      sync.Mutex
	answers map[string]string
	delay   time.Duration
	status  map[string]int
	under   int // calls under way, and the most there were
	most    int
	asked   map[string]int
	auth    map[string]bool
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.under++
	f.most = max(f.most, f.under)
	f.asked[r.URL.EscapedPath()]++
	f.auth[r.Header.Get("Authorization")] = true
	body, ok := f.answers[r.URL.EscapedPath()]
	code := f.status[r.URL.EscapedPath()]
	delay := f.delay
	f.mu.Unlock()
	defer func() { f.mu.Lock(); f.under--; f.mu.Unlock() }()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	switch {
	case code != 0:
	case ok:
		code = 200
	default:
		code = 404
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

const list = "/api/v3/runners"

func newFake(runners string, healths ...string) *fake {
	f := &fake{answers: map[string]string{list: runners}, status: map[string]int{}, asked: map[string]int{}, auth: map[string]bool{}}
	for i := 0; i < len(healths); i += 2 {
		f.answers[list+"/"+healths[i]+"/health"] = healths[i+1]
	}
	return f
}

// ask runs the source for a while and returns all that it said, and the source as it was last told.
func ask(t *testing.T, f *fake, cfg kubiya.Config, rounds int) ([]store.Testimony, store.Source) {
	t.Helper()
	cfg.URL, cfg.Transport, cfg.Heard, cfg.Log = "https://api.example", f, func(string, time.Time) {}, slog.New(slog.DiscardHandler)
	s, err := kubiya.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-time.After(time.Duration(rounds) * kubiya.DefaultInterval)
	synctest.Wait()
	touched := s.Observe(&store.Snapshot{}, nil, time.Now())
	cancel()
	<-done
	for i := range touched.Said {
		touched.Said[i].Heard = time.Time{}
	}
	return touched.Said, touched.Sources[0]
}

func lines(said []store.Testimony) (out []string) {
	for _, t := range said {
		line := fmt.Sprintf("%s/%s %q %s %q v=%q", t.Namespace, t.Runner, t.Word, t.Health, t.Error, t.Version)
		for _, c := range t.Components {
			line += fmt.Sprintf(" [%s %q %s %q %q]", c.Name, c.Word, c.Health, c.Error, c.Version)
		}
		for _, f := range t.Facts {
			line += fmt.Sprintf(" {%s: %s}", f.Name, f.Value)
		}
		for _, f := range t.Findings {
			line += fmt.Sprintf(" (%s %s of %s: %s)", f.Severity, f.Code, f.Object, f.Why)
		}
		if len(t.Refutes) > 0 {
			line += " no " + strings.Join(t.Refutes, ", ")
		}
		if t.Problem != nil {
			line += " ! " + t.Problem.Call + ": " + t.Problem.What
		}
		out = append(out, line)
	}
	return out
}

const whole = `[{"name":"runner-eu","wss_url":"wss://x","version":2,"managed_by":"kubiya","description":"Europe","namespace":"","kubernetes_namespace":"kubiya-eu",
 "gateway_password":"hunter2","gateway_url":"https://gw","runner_health":{"status":"ok","health":"true","error":"","version":""},
 "tool_manager_health":{"status":"ok","health":"true","version":"0.5.8"},"agent_manager_health":{"status":"non-responsive","error":"timeout"}}]`

func TestDecoding(t *testing.T) {
	well := `{"health":"true","status":"ok","version":"0.9.30"}`
	for _, c := range []struct {
		name    string
		list    string
		healths []string
		want    []string
		limits  []string
		problem string
	}{
		{"whole", whole, []string{"runner-eu", `{"health":"false","status":"degraded","time":"x","version":"0.9.30","checks":[
			{"name":"tool-manager","status":"ok","version":"","error":"","metadata":{"git_sha":"abc","release":"0.5.9"}},{"name":"nats","status":"down","error":"no route"}]}`},
			[]string{`kubiya-eu/runner-eu "degraded and unhealthy" unhealthy "" v="0.9.30" [agent-manager "non-responsive" unhealthy "timeout" ""] [nats "down" unhealthy "no route" ""]` +
				` [tool-manager "ok" healthy "" "0.5.9"] {Generation: v2} {Managed by: kubiya} {Description: Europe} no legacy-v1`}, nil, ""},
		{"an object by name, and the first generation", `{"a":{"version":0},"b":{"version":"1"},"c":{"name":"see","version":7},"total":3}`, []string{"a", well, "b", well, "see", well},
			[]string{`/a "ok" healthy "" v="0.9.30" {Generation: v1, the legacy generation} (warning legacy-v1 of runner/a: By the Kubiya API it is a runner of generation v1, which gets no further releases.)`, `/b "ok" healthy "" v="0.9.30" {Generation: v1, the legacy generation} (warning legacy-v1 of runner/b: By the Kubiya API it is a runner of generation v1, which gets no further releases.)`,
				`/see "ok" healthy "" v="0.9.30" {Generation: v7} no legacy-v1`}, nil, ""},
		{"wrapped", `{"runners":[{"name":"a"}],"next":null}`, []string{"a", well}, []string{`/a "ok" healthy "" v="0.9.30"`}, nil, ""},
		{"the second control plane's words", `[{"name":"a","status":"ready","health":"healthy"}]`, []string{"a", `{"healthy":true,"message":"x"}`}, []string{`/a "healthy" healthy "" v=""`}, nil, ""},
		{"wrong types", `[{"name":"a","version":[],"runner_health":42,"tool_manager_health":"ok","agent_manager_health":[1],"managed_by":{}}]`,
			[]string{"a", `{"health":true,"status":7,"checks":{"name":"x"},"version":null}`}, []string{`/a "7" healthy "" v="" [tool-manager "ok" healthy "" ""]`}, nil, ""},
		{"a health that says well and names an error", `[{"name":"a"}]`, []string{"a", `{"status":"ok","error":"disk nearly full","checks":[{"name":"x","error":"y"}]}`},
			[]string{`/a "ok" degraded "disk nearly full" v="" [x "an error" degraded "y" ""]`}, nil, ""},
		{"a health that says nothing", `[{"name":"a"}]`, []string{"a", `{}`}, []string{`/a "" unknown "" v=""`}, nil, ""},
		{"entries that cannot be read", `[null,3,"x",[],{},{"name":""},{"name":"a\u0000b"},{"name":".."},{"name":"a"},{"name":"a"}]`, []string{"a", well}, []string{`/a "ok" healthy "" v="0.9.30"`},
			[]string{"Of the list of runners, 8 entries cannot be read: they are no objects, or have no name.", "Of the list of runners, 1 entries repeat the name of another; the first counts."}, ""},
		{"a name that is a path", `[{"name":"a/b c"}]`, []string{"a%2Fb%20c", well}, []string{`/a/b c "ok" healthy "" v="0.9.30"`}, nil, ""},
		{"a health that is not known", whole, nil, []string{`kubiya-eu/runner-eu "ok" healthy "" v="" [agent-manager "non-responsive" unhealthy "timeout" ""] [tool-manager "ok" healthy "" "0.5.8"]` +
			` {Generation: v2} {Managed by: kubiya} {Description: Europe} no legacy-v1 ! GET https://api.example/api/v3/runners/runner-eu/health: 404 Not Found`},
			[]string{"The health of 1 of 1 runners is not known: GET https://api.example/api/v3/runners/runner-eu/health: 404 Not Found."}, ""},
		{"a health that is a list", `[{"name":"a"}]`, []string{"a", `[]`}, []string{`/a "" unknown "" v="" ! GET https://api.example/api/v3/runners/a/health: not what was expected: it is a list and not an object`},
			[]string{"The health of 1 of 1 runners is not known: GET https://api.example/api/v3/runners/a/health: not what was expected: it is a list and not an object."}, ""},
		{"no runner", `[]`, nil, nil, nil, ""},
		{"an error with the status 200", `{"error":{"message":"quota"}}`, nil, nil, nil,
			"The Kubiya API fails: not what was expected: it is an object with the field error and without runners (GET https://api.example/api/v3/runners)."},
		{"a number", `42`, nil, nil, nil, "The Kubiya API fails: not what was expected: it is a number and not a list (GET https://api.example/api/v3/runners)."},
		{"bytes", "\xff\xfe\x00[", nil, nil, nil, "The Kubiya API fails: not what was expected: invalid character 'ÿ' looking for beginning of value (GET https://api.example/api/v3/runners)."},
		{"without end", "[" + strings.Repeat(`{"name":"x"},`, 6000), nil, nil, nil,
			"The Kubiya API fails: not what was expected: the list does not end after 5000 runners (GET https://api.example/api/v3/runners)."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				said, src := ask(t, newFake(c.list, c.healths...), kubiya.Config{}, 1)
				if got := lines(said); !cmp.Equal(got, c.want) {
					t.Error(cmp.Diff(c.want, got))
				}
				if src.Problem != c.problem || !cmp.Equal(src.Limits, c.limits) {
					t.Errorf("%q, %q; want %q, %q", src.Problem, src.Limits, c.problem, c.limits)
				}
				if strings.Contains(fmt.Sprintf("%+v", said), "hunter2") {
					t.Error("the gateway's password was kept")
				}
			})
		})
	}
}

// runners are a list of n, all well.
func runners(n int) *fake {
	var names, healths []string
	for i := range n {
		names = append(names, fmt.Sprintf(`{"name":"r%03d"}`, i))
		healths = append(healths, fmt.Sprintf("r%03d", i), `{"status":"ok"}`)
	}
	return newFake("["+strings.Join(names, ",")+"]", healths...)
}

func TestHealthCallsAreBounded(t *testing.T) {
	for parallel, want := range map[int]int{0: kubiya.DefaultParallel, 5: 5, 32: 32} {
		synctest.Test(t, func(t *testing.T) {
			f := runners(64)
			f.delay = 100 * time.Millisecond
			said, _ := ask(t, f, kubiya.Config{Parallel: parallel}, 1)
			if f.most != want || len(said) != 64 {
				t.Errorf("%d calls at once for %d runners, want %d", f.most, len(said), want)
			}
		})
	}
}

// An API that does not answer for its runners does not hold up the next look at the list.
func TestARoundHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := runners(200)
		begin := time.Now()
		f.delay = 4 * time.Second
		said, src := ask(t, f, kubiya.Config{}, 4)
		if f.asked[list] < 2 {
			t.Errorf("the list was asked for %d times in %s", f.asked[list], time.Since(begin))
		}
		last := said[len(said)-1]
		if last.Problem == nil || last.Problem.What != "not asked: the calls before it took the round's time" || len(src.Limits) != 1 || src.State != store.SourceLive {
			t.Errorf("%+v, %+v", last.Problem, src)
		}
	})
}

func TestTheKeyIsSentAsItsClientsDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := runners(1)
		ask(t, f, kubiya.Config{KeyFile: file}, 1)
		if len(f.auth) != 1 || !f.auth["UserKey abc"] {
			t.Errorf("%v", f.auth)
		}
	})
}

func TestSettingsThatCannotBe(t *testing.T) {
	for _, cfg := range []kubiya.Config{{}, {URL: "https://a", Parallel: 33}, {URL: "https://a", Parallel: 4}, {URL: "https://a", Parallel: -1}, {URL: "https://a", Interval: time.Millisecond}, {URL: "nowhere"}} {
		if _, err := kubiya.New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
