package kube

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"

	"trackside/store"
	"trackside/systems"
)

// assess asks the runner's system for what only it knows.
func (o *observation) assess(sys *systems.System, r, prior *store.Runner, parts []part, work []*corev1.Pod, customs []*custom) {
	if sys.Assess == nil {
		return
	}
	v := &systems.View{Now: o.now, Runner: r, Prior: prior, Pods: map[string]*corev1.Pod{}, Kubectl: o.cluster.kubectl, Nodes: o.set.nodes}
	for _, p := range parts {
		v.Objects = append(v.Objects, p.object)
		for _, pod := range p.pods {
			v.Pods[string(pod.UID)] = pod
		}
	}
	for _, pod := range work {
		v.Pods[string(pod.UID)] = pod
	}
	for _, c := range customs {
		v.Objects = append(v.Objects, c.object())
	}
	sys.Assess(v)
	slices.SortStableFunc(r.Components, func(a, b store.Component) int { return strings.Compare(a.Name, b.Name) })
}

// nodes lists what a system may know of the nodes, by name.
func (s *set) nodes() (out []systems.Node) {
	for _, w := range s.watched {
		if w.name != "nodes" || w.custom != nil {
			continue
		}
		for _, o := range w.GetIndexer().List() {
			if f, ok := o.(*nodeFacts); ok {
				out = append(out, systems.Node{Name: f.Name, Ready: f.ready == corev1.ConditionTrue, Allocatable: f.allocatable})
			}
		}
	}
	slices.SortFunc(out, func(a, b systems.Node) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// sized are the resources of a node that a system may know.
var sized = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, systems.ResourceGPU}

func sizes(all corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for _, name := range sized {
		if q, ok := all[name]; ok {
			out[name] = q
		}
	}
	return out
}

func sameSizes(a, b corev1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(x, y apiresource.Quantity) bool { return x.Cmp(y) == 0 })
}
