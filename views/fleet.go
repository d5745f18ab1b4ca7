package views

import (
	"strconv"
	"time"

	"github.com/a-h/templ"

	"trackside/store"
)

// FleetModel is the fleet's page: `/`.
type FleetModel struct {
	Frame Frame
	// Filter is the one in the URL; Query is its canonical form.
	Filter store.Filter
	Query  string
	// Rows are the runners the filter lets through, in the board's order; Total counts all there are.
	Rows  []*store.Runner
	Total int
	// Row renders one runner; nil means [RunnerRow]. A server that keeps rendered rows sets it.
	Row func(*store.Runner) templ.Component

	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
	reasons  []reasonLink
	chips    []filterChip
	hidden   []formField
}

// NewFleetModel builds the fleet's page for a filter.
func NewFleetModel(s *store.Snapshot, f store.Filter, now time.Time) FleetModel {
	return FleetModel{
		Filter: f, Query: EncodeQuery(f), Rows: s.Select(f), Total: s.Len(),
		now: now, snapshot: s, totals: totalLinks(s, f), reasons: reasonLinks(s, f), chips: filterChips(f), hidden: hiddenFields(f),
	}
}

// StreamURL is the address of the page's stream.
func (m FleetModel) StreamURL() string { return withQuery("/stream", m.Filter) }

func (m FleetModel) row(r *store.Runner) templ.Component {
	if m.Row != nil {
		return m.Row(r)
	}
	return RunnerRow(m.snapshot, r, m.Frame.Acts)
}

func (m FleetModel) shell() shell {
	t := m.snapshot.Totals()
	return shell{Frame: m.Frame, Title: title(t, "Trackside"), Icon: IconURL(t), Stream: m.StreamURL(), Now: m.now, Class: "fleet"}
}

// shownText says how many of the fleet's runners a page shows.
func shownText(n, total int) string {
	switch {
	case total == 0:
		return ""
	case n == total:
		return plural(n, "runner")
	case n == 0:
		return "None of " + plural(total, "runner") + " matches this filter."
	}
	return strconv.Itoa(n) + " of " + plural(total, "runner") + " shown"
}

func (m FleetModel) all() leaf { return countLeaf("all", m.Total) }

func (m FleetModel) calm() leaf {
	return leaf{kind: leafCalm, id: "calm", text: calm(m.snapshot)}
}

func (m FleetModel) empty() leaf { return emptyLeaf(m.snapshot) }
