package kube

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"trackside/store"
)

// finalized has an object bear a finalizer that somebody has set.
func finalized(m metav1.Object, finalizer, manager string) {
	m.SetFinalizers([]string{finalizer})
	m.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:finalizers":{"v:\"` + finalizer + `\"":{}}}}`)}})
}

// keepFinalized has the hands' API server delete as a real one does: what bears a finalizer stays.
func keepFinalized(dyn *dynamicfake.FakeDynamicClient) {
	dyn.PrependReactor("delete", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		d := a.(clienttesting.DeleteAction)
		o, err := dyn.Tracker().Get(d.GetResource(), d.GetNamespace(), d.GetName())
		return err == nil && len(o.(metav1.Object).GetFinalizers()) > 0, nil, nil
	})
}

// Whatever a deletion deletes, and what goes with that, may be held by a finalizer: it is told before and after, with whose it is.
func TestAFinalizerOfWhatGoesWithTheRunner(t *testing.T) {
	const finalizer = "acme.example/volumes"
	for name, c := range map[string]struct {
		hold func(objects []runtime.Object, service *corev1.Service)
		told string
	}{
		"nothing": {func([]runtime.Object, *corev1.Service) {}, ""},
		"a pod of work": {func(o []runtime.Object, _ *corev1.Service) {
			finalized(o[3].(*corev1.Pod), finalizer, "storage-operator")
		}, "Pod job-a stays"},
		"a pod of a component": {func(o []runtime.Object, _ *corev1.Service) {
			finalized(o[2].(*corev1.Pod), finalizer, "storage-operator")
		}, "Pod ctl-a-0 stays"},
		"a Service": {func(_ []runtime.Object, s *corev1.Service) { finalized(s, finalizer, "storage-operator") }, "Service ctl stays"},
		"its Deployment": {func(o []runtime.Object, _ *corev1.Service) {
			finalized(o[0].(*appsv1.Deployment), finalizer, "storage-operator")
		}, "Deployment ctl-a stays"},
		"the tracking of its work": {func(o []runtime.Object, _ *corev1.Service) {
			finalized(o[3].(*corev1.Pod), batchv1.JobTrackingFinalizer, "kube-controller-manager")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				objects := append(controller("ctl-a"), buildJob("job-a", "ctl-a"))
				service := &corev1.Service{ObjectMeta: meta("ns", "ctl", nil), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "ctl-a"}}}
				objects[0].(*appsv1.Deployment).Spec.Template.Labels = map[string]string{"app": "ctl-a"}
				c.hold(objects, service)
				b, dyn := withHands(t, []runtime.Object{service}, objects...)
				defer b.end()
				keepFinalized(dyn)
				allowAll(b)
				told := func(text string) bool {
					return strings.Contains(text, c.told+" until its finalizer is taken off: acme.example/volumes, set by storage-operator.")
				}
				p := b.planned(store.Action{Verb: store.VerbDelete}, "buildkite", "ctl-a")
				if got := trap(p, "finalizer"); c.told == "" && got != "" || c.told != "" && !told(got) {
					t.Errorf("told before: %q, want %q", got, c.told)
				}
				r := b.runner("buildkite", "ctl-a")
				out, err := b.Do(t.Context(), store.Action{Key: "k", Verb: store.VerbDelete, Ref: r.Ref, At: time.Now(), Confirm: "ctl-a", By: store.Person{Name: "ada"}}, r)
				if got := out.Waits.Absolute(); err != nil || c.told == "" && got != "" || c.told != "" && !told(got) {
					t.Errorf("told after: %q, %v, want %q", got, err, c.told)
				}
			})
		})
	}
}

// Work that is ended at once may be held too.
func TestAFinalizerOfWorkThatIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := buildJob("job-a", "ctl-a")
		finalized(job, "acme.example/volumes", "storage-operator")
		b, _ := withHands(t, nil, append(controller("ctl-a"), job)...)
		defer b.end()
		for drain, want := range map[bool]bool{false: true, true: false} {
			p := b.planned(store.Action{Verb: store.VerbDisable, Drain: drain}, "buildkite", "ctl-a")
			if got := trap(p, "finalizer"); strings.Contains(got, "Pod job-a stays until its finalizer is taken off: acme.example/volumes, set by storage-operator.") != want {
				t.Errorf("drain %t: told %q", drain, got)
			}
		}
	})
}

// The tracking of a Job's pod is taken off by the Job's controller when the pod has ended: it is told where that was long ago.
func TestTheTrackingOfAJobIsNotToldInVain(t *testing.T) {
	u := deployed("a", 1, nil)
	u.SetFinalizers([]string{batchv1.JobTrackingFinalizer})
	for at, want := range map[time.Duration]bool{time.Minute: false, -time.Minute: true} {
		gone := metav1.NewTime(time.Now().Add(at))
		u.SetDeletionTimestamp(&gone)
		if _, ok := blocking(u); ok != want {
			t.Errorf("to be gone in %s: told %t", at, ok)
		}
	}
}

// What is left is told: those that are held by name, at most three of them, and how many are beside.
func TestWhatADeletionWaitsFor(t *testing.T) {
	held := []string{"Pod a stays.", "Pod b stays.", "Pod c stays.", "Pod d stays."}
	for _, c := range []struct {
		held  []string
		going int
		want  string
	}{
		{nil, 0, ""}, {nil, 1, "1 object goes when its pods have ended."}, {nil, 2, "2 objects go when their pods have ended."},
		{held[:1], 0, "Pod a stays."}, {held[:2], 1, "Pod a stays. Pod b stays. 1 more object goes after that."},
		{held, 2, "Pod a stays. Pod b stays. Pod c stays. 3 more objects go after that."},
	} {
		var sentences []store.Sentence
		for _, h := range c.held {
			sentences = append(sentences, store.Sentence(h))
		}
		if got := leftWords(sentences, c.going).Absolute(); got != c.want {
			t.Errorf("%v, %d: %q, want %q", c.held, c.going, got, c.want)
		}
	}
}

// allowAll has the board's API server answer that everything is allowed.
func allowAll(b *board) {
	b.client.PrependReactor("create", "selfsubjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
		review.Status.Allowed = true
		return true, review, nil
	})
}
