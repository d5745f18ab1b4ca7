package live

import (
	"slices"

	"trackside/store"
)

// Page is what a view shows. Start and Next are called by one goroutine at a time; Full by any, so it must not read what
// those two keep.
type Page interface {
	// Key tells one view from another: pages of the same key show the same.
	Key() string
	// Start sets the page to a snapshot, forgetting any other.
	Start(s *store.Snapshot)
	// Next moves the page on by a step and says what its viewers must be sent.
	Next(st *Step) Patch
	// Full renders the events that make a page, whatever it shows now, show the snapshot.
	Full(s *store.Snapshot) ([]byte, error)
}

// Patch is what a step means for a page; the zero value says nothing at all.
type Patch struct {
	// Events lead from the step's first snapshot to its last.
	Events []byte
	// Full asks for the whole page instead.
	Full bool
}

// Step is what happened between two snapshots that pages have seen.
type Step struct {
	Before, After *store.Snapshot
	// Changes has one entry for each runner that differs, however often it changed in between.
	Changes []store.Change
	// Evidence are the IDs of the failures of which evidence has come.
	Evidence map[string]bool

	index  map[store.Ref]int
	shared map[any][]byte
	frames map[string]*Frame
}

// NewStep puts updates that follow one another into one step.
func NewStep(before *store.Snapshot, updates []store.Update) *Step {
	st := &Step{Before: before, After: updates[len(updates)-1].Snapshot,
		Evidence: map[string]bool{}, index: map[store.Ref]int{}, shared: map[any][]byte{}, frames: map[string]*Frame{}}
	for _, u := range updates {
		for _, c := range u.Changes {
			st.add(c)
		}
	}
	if len(updates) > 1 {
		st.Changes = slices.DeleteFunc(st.Changes, func(c store.Change) bool { return c.Before == c.After })
		clear(st.index)
		for i, c := range st.Changes {
			st.index[c.Ref()] = i
		}
	}
	return st
}

func (st *Step) add(c store.Change) {
	for i := range c.Evidence {
		st.Evidence[c.Evidence[i].ID] = true
	}
	if c.Before == nil && c.After == nil {
		return
	}
	ref := c.Ref()
	if i, ok := st.index[ref]; ok {
		st.Changes[i].After = c.After
		return
	}
	st.index[ref] = len(st.Changes)
	st.Changes = append(st.Changes, store.Change{Before: c.Before, After: c.After})
}

// Touches reports whether the step changed a runner.
func (st *Step) Touches(ref store.Ref) bool {
	_, ok := st.index[ref]
	return ok
}

// Shared renders something that several pages need, once for all of them.
func (st *Step) Shared(key any, render func() []byte) []byte {
	b, ok := st.shared[key]
	if !ok {
		b = render()
		st.shared[key] = b
	}
	return b
}

// frame returns one and the same frame for the same events, so that they are compressed once for all the views they go to.
func (st *Step) frame(events []byte) *Frame {
	f, ok := st.frames[string(events)]
	if !ok {
		f = NewFrame(st.After.Rev, events)
		st.frames[string(events)] = f
	}
	return f
}
