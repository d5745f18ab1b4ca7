package views

import (
	"errors"
	"net/url"
	"reflect"
	"testing"

	"trackside/store"
)

// FuzzQueries reads every query that a page of its own has. What is accepted is written as an address that means the same.
func FuzzQueries(f *testing.F) {
	for _, s := range []string{"since=7d&reason=crashloop&system=x", "severity=critical,notice&code=a&code=b", "scope=organization&organization=a&labels=a=b,c&cpu=500m&memory=1e400&gpu=-1",
		"by=a&since=2026-01-01&until=2026-01-01T00:00:00Z&before=7", "n=99999999999999999999&worst=sick", "cpu=0x1p4&memory=NaN&gpu=Inf", "before=-1&q=%00", "labels==,=&capabilities=,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if q, err := ParseFailures(v); fine(t, raw, err) {
			again, err := ParseFailures(queryOf(t, q.URL()))
			same(t, raw, q, again, err)
		}
		if x, err := ParseFindingQuery(v); fine(t, raw, err) {
			again, err := ParseFindingQuery(queryOf(t, x.url()))
			same(t, raw, x, again, err)
		}
		if n, form, err := ParseNeed(v); fine(t, raw, err) {
			again, _, err := ParseNeed(queryOf(t, "/place?"+form.Encode()))
			same(t, raw, n, again, err)
			if n.Room.CPU < 0 || n.Room.Memory < 0 || n.Room.GPU < 0 {
				t.Errorf("%q asks for %+v", raw, n.Room)
			}
		}
		if x, err := ParseAudit(v); fine(t, raw, err) && x.Before < 0 {
			t.Errorf("%q: %+v", raw, x)
		}
		if n, _ := ParseIcon(v); n < 0 || n > iconMost+1 {
			t.Errorf("%q: an icon of %d", raw, n)
		}
		if d, ok := ParseTerm(v.Get("for")); d < 0 || d > store.MaxDisabled || !ok && d != 0 {
			t.Errorf("%q: for %s", raw, d)
		}
	})
}

// fine reports whether a query was read; one that was not is the asker's mistake.
func fine(t *testing.T, raw string, err error) bool {
	t.Helper()
	if err != nil && !errors.Is(err, store.ErrInvalid) {
		t.Errorf("%q: %v", raw, err)
	}
	return err == nil
}

func queryOf(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func same(t *testing.T, raw string, a, b any, err error) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%q: %+v became %+v, %v", raw, a, b, err)
	}
}
