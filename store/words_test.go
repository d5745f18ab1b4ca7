package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trackside/store"
)

func TestWordsOfClosedSetsRoundTrip(t *testing.T) {
	for _, h := range store.Healths() {
		if got, err := store.ParseHealth(h.String()); err != nil || got != h {
			t.Errorf("ParseHealth(%q) = %v, %v", h, got, err)
		}
	}
	for _, r := range append(store.Reasons(), store.NoReason) {
		if got, err := store.ParseReason(r.String()); err != nil || got != r {
			t.Errorf("ParseReason(%q) = %v, %v", r, got, err)
		}
	}
	for _, s := range []store.State{store.Enabled, store.Disabled, store.Deleting} {
		if got, err := store.ParseState(s.String()); err != nil || got != s {
			t.Errorf("ParseState(%q) = %v, %v", s, got, err)
		}
	}
}

func TestTextMarshalling(t *testing.T) {
	b, err := store.Degraded.MarshalText()
	if err != nil || string(b) != "degraded" {
		t.Errorf("MarshalText = %q, %v", b, err)
	}
	var h store.Health
	if err := h.UnmarshalText([]byte("unhealthy")); err != nil || h != store.Unhealthy {
		t.Errorf("UnmarshalText = %v, %v", h, err)
	}
	b, err = store.CrashLoop.MarshalText()
	if err != nil || string(b) != "crashloop" {
		t.Errorf("MarshalText = %q, %v", b, err)
	}
	var r store.Reason
	if err := r.UnmarshalText([]byte("runtime_lost")); err != nil || r != store.RuntimeLost {
		t.Errorf("UnmarshalText = %v, %v", r, err)
	}
	if err := r.UnmarshalText([]byte("bored")); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an unknown reason gives %v", err)
	}
}

func TestUnknownWordsAreInvalidAndNameWhatIsAllowed(t *testing.T) {
	parse := map[string]struct {
		parse func(string) error
		names []string
	}{
		"health": {func(s string) error { _, err := store.ParseHealth(s); return err }, words(store.Healths())},
		"reason": {func(s string) error { _, err := store.ParseReason(s); return err }, words(store.Reasons())},
		"state":  {func(s string) error { _, err := store.ParseState(s); return err }, words([]store.State{store.Enabled, store.Disabled, store.Deleting})},
	}
	for what, p := range parse {
		for _, word := range []string{"Healthy", "sick", " ", "image_pull_failed ", "\x00"} {
			err := p.parse(word)
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s %q gives %v, want ErrInvalid", what, word, err)
				continue
			}
			for _, n := range p.names {
				if !strings.Contains(err.Error(), n) {
					t.Errorf("%s: %q does not name %q", what, err, n)
				}
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("%q", word)) {
				t.Errorf("%s: %q does not quote %q", what, err, word)
			}
		}
	}
}

func words[T fmt.Stringer](values []T) (out []string) {
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

func TestEveryReasonHasATitleAndAWord(t *testing.T) {
	if n := len(store.Reasons()); n != 5 {
		t.Errorf("there are %d reasons, want 5", n)
	}
	seen := map[string]bool{}
	for _, r := range store.Reasons() {
		if r.Title() == "" || r.String() == "" || seen[r.Title()] || seen[r.String()] {
			t.Errorf("reason %d has the word %q and the title %q", r, r, r.Title())
		}
		seen[r.Title()], seen[r.String()] = true, true
	}
	if store.NoReason.Title() != "" {
		t.Errorf("the absence of a reason has the title %q", store.NoReason.Title())
	}
}

func TestValuesOutsideTheSetsSaySo(t *testing.T) {
	for got, want := range map[string]string{
		store.Health(9).String(): "Health(9)",
		store.Reason(9).String(): "Reason(9)",
		store.Reason(9).Title():  "Reason(9)",
		store.State(9).String():  "State(9)",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if store.Health(9).Severity() != store.Unknown.Severity() {
		t.Error("a health outside the set is not ranked as unknown")
	}
}

func TestSeverityPutsUnknownBeforeHealthy(t *testing.T) {
	for i, h := range store.Healths() {
		if h.Severity() != i {
			t.Errorf("%s has severity %d, want %d", h, h.Severity(), i)
		}
	}
	for _, c := range []struct{ a, b, want store.Health }{
		{store.Healthy, store.Unknown, store.Unknown},
		{store.Unknown, store.Healthy, store.Unknown},
		{store.Degraded, store.Unhealthy, store.Unhealthy},
		{store.Degraded, store.Degraded, store.Degraded},
	} {
		if got := c.a.Worse(c.b); got != c.want {
			t.Errorf("%s.Worse(%s) = %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

func TestTheZeroHealthIsUnknown(t *testing.T) {
	var v store.Verdict
	if v.Health != store.Unknown || v.Failing() {
		t.Errorf("the zero verdict is %s", v.Health)
	}
}

func TestSaysHealthy(t *testing.T) {
	for s, want := range map[string]bool{
		"healthy": true, "OK": true, " Running\n": true, "READY": true,
		"": false, "unhealthy": false, "not ready": false, "okay": false,
	} {
		if got := store.SaysHealthy(s); got != want {
			t.Errorf("SaysHealthy(%q) = %v, want %v", s, got, want)
		}
	}
}

type mute struct{}

func (mute) Error() string { return "" }

func TestErrorTextIsNeverBlank(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "no error"},
		{errors.New("disk full"), "disk full"},
		{mute{}, "store_test.mute"},
		{&mute{}, "*store_test.mute"},
		{errors.New(""), "*errors.errorString"},
		{fmt.Errorf("open: %w", store.ErrUnavailable), "open: unavailable"},
	} {
		if got := store.ErrorText(c.err); got != c.want {
			t.Errorf("ErrorText(%T) = %q, want %q", c.err, got, c.want)
		}
	}
}

func TestNormalizeVersion(t *testing.T) {
	for in, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "V2": "2", " v1.0 ": "1.0",
		"": "", "v": "v", "vienna": "vienna", "version-1": "version-1", "latest": "latest", "vv1": "vv1",
	} {
		if got := store.NormalizeVersion(in); got != want {
			t.Errorf("NormalizeVersion(%q) = %q, want %q", in, got, want)
		}
	}
}
