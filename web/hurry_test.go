package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deadlines is an answer that remembers until when its request may be read.
type deadlines struct {
	*recorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.set = append(d.set, t); return nil }

// What a request carries is not waited for for ever, whoever sends it.
func TestABodyHasADeadline(t *testing.T) {
	s, _ := start(t, options(io.Discard))
	for body, want := range map[string]int{"key=1": 1, "": 0} {
		w := &deadlines{recorder: newRecorder()}
		r := httptest.NewRequest(http.MethodPost, s.URL()+"/runners/eu/kubiya/runners-eu/alpha/actions/probe", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if body == "" {
			r.Body = http.NoBody
		}
		began := time.Now()
		s.board.Handler.ServeHTTP(w, r)
		if len(w.set) != want || want > 0 && (w.set[0].Before(began) || w.set[0].After(time.Now().Add(bodyTime))) {
			t.Errorf("%q: %d, deadlines %v", body, w.status, w.set)
		}
	}
}

// post sends the beginning of a request whose body has 9 bytes.
func post(t *testing.T, address, body string) *bufio.Reader {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n%s", body); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(c)
}

func TestASlowBodyIsCutAndASlowAnswerIsNot(t *testing.T) {
	const d = 50 * time.Millisecond
	srv := httptest.NewServer(hurry(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusGone)
		case <-time.After(4 * d):
			w.WriteHeader(http.StatusNoContent)
		}
	}), d))
	defer srv.Close()
	for body, want := range map[string]int{"one": http.StatusRequestTimeout, "all of it": http.StatusNoContent} {
		res, err := http.ReadResponse(post(t, srv.Listener.Addr().String(), body), nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("%q: %v, %v", body, res, err)
		}
		if res != nil {
			_ = res.Body.Close()
		}
	}
}
