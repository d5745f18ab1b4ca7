package kube

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
)

// owners are the kinds of objects that components are made of.
var owners = []string{"deployments", "statefulsets", "cronjobs"}

// refs lists every runner of the set.
func (s *set) refs(cluster string) []store.Ref {
	seen := map[store.Ref]struct{}{}
	for _, w := range s.watched {
		if w.name != "pods" && !slices.Contains(owners, w.name) {
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
	case *stub:
		return s.ownerRefs(cluster, o.owner.UID)
	case *nodeFacts:
		return s.nodeRefs(cluster, o.Name)
	case *notice:
		return s.aboutRefs(cluster, o.about)
	}
	return nil
}

func claimRefs(cluster string, obj any) []store.Ref {
	sys, c, ok := claimOf(obj)
	if !ok || c.Runner == "" {
		return nil
	}
	return []store.Ref{{Cluster: cluster, System: sys.Name, Namespace: c.Namespace, Name: c.Runner}}
}

// podRefs finds a pod's runner through its owner, then by its own labels, then by the namespace that a runner carries work in.
func (s *set) podRefs(cluster string, p *corev1.Pod) []store.Ref {
	if owner := ownerOf(p); owner != "" {
		if refs := s.ownerRefs(cluster, owner); refs != nil {
			return refs
		}
	}
	sys, c, ok := claimOf(p)
	switch {
	case !ok:
		return nil
	case c.Runner != "":
		return claimRefs(cluster, p)
	}
	var refs []store.Ref
	for _, kind := range owners {
		for _, o := range s.lookup(kind, byCarry, carryKey(sys.Name, c.Namespace)) {
			refs = append(refs, claimRefs(cluster, o)...)
		}
	}
	slices.SortFunc(refs, store.Ref.Compare) // two runners may carry work in one namespace: the first has it
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
	for range 2 {
		if uid == "" {
			return nil
		}
		for _, kind := range owners {
			for _, o := range s.lookup(kind, byUID, string(uid)) {
				if _, foreign := o.(*stub); !foreign {
					return o
				}
			}
		}
		up := types.UID("")
		for _, kind := range []string{"replicasets", "jobs"} {
			for _, o := range s.lookup(kind, byUID, string(uid)) {
				up = ownerOf(o)
			}
		}
		uid = up
	}
	return nil
}

func (s *set) nodeRefs(cluster, node string) (refs []store.Ref) {
	for _, o := range s.lookup("pods", byNode, node) {
		refs = append(refs, s.refsOf(cluster, o)...)
	}
	return refs
}

func (s *set) aboutRefs(cluster, uid string) (refs []store.Ref) {
	for _, kind := range append([]string{"pods"}, owners...) {
		for _, o := range s.lookup(kind, byUID, uid) {
			if _, foreign := o.(*stub); !foreign {
				refs = append(refs, s.refsOf(cluster, o)...)
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
		if w.name == "nodes" {
			if o, ok, _ := w.GetIndexer().GetByKey(name); ok {
				f, _ := o.(*nodeFacts)
				return f
			}
		}
	}
	return nil
}
