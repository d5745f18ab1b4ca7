package kube

import (
	"strings"
	"sync"
	"unicode/utf8"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"trackside/store"
	"trackside/systems"
)

// stub stands in the cache for an object that is no runner's: enough for the informer to know it, and nothing else. It also
// carries the owner, which is all that a ReplicaSet or a Job tells us.
type stub struct {
	metav1.ObjectMeta
	owner metav1.OwnerReference // the controller; its UID is blank when there is none
	pod   bool                  // it stands for a pod
	// ignored says that it is to be hidden, and what it owns with it.
	ignored bool
	// triesAgain says that it is a Job that makes its pods anew.
	triesAgain bool
}

// notice is a Warning event reduced to what a verdict can use.
type notice struct {
	metav1.ObjectMeta
	about   string // UID of the object it is about
	pod     string // that object's key, namespace/name, when it is a pod
	reason  string
	message string
	count   int32
	last    metav1.Time
}

// nodeFacts are what a verdict needs of a node.
type nodeFacts struct {
	metav1.ObjectMeta
	ready  corev1.ConditionStatus
	reason string
	since  metav1.Time
	// allocatable holds the sizes that a system may know; nothing for a cordoned node, which takes no new pod.
	allocatable corev1.ResourceList
}

func stubOf(m *metav1.ObjectMeta) *stub {
	s := &stub{ObjectMeta: metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion},
		ignored: m.Labels[systems.LabelIgnore] == "true"}
	if o := metav1.GetControllerOfNoCopy(m); o != nil {
		s.owner = metav1.OwnerReference{Kind: o.Kind, Name: o.Name, UID: o.UID}
	}
	return s
}

// transform reduces an object before it enters the cache. It is idempotent: what it returned, it returns again.
func (s *set) transform(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		return s.transformPod(o), nil
	case *appsv1.Deployment:
		return transformDeployment(o), nil
	case *appsv1.StatefulSet:
		return transformStatefulSet(o), nil
	case *batchv1.CronJob:
		return transformCronJob(o), nil
	case *appsv1.ReplicaSet:
		return stubOf(&o.ObjectMeta), nil
	case *batchv1.Job:
		job := stubOf(&o.ObjectMeta)
		job.triesAgain = triesAgain(o)
		return job, nil
	case *corev1.Node:
		return transformNode(o), nil
	case *corev1.Event:
		return transformEvent(o), nil
	}
	return obj, nil
}

// transformPod keeps the pods of runners and stubs the others.
func (s *set) transformPod(p *corev1.Pod) any {
	if !s.relevantPod(p) {
		foreign := stubOf(&p.ObjectMeta)
		foreign.pod = true
		return foreign
	}
	slim := &corev1.Pod{ObjectMeta: slimMeta(&p.ObjectMeta), Spec: slimSpec(&p.Spec), Status: p.Status}
	slim.Spec.NodeName = intern(p.Spec.NodeName)
	slim.GenerateName = s.markPod(p)
	slim.Finalizers = slimFinalizers(p.Finalizers)
	slimStatus(&slim.Status)
	if slim.Spec.Hostname = intern(systems.FormatRequests(&p.Spec)); slim.Spec.Hostname == "" {
		slim.Spec.Hostname = p.Spec.Hostname // it was slim already, or asks for nothing
	}
	return slim
}

// relevantPod tells a runner's pod by its own labels and images, or by an owner that was adopted: a person may label a Deployment
// and leave its template alone.
func (s *set) relevantPod(p *corev1.Pod) bool {
	if _, _, ok := systems.Recognise(objectOf("Pod", &p.ObjectMeta, &p.Spec)); ok {
		return true
	}
	owner := metav1.GetControllerOfNoCopy(p)
	return owner != nil && s.adopted.has(owner.UID)
}

func transformDeployment(d *appsv1.Deployment) any {
	if _, _, ok := systems.Recognise(objectOf("Deployment", &d.ObjectMeta, &d.Spec.Template.Spec)); !ok {
		return stubOf(&d.ObjectMeta)
	}
	slim := &appsv1.Deployment{ObjectMeta: slimMeta(&d.ObjectMeta), Status: d.Status}
	slim.GenerateName = mark("Deployment", &d.ObjectMeta, &d.Spec.Template.Spec, "")
	slim.Spec.Replicas, slim.Spec.Paused = d.Spec.Replicas, d.Spec.Paused
	slim.Spec.Template = slimTemplate(&d.Spec.Template)
	slim.Spec.Template.Labels = singleLabels(d.Spec.Replicas, &d.Spec.Template)
	return slim
}

func transformStatefulSet(d *appsv1.StatefulSet) any {
	if _, _, ok := systems.Recognise(objectOf("StatefulSet", &d.ObjectMeta, &d.Spec.Template.Spec)); !ok {
		return stubOf(&d.ObjectMeta)
	}
	slim := &appsv1.StatefulSet{ObjectMeta: slimMeta(&d.ObjectMeta), Status: d.Status}
	slim.GenerateName = mark("StatefulSet", &d.ObjectMeta, &d.Spec.Template.Spec, "")
	slim.Spec.Replicas = d.Spec.Replicas
	slim.Spec.Template = slimTemplate(&d.Spec.Template)
	slim.Spec.Template.Labels = singleLabels(d.Spec.Replicas, &d.Spec.Template)
	return slim
}

func transformCronJob(c *batchv1.CronJob) any {
	if _, _, ok := systems.Recognise(objectOf("CronJob", &c.ObjectMeta, &c.Spec.JobTemplate.Spec.Template.Spec)); !ok {
		return stubOf(&c.ObjectMeta)
	}
	slim := &batchv1.CronJob{ObjectMeta: slimMeta(&c.ObjectMeta), Status: c.Status}
	slim.GenerateName = mark("CronJob", &c.ObjectMeta, &c.Spec.JobTemplate.Spec.Template.Spec, scheduleOf(c))
	slim.Spec.Schedule, slim.Spec.Suspend = c.Spec.Schedule, c.Spec.Suspend
	slim.Spec.JobTemplate.Spec.Template = slimTemplate(&c.Spec.JobTemplate.Spec.Template)
	slim.Status.Active = nil
	return slim
}

func slimTemplate(t *corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	out := corev1.PodTemplateSpec{Spec: slimSpec(&t.Spec)}
	out.Annotations = slimAnnotations(t.Annotations)
	return out
}

func slimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: intern(m.Namespace), UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, DeletionGracePeriodSeconds: m.DeletionGracePeriodSeconds,
		Labels: slimLabels(m.Labels), Annotations: slimAnnotations(m.Annotations), OwnerReferences: slimOwners(m.OwnerReferences),
	}
}

// slimOwners keeps what names an owner.
func slimOwners(refs []metav1.OwnerReference) []metav1.OwnerReference {
	if refs == nil {
		return nil
	}
	out := make([]metav1.OwnerReference, len(refs))
	for i, r := range refs {
		out[i] = metav1.OwnerReference{Kind: intern(r.Kind), Name: intern(r.Name), UID: types.UID(intern(string(r.UID)))}
		if r.Controller != nil && *r.Controller {
			out[i].Controller = &isController
		}
	}
	return out
}

var isController = true

// tracking are the finalizers of nearly every pod that bears any: thousands share them.
var tracking = []string{batchv1.JobTrackingFinalizer}

// slimFinalizers keeps what a deletion will wait for.
func slimFinalizers(f []string) []string {
	if len(f) == 0 {
		return nil
	}
	if len(f) == 1 && f[0] == tracking[0] {
		return tracking
	}
	out := make([]string, len(f))
	for i := range f {
		out[i] = intern(f[i])
	}
	return out
}

// slimLabels keeps those that a system reads.
func slimLabels(l map[string]string) map[string]string {
	out := make(map[string]string, 4)
	for k, v := range l {
		if systems.KeepsLabel(k) {
			out[intern(k)] = intern(v)
		}
	}
	return out
}

// intern makes equal strings one: thousands of pods repeat the same labels, images and names.
func intern(s string) string { return unique.Make(s).Value() }

// slimAnnotations keeps our own and those that a system reads; others can be hundreds of kilobytes long.
func slimAnnotations(a map[string]string) map[string]string {
	var out map[string]string
	for k, v := range a {
		if systems.KeepsAnnotation(k) {
			if out == nil {
				out = map[string]string{}
			}
			out[intern(k)] = intern(v)
		}
	}
	return out
}

// slimSpec drops the environment, volumes, mounts, commands and everything else that no verdict uses.
func slimSpec(s *corev1.PodSpec) corev1.PodSpec {
	return corev1.PodSpec{
		RestartPolicy: s.RestartPolicy, RuntimeClassName: s.RuntimeClassName, HostNetwork: s.HostNetwork, SchedulingGates: s.SchedulingGates, ImagePullSecrets: s.ImagePullSecrets,
		ServiceAccountName: intern(s.ServiceAccountName), InitContainers: shared.list(slimContainers(s.InitContainers)), Containers: shared.list(slimContainers(s.Containers)),
	}
}

func slimContainers(in []corev1.Container) []corev1.Container {
	if in == nil {
		return nil
	}
	out := make([]corev1.Container, len(in))
	for i := range in {
		c := &in[i]
		out[i] = corev1.Container{Name: intern(c.Name), Image: intern(c.Image), Ports: firstPort(c.Ports), RestartPolicy: c.RestartPolicy, ReadinessProbe: slimProbe(c.ReadinessProbe)}
		if systems.Idles(c) {
			out[i].Command = sleeping // a chart's diagnostic mode: the container runs and does nothing
		}
		for _, e := range c.Env {
			if systems.Keeps(e.Name) {
				out[i].Env = append(out[i].Env, corev1.EnvVar{Name: e.Name, Value: e.Value})
			}
		}
	}
	return out
}

// firstPort keeps the number of the first port, which a probe without one asks.
func firstPort(ports []corev1.ContainerPort) []corev1.ContainerPort {
	if len(ports) == 0 {
		return nil
	}
	n := ports[0].ContainerPort
	if known, ok := onePort.Load(n); ok {
		return known.([]corev1.ContainerPort)
	}
	known, _ := onePort.LoadOrStore(n, []corev1.ContainerPort{{ContainerPort: n}})
	return known.([]corev1.ContainerPort)
}

// onePort shares the lists of one port: there are at most 65,535, and nobody changes what is in the cache.
var onePort sync.Map

var sleeping = []string{"sleep", "infinity"}

// vacuous stands for every probe that always passes; nobody changes what is in the cache.
var vacuous = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}

// someProbe stands for every other.
var someProbe = &corev1.Probe{}

// slimProbe keeps that there is a probe, and whether it can fail at all.
func slimProbe(p *corev1.Probe) *corev1.Probe {
	if p == nil {
		return nil
	}
	if systems.Vacuous(p) {
		return vacuous
	}
	return someProbe
}

func slimStatus(s *corev1.PodStatus) {
	s.HostIP, s.QOSClass, s.Phase = "", "", corev1.PodPhase(intern(string(s.Phase)))
	s.PodIPs, s.HostIPs, s.ResourceClaimStatuses, s.EphemeralContainerStatuses = nil, nil, nil, nil
	s.Message = cut(s.Message)
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for i := range list {
			c := &list[i]
			c.Name, c.Image, c.ImageID = intern(c.Name), "", ""
			c.AllocatedResources, c.Resources, c.VolumeMounts, c.User, c.AllocatedResourcesStatus, c.ContainerID = nil, nil, nil, nil, nil, ""
			cutState(&c.State)
			cutState(&c.LastTerminationState)
		}
	}
	s.Conditions = slimConditions(s.Conditions)
}

// slimConditions keeps those that a verdict reads.
func slimConditions(in []corev1.PodCondition) []corev1.PodCondition {
	out := make([]corev1.PodCondition, 0, 2)
	for _, c := range in {
		if c.Type == corev1.PodReady || c.Type == corev1.PodScheduled || c.Type == corev1.DisruptionTarget {
			out = append(out, corev1.PodCondition{Type: corev1.PodConditionType(intern(string(c.Type))), Status: corev1.ConditionStatus(intern(string(c.Status))),
				Reason: intern(c.Reason), Message: cut(c.Message), LastTransitionTime: c.LastTransitionTime})
		}
	}
	return out
}

func cutState(s *corev1.ContainerState) {
	if s.Waiting != nil {
		s.Waiting.Message = cut(s.Waiting.Message)
	}
	if s.Terminated != nil {
		// A program's own words may hold its secrets; they would stand on pages, on walls and in the history.
		s.Terminated.Message, s.Terminated.ContainerID = cut(store.Mask(s.Terminated.Message)), ""
	}
}

func cut(s string) string {
	if len(s) <= store.MaxMessage {
		return s
	}
	end := store.MaxMessage
	for end > store.MaxMessage-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end]) // a slice would keep the whole alive
}

func transformNode(n *corev1.Node) *nodeFacts {
	f := &nodeFacts{ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion}}
	if !n.Spec.Unschedulable {
		f.allocatable = sizes(n.Status.Allocatable)
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			f.ready, f.reason, f.since = c.Status, c.Reason, c.LastTransitionTime
		}
	}
	return f
}

func transformEvent(e *corev1.Event) *notice {
	n := &notice{
		ObjectMeta: metav1.ObjectMeta{Name: e.Name, Namespace: e.Namespace, UID: e.UID, ResourceVersion: e.ResourceVersion},
		about:      string(e.InvolvedObject.UID), reason: e.Reason, message: cut(e.Message), count: e.Count, last: e.LastTimestamp,
	}
	if e.InvolvedObject.Kind == "Pod" {
		n.pod = cache.NewObjectName(e.InvolvedObject.Namespace, e.InvolvedObject.Name).String()
	}
	if e.Series != nil {
		n.count, n.last = e.Series.Count, metav1.Time{Time: e.Series.LastObservedTime.Time}
	}
	if n.last.IsZero() {
		n.last = metav1.Time{Time: e.EventTime.Time}
	}
	return n
}

func objectOf(kind string, m *metav1.ObjectMeta, spec *corev1.PodSpec) systems.Object {
	return systems.Object{Kind: kind, Namespace: m.Namespace, Name: m.Name, Labels: m.Labels, Annotations: m.Annotations, UID: m.UID,
		Created: m.CreationTimestamp.Time, Deleting: m.DeletionTimestamp != nil, Spec: spec}
}
