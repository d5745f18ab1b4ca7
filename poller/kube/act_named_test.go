package kube

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
)

// naming has pods name a Secret by a volume, in one way or another.
func naming(spec *corev1.PodSpec, sources ...corev1.VolumeSource) {
	for i, s := range sources {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: fmt.Sprint("v", i), VolumeSource: s})
	}
}

func secretsAmong(list []store.Object) (names []string) {
	for _, o := range list {
		if o.Kind == "Secret" {
			names = append(names, o.Namespace+"/"+o.Name)
		}
	}
	return names
}

// A Secret stays, by whatever kind of volume the pods take it in, and also when only the pods of work name it. What a custom object's pod
// names may go with that.
func TestSecretsThatStay(t *testing.T) {
	projected := corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "projected"}}}}}}
	csi := corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "vault", NodePublishSecretRef: &corev1.LocalObjectReference{Name: "csi"}}}
	plain := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}
	}
	synctest.Test(t, func(t *testing.T) {
		objects := controller("ctl-a")
		naming(&objects[0].(*appsv1.Deployment).Spec.Template.Spec, projected, csi, corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "none"}})
		job := metav1.ObjectMeta{Name: "job", UID: "uid-job"}
		for _, w := range []struct{ name, kind, secret string }{{"bare", "", "by-bare-work"}, {"first", "Job", "by-work"}, {"second", "Job", "by-work"}, {"made", "EphemeralRunner", "made-for-it"}} {
			p := buildJob(w.name, "ctl-a")
			if w.kind != "" {
				p.ObjectMeta = ownedBy(p.ObjectMeta, w.kind, job)
			}
			naming(&p.Spec, plain(w.secret))
			objects = append(objects, p)
		}
		b, dyn := withHands(t, nil, objects...)
		defer b.end()
		got := secretsAmong(b.planned(store.Action{Verb: store.VerbDelete}, "buildkite", "ctl-a").Stays)
		if want := []string{"ns/by-bare-work", "ns/by-work", "ns/csi", "ns/projected"}; !slices.Equal(got, want) {
			t.Errorf("stays %v, want %v", got, want)
		}
		read := 0
		for _, x := range dyn.Actions() {
			if x.GetVerb() == "get" && x.GetResource().Resource == "pods" {
				read++
			}
		}
		if read != 2 {
			t.Errorf("%d pods were read", read)
		}
	})
}

// Of much work some is read.
func TestNotAllWorkIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := controller("ctl-a")
		for i := range 2 * maxNamed {
			objects = append(objects, buildJob(fmt.Sprint("job-", i), "ctl-a"))
		}
		b, dyn := withHands(t, nil, objects...)
		defer b.end()
		b.planned(store.Action{Verb: store.VerbDelete}, "buildkite", "ctl-a")
		read := 0
		for _, x := range dyn.Actions() {
			if x.GetVerb() == "get" && x.GetResource().Resource == "pods" {
				read++
			}
		}
		if read != maxNamed {
			t.Errorf("%d pods were read", read)
		}
	})
}

// A custom object names Secrets in fields that its system knows.
func TestSecretsOfCustomObjects(t *testing.T) {
	u := arcObject("AutoscalingRunnerSet", "linux", map[string]any{"githubConfigSecret": "github", "proxy": map[string]any{"https": map[string]any{"credentialSecretRef": "proxy"}}}, nil)
	h := &hand{sw: systems.ARC.SwitchOf()}
	g := &grip{held: held{object: systems.Object{Kind: "AutoscalingRunnerSet", Namespace: "ci", Name: "linux"}}, live: u}
	if got := secretsAmong(h.secrets(g)); !slices.Equal(got, []string{"ci/github", "ci/proxy"}) {
		t.Errorf("%v", got)
	}
	if got := (&hand{sw: systems.Labelled.SwitchOf()}).secrets(g); got != nil {
		t.Errorf("of a system that knows none: %v", got)
	}
}
