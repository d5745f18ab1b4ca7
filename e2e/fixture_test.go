package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"

	"trackside/e2e/rig"
	"trackside/store"
)

// fixture is a labelled runner of a test's own: one Deployment of one pod, whose container agent answers a health probe, beside a
// log shipper.
type fixture struct {
	cluster  *rig.Cluster
	ns, name string
}

var numbered atomic.Int64

// newNamespace makes a namespace for a test. It is deleted with the test, since a board of the whole cluster shows what is in it.
func newNamespace(t *testing.T, c *rig.Cluster) string {
	t.Helper()
	ns := fmt.Sprintf("e2e-%d", numbered.Add(1))
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
	must(t, err)
	rig.Eventually(t, 15*time.Second, "the namespace's ServiceAccount is there", func() error {
		_, err := c.Client.CoreV1().ServiceAccounts(ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return ns
}

// newRunner makes a runner in a namespace, which is made when it is blank, and waits until its pod is ready. The grace is its
// start-grace.
func newRunner(t *testing.T, c *rig.Cluster, ns, name, grace string, change ...func(*appsv1.Deployment)) fixture {
	t.Helper()
	if ns == "" {
		ns = newNamespace(t, c)
	}
	d := deployment(ns, name, grace)
	for _, f := range change {
		f(d)
	}
	_, err := c.Client.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
	must(t, err)
	f := fixture{c, ns, name}
	t.Cleanup(f.remove)
	rig.Eventually(t, 20*time.Second, "the pod of "+name+" is ready", func() error {
		now, err := c.Client.AppsV1().Deployments(ns).Get(t.Context(), d.Name, metav1.GetOptions{})
		if err == nil && now.Status.ReadyReplicas < *d.Spec.Replicas {
			err = fmt.Errorf("%d of %d pods are ready", now.Status.ReadyReplicas, *d.Spec.Replicas)
		}
		return err
	})
	return f
}

// remove takes the runner away; what is left of it goes with the cluster. The test's own context is over by then.
func (f fixture) remove() {
	zero := int64(0)
	ctx := background()
	_ = f.cluster.Client.AppsV1().Deployments(f.ns).Delete(ctx, f.name+"-agent", metav1.DeleteOptions{})
	_ = f.cluster.Client.CoreV1().Pods(f.ns).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &zero},
		metav1.ListOptions{LabelSelector: "trackside.dev/runner=" + f.name})
}

func deployment(ns, name, grace string) *appsv1.Deployment {
	labels := map[string]string{"trackside.dev/runner": name, "trackside.dev/component": "agent"}
	notes := map[string]string{"trackside.dev/probe-path": "/health", "trackside.dev/probe-port": "8080", "trackside.dev/start-grace": grace}
	podNotes := map[string]string{"sim.trackside.dev/http": "200 ok"}
	maps.Copy(podNotes, notes)
	one := int32(1)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-agent", Namespace: ns, Labels: labels, Annotations: notes},
		Spec: appsv1.DeploymentSpec{
			Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: podNotes},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "agent", Image: "registry.acme.example/e2e/agent:v1.0.0", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
					ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/health", Port: portNamed("http")}}},
				}, {Name: "log-shipper", Image: "registry.acme.example/base/log-shipper:1.9.0"}}},
			},
		},
	}
}

func (f fixture) ref() store.Ref {
	return store.Ref{Cluster: f.cluster.Alias(), System: "labelled", Namespace: f.ns, Name: f.name}
}

func (f fixture) full() string { return f.ns + "/" + f.name }

// row is the runner's row on the fleet's page, or its tile on the board.
func (f fixture) row(p *rig.Page) playwright.Locator { return p.Locator("#" + f.ref().ID()) }

// health is the word in that row.
func (f fixture) health(p *rig.Page) playwright.Locator { return f.row(p).Locator("i").First() }

// pod is the runner's newest pod.
func (f fixture) pod(t *testing.T) *corev1.Pod {
	t.Helper()
	pods, err := f.cluster.Client.CoreV1().Pods(f.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "trackside.dev/runner=" + f.name})
	must(t, err)
	var newest *corev1.Pod
	for i := range pods.Items {
		if p := &pods.Items[i]; p.DeletionTimestamp == nil && (newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp)) {
			newest = p
		}
	}
	if newest == nil {
		t.Fatalf("the runner %s has no pod", f.full())
	}
	return newest
}

// status writes the pod's status as its kubelet would; the simulated kubelet is kept off it.
func (f fixture) status(t *testing.T, change func(*corev1.PodStatus)) {
	t.Helper()
	pods := f.cluster.Client.CoreV1().Pods(f.ns)
	name := f.pod(t).Name
	_, err := pods.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"sim.trackside.dev/incident":"test"}}}`), metav1.PatchOptions{})
	must(t, err)
	must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(&pod.Status)
		_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
		return err
	}))
}

// crash makes the runner fail: its agent waits to be restarted for the fifth time, with that last message.
func (f fixture) crash(t *testing.T, message string) {
	t.Helper()
	f.status(t, func(s *corev1.PodStatus) {
		now := metav1.Now()
		for i := range s.ContainerStatuses {
			if c := &s.ContainerStatuses[i]; c.Name == "agent" {
				c.Ready, c.RestartCount = false, 5
				c.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: 1, Reason: "Error", Message: message, StartedAt: now, FinishedAt: now}}
				c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: message}}
			}
		}
	})
}

// restore deletes the pod; the one that follows it is well.
func (f fixture) restore(t *testing.T) {
	t.Helper()
	zero := int64(0)
	must(t, f.cluster.Client.CoreV1().Pods(f.ns).Delete(t.Context(), f.pod(t).Name, metav1.DeleteOptions{GracePeriodSeconds: &zero}))
}

// message changes what the agent's last message says; the runner stays as it is otherwise.
func (f fixture) message(t *testing.T, text string) { t.Helper(); f.crash(t, text) }

// scoped starts a board that sees the namespace of the runners and nothing else.
func scoped(t *testing.T, c *rig.Cluster, ns string, flags ...string) *rig.Board {
	t.Helper()
	return rig.StartBoard(t, c.Kubeconfig, append([]string{"--namespace", ns}, flags...)...)
}

// healthy waits until all runners are shown healthy on a page.
func healthy(t *testing.T, p *rig.Page, fs ...fixture) {
	t.Helper()
	for _, f := range fs {
		is(t, f.health(p), "healthy", 20*time.Second)
	}
}

// text is all the text of an element, on one line.
func text(t *testing.T, l playwright.Locator) string {
	t.Helper()
	s, err := l.TextContent()
	must(t, err)
	return squeeze(strings.ReplaceAll(s, "\u00a0", " "))
}

// background is for what outlives a test.
func background() context.Context { return context.Background() }

func portNamed(name string) intstr.IntOrString { return intstr.FromString(name) }
