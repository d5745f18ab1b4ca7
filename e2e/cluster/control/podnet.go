package control

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"trackside/e2e/cluster/stages"
)

// podnet is the simulated pod network: an HTTP CONNECT proxy on a unix socket
// through which the API server (by its egress selector), and any client that
// cares to, reaches pods, services and kubelets. It finds the Running pod that
// owns an address and answers as that pod's annotations say:
//
//	sim.trackside.dev/backend: "127.0.0.1:18080"       every port goes to that server
//	sim.trackside.dev/backend-8080: "127.0.0.1:18080"  one port does
//	sim.trackside.dev/http: "200 ok"                   every request gets this status and body
//	sim.trackside.dev/http-delay: "3s"                 after this long
//
// A pod with neither a backend nor an answer refuses the connection.
type podnet struct {
	socket  string
	kubelet string          // the address all nodes' addresses lead to
	ctx     context.Context // ends with the cluster

	mu   sync.Mutex
	pods cache.Indexer
	stop context.CancelFunc // ends the following of pods
}

const byAddress = "address"

// dialTimeout bounds a connection to a backend; both ends are on this machine.
const dialTimeout = 5 * time.Second

// start listens on the socket and follows the pods until ctx ends.
func (p *podnet) start(ctx context.Context, client kubernetes.Interface) error {
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		return fmt.Errorf("listening for the simulated pod network: %w", err)
	}
	p.ctx = ctx
	if err := p.follow(client); err != nil {
		return err
	}
	go func() { <-ctx.Done(); listener.Close() }()
	go p.accept(listener)
	return nil
}

// follow watches the pods anew. Until the first list is there, what was known before holds.
func (p *podnet) follow(client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	if err := watchAddresses(informer); err != nil {
		return fmt.Errorf("preparing the simulated pod network: %w", err)
	}
	ctx, stop := context.WithCancel(p.ctx)
	factory.Start(ctx.Done())
	go func() {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stop != nil {
			p.stop()
		}
		p.pods, p.stop = informer.GetIndexer(), stop
	}()
	return nil
}

// at are the pods with an address; none while no pods are known.
func (p *podnet) at(host string) ([]any, error) {
	p.mu.Lock()
	pods := p.pods
	p.mu.Unlock()
	if pods == nil {
		return nil, nil
	}
	return pods.ByIndex(byAddress, host)
}

func watchAddresses(informer cache.SharedIndexInformer) error {
	if err := informer.SetTransform(addressOnly); err != nil {
		return err
	}
	// Until the API server is up, and whenever it is down, there is nobody to tell.
	if err := informer.SetWatchErrorHandler(func(*cache.Reflector, error) {}); err != nil {
		return err
	}
	return informer.AddIndexers(cache.Indexers{byAddress: func(o any) ([]string, error) {
		return []string{o.(*corev1.Pod).Status.PodIP}, nil
	}})
}

// addressOnly keeps of a pod what an answer needs; thousands of them are held.
func addressOnly(o any) (any, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	kept := &corev1.Pod{}
	kept.Name, kept.Namespace, kept.UID, kept.ResourceVersion = pod.Name, pod.Namespace, pod.UID, pod.ResourceVersion
	for key, value := range pod.Annotations {
		if strings.HasPrefix(key, stages.Prefix) {
			if kept.Annotations == nil {
				kept.Annotations = map[string]string{}
			}
			kept.Annotations[key] = value
		}
	}
	kept.Status.PodIP, kept.Status.Phase = pod.Status.PodIP, pod.Status.Phase
	return kept, nil
}

func (p *podnet) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // the listener is closed when the cluster ends
		}
		go p.serve(conn)
	}
}

func (p *podnet) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		return
	}
	host, port, err := net.SplitHostPort(request.Host)
	if err != nil {
		return
	}
	peer, err := p.dial(host, port)
	if err != nil {
		text := strings.ReplaceAll(err.Error(), "\n", " ")
		fmt.Fprintf(conn, "HTTP/1.1 502 %s\r\nContent-Length: 0\r\n\r\n", text)
		return
	}
	defer peer.Close()
	fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(peer, reader); closeWrite(peer) }()
	_, _ = io.Copy(conn, peer)
}

// closeWrite passes on that one side has finished, where the connection can say so.
func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	conn.Close() // a pipe has no half: its other end must not wait for ever
}

func (p *podnet) dial(host, port string) (net.Conn, error) {
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return net.DialTimeout("tcp", net.JoinHostPort(host, port), dialTimeout)
	}
	if strings.HasPrefix(host, nodeNetwork) {
		return net.DialTimeout("tcp", p.kubelet, dialTimeout)
	}
	pods, err := p.at(host)
	if err != nil {
		return nil, fmt.Errorf("looking up the pod at %s: %w", host, err)
	}
	for _, o := range pods {
		pod := o.(*corev1.Pod)
		if pod.Status.Phase == corev1.PodRunning { // addresses are reused as soon as a pod ends
			return answer(pod.Annotations, host, port)
		}
	}
	return nil, refused(host, port)
}

// answer connects to what a pod's annotations put behind one of its ports.
func answer(annotations map[string]string, host, port string) (net.Conn, error) {
	for _, key := range []string{stages.Backend + "-" + port, stages.Backend} {
		if backend := annotations[key]; backend != "" {
			return net.DialTimeout("tcp", backend, dialTimeout)
		}
	}
	response := annotations[stages.HTTP]
	if response == "" {
		return nil, refused(host, port)
	}
	delay, err := time.ParseDuration(annotations[stages.HTTPDelay])
	if err != nil {
		delay = 0 // absent, or not a duration: no delay
	}
	return builtin(response, delay), nil
}

func refused(host, port string) error {
	return fmt.Errorf("dial tcp %s: connect: connection refused", net.JoinHostPort(host, port))
}

// builtin is one end of a pipe whose other end answers one request. It closes
// then: on a connection kept alive the next answer would be as old as the connection.
func builtin(response string, delay time.Duration) net.Conn {
	client, server := net.Pipe()
	number, body, _ := strings.Cut(response, " ")
	status, err := strconv.Atoi(number)
	if err != nil {
		status, body = http.StatusInternalServerError, "not an answer: "+response
	}
	go func() {
		defer server.Close()
		request, err := http.ReadRequest(bufio.NewReader(server))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		time.Sleep(delay)
		fmt.Fprintf(server, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s",
			status, http.StatusText(status), len(body), body)
	}()
	return client
}
