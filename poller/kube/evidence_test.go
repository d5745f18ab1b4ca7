package kube

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"trackside/store"
	"trackside/systems"
)

// taken are the evidence of the last look.
func (b *board) taken() (out []store.Evidence) {
	for _, c := range b.changes {
		out = append(out, c.Evidence...)
	}
	return out
}

func (b *board) updatePod(p *corev1.Pod) {
	b.t.Helper()
	if _, err := b.client.CoreV1().Pods(p.Namespace).Update(b.t.Context(), p, metav1.UpdateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *board) deletePod(p *corev1.Pod) {
	b.t.Helper()
	if err := b.client.CoreV1().Pods(p.Namespace).Delete(b.t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// failed is the pod after its first container has ended under a restart policy of Never.
func failed(p *corev1.Pod) *corev1.Pod {
	p = p.DeepCopy()
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	p.Status.Phase = corev1.PodFailed
	s := &p.Status.ContainerStatuses[0]
	s.Ready = false
	s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "fatal: token=hunter2hunter2 refused by 10.1.2.3",
		StartedAt: metav1.NewTime(time.Now().Add(-time.Minute)), FinishedAt: metav1.Now()}}
	p.ResourceVersion += "0"
	return p
}

func TestEvidenceIsTakenWithTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("edge", 1)
		pod := objects[2].(*corev1.Pod)
		pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "regcred"}}
		pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: quantity.MustParse("1Gi")}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}}}
		event := &corev1.Event{ObjectMeta: meta("ns", "e", nil), Type: corev1.EventTypeWarning, Reason: "BackOff", Message: "Back-off restarting password=hunter2hunter2", Count: 7,
			InvolvedObject: corev1.ObjectReference{UID: pod.UID}, LastTimestamp: metav1.Now()}
		b := newBoard(t, Config{CaptureLogs: true}, nil, append(objects, node, event)...)
		defer b.end()
		if got := b.taken(); len(got) != 0 {
			t.Fatalf("evidence of a healthy runner: %+v", got)
		}
		b.updatePod(crashing(pod))
		b.look()
		got := b.taken()
		if len(got) != 1 {
			t.Fatalf("%d evidence", len(got))
		}
		e := got[0]
		p := e.Proof
		if len(e.Logs) != 1 || e.Logs[0].Text != "" || !strings.HasPrefix(e.Logs[0].Problem, "Not read yet") {
			t.Errorf("logs that are still to be read: %+v", e.Logs)
		}
		w := b.runner("labelled", "edge").Workloads[0]
		if e.ID == "" || e.UID != string(pod.UID) || e.Component != "main" || e.Verdict.Reason != store.CrashLoop || e.Image != "acme/edge:1.0.0" || e.Node != "node-1" ||
			e.Incarnation == "" || !e.At.Equal(b.changes[0].Events[0].At) || e.Verdict.Inspect == "" || w.Reason != e.Verdict.Reason {
			t.Errorf("%+v", e)
		}
		if p.Phase != "Running" || !slices.Equal(p.Owners, []string{"replicaset/edge-rs", "deployment/edge"}) || !slices.Equal(p.PullSecrets, []string{"regcred"}) ||
			p.Node == nil || p.Node.Ready != "True" || len(p.Conditions) == 0 || p.Created.IsZero() {
			t.Errorf("%+v", p)
		}
		if c := p.Containers[0]; c.Name != "main" || c.Role != store.RoleMain || c.Restarts != 7 || c.State.Reason != "CrashLoopBackOff" || c.Last == nil || c.Last.ExitCode != 1 || !c.Readiness {
			t.Errorf("%+v", c)
		}
		if len(p.Events) != 1 || p.Events[0].Count != 7 || p.Events[0].About != "pod" || strings.Contains(p.Events[0].Message, "hunter2") {
			t.Errorf("%+v", p.Events)
		}

		b.logs.fetch(t.Context(), <-b.logs.queue)
		b.look()
		if late := b.taken(); len(late) != 1 || late[0].ID != e.ID || len(late[0].Logs) != 1 || late[0].Logs[0].Text != "fake logs" || late[0].Logs[0].Problem != "" || !late[0].Logs[0].Previous {
			t.Errorf("logs: %+v", late)
		}
		b.look()
		if again := b.taken(); len(again) != 0 {
			t.Errorf("taken again: %+v", again)
		}
	})
}

// Crash loops are one cause when the programs said the same, whatever they are called and however long the kubelet waits.
func TestTheCauseOfACrashLoopIsWhatTheProgramSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("edge", 1)
		b := newBoard(t, Config{}, nil, objects...)
		defer b.end()
		pod := crashing(objects[2].(*corev1.Pod))
		s := &pod.Status.ContainerStatuses[0]
		s.State.Waiting.Message = "back-off 5m0s restarting failed container=main pod=edge_ns(0b0ff6a6)"
		s.LastTerminationState.Terminated.Message = "fatal: dial tcp 10.96.14.3:4222: connection refused"
		b.updatePod(pod)
		b.look()
		if got := b.taken(); len(got) != 1 || !strings.Contains(got[0].Fingerprint, "dial tcp <ip>") || strings.Contains(got[0].Fingerprint, "back-off") {
			t.Errorf("%+v", got)
		}
	})
}

func TestEvidenceOfEachFailureOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("edge", 1)
		pod := objects[2].(*corev1.Pod)
		b := newBoard(t, Config{}, nil, objects...)
		defer b.end()
		ids := map[string]bool{}
		step := func(p *corev1.Pod, n int) {
			t.Helper()
			b.updatePod(p)
			b.look()
			for _, e := range b.taken() {
				ids[e.ID] = true
			}
			if len(ids) != n {
				t.Errorf("%d failures, want %d", len(ids), n)
			}
		}
		bad := crashing(pod)
		step(bad, 1)
		worse := bad.DeepCopy()
		worse.Status.ContainerStatuses[0].RestartCount++
		worse.ResourceVersion += "1"
		step(worse, 1) // it goes on
		well := running(pod.DeepCopy())
		well.ResourceVersion += "2"
		step(well, 1)
		bad = crashing(pod)
		bad.ResourceVersion += "3"
		step(bad, 2) // it failed again
	})
}

// A pod that failed and was deleted before anybody looked leaves its evidence.
func TestEvidenceOfAPodThatIsGoneAlready(t *testing.T) {
	for name, terminating := range map[string]bool{"deleted at once": false, "still terminating": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				objects := labelledRunner("edge", 2)
				pod := objects[2].(*corev1.Pod)
				b := newBoard(t, Config{}, nil, objects...)
				defer b.end()
				dead := failed(pod)
				b.updatePod(dead)
				synctest.Wait()
				if terminating {
					dead = dead.DeepCopy()
					now, grace := metav1.Now(), int64(0)
					dead.DeletionTimestamp, dead.DeletionGracePeriodSeconds = &now, &grace
					dead.ResourceVersion += "9"
					b.updatePod(dead)
				} else {
					b.deletePod(dead)
				}
				b.look()
				got := b.taken()
				if len(got) != 1 || got[0].UID != string(pod.UID) || got[0].Component != "main" || got[0].Proof.Phase != "Failed" || len(got[0].Proof.Owners) != 2 {
					t.Fatalf("%+v", got)
				}
				if m := got[0].Proof.Containers[0].State.Message; strings.Contains(m, "hunter2") || !strings.Contains(m, "fatal") {
					t.Errorf("message %q", m)
				}
				if f := got[0].Fingerprint; !strings.Contains(f, "refused by <ip>") {
					t.Errorf("fingerprint %q", f)
				}
				b.look()
				if again := b.taken(); len(again) != 0 {
					t.Errorf("taken again: %+v", again)
				}
			})
		})
	}
}

func TestNoEvidenceOfAPodThatIsMeantToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("edge", 2)
		pod := objects[2].(*corev1.Pod).DeepCopy()
		b := newBoard(t, Config{}, nil, objects...)
		defer b.end()
		now, grace := metav1.NewTime(time.Now().Add(30*time.Second)), int64(30)
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, &grace
		pod.ResourceVersion += "1"
		b.updatePod(pod)
		synctest.Wait()
		pod = failed(pod) // its container does not end well when it is told to
		b.updatePod(pod)
		synctest.Wait()
		b.deletePod(pod)
		b.look()
		if got := b.taken(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestEvidenceOfAComponentWithoutPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("edge", 0)
		d := objects[0]
		one := int32(1)
		setReplicas(d, &one)
		event := &corev1.Event{ObjectMeta: meta("ns", "e", nil), Type: corev1.EventTypeWarning, Reason: "FailedCreate", Message: `pods "edge-rs-" is forbidden: exceeded quota: requested 12`,
			InvolvedObject: corev1.ObjectReference{UID: "uid-ns-edge-rs"}, LastTimestamp: metav1.Now()}
		b := newBoard(t, Config{}, nil, append(objects, event)...)
		defer b.end()
		got := b.taken()
		if len(got) != 1 || got[0].UID != "" || got[0].Name != "edge" || got[0].Component != "main" || got[0].Verdict.Reason != store.StartFailed ||
			!slices.Equal(got[0].Proof.Owners, []string{"deployment/edge"}) || len(got[0].Proof.Events) != 1 || len(got[0].Proof.Containers) != 1 {
			t.Fatalf("%+v", got)
		}
		if !strings.Contains(got[0].Fingerprint, "exceeded quota: requested #") {
			t.Errorf("fingerprint %q", got[0].Fingerprint)
		}
	})
}

func TestEvidenceOfWorkThatVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("edge", 1)
		l := labelled("edge", "")
		l[systems.LabelWorkload] = "true"
		work := running(&corev1.Pod{ObjectMeta: meta("ns", "task", l), Spec: corev1.PodSpec{Containers: []corev1.Container{container("task", "t:1")}}})
		b := newBoard(t, Config{}, nil, append(objects, work)...)
		defer b.end()
		b.deletePod(work)
		b.look()
		got := b.taken()
		if len(got) != 1 || got[0].Verdict.Reason != store.RuntimeLost || got[0].Proof.Phase != "Running" || len(got[0].Proof.Containers) != 1 || got[0].Node != "node-1" {
			t.Errorf("%+v", got)
		}
	})
}

func TestLogs(t *testing.T) {
	uid, status := "uid-1", http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case !strings.HasSuffix(r.URL.Path, "/log"):
			fmt.Fprintf(w, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"ns","uid":%q}}`, uid)
		case status != http.StatusOK:
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q}`, status, map[int]string{403: "Forbidden", 404: "NotFound"}[status])
		default:
			if r.URL.Query().Get("tailLines") != "50" || r.URL.Query().Get("previous") != "true" || r.URL.Query().Get("container") != "main" {
				t.Errorf("asked for %s", r.URL.RawQuery)
			}
			_, _ = io.WriteString(w, "connecting\npassword=hunter2hunter2\n\x1b[31mfatal\x1b[0m\n")
		}
	}))
	defer srv.Close()
	c := newCluster(t, Config{CaptureLogs: true})
	c.client = kubernetes.NewForConfigOrDie(&rest.Config{Host: srv.URL})
	job := func() logJob {
		return logJob{id: "1", namespace: "ns", name: "p", uid: "uid-1", containers: []store.Log{{Container: "main", Previous: true}}}
	}
	for _, x := range []struct {
		uid     string
		status  int
		problem string
	}{{"uid-1", 200, ""}, {"uid-2", 200, "replaced by another"}, {"uid-1", 403, "pods/log is forbidden"}, {"uid-1", 404, "had gone already"}} {
		uid, status = x.uid, x.status
		c.logs.fetch(t.Context(), job())
		got := c.arrived[len(c.arrived)-1].Logs[0]
		if x.problem == "" && (got.Problem != "" || got.Text != "connecting\npassword=***\n[31mfatal[0m") || !strings.Contains(got.Problem, x.problem) || x.problem != "" && got.Text != "" {
			t.Errorf("%+v: %+v", x, got)
		}
	}
	if l := c.source.Limits; len(l) != 1 || !strings.Contains(l[0], "grant the verb get on pods/log") {
		t.Errorf("limits %q", l)
	}
}

// More failures than can be read wait for nobody.
func TestLogsAreBounded(t *testing.T) {
	c := newCluster(t, Config{CaptureLogs: true})
	pod := crashing(running(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container("main", "x")}}}))
	w := &store.Workload{Verdict: store.Verdict{Container: "main"}}
	for range logQueue {
		if got := c.logs.want("1", store.Ref{}, pod, w); len(got) != 1 || got[0].Container != "main" || !got[0].Previous || !strings.HasPrefix(got[0].Problem, "Not read yet") {
			t.Fatalf("%+v", got)
		}
	}
	if got := c.logs.want("1", store.Ref{}, pod, w); len(got) != 1 || !strings.Contains(got[0].Problem, "too many") {
		t.Errorf("%+v", got)
	}
	off := newCluster(t, Config{})
	if got := off.logs.want("1", store.Ref{}, pod, w); got != nil || len(off.logs.queue) != 0 {
		t.Error("logs are fetched although nobody asked for them")
	}
}

// The cause stands at the end, however long the lines before it are.
func TestTheEndOfALongLogIsRead(t *testing.T) {
	for _, text := range []string{"", "a\nthe cause\n", strings.Repeat("x", 64), strings.Repeat("x", 65) + "y", strings.Repeat("0123456789\n", 50) + "the cause"} {
		want := text[max(0, len(text)-64):]
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(text), "in small pieces": iotest.OneByteReader(strings.NewReader(text))} {
			if got, err := lastOf(r, 64); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v; want %q", how, got, err, want)
			}
		}
	}
	if got, err := lastOf(io.MultiReader(strings.NewReader("a"), iotest.ErrReader(io.ErrUnexpectedEOF)), 64); string(got) != "a" || err == nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTail(t *testing.T) {
	long := strings.Repeat("0123456789abcdef ü\n", 2000)
	got := tail(long)
	if n := strings.Count(got, "\n") + 1; n != store.MaxLogLines {
		t.Errorf("%d lines", n)
	}
	if got := tail(strings.Repeat("ü", store.MaxLogBytes)); len(got) > store.MaxLogBytes+8 || !strings.HasPrefix(got, "…ü") {
		t.Errorf("%d bytes, %q", len(got), got[:8])
	}
	if got := tail("a\r\n\x00b\u202e\xff\n\n"); got != "a\nb\uFFFD" {
		t.Errorf("%q", got)
	}
}

func setReplicas(d any, n *int32) { d.(*appsv1.Deployment).Spec.Replicas = n }
