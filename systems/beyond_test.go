package systems_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
)

func init() {
	fleet["gitlab"] = map[string]place{
		"gitlab-runner": {"gitlab", "gitlab-runner", "manager"},
		"runner-t3xq5vbz-project-17-concurrent-0-f9k2m1xq": {"gitlab", "", ""},
		"runner-t3xq5vbz-project-23-concurrent-1-p7w4hc0s": {"gitlab", "", ""},
	}
	fleet["buildkite"] = map[string]place{
		"agent-stack-k8s": {"buildkite", "agent-stack-k8s", "controller"},
		"buildkite-0198f2a1-7c0e-4b1a-9d3e-2f6b8c4d1a50-d1a50": {"buildkite", "agent-stack-k8s", ""},
		"buildkite-0198f2a1-9b77-4c02-8e11-6a0c5d7f3b21-f3b21": {"buildkite", "agent-stack-k8s", ""},
	}
}

// now is the clock of the tests.
var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// manager is GitLab's runner manager as the general rules leave it.
func manager(v store.Verdict, started time.Time, exit *corev1.ContainerStateTerminated) *systems.View {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "gitlab-runner-x", Namespace: "gitlab"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "gitlab-runner", Image: "registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v18.1.1"}}}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gitlab-runner", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}},
		LastTerminationState: corev1.ContainerState{Terminated: exit}}}
	r := &store.Runner{Components: []store.Component{{Name: "manager", Verdict: v}}, Workloads: []store.Workload{{Namespace: "gitlab", Name: pod.Name, UID: "m", Component: "manager", Phase: "Running", Verdict: v}}}
	deployment := systems.Object{Kind: "Deployment", Namespace: "gitlab", Name: "gitlab-runner", Spec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "gitlab-runner",
		Image: pod.Spec.Containers[0].Image, Env: []corev1.EnvVar{{Name: "CI_SERVER_URL", Value: "https://u:p@gitlab.acme.example/"}, {Name: "RUNNER_TAG_LIST", Value: "k8s,\x02linux"}}}}}}
	return &systems.View{Now: now, Runner: r, Objects: []systems.Object{deployment}, Pods: map[string]*corev1.Pod{"m": pod}, Kubectl: func(a string) string { return "kubectl " + a }}
}

// work adds a pod of work to a view.
func work(v *systems.View, name string, created time.Time, verdict store.Verdict, pod *corev1.Pod) {
	pod.Name = name
	v.Pods[name] = pod
	phase := string(pod.Status.Phase)
	if phase == "" {
		phase = "Running"
	}
	v.Runner.Workloads = append(v.Runner.Workloads, store.Workload{Namespace: "gitlab", Name: name, UID: name, Created: created, Phase: phase, Verdict: verdict})
}

func TestGitLabManagerIsProvenByJobs(t *testing.T) {
	well := store.Verdict{Health: store.Healthy, Why: "manager has 1 of 1 pods ready."}
	exit := func(code int32, ran time.Duration) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: metav1.NewTime(now.Add(-ran - time.Minute)), FinishedAt: metav1.NewTime(now.Add(-time.Minute))}
	}
	looping := store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Why: "gitlab-runner keeps exiting: 4 restarts."}
	for _, c := range []struct {
		name     string
		verdict  store.Verdict
		started  time.Duration
		exit     *corev1.ContainerStateTerminated
		job      time.Duration
		probe    store.Probe
		health   store.Health
		unproven bool
		why      string
	}{
		{name: "just started", verdict: well, started: 40 * time.Second, health: store.Unknown,
			why: "manager started 40 s ago and may still be registering, which its readiness probe does not tell; counts as healthy in 2 min."},
		{name: "past its attempts", verdict: well, started: 3 * time.Minute, health: store.Healthy, unproven: true, why: "manager has 1 of 1 pods ready; no job of GitLab's proves that it accepts the token."},
		{name: "a job since", verdict: well, started: 40 * time.Second, job: 10 * time.Second, health: store.Healthy, why: "manager has 1 of 1 pods ready."},
		{name: "a job before", verdict: well, started: 40 * time.Second, job: time.Hour, health: store.Unknown, why: "*"},
		{name: "metrics answer", verdict: well, started: 40 * time.Second, probe: store.Probe{URL: "/metrics", Status: 200}, health: store.Healthy, why: "manager has 1 of 1 pods ready."},
		{name: "metrics do not answer", verdict: well, started: 40 * time.Second, probe: store.Probe{URL: "/metrics", Problem: "refused"}, health: store.Unknown, why: "*"},
		{name: "the token is refused", verdict: looping, exit: exit(1, 152*time.Second), health: store.Unhealthy,
			why: "gitlab-runner keeps exiting: 4 restarts; it ran for 2 min, as long as 30 attempts to register take: GitLab refuses its token, or cannot be reached."},
		{name: "it exits at once", verdict: looping, exit: exit(1, 2*time.Second), health: store.Unhealthy, why: "gitlab-runner keeps exiting: 4 restarts."},
		{name: "another exit code", verdict: looping, exit: exit(137, 152*time.Second), health: store.Unhealthy, why: "gitlab-runner keeps exiting: 4 restarts."},
	} {
		v := manager(c.verdict, now.Add(-c.started), c.exit)
		v.Runner.Components[0].Probe = c.probe
		if c.job > 0 {
			work(v, "runner-1", now.Add(-c.job), store.Verdict{Health: store.Unknown, Why: "It runs."}, &corev1.Pod{})
		}
		systems.GitLab.Assess(v)
		got := v.Runner.Components[0].Verdict
		if why := got.Why.At(now); got.Health != c.health || got.Unproven != c.unproven || why != c.why && c.why != "*" {
			t.Errorf("%s: %s %v %q", c.name, got.Health, got.Unproven, why)
		}
	}
}

func TestGitLabHelperIsNeeded(t *testing.T) {
	for _, c := range []struct {
		container, raw string
		age            time.Duration
		health         store.Health
		reason         store.Reason
	}{
		{"helper", "ImagePullBackOff", 2 * time.Minute, store.Unhealthy, store.ImagePullFailed},
		{"helper", "InvalidImageName", 2 * time.Minute, store.Unhealthy, store.ConfigInvalid},
		{"helper", "ImagePullBackOff", 20 * time.Second, store.Degraded, store.NoReason},
		{"helper", "CrashLoopBackOff", 2 * time.Minute, store.Degraded, store.NoReason},
		{"svc-0", "ImagePullBackOff", 2 * time.Minute, store.Degraded, store.NoReason},
	} {
		v := manager(store.Verdict{Health: store.Healthy, Why: "Fine."}, now.Add(-time.Hour), nil)
		work(v, "runner-1", now.Add(-c.age), store.Verdict{Health: store.Degraded, Raw: c.raw, Container: c.container, Why: "It cannot."}, &corev1.Pod{})
		systems.GitLab.Assess(v)
		w := v.Runner.Workloads[1]
		if w.Health != c.health || w.Reason != c.reason || (c.age < time.Minute) != !w.Next.IsZero() {
			t.Errorf("%+v: %s %s, next %v", c, w.Health, w.Reason, w.Next)
		}
	}
}

func TestGitLabFactsAndVersions(t *testing.T) {
	v := manager(store.Verdict{Health: store.Healthy, Why: "Fine."}, now.Add(-time.Hour), nil)
	work(v, "runner-1", now.Add(-3*time.Minute), store.Verdict{}, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"project.runner.gitlab.com/name": "shop"},
		Annotations: map[string]string{"job.runner.gitlab.com/name": "unit\r\ntests", "job.runner.gitlab.com/url": "https://gitlab.acme.example/acme/shop/-/jobs/90411"}}})
	systems.GitLab.Assess(v)
	facts := factsOf(v.Runner)
	for name, want := range map[string]string{"GitLab": "https://gitlab.acme.example/", "Tags": "k8s, linux", "Build pods in": "gitlab", "Job": "unit tests of shop, https://gitlab.acme.example/acme/shop/-/jobs/90411"} {
		if facts[name] != want {
			t.Errorf("%s is %q, want %q", name, facts[name], want)
		}
	}
	if got := store.Sentence(facts["Last job"]).At(now); got != "made 3 min ago" {
		t.Errorf("last job %q", got)
	}
	for image, want := range map[string]string{"gitlab/gitlab-runner:alpine-v14.7.0": "14.7.0", "gitlab-runner:v18.1.1": "18.1.1", "gitlab-runner:ubuntu-v17.5.0-rc1": "17.5.0-rc1", "gitlab-runner:latest": "latest", "gitlab-runner": ""} {
		o := systems.Object{Kind: "Deployment", Spec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "r", Image: image}}}}
		if got := systems.GitLab.VersionOf(o, "manager"); got != want {
			t.Errorf("%s is version %q, want %q", image, got, want)
		}
	}
}

func TestBeyondClaims(t *testing.T) {
	image := func(s string) *corev1.PodSpec {
		return &corev1.PodSpec{Containers: []corev1.Container{{Name: "build", Image: s}}}
	}
	env := image("gitlab/gitlab-runner:1")
	env.Containers[0].Env = []corev1.EnvVar{{Name: "KUBERNETES_NAMESPACE", Value: "builds"}}
	for _, c := range []struct {
		name   string
		o      systems.Object
		system string
		want   systems.Claim
	}{
		{"an old manager names its namespace", systems.Object{Kind: "Deployment", Namespace: "n", Name: "r", Spec: env}, "gitlab", systems.Claim{Namespace: "n", Runner: "r", Component: "manager", Carries: "builds"}},
		{"an old build pod", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"pod": "runner-abc-project-7-concurrent-0"}, Spec: image("alpine")}, "gitlab", systems.Claim{Namespace: "n"}},
		{"a build of the runner itself is work", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"job.runner.gitlab.com/pod": "x"}, Spec: image("gitlab/gitlab-runner:1")}, "gitlab", systems.Claim{Namespace: "n"}},
		{"the helper's image is no manager", systems.Object{Kind: "Deployment", Namespace: "n", Name: "d", Spec: image("gitlab/gitlab-runner-helper:1")}, "", systems.Claim{}},
		{"somebody else's label pod", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"pod": "web-0"}, Spec: image("alpine")}, "", systems.Claim{}},
		{"a mirror of buildkite's controller", systems.Object{Kind: "Deployment", Namespace: "n", Name: "bk", Spec: image("mirror.acme.example/x/agent-stack-k8s/controller@sha256:00")}, "buildkite", systems.Claim{Namespace: "n", Runner: "bk", Component: "controller", Carries: "n"}},
		{"a job of a controller without an ID", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"buildkite.com/job-uuid": "u"}}, "buildkite", systems.Claim{Namespace: "n"}},
		{"buildkite's label on a Deployment", systems.Object{Kind: "Deployment", Namespace: "n", Name: "p", Labels: map[string]string{"buildkite.com/job-uuid": "u"}, Spec: image("alpine")}, "", systems.Claim{}},
		{"another controller", systems.Object{Kind: "Deployment", Namespace: "n", Name: "p", Spec: image("acme/controller:1")}, "", systems.Claim{}},
	} {
		s, got, ok := systems.Recognise(c.o)
		if !ok {
			if c.system != "" {
				t.Errorf("%s is not recognised", c.name)
			}
			continue
		}
		if s.Name != c.system || got != c.want {
			t.Errorf("%s: %s %+v", c.name, s.Name, got)
		}
	}
}

func TestBuildkite(t *testing.T) {
	ended := func(phase corev1.PodPhase, exits map[string]corev1.ContainerStateTerminated) *corev1.Pod {
		p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
		for _, name := range []string{"container-0", "agent", "checkout"} {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name})
			if e, ok := exits[name]; ok {
				p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &e}})
			}
		}
		return p
	}
	pulling := func(started time.Duration) *corev1.Pod {
		at := metav1.NewTime(now.Add(-started))
		return &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending, StartTime: &at}}
	}
	lost := store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: "Error", Container: "agent", Why: "agent was running and exited."}
	image := store.Verdict{Health: store.Degraded, Raw: "ImagePullBackOff", Container: "imagepullcheck-0", Next: now.Add(30 * time.Second),
		Why: store.Sentence("imagepullcheck-0 cannot pull its image ruby:9; grace ends " + store.Until(now.Add(30*time.Second)) + ".")}
	type exits = map[string]corev1.ContainerStateTerminated
	for _, c := range []struct {
		name   string
		before store.Verdict
		pod    *corev1.Pod
		health store.Health
		reason store.Reason
		why    string
	}{
		{"a job that fails", lost, ended(corev1.PodFailed, exits{"container-0": {ExitCode: 2, Reason: "Error"}, "agent": {ExitCode: 2}, "checkout": {}}), store.Healthy, store.NoReason, "The job ended with exit 2 in container-0; the runner did its part."},
		{"the same with an older agent", lost, ended(corev1.PodFailed, exits{"container-0": {ExitCode: 2, Reason: "Error"}, "agent": {}, "checkout": {}}), store.Healthy, store.NoReason, "The job ended with exit 2 in container-0; the runner did its part."},
		{"a job that is killed for its memory", lost, ended(corev1.PodFailed, exits{"container-0": {ExitCode: 137, Reason: "OOMKilled"}, "agent": {ExitCode: 1}}), store.Unhealthy, store.RuntimeLost, "container-0 was killed for its memory (OOMKilled, exit 137)."},
		{"the source cannot be got", lost, ended(corev1.PodFailed, exits{"checkout": {ExitCode: 128, Reason: "Error", Message: "fatal: could not read Username\n"}, "agent": {ExitCode: 128}}), store.Degraded, store.NoReason, "checkout could not get the source (exit 128): fatal: could not read Username."},
		{"the job was cancelled", lost, ended(corev1.PodFailed, exits{"agent": {ExitCode: 27, Reason: "Error"}, "container-0": {ExitCode: 1}}), store.Healthy, store.NoReason, "agent was refused the job (exit 27): it was cancelled, or another agent has it."},
		{"the job waits", lost, ended(corev1.PodFailed, exits{"agent": {ExitCode: 28, Reason: "Error"}}), store.Healthy, store.NoReason, "agent was refused the job (exit 28): it waits for other jobs."},
		{"the agent itself fails", lost, ended(corev1.PodFailed, exits{"agent": {ExitCode: 1, Reason: "Error"}}), store.Unhealthy, store.RuntimeLost, "agent was running and exited."},
		{"the agent fails after its job", lost, ended(corev1.PodFailed, exits{"agent": {ExitCode: 1, Reason: "Error"}, "container-0": {}}), store.Unhealthy, store.RuntimeLost, "agent was running and exited."},
		{"an image, at first", image, pulling(10 * time.Second), store.Degraded, store.NoReason, "imagepullcheck-0 cannot pull its image ruby:9; grace ends in 30 s."},
		{"an image, before the pod is deleted", image, pulling(25 * time.Second), store.Unhealthy, store.ImagePullFailed, "imagepullcheck-0 cannot pull its image ruby:9; the controller fails the job and deletes the pod 30 s after its start."},
	} {
		v := &systems.View{Now: now, Runner: &store.Runner{}, Pods: map[string]*corev1.Pod{}, Kubectl: func(a string) string { return a }}
		work(v, "p", now.Add(-time.Minute), c.before, c.pod)
		systems.Buildkite.Assess(v)
		w := v.Runner.Workloads[0]
		if why := w.Why.At(now); w.Health != c.health || w.Reason != c.reason || why != c.why {
			t.Errorf("%s: %s/%s %q", c.name, w.Health, w.Reason, why)
		}
		if c.name == "an image, at first" && !w.Next.Equal(now.Add(15*time.Second)) {
			t.Errorf("it is looked at again at %v", w.Next)
		}
	}
	evicted := ended(corev1.PodFailed, exits{"agent": {ExitCode: 0}, "container-0": {ExitCode: 1}})
	evicted.Status.Reason = "Evicted"
	v := &systems.View{Now: now, Runner: &store.Runner{}, Pods: map[string]*corev1.Pod{}}
	work(v, "p", now, lost, evicted)
	if systems.Buildkite.Assess(v); v.Runner.Workloads[0].Reason != store.RuntimeLost {
		t.Errorf("an eviction is taken for the job's own end: %q", v.Runner.Workloads[0].Why)
	}
}

func TestBuildkiteFacts(t *testing.T) {
	v := &systems.View{Now: now, Runner: &store.Runner{}, Pods: map[string]*corev1.Pod{}}
	systems.Buildkite.Assess(v)
	if facts := factsOf(v.Runner); facts["Last job"] != "none is left in the cluster" {
		t.Errorf("%v", facts)
	}
	work(v, "p", now.Add(-time.Minute), store.Verdict{}, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"tag.buildkite.com/queue": "kubernetes"},
		Annotations: map[string]string{"buildkite.com/pipeline-slug": "web\x02app", "buildkite.com/build-branch": "main", "buildkite.com/job-url": "https://buildkite.com/acme/web-app/builds/612#x"}}})
	v.Runner.Facts = nil
	systems.Buildkite.Assess(v)
	facts := factsOf(v.Runner)
	if facts["Queue"] != "kubernetes" || facts["Job"] != "web app on main, https://buildkite.com/acme/web-app/builds/612" {
		t.Errorf("%v", facts)
	}
}
