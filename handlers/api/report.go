package api

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// Source is one place the board learns from.
type Source struct {
	Cluster string    `json:"cluster"`
	Name    string    `json:"name"`
	State   string    `json:"state" enum:"restored,live,stale"`
	Since   time.Time `json:"since,omitzero"`
	Heard   time.Time `json:"heard,omitzero" description:"When it last answered."`
	Problem string    `json:"problem,omitempty"`
	Limits  []string  `json:"limits,omitempty" description:"What it does not show, and why."`
}

// Count is a value and how many runners have it.
type Count struct {
	Value string `json:"value" description:"Blank for runners that name none."`
	N     int    `json:"n"`
}

// ComponentHealth counts the components of one name over the fleet.
type ComponentHealth struct {
	System    string `json:"system"`
	Component string `json:"component"`
	Total     int    `json:"total"`
	Healthy   int    `json:"healthy"`
	Degraded  int    `json:"degraded"`
	Unhealthy int    `json:"unhealthy"`
	Unknown   int    `json:"unknown"`
}

// Report is the fleet in numbers: those of the page.
type Report struct {
	Head
	Sources []Source `json:"sources"`
	// A runner that is out of service counts as disabled only.
	Healthy   int `json:"healthy"`
	Degraded  int `json:"degraded"`
	Unhealthy int `json:"unhealthy"`
	Unknown   int `json:"unknown"`
	Disabled  int `json:"disabled" description:"Runners out of service; they count in no health."`

	Reasons    []Count           `json:"reasons" description:"Failures by reason, over all runners, out of service or not."`
	Versions   []Count           `json:"versions" description:"Runners by version, most first."`
	Namespaces []Count           `json:"namespaces"`
	Systems    []Count           `json:"systems"`
	Components []ComponentHealth `json:"components" description:"By system and name; those of runners out of service are left out."`
	Findings   []Count           `json:"findings" description:"Findings by severity that nobody has accepted."`
	// HistoryLost is when transitions ceased to be recorded.
	HistoryLost    time.Time `json:"history_lost_since,omitzero" description:"Since when transitions are not recorded; absent while they are."`
	HistoryProblem string    `json:"history_problem,omitempty"`
}

// Report is GET /api/report.
func (a *API) Report(c echo.Context) error {
	s := a.shown()
	t := s.Totals()
	r := Report{Head: s.head(), Sources: []Source{}, Healthy: t.Health(store.Healthy), Degraded: t.Health(store.Degraded), Unhealthy: t.Health(store.Unhealthy),
		Unknown: t.Health(store.Unknown), Disabled: t.Disabled, Reasons: []Count{}, Versions: countsOf(s.Versions()), Namespaces: countsOf(s.Namespaces()),
		Systems: countsOf(s.Systems()), Components: s.components(), Findings: s.severities(), HistoryLost: utc(s.History.LostSince), HistoryProblem: s.History.Problem}
	for _, x := range store.Reasons() {
		r.Reasons = append(r.Reasons, Count{x.String(), t.Reason(x)})
	}
	for i := range s.Sources {
		r.Sources = append(r.Sources, a.source(&s.Sources[i]))
	}
	return answer(c, http.StatusOK, r)
}

func (a *API) source(x *store.Source) Source {
	heard, ok := a.o.Live.Heard(x.Cluster)
	if !ok || heard.Before(x.Heard) {
		heard = x.Heard
	}
	return Source{Cluster: x.Cluster, Name: x.Name, State: string(x.State), Since: utc(x.Since), Heard: utc(heard), Problem: x.Problem, Limits: x.Limits}
}

func countsOf(in []store.Count) []Count {
	out := make([]Count, len(in))
	for i, c := range in {
		out[i] = Count(c)
	}
	return out
}

func (s shown) components() []ComponentHealth {
	type key struct{ system, component string }
	found := map[key]*ComponentHealth{}
	for r := range s.Runners() {
		if r.Observed == store.Disabled {
			continue
		}
		for i := range r.Components {
			k := key{r.Ref.System, r.Components[i].Name}
			if found[k] == nil {
				found[k] = &ComponentHealth{System: k.system, Component: k.component}
			}
			found[k].add(r.Components[i].Health)
		}
	}
	out := make([]ComponentHealth, 0, len(found))
	for _, c := range found {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b ComponentHealth) int {
		return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Component, b.Component))
	})
	return out
}

func (c *ComponentHealth) add(h store.Health) {
	c.Total++
	switch h {
	case store.Healthy:
		c.Healthy++
	case store.Degraded:
		c.Degraded++
	case store.Unhealthy:
		c.Unhealthy++
	case store.Unknown:
		c.Unknown++
	}
}

func (s shown) severities() (out []Count) {
	n := map[store.Severity]int{}
	views.EachFinding(s.Snapshot, s.newest, views.FindingFilter{}, func(r *store.Runner, f *store.Finding) {
		if _, ok := s.Accepted(r.Ref, f.Code, f.Object); !ok {
			n[f.Severity]++
		}
	})
	for _, x := range store.Severities() {
		out = append(out, Count{x.String(), n[x]})
	}
	return out
}
