// Package incident makes things happen to the runners of a cluster, each by
// name, and undoes them.
//
// A broken release (an image, a configuration, an init container, a request no
// node can meet) goes into the workload's template, and the real controllers
// and the scheduler, with the Stages, do the rest. What befalls a running pod is
// written into its status as its kubelet would.
package incident

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"trackside/e2e/cluster/fleet"
)

// kind is one sort of incident.
type kind struct {
	name  string
	about string
	play  func(context.Context, *player, *subject) error
}

// kinds are all incidents, in the order "incident list" shows them: those that befall any runner, those of one system, and recovery.
func kinds() []kind {
	return slices.Concat(common(), kubiyaKinds(), agynKinds(), plueKinds(), releaseKinds(), ambientKinds(), arcKinds(), gitlabKinds(), buildkiteKinds(), []kind{{"recover", "undo every incident of the runner", recovery}})
}

func common() []kind {
	return []kind{
		{"image-pull", "a new release whose image cannot be pulled: ErrImagePull, then ImagePullBackOff", broken(badImage)},
		{"bad-config", "a new release that needs a Secret nobody made: CreateContainerConfigError", broken(badConfig)},
		{"init-retries", "a new release whose init container fails again and again", broken(badInit)},
		{"unschedulable", "a new release that asks for more than any node has: Unschedulable, by the real scheduler", broken(tooLarge)},
		{"crashloop", "the main container exits with 1 and restarts, up to CrashLoopBackOff", crashloop},
		{"oom", "the main container is killed for its memory (137) and restarts", oom},
		{"sidecar", "a container beside the main one crash-loops; the main one runs on", sidecar},
		{"evict", "the kubelet evicts a pod: phase Failed, reason Evicted", evict},
		{"probe-fail", "the pods' HTTP endpoint answers 503", probeFail},
		{"probe-slow", "the pods' HTTP endpoint answers after --delay", probeSlow},
		{"node-lost", "the node of the runner's pod is no longer heard of", nodeLost},
		{"rollout", "a new version of a component is rolled out, and works", rollout},
	}
}

// options are the flags of an incident.
type options struct {
	kubeconfig string
	runner     string
	component  string
	workload   string
	restarts   int
	now        bool
	all        bool
	step       time.Duration
	delay      time.Duration
	tag        string
	period     time.Duration
	seed       uint64
}

func (o *options) flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet("cluster incident "+name, flag.ContinueOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "the cluster it happens in")
	flags.StringVar(&o.runner, "runner", "", "the runner it happens to, as NAMESPACE/NAME")
	flags.StringVar(&o.component, "component", "", "the component (empty: the first by name)")
	flags.StringVar(&o.workload, "workload", "", "a workload's pod instead of a component: an existing one, a name for one more, or \"new\"")
	flags.IntVar(&o.restarts, "restarts", 5, "how often the failing container restarts")
	flags.BoolVar(&o.now, "now", false, "get to the end of it at once, without the steps in between")
	flags.BoolVar(&o.all, "all", false, "all pods of the component, not one")
	flags.DurationVar(&o.step, "step", 2*time.Second, "the time between two steps")
	flags.DurationVar(&o.delay, "delay", 8*time.Second, "how late a slow endpoint answers")
	flags.StringVar(&o.tag, "tag", "", "the tag to roll out (empty: the next)")
	flags.DurationVar(&o.period, "period", 20*time.Second, "loop: the time between an incident and its recovery, and to the next")
	flags.Uint64Var(&o.seed, "seed", 1, "loop: the seed of its choices")
	return flags
}

// Command is "cluster incident".
func Command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("incident: which one? \"cluster incident list\" names them")
	}
	name := args[0]
	if name == "list" {
		for _, k := range kinds() {
			fmt.Printf("%-20s %s\n", k.name, k.about)
		}
		return nil
	}
	var o options
	flags := o.flags(name)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if o.kubeconfig == "" || flags.NArg() > 0 {
		return fmt.Errorf("incident %s: --kubeconfig FILE is required, and nothing but flags", name)
	}
	p, err := newPlayer(o)
	if err != nil {
		return err
	}
	if name == "loop" {
		return p.loop(ctx)
	}
	return p.playNamed(ctx, name)
}

// player makes incidents happen in one cluster.
type player struct {
	options
	client kubernetes.Interface
	custom dynamic.Interface
}

func newPlayer(o options) (*player, error) {
	if o.now {
		o.step = 0
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.kubeconfig, err)
	}
	client, err := fleet.Client(cfg)
	if err != nil {
		return nil, err
	}
	custom, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting for custom resources: %w", err)
	}
	return &player{options: o, client: client, custom: custom}, nil
}

// say prints what was done.
func (p *player) say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (p *player) playNamed(ctx context.Context, name string) error {
	k, err := kindNamed(name)
	if err != nil {
		return err
	}
	s, err := p.find(ctx)
	if err != nil {
		return fmt.Errorf("incident %s: %w", name, err)
	}
	if err := k.play(ctx, p, s); err != nil {
		return fmt.Errorf("incident %s on %s: %w", name, p.runner, err)
	}
	return nil
}

func kindNamed(name string) (kind, error) {
	var names []string
	for _, k := range kinds() {
		if k.name == name {
			return k, nil
		}
		names = append(names, k.name)
	}
	return kind{}, fmt.Errorf("unknown incident %q: there are %s and loop", name, strings.Join(names, ", "))
}

// until calls done until it is true, for a quarter of a minute at most.
func until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	for range 150 {
		ok, err := done(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("waiting for %s: it has not come to that in 15 s", what)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
