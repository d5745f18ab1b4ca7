package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"trackside/e2e/rig"
	"trackside/store"
)

// falseGreen is something that its own system calls well and that is not: the board must not be green, and must say why.
type falseGreen struct {
	incident, system, namespace, runner string
	args                                []string
	// claims checks, while it lasts, that the system does call it well; nil where it merely shows nothing.
	claims func(*testing.T)
	first  string // a regular expression; blank when the verdict comes at once
	health string
	reason string // as the runner's page titles it; blank where there is none
	why    string // a regular expression
	facts  string // a regular expression that the runner's page matches; blank where none changes
	state  string // what the fact State says; blank where there is none
}

func (f falseGreen) ref() store.Ref {
	return store.Ref{Cluster: cluster.Alias(), System: f.system, Namespace: f.namespace, Name: f.runner}
}

var falseGreens = []falseGreen{
	// The chart has no readiness probe: Ready says that the container started.
	{incident: "probe-fail", args: []string{"--component", "agent-manager"}, system: "kubiya", namespace: "kubiya-eu", runner: "runner-eu", claims: readyPods("kubiya-eu", kubiyaPart+"agent-manager", 2),
		health: "unhealthy", why: `agent-manager fails its health probe: 503 Service Unavailable after \d+ ms: .* \(GET .*/healthz\)`},
	// Nor has this one any port: the chart's own monitoring asks for a Service of it that there is not.
	{incident: "kubiya-started", system: "kubiya", namespace: "kubiya-eu", runner: "runner-eu", claims: readyPods("kubiya-eu", kubiyaPart+"kubiya-operator", 1),
		health: "unknown", why: `kubiya-operator has run for \d+ s without a readiness probe; it counts as healthy after 10 min`},
	{incident: "kubiya-missing", system: "kubiya", namespace: "kubiya-eu", runner: "runner-eu", claims: readyPods("kubiya-eu", kubiyaPart+"workflow-engine", 0),
		health: "degraded", why: `workflow-engine is missing: its release has no Deployment of that name\.`},
	{incident: "agyn-enrolling", system: "agyn", namespace: "platform", runner: "k8s-runner", claims: readyPods("platform", "app.kubernetes.io/name=k8s-runner", 1),
		health: "unknown", why: `k8s-runner started \d+ s ago and may still be enrolling, which its probe does not tell; it counts as healthy in \d`},
	{incident: "agyn-agent-oom", system: "agyn", namespace: "platform", runner: "k8s-runner", claims: allRun("agyn-workloads", "app.kubernetes.io/managed-by=k8s-runner"),
		health: "degraded", reason: "Runtime lost", why: `agent-\S+ was running and exited .* \(OOMKilled, exit 137\)`},
	{incident: "agyn-credential", system: "agyn", namespace: "platform", runner: "k8s-runner", claims: readyPods("platform", "app.kubernetes.io/name=k8s-runner", 1),
		health: "unhealthy", reason: "Configuration invalid", why: `The runner's token is lost \(CredentialMissing: the secret k8s-runner-service-token does not exist\)`, facts: `zone=eu-central`},
	{incident: "plue-dead-warm", system: "plue", namespace: "workflows", runner: "runner-standby-pool", claims: readyPods("workflows", "app=runner-standby", 3),
		health: "unknown", why: `runner has run for \d+ s with a readiness probe that always passes; it counts as healthy after 10 min \(3 of 3 pods\)`},
	{incident: "plue-runtimeclass", system: "plue", namespace: "workflows", runner: "runner-standby-pool",
		health: "unhealthy", reason: "Start failed", why: `warm-pool cannot create its pods: the cluster has no RuntimeClass gvisor\.`, facts: `0 available of 3 wanted`},
	{incident: "plue-deadline", system: "plue", namespace: "workflows", runner: "runner-standby-pool", claims: readyPods("workflows", "app=runner-standby", 3),
		health: "degraded", reason: "Runtime lost", why: `is lost \(DeadlineExceeded\): Pod was active on the node longer than the specified deadline`},
	{incident: "release-diagnostic", system: "release", namespace: "digitalai", runner: "release-runner-1", claims: readyPods("digitalai", "app=release-runner", 2),
		health: "unknown", why: `runner is in diagnostic mode: its container only sleeps`, state: "not seen"},
	{incident: "release-hostnetwork", system: "release", namespace: "digitalai", runner: "release-runner-0", claims: readyPods("digitalai", "app=release-runner", 2),
		health: "unknown", why: `runner uses its node's network, where the chart leaves out its probes`, state: "not seen"},
	{incident: "release-unregistered", system: "release", namespace: "digitalai", runner: "release-runner-0", claims: allRun("digitalai", "app=release-runner"), first: `runner has been registering for \d+ s; grace ends in \d+ s`,
		health: "unhealthy", reason: "Start failed", why: `runner has been alive for \d+ s and cannot register with https://release\.acme\.example: check the URL, the registration token and TLS`, state: "registering"},
	{incident: "release-idle", system: "release", namespace: "digitalai", runner: "release-runner-1", claims: allRun("digitalai", "app=release-runner"),
		health: "degraded", why: `runner has been idle for \d+ s: it lost https://release\.acme\.example`, state: "idle"},
	{incident: "ambient-oom", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: sessionSays("Running"),
		health: "degraded", reason: "Runtime lost", why: `The session says Running, but its pod is dead: ambient-code-runner was running and exited .* \(OOMKilled, exit 137\)`},
	{incident: "ambient-liveness", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: sessionSays("Running"),
		health: "degraded", reason: "Runtime lost", why: `The session says Running, but its pod is dead: ambient-code-runner was running and exited .* after its liveness probe failed`},
	{incident: "ambient-plane-oom", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: allRun("team-blue", "ambient-code.io/managed-by=ambient-control-plane"),
		health: "degraded", reason: "Runtime lost", why: `session-2q7m1v8x4k-runner: ambient-code-runner was running and exited .* \(OOMKilled, exit 137\)`},
	{incident: "ambient-creating", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: readyPods("team-blue", "agentic-session=agentic-session-1767603000", 1),
		health: "degraded", reason: "Start failed", why: `The session still says Creating, but its pod has run for \d+ min`},
	{incident: "ambient-drift", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: sessionSays("Running"),
		health: "degraded", reason: "Runtime lost", why: `The session says Running, but its pod has not been ready for \d+ min`},
	{incident: "ambient-missing", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: sessionSays("Running"),
		health: "degraded", reason: "Runtime lost", why: `The session says Running, but its pod has been gone for \d+ s`},
	{incident: "ambient-reset", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: sessionSays("Pending"),
		health: "degraded", reason: "Runtime lost", why: `The session lost its pod and waits for another: Pod not found, will recreate`},
	{incident: "ambient-prerequisite", system: "ambient", namespace: "team-blue", runner: "team-blue", claims: sessionSays("Running"),
		health: "degraded", reason: "Configuration invalid", why: `ambient-code-runner misses a prerequisite \(exit 2\): ANTHROPIC_API_KEY is not set`},
	{incident: "ambient-deleted", system: "ambient", namespace: "team-blue", runner: "team-blue",
		health: "degraded", reason: "Start failed", why: `agentic-session-1767603000: The session failed \(RunnerExit\): Runner exited with code 1: Error - cannot clone the repository`, facts: `1 failed`},
}

// stateFact is where a runner's page says what it is doing, in a word: the verdict's sentence and the list of transitions hold such words too.
const stateFact = "#facts div:has(> dt:text-is('State')) > dd"

const kubiyaPart = "app.kubernetes.io/kubiya-runner-component="

func TestFalseGreens(t *testing.T) {
	b := shared(t)
	quickly(t, "digitalai", "release-runner")
	for _, f := range falseGreens {
		t.Run(f.incident, func(t *testing.T) { f.tell(t, b) })
	}
}

func (f falseGreen) tell(t *testing.T, b *rig.Board) {
	fleet, one := openLive(t, b, "/?namespace="+f.namespace+"&system="+f.system), openLive(t, b, f.ref().Path())
	row, head := fleet.Locator("#"+f.ref().ID()), one.Locator("section.head")
	health := row.Locator("i").First()
	is(t, health, "healthy", verdictTime)
	mark(t, fleet)
	mark(t, one)
	full := f.namespace + "/" + f.runner
	t.Cleanup(func() { _, _ = cluster.Play("recover", "--runner", full) })
	cluster.Incident(t, f.incident, append([]string{"--runner", full}, f.args...)...)
	if f.first != "" {
		has(t, row, regexp.MustCompile(f.first), soon)
	}
	is(t, health, f.health, verdictTime)
	why := regexp.MustCompile(f.why)
	has(t, row, why, soon)
	is(t, head.Locator(".state > i"), f.health, soon)
	has(t, head.Locator(".why"), why, soon)
	if f.reason != "" {
		has(t, one.Locator("#page"), f.reason, soon)
	}
	if f.facts != "" {
		has(t, one.Locator("#page"), regexp.MustCompile(f.facts), soon)
	}
	if f.state != "" {
		is(t, one.Locator(stateFact), f.state, soon)
	}
	if f.claims != nil {
		f.claims(t)
		is(t, health, f.health, soon) // and the board is not talked round
	}
	cluster.Incident(t, "recover", "--runner", full)
	is(t, health, "healthy", verdictTime)
	is(t, head.Locator(".state > i"), "healthy", soon)
	same(t, fleet)
	same(t, one)
}

// quickly shortens the grace of a StatefulSet's pods while the test lasts.
func quickly(t *testing.T, namespace, name string) {
	t.Helper()
	patch := func(grace string) error {
		body := fmt.Appendf(nil, `{"metadata":{"annotations":{"trackside.dev/start-grace":%s}}}`, grace)
		_, err := cluster.Client.AppsV1().StatefulSets(namespace).Patch(background(), name, types.MergePatchType, body, metav1.PatchOptions{})
		return err
	}
	must(t, patch(`"6s"`))
	t.Cleanup(func() { _ = patch("null") })
}

// readyPods checks that all pods of a kind are Ready by Kubernetes' word.
func readyPods(namespace, selector string, n int) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		pods, err := cluster.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		must(t, err)
		ready := 0
		for i := range pods.Items {
			for _, c := range pods.Items[i].Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		if ready != n {
			t.Errorf("%d pods are Ready, want %d: it is no false green", ready, n)
		}
	}
}

// allRun checks that all pods of a kind are Running by Kubernetes' word.
func allRun(namespace, selector string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		pods, err := cluster.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		must(t, err)
		for i := range pods.Items {
			if p := &pods.Items[i]; p.Status.Phase != corev1.PodRunning {
				t.Errorf("pod %s is %s: it is no false green", p.Name, p.Status.Phase)
			}
		}
		if len(pods.Items) == 0 {
			t.Error("there is no pod of that kind")
		}
	}
}

// sessionSays checks the phase of the session that incidents befall.
func sessionSays(phase string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		client, err := dynamic.NewForConfig(cluster.Config)
		must(t, err)
		o, err := client.Resource(schema.GroupVersionResource{Group: "vteam.ambient-code", Version: "v1alpha1", Resource: "agenticsessions"}).
			Namespace("team-blue").Get(t.Context(), "agentic-session-1767603000", metav1.GetOptions{})
		must(t, err)
		if status, _ := o.Object["status"].(map[string]any); status["phase"] != phase {
			t.Errorf("the session says %v: it is no false green", status["phase"])
		}
	}
}

// The systems show on the fleet's page and on a runner's with what only they know.
func TestSystemsShowWhatTheyKnow(t *testing.T) {
	b := shared(t)
	for _, c := range []struct {
		ref  store.Ref
		says []string
	}{
		{store.Ref{System: "plue", Namespace: "workflows", Name: "runner-standby-pool"},
			[]string{"warm-pool", "3 available of 3 wanted", "2 of 2 tasks run", "2 to 50 pods, at 70 % CPU", "gvisor", "5 min", "1.7.3"}},
		{store.Ref{System: "release", Namespace: "digitalai", Name: "release-runner-0"},
			[]string{"registered with https://release.acme.example", "remote, remote-script, container, k8s", "production", "24.1.3"}},
		{store.Ref{System: "release", Namespace: "digitalai", Name: "release-runner-1"}, []string{"ready"}},
		{store.Ref{System: "ambient", Namespace: "ambient-code", Name: "ambient-code"}, []string{"agentic-operator", "ambient-control-plane", "backend-api", "frontend", "0.3.1"}},
		{store.Ref{System: "ambient", Namespace: "team-blue", Name: "team-blue"},
			[]string{"3 sessions run.", "1 completed, 2 running", "1 d", "agentic-session-1767603000-runner", "session-2q7m1v8x4k-runner", "state-sync", "init-hydrate"}},
	} {
		c.ref.Cluster = cluster.Alias()
		p := openLive(t, b, c.ref.Path())
		is(t, p.Locator("section.head .state > i"), "healthy", verdictTime)
		for _, s := range c.says {
			contains(t, p.Locator("#page"), s)
		}
		if shown := text(t, p.Locator("#page")); regexp.MustCompile(`ghp_|Move the build`).MatchString(shown) {
			t.Errorf("%s shows what is in a session's spec", c.ref)
		}
		if n, err := openLive(t, b, "/?namespace="+c.ref.Namespace+"&system="+c.ref.System).Locator("#" + c.ref.ID()).Count(); err != nil || n != 1 {
			t.Errorf("the fleet shows %s %d times (%v)", c.ref, n, err)
		}
	}
}

// contains waits for a text on a page, wherever it stands.
func contains(t *testing.T, l playwright.Locator, s string) {
	t.Helper()
	has(t, l, s, 5*time.Second)
}
