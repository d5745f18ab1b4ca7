package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
	"trackside/systems"
)

// carried is the work that a runner has, or may have.
type carried struct {
	// own is what names the runner, by its labels or its owner, and what stands in a namespace where nobody else carries work.
	own []*corev1.Pod
	// shared names no runner, and stands where others carry work too: whose it is nobody knows.
	shared []*corev1.Pod
	others []string
}

// all is both. A runner that must live until its work is done waits for all of it.
func (c carried) all() []*corev1.Pod { return slices.Concat(c.own, c.shared) }

// carried finds the work that ends with a runner. Where each replica of a set is a runner, that is the work of all of them: the set is
// scaled as a whole.
func (o *observation) carried(sys *systems.System, ref store.Ref, parts []part) (c carried) {
	seen := map[*corev1.Pod]bool{}
	for _, obj := range o.set.lookup("pods", byRunner, runnerKey(sys.Name, ref.Namespace, ref.Name)) {
		pod := obj.(*corev1.Pod)
		if _, claim, _ := claimOf(pod); claim.Component == "" && o.set.free(pod) {
			c.own, seen[pod] = append(c.own, pod), true
		}
	}
	for _, p := range parts {
		if p.carries == "" {
			continue
		}
		others := o.set.otherCarriers(sys, p, ref)
		c.others = append(c.others, others...)
		for _, obj := range o.set.lookup("pods", byCarry, carryKey(sys.Name, p.carries)) {
			pod := obj.(*corev1.Pod)
			if _, claim, _ := claimOf(pod); claim.Component != "" || o.set.ignored(pod) || seen[pod] {
				continue
			}
			seen[pod] = true
			switch owner := o.set.claimedOwner(ownerOf(pod)); {
			case owner != nil && !slices.Contains(claimRefs(ref.Cluster, owner), ref):
			case owner == nil && len(others) > 0:
				c.shared = append(c.shared, pod)
			default:
				c.own = append(c.own, pod)
			}
		}
	}
	slices.Sort(c.others)
	c.others = slices.Compact(c.others)
	return c
}

// otherCarriers names who else carries work in the namespace where a part's work stands. The replicas of a set are one.
func (s *set) otherCarriers(sys *systems.System, p part, ref store.Ref) (names []string) {
	own := ref.Name
	if p.replica {
		own = p.object.Name
	}
	for _, kind := range append(slices.Clone(owners), "pods") {
		for _, obj := range s.lookup(kind, byCarry, carryKey(sys.Name, p.carries)) {
			_, claim, _ := claimOf(obj)
			if claim.Carries == "" || claim.Runner == "" || claim.Namespace == ref.Namespace && claim.Runner == own || kind == "pods" && ownerOf(obj) != "" {
				continue
			}
			names = append(names, claim.Namespace+"/"+claim.Runner)
		}
	}
	return names
}

// affected is the work that a runner's going out of service waits for.
func (o *observation) affected(sys *systems.System, ref store.Ref, parts []part, work []*corev1.Pod) []*corev1.Pod {
	if sys.SwitchOf().Outlives {
		return work // what is not the runner's goes on as well
	}
	return o.carried(sys, ref, parts).all()
}

// sharedTrap tells of work that may be another runner's: it is not ended with this one, but waited for.
func (h *hand) sharedTrap(a store.Action) (traps []store.Trap) {
	n := len(slices.DeleteFunc(slices.Clone(h.shared), func(p *corev1.Pod) bool { return !living(p) }))
	if n == 0 || a.Drain && h.sw.Outlives {
		return nil
	}
	what, does := fmt.Sprintf("%d workloads", n), "they are left alone"
	switch {
	case n == 1 && a.Drain:
		what, does = "1 workload", "it is waited for too"
	case n == 1:
		what, does = "1 workload", "it is left alone"
	case a.Drain:
		does = "they are waited for too"
	}
	others := store.Clean(strings.Join(h.others[:min(len(h.others), 3)], " or "), 300)
	if more := len(h.others) - 3; more > 0 {
		others += fmt.Sprintf(" or %d more", more)
	}
	return []store.Trap{{Code: store.TrapSharedNamespace, Why: store.Sentence(fmt.Sprintf("%s in namespace %s may belong to %s: %s.", what, h.shared[0].Namespace, others, does))}}
}

// ending is the work that an action ends or waits for, and that has not ended: pods, and work that has no pod of its own.
func (h *hand) ending(a store.Action, r *store.Runner) (out []store.Workload) {
	pods := h.work
	if a.Drain {
		pods = h.awaited
	}
	shown := map[string]store.Workload{}
	for _, w := range underWay(r) {
		shown[w.UID] = w
		if slices.ContainsFunc(h.customs, func(c *custom) bool { return string(c.UID) == w.UID }) {
			out = append(out, w)
		}
	}
	o := h.observation()
	for _, p := range pods {
		if !living(p) {
			continue
		}
		w, known := shown[string(p.UID)]
		if !known {
			w = o.workload(h.sys, p, part{}, nil)
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b store.Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}
