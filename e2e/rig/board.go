package rig

import (
	"context"
	"fmt"
	"io"
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
	env             []string
	cmd             *exec.Cmd
	log             *logBuffer
}

// StartBoard starts trackside on free ports against a kubeconfig; more flags may follow. It is stopped with the test.
func StartBoard(t testing.TB, kubeconfig string, flags ...string) *Board {
	t.Helper()
	board, metrics := freeAddr(t), freeAddr(t)
	b := &Board{URL: "http://" + board, MetricsURL: "http://" + metrics, Data: filepath.Join(t.TempDir(), "trackside.db")}
	b.args = append([]string{"serve", "--kubeconfig", kubeconfig, "--listen", board, "--metrics-listen", metrics, "--data", b.Data, "--log-level", "debug"}, flags...)
	for _, f := range flags {
		if strings.HasPrefix(f, "--tls-cert") {
			b.URL = "https://" + board
		}
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

// Start starts the program, again after Kill or Stop, and waits until it is ready.
func (b *Board) Start(t testing.TB) {
	t.Helper()
	binary := os.Getenv("TRACKSIDE")
	if binary == "" {
		t.Fatal("TRACKSIDE must name the program: run this through make e2e or make bench")
	}
	if b.log == nil {
		b.log = &logBuffer{}
	}
	b.cmd = exec.CommandContext(context.Background(), binary, b.args...)
	b.cmd.Env = append(os.Environ(), b.env...)
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("starting trackside: %v", err)
	}
	Eventually(t, 30*time.Second, "trackside is ready", func() error {
		_, err := Get(b.MetricsURL + "/readyz")
		return err
	})
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

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener of a moment
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
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
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s, but not: %s: %v", limit, what, err)
		}
		<-ticker.C
	}
}
