package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// AddManifestLink keeps a link and its text. store.ErrInvalid for one that nobody could mean, store.ErrConflict where there is one of its ID.
func (d *DB) AddManifestLink(ctx context.Context, l store.ManifestLink) error {
	if err := l.Check(); err != nil {
		return err
	}
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return q.PutManifestLink(ctx, db.PutManifestLinkParams{ID: l.ID, Hash: l.Hash, File: l.File, Cluster: l.Ref.Cluster, System: l.Ref.System, Namespace: l.Ref.Namespace,
			Name: l.Ref.Name, Sha256: l.SHA256, Yaml: l.YAML, By: l.By, Made: l.Made.UnixMilli(), Expires: l.Expires.UnixMilli(), Single: number(l.Single)})
	})
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY {
		return fmt.Errorf("%w: there is a link %s", store.ErrConflict, l.ID)
	}
	return unavailable("record the link in", d.path, err)
}

// ManifestLink reads a link by the SHA-256 of its token, without using it; store.ErrNotFound for one that never was, or was long ago.
func (d *DB) ManifestLink(ctx context.Context, hash []byte) (store.ManifestLink, error) {
	row, err := d.read.GetManifestLink(ctx, hash)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ManifestLink{}, fmt.Errorf("%w: there is no such link", store.ErrNotFound)
	}
	return linkOf(row), unavailable("read the link in", d.path, err)
}

// UseManifestLink hands out a link's text and counts the use, both or neither: of two who use a single-use link at once, one gets it. A
// link that is dead is returned as it is, with false.
func (d *DB) UseManifestLink(ctx context.Context, hash []byte, now time.Time) (l store.ManifestLink, used bool, err error) {
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		row, err := q.UseManifestLink(ctx, db.UseManifestLinkParams{Now: now.UnixMilli(), Hash: hash})
		if err == nil {
			l, used = linkOf(row), true
		}
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return l, false, unavailable("use the link in", d.path, err)
	}
	if !used {
		l, err = d.ManifestLink(ctx, hash)
	}
	return l, used, err
}

// RevokeManifestLink ends a link and forgets its text; revoked is false for one that was revoked already. One that is not there is store.ErrNotFound.
func (d *DB) RevokeManifestLink(ctx context.Context, id string, now time.Time) (revoked bool, err error) {
	var n int64
	there := true
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		if n, err = q.RevokeManifestLink(ctx, db.RevokeManifestLinkParams{Now: now.UnixMilli(), ID: id}); err != nil || n > 0 {
			return err
		}
		there, err = q.HasManifestLink(ctx, id)
		return err
	})
	if err == nil && !there {
		return false, fmt.Errorf("%w: there is no link %q that could be revoked", store.ErrNotFound, store.Clean(id, 40))
	}
	return n > 0, unavailable("revoke the link in", d.path, err)
}

// ManifestLinks lists links without their texts, newest first, at most limit.
func (d *DB) ManifestLinks(ctx context.Context, limit int) ([]store.ManifestLink, error) {
	rows, err := d.read.ListManifestLinks(ctx, int64(limit))
	if err != nil {
		return nil, unavailable("read the links in", d.path, err)
	}
	out := make([]store.ManifestLink, len(rows))
	for i, x := range rows {
		out[i] = linkOf(db.ManifestLink{ID: x.ID, File: x.File, Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name, Sha256: x.Sha256, By: x.By,
			Made: x.Made, Expires: x.Expires, Revoked: x.Revoked, Single: x.Single, Uses: x.Uses, LastUsed: x.LastUsed})
	}
	return out, nil
}

// PruneManifestLinks forgets the texts of dead links at once, and links that ended before a time altogether; it counts the latter.
func (d *DB) PruneManifestLinks(ctx context.Context, before time.Time) (n int64, err error) {
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		if _, err := q.EmptyManifestLinks(ctx, d.now().UnixMilli()); err != nil {
			return err
		}
		n, err = q.PruneManifestLinks(ctx, before.UnixMilli())
		return err
	})
	return n, unavailable("prune the links in", d.path, err)
}

func linkOf(x db.ManifestLink) store.ManifestLink {
	at := func(ms int64) time.Time {
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms).UTC()
	}
	return store.ManifestLink{ID: x.ID, Hash: x.Hash, File: x.File, Ref: store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}, SHA256: x.Sha256, YAML: x.Yaml,
		By: x.By, Made: at(x.Made), Expires: at(x.Expires), Revoked: at(x.Revoked), Single: x.Single != 0, Uses: x.Uses, LastUsed: at(x.LastUsed)}
}
