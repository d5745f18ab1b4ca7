package systems

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// Watch is a resource that a system reads beside those that every system reads: a custom resource, or one of Kubernetes' own
// such as a HorizontalPodAutoscaler. It may be absent: it is watched while the API server serves it.
type Watch struct {
	// Group, Version and Resource address it, as in autoscaling, v2, horizontalpodautoscalers. Kind is the Object.Kind it arrives as.
	Group, Version, Resource, Kind string
	// Keep are the dotted paths of what is kept, such as spec.capabilities, with all that is below; nothing else of spec and status
	// enters the cache, so that no secret does.
	Keep []string
	// ClusterScoped says that it has no namespace.
	ClusterScoped bool
}

// View is a runner as the general rules see it, before its own verdict is made from its components and work, for its system to add
// what only the system knows.
type View struct {
	Now time.Time
	// Runner may be changed: the verdicts of its components and workloads, more components, its facts. Its own verdict is made
	// afterwards.
	Runner *store.Runner
	// Prior is the runner as it was last shown, nil when it was not: it tells since when something that leaves no trace is missing.
	Prior *store.Runner
	// Objects are those of its components, and those of the system's watches that claim it.
	Objects []Object
	// Pods are the runner's pods by UID.
	Pods map[string]*corev1.Pod
	// Nodes lists the cluster's nodes; empty where they cannot be read.
	Nodes func() []Node
	// Kubectl completes a kubectl line for the runner's cluster.
	Kubectl func(args string) string
}

// ResourceGPU is the resource name of NVIDIA's device plugin.
const ResourceGPU corev1.ResourceName = "nvidia.com/gpu"

// Node is what a system may know of a node.
type Node struct {
	Name  string
	Ready bool
	// Allocatable holds cpu, memory and nvidia.com/gpu; nothing where the node is cordoned.
	Allocatable corev1.ResourceList
}

// Fact adds a fact to the runner; a blank value adds none.
func (v *View) Fact(name string, value store.Sentence) {
	if value != "" {
		v.Runner.Facts = append(v.Runner.Facts, store.Fact{Name: name, Value: value})
	}
}

// Of lists the objects of a kind.
func (v *View) Of(kind string) (out []Object) {
	for _, o := range v.Objects {
		if o.Kind == kind {
			out = append(out, o)
		}
	}
	return out
}

// Judge gives a component, and the pods of it that do not fail and are not on their way out, the verdict of its system instead of the
// general one.
func (v *View) Judge(component string, verdict store.Verdict) {
	for i := range v.Runner.Components {
		if c := &v.Runner.Components[i]; c.Name == component {
			replace(&c.Verdict, verdict)
		}
	}
	for i := range v.Runner.Workloads {
		if w := &v.Runner.Workloads[i]; w.Component == component && !w.Failing() && w.Raw != "Terminating" {
			replace(&w.Verdict, verdict)
		}
	}
}

// replace keeps the kubectl line of the verdict before where the new one has none.
func replace(old *store.Verdict, verdict store.Verdict) {
	verdict.Inspect = cmp.Or(verdict.Inspect, old.Inspect)
	*old = verdict
}
