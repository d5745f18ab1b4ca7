package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller/api"
	"trackside/store"
)

// transport answers requests by a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(code int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}
}

func client(t *testing.T, f transport) *api.Client {
	t.Helper()
	u, err := api.ParseURL("https://api.example/base")
	if err != nil {
		t.Fatal(err)
	}
	return &api.Client{Base: u, Transport: f}
}

func call(c *api.Client) (o api.Object, err error) {
	err = c.Call(context.Background(), http.MethodGet, "/runners", nil, func(r io.Reader) error { return api.ReadObject(r, &o) })
	return o, err
}

// endless is a JSON text without end.
type endless struct{ begun bool }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	if !e.begun {
		b[0], e.begun = '{', true
	}
	return len(b), nil
}

func TestCalls(t *testing.T) {
	long := http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&endless{})}
	for _, c := range []struct {
		name  string
		resp  func() (*http.Response, error)
		what  string // after "GET https://api.example/base/runners: "; blank for a success
		tries int
	}{
		{"an object", func() (*http.Response, error) { return answer(200, "application/json", `{"a":1}`), nil }, "", 1},
		{"an object that is called text", func() (*http.Response, error) { return answer(200, "", `{"a":1} `), nil }, "", 1},
		{"a server's error", func() (*http.Response, error) { return answer(500, "text/html", "<h1>"), nil }, "500 Internal Server Error", 3},
		{"a server's error with a message", func() (*http.Response, error) {
			return answer(503, "", `{"code":"unavailable","message":"no route\nto it."}`), nil
		},
			"503 Service Unavailable: no route to it", 3},
		{"a message within the error", func() (*http.Response, error) { return answer(400, "", `{"error":{"message":"bad"}}`), nil }, "400 Bad Request: bad", 1},
		{"too often", func() (*http.Response, error) { return answer(429, "", ""), nil }, "429 Too Many Requests", 3},
		{"not let in", func() (*http.Response, error) { return answer(401, "", `{"error":"expired"}`), nil }, "401 Unauthorized: expired", 1},
		{"elsewhere", func() (*http.Response, error) { return answer(302, "", ""), nil }, "302 Found", 1},
		{"a status that nobody knows", func() (*http.Response, error) { return answer(799, "", ""), nil }, "799", 3},
		{"HTML", func() (*http.Response, error) { return answer(200, "text/html; charset=utf-8", "<html>"), nil }, "HTML instead of JSON", 1},
		{"HTML that is called JSON", func() (*http.Response, error) { return answer(200, "application/json", "<html>"), nil },
			"not what was expected: invalid character '<' looking for beginning of value", 1},
		{"a list", func() (*http.Response, error) { return answer(200, "", "[1]"), nil }, "not what was expected: it is a list and not an object", 1},
		{"null", func() (*http.Response, error) { return answer(200, "", "null"), nil }, "not what was expected: it is null and not an object", 1},
		{"cut off", func() (*http.Response, error) { return answer(200, "", `{"a":[1,`), nil }, "the JSON breaks off before its end", 3},
		{"nothing", func() (*http.Response, error) { return answer(200, "", ""), nil }, "the JSON breaks off before its end", 3},
		{"without end", func() (*http.Response, error) { return &long, nil }, "the answer is longer than 8 MiB", 1},
		{"refused", func() (*http.Response, error) { return nil, syscall.ECONNREFUSED }, "connection refused", 3},
		{"reset", func() (*http.Response, error) { return nil, syscall.ECONNRESET }, "connection reset", 3},
		{"no such host", func() (*http.Response, error) { return nil, &net.DNSError{Name: "api.example", IsNotFound: true} }, "no such host as api.example", 3},
		{"an error without text", func() (*http.Response, error) { return nil, errors.New("") }, "*errors.errorString", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				_, err := call(client(t, func(*http.Request) (*http.Response, error) { n++; return c.resp() }))
				want := ""
				if c.what != "" {
					want = "GET https://api.example/base/runners: " + c.what
				}
				got := ""
				if err != nil {
					got = err.Error()
				}
				if got != want || n != c.tries {
					t.Errorf("%d tries, %q; want %d, %q", n, got, c.tries, want)
				}
			})
		})
	}
}

func TestWaitsGrowAndVary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, at := time.Now(), []time.Duration{}
		_, err := call(client(t, func(*http.Request) (*http.Response, error) {
			at = append(at, time.Since(begin))
			return answer(500, "", ""), nil
		}))
		if err == nil || len(at) != 3 || at[1] < 125*time.Millisecond || at[1] > 375*time.Millisecond || at[2]-at[1] < 180*time.Millisecond || at[2]-at[1] > 570*time.Millisecond {
			t.Errorf("asked after %v", at)
		}
	})
}

func TestRetryAfterIsHeededWithinReason(t *testing.T) {
	for after, tries := range map[string]int{"1": 3, "600": 1, "soon": 3} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			_, err := call(client(t, func(*http.Request) (*http.Response, error) {
				n++
				r := answer(429, "", "")
				r.Header.Set("Retry-After", after)
				return r, nil
			}))
			if err == nil || n != tries {
				t.Errorf("Retry-After %s: %d tries, want %d", after, n, tries)
			}
		})
	}
}

// An attempt has its time for all of it, and one that needed all is not made again before the next round.
func TestASlowAnswerEnds(t *testing.T) {
	for name, f := range map[string]transport{
		"no header": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"no body": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(stuck{r.Context()})}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				_, err := call(client(t, f))
				if took := time.Since(begin); err == nil || !strings.HasSuffix(err.Error(), "no answer within 5 s") || took != api.DefaultTimeout {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}

type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }

func TestTheCredentialIsReadAnewAndNeverTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	var sent []string
	c := client(t, func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header.Get("Authorization"))
		return answer(401, "", `{"message":"the key s3cret-1 is no key"}`), nil
	})
	c.Scheme, c.SecretFile = "UserKey", file
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, missing := call(c)
	write("s3cret-1\n")
	_, err := call(c)
	write("s3cret-2")
	_, _ = call(c)
	write("two\nlines")
	_, broken := call(c)
	if got := fmt.Sprint(sent); got != "[UserKey s3cret-1 UserKey s3cret-2]" {
		t.Errorf("sent %s", got)
	}
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "401 Unauthorized: the key (the credential) is no key") {
		t.Errorf("%v", err)
	}
	for _, e := range []error{missing, broken} {
		var f *api.Failure
		if !errors.As(e, &f) || !strings.HasPrefix(f.Problem("X API", "--x-file", "--x"), "The X API is not asked: the file ") || strings.Contains(e.Error(), "lines two") {
			t.Errorf("%v", e)
		}
	}
}

func TestProblemsSayWhatToDo(t *testing.T) {
	for code, want := range map[int]string{
		401: "The X API refuses our credential: 401 Unauthorized (GET https://api.example/base/runners). Check the file that --x-file names.",
		403: "The X API does not let us ask: 403 Forbidden (GET https://api.example/base/runners). Check what the credential in --x-file may do.",
		404: "The X API does not know what it is asked for: 404 Not Found (GET https://api.example/base/runners). Check its address.",
		429: "The X API says that we ask too often: 429 Too Many Requests (GET https://api.example/base/runners). Raise --x-interval.",
		500: "The X API fails: 500 Internal Server Error (GET https://api.example/base/runners).",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := call(client(t, func(*http.Request) (*http.Response, error) { return answer(code, "", ""), nil }))
			var f *api.Failure
			if !errors.As(err, &f) || f.Problem("X API", "--x-file", "--x-interval") != want {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	for s, ok := range map[string]bool{"https://a.example": true, "http://127.0.0.1:80/api": true, "a.example": false, "ftp://a": false,
		"https://": false, "https://u:p@a": false, "https://a?x=1": false, "\x00": false, "": false} {
		_, err := api.ParseURL(s)
		if (err == nil) != ok || err != nil && (!errors.Is(err, store.ErrInvalid) || strings.Contains(err.Error(), "u:p@")) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestEach(t *testing.T) {
	for text, want := range map[string]string{
		`[]`: "", `{}`: "", `[{"a":1},2]`: "=map[a:1] =2 ", `{"x":{"a":true},"y":[]}`: "x=map[a:true] y=[] ",
		`3`: "! not what was expected: it is a number and not a list", `"x"`: "! not what was expected: it is a string and not a list",
		`[1,`: "=1 ! EOF", `[1`: "=1 ! EOF", `{"a"`: "! EOF", ``: "! EOF", "\xff": "! invalid character 'ÿ' looking for beginning of value",
	} {
		got := ""
		err := api.Each(strings.NewReader(text), func(k string, v any) error { got += fmt.Sprintf("%s=%v ", k, v); return nil })
		if err != nil {
			got += "! " + strings.TrimPrefix(err.Error(), "unexpected ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzObject(f *testing.F) {
	f.Add(`{"a":{"b":[{"c":"2026-01-01T00:00:00Z"}]},"n":"12","t":true}`)
	f.Add(`{"a":[[[[]]]],"n":1e999}`)
	f.Fuzz(func(t *testing.T, text string) {
		_ = api.Each(strings.NewReader(text), func(string, any) error { return nil })
		var o api.Object
		if api.ReadObject(strings.NewReader(text), &o) == nil && o == nil {
			t.Errorf("%q is read as no object", text)
		}
		if json.Unmarshal([]byte(text), &o) != nil {
			return
		}
		for k := range o {
			_, _, _, _ = o.Text(k), o.Object(k).Text("b"), o.Texts(k), o.Time(k)
			n, _ := o.Count(k)
			if len(o.List(k)) > n {
				t.Error("more objects than elements")
			}
			_, _ = o.Int(k)
		}
	})
}
