package rig

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// chromium is the browser itself, not Debian's wrapper, which adds flags of its own.
const chromium = "/usr/lib/chromium/chromium"

// chromiumArgs: no sandbox (containers run as root), nothing that talks to the internet, stable rendering.
var chromiumArgs = []string{
	"--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-domain-reliability",
	"--disable-sync", "--no-first-run", "--no-default-browser-check", "--disable-dev-shm-usage", "--disable-gpu",
	"--force-color-profile=srgb", "--font-render-hinting=none",
	"--disable-features=OptimizationHints,MediaRouter,Translate,InterestFeedContentSuggestions,AutofillServerCommunication,CertificateTransparencyComponentUpdater",
	"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
}

// Browser is one Chromium, shared by the tests of a package.
type Browser struct {
	playwright.Browser
	driver *playwright.Playwright
}

// StartBrowser launches Chromium through the driver that make browser installed.
func StartBrowser() (*Browser, error) {
	if _, err := os.Stat(chromium); err != nil {
		return nil, fmt.Errorf("chromium is missing; run make browser: %w", err)
	}
	driver, err := playwright.Run(&playwright.RunOptions{DriverDirectory: os.Getenv("PLAYWRIGHT_DRIVER_PATH"), SkipInstallBrowsers: true})
	if err != nil {
		return nil, fmt.Errorf("the Playwright driver does not start; run make browser: %w", err)
	}
	b, err := driver.Chromium.Launch(playwright.BrowserTypeLaunchOptions{
		ExecutablePath: new(chromium), Headless: new(true), Args: chromiumArgs})
	if err != nil {
		_ = driver.Stop()
		return nil, fmt.Errorf("launching Chromium: %w", err)
	}
	return &Browser{b, driver}, nil
}

// Stop ends the browser and its driver.
func (b *Browser) Stop() {
	_ = b.Close()
	_ = b.driver.Stop()
}

// Page opens a page in a context of its own. The test fails on any page error and on any console error or warning, unless
// Allow lets it pass.
func (b *Browser) Page(t testing.TB, opts ...playwright.BrowserNewContextOptions) *Page {
	t.Helper()
	ctx, err := b.NewContext(opts...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ctx.NewPage()
	if err != nil {
		t.Fatal(err)
	}
	page := Watch(t, p)
	t.Cleanup(func() {
		page.Check(t)
		_ = ctx.Close()
	})
	return page
}

// Page is a browser page whose complaints are collected.
type Page struct {
	playwright.Page
	mu         sync.Mutex
	complaints []string
	allowed    func(string) bool
}

// Watch collects what a page complains of. Playwright must not be called from inside its own handlers, so they only append.
func Watch(_ testing.TB, p playwright.Page) *Page {
	page := &Page{Page: p, allowed: func(string) bool { return false }}
	note := func(s string) {
		page.mu.Lock()
		defer page.mu.Unlock()
		page.complaints = append(page.complaints, s)
	}
	p.OnPageError(func(err error) { note("page error: " + err.Error()) })
	p.OnConsole(func(m playwright.ConsoleMessage) {
		if m.Type() == "error" || m.Type() == "warning" {
			note("console " + m.Type() + ": " + m.Text())
		}
	})
	return page
}

// Allow lets complaints pass that the test itself causes, such as a refused connection while the server is down.
func (p *Page) Allow(f func(complaint string) bool) { p.allowed = f }

// Check fails the test for what the page complained of.
func (p *Page) Check(t testing.TB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.complaints {
		if !p.allowed(c) {
			t.Errorf("the page complains: %s", c)
		}
	}
}
