package kube

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"trackside/store"
	"trackside/systems"
)

// realistic is a pod of a runner as an API server hands it out: about 10 KB, most of which no verdict uses.
func realistic(labels map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: meta("ns", "runner-7c9f6d5b8-x2k9l", labels)}
	p.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("{}", 500), systems.AnnotationProbePath: "/health"}
	p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(`{"f:status":"` + strings.Repeat("{}", 2_000) + `"}`)}}
	for _, name := range []string{"main", "proxy"} {
		c := container(name, "acme/"+name+":v1.2.3")
		c.ReadinessProbe = &corev1.Probe{InitialDelaySeconds: 5, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready"}}}
		c.Command = []string{"/bin/sh", "-c", strings.Repeat("echo;", 60)}
		for i := range 20 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: "hunter2-" + strings.Repeat("x", 40)})
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: fmt.Sprintf("volume-%d", i), MountPath: "/var/lib/data"})
		}
		c.Env = append(c.Env, corev1.EnvVar{Name: "KUBE_NAMESPACE", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "hunter2"}}})
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}
	return running(p)
}

func transformed(t testing.TB, s *set, o any) any {
	t.Helper()
	out, err := s.transform(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A cordoned node has room for no new pod, however ready it is; that it is cordoned, or is no more, is news.
func TestACordonedNodeHasNothingToGive(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourceCPU: apiresource.MustParse("4")},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	open := transformNode(node)
	node.Spec.Unschedulable = true
	cordoned := transformNode(node)
	if len(open.allocatable) != 1 || len(cordoned.allocatable) != 0 || cordoned.ready != corev1.ConditionTrue {
		t.Errorf("open %v, cordoned %v (ready: %s)", open.allocatable, cordoned.allocatable, cordoned.ready)
	}
	if sameForUs(open, cordoned) || sameForUs(cordoned, open) {
		t.Error("a cordon is taken for no news")
	}
}

func TestATransformOfATransformIsTheSame(t *testing.T) {
	s := &set{}
	l := labelled("r", "main")
	d := deployment(meta("ns", "d", l), 1, container("main", "a:1"))
	sts := &appsv1.StatefulSet{ObjectMeta: meta("ns", "s", l)}
	ours := []any{realistic(l), d, sts, cronJob(meta("ns", "c", l), true, container("main", "a:1"))}
	foreign := []any{realistic(nil), deployment(meta("ns", "d", nil), 1), &appsv1.StatefulSet{ObjectMeta: meta("ns", "s", nil)}, cronJob(meta("ns", "c", nil), false),
		replicaSet(d), &corev1.Node{}, &corev1.Event{}}
	equal := cmp.AllowUnexported(stub{}, notice{}, nodeFacts{})
	for _, o := range append(ours, foreign...) {
		once := transformed(t, s, o.(runtime.Object).DeepCopyObject())
		again := transformed(t, s, once)
		if diff := cmp.Diff(once, again, equal); diff != "" {
			t.Errorf("%T: once (-), twice (+):\n%s", o, diff)
		}
	}
	for _, o := range ours {
		if got := fmt.Sprintf("%T", transformed(t, s, o)); got != fmt.Sprintf("%T", o) {
			t.Errorf("%T of a runner became %s", o, got)
		}
	}
}

func TestForeignObjectsBecomeStubs(t *testing.T) {
	s := &set{}
	owner := meta("ns", "rs", nil)
	p := realistic(map[string]string{"app": "shop"})
	p.ObjectMeta = ownedBy(p.ObjectMeta, "ReplicaSet", owner)
	f, ok := transformed(t, s, p).(*stub)
	if !ok || !f.pod || f.owner.UID != owner.UID || f.Labels != nil || f.Annotations != nil || f.ManagedFields != nil {
		t.Fatalf("%+v", f)
	}
	if f.Name != p.Name || f.Namespace != p.Namespace || f.UID != p.UID || f.ResourceVersion != p.ResourceVersion {
		t.Errorf("the informer would not know it again: %+v", f)
	}
	s.adopted.add(owner.UID)
	if _, ok := transformed(t, s, p).(*corev1.Pod); !ok {
		t.Error("a pod of an adopted owner is not kept")
	}
}

func TestVerdictsAreTheSameBeforeAndAfterTheTransform(t *testing.T) {
	s := &set{}
	for _, st := range readStatuses(t) {
		want := Classify(factsOf(st), st.Now)
		owner := metav1.GetControllerOfNoCopy(&st.Pod)
		if owner != nil {
			s.adopted.add(owner.UID)
		}
		st.Pod.Labels = merged(st.Pod.Labels, labelled("r", "main")) // so that it is a runner's, whatever the fixture is
		slim, ok := transformed(t, s, st.Pod.DeepCopy()).(*corev1.Pod)
		if !ok {
			t.Errorf("%s: not kept", st.Name)
			continue
		}
		before := factsOf(st)
		f := before
		f.Pod = slim
		if f.Main != systems.Labelled.MainContainer(objectOf("Pod", &slim.ObjectMeta, &slim.Spec), "") && st.System == "labelled" {
			t.Errorf("%s: the main container is another", st.Name)
		}
		if diff := cmp.Diff(want, Classify(f, st.Now)); diff != "" {
			t.Errorf("%s: before (-) and after (+):\n%s", st.Name, diff)
		}
	}
}

func TestNoSecretOfTheEnvironmentSurvives(t *testing.T) {
	s := &set{}
	l := labelled("r", "main")
	spec := realistic(l).Spec
	d := deployment(meta("ns", "d", l), 1, spec.Containers...)
	d.Spec.Template.Spec.InitContainers = spec.Containers
	sts := &appsv1.StatefulSet{ObjectMeta: meta("ns", "s", l)}
	sts.Spec.Template.Spec = spec
	cron := cronJob(meta("ns", "c", l), false, spec.Containers...)
	for _, o := range []any{realistic(l), realistic(nil), d, sts, cron} {
		b, err := json.Marshal(transformed(t, s, o))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "hunter2") {
			t.Errorf("%T keeps a secret: %s", o, b)
		}
	}
}

func TestTheNamespaceThatWorkStandsInIsKept(t *testing.T) {
	d := deployment(meta("platform", "k8s-runner", map[string]string{"app.kubernetes.io/name": "k8s-runner"}), 1, container("k8s-runner", "k:1"))
	d.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "TOKEN", Value: "hunter2"}, {Name: "KUBE_NAMESPACE", Value: "work"}}
	_, claim, ok := claimOf(transformed(t, &set{}, d))
	if !ok || claim.Carries != "work" {
		t.Errorf("%v %+v", ok, claim)
	}
}

func TestLongMessagesAreCutToCharacters(t *testing.T) {
	for in, want := range map[int]int{store.MaxMessage: store.MaxMessage, store.MaxMessage + 1: store.MaxMessage, 1 << 20: store.MaxMessage} {
		if got := cut(strings.Repeat("x", in)); len(got) != want {
			t.Errorf("%d bytes are cut to %d", in, len(got))
		}
	}
	if got := cut("x" + strings.Repeat("é", store.MaxMessage)); strings.ToValidUTF8(got, "?") != got || len(got) < store.MaxMessage-3 {
		t.Errorf("a character is cut in two; %d bytes", len(got))
	}
}

func TestWhatAProgramSaidLastIsMasked(t *testing.T) {
	p := realistic(labelled("r", "main"))
	for _, state := range []*corev1.ContainerState{&p.Status.ContainerStatuses[0].State, &p.Status.ContainerStatuses[0].LastTerminationState} {
		*state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "cannot open postgres://ci:hunter2@db/ci: DB_PASSWORD=hunter2 is wrong"}}
	}
	b, err := json.Marshal(transformed(t, &set{}, p))
	if err != nil || strings.Contains(string(b), "hunter2") || !strings.Contains(string(b), "is wrong") {
		t.Errorf("%v, kept: %s", err, b)
	}
}

func TestEvents(t *testing.T) {
	at := metav1.NewTime(noon)
	e := &corev1.Event{InvolvedObject: corev1.ObjectReference{UID: "u"}, Reason: "FailedMount", Message: strings.Repeat("m", 5000), Count: 3, LastTimestamp: at}
	n := transformed(t, &set{}, e).(*notice)
	if n.about != "u" || n.count != 3 || !n.last.Equal(&at) || len(n.message) != store.MaxMessage {
		t.Errorf("%+v", n)
	}
	e = &corev1.Event{Series: &corev1.EventSeries{Count: 9, LastObservedTime: metav1.NewMicroTime(noon)}}
	if n = transformed(t, &set{}, e).(*notice); n.count != 9 || !n.last.Time.Equal(noon) {
		t.Errorf("a series: %+v", n)
	}
	e = &corev1.Event{EventTime: metav1.NewMicroTime(noon)}
	if n = transformed(t, &set{}, e).(*notice); !n.last.Time.Equal(noon) {
		t.Errorf("an event of the new API: %+v", n)
	}
}

func TestIndexesFindByOwnerAndRunner(t *testing.T) {
	s, ix := &set{}, cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers())
	owner := meta("ns", "rs", nil)
	for i := range 6 {
		l := labelled("r", "main")
		if i%2 == 1 {
			l = nil
		}
		if err := ix.Add(transformed(t, s, podOf(owner, "ReplicaSet", fmt.Sprint(i), l, container("main", "a:1")))); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		index, key string
		n          int
	}{
		{byOwner, string(owner.UID), 6}, {byOwner, "other", 0}, {byRunner, runnerKey("labelled", "ns", "r"), 3}, {byRunner, runnerKey("labelled", "other", "r"), 0},
		{byUID, "uid-ns-0", 0}, {byUID, "uid-ns-1", 0}, {byNode, "node-1", 3},
	} {
		if got, err := ix.ByIndex(c.index, c.key); err != nil || len(got) != c.n {
			t.Errorf("%s %q: %d objects (%v), want %d", c.index, c.key, len(got), err, c.n)
		}
	}
}

func BenchmarkTransformRealisticPod(b *testing.B) {
	for name, l := range map[string]map[string]string{"runner": labelled("r", "main"), "foreign": nil} {
		b.Run(name, func(b *testing.B) {
			p := realistic(l)
			before, after := size(b, p), 0
			for b.Loop() {
				after = size(b, transformed(b, &set{}, p.DeepCopy()))
			}
			b.ReportMetric(float64(before), "B-before")
			b.ReportMetric(float64(after), "B-after")
			if before < 8_000 || after > before/4 {
				b.Errorf("%d bytes became %d", before, after)
			}
		})
	}
}

func size(tb testing.TB, o any) int {
	tb.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	return len(b)
}
