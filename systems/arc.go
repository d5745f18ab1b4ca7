package systems

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"trackside/store"
)

// What is known of GitHub's actions-runner-controller was read in actions/actions-runner-controller:
//
//   - apis/actions.github.com/v1alpha1: autoscalingrunnerset_types.go (03c274d), ephemeralrunner_types.go (01c8e09) and
//     autoscalinglistener_types.go (1240122): the fields below. In EphemeralRunner, Running meant that the pod runs up to 0.13 and means
//     since then that a job was assigned; an idle runner is Pending. Up to 0.12 status.runnerJITConfig is a credential: it is not kept.
//   - controllers/actions.github.com/constants.go (01ea44b) and resourcebuilder.go (0140c66): the labels, which a controller may be told
//     not to pass on; the container names; a listener's pod stands in the controller's namespace and is never restarted by its kubelet.
//   - ephemeralrunner_controller.go (01a3b90): a pod that failed is deleted at once and made anew; after more than five failures, which
//     are never forgotten, the runner is Failed (TooManyPodFailures), has no pod, and stays; InvalidPod: the API server refused the pod.
//     A runner without a runnerId has not been registered at GitHub and gets no pod. A pod's exit code 7 says that GitHub no longer
//     serves its version: the runner, then the scale set, become Outdated, which has no listener until its spec changes
//     (autoscalingrunnerset_controller.go, 02f9cb9).
//   - ephemeralrunnerset_controller.go (04a0599): failed runners count as runners, so that they use up maxRunners
//     (actions/actions-runner-controller#3700, #4258). Runners without pods, also after a node was drained: #3014, #3821, #4148, #4203.
//   - autoscalinglistener_controller.go (005769a): a listener's pod that ended is deleted and made anew: its end is seen for a second.
//   - charts/gha-runner-scale-set-controller/templates: deployment.yaml (02d9add), _helpers.tpl (02b0a9d): the Deployment, without probes.
const (
	arcScaleSet  = "AutoscalingRunnerSet"
	arcRunnerSet = "EphemeralRunnerSet"
	arcRunner    = "EphemeralRunner"
	arcListener  = "AutoscalingListener"

	arcScaleSetName      = "actions.github.com/scale-set-name"
	arcScaleSetNamespace = "actions.github.com/scale-set-namespace"
	arcEphemeral         = "actions-ephemeral-runner"
	arcController        = "actions.github.com/controller-service-account-name"
	arcWatches           = "actions.github.com/controller-watch-single-namespace"
	arcBaseName          = "gha-rs-controller"
	partOfLabel          = "app.kubernetes.io/part-of"

	arcMissingListener = "ListenerMissing"
	arcNotScaling      = "NotScaling"
)

// ARC is GitHub's actions-runner-controller. Each AutoscalingRunnerSet is a runner, with two components: the scale set itself, as its
// custom resources tell, and its listener, without which no job reaches it. EphemeralRunners are its work. The controller, on which all
// scale sets of a cluster depend, is a runner of its own. The controller before it (summerwind's, actions.summerwind.dev) is not looked for.
var ARC = register(System{
	Name:  "arc",
	Title: "GitHub Actions (ARC)",
	LooksFor: "AutoscalingRunnerSets of actions.github.com, Pods labelled " + arcScaleSetName +
		", and Deployments labelled " + arcController,
	Claim:         claimARC,
	Main:          mainARC,
	RunnerVersion: func(o Object) string { return o.Labels[versionLabel] },
	Labels: []string{arcScaleSetName, arcScaleSetNamespace, arcEphemeral, arcController, arcWatches,
		partOfLabel, componentLabel, instanceLabel, versionLabel},
	Watches: []Watch{
		arcWatch("autoscalingrunnersets", arcScaleSet, "spec.githubConfigUrl", "spec.runnerGroup", "spec.runnerScaleSetName", "spec.minRunners",
			"spec.maxRunners", "status.phase", "status.currentRunners", "status.pendingEphemeralRunners", "status.runningEphemeralRunners", "status.failedEphemeralRunners"),
		arcWatch("ephemeralrunnersets", arcRunnerSet, "spec.replicas"),
		arcWatch("ephemeralrunners", arcRunner, "status.phase", "status.ready", "status.reason", "status.message", "status.failures", "status.runnerId",
			"status.jobRepositoryName", "status.jobDisplayName", "status.workflowRunId"),
		arcWatch("autoscalinglisteners", arcListener, "spec.autoscalingRunnerSetNamespace", "spec.autoscalingRunnerSetName"),
	},
	Assess:   assessARC,
	Switch:   &arcSwitch,
	Manifest: arcManifest,
})

func arcWatch(resource, kind string, keep ...string) Watch {
	return Watch{Group: "actions.github.com", Version: "v1alpha1", Resource: resource, Kind: kind, Keep: keep}
}

func claimARC(o Object) (Claim, bool) {
	set := Claim{Namespace: o.Labels[arcScaleSetNamespace], Runner: o.Labels[arcScaleSetName]}
	part := o.Labels[componentLabel]
	switch o.Kind {
	case arcScaleSet:
		return Claim{Namespace: o.Namespace, Runner: o.Name, Component: "scale-set"}, true
	case arcListener:
		a := arcOf(o)
		set = Claim{Namespace: a.text("spec", "autoscalingRunnerSetNamespace"), Runner: a.text("spec", "autoscalingRunnerSetName")}
	case "Deployment":
		return Claim{Namespace: o.Namespace, Runner: o.Name, Component: "controller"}, o.Labels[arcController] != ""
	case "Pod":
		switch {
		case part == "controller-manager" && (o.Labels[partOfLabel] == arcBaseName || o.Labels[partOfLabel] == "gha-runner-scale-set-controller"):
			return Claim{Namespace: o.Namespace, Runner: arcFullName(o.Labels[instanceLabel]), Component: "controller"}, true
		case part == "runner-scale-set-listener":
			set.Component = "listener"
		case part != "runner" && o.Labels[arcEphemeral] == "":
			return Claim{}, false
		}
	case arcRunnerSet, arcRunner:
	default:
		return Claim{}, false
	}
	return set, set.Namespace != "" && set.Runner != ""
}

// arcFullName is the chart's name for the Deployment of a release.
func arcFullName(release string) string {
	if strings.Contains(release, arcBaseName) {
		return release
	}
	return release + "-" + arcBaseName
}

func mainARC(_ Object, component string) string {
	switch component {
	case "controller":
		return "manager"
	case "listener":
		return "listener"
	}
	return "runner"
}

// arcObject is a custom resource of ARC.
type arcObject struct{ Object }

func arcOf(o Object) arcObject { return arcObject{o} }

func (o arcObject) text(path ...string) string { return textAt(o.Custom, path...) }

// count is the whole number at a path; false where there is none.
func (o arcObject) count(path ...string) (int64, bool) { return number(dig(o.Custom, path...)) }

// number is a count that defaults to 0.
func (o arcObject) number(path ...string) int64 {
	n, _ := o.count(path...)
	return n
}

func (o arcObject) phase() string { return o.text("status", "phase") }

func (o arcObject) ready() bool { return dig(o.Custom, "status", "ready") == true }

// arcView is a scale set being looked at.
type arcView struct {
	*View
	set     arcObject
	runners []arcObject
}

func assessARC(v *View) {
	for _, o := range v.Of("Deployment") {
		v.Fact("Watches", store.Sentence(cmp.Or(store.Clean(o.Labels[arcWatches], 63), "all namespaces")))
	}
	sets := v.Of(arcScaleSet)
	if len(sets) == 0 {
		return
	}
	a := arcView{View: v, set: arcOf(sets[0])}
	for _, o := range v.Of(arcRunner) {
		if !o.Deleting {
			a.runners = append(a.runners, arcOf(o))
		}
	}
	v.Runner.Incarnation = string(a.set.UID)
	v.Runner.Version = store.NormalizeVersion(store.Clean(a.set.Labels[versionLabel], 64))
	for _, r := range a.runners {
		a.runner(r)
	}
	a.scaleSet()
	a.listener()
	a.facts()
}

// arcGrace is how long something may be missing that the controller makes anew.
var arcGrace = DefaultThresholds.StartGrace

// missing is the verdict on something that should be there: degraded within a grace, then a failure. The sentence has no full stop.
func (a arcView) missing(since time.Time, reason store.Reason, raw, why, inspect string) store.Verdict {
	end := since.Add(arcGrace)
	if a.Now.Before(end) {
		return store.Verdict{Health: store.Degraded, Raw: raw, Since: since, Next: end, Why: store.Sentence(why + "; grace ends " + store.Until(end) + "."), Inspect: a.Kubectl(inspect)}
	}
	return store.Verdict{Health: store.Unhealthy, Reason: reason, Raw: raw, Since: since, Why: store.Sentence(why + "."), Inspect: a.Kubectl(inspect)}
}

// sinceComponent is since when a component has lacked what leaves no trace in the cluster: since it was first seen to.
func (a arcView) sinceComponent(name, raw string) time.Time {
	if a.Prior != nil {
		if c, ok := a.Prior.Component(name); ok && c.Raw == raw {
			return lacking(c.Verdict, arcGrace)
		}
	}
	return a.Now
}

func (a arcView) sinceRunner(r arcObject, raw string) time.Time {
	if a.Prior != nil {
		for i := range a.Prior.Workloads {
			if w := &a.Prior.Workloads[i]; w.UID == string(r.UID) && w.Raw == raw {
				return lacking(w.Verdict, arcGrace)
			}
		}
	}
	return a.Now
}

// lacking is when the grace of a verdict began, or the verdict itself where its grace has ended: within the grace, Since may be that of an
// earlier verdict of the same health.
func lacking(v store.Verdict, grace time.Duration) time.Time {
	if v.Next.IsZero() {
		return v.Since
	}
	return v.Next.Add(-grace)
}

// runner compares what an EphemeralRunner says with its pod, which bears its name. One without a pod is shown as work of its own.
func (a arcView) runner(r arcObject) {
	name, describe := store.Clean(r.Name, 80), "describe ephemeralrunners.actions.github.com "+r.Name+" -n "+r.Namespace
	w := a.workload(r)
	switch phase := r.phase(); {
	case phase == "Failed":
		a.put(r, store.Verdict{Health: store.Unhealthy, Reason: arcReason(r), Raw: r.text("status", "reason"), Message: r.text("status", "message"), Since: r.lastFailure(),
			Why: store.Sentence(name + " has failed for good and keeps its place in the scale set until it is deleted" + r.said() + "."), Inspect: a.Kubectl(describe)})
	case phase == "Outdated":
		a.put(r, store.Verdict{Health: store.Unhealthy, Reason: store.ConfigInvalid, Raw: phase,
			Why: store.Sentence(name + " runs a version that GitHub no longer serves: set a newer runner image."), Inspect: a.Kubectl(describe)})
	case phase == "Succeeded":
	case w != nil:
		a.pod(r, w)
	case phase == "Running" || r.ready():
		since := a.sinceRunner(r, "PodMissing")
		a.put(r, a.missing(since, store.RuntimeLost, "PodMissing", name+" is "+store.Clean(cmp.Or(phase, "ready"), 20)+" by its own word but has had no pod for "+store.For(since), describe))
	case r.number("status", "runnerId") == 0:
		a.put(r, a.missing(r.Created, store.StartFailed, "NotRegistered", name+" has not been registered at GitHub for "+store.For(r.Created)+", and gets no pod before"+r.said(), describe))
	default:
		since := a.sinceRunner(r, "NoPod")
		a.put(r, a.missing(since, store.StartFailed, "NoPod", name+" has had no pod for "+store.For(since)+r.said(), describe))
	}
}

// arcReason classes the reason of a runner that failed for good.
func arcReason(r arcObject) store.Reason {
	switch r.text("status", "reason") {
	case "InvalidPod":
		return store.ConfigInvalid
	case "TooManyPodFailures":
		return store.CrashLoop
	}
	return store.StartFailed
}

// said is what a runner's status says, behind a colon; blank when it says nothing.
func (o arcObject) said() string {
	s := strings.TrimRight(store.Clean(o.text("status", "message"), 160), " .:")
	if s == "" {
		s = store.Clean(o.text("status", "reason"), 80)
	}
	if s == "" {
		return ""
	}
	return ": " + s
}

// lastFailure is when a runner's pod last failed; zero where versions before 0.12 do not say.
func (o arcObject) lastFailure() (last time.Time) {
	failures, _ := dig(o.Custom, "status", "failures").(map[string]any)
	for _, v := range failures {
		text, _ := v.(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(last) {
			last = at
		}
	}
	return last
}

// workload is a runner's pod among the workloads; nil when it has none.
func (a arcView) workload(r arcObject) *store.Workload {
	i := slices.IndexFunc(a.Runner.Workloads, func(w store.Workload) bool {
		return w.Component == "" && w.Namespace == r.Namespace && w.Name == r.Name && a.Pods[w.UID] != nil
	})
	if i < 0 {
		return nil
	}
	return &a.Runner.Workloads[i]
}

// pod adds to a runner's pod what only the custom resource knows: the pods that failed before, and the job, which proves it.
func (a arcView) pod(r arcObject, w *store.Workload) {
	const news = 10 * time.Minute
	failures, _ := dig(r.Custom, "status", "failures").(map[string]any)
	last := r.lastFailure()
	switch job := r.job(); {
	case len(failures) > 0 && !last.IsZero() && a.Now.Sub(last) < news && w.Health.Severity() > store.Degraded.Severity():
		w.Verdict = store.Verdict{Health: store.Degraded, Raw: "PodFailures", Since: last, Next: last.Add(news),
			Why:     store.Sentence(fmt.Sprintf("%s is made anew after its pod failed %s, failure %d of 5%s.", store.Clean(r.Name, 80), store.Ago(last), len(failures), r.said())),
			Inspect: a.Kubectl("describe ephemeralrunners.actions.github.com " + r.Name + " -n " + r.Namespace)}
	case job != "" && w.Phase == "Running" && (w.Health == store.Unknown || w.Unproven):
		w.Verdict = store.Verdict{Health: store.Healthy, Why: store.Sentence(store.Clean(r.Name, 80)+" runs the job ") + job + "."}
	}
}

// put gives a runner's pod a verdict, or shows the runner as work of its own where it has no pod.
func (a arcView) put(r arcObject, v store.Verdict) {
	if w := a.workload(r); w != nil {
		if v.Health.Severity() <= w.Health.Severity() {
			w.Verdict = v
		}
		return
	}
	a.Runner.Workloads = slices.DeleteFunc(a.Runner.Workloads, func(w store.Workload) bool { // a pod that vanished
		return w.Component == "" && w.Namespace == r.Namespace && w.Name == r.Name
	})
	if len(a.Runner.Workloads)-len(a.Pods) >= podless {
		return // a scale set without a maximum keeps as many as failed
	}
	a.Runner.Workloads = append(a.Runner.Workloads, store.Workload{Namespace: r.Namespace, Name: r.Name, UID: string(r.UID), Phase: store.Clean(r.phase(), 20), Created: r.Created, Verdict: v})
}

// job is the job that GitHub gave a runner, in words; blank when it has none.
func (o arcObject) job() store.Sentence {
	name, repository := store.Clean(o.text("status", "jobDisplayName"), 80), store.Clean(o.text("status", "jobRepositoryName"), 80)
	if name == "" {
		return ""
	}
	out := name
	if repository != "" {
		out += " of " + repository
	}
	if run, ok := o.count("status", "workflowRunId"); ok {
		out += fmt.Sprintf(" (run %d)", run)
	}
	return store.Sentence(out)
}

// scaleSet adds the scale set itself as a component.
func (a arcView) scaleSet() {
	c := store.Component{Name: "scale-set", Kind: arcScaleSet, Object: a.set.Name, Version: a.Runner.Version, Desired: int32(a.wanted())}
	for _, r := range a.runners {
		if r.ready() {
			c.Ready++
		}
	}
	c.Verdict = a.scaleSetVerdict()
	if c.Health != store.Healthy && c.Inspect == "" {
		c.Inspect = a.Kubectl("describe autoscalingrunnersets.actions.github.com " + a.set.Name + " -n " + a.set.Namespace)
	}
	a.Runner.Components = append(a.Runner.Components, c)
}

// wanted is how many runners the listener has asked for.
func (a arcView) wanted() (n int64) {
	sets := a.Of(arcRunnerSet)
	if len(sets) == 0 {
		n = a.set.number("status", "currentRunners")
	}
	for _, o := range sets {
		if !o.Deleting {
			n += arcOf(o).number("spec", "replicas")
		}
	}
	return max(0, min(n, math.MaxInt32))
}

func (a arcView) scaleSetVerdict() store.Verdict {
	limit, bounded := a.set.count("spec", "maxRunners")
	failed := a.failed()
	missing := a.wanted() - int64(len(a.runners))
	since := a.sinceComponent("scale-set", arcNotScaling)
	switch {
	case a.set.Deleting:
		return store.Verdict{Health: store.Degraded, Raw: "Deleting", Why: "scale-set is being deleted."}
	case a.set.phase() == "Outdated":
		return store.Verdict{Health: store.Unhealthy, Reason: store.ConfigInvalid, Raw: "Outdated",
			Why: "scale-set takes no jobs: GitHub no longer serves its runners' version. Set a newer runner image in its template."}
	case bounded && limit == 0:
		return store.Verdict{Health: store.Degraded, Raw: "ScaledToZero", Why: "scale-set may have no runners: its maxRunners is 0."}
	case len(failed) > 0 && bounded && int64(len(failed)) >= limit:
		return a.keeps(failed, store.Unhealthy, fmt.Sprintf("runners that failed for good take all %d places that maxRunners gives it", limit))
	case len(failed) > 0:
		return a.keeps(failed, store.Degraded, plural(len(failed), "runner")+" failed for good and "+verb(len(failed), "keeps its place", "keep their places"))
	case missing > 0 && a.Now.Sub(since) >= arcGrace:
		return store.Verdict{Health: store.Degraded, Raw: arcNotScaling, Since: since,
			Why: store.Sentence(fmt.Sprintf("scale-set lacks %d of %d runners for %s: its controller does not make them.", missing, a.wanted(), store.For(since)))}
	case missing > 0:
		return store.Verdict{Health: store.Healthy, Raw: arcNotScaling, Since: since, Next: since.Add(arcGrace), Why: store.Sentence(fmt.Sprintf("scale-set is making %d of %d runners.", missing, a.wanted()))}
	}
	return store.Verdict{Health: store.Healthy, Why: store.Sentence(fmt.Sprintf("scale-set has %d of %d runners.", len(a.runners), a.wanted()))}
}

func (a arcView) failed() (out []arcObject) {
	for _, r := range a.runners {
		if r.phase() == "Failed" {
			out = append(out, r)
		}
	}
	return out
}

// keeps is the verdict on a scale set that holds on to failed runners.
func (a arcView) keeps(failed []arcObject, h store.Health, what string) store.Verdict {
	first := failed[0]
	v := store.Verdict{Health: h, Raw: first.text("status", "reason"), Message: first.text("status", "message"), Since: first.lastFailure(),
		Why:     store.Sentence("scale-set: " + what + first.said() + ". Delete them once the cause is gone."),
		Inspect: a.Kubectl("delete ephemeralrunners.actions.github.com " + first.Name + " -n " + first.Namespace)}
	if h == store.Unhealthy {
		v.Reason = arcReason(first)
	}
	return v
}

// listener adds the listener where its pod is missing: then GitHub's jobs reach nobody, and everything else looks well.
func (a arcView) listener() {
	if _, there := a.Runner.Component("listener"); there || a.set.Deleting || a.set.phase() == "Outdated" {
		return
	}
	c := store.Component{Name: "listener", Kind: arcListener, Desired: 1}
	what, inspect := "no listener", "describe autoscalingrunnersets.actions.github.com "+a.set.Name+" -n "+a.set.Namespace
	if l := a.Of(arcListener); len(l) > 0 {
		c.Object = l[0].Name
		what, inspect = "a listener without a pod", "describe autoscalinglisteners.actions.github.com "+l[0].Name+" -n "+l[0].Namespace
	}
	since, reason := a.sinceComponent("listener", arcMissingListener), store.StartFailed
	if a.set.phase() == "Running" || len(a.runners) > 0 {
		reason = store.RuntimeLost
	}
	c.Verdict = a.missing(since, reason, arcMissingListener, "The scale set has had "+what+" for "+store.For(since)+": GitHub's jobs do not reach it", inspect)
	a.Runner.Components = append(a.Runner.Components, c)
}

func (a arcView) facts() {
	most := "no maximum"
	if n, ok := a.set.count("spec", "maxRunners"); ok {
		most = fmt.Sprintf("max %d", n)
	}
	a.Fact("Scale", store.Sentence(fmt.Sprintf("min %d, %s", a.set.number("spec", "minRunners"), most)))
	a.Fact("Runners", store.Sentence(fmt.Sprintf("%d running, %d pending, %d failed", a.set.number("status", "runningEphemeralRunners"),
		a.set.number("status", "pendingEphemeralRunners"), a.set.number("status", "failedEphemeralRunners"))))
	a.Fact("Phase", store.Sentence(store.Clean(a.set.phase(), 20)))
	a.Fact("GitHub", store.Sentence(serverOf(a.set.text("spec", "githubConfigUrl"))))
	a.Fact("Scale set name", store.Sentence(store.Clean(a.set.text("spec", "runnerScaleSetName"), 80)))
	a.Fact("Runner group", store.Sentence(cmp.Or(store.Clean(a.set.text("spec", "runnerGroup"), 80), "default")))
	shown := 0
	for _, r := range a.runners {
		if job := r.job(); job != "" && r.phase() == "Running" && shown < shownJobs {
			a.Fact("Job", job+store.Sentence(" on "+store.Clean(r.Name, 80)))
			shown++
		}
	}
}
