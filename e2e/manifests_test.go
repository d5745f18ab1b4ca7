package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/rig"
	"trackside/poller/kube/manifests"
	"trackside/store"
)

// filled is a form of a system as somebody fills it in who takes every default, in a namespace.
func filled(form store.ManifestForm, ns, alias string) url.Values {
	out := url.Values{"system": {form.System}, "cluster": {alias}}
	for _, f := range form.Fields {
		value := f.Default
		if value == "" {
			value = f.Example
		}
		if slices.Contains([]string{"namespace", "workloads", "builds", "controllerNamespace"}, f.Name) {
			value = ns
		}
		if form.System == "labelled" && (f.Name == "secret" || f.Name == "runtimeClass") {
			value = ""
		}
		out.Set("v."+f.Name, value)
	}
	return out
}

// send posts a form and returns the status and the body.
func send(t *testing.T, address string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(body)
}

func status(t *testing.T, method, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	return res.StatusCode
}

var linkIn = regexp.MustCompile(`kubectl apply -f (http://\S+/m/[A-Za-z0-9_-]+\.yaml)`)

// link makes a link of a form.
func link(t *testing.T, b *rig.Board, form url.Values) string {
	t.Helper()
	code, body := send(t, b.URL+"/manifests/links", form)
	m := linkIn.FindStringSubmatch(body)
	if code != http.StatusOK || m == nil {
		t.Fatalf("making a link: %d %s", code, squeeze(body))
	}
	return m[1]
}

// Every manifest of every system is taken by the API server's dry run and by a real apply from a link, and its runner appears on the
// board as its system, without findings.
func TestManifestsOfEverySystem(t *testing.T) {
	forms := manifests.Forms()
	spaces := map[string]string{}
	var flags []string
	for _, f := range forms {
		spaces[f.System] = newNamespace(t, cluster)
		flags = append(flags, "--namespace", spaces[f.System])
	}
	b := rig.StartBoard(t, cluster.Kubeconfig, flags...)
	for _, form := range forms {
		t.Run(form.System, func(t *testing.T) {
			ns := spaces[form.System]
			values := filled(form, ns, cluster.Alias())
			code, body := send(t, b.URL+"/manifests/preview", values)
			if code != http.StatusOK || !strings.Contains(body, "would take it; no findings") {
				t.Fatalf("the dry run: %d %s", code, squeeze(body))
			}
			d := draftOf(t, values)
			for _, s := range d.Secrets {
				secret(t, s)
			}
			cluster.Kubectl(t, "apply", "-f", link(t, b, values))
			t.Cleanup(func() {
				_ = cluster.Client.AppsV1().Deployments(ns).DeleteCollection(background(), metav1.DeleteOptions{}, metav1.ListOptions{})
				_ = cluster.Client.AppsV1().StatefulSets(ns).DeleteCollection(background(), metav1.DeleteOptions{}, metav1.ListOptions{})
			})
			appears(t, b, d)
			_, body = send(t, b.URL+"/manifests/preview", values)
			if strings.Contains(body, "would refuse it") && !strings.Contains(body, "Somebody else keeps this field") {
				t.Errorf("a second dry run: %s", squeeze(body))
			}
		})
	}
}

// draftOf writes what a form says, as the command line does.
func draftOf(t *testing.T, form url.Values) store.ManifestDraft {
	t.Helper()
	ask := store.ManifestAsk{System: form.Get("system"), Values: map[string]string{}}
	for k := range form {
		if name, ok := strings.CutPrefix(k, "v."); ok {
			ask.Values[name] = form.Get(k)
		}
	}
	d, err := manifests.Draft(ask)
	must(t, err)
	if d.YAML == "" {
		t.Fatalf("%v", d.Problems)
	}
	return d
}

// secret runs the line that a manifest gives for a Secret.
func secret(t *testing.T, s store.NeededSecret) {
	t.Helper()
	args := strings.Fields(s.Command)[1:]
	for i, a := range args {
		if strings.HasSuffix(a, "=FILE") {
			file := filepath.Join(t.TempDir(), "file")
			must(t, os.WriteFile(file, []byte("nothing"), 0o600))
			args[i] = strings.TrimSuffix(a, "FILE") + file
		}
	}
	cluster.Kubectl(t, args...)
}

// appears waits for the runner of a draft on a board, with all its components, and wants no finding about it.
func appears(t *testing.T, b *rig.Board, d store.ManifestDraft) {
	t.Helper()
	ref := d.Ref()
	ref.Cluster = cluster.Alias()
	var body string
	rig.Eventually(t, 30*time.Second, "the runner "+ref.String()+" appears", func() (err error) {
		if body, err = rig.Get(b.URL + ref.Path()); err != nil {
			return err
		}
		parts, _, _ := strings.Cut(body, `id="events"`)
		if strings.Contains(parts, "is missing: its release") || strings.Contains(parts, "is not there yet: its release") || d.System != "ambient" && strings.Contains(parts, "None was observed") {
			return errors.New("it is not whole")
		}
		return nil
	})
	if strings.Contains(body, `id="findings"`) {
		found, _ := rig.Get(b.URL + "/findings?namespace=" + ref.Namespace)
		t.Errorf("it has findings: %s", squeeze(found[strings.Index(found, "<main"):]))
	}
}

// With the role of deploy a board checks and applies; a Role that gives more than the board has is refused, in words; and no Secret can be
// read with it.
func TestManifestPermissions(t *testing.T) {
	t.Parallel()
	c := ownCluster(t, "--nodes", "1")
	for _, ns := range []string{deployNamespace, "runners"} {
		_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		must(t, err)
	}
	apply(t, c, "base")
	kubeconfig := c.Token(t, deployAccount)
	b := rig.StartBoard(t, kubeconfig, "--probe-via", "off")
	values := filled(formOf(t, "labelled"), "runners", c.Alias())
	if _, body := send(t, b.URL+"/manifests/preview", values); !strings.Contains(body, "would refuse it") || !strings.Contains(body, "cannot patch resource") {
		t.Errorf("without the role: %s", squeeze(body))
	}
	apply(t, c, "components/manifests")
	rig.Eventually(t, 10*time.Second, "the role holds", func() error {
		if _, body := send(t, b.URL+"/manifests/preview", values); !strings.Contains(body, "would take it; no findings") {
			return errors.New("not yet")
		}
		return nil
	})
	values.Set("sha256", draftOf(t, values).SHA256)
	if code, body := send(t, b.URL+"/manifests/apply", values); code != http.StatusOK {
		t.Errorf("applying: %d %s", code, squeeze(body))
	}
	_, body := send(t, b.URL+"/manifests/preview", filled(formOf(t, "gitlab"), "runners", c.Alias()))
	if !strings.Contains(body, "attempting to grant RBAC permissions not currently held") {
		t.Errorf("a role beyond its own: %s", squeeze(body))
	}
	can := c.Kubectl(t, "auth", "can-i", "--list", "--as=system:serviceaccount:trackside:trackside", "-n", "runners")
	if strings.Contains(can, "secrets") || strings.Contains(can, "*.*") {
		t.Errorf("the board may too much:\n%s", can)
	}
}

// What a link does in its life: a HEAD uses nothing, a single use is one, of twenty at once one gets it, a revoked one is dead, and one
// that never was is none.
func TestManifestLinks(t *testing.T) {
	b := shared(t)
	values := filled(formOf(t, "labelled"), newNamespace(t, cluster), cluster.Alias())
	values.Set("single", "1")
	once := link(t, b, values)
	if got := status(t, http.MethodHead, once); got != http.StatusOK {
		t.Errorf("HEAD: %d", got)
	}
	codes := make(chan int, 20)
	for range cap(codes) {
		go func() {
			res, err := http.Get(once)
			if err != nil {
				codes <- 0
				return
			}
			_ = res.Body.Close()
			codes <- res.StatusCode
		}()
	}
	count := map[int]int{}
	for range cap(codes) {
		count[<-codes]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusGone] != cap(codes)-1 {
		t.Errorf("twenty at once: %v", count)
	}
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		if got := status(t, method, once); got != http.StatusGone {
			t.Errorf("%s of a used link: %d", method, got)
		}
	}
	for _, never := range []string{"/m/x.yaml", "/m/" + strings.Repeat("A", 32) + ".yaml", strings.TrimPrefix(once, b.URL)[:20] + ".yaml", strings.TrimSuffix(strings.TrimPrefix(once, b.URL), ".yaml")} {
		if got := status(t, http.MethodGet, b.URL+never); got != http.StatusNotFound {
			t.Errorf("%s: %d", never, got)
		}
	}
	values.Del("single")
	values.Set("life", "9000h")
	if code, _ := send(t, b.URL+"/manifests/links", values); code != http.StatusBadRequest {
		t.Errorf("a life of a year: %d", code)
	}
	if got := status(t, http.MethodGet, b.URL+"/manifests/new?runner="+url.QueryEscape(cluster.Alias()+"/labelled/nowhere/nobody")); got != http.StatusNotFound {
		t.Errorf("the successor of nobody: %d", got)
	}
}

func formOf(t *testing.T, system string) store.ManifestForm {
	t.Helper()
	for _, f := range manifests.Forms() {
		if f.System == system {
			return f
		}
	}
	t.Fatalf("no form of %s", system)
	return store.ManifestForm{}
}

// The form in a browser: what the API server's dry run has against it stands beside its field while one types; a link is made and used
// twice, and then dead; and it is applied.
func TestManifestFormInTheBrowser(t *testing.T) {
	ns := newNamespace(t, cluster)
	b := scoped(t, cluster, ns)
	p := browser.Page(t)
	visit(t, p, b.URL+"/manifests/new?system=labelled")
	fill := func(name, value string) { t.Helper(); must(t, p.Locator("#f-"+name).Fill(value)) }
	fill("namespace", ns)
	fill("image", "registry.acme.example/team/runner:1.2.3")
	verdict := p.Locator("#preview .verdict")
	has(t, verdict, "would take it; no findings", 4*soon)
	has(t, p.Locator("pre.yaml").First(), "namespace: "+ns, soon)

	fill("cpuRequest", "4")
	has(t, p.Locator("#f-cpuRequest-e"), "must be less than or equal to cpu limit of 500m", 4*soon)
	has(t, verdict, "would refuse it", soon)
	fill("cpuRequest", "100m")
	has(t, verdict, "would take it", 4*soon)
	fill("namespace", "nowhere-at-all")
	has(t, p.Locator("#f-namespace-e"), "kubectl create namespace nowhere-at-all", 4*soon)
	fill("namespace", ns)
	fill("image", "registry.acme.example/team/runner:latest")
	has(t, p.Locator("#preview .found"), "image-latest", 4*soon)
	fill("image", "registry.acme.example/team/runner:1.2.3")
	has(t, verdict, "no findings", 4*soon)

	must(t, p.Locator("#preview button.go").Press("Enter"))
	has(t, p.Locator(".said"), "Applied to "+cluster.Alias(), 4*soon)
	d, err := cluster.Client.AppsV1().Deployments(ns).Get(t.Context(), "my-runner-agent", metav1.GetOptions{})
	must(t, err)
	if d.ManagedFields[0].Manager != manifests.Manager {
		t.Errorf("kept by %s", d.ManagedFields[0].Manager)
	}
	fill("port", "9090")
	has(t, p.Locator("#preview .changed pre.diff"), "containerPort:\u00a09090", 4*soon)

	fill("port", "8080")
	has(t, p.Locator("#preview h2 small").First(), "3 same", 4*soon)
	must(t, p.Locator("input[name=single]").Check())
	must(t, p.Locator("button:text('Make link')").Press("Enter"))
	line := text(t, p.Locator(".made .cmd code"))
	address := strings.TrimPrefix(line, "kubectl apply -f ")
	cluster.Kubectl(t, "apply", "--server-side", "--force-conflicts", "-f", address)
	p.Allow(func(c string) bool { return strings.Contains(c, "410") })
	visit(t, p, address)
	has(t, p.Locator("main"), "This link is dead: it could be used once, and was", soon)
	if got := status(t, http.MethodGet, address); got != http.StatusGone {
		t.Errorf("the second use: %d", got)
	}
}

// Without JavaScript the form is sent by its button, and a link is revoked by its own.
func TestManifestsWithoutJavaScript(t *testing.T) {
	ns := newNamespace(t, cluster)
	b := scoped(t, cluster, ns)
	p := open(t, b, "/manifests/new?system=labelled", playwright.BrowserNewContextOptions{JavaScriptEnabled: new(false)})
	must(t, p.Locator("#f-namespace").Fill(ns))
	must(t, p.Locator("button:text-is('Check')").Click())
	has(t, p.Locator("#f-image-e"), "Fill this in", soon)
	must(t, p.Locator("#f-image").Fill("registry.acme.example/team/runner:1.2.3"))
	must(t, p.Locator("#f-image").Press("Enter"))
	has(t, p.Locator("#preview .verdict"), "would take it; no findings", 2*soon)
	must(t, p.Locator("button:text('Make link')").Click())
	address := strings.TrimPrefix(text(t, p.Locator(".made .cmd code")), "kubectl apply -f ")
	must(t, p.Locator("#links button:text('Revoke')").First().Click())
	has(t, p.Locator("#links"), "revoked", soon)
	if got := status(t, http.MethodGet, address); got != http.StatusGone {
		t.Errorf("a revoked link: %d", got)
	}
}

// A runner's successor begins with what runs, whoever wrote that; and all that is well comes as one archive that can be applied.
func TestSuccessorAndArchive(t *testing.T) {
	f := newRunner(t, cluster, "", "elder", "60s", func(d *appsv1.Deployment) { *d.Spec.Replicas = 3 })
	b := scoped(t, cluster, f.ns)
	p := openLive(t, b, f.ref().Path())
	healthy2 := p.Locator(".head .state")
	has(t, healthy2, "healthy", 4*soon)
	must(t, p.Locator("a.successor").Click())
	for field, want := range map[string]string{"name": "elder", "namespace": f.ns, "image": "registry.acme.example/e2e/agent:v1.0.0", "replicas": "3", "component": "agent", "port": "8080"} {
		got, err := p.Locator("#f-" + field).InputValue()
		must(t, err)
		if got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	body, err := rig.Get(b.URL + "/manifests/archive")
	must(t, err)
	zip, err := gzip.NewReader(strings.NewReader(body))
	must(t, err)
	archive := tar.NewReader(zip)
	h, err := archive.Next()
	must(t, err)
	content, err := io.ReadAll(archive)
	must(t, err)
	if want := fmt.Sprintf("%s/labelled/%s/elder.yaml", cluster.Alias(), f.ns); h.Name != want || bytes.Contains(content, []byte("resourceVersion")) {
		t.Errorf("%s, want %s:\n%s", h.Name, want, content)
	}
	file := filepath.Join(t.TempDir(), "elder.yaml")
	must(t, os.WriteFile(file, content, 0o600))
	cluster.Kubectl(t, "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", file)
}

// The pages of manifests fit every window. SHOTS names a folder for pictures.
func TestManifestWidths(t *testing.T) {
	b := shared(t)
	f := newRunner(t, cluster, "", "elder", "60s")
	values := filled(formOf(t, "labelled"), f.ns, cluster.Alias())
	link(t, b, values)
	dir := os.Getenv("SHOTS")
	for name, path := range map[string]string{"manifests": "/manifests", "new": "/manifests/new?system=kubiya", "successor": "/manifests/new?runner=" + url.QueryEscape(strings.TrimPrefix(f.ref().Path(), "/runners/"))} {
		for theme := range themes {
			for width := range widths {
				p := browser.Page(t, window(width, theme))
				visit(t, p, b.URL+path)
				if name == "successor" {
					must(t, p.Locator("#f-cpuRequest").Fill("4"))
					has(t, p.Locator("#f-cpuRequest-e"), "less than or equal", 4*soon)
				}
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
