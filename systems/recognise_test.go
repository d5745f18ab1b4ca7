package systems_test

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"trackside/systems"
)

// place is where an object of the fleet belongs.
type place struct{ namespace, runner, component string }

// fleet says for each object of the fleet, by folder and name, where it belongs.
var fleet = map[string]map[string]place{
	"kubiya": {
		"agent-manager":                        {"kubiya-eu", "runner-eu", "agent-manager"},
		"tool-manager":                         {"kubiya-eu", "runner-eu", "tool-manager"},
		"kubiya-operator":                      {"kubiya-eu", "runner-eu", "kubiya-operator"},
		"workflow-engine":                      {"kubiya-eu", "runner-eu", "workflow-engine"},
		"enforcer":                             {"kubiya-eu", "runner-eu", "enforcer"},
		"runner-eu-kubiya-runner-helm-updater": {"kubiya-eu", "runner-eu", "image-updater"},
		"tool-terraform":                       {"kubiya-eu", "runner-eu", ""},
	},
	"agyn": {
		"k8s-runner": {"platform", "k8s-runner", "k8s-runner"},
		"workload-00000000-0000-4000-8000-000000000000": {"agyn-workloads", "", ""},
	},
	"labelled": {
		"builds-docker-builder": {"builds", "builds-docker", "builder"},
		"builds-docker-cache":   {"builds", "builds-docker", "cache"},
		"ci-linux-controller":   {"ci", "ci-linux", "controller"},
		"ci-linux-executor":     {"ci", "ci-linux", "executor"},
		"edge-berlin-agent":     {"edge", "edge-berlin", "agent"},
		"gpu-a100-worker-0":     {"gpu", "gpu-a100", "worker"},
		"gpu-a100-worker-1":     {"gpu", "gpu-a100", "worker"},
		"ci-linux-job":          {"ci", "ci-linux", ""},
	},
	"plue": {
		"runner-standby-pool": {"workflows", "runner-standby-pool", "warm-pool"},
		"runner-00000000":     {"workflows", "", ""},
	},
	"release": {
		"release-runner": {"digitalai", "release-runner", "runner"},
		"0000000000000000000000000000000000000000": {"digitalai", "", ""},
	},
	"ambient": {
		"agentic-operator":                  {"ambient-code", "ambient-code", "agentic-operator"},
		"backend-api":                       {"ambient-code", "ambient-code", "backend-api"},
		"ambient-control-plane":             {"ambient-code", "ambient-code", "ambient-control-plane"},
		"frontend":                          {"ambient-code", "ambient-code", "frontend"},
		"agentic-session-1767603000-runner": {"team-blue", "team-blue", ""},
		"agentic-session-1767604000-runner": {"team-blue", "team-blue", ""},
		"session-2q7m1v8x4k-runner":         {"team-blue", "team-blue", ""},
	},
}

// ownNames are the systems in which a pod by itself is a runner of its own name: its owner is asked first.
var ownNames = map[string]bool{"plue": true, "release": true}

func TestEveryObjectOfTheFleetIsRecognised(t *testing.T) {
	for system, places := range fleet {
		seen := 0
		for _, f := range fixtures(t, system) {
			want, known := places[f.object.Name]
			if !known && f.object.Kind == "StatefulSet" && system == "kubiya" {
				want = place{"kubiya-eu", "runner-eu", "dagger-engine"} // its name carries the chart's version
				known = true
			}
			if !known {
				t.Errorf("%s/%s: no test says where %s %s belongs", system, f.file, f.object.Kind, f.object.Name)
				continue
			}
			seen++
			for _, o := range []systems.Object{f.object, f.pod} {
				s, c, ok := systems.Recognise(o)
				if !ok || s.Name != system {
					t.Errorf("%s/%s: %s %s is not recognised", system, f.file, o.Kind, o.Name)
					continue
				}
				want := want
				if ownNames[system] && want.component != "" {
					want.runner = o.Name
				}
				if got := (place{c.Namespace, c.Runner, c.Component}); got != want {
					t.Errorf("%s/%s: %s %s belongs to %v, want %v", system, f.file, o.Kind, o.Name, got, want)
				}
			}
		}
		if seen < len(places) {
			t.Errorf("%s: %d objects seen, want %d", system, seen, len(places))
		}
	}
}

func TestForeignObjectsAreNobodys(t *testing.T) {
	for _, f := range fixtures(t, "foreign") {
		if s, c, ok := systems.Recognise(f.object); ok {
			t.Errorf("%s %s belongs to %s: %v", f.object.Kind, f.object.Name, s.Name, c)
		}
	}
	image := &corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "ghcr.io/kubiyabot/tool:1"}}}
	other := &corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "acme/tool:1"}}}
	for name, o := range map[string]systems.Object{
		"nothing at all":                        {},
		"a pod without labels":                  {Kind: "Pod", Name: "p", Spec: other},
		"an image alone":                        {Kind: "Pod", Name: "p", Spec: image},
		"an instance of another chart":          {Kind: "Pod", Name: "p", Labels: map[string]string{"app.kubernetes.io/instance": "x"}, Spec: other},
		"a chart's name without its image":      {Kind: "Deployment", Name: "agent-manager", Spec: other},
		"a chart's name without containers":     {Kind: "Deployment", Name: "agent-manager"},
		"a chart's name, kubiyabot its image":   {Kind: "Deployment", Name: "agent-manager", Spec: mirror("acme/kubiyabot:1")},
		"a chart's name, another's kubiyabot":   {Kind: "Deployment", Name: "agent-manager", Spec: mirror("acme/notkubiyabot/agent-manager:1")},
		"a chart's name, kubiyabot in the tag":  {Kind: "Deployment", Name: "agent-manager", Spec: mirror("acme/agent-manager:kubiyabot")},
		"somebody else's enforcer":              {Kind: "Deployment", Name: "e", Labels: map[string]string{"app.kubernetes.io/component": "enforcer"}, Spec: other},
		"a release's Deployment, no component":  {Kind: "Deployment", Name: "d", Labels: map[string]string{"app.kubernetes.io/instance": "x"}, Spec: image},
		"kubiya.ai/runner on a Deployment":      {Kind: "Deployment", Name: "d", Labels: map[string]string{"kubiya.ai/runner": "x"}, Spec: other},
		"agyn's manager without its workload":   {Kind: "Pod", Name: "p", Labels: map[string]string{"app.kubernetes.io/managed-by": "k8s-runner"}, Spec: other},
		"agyn's workload label on a Deployment": {Kind: "Deployment", Name: "d", Labels: map[string]string{"app.kubernetes.io/managed-by": "k8s-runner", "agyn.io/workload-id": "1"}, Spec: other},
		"agyn's name on a StatefulSet":          {Kind: "StatefulSet", Name: "d", Labels: map[string]string{"app.kubernetes.io/name": "k8s-runner"}, Spec: other},
		"a runner without a name":               {Kind: "Deployment", Name: "d", Labels: map[string]string{systems.LabelRunner: "", systems.LabelComponent: "c"}, Spec: other},
	} {
		if s, c, ok := systems.Recognise(o); ok {
			t.Errorf("%s belongs to %s: %v", name, s.Name, c)
		}
	}
}

func mirror(image string) *corev1.PodSpec {
	return &corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}
}

func TestRecogniseWithoutAllLabels(t *testing.T) {
	kubiya := &corev1.PodSpec{Containers: []corev1.Container{{Name: "sidecar", Image: "envoy:1"}, {Name: "c", Image: "ghcr.io/kubiyabot/x:1"}}}
	agyn := &corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "a", Env: []corev1.EnvVar{{Name: "KUBE_NAMESPACE", Value: "work"}}}}}
	for _, c := range []struct {
		name   string
		o      systems.Object
		system string
		want   systems.Claim
	}{
		{"kubiya before it had the label", systems.Object{Kind: "Deployment", Namespace: "n", Name: "tool-manager", Spec: kubiya}, "kubiya", systems.Claim{Namespace: "n", Runner: "kubiya-runner", Component: "tool-manager"}},
		{"kubiya from a mirror", systems.Object{Kind: "Deployment", Namespace: "n", Name: "tool-manager", Spec: mirror("registry.acme:5000/kubiyabot/tool-manager@sha256:0")}, "kubiya", systems.Claim{Namespace: "n", Runner: "kubiya-runner", Component: "tool-manager"}},
		{"kubiya's enforcer from a mirror's folder", systems.Object{Kind: "Deployment", Namespace: "n", Name: "e", Labels: map[string]string{"app.kubernetes.io/component": "enforcer"}, Spec: mirror("acme/mirrors/ghcr.io/kubiyabot/opawatchdog:v1")},
			"kubiya", systems.Claim{Namespace: "n", Runner: "kubiya-runner", Component: "enforcer"}},
		{"kubiya's tool from a mirror", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"app.kubernetes.io/instance": "r"}, Spec: mirror("registry.acme/kubiyabot/tool")}, "kubiya", systems.Claim{Namespace: "n", Runner: "r"}},
		{"kubiya's documented pod label", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"kubiya.ai/runner": "r"}}, "kubiya", systems.Claim{Namespace: "n", Runner: "r"}},
		{"agyn by app", systems.Object{Kind: "Deployment", Namespace: "n", Name: "k8s-eu", Labels: map[string]string{"app": "k8s-runner"}, Spec: agyn}, "agyn", systems.Claim{Namespace: "n", Runner: "k8s-eu", Component: "k8s-runner", Carries: "work"}},
		{"agyn carrying nothing", systems.Object{Kind: "Deployment", Namespace: "n", Name: "k8s-eu", Labels: map[string]string{"app": "k8s-runner"}}, "agyn", systems.Claim{Namespace: "n", Runner: "k8s-eu", Component: "k8s-runner"}},
		{"labelled without component", systems.Object{Kind: "Deployment", Namespace: "n", Name: "d", Labels: map[string]string{systems.LabelRunner: "r"}}, "labelled", systems.Claim{Namespace: "n", Runner: "r", Component: "d"}},
		{"labelled work", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{systems.LabelRunner: "r", systems.LabelComponent: "c", systems.LabelWorkload: "true"}}, "labelled", systems.Claim{Namespace: "n", Runner: "r"}},
		{"our label wins", systems.Object{Kind: "Deployment", Namespace: "n", Name: "tool-manager", Labels: map[string]string{systems.LabelRunner: "r"}, Spec: kubiya}, "labelled", systems.Claim{Namespace: "n", Runner: "r", Component: "tool-manager"}},
	} {
		s, got, ok := systems.Recognise(c.o)
		if !ok || s.Name != c.system || got != c.want {
			t.Errorf("%s: %v %+v, want %s %+v", c.name, ok, got, c.system, c.want)
		}
	}
}

func TestTheIgnoreLabelHides(t *testing.T) {
	for system := range fleet {
		for _, f := range fixtures(t, system) {
			o := f.object
			labels := map[string]string{systems.LabelIgnore: "true"}
			maps.Copy(labels, o.Labels)
			o.Labels = labels
			if _, _, ok := systems.Recognise(o); ok {
				t.Errorf("%s %s is to be ignored and is not", o.Kind, o.Name)
			}
			labels[systems.LabelIgnore] = "false"
			if _, _, ok := systems.Recognise(o); !ok {
				t.Errorf("%s %s is not to be ignored and is", o.Kind, o.Name)
			}
		}
	}
}

func TestSystemsAreInOrderAndComplete(t *testing.T) {
	if names := systems.Names(); !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("systems: %v", names)
	}
	for _, s := range systems.All() {
		if s.Title == "" || s.LooksFor == "" || s.Claim == nil {
			t.Errorf("%s is incomplete", s.Name)
		}
	}
}

func TestOnlyDeclaredEnvironmentIsKept(t *testing.T) {
	for env, want := range map[string]bool{"KUBE_NAMESPACE": true, "SERVICE_TOKEN": false, "PATH": false, "": false, "kube_namespace": false} {
		if got := systems.Keeps(env); got != want {
			t.Errorf("Keeps(%q) = %v", env, got)
		}
	}
}
