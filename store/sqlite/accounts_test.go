package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

func openUsers(t *testing.T) *DB {
	t.Helper()
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func instants(s int64) time.Time { return time.Unix(1_800_000_000+s, 0).UTC() }

func TestUsers(t *testing.T) {
	d, ctx := openUsers(t), t.Context()
	u := store.User{Name: "ada", Role: store.Operator, Hash: "$x", Created: instants(0), Changed: instants(0)}
	if err := d.AddUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	if err := d.AddUser(ctx, u); !errors.Is(err, store.ErrConflict) {
		t.Errorf("twice: %v", err)
	}
	word := store.Session{Hash: make([]byte, 32), Person: store.Person{Name: "ada", Groups: []string{"a", "b"}, Role: store.Operator, Via: store.ViaLocal}, Created: instants(0), Seen: instants(1), Expires: instants(100)}
	other := word
	other.Hash, other.Person.Via = append(make([]byte, 31), 1), store.ViaOIDC
	for _, s := range []store.Session{word, other} {
		if err := d.AddSession(ctx, s); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Session(ctx, s.Hash); err != nil || cmp.Diff(got, s) != "" {
			t.Errorf("%v %s", err, cmp.Diff(got, s))
		}
	}
	u.Role, u.Changed = store.Viewer, instants(5)
	if err := d.ChangeUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	if got, err := d.User(ctx, "ada"); err != nil || got != u {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := d.Session(ctx, word.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the session outlives its role: %v", err)
	}
	if _, err := d.Session(ctx, other.Hash); err != nil {
		t.Errorf("the provider's ada is another person: %v", err)
	}
	if err := d.RemoveUser(ctx, "ada"); err != nil {
		t.Fatal(err)
	}
	if all, err := d.Users(ctx); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
	for _, err := range []error{d.RemoveUser(ctx, "ada"), d.ChangeUser(ctx, u)} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	}
}

func TestAccessTokens(t *testing.T) {
	d, ctx := openUsers(t), t.Context()
	tok := store.Token{ID: "a1", Kind: store.TokenWall, Name: "lobby", Role: store.Viewer, By: "ada", Form: "f", Hash: make([]byte, 32), Created: instants(0), Expires: instants(50)}
	if err := d.AddToken(ctx, tok); err != nil {
		t.Fatal(err)
	}
	again := tok
	again.ID = "a2"
	if err := d.AddToken(ctx, again); !errors.Is(err, store.ErrConflict) {
		t.Errorf("one form made two: %v", err)
	}
	wall := store.Session{Hash: make([]byte, 32), Person: store.Person{Name: "wall", Role: store.Viewer, Via: store.ViaWall, Token: "a1"}, Created: instants(0), Seen: instants(0), Expires: instants(50)}
	if err := d.AddSession(ctx, wall); err != nil {
		t.Fatal(err)
	}
	seen := map[string]time.Time{"0000000000000000000000000000000000000000000000000000000000000000": instants(9)}
	if err := d.Saw(ctx, seen, map[string]time.Time{"a1": instants(8)}); err != nil {
		t.Fatal(err)
	}
	tok.Used, wall.Seen = instants(8), instants(9)
	got, err := d.Token(ctx, "a1")
	if err != nil || cmp.Diff(got, tok) != "" {
		t.Errorf("%v %s", err, cmp.Diff(got, tok))
	}
	if s, err := d.Session(ctx, wall.Hash); err != nil || !s.Seen.Equal(wall.Seen) {
		t.Errorf("%v %v", s.Seen, err)
	}
	if revoked, err := d.RevokeToken(ctx, "a1", instants(20)); err != nil || !revoked {
		t.Fatal(revoked, err)
	}
	if _, err := d.Session(ctx, wall.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a wall outlives its token: %v", err)
	}
	if revoked, err := d.RevokeToken(ctx, "a1", instants(21)); err != nil || revoked {
		t.Errorf("revoked twice: %t %v", revoked, err)
	}
	if got, err := d.Token(ctx, "a1"); err != nil || !got.Revoked.Equal(instants(20)) {
		t.Errorf("revoked at %s (%v)", got.Revoked, err)
	}
	if _, err := d.RevokeToken(ctx, "none", instants(21)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that never was: %v", err)
	}
}

func TestOldSessionsAreForgotten(t *testing.T) {
	d, ctx := openUsers(t), t.Context()
	for i, s := range []store.Session{{Seen: instants(90), Expires: instants(200)}, {Seen: instants(90), Expires: instants(99)}, {Seen: instants(10), Expires: instants(200)}} {
		s.Hash, s.Person.Role, s.Created = []byte{byte(i)}, store.Viewer, instants(0)
		if err := d.AddSession(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.PruneSessions(ctx, instants(100), instants(50)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, false} {
		if _, err := d.Session(ctx, []byte{byte(i)}); (err == nil) != want {
			t.Errorf("session %d: %v", i, err)
		}
	}
}
