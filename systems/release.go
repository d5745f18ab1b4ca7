package systems

import (
	"cmp"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// Names read in digital-ai/release-runner-helm-chart: templates/statefulset.yaml and values.yaml; the older of the two images is that of
// xebialabs/xlr-remote-runner-helm-chart. The executors' names are those of digital-ai/release-integration-sdk-workshop, part-3/lab-7.
const (
	releaseURL          = "RELEASE_RUNNER_RELEASE_URL"
	releaseCapabilities = "RELEASE_RUNNER_CAPABILITIES"
	releaseProfile      = "RELEASE_RUNNER_PROFILE"
	releaseEnvironment  = "RELEASE_RUNNER_METADATA_ENVIRONMENT"
	releaseDataCenter   = "RELEASE_RUNNER_METADATA_DATA_CENTER"
	releaseContainer    = "runner"
	releasePort         = 8686
)

var releaseImages = []string{"release-runner", "release-remote-runner", "xlr-remote-runner"}

// executor is the name of a pod in which a runner executes a step: no label of theirs is documented.
var executor = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Release is the runner of Digital.ai Release. Each replica of its StatefulSet registers under its pod's name and is a runner of its
// own. The label app.kubernetes.io/name=runner is too common to go by. Executors carry the name of no runner, so that the first
// replica of their namespace has them.
var Release = register(System{
	Name:  "release",
	Title: "Digital.ai Release",
	LooksFor: "StatefulSets and Pods with the variable " + releaseURL + " or an image named " + releaseImages[0] + " or " + releaseImages[1] +
		", and Pods named by 40 hexadecimal digits beside them",
	Claim: claimRelease,
	Main:  func(Object, string) string { return releaseContainer },
	Probe: probeRelease,
	// The chart's label app.kubernetes.io/version, where there is one, is of the chart.
	Labels:   []string{appLabel, instanceLabel},
	KeepEnv:  []string{releaseURL, releaseCapabilities, releaseProfile, releaseEnvironment, releaseDataCenter},
	Assess:   assessRelease,
	Switch:   &Switch{Levers: []Lever{scaleStatefulSets}, Traps: trapsRelease},
	Manifest: releaseManifest,
})

// trapsRelease tells that Release itself is not told: there is no public API for it.
func trapsRelease(verb store.Verb, _ []Object) []store.Trap {
	if verb != store.VerbDisable && verb != store.VerbDelete {
		return nil
	}
	return []store.Trap{{Code: "server-not-told", Why: "Release itself is not told, for it has no public API for that: it sees its runner fall silent. Disable it there too, so that no task waits for it."}}
}

func claimRelease(o Object) (Claim, bool) {
	if o.Kind != "StatefulSet" && o.Kind != "Pod" || o.Spec == nil {
		return Claim{}, false
	}
	if releaseMade(o.Spec) {
		return Claim{Namespace: o.Namespace, Runner: o.Name, Component: releaseContainer, Carries: o.Namespace, Replicas: true}, true
	}
	return Claim{Namespace: o.Namespace}, o.Kind == "Pod" && executor.MatchString(o.Name)
}

func releaseMade(spec *corev1.PodSpec) bool {
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if slices.Contains(releaseImages, path.Base(repositoryOf(c.Image))) {
			return true
		}
		if slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == releaseURL }) {
			return true
		}
	}
	return false
}

// probeRelease asks what the chart's readiness probe asks: whether the runner is registered. Under hostNetwork the port is the node's,
// and another runner may hold it: an answer would prove nothing.
func probeRelease(o Object, component string) (Probe, bool) {
	if component != releaseContainer || o.Spec == nil || o.Spec.HostNetwork || idling(o.Spec) {
		return Probe{}, false
	}
	return Probe{"/ready", releasePort}, true
}

// idling reports whether the runner's container only waits: the chart's diagnostic mode.
func idling(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == releaseContainer && Idles(&c) })
}

// The states of a runner's life, by Digital.ai's documentation of its control channel.
const (
	releaseRegistering = "registering"
	releaseReady       = "ready"
	releaseIdle        = "idle"
	releaseDisabled    = "disabled"
	releaseDeleting    = "deleting"
	releaseDead        = "dead"
	releaseUnseen      = "not seen"
)

func assessRelease(v *View) {
	var set Object
	for _, o := range v.Objects {
		if o.Spec != nil {
			set = o
		}
	}
	server := serverOf(envValue(set.Spec, releaseURL))
	state, verdict := releaseState(v, set, cmp.Or(server, "Release"))
	v.Fact("State", store.Sentence(state))
	v.Fact("Release", store.Sentence(server))
	v.Fact("Capabilities", listed(envValue(set.Spec, releaseCapabilities)))
	for _, f := range []struct{ name, env string }{{"Profile", releaseProfile}, {"Environment", releaseEnvironment}, {"Data center", releaseDataCenter}} {
		v.Fact(f.name, store.Sentence(store.Clean(envValue(set.Spec, f.env), 63)))
	}
	if verdict.Why != "" {
		v.Judge(releaseContainer, verdict)
	}
}

// releaseWaits are the raw reasons of a runner that is alive and merely not ready; any other is told by the general verdict.
var releaseWaits = []string{"", "Unhealthy", "ContainersNotReady", "ProbeFailed"}

// releaseState is where a runner stands in its life, and the verdict that follows; that is blank where the general one says it all.
func releaseState(v *View, set Object, server string) (state string, verdict store.Verdict) {
	pod := releasePod(v)
	switch {
	case v.Runner.Observed == store.Disabled:
		return releaseDisabled, verdict
	case set.Deleting || pod != nil && pod.DeletionTimestamp != nil:
		return releaseDeleting, verdict
	case pod == nil:
		return releaseDead, verdict
	}
	c, _ := v.Runner.Component(releaseContainer)
	status := statusOf(pod, releaseContainer)
	switch {
	case (status == nil || status.State.Running == nil) && (c.Failing() || pod.Status.Phase == corev1.PodFailed):
		return releaseDead, verdict
	case status == nil || status.State.Running == nil:
		return releaseRegistering, verdict
	}
	if raw, why := releaseBlind(&pod.Spec, c); why != "" && (c.Health == store.Healthy || c.Health == store.Unknown) {
		return releaseUnseen, store.Verdict{Health: store.Unknown, Raw: raw, Why: why}
	}
	if status.Ready && hidden(&pod.Spec) && answered(c) {
		return releaseReady, verdict // the path is somebody's own: that it answers is said, and not that it proves a registration
	}
	if c.Reason == store.NoReason && slices.Contains(releaseWaits, c.Raw) {
		return releaseLife(v, set, pod, c, server)
	}
	if status.Ready {
		return releaseReady, verdict
	}
	return releaseRegistering, verdict
}

// releaseBlind is why nothing can be seen of a runner whose container runs, in a word and in a sentence; both blank when it can.
func releaseBlind(spec *corev1.PodSpec, c store.Component) (raw string, why store.Sentence) {
	switch {
	case idling(spec):
		return "DiagnosticMode", "runner is in diagnostic mode: its container only sleeps, and no runner works in it."
	case hidden(spec) && !answered(c):
		return "HostNetwork", "runner uses its node's network, where the chart leaves out its probes: nothing shows whether it is registered."
	}
	return "", ""
}

// hidden reports whether a runner is where the chart leaves out its probes, and has none of its own either.
func hidden(spec *corev1.PodSpec) bool { return spec.HostNetwork && !probedAt(spec) }

// answered reports whether the runner's component answered our probe, which under hostNetwork an annotation declares.
func answered(c store.Component) bool { return c.Probe.URL != "" && c.Probe.Problem == "" }

func probedAt(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == releaseContainer && c.ReadinessProbe != nil })
}

// releaseLife tells a runner that is registered from one that is not yet, and from one that was.
func releaseLife(v *View, set Object, pod *corev1.Pod, c store.Component, server string) (string, store.Verdict) {
	status := statusOf(pod, releaseContainer)
	began := status.State.Running.StartedAt.Time
	end := began.Add(ThresholdsOf(set.Annotations).StartGrace)
	said := store.Verdict{Raw: c.Raw, Message: c.Message, Container: releaseContainer}
	unready := readyCondition(pod)
	switch {
	case status.Ready && c.Raw == "ProbeFailed":
		return releaseIdle, store.Verdict{} // our probe knows it before the kubelet's, which waits for a dozen failures
	case status.Ready && c.Health == store.Healthy:
		said = c.Verdict
		said.Why = store.Sentence("runner is ready: registered with " + server + ".")
		return releaseReady, said
	case status.Ready:
		return releaseReady, store.Verdict{}
	case unready != nil && unready.LastTransitionTime.After(began):
		said.Health = store.Degraded
		said.Why = store.Sentence("runner has been idle for " + store.For(unready.LastTransitionTime.Time) + ": it lost " + server + " and tries again.")
		return releaseIdle, said
	case v.Now.Before(end):
		said.Health, said.Next = store.Unknown, end
		said.Why = store.Sentence("runner has been registering for " + store.For(began) + "; grace ends " + store.Until(end) + ".")
		return releaseRegistering, said
	}
	said.Health, said.Reason = store.Unhealthy, store.StartFailed
	said.Why = store.Sentence("runner has been alive for " + store.For(began) + " and cannot register with " + server + ": check the URL, the registration token and TLS.")
	said.Inspect = v.Kubectl("logs " + pod.Name + " -n " + pod.Namespace + " -c " + releaseContainer)
	return releaseRegistering, said
}

// releasePod is the runner's pod, the newest where one is on its way out.
func releasePod(v *View) (newest *corev1.Pod) {
	for i := range v.Runner.Workloads {
		w := &v.Runner.Workloads[i]
		pod := v.Pods[w.UID]
		if w.Component == releaseContainer && pod != nil && (newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp)) {
			newest = pod
		}
	}
	return newest
}

// statusOf is the status of a container of a pod; nil when it has none yet.
func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == container {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// readyCondition is a pod's Ready condition while that is False.
func readyCondition(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionFalse {
			return c
		}
	}
	return nil
}

// serverOf is a URL without a password that somebody may have put into it, and without a query; blank when it is none.
func serverOf(text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" {
		return ""
	}
	return store.Clean((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), 160)
}

// listed words what is separated by commas.
func listed(text string) store.Sentence {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if p := store.Clean(part, 63); p != "" && len(out) < 32 {
			out = append(out, p)
		}
	}
	return store.Sentence(strings.Join(out, ", "))
}
