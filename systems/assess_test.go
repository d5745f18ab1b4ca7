package systems_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"trackside/store"
	"trackside/systems"
)

// viewOf is a runner that the general rules have looked at.
func viewOf(r *store.Runner, objects ...systems.Object) *systems.View {
	return &systems.View{Now: time.Now(), Runner: r, Objects: objects, Pods: map[string]*corev1.Pod{},
		Nodes: func() []systems.Node { return nil }, Kubectl: func(args string) string { return "kubectl " + args }}
}

func factsOf(r *store.Runner) map[string]string {
	facts := map[string]string{}
	for _, f := range r.Facts {
		facts[f.Name] = string(f.Value)
	}
	return facts
}

func healthy(names ...string) (out []store.Component) {
	for _, n := range names {
		out = append(out, store.Component{Name: n, Kind: "Deployment", Object: n, Verdict: store.Verdict{Health: store.Healthy, Why: "Fine."}, Ready: 2, Desired: 2})
	}
	return out
}

func TestKubiyaMissesItsComponents(t *testing.T) {
	for _, c := range []struct {
		name    string
		present []string
		missing string
	}{
		{"all there", []string{"agent-manager", "kubiya-operator", "tool-manager", "workflow-engine"}, ""},
		{"optional parts do not matter", []string{"agent-manager", "kubiya-operator", "tool-manager", "workflow-engine", "enforcer"}, ""},
		{"one missing", []string{"agent-manager", "kubiya-operator", "workflow-engine"}, "tool-manager"},
		{"one that is there twice is not missing", []string{"agent-manager (a)", "agent-manager (b)", "kubiya-operator", "tool-manager", "workflow-engine"}, ""},
		{"no release at all", []string{"enforcer"}, ""},
	} {
		r := &store.Runner{Ref: store.Ref{Namespace: "ns"}, Components: healthy(c.present...)}
		systems.Kubiya.Assess(viewOf(r))
		var missing []string
		for _, x := range r.Components {
			if x.Raw == "Missing" {
				missing = append(missing, x.Name)
				if x.Health != store.Degraded || !strings.Contains(string(x.Why), x.Name+" is missing") || x.Inspect != "kubectl get deployment "+x.Name+" -n ns" {
					t.Errorf("%s: %+v", c.name, x)
				}
			}
		}
		if got := strings.Join(missing, " "); got != c.missing {
			t.Errorf("%s: missing %q, want %q", c.name, got, c.missing)
		}
	}
}

// While a release is being installed, what is not there yet is no fault; what was there and is gone is one at once.
func TestKubiyaWaitsForWhatAnInstallationHasYetToMake(t *testing.T) {
	shown := func(raw string) *store.Runner {
		r := &store.Runner{Components: healthy("agent-manager", "kubiya-operator", "workflow-engine", "tool-manager")}
		r.Components[3].Raw = raw
		return r
	}
	for _, c := range []struct {
		name   string
		newest time.Duration // since the newest of its objects was made
		prior  *store.Runner
		want   store.Health
		left   time.Duration
	}{
		{"just begun", 10 * time.Second, nil, store.Unknown, 50 * time.Second},
		{"by a clock that is ahead", -time.Hour, nil, store.Unknown, time.Minute},
		{"just begun, and awaited before", 10 * time.Second, shown("Awaited"), store.Unknown, 50 * time.Second},
		{"just begun, and not seen before", 10 * time.Second, &store.Runner{Components: healthy("agent-manager")}, store.Unknown, 50 * time.Second},
		{"it was there", 10 * time.Second, shown(""), store.Degraded, 0},
		{"it was missing", 10 * time.Second, shown("Missing"), store.Degraded, 0},
		{"the grace is over", time.Minute, shown("Awaited"), store.Degraded, 0},
		{"old", time.Hour, nil, store.Degraded, 0},
	} {
		v := newView("kubiya", "ns", "r")
		v.Runner.Components, v.Prior = healthy("agent-manager", "kubiya-operator", "workflow-engine"), c.prior
		v.Objects = []systems.Object{{Kind: "Deployment", Name: "agent-manager", Created: noon.Add(-c.newest)}, {Kind: "Deployment", Name: "kubiya-operator", Created: noon.Add(-c.newest - 24*time.Hour)}}
		systems.Kubiya.Assess(v)
		k, _ := v.Runner.Component("tool-manager")
		next := time.Time{}
		if c.left > 0 {
			next = noon.Add(c.left)
		}
		if k.Health != c.want || !k.Next.Equal(next) || (k.Raw == "Missing") != (c.want == store.Degraded) || k.Why == "" {
			t.Errorf("%s: %+v", c.name, k.Verdict)
		}
	}
}

func TestKubiyaSaysWhatItsScoreIsMadeOf(t *testing.T) {
	r := &store.Runner{Components: healthy("agent-manager", "kubiya-operator", "tool-manager", "workflow-engine")}
	r.Components[0].Probe = store.Probe{URL: "/healthz", Status: 200}
	r.Components[2].Probe, r.Components[2].Ready = store.Probe{URL: "/health", Problem: "503"}, 1
	operator := systems.Object{Kind: "Deployment", Name: "kubiya-operator", Spec: &corev1.PodSpec{Containers: []corev1.Container{
		{Name: "kubiya-operator", Image: "ghcr.io/kubiyabot/kubiya-operator:runner_v2"}}}}
	tools := systems.Object{Kind: "Deployment", Name: "tool-manager", Spec: &corev1.PodSpec{Containers: []corev1.Container{
		{Name: "tool-manager", Env: []corev1.EnvVar{{Name: "KUBIYA_USER_ORG", Value: "ac\x02me\r\n"}, {Name: "KUBIYA_AGENT_UUID", Value: "u-1"}}}}}}
	systems.Kubiya.Assess(viewOf(r, operator, tools))
	facts := factsOf(r)
	for name, want := range map[string]string{"Pods ready": "7 of 8", "Probes answered": "1 of 2", "Generation": "v2", "Organization": "ac me", "Runner UUID": "u-1"} {
		if facts[name] != want {
			t.Errorf("%s is %q, want %q", name, facts[name], want)
		}
	}
}

func TestAgynSaysWhatItOffersAndCarries(t *testing.T) {
	r := &store.Runner{Components: healthy("k8s-runner"), Workloads: []store.Workload{
		{UID: "1", Phase: "Running"}, {UID: "2", Phase: "Pending"}, {UID: "3", Phase: "Failed"}, {UID: "4", Phase: "Running", Component: "k8s-runner"}}}
	env := []corev1.EnvVar{{Name: "KUBE_NAMESPACE", Value: "work"}, {Name: "CAPABILITY_IMPLEMENTATIONS", Value: `{"docker":"rootless","gpu":"nvidia"}`}}
	v := viewOf(r, systems.Object{Kind: "Deployment", Spec: &corev1.PodSpec{Containers: []corev1.Container{{Env: env}}}},
		systems.Object{Kind: "PersistentVolumeClaim", Custom: map[string]any{"status": map[string]any{"phase": "Bound"}}},
		systems.Object{Kind: "PersistentVolumeClaim", Custom: map[string]any{"status": "nonsense"}})
	for _, uid := range []string{"1", "2", "3", "4"} {
		pod := &corev1.Pod{}
		pod.Spec.Hostname = "500 1073741824 0"
		v.Pods[uid] = pod
	}
	node := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"), systems.ResourceGPU: resource.MustParse("1")}
	v.Nodes = func() []systems.Node {
		return []systems.Node{{Name: "a", Ready: true, Allocatable: node}, {Name: "gone", Allocatable: node}}
	}
	systems.Agyn.Assess(v)
	if got := strings.Join(r.Offer.Capabilities, " "); got != "docker gpu" {
		t.Errorf("it offers %q", got)
	}
	facts := factsOf(r)
	for name, want := range map[string]string{"Workload namespace": "work", "Capabilities": "docker (rootless), gpu (nvidia)", "Workloads now": "2",
		"Requests": "CPU 1 of 4, memory 2.0 of 16.0 GiB on ready nodes, before other pods' requests", "GPUs": "0 of 1", "Volume claims": "2, of which 1 are not bound"} {
		if facts[name] != want {
			t.Errorf("%s is %q, want %q", name, facts[name], want)
		}
	}
}

func TestAgynEnrolmentWithoutAWord(t *testing.T) {
	for _, c := range []struct {
		name   string
		age    time.Duration
		custom map[string]any
		next   bool
	}{
		{"within the grace", 10 * time.Second, nil, true},
		{"after it", time.Hour, map[string]any{"status": map[string]any{"conditions": "broken"}}, false},
	} {
		r := &store.Runner{}
		systems.Agyn.Assess(viewOf(r, systems.Object{Kind: "Runner", Name: "r", Created: time.Now().Add(-c.age), Custom: c.custom}))
		if len(r.Components) != 1 || r.Components[0].Health != store.Unknown || r.Components[0].Next.IsZero() == c.next || r.Components[0].Why == "" {
			t.Errorf("%s: %+v", c.name, r.Components)
		}
	}
	r := &store.Runner{}
	systems.Agyn.Assess(viewOf(r, systems.Object{Kind: "Deployment", Spec: &corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{{Name: "CAPABILITY_IMPLEMENTATIONS", Value: "[1"}}}}}}))
	if got := factsOf(r)["Capabilities"]; !strings.Contains(got, "is not a JSON object") {
		t.Errorf("capabilities that cannot be read: %q", got)
	}
}
