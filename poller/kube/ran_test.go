package kube

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
)

// A container that was seen to run has run, however often the pod is looked at afterwards.
func TestWhatWasSeenToRunIsRemembered(t *testing.T) {
	exit := corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}
	for _, c := range []struct {
		name  string
		after func(*corev1.PodStatus)
		want  want
	}{
		{"the status is empty", func(s *corev1.PodStatus) { *s = corev1.PodStatus{} }, want{store.Unknown, store.NoReason, "", "does not say how it is."}},
		{"it exits within the grace of its start", func(s *corev1.PodStatus) {
			s.Phase, s.ContainerStatuses[0].Ready = corev1.PodFailed, false
			exit.FinishedAt = metav1.NewTime(time.Now())
			s.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &exit}
		}, want{store.Unhealthy, store.RuntimeLost, "Error", "main was running and exited"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				objects := labelledRunner("a", 1)
				pod := objects[2].(*corev1.Pod)
				pod.Spec.RestartPolicy, pod.CreationTimestamp = corev1.RestartPolicyNever, metav1.Now()
				b := newBoard(t, Config{}, nil, objects...)
				defer b.end()
				c.after(&pod.Status)
				b.update(pod)
				for look := range 3 {
					b.touch(b.runner("labelled", "a").Ref)
					b.look()
					v := b.runner("labelled", "a").Workloads[0].Verdict
					if v.Health != c.want.health || v.Reason != c.want.reason || v.Raw != c.want.raw || !strings.Contains(v.Why.At(time.Now()), c.want.why) {
						t.Errorf("look %d: %s %q %q: %s", look+1, v.Health, v.Reason, v.Raw, v.Why.At(time.Now()))
					}
				}
			})
		})
	}
}
