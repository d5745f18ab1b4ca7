package store_test

import (
	"strings"
	"testing"
	"time"

	"trackside/store"
)

// failAndRecover is a fleet whose runner a was healthy at noon, and failed and recovered n times since, each a minute after the other.
func failAndRecover(t *testing.T, n int) *store.Snapshot {
	t.Helper()
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Healthy))
	for i := range n {
		at := noon.Add(time.Duration(i+1) * time.Minute)
		s, _ = observe(s, at, runner("a", store.Unhealthy))
		s, _ = observe(s, at.Add(30*time.Second), runner("a", store.Healthy))
	}
	return s
}

func TestARecoveryLingersTwoMinutes(t *testing.T) {
	s := failAndRecover(t, 1)
	recovered := noon.Add(90 * time.Second)
	r := must(s, "a")
	if !r.Recovered.Equal(recovered) {
		t.Fatalf("recovered %s, want %s", r.Recovered, recovered)
	}
	clears := recovered.Add(store.RecoveryLinger)
	if next := r.NextCheck(); !next.Equal(clears) {
		t.Errorf("looks again at %s, want %s", next, clears)
	}
	s, _ = observe(s, clears.Add(-time.Millisecond), runner("a", store.Healthy))
	if r := must(s, "a"); !r.Recovered.Equal(recovered) {
		t.Error("the recovery is forgotten too early")
	}
	s, changes := observe(s, clears, runner("a", store.Healthy))
	if r := must(s, "a"); !r.Recovered.IsZero() || !r.NextCheck().IsZero() {
		t.Errorf("still recovered %s, next check %s", r.Recovered, r.NextCheck())
	}
	if len(changes) != 1 || len(changes[0].Events) != 0 {
		t.Errorf("the end of the linger is news of its own: %v", changes)
	}
}

func TestARecoveryEndsWithTheNextFailure(t *testing.T) {
	s := failAndRecover(t, 1)
	s, _ = observe(s, noon.Add(2*time.Minute), runner("a", store.Unhealthy))
	if r := must(s, "a"); !r.Recovered.IsZero() {
		t.Errorf("failing, and recovered %s", r.Recovered)
	}
}

func TestARunnerFirstSeenFailingHasNotFailedBefore(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Unhealthy))
	if r := must(s, "a"); len(r.Failures) != 0 {
		t.Errorf("failures %v", r.Failures)
	}
	s, _ = observe(s, noon.Add(time.Minute), runner("a", store.Healthy))
	if r := must(s, "a"); !r.Recovered.Equal(noon.Add(time.Minute)) {
		t.Errorf("recovered %s", r.Recovered)
	}
}

// A roll-out takes a failing pod away before the next one is there: that is no recovery, which is known when the next one is well.
func TestARecoveryIsKnownWhenTheHealthIs(t *testing.T) {
	for _, then := range []store.Health{store.Healthy, store.Degraded} {
		s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Healthy))
		for i, h := range []store.Health{store.Unhealthy, store.Unknown, store.Unknown} {
			s, _ = observe(s, noon.Add(time.Duration(i+1)*time.Minute), runner("a", h))
			if r := must(s, "a"); !r.Recovered.IsZero() {
				t.Errorf("%s, and recovered %s", h, r.Recovered)
			}
		}
		at := noon.Add(9 * time.Minute)
		s, _ = observe(s, at, runner("a", then))
		if r := must(s, "a"); !r.Recovered.Equal(at) {
			t.Errorf("%s, and recovered %s", then, r.Recovered)
		}
		s, _ = observe(s, at.Add(store.RecoveryLinger), runner("a", store.Unknown))
		s, _ = observe(s, at.Add(store.RecoveryLinger+time.Minute), runner("a", then))
		if r := must(s, "a"); !r.Recovered.IsZero() {
			t.Errorf("recovered %s without having failed again", r.Recovered)
		}
	}
}

func TestARunnerThatFailsAgainHasNotRecovered(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, runner("a", store.Unhealthy))
	s, _ = observe(s, noon.Add(time.Minute), runner("a", store.Unknown))
	s, _ = observe(s, noon.Add(2*time.Minute), runner("a", store.Unhealthy))
	if r := must(s, "a"); !r.Recovered.IsZero() || r.WasFailing {
		t.Errorf("failing, and recovered %s", r.Recovered)
	}
}

func TestTwoFailuresAreNotFlapping(t *testing.T) {
	if r := must(failAndRecover(t, 2), "a"); r.Health != store.Healthy {
		t.Errorf("%s: %s", r.Health, r.Why)
	}
}

func TestThreeFailuresWithinTheWindowAreFlapping(t *testing.T) {
	s := failAndRecover(t, 3)
	r := must(s, "a")
	clears := noon.Add(time.Minute + store.FlapWindow)
	if r.Health != store.Degraded || r.Raw != "Flapping" || r.Reason != store.NoReason {
		t.Fatalf("%s %q: %s", r.Health, r.Raw, r.Why)
	}
	if why := r.Why.At(noon.Add(4 * time.Minute)); !strings.Contains(why, "failed 3 times") || !strings.Contains(why, "in 7 min") {
		t.Errorf("Why is %q", why)
	}
	if !r.Next.Equal(clears) {
		t.Errorf("clears %s, want %s", r.Next, clears)
	}
	if first := noon.Add(time.Minute); !r.Since.Equal(first) {
		t.Errorf("the incident began %s, want %s, its first failure", r.Since, first)
	}
}

func TestFlappingIsOneIncident(t *testing.T) {
	s := failAndRecover(t, 5)
	if r := must(s, "a"); !r.Since.Equal(noon.Add(time.Minute)) || !strings.Contains(string(r.Why), "failed 5 times") {
		t.Errorf("since %s: %s", r.Since, r.Why)
	}
	before := must(s, "a")
	s, changes := observe(s, noon.Add(7*time.Minute), runner("a", store.Healthy))
	if must(s, "a") != before || len(changes) != 0 {
		t.Error("an observation that says the same is news")
	}
}

func TestFlappingEndsWhenTheWindowIsClear(t *testing.T) {
	s := failAndRecover(t, 3)
	next := must(s, "a").Next
	s, _ = observe(s, next.Add(-time.Millisecond), runner("a", store.Healthy))
	if r := must(s, "a"); r.Health != store.Degraded {
		t.Fatalf("%s before the window is clear", r.Health)
	}
	s, changes := observe(s, next, runner("a", store.Healthy))
	r := must(s, "a")
	if r.Health != store.Healthy || !r.Since.Equal(next) || !r.Next.IsZero() {
		t.Errorf("%s since %s, next %s", r.Health, r.Since, r.Next)
	}
	if len(changes) != 1 || len(changes[0].Events) != 1 || changes[0].Events[0].To != "healthy" {
		t.Errorf("changes: %+v", changes)
	}
}

func TestAFailureIsShownAsOneWhileFlapping(t *testing.T) {
	s := failAndRecover(t, 3)
	s, _ = observe(s, noon.Add(4*time.Minute), runner("a", store.Unhealthy))
	if r := must(s, "a"); r.Health != store.Unhealthy || r.Reason != store.CrashLoop || len(r.Failures) != 4 {
		t.Errorf("%s %s, failures %v", r.Health, r.Reason, r.Failures)
	}
}
