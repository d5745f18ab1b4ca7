package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"trackside/store"
	"trackside/store/sqlite"
)

// TestBackupWhileWriting copies the file many times while it is written; each copy is one whole record.
func TestBackupWhileWriting(t *testing.T) {
	d := fresh(t)
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- recordUntil(ctx, d, started) }()
	<-started
	for i := range 5 {
		dst := filepath.Join(dir, itoa(int64(i))+".db")
		if err := d.Backup(t.Context(), dst); err != nil {
			t.Fatal(err)
		}
		copied := open(t, dst)
		if n := rows(t, copied, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"); n != 0 {
			t.Errorf("copy %d: %d problems of integrity", i, n)
		}
		snap, err := copied.Restore(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wholeRunner(t, snap)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	noPartial(t, dir)
}

// recordUntil records until the context ends; it closes started after the first record.
func recordUntil(ctx context.Context, d *sqlite.DB, started chan struct{}) error {
	snap := &store.Snapshot{}
	for n := 1; ctx.Err() == nil; n++ {
		next, changes := store.Apply(snap, store.Touched{Runners: []*store.Runner{runner("a", store.Health(1+n%2), n%7)}}, at(n))
		if err := d.Record(context.WithoutCancel(ctx), next, changes); err != nil {
			return err
		}
		if snap = next; n == 1 {
			close(started)
		}
	}
	return nil
}

func noPartial(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*.partial"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBackupFileOfAStoppedServer(t *testing.T) {
	dir := t.TempDir()
	d := open(t, filepath.Join(dir, "trackside.db"))
	b := newBoard(t, d)
	b.observe(at(1), runner("a", store.Healthy, 1))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(dir, "it's a copy?.db")
	if err := sqlite.BackupFile(t.Context(), d.Path(), dst); err != nil {
		t.Fatal(err)
	}
	sameFleet(t, open(t, dst), b.snap)
	info, err := os.Stat(dst)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	open(t, d.Path()) // the backup left it as it was
}

func TestBackupRefuses(t *testing.T) {
	d := fresh(t)
	dir := t.TempDir()
	there := write(t, filepath.Join(dir, "there"), "precious")
	err := d.Backup(t.Context(), there)
	wantError(t, err, store.ErrConflict, there, "exists")
	if b, _ := os.ReadFile(there); string(b) != "precious" {
		t.Error("a file was overwritten")
	}
	none := filepath.Join(dir, "none", "x.db")
	wantError(t, d.Backup(t.Context(), none), store.ErrUnavailable, none, "does not exist")
	missing := filepath.Join(dir, "missing.db")
	wantError(t, sqlite.BackupFile(t.Context(), missing, filepath.Join(dir, "x")), store.ErrNotFound, missing)
	wantError(t, sqlite.BackupFile(t.Context(), there, filepath.Join(dir, "x")), store.ErrUnavailable, there, "not a database of trackside")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, d.Backup(ctx, filepath.Join(dir, "y")), store.ErrUnavailable)
	noPartial(t, dir)
}
