package handlers

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"trackside/store"
)

// Any bytes are read as a registration and as an event, or refused as store.ErrInvalid; nothing panics.
func FuzzFields(f *testing.F) {
	for _, s := range []string{`{"pod_name":"a","pod_ip":"b","capacity":3,"eviction_time_ms":0,"capabilities":["x"],"control":true}`,
		`{"type":"token","text":"a","token_index":"7"}`, `{"type":"step_end","output":{"a":[1,null]}}`, `[]`, `null`, `{"pod_name":null}`, "{\"\xff\":1}", ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := readFields(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if _, err := registration(got); err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", body, err)
		}
		e := eventFields(store.TaskEvent{}, got)
		if e.Index < -1 || !utf8.ValidString(e.Message) && utf8.ValidString(body) {
			t.Errorf("%q is the event %+v", body, e)
		}
	})
}

// A token is taken from each of the three places, Plue's own first; only one in the URL is carried on.
func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		plue, authorization string
		token, carried      string
	}{
		"none":        {"", "", "", ""},
		"plue":        {"a", "Bearer b", "a", ""},
		"bearer":      {"", "Bearer b", "b", ""},
		"lower case":  {"", "bearer  b ", "b", ""},
		"url":         {"", "Basic cnVubmVyOmM=", "c", "runner:c"},
		"nothing":     {"", "Bearer", "", ""},
		"other":       {"", "Digest x", "", ""},
		"broken":      {"", "Basic !", "", ""},
		"no password": {"", "Basic cnVubmVy", "", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header.Set("X-Plue-Internal-Token", c.plue)
		r.Header.Set("Authorization", c.authorization)
		token, user := credentials(r)
		if token != c.token || user.String() != c.carried {
			t.Errorf("%s: token %q, carried on as %q", name, token, user.String())
		}
	}
}
