package systems

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// What is known of GitLab Runner was read in these places:
//
//   - gitlabhq/gitlab-runner (GitHub's mirror) executors/kubernetes/kubernetes.go, commit cf848a5, and its later text with buildLabels: the
//     build pod runner-<short token>-project-<id>-concurrent-<n>, restartPolicy Never, without an owner; containers build and helper, svc-N
//     for services, init-permissions before them; the labels pod and job.runner.gitlab.com/pod, project.runner.gitlab.com/*,
//     manager.runner.gitlab.com/{name,id-short}; the job's name and URL as annotations. The helper clones, caches and uploads: no job does without it.
//   - renderings of the chart gitlab-org/charts/gitlab-runner in public repositories, 0.21 to 0.78: the Deployment and its container are
//     named as the label app; labels app, chart, release, heritage; port 9252 is declared whether metrics are on or not; environment
//     CI_SERVER_URL, and up to 0.20 or so KUBERNETES_NAMESPACE, where the build pods go. Later that stands in a ConfigMap, which is not read.
//   - configmap.yaml of those: the entrypoint registers first, up to 30 times 5 s apart, and ends with 1. The readiness probe is
//     pgrep gitlab.*runner, which finds a runner that is still registering; check-live, the liveness probe, was the same up to 0.60 or so
//     and has run "gitlab-runner verify" since, whose timeout of 3 s it takes for a success.
//
// So readiness proves that a process runs. That GitLab accepts the token is proven by a job that GitLab gave, or by a probe that an
// annotation declares: the metrics on 9252 are served once registered. What is not knowable here: a token that is revoked later, where the
// liveness probe does not verify; jobs that wait in GitLab.
const (
	gitlabImage     = "gitlab-runner"
	gitlabJobPod    = "job.runner.gitlab.com/pod"
	gitlabPod       = "pod"
	gitlabProject   = "project.runner.gitlab.com/name"
	gitlabJobName   = "job.runner.gitlab.com/name"
	gitlabJobURL    = "job.runner.gitlab.com/url"
	gitlabNamespace = "KUBERNETES_NAMESPACE"
	gitlabServer    = "CI_SERVER_URL"
	gitlabTags      = "RUNNER_TAG_LIST"
)

// GitLab is a gitlab-runner Deployment with the kubernetes executor, and its build pods. No label of a build pod leads to the Deployment
// (the manager's name is one that somebody chose, or a pod's host name): the namespace joins them, and of two runners that build in one
// namespace the first has the pods.
var GitLab = register(System{
	Name:        "gitlab",
	Title:       "GitLab Runner",
	LooksFor:    "Deployments of the image gitlab-runner, and Pods labelled " + gitlabJobPod,
	Claim:       claimGitLab,
	Main:        mainGitLab,
	Version:     versionGitLab,
	Labels:      []string{appLabel, instanceLabel, gitlabJobPod, gitlabPod, gitlabProject},
	Annotations: []string{gitlabJobName, gitlabJobURL},
	KeepEnv:     []string{gitlabNamespace, gitlabServer, gitlabTags},
	Assess:      assessGitLab,
	Manifest:    gitlabManifest,
})

func claimGitLab(o Object) (Claim, bool) {
	if o.Kind == "Pod" && (o.Labels[gitlabJobPod] != "" || gitlabOld.MatchString(o.Labels[gitlabPod])) && hasContainer(o.Spec, "build") {
		return Claim{Namespace: o.Namespace}, true
	}
	if o.Kind != "Deployment" && o.Kind != "Pod" || containerOf(o.Spec, gitlabImage) == "" {
		return Claim{}, false
	}
	c := Claim{Namespace: o.Namespace, Runner: o.Name, Component: "manager", Carries: envValue(o.Spec, gitlabNamespace)}
	if o.Kind == "Pod" {
		c.Runner = cmp.Or(o.Labels[appLabel], o.Labels[instanceLabel], gitlabImage)
	}
	c.Carries = cmp.Or(c.Carries, o.Namespace)
	return c, true
}

// gitlabOld is the label pod of build pods before they had others.
var gitlabOld = regexp.MustCompile(`^runner-.+-project-\d+-concurrent`)

func mainGitLab(pod Object, component string) string {
	if component == "" && hasContainer(pod.Spec, "build") {
		return "build"
	}
	return containerOf(pod.Spec, gitlabImage)
}

var gitlabVersion = regexp.MustCompile(`(?:^|-)v?(\d+\.\d+\.\d+.*)$`)

// versionGitLab is the version in a tag such as alpine-v18.9.0.
func versionGitLab(o Object) string {
	image := Image(o.Spec, containerOf(o.Spec, gitlabImage))
	if m := gitlabVersion.FindStringSubmatch(ImageVersion(image)); m != nil {
		return m[1]
	}
	return ""
}

func assessGitLab(v *View) {
	for _, w := range v.works() {
		if w.Container == "helper" {
			needs(w, v.Now)
		}
	}
	for i := range v.Runner.Components {
		if c := &v.Runner.Components[i]; c.Name == "manager" {
			c.Verdict = v.gitlabManager(*c)
		}
	}
	v.gitlabFacts()
}

const (
	// gitlabRegistering is how long 30 attempts to register take, at the least, and gitlabPatience when they are over.
	gitlabRegistering = 29 * 5 * time.Second
	gitlabPatience    = 3 * time.Minute
	// gitlabSlow bounds how long they take where each attempt waits for an answer.
	gitlabSlow = 30 * 30 * time.Second
)

// gitlabManager says what the runner's own probes cannot: whether GitLab takes it for one of its runners.
func (v *View) gitlabManager(c store.Component) store.Verdict {
	if exit := v.gitlabExit(); exit != nil && c.Health.Severity() <= store.Degraded.Severity() {
		return gitlabRefused(c.Verdict, exit)
	}
	if c.Health != store.Healthy || c.Probe.URL != "" && c.Probe.Problem == "" {
		return c.Verdict
	}
	started := v.gitlabStarted()
	for _, w := range v.works() {
		if w.Created.After(started) {
			return c.Verdict // GitLab gave it a job
		}
	}
	out := c.Verdict
	if end := started.Add(gitlabPatience); v.Now.Before(end) {
		return store.Verdict{Health: store.Unknown, Raw: "Registering", Since: started, Next: end, Inspect: v.gitlabLogs(),
			Why: store.Sentence("manager started " + store.Ago(started) + " and may still be registering, which its readiness probe does not tell; counts as healthy " + store.Until(end) + ".")}
	}
	out.Unproven = true
	out.Why = store.Sentence(strings.TrimSuffix(string(out.Why), ".")) + "; no job of GitLab's proves that it accepts the token."
	return out
}

// gitlabRefused adds to a manager's exit what it means when it comes as late as the last attempt to register.
func gitlabRefused(v store.Verdict, exit *corev1.ContainerStateTerminated) store.Verdict {
	ran := exit.FinishedAt.Sub(exit.StartedAt.Time)
	if exit.ExitCode == 1 && ran >= gitlabRegistering && ran <= gitlabSlow {
		v.Why = store.Sentence(strings.TrimSuffix(string(v.Why), ".")) +
			store.Sentence("; it ran for "+store.Duration(ran)+", as long as 30 attempts to register take: GitLab refuses its token, or cannot be reached.")
	}
	return v
}

// gitlabManagers lists the manager's pods.
func (v *View) gitlabManagers() (out []*corev1.Pod) {
	for i := range v.Runner.Workloads {
		if w := &v.Runner.Workloads[i]; w.Component == "manager" && v.Pods[w.UID] != nil {
			out = append(out, v.Pods[w.UID])
		}
	}
	return out
}

// gitlabExit is how a manager ended last; nil when none has.
func (v *View) gitlabExit() (last *corev1.ContainerStateTerminated) {
	for _, pod := range v.gitlabManagers() {
		if t := exitOf(pod, containerOf(&pod.Spec, gitlabImage)); t != nil && (last == nil || t.FinishedAt.After(last.FinishedAt.Time)) {
			last = t
		}
	}
	return last
}

// gitlabStarted is when the latest of the managers started.
func (v *View) gitlabStarted() (at time.Time) {
	for _, pod := range v.gitlabManagers() {
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Running != nil && s.State.Running.StartedAt.After(at) {
				at = s.State.Running.StartedAt.Time
			}
		}
	}
	return at
}

func (v *View) gitlabLogs() string {
	for _, pod := range v.gitlabManagers() {
		return v.Kubectl("logs " + pod.Name + " -n " + pod.Namespace + " -c " + containerOf(&pod.Spec, gitlabImage))
	}
	return ""
}

func (v *View) gitlabFacts() {
	for _, o := range v.Of("Deployment") {
		v.Fact("GitLab", store.Sentence(serverOf(envValue(o.Spec, gitlabServer))))
		v.Fact("Tags", store.Sentence(store.Clean(envValue(o.Spec, gitlabTags), 120)))
		v.Fact("Build pods in", store.Sentence(cmp.Or(store.Clean(envValue(o.Spec, gitlabNamespace), 63), o.Namespace)))
	}
	v.lastJob()
	shown := 0
	for _, w := range v.works() {
		pod := v.Pods[w.UID]
		name := store.Clean(pod.Annotations[gitlabJobName], 80)
		if name == "" || w.Phase != string(corev1.PodRunning) || shown == shownJobs {
			continue
		}
		if project := store.Clean(pod.Labels[gitlabProject], 63); project != "" {
			name += " of " + project
		}
		if url := serverOf(pod.Annotations[gitlabJobURL]); url != "" {
			name = fmt.Sprintf("%s, %s", name, url)
		}
		v.Fact("Job", store.Sentence(name))
		shown++
	}
}
