// Package fleet fills a cluster with runners: those of the fixtures beside
// this file, one folder a system, and as many more of their kind as asked.
package fleet

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

//go:embed */*.yaml
var fixtures embed.FS

// Size is how large a fleet is asked for. The zero Size is the standard fleet.
type Size struct {
	Runners int // in all, over the systems
	Pods    int // in all: the components' and, for the rest, workloads'
	Foreign int // pods besides, of applications that are no runners
}

// Flags declares the flags that set the size.
func (s *Size) Flags(flags *flag.FlagSet) {
	flags.IntVar(&s.Runners, "runners", 0, "runners in all, over the systems (0: the standard fleet)")
	flags.IntVar(&s.Pods, "pods", 0, "pods in all; what the components leave are workloads (0: three a runner)")
	flags.IntVar(&s.Foreign, "foreign", 0, "pods of ordinary applications besides")
}

// Given reports whether any size was asked for.
func (s *Size) Given() bool { return s.Runners > 0 || s.Pods > 0 || s.Foreign > 0 }

// Check refuses a size that cannot be.
func (s *Size) Check() error {
	if s.Runners < 0 || s.Pods < 0 || s.Foreign < 0 {
		return errors.New("--runners, --pods and --foreign count things: none can be negative")
	}
	if s.Pods > 0 && s.Runners == 0 {
		return errors.New("--pods needs --runners: how many runners share the pods")
	}
	return nil
}

// Nodes is how many nodes the fleet needs, with room for a roll-out.
func (s *Size) Nodes() int { return standardNodes + (s.Pods+s.Foreign)/podsPerNode }

// Command is "cluster fleet": it applies a fleet to the cluster of a kubeconfig.
func Command(ctx context.Context, args []string) error {
	var size Size
	var kubeconfig string
	flags := flag.NewFlagSet("cluster fleet", flag.ContinueOnError)
	flags.StringVar(&kubeconfig, "kubeconfig", "", "the cluster to fill")
	size.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if kubeconfig == "" || flags.NArg() > 0 {
		return errors.New("fleet: --kubeconfig FILE is required, and nothing but flags")
	}
	if err := size.Check(); err != nil {
		return err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	began := time.Now()
	return Seed(ctx, cfg, size, func(format string, args ...any) {
		fmt.Printf("%6.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	})
}

// Seed applies a fleet and returns when all of it is Ready. What is there already is left as it is.
func Seed(ctx context.Context, cfg *rest.Config, size Size, say func(string, ...any)) error {
	client, err := Client(cfg)
	if err != nil {
		return err
	}
	runners, err := plan(size)
	if err != nil {
		return err
	}
	if size.Given() {
		if err := ensureSimulated(ctx, client, size.Nodes()); err != nil {
			return err
		}
	}
	custom, err := newCustom(cfg)
	if err != nil {
		return err
	}
	seeder := &seeder{client: client, custom: custom, say: say}
	if err := seeder.seed(ctx, runners, size); err != nil {
		return fmt.Errorf("seeding the fleet: %w", err)
	}
	return seeder.report(ctx, runners)
}

// Client speaks protobuf without a limit on its rate: large fleets are thousands of objects.
func Client(cfg *rest.Config) (kubernetes.Interface, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to fill the cluster: %w", err)
	}
	return client, nil
}
