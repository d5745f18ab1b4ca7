package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

// brief is what a test says of an event.
type brief struct {
	Kind                          store.EventKind
	Component, Workload, From, To string
}

func TestTransitions(t *testing.T) {
	healthy, failing := runner("a", store.Healthy), runner("a", store.Unhealthy)
	with := func(r *store.Runner, change func(*store.Runner)) *store.Runner {
		c := *r
		c.Components = append([]store.Component(nil), r.Components...)
		c.Workloads = append([]store.Workload(nil), r.Workloads...)
		change(&c)
		return &c
	}
	for _, c := range []struct {
		name          string
		before, after *store.Runner
		want          []brief
	}{
		{"a new runner", nil, healthy, []brief{{Kind: store.EventAdded, To: "healthy"}}},
		{"a new runner with failing work", nil, failing, []brief{{Kind: store.EventAdded, To: "unhealthy"}, {store.EventHealth, "main", "ns/a-0", "", "unhealthy"}}},
		{"a runner that goes", failing, nil, []brief{{Kind: store.EventRemoved, From: "unhealthy"}}},
		{"everything fails", healthy, failing, []brief{
			{Kind: store.EventHealth, From: "healthy", To: "unhealthy"},
			{store.EventHealth, "main", "", "healthy", "unhealthy"},
			{store.EventHealth, "main", "ns/a-0", "healthy", "unhealthy"},
		}},
		{"another reason", failing, with(failing, func(r *store.Runner) { r.Reason = store.StartFailed }), []brief{
			{Kind: store.EventHealth, From: "unhealthy", To: "unhealthy"},
		}},
		{"another sentence", failing, with(failing, func(r *store.Runner) { r.Why = "Because." }), nil},
		{"out of service", healthy, with(healthy, func(r *store.Runner) { r.Observed = store.Disabled }), []brief{
			{Kind: store.EventState, From: "enabled", To: "disabled"},
		}},
		{"a component's version", healthy, with(healthy, func(r *store.Runner) { r.Components[0].Version = "2.0.0" }), []brief{
			{store.EventVersion, "main", "", "1.0.0", "2.0.0"},
		}},
		{"a new component", healthy, with(healthy, func(r *store.Runner) {
			r.Components = append(r.Components, store.Component{Name: "new", Verdict: verdict(store.Degraded)})
		}), nil},
		{"new work that goes well", healthy, with(healthy, func(r *store.Runner) {
			r.Workloads = append(r.Workloads, store.Workload{UID: "w", Name: "w", Namespace: "n", Verdict: verdict(store.Healthy)})
		}), nil},
		{"new work that fails", healthy, with(healthy, func(r *store.Runner) {
			r.Workloads = append(r.Workloads, store.Workload{UID: "w", Name: "w", Namespace: "n", Verdict: verdict(store.Unhealthy)})
		}), []brief{{store.EventHealth, "", "n/w", "", "unhealthy"}}},
		{"work that goes", failing, with(failing, func(r *store.Runner) { r.Workloads = nil }), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store.Snapshot{}
			if c.before != nil {
				s, _ = observe(s, noon, c.before)
			}
			touched := store.Touched{Gone: []store.Ref{ref("a")}}
			if c.after != nil {
				touched = store.Touched{Runners: []*store.Runner{c.after}}
			}
			at := noon.Add(time.Minute)
			_, changes := store.Apply(s, touched, at)
			var got []brief
			for _, change := range changes {
				for _, e := range change.Events {
					got = append(got, brief{e.Kind, e.Component, e.Workload, e.From, e.To})
					if e.Ref != ref("a") || !e.At.Equal(at) || e.Incarnation != "uid-a" || e.Verdict.Why == "" || e.Verdict.Since.IsZero() {
						t.Errorf("event %+v is incomplete", e)
					}
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("transitions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWorkloadIsKnownByItsUID(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Unhealthy))
	again := runner("a", store.Unhealthy)
	again.Workloads[0].UID = "the next pod of that name"
	s, changes := observe(s, noon.Add(time.Minute), again)
	if len(changes) != 1 || len(changes[0].Events) != 1 || changes[0].Events[0].From != "" {
		t.Errorf("changes: %+v", changes)
	}
	if w := must(s, "a").Workloads[0]; !w.Since.Equal(noon.Add(time.Minute)) {
		t.Errorf("the new pod fails since %s", w.Since)
	}
}
