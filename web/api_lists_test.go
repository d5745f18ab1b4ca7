package web

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/handlers/api"
	"trackside/store"
)

var rowID = regexp.MustCompile(`<tr id="(r-[^"]+)"`)

// TestListsAreThePage compares the rows of the fleet's page with those of the JSON and of the table, for several filters.
func TestListsAreThePage(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	for _, q := range []string{"", "?health=healthy", "?health=disabled,unhealthy", "?namespace=runners-eu&namespace=platform", "?reason=crashloop", "?q=ALPHA", "?system=agyn", "?cluster=nowhere", "?version=v0.9.30"} {
		_, page := ask(t, "GET", w.s.URL()+"/"+q)
		var want, got, table []string
		for _, m := range rowID.FindAllStringSubmatch(page, -1) {
			want = append(want, m[1])
		}
		list := get[api.Runners](t, w, "/runners.json"+q)
		for _, r := range list.Runners {
			got = append(got, store.Ref{Cluster: r.Cluster, System: r.System, Namespace: r.Namespace, Name: r.Name}.ID())
		}
		for _, row := range tableOf(t, w, "/runners.csv"+q)[1:] {
			table = append(table, store.Ref{Cluster: row[0], System: row[1], Namespace: row[2], Name: strings.TrimPrefix(row[3], "'")}.ID())
		}
		if !slices.Equal(want, got) || !slices.Equal(want, table) || list.Shown != len(want) || list.Total != 6 {
			t.Errorf("%q:\npage  %v\nJSON  %v\ntable %v", q, want, got, table)
		}
		esc := strings.ReplaceAll(q, "&", "&amp;")
		if q != "" && !strings.Contains(q, ",") && !strings.Contains(q, "v0") && !strings.Contains(q, "&") && !strings.Contains(page, `href="/runners.json`+esc+`"`) {
			t.Errorf("%q: the page has no link to its JSON", q)
		}
	}
}

func tableOf(t *testing.T, w *world, path string) [][]string {
	t.Helper()
	res, body := ask(t, "GET", w.s.URL()+path)
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/csv") || !strings.Contains(res.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%s: %v", path, res.Header)
	}
	if strings.Count(body, "\n") != strings.Count(body, "\r\n") {
		t.Errorf("%s: a line does not end in CRLF", path)
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%s: %v\n%s", path, err, body)
	}
	return rows
}

// TestTablesAreNoFormulas: nothing that a cluster says begins a cell with what a spreadsheet would run.
func TestTablesAreNoFormulas(t *testing.T) {
	hostile := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\ttab", "\rreturn", "a,b\"c\nd"}
	var runners []*store.Runner
	for _, name := range hostile {
		runners = append(runners, made("eu", "kubiya", name, name, store.Unhealthy, func(r *store.Runner) {
			r.Reason, r.Version = store.CrashLoop, name
			r.Findings = []store.Finding{{Code: name, Object: name, Field: name, Why: store.Sentence("-" + name), Fix: name}}
			r.Workloads = []store.Workload{{Namespace: name, Name: name, UID: name, Verdict: store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Why: "x", Message: name, Raw: name}}}
		}))
	}
	w := newWorld(t, runners).serve()
	for _, path := range []string{"/runners.csv", "/failures.csv", "/findings.csv", "/versions.csv", "/place.csv?cpu=1", "/audit.csv"} {
		rows := tableOf(t, w, path)
		if len(rows) < len(hostile) && path != "/versions.csv" {
			t.Errorf("%s has %d rows", path, len(rows))
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
					t.Errorf("%s: the cell %q", path, cell)
				}
			}
		}
	}
}

func TestReport(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	r := get[api.Report](t, w, "/api/report")
	totals := w.live.Current().Totals()
	if r.Total != 6 || r.Healthy != totals.Health(store.Healthy) || r.Unhealthy != 1 || r.Degraded != 1 || r.Unknown != 0 || r.Disabled != 1 {
		t.Errorf("%+v", r)
	}
	if len(r.Stale) != 1 || !strings.Contains(r.Stale[0], "dead does not answer") || len(r.Sources) != 2 {
		t.Errorf("stale %v, sources %+v", r.Stale, r.Sources)
	}
	if !slices.Contains(r.Versions, api.Count{Value: "0.9.30", N: 6}) || !slices.Contains(r.Reasons, api.Count{Value: "crashloop", N: 1}) || !slices.Contains(r.Findings, api.Count{Value: "warning", N: 1}) {
		t.Errorf("%+v", r)
	}
	if !slices.Contains(r.Components, api.ComponentHealth{System: "kubiya", Component: "tool-manager", Total: 2, Healthy: 1, Unhealthy: 1}) {
		t.Errorf("%+v", r.Components)
	}
}

func TestFailuresAndFindingsAgree(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	f := get[api.Failures](t, w, "/api/failures?reason=crashloop")
	if len(f.Failures) != 1 || !f.Failures[0].Now || f.Failures[0].Workload != "runners-us/tool-manager-1" || f.Failures[0].Reason != "crashloop" {
		t.Errorf("%+v", f)
	}
	if f = get[api.Failures](t, w, "/api/failures?system=agyn"); len(f.Failures) != 0 {
		t.Errorf("%+v", f)
	}
	x := get[api.Findings](t, w, "/api/findings?severity=warning")
	if len(x.Findings) != 1 || x.Findings[0].Code != "readiness-probe-missing" || !x.Findings[0].Doubt {
		t.Errorf("%+v", x)
	}
	accepted := []store.Acceptance{{Ref: assorted()[2].Ref, Code: "readiness-probe-missing", Object: "deployment/k8s-runner", Note: "known", At: time.Now(), Until: time.Now().Add(time.Hour)}}
	w.publish(store.Touched{Accepted: &accepted})
	if x = get[api.Findings](t, w, "/api/findings"); x.Findings[0].Note != "known" || x.Findings[0].Accepted.IsZero() {
		t.Errorf("%+v", x)
	}
	if d := get[api.Detail](t, w, "/api/runners/eu/agyn/platform/k8s-runner"); d.FindingCount != 0 || len(d.Findings) != 1 || d.Offer.CPUMillis != 2000 {
		t.Errorf("%+v", d)
	}
}

func TestAuditIsReadToItsEnd(t *testing.T) {
	w := newWorld(t, nil).serve()
	a := get[api.Audit](t, w, "/audit.json")
	if len(a.Entries) != 1201 || a.Entries[0].ID != 1201 || a.Entries[1200].ID != 1 || a.Entries[0].Role != "operator" {
		t.Errorf("%d entries", len(a.Entries))
	}
	if rows := tableOf(t, w, "/audit.csv?verb=verb-1"); len(rows) != 602 || rows[1][2] != "'@ana" {
		t.Errorf("%d rows", len(rows))
	}
	if a := get[api.Audit](t, w, "/audit.json?before=1001"); len(a.Entries) != 1000 || a.Entries[0].ID != 1000 {
		t.Errorf("%d entries before a number", len(a.Entries))
	}
}

// TestEventsByPages walks all transitions backwards, with and without a filter.
func TestEventsByPages(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	for i := range 40 {
		h := []store.Health{store.Healthy, store.Unhealthy}[i%2]
		w.publish(store.Touched{Runners: []*store.Runner{made("eu", "agyn", "platform", "k8s-runner", h), made("eu", "plue", "workflows", fmt.Sprint("w", i), store.Healthy)}})
	}
	for _, q := range []string{"?limit=7", "?limit=7&name=k8s-runner&kind=health", "?limit=1000", "?namespace=nobody&limit=3"} {
		want := []int64{}
		f, _ := url.ParseQuery(q[1:])
		all, err := w.db.Feed(t.Context(), 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range slices.Backward(all) {
			if (!f.Has("name") || e.Ref.Name == "k8s-runner" && e.Kind == store.EventHealth) && !f.Has("namespace") {
				want = append(want, e.ID)
			}
		}
		got := []int64{}
		for next := "/api/events" + q; next != ""; {
			p := get[api.Events](t, w, next)
			for _, e := range p.Events {
				got = append(got, e.ID)
			}
			next = p.Next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %v\nwant %v", q, got, want)
		}
	}
}

func TestHostileTextIsJSON(t *testing.T) {
	w := newWorld(t, []*store.Runner{made("eu", "kubiya", "n", "a\xff\u2028<script>", store.Unhealthy, func(r *store.Runner) { r.Message = "\x00\x1b]0;x\a</script>\xc3" })}).serve()
	_, body := ask(t, "GET", w.s.URL()+"/api/runners")
	var v api.Runners
	if err := json.Unmarshal([]byte(body), &v); err != nil || strings.ContainsAny(body, "\x00\x1b") || len(v.Runners) != 1 {
		t.Errorf("%v %q", err, body)
	}
}

var anEntry = regexp.MustCompile(`id="e\d+"`)

// TestTheAuditForProgramsIsThatOfThePage: one address means one thing, with or without .csv behind it.
func TestTheAuditForProgramsIsThatOfThePage(t *testing.T) {
	w := newWorld(t, nil)
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{noon.Add(-24 * time.Hour), noon, noon.Add(24 * time.Hour)} {
		if _, err := w.db.Enter(t.Context(), store.Entry{At: at, Ended: at, By: store.Person{Name: "ana", Role: store.Operator}, Verb: "probe", Ref: someRunner().Ref, Result: store.ResultDone}); err != nil {
			t.Fatal(err)
		}
	}
	w.serve(func(o *Options) { o.Audit = w.db })
	for query, want := range map[string]int{"": 3, "?until=2026-03-04": 2, "?since=2026-03-04": 2, "?since=2026-03-04&until=2026-03-04": 1, "?until=2026-03-04T00:00:00Z": 1, "?before=3&until=2026-03-04": 2, "?before=2": 1, "?q=nobody": 0} {
		_, page := ask(t, "GET", w.s.URL()+"/audit"+query, "Accept", "text/html")
		if n := len(anEntry.FindAllString(page, -1)); n != want {
			t.Errorf("%s: the page has %d entries, want %d", query, n, want)
		}
		if a := get[api.Audit](t, w, "/audit.json"+query); len(a.Entries) != want {
			t.Errorf("%s: %d entries as JSON, want %d", query, len(a.Entries), want)
		}
		if rows := tableOf(t, w, "/audit.csv"+query); len(rows) != want+1 {
			t.Errorf("%s: %d rows, want %d", query, len(rows)-1, want)
		}
	}
	for _, query := range []string{"?before=x", "?q=%00", "?until=tomorrow"} {
		for _, path := range []string{"/audit", "/audit.json", "/audit.csv"} {
			if res, body := ask(t, "GET", w.s.URL()+path+query); res.StatusCode != 400 {
				t.Errorf("%s%s: %d %s", path, query, res.StatusCode, body)
			}
		}
	}
}
