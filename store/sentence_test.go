package store_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestSentenceParts(t *testing.T) {
	at := noon.Add(-40 * time.Second)
	for _, c := range []struct {
		name string
		s    store.Sentence
		want []store.Part
	}{
		{"blank", "", nil},
		{"text", "All is well.", []store.Part{{Text: "All is well."}}},
		{"in the middle", store.Sentence("exited " + store.Ago(at) + "; retry"), []store.Part{{Text: "exited "}, {Tense: store.TenseAgo, At: at}, {Text: "; retry"}}},
		{"at both ends", store.Sentence(store.For(at) + " – " + store.Until(noon)), []store.Part{{Tense: store.TenseFor, At: at}, {Text: " – "}, {Tense: store.TenseUntil, At: noon}}},
		{"an opening mark alone", "a\x02b", []store.Part{{Text: "a\x02b"}}},
		{"marks the wrong way round", "a\x03b\x02", []store.Part{{Text: "a\x03b\x02"}}},
		{"no number", "a\x02ax\x03b", []store.Part{{Text: "a"}, {Text: "b"}}},
		{"nothing in the marks", "a\x02\x03b", []store.Part{{Text: "a\x02\x03b"}}},
	} {
		if diff := cmp.Diff(c.want, c.s.Parts()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

func TestASentenceIsReadAtAnyTime(t *testing.T) {
	s := store.Sentence("main has run for " + store.For(noon) + ", exited " + store.Ago(noon) + "; grace ends " + store.Until(noon.Add(time.Hour)) + ".")
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, "main has run for 0 s, exited 0 s ago; grace ends in 1 h."},
		{41 * time.Second, "main has run for 41 s, exited 41 s ago; grace ends in 59 min."},
		{2 * time.Hour, "main has run for 2 h, exited 2 h ago; grace ends in 0 s."},
		{-time.Minute, "main has run for 0 s, exited 0 s ago; grace ends in 1 h."},
	} {
		if got := s.At(noon.Add(c.after)); got != c.want {
			t.Errorf("after %s: %q, want %q", c.after, got, c.want)
		}
	}
	want := "main has run since 2026-11-20 12:00:00 UTC, exited at 2026-11-20 12:00:00 UTC; grace ends at 2026-11-20 13:00:00 UTC."
	if got := s.Absolute(); got != want {
		t.Errorf("Absolute() = %q, want %q", got, want)
	}
	if got := store.Sentence("Plain.").Absolute(); got != "Plain." {
		t.Errorf("Absolute() of plain text = %q", got)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 0: "0 s", 999 * time.Millisecond: "0 s", time.Second: "1 s", 59*time.Second + 999*time.Millisecond: "59 s",
		time.Minute: "1 min", 59*time.Minute + 59*time.Second: "59 min", time.Hour: "1 h", 24*time.Hour - 1: "23 h",
		24 * time.Hour: "1 d", 400 * 24 * time.Hour: "400 d",
	} {
		if got := store.Duration(d); got != want {
			t.Errorf("Duration(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "main exited", 80, "main exited"},
		{"lines and tabs", " a\r\n\tb\n ", 80, "a b"},
		{"an escape sequence", "\x1b[31mred\x1b[0m", 80, "[31mred [0m"},
		{"our own marks", "\x02a0\x03", 80, "a0"},
		{"direction overrides", "a\u202Eb\u2066c", 80, "a b c"},
		{"zero width and soft hyphen", "a\u200Bb\u00ADc\uFEFF", 80, "a b c"},
		{"line and paragraph separators", "a\u2028b\u2029c", 80, "a b c"},
		{"invalid bytes", "a\xff\xfeb", 80, "a\uFFFDb"},
		{"exactly the limit", "abcd", 4, "abcd"},
		{"one more", "abcde", 4, "abcd…"},
		{"characters, not bytes", "äöüß!", 4, "äöüß…"},
		{"no space before the mark", "abc def", 4, "abc…"},
		{"text behind much space", strings.Repeat(" ", 1000) + "text", 8, "text"},
		{"text behind much noise", strings.Repeat("\x00", 1000) + "text", 8, "text"},
		{"cut although space comes first", strings.Repeat(" ", 15) + "ab" + strings.Repeat("c", 100), 4, "abcc…"},
		{"a long text of long characters", strings.Repeat("日", 100), 3, "日日日…"},
		{"only noise", "\x00 \x01\n", 8, ""},
		{"nothing allowed", "abc", 0, "…"},
	} {
		if got := store.Clean(c.in, c.limit); got != c.want {
			t.Errorf("%s: Clean(%q, %d) = %q, want %q", c.name, c.in, c.limit, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a b", "\x02a1\x03", "\xff\xfe", strings.Repeat(" ", 300) + "é", "a\u202E\u2066", "abc…", "日本語 日本語"} {
		f.Add(s, 8)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(0, limit%200)
		got := store.Clean(s, limit)
		text := strings.TrimSuffix(got, "…")
		if !utf8.ValidString(got) {
			t.Errorf("Clean(%q, %d) = %q is not UTF-8", s, limit, got)
		}
		if utf8.RuneCountInString(text) > limit {
			t.Errorf("Clean(%q, %d) = %q is longer than %d characters and the mark", s, limit, got, limit)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }); i >= 0 {
			t.Errorf("Clean(%q, %d) = %q holds a control character", s, limit, got)
		}
		if got != strings.TrimSpace(got) || strings.Contains(got, "  ") {
			t.Errorf("Clean(%q, %d) = %q has space to spare", s, limit, got)
		}
		if again := store.Clean(got, limit); again != got {
			t.Errorf("Clean is not idempotent: %q becomes %q", got, again)
		}
		if parts := store.Sentence(got).Parts(); len(parts) > 1 || len(parts) == 1 && parts[0].Tense != store.TenseText {
			t.Errorf("Clean(%q, %d) = %q reads as an instant", s, limit, got)
		}
	})
}
