package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
)

// soon is how long a change may take to show. The promise is a second; the rest is for a busy machine.
const soon = 5 * time.Second

var expect = playwright.NewPlaywrightAssertions()

func millis(d time.Duration) *float64 { return new(float64(d.Milliseconds())) }

// open loads an address of a board in a page of its own.
func open(t *testing.T, b *rig.Board, path string, opts ...playwright.BrowserNewContextOptions) *rig.Page {
	t.Helper()
	p := browser.Page(t, opts...)
	visit(t, p, b.URL+path)
	return p
}

// visit loads an address; it does not wait for a silent network, which a live page never has.
func visit(t *testing.T, p *rig.Page, url string) playwright.Response {
	t.Helper()
	resp, err := p.Goto(url)
	if err != nil {
		t.Fatalf("opening %s: %v", url, err)
	}
	return resp
}

// openLive opens a page and waits until its stream is there.
func openLive(t *testing.T, b *rig.Board, path string) *rig.Page {
	t.Helper()
	p := open(t, b, path)
	isLive(t, p)
	return p
}

func isLive(t *testing.T, p *rig.Page) {
	t.Helper()
	has(t, p.Locator("#conn i"), "live", 10*time.Second)
}

// has waits until an element's text contains a text, or matches a regular expression.
func has(t *testing.T, l playwright.Locator, want any, limit time.Duration) {
	t.Helper()
	if err := expect.Locator(l).ToContainText(want, playwright.LocatorAssertionsToContainTextOptions{Timeout: millis(limit)}); err != nil {
		got, _ := l.AllTextContents()
		t.Fatalf("waited %s for %v, but there is: %s\n%v", limit, want, squeeze(strings.Join(got, " | ")), err)
	}
}

// hasNot waits until an element's text no longer contains a text.
func hasNot(t *testing.T, l playwright.Locator, unwanted any, limit time.Duration) {
	t.Helper()
	if err := expect.Locator(l).Not().ToContainText(unwanted, playwright.LocatorAssertionsToContainTextOptions{Timeout: millis(limit)}); err != nil {
		t.Fatalf("after %s there is still %v: %v", limit, unwanted, err)
	}
}

// is waits until an element's text is exactly a text.
func is(t *testing.T, l playwright.Locator, want string, limit time.Duration) {
	t.Helper()
	if err := expect.Locator(l).ToHaveText(want, playwright.LocatorAssertionsToHaveTextOptions{Timeout: millis(limit)}); err != nil {
		got, _ := l.AllTextContents()
		t.Fatalf("waited %s for the text %q, but there is: %q", limit, want, got)
	}
}

// counts waits until there are that many elements.
func counts(t *testing.T, l playwright.Locator, n int, limit time.Duration) {
	t.Helper()
	if err := expect.Locator(l).ToHaveCount(n, playwright.LocatorAssertionsToHaveCountOptions{Timeout: millis(limit)}); err != nil {
		t.Fatal(err)
	}
}

func visible(t *testing.T, l playwright.Locator, limit time.Duration) {
	t.Helper()
	if err := expect.Locator(l).ToBeVisible(playwright.LocatorAssertionsToBeVisibleOptions{Timeout: millis(limit)}); err != nil {
		t.Fatal(err)
	}
}

func hidden(t *testing.T, l playwright.Locator, limit time.Duration) {
	t.Helper()
	if err := expect.Locator(l).ToBeHidden(playwright.LocatorAssertionsToBeHiddenOptions{Timeout: millis(limit)}); err != nil {
		t.Fatal(err)
	}
}

func titled(t *testing.T, p *rig.Page, want string, limit time.Duration) {
	t.Helper()
	if err := expect.Page(p.Page).ToHaveTitle(want, playwright.PageAssertionsToHaveTitleOptions{Timeout: millis(limit)}); err != nil {
		t.Fatal(err)
	}
}

// mark leaves something in a page that a reload would lose; same checks that it is still there.
func mark(t *testing.T, p *rig.Page) { t.Helper(); eval(t, p, "window.__same = 1") }

func same(t *testing.T, p *rig.Page) {
	t.Helper()
	if eval(t, p, "window.__same === 1") != true {
		t.Errorf("the page %s was reloaded", p.URL())
	}
}

func eval(t *testing.T, p *rig.Page, script string, arg ...any) any {
	t.Helper()
	v, err := p.Evaluate(script, arg...)
	if err != nil {
		t.Fatalf("evaluating %s: %v", script, err)
	}
	return v
}

// rowIDs are the ids of the fleet's rows from the top down.
func rowIDs(t *testing.T, p *rig.Page) []string {
	t.Helper()
	var ids []string
	for _, id := range eval(t, p, "[...document.querySelectorAll('#rows > tr')].map(r => r.id)").([]any) {
		ids = append(ids, id.(string))
	}
	return ids
}

var blanks = regexp.MustCompile(`\s+`)

// squeeze makes one line of a text.
func squeeze(s string) string { return strings.TrimSpace(blanks.ReplaceAllString(s, " ")) }

// must fails the test for an error that says all there is to say.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused lets pass what a browser complains of while a server is away.
func refused(complaint string) bool {
	for _, s := range []string{"ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_NETWORK", "ERR_CONNECTION_CLOSED"} {
		if strings.Contains(complaint, s) {
			return true
		}
	}
	return false
}
