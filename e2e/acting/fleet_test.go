// Package acting tests the pages by which operators act, in Chromium, on a board in this process whose cluster is a few lines of code:
// so that every answer, conflict and loss can be had at will.
package acting

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
	"trackside/store"
	"trackside/web"
)

var browser *rig.Browser

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if browser, err = rig.StartBrowser(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer browser.Stop()
	return m.Run()
}

// fleet is a cluster, and the hands that change it: an Actions and an Audit.
type fleet struct {
	t    *testing.T
	live *store.Live
	url  string

	mu    sync.Mutex
	done  map[string]store.Outcome
	acts  []store.Action
	acks  []store.Acknowledgement
	book  []store.Entry
	tries int
	// err is what the next action comes to; traps are told before it.
	err   error
	traps []store.Trap
}

func newFleet(t *testing.T, runners ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, done: map[string]store.Outcome{}}
	var rs []*store.Runner
	for _, name := range runners {
		rs = append(rs, runner(name))
	}
	f.live = store.NewLive(store.NewSnapshot(rs, []store.Source{{Cluster: "eu", Name: "Kubernetes API", State: store.SourceLive, Heard: time.Now()}}, time.Now()))
	s, err := web.New(web.Options{Listen: "127.0.0.1:0", Live: f.live, Actions: f, Audit: f, Systems: []string{"kubiya"}, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	f.url = s.URL()
	return f
}

func runner(name string) *store.Runner {
	v := store.Verdict{Health: store.Healthy, Why: "All pods are ready.", Since: time.Now().Add(-time.Hour)}
	return &store.Runner{Ref: ref(name), Incarnation: "uid-" + name, Verdict: v, Version: "1.0.0",
		Components: []store.Component{{Name: "agent", Kind: "Deployment", Object: name + "-agent", Verdict: v, Version: "1.0.0", Image: "registry/agent:1.0.0", Ready: 1, Desired: 1}},
		Workloads:  []store.Workload{{Namespace: "ci", Name: "session-1", UID: "w-" + name, Verdict: v, Phase: "Running", Created: time.Now()}}}
}

func ref(name string) store.Ref {
	return store.Ref{Cluster: "eu", System: "kubiya", Namespace: "ci", Name: name}
}

// observe is what a cluster shows next.
func (f *fleet) observe(t store.Touched) {
	next, changes := store.Apply(f.live.Current(), t, time.Now())
	f.live.Publish(store.Update{Snapshot: next, Changes: changes})
}

// change shows a runner otherwise than it was.
func (f *fleet) change(name string, how func(*store.Runner)) {
	f.t.Helper()
	r, err := f.live.Current().Runner(ref(name))
	if err != nil {
		f.t.Fatal(err)
	}
	next := *r
	how(&next)
	f.observe(store.Touched{Runners: []*store.Runner{&next}})
}

func (f *fleet) Plan(_ context.Context, a store.Action) (store.Plan, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.live.Current().Runner(a.Ref)
	if err != nil {
		return store.Plan{}, err
	}
	p := store.Plan{Action: a, Traps: f.traps, Work: r.Workloads}
	if a.Verb == store.VerbDisable || a.Verb == store.VerbDelete {
		p.Steps = []store.Effect{{Object: store.Object{Kind: "Deployment", Namespace: "ci", Name: a.Ref.Name + "-agent"}, Before: "1 replica", After: "0 replicas"}}
	}
	if a.Verb == store.VerbDelete {
		p.Stays = []store.Object{{Kind: "Secret", Namespace: "ci", Name: "regcred"}}
	}
	return p, nil
}

// Do asks for another state, which the test then lets be seen.
func (f *fleet) Do(_ context.Context, a store.Action) (store.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries++
	if out, ok := f.done[a.Key]; ok {
		out.Repeated = true
		return out, nil
	}
	if err := f.err; err != nil {
		f.err = nil
		return store.Outcome{}, err
	}
	out := store.Outcome{ID: int64(len(f.book) + 1)}
	f.done[a.Key], f.acts = out, append(f.acts, a)
	f.book = append([]store.Entry{{ID: out.ID, At: a.At, By: a.By, Verb: string(a.Verb), Ref: a.Ref, Note: a.Note, Result: store.ResultDone}}, f.book...)
	f.effect(a)
	return out, nil
}

func (f *fleet) effect(a store.Action) {
	switch a.Verb {
	case store.VerbDisable:
		f.change(a.Ref.Name, func(r *store.Runner) {
			r.Requested, r.Mark = store.Disabled, store.Mark{By: a.By.Name, Note: a.Note, At: a.At, Until: a.Until, Drain: a.Drain}
		})
	case store.VerbEnable:
		f.change(a.Ref.Name, func(r *store.Runner) { r.Requested, r.Mark = store.Enabled, store.Mark{} })
	case store.VerbDelete:
		f.change(a.Ref.Name, func(r *store.Runner) { r.Requested = store.Deleting })
	case store.VerbAcknowledge:
		f.acks = append(f.acks, store.Acknowledgement{Ref: a.Ref, By: a.By.Name, Note: a.Note, At: a.At})
		list := append([]store.Acknowledgement(nil), f.acks...)
		f.observe(store.Touched{Acknowledged: &list})
	case store.VerbRestart, store.VerbDeleteWorkload, store.VerbProbe:
	}
}

func (f *fleet) Enter(context.Context, store.Entry) (int64, error) { return 0, nil }

func (f *fleet) Entries(_ context.Context, q store.EntryFilter, limit int) (out []store.Entry, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.book {
		if (q.Before == 0 || e.ID < q.Before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// did are the actions that were done.
func (f *fleet) did() []store.Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]store.Action(nil), f.acts...)
}

// open opens a page; with JavaScript, when its stream is there.
func (f *fleet) open(path string, opts ...playwright.BrowserNewContextOptions) *rig.Page {
	f.t.Helper()
	p := browser.Page(f.t, opts...)
	if _, err := p.Goto(f.url + path); err != nil {
		f.t.Fatal(err)
	}
	if len(opts) == 0 || opts[0].JavaScriptEnabled == nil {
		has(f.t, p.Locator("#conn i"), "live")
	}
	return p
}

var expect = playwright.NewPlaywrightAssertions(8000)

func has(t *testing.T, l playwright.Locator, want string) {
	t.Helper()
	if err := expect.Locator(l).ToContainText(want); err != nil {
		got, _ := l.AllTextContents()
		t.Fatalf("%q is missing in %q: %v", want, got, err)
	}
}

func hasNot(t *testing.T, l playwright.Locator, unwanted string) {
	t.Helper()
	if err := expect.Locator(l).Not().ToContainText(unwanted); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
