package acting

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/rig"
	"trackside/store"
)

// TestShots writes pictures of the dialogs, and of what is seen afterwards, into the folder that SHOTS names.
func TestShots(t *testing.T) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		t.Log("no folder is named by SHOTS: nothing is drawn")
		return
	}
	must(t, os.MkdirAll(dir, 0o755))
	f := newFleet(t, "kubiya-eu-1", "kubiya-eu-2", "kubiya-eu-3")
	f.change("kubiya-eu-2", func(r *store.Runner) {
		r.Requested, r.Observed = store.Disabled, store.Disabled
		r.Mark = store.Mark{By: "ada@example.com", Note: "node pool upgrade, see CHG-2231", At: time.Now().Add(-time.Hour), Until: time.Now().Add(3*time.Hour + time.Minute), Drain: true}
	})
	f.traps = []store.Trap{{Why: "Argo CD manages this runner (Application runners-eu, self-heal on): it will set the replicas back within minutes. Pause the sync there first."},
		{Why: "StatefulSet ci/agent has the finalizer backup.velero.io/protect, which is Velero's: the object stays until Velero takes it off."}}
	menu := func(item string) func(*rig.Page) {
		return func(p *rig.Page) {
			must(t, p.Locator("#filter [data-act]").Click())
			must(t, p.Locator("#deed a", playwright.PageLocatorOptions{HasText: item}).Click())
		}
	}
	button := func(word string) func(*rig.Page) {
		return func(p *rig.Page) {
			must(t, p.Locator("nav.acts a", playwright.PageLocatorOptions{HasText: word}).Click())
		}
	}
	for name, c := range map[string]struct {
		path string
		do   func(*rig.Page)
		wait string
	}{
		"disable":     {path("kubiya-eu-1"), button("Disable"), "#deed form"},
		"delete":      {path("kubiya-eu-1"), button("Delete"), "#deed form"},
		"bulk":        {"/", menu("Disable"), "#deed form"},
		"bulk-delete": {"/", menu("Delete"), "#deed form"},
		"disabled":    {path("kubiya-eu-2"), nil, ".out"},
		"fleet":       {"/", nil, ".out"},
		"board":       {"/board", nil, ".quiet"},
	} {
		for theme, scheme := range map[string]*playwright.ColorScheme{"dark": playwright.ColorSchemeDark, "light": playwright.ColorSchemeLight} {
			for width, height := range map[int]int{390: 844, 1280: 900} {
				p := f.open(c.path, playwright.BrowserNewContextOptions{Viewport: &playwright.Size{Width: width, Height: height}, ColorScheme: scheme})
				if c.do != nil {
					c.do(p)
				}
				must(t, p.Locator(c.wait).First().WaitFor())
				file := filepath.Join(dir, fmt.Sprintf("act-%s-%s-%d.png", name, theme, width))
				_, err := p.Screenshot(playwright.PageScreenshotOptions{Path: &file})
				must(t, err)
				must(t, p.Context().Close())
			}
		}
	}
}
