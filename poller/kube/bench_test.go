package kube

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"

	"trackside/store"
)

// filled is a set whose caches hold n runners of two pods each, without an API server behind it.
func filled(tb testing.TB, n int) *set {
	tb.Helper()
	note := func(*set, any) {}
	s, err := newSet(context.Background(), fake.NewClientset(), nil, nil, nil, hooks{touched: note, gone: note, failed: func(*watched, error) {}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.stop)
	for i := range n {
		for _, o := range labelledRunner(fmt.Sprintf("runner-%04d", i), 2) {
			name := map[string]string{"*v1.Deployment": "deployments", "*v1.ReplicaSet": "replicasets", "*v1.Pod": "pods"}[fmt.Sprintf("%T", o)]
			for _, w := range s.watched {
				if w.name == name {
					if err := w.GetIndexer().Add(transformed(tb, s, o)); err != nil {
						tb.Fatal(err)
					}
				}
			}
		}
	}
	return s
}

// What one change costs must not follow the fleet: the pod's runner is found by its owner, and nothing else is looked at.
func BenchmarkObserveOneChange(b *testing.B) {
	for _, n := range []int{100, 2_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, c := filled(b, n), newCluster(b, Config{})
			c.install(s)
			now := time.Now()
			snap, _ := store.Apply(&store.Snapshot{}, c.Observe(&store.Snapshot{}, nil, now), now)
			if snap.Len() != n {
				b.Fatalf("%d runners", snap.Len())
			}
			well := s.podNamed("ns/runner-0050-0")
			states := []*corev1.Pod{crashing(well), well}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := states[i%2]
				for _, w := range s.watched {
					if w.name == "pods" {
						if err := w.GetIndexer().Update(p); err != nil {
							b.Fatal(err)
						}
					}
				}
				c.noteTouched(s, p)
				var changes []store.Change
				if snap, changes = store.Apply(snap, c.Observe(snap, nil, now), now); len(changes) != 1 {
					b.Fatalf("%d changes", len(changes))
				}
			}
		})
	}
}
