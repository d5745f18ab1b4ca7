package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/e2e/rig"
)

// The wall shows sixty runners on one screen, those that fail first, and follows them.
func TestWall(t *testing.T) {
	t.Parallel()
	c := ownCluster(t, "--runners", "60", "--pods", "200")
	b := rig.StartBoard(t, c.Kubeconfig)
	wall := browser.Page(t, playwright.BrowserNewContextOptions{Viewport: &playwright.Size{Width: 1920, Height: 1080}})
	visit(t, wall, b.URL+"/board")
	isLive(t, wall)
	tiles := wall.Locator("main > a")
	counts(t, tiles, 60, 20*time.Second)
	is(t, wall.Locator("#n-healthy"), "60", 30*time.Second)
	mark(t, wall)
	fits(t, wall)
	is(t, wall.Locator("#n-all"), "60", soon)

	var failing []string
	for i, name := range []string{"ci-linux-0008", "builds-docker-0009", "gpu-a100-0002"} {
		ns, _, _ := strings.Cut(name, "-")
		failing = append(failing, name)
		c.Incident(t, "crashloop", "--runner", ns+"/"+name, "--now", "--all")
		is(t, wall.Locator("#n-unhealthy"), fmt.Sprint(i+1), soon)
	}
	for i := range failing {
		first := tiles.Nth(i)
		is(t, first.Locator("i").First(), "unhealthy", soon)
		has(t, first, regexp.MustCompile(`ci-linux-0008|builds-docker-0009|gpu-a100-0002`), soon)
		has(t, first.Locator(".why"), "keeps exiting", soon)
	}
	titled(t, wall, "(3) Trackside board", soon)
	counts(t, tiles, 60, soon)
	fits(t, wall)
	same(t, wall)
}

// fits checks that a page needs no scrolling, and that nothing of a tile is out of sight.
func fits(t *testing.T, p *rig.Page) {
	t.Helper()
	got := eval(t, p, `() => {
	  const d = document.documentElement, out = [...document.querySelectorAll('main > a')].filter(a => {
	    const r = a.getBoundingClientRect()
	    return r.bottom > innerHeight + .5 || r.right > innerWidth + .5 || r.height < 24
	  })
	  return [d.scrollHeight - innerHeight, d.scrollWidth - innerWidth, out.length].join(' ')
	}`).(string)
	if got != "0 0 0" {
		t.Errorf("too high, too wide, tiles out of sight: %s", got)
	}
}

// An empty fleet says what was looked for, where, and what to do; doing just that brings the first runner.
func TestEmptyFleet(t *testing.T) {
	ns := newNamespace(t, cluster)
	b := scoped(t, cluster, ns)
	p, wall := openLive(t, b, "/"), openLive(t, b, "/board")
	mark(t, p)
	has(t, p.Locator("#empty"), "No runner yet.", soon)
	has(t, p.Locator("#empty"), "in the namespace "+ns, soon)
	has(t, p.Locator("#empty"), "Deployments, StatefulSets and Pods labelled trackside.dev/runner=<name>", soon)
	has(t, wall.Locator("#empty"), "No runner yet.", soon)
	line := text(t, p.Locator("#empty code").First())

	d := deployment(ns, "my-runner", "60s")
	d.Name, d.Labels = "my-runner", nil
	plain := map[string]string{"app": "my-runner"}
	d.Spec.Selector.MatchLabels, d.Spec.Template.Labels = plain, plain
	_, err := cluster.Client.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
	must(t, err)
	rig.Eventually(t, 20*time.Second, "the pod is ready", func() error { return podsReady(t, ns, "my-runner") })
	has(t, p.Locator("#empty"), "No runner yet.", soon) // nothing says yet that it is one
	follow(t, ns, line)
	f := fixture{cluster, ns, "my-runner"}
	is(t, f.health(p), "healthy", soon)
	has(t, f.row(p), "1/1", soon)
	is(t, p.Locator("#empty"), "", soon)
	visible(t, f.row(wall), soon)
	same(t, p)
	one := openLive(t, b, f.ref().Path())
	has(t, one.Locator("#workloads"), "my-runner-", soon)
	must(t, cluster.Client.AppsV1().Deployments(ns).Delete(t.Context(), d.Name, metav1.DeleteOptions{}))
	has(t, one.Locator(".head"), "gone", 2*soon)
	has(t, p.Locator("#empty"), "No runner yet.", 2*soon)
}

func podsReady(t *testing.T, ns, deployment string) error {
	d, err := cluster.Client.AppsV1().Deployments(ns).Get(t.Context(), deployment, metav1.GetOptions{})
	if err == nil && d.Status.ReadyReplicas < 1 {
		err = fmt.Errorf("none is: %v", d.Status)
	}
	return err
}

var labelLine = regexp.MustCompile(`^kubectl label deployment (\S+) (\S+)=(\S+)$`)

// follow does what the page's line would: kubectl label is a merge patch of the labels. That way the test needs no kubectl.
func follow(t *testing.T, ns, line string) {
	t.Helper()
	m := labelLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("the page says %q, which is no line to label a Deployment with", line)
	}
	var d *appsv1.Deployment
	d, err := cluster.Client.AppsV1().Deployments(ns).Patch(t.Context(), m[1], types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, m[2], m[3]), metav1.PatchOptions{})
	must(t, err)
	if d.Labels[m[2]] != m[3] {
		t.Fatalf("labels are %v", d.Labels)
	}
}
