package views

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
	"trackside/store/versions"
)

// How much of what was found one page shows.
const (
	maxGroupRunners  = 25
	maxFindingPlaces = 3
)

// FindingFilter chooses findings. Values of one field are alternatives; the fields must all hold.
type FindingFilter struct {
	Severities []store.Severity
	Codes      []string
	// Fleet chooses by system, namespace and cluster; nothing else of it is used.
	Fleet store.Filter
}

// ParseFindingQuery reads a filter of findings from a URL's query. An unknown severity is [store.ErrInvalid]; any code, namespace or
// cluster is accepted, so that links live on.
func ParseFindingQuery(v url.Values) (f FindingFilter, err error) {
	fleet, err := ParseQuery(url.Values{"system": v["system"], "namespace": v["namespace"], "cluster": v["cluster"]})
	if err != nil {
		return f, err
	}
	f.Fleet = fleet
	for _, w := range words(v["severity"]) {
		s, err := store.ParseSeverity(store.Clean(w, versionLimit))
		if err != nil {
			return FindingFilter{}, err
		}
		f.Severities = append(f.Severities, s)
	}
	if len(v["code"]) > maxValues {
		return FindingFilter{}, fmt.Errorf("%w: a filter takes at most %d values of code", store.ErrInvalid, maxValues)
	}
	slices.SortFunc(f.Severities, worstFirst)
	f.Severities, f.Codes = slices.Compact(f.Severities), sorted(words(v["code"]))
	return f, nil
}

func worstFirst(a, b store.Severity) int { return cmp.Compare(b, a) }

// Encode writes the filter as a canonical query.
func (f FindingFilter) Encode() string {
	v := url.Values{}
	for _, s := range f.Severities {
		v.Add("severity", s.String())
	}
	for _, c := range f.Codes {
		v.Add("code", c)
	}
	return strings.Trim(v.Encode()+"&"+EncodeQuery(store.Filter{Systems: f.Fleet.Systems, Namespaces: f.Fleet.Namespaces, Clusters: f.Fleet.Clusters}), "&")
}

func (f FindingFilter) url() string { return insightURL("/findings", f.Encode()) }

// insightURL is a path with its query.
func insightURL(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

func (f FindingFilter) match(x *store.Finding) bool {
	return (len(f.Severities) == 0 || slices.Contains(f.Severities, x.Severity)) && (len(f.Codes) == 0 || slices.Contains(f.Codes, x.Code))
}

// FindingsModel is `/findings`: what makes green untrustworthy, by code, worst first.
type FindingsModel struct {
	Frame  Frame
	Filter FindingFilter

	groups   []findingGroup
	accepted []acceptedView
	counts   []severityLink
	chips    []filterChip
	systems  []option
	calm     string
	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
}

// findingGroup is everything of one code.
type findingGroup struct {
	mark
	severity          store.Severity
	code, Title, Href string
	Why               []store.Part
	Fix               string
	Runners           string
	Items             []findingItem
	More              string
	refs              int
	last              store.Ref
}

// findingItem is one runner of a group.
type findingItem struct {
	Href  string
	Name  name
	Place string
	// Places are objects and fields; More counts those beyond.
	Places []findingPlace
	More   string
}

type findingPlace struct {
	Object, Field string
	// Why is blank where the group's says it.
	Why []store.Part
	// Fix is blank where it is the group's.
	Fix string
}

// acceptedView is a finding that somebody lives with.
type acceptedView struct {
	Title, Object, Href, Note string
	Name                      name
	Place                     string
	Until                     time.Time
}

// severityLink is a count of one severity that filters by it.
type severityLink struct {
	mark
	Count, Href string
	On          bool
}

// option is one value of a choice in a form.
type option struct {
	Value, Word string
	On          bool
}

// severityMark marks a finding: the shapes of health, with words of their own.
func severityMark(s store.Severity) mark {
	switch s {
	case store.Critical:
		return mark{"u", "critical"}
	case store.Warning:
		return mark{"d", "warning"}
	case store.Notice:
	}
	return mark{"x", "notice"}
}

// findingTitle words a code: readiness-probe-missing is "Readiness probe missing".
func findingTitle(code string) string {
	return upper(properNames.Replace(strings.ReplaceAll(store.Clean(code, nameLimit), "-", " ")))
}

// properNames are the words of codes that are written in their own way.
var properNames = strings.NewReplacer(" argocd", " Argo CD", " flux", " Flux", " helm", " Helm", " tcp", " TCP")

// AllFindings are a runner's own and those that only the whole fleet shows, worst first.
func AllFindings(r *store.Runner, newest versions.Newest) []store.Finding {
	behind := newest.Findings(r)
	if len(behind) == 0 {
		return r.Findings
	}
	all := slices.Concat(r.Findings, behind)
	slices.SortStableFunc(all, func(a, b store.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Code, b.Code))
	})
	return all
}

// HasFinding reports whether a runner has a finding of that code about that object.
func HasFinding(r *store.Runner, newest versions.Newest, code, object string) bool {
	return slices.ContainsFunc(AllFindings(r, newest), func(f store.Finding) bool { return f.Code == code && f.Object == object })
}

// EachFinding calls do with every finding that the filter lets through, accepted ones too, by runner, worst first.
func EachFinding(s *store.Snapshot, newest versions.Newest, f FindingFilter, do func(*store.Runner, *store.Finding)) {
	for r := range s.Runners() {
		if !f.Fleet.Match(r) {
			continue
		}
		all := AllFindings(r, newest)
		for i := range all {
			if f.match(&all[i]) {
				do(r, &all[i])
			}
		}
	}
}

// NewFindingsModel groups the findings of a fleet.
func NewFindingsModel(s *store.Snapshot, newest versions.Newest, f FindingFilter, now time.Time) FindingsModel {
	m := FindingsModel{Filter: f, now: now, snapshot: s, totals: totalLinks(s, store.Filter{}), chips: f.chips(), systems: f.systems(s)}
	groups := map[string]*findingGroup{}
	bySeverity := map[store.Severity]int{}
	for r := range s.Runners() {
		if !f.Fleet.Match(r) {
			continue
		}
		all := AllFindings(r, newest)
		for i := range all {
			x := &all[i]
			if a, ok := s.Accepted(r.Ref, x.Code, x.Object); ok {
				if f.match(x) {
					m.accepted = append(m.accepted, newAccepted(a))
				}
				continue
			}
			bySeverity[x.Severity]++
			if f.match(x) {
				addFinding(groups, r, x)
			}
		}
	}
	m.counts = f.severities(bySeverity)
	m.setGroups(groups, f)
	m.accepted = slices.CompactFunc(m.accepted, func(a, b acceptedView) bool { return a.Href == b.Href && a.Title == b.Title && a.Object == b.Object })
	return m
}

func addFinding(groups map[string]*findingGroup, r *store.Runner, x *store.Finding) {
	g := groups[x.Code]
	if g == nil {
		g = &findingGroup{mark: severityMark(x.Severity), severity: x.Severity, code: x.Code, Title: findingTitle(x.Code), Why: parts(x.Why), Fix: store.Clean(x.Fix, lineLimit)}
		groups[x.Code] = g
	}
	if x.Severity > g.severity {
		g.mark, g.severity = severityMark(x.Severity), x.Severity
	}
	href := r.Ref.Path() + "#findings"
	if g.last != r.Ref {
		g.last = r.Ref
		if g.refs++; g.refs <= maxGroupRunners {
			g.Items = append(g.Items, findingItem{Href: href, Name: newName(r.Ref.Name), Place: place(r.Ref)})
		}
	}
	if g.refs <= maxGroupRunners {
		g.Items[len(g.Items)-1].add(g, x)
	}
}

func (i *findingItem) add(g *findingGroup, x *store.Finding) {
	if len(i.Places) == maxFindingPlaces {
		n, _ := strconv.Atoi(strings.TrimSuffix(i.More, " more"))
		i.More = strconv.Itoa(n+1) + " more"
		return
	}
	p := findingPlace{Object: store.Clean(x.Object, nameLimit), Field: store.Clean(x.Field, lineLimit)}
	if why := parts(x.Why); !slices.Equal(why, g.Why) {
		p.Why = why
	}
	if fix := store.Clean(x.Fix, lineLimit); fix != g.Fix {
		p.Fix = fix
	}
	i.Places = append(i.Places, p)
}

func (m *FindingsModel) setGroups(groups map[string]*findingGroup, f FindingFilter) {
	for _, g := range groups {
		g.Runners = plural(g.refs, "runner")
		if n := g.refs - len(g.Items); n > 0 {
			g.More = plural(n, "more runner") + " not shown; choose a namespace or a system to see them."
		}
		one := f
		one.Codes = toggle(f.Codes, g.code, strings.Compare)
		g.Href = one.url()
		m.groups = append(m.groups, *g)
	}
	slices.SortFunc(m.groups, func(a, b findingGroup) int {
		return cmp.Or(worstFirst(a.severity, b.severity), cmp.Compare(b.refs, a.refs), cmp.Compare(a.code, b.code))
	})
	switch {
	case len(m.groups) > 0:
	case m.snapshot.Len() == 0:
		m.calm = "There is no runner yet to look at."
	case len(m.chips) > 0:
		m.calm = "Nothing was found that matches this filter."
	case len(m.accepted) > 0:
		m.calm = "All that was found is accepted."
	default:
		m.calm = "Nothing was found: green means green."
	}
}

func newAccepted(a store.Acceptance) acceptedView {
	return acceptedView{Title: findingTitle(a.Code), Object: store.Clean(a.Object, nameLimit), Href: a.Ref.Path() + "#findings", Note: store.Clean(a.Note, lineLimit),
		Name: newName(a.Ref.Name), Place: place(a.Ref), Until: a.Until}
}

func (f FindingFilter) severities(n map[store.Severity]int) (out []severityLink) {
	for _, s := range store.Severities() {
		g := f
		g.Severities = toggle(f.Severities, s, worstFirst)
		out = append(out, severityLink{severityMark(s), strconv.Itoa(n[s]), g.url(), slices.Contains(f.Severities, s)})
	}
	return out
}

// systems are the choices of the form.
func (f FindingFilter) systems(s *store.Snapshot) []option {
	var out []option
	for _, c := range s.Systems() {
		out = append(out, option{c.Value, store.Clean(c.Value, versionLimit), slices.Contains(f.Fleet.Systems, c.Value)})
	}
	slices.SortFunc(out, func(a, b option) int { return strings.Compare(a.Value, b.Value) })
	return out
}

// chips are the values of the filter, each with the address that drops it.
func (f FindingFilter) chips() (out []filterChip) {
	for _, s := range f.Severities {
		g := f
		g.Severities = toggle(f.Severities, s, worstFirst)
		out = append(out, filterChip{"severity", s.String(), g.url()})
	}
	for _, l := range []struct {
		field string
		of    func(*FindingFilter) *[]string
	}{
		{"code", func(g *FindingFilter) *[]string { return &g.Codes }}, {"system", func(g *FindingFilter) *[]string { return &g.Fleet.Systems }},
		{"namespace", func(g *FindingFilter) *[]string { return &g.Fleet.Namespaces }}, {"cluster", func(g *FindingFilter) *[]string { return &g.Fleet.Clusters }},
	} {
		for _, v := range *l.of(&f) {
			g := f
			list := l.of(&g)
			*list = toggle(*list, v, strings.Compare)
			out = append(out, filterChip{l.field, store.Clean(v, nameLimit), g.url()})
		}
	}
	return out
}

func (m FindingsModel) shell() shell {
	return shell{Frame: m.Frame, Title: "Findings · Trackside", Icon: IconURL(m.snapshot.Totals()), Stream: insightURL("/findings/stream", m.Filter.Encode()), Now: m.now, Class: classFindings}
}

// The classes of the pages that look at the whole fleet; the first word is what they share.
const (
	classFindings = "insight findings"
	classVersions = "insight versions"
	classPlace    = "insight place"
)

// FindingsTouched reports whether a change may have changed what a fleet's findings are.
func FindingsTouched(c store.Change) bool {
	return versions.Touched(c) || !slices.Equal(c.Before.Findings, c.After.Findings)
}

// RunnerFindings is the section about what was found on a runner's page.
type RunnerFindings struct {
	list, notices []foundView
	count         string
	// form holds what the form for accepting says of the runner; without Accept there is none.
	accept   bool
	ref      store.Ref
	from, to string
}

// foundView is one finding on its runner's page.
type foundView struct {
	mark
	Title, Object, code, object string
	// Fields are all those of the object for which the same is so.
	Fields []string
	Why    []store.Part
	Fix    string
	// Until and Note are of its acceptance; Until is zero when nobody has accepted it.
	Until time.Time
	Note  string
}

// acceptFor is how long the form proposes to accept a finding.
const acceptFor = 30 * 24 * time.Hour

// NewRunnerFindings lists a runner's findings; accept says that they may be accepted here. Accepted ones stand with the notices.
func NewRunnerFindings(s *store.Snapshot, r *store.Runner, newest versions.Newest, accept bool, now time.Time) RunnerFindings {
	m := RunnerFindings{accept: accept, ref: r.Ref, from: now.Add(24 * time.Hour).UTC().Format(time.DateOnly), to: now.Add(acceptFor).UTC().Format(time.DateOnly)}
	for _, f := range AllFindings(r, newest) {
		list := &m.list
		a, accepted := s.Accepted(r.Ref, f.Code, f.Object)
		if f.Severity == store.Notice || accepted {
			list = &m.notices
		}
		field := store.Clean(f.Field, lineLimit)
		if n := len(*list); n > 0 && (*list)[n-1].same(&f) {
			(*list)[n-1].Fields = append((*list)[n-1].Fields, field)
			continue
		}
		*list = append(*list, foundView{mark: severityMark(f.Severity), Title: findingTitle(f.Code), Object: store.Clean(f.Object, nameLimit), Fields: []string{field},
			code: f.Code, object: f.Object, Why: parts(f.Why), Fix: store.Clean(f.Fix, lineLimit), Until: a.Until, Note: store.Clean(a.Note, lineLimit)})
	}
	m.count = strconv.Itoa(len(m.list) + len(m.notices))
	return m
}

// same holds for a finding that differs from the one shown by its field only.
func (v *foundView) same(f *store.Finding) bool {
	return v.code == f.Code && v.object == f.Object && slices.Equal(v.Why, parts(f.Why))
}

// quiet words how many notices and accepted findings there are.
func (m RunnerFindings) quiet() string {
	accepted := 0
	for _, v := range m.notices {
		if !v.Until.IsZero() {
			accepted++
		}
	}
	var out []string
	if n := len(m.notices) - accepted; n > 0 {
		out = append(out, plural(n, "notice"))
	}
	if accepted > 0 {
		out = append(out, strconv.Itoa(accepted)+" accepted")
	}
	return strings.Join(out, ", ")
}

// namespace is the one that the form's field shows.
func (m FindingsModel) namespace() string {
	if len(m.Filter.Fleet.Namespaces) == 1 {
		return m.Filter.Fleet.Namespaces[0]
	}
	return ""
}

// insightLinks stand in the header of every page.
var insightLinks = []struct{ Href, Class, Word string }{
	{"/findings", classFindings, "Findings"}, {"/versions", classVersions, "Versions"}, {"/place", classPlace, "Place"},
}
