package e2e

import (
	"regexp"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/rig"
	"trackside/store"
)

// beyond is a runner of the standard fleet.
type beyond struct{ system, namespace, name string }

func (r beyond) ref() store.Ref {
	return store.Ref{Cluster: cluster.Alias(), System: r.system, Namespace: r.namespace, Name: r.name}
}

func (r beyond) full() string { return r.namespace + "/" + r.name }

var (
	arcController = beyond{"arc", "arc-systems", "arc-gha-rs-controller"}
	arcSet        = beyond{"arc", "arc-runners", "linux-x64"}
	gitlabRunner  = beyond{"gitlab", "gitlab", "gitlab-runner"}
	buildkite     = beyond{"buildkite", "buildkite", "agent-stack-k8s"}
)

// fact is the value of a fact on a runner's page.
func fact(p *rig.Page, name string) playwright.Locator {
	return p.Locator("#facts dl > div").Filter(playwright.LocatorFilterOptions{Has: p.GetByText(name, playwright.PageGetByTextOptions{Exact: new(true)})}).Locator("dd")
}

// Each of the systems is shown with its components, its versions and what is known of it.
func TestBeyond(t *testing.T) {
	b := shared(t)
	for _, c := range []struct {
		runner                beyond
		title, version        string
		components, workloads []string
		facts                 map[string]string
	}{
		{arcController, "GitHub Actions (ARC)", "0.12.1", []string{"controller"}, nil, map[string]string{"Watches": "all namespaces"}},
		{arcSet, "GitHub Actions (ARC)", "0.12.1", []string{"listener", "scale-set"},
			[]string{"runs the job build (linux, go) of acme/shop (run 17234567890)", "linux-x64-7k2pd-runner-q8zd5", "dind"},
			map[string]string{"Scale": "min 1, max 3", "Runners": "2 running, 0 pending, 0 failed", "GitHub": "https://github.com/acme", "Runner group": "linux",
				"Job": "build (linux, go) of acme/shop (run 17234567890) on linux-x64-7k2pd-runner-4wc2h"}},
		{gitlabRunner, "GitLab Runner", "18.1.1", []string{"manager"}, []string{"runner-t3xq5vbz-project-17-concurrent-0-f9k2m1xq", "helper", "svc-0"},
			map[string]string{"GitLab": "https://gitlab.acme.example/", "Build pods in": "gitlab"}},
		{buildkite, "Buildkite", "0.29.0", []string{"controller"}, []string{"buildkite-0198f2a1-7c0e-4b1a-9d3e-2f6b8c4d1a50-d1a50", "checkout"},
			map[string]string{"Queue": "kubernetes"}},
	} {
		t.Run(c.runner.full(), func(t *testing.T) {
			p := openLive(t, b, c.runner.ref().Path())
			is(t, p.Locator("h1"), c.runner.name, soon)
			is(t, p.Locator(".head .state > i"), "healthy", 20*time.Second)
			has(t, p.Locator(".head .state"), "version "+c.version, soon)
			counts(t, p.Locator("#components tbody tr"), len(c.components), soon)
			for _, name := range c.components {
				has(t, p.Locator("#components"), name, soon)
			}
			for _, w := range c.workloads {
				has(t, p.Locator("#workloads"), w, soon)
			}
			for name, want := range c.facts {
				is(t, fact(p, name), want, soon)
			}
			hasNot(t, p.Locator("body"), "ZmFrZSBjcmVkZW50aWFs", soon) // the credential in an EphemeralRunner's status
		})
	}
}

// tale is an incident that the three systems' own incidents tell, on their runner's page.
type tale struct {
	runner beyond
	plays  []string
	// first is seen at once, then what the page says in the end.
	first                 string
	health, head          string
	components, workloads string
	limit                 time.Duration
}

func (s tale) tell(t *testing.T) {
	b := shared(t)
	fleet, one := openLive(t, b, "/?system="+s.runner.system), openLive(t, b, s.runner.ref().Path())
	row := fleet.Locator("#" + s.runner.ref().ID())
	is(t, row.Locator("i").First(), "healthy", verdictTime)
	mark(t, one)
	t.Cleanup(func() { _, _ = cluster.Play("recover", "--runner", s.runner.full()) })
	done := make(chan error, len(s.plays))
	for _, name := range s.plays {
		go func() {
			_, err := cluster.Play(name, "--runner", s.runner.full())
			done <- err
		}()
	}
	if s.first != "" {
		has(t, one.Locator("main"), regexp.MustCompile(s.first), 20*time.Second)
	}
	is(t, one.Locator(".head .state > i"), s.health, s.limit)
	has(t, one.Locator("#components"), regexp.MustCompile(s.components), s.limit)
	has(t, one.Locator("#workloads"), regexp.MustCompile(s.workloads), s.limit)
	has(t, one.Locator(".head .why"), regexp.MustCompile(s.head), s.limit)
	has(t, row, regexp.MustCompile(s.head), soon)
	for range s.plays {
		must(t, <-done)
	}
	same(t, one)
}

func (s tale) recovers(t *testing.T) {
	cluster.Incident(t, "recover", "--runner", s.runner.full())
	one := openLive(t, shared(t), s.runner.ref().Path())
	is(t, one.Locator(".head .state > i"), "healthy", verdictTime)
}

func TestARCIncidents(t *testing.T) {
	t.Parallel()
	for _, s := range []tale{
		{runner: arcSet, plays: []string{"arc-failed-runner"}, health: "degraded", limit: soon,
			head:       `1 runner failed for good and keeps its place: Pod has failed to start more than 5 times: The node was low on resource: ephemeral-storage\. Delete them`,
			components: `TooManyPodFailures.*delete ephemeralrunners\.actions\.github\.com`,
			workloads:  `Crash loop.*has failed for good and keeps its place in the scale set until it is deleted`},
		{runner: arcSet, plays: []string{"arc-listener-gone"}, first: `The scale set has had a listener without a pod for \d+ s: GitHub's jobs do not reach it; grace ends in \d+ s`,
			health: "unhealthy", limit: 75 * time.Second, head: `The scale set has had a listener without a pod for 1 min: GitHub's jobs do not reach it\.`,
			components: `Runtime lost.*ListenerMissing`, workloads: `4wc2h`},
		{runner: arcSet, plays: []string{"arc-drift"}, first: `is Running by its own word but has had no pod for \d+ s; grace ends in \d+ s`,
			health: "degraded", limit: 75 * time.Second, head: `is Running by its own word but has had no pod for 1 min\.`, components: `scale-set has 2 of 2 runners`, workloads: `Runtime lost.*PodMissing`},
		{runner: arcSet, plays: []string{"arc-outdated"}, health: "unhealthy", limit: soon, head: `GitHub no longer serves its runners' version\. Set a newer runner image`, components: `Configuration invalid`, workloads: `4wc2h`},
	} {
		t.Run(s.plays[0], func(t *testing.T) {
			s.tell(t)
			s.recovers(t)
		})
	}
}

func TestGitLabIncidents(t *testing.T) {
	t.Parallel()
	jobs := tale{runner: gitlabRunner, plays: []string{"gitlab-image-pull", "gitlab-helper"}, first: `build cannot pull its image golang:1\.26\.1-rc1: .*grace ends in \d+ s`,
		health: "degraded", limit: 75 * time.Second, head: `2 workloads are unwell\. .*cannot pull its image`, components: `manager has 1 of 1 pods ready`,
		workloads: `(?s)Image pull failed.*Image pull failed`}
	t.Run("jobs", func(t *testing.T) {
		jobs.tell(t)
		jobs.recovers(t)
	})
	t.Run("token", func(t *testing.T) {
		token := tale{runner: gitlabRunner, plays: []string{"gitlab-token"}, health: "unhealthy", limit: verdictTime, components: `Crash loop`, workloads: `gitlab-runner keeps exiting: 5 restarts`,
			head: `gitlab-runner keeps exiting: 5 restarts, .*\(Error, exit 1\); it ran for 2 min, as long as 30 attempts to register take: GitLab refuses its token, or cannot be reached\.`}
		token.tell(t)
		cluster.Incident(t, "recover", "--runner", gitlabRunner.full())
		one := openLive(t, shared(t), gitlabRunner.ref().Path())
		has(t, one.Locator(".head .why"), "it runs again", soon)
		must(t, cluster.Client.CoreV1().Pods("gitlab").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=gitlab-runner"}))
		is(t, one.Locator(".head .state > i"), "unknown", verdictTime) // Ready, but nothing tells whether GitLab knows it
		has(t, one.Locator(".head .why"), regexp.MustCompile(`manager started .* ago and may still be registering, which its readiness probe does not tell; counts as healthy in \d`), soon)
	})
}

func TestBuildkiteIncidents(t *testing.T) {
	t.Parallel()
	b := shared(t)
	one := openLive(t, b, buildkite.ref().Path())
	is(t, one.Locator(".head .state > i"), "healthy", verdictTime)
	cluster.Incident(t, "buildkite-job-failed", "--runner", buildkite.full())
	has(t, one.Locator("#workloads"), "The job ended with exit 2 in container-0; the runner did its part.", soon)
	is(t, one.Locator(".head .state > i"), "healthy", soon)
	s := tale{runner: buildkite, plays: []string{"buildkite-image-pull"}, first: `imagepullcheck-0 cannot pull its image ghcr\.io/acme/build-tools:9: the registry denies access, or has no such repository; grace ends in \d+ s`,
		health: "degraded", limit: verdictTime, head: `the registry denies access, or has no such repository; the controller fails the job and deletes the pod 30 s after its start`,
		components: `controller`, workloads: `Image pull failed`}
	s.tell(t)
	// The pod is gone by now; that it failed, and why, is not.
	has(t, one.Locator("#events"), "cannot pull its image ghcr.io/acme/build-tools:9", soon)
	hasNot(t, one.Locator("#workloads"), "build-tools:9", soon)
	s.recovers(t)
	has(t, fact(one, "Last job"), regexp.MustCompile(`made .* ago`), soon)
}
