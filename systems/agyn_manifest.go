package systems

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

const agynPort = 50051

// agynAnswers asks the gRPC port in the language it speaks: k8s-runner serves no gRPC health service (cmd/k8s-runner/main.go), and a TCP
// connection is accepted by a kernel for a process that hangs. The preface of HTTP/2 with an empty SETTINGS frame is answered by the
// server's own SETTINGS frame, whose head has nine bytes. The image is an Alpine, whose BusyBox has all of this.
var agynAnswers = []string{"sh", "-c",
	`printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\000\000\000\004\000\000\000\000\000' | nc -w 2 127.0.0.1 50051 | head -c 9 | wc -c | grep -qw 9`}

var agynManifest = &Manifest{
	Fields: forms(whereFields("k8s-runner", "platform"), []store.ManifestField{
		{Name: "workloads", Label: "Namespace of workloads", Kind: store.FieldName, Default: "agyn-workloads", Required: true, Group: groupWhere, Help: "Where the runner makes its pods (KUBE_NAMESPACE). It must exist, and the runner gets its rights there."},
		{Name: "gateway", Label: "Gateway", Kind: store.FieldText, Default: "gateway:8080", Required: true, Group: groupRunner, Help: "Where the runner enrols (GATEWAY_ADDRESS), as host:port."},
		{Name: "ziti", Label: "OpenZiti", Kind: store.FieldChoice, Choices: []string{"true", "false"}, Default: "true", Required: true, Group: groupRunner, Help: "Whether it is reached over the overlay network (ZITI_ENABLED)."},
		{Name: "docker", Label: "Docker for workloads", Kind: store.FieldChoice, Choices: []string{"none", "rootless", "kata-qemu", "kata-fc"}, Default: "none", Required: true, Group: groupSecurity, Help: "How the capability docker is implemented. The privileged way is not offered."},
		{Name: "volumeSize", Label: "Size of volumes", Kind: store.FieldQuantity, Default: "10Gi", Required: true, Group: groupResources, Help: "Of each claim that it makes (PVC_STORAGE_SIZE)."},
		{Name: "storageClass", Label: "Storage class", Kind: store.FieldName, Group: groupResources, Help: "Of those claims; blank for the cluster's default."},
		ownImage("image", "Image", "ghcr.io/agynio/k8s-runner:0.9.4", "The release that your control plane goes with."),
	}, sizeFields("100m", "500m", "128Mi", "512Mi"), []store.ManifestField{
		secretField("tokenSecret", "Secret of the token", "k8s-runner-service-token", "Holds the token that RegisterRunner showed once, under the key token."),
		userField(1000)}),
	Build: buildAgyn,
	Secrets: func(v Values) []store.NeededSecret {
		return []store.NeededSecret{{Name: v.Text("tokenSecret"), Why: "The service token, which RegisterRunner shows once.", Command: literal(v, v.Text("tokenSecret"), "token")}}
	},
	Notes: func(Values) []store.Sentence {
		return []store.Sentence{"Its probes ask the gRPC port in HTTP/2 and want an answer: the runner has no gRPC health service, and an accepted connection proves nothing."}
	},
	Chart: func(v Values) Chart {
		// The value env replaces the chart's own list as a whole, so that all of it stands here.
		var list []any
		for _, e := range agynEnv(v) {
			item := map[string]any{"name": e.Name, "value": e.Value}
			if e.ValueFrom != nil {
				item = map[string]any{"name": e.Name, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": v.Text("tokenSecret"), "key": "token"}}}
			}
			list = append(list, item)
		}
		return Chart{Release: v.Text("name"), Name: "oci://ghcr.io/agynio/charts/k8s-runner", Values: map[string]any{"fullnameOverride": v.Text("name"), "env": list}}
	},
}

func agynEnv(v Values) []corev1.EnvVar {
	out := []corev1.EnvVar{env(agynNamespace, v.Text("workloads")), env("GRPC_ADDR", ":50051"), env("ZITI_ENABLED", v.Text("ziti")), env("GATEWAY_ADDRESS", v.Text("gateway")),
		envSecret("SERVICE_TOKEN", v.Text("tokenSecret"), "token"), env("ZITI_ENROLLMENT_TIMEOUT", "2m"), env(agynVolumeSize, v.Text("volumeSize")), env("LOG_LEVEL", "info")}
	if c := v.Text("storageClass"); c != "" {
		out = append(out, env("PVC_STORAGE_CLASS", c))
	}
	if d := v.Text("docker"); d != "none" {
		text, _ := json.Marshal(map[string]string{"docker": d}) //nolint:errchkjson // a map of strings is always JSON
		out = append(out, env(agynImplementations, string(text)))
	}
	return out
}

func buildAgyn(v Values) []runtime.Object {
	p := newPlan(v, agynRunner, ImageVersion(v.Text("image")))
	selector := map[string]string{nameLabel: agynRunner, instanceLabel: p.name}
	every := []string{"create", "delete", "get", "list", "patch", "update", "watch"}
	role, binding := p.role(v.Text("workloads"), p.name, p.name, rule("", every, "pods", "persistentvolumeclaims"), rule("", []string{"create"}, "pods/exec"),
		rule("", []string{"get"}, "pods/log"), rule("", []string{"get", "list", "watch"}, "events"), rule("", []string{"create", "delete", "get"}, "secrets"))
	c := corev1.Container{Name: agynRunner, Image: v.Text("image"), Ports: []corev1.ContainerPort{port("grpc", agynPort)}, Env: agynEnv(v), Resources: p.sized(),
		ReadinessProbe: execProbe(agynAnswers, 5, 10, 5, 3), LivenessProbe: execProbe(agynAnswers, 30, 20, 5, 3)}
	return []runtime.Object{p.account(p.name), role, binding, p.service(p.name, false, selector, servicePort("grpc", agynPort, agynPort)),
		p.budget(p.name, 1, selector), p.deployment(p.name, 1, selector, alike(withAPI(p.pod(p.name, c))))}
}
