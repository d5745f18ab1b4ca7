package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

func TestCompareOrdersByAttention(t *testing.T) {
	at := func(name string, h store.Health, minutes int, s store.State) *store.Runner {
		r := runner(name, h)
		r.Since, r.Observed = noon.Add(-time.Duration(minutes)*time.Minute), s
		return r
	}
	want := []*store.Runner{
		at("new-trouble", store.Unhealthy, 1, store.Enabled),
		at("old-trouble", store.Unhealthy, 90, store.Enabled),
		at("degraded", store.Degraded, 0, store.Enabled),
		at("unknown", store.Unknown, 0, store.Enabled),
		at("a-healthy", store.Healthy, 50, store.Enabled),
		at("b-healthy", store.Healthy, 1, store.Enabled),
		at("a-disabled", store.Unknown, 90, store.Disabled),
		at("b-disabled", store.Unhealthy, 1, store.Disabled),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, store.Compare)
	if diff := cmp.Diff(names(want), names(got)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func names(runners []*store.Runner) (out []string) {
	for _, r := range runners {
		out = append(out, r.Ref.Name)
	}
	return out
}

func TestFilter(t *testing.T) {
	failing := runner("edge-berlin", store.Unhealthy)
	failing.Ref.Cluster, failing.Ref.System, failing.Ref.Namespace, failing.Version = "prod", "kubiya", "edge", "2.0.0"
	failing.Why = "main keeps exiting."
	failing.Components[0].Name, failing.Components[0].Image = "agent-manager", "ghcr.io/Acme/agent:2.0.0"
	off := runner("ci-linux", store.Unknown)
	off.Observed = store.Disabled
	for _, c := range []struct {
		name        string
		f           store.Filter
		failing, of bool
	}{
		{"nothing asked", store.Filter{}, true, true},
		{"its health", store.Filter{Healths: []store.Health{store.Unhealthy, store.Degraded}}, true, false},
		{"another health", store.Filter{Healths: []store.Health{store.Healthy}}, false, false},
		{"unknown is not disabled", store.Filter{Healths: []store.Health{store.Unknown}}, false, false},
		{"disabled", store.Filter{Disabled: true}, false, true},
		{"disabled or unhealthy", store.Filter{Disabled: true, Healths: []store.Health{store.Unhealthy}}, true, true},
		{"its reason", store.Filter{Reasons: []store.Reason{store.RuntimeLost, store.CrashLoop}}, true, false},
		{"another reason", store.Filter{Reasons: []store.Reason{store.StartFailed}}, false, false},
		{"its system", store.Filter{Systems: []string{"agyn", "kubiya"}}, true, false},
		{"its namespace", store.Filter{Namespaces: []string{"edge"}}, true, false},
		{"part of its namespace", store.Filter{Namespaces: []string{"edg"}}, false, false},
		{"its cluster", store.Filter{Clusters: []string{"prod"}}, true, false},
		{"its version", store.Filter{Versions: []string{"2.0.0"}}, true, false},
		{"its version with a v", store.Filter{Versions: []string{"v2.0.0"}}, true, false},
		{"text in the name", store.Filter{Text: "BERLIN"}, true, false},
		{"text in the namespace", store.Filter{Text: "edge"}, true, false},
		{"text in why", store.Filter{Text: "keeps exiting"}, true, false},
		{"text in a component", store.Filter{Text: "Agent-M"}, true, false},
		{"text in an image", store.Filter{Text: "ghcr.io/acme"}, true, false},
		{"text nowhere", store.Filter{Text: "paris"}, false, false},
		{"all of it must hold", store.Filter{Systems: []string{"kubiya"}, Text: "paris"}, false, false},
	} {
		if got := c.f.Match(failing); got != c.failing {
			t.Errorf("%s: the failing runner %v, want %v", c.name, got, c.failing)
		}
		if got := c.f.Match(off); got != c.of {
			t.Errorf("%s: the disabled runner %v, want %v", c.name, got, c.of)
		}
	}
}

func TestAReasonIsCountedOncePerWorkload(t *testing.T) {
	r := runner("a", store.Unhealthy) // one component and its one pod, both in a crash loop
	r.Components = append(r.Components, store.Component{Name: "podless", Verdict: store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed}})
	r.Workloads = append(r.Workloads, store.Workload{UID: "w", Verdict: store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop}},
		store.Workload{UID: "x", Verdict: store.Verdict{Health: store.Degraded, Reason: store.RuntimeLost}})
	got := r.Reasons()
	if got[store.CrashLoop] != 2 || got[store.StartFailed] != 1 || got[store.RuntimeLost] != 0 {
		t.Errorf("reasons: %v", got)
	}
}

func TestSelect(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Healthy), runner("b", store.Unhealthy), runner("c", store.Degraded))
	got := s.Select(store.Filter{Healths: []store.Health{store.Healthy, store.Unhealthy}})
	if diff := cmp.Diff([]string{"b", "a"}, names(got)); diff != "" {
		t.Error(diff)
	}
	n := 0
	for range s.Runners() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Error("the walk did not end when asked")
	}
}

func TestNotFoundNamesSimilarRunners(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("edge-berlin", store.Healthy), runner("edge-bern", store.Healthy), runner("ci-linux", store.Healthy), runner("gpu", store.Healthy))
	if got := s.Near(ref("edge-berlim"), 2); !slices.Equal(got, []store.Ref{ref("edge-berlin"), ref("edge-bern")}) {
		t.Errorf("near: %v", got)
	}
	elsewhere := ref("gpu")
	elsewhere.Namespace = "typo"
	if got := s.Near(elsewhere, 1); !slices.Equal(got, []store.Ref{ref("gpu")}) {
		t.Errorf("near: %v", got)
	}
	_, err := s.Runner(ref("edge-berlim"))
	if !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "c/labelled/ns/edge-berlin") {
		t.Errorf("error: %v", err)
	}
	if _, err := (&store.Snapshot{}).Runner(ref("a")); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "no runner at all") {
		t.Errorf("error on an empty board: %v", err)
	}
	if got := s.Near(ref(strings.Repeat("x", 10_000)), 9); len(got) != 4 {
		t.Errorf("%d of 4 runners", len(got))
	}
}

func TestCountsAreOrderedByNumber(t *testing.T) {
	a, b, c := runner("a", store.Healthy), runner("b", store.Healthy), runner("c", store.Healthy)
	a.Version, b.Version, c.Version = "2", "1", "2"
	s, _ := observe(&store.Snapshot{}, noon, a, b, c)
	if diff := cmp.Diff([]store.Count{{Value: "2", N: 2}, {Value: "1", N: 1}}, s.Versions()); diff != "" {
		t.Error(diff)
	}
}

func TestNextCheckIsTheEarliest(t *testing.T) {
	r := runner("a", store.Healthy)
	if !r.NextCheck().IsZero() {
		t.Errorf("a runner at rest is looked at %s", r.NextCheck())
	}
	r.Next = noon.Add(3 * time.Minute)
	r.Components[0].Next = noon.Add(2 * time.Minute)
	r.Workloads[0].Next = noon.Add(time.Minute)
	if got := r.NextCheck(); !got.Equal(noon.Add(time.Minute)) {
		t.Errorf("next check %s", got)
	}
}

func TestEqualComparesInstantsNotLocations(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	a, b := runner("a", store.Unhealthy), runner("a", store.Unhealthy)
	a.Since, b.Since = noon, noon.In(berlin)
	a.Recovered, b.Recovered = noon, noon.In(berlin)
	a.Failures, b.Failures = []time.Time{noon}, []time.Time{noon.In(berlin)}
	a.Components[0].Probe.At, b.Components[0].Probe.At = noon, noon.In(berlin)
	a.Workloads[0].Created, b.Workloads[0].Created = noon, noon.In(berlin)
	if !a.Equal(b) {
		t.Error("one runner at two places of one clock differs")
	}
	b.Workloads[0].Containers = []store.Container{{Restarts: 2}, {Restarts: 3}}
	if a.Equal(b) || b.Workloads[0].Restarts() != 5 {
		t.Errorf("equal %v, restarts %d", a.Equal(b), b.Workloads[0].Restarts())
	}
}
