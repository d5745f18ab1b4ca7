package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"trackside/store"
	"trackside/systems"
)

// ProbeVia says how probes reach pods.
type ProbeVia string

// The ways to a pod: straight to its address, which works inside the cluster; through the API server's pod proxy, which needs the
// verb get on pods/proxy; or not at all.
const (
	ProbePodIP    ProbeVia = "pod-ip"
	ProbeAPIProxy ProbeVia = "api-proxy"
	ProbeOff      ProbeVia = "off"
)

// probeBody is how much of an answer is read, in bytes.
const probeBody = 64 << 10

// asker makes one HTTP GET to a pod.
type asker interface {
	ask(ctx context.Context, pod podAddress, p systems.Probe) answer
}

// answer is what came of one GET.
type answer struct {
	url    string
	status int    // 0 when no answer came
	kind   string // the type of the error, in words; blank when an answer came
	body   string
	denied bool // it is the API server that refuses, and says nothing of the pod
	onWay  bool // it went wrong between us and the API server, or in the API server, and says nothing of the pod
}

// noAnswer is the kind of an answer that did not come in time.
const noAnswer = "no answer"

// problem says what is wrong with an answer, how long it took included; blank when nothing is. Like the kubelet's, a probe is content
// with 200 to 399.
func (a answer) problem(took time.Duration) string {
	switch {
	case a.kind != "":
		return fmt.Sprintf("%s after %s (GET %s)", a.kind, elapsed(took), a.url)
	case a.status < 200 || a.status >= 400:
		return fmt.Sprintf("%d %s after %s%s (GET %s)", a.status, http.StatusText(a.status), elapsed(took), colon(strings.TrimRight(store.Clean(a.body, 80), " .")), a.url)
	}
	return ""
}

func elapsed(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func newAsker(via ProbeVia, cfg *rest.Config) (asker, error) {
	switch via {
	case ProbeOff:
		return nil, nil //nolint:nilnil // no asker means that nothing is probed
	case ProbePodIP:
		return podAsker{&http.Client{CheckRedirect: noRedirect, Transport: &http.Transport{
			DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, MaxIdleConns: 128,
		}}}, nil
	case ProbeAPIProxy:
		return newProxyAsker(cfg)
	}
	return nil, fmt.Errorf("%w: --probe-via %q is not one of pod-ip, api-proxy, off", store.ErrInvalid, via)
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// podAsker dials pods.
type podAsker struct{ client *http.Client }

func (a podAsker) ask(ctx context.Context, pod podAddress, p systems.Probe) answer {
	u := fmt.Sprintf("http://%s%s", net.JoinHostPort(pod.ip, fmt.Sprint(p.Port)), p.Path)
	return get(ctx, a.client, u, u)
}

// proxyAsker goes through the API server.
type proxyAsker struct {
	client *http.Client
	base   string
}

func newProxyAsker(cfg *rest.Config) (asker, error) {
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: API server address: %s", store.ErrInvalid, store.ErrorText(err))
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: API server credentials: %s", store.ErrInvalid, store.ErrorText(err))
	}
	own := *client // shares the transport, and with it the connection
	own.CheckRedirect = noRedirect
	return proxyAsker{&own, strings.TrimSuffix(base.String(), "/")}, nil
}

func (a proxyAsker) ask(ctx context.Context, pod podAddress, p systems.Probe) answer {
	path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy%s", url.PathEscape(pod.namespace), url.PathEscape(pod.name), p.Port, p.Path)
	r := get(ctx, a.client, a.base+path, path)
	if r.kind == "" && strings.Contains(r.body, `"kind":"Status"`) {
		switch {
		case r.status == http.StatusForbidden:
			r.denied = true
		case strings.Contains(r.body, "error trying to reach service"):
			r.kind = "the pod cannot be reached"
		default:
			r.onWay = r.status >= 400
		}
		return r
	}
	r.onWay = r.kind != ""
	return r
}

// get makes the request; shown is the URL that people see.
func get(ctx context.Context, client *http.Client, u, shown string) answer {
	a := answer{url: shown}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		a.kind = "not a URL"
		return a
	}
	req.Header.Set("User-Agent", "trackside-probe")
	resp, err := client.Do(req)
	if err != nil {
		a.kind = errorKind(err)
		return a
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, probeBody))
	if err != nil {
		a.kind = errorKind(err)
		return a
	}
	a.status, a.body = resp.StatusCode, string(body)
	return a
}

// errorKind words the type of an error, so that one cause is one outcome whatever the ports and times in its text.
func errorKind(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return noAnswer
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route"
	case errors.As(err, &dns):
		return "name not found"
	case errors.As(err, &op):
		return op.Op + " failed"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return fmt.Sprintf("%T", err)
}
