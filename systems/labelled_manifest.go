package systems

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

var labelledManifest = &Manifest{
	Fields: forms(whereFields("my-runner", "runners"), []store.ManifestField{
		ownImage("image", "Image", "registry.example.com/team/runner:1.2.3", "With a tag of three numbers, or a digest, so that it never moves."),
		{Name: "component", Label: "Component", Kind: store.FieldName, Default: "agent", Required: true, Group: groupRunner, Help: "What this part of the runner is called on the board."},
		{Name: "port", Label: "Port", Kind: store.FieldNumber, Default: "8080", Min: 1024, Max: 65535, Required: true, Group: groupRunner, Help: "At which it answers; the board asks it too."},
		{Name: "ready", Label: "Readiness path", Kind: store.FieldPath, Default: "/ready", Required: true, Group: groupRunner, Help: "Answers 200 when it can take work."},
		{Name: "live", Label: "Liveness path", Kind: store.FieldPath, Default: "/healthz", Required: true, Group: groupRunner, Help: "Answers 200 unless it must be restarted."},
		replicasField(1, 100),
	}, sizeFields("100m", "500m", "128Mi", "512Mi"), []store.ManifestField{
		{Name: "runtimeClass", Label: "Runtime class", Kind: store.FieldName, Group: groupSecurity, Help: "A sandbox such as gvisor; blank for the cluster's default."},
		{Name: "secret", Label: "Secret", Kind: store.FieldName, Group: groupSecurity, Help: "Its keys become variables; blank for none."},
		userField(1000)}),
	Build: buildLabelled,
	Secrets: func(v Values) []store.NeededSecret {
		if v.Text("secret") == "" {
			return nil
		}
		return []store.NeededSecret{{Name: v.Text("secret"), Why: "Whatever your runner needs; each key becomes a variable.", Command: literal(v, v.Text("secret"), "KEY")}}
	},
}

func buildLabelled(v Values) []runtime.Object {
	p := newPlan(v, v.Text("name"), ImageVersion(v.Text("image")))
	selector := map[string]string{LabelRunner: p.name, LabelComponent: v.Text("component")}
	name, number := p.name+"-"+v.Text("component"), v.Number("port")
	c := corev1.Container{Name: v.Text("component"), Image: v.Text("image"), Ports: []corev1.ContainerPort{port("http", number)}, Resources: p.sized(),
		ReadinessProbe: httpProbe(v.Text("ready"), number, 3, 5, 2, 3), LivenessProbe: httpProbe(v.Text("live"), number, 20, 30, 5, 3),
		VolumeMounts: []corev1.VolumeMount{mount("tmp", "/tmp", false)}}
	if s := v.Text("secret"); s != "" {
		c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: s}}}}
	}
	spec := alike(p.pod(name, c))
	spec.Volumes = []corev1.Volume{scratch("tmp", "1Gi")}
	if class := v.Text("runtimeClass"); class != "" {
		spec.RuntimeClassName = &class
	}
	d := p.deployment(name, v.Number("replicas"), selector, spec)
	d.Annotations = map[string]string{AnnotationProbePath: v.Text("ready"), AnnotationProbePort: v.Text("port")}
	d.Spec.Template.Annotations = d.Annotations
	return []runtime.Object{p.account(name), p.budget(name, v.Number("replicas"), selector), d}
}
