package views

import (
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// PastWindow is how far back a runner's page needs its uptime.
const PastWindow = 7 * 24 * time.Hour

// Past is what was, for a runner's page. Its zero value is a runner without a past.
type Past struct {
	// Uptime is how the runner, under the blank name, and its components were: see [store.Account].
	Uptime map[string][]store.Account
	// Evidence are its failures, latest first.
	Evidence []store.Evidence
	// Problem says why something of it is missing; blank where nothing is.
	Problem string
}

// uptimeView is a line of the uptime's table: the runner or a component.
type uptimeView struct {
	Name       string
	Day, Week  stripView
	Up, Failed string
	Recovers   string
}

// stripView is a strip of hours, drawn as bars: the taller, the worse.
type stripView struct {
	// Alt says in words what the strip shows.
	Alt   string
	Width int
	Bars  []barView
}

// barView is some neighbouring hours that look alike.
type barView struct {
	Class               string
	X, Y, Width, Height string
	Tip                 string
}

// stripHeight is the height of a strip; bars are as tall as the worst of their hours is bad.
const stripHeight = 12

var barHeights = map[string]int{"u": 12, "d": 9, "k": 7, "h": 4, "x": 2, "n": 0}

// newUptime makes the table: the runner first, then its components by name.
func newUptime(p Past, components []string, now time.Time) (out []uptimeView) {
	if len(p.Uptime) == 0 {
		return nil
	}
	for _, c := range append([]string{""}, components...) {
		accounts, known := p.Uptime[c]
		if !known {
			continue
		}
		v := newUptimeLine(accounts, now)
		if v.Name = store.Clean(c, nameLimit); c == "" {
			v.Name = "the runner"
		}
		out = append(out, v)
	}
	return out
}

func newUptimeLine(accounts []store.Account, now time.Time) uptimeView {
	hour := now.UTC().Truncate(time.Hour)
	day := store.Hourly(accounts, hour.Add(-23*time.Hour), 24)
	week := store.Hourly(accounts, hour.Add(-167*time.Hour), 168)
	var sum store.Account
	for _, a := range week {
		sum.Add(a)
	}
	v := uptimeView{Day: newStrip(day, "Last 24 hours"), Week: newStrip(week, "Last 7 days"), Up: "not seen", Failed: strconv.Itoa(sum.Failures), Recovers: "–"}
	if up, ok := sum.Up(); ok {
		v.Up = percent(up)
	}
	if d, ok := sum.MeanRecovery(); ok {
		v.Recovers = store.Duration(d)
	}
	return v
}

// percent words a share; what is not all is never rounded up to all.
func percent(share float64) string {
	switch {
	case share >= 1:
		return "100 %"
	case share > 0.9999:
		return "99.99 %"
	case share >= 0.99:
		return strconv.FormatFloat(float64(int(share*10000))/100, 'f', 2, 64) + " %"
	}
	return strconv.FormatFloat(float64(int(share*1000))/10, 'f', 1, 64) + " %"
}

// hourClass is how an hour looks: as the worst of it, unless nobody looked for most of it; n when there was nothing.
func hourClass(a store.Account) string {
	for _, h := range []store.Health{store.Unhealthy, store.Degraded} {
		if a.In[h] > 0 {
			return markOf(h).Class
		}
	}
	switch {
	case a.Total() == 0, a.Unseen > a.Watched()+a.Disabled:
		return "n"
	case a.In[store.Unknown] > 0:
		return "k"
	case a.In[store.Healthy] > 0:
		return "h"
	}
	return "x"
}

func newStrip(hours []store.Account, title string) stripView {
	s := stripView{Width: len(hours)}
	var sum store.Account
	for i := 0; i < len(hours); {
		class, n := hourClass(hours[i]), 1
		group := hours[i]
		for ; i+n < len(hours) && hourClass(hours[i+n]) == class; n++ {
			group.Add(hours[i+n])
		}
		sum.Add(group)
		if height := barHeights[class]; height > 0 {
			s.Bars = append(s.Bars, barView{Class: class, X: strconv.Itoa(i), Y: strconv.Itoa(stripHeight - height), Width: strconv.Itoa(n), Height: strconv.Itoa(height),
				Tip: utc(hours[i].Start) + " to " + utc(hours[i].Start.Add(time.Duration(n)*time.Hour)) + ": " + shares(group)})
		}
		i += n
	}
	s.Alt = title + ": " + shares(sum) + "."
	return s
}

// shares words the times of an account, worst first.
func shares(a store.Account) string {
	var words []string
	for _, h := range store.Healths() {
		if d := a.In[h]; d > 0 {
			words = append(words, h.String()+" "+store.Duration(d))
		}
	}
	if a.Disabled > 0 {
		words = append(words, "disabled "+store.Duration(a.Disabled))
	}
	if a.Unseen > 0 {
		words = append(words, "not observed "+store.Duration(a.Unseen))
	}
	if len(words) == 0 {
		return "nothing is recorded"
	}
	return strings.Join(words, ", ")
}

// SetPast adds what was to a runner's page: the strips, and the links from workloads and transitions to their evidence.
func (m *RunnerModel) SetPast(p Past) {
	var names []string
	for _, c := range m.components {
		names = append(names, c.Name)
	}
	m.uptime, m.pastProblem = newUptime(p, names, m.now), p.Problem
	latest := map[string]string{} // by UID, or by component
	byEvent := map[eventKey]string{}
	for i := range p.Evidence { // latest first
		e := &p.Evidence[i]
		key, workload := e.UID, e.Namespace+"/"+e.Name
		if e.UID == "" {
			key, workload = "component "+e.Component, ""
		}
		if _, there := latest[key]; !there {
			latest[key] = FailurePath(e.ID)
		}
		byEvent[eventKey{e.At.UnixMilli(), e.Component, workload}] = FailurePath(e.ID)
	}
	for i := range m.workloads {
		if w := &m.workloads[i]; w.Class == "u" {
			w.Evidence = latest[w.uid]
		}
	}
	for i := range m.components {
		if c := &m.components[i]; c.Class == "u" {
			c.Evidence = latest["component "+c.Name]
		}
	}
	for i := range m.events {
		m.events[i].Evidence = byEvent[m.events[i].key]
	}
}

// eventKey tells the transition that a failure began with.
type eventKey struct {
	at                  int64
	component, workload string
}
