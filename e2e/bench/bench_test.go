// Package bench measures the whole road: a real API server, the shipped binary, a real Chromium. Run it with make bench.
//
// Every figure is a metric of a benchmark; the machine's noise is why the limits are judged by whoever reads the table, and by no test.
package bench

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"trackside/e2e/rig"
)

// fleet starts a control plane with so many runners and pods, and a board that shows them all.
func fleet(b *testing.B, runners, pods, foreign int, flags ...string) (*rig.Cluster, *rig.Board) {
	b.Helper()
	c, err := rig.StartCluster("--nodes", strconv.Itoa(max(8, (pods+foreign)/90+1)), "--runners", strconv.Itoa(runners),
		"--pods", strconv.Itoa(pods), "--foreign", strconv.Itoa(foreign))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Stop)
	board := rig.StartBoard(b, c.Kubeconfig, append([]string{"--log-level", "info"}, flags...)...)
	rig.Eventually(b, time.Minute, "the whole fleet is shown", func() error {
		page, err := rig.Get(board.URL + "/board")
		if err == nil && !strings.Contains(page, strconv.Itoa(runners)) {
			err = fmt.Errorf("the page does not count %d runners", runners)
		}
		return err
	})
	return c, board
}

// percentile is the value below which p of the sorted durations lie.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(math.Ceil(p*float64(len(sorted))))-1)]
}

func report(b *testing.B, name string, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(float64(percentile(all, 0.50).Microseconds())/1000, name+"-p50-ms")
	b.ReportMetric(float64(percentile(all, 0.95).Microseconds())/1000, name+"-p95-ms")
}

// peakRSS is the largest resident set a process has had, in MiB.
func peakRSS(b *testing.B, pid int) float64 {
	b.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}

// cpu is the processor time a process has used. The kernel counts in hundredths of a second.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// kubectlWatch runs kubectl get -w and tells when it prints each token; false when there is no kubectl on this machine.
func kubectlWatch(b *testing.B, c *rig.Cluster, tokens func(string, time.Time)) bool {
	b.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil {
		b.Log("kubectl is not installed: the page is measured alone")
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "kubectl", "--kubeconfig", c.Kubeconfig, "get", "pods", "-A", "--watch-only",
		"-o", "custom-columns=MESSAGE:.status.containerStatuses[*].state.waiting.message")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); _ = cmd.Wait() })
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			for _, t := range tokenPattern.FindAllString(s.Text(), -1) {
				tokens(t, time.Now())
			}
		}
	}()
	return true
}
