package sqlite

import (
	"context"
	"database/sql"
)

// Writer is the connection that writes, for tests that count its rows or bound its file.
func (d *DB) Writer() *sql.DB { return d.writer }

// HoldTurn keeps every writer out, as a write that hangs does, until the returned function is called.
func (d *DB) HoldTurn(ctx context.Context) (func(), error) { return d.release, d.take(ctx) }
