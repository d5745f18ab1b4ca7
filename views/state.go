package views

import (
	"time"

	"trackside/store"
)

// movingView is a requested state that is not yet observed.
type movingView struct {
	// Word is blank when the two agree.
	Word string
	// Since is when it was asked for, as far as is known.
	Since time.Time
}

func newMoving(r *store.Runner) movingView { return movingView{moving(r), r.Asked} }

// markParts says who took a runner out of service, why and until when; nil when nobody did, or it is back.
func markParts(r *store.Runner) []store.Part {
	m := r.Mark
	if m.IsZero() || r.Requested == store.Enabled && r.Observed == store.Enabled {
		return nil
	}
	s := "Taken out of service by " + person(m.By)
	if !m.At.IsZero() {
		s += " " + store.Ago(m.At)
	}
	if note := store.Clean(m.Note, lineLimit); note != "" {
		s += ": " + note
	}
	s += sentenceEnd(s)
	switch {
	case r.Requested == store.Enabled:
		return parts(store.Sentence(s))
	case m.Until.IsZero():
		s += " It stays out until somebody enables it."
	default:
		s += " It comes back by itself " + store.Until(m.Until) + "."
	}
	switch {
	case m.Draining:
		s += " Work that runs is let finish."
	case m.Drain && r.Observed != store.Disabled:
		s += " Work is let finish first."
	}
	return parts(store.Sentence(s))
}

// shortMark is the same for a row and for the wall: who, why, until when.
func shortMark(r *store.Runner) []store.Part {
	m := r.Mark
	if m.IsZero() || r.Requested == store.Enabled && r.Observed == store.Enabled {
		return nil
	}
	s := person(m.By)
	if note := store.Clean(m.Note, nameLimit); note != "" {
		s += ": " + note
	}
	switch {
	case r.Requested != store.Disabled:
	case m.Until.IsZero():
		s += " · no end"
	default:
		s += " · back " + store.Until(m.Until)
	}
	if m.Draining {
		s += " · draining"
	}
	return parts(store.Sentence(s))
}

// ackParts says who is on a runner's failure; nil when nobody is.
func ackParts(s *store.Snapshot, r *store.Runner) []store.Part {
	a, ok := s.Acknowledged(r.Ref)
	if !ok || r.Health == store.Healthy {
		return nil
	}
	text := person(a.By) + " is on it"
	if note := store.Clean(a.Note, nameLimit); note != "" {
		text += ": " + note
	}
	if !a.At.IsZero() {
		text += " · since " + store.For(a.At)
	}
	return parts(store.Sentence(text))
}

func person(name string) string {
	if s := store.Clean(name, nameLimit); s != "" {
		return s
	}
	return "Somebody"
}

func sentenceEnd(s string) string {
	switch s[len(s)-1] {
	case '.', '!', '?':
		return ""
	}
	return "."
}
