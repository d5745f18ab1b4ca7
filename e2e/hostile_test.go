package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/rig"
)

// Each of these would run a script, forge an event of the stream, or break out of the page, were it taken for anything but text.
var attacks = map[string]string{
	"forged signals":  "boom\revent: datastar-patch-signals\rdata: signals {_pwn:document.title=/PWN/.source}\r\r", // nothing in it is escaped
	"forged elements": "boom\n\nevent: datastar-patch-elements\ndata: elements <title id=\"title\">PWN</title>\n\n",
	"forged crlf":     "boom\r\n\r\nevent: datastar-patch-elements\r\ndata: mode remove\r\ndata: selector #rows > tr\r\n\r\n",
	"markup":          `</p></td></tr></table><img src=x onerror="document.title='PWN'"><script>document.title='PWN'</script>`,
	"expression":      `" data-init="document.title='PWN'" data-text="$_conn` + "`}); document.title='PWN'; @get('/evil')",
	"control":         "boom \x00\x07\x1b[31m red \u202e txet desrever \u2028 next \ufeff \x7f",
	"long":            "long " + strings.Repeat("0123456789abcdef ", 640),
	"one word":        strings.Repeat("w", 10_240),
	"braces":          `{"signals":{"_conn":"lost"}} ${document.title='PWN'} {{ . }}`,
}

// What a pod says is shown as text, whatever it says, and no other row is harmed.
func TestHostileMessages(t *testing.T) {
	ns := newNamespace(t, cluster)
	evil, other := newRunner(t, cluster, ns, "evil", "60s"), newRunner(t, cluster, ns, "other", "60s")
	bd := scoped(t, cluster, ns)
	fleet, one, wall := openLive(t, bd, "/"), openLive(t, bd, evil.ref().Path()), openLive(t, bd, "/board")
	healthy(t, fleet, other, evil)
	evil.crash(t, "begin")
	has(t, evil.row(fleet), "begin", soon)
	for _, p := range []*rig.Page{fleet, one, wall} {
		mark(t, p)
	}
	was := text(t, other.row(fleet).Locator("td").Nth(2))
	i := 0
	for name, attack := range attacks { // in another order each time, so that each comes to each page
		t.Run(name, func(t *testing.T) {
			token := "token-" + strings.ReplaceAll(name, " ", "-")
			evil.crash(t, token+" "+strings.ReplaceAll(attack, "\x00", ""))
			has(t, evil.row(fleet), token, soon)
			has(t, one.Locator(".head"), token, soon)
			has(t, one.Locator("#workloads"), token, soon)
			has(t, wall.Locator("#page"), token, soon)
			for _, p := range []*rig.Page{fleet, one, wall} {
				unharmed(t, p)
				same(t, p)
			}
			fresh := openLive(t, bd, []string{"/", evil.ref().Path(), "/board"}[i%3]) // the document itself, and the first frame
			i++
			has(t, fresh.Locator("#page"), token, soon)
			unharmed(t, fresh)
			counts(t, fleet.Locator("#rows > tr"), 2, soon)
			is(t, other.health(fleet), "healthy", soon)
			if now := text(t, other.row(fleet).Locator("td").Nth(2)); now != was {
				t.Errorf("another row says %q, and said %q", now, was)
			}
		})
	}
}

// unharmed checks that no payload did what it wanted, and that the page is no wider than its window.
func unharmed(t *testing.T, p *rig.Page) {
	t.Helper()
	title, err := p.Title()
	must(t, err)
	if strings.Contains(title, "PWN") || !strings.Contains(title, "Trackside") {
		t.Errorf("the title is %q", title)
	}
	if n := eval(t, p, "document.querySelectorAll('#page img, #page script, #page [data-init], #page [onerror]').length"); n != 0 {
		t.Errorf("%v elements were smuggled in", n)
	}
	has(t, p.Locator("#conn i"), "live", soon)
	if wide := eval(t, p, "document.documentElement.scrollWidth - innerWidth").(int); wide > 0 {
		t.Errorf("the page is %d pixels too wide", wide)
	}
}

// Names that an API server takes in annotations and images are shown as text as well.
func TestHostileObjects(t *testing.T) {
	ns := newNamespace(t, cluster)
	bad := newRunner(t, cluster, ns, "bad-notes", "60s", func(d *appsv1.Deployment) {
		for _, notes := range []map[string]string{d.Annotations, d.Spec.Template.Annotations} {
			notes["trackside.dev/probe-path"] = "/x\revent: datastar-patch-signals\rdata: signals {_x:document.title='PWN'}"
			notes["trackside.dev/probe-port"] = `"><img src=x onerror="document.title='PWN'">`
			notes["trackside.dev/restarts"] = "many"
		}
		d.Spec.Template.Spec.Containers[0].Image = "registry.acme.example/e2e/<img/src=x/onerror=alert(1)>:v1\revil"
	})
	bare := newRunner(t, cluster, ns, "bare", "60s", func(d *appsv1.Deployment) { // nothing that may be left out
		d.Annotations, d.Spec.Template.Annotations = nil, nil
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "agent", Image: "agent"}}
	})
	bd := scoped(t, cluster, ns)
	for _, f := range []fixture{bad, bare} {
		p := openLive(t, bd, "/")
		has(t, f.row(p), f.name, soon)
		unharmed(t, p)
		visit(t, p, bd.URL+f.ref().Path())
		isLive(t, p)
		is(t, p.Locator("h1"), f.name, soon)
		unharmed(t, p)
	}
	p := openLive(t, bd, "/")
	is(t, bad.health(p), "degraded", soon)
	has(t, bad.row(p), "annotation trackside.dev/probe-path must be a", soon)
	is(t, bare.health(p), "unknown", soon)
	has(t, bare.row(p), "without a readiness probe", soon)
	bare.status(t, func(s *corev1.PodStatus) { *s = corev1.PodStatus{} })
	has(t, bare.row(p), "does not say how it is", soon)
}

// Ten thousand warnings about one pod leave the board as it was.
func TestEventFlood(t *testing.T) {
	f := newRunner(t, cluster, "", "flooded", "60s")
	other := newRunner(t, cluster, f.ns, "dry", "60s")
	bd := scoped(t, cluster, f.ns)
	p := openLive(t, bd, "/")
	healthy(t, p, f, other)
	mark(t, p)
	const events = 10_000
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- flood(t.Context(), f, f.pod(t), events) }()
	other.crash(t, "in the flood")
	has(t, other.row(p), "in the flood", soon)
	for flooding := true; flooding; {
		select {
		case err := <-done:
			must(t, err)
			flooding = false
		default:
			responsive(t, bd)
		}
	}
	t.Logf("%d events in %.1f s", events, time.Since(start).Seconds())
	other.restore(t)
	healthy(t, p, f, other)
	has(t, openLive(t, bd, f.ref().Path()).Locator("h1"), f.name, soon)
	same(t, p)
}

// responsive checks that the board answers at its usual pace.
func responsive(t *testing.T, b *rig.Board) {
	t.Helper()
	for _, url := range []string{b.URL + "/", b.MetricsURL + "/readyz"} {
		start := time.Now()
		_, err := rig.Get(url)
		must(t, err)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %s", url, took)
		}
	}
}

// flood records warnings about a pod as fast as the API server takes them.
func flood(ctx context.Context, f fixture, pod *corev1.Pod, n int) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, 16)
	for range cap(errs) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				now := metav1.Now()
				_, err := f.cluster.Client.CoreV1().Events(f.ns).Create(ctx, &corev1.Event{
					ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("flood-%d", i), Namespace: f.ns},
					InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
					Type:           corev1.EventTypeWarning, Reason: "Unhealthy", Message: fmt.Sprintf("Readiness probe failed: flood %d", i),
					Count: 1, FirstTimestamp: now, LastTimestamp: now, Source: corev1.EventSource{Component: "kubelet"},
				}, metav1.CreateOptions{})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// A browser whose clock is an hour off tells the same ages, since they are counted by the server's clock.
func TestClockOff(t *testing.T) {
	f := newRunner(t, cluster, "", "on-time", "60s")
	bd := shared(t)
	f.crash(t, "on time")
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		p := browser.Page(t)
		must(t, p.Clock().Install(playwright.ClockInstallOptions{Time: time.Now().Add(off)}))
		visit(t, p, bd.URL+"/?namespace="+f.ns)
		isLive(t, p)
		has(t, f.row(p), "on time", soon)
		for _, wrong := range []string{" min", " h", "-"} {
			for _, s := range allTexts(t, f.row(p).Locator("time")) {
				if strings.Contains(s, wrong) {
					t.Errorf("with a clock %s off the row says %q", off, s)
				}
			}
		}
		hasNot(t, p.Locator("#conn"), " h old", soon)
		f.message(t, "still on time "+off.String())
		has(t, f.row(p), "still on time "+off.String(), soon)
	}
}

func allTexts(t *testing.T, l playwright.Locator) []string {
	t.Helper()
	s, err := l.AllTextContents()
	must(t, err)
	return s
}
