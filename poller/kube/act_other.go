package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// endWork deletes the work that runs: by its custom objects where those would make its pods anew.
func (h *hand) endWork() (steps []step) {
	if h.sw.Work != "" {
		for _, c := range h.customs {
			if c.kind == h.sw.Work && c.DeletionTimestamp == nil {
				steps = append(steps, h.deleting(c.kind, c.Namespace, c.Name, c.UID, metav1.DeletePropagationBackground, "ended"))
			}
		}
		if len(steps) > 0 {
			return steps
		}
	}
	for _, p := range h.work {
		spared := h.sw.Spares != nil && h.sw.Spares(objectOf("Pod", &p.ObjectMeta, &p.Spec))
		if living(p) && p.DeletionTimestamp == nil && !spared {
			steps = append(steps, h.deletingPod(p, "ended"))
		}
	}
	return steps
}

func (h *hand) deletingPod(p *corev1.Pod, after string) step {
	s := h.deleting("Pod", p.Namespace, p.Name, p.UID, metav1.DeletePropagationBackground, after)
	s.effect.Before = strings.ToLower(string(p.Status.Phase))
	return s
}

// deleting deletes an object of that UID, and no other of its name. One that is gone is done.
func (h *hand) deleting(kind, namespace, name string, uid types.UID, how metav1.DeletionPropagation, after string) step {
	gvr := resourceOf(kind)
	o := store.Object{Kind: kind, Namespace: namespace, Name: name}
	return step{verb: "delete", gvr: gvr, uid: uid, effect: store.Effect{Object: o, Before: "there", After: after}, do: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, actTimeout)
		defer cancel()
		err := h.write.Resource(gvr).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &how, Preconditions: &metav1.Preconditions{UID: &uid}})
		h.wrote = h.wrote || err == nil
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && h.replaced(ctx, gvr, o, uid) {
			return nil
		}
		return h.border(err, "delete", gvr, o)
	}}
}

// replaced reports whether another object of that name stands there: the one that was meant is gone.
func (h *hand) replaced(ctx context.Context, gvr schema.GroupVersionResource, o store.Object, uid types.UID) bool {
	live, err := h.get(ctx, gvr, o.Namespace, o.Name)
	return apierrors.IsNotFound(err) || err == nil && live.GetUID() != uid
}

// restartedAt is the annotation by which kubectl rollout restart has a roll-out begin.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// restart rolls a component out anew. The time of the action is written, so that a repeat is the same roll-out.
func (h *hand) restart(ctx context.Context, a store.Action, r *store.Runner) (*job, error) {
	i := slices.IndexFunc(h.parts, func(p part) bool { return p.name == a.Target })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s has no component %q; it has %s", store.ErrNotFound, a.Ref, store.Clean(a.Target, 80), partNames(h.parts))
	}
	p := h.parts[i]
	if p.kind == "Pod" {
		return nil, fmt.Errorf("%w: %s is a pod of its own, which nothing would make anew; delete it instead", store.ErrInvalid, p.object.Name)
	}
	if p.kind == "CronJob" {
		return nil, fmt.Errorf("%w: %s is a schedule, of which nothing runs that could be restarted", store.ErrInvalid, p.object.Name)
	}
	g := &grip{held: held{object: p.object}, gvr: resourceOf(p.kind)}
	g.object.Kind = p.kind
	live, err := h.get(ctx, g.gvr, p.object.Namespace, p.object.Name)
	if err != nil {
		return nil, h.border(err, "get", g.gvr, g.name())
	}
	g.see(live)
	if paused, _, _ := unstructured.NestedBool(live.Object, "spec", "paused"); paused {
		return nil, fmt.Errorf("%w: %s is paused, so that nothing of it is rolled out; resume it first: kubectl rollout resume", store.ErrInvalid, g.name())
	}
	j := &job{reason: "RestartedByTrackside", said: "restarted", about: g, traps: append(h.traps(a.Verb, []*grip{g}, r), strategyTraps(g)...)}
	j.steps = []step{{effect: store.Effect{Object: g.name(), Before: systems.Count(int64(p.desired), 0, "pod"), After: "rolled out anew"}, verb: "patch", gvr: g.gvr,
		do: func(ctx context.Context) error { return h.change(ctx, g, rollOut(a.At)) }}}
	return j, nil
}

// strategyTraps tell of pods that a roll-out leaves as they are.
func strategyTraps(g *grip) []store.Trap {
	strategy, _, _ := unstructured.NestedString(g.live.Object, "spec", "updateStrategy", "type")
	from, _, _ := unstructured.NestedInt64(g.live.Object, "spec", "updateStrategy", "rollingUpdate", "partition")
	switch {
	case strategy == "OnDelete":
		return []store.Trap{{Code: "on-delete", Why: store.Sentence(fmt.Sprintf("%s has the update strategy OnDelete: its pods go on as they are, each until somebody deletes it.", g.name()))}}
	case from > 0:
		return []store.Trap{{Code: "partition", Why: store.Sentence(fmt.Sprintf("%s rolls out from pod %d on (its updateStrategy's partition): those before it go on as they are.", g.name(), from))}}
	}
	return nil
}

// rollOut begins a roll-out, unless one that is as young has begun.
func rollOut(at time.Time) func(*grip) (map[string]any, error) {
	path := []string{"spec", "template", "metadata", "annotations", restartedAt}
	return func(g *grip) (map[string]any, error) {
		text, _, _ := unstructured.NestedString(g.live.Object, path...)
		if last, err := time.Parse(time.RFC3339, text); err == nil && !last.Before(at.Truncate(time.Second)) {
			return nil, nil
		}
		patch := map[string]any{}
		put(patch, at.UTC().Format(time.RFC3339), path...)
		return patch, nil
	}
}

func partNames(parts []part) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return store.Clean(strings.Join(names, ", "), 200)
}

// removeWork deletes one pod of the runner. The target is namespace/name, or namespace/name/uid: with the UID, a pod that has taken the
// name since is left alone.
func (h *hand) removeWork(a store.Action) (*job, error) {
	f := strings.Split(a.Target, "/")
	if len(f) < 2 || len(f) > 3 {
		return nil, fmt.Errorf("%w: a workload is namespace/name, and %q is not", store.ErrInvalid, store.Clean(a.Target, 80))
	}
	pods := slices.Concat(h.work, h.shared)
	for _, p := range h.parts {
		pods = append(pods, p.pods...)
	}
	i := slices.IndexFunc(pods, func(p *corev1.Pod) bool {
		return p.Namespace == f[0] && p.Name == f[1] && (len(f) < 3 || string(p.UID) == f[2])
	})
	if i < 0 && len(f) == 3 {
		return &job{}, nil // that very pod is gone
	}
	if i < 0 {
		return nil, fmt.Errorf("%w: %s has no pod %s/%s", store.ErrNotFound, a.Ref, store.Clean(f[0], 63), store.Clean(f[1], 253))
	}
	p := pods[i]
	g := &grip{held: held{object: objectOf("Pod", &p.ObjectMeta, nil)}, live: &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1"}}}
	j := &job{reason: "WorkloadDeletedByTrackside", said: "deleted", about: g, steps: []step{h.deletingPod(p, "deleted")}}
	_, job := h.jobOf(p)
	if c := metav1.GetControllerOfNoCopy(p); c != nil && (job == nil || job.triesAgain) {
		j.traps = append(j.traps, store.Trap{Code: "made-anew", Why: store.Sentence(fmt.Sprintf("%s %s owns the pod, and may make another at once.", store.Clean(c.Kind, 63), store.Clean(c.Name, 253)))})
	}
	return j, nil
}

// probe has components asked at once.
func (h *hand) probe(a store.Action) (*job, error) {
	names := h.c.prober.probed(h.ref, a.Target)
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: no component of %s that is probed by the board goes by that name; a probe is declared by the annotation %s", store.ErrInvalid, a.Ref, systems.AnnotationProbePath)
	}
	j := &job{}
	for _, n := range names {
		j.steps = append(j.steps, step{effect: store.Effect{Object: store.Object{Kind: "component", Name: n}, Before: "probed now and then", After: "probed now"},
			do: func(context.Context) error { h.c.prober.soon(h.ref, n); return nil }})
	}
	return j, nil
}
