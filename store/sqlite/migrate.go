package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// applicationID is in the header of every file of ours, put there by the first migration: "trks".
	applicationID = 0x74726b73
	// magic begins every SQLite file.
	magic = "SQLite format 3\x00"
)

// inspect refuses a file that is not ours, before anything is written to it. A missing or empty file is fine.
func inspect(ctx context.Context, path string) error {
	foreign := advice{text: "it is not a database of trackside; move it away, or name another file with --data"}
	head, err := header(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(head) == 0:
		return nil
	case err != nil:
		return err
	case !bytes.Equal(head, []byte(magic)):
		return foreign
	}
	pool, err := connect(ctx, path, "mode=ro&_pragma=busy_timeout(5000)", 1)
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // read only
	var id, tables int
	if err := pool.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if err := pool.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	// A process that was killed while it made the file may leave one without tables.
	if id != applicationID && (id != 0 || tables > 0 && !versionTableOnly(ctx, pool)) {
		return foreign
	}
	return nil
}

// versionTableOnly reports whether the file holds nothing but goose's own table: the first migration did not end.
func versionTableOnly(ctx context.Context, pool *sql.DB) bool {
	var others int
	err := pool.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT IN ('goose_db_version', 'sqlite_sequence')").Scan(&others)
	return err == nil && others == 0
}

// header reads the first bytes of a file; it is shorter when the file is.
func header(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	return io.ReadAll(io.LimitReader(f, int64(len(magic))))
}

// migrate brings the tables up to date, each migration in a transaction of its own. It refuses tables that are newer than
// this program: it would write what the newer one does not expect.
func migrate(ctx context.Context, pool *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, files)
	if err != nil {
		return err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > known {
		return advice{text: fmt.Sprintf("a newer trackside made it (schema %d, this one knows %d); run that version, or name another file with --data", have, known)}
	}
	_, err = p.Up(ctx)
	return err
}
