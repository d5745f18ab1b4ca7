package kube

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
	"trackside/systems"
)

// roleOf says what a container is for. Init containers that restart always are native sidecars.
func roleOf(c *corev1.Container, init bool, main string) store.ContainerRole {
	switch {
	case init && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways:
		return store.RoleSidecar
	case init:
		return store.RoleInit
	case c.Name == main:
		return store.RoleMain
	}
	return store.RoleSidecar
}

// view is one container under examination.
type view struct {
	subject
	*corev1.ContainerStatus
	spec     *corev1.Container
	last     *corev1.ContainerStateTerminated // nil when it never terminated
	restarts bool                             // the kubelet will restart it when it ends
}

// containers is rules 21 to 46: at most one finding for each container.
func (e *exam) containers() {
	order := 0
	spec := &e.Pod.Spec
	for i := range spec.InitContainers {
		order++
		before := len(e.found)
		role := roleOf(&spec.InitContainers[i], true, e.Main)
		e.container(&spec.InitContainers[i], role, order)
		if role == store.RoleSidecar && len(e.found) > before && e.sidecarFailed == "" {
			e.sidecarFailed = e.found[before].Why
		}
	}
	for i := range spec.Containers {
		order++
		role := roleOf(&spec.Containers[i], false, e.Main)
		if role == store.RoleMain {
			e.mainOrder = order
		}
		e.container(&spec.Containers[i], role, order)
	}
}

func (e *exam) container(c *corev1.Container, role store.ContainerRole, order int) {
	s := e.statuses[c.Name]
	if s == nil {
		return
	}
	v := view{subject{c.Name, role, order}, s, c, lastExit(s), false}
	v.restarts = e.restartable(v)
	if e.cannotStart(v) {
		return
	}
	switch {
	case role == store.RoleInit:
		e.initContainer(v)
	case role == store.RoleMain && e.neverRan(v):
	case e.exiting(v):
	case s.State.Terminated != nil:
		e.ended(v)
	case s.State.Running != nil:
		e.running(v)
	}
}

func (e *exam) restartable(v view) bool {
	policy := e.Pod.Spec.RestartPolicy
	native := v.spec.RestartPolicy != nil && *v.spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
	switch {
	case native:
		return true
	case v.role == store.RoleInit:
		return policy != corev1.RestartPolicyNever
	case policy == corev1.RestartPolicyOnFailure:
		return v.last != nil && v.last.ExitCode != 0
	}
	return policy != corev1.RestartPolicyNever
}

// verdict adds a finding on a container. A sidecar's failure degrades, it does not fail.
func (e *exam) verdict(on subject, h store.Health, reason, class store.Reason, raw, why string, next time.Time) {
	if on.role == store.RoleSidecar && h == store.Unhealthy {
		h, reason = store.Degraded, store.NoReason
	}
	e.add(candidate{PodVerdict: PodVerdict{store.Verdict{Health: h, Reason: reason, Raw: raw, Container: on.container, Why: store.Sentence(why), Next: next}, on.role}, class: class, order: on.order})
}

func (e *exam) fail(v view, reason store.Reason, raw, why string) {
	e.verdict(v.subject, store.Unhealthy, reason, reason, raw, why, time.Time{})
}

// cannotStart is rules 21 to 26: the container waits for something that the kubelet names.
func (e *exam) cannotStart(v view) bool {
	raw := waiting(v.ContainerStatus)
	message, image := "", v.spec.Image
	if v.State.Waiting != nil {
		message = v.State.Waiting.Message
	}
	switch raw {
	case "ErrImageNeverPull":
		e.fail(v, store.ImagePullFailed, raw, v.container+" needs the image "+shortImage(image)+" on its node, but it is not there and may not be pulled (imagePullPolicy Never).")
	case "InvalidImageName":
		e.fail(v, store.ConfigInvalid, raw, v.container+" has the invalid image name "+shortImage(image)+colon(detail(message))+".")
	case "CreateContainerConfigError":
		e.graced(v.subject, store.ConfigInvalid, raw, v.container+" cannot be configured"+colon(detail(message)))
	case "CreateContainerError":
		e.graced(v.subject, store.ConfigInvalid, raw, v.container+" cannot be created"+colon(detail(message)))
	case "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError":
		if v.RestartCount > e.Thresholds.Restarts || v.role == store.RoleMain && e.ran {
			return false
		}
		e.graced(v.subject, store.StartFailed, raw, v.container+" cannot be started"+colon(detail(message)))
	default:
		if systems.CannotStart(raw) != store.ImagePullFailed {
			return false
		}
		e.graced(v.subject, store.ImagePullFailed, raw, v.container+" cannot pull its image "+shortImage(image)+colon(pullCause(raw, message, image, e.Events)))
	}
	return true
}

// shortImage makes an image reference fit for a sentence.
func shortImage(image string) string { return store.Clean(image, sentenceLimit) }

// initContainer is rules 37 to 39.
func (e *exam) initContainer(v view) {
	if v.State.Running != nil {
		e.initRunning, e.initSince = v.container, v.State.Running.StartedAt.Time
	}
	ended := v.State.Terminated
	if ended != nil && ended.ExitCode == 0 || v.last == nil {
		return
	}
	raw := firstOf(waiting(v.ContainerStatus), v.last.Reason)
	message := colon(detail(v.last.Message)) + "."
	switch {
	case ended != nil && !v.restarts:
		e.fail(v, store.StartFailed, ended.Reason, v.container+" failed and is not retried "+exit(ended)+message)
	case v.RestartCount > e.Thresholds.InitRetries && v.last.ExitCode != 0:
		e.fail(v, store.StartFailed, raw, fmt.Sprintf("%s keeps failing: %d retries, last exit%s %s%s", v.container, v.RestartCount, ago(v.last), exit(v.last), message))
	case ended != nil || raw == "CrashLoopBackOff":
		e.initRetrying = true
		e.verdict(v.subject, store.Degraded, store.NoReason, store.StartFailed, raw,
			fmt.Sprintf("%s failed%s %s, retry %d of %d%s", v.container, ago(v.last), exit(v.last), v.RestartCount, e.Thresholds.InitRetries, message), time.Time{})
	}
}

// neverRan is rule 27: exits that are written for a container that could not even be started.
func (e *exam) neverRan(v view) bool {
	if e.ran || v.RestartCount > e.Thresholds.Restarts || v.last == nil || v.last.Reason != "StartError" && v.last.Reason != "ContainerCannotRun" {
		return false
	}
	if v.State.Terminated == nil && waiting(v.ContainerStatus) != "CrashLoopBackOff" {
		return false
	}
	why := v.container + " cannot be started" + colon(detail(v.last.Message))
	if v.State.Terminated != nil && !v.restarts {
		e.fail(v, store.StartFailed, v.last.Reason, why+".")
	} else {
		e.graced(v.subject, store.StartFailed, v.last.Reason, why)
	}
	return true
}

// exiting is rules 28 and 30: the container is down and will be restarted.
func (e *exam) exiting(v view) bool {
	if v.State.Running != nil || !v.restarts {
		return false
	}
	n, limit, message := v.RestartCount, e.Thresholds.Restarts, ""
	if v.last != nil {
		message = colon(detail(v.last.Message))
	}
	switch {
	case n > limit && v.last == nil:
		e.fail(v, store.CrashLoop, waiting(v.ContainerStatus), fmt.Sprintf("%s keeps exiting: %d restarts.", v.container, n))
	case n > limit:
		e.fail(v, store.CrashLoop, firstOf(waiting(v.ContainerStatus), v.last.Reason),
			fmt.Sprintf("%s keeps exiting: %d restarts, last exit%s %s%s.", v.container, n, ago(v.last), exit(v.last), message))
	case v.last != nil:
		e.verdict(v.subject, store.Degraded, store.NoReason, store.CrashLoop, firstOf(waiting(v.ContainerStatus), v.last.Reason),
			fmt.Sprintf("%s exited%s %s and waits to be restarted, restart %d of %d%s.", v.container, ago(v.last), exit(v.last), n, limit, message), time.Time{})
	default:
		return false
	}
	return true
}

// ended is rules 32 to 36: the container has terminated for good.
func (e *exam) ended(v view) {
	t := v.State.Terminated
	message := colon(detail(t.Message)) + "."
	switch {
	case v.role != store.RoleMain:
		if t.ExitCode != 0 {
			e.verdict(v.subject, store.Degraded, store.NoReason, store.NoReason, t.Reason, v.container+" exited"+ago(t)+" "+exit(t)+message, time.Time{})
		}
	case t.ExitCode == 0 && t.Signal == 0 && e.Component: // what runs beside it keeps the pod Running
		e.verdict(v.subject, store.Degraded, store.NoReason, store.NoReason, t.Reason, v.container+" finished"+ago(t)+" (exit 0), but a component should keep running"+message, time.Time{})
	case t.ExitCode == 0 && t.Signal == 0:
		e.verdict(v.subject, store.Healthy, store.NoReason, store.NoReason, t.Reason, v.container+" finished"+ago(t)+" (exit 0).", time.Time{})
	case t.Reason == "ContainerStatusUnknown":
		e.fail(v, store.RuntimeLost, t.Reason, v.container+" was running and is gone "+exit(t)+message)
	case !e.Ran && real(t.FinishedAt.Time) && t.FinishedAt.Sub(e.begin) <= e.Thresholds.StartGrace:
		e.fail(v, store.StartFailed, t.Reason, v.container+" exited while starting "+exit(t)+message)
	default:
		raw, probe := e.killedByProbe(v)
		e.fail(v, store.RuntimeLost, raw, v.container+" was running and exited"+ago(t)+" "+exit(t)+probe+message)
	}
}

const livenessPrefix = "Liveness probe failed: "

// killedByProbe says whether a container was ended for its liveness probe, and words it.
func (e *exam) killedByProbe(v view) (raw, why string) {
	t := v.State.Terminated
	n := newest(e.Events, func(n *notice) bool {
		return n.reason == "Unhealthy" && strings.HasPrefix(n.message, livenessPrefix) && !n.last.Time.Before(t.StartedAt.Time)
	})
	if n == nil {
		return t.Reason, ""
	}
	return n.reason, " after its liveness probe failed" + colon(detail(strings.TrimPrefix(n.message, livenessPrefix)))
}

// running is rules 29, 31 and 43 to 46.
func (e *exam) running(v view) {
	since := v.State.Running.StartedAt.Time
	recent := v.last != nil && real(v.last.FinishedAt.Time) && e.now.Sub(v.last.FinishedAt.Time) < stable
	n, limit := v.RestartCount, e.Thresholds.Restarts
	switch {
	case recent && n > limit:
		e.verdict(v.subject, store.Unhealthy, store.CrashLoop, store.CrashLoop, v.last.Reason, fmt.Sprintf("%s keeps exiting: %d restarts, last exit%s %s%s; it runs again.",
			v.container, n, ago(v.last), exit(v.last), colon(detail(v.last.Message))), v.last.FinishedAt.Add(stable))
	case recent && n > 0:
		e.verdict(v.subject, store.Degraded, store.NoReason, store.CrashLoop, v.last.Reason,
			fmt.Sprintf("%s restarted %s %s, restart %d of %d.", v.container, store.Ago(since), exit(v.last), n, limit), v.last.FinishedAt.Add(stable))
	case v.spec.ReadinessProbe != nil && !v.Ready:
		e.notReady(v, since)
	case v.role == store.RoleMain && v.spec.ReadinessProbe == nil:
		e.unproven(v, since, withoutProbe)
	case v.role == store.RoleMain && systems.Vacuous(v.spec.ReadinessProbe):
		e.unproven(v, since, vacuousProbe)
	case v.role == store.RoleMain:
		e.mainReady = true
	}
}

// notReady is rules 43 and 44.
func (e *exam) notReady(v view, since time.Time) {
	raw, why := "", ""
	ready := e.condition(corev1.PodReady)
	if ready != nil && ready.Status == corev1.ConditionFalse {
		raw = ready.Reason
	} else {
		ready = nil
	}
	if n := newest(e.Events, func(n *notice) bool {
		return n.reason == "Unhealthy" && !n.last.Time.Before(since) &&
			(strings.HasPrefix(n.message, "Readiness probe") || strings.HasPrefix(n.message, "Startup probe"))
	}); n != nil {
		raw, why = n.reason, colon(detail(n.message))
	}
	grace := e.Thresholds.StartGrace
	switch {
	case e.now.Sub(since) >= grace:
		if ready != nil && ready.LastTransitionTime.After(since) {
			since = ready.LastTransitionTime.Time
		}
		e.verdict(v.subject, store.Degraded, store.NoReason, store.NoReason, raw, v.container+" is running but has not been ready for "+store.For(since)+why+".", time.Time{})
	case v.role == store.RoleMain:
		end := since.Add(grace)
		e.verdict(v.subject, store.Unknown, store.NoReason, store.NoReason, raw, v.container+" started "+store.Ago(since)+" and is not ready yet; grace ends "+store.Until(end)+".", end)
	}
}

// Why a container that runs is not proven to work.
const (
	withoutProbe = "without a readiness probe"
	vacuousProbe = "with a readiness probe that always passes"
)

// unproven is rules 45 and 46: with no readiness probe, or one that cannot fail, time is all there is to go by.
func (e *exam) unproven(v view, since time.Time, lack string) {
	why := v.container + " has run for " + store.For(since) + " " + lack + "; "
	if e.now.Sub(since) < stable {
		e.verdict(v.subject, store.Unknown, store.NoReason, store.NoReason, "", why+"it counts as healthy after 10 min.", since.Add(stable))
		return
	}
	e.verdict(v.subject, store.Healthy, store.NoReason, store.NoReason, "", why+"healthy but unproven.", time.Time{})
	e.found[len(e.found)-1].Unproven = true
}

func firstOf(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}
