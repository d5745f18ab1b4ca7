package views

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"trackside/store"
)

const classManifests = "insight manifests"

// ManifestModel is `/manifests/new`: a form, and what a cluster makes of it.
type ManifestModel struct {
	Frame Frame
	// Forms are those of all systems, Form the chosen one.
	Forms []store.ManifestForm
	Form  store.ManifestForm
	// Clusters are the aliases that it can be checked against; Draft names the chosen one.
	Clusters []string
	// Values are as they were filled in.
	Values map[string]string
	Draft  store.ManifestDraft
	// Key is of the link that the form may make: it makes one, however often it is sent.
	Key string
	// Successor is the runner whose successor it is; zero for a new one.
	Successor store.Ref
	// CanApply says that the board may apply, and the person.
	CanApply bool
	// Asked says that somebody has filled something in: until then a field that is empty is no fault.
	Asked bool
	// Said is what has just been done, in a sentence.
	Said     store.Sentence
	Snapshot *store.Snapshot
	Now      time.Time
}

func (m ManifestModel) shell() shell {
	return manifestShell(m.Frame, "New manifest", m.Snapshot, m.Now)
}

func manifestShell(f Frame, title string, s *store.Snapshot, now time.Time) shell {
	f.Live = false
	return shell{Frame: f, Title: title + " · Trackside", Icon: IconURL(s.Totals()), Now: now, Class: classManifests, Script: true}
}

// systemLink leads to the form of a system.
type systemLink struct {
	Href, Title string
	On          bool
}

func (m ManifestModel) systems() (out []systemLink) {
	for _, f := range m.Forms {
		q := url.Values{"system": {f.System}}
		if m.Draft.Cluster != "" {
			q.Set("cluster", m.Draft.Cluster)
		}
		out = append(out, systemLink{"/manifests/new?" + q.Encode(), f.Title, f.System == m.Form.System})
	}
	return out
}

// fieldGroup are the fields under one heading.
type fieldGroup struct {
	Title  string
	Fields []fieldView
}

// fieldView is a field with its value and what is wrong with it.
type fieldView struct {
	store.ManifestField
	ID, Value string
	Problems  []string
}

func (m ManifestModel) groups() (out []fieldGroup) {
	at := map[string]int{}
	for _, f := range m.Form.Fields {
		i, ok := at[f.Group]
		if !ok {
			i = len(out)
			at[f.Group] = i
			out = append(out, fieldGroup{Title: f.Group})
		}
		v := fieldView{ManifestField: f, ID: "f-" + f.Name, Value: store.Clean(m.Values[f.Name], lineLimit), Problems: m.problems(f.Name)}
		if v.Value == "" {
			v.Value = f.Default
		}
		out[i].Fields = append(out[i].Fields, v)
	}
	return out
}

// problems are what is wrong with a field. Before anything is asked, what is merely empty is not.
func (m ManifestModel) problems(field string) (out []string) {
	for _, p := range m.Draft.Problems {
		if p.Field != field || !m.Asked && p.Object == "" {
			continue
		}
		text := store.Clean(p.Text, lineLimit)
		if p.Object != "" {
			text = m.Draft.Cluster + " says of " + store.Clean(p.Object, nameLimit) + ": " + text
		}
		out = append(out, text)
	}
	return out
}

// fields lists every field, for the answers that stand beside them.
func (m ManifestModel) fields() (out []fieldView) {
	for _, g := range m.groups() {
		out = append(out, g.Fields...)
	}
	return out
}

// others are the problems that no field is known for.
func (m ManifestModel) others() (out []store.FieldProblem) {
	for _, p := range m.Draft.Problems {
		if p.Field == "" {
			p.Object, p.Path, p.Text = store.Clean(p.Object, nameLimit), store.Clean(p.Path, nameLimit), store.Clean(p.Text, lineLimit)
			out = append(out, p)
		}
	}
	return out
}

// verdict says in one line how the draft stands; the mark goes with it.
func (m ManifestModel) verdict() (mark, string) {
	d := m.Draft
	switch {
	case d.YAML == "":
		n := len(d.Problems)
		return mark{"k", "not complete"}, plural(n, "field") + " to fill in"
	case len(d.Problems) > 0:
		return mark{"u", "refused"}, d.Cluster + " would refuse it: " + plural(len(d.Problems), "problem")
	case d.Unchecked != "":
		return mark{"k", "not checked"}, string(d.Unchecked)
	case !d.Checked:
		return mark{"k", "not checked"}, "no cluster was asked"
	case len(d.Findings) > 0:
		return mark{"d", "accepted"}, d.Cluster + " would take it; " + plural(len(d.Findings), "finding")
	}
	return mark{"h", "accepted"}, d.Cluster + " would take it; no findings"
}

// hopeless reports whether something stands against the draft that taking fields over does not mend.
func (m ManifestModel) hopeless() bool {
	for _, p := range m.Draft.Problems {
		if !strings.HasPrefix(p.Text, keptByOthers) {
			return true
		}
	}
	return false
}

// keptByOthers begins what is said of a field that somebody else keeps.
const keptByOthers = "Somebody else keeps this field"

// conflicts reports whether somebody else keeps fields, which may be taken over.
func (m ManifestModel) conflicts() bool {
	for _, p := range m.Draft.Problems {
		if strings.HasPrefix(p.Text, keptByOthers) {
			return true
		}
	}
	return false
}

// diffLine is a line of a diff and its class.
type diffLine struct{ Class, Text string }

func diffLines(diff string) (out []diffLine) {
	for l := range strings.Lines(diff) {
		l = strings.TrimRight(l, "\n")
		class := ""
		switch {
		case strings.HasPrefix(l, "+"):
			class = "add"
		case strings.HasPrefix(l, "-"):
			class = "del"
		case strings.HasPrefix(l, "@@"):
			class = "at"
		}
		out = append(out, diffLine{class, store.Clean(strings.ReplaceAll(l, " ", "\u00a0"), lineLimit)})
	}
	return out
}

// findingLine is a finding of the draft.
type findingLine struct {
	mark
	Title, Object, Field string
	Why                  []store.Part
}

func (m ManifestModel) findings() (out []findingLine) {
	for _, f := range m.Draft.Findings {
		out = append(out, findingLine{severityMark(f.Severity), store.Clean(f.Code, nameLimit), store.Clean(f.Object, nameLimit), store.Clean(f.Field, nameLimit), parts(f.Why)})
	}
	return out
}

// changes words what an apply does.
func (m ManifestModel) changes() string {
	count := map[string]int{}
	for _, c := range m.Draft.Changes {
		count[c.What]++
	}
	var out []string
	for _, w := range []string{store.ChangeNew, store.ChangeChanged, store.ChangeSame} {
		if count[w] > 0 {
			out = append(out, fmt.Sprintf("%d %s", count[w], w))
		}
	}
	return strings.Join(out, ", ")
}

// lives are the choices for how long a link lives.
var lives = []struct{ Value, Word string }{{"15m", "15 minutes"}, {"1h", "1 hour"}, {"8h", "8 hours"}, {"24h", "1 day"}, {"72h", "3 days"}, {"168h", "7 days"}}

// ManifestLinksModel is `/manifests`: the links there are.
type ManifestLinksModel struct {
	Frame Frame
	Links []store.ManifestLink
	// Made is a link that has just been made; blank otherwise. It is shown this once.
	Made, MadeFile string
	MadeSingle     bool
	MadeUntil      time.Time
	Healthy        int
	Snapshot       *store.Snapshot
	Now            time.Time
}

func (m ManifestLinksModel) shell() shell {
	return manifestShell(m.Frame, "Manifests", m.Snapshot, m.Now)
}

// linkView is a link in the list.
type linkView struct {
	mark
	ID, File, By, Uses, SHA string
	Place                   string
	Made, Expires           time.Time
	LastUsed                time.Time
	Lives                   bool
}

func (m ManifestLinksModel) links() (out []linkView) {
	for _, l := range m.Links {
		v := linkView{mark: mark{"h", linkLives}, ID: l.ID, File: store.Clean(l.File, nameLimit), By: store.Clean(l.By, nameLimit), Place: place(l.Ref), SHA: short(l.SHA256), Made: l.Made, Expires: l.Expires,
			LastUsed: l.LastUsed, Uses: plural(int(l.Uses), "use"), Lives: true}
		if l.Single {
			v.Uses += ", single"
		}
		if state := LinkState(l, m.Now); state != linkLives {
			v.mark, v.Lives = mark{"x", state}, false
		}
		out = append(out, v)
	}
	return out
}

// linkLives is the state of a link that hands out its manifest.
const linkLives = "lives"

// LinkState says in a word whether a link lives at a time, or how it ended: lives, revoked, used or expired.
func LinkState(l store.ManifestLink, now time.Time) string {
	switch {
	case l.Dead(now) == "":
		return linkLives
	case !l.Revoked.IsZero():
		return "revoked"
	case l.Single && l.Uses > 0:
		return "used"
	}
	return "expired"
}

// short is the beginning of a sum, enough to compare by eye.
func short(sum string) string { return sum[:min(16, len(sum))] }

// SuccessorURL leads to the form of a runner's successor.
func SuccessorURL(ref store.Ref) string {
	return "/manifests/new?" + url.Values{"runner": {strings.TrimPrefix(ref.Path(), "/runners/")}}.Encode()
}
