package views

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/store"
)

func TestQuery(t *testing.T) {
	tests := []struct {
		query, canonical string
		want             store.Filter
	}{
		{"", "", store.Filter{}},
		{"q=&health=&namespace=+", "", store.Filter{}},
		{"health=healthy&health=unhealthy&health=healthy", "health=unhealthy&health=healthy", store.Filter{Healths: []store.Health{store.Unhealthy, store.Healthy}}},
		{"health=disabled,unknown", "health=unknown&health=disabled", store.Filter{Healths: []store.Health{store.Unknown}, Disabled: true}},
		{"reason=crashloop&reason=image_pull_failed", "reason=image_pull_failed&reason=crashloop", store.Filter{Reasons: []store.Reason{store.ImagePullFailed, store.CrashLoop}}},
		{"version=v1.2.3&version=1.2.3&version=none", "version=none&version=1.2.3", store.Filter{Versions: []string{"", "1.2.3"}}},
		{"namespace=b&namespace=a&cluster=x/y&system=kubiya&q=+two+words+", "cluster=x%2Fy&namespace=a&namespace=b&q=two+words&system=kubiya",
			store.Filter{Namespaces: []string{"a", "b"}, Clusters: []string{"x/y"}, Systems: []string{"kubiya"}, Text: "two words"}},
	}
	for _, tc := range tests {
		v, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseQuery(v)
		if err != nil || !reflect.DeepEqual(f, tc.want) {
			t.Errorf("%q: %+v, %v; want %+v", tc.query, f, err, tc.want)
		}
		if got := EncodeQuery(f); got != tc.canonical {
			t.Errorf("%q: encoded %q, want %q", tc.query, got, tc.canonical)
		}
	}
}

func TestQueryRefuses(t *testing.T) {
	for query, names := range map[string]string{
		"health=sick":                      "unhealthy, degraded, unknown, healthy, disabled",
		"reason=tired":                     "image_pull_failed, config_invalid, crashloop, start_failed, runtime_lost",
		"q=a%0Db":                          "control characters",
		"q=%FF":                            "control characters",
		"q=" + strings.Repeat("x", 300):    "longer",
		strings.Repeat("namespace=n&", 99): "at most",
	} {
		v, _ := url.ParseQuery(query)
		_, err := ParseQuery(v)
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), names) {
			t.Errorf("%.40q: %v", query, err)
		}
	}
	if err := CheckSystems(store.Filter{Systems: []string{"plan9"}}, []string{"agyn", "kubiya"}); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "agyn, kubiya") {
		t.Errorf("an unknown system: %v", err)
	}
	if err := CheckSystems(store.Filter{Systems: []string{"agyn"}}, []string{"agyn"}); err != nil {
		t.Error(err)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("health=unhealthy&version=v1&q=a")
	f.Add("namespace=%00&cluster=a%26b&version=none&version=+v2")
	f.Fuzz(func(t *testing.T, query string) {
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		a, err := ParseQuery(v)
		if err != nil {
			return
		}
		again, err := url.ParseQuery(EncodeQuery(a))
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseQuery(again)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%q: %+v became %+v, %v", query, a, b, err)
		}
	})
}

func TestTotalsChanged(t *testing.T) {
	before := store.NewSnapshot(storyHealthy(20), nil, StoryTime)
	bad := storyHealthy(1)[0]
	storyFail(bad, 1)
	after, _ := store.Apply(before, store.Touched{Runners: []*store.Runner{bad}}, StoryTime)
	html := render(t, TotalsChanged(before, after)...)
	want := `<b id="n-unhealthy">1</b><b id="n-healthy">19</b><link id="icon" rel="icon" href="/icon.svg?n=1"><b id="n-crashloop">1</b>` +
		`<title id="title">(1) Trackside</title><p id="calm"></p>`
	if html != want {
		t.Errorf("got  %s\nwant %s", html, want)
	}
	if n := len(TotalsChanged(after, after)); n != 0 {
		t.Errorf("nothing changed and %d fragments differ", n)
	}
	for _, c := range CountsChanged(before, after) {
		if strings.Contains(render(t, c), "title") {
			t.Error("a page with a title of its own would lose it")
		}
	}
	all := parse(t, render(t, TotalsFragments(after)...))
	page := parse(t, render(t, storyFleet(after, store.Filter{})))
	for _, c := range TotalsFragments(after) {
		id := parse(t, render(t, c)).Find("[id]").First().AttrOr("id", "")
		if all.Find("#"+id).Length() != 1 || page.Find("#"+id).Length() != 1 {
			t.Errorf("#%s is not exactly once in the page", id)
		}
	}
}

func TestReasonsHaveTitleCountAndLink(t *testing.T) {
	s := store.NewSnapshot(StoryFleet(10, 5), nil, StoryTime)
	d := parse(t, render(t, storyFleet(s, store.Filter{})))
	for _, r := range store.Reasons() {
		a := d.Find(`#reasons a[href="/?reason=` + r.String() + `"]`)
		if !strings.HasPrefix(a.Text(), r.Title()) || a.Find("#n-"+r.String()).Text() != "1" {
			t.Errorf("%v: %q", r, a.Text())
		}
	}
}

func TestCalmAndEmpty(t *testing.T) {
	d := parse(t, render(t, storyFleet(store.NewSnapshot(storyHealthy(12), nil, StoryTime), store.Filter{})))
	if got := d.Find("#calm").Text(); got != "All 12 runners are healthy." {
		t.Errorf("calm says %q", got)
	}
	off := storyHealthy(1)[0]
	off.Ref.Name, off.Observed = "off", store.Disabled
	for want, s := range map[string]*store.Snapshot{
		"The only runner is healthy.":                                                  store.NewSnapshot(storyHealthy(1), nil, StoryTime),
		"All 3 runners in service are healthy; 1 out of service.":                      store.NewSnapshot(append(storyHealthy(3), off), nil, StoryTime),
		"All 3 runners were healthy when last heard of.":                               store.NewSnapshot(storyHealthy(3), staleSources(), StoryTime),
		"The only runner in service was healthy when last heard of; 1 out of service.": store.NewSnapshot(append(storyHealthy(1), off), restoredSources(), StoryTime),
		"": store.NewSnapshot(StoryFleet(3, 1), nil, StoryTime),
	} {
		if got := calm(s); got != want {
			t.Errorf("calm says %q, want %q", got, want)
		}
	}
	if got := d.Find("#empty").Text(); got != "" {
		t.Errorf("a fleet that is there is explained as empty: %q", got)
	}
	d = parse(t, render(t, storyFleet(store.NewSnapshot(nil, []store.Source{liveSource("prod")}, StoryTime), store.Filter{})))
	empty := d.Find("#empty")
	if !strings.Contains(empty.Text(), liveSource("prod").Scope) || empty.Find("code").First().Text() != "kubectl label deployment my-runner trackside.dev/runner=my-runner" {
		t.Errorf("the empty fleet says %q", empty.Text())
	}
	for want, got := range map[string]string{"12 runners": shownText(12, 12), "1 of 12 runners shown": shownText(1, 12), "None of 12 runners matches this filter.": shownText(0, 12), "": shownText(0, 0)} {
		if got != want {
			t.Errorf("shown says %q, want %q", got, want)
		}
	}
}

func TestFilterInThePage(t *testing.T) {
	s := store.NewSnapshot(storyMix(), nil, StoryTime)
	f := store.Filter{Healths: []store.Health{store.Unhealthy}, Namespaces: []string{"runners-eu"}, Text: "kubiya"}
	d := parse(t, render(t, storyFleet(s, f)))
	if n := d.Find("#rows > tr").Length(); n != 1 {
		t.Errorf("%d rows", n)
	}
	if got := d.Find("header a.u").AttrOr("href", "") + " " + d.Find("header a.u").AttrOr("aria-current", ""); got != "/?namespace=runners-eu&q=kubiya true" {
		t.Errorf("the count's link is %q", got)
	}
	if got := d.Find(`#distributions a[aria-current]`).AttrOr("href", ""); got != "/?health=unhealthy&q=kubiya" {
		t.Errorf("the chosen namespace's link is %q", got)
	}
	if d.Find(`#filter input[type=hidden][name=health][value=unhealthy]`).Length() != 1 || d.Find("#filter .chip").Length() != 3 || d.Find("#q").AttrOr("value", "") != "kubiya" {
		t.Error("the form does not keep the filter")
	}
	if got := d.Find("#shown").Text(); got != "1 of 21 runners shown" {
		t.Errorf("shown says %q", got)
	}
}

func TestSourcesSay(t *testing.T) {
	s := store.NewSnapshot(nil, staleSources(), StoryTime)
	s.History = store.History{LostSince: ago(time.Minute), Problem: "The disk is full."}
	d := parse(t, render(t, Sources(s)))
	text := d.Find("#sources").Text()
	for _, want := range []string{"stale for", "connection refused", "1 limit", "forbidden", "History", "The disk is full."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	if d.Find("#sources .d time[data-for]").Length() != 2 {
		t.Error("since when is missing")
	}
	noted := *s
	noted.Sources = slices.Clone(s.Sources)
	noted.Sources[0].Note = store.Sentence("3 tasks wait for a runner, the oldest for " + store.For(ago(time.Minute)))
	if d := parse(t, render(t, Sources(&noted))); !SourcesChanged(s, &noted) || !strings.Contains(d.Find("#sources").Text(), "3 tasks wait for a runner") ||
		d.Find("#sources time[data-for]").Length() != 3 {
		t.Error("what waits is missing")
	}
	other := *s
	other.Sources = restoredSources()
	if !SourcesChanged(s, &other) || SourcesChanged(s, s) {
		t.Error("SourcesChanged is wrong")
	}
}

func TestDistributionsChange(t *testing.T) {
	before := store.NewSnapshot(storyHealthy(8), nil, StoryTime)
	r := *storyHealthy(1)[0]
	r.Version = "9"
	after, changes := store.Apply(before, store.Touched{Runners: []*store.Runner{&r}}, StoryTime)
	if !DistributionsChanged(before, after) || !DistributionsTouched(changes) || DistributionsChanged(after, after) || DistributionsTouched(nil) {
		t.Error("a new version is a new distribution, and nothing else is")
	}
	s := store.NewSnapshot(nil, nil, StoryTime)
	var many []*store.Runner
	for i := range 200 {
		many = append(many, storyRunnerNamed("c", "s", fmt.Sprintf("ns-%03d", i), "r", "1"))
	}
	s, _ = store.Apply(s, store.Touched{Runners: many}, StoryTime)
	d := parse(t, render(t, Distributions(s, store.Filter{}))).Find("section").Eq(1)
	if d.Find(".bar rect").Length() != legendTop || d.Find("details li").Length() != legendRest || d.Find("summary").Text() != "192 more" {
		t.Errorf("%d segments, %d more shown, %q", d.Find(".bar rect").Length(), d.Find("details li").Length(), d.Find("summary").Text())
	}
}

func TestBoardFits(t *testing.T) {
	for n := range 400 {
		if n > 160 && n%40 != 0 {
			continue
		}
		for _, bad := range []int{0, 1, n / 10, n / 2, n} {
			s := store.NewSnapshot(StoryFleet(n, bad), nil, StoryTime)
			m := NewBoardModel(s, StoryTime)
			wide := 0
			for _, tl := range m.tiles {
				if tl.Wide {
					wide++
				}
			}
			if got := places(wide, len(m.tiles)-wide); got > mostPlaces {
				t.Errorf("%d runners, %d failing: %d places", n, bad, got)
			}
			if min(bad, n) > 0 && (m.tiles[0].Class != "u" || len(m.tiles[0].Why) == 0) {
				t.Errorf("%d runners, %d failing: the first tile is %+v", n, bad, m.tiles[0])
			}
		}
	}
}

func TestRunnerPageShowsEverything(t *testing.T) {
	r := StoryFleet(1, 1)[0]
	for i := range 300 {
		r.Workloads = append(r.Workloads, store.Workload{Namespace: "n", Name: fmt.Sprint("w", i), UID: fmt.Sprint("u", i), Verdict: well(), Created: StoryTime})
	}
	r.Workloads[200].Verdict = verdict(store.Degraded, time.Second, "It starts.")
	r.Workloads[200].Next = StoryTime.Add(41 * time.Second)
	s := store.NewSnapshot([]*store.Runner{r}, nil, StoryTime)
	d := parse(t, render(t, RunnerPage(NewRunnerModel(s, r, storyEvents(r), StoryTime))))
	text := d.Find("main").Text()
	for _, want := range []string{"Image pull failed", "ImagePullBackOff", "401 Unauthorized", "connection refused", "http://10.1.4.7:8080/healthz", "0/1",
		"wait-for-token", "sidecar", "waiting", "worker-3", "registry.example/runner/agent-manager:1.14.2", "went from version 1.13.0 to 1.14.2", "2026-11-20 15:33:48 UTC", r.Inspect} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	rows := d.Find("#workloads tbody > tr")
	if rows.Length() != maxWorkloads || !rows.First().HasClass("u") || !rows.Eq(1).HasClass("d") || !strings.Contains(text, "104 more workloads not shown") {
		t.Errorf("%d workloads, first %q", rows.Length(), rows.First().Text())
	}
	if rows.Eq(1).Find("time[data-until]").Length() != 1 {
		t.Error("no countdown")
	}
	if got := d.Find("title").Text(); got != "kubiya-runners-eu-0, unhealthy · Trackside" {
		t.Errorf("title %q", got)
	}
	d = parse(t, render(t, RunnerPage(NewGoneModel(s, r.Ref, storyEvents(r), StoryTime))))
	if !strings.Contains(d.Find(".head").Text(), "no longer there") || d.Find("#events li").Length() != 5 {
		t.Error("a runner that has gone does not say so")
	}
}

func TestIcon(t *testing.T) {
	for n, want := range map[int]string{0: "circle", 3: ">3<", 9: ">9<", 10: ">9+<", 500: ">9+<"} {
		if svg := string(Icon(n, store.Healthy)); !strings.Contains(svg, want) {
			t.Errorf("%d: %s", n, svg)
		}
	}
	for _, runners := range [][]*store.Runner{storyHealthy(3), StoryFleet(20, 12), append(storyHealthy(2), storyDegraded()...)} {
		totals := store.NewSnapshot(runners, nil, StoryTime).Totals()
		u, err := url.Parse(IconURL(totals))
		if err != nil {
			t.Fatal(err)
		}
		if n, w := ParseIcon(u.Query()); n != min(totals.Health(store.Unhealthy), 10) || w != worst(totals) {
			t.Errorf("%s reads %d, %v", u, n, w)
		}
	}
}

// A part of which only an API tells, or that is an object without pods, runs nothing: nobody has counted its pods.
func TestAPartWithoutAnObjectCountsNothing(t *testing.T) {
	told := newComponent(&store.Component{Name: "tool-manager", Version: "0.5.8"})
	object := newComponent(&store.Component{Name: "enrolment", Kind: "Runner", Object: "k8s-runner"})
	seen := newComponent(&store.Component{Name: "tool-manager", Kind: "Deployment", Object: "tool-manager", Image: "tool-manager:1"})
	if told.Ready != "" || told.Restarts != "" || object.Ready != "" || object.Version != "" || seen.Ready != "0/0" || seen.Restarts != "0" {
		t.Errorf("%+v, %+v, %+v", told, object, seen)
	}
}
