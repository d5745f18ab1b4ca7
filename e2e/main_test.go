// Package e2e tests the board as its users have it: the shipped binary, in Chromium, on a real Kubernetes control plane.
package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"trackside/e2e/rig"
)

// What the tests of the package share: a cluster with the standard fleet, a board of all of it, and a browser. Each test brings its
// own runners, and its own cluster where it breaks what others stand on.
var (
	cluster *rig.Cluster
	board   *rig.Board
	browser *rig.Browser
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if shots := os.Getenv("SHOTS"); shots != "" {
		if err := os.MkdirAll(shots, 0o755); err != nil {
			return fail(err)
		}
	}
	dir, err := os.MkdirTemp("", "ts-board-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if browser, err = rig.StartBrowser(); err != nil {
		return fail(err)
	}
	defer browser.Stop()
	if cluster, err = rig.StartCluster("--fleet"); err != nil {
		return fail(err)
	}
	defer cluster.Stop()
	if board, err = rig.NewBoard(dir, cluster.Kubeconfig); err != nil {
		return fail(err)
	}
	if err = board.Launch(); err != nil {
		return fail(err)
	}
	defer board.Kill()
	return m.Run()
}

// shared is the board that all tests share; when the test fails, the end of its log is told.
func shared(t *testing.T) *rig.Board {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			lines := strings.Split(board.Log(), "\n")
			t.Logf("the shared board said last:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	return board
}

// ownCluster is a control plane for one test, to be broken by it.
func ownCluster(t *testing.T, args ...string) *rig.Cluster {
	t.Helper()
	c, err := rig.StartCluster(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}
