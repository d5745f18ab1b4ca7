package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
	"trackside/systems"
)

// The tab tells the count of what fails in its title and its icon, and both follow it.
func TestTitleAndIcon(t *testing.T) {
	ns := newNamespace(t, cluster)
	a, b := newRunner(t, cluster, ns, "one", "60s"), newRunner(t, cluster, ns, "two", "60s")
	bd := scoped(t, cluster, ns)
	fleet, wall := openLive(t, bd, "/"), openLive(t, bd, "/board")
	one := openLive(t, bd, a.ref().Path())
	healthy(t, fleet, a, b)
	icon := func(p *rig.Page, want string) {
		t.Helper()
		loc := p.Locator("#icon")
		if err := expect.Locator(loc).ToHaveAttribute("href", regexp.MustCompile(regexp.QuoteMeta(want)), playwright.LocatorAssertionsToHaveAttributeOptions{Timeout: millis(soon)}); err != nil {
			t.Fatal(err)
		}
	}
	all := func(n int, prefix string) {
		t.Helper()
		titled(t, fleet, prefix+"Trackside", soon)
		titled(t, wall, prefix+"Trackside board", soon)
		for _, p := range []*rig.Page{fleet, wall, one} {
			icon(p, fmt.Sprintf("n=%d", n))
			is(t, p.Locator("#n-unhealthy"), fmt.Sprint(n), soon)
		}
	}
	all(0, "")
	titled(t, one, "one, healthy · Trackside", soon)
	a.crash(t, "first")
	all(1, "(1) ")
	titled(t, one, "one, unhealthy · Trackside", soon)
	b.crash(t, "second")
	all(2, "(2) ")
	href, err := fleet.Locator("#icon").GetAttribute("href")
	must(t, err)
	svg, err := rig.Get(bd.URL + href)
	must(t, err)
	if !strings.Contains(svg, ">2</text>") {
		t.Errorf("the icon does not show the count: %s", svg)
	}
	a.restore(t)
	b.restore(t)
	all(0, "")
}

// A filter narrows the rows, is in the address, and outlives a reload.
func TestFilters(t *testing.T) {
	bd := shared(t)
	all := openLive(t, bd, "/")
	total := len(rowIDs(t, all))
	for query, want := range map[string][]string{
		"namespace=kubiya-eu":              {"runner-eu"},
		"namespace=kubiya-eu&namespace=ci": {"runner-eu", "ci-linux"},
		"system=agyn":                      {"k8s-runner", "k8s-runner"},
		"version=v0.9.0&system=labelled":   {"edge-berlin"},
		"version=0.9.0&namespace=edge":     {"edge-berlin"},
		"q=BERLIN":                         {"edge-berlin"},
		"q=builds":                         {"builds-docker"},
		"health=healthy&namespace=gpu":     {"gpu-a100"},
		"health=unknown&namespace=gpu":     nil,
	} {
		t.Run(query, func(t *testing.T) {
			p := openLive(t, bd, "/?"+query)
			names := p.Locator("#rows [data-row]")
			counts(t, names, len(want), soon)
			for _, reload := range []bool{false, true} {
				if reload {
					_, err := p.Reload()
					must(t, err)
				}
				var got []string
				for _, id := range rowIDs(t, p) {
					got = append(got, text(t, p.Locator("#"+id+" [data-row]")))
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("rows %v, want %v of %d", got, want, total)
				}
			}
		})
	}
}

// What is typed becomes the filter, without a press of Enter, and the typing goes on.
func TestTypedFilter(t *testing.T) {
	p := openLive(t, shared(t), "/")
	must(t, p.Keyboard().Press("/"))
	must(t, p.Keyboard().Type("berl"))
	must(t, p.WaitForURL(regexp.MustCompile(`\?q=berl$`)))
	counts(t, p.Locator("#rows > tr"), 1, soon)
	must(t, expect.Locator(p.Locator("#q")).ToBeFocused())
	must(t, p.Keyboard().Type("in"))
	must(t, p.WaitForURL(regexp.MustCompile(`\?q=berlin$`)))
	isLive(t, p)
}

// A runner that begins to fail comes into the view of what fails, and leaves it when it is well, while nobody reloads.
func TestFilteredLive(t *testing.T) {
	f := newRunner(t, cluster, "", "comes-and-goes", "60s")
	other := newRunner(t, cluster, f.ns, "stays", "60s")
	bd := shared(t)
	bad, well := openLive(t, bd, "/?health=unhealthy&namespace="+f.ns), openLive(t, bd, "/?health=healthy&namespace="+f.ns)
	mark(t, bad)
	mark(t, well)
	healthy(t, well, f, other)
	has(t, bad.Locator("#shown"), "matches this filter", soon)
	f.crash(t, "boom")
	counts(t, f.row(bad), 1, soon)
	counts(t, f.row(well), 0, soon)
	counts(t, other.row(well), 1, soon)
	f.restore(t)
	counts(t, f.row(bad), 0, soon)
	healthy(t, well, f, other)
	same(t, bad)
	same(t, well)
}

// Questions that cannot be answered are answered with what can be asked.
func TestWrongQuestions(t *testing.T) {
	bd := shared(t)
	p := browser.Page(t)
	p.Allow(func(c string) bool { return strings.Contains(c, "the server responded with a status of 40") })
	for _, q := range []struct {
		path   string
		status int
		says   []string
	}{
		{"/?health=poorly", http.StatusBadRequest, []string{"poorly", "unhealthy, degraded, unknown, healthy, disabled"}},
		{"/?system=jenkins", http.StatusBadRequest, []string{"jenkins", strings.Join(systems.Names(), ", ")}},
		{"/?reason=because", http.StatusBadRequest, []string{"because", "image_pull_failed, config_invalid, crashloop, start_failed, runtime_lost"}},
		{"/?namespace=nobody-has-this", http.StatusOK, []string{"None of", "matches this filter"}},
		{"/?version=99.99", http.StatusOK, []string{"None of"}},
		{"/runners/" + url.PathEscape(cluster.Alias()) + "/labelled/edge/edge-berlim", http.StatusNotFound, []string{"edge-berlin", "Runners with a similar name"}},
		{"/runners/nowhere/labelled/edge/edge-berlin", http.StatusNotFound, []string{"edge-berlin"}},
		{"/no/such/page", http.StatusNotFound, []string{"no page"}},
	} {
		resp := visit(t, p, bd.URL+q.path)
		if resp.Status() != q.status {
			t.Errorf("%s answered %d, want %d", q.path, resp.Status(), q.status)
		}
		for _, s := range q.says {
			has(t, p.Locator("main"), s, soon)
		}
	}
}

// A permalink outlives a reload and the board's restart, and is what the row links to.
func TestPermalink(t *testing.T) {
	f := newRunner(t, cluster, "", "permanent", "60s")
	bd := scoped(t, cluster, f.ns)
	p := openLive(t, bd, "/")
	must(t, f.row(p).Locator("[data-row]").Click())
	must(t, p.WaitForURL(bd.URL+f.ref().Path()))
	is(t, p.Locator("h1"), f.name, soon)
	_, err := p.Reload()
	must(t, err)
	is(t, p.Locator("h1"), f.name, soon)
	p.Allow(refused)
	bd.Stop(t)
	bd.Start(t)
	visit(t, p, bd.URL+f.ref().Path())
	is(t, p.Locator("h1"), f.name, soon)
	is(t, p.Locator(".head .state > i"), "healthy", soon)
}

// snapshot is what a page says: its rows or tiles, their health and their sentences, with instants by their time and not their wording.
const snapshot = `() => {
  const root = document.getElementById('page').cloneNode(true)
  for (const t of root.querySelectorAll('time')) t.textContent = t.dateTime
  for (const e of root.querySelectorAll('#conn, button, #sources, #uptime')) e.remove()
  return [...root.querySelectorAll('tr, main > a, .head, #calm, #shown, li')].map(e => e.id + ' ' + e.textContent.replace(/\s+/g, ' ').trim()).join('\n')
}`

// Without JavaScript every page shows the same snapshot.
func TestWithoutJavaScript(t *testing.T) {
	ns := newNamespace(t, cluster)
	bad, well := newRunner(t, cluster, ns, "bad", "60s"), newRunner(t, cluster, ns, "well", "60s")
	bd := scoped(t, cluster, ns)
	first := openLive(t, bd, "/")
	healthy(t, first, well)
	bad.crash(t, "out of luck")
	has(t, bad.row(first), "out of luck", soon)
	has(t, well.row(first), "1/1", soon)
	for _, path := range []string{"/", "/?health=unhealthy", bad.ref().Path(), well.ref().Path(), "/failures", "/board"} {
		live := openLive(t, bd, path)
		plain := open(t, bd, path, playwright.BrowserNewContextOptions{JavaScriptEnabled: new(false)})
		with, without := eval(t, live, snapshot).(string), eval(t, plain, snapshot).(string)
		if with != without || len(with) < 40 {
			t.Errorf("%s with JavaScript:\n%s\nwithout:\n%s", path, with, without)
		}
		has(t, plain.Locator("#conn"), "as of 20", soon)
		visible(t, plain.Locator("main"), soon)
	}
}
