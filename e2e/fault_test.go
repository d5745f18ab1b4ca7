package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/e2e/rig"
)

// limit is within what a board says that a cluster is silent, and within what it is right again.
const limit = 5 * time.Second

// fault is a cluster of a test's own with one runner, a board of it, and three pages that watch.
type fault struct {
	t     *testing.T
	c     *rig.Cluster
	f     fixture
	b     *rig.Board
	pages []*rig.Page
}

func newFault(t *testing.T) *fault {
	t.Helper()
	c := ownCluster(t, "--nodes", "1")
	x := &fault{t: t, c: c, f: newRunner(t, c, "", "watched", "60s"), b: rig.StartBoard(t, c.Kubeconfig)}
	for _, path := range []string{"/", x.f.ref().Path(), "/board"} {
		p := openLive(t, x.b, path)
		mark(t, p)
		x.pages = append(x.pages, p)
	}
	healthy(t, x.pages[0], x.f)
	return x
}

// stale waits until every page says that the cluster is silent, and since when.
func (x *fault) stale(what string) {
	x.t.Helper()
	start := time.Now()
	for _, p := range x.pages {
		has(x.t, p.Locator("#sources"), regexp.MustCompile(`stale for \d+ s`), max(time.Millisecond, limit-time.Since(start)))
		has(x.t, p.Locator("#sources"), "The API server", soon)
		has(x.t, p.Locator("#conn"), regexp.MustCompile(`live.*data \d+ s old`), soon)
	}
	x.t.Logf("%s: shown as stale after %.1f s", what, time.Since(start).Seconds())
	is(x.t, x.f.health(x.pages[0]), "healthy", soon) // what was last true stays
}

// right makes a change at once and waits until every page shows it, and is live. The time runs from when the API server has taken
// the change: on a busy machine it needs seconds itself before it answers anybody.
func (x *fault) right(what, message string) {
	x.t.Helper()
	x.f.crash(x.t, message)
	start := time.Now()
	for _, p := range x.pages {
		has(x.t, p.Locator("#page"), message, max(time.Millisecond, limit-time.Since(start)))
		hasNot(x.t, p.Locator("#sources"), "stale", max(time.Millisecond, limit-time.Since(start)))
	}
	x.t.Logf("%s: right again after %.1f s", what, time.Since(start).Seconds())
	x.f.restore(x.t)
	is(x.t, x.f.health(x.pages[0]), "healthy", time.Minute) // a cluster that was away takes its time to make a pod
	for _, p := range x.pages {
		has(x.t, p.Locator("#sources"), "live", soon)
		same(x.t, p)
	}
}

func TestAPIServerStops(t *testing.T) {
	t.Parallel()
	x := newFault(t)
	x.c.Do(t, "stop", "kube-apiserver")
	x.stale("API server killed")
	x.c.Do(t, "start", "kube-apiserver")
	x.right("API server started", "right after the start")
}

// A frozen API server keeps its connections open and says nothing.
func TestAPIServerFreezes(t *testing.T) {
	t.Parallel()
	x := newFault(t)
	x.c.Do(t, "freeze", "kube-apiserver")
	x.stale("API server frozen")
	frozen, wait := regexp.MustCompile(`stale for 1 min`), 70*time.Second
	if testing.Short() {
		frozen, wait = regexp.MustCompile(`stale for 1[5-9] s`), 20*time.Second
	}
	for _, p := range x.pages {
		has(t, p.Locator("#sources"), frozen, wait)
	}
	x.c.Do(t, "thaw", "kube-apiserver")
	x.right("API server thawed", "right after the thaw")
}

// Without its store the API server answers, but not the truth.
func TestEtcdFreezes(t *testing.T) {
	t.Parallel()
	x := newFault(t)
	x.c.Do(t, "freeze", "etcd")
	x.stale("etcd frozen")
	x.c.Do(t, "thaw", "etcd")
	x.right("etcd thawed", "right after the thaw of etcd")
}

// A watch that was cut off in silence, behind an API server that answers everything, is found and opened anew.
func TestWatchesStandStill(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, cluster)
	f := newRunner(t, cluster, ns, "held", "60s")
	proxy := rig.StartProxy(t, cluster)
	b := rig.StartBoard(t, proxy.Kubeconfig, "--namespace", ns)
	p := openLive(t, b, "/")
	healthy(t, p, f)
	proxy.Hold()
	f.crash(t, "while the watch was held back")
	start := time.Now()
	has(t, f.row(p), "while the watch was held back", 15*time.Second)
	t.Logf("shown %.1f s after it happened", time.Since(start).Seconds())
	has(t, p.Locator("#sources"), "live", soon)
	if !strings.Contains(b.Log(), "watch stands still") {
		t.Error("the log does not say that a watch stood still")
	}
}

// shownHistory are the transitions that a runner's page shows.
func shownHistory(t *testing.T, p *rig.Page) []string {
	t.Helper()
	var out []string
	for _, e := range eval(t, p, "[...document.querySelectorAll('#events li')].map(e => e.querySelector('time').dateTime + ' ' + e.querySelector('.what').textContent)").([]any) {
		out = append(out, squeeze(e.(string)))
	}
	return out
}

// A board that was killed comes back with all it had shown, and its pages come back by themselves.
func TestKilled(t *testing.T) {
	t.Parallel()
	x := newFault(t)
	fleet, one := x.pages[0], x.pages[1]
	for _, p := range x.pages {
		p.Allow(refused)
	}
	for i := range 3 {
		x.f.crash(t, fmt.Sprintf("crash %d", i))
		has(t, one.Locator(".head"), fmt.Sprintf("crash %d", i), soon)
	}
	has(t, one.Locator("#events"), "became unhealthy", soon)
	before := shownHistory(t, one)

	start := time.Now()
	x.b.Kill()
	for _, p := range x.pages {
		has(t, p.Locator("#conn"), regexp.MustCompile(`(lost|server gone) for \d+ s`), limit)
	}
	t.Logf("board killed: shown as lost after %.1f s", time.Since(start).Seconds())
	has(t, fleet.Locator("#conn"), regexp.MustCompile(`server gone for 1\d s`), 3*limit)
	is(t, x.f.health(fleet), "unhealthy", soon)
	start = time.Now()
	x.b.Start(t)
	for _, p := range x.pages {
		has(t, p.Locator("#conn i"), "live", 15*time.Second) // it asks every ten seconds by now
		same(t, p)
	}
	t.Logf("board started: all pages live after %.1f s", time.Since(start).Seconds())
	after := shownHistory(t, one)
	for _, e := range before {
		if !slices.Contains(after, e) {
			t.Errorf("history has lost %q; it has %q", e, after)
		}
	}
	x.f.crash(t, "after the restart")
	has(t, x.f.row(fleet), "after the restart", soon)
	x.restored()
}

// restored checks that a board which starts while its cluster is away shows what it knew, and says that it is old.
func (x *fault) restored() {
	t := x.t
	t.Helper()
	x.b.Kill()
	x.c.Do(t, "stop", "kube-apiserver")
	x.b.Start(t)
	p := open(t, x.b, "/")
	is(t, x.f.health(p), "unhealthy", soon)
	has(t, x.f.row(p), "after the restart", soon)
	has(t, p.Locator("#sources"), regexp.MustCompile(`(stale for|restored from disk, last true) \d+ s`), soon)
	visit(t, p, x.b.URL+x.f.ref().Path())
	has(t, p.Locator("#events"), "became unhealthy", soon)
	has(t, p.Locator("#sources"), regexp.MustCompile(`(stale for|restored from disk, last true) \d+ s`), soon)
	x.c.Do(t, "start", "kube-apiserver")
	has(t, p.Locator("#sources"), "live", limit)
	hasNot(t, p.Locator("#sources"), "stale", soon)
}

// The end of the board does not wait for those who watch.
func TestDrain(t *testing.T) {
	ns := newNamespace(t, cluster)
	b := scoped(t, cluster, ns)
	ended := make(chan error, 20)
	for i := range cap(ended) {
		path := []string{"/stream", "/board/stream", "/stream?health=unhealthy"}[i%3]
		body := stream(t, b.URL+path)
		go func() {
			for body.Scan() {
			}
			ended <- body.Err()
		}()
	}
	took := b.Stop(t)
	t.Logf("ended in %d ms with %d streams open", took.Milliseconds(), cap(ended))
	if took > time.Second {
		t.Errorf("it took %s to end", took)
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Errorf("a stream was cut rather than ended: %v", err)
		}
	}
	if strings.Contains(b.Log(), "cut off") || strings.Contains(b.Log(), "level=ERROR") {
		t.Errorf("the log complains:\n%s", b.Log())
	}
}

// stream opens a stream as a program would and returns its lines after the first.
func stream(t *testing.T, url string) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	resp, err := client.Do(req)
	must(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	if resp.StatusCode != http.StatusOK || !lines.Scan() {
		t.Fatalf("%s answered %s: %v", url, resp.Status, lines.Err())
	}
	return lines
}
