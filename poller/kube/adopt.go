package kube

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// A person may label a Deployment and leave its pod template alone, and may do so at any time: then its pods are recognised by
// their owner only, and may stand in the cache as stubs already. The owners of such pods are adopted: their pods are kept from then
// on, and those that are stubs are read once.

// uidSet is a set of UIDs for concurrent use.
type uidSet struct {
	mu sync.RWMutex
	m  map[types.UID]struct{}
}

func (u *uidSet) has(id types.UID) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	_, ok := u.m[id]
	return ok
}

// add reports whether the UID is new.
func (u *uidSet) add(id types.UID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.m == nil {
		u.m = map[types.UID]struct{}{}
	}
	_, had := u.m[id]
	u.m[id] = struct{}{}
	return !had
}

func (u *uidSet) drop(id types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.m, id)
}

// extraPods holds whole pods whose cache entry is still a stub.
type extraPods struct {
	mu sync.RWMutex
	m  map[types.UID]*corev1.Pod
}

func (e *extraPods) get(id types.UID) *corev1.Pod {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.m[id]
}

func (e *extraPods) put(p *corev1.Pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m == nil {
		e.m = map[types.UID]*corev1.Pod{}
	}
	e.m[p.UID] = p
}

func (e *extraPods) drop(id types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.m, id)
}

// adopt takes the pods of a runner's object as ours: those of a StatefulSet, and those of what it controls.
func (s *set) adopt(owner any) {
	uid := uidOf(owner)
	if _, ok := owner.(*appsv1.StatefulSet); ok {
		s.adoptUID(uid)
	}
	for _, resource := range []string{"replicasets", "jobs"} {
		for _, o := range s.lookup(resource, byOwner, string(uid)) {
			s.adoptUID(uidOf(o))
		}
	}
}

// adoptOwned takes a ReplicaSet or a Job as ours when its own owner is a runner's object.
func (s *set) adoptOwned(o *stub) {
	if o.pod || o.owner.UID == "" || s.adopted.has(o.UID) {
		return
	}
	for _, resource := range []string{"deployments", "cronjobs"} {
		for _, owner := range s.lookup(resource, byUID, string(o.owner.UID)) {
			if _, foreign := owner.(*stub); !foreign {
				s.adoptUID(o.UID)
			}
		}
	}
}

func (s *set) adoptUID(uid types.UID) {
	if !s.adopted.add(uid) {
		return
	}
	for _, o := range s.lookup("pods", byOwner, string(uid)) {
		if p, ok := o.(*stub); ok {
			go s.read(p.Namespace, p.Name)
		}
	}
}

// read fetches a pod whose cache entry is a stub. A pod that cannot be read arrives whole with its next change.
func (s *set) read(namespace, name string) {
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	p, err := s.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return
	}
	if slim, ok := s.transformPod(p).(*corev1.Pod); ok {
		s.extra.put(slim)
		s.hooks.touched(s, slim)
	}
}

// podsOwned returns the pods controlled by an object.
func (s *set) podsOwned(owner types.UID) []*corev1.Pod {
	var pods []*corev1.Pod
	for _, o := range s.lookup("pods", byOwner, string(owner)) {
		switch p := o.(type) {
		case *corev1.Pod:
			pods = append(pods, p)
		case *stub:
			if whole := s.extra.get(p.UID); whole != nil {
				pods = append(pods, whole)
			}
		}
	}
	return pods
}

// waitAll returns true when each informer has handed its first list to its handler or was refused, false when the context ended.
func waitAll(ctx context.Context, all []*watched) bool {
	for _, w := range all {
		select {
		case <-ctx.Done():
			return false
		case <-w.refused:
		case <-synced(ctx, w.handler):
		}
	}
	return ctx.Err() == nil
}

func synced(ctx context.Context, reg cache.ResourceEventHandlerRegistration) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		cache.WaitForCacheSync(ctx.Done(), reg.HasSynced)
	}()
	return done
}
