package store

import (
	"cmp"
	"strings"
	"time"
)

// IsIdentity reports whether a fact of that name tells under which identity a runner's own control plane knows it. Where a system
// reads one from the cluster, a [Testimony] of that UID is about that runner, whatever either calls it.
func IsIdentity(fact string) bool { return fact == "Runner ID" || fact == "Runner UUID" }

// TestimonyKey identifies what one source says of one runner.
type TestimonyKey struct {
	// Cluster and Source are those of the [Source] that says it: its alias, and its name such as "Kubiya API".
	Cluster, Source string
	System          string
	// Namespace is the runner's in its cluster; blank where the source does not say.
	Namespace string
	// Runner is the runner's name there, and UID its identity; UID may be blank.
	Runner, UID string
}

// Testimony is what a source beside the cluster, such as a runner system's own API, says of one runner.
type Testimony struct {
	TestimonyKey
	// On is the alias of the cluster that the runner is in; blank where the source does not say.
	On string
	// Word is the runner's health or state as the source words it; Health is what that means, Unknown where it says nothing.
	Word   string
	Health Health
	// Error is the source's own explanation, Version the runner's version by its word; both may be blank.
	Error, Version string
	// Vacuous says why a good word of this source proves nothing; blank where it does prove something.
	Vacuous    string
	Components []SaidComponent
	Workloads  []SaidWorkload
	// Facts are shown beside those of the cluster.
	Facts []Fact
	// Findings are what it finds; each stands where the cluster shows none of its code. Refutes are the codes of those that it knows not
	// to hold, whatever the cluster shows.
	Findings []Finding
	Refutes  []string
	// Offer is what it says the runner offers to a workload; its zero value says nothing.
	Offer Offer
	// Heard is when all this was said.
	Heard time.Time
	// Problem is the latest call, when that failed: then the rest is the last that was said before, and decides nothing.
	Problem *CallProblem
}

// SaidComponent is what a source says of a part of a runner.
type SaidComponent struct {
	Name, Word     string
	Health         Health
	Error, Version string
}

// SaidWorkload is what a source says of work that a runner carries.
type SaidWorkload struct {
	// Pod is the name of its pod; Namespace may be blank. ID is the source's own identity for it.
	Pod, Namespace, ID string
	// Word is its status as the source words it. Active says that it means running, Starting that it means about to.
	Word             string
	Active, Starting bool
	// Failed says that the status means failure; Reason is the source's own, NoReason where it gives none.
	Failed  bool
	Reason  Reason
	Message string
	// Began is when it began, and Changed when the source last changed it; zero where it does not say.
	Began, Changed time.Time
	// Stale says that the latest call that asked for it failed.
	Stale bool
	// Missing is since when its pod is not among the pods that the runner's cluster shows; zero while it is, or where that is not
	// known. The poller notes it.
	Missing time.Time
}

// CallProblem is a call to a source that failed.
type CallProblem struct {
	// Call is what was asked, as "GET https://…". It holds no secret.
	Call string
	// What is the status or the type of the error, as "503 Service Unavailable" or "no answer within 5 s".
	What string
	// Since is when the first of the failures in a row was; Last, when the source last answered, zero when it never did.
	Since, Last time.Time
}

// HealthSaid is the health that words of an API mean together: one that is bad outweighs one that is good. A word that nobody
// knows, or none, is Unknown.
func HealthSaid(words ...string) Health {
	health := Unknown
	for _, w := range words {
		switch h := healthWord(w); {
		case h == Unknown:
		case health == Unknown:
			health = h
		default:
			health = health.Worse(h)
		}
	}
	return health
}

// healthWord knows the words that public clients of runner APIs test for, and the booleans that some write as strings.
func healthWord(w string) Health {
	if SaysHealthy(w) {
		return Healthy
	}
	switch strings.ToLower(strings.TrimSpace(w)) {
	case "true":
		return Healthy
	case "degraded", "partial", "warning":
		return Degraded
	case "false", "unhealthy", "error", "failed", "down", "offline", "critical", "non-responsive", "nonresponsive", "not ready", "notready":
		return Unhealthy
	}
	return Unknown
}

// ReasonSaid reads a failure reason as a control plane writes it: one of the five words, in any case, behind any prefix such as
// WORKLOAD_FAILURE_REASON_. Anything else is NoReason.
func ReasonSaid(s string) Reason {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, r := range Reasons() {
		if s == r.String() || strings.HasSuffix(s, "_reason_"+r.String()) {
			return r
		}
	}
	return NoReason
}

// Compare orders keys by source, system and runner.
func (k TestimonyKey) Compare(o TestimonyKey) int {
	return cmp.Or(cmp.Compare(k.Cluster, o.Cluster), cmp.Compare(k.Source, o.Source), cmp.Compare(k.System, o.System),
		cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Runner, o.Runner), cmp.Compare(k.UID, o.UID))
}

// Ref is the reference of the runner when no cluster shows it: it is the source's own then.
func (k TestimonyKey) Ref() Ref {
	return Ref{Cluster: k.Cluster, System: k.System, Namespace: k.Namespace, Name: k.Runner}
}
