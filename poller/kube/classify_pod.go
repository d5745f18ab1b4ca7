package kube

import (
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// deletion is rules 1 to 3: a pod on its way out says nothing else of interest.
func (e *exam) deletion() bool {
	at := e.Pod.DeletionTimestamp
	if at == nil {
		return false
	}
	raw, why, disrupted := "Terminating", "", e.disruption()
	if disrupted != nil {
		raw, why = disrupted.Reason, colon(detail(disrupted.Message))
	}
	since := at.Time
	if s := e.Pod.DeletionGracePeriodSeconds; s != nil {
		since = since.Add(-time.Duration(*s) * time.Second)
	}
	end := at.Add(terminating)
	switch {
	case disrupted != nil && !e.Component && !e.OwnerGone:
		e.onPod(store.Unhealthy, store.RuntimeLost, raw, e.Pod.Name+" is lost ("+word(raw)+")"+why+".", time.Time{})
	case e.now.After(end):
		e.onPod(store.Degraded, store.NoReason, raw, e.Pod.Name+" has been stuck terminating for "+store.For(since)+why+".", time.Time{})
	default:
		e.onPod(store.Degraded, store.NoReason, raw, e.Pod.Name+" has been terminating for "+store.For(since)+why+".", end)
	}
	return true
}

func (e *exam) disruption() *corev1.PodCondition {
	if c := e.condition(corev1.DisruptionTarget); c != nil && c.Status == corev1.ConditionTrue {
		return c
	}
	return nil
}

// finishedComponent is rule 4.
func (e *exam) finishedComponent() bool {
	if e.Pod.Status.Phase != corev1.PodSucceeded || !e.Component {
		return false
	}
	e.onPod(store.Degraded, store.NoReason, e.Pod.Status.Reason,
		e.Pod.Name+" finished, but a component should keep running"+colon(detail(e.Pod.Status.Message))+".", time.Time{})
	return true
}

// lostReasons are the reasons of a failed pod that had a place and lost it; any other is a node's refusal.
var lostReasons = map[string]bool{"Evicted": true, "Preempting": true, "Terminated": true, "Shutdown": true, "NodeLost": true, "DeadlineExceeded": true}

// podFailure is rules 5 to 8.
func (e *exam) podFailure() {
	st := &e.Pod.Status
	failed := st.Phase == corev1.PodFailed
	disrupted := e.disruption()
	switch {
	case failed && st.Reason != "" || st.Reason == "NodeLost":
		e.podReason()
	case failed && disrupted != nil:
		e.onPod(store.Unhealthy, store.RuntimeLost, disrupted.Reason, e.Pod.Name+" is lost ("+word(disrupted.Reason)+")"+colon(detail(disrupted.Message))+".", time.Time{})
	case failed && !e.anyTerminated():
		reason := store.StartFailed
		if e.ran {
			reason = store.RuntimeLost
		}
		e.onPod(store.Unhealthy, reason, "", e.Pod.Name+" failed and does not say why.", time.Time{})
	}
}

func (e *exam) podReason() {
	st := &e.Pod.Status
	why := colon(detail(st.Message)) + "."
	rejected := strings.HasPrefix(st.Message, "Pod was rejected") || !lostReasons[st.Reason]
	if rejected && !e.ran {
		e.onPod(store.Unhealthy, store.StartFailed, st.Reason, e.Pod.Name+" was rejected by its node ("+word(st.Reason)+")"+why, time.Time{})
		return
	}
	e.onPod(store.Unhealthy, store.RuntimeLost, st.Reason, e.Pod.Name+" is lost ("+word(st.Reason)+")"+why, time.Time{})
}

func (e *exam) anyTerminated() bool {
	for _, s := range e.statuses {
		if s.State.Terminated != nil {
			return true
		}
	}
	return false
}

// word makes a raw reason fit for a sentence.
func word(raw string) string { return store.Clean(raw, 60) }

// lostNode is rules 9 and 10.
func (e *exam) lostNode() {
	ready := e.condition(corev1.PodReady)
	if e.Node == nil || !e.ran || ready == nil || ready.Status != corev1.ConditionFalse {
		return
	}
	since := ""
	if real(e.Node.since.Time) {
		since = " for " + store.For(e.Node.since.Time)
	}
	switch e.Node.ready {
	case corev1.ConditionUnknown:
		e.onPod(store.Unhealthy, store.RuntimeLost, "NodeLost", e.Pod.Name+" is lost: its node "+e.Node.Name+" has been silent"+since+".", time.Time{})
	case corev1.ConditionFalse:
		e.onPod(store.Unhealthy, store.RuntimeLost, "NodeNotReady", e.Pod.Name+" is lost: its node "+e.Node.Name+" has not been ready"+since+".", time.Time{})
	case corev1.ConditionTrue:
	}
}

// scheduling is rules 11 and 12.
func (e *exam) scheduling() {
	c := e.condition(corev1.PodScheduled)
	switch {
	case c != nil && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonSchedulingGated:
		e.blocked = true
		var gates []string
		for _, g := range e.Pod.Spec.SchedulingGates {
			gates = append(gates, store.Clean(g.Name, 80))
		}
		e.onPod(store.Degraded, store.NoReason, c.Reason, e.Pod.Name+" is held back by its scheduling gates for "+
			store.For(c.LastTransitionTime.Time)+colon(strings.Join(gates, ", "))+".", time.Time{})
	case c != nil && c.Status == corev1.ConditionFalse:
		e.blocked = true
		e.graced(thePod, store.StartFailed, c.Reason, e.Pod.Name+" cannot be scheduled"+colon(detail(c.Message)))
	case c == nil && e.Pod.Spec.NodeName == "":
		if n := newest(e.Events, func(n *notice) bool { return n.reason == "FailedScheduling" }); n != nil {
			e.blocked = true
			e.graced(thePod, store.StartFailed, n.reason, e.Pod.Name+" cannot be scheduled"+colon(detail(n.message)))
		}
	}
}

var (
	mountFailed   = regexp.MustCompile(`(?s)^MountVolume\.SetUp failed for volume "([^"]*)" : (.*)`)
	attachFailed  = regexp.MustCompile(`(?s)for volume "([^"]*)" (?:: )?(.*)`)
	missingConfig = regexp.MustCompile(`(secret|configmap) "[^"]*" not found|references non-existent`)
	noRuntime     = regexp.MustCompile(`(?i)no runtime for|RuntimeHandler "[^"]*" not supported|failed to find runtime handler|runtimeclass`)
)

// blockedStart is rules 13 to 16: an event says why the main container does not run.
func (e *exam) blockedStart() {
	if e.main != nil && e.main.State.Running != nil {
		return
	}
	n := newest(e.Events, func(n *notice) bool {
		switch n.reason {
		case "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady":
			return true
		}
		return false
	})
	if n == nil || e.now.Sub(n.last.Time) > blockers {
		return
	}
	e.blocked = true
	reason, why := blocker(n)
	e.graced(thePod, reason, n.reason, e.Pod.Name+why)
}

// blocker words an event that blocks a start.
func blocker(n *notice) (store.Reason, string) {
	reason := store.StartFailed
	switch n.reason {
	case "FailedMount":
		if missingConfig.MatchString(n.message) {
			reason = store.ConfigInvalid
		}
		if m := mountFailed.FindStringSubmatch(n.message); m != nil {
			return reason, " cannot mount volume " + store.Clean(m[1], 80) + colon(detail(m[2]))
		}
		return reason, " cannot mount its volumes" + colon(detail(n.message))
	case "FailedAttachVolume":
		if m := attachFailed.FindStringSubmatch(n.message); m != nil {
			return reason, " cannot attach volume " + store.Clean(m[1], 80) + colon(detail(m[2]))
		}
		return reason, " cannot attach its volumes" + colon(detail(n.message))
	case "FailedCreatePodSandBox":
		if noRuntime.MatchString(n.message) {
			reason = store.ConfigInvalid
		}
		return reason, " cannot get its sandbox" + colon(detail(n.message))
	}
	return reason, " cannot be started" + colon(detail(n.message))
}

// starting is rules 17, 18 and 40 to 42: the main container has never run, and nothing above says why.
func (e *exam) starting() {
	if p := e.Pod.Status.Phase; e.blocked || e.ran || p == corev1.PodFailed || p == corev1.PodSucceeded {
		return
	}
	waits := e.main != nil && e.main.State.Waiting != nil
	if waits {
		switch e.main.State.Waiting.Reason {
		case "", "ContainerCreating", "PodInitializing":
		default:
			return
		}
	}
	idle := e.main != nil && !waits && e.main.State == (corev1.ContainerState{})
	switch {
	case e.inGrace && (e.main == nil || waits || idle):
		e.onPod(store.Unknown, store.NoReason, "", e.Pod.Name+" has been starting for "+store.For(e.begin)+"; grace ends "+store.Until(e.graceEnd)+".", e.graceEnd)
	case !e.inGrace && (e.main == nil || idle):
		e.onPod(store.Unhealthy, store.StartFailed, "", e.Pod.Name+" has not started "+store.For(e.begin)+" after it was created.", time.Time{})
	case !e.inGrace && waits && !e.initRetrying:
		e.overdue()
	}
}

// overdue is rules 40 to 42.
func (e *exam) overdue() {
	why := e.Main + " has not started " + store.For(e.begin) + " after its pod was created"
	on := subject{e.Main, store.RoleMain, e.mainOrder}
	switch {
	case e.initRunning != "":
		on.container, on.role = e.initRunning, store.RoleInit
		why += ": " + e.initRunning + " has been running for " + store.For(e.initSince) + "."
	case e.sidecarFailed != "":
		why += ": " + string(e.sidecarFailed)
	default:
		why += "."
	}
	e.verdict(on, store.Unhealthy, store.StartFailed, store.StartFailed, waiting(e.main), why, time.Time{})
}

// readinessGates is rule 19.
func (e *exam) readinessGates() {
	c := e.condition(corev1.PodReady)
	if c == nil || c.Status != corev1.ConditionFalse || c.Reason != "ReadinessGatesNotReady" || e.now.Sub(c.LastTransitionTime.Time) < e.Thresholds.StartGrace {
		return
	}
	for _, s := range e.statuses {
		if !s.Ready {
			return
		}
	}
	e.onPod(store.Degraded, store.NoReason, c.Reason, e.Pod.Name+" is running but has not been ready for "+store.For(c.LastTransitionTime.Time)+colon(detail(c.Message))+".", time.Time{})
}
