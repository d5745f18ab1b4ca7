package store

import (
	"fmt"
	"slices"
)

// Fact is something a system says of a runner beside its health, such as its scope or the size of its pool.
type Fact struct {
	// Name is a word or two, Value what is so; neither is blank.
	Name  string
	Value Sentence
}

// Severity ranks findings. The zero value is the mildest.
type Severity uint8

// The severities of a finding: good to know; makes a failure likely or hides one; makes green worth nothing, or is dangerous.
const (
	Notice Severity = iota
	Warning
	Critical
	numSeverities
)

var severityNames = [numSeverities]string{Notice: "notice", Warning: "warning", Critical: "critical"}

// Severities lists every severity, worst first.
func Severities() []Severity { return []Severity{Critical, Warning, Notice} }

// String is the word shown, stored and used in URLs.
func (s Severity) String() string {
	if s < numSeverities {
		return severityNames[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// ParseSeverity reads a word made by [Severity.String]; anything else is ErrInvalid and names the words there are.
func ParseSeverity(s string) (Severity, error) {
	for v, name := range severityNames {
		if s == name {
			return Severity(v), nil
		}
	}
	return Notice, fmt.Errorf("%w: severity %q is not one of critical, warning, notice", ErrInvalid, s)
}

// LegacyV1 is the code of the finding about a Kubiya runner of generation v1: the rules about images read it off a tag, the API says it.
const LegacyV1 = "legacy-v1"

// Finding is something that makes green untrustworthy or a failure likely.
type Finding struct {
	// Code names the rule, such as readiness-probe-missing: lower-case words with hyphens, and what a finding is grouped by.
	Code     string
	Severity Severity
	// Object is what it is about as kubectl names it, such as deployment/agent-manager; Field is the path in it.
	Object, Field string
	// Why says what is so and why it matters.
	Why Sentence
	// Fix is the line to change, as YAML or as a command; blank where there is no one line.
	Fix string
	// Doubt says that a green of the object is worth little while this holds.
	Doubt bool
}

// Has reports whether the runner has a finding of that code.
func (r *Runner) Has(code string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == code })
}
