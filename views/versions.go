package views

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
	"trackside/store/versions"
)

// How much of the versions one page shows.
const (
	maxColumns = 8
	maxBehind  = 25
)

// VersionsModel is `/versions`: which versions run where, who is behind, and roll-outs as they happen.
type VersionsModel struct {
	Frame Frame
	// Problem says why it is not told since when; blank where it is.
	Problem string

	systems  []systemVersions
	legacy   []lagging
	summary  string
	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
}

// systemVersions are the lines of one system.
type systemVersions struct {
	Name  string
	Lines []lineView
}

// lineView is one program: a table of versions by namespaces, and who is not where the others are.
type lineView struct {
	ID, Title, Image string
	Newest           string
	// Columns are namespaces; Others says that there is a last one for all that have no column.
	Columns []name
	Others  bool
	Rows    []versionRow
	Behind  []lagging
	More    string
	Rolling []lagging

	uses []versions.Use
}

// versionRow is one version: how many runners of each column run it.
type versionRow struct {
	Version string
	// Word says what is to be said of it: newest, or that it cannot be compared.
	Word  string
	Class string
	Total string
	Cells []versionCell
}

type versionCell struct{ Count, Href string }

// lagging is a runner that is behind, or in the middle of a roll-out, or of generation v1.
type lagging struct {
	Href  string
	Name  name
	Place string
	From  string
	To    string
	// Since is when it fell behind; zero where that is not known.
	Since time.Time
	// Done and All count pods during a roll-out; Width is the drawn part of a bar of barWidth.
	Progress string
	Width    string
}

// NewVersionsModel lays out the versions of a fleet. since is when each part came to its version, as far as that is known.
func NewVersionsModel(s *store.Snapshot, newest versions.Newest, since map[store.PartRef]time.Time, now time.Time) VersionsModel {
	m := VersionsModel{now: now, snapshot: s, totals: totalLinks(s, store.Filter{})}
	lines := map[versions.Line]*lineView{}
	var order []versions.Line
	for r := range s.Runners() {
		for _, u := range versions.Of(r) {
			if lines[u.Line] == nil {
				lines[u.Line] = &lineView{}
				order = append(order, u.Line)
			}
			lines[u.Line].uses = append(lines[u.Line].uses, u)
		}
		if r.Has(store.LegacyV1) {
			m.legacy = append(m.legacy, newLagging(r, "", ""))
		}
	}
	slices.SortFunc(order, versions.Line.Compare)
	behind, rolling := 0, 0
	for i, l := range order {
		v := lines[l]
		v.lay(l, newest, since)
		v.ID = "v-" + strconv.Itoa(i)
		behind, rolling = behind+len(v.Behind), rolling+len(v.Rolling)
		if n := len(m.systems); n == 0 || m.systems[n-1].Name != l.System {
			m.systems = append(m.systems, systemVersions{Name: l.System})
		}
		at := &m.systems[len(m.systems)-1]
		at.Lines = append(at.Lines, *v)
	}
	m.summary = versionSummary(len(order), behind, rolling)
	m.troubleFirst()
	return m
}

// troubleFirst puts the lines in which somebody is behind or moves before the others, and the systems that have such lines.
func (m *VersionsModel) troubleFirst() {
	quiet := func(l lineView) int {
		if len(l.Behind)+len(l.Rolling) > 0 {
			return 0
		}
		return 1
	}
	for i := range m.systems {
		slices.SortStableFunc(m.systems[i].Lines, func(a, b lineView) int { return quiet(a) - quiet(b) })
	}
	slices.SortStableFunc(m.systems, func(a, b systemVersions) int { return quiet(a.Lines[0]) - quiet(b.Lines[0]) })
}

func versionSummary(lines, behind, rolling int) string {
	if lines == 0 {
		return "There is no runner yet to look at."
	}
	text := "Nobody is behind."
	if behind == 1 {
		text = "One is behind."
	} else if behind > 1 {
		text = strconv.Itoa(behind) + " are behind."
	}
	if rolling > 0 {
		text += " " + plural(rolling, "roll-out") + " under way."
	}
	return text
}

// lay fills a line's table: versions newest first, namespaces by name.
func (v *lineView) lay(l versions.Line, newest versions.Newest, since map[store.PartRef]time.Time) {
	v.Title, v.Image, v.Newest = store.Clean(l.Component, nameLimit), store.Clean(l.Image, nameLimit), newest[l]
	if l.Component == "" {
		v.Title = "the runner itself"
	}
	columns := v.columns()
	rows := map[string]map[string]int{}
	for _, u := range v.uses {
		if rows[u.Version] == nil {
			rows[u.Version] = map[string]int{}
		}
		column := u.Runner.Ref.Namespace
		if !slices.Contains(columns, column) {
			column, v.Others = othersColumn, true
		}
		rows[u.Version][column]++
		v.note(u, newest, since)
	}
	for _, c := range columns {
		v.Columns = append(v.Columns, newName(namespaceWord(c)))
	}
	if v.Others {
		columns = append(columns, othersColumn)
	}
	for n, byColumn := range rows {
		v.Rows = append(v.Rows, newVersionRow(l, n, v.Newest, columns, byColumn))
	}
	slices.SortFunc(v.Rows, func(a, b versionRow) int { return versions.Order(b.Version, a.Version) })
	for i := range v.Rows {
		v.Rows[i].Version = version(v.Rows[i].Version)
	}
	v.shorten()
}

// othersColumn stands for the namespaces that have no column; no namespace is called so.
const othersColumn = "\x00"

// columns are the namespaces with most runners of the line, by name.
func (v *lineView) columns() []string {
	count := map[string]int{}
	for _, u := range v.uses {
		count[u.Runner.Ref.Namespace]++
	}
	all := make([]string, 0, len(count))
	for ns := range count {
		all = append(all, ns)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
	all = all[:min(len(all), maxColumns)]
	slices.Sort(all)
	return all
}

func newVersionRow(l versions.Line, v, newest string, columns []string, n map[string]int) versionRow {
	row := versionRow{Version: v}
	switch {
	case v == newest && newest != "":
		row.Class, row.Word = "new", "newest"
	case v == "":
		row.Word = "names none"
	case !versions.Comparable(v):
		row.Word = "cannot be compared"
	case newest != "" && versions.Order(v, newest) < 0:
		row.Class = "old"
	}
	total := 0
	for _, c := range columns {
		total += n[c]
		cell := versionCell{}
		if n[c] > 0 {
			cell.Count = strconv.Itoa(n[c])
			f := store.Filter{Systems: []string{l.System}, Namespaces: []string{c}}
			if c == othersColumn {
				f.Namespaces = nil
			}
			cell.Href = fleetURL(f)
		}
		row.Cells = append(row.Cells, cell)
	}
	row.Total = strconv.Itoa(total)
	return row
}

// note adds a use to those behind, and to those that are rolling out.
func (v *lineView) note(u versions.Use, newest versions.Newest, since map[store.PartRef]time.Time) {
	if newest.Behind(u) {
		b := newLagging(u.Runner, u.Version, newest[u.Line])
		b.Since = v.behindSince(u, since)
		v.Behind = append(v.Behind, b)
	}
	if done, all := u.Rollout(); done < all {
		r := newLagging(u.Runner, "", u.Version)
		r.Progress = strconv.Itoa(done) + " of " + plural(all, "pod")
		r.Width = strconv.Itoa(done * barWidth / all)
		v.Rolling = append(v.Rolling, r)
	}
}

// behindSince is when a part fell behind: when a newer version first ran anywhere, or when it came itself, whichever was later. It is
// zero where the history does not reach that far.
func (v *lineView) behindSince(u versions.Use, since map[store.PartRef]time.Time) (at time.Time) {
	own, known := arrived(u, since)
	if !known {
		return at
	}
	for _, x := range v.uses {
		if t, ok := arrived(x, since); ok && versions.Newer(x.Version, u.Version) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if at.IsZero() || at.Before(own) {
		return own
	}
	return at
}

// arrived is when a part came to its version: its last change of version, else the runner's own appearance. Of a runner's own version no
// change is recorded.
func arrived(u versions.Use, since map[store.PartRef]time.Time) (time.Time, bool) {
	if u.Component == nil {
		return time.Time{}, false
	}
	if t, ok := since[u.Part()]; ok {
		return t, true
	}
	t, ok := since[store.PartRef{Ref: u.Runner.Ref}]
	return t, ok
}

func newLagging(r *store.Runner, from, to string) lagging {
	return lagging{Href: r.Ref.Path(), Name: newName(r.Ref.Name), Place: place(r.Ref), From: store.Clean(from, versionLimit), To: store.Clean(to, versionLimit)}
}

// shorten keeps those that have been behind for longest.
func (v *lineView) shorten() {
	slices.SortStableFunc(v.Behind, func(a, b lagging) int {
		if a.Since.IsZero() != b.Since.IsZero() {
			return b.Since.Compare(a.Since)
		}
		return a.Since.Compare(b.Since)
	})
	if n := len(v.Behind) - maxBehind; n > 0 {
		v.Behind, v.More = v.Behind[:maxBehind], plural(n, "more runner")+" behind, not shown."
	}
}

func (m VersionsModel) shell() shell {
	return shell{Frame: m.Frame, Title: "Versions · Trackside", Icon: IconURL(m.snapshot.Totals()), Stream: "/versions/stream", Now: m.now, Class: classVersions}
}

// VersionsTouched reports whether a change may have changed `/versions`: a version, a pod of another image, or a generation.
func VersionsTouched(c store.Change) bool {
	if versions.Touched(c) || c.Before.Has(store.LegacyV1) != c.After.Has(store.LegacyV1) {
		return true
	}
	a, b := versions.Of(c.Before), versions.Of(c.After)
	return !slices.EqualFunc(a, b, func(x, y versions.Use) bool {
		done, all := x.Rollout()
		d, n := y.Rollout()
		return done == d && all == n
	})
}
