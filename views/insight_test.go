package views

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"trackside/store"
	"trackside/store/versions"
)

func insightRunner(ns, name, version string, findings ...store.Finding) *store.Runner {
	return &store.Runner{Ref: store.Ref{Cluster: "prod", System: "labelled", Namespace: ns, Name: name}, Verdict: store.Verdict{Health: store.Healthy, Why: "Fine."},
		Version: version, Findings: findings, Components: []store.Component{{Name: "agent", Kind: "Deployment", Object: name + "-agent", Version: version,
			Image: "acme/agent:v" + version, Desired: 2, Ready: 2, Verdict: store.Verdict{Health: store.Healthy, Why: "Fine."}}}}
}

func found(code string, severity store.Severity, object string) store.Finding {
	return store.Finding{Code: code, Severity: severity, Object: object, Field: "spec.x", Why: store.Sentence("Why " + code + "."), Fix: "fix: " + code}
}

func insightFleet(accepted ...store.Acceptance) *store.Snapshot {
	s := store.NewSnapshot([]*store.Runner{
		insightRunner("ci", "a", "1.0.0", found("privileged", store.Critical, "deployment/a"), found("image-latest", store.Warning, "deployment/a")),
		insightRunner("ci", "b", "1.1.0", found("image-latest", store.Warning, "deployment/b")),
		insightRunner("edge", "c", "1.1.0"),
	}, nil, StoryTime)
	s, _ = store.Apply(s, store.Touched{Accepted: &accepted}, StoryTime)
	return s
}

func findingsDoc(t *testing.T, s *store.Snapshot, query string) *goquery.Document {
	t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ParseFindingQuery(v)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, render(t, FindingsPage(NewFindingsModel(s, versions.NewestOf(s), f, StoryTime))))
}

// texts are the texts of elements, a space between any two pieces of one.
func texts(s *goquery.Selection) string {
	var pieces func(*goquery.Selection) string
	pieces = func(s *goquery.Selection) string {
		return strings.Join(s.Contents().Map(func(_ int, c *goquery.Selection) string {
			if goquery.NodeName(c) == "#text" {
				return c.Text()
			}
			return pieces(c)
		}), " ")
	}
	return strings.Join(s.Map(func(_ int, s *goquery.Selection) string { return strings.Join(strings.Fields(pieces(s)), " ") }), ", ")
}

func TestFindingsAreGroupedWorstFirst(t *testing.T) {
	d := findingsDoc(t, insightFleet(), "")
	if got := texts(d.Find(".group > h2")); got != "critical Privileged 1 runner, warning Image latest 2 runners, notice Version behind 1 runner" {
		t.Error(got)
	}
	if got := texts(d.Find("#g-image-latest li > a")); got != "a, b" {
		t.Error(got)
	}
	if href := d.Find("#g-privileged li > a").AttrOr("href", ""); href != "/runners/prod/labelled/ci/a#findings" {
		t.Error(href)
	}
	if got := texts(d.Find("#g-version-behind .places code")); got != "deployment/a-agent, image" {
		t.Error(got)
	}
	if got := texts(d.Find("#g-privileged .cmd code")); got != "fix: privileged" {
		t.Error(got)
	}
}

func TestFindingsAreFiltered(t *testing.T) {
	for query, want := range map[string]string{
		"severity=critical":                "critical Privileged 1 runner",
		"severity=critical,notice":         "critical Privileged 1 runner, notice Version behind 1 runner",
		"code=image-latest":                "warning Image latest 2 runners",
		"namespace=edge":                   "",
		"namespace=ci&severity=critical":   "critical Privileged 1 runner",
		"cluster=prod&code=version-behind": "notice Version behind 1 runner",
		"cluster=other":                    "",
		"system=labelled&code=privileged":  "critical Privileged 1 runner",
		"namespace=&system=":               "critical Privileged 1 runner, warning Image latest 2 runners, notice Version behind 1 runner",
	} {
		d := findingsDoc(t, insightFleet(), query)
		if got := texts(d.Find(".group > h2")); got != want {
			t.Errorf("%s: %s", query, got)
		}
		if want == "" && !strings.Contains(d.Find("p.calm").Text(), "matches this filter") {
			t.Errorf("%s: %s", query, d.Find("main").Text())
		}
	}
	if _, err := ParseFindingQuery(url.Values{"severity": {"bad"}}); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "critical, warning, notice") {
		t.Error(err)
	}
	f, err := ParseFindingQuery(url.Values{"severity": {"notice,critical", "notice"}, "code": {"b", "a"}, "namespace": {"x"}})
	if err != nil || f.Encode() != "code=a&code=b&severity=critical&severity=notice&namespace=x" {
		t.Errorf("%s, %v", f.Encode(), err)
	}
}

func TestAnAcceptedFindingStandsApart(t *testing.T) {
	ref := store.Ref{Cluster: "prod", System: "labelled", Namespace: "ci", Name: "a"}
	s := insightFleet(store.Acceptance{Ref: ref, Code: "privileged", Object: "deployment/a", Note: "it builds <images>", Until: StoryTime.Add(time.Hour)},
		store.Acceptance{Ref: ref, Code: "version-behind", Object: "deployment/a-agent", Note: "soon", Until: StoryTime.Add(time.Hour)})
	d := findingsDoc(t, s, "")
	if got := texts(d.Find(".group > h2")); got != "warning Image latest 2 runners" {
		t.Error(got)
	}
	if got := texts(d.Find("#accepted li")); !strings.Contains(got, "Privileged · deployment/a accepted until 2026-11-20 16:34 UTC: it builds <images>") || !strings.Contains(got, "Version behind") {
		t.Error(got)
	}
	r, err := s.Runner(ref)
	if err != nil {
		t.Fatal(err)
	}
	all := acceptedOnly(t, ref)
	if got := findingsDoc(t, all, "").Find("p.calm").Text(); got != "All that was found is accepted." {
		t.Errorf("with everything accepted: %q", got)
	}
	section := parse(t, render(t, FindingSection(NewRunnerFindings(s, r, versions.NewestOf(s), true, StoryTime))))
	if got := texts(section.Find("section > .found > li > span")); got != "warning" {
		t.Errorf("shown at once: %s", got)
	}
	if got := texts(section.Find("section > details > summary")); got != "2 accepted" {
		t.Error(got)
	}
	form := section.Find("form.accept").First()
	if form.AttrOr("action", "") != "/findings/accept" || form.AttrOr("method", "") != "post" || form.Find(`input[name="object"]`).AttrOr("value", "") != "deployment/a" ||
		form.Find(`input[name="until"]`).AttrOr("value", "") != "2026-12-20" {
		t.Error(render(t, FindingSection(NewRunnerFindings(s, r, versions.NewestOf(s), true, StoryTime))))
	}
	if n := parse(t, render(t, FindingSection(NewRunnerFindings(s, r, versions.NewestOf(s), false, StoryTime)))).Find("form").Length(); n != 0 {
		t.Errorf("%d forms on a board that is read only", n)
	}
}

// acceptedOnly is a fleet whose one finding is accepted.
func acceptedOnly(t *testing.T, ref store.Ref) *store.Snapshot {
	t.Helper()
	r := insightRunner(ref.Namespace, ref.Name, "1.0.0", store.Finding{Code: "privileged", Severity: store.Critical, Object: "deployment/a", Why: "It is."})
	s, _ := store.Apply(store.NewSnapshot([]*store.Runner{r}, nil, StoryTime), store.Touched{Accepted: &[]store.Acceptance{{Ref: ref, Code: "privileged", Object: "deployment/a",
		Note: "known", Until: StoryTime.Add(time.Hour)}}}, StoryTime)
	return s
}

func TestNoFindingNoSection(t *testing.T) {
	s := store.NewSnapshot([]*store.Runner{insightRunner("ci", "a", "1.0.0")}, nil, StoryTime)
	for r := range s.Runners() {
		if html := render(t, FindingSection(NewRunnerFindings(s, r, versions.NewestOf(s), true, StoryTime))); html != "" {
			t.Error(html)
		}
	}
	if got := findingsDoc(t, s, "").Find("p.calm").Text(); !strings.Contains(got, "green means green") {
		t.Error(got)
	}
	if got := findingsDoc(t, &store.Snapshot{}, "").Find("p.calm").Text(); !strings.Contains(got, "no runner yet") {
		t.Error(got)
	}
}

func TestOnlyAGreenThatIsDoubtfulSaysSoInItsRow(t *testing.T) {
	for _, c := range []struct {
		health  store.Health
		doubts  int
		version store.State
		want    string
	}{{store.Healthy, 0, store.Enabled, ""}, {store.Healthy, 1, store.Enabled, "1 finding"}, {store.Healthy, 2, store.Enabled, "2 findings"},
		{store.Unhealthy, 2, store.Enabled, ""}, {store.Healthy, 2, store.Disabled, ""}} {
		r := insightRunner("ci", "a", "1.0.0")
		r.Health, r.Doubts, r.Observed, r.Requested = c.health, c.doubts, c.version, c.version
		if got := parseRow(t, r).Find("a.doubt").Text(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestAGroupShowsSoManyRunners(t *testing.T) {
	var rs []*store.Runner
	for i := range 40 {
		rs = append(rs, insightRunner("ci", fmt.Sprintf("r%02d", i), "1.0.0", found("a", store.Notice, "deployment/1"), found("a", store.Notice, "deployment/2"),
			found("a", store.Notice, "deployment/3"), found("a", store.Notice, "deployment/4"), found("a", store.Notice, "deployment/5")))
	}
	d := findingsDoc(t, store.NewSnapshot(rs, nil, StoryTime), "")
	if n := d.Find("#g-a li").Length(); n != maxGroupRunners || !strings.Contains(d.Find("#g-a").Text(), "15 more runners") || !strings.Contains(d.Find("#g-a h2").Text(), "40 runners") {
		t.Errorf("%d: %s", n, texts(d.Find("#g-a > p")))
	}
	if got := texts(d.Find("#g-a li").First().Find(".places > span")); !strings.HasSuffix(got, "deployment/3 spec.x, 2 more") {
		t.Error(got)
	}
}

func TestHostileFindingsStayText(t *testing.T) {
	f := found("<b>x", store.Critical, `"><script>alert(1)</script>`)
	f.Why, f.Fix, f.Field = "<script>\x00\x1b[31m", "<img src=x onerror=alert(1)>", "\r\ndata: x"
	s := store.NewSnapshot([]*store.Runner{insightRunner("ci", "a", "1.0.0", f)}, nil, StoryTime)
	d := findingsDoc(t, s, "code="+url.QueryEscape("<b>x"))
	if d.Find("main script, main img, main b b").Length() > 0 || d.Find(".group").Length() != 1 {
		t.Error(render(t, FindingsPage(NewFindingsModel(s, nil, FindingFilter{}, StoryTime))))
	}
}

func TestVersionsSayWhoIsBehindAndSinceWhen(t *testing.T) {
	s := insightFleet()
	ref := func(ns, name string) store.PartRef {
		return store.PartRef{Ref: store.Ref{Cluster: "prod", System: "labelled", Namespace: ns, Name: name}}
	}
	b := ref("ci", "b")
	b.Component = "agent"
	since := map[store.PartRef]time.Time{ref("ci", "a"): StoryTime.Add(-10 * time.Hour), b: StoryTime.Add(-2 * time.Hour), ref("edge", "c"): StoryTime.Add(-time.Hour)}
	d := parse(t, render(t, VersionsPage(NewVersionsModel(s, versions.NewestOf(s), since, StoryTime))))
	if got := texts(d.Find(".line thead th")); got != "Version, All, ci, edge" {
		t.Error(got)
	}
	if got := texts(d.Find(".line tbody tr")); got != "1.1.0 newest 2 1 1, 1.0.0 1 1 ·" {
		t.Error(got)
	}
	if got := texts(d.Find(".behind li")); !strings.HasPrefix(got, "a ci · labelled · prod 1.0.0 → 1.1.0 behind for") {
		t.Error(got)
	}
	if at := d.Find(".behind time").AttrOr("datetime", ""); at != iso(StoryTime.Add(-2*time.Hour)) {
		t.Errorf("behind since %s", at)
	}
	if got := texts(d.Find(".lead")); got != "One is behind." {
		t.Error(got)
	}
	d = parse(t, render(t, VersionsPage(NewVersionsModel(s, versions.NewestOf(s), nil, StoryTime))))
	if d.Find(".behind li").Length() != 1 || d.Find(".behind time").Length() != 0 {
		t.Error("without a history it says since when, or nothing at all")
	}
}

func TestVersionsShowARolloutAndGenerationV1(t *testing.T) {
	r := insightRunner("ci", "a", "2.0.0", found("legacy-v1", store.Warning, "deployment/a"))
	for i, image := range []string{"acme/agent:v1.0.0", "acme/agent:v2.0.0"} {
		r.Workloads = append(r.Workloads, store.Workload{Name: fmt.Sprint(i), Component: "agent", Phase: "Running", Containers: []store.Container{{Role: store.RoleMain, Image: image}}})
	}
	done := *r
	done.Workloads = []store.Workload{r.Workloads[1]}
	s := store.NewSnapshot([]*store.Runner{r}, nil, StoryTime)
	d := parse(t, render(t, VersionsPage(NewVersionsModel(s, versions.NewestOf(s), nil, StoryTime))))
	if got := texts(d.Find(".rolling li > span")); got != "rolling out 2.0.0: 1 of 2 pods" {
		t.Error(got)
	}
	if got := texts(d.Find("#legacy li")); got != "a ci · labelled · prod" {
		t.Error(got)
	}
	if !VersionsTouched(store.Change{Before: r, After: &done}) || VersionsTouched(store.Change{Before: r, After: r}) {
		t.Error("the end of a roll-out goes unseen, or nothing is taken for news")
	}
}

func TestManyNamespacesShareAColumn(t *testing.T) {
	var rs []*store.Runner
	for i := range 20 {
		rs = append(rs, insightRunner(fmt.Sprintf("ns%02d", i), "a", "latest"))
	}
	s := store.NewSnapshot(rs, nil, StoryTime)
	d := parse(t, render(t, VersionsPage(NewVersionsModel(s, versions.NewestOf(s), nil, StoryTime))))
	if got := texts(d.Find(".line thead th")); !strings.HasSuffix(got, "ns07, others") {
		t.Error(got)
	}
	if got := texts(d.Find(".line tbody tr")); !strings.HasPrefix(got, "latest cannot be compared 20 1 1") || !strings.HasSuffix(got, "1 12") {
		t.Error(got)
	}
}

func placeDoc(t *testing.T, s *store.Snapshot, query string) *goquery.Document {
	t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	n, form, err := ParseNeed(v)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, render(t, PlacePage(NewPlaceModel(s, n, form, StoryTime))))
}

func TestPlaceExplainsEachRefusal(t *testing.T) {
	a, b, c := insightRunner("ci", "a", "1"), insightRunner("ci", "b", "1"), insightRunner("ci", "c", "1")
	a.Offer = store.Offer{Scope: store.Scope{Kind: store.ScopeCluster}, Capabilities: []string{"docker"}, Room: store.Room{CPU: 8000}}
	b.Offer = store.Offer{Scope: store.Scope{Kind: store.ScopeCluster}, Capabilities: []string{}}
	s := store.NewSnapshot([]*store.Runner{a, b, c}, nil, StoryTime)
	d := placeDoc(t, s, "scope=cluster&capabilities=docker&cpu=1500m")
	for id, want := range map[string]string{"yes": "a ci · labelled · prod It offers all that was asked. scope cluster · capabilities docker · 8 CPU",
		"maybe": "c ci · labelled · prod 1 scope It says nothing of its scope, capabilities and CPU.",
		"no":    "b ci · labelled · prod 3 capabilities It lacks the capability docker; it has none. scope cluster · no capabilities"} {
		if got := texts(d.Find("#fit-" + id + " li")); got != want {
			t.Errorf("%s: %s", id, got)
		}
	}
	if d.Find(`select option[selected]`).AttrOr("value", "") != "cluster" || d.Find(`input[name="cpu"]`).AttrOr("value", "") != "1500m" {
		t.Error("the form forgot what was asked")
	}
	if d := placeDoc(t, s, ""); d.Find(".group").Length() > 0 || !strings.Contains(d.Find("p.calm").Text(), "Fill in") {
		t.Error("an answer without a question")
	}
}

func TestNeedsThatCannotBeRead(t *testing.T) {
	for _, query := range []string{"scope=planet", "scope=organization", "labels=%3Dx", "labels=a%3D1,a%3D2", "cpu=lots", "cpu=-1", "cpu=1Gi", "cpu=NaN", "cpu=1e300", "memory=4GiB", "memory=1m",
		"gpu=1m", "labels=" + strings.Repeat("x", 2000)} {
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ParseNeed(v); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%.40s: %v", query, err)
		}
	}
	n, _, err := ParseNeed(url.Values{"cpu": {"0.5"}, "memory": {"1.5Gi"}, "gpu": {"2"}, "scope": {"organization"}, "organization": {"acme"}})
	if err != nil || n.Room != (store.Room{CPU: 500, Memory: 3 << 29, GPU: 2}) || n.Scope.String() != "organization/acme" {
		t.Errorf("%+v, %v", n, err)
	}
}
