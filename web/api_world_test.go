package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/store"
	"trackside/store/sqlite"
)

// world is a board with a data file, to which a test publishes as the poller does.
type world struct {
	t    testing.TB
	path string
	db   *sqlite.DB
	live *store.Live
	acts *fakeActions
	s    *Server
	stop func() (time.Duration, error)
}

func component(name string, h store.Health, why string) store.Component {
	return store.Component{Name: name, Kind: "Deployment", Object: name, Version: "0.5.1", Image: "ghcr.io/x/" + name + ":v0.5.1", Ready: 1, Desired: 1,
		Verdict: store.Verdict{Health: h, Why: store.Sentence(why)}}
}

func made(cluster, system, namespace, name string, h store.Health, change ...func(*store.Runner)) *store.Runner {
	r := &store.Runner{Ref: store.Ref{Cluster: cluster, System: system, Namespace: namespace, Name: name}, Incarnation: "uid-" + name, Version: "0.9.30",
		Verdict: store.Verdict{Health: h, Why: "All parts are ready."}}
	if h != store.Healthy {
		r.Why = store.Sentence("tool-manager has restarted 5 times, last " + store.Ago(time.Now().Add(-time.Minute)) + ".")
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func kubiyaParts(tool store.Health) func(*store.Runner) {
	return func(r *store.Runner) {
		r.Components = []store.Component{component("agent-manager", store.Healthy, "1 of 1 pods are ready."), component("tool-manager", tool, "It is "+tool.String()+".")}
	}
}

// assorted is one of everything: runners of one name, one that is out of service, one of a silent cluster, one with a hostile name.
func assorted() []*store.Runner {
	return []*store.Runner{
		made("eu", "kubiya", "runners-eu", "alpha", store.Healthy, kubiyaParts(store.Healthy)),
		made("eu", "kubiya", "runners-us", "alpha", store.Unhealthy, kubiyaParts(store.Unhealthy), func(r *store.Runner) {
			r.Reason, r.Components[1].Reason = store.CrashLoop, store.CrashLoop
			r.Workloads = []store.Workload{{Namespace: "runners-us", Name: "tool-manager-1", UID: "u1", Component: "tool-manager", Phase: "Running",
				Verdict: store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Why: "It crashes.", Message: "=cmd|' /C calc'!A0"}}}
		}),
		made("eu", "agyn", "platform", "k8s-runner", store.Degraded, func(r *store.Runner) {
			r.Findings = []store.Finding{{Code: "readiness-probe-missing", Severity: store.Warning, Object: "deployment/k8s-runner", Field: "spec", Why: "No probe.", Doubt: true}}
			r.Offer = store.Offer{Scope: store.Scope{Kind: store.ScopeCluster}, Labels: []store.Label{{Key: "gpu", Value: "no"}}, Room: store.Room{CPU: 2000}}
		}),
		made("eu", "plue", "workflows", "standby", store.Unknown, func(r *store.Runner) {
			r.Requested, r.Observed = store.Disabled, store.Disabled
			r.Mark = store.Mark{By: "ana", Note: "maintenance", At: time.Now()}
		}),
		made("eu", "kubiya", "", "=HYPERLINK(\"http://x\")", store.Healthy, func(r *store.Runner) {
			r.Facts = []store.Fact{{Name: "Generation", Value: "v1, the legacy generation"}}
		}),
		made("dead", "release", "digitalai", "runner-0", store.Healthy),
	}
}

func newWorld(t testing.TB, runners []*store.Runner) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "trackside.db"), acts: &fakeActions{}}
	w.open()
	w.publish(store.Touched{Runners: runners, Sources: []store.Source{{Cluster: "eu", Name: "Kubernetes API", State: store.SourceLive, Heard: time.Now()},
		{Cluster: "dead", Name: "Kubernetes API", State: store.SourceStale, Heard: time.Now().Add(-time.Hour), Since: time.Now().Add(-time.Hour), Problem: "The API server of dead does not answer."}}})
	return w
}

func (w *world) open() {
	w.t.Helper()
	db, err := sqlite.Open(context.Background(), w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	start, err := db.Restore(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	w.db, w.live = db, store.NewLive(start)
	w.live.Hear("eu", time.Now().Add(time.Hour)) // fresh however slow the machine is
}

// serve starts the server; the data file is closed after it.
func (w *world) serve(change ...func(*Options)) *world {
	w.t.Helper()
	t := w.t.(*testing.T)
	o := options(io.Discard)
	o.Live, o.History, o.Failures, o.Actions, o.Audit, o.Links = w.live, w.db, w.db, w.acts, &fakeAudit{n: 1201}, fakeLinks{}
	o.Systems = []string{"kubiya", "agyn", "plue", "release", "ambient"}
	for _, f := range change {
		f(&o)
	}
	db := w.db
	t.Cleanup(func() { _ = db.Close() })
	w.s, w.stop = start(t, o)
	return w
}

// again is a restart of the program.
func (w *world) again() {
	_, _ = w.stop()
	_ = w.db.Close()
	w.open()
	w.serve()
}

// publish does what a step of the poller does: apply, record, publish.
func (w *world) publish(touched store.Touched) {
	next, changes := store.Apply(w.live.Current(), touched, time.Now())
	if err := w.db.Record(context.Background(), next, changes); err != nil {
		w.t.Error(err)
	}
	w.live.Publish(store.Update{Snapshot: next, Changes: changes})
}

// get asks for JSON and decodes it.
func get[T any](t *testing.T, w *world, path string, header ...string) (out T) {
	t.Helper()
	res, body := ask(t, "GET", w.s.URL()+path, header...)
	if res.StatusCode != 200 {
		t.Fatalf("%s: %d %s", path, res.StatusCode, body)
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, body)
	}
	return out
}

type fakeActions struct {
	mu   sync.Mutex
	done map[string]store.Outcome
	last store.Action
	err  error
}

func (f *fakeActions) Plan(_ context.Context, a store.Action) (store.Plan, error) {
	return store.Plan{Action: a, Steps: []store.Effect{{Object: store.Object{Kind: "Deployment", Namespace: "runners-eu", Name: "tool-manager"}, Before: "2 replicas", After: "0 replicas"}},
		Work: []store.Workload{{Namespace: "runners-eu", Name: "job-1"}}, Stays: []store.Object{{Kind: "Secret", Name: "creds"}},
		Traps: []store.Trap{{Code: "managed-by-argo", Why: "Argo CD will revert it.", Blocks: true}}}, f.err
}

func (f *fakeActions) Do(_ context.Context, a store.Action) (store.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = a
	if f.err != nil {
		return store.Outcome{}, f.err
	}
	if out, ok := f.done[a.Key]; ok {
		out.Repeated = true
		return out, nil
	}
	out := store.Outcome{ID: int64(len(f.done) + 1), Waits: "One workload drains.", Steps: []store.Effect{{Object: store.Object{Kind: "Deployment", Name: "x"}, Before: "1", After: "0"}},
		Left: []store.Object{{Kind: "PersistentVolumeClaim", Namespace: "n", Name: "c"}}}
	if f.done == nil {
		f.done = map[string]store.Outcome{}
	}
	f.done[a.Key] = out
	return out, nil
}

type fakeLinks struct{}

func (fakeLinks) LinkToRunner(c echo.Context, r *store.Runner) (string, error) {
	return "https://board.example/m/" + r.Ref.Name + "?by=" + handlers.PersonOf(c).Name, nil
}

// fakeAudit has n entries.
type fakeAudit struct{ n int64 }

func (*fakeAudit) Enter(context.Context, store.Entry) (int64, error) { return 0, nil }

func (f *fakeAudit) Entries(_ context.Context, x store.EntryFilter, limit int) (out []store.Entry, err error) {
	from := f.n
	if x.Before > 0 {
		from = x.Before - 1
	}
	for id := from; id > 0 && len(out) < limit; id-- {
		if verb := fmt.Sprintf("verb-%d", id%2); x.Verb == "" || x.Verb == verb {
			out = append(out, store.Entry{ID: id, At: time.Unix(id, 0), By: store.Person{Name: "@ana", Role: store.Operator}, Verb: verb, Ref: someRunner().Ref, Result: store.ResultDone})
		}
	}
	return out, nil
}

var (
	_ handlers.Actions = (*fakeActions)(nil)
	_ handlers.Audit   = (*fakeAudit)(nil)
)

// call is ask with a body.
func call(t *testing.T, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
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
