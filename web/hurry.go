package web

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// hurry bounds how long the body of a request may take. The server's own ReadTimeout would end streams, which are read from for as long as they
// are open; without any bound, a body that never ends is waited for by a handler for ever.
func hurry(next http.Handler, d time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(d)) // a recorder has none
			r.Body = hurried{r.Body, rc}
		}
		next.ServeHTTP(w, r)
	})
}

// hurried is a body with a deadline, which goes with its last byte: from then on the server listens whether the client is still there, and an
// action may take longer than its form. A body that was too slow keeps it, or the server would wait for the rest after the answer.
type hurried struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read reads on.
func (b hurried) Read(p []byte) (n int, err error) {
	if n, err = b.ReadCloser.Read(p); errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
