package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"trackside/store"
	"trackside/systems"
)

func TestRunnersOfEverySystemAreDiscovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kubiya := map[string]string{"app.kubernetes.io/kubiya-runner-component": "agent-manager", "app.kubernetes.io/instance": "runner-eu", "app.kubernetes.io/version": "v0.9.30"}
		am := deployment(meta("kubiya-eu", "agent-manager", kubiya), 1, container("agent-manager", "ghcr.io/kubiyabot/agent-manager:v0.5.1"))
		amRS := replicaSet(am)
		updater := map[string]string{"app.kubernetes.io/kubiya-runner-component": "image-updater", "app.kubernetes.io/instance": "runner-eu"}
		cron := cronJob(meta("kubiya-eu", "updater", updater), false, container("image-updater", "ghcr.io/kubiyabot/kubernetes:1"))
		job := &batchv1.Job{ObjectMeta: ownedBy(meta("kubiya-eu", "updater-1", nil), "CronJob", cron.ObjectMeta)}
		agyn := map[string]string{"app.kubernetes.io/name": "k8s-runner", "app.kubernetes.io/instance": "eu"}
		kr := deployment(meta("platform", "k8s-runner", agyn), 1, container("k8s-runner", "ghcr.io/agynio/k8s-runner:0.9.4"))
		kr.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "KUBE_NAMESPACE", Value: "work"}, {Name: "SERVICE_TOKEN", Value: "s3cret"}}
		krRS := replicaSet(kr)
		work := map[string]string{"app.kubernetes.io/managed-by": "k8s-runner", "agyn.io/workload-id": "1"}
		objects := append(labelledRunner("edge", 1), am, amRS, cron, job, kr, krRS,
			podOf(amRS.ObjectMeta, "ReplicaSet", "agent-manager-0", kubiya, am.Spec.Template.Spec.Containers...),
			podOf(job.ObjectMeta, "Job", "updater-1-x", updater, cron.Spec.JobTemplate.Spec.Template.Spec.Containers...),
			running(&corev1.Pod{ObjectMeta: meta("kubiya-eu", "tool", map[string]string{"app.kubernetes.io/instance": "runner-eu"}), Spec: corev1.PodSpec{Containers: []corev1.Container{container("tool", "ghcr.io/kubiyabot/tools:1")}}}),
			podOf(krRS.ObjectMeta, "ReplicaSet", "k8s-runner-0", agyn, kr.Spec.Template.Spec.Containers...),
			running(&corev1.Pod{ObjectMeta: meta("work", "agent", work), Spec: corev1.PodSpec{Containers: []corev1.Container{container("agent", "a:1")}}}),
			podOf(meta("shop", "web", nil), "ReplicaSet", "web-0", map[string]string{"app": "web"}, container("web", "shop:1")),
		)
		b := newBoard(t, Config{}, nil, objects...)
		defer b.end()
		if got, want := b.names(), []string{"agyn/platform/k8s-runner", "kubiya/kubiya-eu/runner-eu", "labelled/ns/edge"}; !slices.Equal(got, want) {
			t.Fatalf("runners %v, want %v", got, want)
		}
		for _, c := range []struct {
			system, name, version string
			components, work      []string
		}{
			{"kubiya", "runner-eu", "0.9.30", []string{"agent-manager", "image-updater", "kubiya-operator", "tool-manager", "workflow-engine"}, []string{"tool"}},
			{"agyn", "k8s-runner", "0.9.4", []string{"k8s-runner"}, []string{"agent"}},
			{"labelled", "edge", "1.0.0", []string{"main"}, nil},
		} {
			r := b.runner(c.system, c.name)
			var components, carried []string
			for _, x := range r.Components {
				components = append(components, x.Name)
			}
			seen := map[string]bool{}
			for _, w := range r.Workloads {
				if seen[w.UID] {
					t.Errorf("%s: the pod %s is there twice", c.name, w.Name)
				}
				if seen[w.UID] = true; w.Component == "" {
					carried = append(carried, w.Name)
				}
			}
			if !slices.Equal(components, c.components) || !slices.Equal(carried, c.work) || r.Version != c.version {
				t.Errorf("%s: components %v, work %v, version %q; want %v, %v, %q", c.name, components, carried, r.Version, c.components, c.work, c.version)
			}
			if missing := c.system == "kubiya"; (r.Health != store.Healthy) != missing || missing && !strings.Contains(string(r.Why), "kubiya-operator is missing") {
				t.Errorf("%s is %s: %s", c.name, r.Health, r.Why)
			}
		}
	})
}

func TestAChangeTouchesItsRunnerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := append(labelledRunner("a", 1), labelledRunner("b", 1)...)
		b := newBoard(t, Config{}, nil, objects...)
		defer b.end()
		other := b.runner("labelled", "b")
		b.update(crashing(objects[2].(*corev1.Pod)))
		b.look()
		a := b.runner("labelled", "a")
		if a.Health != store.Unhealthy || a.Reason != store.CrashLoop || !strings.HasPrefix(string(a.Why), "main") {
			t.Errorf("%s %s: %s", a.Health, a.Reason, a.Why)
		}
		if len(b.changes) != 1 || b.runner("labelled", "b") != other {
			t.Errorf("%d runners changed", len(b.changes))
		}
	})
}

func (b *board) update(p *corev1.Pod) {
	b.t.Helper()
	if _, err := b.client.CoreV1().Pods(p.Namespace).Update(b.t.Context(), p, metav1.UpdateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// A person may label a Deployment long after its pods were made, whose template has no label: they are read and shown all the same.
func TestADeploymentThatIsLabelledLaterAdoptsItsPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment(meta("ns", "mine", nil), 1, container("main", "acme/mine:1.0.0"))
		rs := replicaSet(d)
		pod := podOf(rs.ObjectMeta, "ReplicaSet", "mine-0", nil, d.Spec.Template.Spec.Containers...)
		b := newBoard(t, Config{}, nil, d, rs, pod)
		defer b.end()
		if b.snap.Len() != 0 {
			t.Fatalf("runners %v before anything is labelled", b.names())
		}
		d = d.DeepCopy()
		d.Labels, d.ResourceVersion = labelled("mine", "main"), "2"
		if _, err := b.client.AppsV1().Deployments("ns").Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		r := b.runner("labelled", "mine")
		if r == nil || len(r.Workloads) != 1 || r.Health != store.Healthy || r.Components[0].Ready != 1 {
			t.Fatalf("after labelling: %+v", r)
		}
		b.update(crashing(pod))
		b.look()
		if r = b.runner("labelled", "mine"); r.Health != store.Unhealthy {
			t.Errorf("its pod crashes, and it is %s: %s", r.Health, r.Why)
		}
		d = d.DeepCopy()
		d.Labels, d.ResourceVersion = nil, "3"
		if _, err := b.client.AppsV1().Deployments("ns").Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if b.snap.Len() != 0 {
			t.Errorf("runners %v after the label is gone", b.names())
		}
	})
}

func TestADeletedRunnerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{}, nil, append(labelledRunner("a", 1), labelledRunner("b", 1)...)...)
		defer b.end()
		for _, err := range []error{
			b.client.AppsV1().Deployments("ns").Delete(t.Context(), "a", metav1.DeleteOptions{}),
			b.client.AppsV1().ReplicaSets("ns").Delete(t.Context(), "a-rs", metav1.DeleteOptions{}),
			b.client.CoreV1().Pods("ns").Delete(t.Context(), "a-0", metav1.DeleteOptions{}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		b.look()
		if got := b.names(); !slices.Equal(got, []string{"labelled/ns/b"}) {
			t.Errorf("runners %v", got)
		}
		if len(b.changes) != 1 || b.changes[0].After != nil {
			t.Errorf("changes %v", b.changes)
		}
	})
}

func TestWorkThatVanishesWhileItRunsIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := labelled("a", "")
		l[systems.LabelWorkload] = "true"
		job := running(&corev1.Pod{ObjectMeta: meta("ns", "job", l), Spec: corev1.PodSpec{Containers: []corev1.Container{container("job", "j:1")}}})
		b := newBoard(t, Config{}, nil, append(labelledRunner("a", 1), job)...)
		defer b.end()
		if err := b.client.CoreV1().Pods("ns").Delete(t.Context(), "job", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		r := b.runner("labelled", "a")
		if r.Health != store.Degraded || r.Reasons()[store.RuntimeLost] != 1 || !strings.Contains(string(r.Why), "nobody deleted it") {
			t.Fatalf("%s: %s", r.Health, r.Why)
		}
		next := r.NextCheck()
		<-time.After(time.Until(next))
		b.touch(r.Ref)
		b.look()
		if r = b.runner("labelled", "a"); r.Health != store.Healthy || len(r.Workloads) != 1 {
			t.Errorf("after %s it is %s: %s", lostLinger, r.Health, r.Why)
		}
	})
}

func TestIgnoredObjectsAreHidden(t *testing.T) {
	for name, where := range map[string]func(runtime.Object){
		"everywhere": func(o runtime.Object) { ignore(o) },
		"on the Deployment alone": func(o runtime.Object) {
			if _, ok := o.(*appsv1.Deployment); ok {
				ignore(o)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hidden := labelledRunner("hidden", 1)
				for _, o := range hidden {
					where(o)
				}
				b := newBoard(t, Config{}, nil, append(hidden, labelledRunner("shown", 1)...)...)
				defer b.end()
				if got := b.names(); !slices.Equal(got, []string{"labelled/ns/shown"}) {
					t.Errorf("runners %v", got)
				}
			})
		})
	}
}

func ignore(o runtime.Object) {
	m := o.(metav1.Object)
	l := map[string]string{systems.LabelIgnore: "true"}
	maps.Copy(l, m.GetLabels())
	m.SetLabels(l)
}

// forbid makes the API server refuse to list a resource until it is allowed again.
func forbid(resource string, forbidden *atomic.Bool) func(*fake.Clientset) {
	forbidden.Store(true)
	return func(c *fake.Clientset) {
		c.PrependReactor("list", resource, func(ktesting.Action) (bool, runtime.Object, error) {
			if !forbidden.Load() {
				return false, nil, nil
			}
			cause := fmt.Errorf(`User "viewer" cannot list resource %q`, resource)
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", cause)
		})
	}
}

func TestAForbiddenListIsSaidAndTheRestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var forbidden atomic.Bool
		b := newBoard(t, Config{Namespaces: []string{"ns"}}, forbid("cronjobs", &forbidden), labelledRunner("a", 1)...)
		defer b.end()
		if got := b.names(); !slices.Equal(got, []string{"labelled/ns/a"}) {
			t.Fatalf("runners %v", got)
		}
		src, _ := b.snap.Source("c", SourceName)
		if src.State != store.SourceLive || len(src.Limits) != 1 {
			t.Fatalf("%s, limits %q", src.State, src.Limits)
		}
		for _, word := range []string{"list", "cronjobs.batch", "namespace ns", "forbidden"} {
			if !strings.Contains(src.Limits[0], word) {
				t.Errorf("%q does not name %q", src.Limits[0], word)
			}
		}
		forbidden.Store(false)
		<-time.After(2 * time.Minute) // the informer's own back-off
		b.heard()
		b.look()
		if src, _ = b.snap.Source("c", SourceName); len(src.Limits) != 0 {
			t.Errorf("allowed by now, and the limits are %q", src.Limits)
		}
	})
}

// A permission may be taken away later. The informer's cache is full then, and stays so, but it is no longer kept up to date.
func TestAPermissionThatIsTakenAwayIsSaidForAsLongAsItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{}, nil, labelledRunner("a", 1)...)
		defer b.end()
		var pods *watched
		b.mu.Lock()
		for _, w := range b.set.watched {
			if w.name == "pods" {
				pods = w
			}
		}
		b.mu.Unlock()
		refuse := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("User cannot watch resource"))
		limits := func() int {
			b.heard()
			b.look()
			src, _ := b.snap.Source("c", SourceName)
			return len(src.Limits)
		}
		for range 5 {
			b.noteFailed(pods, refuse)
			for range 15 { // the API server is asked every 2 s; a refused informer tries again after half a minute
				if n := limits(); n != 1 {
					t.Fatalf("%d limits while the watch is refused", n)
				}
				<-time.After(probeInterval)
			}
		}
		<-time.After(5 * time.Minute)
		if n := limits(); n != 0 {
			t.Errorf("%d limits although nothing was refused for minutes", n)
		}
	})
}

func TestWhatIsKnownStaysWhileTheInformersAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{}, nil, labelledRunner("a", 1)...)
		defer b.end()
		before := b.runner("labelled", "a")
		b.goStale(context.DeadlineExceeded)
		b.look()
		if src, _ := b.snap.Source("c", SourceName); src.State != store.SourceStale || src.Problem == "" {
			t.Fatalf("%s: %s", src.State, src.Problem)
		}
		b.rebuild <- struct{}{}
		b.look()
		if b.runner("labelled", "a") != before {
			t.Error("the runner has changed although nothing of it did")
		}
		if src, _ := b.snap.Source("c", SourceName); src.State != store.SourceStale {
			t.Errorf("%s before the API server answered", src.State)
		}
		b.heard()
		b.look()
		if src, _ := b.snap.Source("c", SourceName); src.State != store.SourceLive || src.Problem != "" {
			t.Errorf("%s: %s", src.State, src.Problem)
		}
	})
}

func TestARunnerThatVanishedMeanwhileIsGoneAfterTheReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{}, nil, append(labelledRunner("a", 1), labelledRunner("b", 1)...)...)
		defer b.end()
		all := slices.Collect(b.snap.Runners())
		b.snap = store.NewSnapshot(append(all, &store.Runner{Ref: store.Ref{Cluster: "c", System: "labelled", Name: "old"}}), nil, time.Now())
		b.rebuild <- struct{}{}
		b.look()
		if got := b.names(); len(got) != 2 {
			t.Errorf("runners %v", got)
		}
	})
}

// A deletion that the watch missed is told by the next list, which knows the pod as it was last seen: nobody knows how it ended.
func TestAMissedDeletionIsNotCalledALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := labelled("a", "")
		l[systems.LabelWorkload] = "true"
		job := running(&corev1.Pod{ObjectMeta: meta("ns", "job", l), Spec: corev1.PodSpec{Containers: []corev1.Container{container("job", "j:1")}}})
		var w *watch.FakeWatcher
		b := newBoard(t, Config{}, func(c *fake.Clientset) {
			c.PrependWatchReactor("pods", func(ktesting.Action) (bool, watch.Interface, error) {
				w = watch.NewFake()
				return true, w, nil
			})
		}, append(labelledRunner("a", 1), job)...)
		defer b.end()
		synctest.Wait()
		if err := b.client.CoreV1().Pods("ns").Delete(t.Context(), "job", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
		<-time.After(time.Minute)
		b.look()
		r := b.runner("labelled", "a")
		if len(r.Workloads) != 1 || r.Health != store.Healthy {
			t.Errorf("%s: %s, %d workloads", r.Health, r.Why, len(r.Workloads))
		}
	})
}
