package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
)

const (
	// maxHeld bounds how many pods that bear finalizers are read to tell of them: each takes a request.
	maxHeld = 20
	// maxHeldTold is how many are named when a deletion is answered.
	maxHeldTold = 3
	// awaitFor is how long a deletion is looked after before it is answered.
	awaitFor = 2 * time.Second
)

// falling lists the pods that go when the runner is deleted: its work, and those that its parts make. A part that is a pod is not among them.
func (h *hand) falling() []*corev1.Pod {
	pods := slices.Clone(h.work)
	for _, p := range h.parts {
		if p.kind != "Pod" {
			pods = append(pods, p.pods...)
		}
	}
	return pods
}

// heldPods reads those pods that bear finalizers, as the caches show, and tells of each that is held.
func (h *hand) heldPods(ctx context.Context, pods []*corev1.Pod) (held []*grip, traps []store.Trap) {
	for _, p := range pods {
		if !slices.ContainsFunc(p.Finalizers, func(f string) bool { return f != tracking[0] || p.DeletionTimestamp != nil }) || len(held) == maxHeld {
			continue
		}
		g := &grip{held: heldPod(p), gvr: kinds["Pod"]}
		live, err := h.get(ctx, g.gvr, p.Namespace, p.Name)
		switch {
		case apierrors.IsNotFound(err) || err == nil && live.GetUID() != p.UID:
			continue
		case err != nil: // whoever set them is not known then
			live = &unstructured.Unstructured{Object: map[string]any{"kind": "Pod"}}
			live.SetName(p.Name)
			live.SetUID(p.UID)
			live.SetFinalizers(p.Finalizers)
			live.SetDeletionTimestamp(p.DeletionTimestamp)
		}
		if t, ok := blocking(live); ok {
			g.live = live
			held, traps = append(held, g), append(traps, t)
		}
	}
	return held, traps
}

// await looks whether what was deleted is gone, and says what it waits for.
func (h *hand) await(ctx context.Context, lives []*grip, out *store.Outcome) {
	for end := time.Now().Add(awaitFor); ; {
		var held []store.Sentence
		var left []*grip
		for _, g := range lives {
			live, err := h.get(ctx, g.gvr, g.object.Namespace, g.object.Name)
			if apierrors.IsNotFound(err) || err == nil && live.GetUID() != g.live.GetUID() {
				continue
			}
			left = append(left, g)
			if err != nil {
				held = append(held, store.Sentence(fmt.Sprintf("%s could not be looked at: %s.", g.name(), store.Clean(store.ErrorText(err), 300))))
			} else if t, ok := blocking(live); ok {
				held = append(held, t.Why)
			}
		}
		lives, out.Waits = left, leftWords(held, len(left)-len(held))
		if len(left) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		if time.Now().After(end) {
			return
		}
	}
}

// leftWords words what is left: what is held, and how many objects go by themselves.
func leftWords(held []store.Sentence, going int) store.Sentence {
	more := going + max(len(held)-maxHeldTold, 0)
	held = held[:min(len(held), maxHeldTold)]
	words := make([]string, 0, len(held)+1)
	for _, s := range held {
		words = append(words, string(s))
	}
	switch {
	case more == 1 && len(held) > 0:
		words = append(words, "1 more object goes after that.")
	case more > 1 && len(held) > 0:
		words = append(words, fmt.Sprintf("%d more objects go after that.", more))
	case more == 1:
		words = append(words, "1 object goes when its pods have ended.")
	case more > 1:
		words = append(words, fmt.Sprintf("%d objects go when their pods have ended.", more))
	}
	return store.Sentence(strings.Join(words, " "))
}

// heldPod is a pod as something to hold.
func heldPod(p *corev1.Pod) held { return held{object: objectOf("Pod", &p.ObjectMeta, nil)} }

// tracked reports whether a finalizer is that of a Job's pod, which its controller takes off by itself as soon as the pod has ended. One that
// is still there after the pod was to be gone is told as any other.
func tracked(live *unstructured.Unstructured, finalizer string) bool {
	t := live.GetDeletionTimestamp()
	return finalizer == batchv1.JobTrackingFinalizer && (t == nil || time.Now().Before(t.Time))
}
