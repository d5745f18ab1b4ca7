package store_test

import (
	"testing"
	"time"

	"trackside/store"
)

func TestAnAcknowledgementChangesItsRunnerOnly(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Unhealthy), runner("b", store.Unhealthy))
	list := []store.Acknowledgement{{Ref: ref("a"), By: "Ada", Note: "looking", At: noon}}
	next, changes := store.Apply(s, store.Touched{Acknowledged: &list}, noon)
	if len(changes) != 1 || changes[0].Ref() != ref("a") || changes[0].Before == changes[0].After || len(changes[0].Events) != 0 {
		t.Errorf("%+v", changes)
	}
	if a, ok := next.Acknowledged(ref("a")); !ok || a.By != "Ada" {
		t.Errorf("%+v %t", a, ok)
	}
	if _, ok := next.Acknowledged(ref("b")); ok {
		t.Error("acknowledged for another runner")
	}
	if _, ok := s.Acknowledged(ref("a")); ok {
		t.Error("the snapshot before changed")
	}
	if again, changes := store.Apply(next, store.Touched{Acknowledged: &list}, noon); again != next || len(changes) > 0 {
		t.Errorf("the same list changes %v", changes)
	}
	next, changes = store.Apply(next, store.Touched{Acknowledged: &[]store.Acknowledgement{}}, noon)
	if _, ok := next.Acknowledged(ref("a")); ok || len(changes) != 1 {
		t.Errorf("its end changed %+v", changes)
	}
}

func TestSinceWhenAnotherStateIsAskedFor(t *testing.T) {
	at := func(requested, observed store.State, mark time.Time) *store.Runner {
		r := runner("a", store.Healthy)
		r.Requested, r.Observed, r.Mark.At = requested, observed, mark
		return r
	}
	s := &store.Snapshot{}
	for i, step := range []struct {
		r    *store.Runner
		now  time.Time
		want time.Time
	}{
		{at(store.Enabled, store.Enabled, time.Time{}), noon, time.Time{}},
		{at(store.Disabled, store.Enabled, noon.Add(time.Second)), noon.Add(2 * time.Second), noon.Add(time.Second)},
		{at(store.Disabled, store.Enabled, noon.Add(time.Second)), noon.Add(9 * time.Second), noon.Add(time.Second)},
		{at(store.Disabled, store.Disabled, noon.Add(time.Second)), noon.Add(10 * time.Second), time.Time{}},
		{at(store.Disabled, store.Enabled, noon.Add(time.Second)), noon.Add(time.Hour), noon.Add(time.Hour)}, // somebody else started it
		{at(store.Enabled, store.Disabled, time.Time{}), noon.Add(2 * time.Hour), noon.Add(2 * time.Hour)},
	} {
		step.r.Version = string(rune('a' + i)) // something that differs
		s, _ = observe(s, step.now, step.r)
		if got := must(s, "a").Asked; !got.Equal(step.want) {
			t.Errorf("step %d: asked %v, want %v", i, got, step.want)
		}
	}
	if s, _ = observe(&store.Snapshot{}, noon, at(store.Disabled, store.Enabled, noon.Add(-time.Hour))); !must(s, "a").Asked.Equal(noon.Add(-time.Hour)) {
		t.Error("a board that begins takes the mark's word")
	}
}

func TestDead(t *testing.T) {
	old := noon.Add(-25 * time.Hour)
	dead := func(change func(*store.Runner)) bool {
		r := runner("a", store.Unhealthy)
		r.Since, r.Reason = old, store.RuntimeLost
		r.Components = []store.Component{{Name: "x", Verdict: store.Verdict{Health: store.Unhealthy}}}
		r.Workloads = nil
		change(r)
		return r.Dead(noon)
	}
	for name, c := range map[string]struct {
		want   bool
		change func(*store.Runner)
	}{
		"down for a day":   {true, func(*store.Runner) {}},
		"down for an hour": {false, func(r *store.Runner) { r.Since = noon.Add(-time.Hour) }},
		"disabled":         {false, func(r *store.Runner) { r.Requested, r.Observed = store.Disabled, store.Disabled }},
		"being deleted":    {false, func(r *store.Runner) { r.Requested = store.Deleting }},
		"unknown":          {false, func(r *store.Runner) { r.Health = store.Unknown }},
		"a part is ready":  {false, func(r *store.Runner) { r.Components[0].Ready = 1 }},
		"work runs":        {false, func(r *store.Runner) { r.Workloads = []store.Workload{{Verdict: store.Verdict{Health: store.Healthy}}} }},
	} {
		if got := dead(c.change); got != c.want {
			t.Errorf("%s: dead is %t", name, got)
		}
	}
}
