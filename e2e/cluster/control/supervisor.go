package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// supervisor owns the components of one cluster and answers on its control socket.
type supervisor struct {
	layout layout
	state  State
	client kubernetes.Interface
	net    *podnet
	parts  map[string]*component
	down   context.CancelFunc
}

// Status is what "cluster status" prints.
type Status struct {
	State
	Components map[string]ComponentStatus `json:"components"`
}

// ComponentStatus is one process of a cluster.
type ComponentStatus struct {
	PID   int    `json:"pid,omitempty"`
	State string `json:"state"`
	Port  int    `json:"port,omitempty"`
	Log   string `json:"log"`
}

func newSupervisor(l layout, s State, client kubernetes.Interface, tell func(string, ...any)) *supervisor {
	v := &supervisor{layout: l, state: s, client: client, parts: map[string]*component{}}
	spawn := newSpawner()
	// kwok would read a configuration from the user's home before its own.
	env := append(os.Environ(), "KWOK_WORKDIR="+l.path("kwok-home"))
	for name, args := range arguments(l, s) {
		v.parts[name] = &component{
			name: name, args: args, env: env, dir: l.dir, spawn: spawn, tell: tell, state: stopped,
			log: l.path("logs", name+".log"),
		}
	}
	return v
}

func (v *supervisor) status() Status {
	out := Status{State: v.state, Components: map[string]ComponentStatus{}}
	ports := map[string]int{"kube-apiserver": v.state.Port, "kwok": v.state.Kubelet}
	for name, part := range v.parts {
		state, pid := part.is()
		out.Components[name] = ComponentStatus{PID: pid, State: state, Port: ports[name], Log: part.log}
	}
	return out
}

// stopAll kills every component, those first that others do not need.
func (v *supervisor) stopAll() error {
	var errs []error
	for i := len(components) - 1; i >= 0; i-- {
		errs = append(errs, v.parts[components[i]].stop())
	}
	return errors.Join(errs...)
}

// operate does one verb to one component and returns when it is done.
func (v *supervisor) operate(ctx context.Context, verb, name string) error {
	part := v.parts[name]
	if part == nil {
		return fmt.Errorf("unknown component %q: there are %v", name, components)
	}
	outage := part.outage()
	if err := v.do(ctx, verb, part); err != nil {
		return err
	}
	if outage < patience || (name != "etcd" && name != "kube-apiserver") {
		return nil
	}
	if state, _ := part.is(); state != running {
		return nil
	}
	return v.refresh(ctx)
}

// patience is how long an outage may last before those who lived through it
// are started anew. They survive any, but they come to ask as seldom as twice
// a minute, and a test would wait for them.
const patience = 5 * time.Second

// refresh starts the API server's clients anew, and follows the pods anew.
func (v *supervisor) refresh(ctx context.Context) error {
	if err := v.ready(ctx); err != nil {
		return err
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kwok"} {
		part := v.parts[name]
		if state, _ := part.is(); state != running {
			continue
		}
		if err := errors.Join(part.stop(), v.start(ctx, part)); err != nil {
			return fmt.Errorf("after the outage: %w", err)
		}
	}
	return v.net.follow(v.client)
}

// start starts a component. A new kwok has a name of its own and would leave the nodes alone until the leases of the one before have
// run out, 40 s later, so those go first. Without an API server to ask there is nothing to release yet.
func (v *supervisor) start(ctx context.Context, part *component) error {
	if part.name == "kwok" {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_ = v.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	}
	return part.start()
}

func (v *supervisor) do(ctx context.Context, verb string, part *component) error {
	switch verb {
	case "stop":
		return part.stop()
	case "start":
		return v.startAndWait(ctx, part)
	case "restart":
		if err := part.stop(); err != nil {
			return err
		}
		return v.startAndWait(ctx, part)
	case "freeze":
		return part.freeze()
	case "thaw":
		return part.thaw()
	}
	return fmt.Errorf("unknown verb %q", verb)
}

// startAndWait starts a component and waits until it serves: the API server by
// its readiness, etcd by the API server's, if that runs.
func (v *supervisor) startAndWait(ctx context.Context, part *component) error {
	if part.name == "etcd" {
		_ = os.Remove(v.layout.socket("etcd")) // a killed etcd leaves it behind
	}
	if err := v.start(ctx, part); err != nil {
		return err
	}
	if part.name == "etcd" {
		if err := v.listening(ctx, part); err != nil {
			return err
		}
	}
	server, _ := v.parts["kube-apiserver"].is()
	if (part.name == "kube-apiserver" || part.name == "etcd") && server == running {
		if err := v.ready(ctx); err != nil {
			return fmt.Errorf("starting %s: %w", part.name, err)
		}
	}
	if state, _ := part.is(); state != running {
		return fmt.Errorf("starting %s: it ended at once; see %s", part.name, part.log)
	}
	return nil
}

// listening waits until etcd takes connections: the API server's readiness
// rests on an answer it may have had from the etcd before.
func (v *supervisor) listening(ctx context.Context, part *component) error {
	return poll(ctx, time.Minute, "etcd", func(context.Context) error {
		if state, _ := part.is(); state == stopped {
			return fatal(fmt.Errorf("etcd has ended; see %s", part.log))
		}
		conn, err := net.Dial("unix", v.layout.socket("etcd"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// ready waits for the API server's /readyz, and stops early when the API server or etcd has ended.
func (v *supervisor) ready(ctx context.Context) error {
	return poll(ctx, time.Minute, "the API server's /readyz", func(ctx context.Context) error {
		for _, name := range []string{"etcd", "kube-apiserver"} {
			if state, _ := v.parts[name].is(); state == stopped {
				return fatal(fmt.Errorf("%s has ended; see %s", name, v.parts[name].log))
			}
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a frozen etcd never answers
		defer cancel()
		return v.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// serve answers on the control socket until ctx ends.
func (v *supervisor) serve(ctx context.Context) error {
	listener, err := net.Listen("unix", v.state.Control)
	if err != nil {
		return fmt.Errorf("listening on the control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(v.status())
	})
	mux.HandleFunc("POST /down", func(http.ResponseWriter, *http.Request) { v.down() })
	mux.HandleFunc("POST /{verb}/{component}", func(w http.ResponseWriter, r *http.Request) {
		if err := v.operate(r.Context(), r.PathValue("verb"), r.PathValue("component")); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	server := &http.Server{Handler: mux}
	go func() { <-ctx.Done(); _ = server.Close() }()
	go func() { _ = server.Serve(listener) }() // ends with ctx, by Close
	return nil
}
