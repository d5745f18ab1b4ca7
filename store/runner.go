// Package store is what the board knows: runners, their components and workloads, how well they are and why, and the live
// snapshot that every page reads. It is pure: types, behaviour on them, and no I/O. It imports the standard library only.
package store

import (
	"slices"
	"time"
)

// Verdict is a health and everything it rests on.
type Verdict struct {
	Health Health
	// Reason is the class of the failure, NoReason where there is none.
	Reason Reason
	// Why is a sentence and never blank.
	Why Sentence
	// Since is when this health, for this reason, began.
	Since time.Time
	// Raw is the reason as Kubernetes writes it, such as ImagePullBackOff; blank where there is none.
	Raw string
	// Message is the raw message beside Raw: hostile, cut at [MaxMessage] bytes.
	Message string
	// Container is the container the verdict rests on; blank where it rests on the pod or on no container.
	Container string
	// Next is when the verdict may change with nothing else happening: a grace that ends, a window that closes. Zero: never.
	Next time.Time
	// Unproven marks a green that rests on time alone, there being no probe.
	Unproven bool
	// Inspect is the kubectl line to look further; blank for the healthy.
	Inspect string
}

// MaxMessage is how much of a raw message is kept, in bytes. The kubelet itself keeps 4096 of a termination message.
const MaxMessage = 1024

// Failing reports whether the verdict is a failure: one of the five reasons, or unhealthy for another.
func (v Verdict) Failing() bool { return v.Health == Unhealthy }

// Runner is what an operator would call one. A Runner that was published is never changed.
type Runner struct {
	Ref Ref
	// Incarnation tells a re-created runner from its predecessor: the UID of the owning object.
	Incarnation string
	Verdict
	// Version is the runner's own, normalised by [NormalizeVersion]; blank when nothing names one.
	Version string
	// Requested and Observed are the state asked for and the state seen.
	Requested, Observed State
	// WasFailing says that it failed until its health became unknown, so that it may yet have recovered. Apply adds it, and Equal leaves it out.
	WasFailing bool
	// Mark says who took it out of service and why; its zero value is for one that nobody did, or not by way of the board.
	Mark Mark
	// Asked is since when Requested differs from Observed; zero while they agree. Apply adds it, and Equal leaves it out.
	Asked time.Time
	// Components are the runner's parts, by name.
	Components []Component
	// Workloads are the pods of the components and what the runner runs, by namespace and name.
	Workloads []Workload
	// Facts are what its system says of it, in the order in which they are shown.
	Facts []Fact
	// Findings are worst first, then by code and object.
	Findings []Finding
	// Offer is what it offers to a workload that looks for a place.
	Offer Offer
	// Doubts counts the findings that make its green doubtful and that nobody has accepted: Apply adds it.
	Doubts int
	// Load is how much work it carries; Apply counts it, and Equal leaves it out.
	Load Load
	// Recovered is when the runner, having failed, was seen not to fail any more; zero when that is longer ago than [RecoveryLinger].
	Recovered time.Time
	// Failures are the times of the latest failures, oldest first, within [FlapWindow].
	Failures []time.Time
	// Rev is the revision of the snapshot in which the runner last changed.
	Rev uint64
}

// Component is a part of a runner with its own health and version.
type Component struct {
	Name string
	// Kind and Object name the Kubernetes object, such as Deployment and agent-manager.
	Kind, Object string
	Verdict
	Version string
	// Image is the main container's image as written in the object.
	Image string
	// Ready and Desired count pods.
	Ready, Desired int32
	// Restarts adds up the restarts of the component's present pods.
	Restarts int32
	// Probe is the latest HTTP probe of ours; its zero value says that the component declares none.
	Probe Probe
	// Podless is since when the component has been seen without any pod although it wants some; zero when it has one.
	Podless time.Time
}

// Probe is the result of one HTTP probe.
type Probe struct {
	// URL is what was asked; blank when there is no probe.
	URL string
	// Status is the HTTP status; 0 when no answer came.
	Status int
	// Problem is blank after a success; otherwise it names the status or the type of the error.
	Problem string
	// Took is how long it took, rounded to milliseconds; At is when the outcome last changed.
	Took time.Duration
	At   time.Time
}

// Workload is a pod: a part of a component, or work that the runner carries.
type Workload struct {
	Namespace, Name, UID string
	// Component names the component the pod is part of; blank for work.
	Component string
	Verdict
	// Phase is the pod's phase as Kubernetes writes it.
	Phase string
	// Node is where the pod runs; blank before it is scheduled.
	Node string
	// Created is the pod's creation time by the cluster's clock.
	Created    time.Time
	Containers []Container
}

// ContainerRole is what a container is for.
type ContainerRole string

// The roles of a container, and of a verdict that rests on the pod as a whole.
const (
	RoleMain    ContainerRole = "main"
	RoleInit    ContainerRole = "init"
	RoleSidecar ContainerRole = "sidecar"
	RolePod     ContainerRole = "pod"
)

// Container is one container of a workload.
type Container struct {
	Name  string
	Role  ContainerRole
	Image string
	// State is waiting, running or terminated.
	State string
	// Reason and Message are raw, of the present state or, for a running container, of its last termination.
	Reason, Message string
	// ExitCode is of the present or last termination; HasExit says that there was one.
	ExitCode int32
	HasExit  bool
	Restarts int32
	Ready    bool
	// Ran says that the container has been seen to run, now or at an earlier look: its status may be lost, or show its end alone.
	Ran bool
}

// Component returns the component of that name.
func (r *Runner) Component(name string) (Component, bool) {
	i := slices.IndexFunc(r.Components, func(c Component) bool { return c.Name == name })
	if i < 0 {
		return Component{}, false
	}
	return r.Components[i], true
}

// Reasons counts the failures of a runner by reason: each failing workload once, and each failing component that has no
// failing workload to show for it. The pods that a component has lost and replaced count no more.
func (r *Runner) Reasons() (n [numReasons]int) {
	shown := map[string]bool{}
	for i := range r.Workloads {
		w := &r.Workloads[i]
		if c, ok := r.Component(w.Component); w.Failing() && (!ok || c.Health != Healthy) {
			n[w.Reason]++
			shown[w.Component] = true
		}
	}
	for i := range r.Components {
		c := &r.Components[i]
		if c.Failing() && !shown[c.Name] {
			n[c.Reason]++
		}
	}
	return n
}

// Equal reports whether two observations of a runner say the same. Rev, and what Apply adds, are not compared.
func (r *Runner) Equal(o *Runner) bool {
	return r.Ref == o.Ref && r.Incarnation == o.Incarnation && r.Verdict.Equal(o.Verdict) && r.Version == o.Version &&
		r.Requested == o.Requested && r.Observed == o.Observed && r.Mark.Equal(o.Mark) && r.Recovered.Equal(o.Recovered) && slices.EqualFunc(r.Failures, o.Failures, time.Time.Equal) &&
		slices.Equal(r.Facts, o.Facts) && slices.Equal(r.Findings, o.Findings) && r.Offer.Equal(o.Offer) &&
		slices.EqualFunc(r.Components, o.Components, Component.Equal) && slices.EqualFunc(r.Workloads, o.Workloads, Workload.Equal)
}

// Equal reports whether two verdicts say the same.
func (v Verdict) Equal(o Verdict) bool {
	same := v.Since.Equal(o.Since) && v.Next.Equal(o.Next)
	v.Since, v.Next, o.Since, o.Next = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && v == o
}

// Equal reports whether two observations of a component say the same.
func (c Component) Equal(o Component) bool {
	same := c.Verdict.Equal(o.Verdict) && c.Probe.At.Equal(o.Probe.At) && c.Podless.Equal(o.Podless)
	c.Verdict, o.Verdict = Verdict{}, Verdict{}
	c.Probe.At, o.Probe.At, c.Podless, o.Podless = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && c == o
}

// Equal reports whether two observations of a workload say the same.
func (w Workload) Equal(o Workload) bool {
	return w.Verdict.Equal(o.Verdict) && w.Namespace == o.Namespace && w.Name == o.Name && w.UID == o.UID && w.Component == o.Component &&
		w.Phase == o.Phase && w.Node == o.Node && w.Created.Equal(o.Created) && slices.Equal(w.Containers, o.Containers)
}

// Ran reports whether the container of that name has been seen to run; false for no workload.
func (w *Workload) Ran(container string) bool {
	return w != nil && slices.ContainsFunc(w.Containers, func(c Container) bool { return c.Name == container && c.Ran })
}

// Restarts adds up the restarts of a workload's containers.
func (w Workload) Restarts() (n int) {
	for _, c := range w.Containers {
		n += int(c.Restarts)
	}
	return n
}
