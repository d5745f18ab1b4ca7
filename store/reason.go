package store

import "fmt"

// Reason is the class of a failure. The set is closed; the raw Kubernetes reason stays beside it in [Verdict.Raw].
type Reason uint8

// The five reasons, in their order of precedence, and the absence of one.
const (
	NoReason Reason = iota
	ImagePullFailed
	ConfigInvalid
	CrashLoop
	StartFailed
	RuntimeLost
	numReasons
)

var reasonNames = [numReasons]string{
	NoReason: "", ImagePullFailed: "image_pull_failed", ConfigInvalid: "config_invalid",
	CrashLoop: "crashloop", StartFailed: "start_failed", RuntimeLost: "runtime_lost",
}

var reasonTitles = [numReasons]string{
	NoReason: "", ImagePullFailed: "Image pull failed", ConfigInvalid: "Configuration invalid",
	CrashLoop: "Crash loop", StartFailed: "Start failed", RuntimeLost: "Runtime lost",
}

// Reasons lists the five, in their order of precedence.
func Reasons() []Reason {
	return []Reason{ImagePullFailed, ConfigInvalid, CrashLoop, StartFailed, RuntimeLost}
}

// String is the word stored and used in URLs; blank for NoReason.
func (r Reason) String() string {
	if r < numReasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Title is the reason in words for a heading.
func (r Reason) Title() string {
	if r < numReasons {
		return reasonTitles[r]
	}
	return r.String()
}

// ParseReason reads a word made by [Reason.String]; anything else is ErrInvalid and names the words there are.
func ParseReason(s string) (Reason, error) {
	for r, name := range reasonNames {
		if s == name {
			return Reason(r), nil
		}
	}
	return NoReason, fmt.Errorf("%w: reason %q is not one of image_pull_failed, config_invalid, crashloop, start_failed, runtime_lost", ErrInvalid, s)
}

// MarshalText writes the word.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word.
func (r *Reason) UnmarshalText(b []byte) (err error) {
	*r, err = ParseReason(string(b))
	return err
}
