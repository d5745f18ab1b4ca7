package store

import (
	"fmt"
	"strings"
)

// Health is what the board says of a runner, a component or a workload. The zero value is Unknown: nothing is healthy by default.
type Health uint8

// The four healths. Their order is the order of attention: see [Health.Severity].
const (
	Unknown Health = iota
	Healthy
	Degraded
	Unhealthy
	numHealths
)

var healthNames = [numHealths]string{Unknown: "unknown", Healthy: "healthy", Degraded: "degraded", Unhealthy: "unhealthy"}

// Healths lists every health, worst first.
func Healths() []Health { return []Health{Unhealthy, Degraded, Unknown, Healthy} }

// String is the word shown, stored and used in URLs.
func (h Health) String() string {
	if h < numHealths {
		return healthNames[h]
	}
	return fmt.Sprintf("Health(%d)", uint8(h))
}

// Severity ranks healths for sorting: 0 is the one that wants attention first.
// Unknown comes before healthy, because what is not known may be broken.
func (h Health) Severity() int {
	switch h {
	case Unhealthy:
		return 0
	case Degraded:
		return 1
	case Healthy:
		return 3
	case Unknown:
		return 2
	default:
		return 2
	}
}

// Worse returns the health of the two that wants attention first.
func (h Health) Worse(o Health) Health {
	if o.Severity() < h.Severity() {
		return o
	}
	return h
}

// ParseHealth reads a word made by [Health.String]; anything else is ErrInvalid and names the words there are.
func ParseHealth(s string) (Health, error) {
	for h, name := range healthNames {
		if s == name {
			return Health(h), nil
		}
	}
	return Unknown, fmt.Errorf("%w: health %q is not one of unhealthy, degraded, unknown, healthy", ErrInvalid, s)
}

// SaysHealthy reports whether a status string written by a runner's own API means healthy: healthy, ok, running or ready, in any case.
func SaysHealthy(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "healthy", "ok", "running", "ready":
		return true
	}
	return false
}

// MarshalText writes the word.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the word.
func (h *Health) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHealth(string(b))
	return err
}

// State says whether a runner is in service. Requested and observed state are two things: an action changes the first, the cluster the second.
type State uint8

// The states of a runner.
const (
	Enabled State = iota
	Disabled
	Deleting
	numStates
)

var stateNames = [numStates]string{Enabled: "enabled", Disabled: "disabled", Deleting: "deleting"}

// String is the word shown and stored.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// ParseState reads a word made by [State.String].
func ParseState(s string) (State, error) {
	for st, name := range stateNames {
		if s == name {
			return State(st), nil
		}
	}
	return Enabled, fmt.Errorf("%w: state %q is not one of enabled, disabled, deleting", ErrInvalid, s)
}
