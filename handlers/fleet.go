package handlers

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/a-h/templ"

	"trackside/handlers/live"
	"trackside/store"
	"trackside/views"
)

// A change of more rows than these is sent as the whole page: it is no larger then, and quicker to take in.
const (
	fewRows  = 8
	manyRows = 100
)

// fleetPage is the fleet, or the part of it that a filter lets through, as its viewers have it before them.
type fleetPage struct {
	h      *Handlers
	filter store.Filter
	key    string
	rows   []*store.Runner // in the order of the page
}

func newFleet(h *Handlers, f store.Filter) *fleetPage {
	return &fleetPage{h: h, filter: f, key: "/?" + views.EncodeQuery(f)}
}

func (h *Handlers) fleetModel(s *store.Snapshot, f store.Filter) views.FleetModel {
	m := views.NewFleetModel(s, f, time.Now())
	m.Frame = h.frame()
	return m
}

// Key is the canonical address of the page.
func (p *fleetPage) Key() string { return p.key }

// Start takes the rows from a snapshot.
func (p *fleetPage) Start(s *store.Snapshot) { p.rows = s.Select(p.filter) }

// Full renders the page, with the tab's title and icon.
func (p *fleetPage) Full(s *store.Snapshot) ([]byte, error) {
	return appendEvent(nil, views.FleetMain(p.h.fleetModel(s, p.filter)))
}

// Next sends the rows that changed, where they belong, and the counts that did.
func (p *fleetPage) Next(st *live.Step) live.Patch {
	was := len(p.rows)
	d, ok := p.apply(st.Changes)
	if !ok {
		p.Start(st.After)
	}
	if n := d.size(); !ok || n > manyRows || n > fewRows && n*4 > len(p.rows) {
		return live.Patch{Full: true}
	}
	events := d.events(p.rows, func(r *store.Runner) []byte {
		return st.Shared(r, func() []byte { return html(views.RunnerRow(st.After, r, p.h.actions != nil)) })
	})
	events = append(events, totals(st)...)
	events = append(events, sources(st)...)
	if distributionsChanged(st) {
		events = must(events, views.Distributions(st.After, p.filter))
	}
	if was != len(p.rows) || st.Before.Len() != st.After.Len() {
		events = must(events, views.Shown(len(p.rows), st.After.Len()))
	}
	return live.Patch{Events: events}
}

// What a step shares between all pages, by name.
type sharedPart int

const (
	sharedTotals sharedPart = iota
	sharedCounts
	sharedSources
	sharedDistributions
)

func totals(st *live.Step) []byte {
	return st.Shared(sharedTotals, func() []byte { return must(nil, views.TotalsChanged(st.Before, st.After)...) })
}

// counts are the totals of pages with a title of their own.
func counts(st *live.Step) []byte {
	return st.Shared(sharedCounts, func() []byte { return must(nil, views.CountsChanged(st.Before, st.After)...) })
}

func sources(st *live.Step) []byte {
	return st.Shared(sharedSources, func() []byte {
		if !views.SourcesChanged(st.Before, st.After) {
			return nil
		}
		return must(nil, views.Sources(st.After))
	})
}

// distributionsChanged asks once for all pages; the answer is whether the shared bytes are there.
func distributionsChanged(st *live.Step) bool {
	return st.Shared(sharedDistributions, func() []byte {
		if views.DistributionsTouched(st.Changes) && views.DistributionsChanged(st.Before, st.After) {
			return []byte{1}
		}
		return nil
	}) != nil
}

// delta is what a step does to a page's rows.
type delta struct {
	// removed have gone, or go to where inserted says; patched stay where they are.
	removed           []store.Ref
	patched, inserted []*store.Runner
}

func (d *delta) size() int { return len(d.removed) + len(d.patched) + len(d.inserted) }

// apply moves the rows on, one change after the other, the rows being in order before and after each. It reports false if
// the rows do not hold what a change starts from.
func (p *fleetPage) apply(changes []store.Change) (d delta, ok bool) {
	for _, c := range changes {
		was := c.Before != nil && p.filter.Match(c.Before)
		is := c.After != nil && p.filter.Match(c.After)
		at := -1
		if was {
			i, found := slices.BinarySearchFunc(p.rows, c.Before, store.Compare)
			if !found {
				return d, false
			}
			at = i
		}
		switch {
		case was && is && p.fits(at, c.After):
			p.rows[at] = c.After
			d.patched = append(d.patched, c.After)
			continue
		case was:
			p.rows = slices.Delete(p.rows, at, at+1)
			d.removed = append(d.removed, c.Before.Ref)
		}
		if is {
			i, _ := slices.BinarySearchFunc(p.rows, c.After, store.Compare)
			p.rows = slices.Insert(p.rows, i, c.After)
			d.inserted = append(d.inserted, c.After)
		}
	}
	return d, true
}

// fits reports whether a runner may stand at row i, so that nothing need move.
func (p *fleetPage) fits(i int, r *store.Runner) bool {
	return (i == 0 || store.Compare(p.rows[i-1], r) < 0) && (i == len(p.rows)-1 || store.Compare(r, p.rows[i+1]) < 0)
}

// events words a delta, given the rows after it: first what goes, then what stays, then what comes, from the top down, so that
// each row finds its predecessor in place.
func (d *delta) events(rows []*store.Runner, row func(*store.Runner) []byte) []byte {
	var out []byte
	if len(d.removed) > 0 {
		out = live.AppendElementsAt(out, live.ModeRemove, selectors(d.removed), nil)
	}
	var buf []byte
	for _, r := range d.patched {
		buf = append(buf, row(r)...)
	}
	if len(buf) > 0 {
		out = live.AppendElements(out, buf)
	}
	slices.SortFunc(d.inserted, store.Compare)
	for i := 0; i < len(d.inserted); {
		at, _ := slices.BinarySearchFunc(rows, d.inserted[i], store.Compare)
		buf = buf[:0]
		for n := at; i < len(d.inserted) && rows[n] == d.inserted[i]; n++ {
			buf = append(buf, row(d.inserted[i])...)
			i++
		}
		if at == 0 {
			out = live.AppendElementsAt(out, live.ModePrepend, []byte("#"+views.RowsID), buf)
		} else {
			out = live.AppendElementsAt(out, live.ModeAfter, selectors([]store.Ref{rows[at-1].Ref}), buf)
		}
	}
	return out
}

func selectors(refs []store.Ref) []byte {
	var b []byte
	for i, ref := range refs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '#'), ref.ID()...)
	}
	return b
}

// appendEvent renders components, which are no table rows, into one event; none make none.
func appendEvent(dst []byte, cs ...templ.Component) ([]byte, error) {
	if len(cs) == 0 {
		return dst, nil
	}
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	for _, c := range cs {
		// What many share must not end with one request.
		if err := c.Render(context.Background(), b); err != nil {
			return dst, err
		}
	}
	return live.AppendElements(dst, b.Bytes()), nil
}

// must is appendEvent inside a step, where the hub answers a panic with the whole page.
func must(dst []byte, cs ...templ.Component) []byte {
	dst, err := appendEvent(dst, cs...)
	if err != nil {
		panic(err)
	}
	return dst
}

func html(c templ.Component) []byte {
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		panic(err)
	}
	return b.Bytes()
}
