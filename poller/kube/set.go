package kube

import (
	"context"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"trackside/systems"
)

// Names of the indexes. Pods are looked up by them only, never scanned.
const (
	byUID    = "uid"    // any object but pods, by its UID
	byOwner  = "owner"  // pods, ReplicaSets and Jobs, by the UID of their controller
	byRunner = "runner" // objects that name their runner, by runnerKey
	byCarry  = "carry"  // runners by the namespace they carry work in, and work by its namespace: carryKey
	byNode   = "node"   // runners' pods, by node
	byAbout  = "about"  // Warning events, by the UID of what they are about
)

// resource is one kind of object that is watched.
type resource struct {
	group, name string
	version     string // v1 when blank
	cluster     bool   // not namespaced
	owners      bool   // watched, and complete, before pods are
	informer    func(informers.SharedInformerFactory) cache.SharedIndexInformer
	tweak       func(*metav1.ListOptions)
	// custom and dynamic are those of a system's watch.
	custom  *systems.Watch
	dynamic func(namespace string) cache.SharedIndexInformer
}

// resources are what is watched, in the order in which the caches are filled: owners before pods.
var resources = []resource{
	{group: "apps", name: "deployments", owners: true, informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Apps().V1().Deployments().Informer()
	}},
	{group: "apps", name: "statefulsets", owners: true, informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Apps().V1().StatefulSets().Informer()
	}},
	{group: "batch", name: "cronjobs", owners: true, informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Batch().V1().CronJobs().Informer()
	}},
	{group: "apps", name: "replicasets", owners: true, informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Apps().V1().ReplicaSets().Informer()
	}},
	{group: "batch", name: "jobs", owners: true, informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Batch().V1().Jobs().Informer()
	}},
	{name: "nodes", cluster: true, informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Core().V1().Nodes().Informer()
	}},
	{name: "events", informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Core().V1().Events().Informer()
	}, tweak: func(o *metav1.ListOptions) { o.FieldSelector = "type=Warning" }},
	{name: "pods", informer: func(f informers.SharedInformerFactory) cache.SharedIndexInformer {
		return f.Core().V1().Pods().Informer()
	}},
}

// set is one generation of informers of a cluster. When the API server was away, the whole set is built anew at once instead of
// waiting for the back-off of each watch.
type set struct {
	watched  []*watched
	optional []systems.Watch // what systems watch and the API server serves
	missing  chan struct{}   // one of them is not served any more
	adopted  uidSet          // owners of pods that carry no label of a runner themselves
	ctx      context.Context // of everything the set does
	stop     context.CancelFunc
	hooks    hooks
	client   kubernetes.Interface
	extra    extraPods
}

// hooks are what a set tells its cluster. They only note and signal.
type hooks struct {
	touched func(s *set, obj any)
	gone    func(s *set, obj any)
	failed  func(w *watched, err error)
}

// watched is one informer of a set.
type watched struct {
	resource
	namespace string
	cache.SharedIndexInformer
	handler cache.ResourceEventHandlerRegistration
	once    sync.Once
	refused chan struct{}   // closed when the API server refused the list or the watch
	missing chan<- struct{} // the set's
}

// refuse notes that the API server does not let us watch; it reports whether that is new.
func (w *watched) refuse() (first bool) {
	w.once.Do(func() { close(w.refused); first = true })
	return first
}

// key names what is watched, and where.
func (w *watched) key() string { return w.group + "/" + w.name + "/" + w.namespace }

func newSet(ctx context.Context, client kubernetes.Interface, dyn dynamic.Interface, optional []systems.Watch, namespaces []string, h hooks) (*set, error) {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	s := &set{hooks: h, client: client, optional: optional, missing: make(chan struct{}, 1)}
	s.ctx, s.stop = context.WithCancel(ctx)
	all := slices.Clone(resources)
	for _, w := range optional {
		all = append(all, customResource(w, dyn))
	}
	for _, r := range all {
		scopes := namespaces
		if r.cluster {
			scopes = []string{metav1.NamespaceAll}
		}
		for _, ns := range scopes {
			if err := s.add(r, ns); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// add makes one informer.
func (s *set) add(r resource, ns string) error {
	w := &watched{resource: r, namespace: ns, refused: make(chan struct{}), missing: s.missing}
	if err := s.informer(w); err != nil {
		return err
	}
	if err := w.AddIndexers(indexers()); err != nil {
		return err
	}
	if err := w.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { s.hooks.failed(w, err) }); err != nil {
		return err
	}
	reg, err := w.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.arrived(nil, o) },
		UpdateFunc: func(old, o any) { s.arrived(old, o) },
		DeleteFunc: func(o any) {
			t, missed := o.(cache.DeletedFinalStateUnknown)
			if missed {
				o = t.Obj
			}
			s.extra.drop(uidOf(o))
			s.adopted.drop(uidOf(o))
			if missed { // nobody knows how it ended
				s.hooks.touched(s, o)
			} else {
				s.hooks.gone(s, o)
			}
		},
	})
	w.handler = reg
	s.watched = append(s.watched, w)
	return err
}

// informer makes the informer of a resource. Those of the common ones come from a factory each, so that their list options are their own.
func (s *set) informer(w *watched) error {
	if w.dynamic != nil {
		w.SharedIndexInformer = w.dynamic(w.namespace)
		return w.SetTransform(func(o any) (any, error) {
			if u, ok := o.(*unstructured.Unstructured); ok {
				return reduce(u, w.custom), nil
			}
			return o, nil
		})
	}
	f := informers.NewSharedInformerFactoryWithOptions(s.client, 0, informers.WithNamespace(w.namespace), informers.WithTransform(s.transform),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			if w.tweak != nil {
				w.tweak(o)
			}
		}))
	w.SharedIndexInformer = w.informer(f)
	return nil
}

// arrived notes an object that is new or changed. One that ceased to belong to its runner touches that runner too.
func (s *set) arrived(old, obj any) {
	switch o := obj.(type) {
	case *corev1.Pod:
		s.extra.drop(o.UID)
	case *stub:
		s.adoptOwned(o)
	case *appsv1.Deployment, *appsv1.StatefulSet, *batchv1.CronJob:
		s.adopt(o)
	}
	if old != nil && sameForUs(old, obj) {
		return
	}
	if old != nil {
		s.hooks.touched(s, old)
	}
	s.hooks.touched(s, obj)
}

// start fills the caches, owners first. It returns true when each informer has synced or was refused, false when the set was closed.
func (s *set) start() bool {
	for _, owners := range []bool{true, false} {
		var waits []*watched
		for _, w := range s.watched {
			if w.owners == owners {
				go w.RunWithContext(s.ctx)
				waits = append(waits, w)
			}
		}
		if !waitAll(s.ctx, waits) {
			return false
		}
	}
	return true
}

// lookup returns the objects of an index over all informers of a resource.
func (s *set) lookup(resource, index, key string) []any {
	var out []any
	for _, w := range s.watched {
		if w.name == resource && w.custom == nil {
			objs, _ := w.GetIndexer().ByIndex(index, key)
			out = append(out, objs...)
		}
	}
	return out
}

func uidOf(o any) types.UID {
	if m, ok := o.(metav1.Object); ok {
		return m.GetUID()
	}
	return ""
}

// sameForUs reports whether an update changed nothing that a verdict uses: nodes write their status all the time.
func sameForUs(a, b any) bool {
	if x, ok := a.(*nodeFacts); ok {
		y, ok := b.(*nodeFacts)
		return ok && x.ready == y.ready && x.reason == y.reason && sameSizes(x.allocatable, y.allocatable)
	}
	if x, ok := a.(*custom); ok {
		y, ok := b.(*custom)
		return ok && x.same(y)
	}
	x, ok := a.(metav1.Object)
	y, ok2 := b.(metav1.Object)
	return ok && ok2 && x.GetResourceVersion() == y.GetResourceVersion()
}

func runnerKey(system, namespace, name string) string {
	return system + "\x00" + namespace + "\x00" + name
}

func carryKey(system, namespace string) string { return system + "\x00" + namespace }

func indexers() cache.Indexers {
	return cache.Indexers{
		byUID: func(o any) ([]string, error) {
			switch x := o.(type) {
			case *corev1.Pod:
				return nil, nil // thousands, and nothing looks for one by its UID
			case *stub:
				if x.pod {
					return nil, nil
				}
			}
			return []string{string(uidOf(o))}, nil
		},
		byOwner: func(o any) ([]string, error) {
			if uid := ownerOf(o); uid != "" {
				return []string{string(uid)}, nil
			}
			return nil, nil
		},
		byRunner: func(o any) ([]string, error) { return runnerKeys(o), nil },
		byCarry:  func(o any) ([]string, error) { return carryKeys(o), nil },
		byNode: func(o any) ([]string, error) {
			if p, ok := o.(*corev1.Pod); ok && p.Spec.NodeName != "" {
				return []string{p.Spec.NodeName}, nil
			}
			return nil, nil
		},
		byAdmin: func(o any) ([]string, error) {
			if c, ok := o.(*custom); ok && c.isAdminBinding() {
				return []string{adminRole}, nil
			}
			return nil, nil
		},
		byAbout: func(o any) ([]string, error) {
			if n, ok := o.(*notice); ok && n.about != "" {
				return []string{n.about}, nil
			}
			return nil, nil
		},
	}
}

// runnerKeys are those of the runners that an object names.
func runnerKeys(o any) (keys []string) {
	if x, ok := o.(*custom); ok {
		for _, c := range x.claims() {
			if c.Runner != "" {
				keys = append(keys, runnerKey(c.system.Name, c.Namespace, c.Runner))
			}
		}
		return keys
	}
	for _, ref := range claimRefs("", o) {
		keys = append(keys, runnerKey(ref.System, ref.Namespace, ref.Name))
	}
	return keys
}

// carryKeys are those of the namespaces that a runner carries work in, or that work which names no runner stands in.
func carryKeys(o any) (keys []string) {
	if x, ok := o.(*custom); ok {
		for _, c := range x.claims() {
			if c.Runner == "" {
				keys = append(keys, carryKey(c.system.Name, c.Namespace))
			}
		}
		return keys
	}
	sys, c, ok := claimOf(o)
	switch {
	case ok && c.Runner == "":
		return []string{carryKey(sys.Name, c.Namespace)}
	case ok && c.Carries != "":
		return []string{carryKey(sys.Name, c.Carries)}
	}
	return nil
}

func ownerOf(o any) types.UID {
	switch x := o.(type) {
	case *stub:
		return x.owner.UID
	case *corev1.Pod:
		if c := metav1.GetControllerOfNoCopy(x); c != nil {
			return c.UID
		}
	}
	return ""
}

// claimOf recognises a cached object.
func claimOf(o any) (*systems.System, systems.Claim, bool) {
	switch x := o.(type) {
	case *corev1.Pod:
		return systems.Recognise(objectOf("Pod", &x.ObjectMeta, &x.Spec))
	case *appsv1.Deployment:
		return systems.Recognise(objectOf("Deployment", &x.ObjectMeta, &x.Spec.Template.Spec))
	case *appsv1.StatefulSet:
		return systems.Recognise(objectOf("StatefulSet", &x.ObjectMeta, &x.Spec.Template.Spec))
	case *batchv1.CronJob:
		return systems.Recognise(objectOf("CronJob", &x.ObjectMeta, &x.Spec.JobTemplate.Spec.Template.Spec))
	}
	return nil, systems.Claim{}, false
}
