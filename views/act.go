package views

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// How much of what an action is about is listed.
const (
	maxDeedWork    = 6
	maxDeedObjects = 40
)

// ActForm is what the form of an action holds, as it was filled in: it is shown again when something was wrong.
type ActForm struct {
	Key, Note, For, Mode, Target, Incarnation, Confirm string
	// Looked is when the form was made, in Unix milliseconds.
	Looked string
}

// clean makes what was sent fit to be shown again. Nothing that Kubernetes allows in a name is lost.
func (f ActForm) clean() ActForm {
	for _, s := range []*string{&f.Key, &f.Note, &f.For, &f.Mode, &f.Target, &f.Incarnation, &f.Confirm, &f.Looked} {
		*s = store.Clean(*s, lineLimit)
	}
	return f
}

// choiceOf is a value of a closed set with its words.
type choiceOf struct {
	Value, Text string
	On          bool
}

// terms are how long a runner can be out of service, in the form's words.
var terms = []struct {
	Word, Text string
	For        time.Duration
}{
	{"15m", "15 minutes", 15 * time.Minute}, {"1h", "1 hour", time.Hour}, {"4h", "4 hours", 4 * time.Hour}, {"8h", "8 hours", 8 * time.Hour},
	{"1d", "1 day", 24 * time.Hour}, {"3d", "3 days", 72 * time.Hour}, {"7d", "7 days", store.MaxDisabled}, {"open", "until somebody enables it", 0},
}

// defaultTerm is long enough to look into it, and short enough that nobody forgets the runner.
const defaultTerm = "4h"

// ParseTerm reads how long a runner is to be out of service; 0 is without an end, which blank is not. ok is false for any other word.
func ParseTerm(s string) (d time.Duration, ok bool) {
	for _, t := range terms {
		if t.Word == s {
			return t.For, true
		}
	}
	return 0, false
}

// Terms are the words that [ParseTerm] reads.
func Terms() string {
	out := make([]string, len(terms))
	for i, t := range terms {
		out[i] = t.Word
	}
	return strings.Join(out, ", ")
}

func termChoices(on string) (out []choiceOf) {
	for _, t := range terms {
		out = append(out, choiceOf{t.Word, t.Text, t.Word == cmp.Or(on, defaultTerm)})
	}
	return out
}

// deed words a verb.
type deed struct {
	// Do is the imperative, on a button and in a heading: "Disable". Menu is what the menu says of it.
	Do, Menu string
	// Doing is shown while it is asked for, Asked after it was.
	Doing, Asked string
	// Note, Term and Confirm say which fields its form has; Need, that the note may not be blank.
	Note, Need, Term, Confirm bool
	// Grave verbs take something away that does not come back.
	Grave bool
}

var deeds = map[store.Verb]deed{
	store.VerbDisable: {Do: "Disable", Menu: "Take it out of service, with a note and an end.", Doing: "Disabling…", Asked: "was asked to go out of service", Note: true, Need: true, Term: true},
	store.VerbEnable:  {Do: "Enable", Menu: "Bring it back into service.", Doing: "Enabling…", Asked: "was asked back into service", Note: true},
	store.VerbDelete:  {Do: "Delete", Menu: "Delete its objects; what stays is listed first.", Doing: "Deleting…", Asked: "is being deleted", Note: true, Confirm: true, Grave: true},
	store.VerbRestart: {Do: "Restart", Menu: "Roll out one of its components anew.", Doing: "Restarting…", Asked: "is being restarted", Note: true},
	store.VerbDeleteWorkload: {Do: "Delete workload", Menu: "Delete one of the pods that it runs.", Doing: "Deleting…", Asked: "is losing a workload", Note: true,
		Grave: true},
	store.VerbProbe:       {Do: "Probe now", Menu: "Ask its components at once how they are.", Doing: "Probing…", Asked: "is being asked how it is"},
	store.VerbAcknowledge: {Do: "Acknowledge", Menu: "Say that somebody is on its failure.", Doing: "Saying so…", Asked: "shows that you are on it", Note: true, Need: true},
}

func deedOf(v store.Verb) deed { return deeds[v] }

// ActPath is the address of an action on a runner; a blank verb is that of the menu.
func ActPath(ref store.Ref, v store.Verb, target string) string {
	p := ref.Path() + "/actions"
	if v != "" {
		p += "/" + string(v)
	}
	if target != "" {
		p += "?target=" + url.QueryEscape(target)
	}
	return p
}

// actLink is an action that a page offers.
type actLink struct {
	Word, Href, Menu string
	Grave            bool
}

func newActLink(ref store.Ref, v store.Verb, target string) actLink {
	d := deedOf(v)
	return actLink{Word: d.Do, Href: ActPath(ref, v, target), Menu: d.Menu, Grave: d.Grave}
}

// actLinks are the actions on a runner as a whole, for the state that it is in.
func actLinks(r *store.Runner) (out []actLink) {
	add := func(v store.Verb) { out = append(out, newActLink(r.Ref, v, "")) }
	if r.Requested == store.Deleting {
		add(store.VerbDelete)
		return out
	}
	if r.Failing() {
		add(store.VerbAcknowledge)
	}
	if r.Requested == store.Disabled {
		add(store.VerbEnable)
	} else {
		add(store.VerbDisable)
	}
	add(store.VerbProbe)
	add(store.VerbDelete)
	return out
}

// ActModel is the dialog of one action on one runner, and the page of it: what it would do, and the form that does it.
type ActModel struct {
	Frame Frame
	Verb  store.Verb
	Ref   store.Ref
	Form  ActForm
	// Problem is why it was not done; blank before it was tried.
	Problem string

	deed
	name, place string
	mark
	traps   []trapView
	blocked bool
	// hindrance is why the button does nothing; blank where nothing blocks.
	hindrance   string
	steps       []stepView
	work        []string
	workCount   string
	workMore    string
	goes, stays objectList
	targets     []actLink
	terms       []choiceOf
	now         time.Time
}

// trapView is something that will undo, block or surprise an action.
type trapView struct {
	Blocks bool
	Word   string
	Why    []store.Part
}

// stepView is one change to one object.
type stepView struct{ Object, Before, After, Problem string }

// objectList names objects.
type objectList struct {
	Names []string
	More  string
}

// NewActModel shows a plan. r may be nil, for a runner that is gone.
func NewActModel(p store.Plan, r *store.Runner, f ActForm, problem string, now time.Time) ActModel {
	m := newActFrame(p.Action.Verb, p.Action.Ref, r, f, problem, now)
	for _, t := range p.Traps {
		v := trapView{Blocks: t.Blocks, Word: "mind", Why: parts(t.Why)}
		if t.Blocks {
			v.Word = "blocks"
		}
		m.traps = append(m.traps, v)
	}
	slices.SortStableFunc(m.traps, func(a, b trapView) int { return boolFirst(a.Blocks, b.Blocks) })
	m.blocked, m.hindrance = len(p.Blocked()) > 0, hindrance(p)
	m.steps = stepViews(p.Steps)
	m.setWork(p.Work)
	if len(p.Work) == 0 && slices.ContainsFunc(p.Traps, func(t store.Trap) bool { return t.Code == store.TrapSharedNamespace }) {
		m.workCount = "Nothing runs now that is known to be its own."
	}
	m.goes, m.stays = objectNames(p.Goes), objectNames(p.Stays)
	return m
}

// NewActChoice asks which part of a runner an action is about.
func NewActChoice(v store.Verb, r *store.Runner, now time.Time) ActModel {
	m := newActFrame(v, r.Ref, r, ActForm{}, "", now)
	m.blocked = true
	if v == store.VerbDeleteWorkload {
		for i := range r.Workloads {
			w := &r.Workloads[i]
			m.targets = append(m.targets, actLink{Word: store.Clean(w.Namespace+"/"+w.Name, nameLimit), Href: ActPath(r.Ref, v, w.Namespace+"/"+w.Name), Menu: workloadLine(w)})
		}
		return m
	}
	for i := range r.Components {
		c := &r.Components[i]
		if !bodiless(c) {
			m.targets = append(m.targets, actLink{Word: store.Clean(c.Name, nameLimit), Href: ActPath(r.Ref, v, c.Name), Menu: markOf(c.Health).Word + ", " + ratio(c) + " ready"})
		}
	}
	return m
}

// NewActProblem says why an action cannot even be looked at.
func NewActProblem(v store.Verb, ref store.Ref, problem string, now time.Time) ActModel {
	m := newActFrame(v, ref, nil, ActForm{}, problem, now)
	m.blocked = true
	return m
}

func newActFrame(v store.Verb, ref store.Ref, r *store.Runner, f ActForm, problem string, now time.Time) ActModel {
	m := ActModel{Verb: v, Ref: ref, Form: f.clean(), Problem: problemText(problem), deed: deedOf(v), name: newName(ref.Name).whole(), place: place(ref), now: now, terms: termChoices(f.For), mark: mark{"k", "not there"}}
	if m.Form.Mode == "" {
		m.Form.Mode = "drain"
	}
	if r != nil {
		m.mark = runnerMark(r)
	}
	return m
}

// problemText makes a sentence of an error's text.
func problemText(s string) string {
	if s = upper(store.Clean(s, lineLimit)); s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?…") {
		s += "."
	}
	return s
}

func (m *ActModel) setWork(ws []store.Workload) {
	switch n := len(ws); n {
	case 0:
		m.workCount = "Nothing runs on it now."
	case 1:
		m.workCount = "1 workload runs on it now:"
	default:
		m.workCount = strconv.Itoa(n) + " workloads run on it now:"
	}
	for i := range ws[:min(len(ws), maxDeedWork)] {
		m.work = append(m.work, store.Clean(ws[i].Name, nameLimit)+" · "+workloadLine(&ws[i]))
	}
	if n := len(ws) - maxDeedWork; n > 0 {
		m.workMore = "and " + strconv.Itoa(n) + " more"
	}
}

func workloadLine(w *store.Workload) string {
	s := markOf(w.Health).Word
	if w.Node != "" {
		s += " on " + store.Clean(w.Node, nameLimit)
	}
	return s
}

func stepViews(steps []store.Effect) (out []stepView) {
	for _, e := range steps {
		out = append(out, stepView{store.Clean(e.Object.String(), nameLimit), store.Clean(e.Before, nameLimit), store.Clean(e.After, nameLimit), store.Clean(e.Problem, lineLimit)})
	}
	return out
}

func objectNames(list []store.Object) (out objectList) {
	for _, o := range list[:min(len(list), maxDeedObjects)] {
		out.Names = append(out.Names, store.Clean(o.String(), nameLimit))
	}
	if n := len(list) - maxDeedObjects; n > 0 {
		out.More = "and " + strconv.Itoa(n) + " more"
	}
	return out
}

// Heading is the deed and what it is done to: "Disable kubiya-eu-1".
func (m ActModel) heading() string {
	if m.Verb == "" {
		return m.name
	}
	if t := m.part(); t != "" {
		return m.Do + " " + store.Clean(t, nameLimit)
	}
	return m.Do + " " + m.name
}

// part is the part of the runner that it is about, as people call it: a pod without its UID.
func (m ActModel) part() string {
	if f := strings.Split(m.Form.Target, "/"); m.Verb == store.VerbDeleteWorkload && len(f) == 3 {
		return f[0] + "/" + f[1]
	}
	return m.Form.Target
}

// Part is the value of a form for a part of a runner: for a pod that is shown it names that very pod, so that none which takes its name until the
// form is sent is meant. r may be nil.
func Part(v store.Verb, r *store.Runner, target string) string {
	f := strings.Split(target, "/")
	if v != store.VerbDeleteWorkload || r == nil || len(f) < 2 {
		return target
	}
	for i := range r.Workloads {
		if w := &r.Workloads[i]; w.Namespace == f[0] && w.Name == f[1] && w.UID != "" {
			return w.Namespace + "/" + w.Name + "/" + w.UID
		}
	}
	return target
}

// about says of which runner a part is; blank where the heading names the runner.
func (m ActModel) about() string {
	if m.Form.Target != "" {
		return "of " + m.name + " · " + m.place
	}
	return m.place
}

// button words the one that does it, and says of one that cannot, why.
func (m ActModel) button() string {
	word := m.Do
	if m.Confirm {
		word += " " + m.name
	}
	if m.hindrance != "" {
		word += ": " + m.hindrance
	}
	return word
}

// hindrance is why an action cannot be done, in a few words; the traps say which right, and where.
func hindrance(p store.Plan) string {
	blocked := p.Blocked()
	switch {
	case len(blocked) == 0:
		return ""
	case slices.ContainsFunc(blocked, func(t store.Trap) bool { return t.Code == store.TrapForbidden }):
		return "a right is missing"
	}
	return "not possible now"
}

// showsWork says that what runs on the runner matters to the verb.
func (m ActModel) showsWork() bool {
	return len(m.targets) == 0 && slices.Contains([]store.Verb{store.VerbDisable, store.VerbDelete, store.VerbRestart}, m.Verb)
}

func (m ActModel) shell() shell { return actShell(m.Frame, m.heading(), m.now) }

func actShell(f Frame, title string, now time.Time) shell {
	f.Live = false
	return shell{Frame: f, Title: title + " · Trackside", Icon: IconURL(store.Totals{}), Now: now, Class: "one acting"}
}

// ActMenu is what can be done to a runner.
type ActMenu struct {
	Frame Frame
	Ref   store.Ref

	name, place string
	mark
	links []actLink
	now   time.Time
}

// NewActMenu lists what can be done to a runner in the state that it is in.
func NewActMenu(r *store.Runner, now time.Time) ActMenu {
	m := ActMenu{Ref: r.Ref, name: newName(r.Ref.Name).whole(), place: place(r.Ref), mark: runnerMark(r), links: actLinks(r), now: now}
	if r.Requested == store.Deleting {
		return m
	}
	if slices.ContainsFunc(r.Components, func(c store.Component) bool { return restartable(&c) }) {
		m.links = slices.Insert(m.links, len(m.links)-1, newActLink(r.Ref, store.VerbRestart, ""))
	}
	if len(r.Workloads) > 0 {
		m.links = slices.Insert(m.links, len(m.links)-1, newActLink(r.Ref, store.VerbDeleteWorkload, ""))
	}
	return m
}

func (m ActMenu) shell() shell { return actShell(m.Frame, m.name, m.now) }

// DoneModel is what came of an action, as it was answered.
type DoneModel struct {
	Frame Frame
	Verb  store.Verb
	Ref   store.Ref

	deed
	name string
	// audit is the address of its entry; blank where there is none.
	audit    string
	steps    []stepView
	waits    []store.Part
	left     objectList
	repeated bool
	now      time.Time
}

// NewDoneModel shows an outcome.
func NewDoneModel(v store.Verb, ref store.Ref, o store.Outcome, now time.Time) DoneModel {
	m := DoneModel{Verb: v, Ref: ref, deed: deedOf(v), name: newName(ref.Name).whole(), steps: stepViews(o.Steps), waits: parts(o.Waits), left: objectNames(o.Left), repeated: o.Repeated, now: now}
	if o.ID > 0 {
		m.audit = AuditEntryPath(o.ID)
	}
	return m
}
