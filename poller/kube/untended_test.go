package kube

import (
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trackside/store"
)

// answering is an API server that grants these verbs, and no others.
func answering(verbs ...string) *fake.Clientset {
	client := fake.NewClientset()
	client.PrependReactor("create", "selfsubjectaccessreviews", func(a k8stesting.Action) (bool, runtime.Object, error) {
		review := a.(k8stesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
		review.Status.Allowed = slices.Contains(verbs, review.Spec.ResourceAttributes.Verb)
		return true, review, nil
	})
	return client
}

// A person may do what the board may not: then nobody ends the mark at its time, which is told before, and blocks nothing.
func TestWhatDoesNotComeBackByItself(t *testing.T) {
	for _, c := range []struct {
		verb        store.Verb
		impersonate bool
		board       []string
		want        string
	}{
		{store.VerbDisable, true, nil, "It will not come back by itself: the board's ServiceAccount may not patch deployments.apps in namespace ns"},
		{store.VerbDisable, true, []string{"patch"}, ""},
		{store.VerbEnable, true, nil, ""},
		{store.VerbDisable, false, nil, ""},
	} {
		r := newReach(t, deployed("a", 3, nil))
		r.c.cfg.Impersonate, r.by.Name = c.impersonate, "ada"
		r.c.client, r.access = answering(c.board...), answering("patch", "delete")
		j := &job{}
		r.pullAll(j, []*grip{r.grip("a"), r.grip("a")}, marking{By: "ada", At: markedAt})
		traps := r.untended(t.Context(), c.verb, j.steps)
		if c.want == "" && len(traps) > 0 || c.want != "" && (len(traps) != 1 || traps[0].Blocks || !strings.HasPrefix(string(traps[0].Why), c.want)) {
			t.Errorf("%s, the board may %q: %+v", c.verb, c.board, traps)
		}
		if blocked := r.lacks(t.Context(), j.steps); len(blocked) > 0 {
			t.Errorf("ada is held back: %+v", blocked)
		}
		refused := apierrors.NewForbidden(kinds["Deployment"].GroupResource(), "a", nil)
		if text := r.border(refused, "get", kinds["Deployment"], store.Object{}).Error(); !strings.Contains(text, "the board's ServiceAccount lacks the verb get") {
			t.Errorf("it is the board that reads: %s", text)
		}
	}
}
