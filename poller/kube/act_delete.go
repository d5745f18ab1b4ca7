package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
)

// remove deletes the runner: its updater and autoscalers first, which would bring it back, then what its system declares, then what it
// runs in, then its work, and its Services last. What is deleted with its pods stays until they have ended, so that the board shows it.
func (h *hand) remove(ctx context.Context, a store.Action, r *store.Runner) (*job, error) {
	if err := h.onlyThat(a); err != nil {
		return nil, err
	}
	lives, err := h.taken(ctx, h.removed())
	if err != nil {
		return nil, err
	}
	j := &job{reason: "DeletedByTrackside", said: "deleted", traps: append(h.traps(a.Verb, lives, r), h.sharedTrap(a)...)}
	for _, g := range lives {
		how := metav1.DeletePropagationForeground
		if _, own := kinds[g.object.Kind]; !own { // the garbage collector may not know a kind that is young
			how = metav1.DeletePropagationBackground
		}
		j.steps = append(j.steps, h.deleting(g.object.Kind, g.object.Namespace, g.object.Name, g.live.GetUID(), how, "deleted"))
		j.goes = append(j.goes, g.name())
		j.stays = slices.Concat(j.stays, named(g), h.secrets(g))
		if lost(g, "whenDeleted") {
			j.goes = append(j.goes, claims(g)...)
		} else {
			j.stays = append(j.stays, claims(g)...)
		}
		if j.about == nil || j.about.object.Kind == "CronJob" || j.about.object.Kind == scalerKind {
			j.about = g
		}
		if t, ok := blocking(g.live); ok {
			j.traps = append(j.traps, t)
		}
	}
	services, kept := h.services(ctx, lives)
	j.stays = slices.Concat(j.stays, kept, h.workClaims(), h.namedByWork(ctx))
	for _, p := range h.work {
		j.steps = append(j.steps, h.deletingPod(p, "deleted"))
		j.goes = append(j.goes, store.Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name})
	}
	for _, g := range services {
		if slices.Contains(j.goes, g.name()) {
			continue
		}
		j.steps, j.goes = append(j.steps, h.deleting("Service", g.object.Namespace, g.object.Name, g.live.GetUID(), metav1.DeletePropagationBackground, "deleted")), append(j.goes, g.name())
		if t, ok := blocking(g.live); ok {
			j.traps = append(j.traps, t)
		}
	}
	pods, traps := h.heldPods(ctx, h.falling())
	rest := h.rest(ctx, j, a.Pinned)
	j.traps, j.stays = slices.Concat(j.traps, traps, h.jobTraps(a.Verb, h.work)), distinctObjects(j.stays)
	awaited := slices.Concat(pods, lives, services, rest) // what is held comes before what waits for it
	j.after = func(ctx context.Context, out *store.Outcome) error { h.await(ctx, awaited, out); return nil }
	return j, nil
}

// removed lists the objects that deletion deletes, in its order.
func (h *hand) removed() (out []held) {
	for _, p := range h.parts {
		if p.kind == "CronJob" {
			out = append(out, heldPart(p))
		}
	}
	for _, p := range h.parts {
		if s := h.scaler(p.kind, p.object.Name); s != nil {
			x := held{}
			x.object.Kind, x.object.Namespace, x.object.Name, x.object.UID = scalerKind, s.GetNamespace(), s.GetName(), s.GetUID()
			out = append(out, x)
		}
	}
	for _, kind := range h.sw.Deletes {
		for _, c := range h.customs {
			if c.kind == kind {
				out = append(out, held{object: c.object()})
			}
		}
	}
	for _, p := range h.parts {
		if p.kind != "CronJob" && p.kind != "Pod" {
			out = append(out, heldPart(p))
		}
	}
	for _, p := range h.parts {
		if p.kind != "Pod" {
			continue
		}
		for _, pod := range p.pods {
			out = append(out, heldPod(pod))
		}
	}
	return out
}

func heldPart(p part) held {
	x := held{object: p.object, component: p.claimed}
	x.object.Kind = p.kind
	return x
}

func distinctObjects(list []store.Object) []store.Object {
	slices.SortFunc(list, func(a, b store.Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(list)
}

// blocking is the trap of an object with finalizers: it stays until whoever set them has done its part.
func blocking(live *unstructured.Unstructured) (store.Trap, bool) {
	var waits []string
	for _, f := range live.GetFinalizers() {
		if f != metav1.FinalizerDeleteDependents && !tracked(live, f) {
			waits = append(waits, store.Clean(f, 120)+", "+owner(live, f))
		}
	}
	if len(waits) == 0 {
		return store.Trap{}, false
	}
	since := ""
	if t := live.GetDeletionTimestamp(); t != nil {
		since = "; its deletion has waited for " + store.For(t.Time)
	}
	return store.Trap{Code: "finalizer", Why: store.Sentence(fmt.Sprintf("%s %s stays until its finalizer is taken off: %s%s.",
		live.GetKind(), store.Clean(live.GetName(), 253), strings.Join(waits, "; "), since))}, true
}

// owner names who set a finalizer: as the object's managed fields tell, otherwise by the domain in its name.
func owner(live *unstructured.Unstructured, finalizer string) string {
	for _, f := range live.GetManagedFields() {
		var fields struct {
			Metadata struct {
				Finalizers map[string]any `json:"f:finalizers"`
			} `json:"f:metadata"`
		}
		if f.FieldsV1 == nil || json.Unmarshal(f.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		if _, ok := fields.Metadata.Finalizers[`v:"`+finalizer+`"`]; ok && store.Clean(f.Manager, 80) != "" {
			return "set by " + store.Clean(f.Manager, 80)
		}
	}
	if domain, _, ok := strings.Cut(finalizer, "/"); ok && store.Clean(domain, 80) != "" {
		return "of " + store.Clean(domain, 80)
	}
	return "by whom it does not say"
}
