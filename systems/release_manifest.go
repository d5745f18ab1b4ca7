package systems

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

var releaseManifest = &Manifest{
	Fields: forms(whereFields("release-runner", "digitalai"), []store.ManifestField{
		required(store.ManifestField{Name: "url", Label: "Release", Kind: store.FieldURL, Example: "https://release.acme.example", Group: groupRunner, Help: "The server at which it registers (RELEASE_RUNNER_RELEASE_URL)."}),
		{Name: "capabilities", Label: "Capabilities", Kind: store.FieldText, Default: "remote,remote-script,container,k8s", Required: true, Group: groupRunner, Help: "What it takes, separated by commas."},
		{Name: "environment", Label: "Environment", Kind: store.FieldText, Group: groupRunner, Help: "Shown in Release, such as production."},
		{Name: "dataCenter", Label: "Data center", Kind: store.FieldText, Group: groupRunner, Help: "Shown in Release."},
		imageField("image", "Image", "docker.io/xebialabs/release-runner:24.1.3", "The version of your Release server."),
		replicasField(1, 50),
	}, sizeFields("500m", "4", "512Mi", "1Gi"), []store.ManifestField{
		secretField("tokenSecret", "Secret of the token", "release-runner-registration-token", "Holds the registration token (rpa_…) under the key token."),
		userField(1001)}),
	Build: buildRelease,
	Secrets: func(v Values) []store.NeededSecret {
		return []store.NeededSecret{{Name: v.Text("tokenSecret"), Why: "A personal access token of Release with the permission runner#registration.", Command: literal(v, v.Text("tokenSecret"), "token")}}
	},
	Notes: func(v Values) []store.Sentence {
		return []store.Sentence{
			"Each replica registers under its pod's name and is a runner of its own: the first is " + store.Sentence(store.Clean(v.Text("name"), 63)) + "-0.",
			"Deleting one in Release alone brings it back: its StatefulSet starts it again.",
		}
	},
	Chart: func(v Values) Chart {
		return Chart{Release: v.Text("name"), Name: "runner-0.1.0.tgz", Values: map[string]any{"replicaCount": v.Number("replicas"),
			"release": map[string]any{"url": v.Text("url"), "registrationToken": "TOKEN"}}}
	},
	Runner: func(v Values) string { return v.Text("name") + "-0" },
}

func buildRelease(v Values) []runtime.Object {
	p := newPlan(v, "runner", "")
	selector := map[string]string{nameLabel: "runner", instanceLabel: p.name, appLabel: p.name}
	every := []string{"create", "delete", "get", "list", "patch", "update", "watch"}
	// The executors' pods and what they are given; of Secrets only what is its own business in its own namespace.
	role, binding := p.role(p.namespace, p.name, p.name, rule("", every, "pods"), rule("", []string{"get"}, "pods/log"), rule("", []string{"create"}, "pods/exec"),
		rule("", []string{"create", "delete", "get", "patch"}, "secrets"))
	headless := p.name + "-headless"
	c := corev1.Container{Name: releaseContainer, Image: v.Text("image"), Ports: []corev1.ContainerPort{port("health", releasePort)}, Resources: p.sized(), Env: releaseEnv(p, headless),
		LivenessProbe: httpProbe("/live", releasePort, 10, 5, 5, 12), ReadinessProbe: httpProbe("/ready", releasePort, 10, 5, 5, 12),
		VolumeMounts: []corev1.VolumeMount{mount("workspace", "/workspace", false), mount("tmp", "/tmp", false)}}
	spec := alike(withAPI(p.pod(p.name, c)))
	grace, replicas := int64(200), v.Number("replicas")
	spec.TerminationGracePeriodSeconds = &grace
	spec.Volumes = []corev1.Volume{scratch("workspace", "1Gi"), scratch("tmp", "1Gi")}
	set := &appsv1.StatefulSet{TypeMeta: typed("apps/v1", "StatefulSet"), ObjectMeta: p.meta(p.name, selector), Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, ServiceName: headless, PodManagementPolicy: appsv1.ParallelPodManagement, Selector: &metav1.LabelSelector{MatchLabels: selector},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.meta("", selector).Labels}, Spec: spec}}}
	return []runtime.Object{p.account(p.name), role, binding, p.service(headless, true, selector, servicePort("health", releasePort, releasePort)), p.budget(p.name, replicas, selector), set}
}

func releaseEnv(p plan, service string) []corev1.EnvVar {
	out := []corev1.EnvVar{envField("RELEASE_RUNNER_NAME", "metadata.name"), env(releaseURL, p.v.Text("url")), envSecret("RELEASE_RUNNER_TOKEN", p.v.Text("tokenSecret"), "token"),
		env(releaseCapabilities, p.v.Text("capabilities")), env(releaseProfile, "k8s"), envField("RELEASE_RUNNER_KUBERNETES_NAMESPACE", "metadata.namespace"),
		env("RELEASE_RUNNER_KUBERNETES_SERVICE_NAME", service), env("RELEASE_RUNNER_KUBERNETES_IN_CLUSTER_CONFIG", "true"), env("RELEASE_RUNNER_STORE_NAME", "/workspace/db/runner-store.db")}
	for _, x := range [][2]string{{releaseEnvironment, p.v.Text("environment")}, {releaseDataCenter, p.v.Text("dataCenter")}} {
		if x[1] != "" {
			out = append(out, env(x[0], x[1]))
		}
	}
	return out
}
