package kube

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
	"trackside/systems"
)

var markedAt = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// scaled is a Deployment as a part, with a mark or none.
func scaled(desired int32, m *marking, pods ...*corev1.Pod) part {
	p := part{kind: "Deployment", desired: desired, pods: pods, object: systems.Object{Kind: "Deployment", Name: "a"}}
	if m != nil {
		p.object.Annotations = map[string]string{systems.AnnotationDisabled: m.text()}
	}
	return p
}

// What the objects say of a runner's being in service, as asked for and as seen.
func TestService(t *testing.T) {
	sw := (*systems.System)(nil).SwitchOf()
	done := &marking{By: "ada", At: markedAt, Restore: map[string]any{"/spec/replicas": 3}}
	with := func(change func(*marking)) *marking { m := *done; change(&m); return &m }
	draining := with(func(m *marking) { m.Phase, m.Drain, m.Restore = phaseDraining, true, nil })
	pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	deleted := scaled(1, nil)
	deleted.object.Deleting = true
	for _, c := range []struct {
		name                string
		parts               []part
		busy                bool
		requested, observed store.State
		tend, draining      bool
	}{
		{"at work", []part{scaled(1, nil)}, true, store.Enabled, store.Enabled, false, false},
		{"scaled by hand", []part{scaled(0, nil)}, false, store.Disabled, store.Disabled, false, false},
		{"disabled", []part{scaled(0, done)}, false, store.Disabled, store.Disabled, false, false},
		{"its pod ends", []part{scaled(0, done, pod)}, false, store.Disabled, store.Enabled, false, false},
		{"brought back by hand", []part{scaled(2, done)}, false, store.Enabled, store.Enabled, true, false},
		{"it had no replicas before either", []part{scaled(0, with(func(m *marking) { m.Restore = map[string]any{"/spec/replicas": 0} })), scaled(1, nil)}, false, store.Disabled, store.Enabled, false, false},
		{"work is let finish", []part{scaled(1, draining)}, true, store.Disabled, store.Enabled, false, true},
		{"its work has ended", []part{scaled(1, draining)}, false, store.Disabled, store.Enabled, true, true},
		{"half done", []part{scaled(0, with(func(m *marking) { m.Phase = phaseDisabling })), scaled(1, nil)}, false, store.Disabled, store.Enabled, true, false},
		{"half back", []part{scaled(0, with(func(m *marking) { m.Phase = phaseEnabling })), scaled(1, nil)}, false, store.Enabled, store.Enabled, true, false},
		{"its time is over", []part{scaled(0, with(func(m *marking) { m.Until = markedAt.Add(-time.Second) }))}, false, store.Disabled, store.Disabled, true, false},
		{"being deleted", []part{deleted}, false, store.Deleting, store.Enabled, false, false},
		{"work lives on", []part{scaled(0, with(func(m *marking) { m.Drain = true }))}, true, store.Disabled, store.Enabled, false, true},
	} {
		s := serviceOf(sw, c.parts, nil, c.busy, markedAt)
		if s.requested != c.requested || s.observed != c.observed || s.tend != c.tend || s.mark.Draining != c.draining {
			t.Errorf("%s: asked %s, seen %s, tend %t, draining %t", c.name, s.requested, s.observed, s.tend, s.mark.Draining)
		}
	}
}

// Whatever somebody writes into the annotation, it is bounded, clean, and restores nothing but what fits.
func TestHostileMarks(t *testing.T) {
	for _, text := range []string{"", "{", "null", "[]", `{"by":3}`, `{"by":"x"}`, strings.Repeat("x", 1<<20), "{\"at\":\"2026-11-20T12:00:00Z\"}garbage", "\xff\x00\x02"} {
		m, marked, broken := readMark(map[string]string{systems.AnnotationDisabled: text})
		if !marked || !broken || m.Restore != nil || len(m.Note) > 300 || store.Clean(m.Note, 300) != m.Note {
			t.Errorf("%.20q: %+v", text, m)
		}
	}
	s := serviceOf((*systems.System)(nil).SwitchOf(), []part{{kind: "Deployment", desired: 1,
		object: systems.Object{Annotations: map[string]string{systems.AnnotationDisabled: "{"}}}}, nil, false, markedAt)
	if s.requested != store.Enabled || s.tend || s.mark.IsZero() {
		t.Errorf("with a broken mark: %+v", s)
	}
	for _, c := range []struct {
		restore map[string]any
		want    any
	}{
		{map[string]any{"/spec/replicas": 4.0}, int64(4)},
		{map[string]any{"/spec/replicas": "5"}, int64(5)},
		{map[string]any{"/spec/replicas": 1e9}, int64(1)},
		{map[string]any{"/spec/replicas": -1.0}, int64(1)},
		{map[string]any{"/spec/replicas": map[string]any{"a": 1}}, int64(1)},
		{map[string]any{"/spec/template/spec/serviceAccountName": "admin"}, int64(1)},
		{nil, int64(1)},
	} {
		g := gripOf(t, 0, &marking{By: "m", At: markedAt, Restore: c.restore})
		if c.restore == nil {
			g.mark, g.marked = marking{}, false
		}
		patch, err := (&hand{}).letGo(g)
		if err != nil {
			t.Fatal(err)
		}
		spec, _ := patch["spec"].(map[string]any)
		if len(spec) != 1 || spec["replicas"] != c.want {
			t.Errorf("%v restores %v", c.restore, patch)
		}
	}
}

// gripOf is a Deployment as the API server has it.
func gripOf(t *testing.T, replicas int64, m *marking) *grip {
	t.Helper()
	sw := (*systems.System)(nil).SwitchOf()
	object := systems.Object{Kind: "Deployment", Name: "a"}
	lever, _ := sw.Lever(object, "")
	g := &grip{held: held{object: object, lever: lever}}
	live := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": replicas}}}
	if m != nil {
		live.SetAnnotations(map[string]string{systems.AnnotationDisabled: m.text()})
	}
	g.see(live)
	return g
}

// Pulling remembers what was, once, and changes nothing that is as it should be.
func TestPull(t *testing.T) {
	m := marking{By: "ada", At: markedAt, Note: "why", Key: "k"}
	applied := func(g *grip) *grip {
		t.Helper()
		patch, err := pull(m, true)(g)
		if err != nil {
			t.Fatal(err)
		}
		if patch == nil {
			return nil
		}
		text := patch["metadata"].(map[string]any)["annotations"].(map[string]any)[systems.AnnotationDisabled].(string)
		var next marking
		if json.Unmarshal([]byte(text), &next) != nil {
			t.Fatal(text)
		}
		return gripOf(t, 0, &next)
	}
	g := applied(gripOf(t, 3, nil))
	if n := g.mark.Restore["/spec/replicas"]; n != 3.0 || g.mark.By != "ada" {
		t.Errorf("remembers %v", g.mark)
	}
	if again := applied(g); again != nil {
		t.Error("done twice, it is changed twice")
	}
	later := m
	later.At, later.Key = markedAt.Add(seenAfter+time.Second), "l"
	if patch, err := pull(later, true)(g); err != nil || patch["spec"] != nil {
		t.Errorf("renewed: %v, %v", patch, err)
	}
	soon := later
	soon.At, soon.By = markedAt.Add(time.Second), "bob"
	if _, err := pull(soon, true)(g); err == nil {
		t.Error("a rival is not refused")
	}
	for name, c := range map[string]struct {
		mark   marking
		rivals bool
	}{
		"who has seen the mark":                  {marking{By: "bob", Note: "other", looked: markedAt.Add(time.Second)}, false},
		"who looked before it":                   {marking{By: "bob", Note: "other", looked: markedAt.Add(-time.Second)}, true},
		"who looked before it, and is not told":  {marking{By: "ada", Note: "other", looked: markedAt.Add(-time.Second)}, true},
		"the same for another runner of the set": {marking{By: "ada", Note: "why", looked: markedAt.Add(-time.Second)}, false},
	} {
		for _, later := range []time.Duration{2 * time.Second, 2 * seenAfter} {
			c.mark.At, c.mark.Key = markedAt.Add(later), "l"
			if _, err := pull(c.mark, true)(gripOf(t, 0, &g.mark)); errors.Is(err, store.ErrConflict) != c.rivals {
				t.Errorf("%s, %s later: %v", name, later, err)
			}
		}
	}
	if patch, _ := pull(marking{By: "ada", At: markedAt, Phase: phaseDraining}, false)(gripOf(t, 3, nil)); patch["spec"] != nil {
		t.Errorf("only marked, it changes %v", patch)
	}
	if patch, err := (&hand{}).letGo(gripOf(t, 2, &g.mark)); err != nil || patch["spec"] != nil || patch["metadata"] == nil {
		t.Errorf("scaled by hand, it is given back %v, %v", patch, err)
	}
}

// An autoscaler's least is respected on the way back.
func TestBackToTheAutoscalersLeast(t *testing.T) {
	scaler := unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"minReplicas": int64(5),
		"scaleTargetRef": map[string]any{"kind": "Deployment", "name": "a"}}}}
	h := &hand{scalers: []unstructured.Unstructured{scaler}}
	for was, want := range map[float64]int64{3: 5, 7: 7} {
		patch, err := h.letGo(gripOf(t, 0, &marking{By: "ada", At: markedAt, Restore: map[string]any{"/spec/replicas": was}}))
		if err != nil || patch["spec"].(map[string]any)["replicas"] != want {
			t.Errorf("from %v: %v, %v", was, patch, err)
		}
	}
	patch, _ := h.letGo(gripOf(t, 0, &marking{By: "ada", At: markedAt, Restore: map[string]any{"/spec/replicas": 0.0}}))
	if patch["spec"] != nil {
		t.Errorf("what was at 0 is given back %v", patch)
	}
}

// The owner of a finalizer is who set it, else its domain.
func TestFinalizerOwner(t *testing.T) {
	live := &unstructured.Unstructured{Object: map[string]any{"kind": "Deployment", "metadata": map[string]any{"name": "a"}}}
	live.SetFinalizers([]string{metav1.FinalizerDeleteDependents})
	if _, ok := blocking(live); ok {
		t.Error("the garbage collector blocks")
	}
	live.SetFinalizers([]string{"a.example/x", "b.example/y"})
	live.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "keeper", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:finalizers":{"v:\"a.example/x\"":{}}}}`)}})
	trap, _ := blocking(live)
	if why := string(trap.Why); !strings.Contains(why, "a.example/x, set by keeper") || !strings.Contains(why, "b.example/y, of b.example") {
		t.Error(why)
	}
}

func FuzzReadMark(f *testing.F) {
	f.Add(`{"by":"a","at":"2026-11-20T12:00:00Z","restore":{"/spec/replicas":3}}`)
	f.Add("{")
	f.Fuzz(func(t *testing.T, text string) {
		m, marked, _ := readMark(map[string]string{systems.AnnotationDisabled: text})
		if !marked || m.By == "" && m.At.IsZero() || len(m.Note) > store.MaxNote+len("…") || store.Clean(m.By, 200) != m.By {
			t.Errorf("%q: %+v", text, m)
		}
		_, _ = (&hand{}).letGo(gripOf(t, 0, &m))
	})
}
