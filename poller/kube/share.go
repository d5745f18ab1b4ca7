package kube

import (
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// shareLimit bounds the lists of containers that are remembered for sharing. Lists that nothing else resembles push the others out now
// and then, which costs memory and nothing else.
const shareLimit = 512

// shared makes equal lists of slim containers one: the pods of a template differ in none of what is kept, and a container is half a
// kilobyte even when nearly nothing of it is set. Nobody changes what is in the cache.
var shared = sharing{lists: map[string][]corev1.Container{}}

type sharing struct {
	mu    sync.Mutex
	lists map[string][]corev1.Container
}

// list returns a list equal to the given one, the same each time.
func (s *sharing) list(containers []corev1.Container) []corev1.Container {
	if len(containers) == 0 {
		return containers
	}
	key := likeness(containers)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.lists[key]; ok {
		return known
	}
	if len(s.lists) >= shareLimit {
		clear(s.lists)
	}
	s.lists[key] = containers
	return containers
}

// likeness is text that is equal for containers of which equal things are kept: see slimContainers.
func likeness(containers []corev1.Container) string {
	var b strings.Builder
	for i := range containers {
		c := &containers[i]
		policy := ""
		if c.RestartPolicy != nil {
			policy = string(*c.RestartPolicy)
		}
		fmt.Fprintf(&b, "%q %q %q %q %p", c.Name, c.Image, policy, c.Command, c.ReadinessProbe)
		for _, p := range c.Ports {
			fmt.Fprintf(&b, " %d", p.ContainerPort)
		}
		for _, e := range c.Env {
			fmt.Fprintf(&b, " %q=%q", e.Name, e.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
