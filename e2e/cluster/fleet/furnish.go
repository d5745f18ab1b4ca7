package fleet

import (
	"crypto/sha256"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
)

// settings are the environment every container gets. Pods of a real cluster
// are mostly this: what a board reads of them drowns in what it does not.
var settings = [][2]string{
	{"LOG_FORMAT", "json"}, {"LOG_LEVEL", "info"}, {"GOMAXPROCS", "2"}, {"GOMEMLIMIT", "460MiB"},
	{"HTTP_PROXY", "http://proxy.net.acme.example:3128"}, {"HTTPS_PROXY", "http://proxy.net.acme.example:3128"},
	{"NO_PROXY", "10.0.0.0/8,127.0.0.1,localhost,.svc,.svc.cluster.local,.acme.example"},
	{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel-collector.observability.svc:4317"}, {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
	{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "0.05"},
	{"OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=production,cloud.provider=aws,cloud.region=eu-central-1"},
	{"NATS_URL", "nats://nats.messaging.svc:4222"}, {"NATS_CREDS_FILE", "/etc/nats/nats.creds"},
	{"METRICS_ADDRESS", ":9090"}, {"SHUTDOWN_TIMEOUT", "25s"}, {"REQUEST_TIMEOUT", "30s"},
}

// fields are what every main container is told of its own pod.
var fields = [][2]string{
	{"POD_NAME", "metadata.name"}, {"POD_NAMESPACE", "metadata.namespace"}, {"POD_IP", "status.podIP"}, {"NODE_NAME", "spec.nodeName"},
}

// furnish gives an object's pods the size and the furniture that pods of real clusters have.
func furnish(o runtime.Object) {
	meta, spec := podTemplate(o)
	if spec == nil {
		return
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(spec.Containers[0].Image)))
	meta.Annotations = merge(meta.Annotations, map[string]string{
		"checksum/config":    sum,
		"checksum/secret":    sum[32:] + sum[:32],
		"prometheus.io/path": "/metrics",
		"prometheus.io/port": "9090",
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
	})
	addVolumes(spec)
	for i := range spec.Containers {
		furnishContainer(&spec.Containers[i], i == 0)
	}
	for i := range spec.InitContainers {
		spec.InitContainers[i].Resources = resources("10m", "16Mi", "64Mi")
	}
	grace := int64(30)
	spec.TerminationGracePeriodSeconds = &grace
	yes := true
	user := int64(10001)
	spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, FSGroup: &user,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
}

func addVolumes(spec *corev1.PodSpec) {
	limit := resource.MustParse("256Mi")
	optional := true
	spec.Volumes = append(spec.Volumes,
		corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}},
		corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "runner-config"}, Optional: &optional}}},
		corev1.Volume{Name: "nats-creds", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "nats-creds", Optional: &optional}}},
		corev1.Volume{Name: "ca-bundle", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "acme-ca-bundle"}, Optional: &optional}}},
	)
}

// furnishContainer fills the main container; one beside it gets only what it cannot do without.
func furnishContainer(c *corev1.Container, main bool) {
	c.ImagePullPolicy = corev1.PullIfNotPresent
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "tmp", MountPath: "/tmp"})
	c.Resources = resources("10m", "32Mi", "256Mi")
	if !main {
		return
	}
	c.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("20m")
	for _, f := range fields {
		c.Env = append(c.Env, corev1.EnvVar{Name: f[0], ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: f[1]}}})
	}
	for _, s := range settings {
		if !has(c.Env, s[0]) {
			c.Env = append(c.Env, corev1.EnvVar{Name: s[0], Value: s[1]})
		}
	}
	c.VolumeMounts = append(c.VolumeMounts,
		corev1.VolumeMount{Name: "config", MountPath: "/etc/runner", ReadOnly: true},
		corev1.VolumeMount{Name: "nats-creds", MountPath: "/etc/nats", ReadOnly: true},
		corev1.VolumeMount{Name: "ca-bundle", MountPath: "/etc/ssl/acme", ReadOnly: true},
	)
	no := false
	c.SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: &no,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
}

func has(env []corev1.EnvVar, name string) bool {
	for _, e := range env {
		if e.Name == name {
			return true
		}
	}
	return false
}

// resources are small requests, so that thousands of pods fit on few nodes.
func resources(cpu, memory, limit string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
	}
}

// foreign makes the nth pod of an ordinary application.
func foreign(n int) (*corev1.Pod, error) {
	objects, err := read("foreign/pod.yaml")
	if err != nil {
		return nil, err
	}
	app := applications[n%len(applications)]
	namespace := app
	if group := n / (500 * len(applications)); group > 0 { // namespaces of real clusters hold hundreds, not thousands
		namespace = fmt.Sprintf("%s-%d", app, group+1)
	}
	r := renaming{exact: map[string]string{"shop": namespace}, parts: []string{"shop-web", app + "-web"}}
	pod := objects[0].(*corev1.Pod)
	r.object(pod)
	pod.Name = fmt.Sprintf("%s-6d5f9c7b8d-%s", pod.Name, identity(namespace, app, n)[:8])
	furnish(pod)
	return pod, nil
}

var applications = []string{"shop", "billing", "search", "mail", "catalog", "identity", "reports", "media"}
