package e2e

import (
	"math"
	"regexp"
	"slices"
	"testing"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
)

// three makes three runners and a page that shows them, and nothing else, in this order.
func three(t *testing.T) (a, b, c fixture, p *rig.Page) {
	t.Helper()
	ns := newNamespace(t, cluster)
	a, b, c = newRunner(t, cluster, ns, "aa", "60s"), newRunner(t, cluster, ns, "bb", "60s"), newRunner(t, cluster, ns, "cc", "60s")
	bd := scoped(t, cluster, ns)
	p = openLive(t, bd, "/")
	healthy(t, p, a, b, c)
	settled(t, p, a, b, c)
	return a, b, c, p
}

// settled waits until the rows are in this order.
func settled(t *testing.T, p *rig.Page, fs ...fixture) {
	t.Helper()
	var want []string
	for _, f := range fs {
		want = append(want, f.ref().ID())
	}
	_, err := p.WaitForFunction("want => [...document.querySelectorAll('#rows > tr')].map(r => r.id).join() === want.join()", want,
		playwright.PageWaitForFunctionOptions{Timeout: millis(soon)})
	if err != nil {
		t.Fatalf("rows %v, want %v", rowIDs(t, p), want)
	}
}

func box(t *testing.T, l playwright.Locator) playwright.Rect {
	t.Helper()
	r, err := l.BoundingBox()
	must(t, err)
	return *r
}

// stood checks that an element is where it was; the fraction of a pixel is rounding.
func stood(t *testing.T, was, now playwright.Rect) {
	t.Helper()
	if math.Abs(was.Y-now.Y) > 0.5 || math.Abs(was.X-now.X) > 0.5 {
		t.Errorf("the row jumped from %+v to %+v", was, now)
	}
}

// Rows stand still under the pointer. What they say is true all the same, and the order follows once the pointer is gone.
func TestRowsStayUnderPointer(t *testing.T) {
	a, b, c, p := three(t)
	must(t, a.row(p).Locator("td").Last().Hover())
	was := box(t, a.row(p))
	c.crash(t, "behind your back")
	has(t, c.row(p), "behind your back", soon)
	is(t, c.health(p), "unhealthy", soon)
	has(t, p.Locator("#held"), regexp.MustCompile(`1 row will move when the pointer leaves`), soon)
	visible(t, p.Locator("#held"), soon)
	stood(t, was, box(t, a.row(p)))
	settled(t, p, a, b, c)
	c.message(t, "behind your back again")
	has(t, c.row(p), "behind your back again", soon)
	settled(t, p, a, b, c)
	must(t, p.Mouse().Move(5, 5))
	settled(t, p, c, a, b)
	hidden(t, p.Locator("#held"), soon)
	has(t, c.row(p), "behind your back again", soon)
}

// The line that says that all is well stands above the rows: it moves them neither when it goes nor when it comes.
func TestLineAboveRows(t *testing.T) {
	a, b, c, p := three(t)
	calm := p.Locator("#calm")
	is(t, calm, "All 3 runners are healthy.", soon)
	must(t, a.row(p).Locator("td").Last().Hover())
	was := box(t, a.row(p))
	a.crash(t, "under the pointer")
	has(t, a.row(p), "under the pointer", soon)
	is(t, calm, "", soon)
	stood(t, was, box(t, a.row(p)))
	must(t, p.Mouse().Move(5, 5))
	hidden(t, calm, soon)
	settled(t, p, a, b, c)

	must(t, b.row(p).Locator("td").Last().Hover())
	was = box(t, a.row(p))
	a.restore(t)
	healthy(t, p, a)
	stood(t, was, box(t, a.row(p)))
	must(t, p.Mouse().Move(5, 5))
	visible(t, calm, soon)
}

// A row that goes while the pointer is over the list is marked, and goes with the pointer.
func TestRowsLeaveWithPointer(t *testing.T) {
	a, b, c, p := three(t)
	must(t, b.row(p).Locator("td").Last().Hover())
	was := box(t, a.row(p))
	a.remove()
	must(t, expect.Locator(a.row(p)).ToHaveClass(regexp.MustCompile(`\bgone\b`), playwright.LocatorAssertionsToHaveClassOptions{Timeout: millis(2 * soon)}))
	settled(t, p, a, b, c)
	visible(t, a.row(p), soon)
	stood(t, was, box(t, a.row(p))) // which may have become higher: that its pod is going has been said by then, or not
	must(t, p.Mouse().Move(5, 5))
	settled(t, p, b, c)
}

// Rows stand still while one of them has the focus, which it keeps.
func TestRowsStayUnderFocus(t *testing.T) {
	a, b, c, p := three(t)
	must(t, p.Keyboard().Press("j"))
	must(t, expect.Locator(a.row(p).Locator("[data-row]")).ToBeFocused())
	was := box(t, a.row(p))
	b.crash(t, "while you read")
	has(t, b.row(p), "while you read", soon)
	has(t, p.Locator("#held"), "1 row will move when the focus leaves", soon)
	stood(t, was, box(t, a.row(p)))
	settled(t, p, a, b, c)
	must(t, expect.Locator(a.row(p).Locator("[data-row]")).ToBeFocused())
	must(t, p.Keyboard().Press("Escape"))
	settled(t, p, b, a, c)
	hidden(t, p.Locator("#held"), soon)
}

// The keys do what the help says.
func TestKeyboard(t *testing.T) {
	a, b, c, p := three(t)
	focused := func(f fixture) {
		t.Helper()
		must(t, expect.Locator(f.row(p).Locator("[data-row]")).ToBeFocused())
	}
	press := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			must(t, p.Keyboard().Press(k))
		}
	}
	press("j")
	focused(a)
	press("j", "j", "j")
	focused(c)
	press("k")
	focused(b)
	press("?")
	visible(t, p.Locator("#help"), soon)
	has(t, p.Locator("#help"), "next, previous runner", soon)
	press("Escape")
	hidden(t, p.Locator("#help"), soon)
	press("/")
	must(t, expect.Locator(p.Locator("#q")).ToBeFocused())
	press("j") // typed, not a step
	must(t, expect.Locator(p.Locator("#q")).ToHaveValue("j"))
	press("Backspace", "Escape")
	must(t, expect.Locator(p.Locator("#q")).Not().ToBeFocused())
	must(t, p.WaitForURL(regexp.MustCompile(`/(\?.*)?$`)))
	isLive(t, p)
	press("k")
	focused(c)
	press("Enter")
	must(t, p.WaitForURL(regexp.MustCompile(regexp.QuoteMeta(c.ref().Path())+"$")))
	is(t, p.Locator("h1"), c.name, soon)
}

// The kubectl line of a failure is copied as it stands, from the fleet and from the runner's page.
func TestCopy(t *testing.T) {
	f := newRunner(t, cluster, "", "copied", "60s")
	bd := shared(t)
	p := browser.Page(t, playwright.BrowserNewContextOptions{Permissions: []string{"clipboard-read", "clipboard-write"}})
	visit(t, p, bd.URL+"/?namespace="+f.ns)
	isLive(t, p)
	f.crash(t, "copy me")
	has(t, f.row(p), "copy me", soon)
	must(t, f.row(p).Locator("summary").Click())
	line := text(t, f.row(p).Locator("code"))
	want := "kubectl --context " + cluster.Alias() + " logs " + f.pod(t).Name + " -n " + f.ns + " -c agent --previous"
	copied := func() {
		t.Helper()
		button := p.Locator("[data-copy]").First()
		must(t, button.Click())
		is(t, button, "copied", soon)
		if got := eval(t, p, "navigator.clipboard.readText()"); got != want || line != want {
			t.Errorf("copied %q of %q, want %q", got, line, want)
		}
	}
	copied()
	visit(t, p, bd.URL+f.ref().Path())
	copied()
	if ids := rowIDs(t, p); slices.Contains(ids, f.ref().ID()) {
		t.Error("the runner's page has the fleet's rows")
	}
}
