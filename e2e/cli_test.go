package e2e

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trackside/e2e/rig"
)

// bare is the environment of a machine that knows no cluster.
func bare(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, more...)
}

// What keeps the board from serving is said in one line that names the next step.
func TestRefusals(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.db")
	must(t, os.WriteFile(junk, []byte("this is no database, though it is long enough to be one"), 0o600))
	known := []string{"--kubeconfig", cluster.Kubeconfig, "--data", filepath.Join(dir, "a.db"), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}
	with := func(more ...string) []string { return append(append([]string{"serve"}, known...), more...) }
	for name, c := range map[string]struct {
		args, says []string
	}{
		"no cluster":        {[]string{"serve", "--data", filepath.Join(dir, "b.db")}, []string{"--kubeconfig FILE", "--cluster ALIAS=CONTEXT", "inside a cluster"}},
		"no kubeconfig":     {[]string{"serve", "--kubeconfig", "/no/such/file"}, []string{"kubeconfig", "/no/such/file"}},
		"no context":        {with("--cluster", "x=nope"), []string{"cluster x", `"nope"`}},
		"one alias twice":   {with("--cluster", "x="+cluster.Alias(), "--cluster", "x="+cluster.Alias()), []string{"alias of its own"}},
		"port taken":        {with("--listen", taken.Addr().String()), []string{taken.Addr().String(), "another program", "--listen"}},
		"ops port taken":    {with("--metrics-listen", taken.Addr().String()), []string{taken.Addr().String(), "--metrics-listen"}},
		"no folder":         {with("--data", "/proc/nope/x.db"), []string{"/proc/nope/x.db", "--data"}},
		"no database":       {with("--data", junk), []string{junk, "not a database", "--data"}},
		"file in use":       {with("--data", board.Data), []string{board.Data}},
		"open to strangers": {with("--listen", "0.0.0.0:0"), []string{"--insecure-no-auth", "127.0.0.1"}},
		"no certificate":    {with("--tls-cert", "/no/cert", "--tls-key", "/no/key"), []string{"/no/cert"}},
		"unknown flag":      {with("--no-such-flag"), []string{"--no-such-flag", "Usage: trackside serve"}},
		"wrong value":       {with("--probe-via", "pigeon"), []string{"--probe-via", "pigeon"}},
		"no backup":         {[]string{"backup", "--data", filepath.Join(dir, "none.db"), filepath.Join(dir, "copy")}, []string{"none.db", "--data"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := rig.Trackside(t, bare(t), c.args...)
			if code == 0 || code == 2 {
				t.Errorf("it exits with %d", code)
			}
			if name == "no cluster" && code != 1 {
				t.Errorf("it exits with %d, not 1", code)
			}
			for _, s := range c.says {
				if !strings.Contains(out, s) {
					t.Errorf("it does not say %q:\n%s", s, out)
				}
			}
			if strings.Contains(out, "panic") || strings.Contains(out, "goroutine") {
				t.Errorf("it panics:\n%s", out)
			}
			if lines := strings.Count(strings.TrimSpace(out), "\n") + 1; lines > 2 && !strings.Contains(out, "Usage:") {
				t.Errorf("it takes %d lines to say it:\n%s", lines, out)
			}
		})
	}
}

// The help names every flag and its variable.
func TestHelp(t *testing.T) {
	out, code := rig.Trackside(t, bare(t), "serve", "--help")
	if code != 0 {
		t.Errorf("help exits with %d", code)
	}
	flat := squeeze(out)
	for _, flag := range []string{"listen", "metrics-listen", "public-url", "tls-cert", "tls-key", "insecure-no-auth", "kubeconfig", "cluster", "namespace",
		"probe-via", "probe-limit", "data", "retain", "read-only", "log-format", "log-level"} {
		variable := "$TRACKSIDE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		if !strings.Contains(flat, "--"+flag) || !strings.Contains(flat, variable) {
			t.Errorf("the help does not name --%s and %s", flag, variable)
		}
	}
	out, _ = rig.Trackside(t, bare(t), "--help")
	for _, s := range []string{"serve", "backup", "version", "--kubeconfig FILE", "--cluster ALIAS=CONTEXT", "inside a cluster"} {
		if !strings.Contains(out, s) {
			t.Errorf("the help does not say %q", s)
		}
	}
}

func TestVersion(t *testing.T) {
	out, code := rig.Trackside(t, bare(t), "version")
	if code != 0 || !strings.HasPrefix(out, "trackside ") || strings.Count(out, "\n") != 1 {
		t.Errorf("version exits with %d and says %q", code, out)
	}
	p := open(t, shared(t), "/")
	word := strings.Fields(out)[1]
	has(t, p.Locator("footer"), word, soon)
}

// Flags may be given as variables.
func TestVariables(t *testing.T) {
	out, code := rig.Trackside(t, bare(t, "TRACKSIDE_KUBECONFIG="+cluster.Kubeconfig, "TRACKSIDE_DATA=/proc/nope/y.db"), "serve")
	if code != 1 || !strings.Contains(out, "/proc/nope/y.db") {
		t.Errorf("it exits with %d and says %q", code, out)
	}
}

// A backup of a serving board holds the same runners and their history: a board that starts from it, with its cluster away, shows them.
func TestBackup(t *testing.T) {
	c := ownCluster(t, "--nodes", "1")
	f := newRunner(t, c, "", "kept", "60s")
	b := rig.StartBoard(t, c.Kubeconfig)
	p := openLive(t, b, f.ref().Path())
	f.crash(t, "before the backup")
	has(t, p.Locator(".head"), "before the backup", soon)
	has(t, p.Locator("#events"), "became unhealthy", soon)
	history := shownHistory(t, p)
	dir := t.TempDir()
	out, code := rig.Trackside(t, bare(t), "backup", "--data", b.Data, filepath.Join(dir, "trackside.db"))
	if code != 0 || !strings.Contains(out, "is a copy of") {
		t.Fatalf("backup exits with %d: %s", code, out)
	}
	if out, code = rig.Trackside(t, bare(t), "backup", "--data", b.Data, filepath.Join(dir, "trackside.db")); code == 0 {
		t.Errorf("a backup was overwritten: %s", out)
	}
	c.Do(t, "stop", "kube-apiserver")
	second, err := rig.NewBoard(dir, c.Kubeconfig)
	must(t, err)
	must(t, second.Launch())
	t.Cleanup(second.Kill)
	copied := openLive(t, second, f.ref().Path())
	has(t, copied.Locator(".head"), "before the backup", soon)
	if got := shownHistory(t, copied); strings.Join(got, "\n") != strings.Join(history, "\n") {
		t.Errorf("the backup's history is %q, the board's was %q", got, history)
	}
}
