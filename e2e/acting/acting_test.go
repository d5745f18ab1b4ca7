package acting

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
	"trackside/store"
)

func path(name string) string { return ref(name).Path() }

// press presses keys, one after the other.
func press(t *testing.T, p *rig.Page, keys ...string) {
	t.Helper()
	for _, k := range keys {
		must(t, p.Keyboard().Press(k))
	}
}

// focused waits until an element that matches has the focus.
func focused(t *testing.T, p *rig.Page, selector string) {
	t.Helper()
	if err := expect.Locator(p.Locator(selector).First()).ToBeFocused(); err != nil {
		at, _ := p.Evaluate("document.activeElement?.outerHTML.slice(0, 200)")
		t.Fatalf("%s has not the focus, which is at %v", selector, at)
	}
}

func shut(t *testing.T, p *rig.Page) {
	t.Helper()
	if err := expect.Locator(p.Locator("#act")).ToBeHidden(); err != nil {
		t.Fatal(err)
	}
}

func TestOutOfServiceAndBack(t *testing.T) {
	f := newFleet(t, "alpha", "beta")
	p, other := f.open(path("alpha")), f.open("/")
	must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: "Disable"}).Click())
	has(t, p.Locator("#deed"), "1 workload runs on it now")
	focused(t, p, "#deed [name=note]")
	must(t, p.Locator("#deed [name=note]").Fill("upgrade"))
	_, err := p.Locator("#deed [name=for]").SelectOption(playwright.SelectOptionValues{Values: &[]string{"1h"}})
	must(t, err)
	must(t, p.Locator("#deed [value=now]").Check())
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed"), "was asked to go out of service")
	must(t, p.Locator("#deed [data-close]").Click())
	shut(t, p)
	row := other.Locator("#" + ref("alpha").ID())
	seconds := regexp.MustCompile(`disabling…\s+[1-9] s`)
	for _, l := range []playwright.Locator{p.Locator(".moving"), row} {
		must(t, expect.Locator(l).ToContainText(seconds))
	}
	has(t, p.Locator(".head .out"), "Taken out of service by anonymous")
	has(t, p.Locator(".head .out"), "upgrade. It comes back by itself in 59 min.")
	f.change("alpha", func(r *store.Runner) { r.Observed = store.Disabled })
	has(t, p.Locator(".head .state"), "disabled")
	hasNot(t, p.Locator(".head .state"), "disabling")
	has(t, row, "anonymous: upgrade · back in 59 min")
	a := f.did()[0]
	if a.Drain || a.Until.Sub(a.At) != time.Hour || a.Incarnation != "uid-alpha" {
		t.Errorf("%+v", a)
	}
	must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: "Enable"}).Click())
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator(".moving"), "enabling…")
	f.change("alpha", func(r *store.Runner) { r.Observed = store.Enabled })
	has(t, p.Locator(".head .state"), "healthy")
	has(t, row, "healthy")
	hasNot(t, row, "upgrade")
}

// Everything with the keyboard: the row's menu, the form, an error, the outcome, and back to where the focus was.
func TestByKeyboardAlone(t *testing.T) {
	f := newFleet(t, "alpha", "beta")
	p := f.open("/")
	press(t, p, "j", "j", "a")
	focused(t, p, "#deed .menu a")
	has(t, p.Locator("#deed"), "beta")
	press(t, p, "Enter")
	focused(t, p, "#deed [name=note]")
	f.mu.Lock()
	f.err = fmt.Errorf("%w: the runner was made anew 3 s ago", store.ErrConflict)
	f.mu.Unlock()
	must(t, p.Keyboard().Type("upgrade?"))
	press(t, p, "Tab", "ArrowDown", "Tab", "ArrowDown", "Enter")
	has(t, p.Locator("#deed .problem"), "The runner was made anew 3 s ago.")
	if v, _ := p.Locator("#deed [name=note]").InputValue(); v != "upgrade?" {
		t.Errorf("the note is now %q", v)
	}
	if v, _ := p.Locator("#deed [name=for]").InputValue(); v != "8h" {
		t.Errorf("the time is now %q", v)
	}
	press(t, p, "Enter")
	has(t, p.Locator("#deed"), "was asked to go out of service")
	focused(t, p, "#deed [data-close]")
	press(t, p, "Enter")
	shut(t, p)
	focused(t, p, "#"+ref("beta").ID()+" [data-act]")
	if as := f.did(); len(as) != 1 || as[0].Ref.Name != "beta" || as[0].Drain || as[0].Note != "upgrade?" {
		t.Errorf("%+v", as)
	}
	press(t, p, "a")
	focused(t, p, "#deed .menu a")
	press(t, p, "Escape")
	shut(t, p)
	focused(t, p, "#"+ref("beta").ID()+" [data-act]")
}

func TestDeleteWantsTheName(t *testing.T) {
	f := newFleet(t, "alpha")
	p := f.open(path("alpha"))
	must(t, p.Locator("nav.acts .grave").Click())
	has(t, p.Locator("#deed"), "Secret ci/regcred")
	must(t, p.Locator("#deed [name=confirm]").Fill("alpah"))
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed .problem"), "type its name")
	must(t, p.Locator("#deed [name=confirm]").Fill("alpha"))
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed"), "is being deleted")
	has(t, p.Locator(".moving"), "deleting…")
	f.observe(store.Touched{Gone: []store.Ref{ref("alpha")}})
	has(t, p.Locator("main"), "no longer there")
	if len(f.did()) != 1 {
		t.Errorf("%+v", f.did())
	}
}

func TestWhatBlocksDisablesTheButton(t *testing.T) {
	f := newFleet(t, "alpha")
	f.traps = []store.Trap{{Code: "rbac", Why: "The board may not patch deployments in ci.", Blocks: true}}
	p := f.open(path("alpha") + "?")
	must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: "Disable"}).Click())
	has(t, p.Locator("#deed .traps"), "may not patch")
	must(t, expect.Locator(p.Locator("#deed button.do")).ToBeDisabled())
	focused(t, p, "#deed [data-close]")
}

func TestSeveralAtOnce(t *testing.T) {
	f := newFleet(t, "alpha", "beta", "gamma")
	p := f.open("/")
	must(t, p.Locator("#filter [data-act]").Click())
	must(t, p.Locator("#deed a", playwright.PageLocatorOptions{HasText: "Disable 3 runners"}).Click())
	has(t, p.Locator("#deed button.do"), "Disable 3 runners")
	must(t, p.Locator("#deed [name=ref]").Nth(1).Uncheck())
	has(t, p.Locator("#deed button.do"), "Disable 2 runners")
	must(t, p.Locator("#deed [name=note]").Fill("upgrade"))
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed"), "asked of 2 of 2 runners")
	must(t, p.Locator("#deed [data-close]").Click())
	has(t, p.Locator("#"+ref("alpha").ID()), "disabling…")
	has(t, p.Locator("#"+ref("gamma").ID()), "disabling…")
	hasNot(t, p.Locator("#"+ref("beta").ID()), "disabling…")
}

func TestSomebodyIsOnIt(t *testing.T) {
	f := newFleet(t, "alpha", "beta")
	f.change("alpha", func(r *store.Runner) {
		v := store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Why: "agent keeps exiting.", Since: time.Now(), Raw: "CrashLoopBackOff"}
		r.Verdict = v
		r.Components = append([]store.Component(nil), r.Components...)
		r.Components[0].Verdict, r.Components[0].Ready = v, 0
		r.Workloads = []store.Workload{{Namespace: "ci", Name: "agent-0", UID: "p", Component: "agent", Verdict: v, Created: time.Now()}}
	})
	p := f.open(path("alpha"))
	wall, list, failures := f.open("/board"), f.open("/"), f.open("/failures")
	must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: "Acknowledge"}).Click())
	must(t, p.Locator("#deed [name=note]").Fill("new token is coming"))
	press(t, p, "Enter")
	for _, l := range []playwright.Locator{p.Locator(".head .ack"), wall.Locator("#" + ref("alpha").ID()), list.Locator("#" + ref("alpha").ID()), failures.Locator(".cause")} {
		has(t, l, "anonymous is on it: new token is coming")
	}
	f.change("alpha", func(r *store.Runner) { *r = *runner("alpha"); r.Recovered = time.Now() })
	for _, l := range []playwright.Locator{p.Locator("main"), wall.Locator("main"), list.Locator("#list"), failures.Locator("main")} {
		hasNot(t, l, "is on it")
	}
}

func TestWithoutJavaScript(t *testing.T) {
	f := newFleet(t, "alpha", "beta")
	p := f.open("/", playwright.BrowserNewContextOptions{JavaScriptEnabled: new(false)})
	must(t, p.Locator("#"+ref("beta").ID()+" a.acts").Click())
	must(t, p.Locator("#deed a", playwright.PageLocatorOptions{HasText: "Disable"}).Click())
	must(t, p.Locator("#deed [name=note]").Fill("upgrade"))
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#did"), "Disable: done")
	has(t, p.Locator("h1"), "beta")
	must(t, p.Locator("#did a").Click())
	has(t, p.Locator("tbody"), "upgrade")
	_, err := p.Goto(f.url + "/actions/probe")
	must(t, err)
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed"), "asked of 2 of 2 runners")
}

// The network takes the answer away, and Datastar asks again: it is one action, and the dialog says so.
func TestALostAnswerIsNoSecondAction(t *testing.T) {
	f := newFleet(t, "alpha")
	p := f.open(path("alpha"))
	p.Allow(func(s string) bool { return strings.Contains(s, "ERR_") })
	lost := 0
	must(t, p.Route("**/actions/probe", func(r playwright.Route) {
		if r.Request().Method() == "POST" && lost < 2 {
			lost++
			if _, err := r.Fetch(); err != nil {
				t.Error(err)
			}
			_ = r.Abort("connectionreset")
			return
		}
		_ = r.Continue()
	}))
	must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: "Probe"}).Click())
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed"), "it was done once")
	if len(f.did()) != 1 || f.tries < 2 {
		t.Errorf("tried %d times, done %d times", f.tries, len(f.did()))
	}
}

func TestTheDialogFitsANarrowWindow(t *testing.T) {
	f := newFleet(t, "a-runner-whose-name-is-as-long-as-somebody-who-likes-long-names")
	f.traps = []store.Trap{{Why: "Argo CD manages it."}}
	for _, width := range []int{390, 1280} {
		p := f.open("/")
		must(t, p.SetViewportSize(width, 844))
		must(t, p.Locator("#rows tr").First().Hover())
		must(t, p.Locator("#rows a.acts").Click())
		must(t, p.Locator("#deed a", playwright.PageLocatorOptions{HasText: "Disable"}).Click())
		focused(t, p, "#deed [name=note]")
		wide, err := p.Evaluate("[document.documentElement.scrollWidth - innerWidth, act.scrollWidth - act.clientWidth, document.querySelector('#deed').scrollWidth - document.querySelector('#deed').clientWidth].join()")
		must(t, err)
		if wide != "0,0,0" {
			t.Errorf("at %d it is too wide by %v", width, wide)
		}
	}
}
