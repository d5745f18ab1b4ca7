// Package stages says how pods and nodes of the simulated cluster live: KWOK's
// own Stages, taken from its module and guarded so that they do not heal what
// an incident broke, and the incidents' Stages beside this file.
package stages

import (
	_ "embed"
	"fmt"
	"strings"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	kwok "sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/yaml"
)

// Prefix begins every annotation the simulation obeys.
const Prefix = "sim.trackside.dev/"

// The annotations the simulation obeys.
const (
	// Incident on a pod names what is wrong with it; KWOK then leaves the pod alone.
	Incident = Prefix + "incident"
	// Message on a pod is what the kubelet says about it.
	Message = Prefix + "message"
	// Restarts on a pod is how often its failing container restarts.
	Restarts = Prefix + "restarts"
	// Container on a pod names the container that fails.
	Container = Prefix + "container"
	// Step on a pod is the time between two steps of its incident, as Go writes durations.
	Step = Prefix + "step"
	// NotReady on a node is why its kubelet is not heard of.
	NotReady = Prefix + "not-ready"
	// HTTP on a pod is the status and body each request to it is answered with.
	HTTP = Prefix + "http"
	// HTTPDelay on a pod is how long each answer takes.
	HTTPDelay = Prefix + "http-delay"
	// Backend on a pod is the address of a real server behind it.
	Backend = Prefix + "backend"
)

//go:embed incident-stages.yaml
var incidents string

// Documents are all Stages as one YAML stream, fit for kwok's configuration file.
func Documents() (string, error) {
	stock := []struct {
		yaml  string
		adapt func(*kwok.Stage) error
	}{
		{nodefast.DefaultNodeInit, unless(NotReady)},
		{heartbeat.DefaultNodeHeartbeatWithLease, unless(NotReady)},
		{podfast.DefaultPodReady, likeKubelet},
		{podfast.DefaultPodComplete, unless(Incident)},
		{podfast.DefaultPodDelete, graceful},
	}
	var out strings.Builder
	for _, s := range stock {
		text, err := adapted(s.yaml, s.adapt)
		if err != nil {
			return "", err
		}
		out.WriteString(text + "---\n")
	}
	return out.String() + incidents, nil
}

func adapted(text string, adapt func(*kwok.Stage) error) (string, error) {
	var stage kwok.Stage
	if err := yaml.UnmarshalStrict([]byte(text), &stage); err != nil {
		return "", fmt.Errorf("reading one of KWOK's Stages: %w", err)
	}
	if err := adapt(&stage); err != nil {
		return "", fmt.Errorf("adapting KWOK's Stage %s: %w", stage.Name, err)
	}
	out, err := yaml.Marshal(stage)
	if err != nil {
		return "", fmt.Errorf("writing KWOK's Stage %s: %w", stage.Name, err)
	}
	return string(out), nil
}

// unless keeps a Stage away from objects that carry the annotation.
func unless(annotation string) func(*kwok.Stage) error {
	return func(s *kwok.Stage) error {
		guard := kwok.MatchExpression{
			Key:      fmt.Sprintf(".metadata.annotations[%q]", annotation),
			Operator: kwok.SelectorOpDoesNotExist,
		}
		s.Spec.Selector.MatchExpressions = append(s.Spec.Selector.MatchExpressions, guard)
		return nil
	}
}

// graceful keeps KWOK from pods that the API server removes at once. KWOK deletes by name, and would hit the next pod of that name.
func graceful(s *kwok.Stage) error {
	guard := kwok.MatchExpression{
		Key:      ".metadata.deletionGracePeriodSeconds | tostring", // numbers are not compared
		Operator: kwok.SelectorOpNotIn,
		Values:   []string{"0"},
	}
	s.Spec.Selector.MatchExpressions = append(s.Spec.Selector.MatchExpressions, guard)
	return nil
}

// The two lines below are what a kubelet adds to each container's status and
// KWOK's Stage leaves out. The digest follows from the image, so that two pods
// of one image agree; the ID follows from the pod and the container.
const (
	imageLine  = "- image: {{ .image | Quote }}\n"
	kubeletIDs = imageLine +
		"  imageID: {{ printf \"%s@sha256:%s\" (regexReplaceAll \":[^:/]*$\" .image \"\") (sha256sum .image) | Quote }}\n" +
		"  containerID: {{ printf \"containerd://%s\" (sha256sum (printf \"%s/%s\" $.metadata.uid .name)) | Quote }}\n"
)

// kubeletConditions precede the conditions KWOK writes.
const kubeletConditions = `observedGeneration: {{ or .metadata.generation 1 }}
conditions:
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: PodReadyToStartContainers
`

// likeKubelet makes KWOK's pod-ready write what a kubelet would, and keeps it off pods in an incident.
func likeKubelet(s *kwok.Stage) error {
	main, initial, ok := strings.Cut(s.Spec.Next.StatusTemplate, "initContainerStatuses:")
	if !ok || !strings.Contains(main, imageLine) || !strings.Contains(main, "conditions:\n") || !strings.Contains(main, "  restartCount: 0\n") {
		return fmt.Errorf("its template has changed: where the container statuses were is something else")
	}
	main = strings.Replace(main, "conditions:\n", kubeletConditions, 1)
	main = strings.Replace(main, "  restartCount: 0\n", "  restartCount: 0\n  started: true\n", 1)
	text := main + "initContainerStatuses:" + initial
	s.Spec.Next.StatusTemplate = strings.ReplaceAll(text, imageLine, kubeletIDs)
	return unless(Incident)(s)
}
