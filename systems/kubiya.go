package systems

import "strings"

// Keys and names of the chart kubiyabot/helm-charts charts/kubiya-runner (0.9.30), templates/_helpers.tpl and values.yaml.
const (
	kubiyaComponent = "app.kubernetes.io/kubiya-runner-component"
	kubiyaImages    = "ghcr.io/kubiyabot/"
	kubiyaRunner    = "kubiya.ai/runner" // on workflow and tool pods, by the vendor's documentation only
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
	Labels:        []string{kubiyaComponent, kubiyaRunner, instanceLabel, componentLabel, versionLabel},
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

func ours(o Object) bool {
	if o.Spec == nil {
		return false
	}
	for i := range o.Spec.Containers {
		if strings.HasPrefix(o.Spec.Containers[i].Image, kubiyaImages) {
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
