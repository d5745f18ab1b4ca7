package control

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// detachedVariable marks the supervisor that a detaching "up" leaves behind.
const detachedVariable = "TRACKSIDE_CLUSTER_DETACHED"

// detach starts the same command in a session of its own and returns when the
// cluster is ready. What the supervisor prints meanwhile is shown here too.
func detach(ctx context.Context, dir string, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	path := filepath.Join(dir, "up.log")
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("opening the supervisor's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{"up"}, attached(args)...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), detachedVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = os.Remove(filepath.Join(dir, readyFile))
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return follow(ctx, cmd.Process, ended, path, filepath.Join(dir, readyFile))
}

// attached is a command line without its --detach.
func attached(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return strings.HasPrefix(arg, "-") && name == "detach"
	})
}

// follow copies the supervisor's log to our own output until the cluster is ready or the supervisor ends.
func follow(ctx context.Context, supervisor *os.Process, ended <-chan error, log, ready string) error {
	text, err := os.Open(log)
	if err != nil {
		return fmt.Errorf("following the supervisor: %w", err)
	}
	defer text.Close()
	for {
		_, statErr := os.Stat(ready) // before the copy: what was printed until then is shown
		_, _ = io.Copy(os.Stdout, text)
		if statErr == nil {
			return nil
		}
		select {
		case err := <-ended:
			_, _ = io.Copy(os.Stdout, text)
			return fmt.Errorf("the supervisor ended before the cluster was ready: %v", err)
		case <-ctx.Done():
			_ = supervisor.Signal(syscall.SIGTERM)
			return fmt.Errorf("starting the cluster: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// endWithParent ends an attached cluster when the process that started it is
// gone. The kernel's own signal for this is bound to a thread of the parent,
// which in Go may end long before the parent does.
func endWithParent(ctx context.Context, stop context.CancelFunc) {
	parent := os.Getppid()
	for ctx.Err() == nil {
		if os.Getppid() != parent {
			stop()
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}
