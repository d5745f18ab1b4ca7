package store_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows is who may import whom, by folder: the table of ARCHITECTURE.md. Another folder of this program is allowed only when it is
// named; another module, only when a prefix of it is.
var arrows = []struct {
	folder string
	allow  []string
}{
	{"store", nil},
	{"store/versions", []string{"trackside/store", "golang.org/x/mod/semver"}},
	{"store/sqlite", []string{"trackside/store", "modernc.org/sqlite", "github.com/pressly/goose/v3"}},
	{"systems", []string{"trackside/store", "trackside/systems/finding", "k8s.io/api", "k8s.io/apimachinery"}},
	{"poller", []string{"trackside/store"}},
	{"poller/kube", []string{"trackside/store", "trackside/systems", "k8s.io"}},
	{"poller/kube/statuses", []string{"trackside/store", "trackside/systems", "k8s.io/api", "k8s.io/apimachinery", "sigs.k8s.io/yaml"}},
	{"poller/kube/manifests", []string{"trackside/store", "trackside/systems", "trackside/systems/finding", "k8s.io", "go.yaml.in/yaml/v2", "github.com/aymanbagabas/go-udiff"}},
	{"poller/act", []string{"trackside/store"}},
	{"poller/report", []string{"trackside/store"}},
	{"poller/api", []string{"trackside/store", "github.com/cenkalti/backoff/v7"}},
	{"poller/kubiya", []string{"trackside/store", "trackside/poller/api", "golang.org/x/sync/errgroup"}},
	{"poller/agyn", []string{"trackside/store", "trackside/poller/api"}},
	{"static", []string{"github.com/klauspost/compress"}},
	{"views", []string{"trackside/store", "trackside/store/versions", "trackside/static", "github.com/a-h/templ"}},
	{"handlers", []string{"trackside/store", "trackside/store/versions", "trackside/views", "github.com/labstack/echo/v4", "github.com/starfederation/datastar-go", "github.com/a-h/templ", "github.com/klauspost/compress", "golang.org/x/time/rate"}},
	{"web", []string{"trackside/handlers", "trackside/views", "trackside/static", "trackside/store", "github.com/labstack/echo/v4", "github.com/prometheus", "github.com/a-h/templ"}},
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestStoreRestsOnTheStandardLibraryOnly(t *testing.T) {
	for _, p := range goList(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".") {
		if p != "" && p != "trackside/store" {
			t.Errorf("store depends on %s", p)
		}
	}
}

func TestTheImportGraphIsAsDrawn(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range goList(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "trackside/...") {
		path, imports, _ := strings.Cut(line, " ")
		folder := folderOf(strings.TrimPrefix(path, "trackside/"))
		i := slices.IndexFunc(arrows, func(a struct {
			folder string
			allow  []string
		}) bool {
			return a.folder == folder
		})
		if i < 0 {
			continue
		}
		seen[folder] = true
		for imp := range strings.FieldsSeq(imports) {
			if !allowed(folder, arrows[i].allow, imp) {
				t.Errorf("%s imports %s: no arrow goes from %s to there", path, imp, folder)
			}
		}
	}
	for _, a := range arrows {
		if !seen[a.folder] {
			t.Errorf("%s has no package", a.folder)
		}
	}
}

// folderOf is the folder of the table that a package belongs to: the longest that holds it.
func folderOf(path string) (best string) {
	for _, a := range arrows {
		if within(path, a.folder) && len(a.folder) > len(best) {
			best = a.folder
		}
	}
	return best
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// allowed lets a folder import the standard library, its own packages, and what the table names: a folder of ours exactly, of
// another module all that is below.
func allowed(folder string, allow []string, imp string) bool {
	if ours, ok := strings.CutPrefix(imp, "trackside/"); ok {
		return folderOf(ours) == folder && folder != "" || slices.Contains(allow, "trackside/"+folderOf(ours)) && folderOf(ours) != ""
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return true
	}
	return slices.ContainsFunc(allow, func(a string) bool { return within(imp, a) })
}
