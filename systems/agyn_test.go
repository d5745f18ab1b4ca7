package systems_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
	"trackside/systems/finding"
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

// A token that is lost is a Secret that somebody must look at, as one is for which a pod waits.
func TestAgynFindsTheSecretOfALostToken(t *testing.T) {
	for _, c := range []struct {
		name, status, reason string
		spec                 map[string]any
		want                 string // the object of the finding; blank for none
	}{
		{"lost", "False", "CredentialMissing", map[string]any{"tokenSecretName": "runner-token"}, "secret/runner-token"},
		{"lost, and no Secret is named", "False", "CredentialMissing", nil, ""},
		{"its name is nonsense", "False", "CredentialMissing", map[string]any{"tokenSecretName": 3}, ""},
		{"another failure", "False", "Failed", map[string]any{"tokenSecretName": "runner-token"}, ""},
		{"registered", "True", "Reconciled", map[string]any{"tokenSecretName": "runner-token"}, ""},
		{"registered, by an old reason", "True", "CredentialMissing", map[string]any{"tokenSecretName": "runner-token"}, ""},
	} {
		v := newView("agyn", "platform", "r")
		v.Objects = []systems.Object{{Kind: "Runner", Name: "r", Created: noon.Add(-time.Hour), Custom: map[string]any{"spec": c.spec, "status": map[string]any{
			"conditions": []any{map[string]any{"type": "Ready", "status": c.status, "reason": c.reason}}}}}}
		systems.Agyn.Assess(v)
		wantSecret(t, c.name, v.Runner.Findings, c.want, "spec.tokenSecretName", "holds no token")
	}
}

// wantSecret checks that a Secret, or none where object is blank, is found to be missing.
func wantSecret(t *testing.T, name string, fs []store.Finding, object, field, why string) {
	t.Helper()
	if object == "" {
		if len(fs) != 0 {
			t.Errorf("%s: %+v, want no finding", name, fs)
		}
		return
	}
	if len(fs) != 1 || fs[0].Code != finding.SecretMissing || fs[0].Object != object || fs[0].Field != field || !strings.Contains(string(fs[0].Why), why) {
		t.Errorf("%s: %+v, want %s at %s", name, fs, object, field)
	}
}
