package systems

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
)

// Requests are what a pod asks of its node: CPU in thousandths, memory in bytes, GPUs whole.
type Requests struct{ MilliCPU, Memory, GPU int64 }

// Plus adds two up; what cannot be counted is the most that can.
func (r Requests) Plus(o Requests) Requests {
	return Requests{sum(r.MilliCPU, o.MilliCPU), sum(r.Memory, o.Memory), sum(r.GPU, o.GPU)}
}

func sum(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func (r Requests) atLeast(o Requests) Requests {
	return Requests{max(r.MilliCPU, o.MilliCPU), max(r.Memory, o.Memory), max(r.GPU, o.GPU)}
}

// RequestsOf reads a list of resources; what it does not name is 0.
func RequestsOf(l corev1.ResourceList) Requests {
	gpu := l[ResourceGPU]
	return Requests{Milli(*l.Cpu()), Whole(*l.Memory()), Whole(gpu)}
}

// PodRequests is what the scheduler counts: all containers and sidecars together, or the largest init container while it runs.
// Source: Kubernetes' documentation, "Resource sharing within containers".
func PodRequests(spec *corev1.PodSpec) Requests {
	total := RequestsOf(spec.Overhead)
	var start Requests
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		own := RequestsOf(c.Resources.Requests)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			total = total.Plus(own)
			start = start.atLeast(total)
			continue
		}
		start = start.atLeast(total.Plus(own))
	}
	for i := range spec.Containers {
		total = total.Plus(RequestsOf(spec.Containers[i].Resources.Requests))
	}
	return total.atLeast(start)
}

// FormatRequests writes a pod's requests as short text, which the cache keeps in the field Hostname of a slim pod: whole lists of
// resources would cost more than all the rest, and a map for one annotation half as much. No host name holds a blank. Blank: it asks for nothing.
func FormatRequests(spec *corev1.PodSpec) string {
	r := PodRequests(spec)
	if r == (Requests{}) {
		return ""
	}
	return fmt.Sprintf("%d %d %d", r.MilliCPU, r.Memory, r.GPU)
}

// CachedRequests reads what FormatRequests wrote, off a cached pod; nothing when there is none.
func CachedRequests(pod *corev1.Pod) (r Requests) {
	if _, err := fmt.Sscanf(pod.Spec.Hostname, "%d %d %d", &r.MilliCPU, &r.Memory, &r.GPU); err != nil {
		return Requests{}
	}
	return r
}
