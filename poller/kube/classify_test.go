package kube

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"trackside/poller/kube/statuses"
	"trackside/store"
	"trackside/systems"
)

// factsOf are the facts of a recorded status.
func factsOf(s *statuses.Status) Facts {
	f := FactsOf(s.Of(), &s.Pod, s.NodeObject(), s.EventObjects())
	f.Component, f.OwnerGone, f.Ran = s.Component, s.OwnerGone, s.Prior.Running
	return f
}

func readStatuses(t testing.TB) []*statuses.Status {
	t.Helper()
	all, err := statuses.Read("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestClassifyAgreesWithTheHandKey(t *testing.T) {
	for _, s := range readStatuses(t) {
		t.Run(s.Name, func(t *testing.T) {
			v := VerdictOf(s.Of(), factsOf(s), s.Beside(), s.Now)
			checkVerdict(t, v, s.Now)
			if diff := cmp.Diff(s.Expect, statuses.Worded(v.Verdict, v.Role, s.Now)); diff != "" {
				t.Errorf("the key (-) and the verdict (+) differ:\n%s", diff)
			}
		})
	}
}

func TestStatusesAreDistinctAndSourced(t *testing.T) {
	type kind struct{ system, health, raw, role, phase string }
	seen, anywhere, sourced := map[kind]string{}, map[kind]bool{}, 0
	for _, s := range readStatuses(t) {
		k := kind{s.System, s.Expect.Health, s.Expect.Raw, s.Expect.Role, string(s.Pod.Status.Phase)}
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s agree in system, health, reason, role and phase: %q", s.Name, other, k)
		}
		seen[k] = s.Name
		k.system, k.health = "", ""
		anywhere[k] = true
		if len(s.Sources) > 0 {
			sourced++
		}
	}
	if len(anywhere) < 60 {
		t.Errorf("%d statuses differ in reason, role and phase, want at least 60", len(anywhere))
	}
	if sourced < len(seen)*4/5 {
		t.Errorf("%d of %d statuses name a public source, want four of five", sourced, len(seen))
	}
}

// A verdict may change by itself only at the time it names: the same pod one instant before Next says the same.
func TestNothingChangesBeforeNext(t *testing.T) {
	for _, s := range readStatuses(t) {
		if s.Pod.Name == "" {
			continue
		}
		v := Classify(factsOf(s), s.Now)
		if v.Next.IsZero() {
			continue
		}
		if before := Classify(factsOf(s), v.Next.Add(-time.Millisecond)); before.Health != v.Health || before.Reason != v.Reason {
			t.Errorf("%s: %s/%s became %s/%s before its Next", s.Name, v.Health, v.Reason, before.Health, before.Reason)
		}
	}
}

// What is learnt from a look at a pod changes nothing when the same pod is looked at again.
func TestASecondLookSaysTheSame(t *testing.T) {
	for _, s := range readStatuses(t) {
		if s.Pod.Name == "" {
			continue
		}
		f := factsOf(s)
		first := Classify(f, s.Now)
		w := store.Workload{Containers: containersOf(f.Pod, f.Main)}
		f.Ran = f.Ran || w.Ran(f.Main)
		if again := Classify(f, s.Now); !again.Equal(first.Verdict) {
			t.Errorf("%s: %q, then %q", s.Name, first.Why, again.Why)
		}
	}
}

// FuzzClassify feeds mutated pods: a verdict always says why, in one clean line, whatever the bytes.
func FuzzClassify(f *testing.F) {
	for _, s := range readStatuses(f) {
		b, err := yaml.Marshal(s.Pod)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, s.Component, s.Prior.Running, int64(0))
	}
	base := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte, component, ran bool, shift int64) {
		var pod corev1.Pod
		if yaml.Unmarshal(b, &pod) != nil {
			return
		}
		facts := Facts{Pod: &pod, Component: component, Ran: ran, Thresholds: systems.DefaultThresholds,
			Main: systems.Labelled.MainContainer(objectOf("Pod", &pod.ObjectMeta, &pod.Spec), "")}
		now := base.Add(time.Duration(shift % int64(1000*time.Hour)))
		v := Classify(facts, now)
		checkVerdict(t, v, now)
		reversed(pod.Status.ContainerStatuses)
		reversed(pod.Status.Conditions)
		if again := Classify(facts, now); !duplicated(&pod) && !again.Equal(v.Verdict) {
			t.Errorf("the order of the lists matters: %q and %q", v.Why, again.Why)
		}
	})
}

func checkVerdict(t *testing.T, v PodVerdict, now time.Time) {
	t.Helper()
	why := v.Why.At(now)
	if strings.TrimSpace(why) == "" {
		t.Error("Why is blank")
	}
	if strings.ContainsFunc(why, unicode.IsControl) {
		t.Errorf("Why holds control characters: %q", why)
	}
	if (v.Reason != store.NoReason) != (v.Health == store.Unhealthy) {
		t.Errorf("health %s with reason %q", v.Health, v.Reason)
	}
}

func reversed[T any](s []T) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

// duplicated reports whether names stand twice, which no API server lets through: which of the two counts is then open.
func duplicated(p *corev1.Pod) bool {
	seen := map[string]bool{}
	for _, c := range p.Status.Conditions {
		if seen["c/"+string(c.Type)] {
			return true
		}
		seen["c/"+string(c.Type)] = true
	}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if seen[list[i].Name] {
				return true
			}
			seen[list[i].Name] = true
		}
	}
	return false
}
