package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"trackside/store"
	"trackside/systems"
)

// Whatever a cluster holds, everything on the board says why it is as it is, in one clean line: each runner, component and workload,
// known or not. FuzzRunners puts a pod into a small cluster of its own, looks at it, and looks again while time passes and the pod goes.

// scene is what one input makes of a cluster.
type scene struct {
	pod *corev1.Pod
	// custom is the spec and status of one object of every resource that a system watches.
	custom map[string]any
	// text stands wherever anybody may write anything.
	text string
	// owner is 0 for nobody, 1 for a Deployment, 2 for a StatefulSet, 3 for a CronJob.
	owner int
	// desired is what a Deployment or a StatefulSet wants; node is its Ready condition, blank when the node is not known.
	desired int32
	node    corev1.ConditionStatus
	event   string // the reason of an event about everything; blank for none
	lost    bool   // the pod vanishes and nobody has deleted it; otherwise it was deleted
	now     time.Time
}

var (
	sceneNodes  = []corev1.ConditionStatus{"", corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown}
	sceneEvents = []string{"", "FailedMount", "FailedScheduling", "Unhealthy", "FailedCreatePodSandBox", "FailedAttachVolume", "NetworkNotReady", "Failed", "FailedCreate"}
	// sceneWants has a prime length, and one of its own, so that counting through shapes mixes all of them.
	sceneWants = []int32{1, 0, 3, 1, 2}
)

// sceneOf reads a scene out of the input of a fuzzer; nil when it is no pod.
func sceneOf(pod, custom []byte, text string, shape uint16, now time.Time) *scene {
	n := int(shape)
	s := &scene{pod: &corev1.Pod{}, now: now, text: text, owner: n % 4, desired: sceneWants[n%5], node: sceneNodes[n/4%4], event: sceneEvents[n%9], lost: n%7 < 4}
	if yaml.Unmarshal(pod, s.pod) != nil {
		return nil
	}
	_ = json.Unmarshal(custom, &s.custom) // what is no object leaves it empty
	s.admit()
	return s
}

// admit makes of a pod what an API server lets through: names are valid, whatever else is not.
func (s *scene) admit() {
	p := s.pod
	p.Name, p.Namespace, p.UID, p.ResourceVersion = valid(p.Name, "pod"), valid(p.Namespace, "ns"), "uid-pod", "1"
	p.Spec.NodeName = valid(p.Spec.NodeName, "")
	maps.DeleteFunc(p.Labels, func(_, v string) bool { return len(validation.IsValidLabelValue(v)) > 0 })
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			list[i].Name = valid(list[i].Name, fmt.Sprintf("c%d", i))
		}
	}
	p.OwnerReferences = nil
	if _, _, ok := systems.Recognise(objectOf("Pod", &p.ObjectMeta, &p.Spec)); !ok {
		p.Labels = merged(p.Labels, labelled("r", "main"))
	}
	p.Annotations = merged(p.Annotations, map[string]string{systems.AnnotationProbePath: s.text})
}

func valid(name, otherwise string) string {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return otherwise
	}
	return name
}

// objects are what the scene's cluster holds, in the order in which a set takes them.
func (s *scene) objects() (out []runtime.Object) {
	m := meta(s.pod.Namespace, "owner", s.pod.Labels)
	m.Annotations, m.CreationTimestamp = s.pod.Annotations, s.pod.CreationTimestamp
	template := corev1.PodTemplateSpec{Spec: s.pod.Spec}
	maker, kind := m, ""
	switch s.owner {
	case 1:
		d := &appsv1.Deployment{ObjectMeta: m, Spec: appsv1.DeploymentSpec{Replicas: &s.desired, Template: template}}
		if s.desired == 3 {
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: s.text}}
		}
		rs := replicaSet(d)
		out, maker, kind = append(out, d, rs), rs.ObjectMeta, "ReplicaSet"
	case 2:
		out, kind = append(out, &appsv1.StatefulSet{ObjectMeta: m, Spec: appsv1.StatefulSetSpec{Replicas: &s.desired, Template: template}}), "StatefulSet"
	case 3:
		suspend := s.desired == 0
		cron := &batchv1.CronJob{ObjectMeta: m, Spec: batchv1.CronJobSpec{Suspend: &suspend, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}}
		job := &batchv1.Job{ObjectMeta: ownedBy(meta(m.Namespace, "owner-1", nil), "CronJob", m)}
		out, maker, kind = append(out, cron, job), job.ObjectMeta, "Job"
	}
	if s.node != "" && s.pod.Spec.NodeName != "" {
		out = append(out, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.pod.Spec.NodeName, UID: "uid-node"},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: s.node, Reason: s.text}}}})
	}
	if kind != "" {
		s.pod.ObjectMeta = ownedBy(s.pod.ObjectMeta, kind, maker)
	}
	return append(append(out, s.events(m, maker, s.pod.ObjectMeta)...), s.pod)
}

func (s *scene) events(about ...metav1.ObjectMeta) (out []runtime.Object) {
	for i, m := range about {
		if s.event != "" {
			e := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: fmt.Sprintf("e%d", i), UID: m.UID + "-event"},
				InvolvedObject: corev1.ObjectReference{UID: m.UID}, Reason: s.event, Message: s.text, LastTimestamp: metav1.NewTime(s.now)}
			switch s.event {
			case "Unhealthy":
				e.Message = []string{"", "Readiness probe failed: ", livenessPrefix}[i] + s.text
			case "FailedMount":
				e.Message = []string{"", "", `MountVolume.SetUp failed for volume "` + s.text + `" : `}[i] + s.text
			case "FailedAttachVolume":
				e.Message = []string{"", "", `AttachVolume.Attach failed for volume "` + s.text + `" : `}[i] + s.text
			}
			out = append(out, e)
		}
	}
	return out
}

// customObjects are one object of each resource that a system watches, of the name of the pod's owner or of the pod.
func (s *scene) customObjects(w *systems.Watch) (out []*custom) {
	for _, name := range []string{"owner", s.pod.Name} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": w.Group + "/" + w.Version, "kind": w.Kind}}
		for _, part := range []string{"spec", "status"} {
			if v, ok := s.custom[part]; ok {
				u.Object[part] = runtime.DeepCopyJSONValue(v)
			}
		}
		u.SetNamespace(s.pod.Namespace)
		u.SetName(name)
		u.SetUID("uid-custom-" + s.pod.UID)
		u.SetLabels(s.pod.Labels)
		u.SetCreationTimestamp(s.pod.CreationTimestamp)
		out = append(out, reduce(u, w))
	}
	return out
}

// stage is what all scenes share: making clients is what costs.
type stage struct {
	*Cluster
	client kubernetes.Interface
	dyn    dynamic.Interface
}

func newStage(t testing.TB) stage {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{}
	for _, w := range optional() {
		kinds[schema.GroupVersionResource{Group: w.Group, Version: w.Version, Resource: w.Resource}] = w.Kind + "List"
	}
	return stage{newCluster(t, Config{}), fake.NewClientset(), dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds)}
}

// set holds the scene's objects in its caches.
func (g stage) fill(t testing.TB, s *scene) *set {
	t.Helper()
	out, err := newSet(context.Background(), g.client, g.dyn, optional(), nil, hooks{touched: g.noteTouched, gone: g.noteGone, failed: g.noteFailed})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.objects() {
		out.put(t, cacheOf(o), transformed(t, out, o))
	}
	for _, w := range out.watched {
		if w.custom != nil {
			for _, o := range s.customObjects(w.custom) {
				out.put(t, w.key(), o)
			}
		}
	}
	return out
}

// cacheOf is the key of the informer that keeps an object.
func cacheOf(o runtime.Object) string {
	return map[string]string{"*v1.Deployment": "apps/deployments/", "*v1.ReplicaSet": "apps/replicasets/", "*v1.StatefulSet": "apps/statefulsets/", "*v1.CronJob": "batch/cronjobs/",
		"*v1.Job": "batch/jobs/", "*v1.Node": "/nodes/", "*v1.Event": "/events/", "*v1.Pod": "/pods/"}[fmt.Sprintf("%T", o)]
}

func (s *set) put(t testing.TB, key string, o any) {
	t.Helper()
	for _, w := range s.watched {
		if w.key() == key {
			if err := w.GetIndexer().Add(o); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("nothing watches %q", key)
}

// play looks at a scene at some moments, then takes its pod away and looks again. It returns how many verdicts it has looked at.
func (g stage) play(t testing.TB, s *scene) (seen int) {
	t.Helper()
	set := g.fill(t, s)
	defer set.stop()
	clear(g.lost)
	g.install(set)
	snap := &store.Snapshot{}
	look := func(now time.Time) {
		touched := g.Observe(snap, slices.Collect(refsOf(snap)), now)
		for _, r := range touched.Runners {
			seen += checkRunner(t, r, now)
		}
		snap, _ = store.Apply(snap, touched, now)
		for r := range snap.Runners() { // with what memory adds
			seen += checkRunner(t, r, now)
		}
	}
	for _, later := range []time.Duration{0, 90 * time.Second, 15 * time.Minute} {
		look(s.now.Add(later))
	}
	for _, w := range set.watched {
		if w.key() == "/pods/" {
			for _, o := range w.GetIndexer().List() {
				_ = w.GetIndexer().Delete(o)
				g.noteGone(set, o)
			}
		}
	}
	gone := s.now.Add(16 * time.Minute)
	if s.lost {
		g.lost[string(s.pod.UID)] = lostPod{s.pod, gone}
	}
	look(gone.Add(time.Second))
	return seen
}

func refsOf(s *store.Snapshot) func(func(store.Ref) bool) {
	return func(yield func(store.Ref) bool) {
		for r := range s.Runners() {
			if !yield(r.Ref) {
				return
			}
		}
	}
}

// checkRunner demands of everything in a runner that it says why, and counts what it has looked at.
func checkRunner(t testing.TB, r *store.Runner, now time.Time) int {
	t.Helper()
	checkSentence(t, "runner "+r.Ref.Name, r.Why, now)
	for i := range r.Components {
		checkSentence(t, "component "+r.Components[i].Name, r.Components[i].Why, now)
	}
	for i := range r.Workloads {
		w := &r.Workloads[i]
		checkSentence(t, "workload "+w.Name, w.Why, now)
		if (w.Reason != store.NoReason) && w.Health != store.Unhealthy {
			t.Errorf("workload %s is %s with reason %s", w.Name, w.Health, w.Reason)
		}
	}
	for _, f := range r.Facts {
		checkSentence(t, "fact "+f.Name, f.Value, now)
	}
	return 1 + len(r.Components) + len(r.Workloads)
}

// checkSentence demands one line that is not blank, at any time and for ever.
func checkSentence(t testing.TB, of string, s store.Sentence, now time.Time) {
	t.Helper()
	for _, text := range []string{s.At(now), s.Absolute()} {
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s does not say why: %q", of, s)
		}
		if strings.ContainsFunc(text, func(r rune) bool {
			return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r)
		}) {
			t.Errorf("%s holds control characters: %q", of, text)
		}
	}
}

// hostile is what people and programs write where they may write anything.
var hostile = []string{"", " ", ".", "\x02a1\x03", "a\r\nb\x00\x1b[31m c", "\u202ed\u2028e", "\xff\xfe\xff", strings.Repeat("é. ", 400), `secret "x" not found`, "/healthz"}

// customs are what objects of CRDs may hold: nothing, what the systems expect, and what they do not.
var customs = []string{``, `{"status":null}`, `{"status":"broken","spec":7}`,
	`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`,
	`{"status":{"phase":"Failed","conditions":[{"type":"Ready","status":"False","reason":"CredentialMissing","message":"m\r\n\u0002"},{"type":"RunnerStarted","status":"False","reason":"\u202e","message":" "}]}}`,
	`{"status":{"phase":"\u0000","conditions":{"type":"Ready"},"currentReplicas":-1,"desiredReplicas":"x"},"spec":{"capabilities":[1,"\u0003"],"labels":[],"minReplicas":9}}`,
	`{"status":{"phase":"Creating","conditions":["x",{"type":"Ready","status":"","reason":"","message":""}]},"spec":{"desiredReplicas":3,"maxReplicas":0}}`}

func FuzzRunners(f *testing.F) {
	g := newStage(f)
	for i, s := range readStatuses(f) {
		b, err := yaml.Marshal(s.Pod)
		if err != nil {
			f.Fatal(err)
		}
		for j := range 2 { // i and j are so spread that every owner, node, event and text meets every system
			n := i*2 + j*7
			f.Add(b, []byte(customs[n%len(customs)]), hostile[(n/3)%len(hostile)], uint16(n), s.Now.Unix())
		}
	}
	f.Fuzz(func(t *testing.T, pod, custom []byte, text string, shape uint16, at int64) {
		if s := sceneOf(pod, custom, text, shape, time.Unix(at%4e9, 0)); s != nil {
			g.play(t, s)
		}
	})
}

// TestEverythingSaysWhyWhateverIsMissing takes every recorded status apart: each value of its pod is once left out and once replaced; and
// all that its kubelet and its containers say is replaced by what is hostile.
func TestEverythingSaysWhyWhateverIsMissing(t *testing.T) {
	g, n, seen := newStage(t), 0, 0
	play := func(name string, pod []byte, text string, now time.Time) {
		n++
		if scene := sceneOf(pod, []byte(customs[n%len(customs)]), text, uint16(n), now); scene != nil {
			seen += g.play(t, scene)
		}
		if t.Failed() {
			t.Fatalf("%s: %s", name, pod)
		}
	}
	of := 0
	for at, s := range readStatuses(t) {
		b, err := json.Marshal(s.Pod)
		if err != nil {
			t.Fatal(err)
		}
		for _, mutant := range mutants(t, b) {
			if of++; of%mutantStep == 0 {
				play(s.Name, mutant, hostile[n%len(hostile)], s.Now)
			}
		}
		for i := range 3 {
			text := hostile[(at+i*3)%len(hostile)]
			play(s.Name, saying(t, b, text, (at+i)%2 == 0), text, s.Now)
		}
	}
	if seen < 10_000 {
		t.Errorf("looked at %d verdicts of %d mutants only", seen, n)
	}
	t.Logf("%d verdicts of %d mutants", seen, n)
}

// mutantStep takes every so many of the mutants; odd, for a value is left out and replaced in turn.
const mutantStep = 41
