package kube

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"trackside/store"
	"trackside/systems"
)

// discoveryInterval is how often it is asked whether the resources that systems watch beside the common ones are served: a CRD may be
// installed, and removed, at any time.
const (
	discoveryInterval = 30 * time.Second
	discoveryTimeout  = 3 * time.Second
	// discoveryRetry is the pace while the API server cannot say.
	discoveryRetry = 2 * time.Second
)

// custom stands in the cache for an object of a system's watch.
type custom struct {
	metav1.ObjectMeta
	kind    string
	content map[string]any
}

// optional lists what systems watch, one for each resource, with all that any of them keeps of it.
func optional() []systems.Watch {
	byResource := map[schema.GroupVersionResource]*systems.Watch{}
	for _, w := range Watches() {
		gvr := schema.GroupVersionResource{Group: w.Group, Version: w.Version, Resource: w.Resource}
		if byResource[gvr] == nil {
			byResource[gvr] = &systems.Watch{Group: w.Group, Version: w.Version, Resource: w.Resource, Kind: w.Kind, ClusterScoped: w.ClusterScoped}
		}
		byResource[gvr].Keep = append(byResource[gvr].Keep, w.Keep...)
	}
	var out []systems.Watch
	for _, gvr := range slices.SortedFunc(maps.Keys(byResource), func(a, b schema.GroupVersionResource) int { return strings.Compare(a.String(), b.String()) }) {
		out = append(out, *byResource[gvr])
	}
	return out
}

// discover asks which of the systems' watches are served. When the API server cannot say, it stays as it was, and ok is false.
func (c *Cluster) discover(ctx context.Context, before []systems.Watch) (found []systems.Watch, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	served := map[string][]string{}
	for _, w := range optional() {
		gv := schema.GroupVersion{Group: w.Group, Version: w.Version}.String()
		names, asked := served[gv]
		if !asked {
			var err error
			if names, err = c.served(ctx, gv); err != nil {
				return before, false
			}
			served[gv] = names
		}
		if slices.Contains(names, w.Resource) {
			found = append(found, w)
		}
	}
	return found, true
}

func sameWatch(a, b systems.Watch) bool {
	return a.Group == b.Group && a.Version == b.Version && a.Resource == b.Resource
}

// askServed lists the resources of a group and version; none when the API server does not know it.
func (c *Cluster) askServed(ctx context.Context, groupVersion string) ([]string, error) {
	list := &metav1.APIResourceList{}
	path := "/apis/" + groupVersion
	if !strings.Contains(groupVersion, "/") {
		path = "/api/" + groupVersion // the core group
	}
	err := c.client.Discovery().RESTClient().Get().AbsPath(path).Do(ctx).Into(list)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	names := make([]string, 0, len(list.APIResources))
	for _, r := range list.APIResources {
		names = append(names, r.Name)
	}
	return names, err
}

// rediscover looks for resources that have come or gone, and has the set of informers built anew when there are any. known says that
// what the set watches is what was served.
func (c *Cluster) rediscover(ctx context.Context, s *set, known bool, rebuild func()) {
	for {
		pause := discoveryInterval
		if !known {
			pause = discoveryRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-s.missing:
		case <-time.After(pause):
		}
		var found []systems.Watch
		if found, known = c.discover(ctx, s.optional); ctx.Err() == nil && !slices.EqualFunc(found, s.optional, sameWatch) {
			c.cfg.Log.Info("resources have come or gone", "cluster", c.cfg.Alias, "watched", watchNames(found))
			rebuild()
			return
		}
	}
}

func watchNames(ws []systems.Watch) []string {
	names := make([]string, len(ws))
	for i, w := range ws {
		names[i] = schema.GroupResource{Group: w.Group, Resource: w.Resource}.String()
	}
	return names
}

// customResource is a watch as a resource of the set. Custom objects come before pods, whose verdicts may rest on them.
func customResource(w systems.Watch, client dynamic.Interface) resource {
	return resource{group: w.Group, version: w.Version, name: w.Resource, cluster: w.ClusterScoped, owners: true, custom: &w,
		dynamic: func(namespace string) cache.SharedIndexInformer {
			gvr := schema.GroupVersionResource{Group: w.Group, Version: w.Version, Resource: w.Resource}
			return dynamicinformer.NewFilteredDynamicInformer(client, gvr, namespace, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}, nil).Informer()
		}}
}

// reduce keeps what a watch names and drops the rest.
func reduce(u *unstructured.Unstructured, w *systems.Watch) *custom {
	c := &custom{kind: w.Kind, content: map[string]any{}, ObjectMeta: metav1.ObjectMeta{
		Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
		CreationTimestamp: u.GetCreationTimestamp(), DeletionTimestamp: u.GetDeletionTimestamp(), Labels: slimLabels(u.GetLabels()),
		Annotations: slimAnnotations(u.GetAnnotations()), OwnerReferences: u.GetOwnerReferences(),
	}}
	for _, path := range w.Keep {
		fields := strings.Split(path, ".")
		if v, ok, err := unstructured.NestedFieldNoCopy(u.Object, fields...); ok && err == nil && v != nil {
			_ = unstructured.SetNestedField(c.content, bounded(v, 0), fields...)
		}
	}
	if len(c.claims()) == 0 && !c.isBudget() && !c.isAdminBinding() { // nobody's: enough for the informer to know it
		c.content, c.Labels, c.Annotations, c.OwnerReferences = nil, nil, nil, nil
	}
	return c
}

// bounded copies a value with its strings cut and its lists and depth bounded: a CRD may let anything in.
func bounded(v any, depth int) any {
	const deepest, longest = 12, 256
	switch x := v.(type) {
	case string:
		return cut(x)
	case map[string]any:
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			if depth < deepest && len(out) < longest {
				out[cut(k)] = bounded(x[k], depth+1)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, e := range x[:min(len(x), longest)] {
			if depth < deepest {
				out = append(out, bounded(e, depth+1))
			}
		}
		return out
	}
	return v
}

// object is a custom object as a system sees it.
func (c *custom) object() systems.Object {
	return systems.Object{Kind: c.kind, Namespace: c.Namespace, Name: c.Name, Labels: c.Labels, Annotations: c.Annotations, UID: c.UID,
		Created: c.CreationTimestamp.Time, Deleting: c.DeletionTimestamp != nil, Custom: c.content}
}

// customClaim is where a system puts a custom object.
type customClaim struct {
	system *systems.System
	systems.Claim
}

// claims lists the systems that take a custom object for theirs: several may watch one kind.
func (c *custom) claims() (out []customClaim) {
	if c.Labels[systems.LabelIgnore] == "true" {
		return nil
	}
	for _, s := range systems.All() {
		if !slices.ContainsFunc(s.Watches, func(w systems.Watch) bool { return w.Kind == c.kind }) {
			continue
		}
		if claim, ok := s.Claim(c.object()); ok {
			out = append(out, customClaim{s, claim})
		}
	}
	return out
}

// refs lists the runners that a custom object has to do with.
func (c *custom) refs(cluster string, s *set) (refs []store.Ref) {
	switch {
	case c.isBudget():
		return s.guarded(cluster, c.Namespace)
	case c.isAdminBinding():
		return s.granted(cluster, c)
	}
	for _, claim := range c.claims() {
		if claim.Runner != "" {
			refs = append(refs, store.Ref{Cluster: cluster, System: claim.system.Name, Namespace: claim.Namespace, Name: claim.Runner})
			continue
		}
		refs = append(refs, s.carriers(cluster, claim.system.Name, claim.Namespace)...)
	}
	return refs
}

// same reports whether two states of a custom object are alike for us.
func (c *custom) same(o *custom) bool {
	return c.Generation == o.Generation && (c.DeletionTimestamp == nil) == (o.DeletionTimestamp == nil) &&
		reflect.DeepEqual(c.content, o.content) && maps.Equal(c.Labels, o.Labels) && maps.Equal(c.Annotations, o.Annotations)
}

// customs are the custom objects of a runner: those that name it, and those in a namespace it carries work in.
func (o *observation) customs(sys *systems.System, ref store.Ref, parts []part) (out []*custom) {
	seen := map[*custom]bool{}
	take := func(c *custom) {
		if !seen[c] && slices.Contains(c.refs(ref.Cluster, o.set), ref) {
			seen[c] = true
			out = append(out, c)
		}
	}
	for _, w := range o.set.watched {
		if w.custom == nil {
			continue
		}
		for _, c := range byIndex[*custom](w, byRunner, runnerKey(sys.Name, ref.Namespace, ref.Name)) {
			take(c)
		}
		for _, p := range parts {
			for _, c := range byIndex[*custom](w, byCarry, carryKey(sys.Name, p.carries)) {
				take(c)
			}
		}
	}
	slices.SortFunc(out, func(a, b *custom) int {
		return strings.Compare(a.kind+a.Namespace+"/"+a.Name, b.kind+b.Namespace+"/"+b.Name)
	})
	return out
}

// byIndex lists the objects of an index that are of a type.
func byIndex[T any](w *watched, index, key string) (out []T) {
	objs, _ := w.GetIndexer().ByIndex(index, key)
	for _, o := range objs {
		if t, ok := o.(T); ok {
			out = append(out, t)
		}
	}
	return out
}
