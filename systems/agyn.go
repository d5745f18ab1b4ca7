package systems

// Keys of agynio/k8s-runner charts/k8s-runner, agynio/base-chart and k8s-runner internal/server/workload.go.
const (
	nameLabel      = "app.kubernetes.io/name"
	managedByLabel = "app.kubernetes.io/managed-by"
	agynRunner     = "k8s-runner"
	agynWorkload   = "agyn.io/workload-id"
	appLabel       = "app"
	agynNamespace  = "KUBE_NAMESPACE"
)

// Agyn is agyn's k8s-runner: one Deployment, and the workload pods that it makes in the namespace KUBE_NAMESPACE.
// No label says which runner made a pod: the namespace joins them.
var Agyn = register(System{
	Name:  "agyn",
	Title: "agyn",
	LooksFor: "Deployments labelled " + nameLabel + "=" + agynRunner + " or app=" + agynRunner +
		", and Pods labelled " + managedByLabel + "=" + agynRunner,
	Claim:   claimAgyn,
	Version: func(o Object) string { return o.Labels[versionLabel] },
	Labels:  []string{nameLabel, managedByLabel, agynWorkload, appLabel, instanceLabel, versionLabel},
	KeepEnv: []string{agynNamespace},
})

func claimAgyn(o Object) (Claim, bool) {
	if o.Labels[managedByLabel] == agynRunner && o.Labels[agynWorkload] != "" {
		return Claim{Namespace: o.Namespace}, o.Kind == "Pod"
	}
	if o.Labels[nameLabel] != agynRunner && o.Labels[appLabel] != agynRunner {
		return Claim{}, false
	}
	c := Claim{Namespace: o.Namespace, Runner: o.Name, Component: agynRunner, Carries: envValue(o.Spec, agynNamespace)}
	if o.Kind == "Pod" {
		c.Runner = o.Labels[instanceLabel]
	}
	return c, o.Kind == "Deployment" || o.Kind == "Pod"
}
