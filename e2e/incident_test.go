package e2e

import (
	"regexp"
	"testing"
	"time"

	"trackside/e2e/rig"
)

// story is an incident as its onlookers see it: what shows first, the verdict, and what shows once it is undone.
type story struct {
	name   string
	args   []string
	first  string // a regular expression; blank when the verdict comes at once
	health string
	reason string // as the runner's page titles it; blank where there is none
	why    string // a regular expression
	// lingers says that restarts are remembered for ten minutes, as they should be: the runner is well with a new pod.
	lingers bool
}

const graceEnds = `grace ends in \d+ s`

var stories = []story{
	{name: "image-pull", first: `agent cannot pull its image .*` + graceEnds, health: "unhealthy", reason: "Image pull failed",
		why: `agent cannot pull its image registry\.acme\.example/e2e/agent:v1\.0\.1-rc1: the image does not exist in the registry\.`},
	{name: "bad-config", first: `agent cannot be configured: secret "agent-credentials" not found; ` + graceEnds, health: "unhealthy", reason: "Configuration invalid",
		why: `agent cannot be configured: secret "agent-credentials" not found\.`},
	{name: "init-retries", args: []string{"--step", "1500ms"}, first: `migrate failed .*, retry [123] of 3`, health: "unhealthy", reason: "Start failed",
		why: `migrate keeps failing: [45] retries, last exit .* ago`},
	{name: "unschedulable", first: `cannot be scheduled: .*` + graceEnds, health: "unhealthy", reason: "Start failed", why: `cannot be scheduled: 0/\d+ nodes are available.*Insufficient cpu`},
	{name: "crashloop", args: []string{"--step", "2s"}, first: `agent exited .* ago \(Error, exit 1\) and waits to be restarted, restart [123] of 3`, health: "unhealthy", reason: "Crash loop",
		why: `agent keeps exiting: 5 restarts, last exit .* ago \(Error, exit 1\): fatal: dial tcp`, lingers: true},
	{name: "oom", args: []string{"--now"}, health: "unhealthy", reason: "Crash loop", why: `agent keeps exiting: 5 restarts, last exit .* ago \(OOMKilled, exit 137\)`, lingers: true},
	{name: "evict", health: "degraded", why: `is lost \(Evicted\): The node was low on resource: memory`},
	{name: "sidecar", args: []string{"--now"}, health: "degraded", why: `log-shipper keeps exiting: 5 restarts, last exit .* ago \(Error, exit 2\)`, lingers: true},
	{name: "probe-fail", health: "unhealthy", why: `agent fails its health probe: 503 Service Unavailable after \d+ ms: not ready.* \(GET .*/health\)`},
	{name: "probe-slow", health: "unhealthy", why: `agent fails its health probe: no answer after 3\.\d s \(GET .*/health\)`},
}

// A verdict may need a probe's turn, up to twelve seconds, and three failures in a row.
const verdictTime = 40 * time.Second

func TestIncidents(t *testing.T) {
	b := shared(t)
	t.Run("all", func(t *testing.T) {
		for _, s := range stories {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.tell(t, b)
			})
		}
	})
}

func (s story) tell(t *testing.T, b *rig.Board) {
	f := newRunner(t, cluster, "", "agent-"+s.name, "8s")
	fleet, one := openLive(t, b, "/?namespace="+f.ns), openLive(t, b, f.ref().Path())
	healthy(t, fleet, f)
	mark(t, fleet)
	mark(t, one)

	done := make(chan error, 1)
	go func() {
		_, err := cluster.Play(s.name, append([]string{"--runner", f.full()}, s.args...)...)
		done <- err
	}()
	row, head := f.row(fleet), one.Locator("section.head")
	if s.first != "" {
		has(t, row, regexp.MustCompile(s.first), 20*time.Second)
		has(t, head, regexp.MustCompile(s.first), soon)
	}
	is(t, f.health(fleet), s.health, verdictTime)
	has(t, row, regexp.MustCompile(s.why), verdictTime)
	is(t, head.Locator(".state > i"), s.health, soon)
	has(t, head.Locator(".why"), regexp.MustCompile(s.why), soon)
	if s.reason != "" {
		has(t, one.Locator("#components"), s.reason, soon)
		has(t, one.Locator("#workloads"), s.reason, soon)
	}
	has(t, row.Locator("code"), "kubectl", soon)
	must(t, <-done)

	cluster.Incident(t, "recover", "--runner", f.full())
	if s.lingers {
		has(t, row, "it runs again", soon)
		f.restore(t)
	}
	is(t, f.health(fleet), "healthy", verdictTime)
	is(t, head.Locator(".state > i"), "healthy", soon)
	has(t, one.Locator("#events"), "became healthy", soon)
	if s.health == "unhealthy" {
		has(t, row, regexp.MustCompile(`recovered \d+ s ago`), soon)
		has(t, head, regexp.MustCompile(`recovered \d+ s ago`), soon)
	}
	same(t, fleet)
	same(t, one)
}

// A new version shows on both pages and is no incident.
func TestRollout(t *testing.T) {
	b := shared(t)
	f := newRunner(t, cluster, "", "roller", "60s")
	fleet, one := openLive(t, b, "/?namespace="+f.ns), openLive(t, b, f.ref().Path())
	healthy(t, fleet, f)
	has(t, f.row(fleet), "1.0.0", soon)
	mark(t, fleet)
	mark(t, one)
	cluster.Incident(t, "rollout", "--runner", f.full(), "--tag", "v2.7.1")
	has(t, f.row(fleet), "2.7.1", soon)
	has(t, one.Locator("#components"), "2.7.1", soon)
	healthy(t, fleet, f)
	has(t, one.Locator("#events"), "from version 1.0.0 to 2.7.1", soon)
	same(t, fleet)
	same(t, one)
}

// A node that falls silent takes its pods with it; the real controller manager marks them.
func TestNodeLost(t *testing.T) {
	t.Parallel()
	c := ownCluster(t, "--nodes", "2")
	f := newRunner(t, c, "", "on-node", "8s")
	b := rig.StartBoard(t, c.Kubeconfig)
	fleet, one := openLive(t, b, "/"), openLive(t, b, f.ref().Path())
	healthy(t, fleet, f)
	mark(t, fleet)
	c.Incident(t, "node-lost", "--runner", f.full())
	why := regexp.MustCompile(`is lost: its node \S+ has been silent for \d+ s`)
	is(t, f.health(fleet), "unhealthy", soon)
	has(t, f.row(fleet), why, soon)
	has(t, one.Locator(".head .why"), why, soon)
	has(t, one.Locator("#components"), "Runtime lost", soon)
	c.Incident(t, "recover", "--runner", f.full())
	is(t, f.health(fleet), "healthy", 2*soon)
	has(t, f.row(fleet), "recovered", soon)
	same(t, fleet)
}
