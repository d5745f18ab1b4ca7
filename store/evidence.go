package store

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Evidence is the proof of one failure, taken the moment it was seen: the pod that failed may be deleted a second later, and its
// events within the hour.
type Evidence struct {
	// ID names the failure in its permalink: see [Evidence.Identify].
	ID          string
	Ref         Ref
	Incarnation string
	// Namespace, Name and UID are the workload's. UID is blank where a component failed without a failing pod; then Name is that of
	// its object.
	Namespace, Name, UID string
	// Component is the component that failed, or whose pod did; blank for work.
	Component string
	// At is when the failure was seen: the time of the transition.
	At time.Time
	// Verdict is what was said of it. Its Container is the one that failed.
	Verdict Verdict
	// Image is the failing container's, Node where the pod was; blank where there was none.
	Image, Node string
	// Fingerprint is the message without what differs from one failure to the next: see [Fingerprint].
	Fingerprint string
	Proof       Proof
	// Logs are the ends of the failed containers' logs; they arrive after the rest, if they were asked for.
	Logs []Log
}

// Bounds of a proof: what a cluster sends may be of any length.
const (
	MaxProofEvents = 20
	// MaxLogLines and MaxLogBytes bound the end of one container's log.
	MaxLogLines = 50
	MaxLogBytes = 16 << 10
)

// Proof is what the cluster said of the workload: its status, what was asked for, its latest Warning events and its node.
type Proof struct {
	// Phase, Reason and Message are the pod's, raw.
	Phase   string `json:"phase,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Created and Started are the pod's, by the cluster's clock.
	Created time.Time `json:"created,omitzero"`
	Started time.Time `json:"started,omitzero"`
	// Owners are the objects above the pod, nearest first, as kubectl names them, such as replicaset/web-5d4f.
	Owners        []string `json:"owners,omitempty"`
	RestartPolicy string   `json:"restartPolicy,omitempty"`
	RuntimeClass  string   `json:"runtimeClass,omitempty"`
	// PullSecrets are the names that the spec gives; the Secrets themselves are never read.
	PullSecrets []string         `json:"pullSecrets,omitempty"`
	Conditions  []ProofCondition `json:"conditions,omitempty"`
	Containers  []ProofContainer `json:"containers,omitempty"`
	Events      []ProofEvent     `json:"events,omitempty"`
	Node        *ProofNode       `json:"node,omitempty"`
	// Probe is the component's latest probe of ours, where it failed one.
	Probe string `json:"probe,omitempty"`
	// Told says that no pod was examined: all there is is what a source beside the clusters said.
	Told bool `json:"told,omitempty"`
}

// ProofCondition is one condition of a pod.
type ProofCondition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// ProofContainer is one container: what was asked for, and how it was.
type ProofContainer struct {
	Name     string        `json:"name"`
	Role     ContainerRole `json:"role"`
	Image    string        `json:"image,omitempty"`
	Requests []string      `json:"requests,omitempty"`
	Limits   []string      `json:"limits,omitempty"`
	// Readiness says that the spec has a readiness probe.
	Readiness bool  `json:"readiness,omitempty"`
	Restarts  int32 `json:"restarts,omitempty"`
	Ready     bool  `json:"ready,omitempty"`
	// State is the present state, Last the last termination before it.
	State ProofState  `json:"state"`
	Last  *ProofState `json:"last,omitempty"`
}

// ProofState is a state of a container.
type ProofState struct {
	// State is waiting, running or terminated.
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Message  string    `json:"message,omitempty"`
	ExitCode int32     `json:"exitCode,omitempty"`
	Signal   int32     `json:"signal,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
}

// ProofEvent is a Warning event.
type ProofEvent struct {
	At      time.Time `json:"at,omitzero"`
	Reason  string    `json:"reason"`
	Message string    `json:"message,omitempty"`
	Count   int32     `json:"count,omitempty"`
	// About is what the event is about: pod, or the owner's kind.
	About string `json:"about,omitempty"`
}

// ProofNode is how the pod's node was.
type ProofNode struct {
	Name string `json:"name"`
	// Ready is True, False or Unknown as Kubernetes writes it; blank when nodes cannot be seen.
	Ready  string    `json:"ready,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Log is the end of one container's log, masked.
type Log struct {
	Container string
	// Previous says that it is of the instance before the present one.
	Previous bool
	Text     string
	// Problem says why there is no text; blank where there is.
	Problem string
}

// Identify gives the failure its ID, which is the same whoever computes it and however often: of the runner, of what failed, for
// what reason and when.
func (e *Evidence) Identify() {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Ref.Cluster, e.Ref.System, e.Ref.Namespace, e.Ref.Name, e.Incarnation,
		e.Namespace, e.Name, e.UID, e.Component, e.Verdict.Reason.String(), strconv.FormatInt(e.At.UnixMilli(), 10)}, "\x00")))
	e.ID = hex.EncodeToString(sum[:8])
}

// Failure tells one failure on the board from another: a workload by its UID, a component without a failing pod by its name.
type Failure struct {
	Ref            Ref
	UID, Component string
	Reason         Reason
}

// Failure is what the evidence is of.
func (e *Evidence) Failure() Failure {
	f := Failure{Ref: e.Ref, UID: e.UID, Reason: e.Verdict.Reason}
	if e.UID == "" {
		f.Component = e.Component
	}
	return f
}

// Failed lists what fails of the runner now, as [Runner.Reasons] counts it: without an ID and without proof.
func (r *Runner) Failed() (out []Evidence) {
	shown := map[string]bool{}
	for i := range r.Workloads {
		w := &r.Workloads[i]
		if c, ok := r.Component(w.Component); w.Failing() && (!ok || c.Health != Healthy) {
			shown[w.Component] = true
			out = append(out, r.EvidenceOf(w))
		}
	}
	for i := range r.Components {
		if c := &r.Components[i]; c.Failing() && !shown[c.Name] {
			out = append(out, r.EvidenceOfComponent(c))
		}
	}
	return out
}

// EvidenceOf is what the board itself knows of a failing workload.
func (r *Runner) EvidenceOf(w *Workload) Evidence {
	e := Evidence{Ref: r.Ref, Incarnation: r.Incarnation, Namespace: w.Namespace, Name: w.Name, UID: w.UID, Component: w.Component,
		At: w.Since, Verdict: w.Verdict, Node: w.Node}
	for _, c := range w.Containers {
		if c.Name == w.Container || w.Container == "" && c.Role == RoleMain {
			e.Image = c.Image
		}
	}
	e.Fingerprint = e.fingerprint()
	return e
}

// EvidenceOfComponent is what the board itself knows of a component that fails without a failing pod.
func (r *Runner) EvidenceOfComponent(c *Component) Evidence {
	e := Evidence{Ref: r.Ref, Incarnation: r.Incarnation, Namespace: r.Ref.Namespace, Name: c.Object, Component: c.Name, At: c.Since, Verdict: c.Verdict, Image: c.Image}
	e.Fingerprint = e.fingerprint()
	return e
}

// fingerprint is of the message and, where there is none, of the sentence without its instants and without the failing one's own name.
func (e *Evidence) fingerprint() string {
	if strings.TrimSpace(e.Verdict.Message) != "" {
		return Fingerprint(e.Verdict.Message)
	}
	var b strings.Builder
	for _, p := range e.Verdict.Why.Parts() {
		b.WriteString(p.Text)
	}
	text := b.String()
	for _, own := range []string{e.Name, e.Component} {
		if own != "" {
			text = strings.ReplaceAll(text, own, "<it>")
		}
	}
	return Fingerprint(text)
}

// FailureFilter chooses failures. Values of one field are alternatives; the fields must all hold. Its zero value lets everything through.
type FailureFilter struct {
	Since                         time.Time
	Reasons                       []Reason
	Systems, Namespaces, Clusters []string
}

// Everywhere reports whether it asks for all runners.
func (f FailureFilter) Everywhere() bool {
	return len(f.Systems)+len(f.Namespaces)+len(f.Clusters) == 0
}

// MatchRef reports whether it lets a runner through.
func (f FailureFilter) MatchRef(r Ref) bool {
	return oneOf(f.Systems, r.System) && oneOf(f.Namespaces, r.Namespace) && oneOf(f.Clusters, r.Cluster)
}

// MatchReason reports whether it lets a reason through.
func (f FailureFilter) MatchReason(r Reason) bool {
	return len(f.Reasons) == 0 || slices.Contains(f.Reasons, r)
}
