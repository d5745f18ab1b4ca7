package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
)

// How logs are fetched: beside everything else, few at a time, and no longer than this.
const (
	logWorkers = 4
	logQueue   = 128
	logTimeout = 5 * time.Second
	// logContainers bounds the containers of one failure.
	logContainers = 4
	// logRead is how much of the end is looked at: lines may be long. It is far more than is kept, so that what is masked there is whole.
	logRead = 256 << 10
)

// logs fetches the ends of failed containers' logs.
type logs struct {
	on      bool
	cluster *Cluster
	queue   chan logJob
}

// logJob is one failure whose logs are wanted.
type logJob struct {
	id                   string
	ref                  store.Ref
	namespace, name, uid string
	containers           []store.Log // what to read: the container, and which instance
}

// notReadYet stands for a log until it arrives, and for good when the board is killed before.
const notReadYet = "Not read yet. If this stays, the board ended before it had read it: kubectl logs may still show it."

// want asks for the logs of a failure. They arrive as evidence of the same ID; what it returns is what can be said at once.
func (l *logs) want(id string, ref store.Ref, pod *corev1.Pod, w *store.Workload) []store.Log {
	if !l.on {
		return nil
	}
	job := logJob{id: id, ref: ref, namespace: pod.Namespace, name: pod.Name, uid: string(pod.UID), containers: failedContainers(pod, w.Container)}
	if len(job.containers) == 0 {
		return nil
	}
	told := slices.Clone(job.containers)
	problem := notReadYet
	select {
	case l.queue <- job:
	default:
		problem = "Not read: too many workloads failed at once."
	}
	for i := range told {
		told[i].Problem = problem
	}
	return told
}

// failedContainers are those whose log tells something: that ended badly, or that the verdict rests on, if they ever ran.
func failedContainers(pod *corev1.Pod, blamed string) (out []store.Log) {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			s := &list[i]
			last := lastExit(s)
			bad := last != nil && last.ExitCode != 0 || s.Name == blamed && (last != nil || s.State.Running != nil)
			if bad && len(out) < logContainers {
				out = append(out, store.Log{Container: s.Name, Previous: s.State.Terminated == nil && last != nil})
			}
		}
	}
	return out
}

// run fetches until the context ends.
func (l *logs) run(ctx context.Context) {
	if !l.on {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for range logWorkers {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case job := <-l.queue:
					l.fetch(ctx, job)
				}
			}
		})
	}
}

// fetch reads the logs of one failure and hands them in. A pod that was made anew under its name has another's log.
func (l *logs) fetch(ctx context.Context, job logJob) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	for i := range job.containers {
		k := &job.containers[i]
		text, err := l.read(ctx, job, k)
		if err != nil {
			k.Problem = l.problem(job, err)
			continue
		}
		k.Text = text
	}
	if p, err := l.cluster.client.CoreV1().Pods(job.namespace).Get(ctx, job.name, metav1.GetOptions{}); err == nil && string(p.UID) != job.uid {
		for i := range job.containers {
			job.containers[i].Text, job.containers[i].Problem = "", "Not read: the pod had been replaced by another of the same name."
		}
	}
	l.cluster.arrive(store.Evidence{ID: job.id, Ref: job.ref, Logs: job.containers})
}

func (l *logs) read(ctx context.Context, job logJob, k *store.Log) (string, error) {
	lines := int64(store.MaxLogLines)
	stream, err := l.cluster.client.CoreV1().Pods(job.namespace).GetLogs(job.name, &corev1.PodLogOptions{Container: k.Container, Previous: k.Previous, TailLines: &lines}).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	body, err := lastOf(stream, logRead)
	if err != nil && len(body) == 0 {
		return "", err
	}
	return tail(string(body)), nil
}

// lastOf reads to the end and keeps the last bytes. What was read before an error comes with it.
func lastOf(r io.Reader, limit int) (kept []byte, err error) {
	for chunk := make([]byte, min(limit, 32<<10)); err == nil; {
		var n int
		n, err = r.Read(chunk)
		if kept = append(kept, chunk[:n]...); len(kept) >= 2*limit {
			kept = append(kept[:0], kept[len(kept)-limit:]...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return kept[max(0, len(kept)-limit):], err
}

// problem says why there is no log, and notes a refusal for the page.
func (l *logs) problem(job logJob, err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return "Not read: the pod had gone already."
	case apierrors.IsForbidden(err):
		l.cluster.limit("logs/"+job.namespace, "Cannot get pods/log in namespace "+job.namespace+": forbidden. Logs of failures are not kept there; grant the verb get on pods/log.", false)
		return "Not read: get pods/log is forbidden."
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("Not read: no answer within %s.", elapsed(logTimeout))
	}
	return "Not read: " + strings.TrimRight(store.Clean(store.ErrorText(err), 200), ".") + "."
}

// tail makes the end of a log fit to keep: masked, without control characters but for the ends of lines, and cut to its last lines.
func tail(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
	text = strings.TrimRight(store.Mask(text), "\n")
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-store.MaxLogLines):]
	text = strings.Join(lines, "\n")
	if over := len(text) - store.MaxLogBytes; over > 0 {
		text = "…" + strings.ToValidUTF8(text[over:], "")
	}
	return text
}

// arrive takes logs for the next observation.
func (c *Cluster) arrive(e store.Evidence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived = append(c.arrived, e)
	c.signal()
}
