package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Sentence is text for a person in which instants stay instants, so that whoever reads it, and not whoever wrote it, says
// how long ago that was. Make one by putting the results of [Ago], [For] and [Until] into ordinary text; text from
// elsewhere goes through [Clean] first, which leaves no byte that could be taken for an instant.
type Sentence string

// An instant stands in a Sentence as markOpen, its tense, Unix milliseconds, markClose. Clean drops both marks.
const (
	markOpen  = '\x02'
	markClose = '\x03'
)

// Tense says how an instant is worded.
type Tense byte

// The tenses: "40 s ago", "40 s" and "in 40 s".
const (
	TenseText  Tense = 0
	TenseAgo   Tense = 'a'
	TenseFor   Tense = 'f'
	TenseUntil Tense = 'u'
)

// Ago words an instant in the past as "40 s ago".
func Ago(t time.Time) string { return mark(TenseAgo, t) }

// For words the time since an instant as "40 s".
func For(t time.Time) string { return mark(TenseFor, t) }

// Until words an instant in the future as "in 40 s".
func Until(t time.Time) string { return mark(TenseUntil, t) }

func mark(k Tense, t time.Time) string {
	return string(markOpen) + string(rune(k)) + strconv.FormatInt(t.UnixMilli(), 10) + string(markClose)
}

// Part is a piece of a Sentence: text, or an instant with its tense.
type Part struct {
	Tense Tense
	Text  string
	At    time.Time
}

// Parts takes a sentence apart for a renderer.
func (s Sentence) Parts() []Part {
	var parts []Part
	rest := string(s)
	for rest != "" {
		i := strings.IndexByte(rest, markOpen)
		j := strings.IndexByte(rest, markClose)
		if i < 0 || j < i+2 {
			return append(parts, Part{Text: rest})
		}
		if i > 0 {
			parts = append(parts, Part{Text: rest[:i]})
		}
		if ms, err := strconv.ParseInt(rest[i+2:j], 10, 64); err == nil {
			parts = append(parts, Part{Tense: Tense(rest[i+1]), At: time.UnixMilli(ms).UTC()})
		}
		rest = rest[j+1:]
	}
	return parts
}

// At is the sentence as somebody reads it at the given time.
func (s Sentence) At(now time.Time) string {
	if strings.IndexByte(string(s), markOpen) < 0 {
		return string(s)
	}
	var b strings.Builder
	for _, p := range s.Parts() {
		switch p.Tense {
		case TenseText:
			b.WriteString(p.Text)
		case TenseAgo:
			b.WriteString(Duration(now.Sub(p.At)) + " ago")
		case TenseUntil:
			b.WriteString("in " + Duration(p.At.Sub(now)))
		case TenseFor:
			b.WriteString(Duration(now.Sub(p.At)))
		}
	}
	return b.String()
}

// Absolute is the sentence with its instants as UTC times, for records that are read at another time: "for 40 s" becomes "since …".
func (s Sentence) Absolute() string {
	if strings.IndexByte(string(s), markOpen) < 0 {
		return string(s)
	}
	var b strings.Builder
	for _, p := range s.Parts() {
		at := p.At.Format("2006-01-02 15:04:05 UTC")
		switch p.Tense {
		case TenseText:
			b.WriteString(p.Text)
		case TenseAgo, TenseUntil:
			b.WriteString("at " + at)
		case TenseFor:
			text := strings.TrimSuffix(b.String(), "for ")
			b.Reset()
			b.WriteString(text + "since " + at)
		}
	}
	return b.String()
}

// Duration words a length of time in its largest unit, rounded down: "41 s", "3 min", "2 h", "4 d". Below zero it is "0 s":
// clocks of two machines differ.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// Clean makes hostile text fit for one line of a sentence: control and formatting characters become spaces, runs of space
// become one, invalid UTF-8 becomes U+FFFD, and what is longer than limit characters is cut and marked with "…".
func Clean(s string, limit int) string {
	var b strings.Builder
	n, space, invalid := 0, false, false
	for i, r := range s {
		_, width := utf8.DecodeRuneInString(s[i:])
		broken := r == utf8.RuneError && width == 1
		switch {
		case broken && invalid: // a run of invalid bytes is one character
			continue
		case unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			space, invalid = n > 0, false
			continue
		}
		if space && n < limit {
			n++ // the space itself, written once something follows it within the limit
		}
		if n >= limit {
			return b.String() + "…"
		}
		if space {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		n, space, invalid = n+1, false, broken
	}
	return b.String()
}
