package systems

import (
	"slices"
	"testing"

	"trackside/store"
)

// Which objects of each system are taken out of service, in which order, and how draining goes.
func TestSwitches(t *testing.T) {
	session := func(phase string, annotations map[string]string) Object {
		return Object{Kind: agenticSession, Annotations: annotations, Custom: map[string]any{"status": map[string]any{"phase": phase}}}
	}
	for _, c := range []struct {
		system    *System
		object    Object
		component string
		order     int
	}{
		{Kubiya, Object{Kind: "CronJob"}, "image-updater", 0},
		{Kubiya, Object{Kind: "Deployment"}, "agent-manager", 1},
		{Kubiya, Object{Kind: "StatefulSet"}, "dagger-engine", 2},
		{Plue, Object{Kind: "Deployment"}, pluePool, 0},
		{Release, Object{Kind: "StatefulSet"}, releaseContainer, 0},
		{Agyn, Object{Kind: "Deployment"}, agynRunner, 0},
		{Agyn, Object{Kind: "Runner"}, agynEnrolment, -1},
		{ARC, Object{Kind: arcScaleSet}, "scale-set", 0},
		{ARC, Object{Kind: "Deployment"}, "controller", 1},
		{ARC, Object{Kind: "Pod"}, "listener", -1},
		{Ambient, Object{Kind: projectSettings}, "", 0},
		{Ambient, session("Running", nil), "", 1},
		{Ambient, session("Completed", nil), "", -1},
		{Ambient, session("Stopped", map[string]string{AnnotationDisabled: "{}"}), "", 1},
		{Ambient, Object{Kind: "Deployment"}, ambientOperator, 2},
		{Ambient, Object{Kind: "Deployment"}, "frontend", -1},
		{GitLab, Object{Kind: "Deployment"}, "manager", 1},
		{Buildkite, Object{Kind: "Deployment"}, "controller", 0},
		{Labelled, Object{Kind: "CronJob"}, "a", 0},
		{Labelled, Object{Kind: "Pod"}, "a", -1},
	} {
		if _, order := c.system.SwitchOf().Lever(c.object, c.component); order != c.order {
			t.Errorf("%s: %s %s is lever %d, want %d", c.system.Name, c.object.Kind, c.component, order, c.order)
		}
	}
	outlives := []*System{Agyn, ARC, Buildkite}
	for _, s := range All() {
		if got := s.SwitchOf().Outlives; got != slices.Contains(outlives, s) {
			t.Errorf("%s: its work outlives it: %t", s.Name, got)
		}
	}
}

// Every setting words what it may be, knows when it is off, and gives back only what fits.
func TestSettings(t *testing.T) {
	for _, s := range All() {
		for _, l := range s.SwitchOf().Levers {
			for _, x := range l.Settings {
				for _, v := range []any{nil, x.Off, x.On, int64(3), 3.0, "3", "x", true, map[string]any{}} {
					if x.Word(v) == "" {
						t.Errorf("%s: %v of %v has no words", s.Name, v, x.Path)
					}
					if back, ok := x.Back(v); ok && !x.Fits(back) {
						t.Errorf("%s: %v gives back %v to %v", s.Name, v, back, x.Path)
					}
				}
				if !x.IsOff(x.Off) || x.IsOff(nil) {
					t.Errorf("%s: %v is off by %v", s.Name, x.Path, x.Off)
				}
			}
		}
	}
	if got := replicasSetting.Word(1.0); got != "1 replica" {
		t.Error(got)
	}
}

// Traps name what they are about, once, and none is told for what only looks.
func TestTraps(t *testing.T) {
	for _, s := range All() {
		sw := s.SwitchOf()
		if sw.Traps == nil {
			continue
		}
		for _, objects := range [][]Object{nil, {{Kind: "Deployment"}}} {
			for _, verb := range store.Verbs() {
				for _, trap := range sw.Traps(verb, objects) {
					if trap.Code == "" || trap.Why == "" || trap.Blocks {
						t.Errorf("%s %s: %+v", s.Name, verb, trap)
					}
					if verb == store.VerbProbe || verb == store.VerbAcknowledge {
						t.Errorf("%s: a trap on the way to %s", s.Name, verb)
					}
				}
			}
		}
	}
}
