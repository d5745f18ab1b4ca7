package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }

func clock() time.Time { return at(1_000_000) }

func open(t testing.TB, path string) *sqlite.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), path, sqlite.WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func fresh(t testing.TB) *sqlite.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "trackside.db"))
}

// board records what it applies, as the poller does.
type board struct {
	t    testing.TB
	db   *sqlite.DB
	snap *store.Snapshot
}

func newBoard(t testing.TB, d *sqlite.DB) *board { return &board{t, d, &store.Snapshot{}} }

// apply moves the board on and returns the changes without recording them.
func (b *board) apply(now time.Time, touched store.Touched) []store.Change {
	var changes []store.Change
	b.snap, changes = store.Apply(b.snap, touched, now)
	return changes
}

func (b *board) record(changes []store.Change) {
	b.t.Helper()
	if err := b.db.Record(b.t.Context(), b.snap, changes); err != nil {
		b.t.Fatal(err)
	}
}

func (b *board) observe(now time.Time, runners ...*store.Runner) {
	b.t.Helper()
	b.record(b.apply(now, store.Touched{Runners: runners}))
}

func ref(name string) store.Ref {
	return store.Ref{Cluster: "prod", System: "kubiya", Namespace: "runners-eu", Name: name}
}

func verdict(h store.Health) store.Verdict {
	v := store.Verdict{Health: h, Why: store.Sentence("All is " + h.String() + ".")}
	if h == store.Unhealthy {
		v = store.Verdict{Health: h, Reason: store.ImagePullFailed, Why: store.Sentence("The registry refused the pull " + store.Ago(at(3)) + "."),
			Raw: "ImagePullBackOff", Message: "401", Container: "main", Next: at(90), Inspect: "kubectl describe pod x"}
	}
	return v
}

// runner makes a runner with two components and as many workloads.
func runner(name string, h store.Health, workloads int) *store.Runner {
	r := &store.Runner{Ref: ref(name), Incarnation: "uid-" + name, Verdict: verdict(h), Version: "1.2.3", Requested: store.Enabled,
		Components: []store.Component{
			{Name: "agent-manager", Kind: "Deployment", Object: "am", Verdict: verdict(h), Version: "1.2.3", Image: "r/am:v1.2.3", Ready: 1, Desired: 2,
				Restarts: 3, Probe: store.Probe{URL: "http://10.0.0.1/health", Status: 503, Problem: "503", Took: 12 * time.Millisecond, At: at(1)}},
			{Name: "tool-manager", Kind: "Deployment", Object: "tm", Verdict: verdict(store.Healthy), Version: "1.2.0", Ready: 1, Desired: 1},
		}}
	for i := range workloads {
		r.Workloads = append(r.Workloads, store.Workload{Namespace: "runners-eu", Name: fmt.Sprintf("%s-%03d", name, i),
			UID: fmt.Sprintf("%s-uid-%d", name, i), Component: "agent-manager", Verdict: verdict(store.Healthy), Phase: "Running", Node: "n1", Created: at(-60),
			Containers: []store.Container{{Name: "main", Role: store.RoleMain, Image: "r/am:v1.2.3", State: "running", Restarts: 2, Ready: true, Ran: true,
				Reason: "OOMKilled", ExitCode: 137, HasExit: true}}})
	}
	return r
}

func rows(t testing.TB, d *sqlite.DB, query string) (n int64) {
	t.Helper()
	if err := d.Writer().QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wantError checks an error's class and that its sentence names each of some words.
func wantError(t testing.TB, err, class error, words ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error %v, want %v", err, class)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, path string) string
		words   []string
	}{
		"a missing directory": {
			func(_ *testing.T, path string) string { return filepath.Join(filepath.Dir(path), "none", "t.db") },
			[]string{"none/t.db", "create it"}},
		"a directory": {
			func(t *testing.T, path string) string { return makeDir(t, path) },
			[]string{"trackside.db", "name another file"}},
		"a file that is no database": {
			func(t *testing.T, path string) string { return write(t, path, strings.Repeat("hello ", 1000)) },
			[]string{"trackside.db", "not a database of trackside", "move it away"}},
		"a database of another program": {
			func(t *testing.T, path string) string {
				return execute(t, path, "CREATE TABLE moz_places (id INTEGER)")
			},
			[]string{"trackside.db", "not a database of trackside"}},
		"a marked database of another program": {
			func(t *testing.T, path string) string { return execute(t, path, "PRAGMA application_id = 7") },
			[]string{"not a database of trackside"}},
		"a newer schema": {
			func(t *testing.T, path string) string {
				closed(t, path)
				return execute(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
			},
			[]string{"newer trackside", "9999", "run that version"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := tt.prepare(t, filepath.Join(t.TempDir(), "trackside.db"))
			before, _ := os.ReadFile(path)
			_, err := sqlite.Open(t.Context(), path)
			wantError(t, err, store.ErrUnavailable, append(tt.words, path)...)
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestOpenUnwritableDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // root may write everywhere: be nobody to the file system, on this thread
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	_, err := sqlite.Open(t.Context(), filepath.Join(dir, "t.db"))
	wantError(t, err, store.ErrUnavailable, dir, "permission denied", "--data")
}

func TestOpenRefusesASecond(t *testing.T) {
	d := fresh(t)
	_, err := sqlite.Open(t.Context(), d.Path())
	wantError(t, err, store.ErrUnavailable, d.Path(), fmt.Sprintf("another trackside (process %d) has it open", os.Getpid()), "--data")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, d.Path())
}

func TestOpenStrangePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?mode=ro#b %41 ü.db")
	open(t, path)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestClosed(t *testing.T) {
	d := fresh(t)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, d.Record(t.Context(), &store.Snapshot{}, nil), store.ErrUnavailable, "it is closed")
	if _, err := d.Restore(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Restore after Close: %v", err)
	}
}

// closed makes a file of ours and closes it.
func closed(t *testing.T, path string) {
	t.Helper()
	d, err := sqlite.Open(t.Context(), path)
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func makeDir(t *testing.T, path string) string {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// execute runs SQL on a file as another program would, and closes it.
func execute(t *testing.T, path, query string) string {
	t.Helper()
	pool, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	return path
}
