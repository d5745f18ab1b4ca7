// Package views holds the pages of the board: templ components that only lay out, and the documented models they are given,
// built by pure functions. A page and its stream render the same components.
//
// Two rules keep hostile names harmless. Whatever comes from a cluster passes [store.Clean] and templ's escaping, and it never
// stands in an attribute that Datastar evaluates: those hold constants only.
package views

import (
	"strconv"
	"time"

	"trackside/store"
)

// RowsID is the id of the <tbody> whose children are [RunnerRow] elements in [store.Compare] order.
const RowsID = "rows"

// Frame is what every page needs beside its content.
type Frame struct {
	// Version is the build, shown in the footer.
	Version string
	// Live makes the page open its stream; without it the page is a snapshot.
	Live bool
}

// shell is what the document around a page needs.
type shell struct {
	Frame
	Title, Stream string
	Icon          string
	Now           time.Time
	// Class tells the board from the pages that scroll.
	Class string
	// Script loads the browser's library for a page that opens no stream.
	Script bool
}

// iso writes an instant for a datetime attribute; the browser words it.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// utc writes an instant for a reader without JavaScript.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// utcSeconds writes an instant exactly.
func utcSeconds(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// mark is how a health or an absence from service is shown: a class for shape and colour, and a word.
type mark struct{ Class, Word string }

// markOf is the mark of a health. Classes are one letter because they stand in every row that is sent.
func markOf(h store.Health) mark {
	switch h {
	case store.Unhealthy:
		return mark{"u", "unhealthy"}
	case store.Degraded:
		return mark{"d", "degraded"}
	case store.Healthy:
		return mark{"h", "healthy"}
	case store.Unknown:
	}
	return mark{"k", "unknown"}
}

// disabledMark is the mark of what is out of service.
var disabledMark = mark{"x", "disabled"}

// runnerMark is the mark of a runner: out of service comes before health.
func runnerMark(r *store.Runner) mark {
	if r.Observed == store.Disabled {
		return disabledMark
	}
	return markOf(r.Health)
}

// unwell reports whether a runner wants attention.
func unwell(r *store.Runner) bool {
	return r.Observed != store.Disabled && r.Health != store.Healthy
}

// moving words a requested state that is not yet observed; blank when the two agree.
func moving(r *store.Runner) string {
	if r.Requested == r.Observed {
		return ""
	}
	switch r.Requested {
	case store.Enabled:
		return "enabling…"
	case store.Disabled:
		return "disabling…"
	case store.Deleting:
		return "deleting…"
	}
	return r.Requested.String() + "…"
}

// millis writes an instant as the browser's clock counts.
func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
