package kube

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"trackside/store"
	"trackside/systems"
)

// board is a Cluster over client-go's fake API server, and the snapshot that its observations make. It lives in a synctest bubble.
type board struct {
	*Cluster
	t      *testing.T
	client *fake.Clientset
	snap   *store.Snapshot
	// changes are what the last look has changed.
	changes []store.Change
	stop    context.CancelFunc
	done    chan error
	rebuild chan struct{}
}

// newCluster is a cluster that reaches nothing.
func newCluster(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	cfg.Alias, cfg.REST, cfg.Log = "c", &rest.Config{Host: "http://127.0.0.1:1"}, slog.New(slog.DiscardHandler)
	cfg.Heard = func(string, time.Time) {}
	if cfg.Probes == "" {
		cfg.Probes = ProbeOff
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newBoard starts the informers over some objects, and waits until they are complete. The API server answers.
func newBoard(t *testing.T, cfg Config, prepare func(*fake.Clientset), objects ...runtime.Object) *board {
	t.Helper()
	return newBoardOf(t, newCluster(t, cfg), prepare, objects...)
}

// newBoardOf is newBoard for a cluster that is prepared already.
func newBoardOf(t *testing.T, c *Cluster, prepare func(*fake.Clientset), objects ...runtime.Object) *board {
	t.Helper()
	b := &board{Cluster: c, t: t, client: fake.NewClientset(objects...), snap: &store.Snapshot{}, done: make(chan error, 1), rebuild: make(chan struct{}, 1)}
	b.Cluster.client = b.client
	b.served = func(context.Context, string) ([]string, error) { return nil, nil }
	if prepare != nil {
		prepare(b.client)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	b.heard()
	go func() {
		for ctx.Err() == nil {
			if err := b.generation(ctx, b.rebuild); err != nil {
				b.done <- err
				return
			}
		}
		b.done <- nil
	}()
	b.look()
	return b
}

// end stops the informers; synctest fails the test when a goroutine is left.
func (b *board) end() {
	b.stop()
	if err := <-b.done; err != nil {
		b.t.Error(err)
	}
}

// look waits for everything to come to rest, informers that poll for their caches included, and takes a look.
func (b *board) look() {
	<-time.After(time.Second)
	synctest.Wait()
	b.snap, b.changes = store.Apply(b.snap, b.Observe(b.snap, nil, time.Now()), time.Now())
}

// runner is the runner of that system and name, wherever it stands; nil when there is none.
func (b *board) runner(system, name string) *store.Runner {
	for r := range b.snap.Runners() {
		if r.Ref.System == system && r.Ref.Name == name {
			return r
		}
	}
	return nil
}

// names lists the runners.
func (b *board) names() (out []string) {
	for r := range b.snap.Runners() {
		out = append(out, r.Ref.System+"/"+r.Ref.Namespace+"/"+r.Ref.Name)
	}
	return out
}

func meta(namespace, name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + namespace + "-" + name), Labels: labels,
		CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)), ResourceVersion: "1"}
}

func ownedBy(m metav1.ObjectMeta, kind string, owner metav1.ObjectMeta) metav1.ObjectMeta {
	yes := true
	m.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner.Name, UID: owner.UID, Controller: &yes}}
	return m
}

// container is one with a readiness probe.
func container(name, image string) corev1.Container {
	return corev1.Container{Name: name, Image: image, ReadinessProbe: &corev1.Probe{}, Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}
}

func deployment(m metav1.ObjectMeta, replicas int32, containers ...corev1.Container) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: m}
	d.Spec.Replicas = &replicas
	d.Spec.Template.Labels = m.Labels
	d.Spec.Template.Spec.Containers = containers
	return d
}

func replicaSet(d *appsv1.Deployment) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: ownedBy(meta(d.Namespace, d.Name+"-rs", nil), "Deployment", d.ObjectMeta)}
}

// podOf is a pod that an owner has made, running and ready.
func podOf(owner metav1.ObjectMeta, kind, name string, labels map[string]string, containers ...corev1.Container) *corev1.Pod {
	return running(&corev1.Pod{ObjectMeta: ownedBy(meta(owner.Namespace, name, labels), kind, owner), Spec: corev1.PodSpec{Containers: containers}})
}

func running(p *corev1.Pod) *corev1.Pod {
	begin := metav1.NewTime(time.Now().Add(-30 * time.Minute))
	p.Spec.NodeName = "node-1"
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", StartTime: &begin,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: begin}}}
	for _, c := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: begin}}})
	}
	return p
}

// crashing is the pod after its first container has exited too often.
func crashing(p *corev1.Pod) *corev1.Pod {
	p = p.DeepCopy()
	s := &p.Status.ContainerStatuses[0]
	s.Ready, s.RestartCount = false, 7
	s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: metav1.NewTime(time.Now().Add(-time.Minute)), FinishedAt: metav1.Now()}
	p.ResourceVersion += "0"
	return p
}

func labelled(runner, component string) map[string]string {
	return map[string]string{systems.LabelRunner: runner, systems.LabelComponent: component}
}

// labelledRunner is a runner of one Deployment with n pods.
func labelledRunner(name string, n int32) []runtime.Object {
	l := labelled(name, "main")
	d := deployment(meta("ns", name, l), n, container("main", "acme/"+name+":1.0.0"))
	rs := replicaSet(d)
	out := []runtime.Object{d, rs}
	for i := range n {
		out = append(out, podOf(rs.ObjectMeta, "ReplicaSet", fmt.Sprintf("%s-%d", name, i), l, d.Spec.Template.Spec.Containers...))
	}
	return out
}

func cronJob(m metav1.ObjectMeta, suspend bool, containers ...corev1.Container) *batchv1.CronJob {
	c := &batchv1.CronJob{ObjectMeta: m}
	c.Spec.Suspend = &suspend
	c.Spec.JobTemplate.Spec.Template.Labels = m.Labels
	c.Spec.JobTemplate.Spec.Template.Spec.Containers = containers
	return c
}
