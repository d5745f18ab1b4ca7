package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// Event is one transition of a runner, of one of its components or of one of its workloads.
type Event struct {
	ID        int64     `json:"id" description:"Its number: transitions are numbered from 1 in the order in which they were recorded, without a hole; what retention deletes leaves one."`
	At        time.Time `json:"at"`
	Kind      string    `json:"kind" enum:"added,removed,health,state,version"`
	Cluster   string    `json:"cluster"`
	System    string    `json:"system"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name" description:"The runner's."`
	Path      string    `json:"path"`
	Component string    `json:"component,omitempty"`
	Workload  string    `json:"workload,omitempty" description:"Namespace/name; absent, as the component is, for the runner itself."`
	From      string    `json:"from,omitempty" description:"A health, a state or a version, by the kind."`
	To        string    `json:"to,omitempty"`
	Verdict   Verdict   `json:"verdict" description:"What holds from then on."`
}

func eventOf(e *store.Numbered) Event {
	return Event{ID: e.ID, At: utc(e.At), Kind: string(e.Kind), Cluster: e.Ref.Cluster, System: e.Ref.System, Namespace: e.Ref.Namespace, Name: e.Ref.Name,
		Path: e.Ref.Path(), Component: e.Component, Workload: e.Workload, From: e.From, To: e.To, Verdict: verdictOf(e.Verdict)}
}

// Events is a page of transitions, latest first.
type Events struct {
	Oldest int64   `json:"oldest" description:"The number of the oldest transition that is kept; 0 when there is none."`
	Newest int64   `json:"newest" description:"The newest number that was given."`
	Next   string  `json:"next,omitempty" description:"The address of the next page; absent after the last. A page of a filter may be short, or empty, and still have a next."`
	Events []Event `json:"events"`
}

const (
	defaultEvents = 100
	maxEvents     = 1000
	// feedPage is how many transitions are read at once.
	feedPage = 256
	// maxScan is how many transitions are looked at for one page of a filter.
	maxScan = 20_000
)

// eventKinds are those a filter may name.
var eventKinds = []store.EventKind{store.EventAdded, store.EventRemoved, store.EventHealth, store.EventState, store.EventVersion}

// eventFilter chooses transitions. Values of one field are alternatives; the fields must all hold.
type eventFilter struct {
	fleet store.Filter // clusters, systems, namespaces and healths
	names []string
	kinds []store.EventKind
}

// parseEvents reads cluster, system, namespace, name, kind and health.
func parseEvents(v url.Values) (f eventFilter, err error) {
	f.fleet, err = views.ParseQuery(url.Values{"cluster": v["cluster"], "system": v["system"], "namespace": v["namespace"], "health": v["health"]})
	if err != nil {
		return f, err
	}
	f.names = v["name"]
	for _, list := range v["kind"] {
		for w := range strings.SplitSeq(list, ",") {
			if k := store.EventKind(strings.TrimSpace(w)); slices.Contains(eventKinds, k) {
				f.kinds = append(f.kinds, k)
			} else if k != "" {
				return f, fmt.Errorf("%w: kind %q is not one of added, removed, health, state, version", store.ErrInvalid, store.Clean(w, 40))
			}
		}
	}
	if len(f.names) > 64 {
		return f, fmt.Errorf("%w: a filter takes at most 64 values of name", store.ErrInvalid)
	}
	return f, nil
}

func (f eventFilter) match(e *store.Numbered) bool {
	return some(f.fleet.Clusters, e.Ref.Cluster) && some(f.fleet.Systems, e.Ref.System) && some(f.fleet.Namespaces, e.Ref.Namespace) &&
		some(f.names, e.Ref.Name) && some(f.kinds, e.Kind) && some(f.fleet.Healths, e.Verdict.Health)
}

func some[T comparable](allowed []T, v T) bool {
	return len(allowed) == 0 || slices.Contains(allowed, v)
}

// number reads a number of the feed.
func number(what, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: %s %q is no number of a transition", store.ErrInvalid, what, store.Clean(s, 40))
	}
	return n, nil
}

// page reads before and limit.
func page(v url.Values) (before int64, limit int, err error) {
	limit = defaultEvents
	if s := v.Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxEvents {
			return 0, 0, fmt.Errorf("%w: limit %q is not a number from 1 to %d", store.ErrInvalid, store.Clean(s, 40), maxEvents)
		}
	}
	if s := v.Get("before"); s != "" {
		before, err = number("before", s)
	}
	return before, limit, err
}

// errNoFeed is what a board without a data file answers.
var errNoFeed = fmt.Errorf("%w: this board keeps no transitions", store.ErrUnavailable)

// Events is GET /api/events: transitions, latest first, by pages.
func (a *API) Events(c echo.Context) error {
	v, err := query(c)
	if err != nil {
		return err
	}
	f, err := parseEvents(v)
	if err != nil {
		return err
	}
	before, limit, err := page(v)
	switch {
	case err != nil:
		return err
	case a.o.Feed == nil:
		return errNoFeed
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), readTime)
	defer cancel()
	out, err := a.events(ctx, f, before, limit)
	if err != nil {
		return err
	}
	if out.next > 0 {
		v.Set("before", strconv.FormatInt(out.next, 10))
		out.Next = "/api/events?" + v.Encode()
	}
	return answer(c, http.StatusOK, out.Events)
}

type eventsPage struct {
	Events
	next int64
}

// events reads backwards until the page is full, the feed ends, or enough was looked at.
func (a *API) events(ctx context.Context, f eventFilter, before int64, limit int) (out eventsPage, err error) {
	out.Events.Events = []Event{}
	if out.Oldest, out.Newest, err = a.o.Feed.FeedEnds(ctx); err != nil {
		return out, err
	}
	for scanned := 0; scanned < maxScan; scanned += feedPage {
		rows, err := a.o.Feed.FeedBefore(ctx, before, feedPage)
		if err != nil {
			return out, err
		}
		for i := range rows {
			before = rows[i].ID
			if !f.match(&rows[i]) {
				continue
			}
			if out.Events.Events = append(out.Events.Events, eventOf(&rows[i])); len(out.Events.Events) == limit {
				break
			}
		}
		if before <= out.Oldest || len(rows) == 0 {
			return out, nil
		}
		if len(out.Events.Events) == limit {
			break
		}
	}
	out.next = before
	return out, nil
}
