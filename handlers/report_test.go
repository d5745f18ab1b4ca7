package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

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

// revoking is a Reports that tells a runner two commands, and whose token is revoked between them.
type revoking struct {
	Reports
	revoked bool
}

func (r *revoking) Admit(context.Context, string) (store.Grant, error) {
	if r.revoked {
		return store.Grant{}, fmt.Errorf("%w: this token does not count", store.ErrForbidden)
	}
	return store.Grant{Name: "vm-1"}, nil
}

func (r *revoking) Control(_ context.Context, _ store.Grant, _, _ int64, send func(store.Command) error) error {
	if err := send(store.Command{ID: 1, Event: store.CommandPing}); err != nil {
		return err
	}
	r.revoked = true
	return send(store.Command{ID: 2, Event: store.CommandDelete})
}

// An open control channel ends with its token: nothing more is told to whoever holds it.
func TestTheControlChannelEndsWithItsToken(t *testing.T) {
	h := New(Options{Live: newWorld(0).live, Reports: &revoking{}})
	defer h.Close()
	e := echo.New()
	e.GET("/internal/runners/:id/control", h.ControlChannel)
	srv := httptest.NewServer(e)
	defer srv.Close()
	status, body, _ := get(t, srv.URL+"/internal/runners/1/control")
	if status != http.StatusOK || !strings.Contains(body, "event: ping") || strings.Contains(body, "event: delete") {
		t.Errorf("%d %s", status, body)
	}
}
