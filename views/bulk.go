package views

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// BulkVerbs are those that can be done to several runners at once.
func BulkVerbs() []store.Verb {
	return []store.Verb{store.VerbDisable, store.VerbEnable, store.VerbProbe, store.VerbAcknowledge, store.VerbDelete}
}

// MaxBulk is how many runners one request may act on: more is another decision.
const MaxBulk = 100

// BulkPath is the address of an action on the runners of a filter; a blank verb is that of the menu. Dead asks for the dead among them.
func BulkPath(v store.Verb, f store.Filter, dead bool) string {
	p := "/actions"
	if v != "" {
		p += "/" + string(v)
	}
	q := EncodeQuery(f)
	if dead {
		q = strings.TrimPrefix(q+"&dead=1", "&")
	}
	if q != "" {
		p += "?" + q
	}
	return p
}

// BulkApplies reports whether a verb has anything to do on a runner in its present state.
func BulkApplies(v store.Verb, r *store.Runner, dead bool, now time.Time) bool {
	switch {
	case dead && !r.Dead(now), r.Requested == store.Deleting:
		return false
	case v == store.VerbDisable:
		return r.Requested == store.Enabled
	case v == store.VerbEnable:
		return r.Requested == store.Disabled
	case v == store.VerbAcknowledge:
		return r.Failing()
	}
	return true
}

// BulkItem is one runner of several: what would be done to it, and after it was tried, what came of it.
type BulkItem struct {
	Runner *store.Runner
	Plan   store.Plan
	// Chosen says that its box is ticked.
	Chosen bool
	// Problem is why it cannot be looked at, or was not done; Outcome what was done.
	Problem string
	Outcome *store.Outcome
}

// BulkRef is a runner's value in the form: its address and its incarnation.
func BulkRef(r *store.Runner) string {
	return r.Ref.Path() + "#" + url.PathEscape(r.Incarnation)
}

// BulkModel is the dialog of one action on several runners.
type BulkModel struct {
	Frame Frame
	Verb  store.Verb
	// Filter chose the runners; Dead, the dead among them.
	Filter  store.Filter
	Dead    bool
	Form    ActForm
	Problem string
	// Done says that the items tell what came of it.
	Done bool

	deed
	lines   []bulkLine
	chosen  int
	beyond  string
	terms   []choiceOf
	now     time.Time
	filters string
}

type bulkLine struct {
	mark
	Value   string
	Href    string
	Name    name
	Place   string
	Chosen  bool
	Blocked bool
	// Says is what would be done, or was.
	Says  []string
	Traps []trapView
	// Result is blank before it was tried.
	Result string
}

// NewBulkModel shows what an action would do, or did, to several runners. beyond counts those of the filter that are not among the items.
func NewBulkModel(v store.Verb, f store.Filter, dead bool, items []BulkItem, beyond int, form ActForm, problem string, now time.Time) BulkModel {
	m := BulkModel{Verb: v, Filter: f, Dead: dead, Form: form.clean(), Problem: problemText(problem), deed: deedOf(v), terms: termChoices(form.For), now: now, filters: filterWords(f)}
	if m.Form.Mode == "" {
		m.Form.Mode = "drain"
	}
	for i := range items {
		l := newBulkLine(&items[i])
		if l.Chosen {
			m.chosen++
		}
		m.lines = append(m.lines, l)
		m.Done = m.Done || items[i].Outcome != nil
	}
	if beyond > 0 {
		m.beyond = plural(beyond, "more runner") + " of this filter not shown: " + strconv.Itoa(MaxBulk) + " can be acted on at once."
	}
	return m
}

func newBulkLine(it *BulkItem) bulkLine {
	r := it.Runner
	l := bulkLine{mark: runnerMark(r), Value: BulkRef(r), Href: r.Ref.Path(), Name: newName(r.Ref.Name), Place: place(r.Ref)}
	for _, t := range it.Plan.Traps {
		w := "mind"
		if t.Blocks {
			w, l.Blocked = "blocks", true
		}
		l.Traps = append(l.Traps, trapView{t.Blocks, w, parts(t.Why)})
	}
	l.Chosen = it.Chosen && !l.Blocked
	steps := it.Plan.Steps
	if it.Outcome != nil {
		l.Result, steps = "asked", it.Outcome.Steps
		if w := it.Outcome.Waits; w != "" {
			l.Says = append(l.Says, store.Clean(w.Absolute(), lineLimit))
		}
	}
	if it.Problem != "" {
		l.Traps = append(l.Traps, trapView{true, "not done", []store.Part{{Text: problemText(it.Problem)}}})
		if it.Plan.Action.Key == "" {
			l.Blocked, l.Chosen = true, false
		}
	}
	for _, s := range stepViews(steps) {
		l.Says = append(l.Says, stepLine(s))
	}
	if n := len(it.Plan.Work); n > 0 && it.Outcome == nil {
		l.Says = append(l.Says, plural(n, "workload")+" on it now")
	}
	return l
}

func stepLine(s stepView) string {
	line := s.Object + ": " + s.After
	if s.Before != "" {
		line = s.Object + ": " + s.Before + " → " + s.After
	}
	if s.Problem != "" {
		line += ", " + s.Problem
	}
	return line
}

// filterWords says what a filter asks for, in one line.
func filterWords(f store.Filter) string {
	var out []string
	for _, c := range filterChips(f) {
		out = append(out, c.Field+" "+c.Value)
	}
	if len(out) == 0 {
		return "the whole fleet"
	}
	return strings.Join(out, ", ")
}

func (m BulkModel) heading() string {
	n := plural(len(m.lines), "runner")
	switch {
	case m.Done:
		done := 0
		for _, l := range m.lines {
			if l.Result != "" {
				done++
			}
		}
		return m.Do + ": asked of " + strconv.Itoa(done) + " of " + n
	case m.Dead:
		return "Clean up " + strconv.Itoa(len(m.lines)) + " dead " + map[bool]string{true: "runner", false: "runners"}[len(m.lines) == 1]
	}
	return m.Do + " " + n
}

// lead says how the runners were chosen.
func (m BulkModel) lead() string {
	if m.Dead {
		return "Dead is what is meant to be in service, has been unhealthy for more than a day, and has no pod that is ready and no work that is well. " +
			"Runners that are disabled or of unknown health are never among them."
	}
	return "Those of " + m.filters + " to which this applies."
}

func (m BulkModel) count() string { return strconv.Itoa(m.chosen) }

// action is the address that the form is sent to.
func (m BulkModel) action() string { return BulkPath(m.Verb, m.Filter, m.Dead) }

func (m BulkModel) shell() shell { return actShell(m.Frame, m.heading(), m.now) }

// back is the fleet as it was filtered.
func (m BulkModel) back() string { return fleetURL(m.Filter) }

// BulkMenu is what can be done to the runners of a filter.
type BulkMenu struct {
	Frame  Frame
	Filter store.Filter

	heading, lead string
	links         []actLink
	now           time.Time
}

// NewBulkMenu counts to how many of the runners each verb applies, and leaves out the verbs that apply to none.
func NewBulkMenu(rs []*store.Runner, f store.Filter, now time.Time) BulkMenu {
	m := BulkMenu{Filter: f, heading: plural(len(rs), "runner"), lead: "Of " + filterWords(f) + ". What would be done is shown before it is.", now: now}
	count := func(v store.Verb, dead bool) (n int) {
		for _, r := range rs {
			if BulkApplies(v, r, dead, now) {
				n++
			}
		}
		return n
	}
	for _, v := range BulkVerbs() {
		if n := count(v, false); n > 0 {
			d := deedOf(v)
			m.links = append(m.links, actLink{Word: d.Do + " " + plural(n, "runner"), Href: BulkPath(v, f, false), Grave: d.Grave})
		}
	}
	if n := count(store.VerbDelete, true); n > 0 {
		m.links = append(m.links, actLink{Word: "Clean up " + plural(n, "dead runner"), Href: BulkPath(store.VerbDelete, f, true), Grave: true,
			Menu: "Unhealthy for more than a day, and nothing of them is ready."})
	}
	return m
}

func (m BulkMenu) shell() shell { return actShell(m.Frame, m.heading, m.now) }
