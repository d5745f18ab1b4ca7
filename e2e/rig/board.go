package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Board is a running trackside, the very binary that is shipped.
type Board struct {
	URL, MetricsURL string
	Data            string
	args            []string
	cmd             *exec.Cmd
	log             *logBuffer
}

// StartBoard starts trackside on free ports against a kubeconfig; more flags may follow. It is stopped with the test.
func StartBoard(t testing.TB, kubeconfig string, flags ...string) *Board {
	t.Helper()
	b, err := NewBoard(t.TempDir(), kubeconfig, flags...)
	if err != nil {
		t.Fatal(err)
	}
	b.Start(t)
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			t.Logf("trackside said:\n%s", b.Log())
		}
	})
	return b
}

// NewBoard prepares a board that keeps its data in a folder; Launch starts it. Whoever outlives one test uses it.
func NewBoard(dir, kubeconfig string, flags ...string) (*Board, error) {
	board, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	metrics, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	b := &Board{URL: "http://" + board, MetricsURL: "http://" + metrics, Data: filepath.Join(dir, "trackside.db"), log: &logBuffer{}}
	b.args = append([]string{"serve", "--kubeconfig", kubeconfig, "--listen", board, "--metrics-listen", metrics, "--data", b.Data, "--log-level", "debug"}, flags...)
	for _, f := range flags {
		if strings.HasPrefix(f, "--tls-cert") {
			b.URL = "https://" + board
		}
	}
	return b, nil
}

// Start starts the program, again after Kill or Stop, and waits until it is ready.
func (b *Board) Start(t testing.TB) {
	t.Helper()
	if err := b.Launch(); err != nil {
		t.Fatal(err)
	}
}

// Launch is Start for whoever has no test at hand.
func (b *Board) Launch() error {
	binary, err := program()
	if err != nil {
		return err
	}
	b.cmd = exec.CommandContext(context.Background(), binary, b.args...)
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("starting trackside: %w", err)
	}
	err = within(30*time.Second, func() error {
		_, err := Get(b.MetricsURL + "/readyz")
		return err
	})
	if err != nil {
		return fmt.Errorf("trackside is not ready: %w\n%s", err, b.Log())
	}
	return nil
}

// program is the binary that is tested.
func program() (string, error) {
	if binary := os.Getenv("TRACKSIDE"); binary != "" {
		return binary, nil
	}
	return "", errors.New("TRACKSIDE must name the program: run this through make e2e or make bench")
}

// Trackside runs the program to its end, with these variables and no others of its own, and returns what it wrote and its exit code.
func Trackside(t testing.TB, env []string, args ...string) (out string, code int) {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = env
	b, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("trackside %s does not end:\n%s", strings.Join(args, " "), b)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// Kill ends the program as a crash would, with SIGKILL.
func (b *Board) Kill() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

// Stop asks the program to end and returns how long it took.
func (b *Board) Stop(t testing.TB) time.Duration {
	t.Helper()
	start := time.Now()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Wait(); err != nil {
		t.Fatalf("trackside ended with %v\n%s", err, b.Log())
	}
	return time.Since(start)
}

// PID is the program's process.
func (b *Board) PID() int { return b.cmd.Process.Pid }

// Log is what the program has written so far.
func (b *Board) Log() string { return b.log.String() }

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// FreeAddr is an address on loopback that nothing listens to. Its port lies below those that Linux lends to outgoing connections
// (net.ipv4.ip_local_port_range, 32768 and up), or one of them could have it before the server it is meant for.
func FreeAddr() (string, error) {
	var err error
	for range 100 {
		var l net.Listener
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000))) //nolint:noctx // a listener of a moment
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("looking for a free port: %w", err)
}

// Get fetches a URL; any status but 200 is an error.
func Get(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url) //nolint:noctx // bounded by the client's timeout
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, resp.Status, body)
	}
	return string(body), err
}

// Eventually calls f until it succeeds, and fails the test when it has not within the limit.
func Eventually(t testing.TB, limit time.Duration, what string, f func() error) {
	t.Helper()
	if err := within(limit, f); err != nil {
		t.Fatalf("waited %s, but not: %s: %v", limit, what, err)
	}
}

// within calls f until it succeeds; what it returned last, when it has not within the limit.
func within(limit time.Duration, f func() error) error {
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-ticker.C
	}
}
