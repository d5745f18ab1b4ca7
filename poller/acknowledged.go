package poller

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"trackside/store"
)

// Acknowledgements keeps who is on which failure.
type Acknowledgements interface {
	Acknowledgements(ctx context.Context) ([]store.Acknowledgement, error)
	// Acknowledge keeps one, in place of that of the same runner; EndAcknowledgement forgets it, unless another took its place.
	Acknowledge(ctx context.Context, a store.Acknowledgement) error
	EndAcknowledgement(ctx context.Context, a store.Acknowledgement) error
}

// Acknowledged is the source of who is on which failure: it hands them to the snapshot, and forgets each when its runner has recovered.
type Acknowledged struct {
	kept    Acknowledgements
	wake    chan struct{}
	over    chan store.Acknowledgement
	writing sync.Mutex
	mu      sync.Mutex
	all     []store.Acknowledgement
	changed bool
}

// maxOver bounds the ends that wait to be written; one that finds no room is ended when the runner is next seen well.
const maxOver = 1000

// NewAcknowledged reads what is kept. The error is the keeper's.
func NewAcknowledged(ctx context.Context, kept Acknowledgements) (*Acknowledged, error) {
	all, err := kept.Acknowledgements(ctx)
	if err != nil {
		return nil, err
	}
	a := &Acknowledged{kept: kept, wake: make(chan struct{}, 1), over: make(chan store.Acknowledgement, maxOver), all: all, changed: true}
	signal(a.wake)
	return a, nil
}

// Acknowledge keeps who is on a failure, and shows it. The error is the keeper's.
func (a *Acknowledged) Acknowledge(ctx context.Context, x store.Acknowledgement) error {
	x.At = x.At.Truncate(time.Millisecond) // as it is kept
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := a.kept.Acknowledge(ctx, x); err != nil {
		return fmt.Errorf("acknowledging the failure of %s: %w", x.Ref, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(slices.Clone(a.all), func(y store.Acknowledgement) bool { return y.Ref == x.Ref })
	a.all = append(a.all, x)
	a.changed = true
	signal(a.wake)
	return nil
}

// Wake receives when somebody took on a failure.
func (a *Acknowledged) Wake() <-chan struct{} { return a.wake }

// Run forgets those that are over, until the context ends.
func (a *Acknowledged) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case x := <-a.over:
			a.writing.Lock()
			_ = a.kept.EndAcknowledgement(ctx, x) // what stays is ended after the next start
			a.writing.Unlock()
		}
	}
}

// seen reports whether all that tells of a cluster is live: before, a runner that is not there may only not have been seen yet.
func seen(s *store.Snapshot, cluster string) (live bool) {
	for _, src := range s.Sources {
		if src.Cluster == cluster {
			if src.State != store.SourceLive {
				return false
			}
			live = true
		}
	}
	return live
}

// Observe hands over the acknowledgements that hold, when there are others than before, and ends those whose runner has recovered, or is gone.
func (a *Acknowledged) Observe(prev *store.Snapshot, _ []store.Ref, _ time.Time) store.Touched {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(x store.Acknowledgement) bool {
		r, err := prev.Runner(x.Ref)
		if err != nil && !seen(prev, x.Ref.Cluster) || err == nil && !x.Ended(r) {
			return false
		}
		select {
		case a.over <- x:
			return true
		default:
			return false
		}
	})
	if !a.changed {
		return store.Touched{}
	}
	a.changed = false
	list := slices.Clone(a.all)
	return store.Touched{Acknowledged: &list}
}
