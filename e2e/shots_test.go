package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
	appsv1 "k8s.io/api/apps/v1"

	"trackside/e2e/rig"
)

// The windows and themes that pages are looked at in.
var (
	widths = map[int]int{390: 844, 1280: 800, 1920: 1080}
	themes = map[string]*playwright.ColorScheme{"dark": playwright.ColorSchemeDark, "light": playwright.ColorSchemeLight}
)

func window(width int, theme string) playwright.BrowserNewContextOptions {
	return playwright.BrowserNewContextOptions{Viewport: &playwright.Size{Width: width, Height: widths[width]}, ColorScheme: themes[theme],
		TimezoneId: new("Europe/Berlin"), Locale: new("en-GB")}
}

// Every page fits the width of its window, whatever fails, and both themes are there.
func TestWidths(t *testing.T) {
	b := shared(t)
	f := newRunner(t, cluster, "", "a-runner-whose-name-is-as-long-as-somebody-who-likes-long-names", "60s")
	f.crash(t, "fatal: "+regexp.MustCompile(`.`).ReplaceAllString("01234567890123456789", "no-break-anywhere-"))
	background := map[string]any{}
	for theme := range themes {
		for width := range widths {
			for _, path := range []string{"/", f.ref().Path(), "/failures", "/board", "/?health=poorly"} {
				p := browser.Page(t, window(width, theme))
				p.Allow(func(string) bool { return path == "/?health=poorly" })
				visit(t, p, b.URL+path)
				has(t, p.Locator("#page"), "Trackside", soon)
				if wide := eval(t, p, "document.documentElement.scrollWidth - innerWidth").(int); wide > 0 {
					t.Errorf("%s is %d pixels too wide for %d", path, wide, width)
				}
				background[theme] = eval(t, p, "getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor")
				must(t, p.Context().Close())
			}
		}
	}
	if background["dark"] == background["light"] {
		t.Errorf("both themes are %v", background["dark"])
	}
}

// TestShots writes pictures of the pages in all their states into the folder that SHOTS names, for the README and for looking at.
func TestShots(t *testing.T) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		t.Log("no folder is named by SHOTS: nothing is drawn")
		return
	}
	c := ownCluster(t, "--fleet")
	b := rig.StartBoard(t, c.Kubeconfig)
	well := rig.StartBoard(t, c.Kubeconfig, "--namespace", "ci,edge,gpu,builds,platform,platform-2")
	p := openLive(t, well, "/")
	has(t, p.Locator("#calm"), "are healthy", 4*soon)
	shoot(t, well, dir, "healthy", "/", "/runners/"+c.Alias()+"/labelled/ci/ci-linux", "/board")
	shoot(t, rig.StartBoard(t, c.Kubeconfig, "--namespace", "nobody"), dir, "empty", "/", "", "/board")

	c.Incident(t, "image-pull", "--runner", "edge/edge-berlin", "--now")
	c.Incident(t, "crashloop", "--runner", "ci/ci-linux", "--component", "controller", "--now")
	c.Incident(t, "bad-config", "--runner", "builds/builds-docker", "--now")
	c.Incident(t, "evict", "--runner", "platform/k8s-runner")
	c.Incident(t, "sidecar", "--runner", "kubiya-eu/runner-eu", "--component", "tool-manager", "--now")
	newRunner(t, c, "edge", "edge-oslo", "60s", func(d *appsv1.Deployment) { // unknown: nothing says how it is
		d.Annotations = nil
		d.Spec.Template.Annotations = nil
		d.Spec.Template.Spec.Containers[0].ReadinessProbe = nil
	})
	all := openLive(t, b, "/")
	has(t, all.Locator("#reasons"), "1", soon)
	has(t, all.Locator("#rows"), "keeps exiting", soon)
	has(t, all.Locator("#rows"), "unknown", soon)
	shoot(t, b, dir, "failing", "/", "/runners/"+c.Alias()+"/labelled/ci/ci-linux", "/board")
	insights(t, c, b, dir)
	c.Do(t, "stop", "kube-apiserver")
	has(t, all.Locator("#sources"), "stale for", limit)
	shoot(t, b, dir, "stale", "/", "/runners/"+c.Alias()+"/labelled/edge/edge-berlin", "/board")
}

// insights draws the pages about the fleet as a whole, a failure, and the page of a runner of each system.
func insights(t *testing.T, c *rig.Cluster, b *rig.Board, dir string) {
	t.Helper()
	p := openLive(t, b, "/failures")
	failure, err := p.Locator("a[href^='/failures/']").First().GetAttribute("href")
	must(t, err)
	pages := map[string]string{"failures": "/failures", "failure": failure, "versions": "/versions", "findings": "/findings",
		"place": "/place?scope=cluster&capabilities=docker&cpu=2&memory=4Gi"}
	for _, ref := range []string{"kubiya/kubiya-eu/runner-eu", "agyn/platform/k8s-runner", "plue/workflows/runner-standby-pool", "release/digitalai/release-runner-0",
		"ambient/team-blue/team-blue", "arc/arc-runners/linux-x64", "gitlab/gitlab/gitlab-runner", "buildkite/buildkite/agent-stack-k8s"} {
		pages["runner-"+strings.SplitN(ref, "/", 2)[0]] = "/runners/" + c.Alias() + "/" + ref
	}
	for name, path := range pages {
		for theme := range themes {
			for width := range widths {
				draw(t, b.URL+path, filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, theme, width)), width, theme)
			}
		}
	}
}

// draw draws one page, all of it where the window is narrow.
func draw(t *testing.T, url, file string, width int, theme string) {
	t.Helper()
	p := browser.Page(t, window(width, theme))
	visit(t, p, url)
	isLive(t, p)
	_, err := p.Screenshot(playwright.PageScreenshotOptions{Path: &file, FullPage: new(width < 1920)})
	must(t, err)
	must(t, p.Context().Close())
}

// shoot draws the fleet's page, a runner's, which may be blank, and the wall.
func shoot(t *testing.T, b *rig.Board, dir, state, fleet, runner, wall string) {
	t.Helper()
	for name, path := range map[string]string{"fleet": fleet, "runner": runner, "board": wall} {
		if path == "" {
			continue
		}
		for theme := range themes {
			for width := range widths {
				draw(t, b.URL+path, filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%d.png", name, state, theme, width)), width, theme)
			}
		}
	}
}
