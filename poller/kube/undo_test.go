package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trackside/store"
	"trackside/systems"
)

// reach is a hand on Deployments of namespace ns, over client-go's fake API server.
type reach struct {
	*hand
	t    *testing.T
	fake *dynamicfake.FakeDynamicClient
}

// deployed is a Deployment with so many replicas, and a mark or none.
func deployed(name string, replicas int64, m *marking) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "spec": map[string]any{"replicas": replicas}}}
	u.SetNamespace("ns")
	u.SetName(name)
	u.SetUID(types.UID("uid-" + name))
	if m != nil {
		u.SetAnnotations(map[string]string{systems.AnnotationDisabled: m.text()})
	}
	return u
}

func newReach(t *testing.T, objects ...*unstructured.Unstructured) *reach {
	t.Helper()
	var all []runtime.Object
	for _, o := range objects {
		all = append(all, o)
	}
	client := dynamicfake.NewSimpleDynamicClient(runtime.NewScheme(), all...)
	ref := store.Ref{Cluster: "c", System: "labelled", Namespace: "ns", Name: "r"}
	return &reach{t: t, fake: client, hand: &hand{c: newCluster(t, Config{Act: true}), ref: ref, sw: (*systems.System)(nil).SwitchOf(), read: client, write: client}}
}

// grip takes hold of a Deployment as it is now.
func (r *reach) grip(name string) *grip {
	r.t.Helper()
	object := systems.Object{Kind: "Deployment", Namespace: "ns", Name: name}
	lever, _ := r.sw.Lever(object, "")
	g := &grip{held: held{object: object, lever: lever}, gvr: kinds["Deployment"]}
	live, err := r.get(r.t.Context(), g.gvr, "ns", name)
	if err != nil {
		r.t.Fatal(err)
	}
	g.see(live)
	return g
}

// is says how a Deployment is.
func (r *reach) is(name string) string {
	g := r.grip(name)
	return fmt.Sprintf("%v replicas, marked %t, phase %q", g.value(g.lever.Settings[0]), g.marked, g.mark.Phase)
}

// beforehand does something once, before the first change of that object, which conflicts with it.
func (r *reach) beforehand(name string, now *unstructured.Unstructured) {
	r.answer(name, 0, func() error {
		now.SetUID(types.UID("uid-" + name))
		if err := r.fake.Tracker().Update(kinds["Deployment"], now, "ns"); err != nil {
			r.t.Fatal(err)
		}
		return apierrors.NewConflict(kinds["Deployment"].GroupResource(), name, errors.New("it has changed"))
	})
}

// answer answers the change of an object that comes after so many others of it.
func (r *reach) answer(name string, after int, answer func() error) {
	seen := 0
	r.fake.PrependReactor("patch", "deployments", func(a k8stesting.Action) (bool, runtime.Object, error) {
		if a.(k8stesting.PatchAction).GetName() != name {
			return false, nil, nil
		}
		if seen++; seen != after+1 {
			return false, nil, nil
		}
		return true, nil, answer()
	})
}

// Two boards end a mark at once, or a person takes it away: the one that comes too late changes nothing, and brings nothing back that was
// off on purpose.
func TestTheMarkIsGoneMeanwhile(t *testing.T) {
	mark := &marking{By: "ada", At: markedAt, Key: "k", Until: markedAt.Add(time.Minute), Restore: map[string]any{"/spec/replicas": 0}}
	again := &marking{By: "bob", At: markedAt.Add(time.Minute), Key: "l", Restore: map[string]any{"/spec/replicas": 3}}
	for _, c := range []struct {
		name      string
		alone     bool
		meanwhile *unstructured.Unstructured
		want      string
	}{
		{"another board was first", true, deployed("a", 0, nil), `0 replicas, marked false, phase ""`},
		{"a person asked, and kubectl was first", false, deployed("a", 0, nil), `0 replicas, marked false, phase ""`},
		{"it was marked anew", true, deployed("a", 0, again), `0 replicas, marked true, phase ""`},
		{"only its status has changed", true, deployed("a", 0, mark), `0 replicas, marked false, phase ""`},
	} {
		r := newReach(t, deployed("a", 0, mark))
		r.alone = c.alone
		j := &job{}
		r.giveBack(j, []*grip{r.grip("a")})
		r.beforehand("a", c.meanwhile)
		if _, err := j.run(t.Context()); err != nil || r.is("a") != c.want {
			t.Errorf("%s: it is %s, %v", c.name, r.is("a"), err)
		}
	}
}

// Who wants a runner back that somebody has disabled since they looked is told so.
func TestEnableOfWhatWasDisabledMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name    string
		looked  time.Time
		acts    time.Duration // after the mark
		rivaled bool
	}{
		{"looked before", markedAt.Add(-time.Second), time.Hour, true},
		{"looked since", markedAt.Add(time.Second), time.Hour, false},
		{"does not say", time.Time{}, time.Hour, false},
		{"a mark of the future", markedAt.Add(-time.Hour), -time.Minute, false},
	} {
		l := labelled("r", "main")
		d := deployment(meta("ns", "r", l), 0, container("main", "acme/r:1.0.0"))
		d.Annotations = map[string]string{systems.AnnotationDisabled: marking{By: "bob", At: markedAt, Note: "broken disk", Key: "k", Restore: map[string]any{"/spec/replicas": 2}}.text()}
		synctest.Test(t, func(t *testing.T) {
			b, _ := withHands(t, nil, d)
			defer b.end()
			r := b.runner("labelled", "r")
			_, err := b.Do(t.Context(), store.Action{Verb: store.VerbEnable, Ref: r.Ref, At: markedAt.Add(c.acts), Looked: c.looked, By: store.Person{Name: "ada"}}, r)
			if errors.Is(err, store.ErrConflict) != c.rivaled || c.rivaled && !strings.Contains(err.Error(), `disabled by bob`) {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
}

// What the board was about to finish, somebody has thought better of meanwhile: it is left to them.
func TestWhatWasBegunIsRevokedMeanwhile(t *testing.T) {
	mark := marking{By: "ada", At: markedAt, Key: "k", Phase: phaseDisabling, Restore: map[string]any{"/spec/replicas": 3}}
	back := mark
	back.Phase = phaseEnabling
	for want, now := range map[string]*unstructured.Unstructured{
		`3 replicas, marked false, phase ""`:        deployed("a", 3, nil),
		`3 replicas, marked true, phase "enabling"`: deployed("a", 3, &back),
	} {
		r := newReach(t, deployed("a", 3, &mark), deployed("b", 3, nil))
		r.alone = true
		grips := []*grip{r.grip("a"), r.grip("b")}
		r.beforehand("a", now)
		if err := r.tend(t.Context(), grips); !errors.Is(err, store.ErrConflict) || r.is("a") != want || r.grip("b").marked {
			t.Errorf("%v; it is %s, and not %s; the other %s", err, r.is("a"), want, r.is("b"))
		}
	}
}

// A mark is input, not authority: whoever can annotate an object has the board end no work in namespaces that are not the runner's, nor
// take anything out of service there that is not marked itself. Somebody who asks is not held back.
func TestAMarkEndsNoWorkElsewhere(t *testing.T) {
	r := newReach(t, deployed("a", 3, &marking{At: markedAt, Phase: phaseDisabling}), deployed("b", 3, nil))
	r.work = []*corev1.Pod{running(&corev1.Pod{ObjectMeta: meta("victim", "w", nil)}), running(&corev1.Pod{ObjectMeta: meta("ns", "w", nil)})}
	elsewhere := r.grip("b")
	elsewhere.object.Namespace = "victim"
	grips := []*grip{r.grip("a"), elsewhere}
	touched := func(j *job) (out []string) {
		for _, s := range j.steps {
			if !s.hidden {
				out = append(out, s.verb+" "+s.effect.Object.Namespace+"/"+s.effect.Object.Name)
			}
		}
		return out
	}
	r.alone = true
	m, _, _ := leadingGrip(grips)
	j, _ := r.tending(grips, m)
	if got, want := touched(j), []string{"patch ns/a", "delete ns/w"}; !slices.Equal(got, want) {
		t.Errorf("a mark has the board %q, not %q", got, want)
	}
	r.alone = false
	asked := &job{}
	r.pullAll(asked, grips, m)
	if got, want := touched(asked), []string{"patch ns/a", "patch victim/b", "delete victim/w", "delete ns/w"}; !slices.Equal(got, want) {
		t.Errorf("who asks has it %q, not %q", got, want)
	}
}

// What was refused half-way is taken back, with the phase by which the board would go on by itself.
func TestWhatIsRefusedIsTakenBack(t *testing.T) {
	refused := apierrors.NewForbidden(kinds["Deployment"].GroupResource(), "b", errors.New("a policy is against it"))
	mine := marking{By: "ada", At: markedAt, Key: "k"}
	older := &marking{By: "bob", At: markedAt.Add(-time.Hour), Key: "j", Restore: map[string]any{"/spec/replicas": 3}}
	for _, c := range []struct {
		name   string
		a, b   *unstructured.Unstructured
		enable bool
		answer error
		isA    string
		goesOn bool
	}{
		{"disable", deployed("a", 3, nil), deployed("b", 2, nil), false, refused, `3 replicas, marked false, phase ""`, false},
		{"disable again", deployed("a", 0, older), deployed("b", 2, nil), false, refused, `0 replicas, marked true, phase ""`, false},
		{"disable, invalid", deployed("a", 3, nil), deployed("b", 2, nil), false, apierrors.NewBadRequest("no"), `3 replicas, marked false, phase ""`, false},
		{"disable, cut off", deployed("a", 3, nil), deployed("b", 2, nil), false, apierrors.NewInternalError(errors.New("gone")), `0 replicas, marked true, phase "disabling"`, true},
		{"enable", deployed("b", 0, older), deployed("a", 0, older), true, refused, `0 replicas, marked true, phase ""`, false},
	} {
		r := newReach(t, c.a, c.b)
		j, grips := &job{}, []*grip{r.grip("a"), r.grip("b")}
		if c.enable {
			slices.Reverse(grips) // b leads, and comes last
			r.answer("b", 1, func() error { return c.answer })
			r.giveBack(j, grips)
		} else {
			r.answer("b", 0, func() error { return c.answer })
			r.pullAll(j, grips, mine)
		}
		before := r.is("b") + r.grip("b").mark.text()
		out, err := r.perform(t.Context(), j)
		if err == nil || r.is("a") != c.isA || (out.Waits != "") != c.goesOn {
			t.Errorf("%s: %v; it is %s, and waits %q", c.name, err, r.is("a"), out.Waits)
		}
		if after := r.is("b") + r.grip("b").mark.text(); before != after {
			t.Errorf("%s: b was %s, and is %s", c.name, before, after)
		}
		if first := out.Steps[0]; !c.goesOn && (first.After != first.Before || first.Problem == "") {
			t.Errorf("%s: the answer tells %+v", c.name, first)
		}
	}
}

// What somebody has changed since is not taken back.
func TestTakingBackLeavesOthersChanges(t *testing.T) {
	r := newReach(t, deployed("a", 3, nil), deployed("b", 2, nil))
	r.answer("b", 0, func() error {
		if err := r.fake.Tracker().Update(kinds["Deployment"], deployed("a", 5, nil), "ns"); err != nil {
			t.Fatal(err)
		}
		return apierrors.NewForbidden(kinds["Deployment"].GroupResource(), "b", nil)
	})
	r.answer("a", 1, func() error { return apierrors.NewConflict(kinds["Deployment"].GroupResource(), "a", nil) })
	j := &job{}
	r.pullAll(j, []*grip{r.grip("a"), r.grip("b")}, marking{By: "ada", At: markedAt, Key: "k"})
	if _, err := r.perform(t.Context(), j); !errors.Is(err, store.ErrForbidden) || r.is("a") != `5 replicas, marked false, phase ""` {
		t.Errorf("%v; it is %s", err, r.is("a"))
	}
}

// What the board finishes by itself is told in the audit, by whichever board did it, and once.
func TestTheAuditTellsWhatWasFinished(t *testing.T) {
	for _, c := range []struct {
		mark marking
		verb store.Verb
		note string
		work string
	}{
		{marking{By: "ada", Phase: phaseDisabling}, store.VerbDisable, "what was begun is finished; disabled by ada", ""},
		{marking{By: "ada", Phase: phaseDisabling}, store.VerbDisable, "what was begun is finished, but for work in other namespaces; disabled by ada", "victim"},
		{marking{By: "ada", Phase: phaseDraining, Drain: true}, store.VerbDisable, "its work has ended; disabled by ada", ""},
		{marking{By: "ada", Phase: phaseEnabling, Restore: map[string]any{"/spec/replicas": 3}}, store.VerbEnable, "what was begun is finished; disabled by ada", ""},
		{marking{By: "ada", Until: markedAt, Restore: map[string]any{"/spec/replicas": 3}}, store.VerbEnable, "its time was over; disabled by ada", ""},
	} {
		c.mark.At = markedAt
		r := newReach(t, deployed("a", 3, &c.mark), deployed("b", 3, nil))
		if c.verb == store.VerbEnable {
			r = newReach(t, deployed("a", 0, &c.mark), deployed("b", 3, nil))
		}
		var told []store.Entry
		r.c.cfg.Tended = func(_ context.Context, e store.Entry) { told = append(told, e) }
		events := fake.NewClientset()
		r.c.client, r.alone = events, true
		if c.work != "" {
			r.work = []*corev1.Pod{running(&corev1.Pod{ObjectMeta: meta(c.work, "w", nil)})}
		}
		for range 2 { // the second time there is nothing to be done
			r.wrote = false
			if err := r.tend(t.Context(), []*grip{r.grip("a"), r.grip("b")}); err != nil {
				t.Fatal(err)
			}
		}
		list, err := events.CoreV1().Events("ns").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 || !strings.HasSuffix(list.Items[0].Message, "d by trackside: "+c.note) || list.Items[0].InvolvedObject.Name != "a" {
			t.Errorf("%s: its Events are %+v, %v", c.note, list, err)
		}
		if len(told) != 1 || told[0].Verb != string(c.verb) || told[0].Note != c.note || told[0].Result != store.ResultDone {
			t.Errorf("%s: told %+v", c.note, told)
		}
	}
}

// Everything that is remembered was off by hand before: who enables the runner wants it in service, whether or not all is done in one go.
// The end of a mark's time restores what was. A schedule that was suspended beside something else stays so.
func TestEnableOfWhatWasOffBefore(t *testing.T) {
	off := &marking{By: "ada", At: markedAt, Key: "k", Until: markedAt, Restore: map[string]any{"/spec/replicas": 0}}
	two := &marking{By: "ada", At: markedAt, Key: "k", Restore: map[string]any{"/spec/replicas": 2}}
	for _, c := range []struct {
		name  string
		b     *marking
		alone bool
		cut   bool
		want  string
	}{
		{"somebody enables it", off, false, false, "1 and 1"},
		{"its time is over", off, true, false, "0 and 0"},
		{"only a part of it was off", two, false, false, "0 and 2"},
		{"half is left to the board", off, false, true, "1 and 1"},
	} {
		r := newReach(t, deployed("a", 0, off), deployed("b", 0, c.b))
		r.alone = c.alone
		grips := []*grip{r.grip("a"), r.grip("b")}
		j, err := &job{}, error(nil)
		if c.alone {
			j, _ = r.tending(grips, grips[0].mark)
		} else {
			j, err = r.enabling(store.VerbEnable, grips)
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.cut {
			r.answer("b", 0, func() error { return apierrors.NewInternalError(errors.New("gone")) })
		}
		for _, s := range j.steps {
			if was := s.effect.Before; !c.alone && c.want == "1 and 1" && !s.hidden && (was != "0 replicas" || s.effect.After != "1 replica") {
				t.Errorf("%s: told as %+v", c.name, s.effect)
			}
		}
		if _, err := r.perform(t.Context(), j); (err != nil) != c.cut {
			t.Errorf("%s: %v", c.name, err)
		}
		r.alone = true
		if err := r.tend(t.Context(), []*grip{r.grip("a"), r.grip("b")}); err != nil {
			t.Error(err)
		}
		a, b := r.grip("a"), r.grip("b")
		if got := fmt.Sprintf("%v and %v", a.value(a.lever.Settings[0]), b.value(b.lever.Settings[0])); got != c.want || a.marked || b.marked {
			t.Errorf("%s: it has %s replicas, and not %s; marked %t and %t", c.name, got, c.want, a.marked, b.marked)
		}
	}
}
