package kube

import (
	"iter"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// owners are the kinds of objects that components are made of.
var owners = []string{"deployments", "statefulsets", "cronjobs"}

// refs lists every runner of the set.
func (s *set) refs(cluster string) []store.Ref {
	seen := map[store.Ref]struct{}{}
	for _, w := range s.watched {
		if w.name != "pods" && w.custom == nil && !slices.Contains(owners, w.name) {
			continue
		}
		for _, o := range w.GetIndexer().List() {
			for _, ref := range s.refsOf(cluster, o) {
				seen[ref] = struct{}{}
			}
		}
	}
	refs := make([]store.Ref, 0, len(seen))
	for r := range seen {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, store.Ref.Compare)
	return refs
}

// refsOf lists the runners that an object has to do with.
func (s *set) refsOf(cluster string, obj any) []store.Ref {
	switch o := obj.(type) {
	case *corev1.Pod:
		return s.podRefs(cluster, o)
	case *appsv1.Deployment, *appsv1.StatefulSet, *batchv1.CronJob:
		return claimRefs(cluster, o)
	case *custom:
		return o.refs(cluster, s)
	case *stub:
		if o.ignored {
			return s.hiddenRefs(cluster, o)
		}
		return s.ownerRefs(cluster, o.owner.UID)
	case *nodeFacts:
		return s.nodeRefs(cluster, o.Name)
	case *notice:
		return s.aboutRefs(cluster, o)
	}
	return nil
}

// claimRefs are the runners that an object is part of: several only where each replica is one.
func claimRefs(cluster string, obj any) []store.Ref {
	sys, c, ok := claimOf(obj)
	if !ok || c.Runner == "" {
		return nil
	}
	ref := store.Ref{Cluster: cluster, System: sys.Name, Namespace: c.Namespace, Name: c.Runner}
	if set, ok := obj.(*appsv1.StatefulSet); ok && c.Replicas {
		return replicaRefs(ref, set)
	}
	return []store.Ref{ref}
}

// maxReplicas bounds the runners that one StatefulSet can be.
const maxReplicas = 1000

// replicaRefs are the runners that the replicas of a StatefulSet are. One that is scaled to 0 keeps its first on the board, out of
// service.
func replicaRefs(of store.Ref, set *appsv1.StatefulSet) []store.Ref {
	n := max(1, min(replicas(set.Spec.Replicas), maxReplicas), remembered(set))
	refs := make([]store.Ref, n)
	for i := range refs {
		refs[i] = of
		refs[i].Name = of.Name + "-" + strconv.Itoa(firstOrdinal(set)+i)
	}
	return refs
}

// remembered is how many replicas a set had before it was disabled: its runners stay on the board, out of service.
func remembered(set *appsv1.StatefulSet) int32 {
	if set.Annotations[systems.AnnotationDisabled] == "" {
		return 0
	}
	m, _, _ := readMark(set.Annotations)
	n, _ := m.Restore["/spec/replicas"].(float64)
	return int32(max(0, min(n, maxReplicas)))
}

func firstOrdinal(set *appsv1.StatefulSet) int {
	if set.Spec.Ordinals == nil {
		return 0
	}
	return int(set.Spec.Ordinals.Start)
}

// podRefs finds a pod's runner through its owner, then by its own labels, then by the namespace that a runner carries work in.
func (s *set) podRefs(cluster string, p *corev1.Pod) []store.Ref {
	if owner := ownerOf(p); owner != "" {
		if refs := s.ownerRefs(cluster, owner); refs != nil {
			return replicaOf(refs, p)
		}
	}
	sys, c, ok := claimOf(p)
	switch {
	case !ok || s.ignored(p):
		return nil
	case c.Runner != "":
		return claimRefs(cluster, p)
	}
	return s.carriers(cluster, sys.Name, c.Namespace)
}

// replicaOf narrows the runners of a pod's owner down to the one that the pod itself is, where each replica is a runner.
func replicaOf(refs []store.Ref, p *corev1.Pod) []store.Ref {
	if _, c, ok := claimOf(p); !ok || !c.Replicas {
		return refs
	}
	own := refs[0]
	own.Name = p.Name
	return []store.Ref{own}
}

// carriers are the runners that carry work in a namespace. Two may do so in one: the first has it.
func (s *set) carriers(cluster, system, namespace string) (refs []store.Ref) {
	for _, kind := range owners {
		for _, o := range s.lookup(kind, byCarry, carryKey(system, namespace)) {
			refs = append(refs, claimRefs(cluster, o)...)
		}
	}
	slices.SortFunc(refs, store.Ref.Compare)
	return refs
}

// ownerRefs climbs from a controller's UID to the object of a runner: at most ReplicaSet → Deployment or Job → CronJob.
func (s *set) ownerRefs(cluster string, uid types.UID) []store.Ref {
	if o := s.claimedOwner(uid); o != nil {
		return claimRefs(cluster, o)
	}
	return nil
}

// claimedOwner is the runner's object at the top of a pod's owners; nil when there is none.
func (s *set) claimedOwner(uid types.UID) any {
	for o := range s.above(uid) {
		if _, foreign := o.(*stub); !foreign {
			return o
		}
	}
	return nil
}

// ignored reports whether something that owns a pod is to be hidden.
func (s *set) ignored(p *corev1.Pod) bool {
	for o := range s.above(ownerOf(p)) {
		if f, foreign := o.(*stub); foreign && f.ignored {
			return true
		}
	}
	return false
}

// free reports whether a pod stands for itself: nothing of a runner owns it, and nothing that is to be hidden.
func (s *set) free(p *corev1.Pod) bool { return s.claimedOwner(ownerOf(p)) == nil && !s.ignored(p) }

// above walks from a controller's UID to the top of the owners.
func (s *set) above(uid types.UID) iter.Seq[any] {
	return func(yield func(any) bool) {
		for range 2 {
			if uid == "" {
				return
			}
			up := types.UID("")
			for _, kind := range []string{"deployments", "statefulsets", "cronjobs", "replicasets", "jobs"} {
				for _, o := range s.lookup(kind, byUID, string(uid)) {
					if !yield(o) {
						return
					}
					up = ownerOf(o)
				}
			}
			uid = up
		}
	}
}

// hiddenRefs are the runners whose pods an object that is to be hidden owns: they may have been seen before it was.
func (s *set) hiddenRefs(cluster string, o *stub) (refs []store.Ref) {
	pods := s.podsOwned(o.UID)
	for _, kind := range []string{"replicasets", "jobs"} {
		for _, owned := range s.lookup(kind, byOwner, string(o.UID)) {
			pods = append(pods, s.podsOwned(uidOf(owned))...)
		}
	}
	for _, p := range pods {
		refs = append(refs, claimRefs(cluster, p)...)
	}
	return refs
}

// podNamed is the pod of that key; nil when it is not there, or nobody's.
func (s *set) podNamed(key string) *corev1.Pod {
	if key == "" {
		return nil
	}
	for _, w := range s.watched {
		if w.name == "pods" && w.custom == nil {
			if o, ok, _ := w.GetIndexer().GetByKey(key); ok {
				p, _ := o.(*corev1.Pod)
				return p
			}
		}
	}
	return nil
}

func (s *set) nodeRefs(cluster, node string) (refs []store.Ref) {
	for _, o := range s.lookup("pods", byNode, node) {
		refs = append(refs, s.refsOf(cluster, o)...)
	}
	return refs
}

func (s *set) aboutRefs(cluster string, n *notice) (refs []store.Ref) {
	if p := s.podNamed(n.pod); p != nil && string(p.UID) == n.about {
		return s.podRefs(cluster, p)
	}
	uid := n.about
	for _, kind := range owners {
		for _, o := range s.lookup(kind, byUID, uid) {
			if _, foreign := o.(*stub); !foreign {
				refs = append(refs, s.refsOf(cluster, o)...)
			}
		}
	}
	for _, w := range s.watched {
		if w.custom != nil {
			for _, c := range byIndex[*custom](w, byUID, uid) {
				refs = append(refs, c.refs(cluster, s)...)
			}
		}
	}
	for _, o := range s.lookup("replicasets", byUID, uid) {
		refs = append(refs, s.ownerRefs(cluster, ownerOf(o))...)
	}
	return refs
}

// notices returns the Warning events about any of the objects.
func (s *set) notices(uids ...types.UID) []*notice {
	var out []*notice
	for _, uid := range uids {
		for _, o := range s.lookup("events", byAbout, string(uid)) {
			if n, ok := o.(*notice); ok {
				out = append(out, n)
			}
		}
	}
	return out
}

// node returns what is known of a node; nil when nodes cannot be read.
func (s *set) node(name string) *nodeFacts {
	for _, w := range s.watched {
		if w.name == "nodes" && w.custom == nil {
			if o, ok, _ := w.GetIndexer().GetByKey(name); ok {
				f, _ := o.(*nodeFacts)
				return f
			}
		}
	}
	return nil
}
