package systems_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
)

func withEnv(spec corev1.PodSpec, pairs ...string) corev1.PodSpec {
	for i := 0; i < len(pairs); i += 2 {
		spec.Containers[0].Env = append(spec.Containers[0].Env, corev1.EnvVar{Name: pairs[i], Value: pairs[i+1]})
	}
	return spec
}

func TestReleaseIsKnownByWhatItRuns(t *testing.T) {
	image := func(s string) *corev1.PodSpec {
		return &corev1.PodSpec{Containers: []corev1.Container{{Name: "runner", Image: s}}}
	}
	named := withEnv(*image("registry.acme.example/mirror/digitalai:1"), "RELEASE_RUNNER_RELEASE_URL", "https://r")
	hex := "fa6fdf0123456789abcdef0123456789abcdef01"
	labels := map[string]string{"app.kubernetes.io/name": "runner"}
	own := systems.Claim{Namespace: "n", Runner: "x", Component: "runner", Carries: "n", Replicas: true}
	for _, c := range []struct {
		name string
		o    systems.Object
		want systems.Claim
		ok   bool
	}{
		{"by its image", systems.Object{Kind: "StatefulSet", Name: "x", Spec: image("docker.io/xebialabs/release-runner:24.1.3")}, own, true},
		{"by the older image, in a mirror", systems.Object{Kind: "StatefulSet", Name: "x", Spec: image("reg:5000/a/release-remote-runner@sha256:00")}, own, true},
		{"by the oldest image", systems.Object{Kind: "Pod", Name: "x", Spec: image("xebialabs/xlr-remote-runner")}, own, true},
		{"by its variable", systems.Object{Kind: "StatefulSet", Name: "x", Spec: &named}, own, true},
		{"an executor", systems.Object{Kind: "Pod", Name: hex, Spec: image("acme/plugin:1")}, systems.Claim{Namespace: "n"}, true},
		{"40 digits and one more", systems.Object{Kind: "Pod", Name: hex + "0", Spec: image("acme/plugin:1")}, systems.Claim{}, false},
		{"the label alone", systems.Object{Kind: "StatefulSet", Name: "x", Labels: labels, Spec: image("gitlab/gitlab-runner:17")}, systems.Claim{}, false},
		{"a name like it", systems.Object{Kind: "StatefulSet", Name: "x", Spec: image("acme/my-release-runner:1")}, systems.Claim{}, false},
		{"a Deployment of it", systems.Object{Kind: "Deployment", Name: "x", Spec: image("xebialabs/release-runner:1")}, systems.Claim{}, false},
		{"nothing in it", systems.Object{Kind: "Pod", Name: hex}, systems.Claim{}, false},
	} {
		c.o.Namespace = "n"
		s, got, ok := systems.Recognise(c.o)
		if ok != c.ok || ok && (s != systems.Release || got != c.want) {
			t.Errorf("%s: %v %+v, want %v %+v", c.name, ok, got, c.ok, c.want)
		}
	}
}

// releaseView is a runner whose pod and component have those verdicts.
func releaseView(pod *corev1.Pod, spec corev1.PodSpec, verdict store.Verdict) *systems.View {
	v := newView("release", "n", "release-runner-0")
	v.Objects = []systems.Object{{Kind: "StatefulSet", Namespace: "n", Name: "release-runner", Spec: &spec}}
	v.Runner.Components = []store.Component{{Name: "runner", Kind: "StatefulSet", Object: "release-runner", Desired: 1, Verdict: verdict}}
	if pod != nil {
		carries(v, "runner", pod, verdict)
	}
	return v
}

func TestReleaseLives(t *testing.T) {
	healthy := store.Verdict{Health: store.Healthy, Why: "runner has 1 of 1 pods ready."}
	starts := store.Verdict{Health: store.Unknown, Why: "release-runner-0 has been starting."}
	early := store.Verdict{Health: store.Unknown, Raw: "ContainersNotReady", Container: "runner", Why: "runner started 20 s ago and is not ready yet."}
	late := store.Verdict{Health: store.Degraded, Raw: "Unhealthy", Container: "runner", Message: "503", Why: "runner is running but has not been ready."}
	refused := store.Verdict{Health: store.Unhealthy, Raw: "ProbeFailed", Why: "runner fails its health probe."}
	unproven := store.Verdict{Health: store.Healthy, Unproven: true, Why: "runner has run for 2 h."}
	loops := store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Raw: "CrashLoopBackOff", Container: "runner", Why: "runner keeps exiting."}
	again := store.Verdict{Health: store.Degraded, Raw: "OOMKilled", Container: "runner", Why: "runner restarted."}
	waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	in := func(ready bool, s corev1.ContainerState) *corev1.Pod {
		return podIn("release-runner-0", "runner", ready, s)
	}
	goes := in(true, ranSince(time.Hour))
	goes.DeletionTimestamp = &metav1.Time{Time: noon}
	sleeps := in(true, ranSince(2*time.Hour))
	sleeps.Spec.Containers[0] = corev1.Container{Name: "runner", Command: []string{"sleep", "infinity"}}
	hosted := in(true, ranSince(2*time.Hour))
	hosted.Spec = corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "runner"}}}
	hostLoops := in(false, waits)
	hostLoops.Spec = hosted.Spec
	probed := in(true, ranSince(2*time.Hour))
	probed.Spec.HostNetwork = true
	const url = "https://release.acme.example"
	for _, c := range []struct {
		name  string
		pod   *corev1.Pod
		given store.Verdict
		state string
		want  wantVerdict
	}{
		{"no pod", nil, loops, "dead", wantVerdict{store.Unhealthy, store.CrashLoop, "CrashLoopBackOff", "keeps exiting"}},
		{"it is created", in(false, waits), starts, "registering", wantVerdict{store.Unknown, 0, "", "has been starting"}},
		{"it crashes", in(false, waits), loops, "dead", wantVerdict{store.Unhealthy, store.CrashLoop, "CrashLoopBackOff", "keeps exiting"}},
		{"it is deleted", goes, healthy, "deleting", wantVerdict{store.Healthy, 0, "", "1 of 1"}},
		{"ready", in(true, ranSince(time.Hour)), healthy, "ready", wantVerdict{store.Healthy, 0, "", "runner is ready: registered with " + url + "."}},
		{"it registers", unreadySince(in(false, ranSince(20*time.Second)), 30*time.Second), early, "registering", wantVerdict{store.Unknown, 0, "ContainersNotReady", "has been registering for 20 s; grace ends in 40 s."}},
		{"it cannot register", unreadySince(in(false, ranSince(3*time.Minute)), 3*time.Minute), late, "registering",
			wantVerdict{store.Unhealthy, store.StartFailed, "Unhealthy", "has been alive for 3 min and cannot register with " + url + ": check the URL, the registration token and TLS."}},
		{"it cannot register, and our probe says so", unreadySince(in(false, ranSince(3*time.Minute)), 3*time.Minute), refused, "registering",
			wantVerdict{store.Unhealthy, store.StartFailed, "ProbeFailed", "cannot register"}},
		{"it lost Release", unreadySince(in(false, ranSince(time.Hour)), 2*time.Minute), late, "idle", wantVerdict{store.Degraded, 0, "Unhealthy", "has been idle for 2 min: it lost " + url}},
		{"our probe fails first", in(true, ranSince(time.Hour)), refused, "idle", wantVerdict{store.Unhealthy, 0, "ProbeFailed", "fails its health probe"}},
		{"it restarted", in(true, ranSince(time.Minute)), again, "ready", wantVerdict{store.Degraded, 0, "OOMKilled", "restarted"}},
		{"it restarted and registers", in(false, ranSince(time.Minute)), again, "registering", wantVerdict{store.Degraded, 0, "OOMKilled", "restarted"}},
		{"diagnostic mode", sleeps, unproven, "not seen", wantVerdict{store.Unknown, 0, "DiagnosticMode", "diagnostic mode: its container only sleeps"}},
		{"its node's network", hosted, unproven, "not seen", wantVerdict{store.Unknown, 0, "HostNetwork", "uses its node's network"}},
		{"its node's network, crashing", hostLoops, loops, "dead", wantVerdict{store.Unhealthy, store.CrashLoop, "CrashLoopBackOff", "keeps exiting"}},
		{"its node's network, with a probe", probed, healthy, "ready", wantVerdict{store.Healthy, 0, "", "registered"}},
	} {
		spec := withEnv(corev1.PodSpec{Containers: []corev1.Container{{Name: "runner"}}}, "RELEASE_RUNNER_RELEASE_URL", "https://admin:s3cret@release.acme.example?token=x")
		v := releaseView(c.pod, spec, c.given)
		systems.Release.Assess(v)
		if got := factOf(v.Runner, "State"); got != c.state {
			t.Errorf("%s: the state is %q, want %q", c.name, got, c.state)
		}
		if got := factOf(v.Runner, "Release"); got != url {
			t.Errorf("%s: Release is at %q", c.name, got)
		}
		c.want.check(t, c.name, v.Runner.Components[0].Verdict)
		if c.pod != nil && c.given.Health != store.Unhealthy && c.state != "deleting" {
			c.want.check(t, c.name+", its pod", v.Runner.Workloads[0].Verdict)
		}
		if c.want.health != store.Healthy && v.Runner.Components[0].Unproven {
			t.Errorf("%s is still marked unproven", c.name)
		}
	}
}

func TestReleaseFacts(t *testing.T) {
	spec := withEnv(corev1.PodSpec{Containers: []corev1.Container{{Name: "runner"}}}, "RELEASE_RUNNER_CAPABILITIES", " remote,,container ,k8s\x07", "RELEASE_RUNNER_PROFILE", "k8s",
		"RELEASE_RUNNER_METADATA_ENVIRONMENT", "production", "RELEASE_RUNNER_RELEASE_URL", "::not a URL")
	v := releaseView(nil, spec, store.Verdict{})
	v.Runner.Observed = store.Disabled
	systems.Release.Assess(v)
	for name, want := range map[string]string{"State": "disabled", "Capabilities": "remote, container, k8s", "Profile": "k8s", "Environment": "production", "Release": "", "Data center": ""} {
		if got := factOf(v.Runner, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestReleaseAnswersOnItsNodesNetwork: what an annotation has the board ask says how the runner is, where the chart leaves out its probes.
func TestReleaseAnswersOnItsNodesNetwork(t *testing.T) {
	answers := store.Verdict{Health: store.Healthy, Why: "runner answers its health probe."}
	unproven := store.Verdict{Health: store.Healthy, Unproven: true, Why: "runner has run for 2 h."}
	refused := store.Verdict{Health: store.Degraded, Raw: "ProbeFailed", Why: "runner fails its health probe: HTTP 503."}
	idle := corev1.Container{Name: "runner", Command: []string{"sleep", "infinity"}}
	for _, c := range []struct {
		name  string
		main  corev1.Container
		probe store.Probe
		given store.Verdict
		state string
		want  wantVerdict
	}{
		{"it answers", corev1.Container{Name: "runner"}, store.Probe{URL: "http://10.0.0.1:9686/ready", Status: 200}, answers, "ready", wantVerdict{store.Healthy, 0, "", "answers its health probe"}},
		{"it has not been asked yet", corev1.Container{Name: "runner"}, store.Probe{}, unproven, "not seen", wantVerdict{store.Unknown, 0, "HostNetwork", "nothing shows whether it is registered"}},
		{"it refuses", corev1.Container{Name: "runner"}, store.Probe{URL: "http://10.0.0.1:9686/ready", Status: 503, Problem: "HTTP 503"}, refused, "idle",
			wantVerdict{store.Degraded, 0, "ProbeFailed", "fails its health probe"}},
		{"it only sleeps, and another answers", idle, store.Probe{URL: "http://10.0.0.1:9686/ready", Status: 200}, answers, "not seen", wantVerdict{store.Unknown, 0, "DiagnosticMode", "only sleeps"}},
	} {
		pod := podIn("release-runner-0", "runner", true, ranSince(2*time.Hour))
		pod.Spec = corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{c.main}}
		v := releaseView(pod, pod.Spec, c.given)
		v.Runner.Components[0].Probe = c.probe
		systems.Release.Assess(v)
		if got := factOf(v.Runner, "State"); got != c.state {
			t.Errorf("%s: the state is %q, want %q", c.name, got, c.state)
		}
		c.want.check(t, c.name, v.Runner.Components[0].Verdict)
	}
}

// Under hostNetwork another runner may hold the port, and a sleeping container has none.
func TestReleaseIsProbedWhereAnAnswerProvesSomething(t *testing.T) {
	for name, c := range map[string]struct {
		spec      corev1.PodSpec
		component string
		want      bool
	}{
		"a runner":        {corev1.PodSpec{Containers: []corev1.Container{{Name: "runner"}}}, "runner", true},
		"work":            {corev1.PodSpec{Containers: []corev1.Container{{Name: "runner"}}}, "", false},
		"hostNetwork":     {corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "runner"}}}, "runner", false},
		"diagnostic mode": {corev1.PodSpec{Containers: []corev1.Container{{Name: "runner", Command: []string{"sleep", "infinity"}}}}, "runner", false},
	} {
		got, ok, err := systems.Release.ProbeOf(systems.Object{Spec: &c.spec}, c.component)
		if err != nil || ok != c.want || ok && got != (systems.Probe{Path: "/ready", Port: 8686}) {
			t.Errorf("%s: %+v %v %v", name, got, ok, err)
		}
	}
}
