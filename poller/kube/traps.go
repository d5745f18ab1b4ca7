package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"trackside/store"
	"trackside/systems/finding"
)

// traps tells what will undo, or surprise, an action on these objects.
func (h *hand) traps(verb store.Verb, grips []*grip, r *store.Runner) (out []store.Trap) {
	if r != nil && verb != store.VerbRestart {
		out = append(out, managedTraps(r)...)
	}
	for _, g := range grips {
		if t, ok := h.scalerTrap(verb, g); ok {
			out = append(out, t)
		}
		if t, ok := h.budgetTrap(verb, g); ok {
			out = append(out, t)
		}
		if t, ok := h.replicasTrap(verb, g); ok {
			out = append(out, t)
		}
		if t, ok := h.claimsTrap(verb, g); ok {
			out = append(out, t)
		}
		if g.broken {
			out = append(out, store.Trap{Code: "mark-unreadable", Why: store.Sentence(fmt.Sprintf("%s bears a mark that cannot be read; it is replaced, and what it remembers is lost.", g.name()))})
		}
	}
	if h.unlisted != nil && verb != store.VerbRestart {
		out = append(out, store.Trap{Code: "autoscaler-unseen", Why: store.Sentence(fmt.Sprintf("Whether a HorizontalPodAutoscaler scales it is not known: those of namespace %s could not be listed: %s.",
			h.namespace(), store.Clean(store.ErrorText(h.unlisted), 300)))})
	}
	if h.sw.Traps != nil {
		out = append(out, h.sw.Traps(verb, h.objects())...)
	}
	return out
}

// managedTraps are about those that bring objects back to what they have written down.
func managedTraps(r *store.Runner) (out []store.Trap) {
	for _, f := range r.Findings {
		if f.Code == finding.ManagedArgoCD || f.Code == finding.ManagedFlux || f.Code == finding.ManagedHelm {
			out = append(out, store.Trap{Code: f.Code, Why: f.Why})
		}
	}
	return slices.Compact(out)
}

func (h *hand) scalerTrap(verb store.Verb, g *grip) (t store.Trap, ok bool) {
	s := h.scaler(g.object.Kind, g.object.Name)
	if s == nil {
		return t, false
	}
	keda, name, n := scaledObject(s), store.Clean(s.GetName(), 253), least(s)
	switch {
	case verb == store.VerbDisable && keda != "":
		t.Why = store.Sentence(fmt.Sprintf("KEDA scales %s by ScaledObject %s, also up from 0: it brings it back as soon as there is work. Pause that first, by its annotation autoscaling.keda.sh/paused.", g.name(), keda))
	case verb == store.VerbDisable && n == 0:
		t.Why = store.Sentence(fmt.Sprintf("HorizontalPodAutoscaler %s scales %s, also up from 0: it brings it back as soon as its metrics ask for it.", name, g.name()))
	case verb == store.VerbDisable:
		t.Why = store.Sentence(fmt.Sprintf("HorizontalPodAutoscaler %s scales %s: it does nothing while that is at 0, and scales again, to %d at least, when the runner is back.", name, g.name(), n))
	case verb == store.VerbEnable:
		t.Why = store.Sentence(fmt.Sprintf("HorizontalPodAutoscaler %s scales %s from then on, to %d at least.", name, g.name(), n))
	case verb == store.VerbDelete && keda != "":
		t.Why = store.Sentence(fmt.Sprintf("ScaledObject %s stays, and KEDA makes HorizontalPodAutoscaler %s anew by it: delete that too.", keda, name))
	default:
		return t, false
	}
	t.Code = "autoscaler"
	return t, true
}

// scaledObject names the object of KEDA that an autoscaler is made by; blank when it is nobody's. KEDA scales from and to 0 itself, which
// an autoscaler does not (https://keda.sh/docs/latest/concepts/scaling-deployments/).
func scaledObject(scaler *unstructured.Unstructured) string {
	for _, o := range scaler.GetOwnerReferences() {
		if o.Kind == "ScaledObject" {
			return store.Clean(o.Name, 253)
		}
	}
	return ""
}

// budgetTrap tells that a disruption budget does not do what one may expect of it: only evictions ask it.
func (h *hand) budgetTrap(verb store.Verb, g *grip) (t store.Trap, ok bool) {
	own, found, _ := unstructured.NestedStringMap(g.live.Object, "spec", "template", "metadata", "labels")
	if !found || verb == store.VerbEnable || verb == store.VerbRestart || h.set.budget(g.object.Namespace, own) != finding.BudgetThere {
		return t, false
	}
	return store.Trap{Code: "disruption-budget", Why: store.Sentence(fmt.Sprintf("A PodDisruptionBudget guards the pods of %s. It keeps them from being evicted, not from this: scaling down and deleting do not ask it.", g.name()))}, true
}

// replicasTrap tells that a replica which is a runner of its own cannot be acted on alone: Kubernetes scales the whole set, from its end.
func (h *hand) replicasTrap(verb store.Verb, g *grip) (t store.Trap, ok bool) {
	i := slices.IndexFunc(h.parts, func(p part) bool { return p.replica && p.object.Name == g.object.Name && p.kind == g.object.Kind })
	n := g.replicas()
	if i < 0 || n < 2 {
		return t, false
	}
	does := map[store.Verb]string{store.VerbDisable: "go out of service", store.VerbEnable: "come back", store.VerbDelete: "are deleted", store.VerbRestart: "are restarted"}[verb]
	return store.Trap{Code: "whole-set", Why: store.Sentence(fmt.Sprintf("%s is one of %d replicas of %s, each a runner of its own. Kubernetes acts on the set as a whole: all %d %s.", h.ref.Name, n, g.name(), n, does))}, true
}

// need is a right that a step takes.
type need struct{ verb, group, resource, namespace string }

func (n need) name() string { return strings.TrimSuffix(n.resource+"."+n.group, ".") }

// lacks asks the API server, for each thing that the steps would do, whether whoever acts may, and tells what is not allowed.
func (h *hand) lacks(ctx context.Context, steps []step) (out []store.Trap) {
	for _, n := range denied(ctx, h.access, steps) {
		out = append(out, store.Trap{Code: store.TrapForbidden, Blocks: true,
			Why: store.Sentence(fmt.Sprintf("%s may not %s %s in namespace %s: grant the verb %s on %s there.", h.who(), n.verb, n.name(), n.namespace, n.verb, n.name()))})
	}
	return out
}

// untended tells what the board may not do by itself when somebody disables a runner in their own name: to end a mark, nobody lends it theirs.
func (h *hand) untended(ctx context.Context, verb store.Verb, steps []step) (out []store.Trap) {
	if verb != store.VerbDisable || !h.impersonates() {
		return nil
	}
	changes := slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s.verb != "patch" })
	for _, n := range denied(ctx, h.c.client, changes) {
		out = append(out, store.Trap{Code: "not-tended", Why: store.Sentence(fmt.Sprintf(
			"It will not come back by itself: %s may not patch %s in namespace %s, so that no mark there ends at its time, nor is finished what is cut off. Grant it components/act, or have somebody enable the runner.",
			boardAccount, n.name(), n.namespace))})
	}
	return out
}

// denied lists what the steps take and a client may not do. Who cannot be asked is told by the act itself.
func denied(ctx context.Context, access kubernetes.Interface, steps []step) (out []need) {
	asked := map[need]bool{}
	for _, s := range steps {
		n := need{s.verb, s.gvr.Group, s.gvr.Resource, s.effect.Object.Namespace}
		if s.verb == "" || asked[n] {
			continue
		}
		asked[n] = true
		if allowed, err := n.granted(ctx, access); err == nil && !allowed {
			out = append(out, n)
		}
	}
	return out
}

func (n need) granted(ctx context.Context, access kubernetes.Interface) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: n.namespace, Verb: n.verb, Group: n.group, Resource: n.resource}}}
	answer, err := access.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// tell leaves an Event on the object, for those who look at it with kubectl. That it could not is no failure of the action.
func (h *hand) tell(ctx context.Context, a store.Action, j *job) {
	if j.about == nil || j.reason == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	g, now := j.about, metav1.NewTime(time.Now())
	text := fmt.Sprintf("%s %s by %s", h.ref.Name, j.said, store.Clean(a.By.Name, 200))
	if !a.Until.IsZero() {
		text += " until " + a.Until.UTC().Format("2006-01-02 15:04 UTC")
	}
	if a.Note != "" {
		text += ": " + store.Clean(a.Note, store.MaxNote)
	}
	e := &corev1.Event{ObjectMeta: metav1.ObjectMeta{GenerateName: g.object.Name + ".", Namespace: g.object.Namespace}, Reason: j.reason, Message: text,
		Type: corev1.EventTypeNormal, Source: corev1.EventSource{Component: fieldManager}, FirstTimestamp: now, LastTimestamp: now, Count: 1,
		InvolvedObject: corev1.ObjectReference{Kind: g.object.Kind, Namespace: g.object.Namespace, Name: g.object.Name, UID: types.UID(g.object.UID), APIVersion: g.live.GetAPIVersion()}}
	if _, err := h.c.client.CoreV1().Events(g.object.Namespace).Create(ctx, e, metav1.CreateOptions{FieldManager: fieldManager}); err != nil && !apierrors.IsAlreadyExists(err) {
		h.c.cfg.Log.Warn("no Event tells of an action", "runner", h.ref.String(), "reason", j.reason, "error", store.ErrorText(err))
	}
}
