package handlers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/handlers/internal/sse"
	"trackside/handlers/live"
	"trackside/store"
	"trackside/views"
)

var epoch = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

// world is a fleet that changes at random.
type world struct {
	rng  *rand.Rand
	live *store.Live
	cur  *store.Snapshot
	now  time.Time
}

func newWorld(n int) *world {
	w := &world{rng: rand.New(rand.NewPCG(1, 2)), cur: &store.Snapshot{}, now: epoch}
	w.live = store.NewLive(w.cur)
	var t store.Touched
	for i := range n {
		t.Runners = append(t.Runners, w.runner(i, store.Healthy))
	}
	t.Sources = []store.Source{{Cluster: "eu", Name: "Kubernetes API", State: store.SourceLive, Since: epoch, Heard: epoch}}
	w.apply(t)
	w.live.Hear("eu", time.Now())
	return w
}

// runner is one of a fleet that is spread over systems, namespaces and versions.
func (w *world) runner(i int, h store.Health) *store.Runner {
	r := &store.Runner{
		Ref:     store.Ref{Cluster: "eu", System: []string{"kubiya", "agyn", "labelled"}[i%3], Namespace: fmt.Sprintf("team-%02d", i%20), Name: fmt.Sprintf("runner-%04d", i)},
		Version: fmt.Sprintf("1.%d.0", i%7), Verdict: store.Verdict{Health: h, Why: "All parts are ready."}, Incarnation: "a"}
	for _, name := range []string{"agent-manager", "tool-manager", "runner", "otel"} {
		r.Components = append(r.Components, store.Component{Name: name, Kind: "Deployment", Object: name, Ready: 1, Desired: 1,
			Version: r.Version, Image: "registry.example.com/" + name + ":" + r.Version, Verdict: store.Verdict{Health: store.Healthy, Why: "Ready."}})
	}
	if h != store.Healthy {
		r.Why = store.Sentence("agent-manager cannot pull its image registry.example.com/agent-manager; the registry refused (401).")
		r.Components[0].Verdict = store.Verdict{Health: h, Reason: store.ImagePullFailed, Why: r.Why, Raw: "ImagePullBackOff"}
		r.Reason = store.ImagePullFailed
	}
	return r
}

func (w *world) apply(t store.Touched) {
	w.now = w.now.Add(time.Second)
	next, changes := store.Apply(w.cur, t, w.now)
	w.live.Publish(store.Update{Snapshot: next, Changes: changes})
	w.cur = next
}

// touch changes up to n runners of a fleet of size at random.
func (w *world) touch(n, size int) {
	var t store.Touched
	for range 1 + w.rng.IntN(n) {
		i := w.rng.IntN(size)
		r := w.runner(i, store.Healths()[w.rng.IntN(4)])
		switch w.rng.IntN(10) {
		case 0:
			t.Gone = append(t.Gone, r.Ref)
			continue
		case 1:
			r.Observed = store.Disabled
		case 2:
			r.Version = "9.9.9"
		}
		t.Runners = slices.DeleteFunc(t.Runners, func(x *store.Runner) bool { return x.Ref == r.Ref })
		t.Gone = slices.DeleteFunc(t.Gone, func(x store.Ref) bool { return x == r.Ref })
		t.Runners = append(t.Runners, r)
	}
	w.apply(t)
}

// fill makes a table out of what a page sends first.
func fill(t *testing.T, p live.Page, s *store.Snapshot) *sse.Table {
	t.Helper()
	events, err := p.Full(s)
	if err != nil {
		t.Fatal(err)
	}
	table := &sse.Table{}
	for _, e := range sse.All(string(events)) {
		table.Apply(e)
	}
	return table
}

// TestAfterEachChangeThePageIsAsIfFreshlyRendered is the promise of every patch: order, rows and nothing besides.
func TestAfterEachChangeThePageIsAsIfFreshlyRendered(t *testing.T) {
	const size = 60
	for name, f := range map[string]store.Filter{
		"all": {}, "failing": {Healths: []store.Health{store.Unhealthy, store.Degraded}}, "team": {Namespaces: []string{"team-03", "team-04"}},
		"version": {Versions: []string{"1.2.0"}}, "out of service": {Disabled: true}, "text": {Text: "pull"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(size)
			h := &Handlers{live: w.live}
			p := newFleet(h, f)
			p.Start(w.cur)
			table := fill(t, p, w.cur)
			whole, rendered := 0, map[*store.Runner]string{}
			for n := range 200 {
				before := w.cur
				for range 1 + w.rng.IntN(3) { // updates that are taken together
					w.touch(1+n%5, size)
				}
				updates, ok := w.live.Since(before.Rev)
				if !ok || len(updates) == 0 {
					continue
				}
				patch := p.Next(live.NewStep(before, updates))
				if patch.Full {
					whole++
					table = fill(t, p, w.cur)
				}
				for _, e := range sse.All(string(patch.Events)) {
					table.Apply(e)
				}
				same(t, n, table, fresh(w.cur.Select(f), rendered))
			}
			same(t, 200, table, fill(t, p, w.cur))
			if whole > 20 {
				t.Errorf("%d of 200 small changes were sent as the whole page", whole)
			}
		})
	}
}

// fresh is the table of some runners in their order. A runner that was published never changes, so its row is rendered once.
func fresh(rs []*store.Runner, rendered map[*store.Runner]string) *sse.Table {
	t := &sse.Table{Rows: map[string]string{}}
	for _, r := range rs {
		if rendered[r] == "" {
			rendered[r] = string(html(views.RunnerRow(&store.Snapshot{}, r, false)))
		}
		t.IDs = append(t.IDs, r.Ref.ID())
		t.Rows[r.Ref.ID()] = rendered[r]
	}
	return t
}

func same(t *testing.T, n int, got, want *sse.Table) {
	t.Helper()
	if len(got.Missing) > 0 {
		t.Fatalf("change %d: no place for %v", n, got.Missing)
	}
	if !slices.Equal(got.IDs, want.IDs) {
		t.Fatalf("change %d: order\n%v\nwant\n%v", n, got.IDs, want.IDs)
	}
	for id, row := range want.Rows {
		if strings.TrimSpace(got.Rows[id]) != strings.TrimSpace(row) {
			t.Fatalf("change %d: row %s\n%s\nwant\n%s", n, id, got.Rows[id], row)
		}
	}
}

func TestManyChangesAreSentAsTheWholePage(t *testing.T) {
	w := newWorld(40)
	p := newFleet(&Handlers{live: w.live}, store.Filter{})
	p.Start(w.cur)
	before := w.cur
	var touched store.Touched
	for i := range 20 {
		touched.Runners = append(touched.Runners, w.runner(i, store.Degraded))
	}
	w.apply(touched)
	updates, _ := w.live.Since(before.Rev)
	if !p.Next(live.NewStep(before, updates)).Full {
		t.Error("20 of 40 rows were sent one by one")
	}
	if len(p.rows) != 40 || !slices.IsSortedFunc(p.rows, store.Compare) {
		t.Error("the rows are out of order")
	}
}

func TestAChangeThatMovesNoRowStaysInPlace(t *testing.T) {
	w := newWorld(10)
	p := newFleet(&Handlers{live: w.live}, store.Filter{})
	p.Start(w.cur)
	before := w.cur
	r := w.runner(3, store.Healthy)
	r.Components[1].Restarts = 2
	w.apply(store.Touched{Runners: []*store.Runner{r}})
	updates, _ := w.live.Since(before.Rev)
	events := sse.All(string(p.Next(live.NewStep(before, updates)).Events))
	if len(events) != 1 || events[0].Args["mode"] != "" || !strings.HasPrefix(events[0].Args["elements"], "<tr") {
		t.Errorf("%+v", events)
	}
}

func TestAPageThatDoesNotShowTheRunnerGetsTheCountsOnly(t *testing.T) {
	w := newWorld(10)
	p := newFleet(&Handlers{live: w.live}, store.Filter{Namespaces: []string{"team-05"}})
	p.Start(w.cur)
	before := w.cur
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(3, store.Unhealthy)}})
	updates, _ := w.live.Since(before.Rev)
	st := live.NewStep(before, updates)
	got := string(p.Next(st).Events)
	if got != string(totals(st)) || !strings.Contains(got, "n-unhealthy") || strings.Contains(got, "<tr") {
		t.Errorf("%s", got)
	}
}

func TestRowsAndOthersNeverShareAnEvent(t *testing.T) {
	w := newWorld(30)
	p := newFleet(&Handlers{live: w.live}, store.Filter{})
	p.Start(w.cur)
	for range 100 {
		before := w.cur
		w.touch(3, 40)
		updates, _ := w.live.Since(before.Rev)
		if len(updates) == 0 {
			continue
		}
		for _, e := range sse.All(string(p.Next(live.NewStep(before, updates)).Events)) {
			html := e.Args["elements"]
			if strings.Contains(html, "<tr") && !strings.HasPrefix(html, "<tr") {
				t.Fatalf("a row beside something else: %.200s", html)
			}
		}
	}
}

func TestSelectorsNeedNoEscaping(t *testing.T) {
	ref := store.Ref{Cluster: "a,b #c", System: "x", Namespace: "n", Name: "\"]>{\r\n"}
	if s := string(selectors([]store.Ref{ref, ref})); strings.Trim(s, "#,-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" || strings.Count(s, ",") != 1 {
		t.Error(s)
	}
}
