package systems_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

func TestAmbientIsKnown(t *testing.T) {
	spec := func(name, image string) *corev1.PodSpec {
		return &corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: image}}}
	}
	app := func(s string) map[string]string { return map[string]string{"app": s} }
	for _, c := range []struct {
		name      string
		o         systems.Object
		component string
		ok        bool
	}{
		{"the operator's pod", systems.Object{Kind: "Pod", Labels: app("ambient-code-runner")}, "", true},
		{"the control plane's pod", systems.Object{Kind: "Pod", Labels: map[string]string{"ambient-code.io/managed-by": "ambient-control-plane"}}, "", true},
		{"a pod by its container", systems.Object{Kind: "Pod", Spec: spec("ambient-code-runner", "acme/agent:1")}, "", true},
		{"a Deployment labelled as a session", systems.Object{Kind: "Deployment", Labels: app("ambient-code-runner")}, "", false},
		{"a session", systems.Object{Kind: "AgenticSession"}, "sessions", true},
		{"the project's settings", systems.Object{Kind: "ProjectSettings"}, "sessions", true},
		{"the operator", systems.Object{Kind: "Deployment", Labels: app("agentic-operator"), Spec: spec("agentic-operator", "acme/op:1")}, "agentic-operator", true},
		{"the operator's own pod", systems.Object{Kind: "Pod", Labels: app("agentic-operator"), Spec: spec("agentic-operator", "acme/op:1")}, "agentic-operator", true},
		{"the backend", systems.Object{Kind: "Deployment", Labels: app("backend-api"), Spec: spec("backend-api", "quay.io/ambient_code/vteam_backend:v1")}, "backend-api", true},
		{"the frontend from a mirror", systems.Object{Kind: "Deployment", Labels: app("frontend"), Spec: spec("frontend", "reg:5000/mirror/vteam_frontend@sha256:0")}, "frontend", true},
		{"somebody else's frontend", systems.Object{Kind: "Deployment", Labels: app("frontend"), Spec: spec("frontend", "shop/frontend:1")}, "", false},
		{"somebody else's backend without containers", systems.Object{Kind: "Deployment", Labels: app("backend-api")}, "", false},
		{"the database", systems.Object{Kind: "Deployment", Labels: app("postgresql"), Spec: spec("postgresql", "quay.io/sclorg/postgresql:16")}, "", false},
		{"a StatefulSet", systems.Object{Kind: "StatefulSet", Labels: app("agentic-operator")}, "", false},
	} {
		c.o.Namespace, c.o.Name = "team", "x"
		got, ok := systems.Ambient.Claim(c.o)
		want := systems.Claim{Namespace: "team", Runner: "team", Component: c.component}
		if ok != c.ok || ok && got != want {
			t.Errorf("%s: %v %+v, want %v %+v", c.name, ok, got, c.ok, want)
		}
	}
	for component, want := range map[string]string{"": "ambient-code-runner", "agentic-operator": "agentic-operator"} {
		pod := systems.Object{Spec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "state-sync"}, {Name: want}}}}
		if got := systems.Ambient.MainContainer(pod, component); got != want {
			t.Errorf("the main container of %q is %s", component, got)
		}
	}
}

// A session's prompt and its environment may hold anything, and are not to be kept.
func TestAmbientKeepsNothingOfASessionsSpec(t *testing.T) {
	for _, w := range systems.Ambient.Watches {
		for _, path := range w.Keep {
			if w.Kind == "AgenticSession" && !strings.HasPrefix(path, "status.") {
				t.Errorf("%s of an AgenticSession is kept", path)
			}
		}
	}
}

func session(t *testing.T, name, status string) systems.Object {
	t.Helper()
	return systems.Object{Kind: "AgenticSession", Namespace: "team", Name: name, UID: types.UID("uid-" + name), Created: noon.Add(-2 * time.Hour),
		Custom: map[string]any{"status": any(decoded(t, status))}}
}

func ago(d time.Duration) string { return noon.Add(-d).Format(time.RFC3339) }

var (
	runs  = store.Verdict{Health: store.Healthy, Why: "s-runner is running and ready."}
	ended = store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: "OOMKilled", Container: "ambient-code-runner", Inspect: "kubectl describe",
		Why: "ambient-code-runner was running and exited 3 min ago (OOMKilled, exit 137)."}
	unready = store.Verdict{Health: store.Degraded, Raw: "Unhealthy", Container: "ambient-code-runner", Why: "ambient-code-runner is running but has not been ready."}
)

// What a session says, against what its pod does.
func TestAmbientSessionsAgainstTheirPods(t *testing.T) {
	const main = "ambient-code-runner"
	for _, c := range []struct {
		name   string
		status string
		pod    *corev1.Pod
		given  store.Verdict
		want   wantVerdict
		next   time.Time
	}{
		{"both run", "phase: Running", podIn("s-runner", main, true, ranSince(time.Hour)), runs, wantVerdict{store.Healthy, 0, "", "running and ready"}, time.Time{}},
		{"killed for its memory", "phase: Running", podIn("s-runner", main, false, endedSince(3*time.Minute, 137, "OOMKilled", "")), ended,
			wantVerdict{store.Unhealthy, store.RuntimeLost, "OOMKilled", "The session says Running, but its pod is dead: ambient-code-runner was running and exited 3 min ago (OOMKilled, exit 137)."}, time.Time{}},
		{"it failed at its start", "phase: Running", podIn("s-runner", main, false, endedSince(time.Second, 1, "Error", "")),
			store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed, Raw: "Error", Why: "ambient-code-runner exited while starting (Error, exit 1)."},
			wantVerdict{store.Unhealthy, store.RuntimeLost, "Error", "its pod is dead: ambient-code-runner exited while starting"}, time.Time{}},
		{"evicted", "phase: Running", podIn("s-runner", main, true, ranSince(time.Hour)), store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: "Evicted", Why: "s-runner is lost (Evicted)."},
			wantVerdict{store.Unhealthy, store.RuntimeLost, "Evicted", "its pod is dead: s-runner is lost"}, time.Time{}},
		{"not ready for long", "phase: Running", unreadySince(podIn("s-runner", main, false, ranSince(time.Hour)), 61*time.Second), unready,
			wantVerdict{store.Unhealthy, store.RuntimeLost, "Unhealthy", "The session says Running, but its pod has not been ready for 1 min."}, time.Time{}},
		{"not ready for a moment", "phase: Running", unreadySince(podIn("s-runner", main, false, ranSince(time.Hour)), 20*time.Second), unready,
			wantVerdict{store.Degraded, 0, "Unhealthy", "has not been ready"}, noon.Add(40 * time.Second)},
		{"only a sidecar is not ready", "phase: Running", unreadySince(podIn("s-runner", main, true, ranSince(time.Hour)), time.Hour), unready,
			wantVerdict{store.Degraded, 0, "Unhealthy", "has not been ready"}, time.Time{}},
		{"it ended well just now", "phase: Running", podIn("s-runner", main, false, endedSince(10*time.Second, 0, "Completed", "")), store.Verdict{Health: store.Healthy, Raw: "Completed", Why: "It finished."},
			wantVerdict{store.Healthy, 0, "Completed", "It finished."}, noon.Add(50 * time.Second)},
		{"it ended well long ago", "phase: Running", podIn("s-runner", main, false, endedSince(5*time.Minute, 0, "Completed", "")), store.Verdict{Health: store.Healthy, Raw: "Completed", Why: "It finished."},
			wantVerdict{store.Unhealthy, store.RuntimeLost, "Completed", "says Running, but its pod has ended: It finished."}, time.Time{}},
		{"on its way out", "phase: Running", unreadySince(podIn("s-runner", main, false, ranSince(time.Hour)), time.Hour), store.Verdict{Health: store.Degraded, Raw: "Terminating", Why: "s-runner has been terminating."},
			wantVerdict{store.Degraded, 0, "Terminating", "terminating"}, time.Time{}},
		{"a prerequisite is missing", "phase: Creating", podIn("s-runner", main, false, endedSince(time.Second, 2, "Error", "no\nANTHROPIC_API_KEY.")), ended,
			wantVerdict{store.Unhealthy, store.ConfigInvalid, "PrerequisiteFailed", "ambient-code-runner misses a prerequisite (exit 2): no ANTHROPIC_API_KEY."}, time.Time{}},
		{"a prerequisite is missing, the session says Running", "phase: Running", podIn("s-runner", main, false, endedSince(time.Hour, 2, "Error", "")), ended,
			wantVerdict{store.Unhealthy, store.ConfigInvalid, "PrerequisiteFailed", "misses a prerequisite (exit 2)."}, time.Time{}},
		{"it is created", "phase: Creating", podIn("s-runner", main, false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}), store.Verdict{Health: store.Unknown, Why: "It starts."},
			wantVerdict{store.Unknown, 0, "", "It starts."}, time.Time{}},
		{"it runs, the session has not come to it yet", "phase: Creating", podIn("s-runner", main, true, ranSince(20*time.Second)), runs, wantVerdict{store.Healthy, 0, "", "running and ready"}, noon.Add(40 * time.Second)},
		{"it runs, the session does not come to it", `{phase: Creating, conditions: [{type: Ready, status: "False", reason: ServiceFailed, message: "must be no more than 63 characters."}]}`,
			podIn("s-runner", main, true, ranSince(2*time.Minute)), runs,
			wantVerdict{store.Unhealthy, store.StartFailed, "ServiceFailed", "The session still says Creating, but its pod has run for 2 min: must be no more than 63 characters."}, time.Time{}},
		{"the same, without a word", "{}", podIn("s-runner", main, true, ranSince(2*time.Minute)), store.Verdict{Health: store.Unknown, Why: "It is unproven.", Next: noon.Add(8 * time.Minute)},
			wantVerdict{store.Unhealthy, store.StartFailed, "NotRunning", "The session still says Pending, but its pod has run for 2 min."}, time.Time{}},
		{"created, and its pod is not ready", "phase: Creating", unreadySince(podIn("s-runner", main, false, ranSince(2*time.Minute)), time.Minute), unready,
			wantVerdict{store.Degraded, 0, "Unhealthy", "has not been ready"}, time.Time{}},
		{"its own word comes first", `{phase: Failed, conditions: [{type: Ready, status: "False", reason: ImagePullBackOff, message: "Runner waiting: ImagePullBackOff - 401."}]}`,
			podIn("s-runner", main, false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}), store.Verdict{Health: store.Degraded, Raw: "ErrImagePull", Why: "It cannot pull; grace ends."},
			wantVerdict{store.Unhealthy, store.ImagePullFailed, "ImagePullBackOff", "The session failed (ImagePullBackOff): Runner waiting: ImagePullBackOff - 401."}, time.Time{}},
	} {
		v := newView("ambient", "team", "team")
		c.pod.Labels = map[string]string{"agentic-session": "s"}
		carries(v, "", c.pod, c.given)
		v.Objects = []systems.Object{session(t, "s", c.status)}
		systems.Ambient.Assess(v)
		if len(v.Runner.Workloads) != 1 {
			t.Fatalf("%s: %d workloads", c.name, len(v.Runner.Workloads))
		}
		w := v.Runner.Workloads[0]
		c.want.check(t, c.name, w.Verdict)
		if !w.Next.Equal(c.next) {
			t.Errorf("%s: next %s, want %s", c.name, w.Next, c.next)
		}
	}
}

// The name of a session may be too long for its Service, which is made after its pod.
func TestAmbientServicesThatCannotBeNamed(t *testing.T) {
	for n, want := range map[int]string{55: "its pod has run for 2 min.", 56: "its pod has run for 2 min: its Service cannot be made, since the name session-sss"} {
		name := strings.Repeat("s", n)
		v := newView("ambient", "team", "team")
		pod := podIn(name+"-runner", "ambient-code-runner", true, ranSince(2*time.Minute))
		pod.Labels = map[string]string{"agentic-session": name}
		carries(v, "", pod, runs)
		v.Objects = []systems.Object{session(t, name, "phase: Creating")}
		systems.Ambient.Assess(v)
		wantVerdict{store.Unhealthy, store.StartFailed, "NotRunning", want}.check(t, fmt.Sprint(n), v.Runner.Workloads[0].Verdict)
	}
}

// The operator deletes the pods of sessions that failed: the session is all there is.
func TestAmbientSessionsWithoutAPod(t *testing.T) {
	failed := func(conditions string) string {
		return fmt.Sprintf("{phase: Failed, completionTime: %q, conditions: [%s]}", ago(3*time.Minute), conditions)
	}
	for _, c := range []struct {
		name   string
		status string
		change func(*systems.Object)
		want   wantVerdict // health Healthy: no workload
	}{
		{"a prerequisite", failed(`{type: Ready, status: "False", reason: PrerequisiteFailed, message: no key}`), nil, wantVerdict{store.Unhealthy, store.ConfigInvalid, "PrerequisiteFailed", "The session failed (PrerequisiteFailed): no key."}},
		{"an exit", failed(`{type: Ready, status: "False", reason: RunnerExit, message: exit 1}`), nil, wantVerdict{store.Unhealthy, store.StartFailed, "RunnerExit", "exit 1."}},
		{"an exit after it ran", failed(`{type: RunnerStarted, status: "True"}, {type: Ready, status: "False", reason: PodFailed, message: OOMKilled}`), nil, wantVerdict{store.Unhealthy, store.RuntimeLost, "PodFailed", "OOMKilled."}},
		{"a crash loop", failed(`{type: Ready, status: "False", reason: CrashLoopBackOff}`), nil, wantVerdict{store.Unhealthy, store.CrashLoop, "CrashLoopBackOff", "(CrashLoopBackOff)."}},
		{"its secrets", failed(`{type: SecretsReady, status: "False", reason: SecretMissing, message: 'secret "x" not found'}`), nil, wantVerdict{store.Unhealthy, store.ConfigInvalid, "SecretMissing", `secret "x" not found.`}},
		{"no place", failed(`{type: Ready, status: "True"}, {type: PodScheduled, status: "False", reason: Unschedulable, message: 0/3 nodes}`), nil, wantVerdict{store.Unhealthy, store.StartFailed, "Unschedulable", "0/3 nodes."}},
		{"no word", failed(""), nil, wantVerdict{store.Unhealthy, store.StartFailed, "", "The session failed and does not say why."}},
		{"nonsense for conditions", "{phase: Failed, conditions: {type: Ready}, completionTime: soon}", nil, wantVerdict{store.Unhealthy, store.StartFailed, "", "does not say why"}},
		{"Running, and no pod", "phase: Running", nil, wantVerdict{store.Unknown, 0, "PodMissing", "The session says Running, but its pod is gone; it may have just ended."}},
		{"Running, and asked to stop", "phase: Running", func(o *systems.Object) { o.Annotations = map[string]string{"ambient-code.io/desired-phase": "Stopped"} }, wantVerdict{health: store.Healthy}},
		{"Running, and being deleted", "phase: Running", func(o *systems.Object) { o.Deleting = true }, wantVerdict{health: store.Healthy}},
		{"its pod went missing", `{phase: Pending, conditions: [{type: PodCreated, status: "False", reason: PodMissing, message: "Pod not found, will recreate"}]}`, nil,
			wantVerdict{store.Unhealthy, store.RuntimeLost, "PodMissing", "The session lost its pod and waits for another: Pod not found, will recreate."}},
		{"new", "{}", func(o *systems.Object) { o.Created = noon.Add(-20 * time.Second) }, wantVerdict{store.Unknown, 0, "", "The session has been pending for 20 s and has no pod yet; grace ends in 40 s."}},
		{"not new", `{phase: Creating, conditions: [{type: PodCreated, status: "False", reason: PodCreationFailed, message: exceeded quota}]}`, nil,
			wantVerdict{store.Unhealthy, store.StartFailed, "PodCreationFailed", "The session has been creating for 2 h and has no pod: exceeded quota."}},
		{"not new, no word", "phase: Creating", nil, wantVerdict{store.Unhealthy, store.StartFailed, "NoPod", "has no pod."}},
		{"stopped", "{phase: Stopped, stoppedReason: inactivity}", nil, wantVerdict{health: store.Healthy}},
		{"completed", "phase: Completed", nil, wantVerdict{health: store.Healthy}},
	} {
		v := newView("ambient", "team", "team")
		o := session(t, "s", c.status)
		if c.change != nil {
			c.change(&o)
		}
		v.Objects = []systems.Object{o}
		systems.Ambient.Assess(v)
		if c.want.health == store.Healthy {
			if len(v.Runner.Workloads) != 0 {
				t.Errorf("%s: it is shown as work: %+v", c.name, v.Runner.Workloads[0].Verdict)
			}
			continue
		}
		if len(v.Runner.Workloads) != 1 {
			t.Fatalf("%s: %d workloads", c.name, len(v.Runner.Workloads))
		}
		w := v.Runner.Workloads[0]
		c.want.check(t, c.name, w.Verdict)
		if w.Name != "s" || w.UID != "uid-s" || !strings.Contains(w.Inspect, "get agenticsession s -n team -o jsonpath='{.status}'") {
			t.Errorf("%s: %+v", c.name, w)
		}
		if strings.Contains(c.status, "completionTime: \"") && !w.Since.Equal(noon.Add(-3*time.Minute)) {
			t.Errorf("%s: since %s", c.name, w.Since)
		}
	}
}

// The end of a pod and the session's word of it arrive apart: only what stays is a loss.
func TestAmbientPodsThatStayGone(t *testing.T) {
	v := newView("ambient", "team", "team")
	v.Objects = []systems.Object{session(t, "s", "phase: Running")}
	systems.Ambient.Assess(v)
	first := v.Runner.Workloads[0]
	if !first.Since.Equal(noon) || !first.Next.Equal(noon.Add(5*time.Second)) {
		t.Errorf("since %s, next %s", first.Since, first.Next)
	}
	for _, c := range []struct {
		after time.Duration
		want  wantVerdict
	}{
		{4 * time.Second, wantVerdict{store.Unknown, 0, "PodMissing", "may have just ended"}},
		{5 * time.Second, wantVerdict{store.Unhealthy, store.RuntimeLost, "PodMissing", "The session says Running, but its pod has been gone for"}},
		{time.Hour, wantVerdict{store.Unhealthy, store.RuntimeLost, "PodMissing", "has been gone for"}},
	} {
		later := newView("ambient", "team", "team")
		later.Now, later.Prior, later.Objects = noon.Add(c.after), v.Runner, v.Objects
		systems.Ambient.Assess(later)
		c.want.check(t, c.after.String(), later.Runner.Workloads[0].Verdict)
		if !later.Runner.Workloads[0].Since.Equal(noon) {
			t.Errorf("%s later: since %s", c.after, later.Runner.Workloads[0].Since)
		}
	}
}

// A session that was unknown already, as one that waits for its pod is, has the whole grace: what began with its waiting is not the loss.
func TestAmbientPodsThatAreSeenLate(t *testing.T) {
	v := newView("ambient", "team", "team")
	v.Objects = []systems.Object{session(t, "s", "phase: Running")}
	systems.Ambient.Assess(v)
	v.Runner.Workloads[0].Since = noon.Add(-30 * time.Second) // as the board settles it: unknown since the session was pending
	later := newView("ambient", "team", "team")
	later.Now, later.Prior, later.Objects = noon.Add(4*time.Second), v.Runner, v.Objects
	systems.Ambient.Assess(later)
	wantVerdict{store.Unknown, 0, "PodMissing", "may have just ended"}.check(t, "4 s after it was first seen", later.Runner.Workloads[0].Verdict)
}

func TestAmbientNamespacesOfSessions(t *testing.T) {
	const main = "ambient-code-runner"
	starts := store.Verdict{Health: store.Unknown, Why: "It starts."}
	unproven := store.Verdict{Health: store.Healthy, Unproven: true, Why: "It has run for 2 h."}
	waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	done := func(phase string) string {
		return fmt.Sprintf("{phase: %s, completionTime: %q}", phase, ago(2*time.Hour))
	}
	for _, c := range []struct {
		name     string
		sessions []string
		pods     []store.Verdict
		want     wantVerdict
		unproven bool
	}{
		{"none yet", nil, nil, wantVerdict{store.Unknown, 0, "NoSessions", "No session has run here yet"}, false},
		{"two run", nil, []store.Verdict{runs, unproven}, wantVerdict{store.Healthy, 0, "", "2 sessions run."}, false},
		{"one runs, with no probe", nil, []store.Verdict{unproven}, wantVerdict{store.Healthy, 0, "", "1 session runs."}, true},
		{"one comes up", nil, []store.Verdict{starts}, wantVerdict{store.Unknown, 0, "Starting", "1 session comes up."}, false},
		{"none runs well", nil, []store.Verdict{unready}, wantVerdict{store.Unknown, 0, "NoSessions", "None of 1 session runs well."}, false},
		{"the last ended well", []string{done("Completed")}, nil, wantVerdict{store.Healthy, 0, "", "No session runs; the last one ended 2 h ago."}, true},
		{"the last failed", []string{done("Failed")}, nil, wantVerdict{store.Unknown, 0, "NoSessions", "the last one failed 2 h ago."}, false},
	} {
		v := newView("ambient", "team", "team")
		for i, s := range c.sessions {
			v.Objects = append(v.Objects, session(t, fmt.Sprint("s", i), s))
		}
		for i, verdict := range c.pods {
			state := ranSince(time.Hour)
			if verdict.Health == store.Unknown {
				state = waits
			}
			carries(v, "", podIn(fmt.Sprint("p", i), main, true, state), verdict)
		}
		systems.Ambient.Assess(v)
		if len(v.Runner.Components) != 1 {
			t.Fatalf("%s: components %+v", c.name, v.Runner.Components)
		}
		k := v.Runner.Components[0]
		c.want.check(t, c.name, k.Verdict)
		if k.Name != "sessions" || k.Kind != "Namespace" || k.Object != "team" || k.Unproven != c.unproven {
			t.Errorf("%s: %+v", c.name, k)
		}
	}
}

func TestAmbientFacts(t *testing.T) {
	v := newView("ambient", "team", "team")
	v.Runner.Components = []store.Component{{Name: "agentic-operator"}}
	v.Objects = []systems.Object{
		session(t, "a", "phase: Running"), session(t, "b", "{phase: Stopped, stoppedReason: inactivity}"), session(t, "c", "{}"), session(t, "d", "phase: Stopped"),
		{Kind: "ProjectSettings", Custom: decoded(t, "spec: {inactivityTimeoutSeconds: 86400}")}, {Kind: "ProjectSettings", Custom: decoded(t, "spec: {inactivityTimeoutSeconds: 0}")},
		{Kind: "ProjectSettings", Custom: decoded(t, "spec: {inactivityTimeoutSeconds: -1}")}, {Kind: "ProjectSettings", Custom: decoded(t, "spec: [1]")},
	}
	systems.Ambient.Assess(v)
	want := []store.Fact{{Name: "Sessions", Value: "1 pending, 1 running, 2 stopped, 1 of them for inactivity"}, {Name: "Inactivity timeout", Value: "1 d"}, {Name: "Inactivity timeout", Value: "none"}}
	if len(v.Runner.Facts) != len(want) || v.Runner.Facts[0] != want[0] || v.Runner.Facts[1] != want[1] || v.Runner.Facts[2] != want[2] {
		t.Errorf("facts %+v", v.Runner.Facts)
	}
	if len(v.Runner.Components) != 1 {
		t.Errorf("the platform has the components %+v", v.Runner.Components)
	}
}

func TestAmbientShowsTheNewestOfThousands(t *testing.T) {
	v := newView("ambient", "team", "team")
	for i := range 200 {
		o := session(t, fmt.Sprintf("s%03d", i), "phase: Failed")
		o.Created = noon.Add(-time.Duration(i) * time.Minute)
		v.Objects = append(v.Objects, o)
	}
	systems.Ambient.Assess(v)
	if n := len(v.Runner.Workloads); n != 50 || v.Runner.Workloads[0].Name != "s000" || v.Runner.Workloads[49].Name != "s049" {
		t.Errorf("%d sessions are shown", n)
	}
	if got := factOf(v.Runner, "Sessions"); got != "200 failed" {
		t.Errorf("sessions: %s", got)
	}
}

// What the operator says last of its sessions' Secrets is a finding while it says that one is missing.
func TestAmbientFindsTheSecretThatSessionsNeed(t *testing.T) {
	said := func(ago, status, reason, message string) string {
		return fmt.Sprintf("{phase: Failed, conditions: [{type: SecretsReady, status: %q, reason: %s, message: %q, lastTransitionTime: %q}]}", status, reason, message, ago)
	}
	for _, c := range []struct {
		name     string
		statuses []string
		want     string
	}{
		{"the runner's", []string{said(ago(time.Hour), "False", "RunnerSecretMissing", "Secret ambient-runner-secrets missing")}, "secret/ambient-runner-secrets"},
		{"in quotes", []string{said(ago(time.Hour), "False", "SecretMissing", "secret 'ambient-runner-secrets' not found")}, "secret/ambient-runner-secrets"},
		{"the platform's", []string{said(ago(time.Hour), "False", "VertexSecretMissing", "CLAUDE_CODE_USE_VERTEX=1 but ambient-vertex secret not found in namespace ambient-code. Create it with: kubectl create secret generic ambient-vertex")},
			"secret/ambient-vertex"},
		{"another session found it since", []string{said(ago(time.Hour), "False", "RunnerSecretMissing", "Secret api-key missing"), said(ago(time.Minute), "True", "AllRequiredSecretsFound", "")}, ""},
		{"another session found it before", []string{said(ago(time.Hour), "True", "AllRequiredSecretsFound", ""), said(ago(time.Minute), "False", "RunnerSecretMissing", "Secret api-key missing")}, "secret/api-key"},
		{"it names none", []string{said(ago(time.Hour), "False", "SecretMissing", "a secret is missing")}, ""},
		{"the API server could not say", []string{said(ago(time.Hour), "False", "SecretCheckFailed", "Failed to check for ambient-vertex secret: timeout")}, ""},
		{"all there", []string{said(ago(time.Hour), "True", "AllRequiredSecretsFound", "")}, ""},
		{"nothing said", []string{"phase: Pending"}, ""},
	} {
		for _, turn := range []bool{false, true} {
			v := newView("ambient", "team", "team")
			for i, status := range c.statuses {
				v.Objects = append(v.Objects, session(t, fmt.Sprint("s", i), status))
			}
			if turn {
				slices.Reverse(v.Objects)
			}
			systems.Ambient.Assess(v)
			wantSecret(t, c.name, v.Runner.Findings, c.want, "status.conditions[SecretsReady]", "does not find")
		}
	}
}
