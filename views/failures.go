package views

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// FailuresQuery is what the page of failures is asked for.
type FailuresQuery struct {
	// Since is how far back, one of sinces.
	Since time.Duration
	// Filter has a zero Since: [FailuresQuery.At] sets it.
	Filter store.FailureFilter
}

// sinces are how far back the page can look, by the words in its address.
var sinces = []struct {
	Word string
	D    time.Duration
	Text string
}{{"1h", time.Hour, "1 h"}, {"24h", 24 * time.Hour, "24 h"}, {"7d", 7 * 24 * time.Hour, "7 d"}, {"30d", 30 * 24 * time.Hour, "30 d"}}

// defaultSince is what an address without since means.
const defaultSince = 24 * time.Hour

// At is the filter as of a time.
func (q FailuresQuery) At(now time.Time) store.FailureFilter {
	f := q.Filter
	f.Since = now.Add(-q.Since)
	return f
}

// ParseFailures reads the query of /failures: since, reason, system, namespace and cluster. An unknown since or reason is
// [store.ErrInvalid] and names those there are.
func ParseFailures(v url.Values) (q FailuresQuery, err error) {
	q.Since = defaultSince
	if s := v.Get("since"); s != "" {
		i := slices.IndexFunc(sinces, func(x struct {
			Word string
			D    time.Duration
			Text string
		}) bool {
			return x.Word == s
		})
		if i < 0 {
			return q, fmt.Errorf("%w: since %q is not one of 1h, 24h, 7d, 30d", store.ErrInvalid, store.Clean(s, versionLimit))
		}
		q.Since = sinces[i].D
	}
	f, err := ParseQuery(url.Values{"reason": v["reason"], "system": v["system"], "namespace": v["namespace"], "cluster": v["cluster"]})
	q.Filter = store.FailureFilter{Reasons: f.Reasons, Systems: f.Systems, Namespaces: f.Namespaces, Clusters: f.Clusters}
	return q, err
}

// URL is the canonical address of the page.
func (q FailuresQuery) URL() string {
	v, _ := url.ParseQuery(EncodeQuery(store.Filter{Reasons: q.Filter.Reasons, Systems: q.Filter.Systems, Namespaces: q.Filter.Namespaces, Clusters: q.Filter.Clusters})) // just written
	for _, s := range sinces {
		if s.D == q.Since && q.Since != defaultSince {
			v.Set("since", s.Word)
		}
	}
	if len(v) == 0 {
		return "/failures"
	}
	return "/failures?" + v.Encode()
}

// FailurePath is the permalink of a failure.
func FailurePath(id string) string { return "/failures/" + url.PathEscape(id) }

// maxMembers is how many workloads of one cause are listed.
const maxMembers = 8

// FailuresModel is the page of failures.
type FailuresModel struct {
	Frame Frame
	Query FailuresQuery

	groups []reasonGroup
	// summary counts, in words.
	summary string
	// problem says why there is no past; blank where there is.
	problem string
	sinces  []choice
	reasons []choice
	chips   []filterChip
	selects []selectBox

	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
}

// choice is a link that sets, or takes out, one value of the filter.
type choice struct {
	Text, Href string
	N          int
	On         bool
}

// selectBox is a field of the form.
type selectBox struct {
	Name, Any string
	Options   []selectOption
}

type selectOption struct {
	Value, Text string
	On          bool
}

// reasonGroup is all that failed for one reason.
type reasonGroup struct {
	ID, Title, Means string
	Count            string
	causes           []causeGroup
}

// causeGroup is all that failed for one cause.
type causeGroup struct {
	mark
	// Count is the heading: "12 workloads, one cause".
	Count string
	// Kind says what the cause is, Cause which one.
	Kind, Cause string
	Status      string
	Latest      time.Time
	explanation
	Members []failureLine
	More    string
	// first is the ID of the failure that the explanation is of; blank where it left no evidence.
	first string
}

// failureLine is one failure in a list.
type failureLine struct {
	mark
	Href              string
	Name              name
	Runner            string
	RunnerHref, Place string
	At                time.Time
	// Ack is who is on it; nil for nobody.
	Ack []store.Part
}

// NewFailuresModel groups the failures of the past, as they are read, with those of the present, which the snapshot knows even when
// nothing can be read: problem then says so. More says that the past holds more than was read.
func NewFailuresModel(s *store.Snapshot, q FailuresQuery, past []store.Evidence, more bool, problem string, now time.Time) FailuresModel {
	m := FailuresModel{Query: q, problem: problem, now: now, snapshot: s, totals: totalLinks(s, store.Filter{})}
	items := JoinFailures(s, q, past)
	byReason := map[store.Reason][]FailureItem{}
	present := 0
	for _, it := range items {
		byReason[it.Verdict.Reason] = append(byReason[it.Verdict.Reason], it)
		if it.Now {
			present++
		}
	}
	for _, r := range append(store.Reasons(), store.NoReason) {
		if list := byReason[r]; len(list) > 0 {
			m.groups = append(m.groups, newReasonGroup(r, list))
		}
	}
	m.summary = summary(len(items), present, more)
	m.setChoices(byReason)
	return m
}

func summary(n, present int, more bool) string {
	at := ""
	if more {
		at = "at least "
	}
	switch {
	case n == 0:
		return "Nothing failed."
	case present == 0:
		return "Nothing fails now; " + at + plural(n, "failure") + " " + wasWere(n) + " seen."
	case present == n:
		return upper(at + strconv.Itoa(n) + " " + map[bool]string{true: "fails", false: "fail"}[n == 1] + " now.")
	}
	return strconv.Itoa(present) + " of " + at + plural(n, "failure") + " " + map[bool]string{true: "goes", false: "go"}[present == 1] + " on now."
}

func wasWere(n int) string { return map[bool]string{true: "was", false: "were"}[n == 1] }

// causeOf is what several failures of a reason have in common: the image that cannot be pulled, the node that was lost, and otherwise
// what was said.
func causeOf(e *store.Evidence) (kind, cause string) {
	switch {
	case e.Verdict.Reason == store.ImagePullFailed && e.Image != "":
		return "image", e.Image
	case e.Verdict.Reason == store.RuntimeLost && e.Node != "" && slices.Contains([]string{"NodeLost", "NodeNotReady", "Evicted", "DeletionByTaintManager", "TerminationByKubelet"}, e.Verdict.Raw):
		return "node", e.Node
	case e.Fingerprint != "":
		return "message", e.Fingerprint
	}
	return "said", cmp.Or(e.Verdict.Raw, "nothing")
}

func newReasonGroup(r store.Reason, items []FailureItem) reasonGroup {
	g := reasonGroup{ID: "g-" + cmp.Or(r.String(), "other"), Title: reasonTitle(r), Means: reasonMeans(r), Count: strconv.Itoa(len(items))}
	type key struct{ kind, cause string }
	byCause := map[key][]FailureItem{}
	var order []key
	for _, it := range items {
		k := key{}
		k.kind, k.cause = causeOf(&it.Evidence)
		if byCause[k] == nil {
			order = append(order, k)
		}
		byCause[k] = append(byCause[k], it)
	}
	// Items come with what goes on first and then the latest, and so do their causes; more workloads go before fewer.
	slices.SortStableFunc(order, func(a, b key) int {
		return cmp.Or(boolFirst(byCause[a][0].Now, byCause[b][0].Now), len(byCause[b])-len(byCause[a]))
	})
	for _, k := range order {
		g.causes = append(g.causes, newCauseGroup(k.kind, k.cause, byCause[k]))
	}
	return g
}

func newCauseGroup(kind, cause string, items []FailureItem) causeGroup {
	c := causeGroup{mark: mark{"x", "over"}, Kind: kind, Cause: store.Clean(cause, lineLimit), explanation: explain(&items[0].Evidence), first: items[0].ID}
	workloads := map[store.Failure]bool{}
	present := 0
	for i := range items {
		it := &items[i]
		f := it.Failure()
		f.Reason = store.NoReason
		workloads[f] = true
		if it.Now {
			present++
		}
		if it.At.After(c.Latest) {
			c.Latest = it.At
		}
		if len(c.Members) < maxMembers {
			c.Members = append(c.Members, newFailureLine(it))
		}
	}
	c.Count = plural(len(workloads), "workload")
	if len(workloads) > 1 {
		c.Count += ", one cause"
	}
	var status []string
	if present > 0 {
		c.mark = mark{"u", "failing"}
		status = append(status, strconv.Itoa(present)+" now")
	}
	if len(items) > len(workloads) {
		status = append(status, plural(len(items), "failure"))
	}
	c.Status = strings.Join(append(status, "latest"), " · ")
	if n := len(items) - len(c.Members); n > 0 {
		c.More = plural(n, "more failure") + " of this cause"
	}
	return c
}

func newFailureLine(it *FailureItem) failureLine {
	l := failureLine{mark: mark{"x", "over"}, Name: newName(cmp.Or(it.Name, it.Component)), Runner: store.Clean(it.Ref.Name, nameLimit), RunnerHref: it.Ref.Path(), Place: place(it.Ref), At: it.At, Ack: it.ack}
	if it.Now {
		l.mark = mark{"u", "failing"}
	}
	if it.ID != "" {
		l.Href = FailurePath(it.ID)
	}
	return l
}

// setChoices makes the links and the form by which the page is filtered.
func (m *FailuresModel) setChoices(byReason map[store.Reason][]FailureItem) {
	q := m.Query
	for _, s := range sinces {
		g := q
		g.Since = s.D
		m.sinces = append(m.sinces, choice{Text: s.Text, Href: g.URL(), On: s.D == q.Since})
	}
	for _, r := range store.Reasons() {
		g := q
		g.Filter.Reasons = toggle(q.Filter.Reasons, r, func(a, b store.Reason) int { return cmp.Compare(a, b) })
		m.reasons = append(m.reasons, choice{Text: r.Title(), Href: g.URL(), N: len(byReason[r]), On: len(g.Filter.Reasons) < len(q.Filter.Reasons)})
	}
	var clusters []string
	for _, s := range m.snapshot.Sources {
		clusters = append(clusters, s.Cluster)
	}
	m.selects = []selectBox{
		newSelect("system", "any system", values(m.snapshot.Systems()), q.Filter.Systems),
		newSelect("namespace", "any namespace", values(m.snapshot.Namespaces()), q.Filter.Namespaces),
		newSelect("cluster", "any cluster", clusters, q.Filter.Clusters),
	}
	for _, l := range []struct {
		field string
		of    func(*store.FailureFilter) *[]string
	}{{"system", func(f *store.FailureFilter) *[]string { return &f.Systems }}, {"namespace", func(f *store.FailureFilter) *[]string { return &f.Namespaces }},
		{"cluster", func(f *store.FailureFilter) *[]string { return &f.Clusters }}} {
		for _, v := range *l.of(&q.Filter) {
			g := q
			list := l.of(&g.Filter)
			*list = toggle(*list, v, strings.Compare)
			m.chips = append(m.chips, filterChip{l.field, store.Clean(v, nameLimit), g.URL()})
		}
	}
}

func values(counts []store.Count) (out []string) {
	for _, c := range counts {
		out = append(out, c.Value)
	}
	return out
}

// newSelect offers the values there are and those that are asked for. Two that are asked for show as none: the chips name them.
func newSelect(field, anyText string, there, asked []string) selectBox {
	all := sorted(append(slices.Clone(there), asked...))
	b := selectBox{Name: field, Any: anyText}
	for _, v := range all {
		if v != "" && v == store.Clean(v, nameLimit) { // a name that a form would not send back as it is can be asked for in the address
			b.Options = append(b.Options, selectOption{v, v, len(asked) == 1 && asked[0] == v})
		}
	}
	return b
}

// hidden are the fields of the query that the form does not show.
func (m FailuresModel) hidden() (out []formField) {
	for _, s := range sinces {
		if s.D == m.Query.Since && s.D != defaultSince {
			out = append(out, formField{"since", s.Word})
		}
	}
	for _, r := range m.Query.Filter.Reasons {
		out = append(out, formField{"reason", r.String()})
	}
	return out
}

// StreamURL is the address of the page's stream.
func (m FailuresModel) StreamURL() string {
	path, query, found := strings.Cut(m.Query.URL(), "?")
	if !found {
		return path + "/stream"
	}
	return path + "/stream?" + query
}

func (m FailuresModel) shell() shell {
	return shell{Frame: m.Frame, Title: title(m.snapshot.Totals(), "Failures · Trackside"), Icon: IconURL(m.snapshot.Totals()), Stream: m.StreamURL(), Now: m.now, Class: "one failures"}
}

// FailuresChanged reports whether what fails differs between two states of a runner.
func FailuresChanged(before, after *store.Runner) bool {
	return !slices.Equal(failuresOf(before), failuresOf(after))
}

func failuresOf(r *store.Runner) (out []store.Failure) {
	if r == nil {
		return nil
	}
	for _, e := range r.Failed() {
		out = append(out, e.Failure())
	}
	return out
}
