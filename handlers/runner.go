package handlers

import (
	"context"
	"slices"
	"time"

	"trackside/handlers/live"
	"trackside/store"
	"trackside/store/versions"
	"trackside/views"
)

// runnerPage is one runner, there or gone.
type runnerPage struct {
	h   *Handlers
	ref store.Ref
}

func (h *Handlers) runnerModel(s *store.Snapshot, r *store.Runner, history []store.Event) views.RunnerModel {
	m := views.NewRunnerModel(s, r, history, time.Now())
	m.SetPast(h.past(r.Ref))
	m.Frame = h.frame()
	m.Findings = views.NewRunnerFindings(s, r, h.newest(s), h.acceptances != nil, time.Now())
	return m
}

func (h *Handlers) goneModel(s *store.Snapshot, ref store.Ref, history []store.Event) views.RunnerModel {
	m := views.NewGoneModel(s, ref, history, time.Now())
	m.SetPast(h.past(ref))
	m.Frame = h.frame()
	return m
}

// Key is the runner's permalink.
func (p *runnerPage) Key() string { return p.ref.Path() }

// Start has nothing to do: the page keeps nothing.
func (p *runnerPage) Start(*store.Snapshot) {}

// Next sends the page when its own runner changed, and otherwise the fleet's counts if they did. The history is read by a
// viewer, so that a slow disk holds up no other page.
func (p *runnerPage) Next(st *live.Step) live.Patch {
	if st.Touches(p.ref) || p.outrun(st) {
		return live.Patch{Full: true}
	}
	return live.Patch{Events: append(slices.Clip(counts(st)), sources(st)...)}
}

// outrun reports whether a step left the runner behind, or no longer behind: others of its kind have a newer version.
func (p *runnerPage) outrun(st *live.Step) bool {
	if !slices.ContainsFunc(st.Changes, versions.Touched) {
		return false
	}
	r, err := st.After.Runner(p.ref)
	return err == nil && !slices.Equal(versions.NewestOf(st.Before).Findings(r), p.h.newest(st.After).Findings(r))
}

// Full renders the page.
func (p *runnerPage) Full(s *store.Snapshot) ([]byte, error) {
	history := p.h.transitions(context.Background(), p.ref)
	r, err := s.Runner(p.ref)
	if err != nil {
		return appendEvent(nil, views.RunnerMain(p.h.goneModel(s, p.ref, history)))
	}
	return appendEvent(nil, views.RunnerMain(p.h.runnerModel(s, r, history)))
}

// boardPage is the wall.
type boardPage struct{ h *Handlers }

func (h *Handlers) boardModel(s *store.Snapshot) views.BoardModel {
	m := views.NewBoardModel(s, time.Now())
	m.Frame = h.frame()
	return m
}

// Key is the board's address.
func (p *boardPage) Key() string { return "/board" }

// Start has nothing to do: the page keeps nothing.
func (p *boardPage) Start(*store.Snapshot) {}

// Next sends the whole board: its tiles share the screen between them, so that one which comes moves all the others.
func (p *boardPage) Next(st *live.Step) live.Patch {
	return live.Patch{Full: len(st.Changes) > 0, Events: sources(st)}
}

// Full renders the board.
func (p *boardPage) Full(s *store.Snapshot) ([]byte, error) {
	return appendEvent(nil, views.BoardMain(p.h.boardModel(s)))
}
