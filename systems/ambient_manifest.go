package systems

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

const ambientPort = 8001

// A session's pod as the operator makes it, with what it leaves out: bounds on every container, and a restart policy under which a failed
// liveness probe restarts the runner and does not end the session (components/operator/internal/handlers/sessions.go has Never).
var ambientManifest = &Manifest{
	Fields: forms([]store.ManifestField{
		{Name: "name", Label: "Session", Kind: store.FieldName, Default: "session", Required: true, Group: groupWhere, Help: "The session; its pod is called that with -runner behind."},
		{Name: "namespace", Label: "Namespace", Kind: store.FieldName, Default: "team", Required: true, Group: groupWhere, Help: "The team's; on the board it is the runner. It must exist."},
	}, []store.ManifestField{
		ownImage("image", "Runner", "quay.io/ambient_code/vteam_claude_runner:v0.3.1", "The platform publishes latest: name the version that your operator uses."),
		ownImage("syncImage", "State sync", "quay.io/ambient_code/vteam_state_sync:v0.3.1", "It hydrates the workspace before the session, and saves it during it."),
		{Name: "restart", Label: "Restart policy", Kind: store.FieldChoice, Choices: []string{"OnFailure", "Always"}, Default: "OnFailure", Required: true, Group: groupRunner, Help: "Under Never one failed liveness probe would end the session for good; it is not offered."},
		{Name: "workspace", Label: "Workspace", Kind: store.FieldQuantity, Default: "10Gi", Required: true, Group: groupResources, Help: "The most that the session may keep on disk."},
	}, sizeFields("500m", "2", "1Gi", "8Gi"), []store.ManifestField{
		secretField("tokenSecret", "Secret of the token", "ambient-runner-token", "Holds the runner's token for the backend, under the key token."),
		secretField("keySecret", "Secret of the API key", "ambient-runner-secrets", "Holds ANTHROPIC_API_KEY."),
		userField(1001)}),
	Build: buildAmbient,
	Secrets: func(v Values) []store.NeededSecret {
		return []store.NeededSecret{
			{Name: v.Text("tokenSecret"), Why: "The runner's token for the backend.", Command: literal(v, v.Text("tokenSecret"), "token")},
			{Name: v.Text("keySecret"), Why: "The key for the model's API.", Command: literal(v, v.Text("keySecret"), "ANTHROPIC_API_KEY")},
		}
	},
	Notes: func(Values) []store.Sentence {
		return []store.Sentence{
			"This is a session without an AgenticSession: the operator neither knows nor deletes it. Where the operator runs, make an AgenticSession instead.",
			"Most of a pod cannot be changed: delete it before you apply another form of it.",
		}
	},
	Runner: func(v Values) string { return v.Text("namespace") },
}

func buildAmbient(v Values) []runtime.Object {
	p := newPlan(v, ambientPod, ImageVersion(v.Text("image")))
	selector := map[string]string{appLabel: ambientPod, ambientSession: p.name}
	account := "ambient-session-" + p.name
	workspace := mount("workspace", "/workspace", false)
	size := v.Quantity("workspace")
	runner := corev1.Container{Name: ambientPod, Image: v.Text("image"), Ports: []corev1.ContainerPort{port("agui", ambientPort)}, Resources: p.sized(),
		Env: []corev1.EnvVar{env("SESSION_ID", p.name), env("AGENTIC_SESSION_NAME", p.name), envField("AGENTIC_SESSION_NAMESPACE", "metadata.namespace"), env("WORKSPACE_PATH", "/workspace"),
			envSecret("ANTHROPIC_API_KEY", v.Text("keySecret"), "ANTHROPIC_API_KEY")},
		ReadinessProbe: httpProbe("/health", ambientPort, 3, 5, 2, 3), LivenessProbe: httpProbe("/health", ambientPort, 20, 30, 5, 3),
		VolumeMounts: []corev1.VolumeMount{workspace, mount("runner-token", "/var/run/secrets/ambient", true)}}
	sync := corev1.Container{Name: "state-sync", Image: v.Text("syncImage"), Command: []string{"/usr/local/bin/sync.sh"}, Resources: fixed("50m", "200m", "64Mi", "256Mi"),
		Env: []corev1.EnvVar{env("SESSION_NAME", p.name), envField("NAMESPACE", "metadata.namespace")}, VolumeMounts: []corev1.VolumeMount{workspace}}
	hydrate := sync
	hydrate.Name, hydrate.Command, hydrate.Resources = "init-hydrate", []string{"/usr/local/bin/hydrate.sh"}, fixed("50m", "500m", "64Mi", "512Mi")
	spec := p.pod(account, runner, sync)
	spec.InitContainers = []corev1.Container{hydrate}
	spec.RestartPolicy = corev1.RestartPolicy(v.Text("restart"))
	spec.Volumes = []corev1.Volume{{Name: "workspace", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}}, secretVolume("runner-token", v.Text("tokenSecret"))}
	return []runtime.Object{p.account(account), p.service("session-"+p.name, false, selector, servicePort("agui", ambientPort, ambientPort)),
		&corev1.Pod{TypeMeta: typed("v1", "Pod"), ObjectMeta: p.meta(p.name+"-runner", selector), Spec: alike(spec)}}
}
