package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The provider's people. Ada is in the groups platform and everyone, Bob in everyone; both have one password.
const (
	Ada              = "test-user@localhost"
	AdaMail          = "test-user@zitadel.ch"
	Bob              = "test-user2"
	BobMail          = "test-user2@zitadel.ch"
	ProviderPassword = "verysecure"
)

// Provider is a running OpenID provider, of the module e2e/provider.
type Provider struct {
	// Issuer is its address, SecretFile holds the secret of its client "trackside".
	Issuer, SecretFile string
	binary, listen     string
	redirect           string
	cmd                *exec.Cmd
}

// NewProvider builds a provider that sends people back to a board; Start starts it.
func NewProvider(t testing.TB, b *Board) *Provider {
	t.Helper()
	dir := t.TempDir()
	p := &Provider{binary: os.Getenv("PROVIDER"), SecretFile: filepath.Join(dir, "secret"), redirect: b.URL + "/signin/callback"}
	if p.binary == "" {
		p.binary = filepath.Join(dir, "provider")
		build := exec.CommandContext(t.Context(), "go", "build", "-C", "provider", "-o", p.binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building the provider: %v\n%s", err, out)
		}
	}
	if err := os.WriteFile(p.SecretFile, []byte("the board's secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.listen, err = FreeAddr(); err != nil {
		t.Fatal(err)
	}
	p.Issuer = "http://localhost" + p.listen[len("127.0.0.1"):] + "/"
	return p
}

// Start starts it and waits until it answers.
func (p *Provider) Start(t testing.TB) {
	t.Helper()
	p.cmd = exec.CommandContext(context.Background(), p.binary, "--listen", p.listen, "--redirect", p.redirect) //nolint:gosec // the binary that was just built
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	Eventually(t, 20*time.Second, "the provider answers", func() error {
		_, err := Get(p.Issuer + ".well-known/openid-configuration")
		return err
	})
}

// Flags are those of a board whose people sign in there: Ada as an operator, everybody as a viewer.
func (p *Provider) Flags(b *Board) []string {
	return []string{"--public-url", b.URL, "--oidc-issuer", p.Issuer, "--oidc-client-id", "trackside", "--oidc-client-secret-file", p.SecretFile, "--oidc-name", "the test's provider",
		"--oidc-role", "operator=platform", "--oidc-role", "viewer=everyone"}
}

// More adds flags to a board that is not started yet.
func (b *Board) More(flags ...string) { b.args = append(b.args, flags...) }

// AddUser adds a user by the program's own command, while the board may be running.
func (b *Board) AddUser(t testing.TB, name, role, password string) {
	t.Helper()
	b.user(t, password, "add", name, "--role", role)
}

// RemoveUser removes one.
func (b *Board) RemoveUser(t testing.TB, name string) { t.Helper(); b.user(t, "", "remove", name) }

func (b *Board) user(t testing.TB, input string, args ...string) {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, append(append([]string{"user"}, args...), "--data", b.Data)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = fmt.Fprintln(in, input); _ = in.Close() }()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("trackside user %v: %v\n%s", args, err, out)
	}
}
