package store_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

func TestSinceIsKeptWhileAVerdictGoesOn(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Degraded))
	next := runner("a", store.Degraded)
	next.Why, next.Raw = "Still, and for another cause.", "Other"
	s, _ = observe(s, noon.Add(time.Minute), next)
	r := must(s, "a")
	for what, since := range map[string]time.Time{"runner": r.Since, "component": r.Components[0].Since, "workload": r.Workloads[0].Since} {
		if !since.Equal(noon) {
			t.Errorf("the %s is degraded since %s, want %s", what, since, noon)
		}
	}
	if r.Why != next.Why {
		t.Errorf("Why is %q", r.Why)
	}
}

func TestSinceBeginsAnewWithHealthOrReason(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Unhealthy))
	other := runner("a", store.Unhealthy)
	other.Reason = store.StartFailed
	at := noon.Add(time.Minute)
	s, _ = observe(s, at, other)
	if r := must(s, "a"); !r.Since.Equal(at) {
		t.Errorf("another reason holds since %s, want %s", r.Since, at)
	}
	at = at.Add(time.Minute)
	s, _ = observe(s, at, runner("a", store.Degraded))
	if r := must(s, "a"); !r.Since.Equal(at) {
		t.Errorf("another health holds since %s, want %s", r.Since, at)
	}
}

func TestSinceThatTheObjectsNameIsBelievedUnlessItIsAhead(t *testing.T) {
	for name, c := range map[string]struct{ named, want time.Time }{
		"past":           {noon.Add(-time.Hour), noon.Add(-time.Hour)},
		"none":           {time.Time{}, noon},
		"an hour ahead":  {noon.Add(time.Hour), noon},
		"an instant off": {noon.Add(time.Nanosecond), noon},
	} {
		r := runner("a", store.Degraded)
		r.Since = c.named
		s, _ := observe(&store.Snapshot{}, noon, r)
		if got := must(s, "a").Since; !got.Equal(c.want) {
			t.Errorf("%s: since %s, want %s", name, got, c.want)
		}
	}
}

func TestAnObservationIsNotChanged(t *testing.T) {
	r := runner("a", store.Unhealthy)
	want := runner("a", store.Unhealthy)
	observe(&store.Snapshot{}, noon, r)
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("Apply changed what it was given:\n%s", diff)
	}
}

func TestApplyReturnsPrevWhenNothingDiffers(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Healthy), runner("b", store.Unhealthy))
	history := s.History
	for name, touched := range map[string]store.Touched{
		"nothing":         {},
		"the same again":  {Runners: []*store.Runner{runner("a", store.Healthy), runner("b", store.Unhealthy)}},
		"all of it":       {Runners: []*store.Runner{runner("a", store.Healthy), runner("b", store.Unhealthy)}, Full: []string{"c"}},
		"an unknown gone": {Gone: []store.Ref{ref("z")}},
		"history as is":   {History: &history},
		"another cluster": {Full: []string{"other"}},
	} {
		next, changes := store.Apply(s, touched, noon.Add(time.Second))
		if next != s || changes != nil {
			t.Errorf("%s: revision %d and %d changes", name, next.Rev, len(changes))
		}
	}
	if !(store.Touched{}).Empty() || (store.Touched{Full: []string{"c"}}).Empty() {
		t.Error("Empty is wrong")
	}
}

func TestFullRemovesWhatIsAbsentOfThatClusterOnly(t *testing.T) {
	other := runner("elsewhere", store.Healthy)
	other.Ref.Cluster = "d"
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Healthy), runner("b", store.Healthy), other)
	next, changes := store.Apply(s, store.Touched{Runners: []*store.Runner{runner("a", store.Healthy)}, Full: []string{"c"}}, noon.Add(time.Second))
	if len(changes) != 1 || changes[0].Ref() != ref("b") || changes[0].After != nil {
		t.Fatalf("changes: %v", changes)
	}
	if next.Len() != 2 {
		t.Errorf("%d runners are left", next.Len())
	}
	if _, err := next.Runner(other.Ref); err != nil {
		t.Error(err)
	}
	if s.Len() != 3 {
		t.Error("the old snapshot has changed")
	}
}

func TestAnotherIncarnationForgets(t *testing.T) {
	s := failAndRecover(t, 2)
	again := runner("a", store.Healthy)
	again.Incarnation = "made anew"
	at := noon.Add(5 * time.Minute)
	s, _ = observe(s, at, again)
	r := must(s, "a")
	if !r.Since.Equal(at) || len(r.Failures) != 0 || !r.Recovered.IsZero() {
		t.Errorf("since %s, failures %v, recovered %s: all of the predecessor's", r.Since, r.Failures, r.Recovered)
	}
}

func TestApplySharesWhatItDidNotTouch(t *testing.T) {
	s := fleetOf(200)
	before := slices.Collect(s.Runners())
	s, changes := observe(s, noon.Add(time.Second), runner("runner-0100", store.Unhealthy))
	if len(changes) != 1 {
		t.Fatalf("%d changes", len(changes))
	}
	for i, r := range slices.Collect(s.Runners()) {
		if touched := r.Ref.Name == "runner-0100"; (r != before[i]) != touched {
			t.Errorf("%s: shared %v", r.Ref, r == before[i])
		}
	}
	if r := must(s, "runner-0100"); r.Rev != s.Rev || r.Rev != 2 {
		t.Errorf("the runner changed in revision %d, the snapshot is %d", r.Rev, s.Rev)
	}
}

// The counts that Apply keeps are those that counting the whole fleet gives, whatever happened.
func TestCountsAreThoseOfTheFleet(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	s, now := &store.Snapshot{}, noon
	for step := range 1_500 {
		now = now.Add(time.Duration(rng.IntN(90)) * time.Second)
		var touched store.Touched
		for range rng.IntN(4) {
			touched.Runners = append(touched.Runners, random(rng))
		}
		switch rng.IntN(6) {
		case 0:
			touched.Gone = []store.Ref{random(rng).Ref}
		case 1:
			touched.Full = []string{"a"}
		}
		s, _ = store.Apply(s, touched, now)
		if diff := cmp.Diff(countsOf(store.NewSnapshot(slices.Collect(s.Runners()), nil, now)), countsOf(s)); diff != "" {
			t.Fatalf("step %d: counted anew (-), kept (+):\n%s", step, diff)
		}
	}
	if s.Rev < 100 {
		t.Errorf("only %d revisions", s.Rev)
	}
}

func countsOf(s *store.Snapshot) map[string]any {
	all := map[string]any{"runners": s.Totals().Runners, "len": s.Len(), "disabled": s.Totals().Disabled,
		"versions": s.Versions(), "namespaces": s.Namespaces(), "systems": s.Systems()}
	for _, h := range store.Healths() {
		all[h.String()] = s.Totals().Health(h)
	}
	for _, r := range store.Reasons() {
		all[r.String()] = s.Totals().Reason(r)
	}
	return all
}

func TestSourcesAndHistory(t *testing.T) {
	live := store.Source{Cluster: "b", Name: "Kubernetes API", State: store.SourceLive}
	other := store.Source{Cluster: "a", Name: "Kubernetes API", State: store.SourceRestored}
	s, _ := store.Apply(&store.Snapshot{}, store.Touched{Sources: []store.Source{live, other}}, noon)
	if len(s.Sources) != 2 || s.Sources[0].Cluster != "a" {
		t.Fatalf("sources %v are not in order", s.Sources)
	}
	stale := live
	stale.State, stale.Problem = store.SourceStale, "It is down."
	next, changes := store.Apply(s, store.Touched{Sources: []store.Source{stale}, History: &store.History{LostSince: noon}}, noon)
	if got, ok := next.Source("b", "Kubernetes API"); !ok || got.State != store.SourceStale || len(next.Sources) != 2 || len(changes) != 0 {
		t.Errorf("sources %v, changes %v", next.Sources, changes)
	}
	if got, _ := s.Source("b", "Kubernetes API"); got.State != store.SourceLive {
		t.Error("the old snapshot's source has changed")
	}
	if next.Rev != s.Rev+1 || next.History.LostSince.IsZero() || !s.History.LostSince.IsZero() {
		t.Errorf("revision %d, history %v", next.Rev, next.History)
	}
	if _, ok := next.Source("z", ""); ok {
		t.Error("there is a source that nobody named")
	}
}

func BenchmarkApplyOneChange(b *testing.B) {
	for _, n := range []int{100, 2_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := fleetOf(n)
			states := []*store.Runner{runner("runner-0050", store.Unhealthy), runner("runner-0050", store.Degraded)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s, _ = observe(s, noon.Add(time.Duration(i)*time.Hour), states[i%2])
			}
		})
	}
}

// Whatever a source observes, adding loses none of it: a field that is added to Touched and forgotten in Add fails here.
func TestAddLosesNothing(t *testing.T) {
	var one store.Touched
	v := reflect.ValueOf(&one).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		default:
			t.Fatalf("%s is a %s: teach this test what to do", v.Type().Field(i).Name, f.Kind())
		}
	}
	var sum store.Touched
	sum.Add(one)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if reflect.ValueOf(sum).Field(i).IsZero() {
			t.Errorf("%s is lost", name)
		}
		var alone store.Touched
		reflect.ValueOf(&alone).Elem().Field(i).Set(v.Field(i))
		if alone.Empty() {
			t.Errorf("with %s only it counts as empty", name)
		}
	}
}
