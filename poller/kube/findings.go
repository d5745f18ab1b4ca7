package kube

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
	"trackside/systems/finding"
)

// An object's full spec passes once, in the transform: what the rules find in it is kept as marks, in the field GenerateName of the slim
// object. Nothing reads that field otherwise, it costs no map, and marks begin with a byte that no API server takes in a name, so
// that nobody can write marks of his own.

// marked reports whether an object has been looked at: it comes from the cache.
func marked(m *metav1.ObjectMeta) bool { return strings.HasPrefix(m.GenerateName, finding.Prefix) }

// markPod looks at a pod that no object of a runner owns; the template of that object says what there is to say of the others.
func (s *set) markPod(p *corev1.Pod) string {
	if !marked(&p.ObjectMeta) && s.claimedOwner(ownerOf(p)) != nil {
		return ""
	}
	return mark("Pod", &p.ObjectMeta, &p.Spec, "")
}

// mark looks at an object of a runner. The schedule is a CronJob's.
func mark(kind string, m *metav1.ObjectMeta, spec *corev1.PodSpec, schedule string) string {
	if marked(m) {
		return m.GenerateName
	}
	object := objectOf(kind, m, spec)
	sys, claim, ok := systems.Recognise(object)
	if !ok {
		return ""
	}
	subject := finding.Subject{Kind: kind, System: sys.Name, Component: claim.Component, Main: sys.MainContainer(object, claim.Component),
		Name: m.Name, Labels: m.Labels, Annotations: m.Annotations, Spec: spec, Schedule: schedule}
	if sys.Probe != nil {
		if p, ok := sys.Probe(object, claim.Component); ok {
			subject.Probe.Path, subject.Probe.Port = p.Path, p.Port
		}
	}
	return finding.Scan(subject)
}

// scheduleOf is when a CronJob runs; blank while it is suspended.
func scheduleOf(c *batchv1.CronJob) string {
	if c.Spec.Suspend != nil && *c.Spec.Suspend {
		return ""
	}
	return c.Spec.Schedule
}

// judge adds what the rules say of a runner, and what it offers. A list that is as it was shares the memory of the one before.
func (o *observation) judge(r, prior *store.Runner, parts []part, work []*corev1.Pod) {
	fs := slices.Clone(r.Findings) // its system may have found something already
	for i := range parts {
		fs = append(fs, o.findings(&parts[i], r)...)
	}
	seen := ""
	for _, pod := range work {
		if m := pod.GenerateName; m != seen { // pods of one make have one string
			fs, seen = append(fs, workFindings(m)...), m
		}
		fs = append(fs, o.set.admins("pods", finding.AccountField("Pod"), pod.Namespace, pod.Spec.ServiceAccountName)...)
	}
	fs = append(fs, o.missingSecrets(r, parts, work)...)
	r.Findings = slices.Clone(finding.Sort(finding.Admins(fs))) // without the room that appending left
	r.Offer = offerOf(parts).Or(r.Offer)                        // what a person has written down comes first
	if prior != nil && slices.Equal(prior.Findings, r.Findings) {
		r.Findings = prior.Findings
	}
}

// findings are those about one part: what its object's spec says, and what only the running of it does.
func (o *observation) findings(p *part, r *store.Runner) []store.Finding {
	name := p.object.Name
	fs := finding.Read(p.kind, name, p.marks)
	if c, ok := r.Component(p.name); ok {
		if c.Probe.URL != "" {
			fs = finding.Proven(fs)
		}
		fs = append(fs, finding.Unversioned(p.kind, name, c.Version)...)
	}
	if p.object.Spec != nil {
		fs = append(fs, o.set.admins(finding.Object(p.kind, name), finding.AccountField(p.kind), p.object.Namespace, p.object.Spec.ServiceAccountName)...)
	}
	if p.desired != 1 || p.replica {
		return fs
	}
	return append(fs, finding.Single(p.kind, name, p.desired, o.set.budget(p.object.Namespace, p.podLabels))...)
}

// workFindings are those about the pods that a runner carries. They are about all of them: a pod of that sort lives for an hour.
func workFindings(marks string) []store.Finding {
	fs := finding.Read("Pod", "*", marks)
	for i := range fs {
		if fs[i].Object == "pod/*" {
			fs[i].Object = "pods"
		}
	}
	return fs
}

// missingSecrets are the Secrets that pods wait for by the words of their kubelets. A pod that runs has what it needs, whatever an event of
// an hour ago says.
func (o *observation) missingSecrets(r *store.Runner, parts []part, work []*corev1.Pod) (fs []store.Finding) {
	waiting := map[string]string{} // field by Secret
	look := func(pod *corev1.Pod) {
		for _, m := range o.complaints(pod) {
			name := finding.MissingSecret(m.text)
			if before, known := waiting[name]; name != "" && (!known || m.field < before) {
				waiting[name] = m.field // the same one, whichever pod is looked at first
			}
		}
	}
	for i := range parts {
		for _, pod := range parts[i].pods {
			look(pod)
		}
	}
	for _, pod := range work {
		look(pod)
	}
	for name, field := range waiting {
		fs = append(fs, finding.Secret(name, field))
	}
	return fs
}

// complaint is what is said of a pod that does not start, and of which part of it.
type complaint struct{ field, text string }

func (o *observation) complaints(pod *corev1.Pod) (out []complaint) {
	if pod.Status.Phase != corev1.PodPending && pod.Status.Phase != corev1.PodRunning || settled(pod) {
		return nil
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			if w := list[i].State.Waiting; w != nil {
				out = append(out, complaint{"spec.containers[" + list[i].Name + "].env", w.Message})
			}
		}
	}
	for _, n := range o.set.notices(pod.UID) {
		if n.reason == "FailedMount" {
			out = append(out, complaint{"spec.volumes", n.message})
		}
	}
	return out
}

// settled holds for a pod none of whose containers waits to start.
func settled(pod *corev1.Pod) bool {
	waits := func(s corev1.ContainerStatus) bool { return s.State.Waiting != nil }
	return len(pod.Status.ContainerStatuses) > 0 && !slices.ContainsFunc(pod.Status.ContainerStatuses, waits) && !slices.ContainsFunc(pod.Status.InitContainerStatuses, waits)
}

// offerOf is what a runner says in its annotations that it offers; the first of its objects that says something is heard. What cannot be
// read says nothing.
func offerOf(parts []part) (o store.Offer) {
	for i := range parts {
		a := parts[i].object.Annotations
		if v, ok := a[systems.AnnotationScope]; ok && o.Scope.Kind == "" {
			o.Scope, _ = store.ParseScope(v)
		}
		if v, ok := a[systems.AnnotationLabels]; ok && o.Labels == nil {
			o.Labels, _ = store.ParseLabels(v)
		}
		if v, ok := a[systems.AnnotationCapabilities]; ok && o.Capabilities == nil {
			o.Capabilities = store.ParseCapabilities(v)
		}
		if v, ok := a[systems.AnnotationRoom]; ok && o.Room == (store.Room{}) {
			o.Room = roomOf(v)
		}
	}
	return o
}

// roomOf reads cpu=8,memory=32Gi,gpu=1; a quantity that cannot be read says nothing.
func roomOf(s string) (r store.Room) {
	pairs, _ := store.ParseLabels(s)
	for _, l := range pairs {
		q, err := systems.ParseQuantity(l.Value)
		if err != nil || q.Sign() < 0 {
			continue
		}
		switch l.Key {
		case "cpu":
			r.CPU = systems.Milli(q)
		case "memory":
			r.Memory = systems.Whole(q)
		case "gpu":
			r.GPU = systems.Whole(q)
		}
	}
	return r
}

// marksOf are the marks of a part's object.
func marksOf(obj any) string {
	switch x := obj.(type) {
	case *appsv1.Deployment:
		return x.GenerateName
	case *appsv1.StatefulSet:
		return x.GenerateName
	case *batchv1.CronJob:
		return x.GenerateName
	case *corev1.Pod:
		return x.GenerateName
	}
	return ""
}
