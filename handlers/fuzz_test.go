package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"trackside/store"
)

// FuzzAddress reads whatever may stand in an address of the pages. A runner's own address is read as that runner.
func FuzzAddress(f *testing.F) {
	f.Add("/runners/eu/kubiya/-/a%2Fb/actions/disable", "eu", "kubiya", "", "a/b")
	f.Add("/internal/runners/%zz/heartbeat", "a b", "..", "%2f", "\x00#?")
	f.Add("/runners/eu/kubiya/n/a#inc%61rnation", ".", "x", "-", "stream")
	f.Fuzz(func(t *testing.T, path, cluster, system, namespace, name string) {
		known := func(err error) {
			if err != nil && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%q: %v", path, err)
			}
		}
		_, _, err := bulkRef(path)
		known(err)
		if u, err := url.Parse(path); err == nil {
			r := &http.Request{URL: u}
			_, err1 := refOf(r)
			_, _, err2 := refOfAction(r)
			_, err3 := segment(r, 2)
			n, err4 := number(r, 2, "id")
			known(errors.Join(err1, err2, err3, err4))
			if err4 == nil && n < 1 {
				t.Errorf("%q is the number %d", path, n)
			}
		}
		want := store.Ref{Cluster: cluster, System: system, Namespace: namespace, Name: name}
		if cluster == "" || system == "" || name == "" || namespace == "-" {
			return
		}
		u, err := url.Parse(want.Path())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := refOf(&http.Request{URL: u}); err != nil || got != want {
			t.Errorf("%q is read as %q, %v", want.Path(), got, err)
		}
		if got, inc, err := bulkRef(want.Path() + "#" + url.PathEscape(name)); err != nil || got != want || inc != name {
			t.Errorf("%q is read as %q %q, %v", want.Path(), got, inc, err)
		}
	})
}

// FuzzForms reads whatever somebody may send for a form of the pages.
func FuzzForms(f *testing.F) {
	f.Add("key=k&note=n&for=4h&mode=drain&confirm=a&until=2026-12-31&code=a&days=30&life=1h")
	f.Add("for=-1h&mode=x&until=99999-01-01&days=-1&life=1e9h&note=%00%ff")
	f.Fuzz(func(t *testing.T, body string) {
		v, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		form := actForm(v)
		for _, verb := range store.Verbs() {
			a := action(store.Person{}, verb, store.Ref{Cluster: "c", System: "s", Name: "n"}, form)
			if err := errors.Join(checkForm(verb, form), a.Check()); err == nil && !a.Until.IsZero() && a.Until.Sub(a.At) > store.MaxDisabled {
				t.Errorf("%q: until %s", body, a.Until)
			} else if err != nil && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%q: %v", body, err)
			}
			if err := checkMany(verb, form, 3); err != nil && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%q: %v", body, err)
			}
		}
		_, err1 := acceptance(v)
		life, err2 := lifeOf(v.Get("life"))
		now := time.Now()
		end, err3 := ends(v.Get("days"), now)
		for _, err := range []error{err1, err2, err3} {
			if err != nil && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%q: %v", body, err)
			}
		}
		if err2 == nil && (life < store.MinLinkLife || life > store.MaxLinkLife) || err3 == nil && !end.IsZero() && !end.After(now) {
			t.Errorf("%q: a link for %s, a token until %s", body, life, end)
		}
	})
}
