package kube

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"trackside/systems"
)

// address is where a test server stands, as a pod and a probe.
func address(t *testing.T, srv *httptest.Server) (podAddress, systems.Probe) {
	t.Helper()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return podAddress{namespace: "ns", name: "pod", ip: host}, systems.Probe{Path: "/health", Port: int32(n)}
}

func askPod(t *testing.T, srv *httptest.Server, timeout time.Duration) answer {
	t.Helper()
	ask, err := newAsker(ProbePodIP, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ask.(podAsker).client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	pod, p := address(t, srv)
	return ask.ask(ctx, pod, p)
}

func TestAnswersOfPods(t *testing.T) {
	var followed atomic.Bool
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		timeout time.Duration
		want    string // what the problem holds; blank when there is none
	}{
		{"200", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }, time.Minute, ""},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, time.Minute, ""},
		{"302 is an answer and is not followed", func(w http.ResponseWriter, r *http.Request) {
			followed.Store(followed.Load() || r.URL.Path != "/health")
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, time.Minute, ""},
		{"404", http.NotFound, time.Minute, "404 Not Found after"},
		{"503 with a body", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			_, _ = w.Write([]byte("queue\r\nis \x02full\x03"))
		}, time.Minute, "503 Service Unavailable after"},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 20 * time.Millisecond, "no answer after"},
		{"a body without end", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 20 * time.Millisecond, "no answer after"},
		{"the connection breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, time.Minute, "connection closed after"},
		{"the body breaks", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("x"))
		}, time.Minute, "connection closed after"},
		{"nonsense in chunks", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))
			_ = conn.Close()
		}, time.Minute, "*errors.errorString after"},
		{"not HTTP", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_, _ = conn.Write([]byte("220 smtp ready\r\n"))
			_ = conn.Close()
		}, time.Minute, "after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.handler)
			defer srv.Close()
			a := askPod(t, srv, c.timeout)
			got := a.problem(1500 * time.Millisecond)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "nil") {
				t.Errorf("problem %q, want %q", got, c.want)
			}
			if got != "" && (!strings.Contains(got, a.url) || !strings.Contains(got, "1.5 s")) {
				t.Errorf("%q does not name the URL and how long it took", got)
			}
			if strings.ContainsAny(got, "\r\n\x02\x03") {
				t.Errorf("%q is not fit for a sentence", got)
			}
		})
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestARefusedConnection(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	pod, p := address(t, srv)
	srv.Close()
	a := podAsker{http.DefaultClient}.ask(t.Context(), pod, p)
	if got := a.problem(3 * time.Millisecond); !strings.HasPrefix(got, "connection refused after 3 ms (GET ") {
		t.Errorf("problem %q", got)
	}
}

func TestNoMoreThan64KiBAreRead(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 10 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	if a := askPod(t, srv, time.Minute); len(a.body) != probeBody || a.status != 200 {
		t.Errorf("read %d bytes, status %d", len(a.body), a.status)
	}
}

func TestAProbeThroughTheAPIServer(t *testing.T) {
	var body string
	var code int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/base/api/v1/namespaces/ns/pods/pod:8080/proxy/health" || r.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("asked %s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	defer srv.Close()
	ask, err := newAsker(ProbeAPIProxy, &rest.Config{Host: srv.URL + "/base", BearerToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		code   int
		body   string
		denied bool
		onWay  bool
		want   string
	}{
		{"the pod is well", 200, "ok", false, false, ""},
		{"the pod itself says 403", 403, "no", false, false, "403 Forbidden"},
		{"the API server refuses", 403, `{"kind":"Status","reason":"Forbidden"}`, true, false, ""},
		{"the pod cannot be reached", 503, `{"kind":"Status","message":"error trying to reach service: dial"}`, false, false, "the pod cannot be reached"},
		{"the API server is overloaded", 429, `{"kind":"Status","reason":"TooManyRequests"}`, false, true, "429 Too Many Requests"},
		{"the API server has lost its store", 500, `{"kind":"Status","message":"etcdserver: leader changed"}`, false, true, "500 Internal"},
	} {
		code, body = c.code, c.body
		a := ask.ask(t.Context(), podAddress{namespace: "ns", name: "pod"}, systems.Probe{Path: "/health", Port: 8080})
		if a.denied != c.denied || a.onWay != c.onWay || !c.denied && (!strings.Contains(a.problem(0), c.want) || (a.problem(0) == "") != (c.want == "")) {
			t.Errorf("%s: denied %t, on the way %t, problem %q", c.name, a.denied, a.onWay, a.problem(0))
		}
	}
	srv.Close()
	if a := ask.ask(t.Context(), podAddress{namespace: "ns", name: "pod"}, systems.Probe{Path: "/health", Port: 8080}); !a.onWay {
		t.Errorf("an API server that refuses the connection is taken for the pod: %+v", a)
	}
}

func TestWaysToProbe(t *testing.T) {
	if a, err := newAsker(ProbeOff, nil); a != nil || err != nil {
		t.Errorf("off: %v, %v", a, err)
	}
	if _, err := newAsker("telepathy", nil); err == nil || !strings.Contains(err.Error(), "pod-ip, api-proxy, off") {
		t.Errorf("an unknown way: %v", err)
	}
	if a := get(t.Context(), http.DefaultClient, "http://a b/", "shown"); a.kind != "not a URL" || a.url != "shown" {
		t.Errorf("%+v", a)
	}
}
