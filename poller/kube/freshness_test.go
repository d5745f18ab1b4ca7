package kube

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	ktesting "k8s.io/client-go/testing"

	"trackside/store"
)

type mute struct{}

func (mute) Error() string { return "" }

func TestAPIProblems(t *testing.T) {
	over := func(err error) error { return &url.Error{Op: "Get", URL: "https://10.0.0.1:6443/readyz", Err: err} }
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"timeout", over(context.DeadlineExceeded), "The API server does not answer within 1.5 s."},
		{"the server's own timeout", apierrors.NewTimeoutError("slow", 1), "The API server does not answer within 1.5 s."},
		{"refused", over(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "The API server refuses connections: it is down, or the address in the kubeconfig is wrong."},
		{"credentials", apierrors.NewUnauthorized("no"), "The API server refuses our credentials (401): renew the token or the client certificate."},
		{"readyz", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no")), "The API server does not let us ask /readyz (403): grant the ClusterRole system:public-info-viewer."},
		{"certificate", over(errors.New("x509: certificate signed by unknown authority")), "The API server cannot be reached: x509: certificate signed by unknown authority."},
		{"hostile text", over(errors.New("a\r\nb\x02u1\x03")), "The API server cannot be reached: a b u1."},
		{"not ready", errors.New("[-]etcd failed"), "The API server is not ready: [-]etcd failed."},
		{"no text", mute{}, "The API server is not ready: kube.mute."},
	} {
		if got := apiProblem(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRefusalsNameVerbResourceAndNamespace(t *testing.T) {
	forbidden := func(verb string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "x"}, "", errors.New(`User "u" cannot `+verb+` resource "x"`))
	}
	for _, c := range []struct {
		w    *watched
		err  error
		want string
	}{
		{&watched{resource: resource{name: "pods"}}, forbidden("list"), "Cannot list pods in all namespaces: forbidden. Grant the verbs list and watch on pods."},
		{&watched{resource: resource{name: "pods"}, namespace: "ns"}, forbidden("watch"), "Cannot watch pods in namespace ns: forbidden. Grant the verbs list and watch on pods."},
		{&watched{resource: resource{name: "nodes", cluster: true}}, forbidden("list"), "Cannot list nodes in the cluster: forbidden. Grant the verbs list and watch on nodes."},
		{&watched{resource: resource{group: "batch", name: "cronjobs"}}, apierrors.NewNotFound(schema.GroupResource{}, "x"), "Cannot list cronjobs.batch in all namespaces: the API server does not know the resource."},
	} {
		if got := refusal(c.w, c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// After an outage the board is live again when new informers have listed everything anew, and not when the API server answers: what
// it shows is older than that.
func TestLiveAgainOnceEverythingIsListedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down, hold atomic.Bool
		b := newBoard(t, Config{}, func(c *fake.Clientset) {
			c.PrependReactor("list", "pods", func(ktesting.Action) (bool, runtime.Object, error) {
				if hold.Load() {
					return true, nil, errors.New("the list is not ready yet")
				}
				return false, nil, nil
			})
		}, labelledRunner("a", 1)...)
		defer b.end()
		b.fresh.ask = func(context.Context) error {
			if down.Load() {
				return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.watchFreshness(ctx, b.rebuild); close(done) }()
		defer func() { cancel(); <-done }()
		state := func() store.SourceState {
			b.look()
			src, _ := b.snap.Source("c", SourceName)
			return src.State
		}
		if got := state(); got != store.SourceLive {
			t.Fatalf("%s at the start", got)
		}
		down.Store(true)
		<-time.After(probeInterval)
		if got := state(); got != store.SourceStale {
			t.Fatalf("%s while the API server is down", got)
		}
		hold.Store(true)
		down.Store(false)
		<-time.After(3 * probeInterval)
		if got := state(); got != store.SourceStale {
			t.Errorf("%s while the pods are still being listed", got)
		}
		if b.runner("labelled", "a") == nil {
			t.Error("what was known has gone meanwhile")
		}
		hold.Store(false)
		<-time.After(time.Minute) // the informer's own back-off
		if got := state(); got != store.SourceLive {
			t.Errorf("%s when everything is listed", got)
		}
	})
}

func TestAStaleSourceSaysSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{}, nil)
		defer b.end()
		heard := time.Now()
		b.heard()
		<-time.After(5 * time.Second)
		b.goStale(syscall.ECONNREFUSED)
		b.look()
		src, _ := b.snap.Source("c", SourceName)
		if !src.Since.Equal(heard) {
			t.Errorf("stale since %s, want %s, when it last answered", src.Since, heard)
		}
		b.look()
		rev := b.snap.Rev
		b.goStale(syscall.ECONNREFUSED)
		b.look()
		if b.snap.Rev != rev {
			t.Error("the same problem again is news")
		}
		b.goStale(context.DeadlineExceeded)
		b.look()
		if src, _ := b.snap.Source("c", SourceName); !src.Since.Equal(heard) || !strings.Contains(src.Problem, "does not answer") {
			t.Errorf("another problem: since %s, %s", src.Since, src.Problem)
		}
	})
}

func TestAskReadyReadsTheAnswer(t *testing.T) {
	var code atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked %s", r.URL.Path)
		}
		w.WriteHeader(int(code.Load()))
	}))
	defer srv.Close()
	c, err := New(Config{Alias: "c", REST: &rest.Config{Host: srv.URL}, Probes: ProbeOff})
	if err != nil {
		t.Fatal(err)
	}
	for status, ok := range map[int64]bool{200: true, 500: false, 401: false, 403: false} {
		code.Store(status)
		if err := c.askReady(t.Context()); (err == nil) != ok {
			t.Errorf("%d gives %v", status, err)
		}
	}
}

func TestScopeSaysWhatIsLookedForAndWhere(t *testing.T) {
	all, some := scope(nil), scope([]string{"a", "b"})
	for _, word := range []string{"trackside.dev/runner=<name>", "kubiya-runner-component", "k8s-runner", "in all namespaces"} {
		if !strings.Contains(all, word) {
			t.Errorf("%q does not name %q", all, word)
		}
	}
	if !strings.HasSuffix(some, "in the namespaces a, b") {
		t.Errorf("%q", some)
	}
}

// Warning events only: the others are many, and no verdict rests on them.
func TestOnlyWarningEventsAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Value
		b := newBoard(t, Config{}, func(c *fake.Clientset) {
			c.PrependWatchReactor("events", func(a ktesting.Action) (bool, watch.Interface, error) {
				asked.Store(a.(ktesting.WatchAction).GetWatchRestrictions().Fields.String())
				return false, nil, nil
			})
		})
		defer b.end()
		if got := asked.Load(); got != "type=Warning" {
			t.Errorf("field selector %v", got)
		}
	})
}

func TestNamespacesScopeTheInformers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		elsewhere := labelledRunner("elsewhere", 1)
		for _, o := range elsewhere {
			o.(metav1.Object).SetNamespace("other")
		}
		b := newBoard(t, Config{Namespaces: []string{"ns", "empty"}}, nil, append(elsewhere, labelledRunner("a", 1)...)...)
		defer b.end()
		if got := b.names(); !slices.Equal(got, []string{"labelled/ns/a"}) {
			t.Errorf("runners %v", got)
		}
	})
}

// After a restart the data is as old as when the cluster was last heard, whatever the program's own age.
func TestSilenceAfterARestartIsAsOldAsTheData(t *testing.T) {
	c := newCluster(t, Config{})
	heard := time.Now().Add(-time.Hour)
	prev := store.NewSnapshot(nil, []store.Source{{Cluster: "c", Name: SourceName, State: store.SourceRestored, Heard: heard}}, heard)
	c.goStale(syscall.ECONNREFUSED)
	touched := c.Observe(prev, nil, time.Now())
	if len(touched.Sources) != 1 {
		t.Fatalf("%d sources are news, want the one", len(touched.Sources))
	}
	if s := touched.Sources[0]; s.State != store.SourceStale || !s.Since.Equal(heard) || !s.Heard.Equal(heard) {
		t.Errorf("%s since %s, heard %s; want stale since %s", s.State, s.Since, s.Heard, heard)
	}
}
