package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/rig"
	"trackside/e2e/standin"
	"trackside/store"
)

// told is within what the board shows a change of an API that it asks every second: the API may answer badly three times before that.
const told = 10 * time.Second

// beside is a cluster with the standard fleet, a stand-in for both APIs that knows some of it, and a board of both.
type beside struct {
	c          *rig.Cluster
	api        *standin.Server
	b          *rig.Board
	fleet      *rig.Page
	pods       []corev1.Pod // work of the agyn runner
	kubiya, ag store.Ref
	only       store.Ref // the runner that Kubiya's API alone knows
}

func newBeside(t *testing.T) *beside {
	t.Helper()
	c := ownCluster(t, "--fleet")
	x := &beside{c: c, api: standin.Start(t),
		kubiya: store.Ref{Cluster: c.Alias(), System: "kubiya", Namespace: "kubiya-eu", Name: "runner-eu"},
		ag:     store.Ref{Cluster: c.Alias(), System: "agyn", Namespace: "platform", Name: "k8s-runner"},
		only:   store.Ref{Cluster: "kubiya-api", System: "kubiya", Namespace: "kubiya-dc", Name: "runner-dc"}}
	pods, err := c.Client.CoreV1().Pods("agyn-workloads").List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=k8s-runner"})
	must(t, err)
	if x.pods = pods.Items; len(x.pods) < 3 {
		t.Fatalf("%d workloads in the fleet", len(x.pods))
	}
	x.well()
	key := filepath.Join(t.TempDir(), "credential")
	must(t, os.WriteFile(key, []byte(standin.Credential+"\n"), 0o600))
	x.b = rig.StartBoard(t, c.Kubeconfig, "--kubiya-url", x.api.URL, "--kubiya-key-file", key, "--kubiya-interval", "1s",
		"--agyn-url", x.api.URL, "--agyn-token-file", key, "--agyn-organization", "acme", "--agyn-interval", "1s")
	x.fleet = openLive(t, x.b, "/")
	has(t, x.row(x.ag), "healthy", 4*soon)
	mark(t, x.fleet)
	return x
}

// texted narrows a locator to elements that hold a text.
func texted(s string) playwright.PageLocatorOptions { return playwright.PageLocatorOptions{HasText: s} }

// row is a runner's row on the fleet's page.
func (x *beside) row(r store.Ref) playwright.Locator { return x.fleet.Locator("#" + r.ID()) }

func (x *beside) page(t *testing.T, r store.Ref) *rig.Page {
	t.Helper()
	p := openLive(t, x.b, r.Path())
	mark(t, p)
	return p
}

// well makes both APIs say that all is well.
func (x *beside) well() {
	ok := standin.Health{Status: "ok", Health: "true"}
	for name, ns := range map[string]string{"runner-eu": "kubiya-eu", "runner-dc": "kubiya-dc"} {
		x.api.Kubiya(standin.Runner{Name: name, Version: map[string]int{"runner-eu": 2}[name], KubernetesNamespace: ns, ManagedBy: "kubiya", GatewayPassword: "hunter2",
			RunnerHealth: ok, ToolManagerHealth: ok, AgentManagerHealth: ok}, checks("ok", ""))
	}
	x.agyn("WORKLOAD_STATUS_RUNNING", "", "")
}

// checks is an answer of the health call of Kubiya's API.
func checks(status, problem string) any {
	return map[string]any{"health": fmt.Sprint(status == "ok"), "status": status, "version": "0.9.30", "checks": []any{
		map[string]any{"name": "agent-manager", "status": "ok", "version": "0.5.1"},
		map[string]any{"name": "workflow-engine", "status": "ok"},
		map[string]any{"name": "tool-manager", "status": status, "error": problem, "metadata": map[string]any{"release": "0.5.8"}},
	}}
}

// agyn makes agyn's gateway say that of the first workload of its runner, and that the others run.
func (x *beside) agyn(status, reason, message string) {
	var work []standin.Workload
	for i, p := range x.pods {
		w := standin.Workload{Meta: standin.Meta{ID: string(p.UID), UpdatedAt: time.Now().UTC().Format(time.RFC3339)}, RunnerID: "0f-1", OrganizationID: "acme",
			Status: "WORKLOAD_STATUS_RUNNING", InstanceID: p.Name}
		if i == 0 {
			w.Status, w.FailureReason, w.FailureMessage = status, reason, message
		}
		work = append(work, w)
	}
	x.api.Agyn([]standin.AgynRunner{{Meta: standin.Meta{ID: "0f-1"}, Name: "eu-cluster", OrganizationID: "acme", Status: "RUNNER_STATUS_ENROLLED",
		Labels: map[string]string{"region": "eu"}, Capabilities: []string{"docker"}}}, work)
}

func TestSourcesBesideTheCluster(t *testing.T) {
	t.Parallel()
	x := newBeside(t)
	t.Run("joined", x.joined)
	t.Run("the API says unwell", x.unwell)
	t.Run("the cluster is right", x.contradicted)
	t.Run("one health call fails", x.oneCall)
	for _, f := range ailments {
		t.Run(string(f.fault), func(t *testing.T) { x.fault(t, f) })
	}
	t.Run("the board restarts", x.restart)
	t.Run("a workload's pod is gone", x.gone)
	t.Run("the control plane's reason", x.reason)
	t.Run("enrolled, and dead", x.enrolled)
	same(t, x.fleet)
}

// What both know is one runner, with the words of both; what the API alone knows is one of its own.
func (x *beside) joined(t *testing.T) {
	for _, name := range []string{"kubiya-api", "agyn-api"} {
		has(t, x.fleet.Locator("#sources div", texted(name)), "live", told)
	}
	k := x.page(t, x.kubiya)
	has(t, k.Locator("#facts"), regexp.MustCompile(`Kubiya API\s*says ok`), told)
	has(t, k.Locator("#facts"), regexp.MustCompile(`Generation\s*v2`), soon)
	has(t, k.Locator("#facts"), regexp.MustCompile(`tool-manager by the Kubiya API\s*ok, version 0\.5\.8`), soon)
	has(t, k.Locator("#components"), "kubiya-operator", soon)
	a := x.page(t, x.ag)
	has(t, a.Locator("#facts"), regexp.MustCompile(`agyn API\s*says enrolled; agyn never writes offline, so the cluster decides`), told)
	has(t, a.Locator("#facts"), regexp.MustCompile(`Scope\s*organization acme`), soon)
	has(t, a.Locator("#facts"), "region=eu", soon)
	is(t, a.Locator(".head .state > i"), "healthy", soon)
	o := x.page(t, x.only)
	is(t, o.Locator(".head .state > i"), "healthy", told)
	has(t, o.Locator("#facts"), "the Kubiya API only; no watched cluster shows it", soon)
	has(t, o.Locator("#facts"), "v1, the legacy generation", soon)
	has(t, o.Locator("#components"), "agent-manager", soon)
	counts(t, x.fleet.Locator("#rows > tr", texted("runner-eu")), 1, soon)
	counts(t, x.fleet.Locator("#rows > tr", texted("eu-cluster")), 0, soon)
	for _, p := range []*rig.Page{k, a, o} {
		hasNot(t, p.Locator("body"), "hunter2", soon)
		hasNot(t, p.Locator("body"), standin.Credential, soon)
	}
}

// A component that the API finds unwell and the cluster green is degraded, in the API's words.
func (x *beside) unwell(t *testing.T) {
	k := x.page(t, x.kubiya)
	has(t, k.Locator("#components tr", texted("tool-manager")), "healthy", 4*soon)
	x.api.Kubiya(standin.Runner{Name: "runner-eu", Version: 2, KubernetesNamespace: "kubiya-eu"}, checks("non-responsive", "no NATS heartbeat for 90s"))
	has(t, k.Locator("#components tr", texted("tool-manager")), "The Kubiya API says non-responsive: no NATS heartbeat for 90s.", told)
	is(t, k.Locator(".head .state > i"), "degraded", soon)
	has(t, k.Locator("#facts"), regexp.MustCompile(`Disagreement\s*the Kubiya API says non-responsive of tool-manager, which the cluster shows healthy`), soon)
	has(t, x.row(x.kubiya), "no NATS heartbeat", soon)
	x.well()
	hasNot(t, k.Locator("#components"), "heartbeat for 90s", told)
	hasNot(t, k.Locator("#facts"), "Disagreement", soon)
	same(t, k)
}

// Where the API says that all is well and the cluster shows a failure, the cluster is right, and the page says that they disagree.
func (x *beside) contradicted(t *testing.T) {
	k := x.page(t, x.kubiya)
	x.c.Incident(t, "crashloop", "--runner", "kubiya-eu/runner-eu", "--component", "workflow-engine", "--now")
	row := k.Locator("#components tr", texted("workflow-engine"))
	has(t, row, regexp.MustCompile(`keeps exiting.*The Kubiya API says ok all the same\.`), verdictTime)
	is(t, k.Locator(".head .state > i"), "unhealthy", soon)
	has(t, k.Locator(".head .why"), "keeps exiting", soon)
	has(t, k.Locator("#facts"), regexp.MustCompile(`workflow-engine by the Kubiya API\s*ok`), soon)
	has(t, k.Locator("#facts"), regexp.MustCompile(`Disagreement\s*the Kubiya API says ok of workflow-engine, which fails`), soon)
	has(t, k.Locator("#facts"), "the Kubiya API says ok, and the cluster shows a failure", soon)
	x.c.Incident(t, "recover", "--runner", "kubiya-eu/runner-eu")
}

// A health call that fails is of one runner: it is named, and harms no other.
func (x *beside) oneCall(t *testing.T) {
	o, k := x.page(t, x.only), x.page(t, x.kubiya)
	x.api.BreakHealth("runner-dc", standin.ServerError)
	is(t, o.Locator(".head .state > i"), "unknown", told)
	has(t, o.Locator(".head .why"), regexp.MustCompile(`The Kubiya API has not been heard for \d+ s: GET http://\S+/api/v3/runners/runner-dc/health: 500 Internal Server Error: the database is away; it last said ok\.`), soon)
	has(t, o.Locator("#sources div", texted("kubiya-api")), "1 limit", soon)
	has(t, o.Locator("#sources"), "The health of 1 of 2 runners is not known: GET http://", soon)
	has(t, k.Locator("#facts"), regexp.MustCompile(`Kubiya API\s*says ok`), soon)
	x.api.BreakHealth("runner-dc", standin.None)
	is(t, o.Locator(".head .state > i"), "healthy", told)
	hasNot(t, o.Locator("#sources"), "limit", told)
}

// ailment is a fault and what the page says of it, of each API.
type ailment struct {
	fault        standin.Fault
	kubiya, agyn string
}

var ailments = []ailment{
	{standin.ServerError, `The Kubiya API fails: 500 Internal Server Error: the database is away \(GET http://\S+/api/v3/runners\)\.`,
		`The agyn API fails: 500 Internal Server Error: the database is away \(POST http://\S+/ListRunners\)\.`},
	{standin.Denied, `The Kubiya API refuses our credential: 401 Unauthorized: the credential has expired \(.*\)\. Check the file that --kubiya-key-file names\.`,
		`The agyn API refuses our credential: 401 .* Check the file that --agyn-token-file names\.`},
	{standin.TooOften, `The Kubiya API says that we ask too often: 429 Too Many Requests: slow down \(.*\)\. Raise --kubiya-interval\.`, `The agyn API says that we ask too often: .* Raise --agyn-interval\.`},
	{standin.HTML, `The Kubiya API answers with HTML instead of JSON \(GET .*\): a proxy or a sign-in page may stand before it`, `The agyn API answers with HTML instead of JSON`},
	{standin.Truncated, `The Kubiya API fails: the JSON breaks off before its end`, `The agyn API fails: the JSON breaks off before its end`},
	{standin.WrongTypes, `The Kubiya API fails: not what was expected: it is a number and not a list`, `The agyn API fails: not what was expected: it is a number and not an object`},
	{standin.Endless, `The Kubiya API fails: not what was expected: the list does not end after 5000 runners`, `The agyn API fails: not what was expected: the list does not end after 50 pages`},
	{standin.Slow, `The Kubiya API fails: no answer within 5 s`, `The agyn API fails: no answer within 5 s`},
}

// fault breaks both APIs: each is stale, and says why; the cluster's verdict stands; nothing is healthy by a failed call, and nothing
// is blank. Then they recover.
func (x *beside) fault(t *testing.T, f ailment) {
	a, o := x.page(t, x.ag), x.page(t, x.only)
	x.api.Break(f.fault)
	for name, want := range map[string]string{"kubiya-api": f.kubiya, "agyn-api": f.agyn} {
		strip := a.Locator("#sources div", texted(name))
		has(t, strip, regexp.MustCompile(`stale for \d+ s`), 2*told)
		has(t, strip, regexp.MustCompile(want), soon)
		has(t, x.fleet.Locator("#sources div", texted(name)), regexp.MustCompile(want), soon)
	}
	has(t, a.Locator("#facts"), regexp.MustCompile(`agyn API\s*not heard for \d+ s: POST http://.*; it last said enrolled`), soon)
	is(t, a.Locator(".head .state > i"), "healthy", soon)
	is(t, o.Locator(".head .state > i"), "unknown", soon)
	has(t, o.Locator(".head .why"), regexp.MustCompile(`The Kubiya API has not been heard for \d+ s: GET http://`), soon)
	has(t, x.row(x.only), "has not been heard for", soon)
	has(t, a.Locator("#sources div", texted(x.c.Alias())), "live", soon)
	has(t, a.Locator("#conn"), regexp.MustCompile(`live.*data [0-3] s old`), soon)
	counts(t, x.fleet.Locator("#rows > tr", texted("bogus")), 0, soon)
	if dir := os.Getenv("SHOTS"); dir != "" && f.fault == standin.HTML {
		shoot(t, x.b, dir, "sources", "/", x.ag.Path(), "/board")
		shoot(t, x.b, dir, "sources-only", "", x.only.Path(), "")
	}

	x.api.Break(standin.None)
	for _, name := range []string{"kubiya-api", "agyn-api"} {
		hasNot(t, a.Locator("#sources div", texted(name)), "stale", 2*told)
	}
	has(t, a.Locator("#facts"), regexp.MustCompile(`agyn API\s*says enrolled`), told)
	is(t, o.Locator(".head .state > i"), "healthy", told)
	for _, p := range []*rig.Page{a, o} {
		same(t, p)
	}
}

// After a restart with an API that is away the board shows what it had, and what it shows of the cluster is the cluster's.
func (x *beside) restart(t *testing.T) {
	x.fleet.Allow(refused)
	x.api.Break(standin.ServerError)
	has(t, x.fleet.Locator("#sources div", texted("kubiya-api")), "stale", 2*told)
	x.b.Kill()
	x.b.Start(t)
	a, o := x.page(t, x.ag), x.page(t, x.only)
	is(t, a.Locator(".head .state > i"), "healthy", told)
	has(t, a.Locator("#sources div", texted("agyn-api")), regexp.MustCompile(`stale for (\d+ s|1 min)`), told)
	is(t, o.Locator(".head .state > i"), "unknown", told)
	x.api.Break(standin.None)
	is(t, o.Locator(".head .state > i"), "healthy", told)
	has(t, a.Locator("#facts"), regexp.MustCompile(`agyn API\s*says enrolled`), told)
	counts(t, x.fleet.Locator("#rows > tr", texted("runner-dc")), 1, 2*told)
	counts(t, x.fleet.Locator("#rows > tr", texted("eu-cluster")), 0, soon)
}

// A pod that is gone while its control plane says that it runs is a runtime that was lost.
func (x *beside) gone(t *testing.T) {
	a := x.page(t, x.ag)
	is(t, a.Locator(".head .state > i"), "healthy", told)
	zero := int64(0)
	must(t, x.c.Client.CoreV1().Pods("agyn-workloads").Delete(t.Context(), x.pods[0].Name, metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	row := a.Locator("#workloads tr", texted(x.pods[0].Name))
	has(t, row, regexp.MustCompile(`The agyn API (still says running|says running; the pod is gone)`), told)
	has(t, row, "Runtime lost", store.LostGrace+told)
	is(t, a.Locator(".head .state > i"), "degraded", soon)
	has(t, a.Locator("#facts"), regexp.MustCompile(`Disagreement\s*the agyn API says running of `+x.pods[0].Name), soon)
	has(t, x.row(x.ag), x.pods[0].Name, soon)
}

// A failure reason that the control plane itself gives wins over ours.
func (x *beside) reason(t *testing.T) {
	a := x.page(t, x.ag)
	x.agyn("WORKLOAD_STATUS_FAILED", "WORKLOAD_FAILURE_REASON_CONFIG_INVALID", "agynd rejected the configuration: no model")
	row := a.Locator("#workloads tr", texted(x.pods[0].Name))
	has(t, row, "Configuration invalid", told)
	has(t, row, "The agyn API says config_invalid: agynd rejected the configuration: no model.", soon)
	is(t, a.Locator(".head .state > i"), "degraded", soon)
	has(t, a.Locator(".head .why"), "config_invalid", soon)
	has(t, x.row(x.ag), "config_invalid", soon)
	link := "/?" + url.Values{"reason": {"config_invalid"}, "system": {"agyn"}}.Encode()
	has(t, open(t, x.b, link).Locator("#rows"), "k8s-runner", soon)
}

// agyn writes enrolled once and never takes it back: of a runner that is dead, and of one that no cluster shows.
func (x *beside) enrolled(t *testing.T) {
	var work []standin.Workload
	for _, p := range x.pods[1:] { // which tell what runner it is
		work = append(work, standin.Workload{Meta: standin.Meta{ID: string(p.UID)}, RunnerID: "0f-1", OrganizationID: "acme", Status: "WORKLOAD_STATUS_RUNNING", InstanceID: p.Name})
	}
	x.api.Agyn([]standin.AgynRunner{{Meta: standin.Meta{ID: "0f-1"}, Name: "eu-cluster", OrganizationID: "acme", Status: "RUNNER_STATUS_ENROLLED"},
		{Meta: standin.Meta{ID: "0f-2"}, Name: "nowhere", OrganizationID: "acme", Status: "RUNNER_STATUS_ENROLLED"}}, work)
	nowhere := store.Ref{Cluster: "agyn-api", System: "agyn", Name: "nowhere"}
	has(t, x.row(nowhere), "The agyn API says enrolled, which proves nothing: agyn never writes offline", told)
	is(t, x.row(nowhere).Locator("i").First(), "unknown", soon)
	x.c.Incident(t, "crashloop", "--runner", "platform/k8s-runner", "--now")
	a := x.page(t, x.ag)
	is(t, a.Locator(".head .state > i"), "unhealthy", told)
	has(t, a.Locator(".head .why"), "keeps exiting", soon)
	has(t, a.Locator("#facts"), regexp.MustCompile(`agyn API\s*says enrolled; agyn never writes offline`), soon)
}
