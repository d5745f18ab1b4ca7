package kube

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestEqualListsOfContainersAreOne(t *testing.T) {
	s := sharing{lists: map[string][]corev1.Container{}}
	always := corev1.ContainerRestartPolicyAlways
	make1 := func(change func(*corev1.Container)) []corev1.Container {
		list := slimContainers([]corev1.Container{{Name: "agent", Image: "acme/agent:1", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}})
		change(&list[0])
		return list
	}
	first := s.list(make1(func(*corev1.Container) {}))
	if again := s.list(make1(func(*corev1.Container) {})); &again[0] != &first[0] {
		t.Error("two equal lists are two")
	}
	for name, change := range map[string]func(*corev1.Container){
		"name":    func(c *corev1.Container) { c.Name = "other" },
		"image":   func(c *corev1.Container) { c.Image = "acme/agent:2" },
		"port":    func(c *corev1.Container) { c.Ports = firstPort([]corev1.ContainerPort{{ContainerPort: 9090}}) },
		"policy":  func(c *corev1.Container) { c.RestartPolicy = &always },
		"probe":   func(c *corev1.Container) { c.ReadinessProbe = someProbe },
		"vacuous": func(c *corev1.Container) { c.ReadinessProbe = vacuous },
		"command": func(c *corev1.Container) { c.Command = sleeping },
		"env":     func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "KUBE_NAMESPACE", Value: "work"}} },
	} {
		if other := s.list(make1(change)); &other[0] == &first[0] {
			t.Errorf("a list of another %s is taken for it", name)
		}
	}
	for i := range 3 * shareLimit {
		s.list(make1(func(c *corev1.Container) { c.Name = fmt.Sprint("agent-", i) }))
	}
	if len(s.lists) > shareLimit {
		t.Errorf("%d lists are remembered", len(s.lists))
	}
}
