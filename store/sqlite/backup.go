package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"trackside/store"
)

// backupParams open the source for reading, yet without query_only, which would forbid the copy as well.
const backupParams = "mode=ro&_pragma=busy_timeout(5000)&_dqs=0"

// Backup copies the database as it is now to dst, compacted and in one file, while it goes on being written. See BackupFile.
func (d *DB) Backup(ctx context.Context, dst string) error { return BackupFile(ctx, d.path, dst) }

// BackupFile copies a database that this process or another may have open. It takes no lock and changes nothing in src; where
// no process has src open, an empty -wal and a -shm file may stay beside it, which the next program takes over. dst appears when the copy is complete and on disk; it must not exist (store.ErrConflict). A src that does not exist is
// store.ErrNotFound, anything else store.ErrUnavailable.
func BackupFile(ctx context.Context, src, dst string) error {
	src, dst, err := absolute(src, dst)
	if err != nil {
		return unavailable("back up", src, err)
	}
	if _, err := os.Lstat(dst); err == nil {
		return exists(src, dst)
	}
	if _, err := os.Stat(src); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: cannot back up %s: there is no such file; name it with --data", store.ErrNotFound, src)
	}
	if err := inspect(ctx, src); err != nil {
		return unavailable("back up", src, err)
	}
	tmp, err := copyTo(ctx, src, dst)
	if err == nil {
		err = appear(tmp, dst)
	}
	if errors.Is(err, fs.ErrExist) {
		return exists(src, dst)
	}
	return unavailable("back up "+src+" to", dst, err)
}

func absolute(src, dst string) (string, string, error) {
	a, errA := filepath.Abs(src)
	b, errB := filepath.Abs(dst)
	return a, b, errors.Join(errA, errB)
}

func exists(src, dst string) error {
	return fmt.Errorf("%w: cannot back up %s to %s: that file exists; name another, or move it away", store.ErrConflict, src, dst)
}

// copyTo writes the copy beside dst, under a name that nobody takes for a backup, and returns that name.
func copyTo(ctx context.Context, src, dst string) (tmp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(dst), filepath.Base(dst)+".*.partial")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	pool, err := connect(ctx, src, backupParams, 1)
	if err != nil {
		return "", err
	}
	defer pool.Close() //nolint:errcheck // read only
	if _, err := pool.ExecContext(ctx, "VACUUM INTO ?", f.Name()); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// appear gives a complete copy its name. A link and not a rename, because a link never replaces a file; where the file
// system has no links, a rename.
func appear(tmp, dst string) error {
	err := os.Link(tmp, dst)
	switch {
	case err == nil, errors.Is(err, fs.ErrExist):
		return errors.Join(err, os.Remove(tmp))
	default:
		return os.Rename(tmp, dst)
	}
}
