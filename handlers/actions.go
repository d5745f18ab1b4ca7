package handlers

import (
	"context"

	"trackside/store"
)

// Actions changes runners. Errors are of the closed set: store.ErrInvalid for what nobody could mean, ErrNotFound, ErrConflict for a
// runner that is not the one that was seen, ErrForbidden naming the verb that lacks, ErrUnavailable.
type Actions interface {
	// Plan says what an action would do; it changes nothing.
	Plan(ctx context.Context, a store.Action) (store.Plan, error)
	// Do does it, once for each key.
	Do(ctx context.Context, a store.Action) (store.Outcome, error)
}

// Audit keeps who did what.
type Audit interface {
	// Enter adds an entry, and answers with its id.
	Enter(ctx context.Context, e store.Entry) (int64, error)
	// Entries reads those that the filter selects, newest first, at most limit.
	Entries(ctx context.Context, f store.EntryFilter, limit int) ([]store.Entry, error)
}
