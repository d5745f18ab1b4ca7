package manifests

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
	"trackside/systems"
	"trackside/systems/finding"
)

// looked is an object with pods, as the rules look at it.
type looked struct {
	kind     string
	meta     *metav1.ObjectMeta
	spec     *corev1.PodSpec
	pods     map[string]string // the labels of its pods
	replicas int32
	schedule string
}

// look is what the rules see of an object; false for one without pods.
func look(o runtime.Object) (looked, bool) {
	one := func(n *int32) int32 {
		if n == nil {
			return 1
		}
		return *n
	}
	switch x := o.(type) {
	case *appsv1.Deployment:
		return looked{"Deployment", &x.ObjectMeta, &x.Spec.Template.Spec, x.Spec.Template.Labels, one(x.Spec.Replicas), ""}, true
	case *appsv1.StatefulSet:
		return looked{"StatefulSet", &x.ObjectMeta, &x.Spec.Template.Spec, x.Spec.Template.Labels, one(x.Spec.Replicas), ""}, true
	case *batchv1.CronJob:
		return looked{"CronJob", &x.ObjectMeta, &x.Spec.JobTemplate.Spec.Template.Spec, nil, 0, x.Spec.Schedule}, true
	case *corev1.Pod:
		return looked{"Pod", &x.ObjectMeta, &x.Spec, x.Labels, 0, ""}, true
	}
	return looked{}, false
}

// seen is the object as its system sees it.
func (l looked) seen() systems.Object {
	return systems.Object{Kind: l.kind, Namespace: l.meta.Namespace, Name: l.meta.Name, Labels: l.meta.Labels, Annotations: l.meta.Annotations, Spec: l.spec}
}

// findings are those that a runner made of these objects would have.
func findings(objects []runtime.Object) (out []store.Finding) {
	for _, o := range objects {
		l, ok := look(o)
		if !ok {
			continue
		}
		object := l.seen()
		sys, claim, ok := systems.Recognise(object)
		if !ok {
			continue
		}
		marks := finding.Scan(finding.Subject{Kind: l.kind, System: sys.Name, Component: claim.Component, Main: sys.MainContainer(object, claim.Component),
			Name: l.meta.Name, Labels: l.meta.Labels, Annotations: l.meta.Annotations, Spec: l.spec, Schedule: l.schedule})
		out = append(out, finding.Read(l.kind, l.meta.Name, marks)...)
		if claim.Component != "" {
			out = append(out, finding.Unversioned(l.kind, l.meta.Name, sys.VersionOf(object, claim.Component))...)
		}
		if !claim.Replicas {
			out = append(out, finding.Single(l.kind, l.meta.Name, l.replicas, guarded(objects, l))...)
		}
	}
	return finding.Sort(out)
}

// guarded says whether one of the objects is a disruption budget for the pods of another.
func guarded(objects []runtime.Object, l looked) finding.Budget {
	for _, o := range objects {
		b, ok := o.(*policyv1.PodDisruptionBudget)
		if !ok || b.Namespace != l.meta.Namespace {
			continue
		}
		if s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && s.Matches(labels.Set(l.pods)) {
			return finding.BudgetThere
		}
	}
	return finding.BudgetNone
}

// Seen is an object as systems see it; false for one without pods.
func Seen(o runtime.Object) (systems.Object, bool) {
	l, ok := look(o)
	if !ok {
		if u, err := bare(o); err == nil && u.GetKind() == "AutoscalingRunnerSet" {
			return systems.Object{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName(), Labels: u.GetLabels(), Custom: u.Object}, true
		}
		return systems.Object{}, false
	}
	return l.seen(), true
}
