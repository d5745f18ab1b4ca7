package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// pods are workloads of those healths; a healthy one is ready, and an unhealthy one is in a crash loop.
func pods(healths ...store.Health) (out []store.Workload) {
	for i, h := range healths {
		w := store.Workload{Name: string(rune('a' + i)), UID: string(rune('a' + i)), Phase: "Running", Created: noon.Add(time.Duration(i) * time.Minute),
			Verdict:    store.Verdict{Health: h, Why: store.Sentence("main is " + h.String() + "."), Since: noon.Add(-time.Hour + time.Duration(i)*time.Minute)},
			Containers: []store.Container{{Name: "main", Role: store.RoleMain, Ready: h == store.Healthy}}}
		if h == store.Unhealthy {
			w.Reason, w.Raw, w.Container = store.CrashLoop, "CrashLoopBackOff", "main"
		}
		out = append(out, w)
	}
	return out
}

// going makes pods terminate; next is when they will have taken too long, zero when they have.
func going(w []store.Workload, next time.Time) []store.Workload {
	for i := range w {
		w[i].Raw, w[i].Next = "Terminating", next
	}
	return w
}

type want struct {
	health store.Health
	reason store.Reason
	raw    string
	why    string // what the sentence holds
}

func (w want) check(t *testing.T, name string, v store.Verdict) {
	t.Helper()
	why := v.Why.At(noon)
	if v.Health != w.health || v.Reason != w.reason || v.Raw != w.raw || !strings.Contains(why, w.why) || why == "" {
		t.Errorf("%s: %s %q %q: %s; want %s %q %q: %s", name, v.Health, v.Reason, v.Raw, why, w.health, w.reason, w.raw, w.why)
	}
}

func TestComponentsThatShouldKeepRunning(t *testing.T) {
	refused := func(at time.Time) []*notice {
		return []*notice{{reason: "FailedCreate", message: `pods "x" is forbidden: exceeded quota.`, last: metav1.NewTime(at)}}
	}
	failedCreate := refused(noon.Add(-2 * time.Second))
	young, old := noon.Add(-20*time.Second), noon.Add(-time.Hour)
	for _, c := range []struct {
		name    string
		desired int32
		part    part
		pods    []store.Workload
		want    want
	}{
		{"all ready", 2, part{}, pods(store.Healthy, store.Healthy), want{store.Healthy, 0, "", "main has 2 of 2 pods ready."}},
		{"some are missing", 3, part{}, pods(store.Healthy, store.Healthy), want{store.Degraded, 0, "Unavailable", "main has 2 of 3 pods ready."}},
		{"one of two fails", 2, part{}, pods(store.Healthy, store.Unhealthy), want{store.Degraded, store.CrashLoop, "CrashLoopBackOff", "(1 of 2 pods)"}},
		{"the only one fails", 1, part{}, pods(store.Unhealthy), want{store.Unhealthy, store.CrashLoop, "CrashLoopBackOff", "main is unhealthy."}},
		{"all fail", 2, part{}, pods(store.Unhealthy, store.Unhealthy), want{store.Unhealthy, store.CrashLoop, "CrashLoopBackOff", "(2 of 2 pods)"}},
		{"one starts", 1, part{}, pods(store.Unknown), want{store.Unknown, 0, "", "main is unknown."}},
		{"one starts beside one", 2, part{}, pods(store.Healthy, store.Unknown), want{store.Unknown, 0, "", "(1 of 2 pods)"}},
		{"an old pod still goes", 1, part{}, append(pods(store.Healthy), going(pods(store.Degraded), time.Time{})...), want{store.Healthy, 0, "", "1 of 1 pods ready"}},
		{"the only one is being replaced", 1, part{created: old}, going(pods(store.Degraded), noon.Add(time.Minute)), want{store.Degraded, 0, "Terminating", "main is degraded."}},
		{"the only one is stuck on its way out", 1, part{created: old}, going(pods(store.Degraded), time.Time{}), want{store.Unhealthy, store.StartFailed, "NoPods", "none of its 1 pods"}},
		{"scaled to zero", 0, part{}, nil, want{store.Degraded, 0, "ScaledToZero", "scaled to 0"}},
		{"scaled to zero, pods still go", 0, part{}, pods(store.Healthy), want{store.Degraded, 0, "ScaledToZero", "scaled to 0"}},
		{"no pod yet", 1, part{created: young}, nil, want{store.Unknown, 0, "", "has no pod yet; grace ends in 40 s."}},
		{"no pods", 2, part{created: old}, nil, want{store.Unhealthy, store.StartFailed, "NoPods", "none of its 2 pods"}},
		{"no pod since a moment ago", 1, part{created: old, before: &store.Component{Ready: 1, Verdict: store.Verdict{Health: store.Degraded, Raw: "Terminating"}}}, nil,
			want{store.Unknown, 0, "", "has no pod now; grace ends in 1 min."}},
		{"no pod since a while ago", 1, part{created: old, before: &store.Component{Podless: noon.Add(-50 * time.Second)}}, nil, want{store.Unknown, 0, "", "has no pod now; grace ends in 10 s."}},
		{"no pod for longer than the grace", 1, part{created: old, before: &store.Component{Podless: noon.Add(-time.Minute)}}, nil, want{store.Unhealthy, store.StartFailed, "NoPods", "none of its 1 pods"}},
		{"a replica that is new", 1, part{created: old, replica: true}, nil, want{store.Unknown, 0, "", "has no pod now; grace ends in 1 min."}},
		{"no pod for longer than was noted", 1, part{created: old, before: &store.Component{Verdict: store.Verdict{Raw: "NoPods", Since: noon.Add(-time.Second)}}}, nil,
			want{store.Unhealthy, store.StartFailed, "NoPods", "none of its 1 pods"}},
		{"it could not be created for longer than was noted", 1, part{created: old, notices: refused(noon.Add(-10 * time.Minute)), before: &store.Component{Verdict: store.Verdict{Raw: "FailedCreate", Since: noon.Add(-time.Second)}}}, nil,
			want{store.Unhealthy, store.StartFailed, "FailedCreate", "exceeded quota."}},
		{"scaled up a moment ago", 1, part{created: old, before: &store.Component{Verdict: store.Verdict{Raw: "ScaledToZero"}}}, nil, want{store.Unknown, 0, "", "has no pod now; grace ends in 1 min."}},
		{"an event says why, a moment after", 1, part{created: old, notices: failedCreate, before: &store.Component{Ready: 1}}, nil, want{store.Unhealthy, store.StartFailed, "FailedCreate", "exceeded quota."}},
		{"an event of before it had pods says nothing", 1, part{created: old, notices: refused(noon.Add(-40 * time.Minute)), before: &store.Component{Ready: 1}}, nil,
			want{store.Unknown, 0, "", "has no pod now; grace ends in 1 min."}},
		{"an old event says why when the grace is over", 1, part{created: old, notices: refused(noon.Add(-10 * time.Minute)), before: &store.Component{Podless: noon.Add(-time.Minute)}}, nil,
			want{store.Unhealthy, store.StartFailed, "FailedCreate", "exceeded quota."}},
		{"an event says why", 1, part{created: young, notices: failedCreate}, nil, want{store.Unhealthy, store.StartFailed, "FailedCreate", "cannot create its pods: pods \"x\" is forbidden: exceeded quota."}},
		{"the controller says why", 1, part{created: old, failure: "no quota"}, nil, want{store.Unhealthy, store.StartFailed, "FailedCreate", "cannot create its pods: no quota."}},
	} {
		c.part.name, c.part.desired = "main", c.desired
		o := &observation{now: noon}
		component := store.Component{Name: "main", Desired: c.desired}
		if len(c.pods) == 0 {
			component.Podless = o.podlessSince(c.part)
		}
		for i := range c.pods {
			component.Ready += ready(&c.pods[i])
		}
		c.want.check(t, c.name, o.running(c.part, c.pods, component))
	}
}

// The object of an evicted pod stays for days; it is no pod that the component has, and its end is news for a while only.
func TestAnEvictedPodIsForgotten(t *testing.T) {
	evicted := func(at time.Time) (w []store.Workload, p []*corev1.Pod) {
		w = pods(store.Unhealthy)
		w[0].Phase, w[0].Reason, w[0].Raw, w[0].Since = "Failed", store.RuntimeLost, "Evicted", at
		pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, LastTransitionTime: metav1.NewTime(at)}}
		return w, []*corev1.Pod{pod}
	}
	days, minutes := noon.Add(-72*time.Hour), noon.Add(-5*time.Minute)
	before := &store.Component{Ready: 1}
	leaving := &store.Component{Podless: minutes, Verdict: store.Verdict{Raw: "Evicted"}}
	for _, c := range []struct {
		name   string
		at     time.Time
		before *store.Component
		others []store.Workload
		kind   string
		want   want
	}{
		{"long ago, between two pods", days, before, nil, "Deployment", want{store.Unknown, 0, "", "has no pod now; grace ends in 1 min."}},
		{"long ago, and the next pod starts", days, before, pods(store.Unknown), "Deployment", want{store.Unknown, 0, "", "main is unknown."}},
		{"long ago, and the last pod goes", days, before, going(pods(store.Degraded), noon.Add(time.Minute)), "Deployment", want{store.Degraded, 0, "Terminating", "main is degraded."}},
		{"just now", minutes, before, nil, "Deployment", want{store.Unhealthy, store.RuntimeLost, "Evicted", "main is unhealthy."}},
		{"some time ago, and no pod since", noon.Add(-stable), leaving, nil, "Deployment", want{store.Unhealthy, store.StartFailed, "NoPods", "none of its 1 pods"}},
		{"long ago, of a pod that stands alone", days, before, nil, "Pod", want{store.Unhealthy, store.RuntimeLost, "Evicted", "main is unhealthy."}},
	} {
		o := &observation{now: noon}
		w, objects := evicted(c.at)
		p := part{name: "main", kind: c.kind, desired: 1, created: noon.Add(-100 * time.Hour), before: c.before, pods: objects}
		for range c.others {
			p.pods = append(p.pods, &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}})
		}
		v := o.running(p, append(w, c.others...), store.Component{Name: "main", Desired: 1, Podless: o.podlessSince(p)})
		c.want.check(t, c.name, v)
		if next := c.at.Add(stable); c.name == "just now" && !v.Next.Equal(next) {
			t.Errorf("%s: looks again at %s, want %s", c.name, v.Next, next)
		}
	}
}

func TestAHealthyComponentIsWholeSinceItsLastPodIs(t *testing.T) {
	o := &observation{now: noon}
	v := o.running(part{name: "main", desired: 2}, pods(store.Healthy, store.Healthy), store.Component{Ready: 2, Desired: 2})
	if want := noon.Add(-59 * time.Minute); !v.Since.Equal(want) {
		t.Errorf("since %s, want %s", v.Since, want)
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		name string
		part part
		pods []store.Workload
		want want
	}{
		{"suspended", part{suspended: true}, pods(store.Unhealthy), want{store.Healthy, 0, "Suspended", "is suspended"}},
		{"never ran", part{}, nil, want{store.Healthy, 0, "", "waits for its next run"}},
		{"the last run went well", part{}, pods(store.Unhealthy, store.Healthy), want{store.Healthy, 0, "", "main is healthy"}},
		{"the last run failed", part{}, pods(store.Healthy, store.Unhealthy), want{store.Degraded, store.CrashLoop, "CrashLoopBackOff", "main is unhealthy"}},
		{"it runs", part{}, pods(store.Healthy, store.Unknown), want{store.Healthy, 0, "", "cron runs since"}},
		{"it struggles", part{}, pods(store.Degraded), want{store.Degraded, 0, "", "main is degraded"}},
	} {
		c.part.name = "cron"
		c.want.check(t, c.name, schedule(c.part, c.pods))
	}
}

func TestProbesAndPodsTogether(t *testing.T) {
	ok := store.Probe{URL: "http://x", Status: 200}
	bad := store.Probe{URL: "http://x", Problem: "GET http://x: no answer after 3.0 s", At: noon}
	healthy := store.Verdict{Health: store.Healthy, Why: "1 of 1 ready."}
	unproven := store.Verdict{Health: store.Healthy, Why: "healthy but unproven.", Unproven: true}
	young := store.Verdict{Health: store.Unknown, Why: "main has run for 1 min without a readiness probe; it counts as healthy after 10 min."}
	unhealthy := store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Why: "main keeps exiting."}
	degraded := store.Verdict{Health: store.Degraded, Why: "1 of 2 ready."}
	for _, c := range []struct {
		name     string
		v        store.Verdict
		p        store.Probe
		failures int
		want     want
	}{
		{"no answer yet", healthy, store.Probe{}, 0, want{store.Healthy, 0, "", "1 of 1"}},
		{"both are well", healthy, ok, 0, want{store.Healthy, 0, "", "1 of 1"}},
		{"an answer proves", unproven, ok, 0, want{store.Healthy, 0, "", "answers its health probe"}},
		{"an answer proves at once", young, ok, 0, want{store.Healthy, 0, "", "answers its health probe"}},
		{"an answer does not heal", unhealthy, ok, 0, want{store.Unhealthy, store.CrashLoop, "", "keeps exiting"}},
		{"the first failure", healthy, bad, 1, want{store.Degraded, 0, "ProbeFailed", "main fails its health probe: GET http://x: no answer after 3.0 s."}},
		{"the second", unproven, bad, 2, want{store.Degraded, 0, "ProbeFailed", "fails its health probe"}},
		{"the third", healthy, bad, 3, want{store.Unhealthy, 0, "ProbeFailed", "fails its health probe"}},
		{"the third, degraded before", degraded, bad, 3, want{store.Unhealthy, 0, "ProbeFailed", "fails its health probe"}},
		{"the pods say more", unhealthy, bad, 3, want{store.Unhealthy, store.CrashLoop, "", "keeps exiting"}},
	} {
		got := probed("main", c.v, c.p, c.failures)
		c.want.check(t, c.name, got)
		if got.Unproven && c.p.URL != "" {
			t.Errorf("%s: unproven although it was asked", c.name)
		}
	}
}

func TestRunnerVerdicts(t *testing.T) {
	component := func(name string, h store.Health, reason store.Reason) store.Component {
		return store.Component{Name: name, Verdict: store.Verdict{Health: h, Reason: reason, Why: store.Sentence(name + " is " + h.String() + ".")}}
	}
	work := pods(store.Unhealthy, store.Degraded)
	part := pods(store.Unhealthy)
	part[0].Component = "main"
	for _, c := range []struct {
		name string
		r    store.Runner
		want want
	}{
		{"one component", store.Runner{Components: []store.Component{component("a", store.Healthy, 0)}}, want{store.Healthy, 0, "", "a is healthy."}},
		{"all are well", store.Runner{Components: []store.Component{component("a", store.Healthy, 0), component("b", store.Healthy, 0)}}, want{store.Healthy, 0, "", "All 2 components are healthy."}},
		{"the worst counts", store.Runner{Components: []store.Component{component("a", store.Degraded, 0), component("b", store.Unhealthy, store.CrashLoop)}}, want{store.Unhealthy, store.CrashLoop, "", "b is unhealthy."}},
		{"the precedence of reasons", store.Runner{Components: []store.Component{component("a", store.Unhealthy, store.RuntimeLost), component("b", store.Unhealthy, store.ImagePullFailed)}}, want{store.Unhealthy, store.ImagePullFailed, "", "b is"}},
		{"unknown hides green", store.Runner{Components: []store.Component{component("a", store.Healthy, 0), component("b", store.Unknown, 0)}}, want{store.Unknown, 0, "", "b is unknown."}},
		{"failing work degrades", store.Runner{Components: []store.Component{component("a", store.Healthy, 0)}, Workloads: work}, want{store.Degraded, store.CrashLoop, "CrashLoopBackOff", "2 workloads are unwell. Workload a: main is"}},
		{"work that starts says nothing", store.Runner{Components: []store.Component{component("a", store.Healthy, 0)}, Workloads: pods(store.Unknown)}, want{store.Healthy, 0, "", "a is"}},
		{"a component's pod is no work", store.Runner{Components: []store.Component{component("main", store.Degraded, 0)}, Workloads: part}, want{store.Degraded, 0, "", "main is degraded."}},
		{"a component is worse than work", store.Runner{Components: []store.Component{component("a", store.Unhealthy, store.StartFailed)}, Workloads: work}, want{store.Unhealthy, store.StartFailed, "", "a is"}},
		{"only work", store.Runner{Workloads: pods(store.Healthy)}, want{store.Unknown, 0, "NoComponents", "none of its components"}},
		{"out of service", store.Runner{Observed: store.Disabled, Components: []store.Component{component("a", store.Degraded, 0)}}, want{store.Unknown, 0, "Disabled", "Out of service"}},
	} {
		c.want.check(t, c.name, runnerVerdict(&c.r, noon))
	}
}

func TestStates(t *testing.T) {
	up, zero := part{kind: "Deployment", desired: 1}, part{kind: "Deployment"}
	cron, suspended := part{kind: "CronJob"}, part{kind: "CronJob", suspended: true}
	for _, c := range []struct {
		name  string
		parts []part
		want  store.State
	}{
		{"only work", nil, store.Enabled},
		{"all at work", []part{up, up, cron}, store.Enabled},
		{"one at work", []part{zero, up}, store.Enabled},
		{"all scaled to zero", []part{zero, zero}, store.Disabled},
		{"all scaled to zero, the updater goes on", []part{zero, zero, cron}, store.Disabled},
		{"a schedule", []part{cron}, store.Enabled},
		{"two schedules", []part{cron, cron}, store.Enabled},
		{"one schedule of two", []part{cron, suspended}, store.Enabled},
		{"a suspended schedule", []part{suspended}, store.Disabled},
	} {
		if got := serviceOf((*systems.System)(nil).SwitchOf(), c.parts, nil, false, time.Now()).observed; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestSmallParts(t *testing.T) {
	d := &appsv1.Deployment{Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Message: "fine"},
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "quota"}}}}
	if got := deploymentFailure(d); got != "quota" {
		t.Errorf("the controller says %q", got)
	}
	if got := sentence("x cannot be probed", errors.New("bad.\x02")); got != "x cannot be probed: bad." {
		t.Errorf("%q", got)
	}
	named := func(name, object string) part { return part{name: name, object: systems.Object{Name: object}} }
	got := distinct([]part{named("a", "x"), named("a", "y"), named("b", "z")})
	if got[0].name != "a (x)" || got[1].name != "a (y)" || got[2].name != "b" {
		t.Errorf("names %q %q %q", got[0].name, got[1].name, got[2].name)
	}
	if got := merged(map[string]string{"a": "1", "b": "1"}, map[string]string{"b": "2"}); got["a"] != "1" || got["b"] != "2" {
		t.Errorf("annotations %v", got)
	}
	o := &observation{now: noon}
	for _, c := range []struct {
		versions []string
		want     string
	}{{nil, ""}, {[]string{"1", "1"}, "1"}, {[]string{"1", "", "1"}, "1"}, {[]string{"1", "2"}, "mixed"}} {
		var components []store.Component
		for _, v := range c.versions {
			components = append(components, store.Component{Version: v})
		}
		if got := o.runnerVersion(systems.Labelled, nil, components); got != c.want {
			t.Errorf("version of %v is %q, want %q", c.versions, got, c.want)
		}
	}
	ips := podsNamed("2", "1", "3", "4")
	for _, p := range ips {
		p.Status.Phase = corev1.PodRunning
	}
	now := metav1.NewTime(noon)
	ips[2].DeletionTimestamp, ips[3].Status.PodIP = &now, ""
	if r := readyPods(ips); len(r) != 2 || r[0].Name != "1" {
		t.Errorf("pods to ask: %v", r)
	}
}
