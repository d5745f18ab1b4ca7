package systems_test

import (
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"trackside/systems"
)

func asking(cpu, memory string) corev1.Container {
	return corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}}}
}

func TestWhatAPodAsksFor(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	sidecar := asking("100m", "10Mi")
	sidecar.RestartPolicy = &always
	gpu := asking("1", "1Gi")
	gpu.Resources.Requests[systems.ResourceGPU] = resource.MustParse("2")
	for _, c := range []struct {
		name string
		spec corev1.PodSpec
		want systems.Requests
	}{
		{"nothing", corev1.PodSpec{Containers: []corev1.Container{{}}}, systems.Requests{}},
		{"all containers together", corev1.PodSpec{Containers: []corev1.Container{asking("250m", "1Gi"), asking("250m", "1Gi")}}, systems.Requests{MilliCPU: 500, Memory: 2 << 30}},
		{"a large init container", corev1.PodSpec{InitContainers: []corev1.Container{asking("2", "1Mi")}, Containers: []corev1.Container{asking("1", "2Mi")}}, systems.Requests{MilliCPU: 2000, Memory: 2 << 20}},
		{"a sidecar", corev1.PodSpec{InitContainers: []corev1.Container{sidecar, asking("1", "5Mi")}, Containers: []corev1.Container{asking("500m", "20Mi")}}, systems.Requests{MilliCPU: 1100, Memory: 30 << 20}},
		{"more than can be counted", corev1.PodSpec{Containers: []corev1.Container{asking("9223372036854775807", "9223372036854775807"), asking("1", "1Mi")}},
			systems.Requests{MilliCPU: math.MaxInt64, Memory: math.MaxInt64}},
		{"GPUs", corev1.PodSpec{Containers: []corev1.Container{gpu}}, systems.Requests{MilliCPU: 1000, Memory: 1 << 30, GPU: 2}},
	} {
		if got := systems.PodRequests(&c.spec); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		cached := &corev1.Pod{}
		cached.Spec.Hostname = systems.FormatRequests(&c.spec)
		if got := systems.CachedRequests(cached); got != c.want {
			t.Errorf("%s: %+v is read back, want %+v", c.name, got, c.want)
		}
	}
	nonsense := &corev1.Pod{}
	nonsense.Spec.Hostname = "web-0"
	if got := systems.CachedRequests(nonsense); got != (systems.Requests{}) {
		t.Errorf("nonsense is read as %+v", got)
	}
}
