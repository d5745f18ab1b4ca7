package kube

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"trackside/store"
)

// withHands starts a board whose hands reach the same objects, and those beside.
func withHands(t *testing.T, beside []runtime.Object, objects ...runtime.Object) (*board, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	scheme, names := runtime.NewScheme(), map[schema.GroupVersionResource]string{}
	for kind, gvr := range kinds {
		names[gvr] = kind + "List"
	}
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := newCluster(t, Config{})
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme, names, slices.Concat(beside, objects)...)
	c.dynamic = dyn
	return newBoardOf(t, c, nil, objects...), dyn
}

// planned is the plan of an action on a runner that is shown.
func (b *board) planned(a store.Action, system, name string) store.Plan {
	b.t.Helper()
	r := b.runner(system, name)
	if r == nil {
		b.t.Fatalf("%s %s is not there among %v", system, name, b.names())
	}
	a.Ref, a.At, a.By = r.Ref, time.Now(), store.Person{Name: "ada"}
	p, err := b.Plan(b.t.Context(), a, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// trap is what a plan says under a code; blank when it does not.
func trap(p store.Plan, code string) string {
	for _, t := range p.Traps {
		if t.Code == code {
			return t.Why.Absolute()
		}
	}
	return ""
}

// besideAService is a labelled runner whose pods bear the label that a Service of the namespace chooses by.
func besideAService(name string, replicas int32) []runtime.Object {
	objects := labelledRunner(name, replicas)
	objects[0].(*appsv1.Deployment).Spec.Template.Labels = map[string]string{"app": "runner"}
	for _, o := range objects[2:] {
		o.(*corev1.Pod).Labels["app"] = "runner"
	}
	return objects
}

func TestDeleteKeepsAServiceOfOthers(t *testing.T) {
	service := &corev1.Service{ObjectMeta: meta("ns", "runners", nil), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "runner"}}}
	for name, c := range map[string]struct {
		others []runtime.Object
		stays  bool
	}{
		"its own alone":             {nil, false},
		"another Deployment's":      {besideAService("b", 1), true},
		"one's that is scaled to 0": {besideAService("b", 0), true},
		"a bare pod's":              {[]runtime.Object{running(&corev1.Pod{ObjectMeta: meta("ns", "bare", map[string]string{"app": "runner"})})}, true},
		"a pod's that has ended":    {[]runtime.Object{&corev1.Pod{ObjectMeta: meta("ns", "bare", map[string]string{"app": "runner"}), Status: corev1.PodStatus{Phase: corev1.PodFailed}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := withHands(t, []runtime.Object{service}, slices.Concat(besideAService("a", 2), c.others)...)
				defer b.end()
				p := b.planned(store.Action{Verb: store.VerbDelete}, "labelled", "a")
				o := store.Object{Kind: "Service", Namespace: "ns", Name: "runners"}
				if slices.Contains(p.Goes, o) == c.stays || slices.Contains(p.Stays, o) != c.stays {
					t.Errorf("goes %v, stays %v", p.Goes, p.Stays)
				}
			})
		})
	}
}

// controller is a Buildkite controller of the namespace ns, and its pod.
func controller(name string) []runtime.Object {
	d := deployment(meta("ns", name, map[string]string{"app": name}), 1, container("controller", "ghcr.io/buildkite/agent-stack-k8s/controller:0.35.0"))
	rs := replicaSet(d)
	return []runtime.Object{d, rs, podOf(rs.ObjectMeta, "ReplicaSet", name+"-0", d.Labels, d.Spec.Template.Spec.Containers...)}
}

// buildJob is a running pod of a Buildkite job; one without a controller's ID names none.
func buildJob(name, controller string) *corev1.Pod {
	l := map[string]string{"buildkite.com/job-uuid": name}
	if controller != "" {
		l["buildkite.com/controller-id"] = controller
	}
	return running(&corev1.Pod{ObjectMeta: meta("ns", name, l), Spec: corev1.PodSpec{Containers: []corev1.Container{container("agent", "buildkite/agent:3")}}})
}

// replicasOf is a StatefulSet of Release runners with its pods.
func replicasOf(name string) []runtime.Object {
	n, l := int32(2), map[string]string{"app": name}
	set := &appsv1.StatefulSet{ObjectMeta: meta("ns", name, l)}
	set.Spec.Replicas, set.Spec.Template.Labels = &n, l
	set.Spec.Template.Spec.Containers = []corev1.Container{container("release-runner", "xebialabs/release-runner:24.3")}
	out := []runtime.Object{set}
	for _, i := range []string{"-0", "-1"} {
		out = append(out, podOf(set.ObjectMeta, "StatefulSet", name+i, l, set.Spec.Template.Spec.Containers...))
	}
	return out
}

func executorPod(name string) *corev1.Pod {
	return running(&corev1.Pod{ObjectMeta: meta("ns", name, nil), Spec: corev1.PodSpec{Containers: []corev1.Container{container("task", "acme/task:1")}}})
}

var taskOne, taskTwo = strings.Repeat("a", 40), strings.Repeat("b", 40)

// A plan shows the work that it ends. What names no runner, in a namespace where others carry work too, is left alone, and that is told.
func TestOnlyItsOwnWorkIsEnded(t *testing.T) {
	now, drain := store.Action{Verb: store.VerbDisable}, store.Action{Verb: store.VerbDisable, Drain: true}
	gone := store.Action{Verb: store.VerbDelete}
	jobs := []runtime.Object{buildJob("job-a", "ctl-a"), buildJob("job-b", "ctl-b"), buildJob("job-x", "")}
	tasks := []runtime.Object{executorPod(taskOne), executorPod(taskTwo)}
	for name, c := range map[string]struct {
		a              store.Action
		system, runner string
		objects        []runtime.Object
		work           []string
		told           string
	}{
		"the first by name":         {now, "buildkite", "ctl-a", slices.Concat(controller("ctl-a"), controller("ctl-b"), jobs), []string{"job-a"}, "1 workload in namespace ns may belong to ns/ctl-b: it is left alone."},
		"the second by name":        {gone, "buildkite", "ctl-b", slices.Concat(controller("ctl-a"), controller("ctl-b"), jobs), []string{"job-b"}, "1 workload in namespace ns may belong to ns/ctl-a: it is left alone."},
		"alone in its namespace":    {now, "buildkite", "ctl-a", slices.Concat(controller("ctl-a"), jobs), []string{"job-a", "job-x"}, ""},
		"a set beside another":      {gone, "release", "r-a-0", slices.Concat(replicasOf("r-a"), replicasOf("r-b"), tasks), nil, "2 workloads in namespace ns may belong to ns/r-b: they are left alone."},
		"the other set":             {now, "release", "r-b-1", slices.Concat(replicasOf("r-a"), replicasOf("r-b"), tasks), nil, "2 workloads in namespace ns may belong to ns/r-a: they are left alone."},
		"a set alone":               {now, "release", "r-a-1", slices.Concat(replicasOf("r-a"), tasks), []string{taskOne, taskTwo}, ""},
		"a set beside one, drained": {drain, "release", "r-b-0", slices.Concat(replicasOf("r-a"), replicasOf("r-b"), tasks), []string{taskOne, taskTwo}, "2 workloads in namespace ns may belong to ns/r-a: they are waited for too."},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := withHands(t, nil, c.objects...)
				defer b.end()
				p := b.planned(c.a, c.system, c.runner)
				var work, ended []string
				for _, w := range p.Work {
					work = append(work, w.Name)
				}
				for _, s := range p.Steps {
					if s.Object.Kind == "Pod" {
						ended = append(ended, s.Object.Name)
					}
				}
				slices.Sort(ended)
				if !slices.Equal(work, c.work) || !c.a.Drain && !slices.Equal(ended, c.work) || c.a.Drain && len(ended) > 0 || trap(p, "shared-namespace") != c.told {
					t.Errorf("work %v, ended %v, want %v; told %q, want %q", work, ended, c.work, trap(p, "shared-namespace"), c.told)
				}
			})
		})
	}
}

// What the API server does not answer for is not gone.
func TestADeletionThatCannotBeLookedAt(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		waits string
	}{
		"gone":     {apierrors.NewNotFound(schema.GroupResource{Resource: "deployments"}, "r"), ""},
		"no right": {apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "r", nil), "Deployment ns/r could not be looked at"},
		"away":     {errors.New("connection refused"), "Deployment ns/r could not be looked at: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, dyn := withHands(t, nil, labelledRunner("r", 1)...)
				defer b.end()
				h, err := b.hand(t.Context(), b.runner("labelled", "r").Ref, store.Person{})
				if err != nil {
					t.Fatal(err)
				}
				grips, err := h.grips(t.Context())
				if err != nil || len(grips) != 1 {
					t.Fatalf("%d grips, %v", len(grips), err)
				}
				refuse(dyn, "get", "deployments", c.err)
				var out store.Outcome
				h.await(t.Context(), grips, &out)
				if got := out.Waits.Absolute(); c.waits == "" && got != "" || !strings.Contains(got, c.waits) {
					t.Errorf("waits %q, want %q", got, c.waits)
				}
			})
		})
	}
}

// refuse has the hands' API server answer with an error.
func refuse(dyn *dynamicfake.FakeDynamicClient, verb, resource string, err error) {
	dyn.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
}

// Autoscalers that cannot be listed may be there. Where their API is not served there are none.
func TestAutoscalersThatCannotBeListed(t *testing.T) {
	resource := schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}
	for name, c := range map[string]struct {
		err  error
		told string
	}{
		"no right":   {apierrors.NewForbidden(resource, "", errors.New("no")), "Whether a HorizontalPodAutoscaler scales it is not known: those of namespace ns could not be listed: "},
		"away":       {errors.New("connection refused"), "could not be listed: connection refused."},
		"not served": {apierrors.NewNotFound(resource, ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, dyn := withHands(t, nil, labelledRunner("r", 1)...)
				defer b.end()
				refuse(dyn, "list", resource.Resource, c.err)
				for _, v := range []store.Verb{store.VerbDisable, store.VerbDelete} {
					p := b.planned(store.Action{Verb: v}, "labelled", "r")
					if got := trap(p, "autoscaler-unseen"); c.told == "" && got != "" || !strings.Contains(got, c.told) {
						t.Errorf("%s tells %q, want %q", v, got, c.told)
					}
				}
			})
		})
	}
}
