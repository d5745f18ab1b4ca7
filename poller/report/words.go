package report

import (
	"slices"
	"strings"

	"trackside/store"
)

// How much of what a task said is kept: its last words, not its log.
const (
	maxLines     = 50
	maxWords     = 16 << 10
	maxLineRunes = 500
)

// words are the last lines that a task said.
type words struct {
	done []string
	size int
	// open is the line that tokens are added to.
	open []byte
	// message and index are of the latest token, so that one sent twice counts once.
	message string
	index   int
}

func newWords(lines []string) (w words) {
	w.index = -1
	for _, l := range lines {
		w.line(l)
	}
	return w
}

// add takes an event. What is no token is a line of its own.
func (w *words) add(e store.TaskEvent) {
	switch e.Type {
	case "token", "llm_token":
		w.token(e)
	case "tool_start":
		w.line("tool " + e.Name + " starts")
	case "tool_end":
		w.line("tool ends: " + orWord(e.State, "success") + after(e.Text))
	case "step_start":
		w.line("step " + e.Name + " starts")
	case "step_end":
		w.line("step " + e.Name + " ends: " + orWord(e.State, "success") + after(e.Text))
	case "log":
		w.line(orWord(e.Level, "info") + after(e.Text))
	case "error":
		w.line("error" + after(e.Text))
	}
}

func orWord(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}

func after(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// token adds a piece of text to the open line.
func (w *words) token(e store.TaskEvent) {
	if e.Index >= 0 && e.Message == w.message && e.Index <= w.index {
		return
	}
	if e.Message != w.message {
		w.flush()
	}
	w.message, w.index = store.Clean(e.Message, maxWord), e.Index
	text := e.Text
	for {
		head, rest, found := strings.Cut(text, "\n")
		w.open = append(w.open, head[max(0, len(head)-maxWords):]...)
		if !found {
			break
		}
		w.flush()
		text = rest
	}
	if len(w.open) > maxLineRunes {
		w.flush()
	}
}

// flush ends the open line.
func (w *words) flush() {
	if len(w.open) == 0 {
		return
	}
	line := string(w.open)
	w.open = w.open[:0]
	w.push(line)
}

func (w *words) line(s string) {
	w.flush()
	w.push(s)
}

func (w *words) push(s string) {
	s = store.Clean(s, maxLineRunes)
	if s == "" {
		return
	}
	w.done = append(w.done, s)
	w.size += len(s)
	for len(w.done) > maxLines || w.size > maxWords {
		w.size -= len(w.done[0])
		w.done = w.done[1:]
	}
}

// lines are the last lines, the open one included, within the bounds.
func (w *words) lines() []string {
	out := slices.Clone(w.done)
	if open := store.Clean(string(w.open), maxLineRunes); open != "" {
		out = append(out, open)
		out = out[max(0, len(out)-maxLines):]
	}
	return out
}

// tail is the end of the last words in one line of limit bytes at most.
func (w *words) tail(limit int) string {
	s := strings.Join(w.lines(), " ⏎ ")
	if over := len(s) - limit + len("…"); over > len("…") {
		s = "…" + strings.ToValidUTF8(s[over:], "")
	}
	return s
}
