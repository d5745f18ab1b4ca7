// Package rig starts the real parts that the end-to-end tests and the benchmarks run against: a Kubernetes control plane, the
// board's own binary, and Chromium. Nothing in it is a stand-in.
package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is a control plane of our own on loopback.
type Cluster struct {
	Dir, Kubeconfig string
	Client          kubernetes.Interface
	Config          *rest.Config
	binary          string
}

// StartCluster starts a control plane; args are those of "cluster up", such as --fleet. The caller ends it with Stop.
func StartCluster(args ...string) (*Cluster, error) {
	binary := os.Getenv("CLUSTER")
	if binary == "" {
		return nil, fmt.Errorf("CLUSTER must name the control plane's binary: run this through make e2e or make bench")
	}
	dir, err := os.MkdirTemp("", "ts-e2e-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"), binary: binary}
	if err := c.start(args); err != nil {
		c.Stop() // some of it may run
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(args []string) error {
	out, err := c.run(append([]string{"up", "--dir", c.Dir, "--detach"}, args...)...)
	if err != nil {
		return fmt.Errorf("starting the control plane: %w\n%s", err, out)
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return err
	}
	c.Config.QPS, c.Config.Burst = 1000, 2000
	c.Client, err = kubernetes.NewForConfig(c.Config)
	return err
}

// Stop ends the control plane and removes its data.
func (c *Cluster) Stop() {
	_, _ = c.run("down", "--dir", c.Dir)
	_ = os.RemoveAll(c.Dir)
}

func (c *Cluster) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, c.binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.String(), err
}

// Incident makes something happen to a runner: see "cluster incident list".
func (c *Cluster) Incident(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := c.Play(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Play is Incident for a goroutine beside the test's own.
func (c *Cluster) Play(name string, args ...string) (string, error) {
	out, err := c.run(append([]string{"incident", name, "--kubeconfig", c.Kubeconfig}, args...)...)
	if err != nil {
		return out, fmt.Errorf("incident %s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return out, nil
}

// Alias is the name a board gives the cluster when none is asked for: the kubeconfig's current context.
func (c *Cluster) Alias() string {
	raw, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		return ""
	}
	return raw.CurrentContext
}

// Do is "cluster restart|stop|start|freeze|thaw COMPONENT".
func (c *Cluster) Do(t testing.TB, verb, component string) {
	t.Helper()
	if out, err := c.run(verb, component, "--dir", c.Dir); err != nil {
		t.Fatalf("cluster %s %s: %v\n%s", verb, component, err, out)
	}
}

// Token writes a kubeconfig that holds a ServiceAccount's token, and returns its path.
func (c *Cluster) Token(t testing.TB, serviceAccount string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if out, err := c.run("token", "--dir", c.Dir, "--serviceaccount", serviceAccount, "--out", file); err != nil {
		t.Fatalf("cluster token %s: %v\n%s", serviceAccount, err, out)
	}
	return file
}

// Kubectl runs kubectl against the cluster.
func (c *Cluster) Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig", c.Kubeconfig}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
