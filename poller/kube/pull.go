package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

const (
	// maxAttempts bounds the repeats of a change that another's got in between of: controllers write the status of an object all the time.
	maxAttempts = 8
	// seenAfter is how old somebody's mark must be for another person to replace it: a younger one they cannot have seen.
	seenAfter = time.Minute
)

// change makes one change of an object, in one request that holds only for the object as it was read. The edit says what is to change,
// or nil for nothing; it is asked again when the object has changed meanwhile.
func (h *hand) change(ctx context.Context, g *grip, edit func(*grip) (map[string]any, error)) error {
	for range maxAttempts {
		patch, err := edit(g)
		if err != nil || patch == nil {
			return err
		}
		put(patch, g.live.GetResourceVersion(), "metadata", "resourceVersion")
		body, err := json.Marshal(patch)
		if err != nil {
			return fmt.Errorf("%w: %s: %s", store.ErrInvalid, g.name(), store.ErrorText(err))
		}
		again, err := h.patch(ctx, g, body)
		if err != nil || !again {
			return err
		}
	}
	return fmt.Errorf("%w: %s of runner %s changes all the time; try again", store.ErrConflict, g.name(), h.ref)
}

// patch sends a change. Again says that the object had changed: then it has been read anew.
func (h *hand) patch(ctx context.Context, g *grip, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	o := g.name()
	live, err := h.write.Resource(g.gvr).Namespace(o.Namespace).Patch(ctx, o.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager})
	if err == nil {
		g.see(live)
		h.wrote = true
		return false, nil
	}
	if !apierrors.IsConflict(err) {
		return false, h.border(err, "patch", g.gvr, o)
	}
	live, err = h.get(ctx, g.gvr, o.Namespace, o.Name)
	switch {
	case err != nil:
		return false, h.border(err, "get", g.gvr, o)
	case live.GetUID() != g.live.GetUID():
		return false, fmt.Errorf("%w: %s of runner %s was deleted and made anew meanwhile", store.ErrConflict, o, h.ref)
	}
	g.see(live)
	return true, nil
}

// put puts a value into a tree of maps.
func put(tree map[string]any, v any, path ...string) {
	for _, p := range path[:len(path)-1] {
		next, ok := tree[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			tree[p] = next
		}
		tree = next
	}
	tree[path[len(path)-1]] = v
}

// pull takes an object out of service: its mark and its fields in one change. Without apply it is only marked.
func pull(m marking, apply bool) func(*grip) (map[string]any, error) {
	return func(g *grip) (map[string]any, error) {
		if err := rival(g, m); err != nil {
			return nil, err
		}
		patch, own := map[string]any{}, m
		own.Restore = nil
		if g.marked && !g.broken {
			own.Restore = maps.Clone(g.mark.Restore)
		}
		if apply {
			if own.Restore == nil {
				own.Restore = map[string]any{}
			}
			for _, s := range g.lever.Settings {
				key, now := pointer(s.Path), g.value(s)
				if _, known := own.Restore[key]; !known || !s.IsOff(now) {
					own.Restore[key] = now // and what somebody has changed since is what is given back
				}
				if !s.IsOff(now) {
					put(patch, s.Off, s.Path...)
				}
			}
		}
		text := own.text()
		if len(patch) == 0 && g.live.GetAnnotations()[systems.AnnotationDisabled] == text {
			return nil, nil
		}
		put(patch, text, "metadata", "annotations", systems.AnnotationDisabled)
		return patch, nil
	}
}

// rival is store.ErrConflict for an object that has been taken out of service since whoever does it now has looked; where that is not known, by
// somebody else just now. A mark that says the same is none.
func rival(g *grip, m marking) error {
	if !g.marked || g.broken || g.mark.Key == m.Key || g.mark.Phase == phaseEnabling {
		return nil
	}
	unseen := g.mark.By != m.By && m.At.Sub(g.mark.At) <= seenAfter
	if !m.looked.IsZero() {
		same := g.mark.By == m.By && g.mark.Note == m.Note && g.mark.Drain == m.Drain // of another runner that the object is part of, say
		unseen = g.markedSince(m.looked, m.At) && !same
	}
	if !unseen {
		return nil
	}
	return disabledSince(g, "disable it again if that is still meant")
}

// markedSince reports whether an object was marked between somebody's looking at it and acting; false when nobody says when they looked. A mark
// of the future is a wrong clock's, or somebody's who wants nobody to act.
func (g *grip) markedSince(looked, acting time.Time) bool {
	return !looked.IsZero() && g.marked && !g.broken && g.mark.At.After(looked) && !g.mark.At.After(acting)
}

func disabledSince(g *grip, then string) error {
	return fmt.Errorf("%w: %s was disabled by %s at %s, with the note %q; look at it, and %s",
		store.ErrConflict, g.name(), g.mark.By, g.mark.At.UTC().Format("15:04:05 UTC"), g.mark.Note, then)
}

// rephase changes the phase of an object's mark, and what belongs to it. One that bears no mark any more was brought back by somebody.
func rephase(phase string, usual bool) func(*grip) (map[string]any, error) {
	return func(g *grip) (map[string]any, error) {
		if !g.marked || g.broken || g.mark.Phase == phase {
			return nil, nil
		}
		m := g.mark
		m.Phase, m.Usual = phase, usual
		patch := map[string]any{}
		put(patch, m.text(), "metadata", "annotations", systems.AnnotationDisabled)
		return patch, nil
	}
}

// letting is letGo for an object as it is now. One that was marked, and is no longer, another has given back meanwhile, or a person has: it
// stays as they left it. So does, for the board by itself, one that was marked anew.
func (h *hand) letting(g *grip) func(*grip) (map[string]any, error) {
	was, marked := g.mark, g.marked && !g.broken
	return func(g *grip) (map[string]any, error) {
		anew := g.mark.Key != was.Key || !g.mark.At.Equal(was.At)
		if marked && (!g.marked || h.alone && anew) {
			return nil, nil
		}
		return h.letGo(g)
	}
}

// letGo gives an object back what is remembered, and takes its mark away, in one change. A field that somebody has set meanwhile stays.
func (h *hand) letGo(g *grip) (map[string]any, error) {
	patch := map[string]any{}
	if g.marked {
		put(patch, nil, "metadata", "annotations", systems.AnnotationDisabled)
	}
	for _, s := range g.lever.Settings {
		if !s.IsOff(g.value(s)) || g.onlyMarked() {
			continue // it is on, or was marked only
		}
		v, ok := h.back(g, s)
		switch {
		case !ok:
			put(patch, nil, s.Path...)
		case !s.IsOff(v):
			put(patch, v, s.Path...)
		}
	}
	if len(patch) == 0 {
		return nil, nil
	}
	return patch, nil
}

// onlyMarked holds for an object whose fields were not changed yet.
func (g *grip) onlyMarked() bool { return g.marked && g.mark.Restore == nil && !g.broken }

// back is the value to give back: never fewer replicas than the autoscaler's least, and none where there were none.
func (h *hand) back(g *grip, s systems.Setting) (any, bool) {
	was := g.mark.Restore[pointer(s.Path)]
	if s.IsOff(was) && slices.Contains(h.usual, g) {
		was = nil
	}
	v, ok := s.Back(was)
	n, isNumber := v.(int64)
	if scaler := h.scaler(g.object.Kind, g.object.Name); ok && isNumber && n > 0 && scaler != nil && slices.Equal(s.Path, []string{"spec", "replicas"}) {
		return max(n, least(scaler)), true
	}
	return v, ok
}

// forget takes away the mark of an object that somebody has brought back by hand.
func forget(g *grip) (map[string]any, error) {
	if !g.marked {
		return nil, nil
	}
	patch := map[string]any{}
	put(patch, nil, "metadata", "annotations", systems.AnnotationDisabled)
	return patch, nil
}
