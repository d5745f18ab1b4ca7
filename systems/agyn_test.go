package systems_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
)

// A runner's port accepts connections from the start: that it has enrolled is shown by running on, or by work.
func TestAgynMayStillBeEnrolling(t *testing.T) {
	ready := store.Verdict{Health: store.Healthy, Why: "k8s-runner has 1 of 1 pods ready."}
	enrolling := wantVerdict{store.Unknown, store.NoReason, "Enrolling", "may still be enrolling, which its probe does not tell; it counts as healthy in"}
	well := wantVerdict{store.Healthy, store.NoReason, "", "1 of 1 pods ready"}
	for _, c := range []struct {
		name   string
		ran    time.Duration
		env    map[string]string
		work   time.Duration // since it was made; 0: there is none
		given  store.Verdict
		probe  store.Probe
		want   wantVerdict
		enrols time.Duration // until it counts as healthy
	}{
		{"a moment ago", 25 * time.Second, nil, 0, ready, store.Probe{}, enrolling, 95 * time.Second},
		{"as long as it tries", 2 * time.Minute, nil, 0, ready, store.Probe{}, well, 0},
		{"it tries for longer", 3 * time.Minute, map[string]string{"ZITI_ENROLLMENT_TIMEOUT": "5m"}, 0, ready, store.Probe{}, enrolling, 2 * time.Minute},
		{"for how long cannot be read", 25 * time.Second, map[string]string{"ZITI_ENROLLMENT_TIMEOUT": "-1h"}, 0, ready, store.Probe{}, enrolling, 95 * time.Second},
		{"it need not enrol", 25 * time.Second, map[string]string{"ZITI_ENABLED": "false"}, 0, ready, store.Probe{}, well, 0},
		{"work of before", 25 * time.Second, nil, time.Hour, ready, store.Probe{}, enrolling, 95 * time.Second},
		{"work since", 25 * time.Second, nil, 5 * time.Second, ready, store.Probe{}, well, 0},
		{"a probe of ours is answered", 25 * time.Second, nil, 0, ready, store.Probe{URL: "/health", Status: 200}, well, 0},
		{"it fails anyhow", 25 * time.Second, nil, 0, store.Verdict{Health: store.Degraded, Raw: "Error", Why: "k8s-runner restarted."}, store.Probe{},
			wantVerdict{store.Degraded, store.NoReason, "Error", "restarted"}, 0},
	} {
		v := newView("agyn", "platform", "k8s-runner")
		pod := podIn("k8s-runner-0", "k8s-runner", true, ranSince(c.ran))
		for name, value := range c.env {
			pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: name, Value: value})
		}
		carries(v, "k8s-runner", pod, c.given)
		if c.work > 0 {
			w := podIn("workload-1", "agent", true, ranSince(time.Second))
			w.CreationTimestamp = metav1.NewTime(noon.Add(-c.work))
			carries(v, "", w, ready)
		}
		v.Runner.Components = []store.Component{{Name: "k8s-runner", Kind: "Deployment", Desired: 1, Ready: 1, Verdict: c.given, Probe: c.probe}}
		systems.Agyn.Assess(v)
		k, _ := v.Runner.Component("k8s-runner")
		c.want.check(t, c.name, k.Verdict)
		c.want.check(t, c.name+", its pod", v.Runner.Workloads[0].Verdict)
		if next := noon.Add(c.enrols); c.enrols > 0 && !k.Next.Equal(next) || c.enrols == 0 && !k.Next.IsZero() {
			t.Errorf("%s: next %s, want %s", c.name, k.Next, next)
		}
	}
}
