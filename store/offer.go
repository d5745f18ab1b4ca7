package store

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Offer is what a runner offers to a workload that looks for a place. What it does not say is unknown, and not a no.
type Offer struct {
	// Scope says whose workloads it takes; its zero value says nothing.
	Scope Scope
	// Labels are its labels by key, Capabilities its capabilities; nil says nothing, and empty says that there is none.
	Labels       []Label
	Capabilities []string
	// Room is the most that one workload may ask for; a zero of it says nothing.
	Room Room
}

// Scope says whose workloads a runner takes, or whose a workload is.
type Scope struct {
	// Kind is ScopeCluster or ScopeOrganization; blank: not said.
	Kind string
	// Organization is the one, of ScopeOrganization.
	Organization string
}

// The kinds of a scope, as agyn has them: a runner of the cluster takes every organization's workloads.
const (
	ScopeCluster      = "cluster"
	ScopeOrganization = "organization"
)

// Label is a key and its value.
type Label struct{ Key, Value string }

// Room is what a workload asks for, or what a runner has for one.
type Room struct {
	// CPU is in thousandths of a core, Memory in bytes, GPU in whole devices.
	CPU, Memory, GPU int64
}

// Equal reports whether two offers say the same.
func (o Offer) Equal(p Offer) bool {
	return o.Scope == p.Scope && o.Room == p.Room && slices.Equal(o.Labels, p.Labels) && slices.Equal(o.Capabilities, p.Capabilities) &&
		(o.Labels == nil) == (p.Labels == nil) && (o.Capabilities == nil) == (p.Capabilities == nil)
}

// Or is the offer with what it does not say filled in from another.
func (o Offer) Or(p Offer) Offer {
	if o.Scope.Kind == "" {
		o.Scope = p.Scope
	}
	if o.Labels == nil {
		o.Labels = p.Labels
	}
	if o.Capabilities == nil {
		o.Capabilities = p.Capabilities
	}
	if o.Room == (Room{}) {
		o.Room = p.Room
	}
	return o
}

// String is the scope as people and annotations write it: cluster, or organization/acme.
func (s Scope) String() string {
	if s.Kind == ScopeOrganization {
		return s.Kind + "/" + s.Organization
	}
	return s.Kind
}

// ParseScope reads a scope as [Scope.String] writes it; a colon or an equals sign may stand for the slash. Anything else is ErrInvalid.
func ParseScope(s string) (Scope, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == ScopeCluster {
		return Scope{Kind: s}, nil
	}
	if i := strings.IndexAny(s, "/:="); i > 0 && s[:i] == ScopeOrganization && s[i+1:] != "" {
		return Scope{ScopeOrganization, s[i+1:]}, nil
	}
	return Scope{}, fmt.Errorf("%w: scope %q is neither cluster nor organization/<name>", ErrInvalid, Clean(s, 60))
}

// ParseLabels reads k=v,k=v, sorted by key; a pair without an equals sign has a blank value. A blank key, or one that comes twice with
// different values, is ErrInvalid. Blank text is an empty list, not nil.
func ParseLabels(s string) ([]Label, error) {
	out := []Label{}
	for _, w := range splitList(s) {
		k, v, _ := strings.Cut(w, "=")
		l := Label{strings.TrimSpace(k), strings.TrimSpace(v)}
		if l.Key == "" {
			return nil, fmt.Errorf("%w: %q is not a label such as region=eu", ErrInvalid, Clean(w, 60))
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Label) int { return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value)) })
	out = slices.Compact(out)
	for i := 1; i < len(out); i++ {
		if out[i].Key == out[i-1].Key {
			return nil, fmt.Errorf("%w: the label %s has two values", ErrInvalid, Clean(out[i].Key, 60))
		}
	}
	return out, nil
}

// ParseCapabilities reads a,b, sorted and without doubles. Blank text is an empty list, not nil.
func ParseCapabilities(s string) []string {
	out := append([]string{}, splitList(s)...)
	slices.Sort(out)
	return slices.Compact(out)
}

// splitList parts at commas and white space and drops blanks.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' })
}

// String is the room in words: "2 CPU, 4 GiB memory, 1 GPU"; blank when nothing is said.
func (r Room) String() string {
	var out []string
	if r.CPU != 0 {
		out = append(out, WordCPU(r.CPU))
	}
	if r.Memory != 0 {
		out = append(out, WordMemory(r.Memory))
	}
	if r.GPU != 0 {
		out = append(out, strconv.FormatInt(r.GPU, 10)+" GPU")
	}
	return strings.Join(out, ", ")
}

// WordCPU words thousandths of a core: "0.25 CPU".
func WordCPU(n int64) string { return trimNumber(float64(n)/1000) + " CPU" }

// WordMemory words bytes in their largest unit: "1.5 GiB memory".
func WordMemory(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return trimNumber(v) + " " + units[i] + " memory"
}

func trimNumber(v float64) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
