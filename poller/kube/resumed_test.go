package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
)

// An action that was begun before a restart is not done again where the objects show that it was done, and undone, or that somebody has
// disabled the runner since: on another board, whose audit this one does not read.
func TestWhatTheObjectsTellOfAnActionThatIsTakenUp(t *testing.T) {
	mark := func(by, key string, after time.Duration) *marking {
		return &marking{By: by, At: markedAt.Add(after), Key: key, Restore: map[string]any{"/spec/replicas": 2}}
	}
	changed := func(o *unstructured.Unstructured, by string, after time.Duration) *unstructured.Unstructured {
		at := metav1.NewTime(markedAt.Add(after))
		o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: by, Operation: metav1.ManagedFieldsOperationUpdate, Time: &at}})
		return o
	}
	for name, c := range map[string]struct {
		verb   store.Verb
		object *unstructured.Unstructured
		told   string
	}{
		"nothing was done":              {store.VerbDisable, deployed("a", 2, nil), ""},
		"something was done before":     {store.VerbDisable, changed(deployed("a", 2, nil), "trackside", -time.Minute), ""},
		"somebody else has changed it":  {store.VerbDisable, changed(deployed("a", 2, nil), "kubectl", time.Minute), ""},
		"it is done":                    {store.VerbDisable, changed(deployed("a", 0, mark("ada", "k", 0)), "trackside", time.Minute), ""},
		"it was done and undone":        {store.VerbDisable, changed(deployed("a", 2, nil), "trackside", time.Minute), "Deployment ns/a was changed by a board at "},
		"disabled since, by the same":   {store.VerbDisable, deployed("a", 0, mark("ada", "l", time.Minute)), "Deployment ns/a was disabled by ada at "},
		"disabled before, by the same":  {store.VerbDisable, deployed("a", 0, mark("ada", "j", -time.Minute)), ""},
		"enabled, and disabled since":   {store.VerbEnable, deployed("a", 0, mark("bob", "l", time.Minute)), "Deployment ns/a was disabled by bob at "},
		"disabled, and not enabled yet": {store.VerbEnable, deployed("a", 0, mark("bob", "l", -time.Minute)), ""},
		"enabled, and nothing after it": {store.VerbEnable, changed(deployed("a", 2, nil), "trackside", time.Minute), ""},
		"a mark that cannot be read":    {store.VerbDisable, deployed("a", 2, &marking{}), ""},
	} {
		r := newReach(t, c.object)
		a := store.Action{Key: "k", Verb: c.verb, Ref: r.ref, At: markedAt, By: store.Person{Name: "ada"}, Resumed: true}
		err := r.overtaken(a, []*grip{r.grip("a")})
		if c.told == "" && err != nil || c.told != "" && (!errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), c.told)) {
			t.Errorf("%s: %v, want %q", name, err, c.told)
		}
		a.Resumed = false
		if err := r.overtaken(a, []*grip{r.grip("a")}); err != nil {
			t.Errorf("%s: an action that is asked for now is refused: %v", name, err)
		}
	}
}
