package views

import (
	"strconv"
	"time"

	"trackside/store"
)

// ErrorModel is a page that says what went wrong, in a sentence, and what to do next.
type ErrorModel struct {
	Frame Frame
	// Status is the HTTP status; Title names the problem in a few words.
	Status int
	Title  string
	// Sentence says what happened and Next what to do; both are cleaned.
	Sentence, Next string
	// Near are runners whose names resemble one that was not found.
	Near []store.Ref
	// Now is when the page was made.
	Now time.Time
}

func (m ErrorModel) shell() shell {
	f := m.Frame
	f.Live = false
	return shell{Frame: f, Title: m.title() + " · Trackside", Icon: IconURL(store.Totals{}), Now: m.Now, Class: "error"}
}

func (m ErrorModel) title() string { return store.Clean(m.Title, nameLimit) }

func (m ErrorModel) status() string { return strconv.Itoa(m.Status) }

func (m ErrorModel) sentence() string { return upper(store.Clean(m.Sentence, lineLimit)) }

func (m ErrorModel) next() string { return store.Clean(m.Next, lineLimit) }
