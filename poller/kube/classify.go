package kube

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
	"trackside/systems"
)

// The windows of the rules in testdata/statuses/README.md.
const (
	// stable is how long a container runs before it counts as healthy without a probe, and how long a restart is news.
	stable = 10 * time.Minute
	// blockers is how old an event may be that says why a pod does not start.
	blockers = 5 * time.Minute
	// terminating is how long a pod may take to go, beyond its own grace period.
	terminating = time.Minute
)

// Facts are all that a verdict on a pod rests on.
type Facts struct {
	Pod *corev1.Pod
	// Main names the main container.
	Main string
	// Component says that the pod is part of something that keeps running; otherwise it is work, which may end.
	Component bool
	// OwnerGone says that the pod's owner was deleted, so that the pod's own deletion is meant.
	OwnerGone bool
	// Ran says that the main container was seen running before.
	Ran        bool
	Node       *nodeFacts
	Events     []*notice
	Thresholds systems.Thresholds
}

// PodVerdict is a verdict and the role of the container it rests on; RolePod when it rests on none.
type PodVerdict struct {
	store.Verdict
	Role store.ContainerRole
}

// Classify decides how a pod is and why. It is pure: the rules, and the sentences, are those of testdata/statuses/README.md, whose
// numbers stand beside the code. Next is when it may say otherwise with nothing else happening.
func Classify(f Facts, now time.Time) PodVerdict {
	e := newExam(f, now)
	if e.deletion() || e.finishedComponent() {
		return e.found[0].PodVerdict
	}
	e.podFailure()
	e.lostNode()
	e.scheduling()
	e.blockedStart()
	e.containers()
	e.starting()
	e.readinessGates()
	return e.choose()
}

// candidate is one thing that is found; class is what it would become were its grace or its threshold over.
type candidate struct {
	PodVerdict
	class store.Reason
	order int // 0 for the pod, then the containers in the order in which they start
}

// exam is one examination of a pod.
type exam struct {
	Facts
	now      time.Time
	begin    time.Time
	graceEnd time.Time
	inGrace  bool
	statuses map[string]*corev1.ContainerStatus
	main     *corev1.ContainerStatus // nil when it has no status
	ran      bool
	found    []candidate

	blocked       bool   // something at the level of the pod says why it does not start
	initRunning   string // the init container that runs now, and since when
	initSince     time.Time
	initRetrying  bool
	sidecarFailed store.Sentence // the first native sidecar that is found wanting
	mainReady     bool
	mainOrder     int
}

func newExam(f Facts, now time.Time) *exam {
	e := &exam{Facts: f, now: now, statuses: map[string]*corev1.ContainerStatus{}}
	st := &f.Pod.Status
	for _, list := range [][]corev1.ContainerStatus{st.InitContainerStatuses, st.ContainerStatuses} {
		for i := range list {
			e.statuses[list[i].Name] = &list[i]
		}
	}
	e.begin = now
	switch {
	case real(f.Pod.CreationTimestamp.Time):
		e.begin = f.Pod.CreationTimestamp.Time
	case st.StartTime != nil && real(st.StartTime.Time):
		e.begin = st.StartTime.Time
	}
	e.graceEnd = e.begin.Add(f.Thresholds.StartGrace)
	if latest := now.Add(f.Thresholds.StartGrace); e.graceEnd.After(latest) {
		e.graceEnd = latest // a creation in the future is another clock's
	}
	e.inGrace = now.Before(e.graceEnd)
	e.main = e.statuses[f.Main]
	e.ran = f.Ran || e.main != nil && (e.main.State.Running != nil || hasRun(e.main))
	return e
}

// hasRun reports whether a container's last exit shows that it ran: some exits are written for containers that never did.
func hasRun(s *corev1.ContainerStatus) bool {
	t := lastExit(s)
	switch {
	case t == nil || t.Reason == "StartError" || t.Reason == "ContainerCannotRun" || waiting(s) == "PostStartHookError":
		return false
	case t.Reason == "ContainerStatusUnknown":
		return true
	}
	return real(t.StartedAt.Time)
}

func lastExit(s *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if s.State.Terminated != nil {
		return s.State.Terminated
	}
	return s.LastTerminationState.Terminated
}

// waiting is the reason a container waits for; blank when it does not wait, or waits without one.
func waiting(s *corev1.ContainerStatus) string {
	if s.State.Waiting == nil {
		return ""
	}
	return s.State.Waiting.Reason
}

// add keeps a finding. A sentence that ends with a message that was cut ends there, without a full stop.
func (e *exam) add(c candidate) {
	if cut, ok := strings.CutSuffix(string(c.Why), "…."); ok {
		c.Why = store.Sentence(cut + "…")
	}
	e.found = append(e.found, c)
}

// onPod adds a finding that rests on the pod as a whole.
func (e *exam) onPod(h store.Health, reason store.Reason, raw, why string, next time.Time) {
	e.add(candidate{PodVerdict: PodVerdict{store.Verdict{Health: h, Reason: reason, Raw: raw, Why: store.Sentence(why), Next: next}, store.RolePod}, class: reason})
}

// graced adds a finding that is a failure only once the grace is over; on a sidecar it never is. The sentence has no full stop.
func (e *exam) graced(on subject, reason store.Reason, raw, why string) {
	c := candidate{PodVerdict: PodVerdict{store.Verdict{Health: store.Degraded, Raw: raw, Container: on.container}, on.role}, class: reason, order: on.order}
	switch {
	case on.role == store.RoleSidecar:
		c.Why = store.Sentence(why + ".")
	case e.inGrace:
		c.Why = store.Sentence(why + "; grace ends " + store.Until(e.graceEnd) + ".")
		c.Next = e.graceEnd
	default:
		c.Health, c.Reason, c.Why = store.Unhealthy, reason, store.Sentence(why+".")
	}
	e.add(c)
}

// subject is what a finding is about: the pod, or one of its containers.
type subject struct {
	container string
	role      store.ContainerRole
	order     int
}

var thePod = subject{role: store.RolePod}

// choose takes the finding that wants attention first. Sidecars come last among equals, then the precedence of the reasons, then the
// order of the containers.
func (e *exam) choose() PodVerdict {
	if len(e.found) == 0 {
		if e.mainReady {
			e.onPod(store.Healthy, store.NoReason, "", e.Pod.Name+" is running and ready.", time.Time{}) // 20
		} else {
			e.onPod(store.Unknown, store.NoReason, "", e.Pod.Name+" does not say how it is.", time.Time{}) // 47
		}
	}
	best := slices.MinFunc(e.found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.Health.Severity(), b.Health.Severity()), sidecarLast(a)-sidecarLast(b),
			cmp.Compare(rank(a.class), rank(b.class)), cmp.Compare(a.order, b.order))
	}).PodVerdict
	if best.Health != store.Unhealthy {
		best.Next = time.Time{}
		for _, c := range e.found {
			if c.Next.After(e.now) && (best.Next.IsZero() || c.Next.Before(best.Next)) {
				best.Next = c.Next
			}
		}
	}
	return best
}

func sidecarLast(c candidate) int {
	if c.Role == store.RoleSidecar {
		return 1
	}
	return 0
}

// rank orders the reasons by precedence, and what belongs to none behind them.
func rank(r store.Reason) int {
	if r == store.NoReason {
		return len(store.Reasons())
	}
	return slices.Index(store.Reasons(), r)
}

func (e *exam) condition(t corev1.PodConditionType) *corev1.PodCondition {
	for i := range e.Pod.Status.Conditions {
		if c := &e.Pod.Status.Conditions[i]; c.Type == t {
			return c
		}
	}
	return nil
}
