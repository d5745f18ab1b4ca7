// Command cluster is a real Kubernetes control plane on loopback, the fleet of
// runners that lives in it, and the incidents that happen to that fleet.
//
// It is one binary of many parts: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and kwok are the same executable,
// started under their own names by "cluster up".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"trackside/e2e/cluster/control"
	"trackside/e2e/cluster/fleet"
	"trackside/e2e/cluster/incident"
)

const usage = `cluster runs a real Kubernetes control plane on loopback, with a fleet of runners in it.

  cluster up       --dir DIR [--port P] [--nodes N] [--detach] [--fleet] [--runners N --pods M] [--foreign K]
  cluster down     --dir DIR
  cluster status   --dir DIR
  cluster restart|stop|start|freeze|thaw COMPONENT --dir DIR
                   COMPONENT: etcd kube-apiserver kube-controller-manager kube-scheduler kwok
  cluster token    --dir DIR --serviceaccount NAMESPACE/NAME --out FILE
  cluster fleet    --kubeconfig FILE [--runners N --pods M] [--foreign K]
  cluster incident list
  cluster incident NAME --kubeconfig FILE --runner NAMESPACE/NAME [--component C] [--workload POD] [--now]
  cluster incident loop --kubeconfig FILE [--period 20s] [--seed S]

"cluster COMMAND --help" lists a command's flags.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	if run, ok := parts[name]; ok {
		os.Args = append([]string{name}, args...) // the parts read their flags from os.Args
		os.Exit(run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command(ctx, name, args)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "cluster: %v\n\n%s", err, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("unknown command")

func command(ctx context.Context, name string, args []string) error {
	switch name {
	case "up":
		return control.Up(ctx, args)
	case "down":
		return control.Down(args)
	case "status":
		return control.PrintStatus(args)
	case "restart", "stop", "start", "freeze", "thaw":
		return control.Operate(name, args)
	case "token":
		return control.Token(ctx, args)
	case "fleet":
		return fleet.Command(ctx, args)
	case "incident":
		return incident.Command(ctx, args)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	return fmt.Errorf("%w %q", errUsage, name)
}
