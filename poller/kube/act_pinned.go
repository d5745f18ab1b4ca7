package kube

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
)

// Pin implements act.Hands: it names the objects that an action would delete, by their UIDs, and changes nothing. A deletion that is cut off
// ends with them, however little of the runner is left to know it by.
func (c *Cluster) Pin(ctx context.Context, a store.Action, r *store.Runner) (pinned []store.Pinned, err error) {
	h, err := c.hand(ctx, a.Ref, a.By)
	if err != nil {
		return nil, err
	}
	j, err := h.prepare(ctx, a, r)
	if err != nil {
		return nil, err
	}
	for _, s := range j.steps {
		if s.uid != "" {
			pinned = append(pinned, store.Pinned{Object: s.effect.Object, UID: string(s.uid)})
		}
	}
	return pinned, nil
}

// onlyThat sees that a deletion goes to the runner that was looked at. Where that is not there any more, or not the part it was known by, the
// hand lets go of everything that is not pinned: what else bears its name may be another. It is store.ErrConflict where nothing is pinned.
func (h *hand) onlyThat(a store.Action) error {
	switch {
	case a.Incarnation == "" || h.has(types.UID(a.Incarnation)):
		return nil
	case len(a.Pinned) == 0:
		return fmt.Errorf("%w: %s was deleted and made anew, in whole or in part, since the board looked at it; look at it again", store.ErrConflict, a.Ref)
	}
	h.parts, h.customs, h.work, h.shared, h.others = nil, nil, nil, nil, nil
	return nil
}

// has reports whether an object is one of the runner's.
func (h *hand) has(uid types.UID) bool {
	for _, p := range h.parts {
		if p.uid == uid || slices.ContainsFunc(p.pods, func(pod *corev1.Pod) bool { return pod.UID == uid }) {
			return true
		}
	}
	return slices.ContainsFunc(h.customs, func(c *custom) bool { return c.UID == uid })
}

// rest adds to a deletion what is pinned and not among what is seen of the runner: it is gone, or nothing else tells any more that it was
// the runner's, as with the Service of a part that is gone. It answers with what may take a while to go.
func (h *hand) rest(ctx context.Context, j *job, pinned []store.Pinned) (awaited []*grip) {
	seen := map[store.Object]bool{}
	for _, o := range j.goes {
		seen[o] = true
	}
	for _, p := range pinned {
		switch {
		case seen[p.Object]:
			continue
		case p.Kind == "Service" && h.serves(ctx, p, pinned):
			j.stays = append(j.stays, p.Object)
			continue
		}
		how := metav1.DeletePropagationBackground
		if _, own := kinds[p.Kind]; own && p.Kind != "Pod" && p.Kind != "Service" {
			how = metav1.DeletePropagationForeground
		}
		j.steps, j.goes = append(j.steps, h.deleting(p.Kind, p.Namespace, p.Name, types.UID(p.UID), how, "deleted")), append(j.goes, p.Object)
		if p.Kind != "Pod" {
			awaited = append(awaited, pinnedGrip(p))
		}
	}
	if j.about == nil && len(awaited) > 0 {
		j.about = awaited[len(awaited)-1]
	}
	return awaited
}

// serves reports whether a Service leads to pods that do not go with what is pinned: of what has been made since, say. What cannot be looked
// at may be such.
func (h *hand) serves(ctx context.Context, p store.Pinned, pinned []store.Pinned) bool {
	live, err := h.get(ctx, kinds["Service"], p.Namespace, p.Name)
	if err != nil || string(live.GetUID()) != p.UID {
		return err != nil && !apierrors.IsNotFound(err)
	}
	goes := make([]*grip, len(pinned))
	for i, x := range pinned {
		goes[i] = pinnedGrip(x)
	}
	selector, _, _ := unstructured.NestedStringMap(live.Object, "spec", "selector")
	return len(selector) > 0 && h.leadsElsewhere(ctx, labels.SelectorFromSet(selector), p.Namespace, goes)
}

// pinnedGrip is an object of which no more is known than its name and UID.
func pinnedGrip(p store.Pinned) *grip {
	g := &grip{gvr: resourceOf(p.Kind), live: &unstructured.Unstructured{Object: map[string]any{"kind": p.Kind}}}
	g.object.Kind, g.object.Namespace, g.object.Name, g.object.UID = p.Kind, p.Namespace, p.Name, types.UID(p.UID)
	g.live.SetUID(g.object.UID)
	return g
}
