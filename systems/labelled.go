package systems

import corev1 "k8s.io/api/core/v1"

// Labelled is every team's own runner: any Deployment, StatefulSet or Pod labelled trackside.dev/runner=<name>.
var Labelled = register(System{
	Name:     "labelled",
	Title:    "Labelled runners",
	LooksFor: "Deployments, StatefulSets and Pods labelled " + LabelRunner + "=<name>",
	Claim:    claimLabelled,
	Version:  func(o Object) string { return o.Labels[versionLabel] },
	Labels:   []string{LabelRunner, LabelComponent, LabelWorkload, versionLabel},
	Manifest: labelledManifest,
})

// versionLabel is one of Kubernetes' recommended labels.
const versionLabel = "app.kubernetes.io/version"

func claimLabelled(o Object) (Claim, bool) {
	name := o.Labels[LabelRunner]
	if name == "" {
		return Claim{}, false
	}
	c := Claim{Namespace: o.Namespace, Runner: name, Component: o.Labels[LabelComponent]}
	switch {
	case o.Labels[LabelWorkload] == "true":
		c.Component = ""
	case c.Component == "":
		c.Component = o.Name
	}
	return c, true
}

// envValue is the value of an environment variable of a container, blank when it is unset or comes from elsewhere.
func envValue(spec *corev1.PodSpec, name string) string {
	if spec == nil {
		return ""
	}
	for i := range spec.Containers {
		for _, e := range spec.Containers[i].Env {
			if e.Name == name {
				return e.Value
			}
		}
	}
	return ""
}
