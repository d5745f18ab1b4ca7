package views

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// AuditPageSize is how many entries one page shows.
const AuditPageSize = 100

// auditVerbs are the words of entries that are no action on a runner; the form offers them beside the verbs.
var auditVerbs = []string{"manifest-link", "manifest-download", "manifest-apply", store.VerbAccept, store.VerbWithdraw, "token-create", "token-revoke", "sign-in", "sign-out"}

// ParseAudit reads the query of /audit: by, verb, cluster, runner, q, since, until and before. since and until are days, or RFC 3339
// instants; a day as until is meant whole. Any person, verb or runner is accepted, so that links live on.
func ParseAudit(v url.Values) (f store.EntryFilter, err error) {
	for key, field := range map[string]*string{"by": &f.By, "verb": &f.Verb, "cluster": &f.Cluster, "runner": &f.Runner, "q": &f.Text} {
		if *field, err = parseText(v.Get(key)); err != nil {
			return store.EntryFilter{}, err
		}
	}
	if f.Since, err = parseDay("since", v.Get("since"), 0); err != nil {
		return store.EntryFilter{}, err
	}
	if f.Until, err = parseDay("until", v.Get("until"), 24*time.Hour); err != nil {
		return store.EntryFilter{}, err
	}
	if s := v.Get("before"); s != "" {
		if f.Before, err = strconv.ParseInt(s, 10, 64); err != nil || f.Before < 1 {
			return store.EntryFilter{}, fmt.Errorf("%w: before is the number of an entry, and %q is none", store.ErrInvalid, store.Clean(s, 40))
		}
	}
	return f, nil
}

// parseDay reads an instant, or a day, whose beginning in UTC it is, or its end.
func parseDay(what, s string, whole time.Duration) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.Add(whole), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%w: %s is a day such as 2026-12-31 or an instant such as 2026-12-31T18:00:00Z, and %q is neither", store.ErrInvalid, what, store.Clean(s, 40))
}

// EncodeAudit writes a filter as a canonical query, without its page.
func EncodeAudit(f store.EntryFilter) url.Values {
	v := url.Values{}
	for key, s := range map[string]string{"by": f.By, "verb": f.Verb, "cluster": f.Cluster, "runner": f.Runner, "q": f.Text} {
		if s != "" {
			v.Set(key, s)
		}
	}
	if !f.Since.IsZero() {
		v.Set("since", f.Since.UTC().Format(time.RFC3339))
	}
	if !f.Until.IsZero() {
		v.Set("until", f.Until.UTC().Format(time.RFC3339))
	}
	return v
}

func auditURL(path string, v url.Values) string {
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// AuditModel is the page of who did what: `/audit`.
type AuditModel struct {
	Frame  Frame
	Filter store.EntryFilter

	lines           []auditLine
	verbs           []choiceOf
	chips           []filterChip
	older           string
	asJSON, asCSV   string
	sinceDay, toDay string
	problem         string
	now             time.Time
	snapshot        *store.Snapshot
	totals          []totalLink
}

type auditLine struct {
	mark
	ID, Verb      string
	At            time.Time
	By, Via       string
	ByHref        string
	Runner, Place string
	Href          string
	Object, Note  string
	Before, After string
	Problem       string
}

// NewAuditModel shows a page of entries, newest first; more says that there are older ones. problem says why none can be read.
func NewAuditModel(s *store.Snapshot, f store.EntryFilter, entries []store.Entry, more bool, problem string, now time.Time) AuditModel {
	q := EncodeAudit(f)
	m := AuditModel{Filter: f, asJSON: auditURL("/audit.json", q), asCSV: auditURL("/audit.csv", q), sinceDay: day(f.Since), toDay: lastDay(f.Until), problem: store.Clean(problem, lineLimit),
		now: now, snapshot: s, totals: totalLinks(s, store.Filter{}), chips: auditChips(f)}
	for i := range entries {
		m.lines = append(m.lines, newAuditLine(&entries[i]))
	}
	if more && len(entries) > 0 {
		q.Set("before", strconv.FormatInt(entries[len(entries)-1].ID, 10))
		m.older = auditURL("/audit", q)
	}
	var words []string
	for _, v := range store.Verbs() {
		words = append(words, string(v))
	}
	words = append(words, auditVerbs...)
	if f.Verb != "" && !slices.Contains(words, f.Verb) {
		words = append(words, f.Verb)
	}
	for _, w := range words {
		m.verbs = append(m.verbs, choiceOf{w, store.Clean(w, nameLimit), w == f.Verb})
	}
	return m
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// lastDay is the last day before an end, which is what the form asks for.
func lastDay(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return day(t.Add(-time.Second))
}

// auditChips are the parts of the filter that the form does not show, with the addresses that drop them.
func auditChips(f store.EntryFilter) (out []filterChip) {
	add := func(field, value string, drop func(*store.EntryFilter)) {
		g := f
		drop(&g)
		if value != "" {
			out = append(out, filterChip{field, store.Clean(value, nameLimit), auditURL("/audit", EncodeAudit(g))})
		}
	}
	add("cluster", f.Cluster, func(g *store.EntryFilter) { g.Cluster = "" })
	return out
}

func newAuditLine(e *store.Entry) auditLine {
	l := auditLine{mark: resultMark(e.Result), ID: strconv.FormatInt(e.ID, 10), At: e.At, Verb: store.Clean(e.Verb, versionLimit), By: person(e.By.Name), Via: viaWord(e.By),
		ByHref: auditURL("/audit", EncodeAudit(store.EntryFilter{By: e.By.Name})), Object: store.Clean(e.Object, nameLimit), Note: store.Clean(e.Note, lineLimit),
		Before: store.Clean(e.Before, lineLimit), After: store.Clean(e.After, lineLimit), Problem: store.Clean(e.Problem, lineLimit)}
	if e.Ref != (store.Ref{}) {
		l.Runner, l.Place, l.Href = store.Clean(e.Ref.Name, nameLimit), place(e.Ref), e.Ref.Path()
	}
	return l
}

// resultMark is the mark of what came of it. What failed is told as a failure, what was refused as something to look at.
func resultMark(result string) mark {
	switch result {
	case store.ResultDone:
		return mark{"h", "done"}
	case store.ResultFailed:
		return mark{"u", "failed"}
	case store.ResultRefused:
		return mark{"d", "refused"}
	case "":
		return mark{"k", "under way"}
	}
	return mark{"k", store.Clean(result, versionLimit)}
}

// viaWord says how somebody was known, where that is not by signing in here.
func viaWord(p store.Person) string {
	switch p.Via {
	case store.ViaToken:
		return "token " + store.Clean(p.Token, versionLimit)
	case store.ViaNone:
		return "not signed in"
	case store.ViaLocal, store.ViaOIDC, store.ViaProxy, store.ViaWall:
	}
	return store.Clean(string(p.Via), versionLimit)
}

func (m AuditModel) shell() shell {
	f := m.Frame
	f.Live = false
	return shell{Frame: f, Title: "Audit · Trackside", Icon: IconURL(m.snapshot.Totals()), Now: m.now, Class: "insight audit"}
}

// calm is what the page says when there is nothing to show.
func (m AuditModel) calm() string {
	switch {
	case m.problem != "":
		return m.problem
	case len(m.lines) > 0:
		return ""
	case len(EncodeAudit(m.Filter)) > 0 || m.Filter.Before > 0:
		return "Nothing matches."
	}
	return "Nobody has done anything yet."
}

// AuditEntryPath is where an entry is found: at the top of the page of those that are not newer.
func AuditEntryPath(id int64) string {
	return "/audit?before=" + strconv.FormatInt(id+1, 10) + "#e" + strconv.FormatInt(id, 10)
}

// DidModel tells somebody without JavaScript what became of the action that they were sent back from.
type DidModel struct {
	line auditLine
	href string
	ok   bool
}

// NewDid shows an entry of the audit.
func NewDid(e store.Entry) DidModel { return DidModel{newAuditLine(&e), AuditEntryPath(e.ID), true} }

func (m DidModel) text() string {
	s := m.line.Verb + ": " + m.line.Word
	if m.line.After != "" {
		s += " · " + m.line.After
	}
	if m.line.Problem != "" {
		s += " · " + m.line.Problem
	}
	return upper(s)
}
