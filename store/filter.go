package store

import (
	"slices"
	"strings"
)

// Filter chooses runners. Values of one field are alternatives; the fields must all hold. Its zero value lets everything through.
type Filter struct {
	// Healths are the healths let through; Disabled adds the runners that are out of service.
	Healths  []Health
	Disabled bool
	// Reasons let through the runners with a failure for one of them.
	Reasons []Reason
	// Systems, Namespaces and Versions are exact; a version is compared normalised.
	Systems, Namespaces, Versions, Clusters []string
	// Text must stand, in any case, in the runner's name, namespace, why, or a component's name or image.
	Text string
}

// Match reports whether the filter lets a runner through.
func (f Filter) Match(r *Runner) bool {
	return f.matchHealth(r) && f.matchReason(r) && oneOf(f.Systems, r.Ref.System) && oneOf(f.Namespaces, r.Ref.Namespace) &&
		oneOf(f.Clusters, r.Ref.Cluster) && f.matchVersion(r) && f.matchText(r)
}

func (f Filter) matchHealth(r *Runner) bool {
	if len(f.Healths) == 0 && !f.Disabled {
		return true
	}
	if r.Observed == Disabled {
		return f.Disabled
	}
	return slices.Contains(f.Healths, r.Health)
}

func (f Filter) matchReason(r *Runner) bool {
	if len(f.Reasons) == 0 {
		return true
	}
	n := r.Reasons()
	for _, x := range f.Reasons {
		if n[x] > 0 {
			return true
		}
	}
	return false
}

func (f Filter) matchVersion(r *Runner) bool {
	if len(f.Versions) == 0 {
		return true
	}
	for _, v := range f.Versions {
		if NormalizeVersion(v) == r.Version {
			return true
		}
	}
	return false
}

func oneOf(allowed []string, v string) bool {
	return len(allowed) == 0 || slices.Contains(allowed, v)
}

func (f Filter) matchText(r *Runner) bool {
	if f.Text == "" {
		return true
	}
	text := strings.ToLower(f.Text)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if has(r.Ref.Name) || has(r.Ref.Namespace) || has(string(r.Why)) {
		return true
	}
	for i := range r.Components {
		if c := &r.Components[i]; has(c.Name) || has(c.Image) {
			return true
		}
	}
	return false
}
