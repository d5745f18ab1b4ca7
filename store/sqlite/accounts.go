package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// AddUser keeps a user; store.ErrConflict if there is one of that name.
func (d *DB) AddUser(ctx context.Context, u store.User) error {
	var n int64
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		n, err = q.AddUser(ctx, db.AddUserParams{Name: u.Name, Role: u.Role.String(), Hash: u.Hash, Created: u.Created.UnixMilli(), Changed: u.Changed.UnixMilli()})
		return err
	})
	if err == nil && n == 0 {
		return fmt.Errorf("%w: there is a user %s already", store.ErrConflict, u.Name)
	}
	return unavailable("record the user in", d.path, err)
}

// ChangeUser gives a user another role or password, and ends the sessions that rest on the old ones.
func (d *DB) ChangeUser(ctx context.Context, u store.User) error {
	return d.changeUser(ctx, u.Name, func(ctx context.Context, q *db.Queries) (int64, error) {
		return q.ChangeUser(ctx, db.ChangeUserParams{Role: u.Role.String(), Hash: u.Hash, Changed: u.Changed.UnixMilli(), Name: u.Name})
	})
}

// RemoveUser forgets a user and ends the user's sessions.
func (d *DB) RemoveUser(ctx context.Context, name string) error {
	return d.changeUser(ctx, name, func(ctx context.Context, q *db.Queries) (int64, error) { return q.RemoveUser(ctx, name) })
}

func (d *DB) changeUser(ctx context.Context, name string, change func(context.Context, *db.Queries) (int64, error)) error {
	var n int64
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		if n, err = change(ctx, q); err != nil {
			return err
		}
		return q.EndSessionsOfUser(ctx, name)
	})
	if err == nil && n == 0 {
		return noUser(name)
	}
	return unavailable("change the user in", d.path, err)
}

func noUser(name string) error {
	return fmt.Errorf("%w: there is no user %s; trackside user list names them", store.ErrNotFound, store.Clean(name, 80))
}

// User finds a user by name; store.ErrNotFound if there is none.
func (d *DB) User(ctx context.Context, name string) (store.User, error) {
	x, err := d.read.FindUser(ctx, name)
	if errors.Is(err, sql.ErrNoRows) {
		return store.User{}, noUser(name)
	}
	if err != nil {
		return store.User{}, unavailable("read the users in", d.path, err)
	}
	return userOf(x)
}

// Users lists them by name.
func (d *DB) Users(ctx context.Context) ([]store.User, error) {
	rows, err := d.read.ListUsers(ctx)
	if err != nil {
		return nil, unavailable("read the users in", d.path, err)
	}
	out := make([]store.User, 0, len(rows))
	for _, x := range rows {
		u, err := userOf(x)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

func userOf(x db.User) (store.User, error) {
	role, err := store.ParseRole(x.Role)
	return store.User{Name: x.Name, Role: role, Hash: x.Hash, Created: time.UnixMilli(x.Created).UTC(), Changed: time.UnixMilli(x.Changed).UTC()}, err
}

// AddSession keeps a session.
func (d *DB) AddSession(ctx context.Context, s store.Session) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return q.AddSession(ctx, db.AddSessionParams{Hash: s.Hash, Name: s.Person.Name, Role: s.Person.Role.String(), Via: string(s.Person.Via), Membership: text(s.Person.Groups),
			Token: s.Person.Token, Created: s.Created.UnixMilli(), Seen: s.Seen.UnixMilli(), Expires: s.Expires.UnixMilli()})
	})
	return unavailable("record the session in", d.path, err)
}

// Session finds a session by its hash; store.ErrNotFound if there is none.
func (d *DB) Session(ctx context.Context, hash []byte) (store.Session, error) {
	x, err := d.read.FindSession(ctx, hash)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Session{}, fmt.Errorf("%w: there is no such session", store.ErrNotFound)
	}
	if err != nil {
		return store.Session{}, unavailable("read the sessions in", d.path, err)
	}
	role, err := store.ParseRole(x.Role)
	return store.Session{Hash: x.Hash, Person: store.Person{Name: x.Name, Groups: list[string](x.Membership), Role: role, Via: store.Via(x.Via), Token: x.Token},
		Created: time.UnixMilli(x.Created).UTC(), Seen: time.UnixMilli(x.Seen).UTC(), Expires: time.UnixMilli(x.Expires).UTC()}, err
}

// EndSession forgets a session; one that is not there is ended.
func (d *DB) EndSession(ctx context.Context, hash []byte) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error { return q.EndSession(ctx, hash) })
	return unavailable("end the session in", d.path, err)
}

// Saw records when sessions, by their hash in hexadecimal, and tokens, by their id, were used.
func (d *DB) Saw(ctx context.Context, sessions, tokens map[string]time.Time) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		for word, at := range sessions {
			hash, err := hex.DecodeString(word)
			if err != nil {
				return err
			}
			if err := q.SeeSession(ctx, db.SeeSessionParams{Seen: at.UnixMilli(), Hash: hash}); err != nil {
				return err
			}
		}
		for id, at := range tokens {
			if err := q.UseToken(ctx, db.UseTokenParams{Used: millis(at), ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	return unavailable("record who was seen in", d.path, err)
}

// PruneSessions forgets those that ended before now, or were last used before idle.
func (d *DB) PruneSessions(ctx context.Context, now, idle time.Time) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		_, err := q.PruneSessions(ctx, db.PruneSessionsParams{Now: now.UnixMilli(), Seen: idle.UnixMilli()})
		return err
	})
	return unavailable("forget old sessions in", d.path, err)
}

// AddToken keeps a token's hash; store.ErrConflict if its form made one already.
func (d *DB) AddToken(ctx context.Context, t store.Token) error {
	var n int64
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		n, err = q.AddToken(ctx, db.AddTokenParams{ID: t.ID, Kind: string(t.Kind), Name: t.Name, Role: t.Role.String(), MadeBy: t.By, Form: t.Form, Hash: t.Hash,
			Created: t.Created.UnixMilli(), Expires: millis(t.Expires)})
		return err
	})
	if err == nil && n == 0 {
		return fmt.Errorf("%w: this form was sent already, and its token was shown then; revoke that one if it is lost, and make another", store.ErrConflict)
	}
	return unavailable("record the token in", d.path, err)
}

// Token finds a token by its public part; store.ErrNotFound if there is none.
func (d *DB) Token(ctx context.Context, id string) (store.Token, error) {
	x, err := d.read.FindToken(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Token{}, fmt.Errorf("%w: there is no such token", store.ErrNotFound)
	}
	if err != nil {
		return store.Token{}, unavailable("read the tokens in", d.path, err)
	}
	return accessTokenOf(x)
}

// Tokens lists every token, oldest first, revoked ones included.
func (d *DB) Tokens(ctx context.Context) ([]store.Token, error) {
	rows, err := d.read.ListTokens(ctx)
	if err != nil {
		return nil, unavailable("read the tokens in", d.path, err)
	}
	out := make([]store.Token, 0, len(rows))
	for _, x := range rows {
		t, err := accessTokenOf(x)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func accessTokenOf(x db.Token) (store.Token, error) {
	role, err := store.ParseRole(x.Role)
	return store.Token{ID: x.ID, Kind: store.TokenKind(x.Kind), Name: x.Name, Role: role, By: x.MadeBy, Form: x.Form, Hash: x.Hash,
		Created: time.UnixMilli(x.Created).UTC(), Expires: instant(x.Expires), Used: instant(x.Used), Revoked: instant(x.Revoked)}, err
}

// RevokeToken ends a token from t on, and the sessions of the walls it let in; revoked is false for one that was revoked already. One that is not
// there is store.ErrNotFound.
func (d *DB) RevokeToken(ctx context.Context, id string, t time.Time) (revoked bool, err error) {
	err = d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		n, err := q.RevokeToken(ctx, db.RevokeTokenParams{Revoked: millis(t), ID: id})
		if err != nil {
			return err
		}
		if revoked = n > 0; revoked {
			return q.EndSessionsOfToken(ctx, id)
		}
		_, err = q.FindToken(ctx, id)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("%w: there is no token %q", store.ErrNotFound, store.Clean(id, 64))
	}
	return revoked, unavailable("revoke the token in", d.path, err)
}
