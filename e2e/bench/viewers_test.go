package bench

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/e2e/rig"
)

const (
	viewers       = 500
	viewerChanges = 200
	changePace    = 100 * time.Millisecond
)

// crowd is many open streams, and when each saw each change.
type crowd struct {
	b       *testing.B
	mu      sync.Mutex
	sent    map[string]time.Time
	waits   []time.Duration
	expects int
	members []*member
}

// member is one viewer: it expects the changes of the runners its page shows.
type member struct {
	shows func(p corev1.Pod) bool
	seen  map[string]bool
}

func (c *crowd) join(board *rig.Board, path string, shows func(corev1.Pod) bool) {
	m := &member{shows: shows, seen: map[string]bool{}}
	c.members = append(c.members, m)
	resp := open(c.b, board.URL+path, "identity")
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := resp.Body.Read(buf)
			if err != nil {
				return
			}
			now := time.Now()
			for _, t := range tokenPattern.FindAllString(string(buf[:n]), -1) {
				c.saw(m, t, now)
			}
		}
	}()
}

func (c *crowd) saw(m *member, token string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.sent[token]; ok && !m.seen[token] {
		m.seen[token] = true
		c.waits = append(c.waits, now.Sub(at))
	}
}

func (c *crowd) send(cl *rig.Cluster, p corev1.Pod, token string) {
	c.mu.Lock()
	c.sent[token] = time.Now()
	for _, m := range c.members {
		if m.shows(p) {
			c.expects++
		}
	}
	c.mu.Unlock()
	patch(c.b, cl, p, token)
}

func (c *crowd) missing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.expects - len(c.waits); n > 0 {
		return fmt.Errorf("%d of %d are missing", n, c.expects)
	}
	return nil
}

// BenchmarkViewers makes 10 changes a second for 500 viewers, who read for real, on this same machine.
func BenchmarkViewers(b *testing.B) {
	cl, board := fleet(b, 500, 2000, 0, "--probe-via", "off")
	pods := runnerPods(b, cl, 200)
	b.Run("views=1", func(b *testing.B) {
		watch(b, cl, board, pods[:20], func(c *crowd) {
			for range viewers {
				c.join(board, "/stream", func(corev1.Pod) bool { return true })
			}
		})
	})
	b.Run("views=250", func(b *testing.B) {
		watch(b, cl, board, pods, func(c *crowd) {
			for i := range 300 {
				c.filter(board, pods[i%50])
			}
			for i := range 200 {
				c.runner(board, pods[i])
			}
		})
	})
}

// filter joins a view of one runner by its name.
func (c *crowd) filter(board *rig.Board, p corev1.Pod) {
	name := p.Labels["trackside.dev/runner"]
	c.join(board, "/stream?q="+url.QueryEscape(name), func(o corev1.Pod) bool { return strings.Contains(o.Labels["trackside.dev/runner"], name) })
}

func (c *crowd) runner(board *rig.Board, p corev1.Pod) {
	name := p.Labels["trackside.dev/runner"]
	c.join(board, "/runners/trackside/labelled/"+p.Namespace+"/"+name+"/stream", func(o corev1.Pod) bool {
		return o.Namespace == p.Namespace && o.Labels["trackside.dev/runner"] == name
	})
}

func watch(b *testing.B, cl *rig.Cluster, board *rig.Board, pods []corev1.Pod, join func(*crowd)) {
	before := rss(b, board.PID())
	c := &crowd{b: b, sent: map[string]time.Time{}}
	join(c)
	<-time.After(3 * time.Second)
	grown := rss(b, board.PID()) - before
	start, used := time.Now(), cpu(b, board.PID())
	tick := time.NewTicker(changePace)
	defer tick.Stop()
	for i := range viewerChanges {
		c.send(cl, pods[i%len(pods)], fmt.Sprintf("token-%d%d", len(pods), i))
		<-tick.C
	}
	pace := float64(viewerChanges) / time.Since(start).Seconds()
	used = cpu(b, board.PID()) - used
	rig.Eventually(b, 30*time.Second, "every change has reached every viewer", c.missing)
	report(b, "delivery", c.waits)
	b.ReportMetric(float64(percentile(c.waits, 0.99).Microseconds())/1000, "delivery-p99-ms")
	b.ReportMetric(float64(len(c.waits))/float64(c.expects), "delivered-ratio")
	b.ReportMetric(grown*1024/viewers, "KiB/viewer")
	b.ReportMetric(float64(used.Microseconds())/viewerChanges, "cpu-µs/change")
	b.ReportMetric(pace, "changes/s")
	b.ReportMetric(0, "ns/op")
}

// rss is the resident set of a process now, in MiB.
func rss(b *testing.B, pid int) float64 {
	b.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		b.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}
