package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/store"
)

// segments are the parts of an address behind a prefix, unescaped one by one: a part may hold an escaped slash.
func segments(r *http.Request, prefix string) ([]string, error) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	if !ok {
		return nil, fmt.Errorf("%w: the address does not begin with %s", store.ErrNotFound, prefix)
	}
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		s, err := url.PathUnescape(p)
		if err != nil {
			return nil, fmt.Errorf("%w: the address cannot be read: %w", store.ErrInvalid, err)
		}
		parts[i] = s
	}
	return parts, nil
}

// refOf reads the four parts of a runner's reference, and says of whom errors are from here on.
func refOf(c echo.Context, prefix string) (store.Ref, []string, error) {
	parts, err := segments(c.Request(), prefix)
	if err != nil {
		return store.Ref{}, nil, err
	}
	if len(parts) < 4 {
		return store.Ref{}, nil, fmt.Errorf("%w: a runner's address is %s{cluster}/{system}/{namespace}/{name}", store.ErrNotFound, prefix)
	}
	ref, err := store.RefFromPath(parts[0], parts[1], parts[2], parts[3])
	if err == nil {
		handlers.SetAbout(c, ref.Full())
	}
	return ref, parts[4:], err
}

// named finds the runner that a Kubiya client names: by its name alone, or where several have that name by cluster/system/namespace/name.
// ?cluster=, ?system= and ?namespace= choose as well. prefix is what stands before the name, and suffix what stands after it.
func (a *API) named(c echo.Context, s *store.Snapshot, prefix, suffix string) (*store.Runner, error) {
	parts, err := segments(c.Request(), prefix)
	if err != nil {
		return nil, err
	}
	if n := len(parts); suffix != "" && n > 1 && parts[n-1] == suffix {
		parts = parts[:n-1]
	}
	name := strings.Join(parts, "/")
	handlers.SetAbout(c, store.Clean(name, 300))
	q, err := query(c)
	if err != nil {
		return nil, err
	}
	r, err := find(s, name, q)
	if err == nil {
		handlers.SetAbout(c, r.Ref.Full())
	}
	return r, err
}

// find looks a name up: as it is, and then as a whole reference.
func find(s *store.Snapshot, name string, q url.Values) (*store.Runner, error) {
	var found []*store.Runner
	for r := range s.Runners() {
		if r.Ref.Name == name && in(q, "cluster", r.Ref.Cluster) && in(q, "system", r.Ref.System) && in(q, "namespace", r.Ref.Namespace) {
			found = append(found, r)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(found) == 0 {
		return whole(s, name)
	}
	choices := make([]string, len(found))
	refs := make([]store.Ref, len(found))
	for i, r := range found {
		choices[i], refs[i] = r.Ref.Full(), r.Ref
	}
	shown := choices[:min(len(choices), 5)]
	return nil, &handlers.NoRunner{Near: refs, Err: fmt.Errorf("%w: %d runners are called %s; name one in full, or add ?namespace=, ?system= or ?cluster=: %s",
		store.ErrConflict, len(found), store.Clean(name, 100), store.Clean(strings.Join(shown, ", "), 400))}
}

func in(q url.Values, key, value string) bool { return !q.Has(key) || q.Get(key) == value }

// whole looks for a runner whose reference is written out. Its parts may hold slashes, so that it is compared and not taken apart.
func whole(s *store.Snapshot, name string) (*store.Runner, error) {
	if strings.Count(name, "/") >= 3 {
		for r := range s.Runners() {
			if r.Ref.Full() == name {
				return r, nil
			}
		}
	}
	none := &handlers.NoRunner{Near: s.Near(store.Ref{Name: name}, 5)}
	text := "the board shows no runner at all"
	if len(none.Near) > 0 {
		names := make([]string, len(none.Near))
		for i, r := range none.Near {
			names[i] = r.Name
		}
		text = "there is " + store.Clean(strings.Join(names, ", "), 300)
	}
	none.Err = fmt.Errorf("%w: there is no runner %q; %s", store.ErrNotFound, store.Clean(name, 100), text)
	return nil, none
}

// noRunner adds to an error that a runner is not there which there are.
func noRunner(err error, s *store.Snapshot, ref store.Ref) error {
	return &handlers.NoRunner{Err: err, Near: s.Near(ref, 5)}
}
