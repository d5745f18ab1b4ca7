package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/rig"
)

// The pages by which operators act, on a real control plane: what is asked for in the dialog is done to the cluster, and what comes of it is
// seen on the page. The dialogs themselves are tried in e2e/acting.

// switching is how long a cluster may take to start or end a pod.
const switching = 30 * time.Second

// deed opens an action of the runner's page.
func deed(t *testing.T, p *rig.Page, word string) {
	t.Helper()
	must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: word}).Click())
	visible(t, p.Locator("#deed form"), soon)
}

// confirm presses the dialog's button, and closes the dialog when it says what was asked.
func confirm(t *testing.T, p *rig.Page, says string) {
	t.Helper()
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed"), says, 2*soon)
	must(t, p.Locator("#deed [data-close]").Click())
	hidden(t, p.Locator("#act"), soon)
}

// work makes a pod that the runner runs as work, and answers with what ends it.
func (f fixture) work(t *testing.T, name string) (end func()) {
	t.Helper()
	pods := f.cluster.Client.CoreV1().Pods(f.ns)
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"trackside.dev/runner": f.name, "trackside.dev/workload": "true"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.acme.example/e2e/work:v1"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	zero := int64(0)
	return func() {
		must(t, pods.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	}
}

func TestHandsDisableAndEnable(t *testing.T) {
	f := newRunner(t, cluster, "", "handy", "60s")
	b := scoped(t, cluster, f.ns)
	p, list := openLive(t, b, f.ref().Path()), openLive(t, b, "/")
	end := f.work(t, "session-1")
	has(t, p.Locator("#workloads"), "session-1", soon)
	deed(t, p, "Disable")
	has(t, p.Locator("#deed"), "session-1", soon)
	has(t, p.Locator("#deed"), "Deployment "+f.ns+"/handy-agent", soon)
	must(t, p.Locator("#deed [name=note]").Fill("node pool upgrade"))
	confirm(t, p, "was asked to go out of service")
	for _, l := range []playwright.Locator{p.Locator(".moving"), f.row(list)} {
		has(t, l, regexp.MustCompile(`disabling…\s+[1-9]\d* s`), soon)
	}
	has(t, p.Locator(".head .out"), "Work that runs is let finish.", soon)
	end()
	has(t, p.Locator(".head .state"), "disabled", switching)
	hasNot(t, p.Locator(".head .state"), "disabling", soon)
	has(t, p.Locator(".head .out"), "Taken out of service by anonymous", soon)
	has(t, p.Locator(".head .out"), "node pool upgrade. It comes back by itself in 3 h.", soon)
	has(t, f.row(list), "anonymous: node pool upgrade", soon)
	is(t, f.health(list), "disabled", soon)

	deed(t, p, "Enable")
	confirm(t, p, "was asked back into service")
	has(t, p.Locator(".head .state > i"), "healthy", switching)
	hasNot(t, p.Locator(".head"), "Taken out", soon)
	is(t, f.health(list), "healthy", soon)
	visit(t, p, b.URL+"/audit?runner=handy&by=anonymous")
	counts(t, p.Locator("tbody tr"), 2, soon)
	has(t, p.Locator("tbody"), "node pool upgrade", soon)
}

func TestHandsDelete(t *testing.T) {
	f := newRunner(t, cluster, "", "doomed", "60s")
	p := openLive(t, scoped(t, cluster, f.ns), f.ref().Path())
	deed(t, p, "Delete")
	must(t, p.Locator("#deed [name=confirm]").Fill("doomd"))
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#deed .problem"), "type its name", soon)
	must(t, p.Locator("#deed [name=confirm]").Fill("doomed"))
	confirm(t, p, "is being deleted")
	has(t, p.Locator("main"), "no longer there", switching)
}

func TestHandsOfSeveral(t *testing.T) {
	f := newRunner(t, cluster, "", "one", "60s")
	g := newRunner(t, cluster, f.ns, "two", "60s")
	h := newRunner(t, cluster, f.ns, "three", "60s")
	p := openLive(t, scoped(t, cluster, f.ns), "/")
	healthy(t, p, f, g, h)
	must(t, p.Locator("#filter [data-act]").Click())
	must(t, p.Locator("#deed a", playwright.PageLocatorOptions{HasText: "Disable 3 runners"}).Click())
	must(t, p.Locator("#deed li", playwright.PageLocatorOptions{HasText: "three"}).Locator("[name=ref]").Uncheck())
	has(t, p.Locator("#deed button.do"), "Disable 2 runners", soon)
	must(t, p.Locator("#deed [name=note]").Fill("upgrade"))
	must(t, p.Locator("#deed [value=now]").Check())
	confirm(t, p, "asked of 2 of 2 runners")
	is(t, f.health(p), "disabled", switching)
	is(t, g.health(p), "disabled", switching)
	is(t, h.health(p), "healthy", soon)
}

func TestHandsAcknowledge(t *testing.T) {
	f := newRunner(t, cluster, "", "sick", "60s")
	b := scoped(t, cluster, f.ns)
	p, wall := openLive(t, b, f.ref().Path()), openLive(t, b, "/board")
	f.crash(t, "fatal: no token")
	has(t, p.Locator(".head .state > i"), "unhealthy", soon)
	deed(t, p, "Acknowledge")
	must(t, p.Locator("#deed [name=note]").Fill("a new token is coming"))
	confirm(t, p, "shows that you are on it")
	has(t, p.Locator(".head .ack"), "anonymous is on it: a new token is coming", soon)
	has(t, f.row(wall), "anonymous is on it: a new token is coming", soon)
	f.restore(t)
	is(t, f.health(wall), "healthy", switching)
	hasNot(t, wall.Locator("main"), "is on it", soon)
	hasNot(t, p.Locator("main"), "is on it", soon)
}

// The whole way by keys: to the row, its menu, the form, the outcome, and back to the row.
func TestHandsByKeyboardAlone(t *testing.T) {
	f := newRunner(t, cluster, "", "keyed", "60s")
	p := openLive(t, scoped(t, cluster, f.ns), "/")
	healthy(t, p, f)
	at := func(selector string) {
		t.Helper()
		if err := expect.Locator(p.Locator(selector).First()).ToBeFocused(); err != nil {
			t.Fatal(err)
		}
	}
	press := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			must(t, p.Keyboard().Press(k))
		}
	}
	press("j", "a")
	at("#deed .menu a")
	press("Enter")
	at("#deed [name=note]")
	must(t, p.Keyboard().Type("upgrade"))
	press("Tab", "Tab", "ArrowDown", "Enter")
	has(t, p.Locator("#deed"), "was asked to go out of service", 2*soon)
	at("#deed [data-close]")
	press("Escape")
	at(fmt.Sprintf("#%s [data-act]", f.ref().ID()))
	is(t, f.health(p), "disabled", switching)
}

func TestHandsWithoutJavaScript(t *testing.T) {
	f := newRunner(t, cluster, "", "plain", "60s")
	b := scoped(t, cluster, f.ns)
	p := open(t, b, f.ref().Path(), playwright.BrowserNewContextOptions{JavaScriptEnabled: new(false)})
	must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: "Disable"}).Click())
	must(t, p.Locator("#deed [name=note]").Fill("upgrade"))
	must(t, p.Locator("#deed [value=now]").Check())
	must(t, p.Locator("#deed button.do").Click())
	has(t, p.Locator("#did"), "Disable: done", soon)
	has(t, p.Locator("h1"), "plain", soon)
	live := openLive(t, b, f.ref().Path())
	has(t, live.Locator(".head .state > i"), "disabled", switching)
}
