package fleet

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestPlanHasWhatWasAskedFor(t *testing.T) {
	for _, size := range []Size{{}, {Runners: 10, Pods: 100}, {Runners: 500, Pods: 5000}} {
		runners, err := plan(size)
		if err != nil {
			t.Fatal(err)
		}
		pods := 0
		for _, r := range runners {
			pods += r.componentPods() + len(r.workloads)
		}
		if size.Runners > 0 && (len(runners) != size.Runners || pods != size.Pods) {
			t.Errorf("plan(%+v) has %d runners and %d pods", size, len(runners), pods)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	runners, err := plan(Size{Runners: 60, Pods: 400})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	check := func(o runtime.Object) {
		meta := o.(metav1.Object)
		key := o.GetObjectKind().GroupVersionKind().Kind + " " + meta.GetNamespace() + "/" + meta.GetName()
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
	for _, r := range runners {
		for _, o := range r.objects {
			check(o)
		}
		for _, pod := range r.workloads {
			check(pod)
		}
	}
}

func TestRenamingReachesWorkloads(t *testing.T) {
	runners, err := plan(Size{})
	if err != nil {
		t.Fatal(err)
	}
	us := runners[1]
	for _, o := range us.objects {
		if _, spec := podTemplate(o); spec != nil {
			for _, e := range spec.Containers[0].Env {
				if e.Name == "KUBIYA_RUNNER_NAME" && e.Value != "runner-us" {
					t.Errorf("KUBIYA_RUNNER_NAME is %q", e.Value)
				}
			}
		}
	}
	if pod := us.workloads[0]; pod.Namespace != "kubiya-us" || pod.Labels["app.kubernetes.io/instance"] != "runner-us" {
		t.Errorf("a workload of runner-us is %s/%s, labelled %v", pod.Namespace, pod.Name, pod.Labels)
	}
}

func TestBump(t *testing.T) {
	for _, c := range []struct {
		image string
		by    int
		want  string
	}{
		{"ghcr.io/kubiyabot/agent-manager:v0.5.1", 1, "ghcr.io/kubiyabot/agent-manager:v0.5.2"},
		{"ghcr.io/kubiyabot/tool-manager:0.5.19", -2, "ghcr.io/kubiyabot/tool-manager:0.5.17"},
		{"ghcr.io/kubiyabot/agent-manager:v0.5.1", -2, "ghcr.io/kubiyabot/agent-manager:v0.5.0"},
		{"ghcr.io/kubiyabot/kubiya-operator:runner_v2", 1, "ghcr.io/kubiyabot/kubiya-operator:runner_v2"},
		{"registry.example:5000/agent", 1, "registry.example:5000/agent"},
	} {
		if got := Bump(c.image, c.by); got != c.want {
			t.Errorf("Bump(%q, %d) = %q, want %q", c.image, c.by, got, c.want)
		}
	}
}

func TestForeignPodsAreNoRunners(t *testing.T) {
	names := map[string]bool{}
	for n := range 9000 {
		pod, err := foreign(n)
		if err != nil {
			t.Fatal(err)
		}
		names[pod.Namespace+"/"+pod.Name] = true
		if pod.Labels["trackside.dev/runner"] != "" {
			t.Fatalf("pod %s is not what it should be", pod.Name)
		}
	}
	if len(names) != 9000 {
		t.Errorf("9000 foreign pods have %d names", len(names))
	}
}
