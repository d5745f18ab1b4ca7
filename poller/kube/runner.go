package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// runnerVerdict decides how a runner is: as its worst component; work that fails degrades it, for the runner itself still works.
func runnerVerdict(r *store.Runner, now time.Time) store.Verdict {
	if r.Observed == store.Disabled {
		return store.Verdict{Health: store.Unknown, Raw: "Disabled", Why: outOfService(r.Mark)}
	}
	v := worstComponent(r.Components)
	if w := worstWork(r.Workloads, now); w.Health.Severity() < v.Health.Severity() {
		v = w
	}
	if v.Why == "" {
		v = store.Verdict{Health: store.Unknown, Raw: "NoComponents", Why: "Only work of this runner is seen, and none of its components."}
	}
	return v
}

// outOfService words who took a runner out of service, and until when.
func outOfService(m store.Mark) store.Sentence {
	if m.IsZero() || m.At.IsZero() {
		return "Out of service: every component is scaled to 0."
	}
	end := "."
	if !m.Until.IsZero() {
		end = ", until it comes back by itself " + store.Until(m.Until) + "."
	}
	return store.Sentence("Out of service: " + store.Clean(m.By, 80) + " disabled it " + store.Ago(m.At) + end)
}

func worstComponent(components []store.Component) store.Verdict {
	if len(components) == 0 {
		return store.Verdict{Health: store.Healthy}
	}
	worst := slices.MinFunc(components, func(a, b store.Component) int {
		return cmp.Or(cmp.Compare(a.Health.Severity(), b.Health.Severity()), cmp.Compare(rank(a.Reason), rank(b.Reason)), cmp.Compare(a.Name, b.Name))
	})
	v := worst.Verdict
	if v.Health == store.Healthy {
		v.Why = healthyWhy(components)
		v.Raw, v.Container = "", ""
		return v
	}
	if !strings.HasPrefix(string(v.Why), worst.Name) {
		v.Why = store.Sentence(worst.Name+": ") + v.Why
	}
	return v
}

func healthyWhy(components []store.Component) store.Sentence {
	if len(components) == 1 {
		return components[0].Why
	}
	return store.Sentence(fmt.Sprintf("All %d components are healthy.", len(components)))
}

// workNews is how long work that failed and is over degrades its runner; its pod may stay for days.
const workNews = time.Hour

// worstWork is the verdict that the runner's work makes: the worst of it, and how much more of the kind there is.
func worstWork(workloads []store.Workload, now time.Time) store.Verdict {
	var worst *store.Workload
	unwell := 0
	for i := range workloads {
		w := &workloads[i]
		if w.Component != "" || w.Health == store.Healthy || w.Health == store.Unknown {
			continue // work that is just starting says nothing of its runner
		}
		if over(w) && !w.Since.IsZero() && now.Sub(w.Since) >= workNews {
			continue
		}
		unwell++
		if worst == nil || w.Health.Severity() < worst.Health.Severity() ||
			w.Health == worst.Health && rank(w.Reason) < rank(worst.Reason) {
			worst = w
		}
	}
	if worst == nil {
		return store.Verdict{Health: store.Healthy}
	}
	v := worst.Verdict
	v.Health = store.Degraded
	if over(worst) && !worst.Since.IsZero() {
		v.Next = worst.Since.Add(workNews)
	}
	if !strings.HasPrefix(string(v.Why), worst.Name) {
		v.Why = store.Sentence("Workload "+worst.Name+": ") + v.Why
	}
	if unwell > 1 {
		v.Why = store.Sentence(fmt.Sprintf("%d workloads are unwell. ", unwell)) + v.Why
	}
	return v
}

// containersOf lists the containers of a pod in the order in which they start.
func containersOf(pod *corev1.Pod, main string) []store.Container {
	statuses := map[string]*corev1.ContainerStatus{}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			statuses[list[i].Name] = &list[i]
		}
	}
	out := make([]store.Container, 0, len(pod.Spec.InitContainers)+len(pod.Spec.Containers))
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		out = append(out, containerOf(c, roleOf(c, true, main), statuses[c.Name]))
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		out = append(out, containerOf(c, roleOf(c, false, main), statuses[c.Name]))
	}
	return out
}

func containerOf(c *corev1.Container, role store.ContainerRole, s *corev1.ContainerStatus) store.Container {
	out := store.Container{Name: c.Name, Role: role, Image: c.Image, State: "waiting"}
	if s == nil {
		return out
	}
	out.Restarts, out.Ready, out.Ran = s.RestartCount, s.Ready, s.State.Running != nil || s.RestartCount > 0 && hasRun(s)
	if t := lastExit(s); t != nil {
		out.Reason, out.Message, out.ExitCode, out.HasExit = t.Reason, t.Message, t.ExitCode, true
	}
	switch {
	case s.State.Running != nil:
		out.State = "running"
	case s.State.Terminated != nil:
		out.State = "terminated"
	case s.State.Waiting != nil:
		out.Reason, out.Message = s.State.Waiting.Reason, firstOf(s.State.Waiting.Message, out.Message)
	}
	return out
}

// rawMessage is the message that stands beside the raw reason of a verdict.
func rawMessage(pod *corev1.Pod, v PodVerdict) string {
	if v.Container == "" {
		if pod.Status.Reason == v.Raw {
			return pod.Status.Message
		}
		for _, c := range pod.Status.Conditions {
			if c.Reason == v.Raw && v.Raw != "" {
				return c.Message
			}
		}
		return ""
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			s := &list[i]
			if s.Name != v.Container {
				continue
			}
			if s.State.Waiting != nil && s.State.Waiting.Message != "" {
				return s.State.Waiting.Message
			}
			if t := lastExit(s); t != nil {
				return t.Message
			}
		}
	}
	return ""
}

// inspect is the kubectl line that shows more: the log of a container that ended, otherwise the pod with its events.
func (c *Cluster) inspect(pod *corev1.Pod, v PodVerdict) string {
	if v.Health == store.Healthy {
		return ""
	}
	if v.Reason == store.CrashLoop || v.Raw == "CrashLoopBackOff" {
		return c.kubectl("logs " + pod.Name + " -n " + pod.Namespace + " -c " + v.Container + " --previous")
	}
	return c.kubectl("describe pod " + pod.Name + " -n " + pod.Namespace)
}

func (c *Cluster) kubectl(args string) string {
	if c.cfg.Context == "" {
		return "kubectl " + args
	}
	return "kubectl --context " + shellQuote(c.cfg.Context) + " " + args
}

// shellQuote quotes a kubeconfig context, whose name may hold anything. Names of Kubernetes objects need no quotes.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
