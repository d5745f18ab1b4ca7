package store

import (
	"fmt"
	"slices"
	"strings"
)

// Need is a workload that looks for a runner. What it leaves zero it does not mind.
type Need struct {
	Scope        Scope
	Labels       []Label
	Capabilities []string
	Room         Room
}

// Fit says how a runner suits a need. The zero value says that it does not.
type Fit uint8

// A runner cannot take the workload, may (it does not say all that was asked, or nobody knows how it is), or can.
const (
	FitNo Fit = iota
	FitMaybe
	FitYes
)

// Step is where a runner was refused, or what it does not say: the order in which agyn chooses.
type Step string

// The steps, in order. The last is not agyn's: it takes any that is left, and so may one that is out of service.
const (
	StepScope        Step = "scope"
	StepLabels       Step = "labels"
	StepCapabilities Step = "capabilities"
	StepRequests     Step = "requests"
	StepService      Step = "service"
)

// Steps lists them in the order in which they are asked.
func Steps() []Step {
	return []Step{StepScope, StepLabels, StepCapabilities, StepRequests, StepService}
}

// Placement is what comes of one runner.
type Placement struct {
	Runner *Runner
	Fit    Fit
	// Step is the first that refuses it; of one that may fit, the first that it says nothing of.
	Step Step
	// Why is a sentence: what it refuses, all that it does not say, or that it fits.
	Why string
}

// Place asks each runner of a snapshot in the order of the steps: scope, labels, capabilities, then the rest. Those that can host the
// workload come first, then those that may, then the others, those that came furthest first.
func (s *Snapshot) Place(n Need) []Placement {
	out := make([]Placement, 0, s.Len())
	for r := range s.Runners() {
		out = append(out, n.at(r))
	}
	order := Steps()
	slices.SortStableFunc(out, func(a, b Placement) int {
		if a.Fit != b.Fit {
			return int(b.Fit) - int(a.Fit)
		}
		return slices.Index(order, b.Step) - slices.Index(order, a.Step)
	})
	return out
}

// answer is what one step says of a runner: a refusal, or what it says nothing of.
type answer struct {
	refused string
	unknown []string
}

func (n Need) at(r *Runner) Placement {
	answers := []struct {
		step Step
		answer
	}{{StepScope, n.scope(r)}, {StepLabels, n.labels(r)}, {StepCapabilities, n.capabilities(r)}, {StepRequests, n.requests(r)}, {StepService, service(r)}}
	p := Placement{Runner: r, Fit: FitYes, Why: "It offers all that was asked."}
	var unknown []string
	for _, a := range answers {
		if a.refused != "" {
			return Placement{Runner: r, Fit: FitNo, Step: a.step, Why: a.refused}
		}
		if len(a.unknown) > 0 {
			if len(unknown) == 0 {
				p.Step = a.step
			}
			unknown = append(unknown, a.unknown...)
		}
	}
	if len(unknown) > 0 {
		p.Fit, p.Why = FitMaybe, "It says nothing of its "+and(unknown)+"."
	}
	if r.Health == Unknown {
		if p.Fit == FitYes {
			p.Fit, p.Step, p.Why = FitMaybe, StepService, "It offers all that was asked."
		}
		p.Why += " Whether it works now is not known."
	}
	return p
}

// scope: a runner of the cluster takes every workload, one of an organization that organization's.
func (n Need) scope(r *Runner) answer {
	have := r.Offer.Scope
	switch {
	case n.Scope.Kind == "":
		return answer{}
	case have.Kind == "":
		return answer{unknown: []string{"scope"}}
	case have.Kind == ScopeCluster || have == n.Scope:
		return answer{}
	case n.Scope.Kind == ScopeCluster:
		return answer{refused: "It takes workloads of the organization " + Clean(have.Organization, 60) + " only."}
	}
	return answer{refused: fmt.Sprintf("It takes workloads of the organization %s, not of %s.", Clean(have.Organization, 60), Clean(n.Scope.Organization, 60))}
}

func (n Need) labels(r *Runner) answer {
	if len(n.Labels) == 0 {
		return answer{}
	}
	if r.Offer.Labels == nil {
		return answer{unknown: []string{"labels"}}
	}
	for _, l := range n.Labels {
		i := slices.IndexFunc(r.Offer.Labels, func(x Label) bool { return x.Key == l.Key })
		switch {
		case i < 0:
			return answer{refused: fmt.Sprintf("It has no label %s; %s=%s is asked.", Clean(l.Key, 60), Clean(l.Key, 60), Clean(l.Value, 60))}
		case r.Offer.Labels[i].Value != l.Value:
			return answer{refused: fmt.Sprintf("Its label %s is %s; %s is asked.", Clean(l.Key, 60), orBlank(r.Offer.Labels[i].Value), orBlank(l.Value))}
		}
	}
	return answer{}
}

func orBlank(s string) string {
	if s = Clean(s, 60); s == "" {
		return "blank"
	}
	return s
}

func (n Need) capabilities(r *Runner) answer {
	if len(n.Capabilities) == 0 {
		return answer{}
	}
	if r.Offer.Capabilities == nil {
		return answer{unknown: []string{"capabilities"}}
	}
	var lacks []string
	for _, c := range n.Capabilities {
		if !slices.Contains(r.Offer.Capabilities, c) {
			lacks = append(lacks, Clean(c, 60))
		}
	}
	if len(lacks) == 0 {
		return answer{}
	}
	has := "it has none"
	if len(r.Offer.Capabilities) > 0 {
		has = "it has " + Clean(and(r.Offer.Capabilities), 200)
	}
	return answer{refused: "It lacks the capability " + and(lacks) + "; " + has + "."}
}

// requests compares what is asked for with what one workload may have. Only what is said can refuse.
func (n Need) requests(r *Runner) answer {
	var over, unknown []string
	for _, x := range []struct {
		what       string
		need, have int64
		word       func(int64) string
	}{{"CPU", n.Room.CPU, r.Offer.Room.CPU, WordCPU}, {"memory", n.Room.Memory, r.Offer.Room.Memory, WordMemory},
		{"GPUs", n.Room.GPU, r.Offer.Room.GPU, func(v int64) string { return fmt.Sprintf("%d GPU", v) }}} {
		switch {
		case x.need == 0:
		case x.have == 0:
			unknown = append(unknown, x.what)
		case x.need > x.have:
			over = append(over, x.word(x.need)+" are asked, and it has "+x.word(x.have)+" for a workload")
		}
	}
	switch {
	case len(over) > 0:
		return answer{refused: strings.Join(over, "; ") + "."}
	case len(unknown) > 0:
		return answer{unknown: unknown}
	}
	return answer{}
}

// service: one that is out of service, or down, takes nothing now.
func service(r *Runner) answer {
	switch {
	case r.Observed != Enabled || r.Requested != Enabled:
		return answer{refused: "It is out of service."}
	case r.Health == Unhealthy:
		return answer{refused: "It is unhealthy now."}
	}
	return answer{}
}

// and joins words as people do.
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
