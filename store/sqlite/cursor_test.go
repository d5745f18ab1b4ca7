package sqlite

import (
	"database/sql"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// FuzzCursor reads whatever stands for a page of transitions. A page's own address is read as that page.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "1-2", "-1--2", "1-2 ", "01-2", "9223372036854775808-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseCursor(s)
		switch {
		case err != nil && !errors.Is(err, store.ErrInvalid):
			t.Error(err)
		case err == nil && s != "" && p.String() != s:
			t.Errorf("%q is read as %q", s, p)
		}
	})
}

// FuzzColumns reads whatever a hand may have written into a column of the file.
func FuzzColumns(f *testing.F) {
	for _, s := range []string{`["a"]`, `{"a":1}`, `null`, `[1]`, `{"`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		list[string](s)
		list[store.Finding](s)
		list[store.Fact](s)
		list[store.Workload](s)
	})
}

// FuzzKept reads back whatever a hand may have written for an action: what cannot be read is without its verb, so that nobody does it again.
func FuzzKept(f *testing.F) {
	whole := text(store.Action{Key: "k", Verb: store.VerbDisable, Ref: store.Ref{Cluster: "eu", Name: "a"}, Note: "x", At: time.Unix(1, 0).UTC()})
	for _, s := range [][2]string{{whole, text(store.Outcome{ID: 7, Waits: "It drains."})}, {`{"Verb":"delete","Key":3}`, `{"ID":"x"}`}, {"", ""}, {"null", "null"}, {whole[:40], "[]"}} {
		f.Add(s[0], s[1], `["a"]`, "operator")
	}
	f.Fuzz(func(t *testing.T, action, outcome, groups, role string) {
		x := db.Audit{ID: 5, Key: sql.NullString{String: "k", Valid: true}, Action: action, Outcome: outcome, Groups: groups, Role: role}
		k := keptOf(x)
		var whole store.Action
		if json.Unmarshal([]byte(action), &whole) != nil && k.Action.Verb != "" {
			t.Errorf("%q is half read: %+v", action, k.Action)
		}
		if k.Outcome.ID != 5 || k.Entry.ID != 5 || k.Entry.By.Role > store.Admin {
			t.Errorf("%+v", k)
		}
		x.Action, x.Outcome = text(k.Action), text(k.Outcome)
		if again := keptOf(x); text(again) != text(k) {
			t.Errorf("%s is read again as %s", text(k), text(again))
		}
	})
}
