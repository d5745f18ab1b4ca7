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
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"trackside/store"
	"trackside/systems"
)

// fieldManager is by whom a change was made, in managedFields and in the API server's audit log.
const fieldManager = "trackside"

// actTimeout bounds one call that acts.
const actTimeout = 15 * time.Second

// kinds are the resources of the kinds that are acted on beside those of systems' watches.
var kinds = map[string]schema.GroupVersionResource{
	"Deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
	"StatefulSet": {Group: "apps", Version: "v1", Resource: "statefulsets"},
	"CronJob":     {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"Pod":         {Version: "v1", Resource: "pods"},
	"Service":     {Version: "v1", Resource: "services"},
	scalerKind:    {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
}

const scalerKind = "HorizontalPodAutoscaler"

// resourceOf is the resource of a kind.
func resourceOf(kind string) schema.GroupVersionResource {
	if gvr, ok := kinds[kind]; ok {
		return gvr
	}
	for _, w := range Watches() {
		if w.Kind == kind {
			return schema.GroupVersionResource{Group: w.Group, Version: w.Version, Resource: w.Resource}
		}
	}
	return schema.GroupVersionResource{}
}

// hand acts on one runner, for one person.
type hand struct {
	c       *Cluster
	ref     store.Ref
	sys     *systems.System
	sw      systems.Switch
	set     *set
	parts   []part
	customs []*custom
	// work is what is ended with the runner, shared what may be another's, of the others that are named, and awaited what is waited for.
	work, shared, awaited []*corev1.Pod
	others                []string
	// read is the board's own client, write that of whoever acts.
	read, write dynamic.Interface
	access      kubernetes.Interface
	scalers     []unstructured.Unstructured
	unlisted    error // why it is not known which autoscalers there are
	by          store.Person
	// alone says that nobody asks: the board does what a mark says, which anybody may have written who can annotate the object.
	alone bool
	// wrote says that it has changed something.
	wrote bool
	// usual get their usual values back where they are remembered as off.
	usual []*grip
}

// hand takes a runner in hand, as the caches show it. Errors are store.ErrUnavailable while they are not complete, and store.ErrNotFound.
func (c *Cluster) hand(ctx context.Context, ref store.Ref, by store.Person) (*hand, error) {
	return c.handFor(ctx, store.Action{Ref: ref, By: by})
}

// handFor is hand for an action. One that has objects of its own to delete is done to a runner of which the caches show nothing any more, too.
func (c *Cluster) handFor(ctx context.Context, a store.Action) (*hand, error) {
	ref, by := a.Ref, a.By
	sys := systemNamed(ref.System)
	if sys == nil {
		return nil, fmt.Errorf("%w: there is no system %s", store.ErrNotFound, ref.System)
	}
	c.mu.Lock()
	s := c.set
	c.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("%w: cluster %s is not seen in full now; try again when it is live", store.ErrUnavailable, ref.Cluster)
	}
	h := &hand{c: c, ref: ref, sys: sys, sw: sys.SwitchOf(), set: s, read: c.dynamic, write: c.dynamic, access: c.client, by: by}
	o := h.observation()
	h.parts = o.parts(sys, ref)
	carried := o.carried(sys, ref, h.parts)
	h.work, h.shared, h.others = carried.own, carried.shared, carried.others
	h.awaited = o.affected(sys, ref, h.parts, o.work(sys, ref, h.parts))
	h.customs = o.customs(sys, ref, h.parts)
	if len(h.parts) == 0 && len(h.work) == 0 && !constitutes(sys, h.customs) && len(a.Pinned) == 0 {
		return nil, fmt.Errorf("%w: nothing of runner %s is in the cluster", store.ErrNotFound, ref)
	}
	if c.cfg.Impersonate && by.Name != "" {
		if err := h.impersonate(by); err != nil {
			return nil, err
		}
	}
	h.scalers, h.unlisted = h.listScalers(ctx)
	return h, nil
}

// impersonate lets the person act in their own name: the cluster's roles decide, and its audit log names them.
func (h *hand) impersonate(p store.Person) error {
	if err := p.CheckImpersonation(); err != nil {
		return err
	}
	as := rest.CopyConfig(h.c.rest)
	as.Impersonate = rest.ImpersonationConfig{UserName: p.Name, Groups: p.Groups}
	dyn, err := dynamic.NewForConfig(as)
	if err != nil {
		return fmt.Errorf("%w: acting as %s: %s", store.ErrInvalid, store.Clean(p.Name, 80), store.ErrorText(err))
	}
	access, err := kubernetes.NewForConfig(as)
	if err != nil {
		return fmt.Errorf("%w: acting as %s: %s", store.ErrInvalid, store.Clean(p.Name, 80), store.ErrorText(err))
	}
	h.write, h.access = dyn, access
	return nil
}

// observation is a look at what the hand has.
func (h *hand) observation() *observation {
	return &observation{set: h.set, cluster: h.c, now: time.Now()}
}

// busy reports whether work runs that is waited for.
func (h *hand) busy() bool { return slices.ContainsFunc(h.awaited, living) }

// objects are the runner's, for its system to tell traps by.
func (h *hand) objects() (out []systems.Object) {
	for _, p := range h.parts {
		o := p.object
		o.Kind = p.kind
		out = append(out, o)
	}
	for _, c := range h.customs {
		out = append(out, c.object())
	}
	return out
}

// grip is an object as the API server has it now, in reach of a hand.
type grip struct {
	held
	gvr    schema.GroupVersionResource
	live   *unstructured.Unstructured
	mark   marking
	marked bool
	broken bool
}

func (g *grip) name() store.Object {
	return store.Object{Kind: g.object.Kind, Namespace: g.object.Namespace, Name: g.object.Name}
}

// see takes over what an object is now.
func (g *grip) see(live *unstructured.Unstructured) {
	g.live = live
	g.mark, g.marked, g.broken = readMark(live.GetAnnotations())
}

// value is a field of the object; nil when it is not there.
func (g *grip) value(s systems.Setting) any {
	v, _, _ := unstructured.NestedFieldNoCopy(g.live.Object, s.Path...)
	return v
}

// grips reads the objects that the runner's levers move.
func (h *hand) grips(ctx context.Context) ([]*grip, error) {
	return h.taken(ctx, holds(h.sw, h.parts, h.customs))
}

// taken reads objects. One that is gone is left out; one that has taken the name of another since is store.ErrConflict.
func (h *hand) taken(ctx context.Context, objects []held) ([]*grip, error) {
	var out []*grip
	for _, x := range objects {
		g := &grip{held: x, gvr: resourceOf(x.object.Kind)}
		live, err := h.get(ctx, g.gvr, x.object.Namespace, x.object.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, h.border(err, "get", g.gvr, g.name())
		}
		if x.object.UID != "" && live.GetUID() != x.object.UID {
			return nil, fmt.Errorf("%w: %s of runner %s was made anew since the board looked; look again", store.ErrConflict, g.name(), h.ref)
		}
		g.see(live)
		out = append(out, g)
	}
	return out, nil
}

func (h *hand) get(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	return h.read.Resource(gvr).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
}

// listScalers lists the HorizontalPodAutoscalers beside the runner: there are none where the API server does not serve them.
func (h *hand) listScalers(ctx context.Context) ([]unstructured.Unstructured, error) {
	list, err := h.list(ctx, scalerKind, h.namespace(), "")
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return list, err
}

// namespace is where the runner's objects are: its own, but for a part that stands elsewhere.
func (h *hand) namespace() string { return h.ref.Namespace }

// scaler is the autoscaler of an object; nil when it has none.
func (h *hand) scaler(kind, name string) *unstructured.Unstructured {
	for i := range h.scalers {
		s := &h.scalers[i]
		k, _, _ := unstructured.NestedString(s.Object, "spec", "scaleTargetRef", "kind")
		n, _, _ := unstructured.NestedString(s.Object, "spec", "scaleTargetRef", "name")
		if k == kind && n == name {
			return s
		}
	}
	return nil
}

// least is the smallest number of replicas that an autoscaler lets an object have; 1 is the API's default.
func least(scaler *unstructured.Unstructured) int64 {
	if n, ok, _ := unstructured.NestedInt64(scaler.Object, "spec", "minReplicas"); ok {
		return n
	}
	return 1
}

// border makes an answer of the API server an error of ours: what was being done, to which object of which runner, and what to do next.
func (h *hand) border(err error, verb string, gvr schema.GroupVersionResource, o store.Object) error {
	doing := fmt.Sprintf("%s %s of runner %s", verb, o, h.ref)
	said, who := store.Clean(store.ErrorText(err), 300), h.who()
	if verb == "get" {
		who = boardAccount // which reads, whoever acts
	}
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: %s lacks the verb %s on %s in namespace %s, to %s: %s", store.ErrForbidden, who, verb, resourceName(gvr), o.Namespace, doing, said)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: %s: it is not there any more", store.ErrNotFound, doing)
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%w: %s: it was changed meanwhile (%s); look at it and try again", store.ErrConflict, doing, said)
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return fmt.Errorf("%w: %s: the API server refuses it: %s", store.ErrInvalid, doing, said)
	}
	return fmt.Errorf("%w: %s: %s; try again", store.ErrUnavailable, doing, said)
}

// who acts, in the cluster's eyes.
func (h *hand) who() string {
	if h.impersonates() {
		return "user " + store.Clean(h.by.Name, 80)
	}
	return boardAccount
}

// boardAccount is what the board is called where it acts, or reads, in no name but its own.
const boardAccount = "the board's ServiceAccount"

// impersonates reports whether it acts in somebody's own name.
func (h *hand) impersonates() bool { return h.c.cfg.Impersonate && h.by.Name != "" }

// resourceName is a resource as kubectl auth can-i takes it.
func resourceName(gvr schema.GroupVersionResource) string {
	return strings.TrimSuffix(gvr.Resource+"."+gvr.Group, ".")
}
