package kube

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
	"trackside/systems"
)

// keeping is a labelled StatefulSet of two replicas with a volume each, and its pods.
func keeping(change func(*appsv1.StatefulSet)) []runtime.Object {
	n, l := int32(2), labelled("r", "main")
	set := &appsv1.StatefulSet{ObjectMeta: meta("ns", "r", l)}
	set.Spec.Replicas, set.Spec.Template.Labels = &n, l
	set.Spec.Template.Spec.Containers = []corev1.Container{container("main", "acme/r:1.0.0")}
	set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	change(set)
	out := []runtime.Object{set}
	for i := range *set.Spec.Replicas {
		out = append(out, podOf(set.ObjectMeta, "StatefulSet", "r-"+string('0'+rune(i)), l, set.Spec.Template.Spec.Containers...))
	}
	return out
}

// Claims are named with those of replicas that are out of service, and where their controller deletes them, that is told before.
func TestVolumesOfAStatefulSet(t *testing.T) {
	policy := func(deleted, scaled appsv1.PersistentVolumeClaimRetentionPolicyType) func(*appsv1.StatefulSet) {
		return func(s *appsv1.StatefulSet) {
			s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: deleted, WhenScaled: scaled}
		}
	}
	both := []string{"data-r-0", "data-r-1"}
	for name, c := range map[string]struct {
		verb        store.Verb
		change      func(*appsv1.StatefulSet)
		goes, stays []string
		told        string
	}{
		"by default":                {store.VerbDelete, func(*appsv1.StatefulSet) {}, nil, both, ""},
		"retained":                  {store.VerbDelete, policy("Retain", "Delete"), nil, both, ""},
		"deleted with it":           {store.VerbDelete, policy("Delete", "Retain"), both, nil, "Deleting StatefulSet ns/r deletes its PersistentVolumeClaims, and what is on them"},
		"deleted when scaled":       {store.VerbDisable, policy("Retain", "Delete"), nil, nil, "Scaling StatefulSet ns/r down deletes its PersistentVolumeClaims, and what is on them"},
		"retained when scaled":      {store.VerbDisable, policy("Delete", "Retain"), nil, nil, ""},
		"brought back":              {store.VerbEnable, policy("Delete", "Delete"), nil, nil, ""},
		"numbered from two":         {store.VerbDelete, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 2} }, nil, []string{"data-r-2", "data-r-3"}, ""},
		"no volumes, and no policy": {store.VerbDelete, func(s *appsv1.StatefulSet) { policy("Delete", "Delete")(s); s.Spec.VolumeClaimTemplates = nil }, nil, nil, ""},
		"out of service": {store.VerbDelete, func(s *appsv1.StatefulSet) {
			*s.Spec.Replicas = 0
			s.Annotations = map[string]string{systems.AnnotationDisabled: marking{By: "ada", At: markedAt, Restore: map[string]any{"/spec/replicas": 2}}.text()}
		}, nil, both, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := withHands(t, nil, keeping(c.change)...)
				defer b.end()
				p := b.planned(store.Action{Verb: c.verb}, "labelled", "r")
				if goes, stays := claimsAmong(p.Goes), claimsAmong(p.Stays); !slices.Equal(goes, c.goes) || !slices.Equal(stays, c.stays) {
					t.Errorf("goes %v, stays %v", goes, stays)
				}
				if got := trap(p, "claims-deleted"); c.told == "" && got != "" || !strings.HasPrefix(got, c.told) {
					t.Errorf("told %q, want %q", got, c.told)
				}
			})
		})
	}
}

func claimsAmong(list []store.Object) (names []string) {
	for _, o := range list {
		if o.Kind == "PersistentVolumeClaim" {
			names = append(names, o.Name)
		}
	}
	return names
}

// A claim of agyn's work outlives its runner, and is named before that is deleted.
func TestClaimsOfWorkStay(t *testing.T) {
	r := newReach(t)
	r.customs = []*custom{{kind: "PersistentVolumeClaim", ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: "thread-1"}}, {kind: "Runner", ObjectMeta: metav1.ObjectMeta{Name: "eu"}}}
	if got := r.workClaims(); !slices.Equal(got, []store.Object{{Kind: "PersistentVolumeClaim", Namespace: "work", Name: "thread-1"}}) {
		t.Errorf("%v", got)
	}
}

// Who scales also up from 0 brings back what is taken out of service: that is told, and not that it does nothing.
func TestWhoScalesFromZero(t *testing.T) {
	none, two := int32(0), int32(2)
	keda := []metav1.OwnerReference{{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: "r-queue"}}
	for name, c := range map[string]struct {
		verb  store.Verb
		least *int32
		owner []metav1.OwnerReference
		want  string
	}{
		"an autoscaler":            {store.VerbDisable, &two, nil, "HorizontalPodAutoscaler r scales Deployment ns/r: it does nothing while that is at 0, and scales again, to 2 at least"},
		"one that goes to 0":       {store.VerbDisable, &none, nil, "HorizontalPodAutoscaler r scales Deployment ns/r, also up from 0: "},
		"KEDA":                     {store.VerbDisable, nil, keda, "KEDA scales Deployment ns/r by ScaledObject r-queue, also up from 0: "},
		"KEDA's, which is deleted": {store.VerbDelete, nil, keda, "ScaledObject r-queue stays, and KEDA makes HorizontalPodAutoscaler r anew by it: "},
		"one that is deleted":      {store.VerbDelete, &two, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: meta("ns", "r", nil)}
				s.OwnerReferences, s.Spec.MinReplicas = c.owner, c.least
				s.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "r"}
				b, _ := withHands(t, []runtime.Object{s}, labelledRunner("r", 1)...)
				defer b.end()
				p := b.planned(store.Action{Verb: c.verb}, "labelled", "r")
				if got := trap(p, "autoscaler"); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
					t.Errorf("told %q, want %q", got, c.want)
				}
			})
		})
	}
}

// A restart that restarts nothing is refused, or told to be one.
func TestARestartThatRestartsNothing(t *testing.T) {
	set := func(path ...string) func(*unstructured.Unstructured, any) {
		return func(u *unstructured.Unstructured, v any) { _ = unstructured.SetNestedField(u.Object, v, path...) }
	}
	for name, c := range map[string]struct {
		field func(*unstructured.Unstructured, any)
		value any
		want  string
	}{
		"as usual":        {set("spec", "replicas"), int64(2), ""},
		"on deletion":     {set("spec", "updateStrategy", "type"), "OnDelete", "on-delete"},
		"from a pod on":   {set("spec", "updateStrategy", "rollingUpdate", "partition"), int64(3), "partition"},
		"it is suspended": {set("spec", "paused"), true, "refused"},
	} {
		u := deployed("a", 1, nil)
		c.field(u, c.value)
		r := newReach(t, u)
		r.parts = []part{{name: "main", kind: "Deployment", object: systems.Object{Namespace: "ns", Name: "a"}}}
		got := ""
		j, err := r.restart(t.Context(), store.Action{Verb: store.VerbRestart, Target: "main"}, nil)
		switch {
		case err != nil:
			got = "refused"
		case len(j.traps) > 0:
			got = j.traps[0].Code
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q; %v", name, got, c.want, err)
		}
	}
}
