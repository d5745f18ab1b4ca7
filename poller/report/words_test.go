package report

import (
	"strings"
	"testing"
	"unicode/utf8"

	"trackside/store"
)

// Whatever a task says, its last words stay within their bounds, are text, and are the same after a restart.
func FuzzWords(f *testing.F) {
	f.Add("token", "a\nb\r\x00", "m", 0)
	f.Add("tool_end", strings.Repeat("x", 5000), "", -1)
	f.Add("error", "\xff\xfe\u202e", "m", 7)
	f.Fuzz(func(t *testing.T, kind, text, message string, index int) {
		w := newWords(nil)
		for i := range 120 {
			w.add(store.TaskEvent{Type: kind, Text: text, Name: text, State: text, Level: text, Message: message, Index: index + i})
		}
		lines := w.lines()
		size := 0
		for _, l := range lines {
			size += len(l)
			if !utf8.ValidString(l) || strings.ContainsAny(l, "\r\n\x00\x02\x03") {
				t.Errorf("the line %q", l)
			}
		}
		if len(lines) > maxLines || size > maxWords+4*maxLineRunes+len("…") {
			t.Errorf("%d lines of %d bytes", len(lines), size)
		}
		if tail := w.tail(store.MaxMessage); len(tail) > store.MaxMessage || !utf8.ValidString(tail) {
			t.Errorf("a tail of %d bytes", len(tail))
		}
		again := newWords(lines)
		if got := again.lines(); strings.Join(got, "\n") != strings.Join(lines[max(0, len(lines)-len(got)):], "\n") {
			t.Errorf("kept %q, read back %q", lines, got)
		}
	})
}

// FuzzToken reads whatever is sent for a token. Only what has an id and a secret of their length is one.
func FuzzToken(f *testing.F) {
	f.Add(tokenPrefix + strings.Repeat("a", 2*idBytes) + "_" + strings.Repeat("0b", secretBytes))
	f.Add(tokenPrefix + "_")
	f.Fuzz(func(t *testing.T, s string) {
		if id, secret, ok := parseToken(s); ok && (len(id) != 2*idBytes || len(secret) != secretBytes || !strings.HasPrefix(s, tokenPrefix+id+"_")) {
			t.Errorf("%q: %q", s, id)
		}
	})
}
