package poller

import (
	"time"

	"trackside/store"
)

// How long pods that are gone are remembered, and how often the memory is swept. A control plane speaks of them for a while.
const (
	sightKept  = 10 * time.Minute
	sightSwept = time.Minute
)

// index finds the runner that a testimony is about, whatever cluster shows it.
type index struct {
	last  map[store.Ref]*store.Runner // what the index holds of each runner
	names map[named][]store.Ref
	ids   map[named]store.Ref
	pods  map[named]*sight
	swept time.Time
}

// named is a name, an identity or a pod within a system.
type named struct{ system, name string }

// sight is when a pod that a runner carries was seen. Control planes give such pods names that are unique.
type sight struct {
	ref  store.Ref
	gone time.Time // zero while it is there
}

func newIndex() index {
	return index{last: map[store.Ref]*store.Runner{}, names: map[named][]store.Ref{}, ids: map[named]store.Ref{}, pods: map[named]*sight{}}
}

// update takes in a runner as it is now; it reports whether anything changed by which it is found.
func (x *index) update(r *store.Runner, now time.Time) (moved bool) {
	old := x.last[r.Ref]
	x.last[r.Ref] = r
	if old == nil {
		k := named{r.Ref.System, r.Ref.Name}
		x.names[k] = append(x.names[k], r.Ref)
		moved = true
	}
	before := identities(old)
	for id := range identities(r) {
		k := named{r.Ref.System, id}
		moved = moved || x.ids[k] != r.Ref
		x.ids[k] = r.Ref
		delete(before, id)
	}
	for id := range before {
		delete(x.ids, named{r.Ref.System, id})
		moved = true
	}
	return x.updatePods(old, r, now) || moved
}

func (x *index) updatePods(old, r *store.Runner, now time.Time) (moved bool) {
	there := make(map[string]bool, len(r.Workloads))
	for i := range r.Workloads {
		w := &r.Workloads[i]
		if w.Component != "" {
			continue
		}
		there[w.Name] = true
		k := named{r.Ref.System, w.Name}
		if s := x.pods[k]; s == nil || s.ref != r.Ref || !s.gone.IsZero() {
			x.pods[k] = &sight{ref: r.Ref}
			moved = true
		}
	}
	if old == nil {
		return moved
	}
	for i := range old.Workloads {
		w := &old.Workloads[i]
		if s := x.pods[named{r.Ref.System, w.Name}]; s != nil && s.ref == r.Ref && s.gone.IsZero() && !there[w.Name] {
			s.gone = now
			moved = true
		}
	}
	return moved
}

// remove forgets a runner that is gone, and its pods.
func (x *index) remove(ref store.Ref) {
	old := x.last[ref]
	if old == nil {
		return
	}
	delete(x.last, ref)
	k := named{ref.System, ref.Name}
	refs := x.names[k][:0:0]
	for _, o := range x.names[k] {
		if o != ref {
			refs = append(refs, o)
		}
	}
	x.names[k] = refs
	if len(refs) == 0 {
		delete(x.names, k)
	}
	for id := range identities(old) {
		if x.ids[named{ref.System, id}] == ref {
			delete(x.ids, named{ref.System, id})
		}
	}
	for k, s := range x.pods {
		if s.ref == ref {
			delete(x.pods, k)
		}
	}
}

// identities are what a runner's own control plane may know it by.
func identities(r *store.Runner) map[string]bool {
	if r == nil {
		return nil
	}
	out := map[string]bool{}
	if r.Incarnation != "" {
		out[r.Incarnation] = true
	}
	for _, f := range r.Facts {
		if store.IsIdentity(f.Name) {
			out[string(f.Value)] = true
		}
	}
	return out
}

// find is the runner that a testimony is about: by identity, else by a pod that both name (strong), else by its name, where only
// one runner bears it. The zero reference where there is none.
func (x *index) find(s *store.Testimony) (ref store.Ref, strong bool) {
	if r, ok := x.ids[named{s.System, s.UID}]; ok && s.UID != "" {
		return r, true
	}
	for i := range s.Workloads {
		if p := x.pods[named{s.System, s.Workloads[i].Pod}]; p != nil && s.Workloads[i].Pod != "" {
			return p.ref, true
		}
	}
	var found []store.Ref
	for _, r := range x.names[named{s.System, s.Runner}] {
		if (s.Namespace == "" || s.Namespace == r.Namespace) && (s.On == "" || s.On == r.Cluster) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return store.Ref{}, false
	}
	return found[0], false
}

// note writes into a testimony since when pods that it speaks of are missing. Only where the cluster has shown some pod of its work
// is it known that the others would be shown too.
func (x *index) note(s *store.Testimony, ref store.Ref, now time.Time) {
	covered := false
	for i := range s.Workloads {
		p := x.pods[named{s.System, s.Workloads[i].Pod}]
		covered = covered || p != nil && p.ref == ref
	}
	if !covered {
		return
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		if w.Pod == "" {
			continue
		}
		k := named{s.System, w.Pod}
		if x.pods[k] == nil {
			x.pods[k] = &sight{ref: ref, gone: now}
		}
		if p := x.pods[k]; p.ref == ref {
			w.Missing = p.gone
		}
	}
}

// sweep forgets the pods that are gone for long and that nobody speaks of any more.
func (x *index) sweep(said map[store.TestimonyKey]store.Testimony, now time.Time) {
	if now.Sub(x.swept) < sightSwept {
		return
	}
	x.swept = now
	spoken := map[named]bool{}
	for _, s := range said {
		for i := range s.Workloads {
			spoken[named{s.System, s.Workloads[i].Pod}] = true
		}
	}
	for k, p := range x.pods {
		if !p.gone.IsZero() && now.Sub(p.gone) > sightKept && !spoken[k] {
			delete(x.pods, k)
		}
	}
}
