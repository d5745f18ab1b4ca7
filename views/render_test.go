package views

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"
	"github.com/klauspost/compress/zstd"

	"trackside/store"
)

func render(t testing.TB, cs ...templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	for _, c := range cs {
		if err := c.Render(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func parse(t testing.TB, html string) *goquery.Document {
	t.Helper()
	d, err := goquery.NewDocumentFromReader(strings.NewReader(html))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parseRow(t testing.TB, r *store.Runner) *goquery.Selection {
	t.Helper()
	return parse(t, "<table><tbody>"+render(t, RunnerRow(r))+"</tbody></table>").Find("tbody")
}

func squeezed(t testing.TB, html string) int {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return len(w.EncodeAll([]byte(html), nil))
}

func TestRowMarksEveryHealth(t *testing.T) {
	want := map[store.Health][2]string{store.Unhealthy: {"u", "unhealthy"}, store.Degraded: {"d", "degraded"},
		store.Unknown: {"k", "unknown"}, store.Healthy: {"h", "healthy"}}
	for _, h := range store.Healths() {
		r := storyHealthy(1)[0]
		r.Health, r.Components[0].Health = h, h
		row := parseRow(t, r)
		tr := row.Children()
		if tr.Length() != 1 || !tr.Is("tr") || tr.AttrOr("id", "") != r.Ref.ID() || tr.AttrOr("class", "") != want[h][0] {
			t.Errorf("%v: not one tr with the runner's id and class: %s", h, render(t, RunnerRow(r)))
		}
		if got := tr.Find("td").First().Find("i").Text(); got != want[h][1] {
			t.Errorf("%v: the word is %q", h, got)
		}
		if got := tr.Find(".c > ." + want[h][0] + " > i").First().Text(); got != want[h][1] {
			t.Errorf("%v: a component's word is %q", h, got)
		}
	}
}

func TestRowStates(t *testing.T) {
	tests := []struct {
		requested, observed store.State
		class, word, moving string
	}{
		{store.Enabled, store.Enabled, "h", "healthy", ""},
		{store.Disabled, store.Enabled, "h", "healthy", "disabling…"},
		{store.Disabled, store.Disabled, "x", "disabled", ""},
		{store.Enabled, store.Disabled, "x", "disabled", "enabling…"},
		{store.Deleting, store.Enabled, "h", "healthy", "deleting…"},
	}
	for _, tc := range tests {
		r := storyHealthy(1)[0]
		r.Requested, r.Observed = tc.requested, tc.observed
		tr := parseRow(t, r).Find("tr." + tc.class)
		first := tr.Find("td").First()
		if first.Find("i").Text() != tc.word || first.Find("small").Text() != tc.moving {
			t.Errorf("%v, %v: %q", tc.requested, tc.observed, first.Text())
		}
	}
}

func TestRowSaysWhyWhereAndHow(t *testing.T) {
	r := StoryFleet(2, 2)[1]
	tr := parseRow(t, r).Find("tr")
	if got, want := strings.TrimSpace(tr.Find(".y > p").Text()), r.Why.Absolute(); !strings.HasPrefix(got, "k8s-runner has restarted 7 times") {
		t.Errorf("why is %q, of %q", got, want)
	}
	if tr.Find(".y time[data-ago][datetime]").Length() != 1 {
		t.Error("the instant in the sentence is not a time element")
	}
	if got := tr.Find(".y code").Text(); got != r.Inspect {
		t.Errorf("the kubectl line is %q", got)
	}
	if got := tr.Find("td").Eq(1).Text(); got != "k8s-runner-1runners-us · agyn · prod" {
		t.Errorf("name and place are %q", got)
	}
	if got := tr.Find(".c .u em").Text(); got != "0/1 · 3 restarts" {
		t.Errorf("the chip says %q", got)
	}
	if tr.Find("td").Last().Find("time[data-for]").Length() != 1 {
		t.Error("no since")
	}
	r = storyHealthy(1)[0]
	r.Recovered = StoryTime
	if got := parseRow(t, r).Find(".r").Text(); !strings.HasPrefix(got, "recovered ") {
		t.Errorf("a recovery says %q", got)
	}
}

func TestLongNamesShortenInTheMiddle(t *testing.T) {
	r := storyHealthy(1)[0]
	r.Ref.Name = strings.Repeat("a", 30) + "-tail-01"
	b := parseRow(t, r).Find("a b")
	if b.AttrOr("title", "") != r.Ref.Name || b.Text() != r.Ref.Name || b.Children().Last().Text() != "-tail-01" {
		t.Errorf("%s", render(t, RunnerRow(r)))
	}
}

// Every page state obeys the rules that keep a strict policy strict, and hostile text text.
func TestStories(t *testing.T) {
	for _, s := range Stories() {
		t.Run(s.Name, func(t *testing.T) {
			d := checkMarkup(t, render(t, s.Component))
			if d.Find("#page").Length() != 1 || d.Find("title#title").Length() != 1 || d.Find("link#icon").Length() != 1 {
				t.Error("page, title or icon is missing")
			}
		})
	}
}

// expressions are all that the pages give to Datastar: constants, none of them made of anybody's text.
var expressions = map[string]bool{liveSignals: true, liveInit: true, liveOnFetch: true, liveWatchdog: true, liveShown: true,
	connClass: true, connText: true, ageClass: true, ageText: true}

var oldSyntax = regexp.MustCompile(`^data-(on|signals|class|attr|bind|computed|indicator|ref)-`)

// checkMarkup checks that a page needs no inline style or script, and that no text of a cluster could be run.
func checkMarkup(t *testing.T, html string) *goquery.Document {
	t.Helper()
	if strings.ContainsAny(html, "\r\x00\x1b\u202e\u2066") {
		t.Error("a control character reached the page")
	}
	ids := map[string]bool{}
	parse(t, html).Find("*").Each(func(_ int, el *goquery.Selection) {
		for _, a := range el.Nodes[0].Attr {
			switch {
			case a.Key == "style", strings.HasPrefix(a.Key, "on"):
				t.Errorf("attribute %s=%q", a.Key, a.Val)
			case strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:") && a.Key == "href":
				t.Errorf("href=%q", a.Val)
			case a.Key == "data-on-interval__duration.1s":
				if !expressions[a.Val] {
					t.Errorf("%s=%q is not a constant", a.Key, a.Val)
				}
			case oldSyntax.MatchString(a.Key):
				t.Errorf("old syntax %s", a.Key)
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("id %q stands twice", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case strings.HasPrefix(a.Key, "data-") && a.Val != "" && !expressions[a.Val] && !plainData[a.Key]:
				t.Errorf("%s=%q could be evaluated", a.Key, a.Val)
			}
		}
	})
	d := parse(t, html)
	if n := d.Find("script:not([src]), img, iframe, [onerror]").Length(); n != 0 {
		t.Errorf("%d elements that no page of ours has", n)
	}
	return d
}

// plainData are the data attributes that nothing evaluates.
var plainData = map[string]bool{"data-now": true, "data-stream": true, "data-preserve-attr": true, "data-l": true, "data-role": true}

func TestLivePageOpensItsStream(t *testing.T) {
	s := store.NewSnapshot(storyHostile(), nil, StoryTime)
	f := store.Filter{Text: "'+@home('", Namespaces: []string{"a b"}}
	m := NewFleetModel(s, f, StoryTime)
	m.Frame.Live = true
	d := checkMarkup(t, render(t, FleetPage(m)))
	body := d.Find("body")
	if got := body.AttrOr("data-stream", ""); got != "/stream?namespace=a+b&q=%27%2B%40home%28%27" {
		t.Errorf("the stream is %q", got)
	}
	if body.AttrOr("data-init", "") != liveInit || body.AttrOr("data-on-interval__duration.1s", "") != liveWatchdog || body.AttrOr("data-on:datastar-fetch", "") != liveOnFetch {
		t.Error("the body does not open, watch and hear its stream")
	}
	var order []string
	for _, a := range body.Nodes[0].Attr {
		order = append(order, a.Key)
	}
	if got := strings.Join(order[:3], " "); got != "data-stream data-signals data-init" {
		t.Errorf("signals must stand before the request: %s", got)
	}
	if _, ok := d.Find("#conn").Attr("data-ignore-morph"); !ok {
		t.Error("a full frame would reset the connection's state")
	}
	r := storyHostile()[2]
	rm := NewRunnerModel(s, r, nil, StoryTime)
	rm.Frame.Live = true
	if got := checkMarkup(t, render(t, RunnerPage(rm))).Find("body").AttrOr("data-stream", ""); got != r.Ref.Path()+"/stream" {
		t.Errorf("the runner's stream is %q", got)
	}
}

func TestFirstFrameIsComplete(t *testing.T) {
	s := store.NewSnapshot(storyMix(), []store.Source{liveSource("prod")}, StoryTime)
	for name, c := range map[string]templ.Component{
		"fleet":  FleetMain(NewFleetModel(s, store.Filter{}, StoryTime)),
		"runner": RunnerMain(NewRunnerModel(s, storyMix()[0], nil, StoryTime)),
		"board":  BoardMain(NewBoardModel(s, StoryTime)),
	} {
		html := render(t, c)
		if !strings.HasPrefix(html, `<title id="title">`) || !strings.Contains(html, `<link id="icon"`) || !strings.Contains(html, `<div id="page">`) {
			t.Errorf("%s: title, icon and page are not its parts: %.120s", name, html)
		}
	}
}

func TestSizes(t *testing.T) {
	at := time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	before := store.NewSnapshot(storyHealthy(500), []store.Source{liveSource("prod")}, at)
	page := render(t, FleetPage(NewFleetModel(before, store.Filter{}, at)))
	if n := squeezed(t, page); n > 60_000 {
		t.Errorf("500 rows are %d bytes compressed", n)
	} else {
		t.Logf("500 rows: %d bytes, %d compressed", len(page), n)
	}
	failing := storyHealthy(1)[0]
	healthy := render(t, RunnerRow(failing))
	storyFail(failing, 0)
	after, _ := store.Apply(before, store.Touched{Runners: []*store.Runner{failing}}, at.Add(time.Second))
	totals := render(t, TotalsChanged(before, after)...)
	if len(totals) > 300 {
		t.Errorf("the totals of one change are %d bytes: %s", len(totals), totals)
	}
	row := render(t, RunnerRow(failing))
	frame := "event: datastar-patch-elements\ndata: elements " + totals + "\n\n" +
		"event: datastar-patch-elements\ndata: mode remove\ndata: selector #" + failing.Ref.ID() + "\n\n" +
		"event: datastar-patch-elements\ndata: mode prepend\ndata: selector #rows\ndata: elements " + row + "\n\n"
	if n := squeezed(t, frame); n > 1024 {
		t.Errorf("one change is %d bytes compressed", n)
	} else {
		t.Logf("healthy row %d bytes, failing row %d, totals %d, the change in one frame %d compressed", len(healthy), len(row), len(totals), n)
	}
}

func BenchmarkRunnerRow(b *testing.B) {
	r := StoryFleet(1, 1)[0]
	var buf bytes.Buffer
	for b.Loop() {
		buf.Reset()
		if err := RunnerRow(r).Render(context.Background(), &buf); err != nil {
			b.Fatal(err)
		}
	}
}
