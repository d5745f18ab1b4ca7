package kube

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

// tries are the pods that a Job made one after the other: so many that failed, a minute apart, the last of them so long ago, and one after
// them in a state.
func tries(job metav1.ObjectMeta, labels map[string]string, failed int, last time.Duration, phase corev1.PodPhase) (out []runtime.Object) {
	for i := range failed + 1 {
		p := podOf(job, "Job", fmt.Sprintf("try-%d", i), labels, container("main", "acme/job:1.0.0"))
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Duration(failed-i)*time.Minute - last))
		s := &p.Status.ContainerStatuses[0]
		end := &corev1.ContainerStateTerminated{StartedAt: p.CreationTimestamp, FinishedAt: metav1.NewTime(p.CreationTimestamp.Add(time.Minute))}
		switch {
		case i < failed:
			p.Status.Phase, end.ExitCode, end.Reason, end.Message = corev1.PodFailed, 1, "Error", "no such table"
			s.Ready, s.State = false, corev1.ContainerState{Terminated: end}
		case phase == corev1.PodSucceeded:
			p.Status.Phase, end.Reason = phase, "Completed"
			s.Ready, s.State = false, corev1.ContainerState{Terminated: end}
		}
		out = append(out, p)
	}
	return out
}

// A pod that is never restarted cannot be in a crash loop; those that its owner makes one after the other can.
func TestPodsThatFailOneAfterTheOther(t *testing.T) {
	healthy := want{store.Healthy, store.NoReason, "", ""}
	loop := want{store.Degraded, store.CrashLoop, "Error", "pods of CronJob nightly failed within 10 min; the last: main exited while starting (Error, exit 1): no such table."}
	for _, c := range []struct {
		name   string
		failed int
		last   time.Duration
		phase  corev1.PodPhase
		want   want
	}{
		{"as often as is no verdict", 3, time.Second, corev1.PodRunning, healthy},
		{"more often, and another runs", 4, time.Second, corev1.PodRunning, loop},
		{"the same, and it ended well at last", 4, time.Second, corev1.PodSucceeded, want{store.Healthy, store.NoReason, "Completed", "main finished"}},
		{"the first of them is too long ago", 4, 8 * time.Minute, corev1.PodRunning, healthy},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := labelled("jobs", "nightly")
				cron := cronJob(meta("ns", "nightly", l), false, container("main", "acme/job:1.0.0"))
				job := &batchv1.Job{ObjectMeta: ownedBy(meta("ns", "nightly-1", nil), "CronJob", cron.ObjectMeta)}
				b := newBoard(t, Config{}, nil, append(tries(job.ObjectMeta, l, c.failed, c.last, c.phase), cron, job)...)
				defer b.end()
				r := b.runner("labelled", "jobs")
				c.want.check(t, c.name, r.Components[0].Verdict)
				if next := time.Now().Add(9 * time.Minute); c.want.reason == store.CrashLoop && (r.Next.IsZero() || r.Next.After(next)) {
					t.Errorf("it is looked at again at %s, and the first failure is out of the window before %s", r.Next, next)
				}
			})
		})
	}
}

// The same of work, each of whose pods is shown.
func TestWorkThatFailsOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := map[string]string{"trackside.dev/runner": "edge", "trackside.dev/workload": "true"}
		one := tries(meta("ns", "build", nil), work, 4, time.Second, corev1.PodRunning)
		two := tries(meta("ns", "other", nil), work, 3, time.Second, corev1.PodRunning)
		for _, o := range two {
			p := o.(*corev1.Pod)
			p.Name, p.UID = "other-"+p.Name, "other-"+p.UID
		}
		b := newBoard(t, Config{}, nil, append(append(labelledRunner("edge", 1), one...), two...)...)
		defer b.end()
		r := b.runner("labelled", "edge")
		if !strings.Contains(string(r.Why), "4 pods of Job build failed within 10 min") || r.Health != store.Degraded || r.Reason != store.CrashLoop {
			t.Errorf("the runner is %s, %s: %s", r.Health, r.Reason, r.Why)
		}
		for _, w := range r.Workloads {
			if got := w.Reason == store.CrashLoop; got != (w.Name == "try-4") {
				t.Errorf("%s: %s", w.Name, w.Why)
			}
		}
	})
}
