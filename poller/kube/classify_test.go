package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"trackside/store"
	"trackside/systems"
)

// status is one file of testdata/statuses; its README documents the fields.
type status struct {
	Now       time.Time
	System    string
	Component bool
	OwnerGone bool
	Node      *struct {
		Name  string
		Ready corev1.ConditionStatus
		Since metav1.Time
	}
	Events []struct {
		Reason, Message string
		Count           int32
		Last            metav1.Time
	}
	Prior struct{ Running bool }
	Pod   corev1.Pod // one without a name is not there
	// Objects are what else of the runner its system sees.
	Objects []struct {
		Kind, Name  string
		Annotations map[string]string
		Created     time.Time
		Custom      map[string]any
	}
	Expect expectation
}

type expectation struct {
	Health, Reason, Raw, Container, Role, Why, Next string
}

func (s *status) system() *systems.System {
	if sys := systemNamed(s.System); sys != nil {
		return sys
	}
	return systems.Labelled
}

// verdict is what the board says: by the general rules, and then by the word of the system.
func (s *status) verdict() PodVerdict {
	sys := s.system()
	r := &store.Runner{Ref: store.Ref{Cluster: "c", System: s.System, Namespace: s.Pod.Namespace, Name: "runner"}}
	v := &systems.View{Now: s.Now, Runner: r, Pods: map[string]*corev1.Pod{}, Nodes: func() []systems.Node { return nil }, Kubectl: func(args string) string { return "kubectl " + args }}
	var general PodVerdict
	if s.Pod.Name != "" {
		general = s.see(v)
	}
	for _, o := range s.Objects {
		v.Objects = append(v.Objects, systems.Object{Kind: o.Kind, Namespace: s.Pod.Namespace, Name: o.Name, Annotations: o.Annotations, Created: o.Created, Custom: o.Custom})
	}
	if sys.Assess == nil || s.Pod.Name == "" && len(s.Objects) == 0 {
		return general
	}
	sys.Assess(v)
	for _, w := range r.Workloads {
		if own := (PodVerdict{w.Verdict, s.role(w.Container)}); !own.Equal(general.Verdict) {
			return own
		}
	}
	return general
}

// see adds the pod to a view, as the general rules have it.
func (s *status) see(v *systems.View) PodVerdict {
	f, component := s.facts(), ""
	object := objectOf("Pod", &s.Pod.ObjectMeta, &s.Pod.Spec)
	if s.Component {
		claim, _ := s.system().Claim(object)
		component = claim.Component
		v.Objects = append(v.Objects, object)
	}
	general := Classify(f, s.Now)
	v.Pods[string(s.Pod.UID)] = &s.Pod
	w := store.Workload{Namespace: s.Pod.Namespace, Name: s.Pod.Name, UID: string(s.Pod.UID), Component: component, Verdict: general.Verdict,
		Phase: string(s.Pod.Status.Phase), Created: s.Pod.CreationTimestamp.Time, Containers: containersOf(&s.Pod, f.Main)}
	v.Runner.Workloads = append(v.Runner.Workloads, w)
	if component != "" {
		v.Runner.Components = append(v.Runner.Components, store.Component{Name: component, Kind: "Pod", Object: s.Pod.Name, Desired: 1, Verdict: general.Verdict})
	}
	return general
}

// role is what a container of the pod is for.
func (s *status) role(container string) store.Role {
	main := s.facts().Main
	for _, c := range containersOf(&s.Pod, main) {
		if c.Name == container {
			return c.Role
		}
	}
	return store.RolePod
}

func (s *status) facts() Facts {
	sys := s.system()
	object := objectOf("Pod", &s.Pod.ObjectMeta, &s.Pod.Spec)
	component := s.Pod.Labels["app.kubernetes.io/kubiya-runner-component"]
	f := Facts{Pod: &s.Pod, Main: sys.MainContainer(object, component), Component: s.Component, OwnerGone: s.OwnerGone,
		Ran: s.Prior.Running, Thresholds: systems.ThresholdsOf(s.Pod.Annotations)}
	if s.Node != nil {
		f.Node = &nodeFacts{ObjectMeta: metav1.ObjectMeta{Name: s.Node.Name}, ready: s.Node.Ready, since: s.Node.Since}
	}
	for _, e := range s.Events {
		f.Events = append(f.Events, &notice{reason: e.Reason, message: e.Message, count: e.Count, last: e.Last})
	}
	return f
}

func readStatuses(t testing.TB) map[string]*status {
	t.Helper()
	files, err := filepath.Glob("testdata/statuses/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("found %d statuses (%v), want at least 60", len(files), err)
	}
	all := make(map[string]*status, len(files))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s := new(status)
		if err := yaml.UnmarshalStrict(b, s); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".yaml")] = s
	}
	return all
}

func TestClassifyAgreesWithTheHandKey(t *testing.T) {
	for name, s := range readStatuses(t) {
		t.Run(name, func(t *testing.T) {
			v := s.verdict()
			got := expectation{v.Health.String(), v.Reason.String(), v.Raw, v.Container, string(v.Role), v.Why.At(s.Now), ""}
			if !v.Next.IsZero() {
				got.Next = v.Next.UTC().Format(time.RFC3339)
			}
			if diff := cmp.Diff(s.Expect, got); diff != "" {
				t.Errorf("the key (-) and the verdict (+) differ:\n%s", diff)
			}
		})
	}
}

func TestStatusesAreDistinctAndSourced(t *testing.T) {
	seen, sourced := map[[5]string]string{}, 0
	for name, s := range readStatuses(t) {
		key := [5]string{s.System, s.Expect.Health, s.Expect.Raw, s.Expect.Role, string(s.Pod.Status.Phase)}
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s agree in system, health, reason, role and phase: %q", name, other, key)
		}
		seen[key] = name
		b, err := os.ReadFile(filepath.Join("testdata/statuses", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(b), "# Source: ") && !strings.HasPrefix(string(b), "# Source: none") {
			sourced++
		}
	}
	if sourced < 40 {
		t.Errorf("%d statuses name a public source, want at least 40", sourced)
	}
}

// A verdict may change by itself only at the time it names: the same pod one instant before Next says the same.
func TestNothingChangesBeforeNext(t *testing.T) {
	for name, s := range readStatuses(t) {
		if s.Pod.Name == "" {
			continue
		}
		v := Classify(s.facts(), s.Now)
		if v.Next.IsZero() {
			continue
		}
		if before := Classify(s.facts(), v.Next.Add(-time.Millisecond)); before.Health != v.Health || before.Reason != v.Reason {
			t.Errorf("%s: %s/%s became %s/%s before its Next", name, v.Health, v.Reason, before.Health, before.Reason)
		}
	}
}

// FuzzClassify feeds mutated pods: a verdict always says why, in one clean line, whatever the bytes.
func FuzzClassify(f *testing.F) {
	for _, s := range readStatuses(f) {
		b, err := yaml.Marshal(s.Pod)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, s.Component, s.Prior.Running, int64(0))
	}
	base := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte, component, ran bool, shift int64) {
		var pod corev1.Pod
		if yaml.Unmarshal(b, &pod) != nil {
			return
		}
		facts := Facts{Pod: &pod, Component: component, Ran: ran, Thresholds: systems.DefaultThresholds,
			Main: systems.Labelled.MainContainer(objectOf("Pod", &pod.ObjectMeta, &pod.Spec), "")}
		now := base.Add(time.Duration(shift % int64(1000*time.Hour)))
		v := Classify(facts, now)
		checkVerdict(t, v, now)
		reversed(pod.Status.ContainerStatuses)
		reversed(pod.Status.Conditions)
		if again := Classify(facts, now); !duplicated(&pod) && !again.Equal(v.Verdict) {
			t.Errorf("the order of the lists matters: %q and %q", v.Why, again.Why)
		}
	})
}

func checkVerdict(t *testing.T, v PodVerdict, now time.Time) {
	t.Helper()
	why := v.Why.At(now)
	if strings.TrimSpace(why) == "" {
		t.Error("Why is blank")
	}
	if strings.ContainsFunc(why, unicode.IsControl) {
		t.Errorf("Why holds control characters: %q", why)
	}
	if (v.Reason != store.NoReason) != (v.Health == store.Unhealthy) {
		t.Errorf("health %s with reason %q", v.Health, v.Reason)
	}
}

func reversed[T any](s []T) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

// duplicated reports whether names stand twice, which no API server lets through: which of the two counts is then open.
func duplicated(p *corev1.Pod) bool {
	seen := map[string]bool{}
	for _, c := range p.Status.Conditions {
		if seen["c/"+string(c.Type)] {
			return true
		}
		seen["c/"+string(c.Type)] = true
	}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if seen[list[i].Name] {
				return true
			}
			seen[list[i].Name] = true
		}
	}
	return false
}
