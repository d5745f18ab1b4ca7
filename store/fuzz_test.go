package store_test

import (
	"errors"
	"strings"
	"testing"

	"trackside/store"
)

// FuzzWords reads the words of closed sets and of annotations. What is none is the mistake of who wrote it.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"organization/acme", "cluster", "a=b,c=d", "=,", "a,b\n", "k,k\x00=a,k=b", "healthy", "crashloop", "disable", "admin", " Ada@Example.com ", "critical"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, err1 := store.ParseVerb(s)
		_, err2 := store.ParseRole(s)
		_, err3 := store.ParseReason(s)
		_, err4 := store.ParseHealth(s)
		_, err5 := store.ParseState(s)
		_, err6 := store.ParseSeverity(s)
		name, err7 := store.UserName(s)
		scope, err8 := store.ParseScope(s)
		labels, err9 := store.ParseLabels(s)
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9} {
			if err != nil && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%d: %q: %v", i, s, err)
			}
		}
		if again, err := store.UserName(name); err7 == nil && (err != nil || again != name) {
			t.Errorf("the user %q is %q, then %q", s, name, again)
		}
		if again, err := store.ParseScope(scope.String()); err8 == nil && (err != nil || again != scope) {
			t.Errorf("the scope %q is %+v, then %+v", s, scope, again)
		}
		for i, l := range labels {
			if l.Key == "" || i > 0 && labels[i-1].Key >= l.Key {
				t.Errorf("%q has the labels %+v", s, labels)
			}
		}
		for _, c := range store.ParseCapabilities(s) {
			if c == "" || strings.ContainsAny(c, ", \n\t\r") {
				t.Errorf("%q has the capability %q", s, c)
			}
		}
	})
}
