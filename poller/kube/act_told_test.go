package kube

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"trackside/store"
)

// An Event does not call disabled what goes on until its work has ended.
func TestAnEventOfADrain(t *testing.T) {
	for name, c := range map[string]struct {
		drain bool
		work  []runtime.Object
		want  string
	}{
		"waits for work":  {true, []runtime.Object{executorPod(taskOne)}, "DrainingByTrackside: r-0 draining, as asked for by ada: n"},
		"nothing to wait": {true, nil, "DisabledByTrackside: r-0 disabled by ada: n"},
		"at once":         {false, []runtime.Object{executorPod(taskOne)}, "DisabledByTrackside: r-0 disabled by ada: n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := withHands(t, nil, append(replicasOf("r"), c.work...)...)
				defer b.end()
				allowAll(b)
				r := b.runner("release", "r-0")
				if _, err := b.Do(t.Context(), store.Action{Key: "k", Verb: store.VerbDisable, Ref: r.Ref, At: time.Now(), Note: "n", Drain: c.drain, By: store.Person{Name: "ada"}}, r); err != nil {
					t.Fatal(err)
				}
				if got := b.told(); got != c.want {
					t.Errorf("told %q, want %q", got, c.want)
				}
			})
		})
	}
}

// told lists the Events in the namespace ns.
func (b *board) told() string {
	b.t.Helper()
	list, err := b.client.CoreV1().Events("ns").List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	words := make([]string, len(list.Items))
	for i := range list.Items {
		words[i] = list.Items[i].Reason + ": " + list.Items[i].Message
	}
	return strings.Join(words, "\n")
}

// An Event tells of what was done before something failed, and not of what was taken back.
func TestAnEventOfWhatWasDoneInPart(t *testing.T) {
	away, refused := apierrors.NewInternalError(errors.New("gone")), apierrors.NewForbidden(kinds["Deployment"].GroupResource(), "r-b", errors.New("a policy is against it"))
	for name, c := range map[string]struct {
		answer error
		want   string
	}{
		"cut off":    {away, "DisabledByTrackside: r partly disabled by ada: n"},
		"taken back": {refused, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				beside, objects := sixfold()
				b, dyn := withHands(t, beside, objects...)
				defer b.end()
				allowAll(b)
				dyn.PrependReactor("patch", "deployments", func(a clienttesting.Action) (bool, runtime.Object, error) {
					return a.(clienttesting.PatchAction).GetName() == "r-b", nil, c.answer
				})
				r := b.runner("labelled", "r")
				_, err := b.Do(t.Context(), store.Action{Key: "k", Verb: store.VerbDisable, Ref: r.Ref, At: time.Now(), Note: "n", By: store.Person{Name: "ada"}}, r)
				if got := b.told(); err == nil || got != c.want {
					t.Errorf("told %q, want %q; %v", got, c.want, err)
				}
			})
		})
	}
}
