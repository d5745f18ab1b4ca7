package kube

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"trackside/store"
	"trackside/systems"
)

// perform takes the steps of a job that somebody asks for. One that is refused half-way is taken back: its phase would otherwise have the
// board finish, in its own name, what that person may not do. What has been deleted stays so. One that is cut off goes on by itself.
func (h *hand) perform(ctx context.Context, j *job) (store.Outcome, error) {
	out, err := j.run(ctx)
	switch {
	case errors.Is(err, store.ErrForbidden), errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrConflict):
		if left := j.takeBack(context.WithoutCancel(ctx), &out); left != nil {
			err = fmt.Errorf("%w; and what was done before could not be taken back, so that the board may go on with it: %s", err, store.Plain(left))
		}
	case err != nil && h.wrote && h.c.cfg.Act && slices.ContainsFunc(j.steps, func(s step) bool { return s.hidden }):
		out.Waits = "What is left of it is done by the board itself, as soon as the API server answers."
	}
	return out, err
}

// takeBack undoes the steps that were taken, the last one first, and tells so in the outcome.
func (j *job) takeBack(ctx context.Context, out *store.Outcome) (err error) {
	told := len(out.Steps)
	for _, s := range slices.Backward(j.steps) {
		if !s.hidden {
			told--
		}
		if s.undo == nil {
			continue
		}
		undone, failed := s.undo(ctx)
		err = errors.Join(err, failed)
		if !undone || s.hidden {
			continue
		}
		e := &out.Steps[told]
		e.After, e.Problem = e.Before, "taken back, for another step was refused"
	}
	return err
}

// markSetting is the field that a mark is in.
var markSetting = systems.Setting{Path: []string{"metadata", "annotations", systems.AnnotationDisabled}}

// fields are what an action may change of an object, and their values; nil for one that is not there.
func (g *grip) fields() ([]systems.Setting, []any) {
	settings := append(slices.Clone(g.lever.Settings), markSetting)
	values := make([]any, len(settings))
	for i, s := range settings {
		values[i] = g.value(s)
	}
	return settings, values
}

// changing has a step make a change that can be undone, as long as the object's fields are as the change left them.
func (h *hand) changing(s step, g *grip, edit func(*grip) (map[string]any, error)) step {
	var before, after []any
	s.do = func(ctx context.Context) error {
		var found []any
		err := h.change(ctx, g, func(g *grip) (patch map[string]any, err error) {
			if patch, err = edit(g); patch != nil {
				_, found = g.fields()
			} else {
				found = nil
			}
			return patch, err
		})
		if err == nil && found != nil {
			before = found
			_, after = g.fields()
		}
		return err
	}
	s.undo = func(ctx context.Context) (undone bool, err error) {
		if before == nil {
			return false, nil
		}
		err = h.change(ctx, g, func(g *grip) (map[string]any, error) {
			settings, now := g.fields()
			undone = reflect.DeepEqual(now, after)
			if !undone {
				return nil, nil // somebody has changed it since
			}
			patch := map[string]any{}
			for i, s := range settings {
				put(patch, before[i], s.Path...)
			}
			return patch, nil
		})
		return undone && err == nil, err
	}
	return s
}
