// Package statuses reads the recorded pod statuses of poller/kube/testdata/statuses, each with the verdict that a person has keyed for
// it. Tests and tools/truth compare them with the classifier; the program itself never imports it.
package statuses

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"trackside/store"
	"trackside/systems"
)

// Dir is where the statuses are, in its folder statuses, from the root of the repository.
const Dir = "poller/kube/testdata"

// Status is one recorded status; the README beside the files documents the fields.
type Status struct {
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
	Expect Verdict

	// Name is the file's, without its ending.
	Name string `json:"-"`
	// Sources are the public repositories, sites and threads that the status follows; none when it is constructed.
	Sources []string `json:"-"`
}

// Verdict is a verdict in words, with the sentence as it reads at the status's own time. Next is RFC 3339, blank when nothing changes
// by itself.
type Verdict struct {
	Health, Reason, Raw, Container, Role, Why, Next string
}

// Worded puts a verdict of the classifier into the words of a key.
func Worded(v store.Verdict, role store.ContainerRole, now time.Time) Verdict {
	out := Verdict{v.Health.String(), v.Reason.String(), v.Raw, v.Container, string(role), v.Why.At(now), ""}
	if !v.Next.IsZero() {
		out.Next = v.Next.UTC().Format(time.RFC3339)
	}
	return out
}

// Read reads the statuses below a directory, by name.
func Read(dir string) ([]*Status, error) {
	files, err := filepath.Glob(filepath.Join(dir, "statuses", "*.yaml"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no statuses in %s", dir)
	}
	var all []*Status
	for _, f := range files {
		var s *Status
		if s, err = read(f); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, err
}

func read(file string) (*Status, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &Status{Name: strings.TrimSuffix(filepath.Base(file), ".yaml")}
	if err := yaml.UnmarshalStrict(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if s.Of() == nil {
		return nil, fmt.Errorf("%s: there is no system %q", file, s.System)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	text, ok := strings.CutPrefix(first, "# Source: ")
	if !ok {
		return nil, fmt.Errorf("%s: the first line must be # Source: …", file)
	}
	s.Sources = sourcesOf(text)
	return s, nil
}

// sourcesOf are the places that the first line of a file names: what stands before the first blank of each of its parts.
func sourcesOf(text string) (out []string) {
	if strings.HasPrefix(text, "none") {
		return nil
	}
	for part := range strings.SplitSeq(text, ";") {
		if name, _, _ := strings.Cut(strings.TrimSpace(part), " "); strings.Contains(name, "/") && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// Of is the system of the status.
func (s *Status) Of() *systems.System {
	for _, x := range systems.All() {
		if x.Name == s.System {
			return x
		}
	}
	return nil
}

// NodeObject is the pod's node, nil when nothing is known of it.
func (s *Status) NodeObject() *corev1.Node {
	if s.Node == nil {
		return nil
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.Node.Name}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: s.Node.Ready, LastTransitionTime: s.Node.Since}}
	return n
}

// Beside are the objects that its system sees beside the pod.
func (s *Status) Beside() []systems.Object {
	out := make([]systems.Object, len(s.Objects))
	for i, o := range s.Objects {
		out[i] = systems.Object{Kind: o.Kind, Namespace: s.Pod.Namespace, Name: o.Name, Annotations: o.Annotations, Created: o.Created, Custom: o.Custom}
	}
	return out
}

// EventObjects are the Warning events about the pod.
func (s *Status) EventObjects() []corev1.Event {
	out := make([]corev1.Event, len(s.Events))
	for i, e := range s.Events {
		out[i] = corev1.Event{Reason: e.Reason, Message: e.Message, Count: e.Count, LastTimestamp: e.Last, Type: corev1.EventTypeWarning,
			ObjectMeta:     metav1.ObjectMeta{Namespace: s.Pod.Namespace, Name: fmt.Sprintf("%s.%d", s.Pod.Name, i)},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: s.Pod.Namespace, Name: s.Pod.Name, UID: s.Pod.UID}}
	}
	return out
}
