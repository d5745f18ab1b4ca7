package kube

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// A runner that is looked at again says the same, unless the time has come that it had named: what is learnt at one look does not turn the next.
func TestARunnerThatRestsSaysTheSame(t *testing.T) {
	shown := 0
	for _, s := range readStatuses(t) {
		if s.Pod.Name == "" {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(s.Now))
			pod := s.Pod.DeepCopy()
			if pod.UID == "" {
				pod.UID = types.UID("uid-" + s.Name)
			}
			if s.System == systems.Labelled.Name {
				pod.Labels = labelled("a", map[bool]string{true: "main"}[s.Component])
			}
			objects := []runtime.Object{pod}
			if n := s.NodeObject(); n != nil {
				objects = append(objects, n)
			}
			for _, e := range s.EventObjects() {
				objects = append(objects, &e)
			}
			b := newBoard(t, Config{}, nil, objects...)
			defer b.end()
			for first := range b.snap.Runners() {
				shown++
				ref, before := first.Ref, said(first)
				for range 3 {
					if next := first.NextCheck(); !next.IsZero() && next.Before(time.Now().Add(2*time.Second)) {
						break
					}
					b.touch(ref)
					b.look()
					again, _ := b.snap.Runner(ref)
					if again == nil || said(again) != before {
						t.Errorf("%s: first\n%s\nthen\n%s", s.Name, before, said(again))
						break
					}
				}
			}
		})
	}
	if shown < 180 {
		t.Errorf("%d runners were shown, want at least 180", shown)
	}
}

// said is how a runner and its parts are.
func said(r *store.Runner) string {
	if r == nil {
		return "nothing"
	}
	out := fmt.Sprintln(r.Health, r.Reason, r.Raw)
	for _, c := range r.Components {
		out += fmt.Sprintln(c.Name, c.Health, c.Reason, c.Raw)
	}
	for _, w := range r.Workloads {
		out += fmt.Sprintln(w.Name, w.Health, w.Reason, w.Raw)
	}
	return out
}
