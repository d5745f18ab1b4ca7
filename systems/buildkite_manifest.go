package systems

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

const buildkitePort = 8080

// As the chart agent-stack-k8s writes it: templates/deployment.yaml.tpl (011b594), config.yaml.tpl (15f2a14), rbac.yaml.tpl (0bc9752).
// The controller serves metrics where prometheus-port is set, and nothing else.
var buildkiteManifest = &Manifest{
	Fields: forms(whereFields("agent-stack-k8s", "buildkite"), []store.ManifestField{
		{Name: "queue", Label: "Queue", Kind: store.FieldText, Default: "kubernetes", Required: true, Group: groupRunner, Help: "Whose jobs it takes."},
		{Name: "inFlight", Label: "Jobs at once", Kind: store.FieldNumber, Default: "25", Min: 1, Max: 10000, Required: true, Group: groupRunner, Help: "The most that run at the same time (max-in-flight)."},
		imageField("image", "Controller's image", "ghcr.io/buildkite/agent-stack-k8s/controller:0.29.0", "Its version is that of the chart."),
	}, sizeFields("100m", "500m", "100Mi", "512Mi"), []store.ManifestField{
		secretField("tokenSecret", "Secret of the token", "buildkite-agent-token", "Holds the agent token of a cluster at Buildkite under the key BUILDKITE_AGENT_TOKEN."),
		userField(65532)}),
	Build: buildBuildkite,
	Secrets: func(v Values) []store.NeededSecret {
		return []store.NeededSecret{{Name: v.Text("tokenSecret"), Why: "The agent token of a cluster at Buildkite.", Command: literal(v, v.Text("tokenSecret"), "BUILDKITE_AGENT_TOKEN")}}
	},
	Notes: func(Values) []store.Sentence {
		return []store.Sentence{"Both probes ask the metrics: the controller has no other address. They prove that it serves, not that it is given jobs."}
	},
	Chart: func(v Values) Chart {
		return Chart{Release: v.Text("name"), Name: "oci://ghcr.io/buildkite/helm/agent-stack-k8s", Version: ImageVersion(v.Text("image")), Values: map[string]any{
			"agentStackSecret": v.Text("tokenSecret"), "config": buildkiteConfig(v)}}
	},
}

func buildkiteConfig(v Values) map[string]any {
	return map[string]any{"tags": []any{"queue=" + v.Text("queue")}, "max-in-flight": v.Number("inFlight"), "prometheus-port": buildkitePort}
}

func buildBuildkite(v Values) []runtime.Object {
	p := newPlan(v, "agent-stack-k8s", ImageVersion(v.Text("image")))
	selector := map[string]string{appLabel: p.name}
	role, binding := p.role(p.namespace, p.name+"-controller", p.name+"-controller",
		rule("batch", []string{"create", "delete", "get", "list", "update", "watch"}, "jobs"), rule("", []string{"delete", "get", "list", "watch"}, "pods"),
		rule("", []string{"get"}, "podtemplates", "secrets"), rule("", []string{"list"}, "events"))
	config := buildkiteConfig(v)
	config["agent-token-secret"], config["namespace"], config["id"] = v.Text("tokenSecret"), p.namespace, p.name
	text, _ := json.MarshalIndent(config, "", "  ") //nolint:errchkjson // JSON is YAML; a map of words and numbers is always JSON
	c := corev1.Container{Name: "controller", Image: v.Text("image"), Ports: []corev1.ContainerPort{port("metrics", buildkitePort)}, Resources: p.sized(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError, Env: []corev1.EnvVar{env("CONFIG", "/etc/buildkite/config.yaml")},
		EnvFrom:        []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.Text("tokenSecret")}}}},
		ReadinessProbe: httpProbe("/metrics", buildkitePort, 5, 10, 5, 3), LivenessProbe: httpProbe("/metrics", buildkitePort, 30, 30, 5, 3),
		VolumeMounts: []corev1.VolumeMount{mount("config", "/etc/buildkite", true)}}
	spec := alike(withAPI(p.pod(p.name+"-controller", c)))
	spec.Volumes = []corev1.Volume{configVolume("config", p.name+"-config")}
	return []runtime.Object{p.account(p.name + "-controller"), role, binding, p.config(p.name+"-config", map[string]string{"config.yaml": string(text) + "\n"}),
		p.budget(p.name, 1, selector), p.deployment(p.name, 1, selector, spec)}
}
