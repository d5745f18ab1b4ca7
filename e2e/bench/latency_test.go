package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/e2e/rig"
)

var tokenPattern = regexp.MustCompile(`token-\d+`)

// observer notes, in the page, when each token first stands in its text. It looks at what changed only.
const observer = `() => {
  window.seen = {};
  new MutationObserver(list => {
    const now = Date.now();
    for (const m of list) {
      const texts = m.type === 'characterData' ? [m.target.data] : [...m.addedNodes].map(n => n.textContent);
      for (const t of texts) for (const k of (t || '').match(/token-\d+/g) || []) window.seen[k] ??= now;
    }
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}`

const latencyChanges = 200

// BenchmarkStatusToScreen is the time from a pod's status patch to its text in Chromium, beside kubectl seeing the same change.
func BenchmarkStatusToScreen(b *testing.B) {
	c, board := fleet(b, 500, 5000, 0)
	browser, err := rig.StartBrowser()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(browser.Stop)
	page := browser.Page(b)
	if _, err := page.Goto(board.URL + "/"); err != nil {
		b.Fatal(err)
	}
	if _, err := page.Evaluate(observer); err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	kubectl := map[string]time.Time{}
	watching := kubectlWatch(b, c, func(token string, at time.Time) { mu.Lock(); kubectl[token] = at; mu.Unlock() })
	pods := runnerPods(b, c, 20)
	// Warm up: kubectl watches and the page is live when both have seen a change. The first ones may come before kubectl watches.
	rig.Eventually(b, time.Minute, "kubectl watches", func() error {
		patch(b, c, pods[0], "token-0")
		<-time.After(200 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		if _, ok := kubectl["token-0"]; watching && !ok {
			return fmt.Errorf("kubectl has not printed token-0")
		}
		return nil
	})
	awaitToken(b, page, "token-0")
	b.ResetTimer()
	sent := map[string]time.Time{}
	for i := 1; i <= latencyChanges; i++ {
		token := fmt.Sprintf("token-%d", i)
		sent[token] = time.Now()
		patch(b, c, pods[i%len(pods)], token)
		awaitToken(b, page, token)
	}
	seen := pageTokens(b, page)
	mu.Lock()
	defer mu.Unlock()
	var screen, terminal []time.Duration
	for token, at := range sent {
		screen = append(screen, seen[token].Sub(at))
		if t, ok := kubectl[token]; ok {
			terminal = append(terminal, t.Sub(at))
		}
	}
	report(b, "screen", screen)
	report(b, "kubectl", terminal)
	b.ReportMetric(float64(len(screen)), "changes")
}

func awaitToken(b *testing.B, page *rig.Page, token string) {
	b.Helper()
	if _, err := page.WaitForFunction("k => k in window.seen", token); err != nil {
		b.Fatalf("%s never came: %v", token, err)
	}
}

func pageTokens(b *testing.B, page *rig.Page) map[string]time.Time {
	b.Helper()
	raw, err := page.Evaluate("() => JSON.stringify(window.seen)")
	if err != nil {
		b.Fatal(err)
	}
	var ms map[string]int64
	if err := json.Unmarshal([]byte(raw.(string)), &ms); err != nil {
		b.Fatal(err)
	}
	at := make(map[string]time.Time, len(ms))
	for k, v := range ms {
		at[k] = time.UnixMilli(v)
	}
	return at
}

// runnerPods picks running pods of labelled components, each of another runner.
func runnerPods(b *testing.B, c *rig.Cluster, n int) []corev1.Pod {
	b.Helper()
	list, err := c.Client.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{LabelSelector: "trackside.dev/component,!trackside.dev/workload"})
	if err != nil {
		b.Fatal(err)
	}
	var pods []corev1.Pod
	taken := map[string]bool{}
	for _, p := range list.Items {
		if r := p.Labels["trackside.dev/runner"]; !taken[r] && p.Status.Phase == corev1.PodRunning {
			taken[r] = true
			pods = append(pods, p)
		}
		if len(pods) == n {
			return pods
		}
	}
	b.Fatalf("only %d labelled runners have a running component", len(pods))
	return nil
}

// patch writes a status as a kubelet would: the first container crash-loops, and its message holds the token.
func patch(b *testing.B, c *rig.Cluster, p corev1.Pod, token string) {
	b.Helper()
	now := metav1.Now()
	statuses := p.DeepCopy().Status.ContainerStatuses
	s := &statuses[0]
	s.Ready, s.RestartCount = false, 5
	s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: token}}
	s.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: token, StartedAt: now, FinishedAt: now}}
	body, err := json.Marshal(map[string]any{"status": map[string]any{"containerStatuses": statuses}})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Client.CoreV1().Pods(p.Namespace).Patch(context.Background(), p.Name, types.MergePatchType, body, metav1.PatchOptions{}, "status"); err != nil {
		b.Fatal(err)
	}
}
