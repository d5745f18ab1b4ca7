// Package api is what the sources beside the clusters have in common: asking an HTTP API with a limit on everything, reading answers
// of which nothing can be relied on, and the freshness of a source that is asked now and then. It knows no runner system.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v7"

	"trackside/store"
)

// The limits of a call. A call that fails is tried three times; one that ran out of its time is not tried again before its next turn.
const (
	// DefaultTimeout bounds one attempt, from the first byte sent to the last byte read.
	DefaultTimeout = 5 * time.Second
	// MaxAnswer is how much of an answer is read, in bytes.
	MaxAnswer = 8 << 20
	tries     = 3
	firstWait = 250 * time.Millisecond
	lastWait  = 2 * time.Second
	// maxSecret is how long a credential in a file may be.
	maxSecret = 64 << 10
)

// Client asks one API.
type Client struct {
	// Base is its address; a path is appended to it.
	Base *url.URL
	// Scheme stands before the credential in the header Authorization, such as Bearer. SecretFile holds the credential: it is read
	// anew for each call, so that one that is renewed needs no restart. Blank: none is sent.
	Scheme, SecretFile string
	// Header is sent with every call.
	Header http.Header
	// Transport sends requests; http.DefaultTransport when nil.
	Transport http.RoundTripper
	// Timeout bounds one attempt; 0 means DefaultTimeout.
	Timeout time.Duration
}

// ParseURL reads the address of an API: http or https, a host, and a path at most. Anything else is store.ErrInvalid.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the address %q cannot be read", store.ErrInvalid, store.Clean(s, 200))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("%w: the address %q must be http:// or https:// with a host, and at most a path", store.ErrInvalid, u.Redacted())
	}
	return u, nil
}

// Call asks once, with retries, and hands the body of an answer with JSON to read. A failure is always a *Failure.
func (c *Client) Call(ctx context.Context, method, path string, body any, read func(io.Reader) error) error {
	f := &Failure{Call: method + " " + c.Base.JoinPath(path).String()}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = firstWait, lastWait
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, c.attempt(ctx, method, path, body, read)
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(tries), backoff.WithMaxElapsedTime(c.timeout()))
	if err == nil {
		return nil
	}
	f.Err = err
	if r := backoff.AsRetryError(err); r != nil {
		f.Err = r.LastErr
	}
	return f
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

func (c *Client) attempt(ctx context.Context, method, path string, body any, read func(io.Reader) error) error {
	limit, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	secret, err := c.secret()
	if err != nil {
		return backoff.Permanent(err)
	}
	req, err := c.request(limit, method, path, body, secret)
	if err != nil {
		return backoff.Permanent(err)
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return c.broken(limit, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return refused(resp, secret)
	}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t == "text/html" {
		return backoff.Permanent(errHTML)
	}
	bounded := &io.LimitedReader{R: resp.Body, N: MaxAnswer + 1}
	if err := read(bounded); err != nil {
		return c.unread(limit, err, bounded.N <= 0)
	}
	return nil
}

// client follows no redirects: the credential is for this address only.
func (c *Client) client() *http.Client {
	return &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (c *Client) request(ctx context.Context, method, path string, body any, secret string) (*http.Request, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base.JoinPath(path).String(), payload)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, c.Header)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if secret != "" {
		req.Header.Set("Authorization", c.Scheme+" "+secret)
	}
	return req, nil
}

// secret reads the credential; the error never holds any of it.
func (c *Client) secret() (string, error) {
	if c.SecretFile == "" {
		return "", nil
	}
	f, err := os.Open(c.SecretFile)
	if err != nil {
		return "", &keyError{"the file with the credential cannot be read: " + err.Error()}
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	s := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return "", &keyError{"the file with the credential cannot be read: " + err.Error()}
	case s == "" || len(b) > maxSecret || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", &keyError{"the file " + c.SecretFile + " does not hold a credential on one line"}
	}
	return s, nil
}

// broken classifies an error of a call that got no answer.
func (c *Client) broken(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &slow{c.timeout()}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// unread classifies an error of an answer that cannot be read. One that broke off may come whole the next time.
func (c *Client) unread(ctx context.Context, err error, tooLong bool) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case tooLong:
		return backoff.Permanent(errTooLong)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &slow{c.timeout()}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errCutOff
	case errors.As(err, &syntax), errors.As(err, &kind):
		return backoff.Permanent(&unfit{store.ErrorText(err)})
	}
	if _, ok := errors.AsType[*unfit](err); ok {
		return backoff.Permanent(err)
	}
	return err
}

// refused reads what an answer that is not 200 says. 429 and 5xx are tried again, the others not.
func refused(resp *http.Response, secret string) error {
	s := &status{code: resp.StatusCode, said: saidIn(resp, secret)}
	if s.code != http.StatusTooManyRequests && s.code < 500 {
		return backoff.Permanent(s)
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 && n < 3600 {
		return backoff.RetryAfter(time.Duration(n)*time.Second, s)
	}
	return s
}

// saidIn is the message of an error's JSON body; blank when there is none. A body that repeats the credential shows none of it.
func saidIn(resp *http.Response, secret string) string {
	var body map[string]any
	if json.NewDecoder(io.LimitReader(resp.Body, 16<<10)).Decode(&body) != nil {
		return ""
	}
	o := Object(body)
	said := o.Text("message")
	if said == "" {
		said = o.Text("error")
	}
	if said == "" {
		said = o.Object("error").Text("message")
	}
	if secret != "" {
		said = strings.ReplaceAll(said, secret, "(the credential)")
	}
	return strings.TrimRight(store.Clean(said, 160), ".")
}
