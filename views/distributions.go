package views

import (
	"slices"
	"strconv"
	"strings"

	"trackside/store"
)

// How many values a distribution shows by name, and how many more when asked for the rest.
const (
	legendTop  = 8
	legendRest = 100
)

// barWidth is the width of a distribution's bar in units of its drawing.
const barWidth = 1000

// distribution is how runners spread over the values of one field.
type distribution struct {
	Title string
	// Values are the most frequent ones and those that the filter names; Rest are the next ones.
	Values, Rest []share
	// More words how many values stand in Rest; Beyond how many are left out altogether.
	More, Beyond string
}

// share is one value of a distribution: a segment of its bar, a line of its legend, and a link that filters by it.
type share struct {
	Name  name
	Count string
	// Tip is the segment's tooltip.
	Tip, Href string
	// X and Width place the segment; blank when it has none.
	X, Width string
	// Tone is the class of its colour.
	Tone string
	On   bool
}

// field is a field of the filter that a distribution is over.
type field struct {
	title  string
	counts []store.Count
	word   func(string) string
	of     func(*store.Filter) *[]string
}

func distributions(s *store.Snapshot, f store.Filter) []distribution {
	fields := []field{
		{"Version", s.Versions(), version, func(f *store.Filter) *[]string { return &f.Versions }},
		{"Namespace", s.Namespaces(), namespaceWord, func(f *store.Filter) *[]string { return &f.Namespaces }},
		{"System", s.Systems(), func(v string) string { return store.Clean(v, versionLimit) }, func(f *store.Filter) *[]string { return &f.Systems }},
	}
	out := make([]distribution, len(fields))
	for i, fd := range fields {
		out[i] = newDistribution(fd, f, s.Len())
	}
	return out
}

// newDistribution lays the most frequent values out as a bar; what has no segment of its own is the bar's empty end.
func newDistribution(fd field, f store.Filter, total int) distribution {
	d := distribution{Title: fd.title}
	chosen := *fd.of(&f)
	x := 0
	for i, c := range fd.counts {
		sh := newShare(fd, f, c)
		sh.On = slices.Contains(chosen, c.Value)
		if i < legendTop {
			w := c.N * barWidth / max(total, 1)
			sh.X, sh.Width, sh.Tone = strconv.Itoa(x), strconv.Itoa(max(w-2, 2)), "s"+strconv.Itoa(i)
			x += w
		}
		switch {
		case i < legendTop || sh.On:
			d.Values = append(d.Values, sh)
		case len(d.Rest) < legendRest:
			d.Rest = append(d.Rest, sh)
		}
	}
	if n := len(fd.counts) - len(d.Values); n > 0 {
		d.More = strconv.Itoa(n) + " more"
		if n > len(d.Rest) {
			d.Beyond = "and " + strconv.Itoa(n-len(d.Rest)) + " others: filter by text"
		}
	}
	return d
}

func newShare(fd field, f store.Filter, c store.Count) share {
	word := fd.word(c.Value)
	values := fd.of(&f) // f is a copy, and toggle makes a new list
	*values = toggle(*values, c.Value, strings.Compare)
	return share{Name: newName(word), Count: strconv.Itoa(c.N), Tip: word + ": " + plural(c.N, "runner"), Href: fleetURL(f)}
}

// DistributionsChanged reports whether [Distributions] differ between two snapshots. It costs what the fleet has of different
// values; [DistributionsTouched] costs what changed.
func DistributionsChanged(before, after *store.Snapshot) bool {
	return before.Len() != after.Len() || !slices.Equal(before.Versions(), after.Versions()) ||
		!slices.Equal(before.Namespaces(), after.Namespaces()) || !slices.Equal(before.Systems(), after.Systems())
}

// DistributionsTouched reports whether changes may have changed [Distributions]: a runner came, went or has another version.
func DistributionsTouched(changes []store.Change) bool {
	return slices.ContainsFunc(changes, func(c store.Change) bool {
		return c.Before == nil || c.After == nil || c.Before.Version != c.After.Version
	})
}
