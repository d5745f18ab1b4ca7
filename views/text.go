package views

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"trackside/store"
)

// How much of a name, a version or a message is written into a page, in bytes. Kubernetes allows 253 for most names.
const (
	nameLimit    = 256
	versionLimit = 64
	lineLimit    = 2048
)

// name is a name made fit to show: long ones shorten in their middle, since both ends tell names apart.
type name struct {
	// Head gives way when there is no room; Tail never does.
	Head, Tail string
	// Whole is for the title; blank when nothing is ever cut.
	Whole string
}

// Names up to wholeName characters always have room; of longer ones the last tailName are kept.
const (
	wholeName = 24
	tailName  = 8
)

func newName(s string) name { return shorten(s, wholeName, tailName) }

// shorten is a name for a place that has room for room characters; of a longer one the last tail are kept.
func shorten(s string, room, tail int) name {
	s = store.Clean(s, nameLimit)
	if s == "" {
		return name{Head: "(no name)"}
	}
	if utf8.RuneCountInString(s) <= room {
		return name{Head: s}
	}
	runes := []rune(s)
	cut := len(runes) - tail
	return name{Head: string(runes[:cut]), Tail: string(runes[cut:]), Whole: s}
}

// version words a version for a reader.
func version(v string) string {
	if v == "" {
		return "none"
	}
	return store.Clean(v, versionLimit)
}

// namespaceWord words a namespace for a reader.
func namespaceWord(ns string) string {
	if ns == "" {
		return "no namespace"
	}
	return store.Clean(ns, nameLimit)
}

// place says where a runner is, after its name.
func place(r store.Ref) string {
	return namespaceWord(r.Namespace) + " · " + store.Clean(r.System, versionLimit) + " · " + store.Clean(r.Cluster, nameLimit)
}

// parts takes a sentence apart and cleans its text: a sentence from a foreign source may not have been.
func parts(s store.Sentence) []store.Part {
	ps := s.Parts()
	for i := range ps {
		if ps[i].Tense != store.TenseText {
			continue
		}
		text := store.Clean(ps[i].Text, lineLimit)
		if strings.HasPrefix(ps[i].Text, " ") { // Clean drops the space that parts a text from the instant beside it
			text = " " + text
		}
		if strings.HasSuffix(ps[i].Text, " ") && text != " " {
			text += " "
		}
		ps[i].Text = text
	}
	return ps
}

// absolute words an instant of a sentence for a reader without JavaScript.
func absolute(p store.Part) string {
	if p.Tense == store.TenseFor {
		return "since " + utc(p.At)
	}
	return "at " + utc(p.At)
}

// plural words a count of things whose plural takes an s.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// upper makes the first letter of one of our own words a capital.
func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// whole is the name in full.
func (n name) whole() string {
	if n.Whole != "" {
		return n.Whole
	}
	return n.Head
}
