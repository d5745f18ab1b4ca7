package systems_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"

	"trackside/store"
	"trackside/systems"
)

func init() {
	fleet["arc"] = map[string]place{
		"arc-gha-rs-controller":        {"arc-systems", "arc-gha-rs-controller", "controller"},
		"linux-x64-754b578d-listener":  {"arc-runners", "linux-x64", "listener"},
		"linux-x64-7k2pd-runner-4wc2h": {"arc-runners", "linux-x64", ""},
		"linux-x64-7k2pd-runner-q8zd5": {"arc-runners", "linux-x64", ""},
	}
}

func TestARCClaims(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      systems.Object
		system string
		want   systems.Claim
	}{
		{"a release whose name holds the chart's", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"app.kubernetes.io/part-of": "gha-runner-scale-set-controller", "app.kubernetes.io/component": "controller-manager", "app.kubernetes.io/instance": "my-gha-rs-controller"}}, "arc", systems.Claim{Namespace: "n", Runner: "my-gha-rs-controller", Component: "controller"}},
		{"a pod of a scale set that does not say which", systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Labels: map[string]string{"app.kubernetes.io/component": "runner"}}, "", systems.Claim{}},
		{"a Deployment labelled as a runner", systems.Object{Kind: "Deployment", Namespace: "n", Name: "p", Labels: map[string]string{"actions.github.com/scale-set-name": "s", "actions.github.com/scale-set-namespace": "n", "app.kubernetes.io/component": "runner"}}, "", systems.Claim{}},
	} {
		s, got, ok := systems.Recognise(c.o)
		if ok != (c.system != "") || ok && (s.Name != c.system || got != c.want) {
			t.Errorf("%s: %v %+v", c.name, ok, got)
		}
	}
}

// customs reads the custom resources of a fixture as a board keeps them.
func customs(t *testing.T, file string, s *systems.System) (out []systems.Object) {
	t.Helper()
	b, err := os.ReadFile("../e2e/cluster/fleet/" + file)
	if err != nil {
		t.Fatal(err)
	}
	r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			APIVersion, Kind string
			Metadata         metav1.ObjectMeta
		}
		var content map[string]any
		if err := errors.Join(yaml.Unmarshal(doc, &m), yaml.Unmarshal(doc, &content)); err != nil {
			t.Fatal(err)
		}
		for _, w := range s.Watches {
			if w.Kind == m.Kind && w.Group+"/"+w.Version == m.APIVersion {
				out = append(out, systems.Object{Kind: m.Kind, Namespace: m.Metadata.Namespace, Name: m.Metadata.Name, UID: types.UID(m.Metadata.Name), Labels: m.Metadata.Labels,
					Created: now.Add(-time.Hour), Custom: kept(content, w.Keep)})
			}
		}
	}
}

// kept is what a watch keeps of an object.
func kept(content map[string]any, paths []string) map[string]any {
	out := map[string]any{}
	for _, p := range paths {
		section, key, _ := strings.Cut(p, ".")
		from, _ := content[section].(map[string]any)
		if v, ok := from[key]; ok {
			into, _ := out[section].(map[string]any)
			if into == nil {
				into = map[string]any{}
				out[section] = into
			}
			into[key] = v
		}
	}
	return out
}

func TestCustomResourcesOfARCBelongToTheirScaleSet(t *testing.T) {
	objects := customs(t, "arc/scale-set.yaml", systems.ARC)
	if len(objects) != 5 {
		t.Fatalf("%d custom resources", len(objects))
	}
	for _, o := range objects {
		c, ok := systems.ARC.Claim(o)
		if !ok || c.Namespace != "arc-runners" || c.Runner != "linux-x64" || (c.Component == "scale-set") != (o.Kind == "AutoscalingRunnerSet") {
			t.Errorf("%s %s: %+v %v", o.Kind, o.Name, c, ok)
		}
		o.Labels, o.Custom = nil, nil // a controller may pass no labels on
		if _, ok := systems.ARC.Claim(o); ok != (o.Kind == "AutoscalingRunnerSet") {
			t.Errorf("%s without labels: %v", o.Kind, ok)
		}
	}
	if _, ok := systems.ARC.Claim(systems.Object{Kind: "AutoscalingRunnerSets", Name: "x"}); ok {
		t.Error("a kind that is not ARC's is claimed")
	}
}

// The credential that registers a runner stood in its status up to 0.12; no path that is kept may reach it.
func TestNoCredentialOfARCIsKept(t *testing.T) {
	for _, w := range systems.ARC.Watches {
		for _, p := range w.Keep {
			if p == "status" || p == "spec" || strings.Contains(p, "JIT") || strings.Contains(p, "Secret") || strings.Contains(p, "template") {
				t.Errorf("%s of %s is kept", p, w.Resource)
			}
		}
	}
}

// scaleSet is the scale set of the fleet as the general rules leave it, for a test to change.
type scaleSet struct {
	objects []systems.Object
	runner  *store.Runner
	prior   *store.Runner
	pods    map[string]*corev1.Pod
}

func newScaleSet(t *testing.T) *scaleSet {
	s := &scaleSet{objects: customs(t, "arc/scale-set.yaml", systems.ARC), runner: &store.Runner{}, pods: map[string]*corev1.Pod{}}
	unproven := store.Verdict{Health: store.Healthy, Unproven: true, Why: "It runs."}
	s.runner.Components = []store.Component{{Name: "listener", Kind: "Pod", Verdict: unproven}}
	for _, o := range s.objects {
		if o.Kind == "EphemeralRunner" {
			s.pods["pod-"+o.Name] = &corev1.Pod{}
			s.runner.Workloads = append(s.runner.Workloads, store.Workload{Namespace: o.Namespace, Name: o.Name, UID: "pod-" + o.Name, Phase: "Running", Verdict: unproven})
		}
	}
	return s
}

func (s *scaleSet) of(kind string) *systems.Object {
	for i := range s.objects {
		if s.objects[i].Kind == kind {
			return &s.objects[i]
		}
	}
	return nil
}

// set changes a field of the first object of a kind; nil takes it away.
func (s *scaleSet) set(kind, section, key string, value any) {
	m, _ := s.of(kind).Custom[section].(map[string]any)
	if value == nil {
		delete(m, key)
		return
	}
	m[key] = value
}

func (s *scaleSet) without(kind string) {
	var left []systems.Object
	for _, o := range s.objects {
		if o.Kind != kind {
			left = append(left, o)
		}
	}
	s.objects = left
}

// podless takes the pod of the first runner away.
func (s *scaleSet) podless() {
	delete(s.pods, s.runner.Workloads[0].UID)
	s.runner.Workloads = s.runner.Workloads[1:]
}

// assess looks at the scale set twice, first when it became so and then after the time, as a board does.
func (s *scaleSet) assess(after time.Duration) *store.Runner {
	first := s.look(now.Add(-after), s.prior)
	if after == 0 {
		return first
	}
	return s.look(now, first)
}

func (s *scaleSet) look(at time.Time, prior *store.Runner) *store.Runner {
	r := *s.runner
	r.Components, r.Workloads = append([]store.Component(nil), r.Components...), append([]store.Workload(nil), r.Workloads...)
	systems.ARC.Assess(&systems.View{Now: at, Runner: &r, Prior: prior, Objects: s.objects, Pods: s.pods, Kubectl: func(a string) string { return "kubectl " + a }})
	return &r
}

// ephemeral is the kind of the object that stands for one runner of a scale set.
const ephemeral = "EphemeralRunner"

// fail makes a runner fail for good, as its controller says it.
func (s *scaleSet) fail() {
	s.set(ephemeral, "status", "phase", "Failed")
	s.set(ephemeral, "status", "ready", false)
	s.set(ephemeral, "status", "reason", "TooManyPodFailures")
	s.set(ephemeral, "status", "message", "Pod has failed to start more than 5 times: ")
	s.set(ephemeral, "status", "failures", map[string]any{"a": "2026-11-20T11:50:00Z", "b": "2026-11-20T11:55:00Z", "c": true})
}

// arcCases change one thing each in a scale set that is well.
var arcCases = []struct {
	name   string
	change func(*scaleSet)
	after  time.Duration
	// what is looked at: a component, or work by the beginning of its name
	component, work string
	health          store.Health
	reason          store.Reason
	raw, why        string
}{
	{name: "all is well", component: "scale-set", health: store.Healthy, why: "scale-set has 2 of 2 runners."},
	{name: "a job proves its runner", work: "linux-x64-7k2pd-runner-4wc2h", health: store.Healthy, why: "linux-x64-7k2pd-runner-4wc2h runs the job build (linux, go) of acme/shop (run 17234567890)."},
	{name: "a runner fails for good", change: func(s *scaleSet) { s.fail(); s.podless() }, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Unhealthy, reason: store.CrashLoop, raw: "TooManyPodFailures",
		why: "linux-x64-7k2pd-runner-4wc2h has failed for good and keeps its place in the scale set until it is deleted: Pod has failed to start more than 5 times."},
	{name: "a failed runner keeps its place", change: func(s *scaleSet) { s.fail(); s.podless() }, component: "scale-set", health: store.Degraded, raw: "TooManyPodFailures",
		why: "scale-set: 1 runner failed for good and keeps its place: Pod has failed to start more than 5 times. Delete them once the cause is gone."},
	{name: "failed runners use up the maximum", change: func(s *scaleSet) { s.fail(); s.set("AutoscalingRunnerSet", "spec", "maxRunners", int64(1)) }, component: "scale-set", health: store.Unhealthy, reason: store.CrashLoop, raw: "TooManyPodFailures",
		why: "scale-set: runners that failed for good take all 1 places that maxRunners gives it: Pod has failed to start more than 5 times. Delete them once the cause is gone."},
	{name: "a pod that the API server refuses", change: func(s *scaleSet) { s.fail(); s.set(ephemeral, "status", "reason", "InvalidPod"); s.podless() }, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Unhealthy, reason: store.ConfigInvalid, raw: "InvalidPod", why: "*"},
	{name: "a failure of a later version", change: func(s *scaleSet) {
		s.fail()
		s.set(ephemeral, "status", "reason", "Odd\x02\n")
		s.set(ephemeral, "status", "message", nil)
		s.podless()
	}, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Unhealthy, reason: store.StartFailed, raw: "Odd\x02\n",
		why: "linux-x64-7k2pd-runner-4wc2h has failed for good and keeps its place in the scale set until it is deleted: Odd."},
	{name: "a runner whose pod is made anew", change: func(s *scaleSet) {
		s.set(ephemeral, "status", "failures", map[string]any{"a": "2026-11-20T11:58:00Z", "b": "2026-11-20T11:50:30Z"})
		s.set(ephemeral, "status", "message", "The node was low on resource: memory.")
	}, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Degraded, raw: "PodFailures",
		why: "linux-x64-7k2pd-runner-4wc2h is made anew after its pod failed 2 min ago, failure 2 of 5: The node was low on resource: memory."},
	{name: "failures of long ago", change: func(s *scaleSet) { s.set(ephemeral, "status", "failures", map[string]any{"a": "2026-11-20T11:40:00Z"}) }, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Healthy, why: "*"},
	{name: "failures without a time", change: func(s *scaleSet) { s.set(ephemeral, "status", "failures", map[string]any{"a": true}) }, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Healthy, why: "*"},
	{name: "drift, just now", change: (*scaleSet).podless, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Degraded, raw: "PodMissing",
		why: "linux-x64-7k2pd-runner-4wc2h is Running by its own word but has had no pod for 0 s; grace ends in 1 min."},
	{name: "drift", change: (*scaleSet).podless, after: 2 * time.Minute, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Unhealthy, reason: store.RuntimeLost, raw: "PodMissing",
		why: "linux-x64-7k2pd-runner-4wc2h is Running by its own word but has had no pod for 2 min."},
	{name: "not registered, young", change: func(s *scaleSet) {
		s.podless()
		s.set(ephemeral, "status", "phase", nil)
		s.set(ephemeral, "status", "ready", false)
		s.set(ephemeral, "status", "runnerId", nil)
		s.of(ephemeral).Created = now.Add(-20 * time.Second)
	}, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Degraded, raw: "NotRegistered",
		why: "linux-x64-7k2pd-runner-4wc2h has not been registered at GitHub for 20 s, and gets no pod before; grace ends in 40 s."},
	{name: "not registered", change: func(s *scaleSet) {
		s.podless()
		s.set(ephemeral, "status", "phase", "Pending")
		s.set(ephemeral, "status", "ready", false)
		s.set(ephemeral, "status", "runnerId", float64(0))
	}, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Unhealthy, reason: store.StartFailed, raw: "NotRegistered",
		why: "linux-x64-7k2pd-runner-4wc2h has not been registered at GitHub for 1 h, and gets no pod before."},
	{name: "registered and without a pod", change: func(s *scaleSet) {
		s.podless()
		s.set(ephemeral, "status", "phase", "Pending")
		s.set(ephemeral, "status", "ready", false)
	}, after: 61 * time.Second, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Unhealthy, reason: store.StartFailed, raw: "NoPod", why: "linux-x64-7k2pd-runner-4wc2h has had no pod for 1 min."},
	{name: "a runner of an old version", change: func(s *scaleSet) { s.set(ephemeral, "status", "phase", "Outdated"); s.podless() }, work: "linux-x64-7k2pd-runner-4wc2h", health: store.Unhealthy, reason: store.ConfigInvalid, raw: "Outdated",
		why: "linux-x64-7k2pd-runner-4wc2h runs a version that GitHub no longer serves: set a newer runner image."},
	{name: "a runner that has finished", change: func(s *scaleSet) { s.set(ephemeral, "status", "phase", "Succeeded"); s.podless() }, work: "linux-x64-7k2pd-runner-4wc2h"},
	{name: "a runner on its way out", change: func(s *scaleSet) { s.of(ephemeral).Deleting = true; s.podless() }, after: time.Hour, work: "linux-x64-7k2pd-runner-4wc2h"},
	{name: "a scale set that GitHub refuses", change: func(s *scaleSet) { s.set("AutoscalingRunnerSet", "status", "phase", "Outdated") }, component: "scale-set", health: store.Unhealthy, reason: store.ConfigInvalid, raw: "Outdated",
		why: "scale-set takes no jobs: GitHub no longer serves its runners' version. Set a newer runner image in its template."},
	{name: "one that has no listener then", change: func(s *scaleSet) {
		s.set("AutoscalingRunnerSet", "status", "phase", "Outdated")
		s.runner.Components = nil
	}, component: "listener"},
	{name: "a scale set on its way out", change: func(s *scaleSet) { s.of("AutoscalingRunnerSet").Deleting = true }, component: "scale-set", health: store.Degraded, raw: "Deleting", why: "scale-set is being deleted."},
	{name: "a scale set that may have none", change: func(s *scaleSet) { s.set("AutoscalingRunnerSet", "spec", "maxRunners", int64(0)) }, component: "scale-set", health: store.Degraded, raw: "ScaledToZero", why: "scale-set may have no runners: its maxRunners is 0."},
	{name: "one that is scaling up", change: func(s *scaleSet) { s.set("EphemeralRunnerSet", "spec", "replicas", int64(3)) }, after: 30 * time.Second, component: "scale-set", health: store.Healthy, raw: "NotScaling", why: "scale-set is making 1 of 3 runners."},
	{name: "one whose controller is away", change: func(s *scaleSet) { s.set("EphemeralRunnerSet", "spec", "replicas", int64(5)) }, after: 3 * time.Minute, component: "scale-set", health: store.Degraded, raw: "NotScaling",
		why: "scale-set lacks 3 of 5 runners for 3 min: its controller does not make them."},
	{name: "the listener's pod is gone", change: func(s *scaleSet) { s.runner.Components = nil }, component: "listener", health: store.Degraded, raw: "ListenerMissing",
		why: "The scale set has had a listener without a pod for 0 s: GitHub's jobs do not reach it; grace ends in 1 min."},
	{name: "and stays away", change: func(s *scaleSet) { s.runner.Components = nil }, after: time.Minute, component: "listener", health: store.Unhealthy, reason: store.RuntimeLost, raw: "ListenerMissing",
		why: "The scale set has had a listener without a pod for 1 min: GitHub's jobs do not reach it."},
	{name: "a listener that never was", change: func(s *scaleSet) {
		s.runner.Components = nil
		s.without("AutoscalingListener")
		s.without(ephemeral)
		s.set("AutoscalingRunnerSet", "status", "phase", "Pending")
	}, after: time.Hour, component: "listener", health: store.Unhealthy, reason: store.StartFailed, raw: "ListenerMissing", why: "The scale set has had no listener for 1 h: GitHub's jobs do not reach it."},
	{name: "statuses of any shape", change: func(s *scaleSet) {
		for i := range s.objects {
			s.objects[i].Custom = map[string]any{"status": "x", "spec": []any{map[string]any{"maxRunners": "many"}}}
		}
	}, component: "scale-set", health: store.Healthy, why: "scale-set has 2 of 0 runners."},
}

func TestARC(t *testing.T) {
	for _, c := range arcCases {
		t.Run(c.name, func(t *testing.T) {
			s := newScaleSet(t)
			if c.change != nil {
				c.change(s)
			}
			r := s.assess(c.after)
			v, found := store.Verdict{}, false
			if x, ok := r.Component(c.component); ok {
				v, found = x.Verdict, true
			}
			for _, w := range r.Workloads {
				if c.work != "" && w.Name == c.work {
					v, found = w.Verdict, true
				}
			}
			if found != (c.why != "") {
				t.Fatalf("found %v: %+v", found, v)
			}
			if got := v.Why.At(now); v.Health != c.health || v.Reason != c.reason || v.Raw != c.raw || got != c.why && c.why != "*" {
				t.Errorf("%s/%s %q %q", v.Health, v.Reason, v.Raw, got)
			}
			if found && v.Health != store.Healthy && v.Inspect == "" {
				t.Error("it does not say how to look further")
			}
		})
	}
}

// A lack within its grace names the time at which it becomes a failure, and not before.
func TestARCGraceEndsWhenItSays(t *testing.T) {
	s := newScaleSet(t)
	s.podless()
	s.runner.Components = nil
	first := s.assess(0)
	listener, _ := first.Component("listener")
	for _, v := range []store.Verdict{listener.Verdict, first.Workloads[len(first.Workloads)-1].Verdict} {
		if !v.Next.Equal(now.Add(time.Minute)) {
			t.Errorf("%q changes at %v", v.Why.At(now), v.Next)
		}
	}
	early, late := s.look(now.Add(59*time.Second), first), s.look(now.Add(time.Minute), first)
	for i, r := range []*store.Runner{early, late} {
		c, _ := r.Component("listener")
		if c.Failing() != (i == 1) || r.Workloads[len(r.Workloads)-1].Failing() != (i == 1) {
			t.Errorf("look %d: %q", i, c.Why.At(now))
		}
	}
	if c, _ := late.Component("listener"); !c.Since.Equal(now) {
		t.Errorf("since %v", c.Since)
	}
}

func TestARCFacts(t *testing.T) {
	s := newScaleSet(t)
	s.set("AutoscalingRunnerSet", "spec", "githubConfigUrl", "https://user:secret@github.com/acme?token=x")
	r := s.assess(0)
	facts := factsOf(r)
	for name, want := range map[string]string{"Scale": "min 1, max 3", "Runners": "2 running, 0 pending, 0 failed", "Phase": "Running", "GitHub": "https://github.com/acme",
		"Runner group": "linux", "Job": "build (linux, go) of acme/shop (run 17234567890) on linux-x64-7k2pd-runner-4wc2h"} {
		if facts[name] != want {
			t.Errorf("%s is %q, want %q", name, facts[name], want)
		}
	}
	if r.Version != "0.12.1" || r.Incarnation != "linux-x64" {
		t.Errorf("version %q, incarnation %q", r.Version, r.Incarnation)
	}
	s.set("AutoscalingRunnerSet", "spec", "maxRunners", nil)
	s.set("AutoscalingRunnerSet", "spec", "runnerGroup", nil)
	if facts := factsOf(s.assess(0)); facts["Scale"] != "min 1, no maximum" || facts["Runner group"] != "default" {
		t.Errorf("%v", facts)
	}
}

// A scale set without a maximum may keep thousands of failed runners: not all of them are shown.
func TestARCShowsNoMoreThanCanBeRead(t *testing.T) {
	s := newScaleSet(t)
	failed := *s.of("EphemeralRunner")
	failed.Custom = map[string]any{"status": map[string]any{"phase": "Failed"}}
	for i := range 2000 {
		failed.Name = "failed-" + strings.Repeat("x", i%40) + string(rune('a'+i%26))
		failed.UID = types.UID(failed.Name)
		s.objects = append(s.objects, failed)
	}
	if r := s.assess(0); len(r.Workloads) > 60 {
		t.Errorf("%d are shown", len(r.Workloads))
	}
}
