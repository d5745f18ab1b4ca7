package sqlite

import (
	"errors"
	"testing"

	"trackside/store"
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
