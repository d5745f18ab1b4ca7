package views

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"trackside/store"
)

// leaf is one small element that holds only what may change: streams send those that differ and nothing around them.
type leaf struct {
	kind leafKind
	// id is the element's; text is its content, or the address of an icon.
	id, text string
	// lines are the scopes of an empty fleet, one a line: a string, so that leaves can be compared.
	lines string
}

type leafKind uint8

const (
	leafCount leafKind = iota
	leafTitle
	leafIcon
	leafCalm
	leafEmpty
)

// countID is the id of the element that shows a count.
func countID(word string) string { return "n-" + word }

func countLeaf(word string, n int) leaf {
	return leaf{kind: leafCount, id: countID(word), text: strconv.Itoa(n)}
}

// countLeaves are the counts of a fleet and the icon, which every page has.
func countLeaves(s *store.Snapshot) []leaf {
	t := s.Totals()
	out := []leaf{countLeaf("all", t.Runners), countLeaf(wordDisabled, t.Disabled)}
	for _, h := range store.Healths() {
		out = append(out, countLeaf(h.String(), t.Health(h)))
	}
	return append(out, leaf{kind: leafIcon, id: "icon", text: IconURL(t)})
}

// fleetLeaves are those of the fleet's page beside the counts.
func fleetLeaves(s *store.Snapshot) []leaf {
	t := s.Totals()
	var out []leaf
	for _, r := range store.Reasons() {
		out = append(out, countLeaf(r.String(), t.Reason(r)))
	}
	return append(out,
		leaf{kind: leafTitle, id: "title", text: title(t, "Trackside")},
		leaf{kind: leafCalm, id: "calm", text: calm(s)},
		emptyLeaf(s))
}

// title puts the number of failing runners before a page's name.
func title(t store.Totals, page string) string {
	if n := t.Health(store.Unhealthy); n > 0 {
		return "(" + strconv.Itoa(n) + ") " + page
	}
	return page
}

// calm is the one line of a fleet in which all is well; blank otherwise. It claims no more than is known: while a source is silent,
// the runners were healthy when it was last heard.
func calm(s *store.Snapshot) string {
	t := s.Totals()
	n := t.Health(store.Healthy)
	if n == 0 || n+t.Disabled != t.Runners {
		return ""
	}
	who, are := "All "+strconv.Itoa(n)+" runners", "are healthy"
	if n == 1 {
		who, are = "The only runner", "is healthy"
	}
	if t.Disabled > 0 {
		who += " in service"
	}
	if slices.ContainsFunc(s.Sources, func(x store.Source) bool { return x.State != store.SourceLive }) {
		are = map[bool]string{true: "was", false: "were"}[n == 1] + " healthy when last heard of"
	}
	if t.Disabled > 0 {
		are += "; " + strconv.Itoa(t.Disabled) + " out of service"
	}
	return who + " " + are + "."
}

// emptyLeaf says of a fleet without runners what was looked for, and where.
func emptyLeaf(s *store.Snapshot) leaf {
	l := leaf{kind: leafEmpty, id: "empty"}
	if s.Len() > 0 {
		return l
	}
	l.text = "No runner yet."
	var lines []string
	for _, src := range s.Sources {
		scope := cmp.Or(store.Clean(src.Scope, lineLimit), store.Clean(src.Name, nameLimit))
		lines = append(lines, store.Clean(src.Cluster, nameLimit)+"\n"+scope)
	}
	l.lines = strings.Join(lines, "\n")
	return l
}

// scope is one place that was looked at.
type scope struct {
	Cluster, Where string
	Looks          []string
}

func (l leaf) scopes() (out []scope) {
	lines := strings.Split(l.lines, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		looks, where, _ := strings.Cut(lines[i+1], " — ")
		out = append(out, scope{lines[i], where, strings.Split(looks, "; ")})
	}
	return out
}

// TotalsFragments are the small elements of the fleet's page that hold what may change: counts per health, of the disabled and
// per reason, the title, the icon, the line of an all-healthy fleet and the explanation of an empty one. Each can be morphed by its id.
func TotalsFragments(s *store.Snapshot) []templ.Component {
	return components(append(countLeaves(s), fleetLeaves(s)...))
}

// TotalsChanged are those of [TotalsFragments] that differ between two snapshots.
func TotalsChanged(before, after *store.Snapshot) []templ.Component {
	return append(CountsChanged(before, after), components(differing(fleetLeaves(before), fleetLeaves(after)))...)
}

// CountsChanged is [TotalsChanged] for the runner's page and the board, which have a title of their own and show no reasons.
func CountsChanged(before, after *store.Snapshot) []templ.Component {
	return components(differing(countLeaves(before), countLeaves(after)))
}

func differing(before, after []leaf) (out []leaf) {
	for i := range after {
		if before[i] != after[i] {
			out = append(out, after[i])
		}
	}
	return out
}

func components(leaves []leaf) []templ.Component {
	out := make([]templ.Component, len(leaves))
	for i, l := range leaves {
		out[i] = leafElement(l)
	}
	return out
}

// totalLink is one count in the header: a mark, a word and a number, and a link that filters by it.
type totalLink struct {
	mark
	Count leaf
	Href  string
	// On says that the present filter asks for it.
	On bool
}

// totalLinks are the counts of the header. Each link adds itself to the filter or takes itself out.
func totalLinks(s *store.Snapshot, f store.Filter) (out []totalLink) {
	t := s.Totals()
	for _, h := range store.Healths() {
		g := f
		g.Healths = toggle(f.Healths, h, func(a, b store.Health) int { return a.Severity() - b.Severity() })
		out = append(out, totalLink{markOf(h), countLeaf(h.String(), t.Health(h)), fleetURL(g), len(g.Healths) < len(f.Healths)})
	}
	g := f
	g.Disabled = !f.Disabled
	return append(out, totalLink{disabledMark, countLeaf(wordDisabled, t.Disabled), fleetURL(g), f.Disabled})
}

// reasonLink is one of the five reasons with its count.
type reasonLink struct {
	Title string
	Count leaf
	Href  string
	On    bool
}

func reasonLinks(s *store.Snapshot, f store.Filter) (out []reasonLink) {
	t := s.Totals()
	for _, r := range store.Reasons() {
		g := f
		g.Reasons = toggle(f.Reasons, r, func(a, b store.Reason) int { return cmp.Compare(a, b) })
		out = append(out, reasonLink{r.Title(), countLeaf(r.String(), t.Reason(r)), fleetURL(g), len(g.Reasons) < len(f.Reasons)})
	}
	return out
}

// worst is the worst health of the runners in service, healthy when there are none.
func worst(t store.Totals) store.Health {
	for _, h := range store.Healths() {
		if t.Health(h) > 0 {
			return h
		}
	}
	return store.Healthy
}

// IconURL is the address of the tab's icon for a fleet: it names what the icon shows, so that it can be cached.
func IconURL(t store.Totals) string {
	n := min(t.Health(store.Unhealthy), iconMost+1)
	if w := worst(t); n == 0 && w != store.Healthy {
		return "/icon.svg?n=0&worst=" + w.String()
	}
	return "/icon.svg?n=" + strconv.Itoa(n)
}

// ParseIcon reads the query of an [IconURL]; what it cannot read is a calm icon.
func ParseIcon(v url.Values) (n int, w store.Health) {
	n, err := strconv.Atoi(v.Get("n"))
	if err != nil || n < 0 {
		n = 0
	}
	if n > 0 {
		return min(n, iconMost+1), store.Unhealthy
	}
	if w, err = store.ParseHealth(v.Get("worst")); err != nil {
		w = store.Healthy
	}
	return 0, w
}
