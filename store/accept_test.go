package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trackside/store"
)

// doubtful is a runner whose green is doubtful for two reasons.
func doubtful(name string) *store.Runner {
	r := runner(name, store.Healthy)
	r.Findings = []store.Finding{{Code: "probe", Object: "deployment/a", Doubt: true}, {Code: "probe", Object: "deployment/b", Doubt: true}, {Code: "image", Object: "deployment/a"}}
	return r
}

func TestAnAcceptanceChangesItsRunnerOnly(t *testing.T) {
	s, _ := observe(&store.Snapshot{}, noon, doubtful("a"), doubtful("b"))
	if n := must(s, "a").Doubts; n != 2 {
		t.Fatalf("%d doubts", n)
	}
	list := []store.Acceptance{{Ref: ref("a"), Code: "probe", Object: "deployment/b", Note: "known", At: noon, Until: noon.Add(time.Hour)}}
	next, changes := store.Apply(s, store.Touched{Accepted: &list}, noon)
	if len(changes) != 1 || changes[0].Ref() != ref("a") || changes[0].Before.Doubts != 2 || changes[0].After.Doubts != 1 || len(changes[0].Events) != 0 {
		t.Errorf("%+v", changes)
	}
	if a, ok := next.Accepted(ref("a"), "probe", "deployment/b"); !ok || a.Note != "known" {
		t.Errorf("%+v %t", a, ok)
	}
	if _, ok := next.Accepted(ref("b"), "probe", "deployment/b"); ok {
		t.Error("accepted for another runner")
	}
	if again, changes := store.Apply(next, store.Touched{Accepted: &list}, noon); again != next || len(changes) > 0 {
		t.Errorf("the same list changes %v", changes)
	}
	// A later look at the runner keeps it accepted.
	next, _ = observe(next, noon, func() *store.Runner { r := doubtful("a"); r.Version = "2"; return r }())
	if n := must(next, "a").Doubts; n != 1 {
		t.Errorf("%d doubts after a change", n)
	}
	next, changes = store.Apply(next, store.Touched{Accepted: &[]store.Acceptance{}}, noon)
	if len(changes) != 1 || must(next, "a").Doubts != 2 {
		t.Errorf("its end changed %+v", changes)
	}
}

func TestAnAcceptanceMayComeBeforeItsRunner(t *testing.T) {
	list := []store.Acceptance{{Ref: ref("a"), Code: "probe", Object: "deployment/a", Note: "x", Until: noon.Add(time.Hour)}}
	s, changes := store.Apply(&store.Snapshot{}, store.Touched{Accepted: &list}, noon)
	if len(changes) != 0 || s.Rev != 1 {
		t.Errorf("%v, revision %d", changes, s.Rev)
	}
	s, _ = observe(s, noon, doubtful("a"))
	if n := must(s, "a").Doubts; n != 1 {
		t.Errorf("%d doubts", n)
	}
}

func TestCheckRefusesWhatNobodyMeans(t *testing.T) {
	good := store.Acceptance{Ref: ref("a"), Code: "c", Object: "o", Note: "n", Until: noon.Add(time.Hour)}
	if err := good.Check(noon); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*store.Acceptance){
		"no code": func(a *store.Acceptance) { a.Code = "" }, "no object": func(a *store.Acceptance) { a.Object = "" }, "no note": func(a *store.Acceptance) { a.Note = "" },
		"a long note": func(a *store.Acceptance) { a.Note = strings.Repeat("x", store.MaxNote+1) }, "an end in the past": func(a *store.Acceptance) { a.Until = noon },
		"an end too far off": func(a *store.Acceptance) { a.Until = noon.Add(store.MaxAcceptance + time.Second) },
	} {
		a := good
		change(&a)
		if err := a.Check(noon); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
