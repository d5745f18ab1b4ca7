package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"trackside/store"
)

// sixfold is a runner of a schedule and three Deployments, of which r-a is the oldest, and what leads to that and scales it.
func sixfold() (beside, objects []runtime.Object) {
	objects = append(objects, cronJob(meta("ns", "r-cron", labelled("r", "cron")), false, container("cron", "acme/cron:1")))
	for i, name := range []string{"a", "b", "c"} {
		d := deployment(meta("ns", "r-"+name, labelled("r", name)), 1, container("main", "acme/r:1.0.0"))
		d.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(i-5) * time.Hour))
		d.Spec.Template.Labels = map[string]string{"app": name}
		objects = append(objects, d)
	}
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: meta("ns", "r-hpa", nil)}
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "r-a"}
	service := &corev1.Service{ObjectMeta: meta("ns", "r-service", nil), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "a"}}}
	return []runtime.Object{hpa, service}, objects
}

// deleteAsMeant has the hands' API server delete what has the UID that is meant, so many objects, and then not answer. The result lets it answer.
func deleteAsMeant(dyn *dynamicfake.FakeDynamicClient, changes int) (answer func()) {
	dyn.PrependReactor("delete", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		d := a.(clienttesting.DeleteActionImpl)
		if changes == 0 {
			return true, nil, errors.New("connection refused")
		}
		changes--
		o, err := dyn.Tracker().Get(d.GetResource(), d.GetNamespace(), d.GetName())
		if err == nil && o.(metav1.Object).GetUID() != *d.DeleteOptions.Preconditions.UID {
			return true, nil, apierrors.NewConflict(d.GetResource().GroupResource(), d.GetName(), errors.New("the UID in the precondition is another"))
		}
		return false, nil, nil
	})
	return func() { changes = -1 }
}

// left lists what is there of the objects that are deleted in this order, and has the caches see it.
func (b *board) left(dyn *dynamicfake.FakeDynamicClient) (names []string) {
	b.t.Helper()
	for _, o := range []string{"CronJob/r-cron", scalerKind + "/r-hpa", "Deployment/r-a", "Deployment/r-b", "Deployment/r-c", "Service/r-service"} {
		kind, name, _ := strings.Cut(o, "/")
		if _, err := dyn.Tracker().Get(kinds[kind], "ns", name); err == nil {
			names = append(names, name)
		} else if err := b.client.Tracker().Delete(kinds[kind], "ns", name); err != nil && !apierrors.IsNotFound(err) {
			b.t.Fatal(err)
		}
	}
	b.look()
	return names
}

// A deletion that was cut off, whichever of its parts are gone by then, ends with nothing left of the runner; and what has taken the name of a
// part since stays.
func TestADeletionThatWasCutOff(t *testing.T) {
	for _, changes := range []int{0, 1, 3, 5} {
		for _, twin := range []bool{false, true} {
			if twin && changes < 3 {
				continue // the part that is to be made anew is still there
			}
			t.Run(fmt.Sprintf("%d changes, twin %t", changes, twin), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					beside, objects := sixfold()
					b, dyn := withHands(t, beside, objects...)
					defer b.end()
					allowAll(b)
					answer := deleteAsMeant(dyn, changes)
					r := b.runner("labelled", "r")
					a := store.Action{Key: "k", Verb: store.VerbDelete, Ref: r.Ref, Incarnation: r.Incarnation, At: time.Now(), Confirm: "r", By: store.Person{Name: "ada"}}
					var err error
					if a.Pinned, err = b.Pin(t.Context(), a, r); err != nil || len(a.Pinned) != 6 {
						t.Fatalf("%v, %v", a.Pinned, err)
					}
					if _, err = b.Do(t.Context(), a, r); !errors.Is(err, store.ErrUnavailable) {
						t.Fatal(err)
					}
					partly := "DeletedByTrackside: r partly deleted by ada"
					if changes == 0 {
						partly = ""
					}
					if got := b.told(); got != partly {
						t.Errorf("cut off, told %q, want %q", got, partly)
					}
					if n := len(b.left(dyn)); n != 6-changes {
						t.Fatalf("%d are left", n)
					}
					var want []string
					if twin {
						b.make(dyn, "uid-twin")
						want = []string{"r-a", "r-service"} // which leads to it
					}
					answer()
					shown := b.runner("labelled", "r")
					if shown != nil && shown.Incarnation != a.Incarnation {
						shown = nil // as the desk has it
					}
					out, err := b.Do(t.Context(), a, shown)
					if got := b.left(dyn); err != nil || !slices.Equal(got, want) {
						t.Errorf("left %v, want %v; %v, %+v", got, want, err, out)
					}
				})
			})
		}
	}
}

// make makes the oldest part of the runner anew, with its labels, for the caches and the hands.
func (b *board) make(dyn *dynamicfake.FakeDynamicClient, uid types.UID) {
	b.t.Helper()
	d := deployment(meta("ns", "r-a", labelled("r", "a")), 1, container("main", "acme/r:2.0.0"))
	d.UID, d.CreationTimestamp, d.Spec.Template.Labels = uid, metav1.Now(), map[string]string{"app": "a"}
	for _, tracker := range []clienttesting.ObjectTracker{b.client.Tracker(), dyn.Tracker()} {
		if err := tracker.Create(kinds["Deployment"], d.DeepCopy(), "ns"); err != nil {
			b.t.Fatal(err)
		}
	}
	b.look()
}

// A runner that is not any more what it was known by is not deleted in its place.
func TestATwinIsNotDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		beside, objects := sixfold()
		b, dyn := withHands(t, beside, objects...)
		defer b.end()
		allowAll(b)
		r := b.runner("labelled", "r")
		a := store.Action{Key: "k", Verb: store.VerbDelete, Ref: r.Ref, Incarnation: "uid-older", At: time.Now(), Confirm: "r", By: store.Person{Name: "ada"}}
		_, planned := b.Plan(t.Context(), a, r)
		_, done := b.Do(t.Context(), a, r)
		if !errors.Is(planned, store.ErrConflict) || !errors.Is(done, store.ErrConflict) || len(b.left(dyn)) != 6 {
			t.Errorf("%v, %v, left %v", planned, done, b.left(dyn))
		}
	})
}

// What was made anew since the caches last heard of it is another object, which nobody has looked at: it is left as it is.
func TestAnObjectMadeAnewBehindTheCaches(t *testing.T) {
	for _, verb := range []store.Verb{store.VerbDelete, store.VerbDisable, store.VerbEnable} {
		synctest.Test(t, func(t *testing.T) {
			b, dyn := withHands(t, nil, labelledRunner("r", 1)...)
			defer b.end()
			allowAll(b)
			anew := deployment(meta("ns", "r", labelled("r", "main")), 0, container("main", "acme/r:1.0.0"))
			anew.UID = "uid-anew"
			if err := dyn.Tracker().Update(kinds["Deployment"], anew, "ns"); err != nil {
				t.Fatal(err)
			}
			r := b.runner("labelled", "r")
			a := store.Action{Key: "k", Verb: verb, Ref: r.Ref, Incarnation: r.Incarnation, Note: "n", At: time.Now(), By: store.Person{Name: "ada"}}
			_, planned := b.Plan(t.Context(), a, r)
			_, err := b.Do(t.Context(), a, r)
			if !errors.Is(planned, store.ErrConflict) || !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "Deployment ns/r of runner c/labelled/ns/r was made anew since the board looked; look again") {
				t.Errorf("%s: planned %v, done %v", verb, planned, err)
			}
			for _, x := range dyn.Actions() {
				if x.GetVerb() == "delete" || x.GetVerb() == "patch" {
					t.Errorf("%s: %v", verb, x)
				}
			}
		})
	}
}
