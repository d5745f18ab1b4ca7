// Package sse reads event streams as the browser's Datastar does, for tests.
package sse

import (
	"bufio"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Event is one event and its arguments; a repeated argument's lines are joined by LF.
type Event struct {
	Type  string
	Args  map[string]string
	ID    *string
	Retry string
}

// Reader reads events.
type Reader struct{ r *bufio.Reader }

// NewReader reads from a decoded stream.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReader(r)} }

// line reads up to CR, LF or CRLF, each of which ends a line.
func (r *Reader) line() (string, error) {
	var b strings.Builder
	for {
		c, err := r.r.ReadByte()
		if err != nil {
			return b.String(), err
		}
		if c == '\n' {
			return b.String(), nil
		}
		if c == '\r' {
			if next, err := r.r.Peek(1); err == nil && next[0] == '\n' {
				_, _ = r.r.ReadByte()
			}
			return b.String(), nil
		}
		b.WriteByte(c)
	}
}

// Next reads one event.
func (r *Reader) Next() (e Event, err error) {
	e.Args = map[string]string{}
	for {
		l, err := r.line()
		if err != nil {
			return e, err
		}
		if l == "" {
			return e, nil
		}
		field, value, _ := strings.Cut(l, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.Type = value
		case "id":
			e.ID = &value
		case "retry":
			e.Retry = value
		case "data":
			k, v, _ := strings.Cut(value, " ")
			if old, ok := e.Args[k]; ok {
				v = old + "\n" + v
			}
			e.Args[k] = v
		}
	}
}

// All reads the events of a piece of a stream.
func All(s string) (events []Event) {
	r := NewReader(strings.NewReader(s))
	for {
		e, err := r.Next()
		if err != nil {
			return events
		}
		events = append(events, e)
	}
}

// Table is a page's table as the events have made it.
type Table struct {
	IDs  []string
	Rows map[string]string
	// Missing are the ids that an event was for and that were not there.
	Missing []string
}

var (
	rowStart = regexp.MustCompile(`<tr id="([^"]+)"`)
	tbody    = regexp.MustCompile(`(?s)<tbody id="rows">(.*?)</tbody>`)
)

func (t *Table) split(html string) (ids []string) {
	starts := rowStart.FindAllStringSubmatchIndex(html, -1)
	for i, m := range starts {
		end := len(html)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		id := html[m[2]:m[3]]
		t.Rows[id] = html[m[0]:end]
		ids = append(ids, id)
	}
	return ids
}

// Apply does to the table what the browser does on an event.
func (t *Table) Apply(e Event) {
	if t.Rows == nil {
		t.Rows = map[string]string{}
	}
	elements, selector := e.Args["elements"], e.Args["selector"]
	switch e.Args["mode"] {
	case "":
		if m := tbody.FindStringSubmatch(elements); m != nil {
			clear(t.Rows)
			t.IDs = t.split(m[1])
			return
		}
		for _, id := range t.split(elements) {
			if !slices.Contains(t.IDs, id) {
				t.Missing = append(t.Missing, id)
				delete(t.Rows, id)
			}
		}
	case "remove":
		for s := range strings.SplitSeq(selector, ",") {
			t.remove(strings.TrimPrefix(s, "#"))
		}
	case "prepend":
		t.IDs = slices.Insert(t.IDs, 0, t.split(elements)...)
	case "after":
		i := slices.Index(t.IDs, strings.TrimPrefix(selector, "#"))
		if i < 0 {
			t.Missing = append(t.Missing, selector)
			return
		}
		t.IDs = slices.Insert(t.IDs, i+1, t.split(elements)...)
	}
}

func (t *Table) remove(id string) {
	i := slices.Index(t.IDs, id)
	if i < 0 {
		t.Missing = append(t.Missing, id)
		return
	}
	t.IDs = slices.Delete(t.IDs, i, i+1)
	delete(t.Rows, id)
}
