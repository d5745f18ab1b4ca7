package systems

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trackside/store"
)

// Keys and names of the chart kubiyabot/helm-charts charts/kubiya-runner (0.9.30), templates/_helpers.tpl and values.yaml.
const (
	kubiyaComponent = "app.kubernetes.io/kubiya-runner-component"
	kubiyaImages    = "kubiyabot/"       // below ghcr.io, or below a mirror
	kubiyaRunner    = "kubiya.ai/runner" // on workflow and tool pods, by the vendor's documentation only
	kubiyaOrg       = "KUBIYA_USER_ORG"
	kubiyaUUID      = "KUBIYA_AGENT_UUID" // the runner's, in spite of its name
	instanceLabel   = "app.kubernetes.io/instance"
	componentLabel  = "app.kubernetes.io/component"
)

// Kubiya is a Helm release of kubiya-runner: four Deployments, the Dagger StatefulSet and the updater's CronJob, in one namespace.
// The names of its objects are fixed by the chart, so there is one runner in a namespace.
var Kubiya = register(System{
	Name:          "kubiya",
	Title:         "Kubiya",
	LooksFor:      "Deployments, StatefulSets and CronJobs labelled " + kubiyaComponent,
	Claim:         claimKubiya,
	Main:          func(_ Object, component string) string { return component },
	Probe:         probeKubiya,
	RunnerVersion: versionKubiya,
	Assess:        assessKubiya,
	// The updater first: it would upgrade the release every hour, and bring the replicas back.
	Switch:   &Switch{Levers: []Lever{suspendCronJobs, scaleDeployments, scaleStatefulSets}, Traps: trapsKubiya},
	KeepEnv:  []string{kubiyaOrg, kubiyaUUID},
	Labels:   []string{kubiyaComponent, kubiyaRunner, instanceLabel, componentLabel, versionLabel},
	Manifest: kubiyaManifest,
})

func claimKubiya(o Object) (Claim, bool) {
	if r := o.Labels[kubiyaRunner]; r != "" && o.Kind == "Pod" {
		return Claim{Namespace: o.Namespace, Runner: r}, true
	}
	component := o.Labels[kubiyaComponent]
	if component == "" {
		component = kubiyaFallback(o)
	}
	runner := o.Labels[instanceLabel]
	if component == "" {
		// A tool's pod carries no documented label but the release's; its image tells it.
		return Claim{Namespace: o.Namespace, Runner: runner}, o.Kind == "Pod" && runner != "" && ours(o)
	}
	if runner == "" {
		runner = "kubiya-runner"
	}
	return Claim{Namespace: o.Namespace, Runner: runner, Component: component}, true
}

// kubiyaFallback recognises what the chart leaves without its label: the enforcer, and objects of before it had the label.
func kubiyaFallback(o Object) string {
	if o.Labels[componentLabel] == "enforcer" && ours(o) {
		return "enforcer"
	}
	switch o.Name {
	case "agent-manager", "tool-manager", "kubiya-operator", "workflow-engine", "enforcer":
		if ours(o) {
			return o.Name
		}
	}
	return ""
}

// ours holds for an object that runs an image of Kubiya's, from whichever registry.
func ours(o Object) bool {
	if o.Spec == nil {
		return false
	}
	for i := range o.Spec.Containers {
		if image := repositoryOf(o.Spec.Containers[i].Image); strings.Contains("/"+image, "/"+kubiyaImages) {
			return true
		}
	}
	return false
}

// probeKubiya is the path and port of the chart's own liveness probes; it defines no readiness probe.
func probeKubiya(_ Object, component string) (Probe, bool) {
	switch component {
	case "agent-manager":
		return Probe{"/healthz", 8080}, true
	case "tool-manager":
		return Probe{"/health", 3001}, true
	}
	return Probe{}, false
}

// versionKubiya is the chart's version: the components have versions of their own.
func versionKubiya(o Object) string { return o.Labels[versionLabel] }

// trapsKubiya tells what no object in the cluster holds.
func trapsKubiya(verb store.Verb, _ []Object) []store.Trap {
	if verb != store.VerbDelete {
		return nil
	}
	return []store.Trap{{Code: "stays-registered", Why: "Kubiya still lists the runner afterwards, and Helm its release: DELETE it at Kubiya's API, and helm uninstall it."}}
}

// kubiyaDeployments are the four that every release has; the enforcer, the Dagger engine and the updater may be switched off in the
// chart's values.
var kubiyaDeployments = []string{"agent-manager", "kubiya-operator", "tool-manager", "workflow-engine"}

// assessKubiya adds the components that are missing, and the parts of which the vendor's health score is made. The score itself is not
// shown: a mean of five figures hides the one that matters (chart README, "Cumulative Health Score").
func assessKubiya(v *View) {
	r := v.Runner
	if !slices.ContainsFunc(r.Components, func(c store.Component) bool { return slices.Contains(kubiyaDeployments, c.Name) }) {
		return // work, or an optional part alone: there is no release to miss anything of
	}
	for _, name := range kubiyaDeployments {
		if !slices.ContainsFunc(r.Components, func(c store.Component) bool { return c.Name == name || strings.HasPrefix(c.Name, name+" (") }) {
			c := store.Component{Name: name, Kind: "Deployment", Object: name, Verdict: kubiyaMissing(v, name)}
			c.Inspect = v.Kubectl("get deployment " + name + " -n " + r.Ref.Namespace)
			r.Components = append(r.Components, c)
		}
	}
	for _, o := range v.Objects {
		v.Fact("Organization", clean(envValue(o.Spec, kubiyaOrg)))
		v.Fact("Runner UUID", clean(envValue(o.Spec, kubiyaUUID)))
		v.Fact("Generation", kubiyaGeneration(o))
	}
	kubiyaScore(v)
}

// kubiyaAwaited is the raw reason of a component that an installation has yet to make.
const kubiyaAwaited = "Awaited"

// kubiyaMissing is the verdict on a component that is not there. One that was is missed at once; one that was not yet has the grace from the
// creation of the newest object of its release, for they are made one after the other.
func kubiyaMissing(v *View, name string) store.Verdict {
	var newest time.Time
	for _, o := range v.Objects {
		if o.Created.After(newest) {
			newest = o.Created
		}
	}
	end := newest.Add(DefaultThresholds.StartGrace)
	if latest := v.Now.Add(DefaultThresholds.StartGrace); end.After(latest) {
		end = latest // by a clock that is ahead of ours
	}
	seen := false
	if v.Prior != nil {
		c, ok := v.Prior.Component(name)
		seen = ok && c.Raw != kubiyaAwaited
	}
	if !seen && v.Now.Before(end) {
		return store.Verdict{Health: store.Unknown, Raw: kubiyaAwaited, Next: end,
			Why: store.Sentence(name + " is not there yet: its release may still be installing; grace ends " + store.Until(end) + ".")}
	}
	return store.Verdict{Health: store.Degraded, Raw: "Missing", Why: store.Sentence(name + " is missing: its release has no Deployment of that name.")}
}

// kubiyaGeneration is v2 by the tag of the operator's image, which is an inference: the API alone says it.
func kubiyaGeneration(o Object) store.Sentence {
	if o.Name != "kubiya-operator" {
		return ""
	}
	if v, ok := strings.CutPrefix(ImageVersion(Image(o.Spec, "kubiya-operator")), "runner_"); ok {
		return clean(v)
	}
	return ""
}

func kubiyaScore(v *View) {
	var ready, desired, restarts int32
	var probes, answered int
	for _, c := range v.Runner.Components {
		ready, desired, restarts = ready+c.Ready, desired+c.Desired, restarts+c.Restarts
		if c.Probe.URL != "" {
			probes++
			if c.Probe.Problem == "" {
				answered++
			}
		}
	}
	v.Fact("Pods ready", store.Sentence(fmt.Sprintf("%d of %d", ready, desired)))
	v.Fact("Restarts", store.Sentence(fmt.Sprintf("%d of the present pods", restarts)))
	if probes > 0 {
		v.Fact("Probes answered", store.Sentence(fmt.Sprintf("%d of %d", answered, probes)))
	}
}

// clean makes text from the cluster fit for a fact.
func clean(s string) store.Sentence { return store.Sentence(store.Clean(s, 200)) }
