package control

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// fatalError ends a poll at once.
type fatalError struct{ error }

func fatal(err error) error { return fatalError{err} }

func (e fatalError) Unwrap() error { return e.error }

// poll calls done until it returns nil, and says what it waited for when it gives up.
func poll(ctx context.Context, limit time.Duration, what string, done func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	for {
		err := done(ctx)
		if err == nil {
			return nil
		}
		if stop := (fatalError{}); errors.As(err, &stop) || time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
