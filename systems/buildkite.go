package systems

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// What is known of Buildkite's agent-stack-k8s was read in buildkite/agent-stack-k8s:
//
//   - charts/agent-stack-k8s/templates/deployment.yaml.tpl (dd64ba4), _helper.tpl and config.yaml.tpl (15f2a14): a Deployment without
//     labels and probes, named as the label app of its pods; container controller, image …/agent-stack-k8s/controller:<version>; port
//     metrics only where prometheus-port is set; namespace, queue and limits stand in a ConfigMap, which is not read.
//   - internal/controller/config/config.go (fc3ebde, and its later text): the labels buildkite.com/job-uuid and buildkite.com/controller-id,
//     which is the Deployment's name where Helm installed it; the annotations build-url, job-url, build-branch, pipeline-slug.
//   - internal/controller/scheduler/scheduler.go (a36ac79): a Job of one pod, restartPolicy Never, backoffLimit 0; init containers
//     copy-agent and imagepullcheck-N; containers agent, checkout, and the user's, container-N unless named; tag.buildkite.com/queue.
//   - internal/controller/scheduler/pod_watcher.go (067e40d): an image that cannot be pulled fails the job 30 s after the pod's start, and
//     the pod is deleted at once, without a grace: what was wrong is gone before the minute is over that other systems have.
//   - buildkite/agent, agent/agent_worker.go and its tests: the agent ends with 27 when Buildkite refuses it the job (cancelled, or
//     another's), with 28 when the job waits for others, and otherwise with the job's own exit code: a job that fails is no runner that fails.
//
// What is not knowable here: a controller that runs and takes no jobs (buildkite/agent-stack-k8s#302); the time of the last job is shown instead.
const (
	buildkiteImage      = "agent-stack-k8s/controller"
	buildkiteJob        = "buildkite.com/job-uuid"
	buildkiteController = "buildkite.com/controller-id"
	buildkiteQueue      = "tag.buildkite.com/queue"
	buildkiteURL        = "buildkite.com/job-url"
	buildkitePipeline   = "buildkite.com/pipeline-slug"
	buildkiteBranch     = "buildkite.com/build-branch"

	// buildkiteGrace is how long an image may fail: a little less than the controller allows, whose own grace ends with the pod.
	buildkiteGrace = 25 * time.Second
)

// Buildkite is an agent-stack-k8s controller and the pods of its jobs. A pod names its controller; one of a controller without an ID
// belongs to the controller in its namespace.
var Buildkite = register(System{
	Name:        "buildkite",
	Title:       "Buildkite",
	LooksFor:    "Deployments of the image " + buildkiteImage + ", and Pods labelled " + buildkiteJob,
	Claim:       claimBuildkite,
	Main:        mainBuildkite,
	Labels:      []string{appLabel, buildkiteJob, buildkiteController, buildkiteQueue},
	Annotations: []string{buildkiteURL, buildkitePipeline, buildkiteBranch},
	Assess:      assessBuildkite,
	// A job is a Job of its own: it goes on without the controller, which only takes no more.
	Switch:   &Switch{Levers: []Lever{scaleDeployments}, Outlives: true},
	Manifest: buildkiteManifest,
})

func claimBuildkite(o Object) (Claim, bool) {
	if o.Kind == "Pod" && o.Labels[buildkiteJob] != "" {
		return Claim{Namespace: o.Namespace, Runner: o.Labels[buildkiteController]}, true
	}
	if o.Kind != "Deployment" && o.Kind != "Pod" || containerOf(o.Spec, buildkiteImage) == "" {
		return Claim{}, false
	}
	c := Claim{Namespace: o.Namespace, Runner: o.Name, Component: "controller", Carries: o.Namespace}
	if o.Kind == "Pod" {
		c.Runner = cmp.Or(o.Labels[appLabel], "agent-stack-k8s")
	}
	return c, true
}

func mainBuildkite(pod Object, component string) string {
	if component == "" && pod.Labels[buildkiteJob] != "" {
		return "agent"
	}
	return containerOf(pod.Spec, buildkiteImage)
}

func assessBuildkite(v *View) {
	for _, w := range v.works() {
		pod := v.Pods[w.UID]
		switch {
		case CannotStart(w.Raw) != store.NoReason && w.Health == store.Degraded:
			buildkiteImageFails(w, pod, v.Now)
		case w.Phase == string(corev1.PodFailed) || w.Phase == string(corev1.PodSucceeded):
			if verdict, ok := buildkiteEnd(w, pod); ok {
				verdict.Since = w.Since
				w.Verdict = verdict
			}
		}
	}
	v.buildkiteFacts()
}

// buildkiteImageFails makes a failed pull a verdict before the controller deletes the pod; anything else has the common grace.
func buildkiteImageFails(w *store.Workload, pod *corev1.Pod, now time.Time) {
	if CannotStart(w.Raw) != store.ImagePullFailed || pod.Status.StartTime == nil {
		needs(w, now)
		return
	}
	end := pod.Status.StartTime.Add(buildkiteGrace)
	if now.Before(end) {
		w.Next = end
		return
	}
	why, _, _ := strings.Cut(string(w.Why), "; grace ends ")
	w.Health, w.Reason, w.Next = store.Unhealthy, store.ImagePullFailed, time.Time{}
	w.Why = store.Sentence(strings.TrimSuffix(why, ".") + "; the controller fails the job and deletes the pod 30 s after its start.")
}

// buildkiteEnd tells how a job ended from how its runner did; false where the common rules say it well.
func buildkiteEnd(w *store.Workload, pod *corev1.Pod) (store.Verdict, bool) {
	agent, checkout := exitOf(pod, "agent"), exitOf(pod, "checkout")
	if agent == nil || pod.Status.Reason != "" {
		return store.Verdict{}, false
	}
	well := func(format string, args ...any) (store.Verdict, bool) {
		return store.Verdict{Health: store.Healthy, Raw: agent.Reason, Container: "agent", Why: store.Sentence(fmt.Sprintf(format, args...))}, true
	}
	switch agent.ExitCode {
	case 27:
		return well("agent was refused the job (exit 27): it was cancelled, or another agent has it.")
	case 28:
		return well("agent was refused the job (exit 28): it waits for other jobs.")
	}
	if checkout != nil && checkout.ExitCode != 0 && (agent.ExitCode == 0 || agent.ExitCode == checkout.ExitCode) {
		return store.Verdict{Health: store.Degraded, Raw: checkout.Reason, Message: checkout.Message, Container: "checkout", Inspect: w.Inspect,
			Why: store.Sentence(fmt.Sprintf("checkout could not get the source (exit %d)%s.", checkout.ExitCode, after(checkout.Message)))}, true
	}
	for name, exit := range buildkiteCommands(pod) {
		switch {
		case exit.Reason == "OOMKilled":
			return store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: exit.Reason, Message: exit.Message, Container: name, Inspect: w.Inspect,
				Why: store.Sentence(fmt.Sprintf("%s was killed for its memory (OOMKilled, exit %d).", name, exit.ExitCode))}, true
		case exit.ExitCode != 0 && (agent.ExitCode == 0 || agent.ExitCode == exit.ExitCode):
			return well("The job ended with exit %d in %s; the runner did its part.", exit.ExitCode, name)
		}
	}
	return store.Verdict{}, false
}

// buildkiteCommands yields the user's containers that have ended, in the order of the spec.
func buildkiteCommands(pod *corev1.Pod) func(func(string, *corev1.ContainerStateTerminated) bool) {
	return func(yield func(string, *corev1.ContainerStateTerminated) bool) {
		for i := range pod.Spec.Containers {
			name := pod.Spec.Containers[i].Name
			if slices.Contains([]string{"agent", "checkout"}, name) {
				continue
			}
			if exit := exitOf(pod, name); exit != nil && !yield(name, exit) {
				return
			}
		}
	}
}

func (v *View) buildkiteFacts() {
	var queues, jobs []string
	for _, w := range v.works() {
		pod := v.Pods[w.UID]
		if q := store.Clean(pod.Labels[buildkiteQueue], 63); q != "" && !slices.Contains(queues, q) {
			queues = append(queues, q)
		}
		if name := store.Clean(pod.Annotations[buildkitePipeline], 80); name != "" && w.Phase == string(corev1.PodRunning) && len(jobs) < shownJobs {
			if branch := store.Clean(pod.Annotations[buildkiteBranch], 80); branch != "" {
				name += " on " + branch
			}
			if url := serverOf(pod.Annotations[buildkiteURL]); url != "" {
				name += ", " + url
			}
			jobs = append(jobs, name)
		}
	}
	slices.Sort(queues)
	v.Fact("Queue", store.Sentence(store.Clean(strings.Join(queues, ", "), 200)))
	v.lastJob()
	for _, j := range jobs {
		v.Fact("Job", store.Sentence(j))
	}
}
