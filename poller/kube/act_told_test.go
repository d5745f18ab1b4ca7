package kube

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

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
				list, err := b.client.CoreV1().Events("ns").List(t.Context(), metav1.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if got := eventsTold(list.Items); got != c.want {
					t.Errorf("told %q, want %q", got, c.want)
				}
			})
		})
	}
}

func eventsTold(list []corev1.Event) string {
	words := make([]string, len(list))
	for i := range list {
		words[i] = list[i].Reason + ": " + list[i].Message
	}
	return strings.Join(words, "\n")
}
