package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"trackside/store"
)

// advice is an error that already says what is wrong and what to do.
type advice struct {
	text  string
	cause error
}

func (a advice) Error() string { return a.text }
func (a advice) Unwrap() error { return a.cause }

// unavailable is this package's border: it makes a foreign error store.ErrUnavailable, once, with what was being attempted,
// on which file, and what to do about it.
func unavailable(doing, path string, err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrInvalid) {
		return err
	}
	if _, ok := errors.AsType[advice](err); ok {
		return fmt.Errorf("%w: cannot %s %s: %w", store.ErrUnavailable, doing, path, err)
	}
	return fmt.Errorf("%w: cannot %s %s: %s (%w)", store.ErrUnavailable, doing, path, hint(err), err)
}

// hint says in words what an error of SQLite or of the file system means for whoever runs the program.
func hint(err error) string {
	var e *sqlite.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "it was not done in time"
	case errors.Is(err, sql.ErrConnDone):
		return "it is closed"
	case errors.Is(err, fs.ErrNotExist):
		return "the file or its directory does not exist; create it, or name another file with --data"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied; make the directory and the file writable for this user, or name another file with --data"
	case errors.As(err, &e):
		return codeHint(e.Code())
	}
	return "the file cannot be used; name another file with --data"
}

// primary is the part of an extended SQLite code that says the class of an error.
const primary = 0xff

func codeHint(code int) string {
	switch code & primary {
	case sqlite3.SQLITE_FULL:
		return "the disk is full; free some space, then it goes on by itself"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another program is writing to it; end that program's transaction"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "it is read-only; make the directory and the file writable for this user"
	case sqlite3.SQLITE_CANTOPEN:
		return "it cannot be opened; check that its directory exists and is writable for this user"
	case sqlite3.SQLITE_NOTADB:
		return "it is not a database; move it away, or name another file with --data"
	case sqlite3.SQLITE_CORRUPT:
		return "it is damaged; move it away, or put a backup in its place"
	case sqlite3.SQLITE_IOERR:
		return "the disk does not work; check it and the system's log"
	case sqlite3.SQLITE_INTERRUPT:
		return "it was not done in time"
	}
	return "SQLite refused"
}
