package versions_test

import (
	"strings"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/versions"
)

func runner(ns string, version string, components ...store.Component) *store.Runner {
	return &store.Runner{Ref: store.Ref{Cluster: "c", System: "kubiya", Namespace: ns, Name: "r"}, Version: version, Components: components}
}

func component(name, image, version string) store.Component {
	return store.Component{Name: name, Kind: "Deployment", Object: name, Version: version, Image: image + ":v" + version}
}

func fleet(rs ...*store.Runner) *store.Snapshot { return store.NewSnapshot(rs, nil, time.Unix(0, 0)) }

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.10.0", "1.9.0", 1}, {"1.9", "1.9.0", 0}, {"2", "1.9.9", 1}, {"1.0.0", "1.0.0-rc1", 1}, {"2.0.0-rc1", "1.0.0", -1},
		{"1.0.0-rc2", "1.0.0-rc1", 1}, {"latest", "0.0.1", -1}, {"0.0.1", "latest", 1}, {"b", "a", 1}, {"", "1.0", -1}, {"v1.1.0", "1.0.0", 1},
	} {
		if got := versions.Order(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %d", c.a, c.b, got)
		}
		if got := versions.Order(c.b, c.a); got != -c.want {
			t.Errorf("%s, %s: %d", c.b, c.a, got)
		}
	}
}

func TestWhoIsBehind(t *testing.T) {
	a := runner("a", "0.9.30", component("agent", "ghcr.io/x/agent", "1.10.0"), component("tool", "ghcr.io/x/tool", "2.0.0"))
	b := runner("b", "0.9.29", component("agent", "mirror/x/agent", "1.9.0"), component("tool", "ghcr.io/x/other", "1.0.0"))
	c := runner("c", "mixed", component("agent", "ghcr.io/x/agent", "2.0.0-rc1"), component("tool", "ghcr.io/x/tool", "latest"))
	n := versions.NewestOf(fleet(a, b, c))
	say := func(r *store.Runner) string {
		var out []string
		for _, f := range n.Findings(r) {
			out = append(out, f.Object+" "+f.Fix)
		}
		return strings.Join(out, ", ")
	}
	for r, want := range map[*store.Runner]string{a: "", b: "deployment/agent image: mirror/x/agent:v1.10.0, runner/r version: 0.9.30", c: ""} {
		if got := say(r); got != want {
			t.Errorf("%s: %q, want %q", r.Ref, got, want)
		}
	}
	if got := n[versions.Line{System: "kubiya", Component: "tool", Image: "tool"}]; got != "2.0.0" {
		t.Errorf("newest tool %q", got)
	}
}

func TestARunnerOfOneVersionIsNoLineOfItsOwn(t *testing.T) {
	if us := versions.Of(runner("a", "1.0.0", component("agent", "x/agent", "1.0.0"))); len(us) != 1 || us[0].Component == nil {
		t.Errorf("%+v", us)
	}
}

func TestRolloutCountsPodsOnTheNewImage(t *testing.T) {
	r := runner("a", "", component("agent", "x/agent", "2.0.0"))
	pod := func(component, phase, image string) store.Workload {
		return store.Workload{Component: component, Phase: phase, Containers: []store.Container{{Role: store.RoleSidecar, Image: "x/agent:v2.0.0"}, {Role: store.RoleMain, Image: image}}}
	}
	r.Workloads = []store.Workload{pod("agent", "Running", "x/agent:v1.0.0"), pod("agent", "Running", "x/agent:v2.0.0"),
		pod("agent", "Failed", "x/agent:v1.0.0"), pod("", "Running", "x/agent:v1.0.0")}
	if done, all := versions.Of(r)[0].Rollout(); done != 1 || all != 2 {
		t.Errorf("%d of %d", done, all)
	}
}

func TestTouched(t *testing.T) {
	a := runner("a", "1", component("agent", "x/agent", "1.0.0"))
	b := runner("a", "1", component("agent", "x/agent", "1.0.1"))
	sick := *a
	sick.Health = store.Unhealthy
	for _, c := range []struct {
		change store.Change
		want   bool
	}{{store.Change{Before: a, After: b}, true}, {store.Change{After: a}, true}, {store.Change{Before: a}, true}, {store.Change{Before: a, After: &sick}, false}} {
		if got := versions.Touched(c.change); got != c.want {
			t.Errorf("%+v: %t", c.change, got)
		}
	}
}
