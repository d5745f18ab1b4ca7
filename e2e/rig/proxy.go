package rig

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Proxy stands before the API server and can hold back the watches that are open, as a broken load balancer does: they stay open and
// say nothing, while everything else is answered.
type Proxy struct {
	// Kubeconfig names the proxy as the cluster.
	Kubeconfig string
	mu         sync.Mutex
	open       []*holdable
}

// StartProxy starts one; it ends with the test.
func StartProxy(t testing.TB, c *Cluster) *Proxy {
	t.Helper()
	upstream, err := url.Parse(c.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	rp := httputil.NewSingleHostReverseProxy(upstream)
	rp.FlushInterval = -1
	if rp.Transport, err = rest.TransportFor(c.Config); err != nil {
		t.Fatal(err)
	}
	rp.ModifyResponse = p.wrap
	srv := httptest.NewServer(rp)
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	t.Cleanup(p.Release)
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["c"] = &clientcmdapi.Cluster{Server: srv.URL}
	cfg.Contexts[c.Alias()] = &clientcmdapi.Context{Cluster: "c"}
	cfg.CurrentContext = c.Alias()
	if err := clientcmd.WriteToFile(*cfg, p.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	return p
}

// wrap makes the answer to a watch one that can be held back.
func (p *Proxy) wrap(r *http.Response) error {
	if w := r.Request.URL.Query().Get("watch"); w == "" || w == "false" || w == "0" {
		return nil
	}
	h := &holdable{ReadCloser: r.Body, held: make(chan struct{}), done: make(chan struct{})}
	close(h.held)
	r.Body = h
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, h)
	return nil
}

// Hold silences every watch that is open now. Those opened later speak.
func (p *Proxy) Hold() {
	p.each(func(h *holdable) { h.held = make(chan struct{}) })
}

// Release lets them speak again.
func (p *Proxy) Release() {
	p.each(func(h *holdable) {
		select {
		case <-h.held:
		default:
			close(h.held)
		}
	})
}

func (p *Proxy) each(f func(*holdable)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.open {
		h.mu.Lock()
		f(h)
		h.mu.Unlock()
	}
}

// holdable is the body of a watch. What was read while it was held is passed on when it is released.
type holdable struct {
	io.ReadCloser
	mu   sync.Mutex
	held chan struct{} // closed while the body may speak
	once sync.Once
	done chan struct{}
}

func (h *holdable) Read(b []byte) (int, error) {
	n, err := h.ReadCloser.Read(b)
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	select {
	case <-held:
	case <-h.done:
	}
	return n, err
}

func (h *holdable) Close() error {
	h.once.Do(func() { close(h.done) })
	return h.ReadCloser.Close()
}
