package systems

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

// The versions that the chart kubiya-runner 0.9.30 deploys (values.yaml); its operator has a tag that moves, and no other is published.
const (
	kubiyaChart     = "0.9.30"
	kubiyaNATS      = "kubiya-runner-nats-creds-runner"
	kubiyaNATSTools = "kubiya-runner-nats-creds-customer"
)

var kubiyaManifest = &Manifest{
	Fields: forms(whereFields("kubiya-runner", "kubiya"), []store.ManifestField{
		required(store.ManifestField{Name: "organization", Label: "Organization", Kind: store.FieldText, Example: "acme", Group: groupRunner, Help: "The organization at Kubiya."}),
		required(store.ManifestField{Name: "uuid", Label: "Runner UUID", Kind: store.FieldText, Example: "6f9619ff-8b86-4011-b42d-00c04fc964ff", Group: groupRunner,
			Help: "The runner's UUID, as the Kubiya API's describe call tells it."}),
		required(store.ManifestField{Name: "natsSubject", Label: "NATS subject", Kind: store.FieldText, Example: "acme.runner.in", Group: groupRunner, Help: "On which the runner is spoken to; it comes with its credentials."}),
		{Name: "natsURL", Label: "NATS server", Kind: store.FieldText, Default: "tls://connect.ngs.global", Required: true, Group: groupRunner, Help: "Kubiya's, unless you were given another."},
		ownImage("operatorImage", "kubiya-operator", "ghcr.io/kubiyabot/kubiya-operator:runner_v2@sha256:0000000000000000000000000000000000000000000000000000000000000000",
			"Its tag runner_v2 moves: pin it with the digest that crane digest ghcr.io/kubiyabot/kubiya-operator:runner_v2 prints."),
		imageField("agentImage", "agent-manager", "ghcr.io/kubiyabot/agent-manager:v0.5.1", "The version of the chart "+kubiyaChart+"."),
		imageField("toolImage", "tool-manager", "ghcr.io/kubiyabot/tool-manager:0.5.8", "The version of the chart "+kubiyaChart+"."),
		imageField("sdkImage", "SDK server", "ghcr.io/kubiyabot/sdk-py:v1.20.0", "It stands beside the tool-manager."),
		imageField("engineImage", "workflow-engine", "ghcr.io/kubiyabot/workflow-engine:v1.46.2", "The version of the chart "+kubiyaChart+"."),
		{Name: "agents", Label: "agent-manager pods", Kind: store.FieldNumber, Default: "2", Min: 1, Max: 20, Required: true, Group: groupResources, Help: "How many run at once."},
		{Name: "tools", Label: "tool-manager pods", Kind: store.FieldNumber, Default: "3", Min: 1, Max: 50, Required: true, Group: groupResources, Help: "How many run at once."},
	}, sizeFields("200m", "1", "256Mi", "1Gi"), []store.ManifestField{
		secretField("natsSecret", "Secret of the runner", kubiyaNATS, "Holds the file nats.creds of the operator."),
		secretField("natsToolsSecret", "Secret of its tools", kubiyaNATSTools, "Holds the file nats.creds of the managers."),
		userField(1000)}),
	Build:   buildKubiya,
	Secrets: secretsKubiya,
	Notes: func(Values) []store.Sentence {
		return []store.Sentence{
			"Kubiya's names are fixed, so a namespace has room for one runner.",
			"The Dagger engine is left out: it must be privileged. The chart installs it.",
			"kubiya-operator and workflow-engine document no address to ask: their probes look whether the process is alive, for which their images need a shell and grep.",
		}
	},
	Chart: chartKubiya,
}

func secretsKubiya(v Values) []store.NeededSecret {
	return []store.NeededSecret{
		{Name: v.Text("natsSecret"), Why: "NATS credentials of the runner, from Kubiya.", Command: fromFile(v, v.Text("natsSecret"), "nats.creds")},
		{Name: v.Text("natsToolsSecret"), Why: "NATS credentials of its managers, from Kubiya.", Command: fromFile(v, v.Text("natsToolsSecret"), "nats.creds")},
	}
}

func chartKubiya(v Values) Chart {
	return Chart{Release: v.Text("name"), Name: "kubiya-runner", Repo: "https://kubiyabot.github.io/helm-charts/", Version: kubiyaChart, Values: map[string]any{
		"organization": v.Text("organization"), "uuid": v.Text("uuid"), "runner_name": v.Text("name"),
		"nats":         map[string]any{"subject": v.Text("natsSubject"), "serverUrl": v.Text("natsURL")},
		"agentManager": map[string]any{"replicas": v.Number("agents")},
		"toolManager":  map[string]any{"replicas": v.Number("tools")},
	}}
}

// kubiyaPart is one of the four Deployments.
type kubiyaPart struct {
	name, account string
	replicas      int32
	api           bool
	spec          corev1.PodSpec
}

func buildKubiya(v Values) (out []runtime.Object) {
	p := newPlan(v, "kubiya-runner", kubiyaChart)
	parts := []kubiyaPart{kubiyaOperatorPart(p), kubiyaAgentPart(p), kubiyaToolPart(p), kubiyaEnginePart(p)}
	for _, x := range parts {
		out = append(out, p.account(x.account))
	}
	// Workflows and tools are pods: the two that make them may, in this namespace and no other.
	every := []string{"create", "delete", "get", "list", "watch"}
	rules := []rbacv1.PolicyRule{rule("", every, "pods"), rule("", []string{"get", "list"}, "pods/log"), rule("batch", every, "jobs")}
	for _, x := range parts {
		if x.api {
			role, binding := p.role(p.namespace, x.account, x.account, rules...)
			out = append(out, role, binding)
		}
	}
	out = append(out, p.kubiyaService("agent-manager", 8080), p.kubiyaService("tool-manager", 3001), p.kubiyaService("workflow-engine", 8080))
	for _, x := range parts {
		selector := p.kubiyaSelector(x.name)
		out = append(out, p.budget(x.name, x.replicas, selector), p.deployment(x.name, x.replicas, selector, alike(x.spec)))
	}
	return out
}

func (p plan) kubiyaSelector(component string) map[string]string {
	return map[string]string{kubiyaComponent: component, instanceLabel: p.name}
}

func (p plan) kubiyaService(component string, target int32) runtime.Object {
	s := p.service(component, false, p.kubiyaSelector(component), servicePort("http", 80, target))
	s.Labels[kubiyaComponent] = component
	return s
}

func kubiyaOperatorPart(p plan) kubiyaPart {
	c := corev1.Container{Name: "kubiya-operator", Image: p.v.Text("operatorImage"), Resources: fixed("100m", "500m", "128Mi", "512Mi"),
		Env: []corev1.EnvVar{env("NATS_SERVER", p.v.Text("natsURL")), env("NATS_SUBJECT", p.v.Text("natsSubject")),
			env("NATS_CREDENTIAL_FILE", "/etc/nats/nats.creds"), envField("NAMESPACE", "metadata.namespace")},
		ReadinessProbe: execProbe(processRuns, 5, 10, 5, 3), LivenessProbe: execProbe(processRuns, 30, 30, 5, 3),
		VolumeMounts: []corev1.VolumeMount{mount("nats", "/etc/nats", true)}}
	spec := withAPI(p.pod(p.name+"-operator", c))
	spec.Volumes = []corev1.Volume{secretVolume("nats", p.v.Text("natsSecret"))}
	return kubiyaPart{"kubiya-operator", p.name + "-operator", 1, true, spec}
}

func kubiyaAgentPart(p plan) kubiyaPart {
	c := corev1.Container{Name: "agent-manager", Image: p.v.Text("agentImage"), Ports: []corev1.ContainerPort{port("http", 8080)}, Resources: p.sized(),
		Env:            []corev1.EnvVar{env("TOOL_MANAGER_URL", "tool-manager:80"), env("KUBIYA_NATS_CREDS", "/nats/nats.creds"), env("ENVIRONMENT", "production")},
		ReadinessProbe: httpProbe("/healthz", 8080, 5, 10, 5, 3), LivenessProbe: httpProbe("/healthz", 8080, 30, 30, 10, 3),
		VolumeMounts: []corev1.VolumeMount{mount("nats", "/nats", true)}}
	spec := p.pod(p.name+"-agent-manager", c)
	spec.Volumes = []corev1.Volume{secretVolume("nats", p.v.Text("natsToolsSecret"))}
	return kubiyaPart{"agent-manager", p.name + "-agent-manager", p.v.Number("agents"), false, spec}
}

func kubiyaToolPart(p plan) kubiyaPart {
	common := []corev1.EnvVar{env("KUBIYA_NATS_CREDS", "/opt/nats/nats.creds"), env("KUBIYA_USER_ORG", p.v.Text("organization")), env("KUBIYA_AGENT_UUID", p.v.Text("uuid")),
		env("KUBIYA_SERVICE_ACCOUNT", p.name+"-tool-manager"), env("KUBIYA_TOOL_TIMEOUT", "168h"), env("KUBIYA_TOOLS_SHARED_VOLUME", "/tmp/kubiya_shared_tools")}
	mounts := []corev1.VolumeMount{mount("nats", "/opt/nats", true), mount("shared", "/tmp/kubiya_shared_tools", false)}
	tool := corev1.Container{Name: "tool-manager", Image: p.v.Text("toolImage"), Ports: []corev1.ContainerPort{port("http", 3001)}, Resources: p.sized(), VolumeMounts: mounts,
		Env:            append([]corev1.EnvVar{env("KUBIYA_SDK_SERVER_URL", "http://127.0.0.1:8000"), env("KUBIYA_RUNNER_NAME", p.name)}, common...),
		ReadinessProbe: httpProbe("/health", 3001, 5, 10, 5, 3), LivenessProbe: httpProbe("/health", 3001, 30, 30, 10, 3)}
	sdk := corev1.Container{Name: "kubiya-sdk-server", Image: p.v.Text("sdkImage"), Ports: []corev1.ContainerPort{port("sdk", 8000)}, VolumeMounts: mounts, Env: common,
		Command:   []string{"python", "-m", "kubiya_sdk", "server", "--host", "0.0.0.0", "--port", "8000"},
		Resources: fixed("100m", "500m", "128Mi", "512Mi"), ReadinessProbe: httpProbe("/health", 8000, 5, 10, 5, 3), LivenessProbe: httpProbe("/health", 8000, 30, 30, 10, 3)}
	spec := withAPI(p.pod(p.name+"-tool-manager", tool, sdk))
	spec.Volumes = []corev1.Volume{secretVolume("nats", p.v.Text("natsToolsSecret")), scratch("shared", "2Gi")}
	return kubiyaPart{"tool-manager", p.name + "-tool-manager", p.v.Number("tools"), true, spec}
}

func kubiyaEnginePart(p plan) kubiyaPart {
	c := corev1.Container{Name: "workflow-engine", Image: p.v.Text("engineImage"), Ports: []corev1.ContainerPort{port("http", 8080)}, Resources: fixed("100m", "1", "128Mi", "1Gi"),
		Env:            []corev1.EnvVar{env("KUBIYA_NATS_CREDS", "/nats/nats.creds")},
		ReadinessProbe: execProbe(processRuns, 5, 10, 5, 3), LivenessProbe: execProbe(processRuns, 30, 30, 5, 3),
		VolumeMounts: []corev1.VolumeMount{mount("nats", "/nats", true)}}
	spec := p.pod(p.name+"-workflow-engine", c)
	spec.Volumes = []corev1.Volume{secretVolume("nats", p.v.Text("natsToolsSecret"))}
	return kubiyaPart{"workflow-engine", p.name + "-workflow-engine", 1, false, spec}
}
