// Package versions says which versions a fleet runs, which is the newest, and who is behind. It looks at the whole fleet, so what it
// finds is never kept in a runner: a release that reaches one runner would change all the others.
package versions

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"trackside/store"
)

// Line is one program that runners run: versions of it can be compared, and of different ones not.
type Line struct {
	// System and Component name it; a blank component is the runner itself, such as the chart that made it.
	System, Component string
	// Image is the last part of the image's name, of labelled runners all of it: teams call different programs by one name.
	Image string
}

// Compare orders lines by system, the runner itself first, then by component and image.
func (l Line) Compare(o Line) int {
	return cmp.Or(cmp.Compare(l.System, o.System), cmp.Compare(l.Component, o.Component), cmp.Compare(l.Image, o.Image))
}

// Use is one part of one runner, which runs a version of a line.
type Use struct {
	Line    Line
	Version string
	Runner  *store.Runner
	// Component is the part; nil for the runner itself.
	Component *store.Component
}

// Part names what runs the version.
func (u Use) Part() store.PartRef {
	p := store.PartRef{Ref: u.Runner.Ref}
	if u.Component != nil {
		p.Component = u.Component.Name
	}
	return p
}

// Rollout counts the pods of the part: those that run the image its object names, and all.
func (u Use) Rollout() (done, all int) {
	if u.Component == nil {
		return 0, 0
	}
	for i := range u.Runner.Workloads {
		w := &u.Runner.Workloads[i]
		if w.Component != u.Component.Name || w.Phase == "Succeeded" || w.Phase == "Failed" {
			continue
		}
		for _, c := range w.Containers {
			if c.Role == store.RoleMain {
				all++
				if c.Image == u.Component.Image {
					done++
				}
			}
		}
	}
	return done, all
}

// Of lists what one runner runs. The runner itself is a line where its version is its own and not that of its parts.
func Of(r *store.Runner) (out []Use) {
	own := r.Version != "" && r.Version != "mixed"
	for i := range r.Components {
		c := &r.Components[i]
		own = own && c.Version != r.Version
		if c.Version == "" && c.Image == "" {
			continue // nothing that runs: an object that says something of the runner
		}
		out = append(out, Use{Line{r.Ref.System, baseName(c), program(r.Ref.System, c.Image)}, c.Version, r, c})
	}
	if own && len(r.Components) > 0 {
		out = append(out, Use{Line{System: r.Ref.System}, r.Version, r, nil})
	}
	return out
}

// baseName is a component's name without the object's, which tells two of one name apart.
func baseName(c *store.Component) string { return strings.TrimSuffix(c.Name, " ("+c.Object+")") }

// program is the last part of an image's name, without tag and digest: a mirror of a known system's image is the same program. What
// teams label themselves has nothing in common but the label, so that there the whole name tells programs apart.
func program(system, image string) string {
	name, _, _ := strings.Cut(image, "@")
	last := strings.LastIndexByte(name, '/') + 1
	base, _, _ := strings.Cut(name[last:], ":")
	if system == "labelled" {
		return name[:last] + base
	}
	return base
}

// Newest is the newest version of each line in a fleet, and of how many runners it is. A line whose versions cannot be compared, such
// as latest, has none.
type Newest map[Line]string

// NewestOf looks at the whole fleet.
func NewestOf(s *store.Snapshot) Newest {
	n := Newest{}
	for r := range s.Runners() {
		for _, u := range Of(r) {
			if Comparable(u.Version) && (n[u.Line] == "" || Newer(u.Version, n[u.Line])) {
				n[u.Line] = u.Version
			}
		}
	}
	return n
}

// Behind reports whether a use is behind the newest of its line.
func (n Newest) Behind(u Use) bool {
	newest := n[u.Line]
	return newest != "" && Comparable(u.Version) && Order(u.Version, newest) < 0 && !isRelease(newest, u.Version)
}

// isRelease holds where the newest release is older than a version that is a trial of a later one: that one is ahead, not behind.
func isRelease(newest, v string) bool {
	return semver.Prerelease(canonical(v)) != "" && semver.Compare(canonical(v), canonical(newest)) > 0
}

// Comparable reports whether a version is one that semver can order.
func Comparable(v string) bool { return semver.IsValid(canonical(v)) }

// Order compares two versions by semver; a release is newer than any trial of a later one, since nobody is behind for not trying it. What
// cannot be compared comes last, by its text.
func Order(a, b string) int {
	x, y := canonical(a), canonical(b)
	if semver.IsValid(x) != semver.IsValid(y) {
		return boolOrder(semver.IsValid(x))
	}
	if !semver.IsValid(x) {
		return cmp.Compare(a, b)
	}
	if trialX, trialY := semver.Prerelease(x) != "", semver.Prerelease(y) != ""; trialX != trialY {
		return -boolOrder(trialX)
	}
	return semver.Compare(x, y)
}

func boolOrder(first bool) int {
	if first {
		return 1
	}
	return -1
}

// Newer reports whether a is a newer version than b.
func Newer(a, b string) bool { return Order(a, b) > 0 }

func canonical(v string) string {
	if strings.HasPrefix(v, "v") {
		return v
	}
	return "v" + v
}

// Code is that of the finding about a version behind the fleet's newest.
const Code = "version-behind"

// Findings are those about the versions of one runner, given the newest of the fleet.
func (n Newest) Findings(r *store.Runner) (out []store.Finding) {
	for _, u := range Of(r) {
		if !n.Behind(u) {
			continue
		}
		newest := n[u.Line]
		f := store.Finding{Code: Code, Severity: store.Notice, Object: "runner/" + r.Ref.Name, Field: "version",
			Why: store.Sentence("It runs " + store.Clean(u.Version, 64) + ", and others of its kind in the fleet run " + store.Clean(newest, 64) + "."),
			Fix: "version: " + store.Clean(newest, 64)}
		if u.Component != nil {
			f.Object, f.Field = strings.ToLower(u.Component.Kind)+"/"+u.Component.Object, "image"
			f.Fix = "image: " + retag(u.Component.Image, u.Version, newest)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b store.Finding) int { return cmp.Compare(a.Object, b.Object) })
	return out
}

// retag is an image with the newest version in place of its own, the v of the tag kept.
func retag(image, version, newest string) string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		tag := name[i+1:]
		name = name[:i]
		if v, ok := strings.CutSuffix(tag, version); ok {
			newest = v + newest
		}
	}
	return store.Clean(name+":"+newest, 300)
}

// Touched reports whether a change may have changed what [NewestOf] or [Findings] say.
func Touched(c store.Change) bool {
	if c.Before == nil || c.After == nil || c.Before.Version != c.After.Version || len(c.Before.Components) != len(c.After.Components) {
		return true
	}
	for i := range c.After.Components {
		a, b := &c.Before.Components[i], &c.After.Components[i]
		if a.Name != b.Name || a.Version != b.Version || a.Image != b.Image {
			return true
		}
	}
	return false
}
