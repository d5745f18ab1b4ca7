package control

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"trackside/e2e/cluster/fleet"
)

// upOptions are the flags of "cluster up".
type upOptions struct {
	dir    string
	port   int
	nodes  int
	detach bool
	fleet  bool
	size   fleet.Size
}

func parseUp(args []string) (upOptions, error) {
	var o upOptions
	flags := flag.NewFlagSet("cluster up", flag.ContinueOnError)
	dirFlag(flags, &o.dir)
	flags.IntVar(&o.port, "port", 0, "the API server's port on 127.0.0.1 (0: a free one)")
	flags.IntVar(&o.nodes, "nodes", 0, "nodes to create (0: as many as the fleet needs)")
	flags.BoolVar(&o.detach, "detach", false, "return once the cluster is ready and leave it running")
	flags.BoolVar(&o.fleet, "fleet", false, "seed the standard fleet")
	o.size.Flags(flags)
	if err := parseFlags(flags, args); err != nil {
		return o, err
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return o, fmt.Errorf("finding the folder %s: %w", o.dir, err)
	}
	o.dir = dir
	o.fleet = o.fleet || o.size.Given()
	return o, o.size.Check()
}

// Up starts a cluster. Attached, it stays until it is told to end or its
// parent is gone; with --detach it returns when the cluster is ready.
func Up(ctx context.Context, args []string) error {
	o, err := parseUp(args)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("making the cluster's folder: %w", err)
	}
	old, err := readState(o.dir)
	switch {
	case err == nil:
		fmt.Printf("A cluster is already running in %s (pid %d).\nNext: export KUBECONFIG=%s\n", o.dir, old.PID, old.Kubeconfig)
		return nil
	case !errors.Is(err, errNotRunning):
		return err
	}
	clean(o.dir, old)
	if o.detach {
		return detach(ctx, o.dir, args)
	}
	return newLaunch(o).run(ctx)
}

// launch is one start of a cluster.
type launch struct {
	upOptions
	began time.Time
}

func newLaunch(o upOptions) *launch { return &launch{upOptions: o, began: time.Now()} }

// say prints a line of progress with the time it took to get there.
func (u *launch) say(format string, args ...any) {
	fmt.Printf("%6.1f s  %s\n", time.Since(u.began).Seconds(), fmt.Sprintf(format, args...))
}

// run starts the cluster, keeps it until ctx ends, and removes what must not outlive it.
func (u *launch) run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if os.Getenv(detachedVariable) == "" {
		go endWithParent(ctx, stop)
	}
	l, s, err := u.prepare()
	if err != nil {
		return err
	}
	defer clean(u.dir, s)
	cfg, client, err := connect(l.path("supervisor.kubeconfig"))
	if err != nil {
		return err
	}
	v := newSupervisor(l, s, client, u.say)
	v.down = stop
	defer func() { err = errors.Join(err, v.stopAll()) }()
	if err := u.bringUp(ctx, v, cfg); err != nil {
		if ctx.Err() != nil {
			return nil // told to end while starting: that is no failure
		}
		return fmt.Errorf("%w (logs are in %s)", err, l.path("logs"))
	}
	if err := os.WriteFile(l.path(readyFile), []byte(s.Kubeconfig+"\n"), 0o644); err != nil {
		return fmt.Errorf("marking the cluster ready: %w", err)
	}
	<-ctx.Done()
	u.say("stopping")
	return nil
}

const readyFile = "ready"

// prepare lays out a fresh folder: ports, sockets, keys and configurations.
func (u *launch) prepare() (layout, State, error) {
	l, s := layout{dir: u.dir}, State{PID: os.Getpid(), Port: u.port, Kubeconfig: filepath.Join(u.dir, "kubeconfig")}
	var err error
	for _, old := range []string{"etcd", "pki", "logs", "kwok-home", readyFile} {
		err = errors.Join(err, os.RemoveAll(l.path(old)))
	}
	for _, dir := range []string{"pki", "logs"} {
		err = errors.Join(err, os.MkdirAll(l.path(dir), 0o755))
	}
	if err != nil {
		return l, s, fmt.Errorf("making room in %s: %w", u.dir, err)
	}
	if l.sockets, err = os.MkdirTemp("", "tsc"); err != nil {
		return l, s, fmt.Errorf("making a folder for sockets: %w", err)
	}
	s.Sockets, s.Control, s.Podnet = l.sockets, l.socket("control"), l.socket("podnet")
	if s.Port == 0 {
		if s.Port, err = freePort(); err != nil {
			return l, s, err
		}
	}
	if s.Kubelet, err = freePort(); err != nil {
		return l, s, err
	}
	s.Server = fmt.Sprintf("https://127.0.0.1:%d", s.Port)
	if err := writeKeys(l, s.Server); err != nil {
		return l, s, err
	}
	return l, s, writeConfigs(l, s)
}

func connect(kubeconfig string) (*rest.Config, kubernetes.Interface, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	cfg.QPS, cfg.Burst = -1, 0 // no limit: the API server is ours alone
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	return cfg, client, nil
}

// bringUp starts the components in order, and fills the cluster.
func (u *launch) bringUp(ctx context.Context, v *supervisor, cfg *rest.Config) error {
	v.net = &podnet{socket: v.state.Podnet, kubelet: fmt.Sprintf("127.0.0.1:%d", v.state.Kubelet)}
	if err := v.net.start(ctx, v.client); err != nil {
		return err
	}
	if err := v.serve(ctx); err != nil {
		return err
	}
	if err := v.state.write(v.layout); err != nil {
		return err
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := u.start(v, name); err != nil {
			return err
		}
	}
	if err := v.ready(ctx); err != nil {
		return err
	}
	u.say("the API server is ready at %s", v.state.Server)
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		if err := u.start(v, name); err != nil {
			return err
		}
	}
	if err := installCRDs(ctx, cfg); err != nil {
		return err
	}
	if err := u.start(v, "kwok"); err != nil {
		return err
	}
	return u.fill(ctx, v, cfg)
}

func (u *launch) start(v *supervisor, name string) error {
	if err := v.parts[name].start(); err != nil {
		return err
	}
	_, pid := v.parts[name].is()
	u.say("%s started (pid %d)", name, pid)
	return nil
}

// fill creates the nodes and, where asked, the fleet.
func (u *launch) fill(ctx context.Context, v *supervisor, cfg *rest.Config) error {
	nodes := u.nodes
	if nodes == 0 {
		nodes = u.size.Nodes()
	}
	if err := fleet.EnsureNodes(ctx, v.client, nodes); err != nil {
		return err
	}
	if err := waitForNodes(ctx, v.client); err != nil {
		return err
	}
	u.say("%d nodes are Ready", nodes)
	if u.fleet {
		if err := fleet.Seed(ctx, cfg, u.size, u.say); err != nil {
			return err
		}
	}
	u.say("Next: export KUBECONFIG=%s and look with \"kubectl get pods -A\"; \"cluster down --dir %s\" ends it.", v.state.Kubeconfig, u.dir)
	return nil
}
