package systems

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// shownJobs is how many jobs are listed as facts.
const shownJobs = 10

// containerOf names the first container whose image ends in that path; blank when there is none.
func containerOf(spec *corev1.PodSpec, path string) string {
	if spec == nil {
		return ""
	}
	for i := range spec.Containers {
		if name := repositoryOf(spec.Containers[i].Image); name == path || strings.HasSuffix(name, "/"+path) {
			return spec.Containers[i].Name
		}
	}
	return ""
}

// exitOf is how a container of a pod ended last; nil when it has not, or is not there.
func exitOf(pod *corev1.Pod, container string) *corev1.ContainerStateTerminated {
	s := statusOf(pod, container)
	switch {
	case s == nil:
		return nil
	case s.State.Terminated != nil:
		return s.State.Terminated
	}
	return s.LastTerminationState.Terminated
}

// CannotStart classes what the kubelet says keeps a container from starting, by the raw reason; NoReason for anything else. It is the one
// list of these reasons.
func CannotStart(raw string) store.Reason {
	switch raw {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed", "ImageInspectError", "ErrImageNeverPull":
		return store.ImagePullFailed
	case "InvalidImageName", "CreateContainerConfigError", "CreateContainerError":
		return store.ConfigInvalid
	}
	return store.NoReason
}

// needs makes a failure of a sidecar's that keeps it from starting a failure of the work, where the work cannot go on without it. It
// has the pod's grace like any other.
func needs(w *store.Workload, now time.Time) {
	reason := CannotStart(w.Raw)
	if w.Health != store.Degraded || reason == store.NoReason {
		return
	}
	if end := w.Created.Add(DefaultThresholds.StartGrace); now.Before(end) {
		w.Next = end
		return
	}
	w.Health, w.Reason, w.Next = store.Unhealthy, reason, time.Time{}
}

// works lists the runner's work that has a pod.
func (v *View) works() (out []*store.Workload) {
	for i := range v.Runner.Workloads {
		if w := &v.Runner.Workloads[i]; w.Component == "" && v.Pods[w.UID] != nil {
			out = append(out, w)
		}
	}
	return out
}

// lastJob adds the fact when work was last made: the only proof from outside that a runner gets jobs.
func (v *View) lastJob() {
	var last time.Time
	for _, w := range v.works() {
		if w.Created.After(last) {
			last = w.Created
		}
	}
	if last.IsZero() {
		v.Fact("Last job", "none is left in the cluster")
		return
	}
	v.Fact("Last job", store.Sentence("made "+store.Ago(last)))
}
