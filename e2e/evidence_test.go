package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"trackside/e2e/rig"
)

// warn leaves a Warning event about the runner's pod, as its kubelet would.
func (f fixture) warn(t *testing.T, reason, message string) {
	t.Helper()
	p := f.pod(t)
	now := metav1.Now()
	_, err := f.cluster.Client.CoreV1().Events(f.ns).Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "warning-", Namespace: f.ns}, Type: corev1.EventTypeWarning, Reason: reason, Message: message, Count: 6, FirstTimestamp: now, LastTimestamp: now,
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: f.ns, Name: p.Name, UID: p.UID}}, metav1.CreateOptions{})
	must(t, err)
}

// complete checks that a failure's page has the proof of a crash: status, events, owner and node, what it means, and the line to copy.
func complete(t *testing.T, p *rig.Page, pod *corev1.Pod, message string) {
	t.Helper()
	is(t, p.Locator("h1"), pod.Name, soon)
	for where, wants := range map[string][]string{
		".head":       {"Crash loop", message, "agent keeps exiting: 5 restarts"},
		"#means":      {"starts, ends with an error, and is restarted", "kubectl", "logs " + pod.Name, "--previous"},
		"#containers": {"agent", "main", "waiting · CrashLoopBackOff", "before: terminated · Error · exit code 1", "5 restarts", "registry.acme.example/e2e/agent:v1.0.0", "log-shipper", "sidecar"},
		"#warnings":   {"BackOff", "Back-off restarting failed container", "6 times"},
		"#proof":      {pod.Namespace + "/" + pod.Name, pod.Spec.NodeName + ", ready", "deployment/", "replicaset/", "Running", "Always", "PodScheduled"},
	} {
		for _, want := range wants {
			has(t, p.Locator(where), want, soon)
		}
	}
}

// The proof of a failure outlives the pod, and a board that was killed in between.
func TestEvidenceOutlivesPodAndBoard(t *testing.T) {
	ns := newNamespace(t, cluster)
	f := newRunner(t, cluster, ns, "doomed", "60s")
	b := scoped(t, cluster, ns)
	list := openLive(t, b, "/failures")
	has(t, list.Locator("#summary"), "Nothing failed.", soon)
	mark(t, list)
	pod := f.pod(t)
	f.warn(t, "BackOff", "Back-off restarting failed container agent")
	f.crash(t, "fatal: cannot reach 10.0.3.7:5432")
	line := list.Locator("#g-crashloop .cause li.u")
	has(t, line, "doomed", soon)
	has(t, list.Locator("#summary"), "1 fails now.", soon)
	same(t, list)

	b.Kill() // what the page has shown is on disk
	list.Allow(refused)
	f.restore(t) // the pod is gone
	href, err := line.Locator("a").First().GetAttribute("href")
	must(t, err)
	b.Start(t)
	p := openLive(t, b, href)
	complete(t, p, pod, "fatal: cannot reach 10.0.3.7:5432")
	is(t, p.Locator(".head .state > i"), "over", 20*time.Second)
	has(t, list.Locator("#g-crashloop .cause li.x"), "doomed", 20*time.Second) // the page came back by itself
	same(t, list)

	one := openLive(t, b, f.ref().Path())
	must(t, one.Locator("#events a.evidence").First().Click())
	must(t, one.WaitForURL(b.URL+href))
	plain := open(t, b, href, playwright.BrowserNewContextOptions{JavaScriptEnabled: new(false)})
	complete(t, plain, pod, "fatal: cannot reach 10.0.3.7:5432")
	none := browser.Page(t)
	none.Allow(func(c string) bool { return strings.Contains(c, "status of 404") })
	if resp := visit(t, none, b.URL+"/failures/0123456789abcdef"); resp.Status() != http.StatusNotFound {
		t.Errorf("a failure that never was answered %d", resp.Status())
	}
}

// A pod that fails and is deleted at once, before the board has looked, leaves its evidence as well.
func TestEvidenceOfAPodDeletedAtOnce(t *testing.T) {
	ns := newNamespace(t, cluster)
	f := newRunner(t, cluster, ns, "hasty", "60s")
	b := scoped(t, cluster, ns)
	list := openLive(t, b, "/failures")
	fleet := openLive(t, b, "/")
	healthy(t, fleet, f)
	pod := f.pod(t)
	f.warn(t, "BackOff", "Back-off restarting failed container agent")
	f.crash(t, "fatal: out of luck")
	zero := int64(0)
	must(t, cluster.Client.CoreV1().Pods(ns).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	line := list.Locator("#g-crashloop .cause li")
	has(t, line, "hasty", soon)
	must(t, line.Locator("a").First().Click())
	complete(t, list, pod, "fatal: out of luck")
}

// A pod that is deleted one second after it failed, and a board that is killed within that second: nobody is there to see the pod go, and
// its evidence is complete all the same.
func TestEvidenceOfAPodDeletedWhileTheBoardIsDead(t *testing.T) {
	ns := newNamespace(t, cluster)
	f := newRunner(t, cluster, ns, "unseen", "60s")
	b := scoped(t, cluster, ns)
	list := openLive(t, b, "/failures")
	list.Allow(refused)
	fleet := openLive(t, b, "/")
	fleet.Allow(refused)
	healthy(t, fleet, f)
	pod := f.pod(t)
	f.warn(t, "BackOff", "Back-off restarting failed container agent")
	f.crash(t, "fatal: gone before anybody looked")
	failed := time.Now()
	has(t, list.Locator("#g-crashloop .cause li.u"), "unseen", soon)
	b.Kill()
	<-time.After(time.Until(failed.Add(time.Second)))
	zero := int64(0)
	must(t, cluster.Client.CoreV1().Pods(ns).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	b.Start(t)
	line := list.Locator("#g-crashloop .cause li")
	has(t, line, "unseen", 20*time.Second)
	href, err := line.Locator("a").First().GetAttribute("href")
	must(t, err)
	complete(t, openLive(t, b, href), pod, "fatal: gone before anybody looked")
}

// Failures that differ by numbers, addresses and names of pods are one cause; the filter is in the address.
func TestFailuresAreGrouped(t *testing.T) {
	ns := newNamespace(t, cluster)
	b := scoped(t, cluster, ns)
	p := openLive(t, b, "/failures?namespace="+ns)
	var fs []fixture
	for i := range 4 {
		fs = append(fs, newRunner(t, cluster, ns, fmt.Sprintf("group-%d", i), "60s"))
	}
	for i, f := range fs {
		f.crash(t, fmt.Sprintf("dial tcp 10.0.%d.7:5432: connection refused after %d s (%s)", i, 10+i, f.pod(t).Name))
	}
	odd := newRunner(t, cluster, ns, "odd", "60s")
	odd.crash(t, "panic: assertion failed")
	causes := p.Locator("#g-crashloop .cause")
	counts(t, causes, 2, 2*soon)
	has(t, causes.First(), "4 workloads, one cause", soon)
	has(t, causes.First().Locator(".what"), "dial tcp <ip>: connection refused after <time> (<pod>)", soon)
	counts(t, causes.First().Locator("li.u"), 4, soon)
	has(t, causes.Last(), "1 workload", soon)
	for _, f := range fs {
		f.restore(t)
	}
	has(t, p.Locator("#summary"), "1 of 5 failures goes on now.", 20*time.Second)
	counts(t, causes.Filter(playwright.LocatorFilterOptions{HasText: "4 workloads, one cause"}).Locator("li.x"), 4, soon)

	must(t, p.Locator(".choices nav a", playwright.PageLocatorOptions{HasText: "Start failed"}).Click())
	must(t, p.WaitForURL(regexp.MustCompile(`reason=start_failed`)))
	has(t, p.Locator("#summary"), "Nothing failed.", soon)
	p.Allow(func(c string) bool { return strings.Contains(c, "status of 40") })
	for path, status := range map[string]int{"/failures?reason=because": 400, "/failures?since=ever": 400, "/failures?system=jenkins": 400, "/failures?namespace=nobody": 200} {
		if resp := visit(t, p, b.URL+path); resp.Status() != status {
			t.Errorf("%s answered %d", path, resp.Status())
		}
	}
}

// The runner's page has its uptime, with a text for whoever does not see the strips.
func TestUptimeOnTheRunnersPage(t *testing.T) {
	ns := newNamespace(t, cluster)
	f := newRunner(t, cluster, ns, "steady", "60s")
	b := scoped(t, cluster, ns)
	fleet := openLive(t, b, "/")
	healthy(t, fleet, f)
	f.crash(t, "fatal")
	is(t, f.health(fleet), "unhealthy", soon)
	f.restore(t)
	is(t, f.health(fleet), "healthy", 20*time.Second)
	p := openLive(t, b, f.ref().Path())
	first := p.Locator("#uptime tbody tr").First()
	has(t, first, "the runner", soon)
	is(t, first.Locator(`[data-l="failures"]`), "1", soon)
	has(t, first.Locator(`[data-l="recovers in"]`), regexp.MustCompile(`^\d+ s$`), soon)
	alt, err := first.Locator("svg").First().GetAttribute("aria-label")
	must(t, err)
	if !regexp.MustCompile(`^Last 24 hours: unhealthy \d+ s, .*healthy \d+`).MatchString(alt) {
		t.Errorf("the strip says %q", alt)
	}
	if fill := eval(t, p, "getComputedStyle(document.querySelector('#uptime .strip rect.u')).fill"); fill == "none" {
		t.Error("the strip has no colour")
	}
}

// The end of a failed container's log is kept, masked, if that is asked for.
func TestLogsOfAFailure(t *testing.T) {
	ns := newNamespace(t, cluster)
	f := newRunner(t, cluster, ns, "talker", "60s")
	file := filepath.Join(t.TempDir(), "agent.log")
	must(t, os.WriteFile(file, []byte(logFile()), 0o644))
	client, err := dynamic.NewForConfig(cluster.Config)
	must(t, err)
	pod := f.pod(t)
	_, err = client.Resource(schema.GroupVersionResource{Group: "kwok.x-k8s.io", Version: "v1alpha1", Resource: "logs"}).Namespace(ns).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Logs", "metadata": map[string]any{"name": pod.Name, "namespace": ns},
		"spec": map[string]any{"logs": []any{map[string]any{"containers": []any{"agent"}, "logsFile": file, "previousLogsFile": file}}}}}, metav1.CreateOptions{})
	must(t, err)
	b := scoped(t, cluster, ns, "--capture-logs")
	p := openLive(t, b, "/failures")
	f.warn(t, "BackOff", "Back-off restarting failed container agent")
	f.crash(t, "fatal: see the log")
	line := p.Locator("#g-crashloop .cause li")
	has(t, line, "talker", soon)
	must(t, line.Locator("a").First().Click())
	complete(t, p, pod, "fatal: see the log")
	has(t, p.Locator("#logs"), "line 99", soon)
	has(t, p.Locator("#logs"), "password=***", soon)
	hasNot(t, p.Locator("#logs"), "hunter2", soon)
	hasNot(t, p.Locator("#logs"), "line 20 ", soon)
}

func logFile() string {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "%s stdout F line %d of the log\n", time.Unix(int64(i), 0).UTC().Format(time.RFC3339Nano), i)
	}
	fmt.Fprintf(&b, "%s stderr F connecting with password=hunter2hunter2\n", time.Unix(100, 0).UTC().Format(time.RFC3339Nano))
	return b.String()
}
