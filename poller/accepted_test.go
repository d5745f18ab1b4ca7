package poller_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller"
	"trackside/store"
)

// ledger is a poller.Ledger in memory.
type ledger struct {
	kept []store.Acceptance
	err  error
}

func (l *ledger) Acceptances(context.Context) ([]store.Acceptance, error) {
	return slices.Clone(l.kept), l.err
}

func (l *ledger) Accept(_ context.Context, a store.Acceptance) error {
	l.kept = append(l.kept, a)
	return l.err
}

func (l *ledger) Withdraw(_ context.Context, a store.Acceptance) error {
	n := len(l.kept)
	l.kept = slices.DeleteFunc(l.kept, func(x store.Acceptance) bool { return x.Compare(a) == 0 })
	if l.err == nil && len(l.kept) == n {
		return store.ErrNotFound
	}
	return l.err
}

func acceptance(object string, until time.Time) store.Acceptance {
	return store.Acceptance{Ref: store.Ref{Cluster: "c", System: "s", Name: "n"}, Code: "probe", Object: object, Note: "known", Until: until}
}

func TestAnAcceptanceIsShownUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{kept: []store.Acceptance{acceptance("old", time.Now().Add(-time.Hour)), acceptance("kept", time.Now().Add(time.Hour))}}
		a, err := poller.NewAccepted(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		holding := func() (objects []string) {
			<-a.Wake()
			o := a.Observe(nil, nil, time.Now())
			if o.Accepted == nil {
				t.Fatal("nothing is handed over")
			}
			for _, x := range *o.Accepted {
				objects = append(objects, x.Object)
			}
			return objects
		}
		if got := holding(); !slices.Equal(got, []string{"kept"}) {
			t.Errorf("at first %v", got)
		}
		if o := a.Observe(nil, nil, time.Now()); o.Accepted != nil {
			t.Error("the same is handed over twice")
		}
		if err := a.Accept(t.Context(), acceptance("new", time.Now().Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
		if got := holding(); !slices.Equal(got, []string{"kept", "new"}) {
			t.Errorf("after another %v", got)
		}
		begin := time.Now()
		if got := holding(); !slices.Equal(got, []string{"kept"}) || time.Since(begin) != time.Minute {
			t.Errorf("after %s %v", time.Since(begin), got)
		}
		if err := a.Accept(t.Context(), acceptance("kept", time.Now().Add(time.Second))); err != nil {
			t.Fatal(err)
		}
		if got := holding(); !slices.Equal(got, []string{"kept"}) {
			t.Errorf("given again %v", got)
		}
		if got := holding(); len(got) != 0 {
			t.Errorf("at last %v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnAcceptanceIsWithdrawn(t *testing.T) {
	l := &ledger{kept: []store.Acceptance{acceptance("a", time.Now().Add(time.Hour)), acceptance("b", time.Now().Add(time.Hour))}}
	a, err := poller.NewAccepted(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	a.Observe(nil, nil, time.Now())
	<-a.Wake()
	if err := a.Withdraw(t.Context(), acceptance("a", time.Time{})); err != nil {
		t.Fatal(err)
	}
	<-a.Wake()
	if o := a.Observe(nil, nil, time.Now()); o.Accepted == nil || len(*o.Accepted) != 1 || (*o.Accepted)[0].Object != "b" {
		t.Errorf("there hold %v", o.Accepted)
	}
	if err := a.Withdraw(t.Context(), acceptance("a", time.Time{})); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	l.err = store.ErrUnavailable
	if err := a.Withdraw(t.Context(), acceptance("b", time.Time{})); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	if o := a.Observe(nil, nil, time.Now()); o.Accepted != nil {
		t.Errorf("what is still kept is taken back: %v", *o.Accepted)
	}
}

func TestAcceptRefuses(t *testing.T) {
	l := &ledger{}
	a, err := poller.NewAccepted(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Accept(t.Context(), acceptance("x", time.Now().Add(-time.Second))); !errors.Is(err, store.ErrInvalid) || len(l.kept) > 0 {
		t.Errorf("%v, %v", err, l.kept)
	}
	l.err = store.ErrUnavailable
	if err := a.Accept(t.Context(), acceptance("x", time.Now().Add(time.Hour))); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	if o := a.Observe(nil, nil, time.Now()); o.Accepted != nil {
		t.Errorf("what was not kept is shown: %v", *o.Accepted)
	}
	if _, err := poller.NewAccepted(t.Context(), l); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}
