package poller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"trackside/store"
)

// onFile keeps acknowledgements in memory.
type onFile struct {
	all   []store.Acknowledgement
	ended int
	full  error
}

func (o *onFile) Acknowledgements(context.Context) ([]store.Acknowledgement, error) {
	return o.all, o.full
}
func (o *onFile) Acknowledge(context.Context, store.Acknowledgement) error { return o.full }
func (o *onFile) EndAcknowledgement(context.Context, store.Acknowledgement) error {
	o.ended++
	return nil
}

// Who is on a failure is shown until the runner recovers, after a restart too; the page ends it in the very step in which it recovers.
func TestAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := store.Ref{Cluster: "c", Name: "r"}
		kept := &onFile{all: []store.Acknowledgement{{Ref: ref, By: "ada", At: time.Now()}}}
		a, err := NewAcknowledged(t.Context(), kept)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		<-a.Wake()
		snap := &store.Snapshot{}
		look := func(health store.Health) {
			t.Helper()
			touched := a.Observe(snap, nil, time.Now())
			if health != store.Unknown {
				touched.Runners = []*store.Runner{{Ref: ref, Verdict: store.Verdict{Health: health, Why: "x"}}}
			}
			snap, _ = store.Apply(snap, touched, time.Now())
		}
		by := func() string { x, _ := snap.Acknowledged(ref); return x.By }
		look(store.Unhealthy)
		if by() != "ada" {
			t.Errorf("restored: %q", by())
		}
		if err := a.Acknowledge(ctx, store.Acknowledgement{Ref: ref, By: "bob", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		<-a.Wake()
		look(store.Degraded)
		if by() != "bob" {
			t.Errorf("taken over: %q", by())
		}
		look(store.Healthy)
		if by() != "" {
			t.Errorf("recovered: %q", by())
		}
		look(store.Unknown)
		synctest.Wait()
		if kept.ended != 1 {
			t.Errorf("ended %d times", kept.ended)
		}
		kept.full = store.ErrUnavailable
		if err := a.Acknowledge(ctx, store.Acknowledgement{Ref: ref, By: "eve"}); !errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A runner that is gone takes with it who was on its failure: another of its name is another failure. One of a cluster that is not seen may be there.
func TestTheAcknowledgementOfAGoneRunner(t *testing.T) {
	for state, want := range map[store.SourceState]int{store.SourceLive: 1, store.SourceStale: 0} {
		synctest.Test(t, func(t *testing.T) {
			kept := &onFile{all: []store.Acknowledgement{{Ref: store.Ref{Cluster: "c", Name: "r"}, By: "ada", At: time.Now()}}}
			a, err := NewAcknowledged(t.Context(), kept)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- a.Run(ctx) }()
			a.Observe(store.NewSnapshot(nil, []store.Source{{Cluster: "c", State: state}}, time.Now()), nil, time.Now())
			synctest.Wait()
			if kept.ended != want || len(a.all) != 1-want {
				t.Errorf("%v: ended %d times, and %d are left", state, kept.ended, len(a.all))
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
