package e2e

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"github.com/playwright-community/playwright-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/e2e/rig"
	"trackside/poller/kube"
	"trackside/store"
)

// switchedPages are a program and its pages, beside a board in this process that only looks on.
type switchedPages struct {
	*hands
	b *rig.Board
}

func newSwitchedPages(t *testing.T) *switchedPages {
	t.Helper()
	c := ownCluster(t, "--fleet")
	h := newHands(t, c, t.TempDir(), func(cfg *kube.Config) { cfg.Act = false })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { h.operator(ctx, "team-blue") })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return &switchedPages{h, rig.StartBoard(t, c.Kubeconfig)}
}

// open opens a runner's page.
func (s *switchedPages) open(t *testing.T, ref store.Ref) *rig.Page {
	t.Helper()
	ref.Cluster = "trackside"
	return openLive(t, s.b, ref.Path())
}

// disable asks for that in the page's dialog.
func disable(t *testing.T, p *rig.Page, mode string) {
	t.Helper()
	deed(t, p, "Disable")
	must(t, p.Locator("#deed [name=note]").Fill("node pool upgrade"))
	must(t, p.Locator("#deed [name=mode][value="+mode+"]").Check())
	confirm(t, p, "was asked to go out of service")
}

func outOfService(t *testing.T, p *rig.Page) {
	t.Helper()
	has(t, p.Locator(".head .state > i"), "disabled", switching)
	hasNot(t, p.Locator(".head .state"), "disabling", switching)
	has(t, p.Locator(".head .out"), "node pool upgrade", soon)
}

func (s *switchedPages) inServiceAsBefore(t *testing.T, p *rig.Page, ns, before string) {
	t.Helper()
	hasNot(t, p.Locator(".head .state > i"), "disabled", switching)
	hasNot(t, p.Locator(".head .state"), "enabling", switching)
	counts(t, p.Locator(".head .out"), 0, switching)
	if after := s.fields(ns); after != before {
		t.Errorf("it is\n%s\nand was\n%s", after, before)
	}
}

// Every system, on its page: drained and enabled, disabled at once and back by itself, and as it was before. The program is killed between what
// is asked for and its effect.
func TestHandsSwitchEverySystem(t *testing.T) {
	s := newSwitchedPages(t)
	for i, x := range switched {
		t.Run(x.ref.System+"/"+x.ref.Name, func(t *testing.T) {
			p, ns := s.open(t, x.ref), x.ref.Namespace
			before := s.fields(ns)
			disable(t, p, "drain")
			if x.waits {
				has(t, p.Locator(".head .state"), "disabling", soon)
			}
			if i == 0 {
				p.Allow(refused)
				s.b.Kill()
				s.b.Start(t)
				isLive(t, p)
			}
			s.endWork(x.ref)
			outOfService(t, p)
			deed(t, p, "Enable")
			confirm(t, p, "was asked back into service")
			s.inServiceAsBefore(t, p, ns, before)
			disable(t, p, "now")
			outOfService(t, p)
			s.expire(ns)
			s.inServiceAsBefore(t, p, ns, before)
		})
	}
}

// Every system, on its page: deleted once its name is typed. One is held by a finalizer, which the dialog names, with who set it.
func TestHandsDeleteEverySystem(t *testing.T) {
	s := newSwitchedPages(t)
	finalize := func(body string) {
		t.Helper()
		_, err := s.c.Client.AppsV1().Deployments("ci").Patch(background(), "ci-linux-controller", types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "storage-operator"})
		must(t, err)
	}
	finalize(`{"metadata":{"finalizers":["acme.example/volumes"]}}`)
	for _, x := range switched {
		t.Run(x.ref.System+"/"+x.ref.Name, func(t *testing.T) {
			p := s.open(t, x.ref)
			held := x.ref.Namespace == "ci"
			deed(t, p, "Delete")
			if held {
				has(t, p.Locator("#deed"), "acme.example/volumes", soon)
				has(t, p.Locator("#deed"), "storage-operator", soon)
			}
			must(t, p.Locator("#deed [name=confirm]").Fill(x.ref.Name))
			confirm(t, p, "is being deleted")
			if held {
				has(t, p.Locator(".head .state"), "deleting", soon)
				finalize(`{"metadata":{"finalizers":null}}`)
			}
			has(t, p.Locator("main"), "no longer there", switching)
		})
	}
}

// Two operators who want the same at once: the second is told who was first, and nothing that was typed is lost. What is sent five times is
// done once.
func TestHandsOfTwoOperators(t *testing.T) {
	f := newRunner(t, cluster, "", "shared", "60s")
	b := scoped(t, cluster, f.ns, "--proxy-from", "127.0.0.1/32", "--proxy-role", "operator=*")
	as := func(name string) *rig.Page {
		p := open(t, b, f.ref().Path(), playwright.BrowserNewContextOptions{ExtraHttpHeaders: map[string]string{"X-Forwarded-User": name}})
		isLive(t, p)
		return p
	}
	ada, bob := as("ada"), as("bob")
	for _, p := range []*rig.Page{ada, bob} {
		deed(t, p, "Disable")
		must(t, p.Locator("#deed [name=note]").Fill("node pool upgrade"))
		must(t, p.Locator("#deed [value=now]").Check())
	}
	const sendFive = `() => { const f = document.querySelector('#deed form'); return Promise.all([1, 2, 3, 4, 5].map(() => fetch(f.action, {method: 'POST', body: new URLSearchParams(new FormData(f)), headers: {Accept: 'text/html'}}).then(r => r.status))).then(s => s.join()) }`
	if got := eval(t, ada, sendFive); !regexp.MustCompile(`^(200,){4}200$`).MatchString(fmt.Sprint(got)) {
		t.Errorf("five times the same: %v", got)
	}
	has(t, bob.Locator(".head .out"), "Taken out of service by ada", switching)
	must(t, bob.Locator("#deed button.do").Click())
	has(t, bob.Locator("#deed"), "ada", 2*soon)
	if got := eval(t, bob, `document.querySelector('#deed [name=note]')?.value`); got != "node pool upgrade" {
		t.Errorf("the note of the second is %v", got)
	}
	visit(t, ada, b.URL+"/audit?runner=shared&by=ada")
	counts(t, ada.Locator("tbody tr"), 1, soon)
}
