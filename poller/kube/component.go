package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"trackside/store"
	"trackside/systems"
)

// component decides how a part of a runner is: by its pods, by its controller's own word, and by our probe.
func (o *observation) component(sys *systems.System, ref store.Ref, p part, pods []store.Workload) store.Component {
	c := store.Component{Name: p.name, Kind: p.kind, Object: p.object.Name, Desired: p.desired,
		Version: sys.VersionOf(p.object, p.name), Image: systems.Image(p.object.Spec, sys.MainContainer(p.object, p.name))}
	for i := range pods {
		c.Ready += ready(&pods[i])
		for _, k := range pods[i].Containers {
			c.Restarts += k.Restarts
		}
	}
	c.Podless = o.podlessSince(p)
	if p.kind == "CronJob" {
		c.Desired = c.Ready
		c.Verdict = schedule(p, pods)
	} else {
		c.Verdict = o.running(p, pods, c)
	}
	target, declared, err := sys.ProbeOf(p.object, p.name)
	switch {
	case err != nil:
		c.Verdict = worse(c.Verdict, store.Verdict{Health: store.Degraded, Raw: "ProbeInvalid", Why: sentence(c.Name+" cannot be probed", err)})
	case declared && p.desired > 0:
		asked := readyPods(p.pods)
		c.Probe = o.cluster.prober.of(ref, p.name, target, asked)
		failures, end := o.cluster.prober.failures(ref, p.name), graceEnd(p, asked)
		starting := o.now.Before(end) && !o.cluster.prober.answered(ref, p.name)
		if starting {
			failures = min(failures, failuresForVerdict-1)
		}
		c.Verdict = probed(c.Name, c.Verdict, c.Probe, failures)
		if c.Raw == probeFailed && starting {
			c.Next = end
		}
	default:
		o.cluster.prober.drop(ref, p.name)
	}
	if c.Inspect == "" && c.Health != store.Healthy {
		c.Inspect = o.cluster.kubectl("describe " + strings.ToLower(p.kind) + " " + p.object.Name + " -n " + p.object.Namespace)
	}
	return c
}

func sentence(what string, err error) store.Sentence {
	return store.Sentence(what + ": " + strings.TrimRight(store.Clean(store.Plain(err), 200), ".") + ".")
}

// ready counts a pod that is ready by its own word; the last word of one that is lost, as with its node, counts no more.
func ready(w *store.Workload) int32 {
	if w.Phase != string(corev1.PodRunning) || w.Reason == store.RuntimeLost {
		return 0
	}
	for _, c := range w.Containers {
		if c.Role != store.RoleInit && !c.Ready {
			return 0
		}
	}
	return 1
}

// graceEnd is when the youngest of a component's pods has had its time to start.
func graceEnd(p part, pods []*corev1.Pod) (end time.Time) {
	for _, pod := range pods {
		grace := systems.ThresholdsOf(merged(p.object.Annotations, pod.Annotations)).StartGrace
		if e := pod.CreationTimestamp.Add(grace); e.After(end) {
			end = e
		}
	}
	return end
}

// probeFailed is the raw reason of a component that fails our probe.
const probeFailed = "ProbeFailed"

// readyPods are the pods a probe may ask, by name.
func readyPods(pods []*corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range pods {
		if p.Status.Phase == corev1.PodRunning && p.Status.PodIP != "" && p.DeletionTimestamp == nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// running is the verdict on a component that should keep running.
func (o *observation) running(p part, pods []store.Workload, c store.Component) store.Verdict {
	pods = slices.DeleteFunc(slices.Clone(pods), func(w store.Workload) bool { return replaced(p, &w) && o.now.Sub(w.Since) >= stable })
	present := slices.DeleteFunc(slices.Clone(pods), func(w store.Workload) bool { return w.Raw == "Terminating" })
	switch {
	case p.desired == 0:
		return store.Verdict{Health: store.Degraded, Raw: "ScaledToZero", Why: store.Sentence(p.name + " is scaled to 0 replicas.")}
	case len(present) == 0 && len(pods) > 0 && !pods[0].Next.IsZero():
		return counted(pods[0].Verdict, pods, c) // a StatefulSet's next pod waits until this one is gone
	case len(present) == 0:
		return o.podless(p, c.Podless)
	}
	worst := slices.MinFunc(present, func(a, b store.Workload) int {
		return cmp.Or(cmp.Compare(a.Health.Severity(), b.Health.Severity()), cmp.Compare(rank(a.Reason), rank(b.Reason)), b.Restarts()-a.Restarts(), cmp.Compare(a.Name, b.Name))
	})
	v := worst.Verdict
	switch {
	case v.Health == store.Healthy && c.Ready < c.Desired:
		return store.Verdict{Health: store.Degraded, Raw: "Unavailable", Message: cut(p.failure),
			Why: store.Sentence(fmt.Sprintf("%s has %d of %d pods ready%s.", p.name, c.Ready, c.Desired, colon(detail(p.failure))))}
	case v.Health == store.Healthy:
		v.Why = store.Sentence(fmt.Sprintf("%s has %d of %d pods ready.", p.name, c.Ready, c.Desired))
		v.Raw, v.Container, v.Since = "", "", latest(present)
		return v
	case v.Health == store.Unhealthy && c.Ready > 0:
		v.Health = store.Degraded // some of it still works
	}
	if next := worst.Since.Add(stable); replaced(p, &worst) && (v.Next.IsZero() || next.Before(v.Next)) {
		v.Next = next
	}
	return counted(v, present, c)
}

// replaced holds for a pod that has ended and that its controller makes anew: the object of an evicted pod stays for days, and the loss is
// news for a while only.
func replaced(p part, w *store.Workload) bool {
	return p.kind != "Pod" && over(w) && !w.Since.IsZero()
}

// over holds for a pod that has come to its end.
func over(w *store.Workload) bool { return past(corev1.PodPhase(w.Phase)) }

func past(phase corev1.PodPhase) bool {
	return phase == corev1.PodFailed || phase == corev1.PodSucceeded
}

// counted says of how many pods a finding holds.
func counted(v store.Verdict, pods []store.Workload, c store.Component) store.Verdict {
	same := 0
	for i := range pods {
		if pods[i].Health.Severity() < store.Healthy.Severity() && pods[i].Raw == v.Raw {
			same++
		}
	}
	if len(pods) > 1 || c.Desired > 1 {
		v.Why = store.Sentence(fmt.Sprintf("%s (%d of %d pods)", strings.TrimSuffix(string(v.Why), "."), same, max(len(pods), int(c.Desired)))) + "."
	}
	return v
}

// latest is when the last of healthy pods became so: since then the component is whole.
func latest(pods []store.Workload) (t time.Time) {
	for i := range pods {
		if pods[i].Since.After(t) {
			t = pods[i].Since
		}
	}
	return t
}

// podlessSince is since when a component that had pods, or wanted none, has none; zero where that is not known. A roll-out of a single pod
// leaves a moment between it and the next, and a replica that is a runner of its own is new before it has its first.
func (o *observation) podlessSince(p part) (t time.Time) {
	present := slices.ContainsFunc(p.pods, func(pod *corev1.Pod) bool { return p.kind == "Pod" || !past(pod.Status.Phase) })
	switch {
	case p.desired == 0 || present || p.before == nil && !p.replica:
		return t
	case p.before == nil:
		return o.now
	case !p.before.Podless.IsZero():
		return p.before.Podless
	case p.before.Raw == rawNoPods || p.before.Raw == rawFailedCreate:
		return t // it was without pods already, and its grace had ended
	}
	return o.now
}

// Raw reasons of a component without pods.
const (
	rawNoPods       = "NoPods"
	rawFailedCreate = "FailedCreate"
)

// eventSlack is how much earlier an event may seem than what it is about: its time is in whole seconds.
const eventSlack = 2 * time.Second

// podless is the verdict on a component that should have pods and has none. The grace of its next pod begins with its own creation, or
// when its last one was gone.
func (o *observation) podless(p part, since time.Time) store.Verdict {
	grace := systems.ThresholdsOf(p.object.Annotations).StartGrace
	end, word := p.created.Add(grace), " has no pod yet"
	if e := since.Add(grace); !since.IsZero() && e.After(end) {
		end, word = e, " has no pod now"
	}
	why := p.failure
	// An event of before the last pod was there speaks of another time, unless the grace is over and there is no later one.
	n := newest(p.notices, func(n *notice) bool { return n.reason == rawFailedCreate })
	if n != nil && why == "" && (!n.last.Time.Before(since.Add(-eventSlack)) || !o.now.Before(end)) {
		why = n.message
	}
	switch {
	case why != "":
		return store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed, Raw: rawFailedCreate, Message: cut(why), Why: store.Sentence(p.name + " cannot create its pods" + colon(detail(why)) + ".")}
	case o.now.Before(end):
		return store.Verdict{Health: store.Unknown, Why: store.Sentence(p.name + word + "; grace ends " + store.Until(end) + "."), Next: end}
	}
	return store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed, Raw: rawNoPods, Why: store.Sentence(fmt.Sprintf("%s has none of its %d pods.", p.name, p.desired))}
}

// schedule is the verdict on a CronJob: how its newest run went.
func schedule(p part, pods []store.Workload) store.Verdict {
	if p.suspended {
		return store.Verdict{Health: store.Healthy, Raw: "Suspended", Why: store.Sentence(p.name + " is suspended.")}
	}
	if len(pods) == 0 {
		return store.Verdict{Health: store.Healthy, Why: store.Sentence(p.name + " waits for its next run.")}
	}
	last := slices.MaxFunc(pods, func(a, b store.Workload) int { return a.Created.Compare(b.Created) })
	v := last.Verdict
	switch v.Health {
	case store.Unhealthy:
		v.Health = store.Degraded // a run failed; the schedule goes on
	case store.Unknown:
		v = store.Verdict{Health: store.Healthy, Why: store.Sentence(p.name + " runs since " + store.For(last.Created) + ".")}
	case store.Healthy, store.Degraded:
	}
	return v
}

// deploymentFailure is the controller's own word for why it makes no pods.
func deploymentFailure(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

// probed joins the verdict on the pods with the result of our probe. A green that only time had earned is proven by an answer;
// and pods that claim to be ready are not, when the component does not answer.
func probed(name string, v store.Verdict, p store.Probe, failures int) store.Verdict {
	switch {
	case p.URL == "":
		return v
	case p.Problem == "":
		if v.Health == store.Unknown && waitsForProof(v) || v.Unproven {
			return store.Verdict{Health: store.Healthy, Since: v.Since, Why: store.Sentence(name + " answers its health probe.")}
		}
		return v
	case v.Health == store.Unhealthy:
		return v
	}
	f := store.Verdict{Health: store.Degraded, Raw: probeFailed, Message: p.Problem, Since: p.At,
		Why: store.Sentence(fmt.Sprintf("%s fails its health probe: %s.", name, strings.TrimRight(p.Problem, ".")))}
	if failures >= failuresForVerdict {
		f.Health = store.Unhealthy
	}
	return worse(v, f)
}

// waitsForProof tells the verdict that lacks nothing but a probe from the others that are unknown.
func waitsForProof(v store.Verdict) bool {
	return strings.Contains(string(v.Why), withoutProbe) || strings.Contains(string(v.Why), vacuousProbe)
}

// worse is the verdict of the two that wants attention first.
func worse(a, b store.Verdict) store.Verdict {
	if b.Health.Severity() < a.Health.Severity() {
		return b
	}
	return a
}

// runnerVersion is the runner's own version: as its objects say, or the one version of all components.
func (o *observation) runnerVersion(sys *systems.System, parts []part, components []store.Component) string {
	if sys.RunnerVersion != nil {
		for _, p := range parts {
			if v := sys.RunnerVersion(p.object); v != "" {
				return store.NormalizeVersion(store.Clean(v, 64))
			}
		}
	}
	version := ""
	for _, c := range components {
		switch {
		case version == "":
			version = c.Version
		case c.Version != "" && c.Version != version:
			return "mixed"
		}
	}
	return version
}
