package systems

import (
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"trackside/store"
)

// drift judges a pod by what its session says. The operator looks at the pod only until the session runs: from then on the phase stays
// Running, whatever becomes of the pod.
func drift(v *View, o Object, w *store.Workload) {
	switch sessionPhase(o) {
	case "Failed":
		failure := sessionFailure(o)
		failure.Inspect, failure.Container = w.Inspect, w.Container
		w.Verdict = failure
	case "Running":
		if w.Raw != "Terminating" && w.Reason != store.ConfigInvalid {
			driftRunning(v, w)
		}
	case "Pending", "Creating":
		if (w.Health == store.Healthy || w.Health == store.Unknown) && !o.Deleting && o.Annotations[ambientDesired] != "Stopped" {
			driftCreating(v, o, w)
		}
	}
}

// driftCreating judges a pod that runs while its session does not get to: the operator is away, or cannot make what comes after the pod.
func driftCreating(v *View, o Object, w *store.Workload) {
	pod := v.Pods[w.UID]
	if pod == nil {
		return
	}
	main := statusOf(pod, ambientPod)
	if main == nil || main.State.Running == nil || main.State.Running.StartedAt.IsZero() || !main.Ready {
		return
	}
	since := main.State.Running.StartedAt.Time
	if end := since.Add(sessionGrace); v.Now.Before(end) {
		if w.Next.IsZero() || end.Before(w.Next) {
			w.Next = end
		}
		return
	}
	c, _ := sessionCondition(o)
	w.Health, w.Reason, w.Next, w.Unproven = store.Unhealthy, store.StartFailed, time.Time{}, false
	w.Raw, w.Message = cmp.Or(c.reason, "NotRunning"), c.message
	w.Why = store.Sentence("The session still says " + sessionPhase(o) + ", but its pod has run for " + store.For(since) + cmp.Or(tooLong(o.Name), after(c.message)) + ".")
}

// tooLong says that a session's Service cannot bear its name, which the operator finds out once the pod runs (ambient-code/platform#1129);
// blank when it can.
func tooLong(session string) string {
	if len(ambientService+session) <= validation.DNS1035LabelMaxLength {
		return ""
	}
	return fmt.Sprintf(": its Service cannot be made, since the name %s%s is longer than %d characters", ambientService, store.Clean(session, 80), validation.DNS1035LabelMaxLength)
}

// sessionGrace is how long a session and its pod may disagree before that is a failure: they are written one after the other.
const sessionGrace = time.Minute

func driftRunning(v *View, w *store.Workload) {
	var main *corev1.ContainerStatus
	var unready *corev1.PodCondition
	if pod := v.Pods[w.UID]; pod != nil {
		main, unready = statusOf(pod, ambientPod), readyCondition(pod)
	}
	switch {
	case main != nil && main.State.Terminated != nil && main.State.Terminated.ExitCode == 0:
		disagree(v, w, main.State.Terminated.FinishedAt.Time, "has ended: "+w.Why)
	case main != nil && main.State.Terminated != nil, w.Reason == store.RuntimeLost:
		lose(w, "is dead: "+w.Why)
	case main != nil && main.State.Running != nil && !main.Ready && unready != nil:
		since := unready.LastTransitionTime.Time
		disagree(v, w, since, store.Sentence("has not been ready for "+store.For(since)+"."))
	}
}

// disagree is a session that says Running over a pod that has not been so since a time.
func disagree(v *View, w *store.Workload, since time.Time, why store.Sentence) {
	end := since.Add(sessionGrace)
	if !v.Now.Before(end) {
		lose(w, why)
	} else if w.Next.IsZero() || end.Before(w.Next) {
		w.Next = end
	}
}

func lose(w *store.Workload, why store.Sentence) {
	w.Health, w.Reason, w.Next, w.Unproven = store.Unhealthy, store.RuntimeLost, time.Time{}, false
	w.Why = "The session says Running, but its pod " + why
}
