package poller

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"trackside/store"
)

// Ledger keeps the acceptances of findings.
type Ledger interface {
	// Acceptances lists all that are kept, those that have ended too.
	Acceptances(ctx context.Context) ([]store.Acceptance, error)
	// Accept keeps one, in place of the one of the same runner, code and object.
	Accept(ctx context.Context, a store.Acceptance) error
	// Withdraw forgets the one of the same runner, code and object; store.ErrNotFound where there is none.
	Withdraw(ctx context.Context, a store.Acceptance) error
}

// Accepted is the source of what people have accepted: it hands the acceptances that hold to the snapshot, and takes each back when it ends.
type Accepted struct {
	ledger Ledger
	now    func() time.Time
	wake   chan struct{}
	again  chan struct{} // the next end may be another
	// writing is held by whoever writes to the ledger, so that a slow disk does not keep Observe waiting for mu.
	writing sync.Mutex
	mu      sync.Mutex
	all     []store.Acceptance
	told    []store.Acceptance
}

// NewAccepted reads the ledger. The error is the ledger's.
func NewAccepted(ctx context.Context, l Ledger) (*Accepted, error) {
	all, err := l.Acceptances(ctx)
	if err != nil {
		return nil, err
	}
	a := &Accepted{ledger: l, now: time.Now, wake: make(chan struct{}, 1), again: make(chan struct{}, 1), all: all}
	signal(a.wake)
	return a, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Accept keeps an acceptance and shows it. It is store.ErrInvalid for one that nobody could mean, otherwise the ledger's error.
func (a *Accepted) Accept(ctx context.Context, x store.Acceptance) error {
	x.At = a.now()
	if err := x.Check(x.At); err != nil {
		return err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := a.ledger.Accept(ctx, x); err != nil {
		return fmt.Errorf("accepting %s of %s: %w", x.Code, x.Ref, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(y store.Acceptance) bool { return x.Compare(y) == 0 })
	a.all = append(a.all, x)
	signal(a.wake)
	signal(a.again)
	return nil
}

// Withdraw ends the acceptance of that runner, code and object now. It is store.ErrNotFound where none holds, otherwise the ledger's error.
func (a *Accepted) Withdraw(ctx context.Context, x store.Acceptance) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := a.ledger.Withdraw(ctx, x); err != nil {
		return fmt.Errorf("withdrawing the acceptance of %s of %s: %w", store.Clean(x.Code, 100), x.Ref, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(y store.Acceptance) bool { return x.Compare(y) == 0 })
	signal(a.wake)
	signal(a.again)
	return nil
}

// Wake receives when an acceptance was given or has ended.
func (a *Accepted) Wake() <-chan struct{} { return a.wake }

// Run waits for acceptances to end until the context does.
func (a *Accepted) Run(ctx context.Context) error {
	for {
		end := a.next()
		timer := time.NewTimer(max(0, end.Sub(a.now())))
		if end.IsZero() {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-a.again:
			timer.Stop()
		case <-timer.C:
			signal(a.wake)
		}
	}
}

// next is when the next acceptance ends; zero when none holds.
func (a *Accepted) next() (end time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for _, x := range a.all {
		if x.Until.After(now) && (end.IsZero() || x.Until.Before(end)) {
			end = x.Until
		}
	}
	return end
}

// Observe hands over the acceptances that hold, when they are not those that it handed over last.
func (a *Accepted) Observe(_ *store.Snapshot, _ []store.Ref, now time.Time) store.Touched {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(x store.Acceptance) bool { return !x.Until.After(now) })
	if slices.Equal(a.all, a.told) {
		return store.Touched{}
	}
	a.told = slices.Clone(a.all)
	list := slices.Clone(a.all)
	return store.Touched{Accepted: &list}
}
