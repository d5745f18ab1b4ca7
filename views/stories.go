package views

import (
	"fmt"
	"strings"
	"time"

	"github.com/a-h/templ"

	"trackside/store"
)

// Story is one state of one page, built from literals: for tests, for screenshots, and for whoever changes a page's looks.
type Story struct {
	Name      string
	Component templ.Component
}

// StoryTime is the moment at which all stories happen.
var StoryTime = time.Date(2026, 11, 20, 15, 34, 28, 0, time.UTC)

// Stories are all page states worth looking at.
func Stories() []Story {
	live := []store.Source{liveSource("prod"), liveSource("staging")}
	mix := store.NewSnapshot(storyMix(), live, StoryTime)
	out := []Story{
		{"healthy", storyFleet(store.NewSnapshot(storyHealthy(12), live, StoryTime), store.Filter{})},
		{"failing", storyFleet(mix, store.Filter{})},
		{"filtered", storyFleet(mix, store.Filter{Healths: []store.Health{store.Unhealthy}, Namespaces: []string{"runners-eu"}, Text: "kubiya"})},
		{"degraded", storyFleet(store.NewSnapshot(append(storyHealthy(9), storyDegraded()...), live, StoryTime), store.Filter{})},
		{"stale", storyFleet(store.NewSnapshot(storyMix(), staleSources(), StoryTime), store.Filter{})},
		{"restored", storyFleet(store.NewSnapshot(storyHealthy(6), restoredSources(), StoryTime), store.Filter{})},
		{"empty", storyFleet(store.NewSnapshot(nil, live, StoryTime), store.Filter{})},
		{"hostile", storyFleet(store.NewSnapshot(storyHostile(), live, StoryTime), store.Filter{Text: `"><script>alert(1)</script>`})},
		{"hostile-all", storyFleet(store.NewSnapshot(storyHostile(), live, StoryTime), store.Filter{})},
		{"fleet-500", storyFleet(store.NewSnapshot(StoryFleet(500, 7), live, StoryTime), store.Filter{})},
		{"runner-failing", storyRunner(mix, storyMix()[0])},
		{"runner-healthy", storyRunner(mix, storyHealthy(1)[0])},
		{"runner-hostile", storyRunner(mix, storyHostile()[0])},
		{"runner-gone", RunnerPage(NewGoneModel(mix, storyMix()[0].Ref, storyEvents(storyMix()[0]), StoryTime))},
		{"failures", storyFailures(mix)},
		{"failures-none", FailuresPage(NewFailuresModel(store.NewSnapshot(storyHealthy(9), live, StoryTime), FailuresQuery{Since: defaultSince}, nil, false, "", StoryTime))},
		{"failure", FailurePage(NewFailureModel(mix, storyEvidence(), StoryTime))},
		{"error", ErrorPage(ErrorModel{Status: 404, Title: "There is no such runner", Sentence: "there is no runner prod/kubiya/runners-eu/kubiya-eu-99.",
			Next: "It may have been renamed or deleted, or its cluster is not being watched.", Near: []store.Ref{storyMix()[0].Ref, storyMix()[1].Ref}, Now: StoryTime})},
	}
	out = append(out, actStories()...)
	for _, b := range []struct{ n, bad int }{{9, 2}, {60, 5}, {100, 30}, {500, 7}, {400, 300}, {0, 0}} {
		s := store.NewSnapshot(StoryFleet(b.n, b.bad), live, StoryTime)
		out = append(out, Story{fmt.Sprintf("board-%d", b.n), BoardPage(NewBoardModel(s, StoryTime))})
	}
	return out
}

func storyFleet(s *store.Snapshot, f store.Filter) templ.Component {
	return FleetPage(NewFleetModel(s, f, StoryTime))
}

func storyRunner(s *store.Snapshot, r *store.Runner) templ.Component {
	return RunnerPage(NewRunnerModel(s, r, storyEvents(r), StoryTime))
}

func liveSource(cluster string) store.Source {
	return store.Source{Cluster: cluster, Name: "Kubernetes API", State: store.SourceLive, Since: StoryTime.Add(-time.Hour), Heard: StoryTime,
		Scope: "Deployments, StatefulSets and Pods of kubiya and agyn, and those labelled trackside.dev/runner, in every namespace."}
}

func staleSources() []store.Source {
	a, b := liveSource("prod"), liveSource("staging")
	a.State, a.Heard = store.SourceStale, StoryTime.Add(-52*time.Second)
	a.Problem = "The API server at https://10.0.0.1:6443 does not answer (connection refused). Trackside keeps trying."
	b.Limits = []string{"Events are not shown: list events is forbidden for system:serviceaccount:trackside:view in runners-us."}
	return []store.Source{a, b}
}

func restoredSources() []store.Source {
	a := liveSource("prod")
	a.State, a.Heard = store.SourceRestored, StoryTime.Add(-4*time.Minute)
	a.Problem = "Waiting for the API server's first answer."
	return []store.Source{a}
}

func ago(d time.Duration) time.Time { return StoryTime.Add(-d) }

func verdict(h store.Health, since time.Duration, why string) store.Verdict {
	return store.Verdict{Health: h, Why: store.Sentence(why), Since: ago(since)}
}

func well() store.Verdict { return verdict(store.Healthy, 4*time.Hour, "All pods are ready.") }

// storyRunnerNamed is a healthy runner of one of the systems there are.
func storyRunnerNamed(cluster, system, ns, name, v string, names ...string) *store.Runner {
	r := &store.Runner{Ref: store.Ref{Cluster: cluster, System: system, Namespace: ns, Name: name}, Incarnation: name, Verdict: well(), Version: v}
	for _, c := range names {
		r.Components = append(r.Components, store.Component{Name: c, Kind: "Deployment", Object: c, Verdict: well(), Version: v,
			Image: "registry.example/runner/" + c + ":" + v, Ready: 1, Desired: 1,
			Probe: store.Probe{URL: "http://10.1.4.7:8080/healthz", Status: 200, Took: 3 * time.Millisecond, At: ago(4 * time.Hour)}})
	}
	return r
}

var kubiyaParts = []string{"agent-manager", "kubiya-operator", "tool-manager", "workflow-engine", "dagger"}

// storyHealthy makes n healthy runners.
func storyHealthy(n int) []*store.Runner {
	var out []*store.Runner
	spaces := []string{"runners-eu", "runners-us", "agyn-runners", "platform", "ci", "ml", "edge", "lab", "build", "night"}
	for i := range n {
		ns, cluster := spaces[i*i%len(spaces)], []string{"prod", "prod", "staging"}[i%3]
		switch i % 4 {
		case 1:
			out = append(out, storyRunnerNamed(cluster, "agyn", ns, fmt.Sprintf("k8s-runner-%d", i), "0.9.4", "k8s-runner"))
		case 3:
			out = append(out, storyRunnerNamed(cluster, "labelled", ns, fmt.Sprintf("gpu-batch-runner-%d", i), "2.0.1", "controller", "worker"))
		default:
			v := []string{"1.14.2", "1.14.2", "1.13.0", "1.12.7"}[i/4%4]
			out = append(out, storyRunnerNamed(cluster, "kubiya", ns, fmt.Sprintf("kubiya-%s-%d", ns, i), v, kubiyaParts...))
		}
	}
	return out
}

// StoryFleet makes n runners, the first bad of which fail.
func StoryFleet(n, bad int) []*store.Runner {
	out := storyHealthy(n)
	for i := range min(bad, n) {
		storyFail(out[i], i)
	}
	return out
}

// storyFail makes a runner fail as the i-th of the reasons.
func storyFail(r *store.Runner, i int) {
	since := time.Duration(i*i+1) * 40 * time.Second
	c := &r.Components[0]
	pod := c.Name + "-6c9f7d5b8-x2x7k"
	w := store.Workload{Namespace: r.Ref.Namespace, Name: pod, UID: pod, Component: c.Name, Phase: "Pending", Node: "worker-3", Created: ago(since + time.Minute)}
	v := []store.Verdict{
		{Reason: store.ImagePullFailed, Raw: "ImagePullBackOff", Message: "Back-off pulling image: 401 Unauthorized",
			Why: store.Sentence(c.Name + " cannot pull its image: the registry refused the pull (401). Check the pull secret regcred in " + r.Ref.Namespace + ".")},
		{Reason: store.CrashLoop, Raw: "CrashLoopBackOff", Message: "back-off 5m0s restarting failed container",
			Why: store.Sentence(c.Name + " has restarted 7 times and ended with exit code 137 (out of memory) " + store.Ago(ago(since)) + ".")},
		{Reason: store.ConfigInvalid, Raw: "CreateContainerConfigError", Message: `secret "kubiya-token" not found`,
			Why: store.Sentence(c.Name + " cannot start: the Secret kubiya-token is missing in " + r.Ref.Namespace + ".")},
		{Reason: store.StartFailed, Raw: "Unschedulable", Message: "0/6 nodes are available: 6 Insufficient nvidia.com/gpu.",
			Why: store.Sentence(c.Name + " is not scheduled: no node has a free GPU (nvidia.com/gpu).")},
		{Reason: store.RuntimeLost, Raw: "NodeLost", Why: store.Sentence(c.Name + " was lost with its node worker-3, which does not answer.")},
	}[i%5]
	v.Health, v.Since = store.Unhealthy, ago(since)
	v.Inspect = "kubectl --context " + r.Ref.Cluster + " -n " + r.Ref.Namespace + " describe pod " + pod
	v.Container = "main"
	r.Verdict, c.Verdict, w.Verdict = v, v, v
	c.Ready, c.Restarts = 0, int32(i%5)*3
	c.Probe = store.Probe{URL: c.Probe.URL, Problem: "connection refused", Took: time.Millisecond, At: ago(since)}
	w.Containers = []store.Container{
		{Name: "wait-for-token", Role: store.RoleInit, State: "terminated", HasExit: true},
		{Name: "main", Role: store.RoleMain, State: "waiting", Reason: v.Raw, Message: v.Message, Restarts: c.Restarts, HasExit: c.Restarts > 0, ExitCode: 137},
		{Name: "log-shipper", Role: store.RoleSidecar, State: "running", Ready: true},
	}
	r.Workloads = []store.Workload{w}
	for j := range 3 {
		r.Workloads = append(r.Workloads, store.Workload{Namespace: r.Ref.Namespace, Name: fmt.Sprintf("agent-session-%d7f3a9", j), UID: fmt.Sprint(j), Phase: "Running",
			Verdict: well(), Node: "worker-2", Created: ago(time.Hour), Containers: []store.Container{{Name: "agent", Role: store.RoleMain, State: "running", Ready: true}}})
	}
}

func storyDegraded() []*store.Runner {
	flap := storyRunnerNamed("prod", "kubiya", "runners-us", "kubiya-us-2", "1.14.2", kubiyaParts...)
	flap.Verdict = verdict(store.Degraded, 2*time.Minute, "Flapping: it failed 3 times within 10 min and is up again; counts as healthy "+store.Until(StoryTime.Add(6*time.Minute))+".")
	pull := storyRunnerNamed("staging", "agyn", "agyn-runners", "k8s-runner", "0.9.4", "k8s-runner")
	pull.Verdict = verdict(store.Degraded, 19*time.Second, "k8s-runner cannot pull its image; that counts as a failure "+store.Until(StoryTime.Add(41*time.Second))+".")
	pull.Inspect = "kubectl --context staging -n agyn-runners describe pod k8s-runner-7d9c-2"
	pull.Components[0].Verdict, pull.Components[0].Ready = pull.Verdict, 0
	return []*store.Runner{flap, pull}
}

// storyMix is a fleet with something of everything.
func storyMix() []*store.Runner {
	out := StoryFleet(14, 5)
	out = append(out, storyDegraded()...)
	lost := storyRunnerNamed("staging", "labelled", "lab", "nightly-benchmark-runner-with-a-rather-long-name-eu-west-1", "", "controller")
	lost.Verdict = verdict(store.Unknown, 3*time.Minute, "Unknown: its health endpoint http://10.1.9.4:8080/healthz has not answered within 2 s for "+store.For(ago(3*time.Minute))+".")
	off := storyRunnerNamed("prod", "kubiya", "runners-eu", "kubiya-eu-spare", "1.12.7", kubiyaParts...)
	off.Requested, off.Observed = store.Disabled, store.Disabled
	going := storyRunnerNamed("prod", "kubiya", "runners-eu", "kubiya-eu-old", "1.12.7", kubiyaParts...)
	going.Requested = store.Disabled
	back := storyRunnerNamed("prod", "agyn", "platform", "k8s-runner-main", "0.9.5", "k8s-runner")
	back.Recovered, back.Since = ago(40*time.Second), ago(40*time.Second)
	bare := storyRunnerNamed("prod", "labelled", "ci", "deploy-runner", "3.2.0", "runner")
	bare.Unproven = true
	return append(out, lost, off, going, back, bare)
}

// storyHostile are runners whose every text is an attack.
func storyHostile() []*store.Runner {
	attacks := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "@home($x) ${y} `z`", "a\rdata: elements <script>x</script>\r\revent: datastar-patch-signals\r",
		"tab\x00\x1b[31mred\x7f\u202egnp.exe\u2066", strings.Repeat("long-", 2000), `javascript:alert('1')`, "' onmouseover='alert(1)", "名前 שם اسم 🏃",
	}
	var out []*store.Runner
	for _, a := range attacks {
		r := storyRunnerNamed(a, a, a, a, a, a)
		v := store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Why: store.Sentence(a), Since: ago(time.Minute), Raw: a, Message: a, Container: a, Inspect: a}
		r.Verdict, r.Components[0].Verdict, r.Components[0].Image, r.Components[0].Kind = v, v, a, a
		r.Components[0].Probe = store.Probe{URL: a, Problem: a}
		r.Workloads = []store.Workload{{Namespace: a, Name: a, UID: a, Component: a, Verdict: v, Phase: a, Node: a, Created: ago(time.Hour),
			Containers: []store.Container{{Name: a, Role: store.ContainerRole(a), Image: a, State: a, Reason: a, Message: a, HasExit: true, ExitCode: -1}}}}
		out = append(out, r)
	}
	return out
}

func storyEvents(r *store.Runner) []store.Event {
	return []store.Event{
		{At: ago(40 * time.Second), Kind: store.EventHealth, Ref: r.Ref, From: "healthy", To: "unhealthy", Verdict: r.Verdict},
		{At: ago(41 * time.Second), Kind: store.EventHealth, Ref: r.Ref, Component: r.Components[0].Name, From: "healthy", To: "unhealthy", Verdict: r.Components[0].Verdict},
		{At: ago(3 * time.Minute), Kind: store.EventVersion, Ref: r.Ref, Component: r.Components[0].Name, From: "1.13.0", To: "1.14.2", Verdict: well()},
		{At: ago(20 * time.Minute), Kind: store.EventState, Ref: r.Ref, From: "disabled", To: "enabled", Verdict: well()},
		{At: ago(26 * time.Hour), Kind: store.EventAdded, Ref: r.Ref, To: "healthy", Verdict: well()},
	}
}

// storyFailures is a fleet's failures, present and past.
func storyFailures(s *store.Snapshot) templ.Component {
	var past []store.Evidence
	for i, r := range storyHealthy(9) {
		e := *storyEvidence()
		e.Ref, e.UID, e.At = r.Ref, r.Ref.Name, ago(time.Duration(i*i)*time.Hour)
		e.Identify()
		past = append(past, e)
	}
	return FailuresPage(NewFailuresModel(s, FailuresQuery{Since: 30 * 24 * time.Hour}, past, true, "", StoryTime))
}

// storyEvidence is a failure of which everything was kept.
func storyEvidence() *store.Evidence {
	e := &store.Evidence{Ref: store.Ref{Cluster: "prod", System: "labelled", Namespace: "ci", Name: "ci-linux"}, Incarnation: "1", Namespace: "ci", Name: "agent-0", UID: "uid-agent-0", Component: "agent",
		At: ago(3 * time.Minute), Image: "registry.acme.example/ci/agent:v2.7.1", Node: "worker-3", Fingerprint: "fatal: dial tcp <ip>: connect: connection refused",
		Verdict: store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Raw: "CrashLoopBackOff", Container: "agent", Since: ago(3 * time.Minute), Message: "fatal: dial tcp 10.0.3.7:5432: connect: connection refused",
			Why:     store.Sentence("agent keeps exiting: 5 restarts, last exit " + store.Ago(ago(3*time.Minute)) + " (Error, exit 137): fatal: dial tcp 10.0.3.7:5432: connect: connection refused."),
			Inspect: "kubectl --context prod logs agent-0 -n ci -c agent --previous"},
		Proof: store.Proof{Phase: "Running", Created: ago(20 * time.Minute), Started: ago(20 * time.Minute), Owners: []string{"statefulset/agent"}, RestartPolicy: "Always", PullSecrets: []string{"regcred"},
			Conditions: []store.ProofCondition{{Type: "PodScheduled", Status: "True", Since: ago(20 * time.Minute)}, {Type: "Ready", Status: "False", Reason: "ContainersNotReady", Message: "containers with unready status: [agent]", Since: ago(4 * time.Minute)}},
			Containers: []store.ProofContainer{
				{Name: "agent", Role: store.RoleMain, Image: "registry.acme.example/ci/agent:v2.7.1", Requests: []string{"cpu 250m"}, Limits: []string{"memory 1Gi"}, Readiness: true, Restarts: 5,
					State: store.ProofState{State: "waiting", Reason: "CrashLoopBackOff", Message: "back-off 2m40s restarting failed container=agent"},
					Last:  &store.ProofState{State: "terminated", Reason: "Error", ExitCode: 137, Started: ago(4 * time.Minute), Finished: ago(3 * time.Minute)}},
				{Name: "log-shipper", Role: store.RoleSidecar, Image: "registry.acme.example/base/log-shipper:1.9.0", Ready: true, State: store.ProofState{State: "running", Started: ago(20 * time.Minute)}}},
			Events: []store.ProofEvent{{At: ago(3 * time.Minute), Reason: "BackOff", Message: "Back-off restarting failed container agent in pod agent-0", Count: 7, About: "pod"}},
			Node:   &store.ProofNode{Name: "worker-3", Ready: "False", Reason: "KubeletNotReady", Since: ago(2 * time.Minute)}},
		Logs: []store.Log{{Container: "agent", Previous: true, Text: "level=info msg=\"connecting to the control plane\"\nlevel=fatal msg=\"dial tcp 10.0.3.7:5432: connect: connection refused\""}}}
	e.Identify()
	return e
}
