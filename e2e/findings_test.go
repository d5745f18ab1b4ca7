package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"trackside/e2e/rig"
)

// faults gives a runner's agent everything that the rules look for in a Deployment.
func faults(d *appsv1.Deployment) {
	yes := true
	d.Annotations, d.Spec.Template.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "runners:apps/Deployment:ci/agent"}, nil
	s := &d.Spec.Template.Spec
	s.Volumes = []corev1.Volume{{Name: "docker", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run/docker.sock"}}}}
	s.InitContainers = []corev1.Container{{Name: "prepare", Image: "registry.acme.example/e2e/prepare:1.0.0"}}
	c := &s.Containers[0]
	c.Image = "registry.acme.example/e2e/agent:latest"
	c.SecurityContext = &corev1.SecurityContext{Privileged: &yes}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"python", "-c", "import sys; sys.exit(0)"}}}}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: portNamed("http")}}}
}

// change changes the runner's Deployment.
func (f fixture) change(t *testing.T, change func(*appsv1.Deployment)) {
	t.Helper()
	api := f.cluster.Client.AppsV1().Deployments(f.ns)
	must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		d, err := api.Get(t.Context(), f.name+"-agent", metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(d)
		_, err = api.Update(t.Context(), d, metav1.UpdateOptions{})
		return err
	}))
}

// Everything that is wrong with a runner is said, on its page and on that of the fleet, and goes the moment it is mended.
func TestFindings(t *testing.T) {
	b := shared(t)
	f := newRunner(t, cluster, "", "doubtful", "60s", faults)
	p, fleet := openLive(t, b, f.ref().Path()), openLive(t, b, "/findings?namespace="+f.ns)
	mark(t, p)
	mark(t, fleet)
	section := p.Locator("#findings")
	for _, want := range []string{"Readiness probe vacuous", "import sys; sys.exit(0)", "Liveness probe TCP", "Privileged", "Host path", "/var/run/docker.sock",
		"Image latest", "Requests missing", "initContainers[prepare].resources", "Limits missing", "Single replica", "Managed by Argo CD", "application runners"} {
		has(t, section, want, soon)
	}
	for _, code := range []string{"readiness-probe-vacuous", "privileged", "host-path", "image-latest", "requests-missing", "limits-missing", "managed-by-argocd", "single-replica-unguarded", "liveness-probe-tcp"} {
		has(t, fleet.Locator("#g-"+code), f.name, soon)
	}

	f.change(t, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].SecurityContext = nil })
	hasNot(t, section, "Privileged", soon)
	counts(t, fleet.Locator("#g-privileged"), 0, soon)
	f.change(t, func(d *appsv1.Deployment) {
		c := &d.Spec.Template.Spec.Containers[0]
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/health", Port: portNamed("http")}}}
		c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi")}
	})
	hasNot(t, section, "Readiness probe vacuous", soon)
	counts(t, fleet.Locator("#g-readiness-probe-vacuous"), 0, soon)
	same(t, p)
	same(t, fleet)
}

// barely makes a runner whose green rests on a probe that says little.
func barely(d *appsv1.Deployment) {
	d.Annotations, d.Spec.Template.Annotations = nil, nil
	d.Spec.Template.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: portNamed("http")}}}
}

// A finding that somebody accepts is shown as accepted, everywhere and at once, and comes back by itself.
func TestAcceptAFinding(t *testing.T) {
	f := newRunner(t, cluster, "", "accepted", "60s", barely)
	b := scoped(t, cluster, f.ns)
	p, fleet, row := openLive(t, b, f.ref().Path()), openLive(t, b, "/findings"), openLive(t, b, "/")
	has(t, f.row(row).Locator("a.doubt"), "1 finding", 2*soon)
	item := p.Locator("#findings .found > li").Filter(playwright.LocatorFilterOptions{HasText: "Readiness probe TCP"})
	must(t, item.Locator("summary").Click())
	must(t, item.Locator("input[name=note]").Fill("the vendor's image has no other"))
	must(t, item.Locator("button:text('Accept')").Click())
	isLive(t, p)
	has(t, p.Locator("#findings > details > summary"), regexp.MustCompile(`notices?, 1 accepted`), soon)
	counts(t, fleet.Locator("#g-readiness-probe-tcp"), 0, soon)
	has(t, fleet.Locator("#accepted"), "the vendor's image has no other", soon)
	counts(t, f.row(row).Locator("a.doubt"), 0, soon)

	must(t, p.Locator("#findings > details > summary").Click())
	must(t, item.Locator("button:text('Withdraw')").Click())
	isLive(t, p)
	has(t, fleet.Locator("#g-readiness-probe-tcp"), f.name, soon)
	counts(t, fleet.Locator("#accepted"), 0, soon)
	has(t, f.row(row).Locator("a.doubt"), "1 finding", soon)

	// Given again, for a moment: an instant may be told too.
	ref := f.ref()
	res, err := http.PostForm(b.URL+"/findings/accept", url.Values{"cluster": {ref.Cluster}, "system": {ref.System}, "namespace": {ref.Namespace}, "name": {ref.Name},
		"code": {"readiness-probe-tcp"}, "object": {"deployment/" + f.name + "-agent"}, "note": {"for a moment"}, "until": {time.Now().Add(3 * time.Second).Format(time.RFC3339)}})
	must(t, err)
	must(t, res.Body.Close())
	has(t, fleet.Locator("#g-readiness-probe-tcp"), f.name, 2*soon)
	counts(t, fleet.Locator("#accepted"), 0, soon)
	has(t, f.row(row).Locator("a.doubt"), "1 finding", soon)
	has(t, p.Locator("#findings > .found"), "Readiness probe TCP", soon)
}

// What is accepted is kept through a crash; where nothing may be changed, nothing can be accepted; and another site's page cannot accept.
func TestAcceptedFindingsAreKept(t *testing.T) {
	f := newRunner(t, cluster, "", "kept", "60s", faults)
	b := scoped(t, cluster, f.ns)
	ref := f.ref()
	form := url.Values{"cluster": {ref.Cluster}, "system": {ref.System}, "namespace": {ref.Namespace}, "name": {ref.Name}, "code": {"privileged"},
		"object": {"deployment/" + f.name + "-agent"}, "note": {"it builds images"}, "until": {time.Now().Add(48 * time.Hour).UTC().Format(time.DateOnly)}}
	send := func(b *rig.Board, origin string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL+"/findings/accept", strings.NewReader(form.Encode()))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if origin != "" {
			req.Header.Set("Origin", origin)
			req.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		must(t, err)
		must(t, res.Body.Close())
		return res.StatusCode
	}
	rig.Eventually(t, 4*soon, "the finding is there", func() error {
		body, err := rig.Get(b.URL + "/findings?code=privileged")
		if err == nil && !strings.Contains(body, "g-privileged") {
			err = fmt.Errorf("not yet")
		}
		return err
	})
	if got := send(b, "https://evil.example"); got != http.StatusForbidden {
		t.Errorf("from another site: %d", got)
	}
	if got := send(b, ""); got != http.StatusSeeOther {
		t.Fatalf("accepting: %d", got)
	}
	b.Kill()
	b.Start(t)
	p := openLive(t, b, "/findings")
	has(t, p.Locator("#accepted"), "it builds images", 2*soon)
	counts(t, p.Locator("#g-privileged"), 0, soon)

	still := scoped(t, cluster, f.ns, "--read-only")
	if got := send(still, ""); got != http.StatusForbidden {
		t.Errorf("read only: %d", got)
	}
	q := openLive(t, still, ref.Path())
	has(t, q.Locator("#findings"), "Privileged", 2*soon)
	counts(t, q.Locator("#findings form"), 0, soon)
}

// A page of versions follows a roll-out, pod by pod, and says who is left behind.
func TestVersionsFollowARollout(t *testing.T) {
	ns := newNamespace(t, cluster)
	two := func(d *appsv1.Deployment) { *d.Spec.Replicas = 2 }
	a, rest := newRunner(t, cluster, ns, "first", "60s", two), newRunner(t, cluster, ns, "second", "60s")
	b := scoped(t, cluster, ns)
	p := openLive(t, b, "/versions")
	mark(t, p)
	agent := p.Locator(".line").Filter(playwright.LocatorFilterOptions{HasText: "agent"}).First()
	has(t, agent.Locator("tbody tr").First(), "1.0.0", 2*soon)
	is(t, p.Locator(".lead"), "Nobody is behind.", soon)

	a.change(t, func(d *appsv1.Deployment) {
		d.Spec.Paused = true // so that no pod follows yet
		d.Spec.Template.Spec.Containers[0].Image = "registry.acme.example/e2e/agent:v1.1.0"
	})
	has(t, agent.Locator("tr.new"), "1.1.0", soon)
	has(t, agent.Locator(".rolling"), "rolling out 1.1.0: 0 of 2 pods", soon)
	has(t, agent.Locator(".behind"), "second", soon)
	has(t, agent.Locator(".behind"), "1.0.0 → 1.1.0", soon)
	has(t, agent.Locator(".behind"), "behind for", soon)
	has(t, p.Locator(".lead"), "One is behind. 1 roll-out under way.", soon)
	q := openLive(t, b, rest.ref().Path())
	has(t, q.Locator("#findings"), "Version behind", soon)

	a.change(t, func(d *appsv1.Deployment) { d.Spec.Paused = false })
	counts(t, agent.Locator(".rolling"), 0, 6*soon)
	rest.change(t, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Image = "registry.acme.example/e2e/agent:v1.1.0"
	})
	counts(t, agent.Locator(".behind"), 0, soon)
	counts(t, agent.Locator("tbody tr"), 1, soon)
	has(t, p.Locator(".lead"), "Nobody is behind.", 6*soon)
	hasNot(t, q.Locator("main"), "Version behind", soon)
	same(t, p)
}

// offering gives a runner annotations.
func offering(notes ...string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		for i := 0; i+1 < len(notes); i += 2 {
			d.Annotations["trackside.dev/"+notes[i]] = notes[i+1]
		}
	}
}

// The page of places tells each runner's answer, and changes it when the runner does.
func TestPlace(t *testing.T) {
	ns := newNamespace(t, cluster)
	for name, says := range map[string][]string{
		"fits":   {"scope", "cluster", "labels", "region=eu,arch=arm64", "capabilities", "docker,gvisor", "room", "cpu=8,memory=32Gi,gpu=1"},
		"acme":   {"scope", "organization/acme", "labels", "region=eu", "capabilities", "docker", "room", "cpu=8,memory=32Gi,gpu=1"},
		"other":  {"scope", "organization/umbrella"},
		"abroad": {"scope", "cluster", "labels", "region=us"},
		"bare":   {"scope", "cluster", "labels", "region=eu", "capabilities", ""},
		"small":  {"scope", "cluster", "labels", "region=eu", "capabilities", "docker", "room", "cpu=1,memory=2Gi"},
	} {
		newRunner(t, cluster, ns, name, "60s", offering(says...))
	}
	silent := newRunner(t, cluster, ns, "silent", "60s")
	b := scoped(t, cluster, ns)
	p := openLive(t, b, "/place")
	for name, value := range map[string]string{"organization": "acme", "labels": "region=eu", "capabilities": "docker", "cpu": "2", "memory": "4Gi"} {
		must(t, p.Locator("input[name="+name+"]").Fill(value))
	}
	_, err := p.Locator("select[name=scope]").SelectOption(playwright.SelectOptionValues{Values: &[]string{"organization"}})
	must(t, err)
	must(t, p.Locator("button:text('Ask')").Click())
	isLive(t, p)
	line := func(group, name string) playwright.Locator {
		return p.Locator("#fit-" + group + " li").Filter(playwright.LocatorFilterOptions{Has: p.Locator("a b:text-is('" + name + "')")})
	}
	for name, want := range map[string][2]string{
		"fits": {"yes", "It offers all that was asked."}, "acme": {"yes", "It offers all"},
		"silent": {"maybe", "It says nothing of its scope, labels, capabilities, CPU and memory."},
		"other":  {"no", "1 scope It takes workloads of the organization umbrella, not of acme."},
		"abroad": {"no", "2 labels Its label region is us; eu is asked."},
		"bare":   {"no", "3 capabilities It lacks the capability docker; it has none."},
		"small":  {"no", "4 requests 2 CPU are asked, and it has 1 CPU for a workload; 4 GiB memory are asked, and it has 2 GiB memory"},
	} {
		if err := expect.Locator(line(want[0], name)).ToContainText(want[1], playwright.LocatorAssertionsToContainTextOptions{Timeout: millis(2 * soon)}); err != nil {
			got, _ := p.Locator("main").AllTextContents()
			t.Fatalf("%s: %v in %s", name, err, squeeze(strings.Join(got, " ")))
		}
	}
	mark(t, p)
	silent.change(t, offering("scope", "cluster", "labels", "region=eu", "capabilities", "docker", "room", "cpu=4,memory=8Gi"))
	has(t, line("yes", "silent"), "It offers all that was asked.", soon)
	same(t, p)
}

// The pages are whole without JavaScript: a form that is sent, an answer that is a page.
func TestInsightWithoutJavaScript(t *testing.T) {
	f := newRunner(t, cluster, "", "plain", "60s", faults)
	b := scoped(t, cluster, f.ns)
	no := playwright.BrowserNewContextOptions{JavaScriptEnabled: new(false)}
	p := open(t, b, "/findings", no)
	has(t, p.Locator("#g-privileged"), f.name, soon)
	must(t, p.Locator("#g-privileged li a").Click())
	item := p.Locator("#findings .found > li").Filter(playwright.LocatorFilterOptions{HasText: "Privileged"})
	must(t, item.Locator("summary").Click())
	must(t, item.Locator("input[name=note]").Fill("it builds images"))
	must(t, item.Locator("button:text('Accept')").Click())
	rig.Eventually(t, soon, "it stands as accepted", func() error {
		visit(t, p, b.URL+"/findings")
		if text := text(t, p.Locator("main")); !strings.Contains(text, "it builds images") {
			return fmt.Errorf("it says %s", text)
		}
		return nil
	})
	visit(t, p, b.URL+"/place")
	must(t, p.Locator("input[name=capabilities]").Fill("docker"))
	must(t, p.Locator("button:text('Ask')").Click())
	has(t, p.Locator("#fit-maybe"), "It says nothing of its capabilities.", soon)
	visit(t, p, b.URL+"/versions")
	has(t, p.Locator(".line").First(), "cannot be compared", soon)
}

// The pages of the whole fleet fit every window, with the standard fleet and a runner full of faults. SHOTS names a folder for pictures.
func TestInsightWidths(t *testing.T) {
	b := shared(t)
	f := newRunner(t, cluster, "", "shown", "60s", faults)
	offered := newRunner(t, cluster, f.ns, "offered", "60s", offering("scope", "cluster", "labels", "region=eu", "capabilities", "docker"))
	newRunner(t, cluster, f.ns, "elsewhere", "60s", offering("scope", "organization/umbrella"))
	offered.change(t, func(d *appsv1.Deployment) {
		d.Spec.Paused, d.Spec.Template.Spec.Containers[0].Image = true, "registry.acme.example/e2e/agent:v1.1.0"
	})
	p := openLive(t, b, "/versions")
	has(t, p.Locator("main"), "rolling out 1.1.0", 2*soon)
	dir := os.Getenv("SHOTS")
	for name, path := range map[string]string{"findings": "/findings", "versions": "/versions", "place": "/place?scope=cluster&capabilities=docker&labels=region%3Deu", "runner-findings": f.ref().Path()} {
		for theme := range themes {
			for width := range widths {
				p := browser.Page(t, window(width, theme))
				visit(t, p, b.URL+path)
				isLive(t, p)
				if wide := eval(t, p, "document.documentElement.scrollWidth - innerWidth").(int); wide > 0 {
					t.Errorf("%s is %d pixels too wide for %d", path, wide, width)
				}
				if dir != "" {
					file := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, theme, width))
					_, err := p.Screenshot(playwright.PageScreenshotOptions{Path: &file, FullPage: new(true)})
					must(t, err)
				}
				must(t, p.Context().Close())
			}
		}
	}
}
