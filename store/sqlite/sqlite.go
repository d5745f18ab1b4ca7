// Package sqlite keeps the fleet on disk: its current state, from which a restart starts, and every transition. One file,
// one process that writes it, and tables that a person can read with the sqlite3 program.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

const (
	// writerParams: the wait for a lock is short, because the lock file keeps other writers of ours away; what is left is a
	// person in sqlite3, and the publish that waits for this write waits 200 ms at most. NORMAL with a WAL loses nothing to a
	// killed process; a power cut may cost the last transactions, never the file.
	writerParams = "_txlock=immediate&_pragma=busy_timeout(100)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)" +
		"&_pragma=foreign_keys(1)&_pragma=temp_store(memory)&_pragma=cache_size(-2000)&_pragma=journal_size_limit(67108864)&_dqs=0"
	// readerParams never set journal_mode: a read-only connection that had to change it would fail to open.
	readerParams = "mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)&_pragma=cache_size(-2000)&_dqs=0"
	// closeWait is how long Close waits for a write that has not come back from the disk.
	closeWait = 2 * time.Second
)

// DB is the open file. Its methods may be called by several goroutines.
type DB struct {
	path           string
	now            func() time.Time
	lock           *os.File
	writer, reader *sql.DB
	write, read    *db.Queries
	// turn is held by whoever writes. A channel and not a mutex: the wait for it must end with a context.
	turn chan struct{}

	mu sync.Mutex
	// doubt are the runners of a Record that failed: whether their rows were written is not known. Guarded by mu.
	doubt map[store.Ref]bool
	// watch is the stretch in which this process has heard each cluster, up to now. Guarded by mu.
	watch map[string]store.Span
}

// Option changes how a file is opened.
type Option func(*DB)

// WithClock replaces the clock that says when a restored source became "restored"; the default is time.Now.
func WithClock(now func() time.Time) Option { return func(d *DB) { d.now = now } }

// Open opens the file, makes it when there is none, and brings its tables up to date. The directory must exist. Every error
// is store.ErrUnavailable, names the file and says what to do; a file that another trackside has open is refused.
func Open(ctx context.Context, path string, opts ...Option) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, unavailable("open", path, err)
	}
	d := &DB{path: abs, now: time.Now, turn: make(chan struct{}, 1), doubt: map[store.Ref]bool{}, watch: map[string]store.Span{}}
	for _, o := range opts {
		o(d)
	}
	if d.lock, err = acquire(abs); err != nil {
		return nil, unavailable("open", abs, err)
	}
	if err = d.open(ctx); err != nil {
		return nil, errors.Join(unavailable("open", abs, err), d.Close())
	}
	return d, nil
}

func (d *DB) open(ctx context.Context) error {
	if err := inspect(ctx, d.path); err != nil {
		return err
	}
	// Made here and not by SQLite, so that nobody else reads what pods write into their messages.
	if err := touch(d.path); err != nil {
		return err
	}
	var err error
	if d.writer, err = connect(ctx, d.path, writerParams, 1); err != nil {
		return err
	}
	if err = migrate(ctx, d.writer); err != nil {
		return err
	}
	if d.reader, err = connect(ctx, d.path, readerParams, max(4, runtime.NumCPU())); err != nil {
		return err
	}
	d.read = db.New(d.reader)
	d.write, err = db.Prepare(ctx, d.writer)
	return err
}

// connect opens a pool of connections and tries the first, so that an error is found here.
func connect(ctx context.Context, path, params string, conns int) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dsn(path, params))
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

// dsn escapes the path: "?", "#" and "%" in a file's name are part of the name.
func dsn(path, params string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params
}

func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Path is the absolute path of the file.
func (d *DB) Path() string { return d.path }

// Close waits for a write under way, two seconds at most, and closes the file and its lock. Closing twice is harmless.
func (d *DB) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := d.take(ctx); err != nil {
		return unavailable("close", d.path, err)
	}
	defer d.release()
	var errs []error
	if d.write != nil {
		errs = append(errs, d.write.Close())
	}
	// The writer comes last: the last connection to close empties the WAL into the file.
	for _, pool := range []*sql.DB{d.reader, d.writer} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	d.write, d.lock = nil, nil
	return unavailable("close", d.path, errors.Join(errs...))
}

// take waits for the turn to write.
func (d *DB) take(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("an earlier write has not ended: %w", ctx.Err())
	}
}

func (d *DB) release() { <-d.turn }

// transact runs fn in one transaction and returns when it is committed, or when the context ends. A disk that hangs cannot
// be interrupted: then the transaction is left to end by itself, whole or not at all, and until it has, nobody else gets the turn.
func (d *DB) transact(ctx context.Context, fn func(context.Context, *db.Queries) error) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		err := d.commit(ctx, fn)
		d.release()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *DB) commit(ctx context.Context, fn func(context.Context, *db.Queries) error) error {
	if d.write == nil {
		return sql.ErrConnDone
	}
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back; after an error that error is reported
	if err := fn(ctx, d.write.WithTx(tx)); err != nil {
		return err
	}
	return tx.Commit()
}
