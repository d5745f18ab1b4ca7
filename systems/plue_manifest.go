package systems

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

// A warm runner listens on nothing. It is ready when it can reach the server at which it registers, which answers GET /health; its image
// is a Python, as are its published probes.
var plueReaches = []string{"python", "-c",
	"import os, urllib.parse as p, urllib.request as r; u = p.urlsplit(os.environ['REGISTER_URL']); r.urlopen(u._replace(path='/health', query='').geturl(), timeout=4)"}

// plueLives fails when the first process is stopped, traced or a zombie: there is no more to ask.
var plueLives = []string{"python", "-c",
	"import sys; s = open('/proc/1/stat').read().rsplit(')', 1)[1].split()[0]; sys.exit(0 if s in 'RSDI' else 1)"}

var plueManifest = &Manifest{
	Fields: forms(whereFields("runner-standby-pool", "workflows"), []store.ManifestField{
		{Name: "registerURL", Label: "Registers at", Kind: store.FieldURL, Default: "http://plue:4000/internal/runners/register", Required: true, Group: groupRunner, Help: "Plue's server, or this board, which takes the same calls (REGISTER_URL)."},
		{Name: "least", Label: "Least pods", Kind: store.FieldNumber, Default: "2", Min: 1, Max: 200, Required: true, Group: groupRunner, Help: "How many wait for a task when nothing is asked (the autoscaler's minReplicas)."},
		{Name: "most", Label: "Most pods", Kind: store.FieldNumber, Default: "10", Min: 1, Max: 500, Required: true, Group: groupRunner, Help: "The autoscaler's maxReplicas."},
		{Name: "cpuTarget", Label: "CPU target", Kind: store.FieldNumber, Default: "70", Min: 1, Max: 100, Required: true, Group: groupRunner, Help: "Use of the requested CPU, in percent, above which more pods start."},
		ownImage("image", "Image", "gcr.io/plue-prod/runner:1.7.3", "Plue publishes its runner as latest only: name the version that you have tested."),
	}, sizeFields("250m", "1", "256Mi", "1Gi"), []store.ManifestField{
		{Name: "runtimeClass", Label: "Runtime class", Kind: store.FieldName, Default: "gvisor", Required: true, Group: groupSecurity, Help: "The sandbox that its pods run in; without it in the cluster no pod is made."},
		{Name: "makeClass", Label: "Make the runtime class", Kind: store.FieldChoice, Choices: []string{"no", "yes"}, Default: "no", Required: true, Group: groupSecurity, Help: "GKE Sandbox brings its own: leave it there."},
		{Name: "handler", Label: "Its handler", Kind: store.FieldName, Default: "runsc", Required: true, Group: groupSecurity, Help: "Of the runtime class, where it is made here."},
		secretField("keySecret", "Secret of the API key", "workflow-secrets", "Holds the key anthropic-api-key."),
		userField(1000)}),
	Build: buildPlue,
	Secrets: func(v Values) []store.NeededSecret {
		return []store.NeededSecret{{Name: v.Text("keySecret"), Why: "The key for the model's API.", Command: literal(v, v.Text("keySecret"), "anthropic-api-key")}}
	},
	Notes: func(Values) []store.Sentence {
		return []store.Sentence{
			"The pool's replicas are left to its autoscaler, which needs the metrics server.",
			"Its readiness asks the server's /health; its liveness looks whether the process is alive, since a warm runner listens on nothing.",
		}
	},
}

func buildPlue(v Values) (out []runtime.Object) {
	p := newPlan(v, "plue-runner", ImageVersion(v.Text("image")))
	selector := map[string]string{appLabel: plueStandby, instanceLabel: p.name}
	class, least := v.Text("runtimeClass"), v.Number("least")
	if v.Is("makeClass", "yes") {
		meta := p.meta(class, nil)
		meta.Namespace = ""
		out = append(out, &nodev1.RuntimeClass{TypeMeta: typed("node.k8s.io/v1", "RuntimeClass"), ObjectMeta: meta, Handler: v.Text("handler")})
	}
	c := corev1.Container{Name: plueContainer, Image: v.Text("image"), Resources: p.sized(),
		Env: []corev1.EnvVar{env("MODE", "standby"), env(plueRegister, v.Text("registerURL")), envField("POD_NAME", "metadata.name"), envField("POD_IP", "status.podIP"),
			envSecret("ANTHROPIC_API_KEY", v.Text("keySecret"), "anthropic-api-key")},
		ReadinessProbe: execProbe(plueReaches, 5, 15, 8, 3), LivenessProbe: execProbe(plueLives, 20, 30, 5, 3),
		VolumeMounts: []corev1.VolumeMount{mount("work", "/tmp", false)}}
	spec := alike(p.pod(p.name, c))
	spec.RuntimeClassName = &class
	spec.Volumes = []corev1.Volume{scratch("work", "2Gi")}
	d := p.deployment(p.name, 0, selector, spec)
	d.Spec.Replicas = nil // the autoscaler's
	percent := v.Number("cpuTarget")
	hpa := &autoscalingv2.HorizontalPodAutoscaler{TypeMeta: typed("autoscaling/v2", autoscaler), ObjectMeta: p.meta(p.name, nil), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: p.name}, MinReplicas: &least, MaxReplicas: max(least, v.Number("most")),
		Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent}}}}}}
	return append(out, p.account(p.name), p.budget(p.name, 1, selector), d, hpa)
}
