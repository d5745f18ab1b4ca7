package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
)

const passphrase = "correct horse battery staple"

// signInBoard is a board that people sign in to, locally or at a provider. The provider is not started.
func signInBoard(t *testing.T, flags ...string) (*rig.Board, *rig.Provider) {
	t.Helper()
	b, err := rig.NewBoard(t.TempDir(), cluster.Kubeconfig)
	must(t, err)
	p := rig.NewProvider(t, b)
	b.More(append(p.Flags(b), append([]string{"--local-users"}, flags...)...)...)
	b.Start(t)
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			lines := strings.Split(b.Log(), "\n")
			t.Logf("the board said last:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
	return b, p
}

// withFindings is the page of a runner that has some.
func withFindings() string { return "/runners/" + cluster.Alias() + "/agyn/platform/k8s-runner" }

// unauthorized is what the browser says of an answer 401, which the page acts on.
func unauthorized(complaint string) bool {
	return strings.Contains(complaint, "401") || strings.Contains(complaint, "429") || refused(complaint)
}

func press(t *testing.T, p *rig.Page, keys ...string) {
	t.Helper()
	for _, k := range keys {
		must(t, p.Keyboard().Press(k))
	}
}

// typed types into the field that has the focus, as soon as it is the one of that name.
func typed(t *testing.T, p *rig.Page, field, text string) {
	t.Helper()
	must(t, expect.Locator(p.Locator("input[name="+field+"]")).ToBeFocused())
	must(t, p.Keyboard().Type(text))
}

// signIn fills the form by keyboard alone.
func signIn(t *testing.T, p *rig.Page, name, password string) {
	t.Helper()
	typed(t, p, "name", name)
	press(t, p, "Tab")
	typed(t, p, "password", password)
	press(t, p, "Enter")
}

func at(t *testing.T, p *rig.Page, pattern string) {
	t.Helper()
	if err := p.WaitForURL(regexp.MustCompile(pattern), playwright.PageWaitForURLOptions{Timeout: millis(3 * soon)}); err != nil {
		t.Fatalf("the page is at %s, not at %s: %v", p.URL(), pattern, err)
	}
}

// A user signs in by keyboard alone, sees what the role may see, and signs out; every page of the session then leads to sign-in.
func TestSignInByKeyboard(t *testing.T) {
	t.Parallel()
	b, _ := signInBoard(t)
	b.AddUser(t, "vera", "viewer", passphrase)
	p := open(t, b, "/findings?severity=warning")
	p.Allow(func(c string) bool { return unauthorized(c) || strings.Contains(c, "403") })
	at(t, p, `/signin\?next=%2Ffindings%3Fseverity%3Dwarning$`)
	signIn(t, p, "vera", "wrong wrong wrong")
	has(t, p.Locator("[role=alert]"), "The name or the password is wrong.", soon)
	typed(t, p, "password", passphrase)
	press(t, p, "Enter")
	at(t, p, `/findings\?severity=warning$`)
	isLive(t, p)
	has(t, p.Locator("#person"), "vera viewer", soon)
	counts(t, p.Locator("body[data-role=viewer]"), 1, soon)
	counts(t, p.Locator("#person a[href='/tokens']"), 0, soon)
	visit(t, p, b.URL+withFindings())
	isLive(t, p)
	counts(t, p.Locator(":is(.acts, details:has(> .accept)):visible"), 0, soon)
	if n := eval(t, p, "document.querySelectorAll('.accept').length").(int); n == 0 {
		t.Error("nobody could accept a finding here: the page proves nothing")
	}
	res := visit(t, p, b.URL+"/tokens")
	if res.Status() != http.StatusForbidden {
		t.Errorf("a viewer gets the tokens: %d", res.Status())
	}
	has(t, p.Locator("main"), "takes the role admin, and vera has the role viewer", soon)
	visit(t, p, b.URL+"/")
	isLive(t, p)
	other, err := p.Context().NewPage()
	must(t, err)
	tab := rig.Watch(t, other)
	visit(t, tab, b.URL+"/failures?reason=crashloop")
	isLive(t, tab)
	press(t, p, "Tab", "Enter") // the first thing is to sign out
	at(t, p, `/signin\?left=1$`)
	has(t, p.Locator("[role=status]").First(), "You are signed out.", soon)
	at(t, tab, `/signin\?next=%2Ffailures%3Freason%3Dcrashloop$`)
}

// Somebody whose account another process removes is led to sign-in within seconds.
func TestARemovedUserIsLedOut(t *testing.T) {
	t.Parallel()
	b, _ := signInBoard(t)
	b.AddUser(t, "olga", "operator", passphrase)
	p := open(t, b, "/signin")
	p.Allow(unauthorized)
	signIn(t, p, "olga", passphrase)
	isLive(t, p)
	mark(t, p)
	b.RemoveUser(t, "olga")
	at(t, p, `/signin$|/signin\?next=%2F$`)
}

// Signing in at a real provider, which is away at first: the board is there all the same.
func TestSignInAtAProvider(t *testing.T) {
	t.Parallel()
	b, provider := signInBoard(t)
	p := open(t, b, "/versions")
	p.Allow(func(c string) bool {
		return unauthorized(c) || strings.Contains(c, "503") || strings.Contains(c, "404")
	})
	must(t, p.GetByText("Sign in with the test's provider").Click())
	has(t, p.Locator("[role=alert]"), "does not answer", soon)
	provider.Start(t)
	atProvider(t, b, p, rig.Ada)
	at(t, p, `/versions$`)
	isLive(t, p)
	has(t, p.Locator("#person"), rig.AdaMail+" operator", soon)
	visit(t, p, b.URL+withFindings())
	visible(t, p.Locator("details:has(> .accept)").First(), soon) // an operator may
	cookies, err := p.Context().Cookies(b.URL)
	must(t, err)
	for _, c := range cookies {
		if strings.Contains(c.Name, "provider") || strings.HasPrefix(c.Name, "ts-session") && !c.HttpOnly {
			t.Errorf("cookie %s is left, or scripts can read it", c.Name)
		}
	}
	bob := browser.Page(t)
	bob.Allow(func(c string) bool { return strings.Contains(c, "404") }) // the provider has no icon
	atProvider(t, b, bob, rig.Bob)
	has(t, bob.Locator("#person"), rig.BobMail+" viewer", soon)
	// An answer of the provider without its beginning in this browser is refused.
	eve := browser.Page(t)
	eve.Allow(func(c string) bool { return strings.Contains(c, "400") })
	if res := visit(t, eve, b.URL+"/signin/callback?code=x&state=y"); res.Status() != http.StatusBadRequest {
		t.Errorf("a callback nobody asked for: %d", res.Status())
	}
	has(t, eve.Locator("[role=alert]"), "not begun in this browser", soon)
}

// atProvider signs somebody in, and waits until the board has them.
func atProvider(t *testing.T, b *rig.Board, p *rig.Page, who string) {
	t.Helper()
	rig.Eventually(t, 3*soon, "the provider is found", func() error {
		visit(t, p, b.URL+"/signin?next=%2Fversions")
		must(t, p.GetByText("Sign in with the test's provider").Click())
		if strings.HasPrefix(p.URL(), b.URL) {
			return fmt.Errorf("still at %s", p.URL())
		}
		return nil
	})
	must(t, p.Locator("#username").Fill(who))
	must(t, p.Locator("#password").Fill(rig.ProviderPassword))
	must(t, p.Locator("button").Click())
	at(t, p, "^"+regexp.QuoteMeta(b.URL))
}

// A wall is opened once with its token, which leaves the address; revoked, it leads to sign-in.
func TestAWallSignsIn(t *testing.T) {
	t.Parallel()
	b, _ := signInBoard(t)
	b.AddUser(t, "root", "admin", passphrase)
	p := open(t, b, "/tokens")
	p.Allow(unauthorized)
	signIn(t, p, "root", passphrase)
	at(t, p, `/tokens$`)
	must(t, p.Locator("input[name=name]").Fill("lobby"))
	_, err := p.Locator("select[name=kind]").SelectOption(playwright.SelectOptionValues{Values: &[]string{"wall"}})
	must(t, err)
	must(t, p.GetByText("Make a token").Click())
	address := text(t, p.Locator("#made"))
	wall := browser.Page(t)
	wall.Allow(unauthorized)
	visit(t, wall, address)
	isLive(t, wall)
	if wall.URL() != b.URL+"/board" {
		t.Errorf("the wall is at %s", wall.URL())
	}
	visit(t, p, b.URL+"/tokens")
	must(t, p.GetByText("revoke", playwright.PageGetByTextOptions{Exact: new(true)}).Click())
	at(t, wall, `/signin\?next=%2Fboard$`)
}

// TestSignInShots writes pictures of what signing in looks like into the folder that SHOTS names.
func TestSignInShots(t *testing.T) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		t.Log("no folder is named by SHOTS: nothing is drawn")
		return
	}
	b, _ := signInBoard(t)
	b.AddUser(t, "ada.lovelace@example.com", "admin", passphrase)
	for theme := range themes {
		for _, width := range []int{390, 1280} {
			shot := func(p *rig.Page, name string) {
				file := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, theme, width))
				_, err := p.Screenshot(playwright.PageScreenshotOptions{Path: &file})
				must(t, err)
				if wide := eval(t, p, "document.documentElement.scrollWidth - innerWidth").(int); wide > 0 {
					t.Errorf("%s is %d pixels too wide for %d", name, wide, width)
				}
			}
			p := open(t, b, "/signin?next=/tokens", window(width, theme))
			p.Allow(unauthorized)
			shot(p, "signin")
			signIn(t, p, "ada.lovelace@example.com", "wrong wrong wrong")
			has(t, p.Locator("[role=alert]"), "wrong", soon)
			shot(p, "signin-wrong")
			typed(t, p, "password", passphrase)
			press(t, p, "Enter")
			at(t, p, `/tokens$`)
			must(t, p.Locator("input[name=name]").Fill("the pipeline of the platform team"))
			must(t, p.GetByText("Make a token").Click())
			visible(t, p.Locator("#made"), soon)
			shot(p, "tokens")
			visit(t, p, b.URL+"/")
			isLive(t, p)
			shot(p, "person")
			must(t, p.Context().Close())
		}
	}
}
