package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackside/store"
)

var joinNow = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return joinNow.Add(-d) }

// shownRunner is a runner as a cluster shows it: one component and one workload, both well.
func shownRunner(change ...func(*store.Runner)) *store.Runner {
	well := store.Verdict{Health: store.Healthy, Why: "It is ready."}
	r := &store.Runner{Ref: store.Ref{Cluster: "prod", System: "agyn", Namespace: "platform", Name: "k8s-runner"}, Verdict: well,
		Components: []store.Component{{Name: "k8s-runner", Verdict: well, Version: "0.9.4"}},
		Workloads:  []store.Workload{{Namespace: "work", Name: "workload-1", UID: "u1", Verdict: well, Phase: "Running"}},
		Facts:      []store.Fact{{Name: "Pool", Value: "3 of 3"}}}
	for _, f := range change {
		f(r)
	}
	return r
}

// said is a testimony that all is well.
func said(change ...func(*store.Testimony)) store.Testimony {
	t := store.Testimony{TestimonyKey: store.TestimonyKey{Cluster: "agyn-api", Source: "agyn API", System: "agyn", Runner: "k8s-runner"},
		Word: "enrolled", Health: store.Healthy, Heard: joinNow}
	for _, f := range change {
		f(&t)
	}
	return t
}

func fails(why store.Sentence, reason store.Reason) store.Verdict {
	return store.Verdict{Health: store.Unhealthy, Reason: reason, Raw: "Raw", Why: why}
}

func runnerFails(r *store.Runner) {
	r.Components[0].Verdict = fails("k8s-runner keeps exiting.", store.CrashLoop)
	r.Verdict = r.Components[0].Verdict
}

func workFails(r *store.Runner) {
	r.Workloads[0].Verdict = fails("workload-1 is lost.", store.RuntimeLost)
	r.Verdict = fails("2 workloads are unwell. workload-1 is lost.", store.RuntimeLost)
	r.Health = store.Degraded
}

func work(w store.SaidWorkload) func(*store.Testimony) {
	return func(t *store.Testimony) { t.Workloads = append(t.Workloads, w) }
}

func unheard(t *store.Testimony) {
	t.Problem = &store.CallProblem{Call: "GET https://api.example/runners", What: "503 Service Unavailable", Since: ago(40 * time.Second), Last: ago(time.Minute)}
}

var joins = []struct {
	name     string
	observed *store.Runner
	said     []store.Testimony
	// health, reason and why are the runner's; work is "health reason: why" of the workload of that name.
	health store.Health
	reason store.Reason
	why    string
	work   map[string]string
	facts  []string
	next   time.Time
}{
	{name: "nobody says anything", observed: shownRunner(), health: store.Healthy, why: "It is ready.", facts: []string{"Pool: 3 of 3"}},
	{name: "all agree", observed: shownRunner(), said: []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-1", Word: "running", Active: true}))},
		health: store.Healthy, why: "It is ready.", facts: []string{"Pool: 3 of 3", "agyn API: says enrolled"}},
	{name: "a word that proves nothing", observed: shownRunner(), said: []store.Testimony{said(func(t *store.Testimony) { t.Vacuous = "agyn never writes offline" })},
		health: store.Healthy, why: "It is ready.", facts: []string{"Pool: 3 of 3", "agyn API: says enrolled; agyn never writes offline"}},
	{name: "the source says well and the cluster shows a failure", observed: shownRunner(runnerFails), said: []store.Testimony{said()},
		health: store.Unhealthy, reason: store.CrashLoop, why: "k8s-runner keeps exiting. The agyn API says enrolled all the same.",
		facts: []string{"Pool: 3 of 3", "agyn API: says enrolled", "Disagreement: the agyn API says enrolled, and the cluster shows a failure"}},
	{name: "the source says unwell and the cluster is green", observed: shownRunner(),
		said: []store.Testimony{said(func(t *store.Testimony) {
			t.Word, t.Health, t.Error = "pending", store.Degraded, "it has not enrolled."
		})},
		health: store.Degraded, why: "The agyn API says pending: it has not enrolled.",
		facts: []string{"Pool: 3 of 3", "agyn API: says pending: it has not enrolled", "Disagreement: the agyn API says pending, and the cluster shows nothing amiss"}},
	{name: "a component that the source finds unwell", observed: shownRunner(), said: []store.Testimony{said(func(t *store.Testimony) {
		t.Components = []store.SaidComponent{{Name: "k8s-runner", Word: "non-responsive", Health: store.Unhealthy, Error: "timeout", Version: "v0.9.4"}}
	})},
		health: store.Degraded, why: "k8s-runner: The agyn API says non-responsive: timeout.",
		facts: []string{"Pool: 3 of 3", "agyn API: says enrolled", "k8s-runner by the agyn API: non-responsive: timeout, version 0.9.4",
			"Disagreement: the agyn API says non-responsive of k8s-runner, which the cluster shows healthy"}},
	{name: "a component that the cluster shows failing and the source does not", observed: shownRunner(runnerFails), said: []store.Testimony{said(func(t *store.Testimony) {
		t.Word, t.Health = "", store.Unknown
		t.Components = []store.SaidComponent{{Name: "k8s-runner", Word: "ok", Health: store.Healthy}}
	})},
		health: store.Unhealthy, reason: store.CrashLoop, why: "k8s-runner keeps exiting.",
		facts: []string{"Pool: 3 of 3", "agyn API: says nothing of the runner as a whole", "k8s-runner by the agyn API: ok",
			"Disagreement: the agyn API says ok of k8s-runner, which fails"}},
	{name: "a source that is not heard decides nothing, though it last said well", observed: shownRunner(runnerFails), said: []store.Testimony{said(unheard)},
		health: store.Unhealthy, reason: store.CrashLoop, why: "k8s-runner keeps exiting.",
		facts: []string{"Pool: 3 of 3", "agyn API: not heard for 1 min: GET https://api.example/runners: 503 Service Unavailable; it last said enrolled"}},
	{name: "a source that is not heard decides nothing, though it last said unwell", observed: shownRunner(), said: []store.Testimony{said(unheard, func(t *store.Testimony) {
		t.Word, t.Health = "offline", store.Unhealthy
	})},
		health: store.Healthy, why: "It is ready.",
		facts: []string{"Pool: 3 of 3", "agyn API: not heard for 1 min: GET https://api.example/runners: 503 Service Unavailable; it last said offline"}},
	{name: "a source that was never heard", observed: shownRunner(), said: []store.Testimony{said(func(t *store.Testimony) {
		t.Word, t.Health, t.Problem = "", store.Unknown, &store.CallProblem{Call: "GET https://a", What: "connection refused", Since: ago(9 * time.Second)}
	})}, health: store.Healthy, why: "It is ready.", facts: []string{"Pool: 3 of 3", "agyn API: not heard for 9 s: GET https://a: connection refused"}},
	{name: "the control plane's own reason wins over ours", observed: shownRunner(workFails),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-1", Word: "failed", Failed: true, Reason: store.ConfigInvalid, Message: "agynd rejected the configuration"}))},
		health: store.Degraded, reason: store.ConfigInvalid,
		why:   "2 workloads are unwell. The agyn API says config_invalid: agynd rejected the configuration. workload-1 is lost.",
		work:  map[string]string{"workload-1": "unhealthy config_invalid: The agyn API says config_invalid: agynd rejected the configuration. workload-1 is lost."},
		facts: []string{"Pool: 3 of 3", "agyn API: says enrolled"}},
	{name: "a reason stays true when the source is not heard", observed: shownRunner(workFails),
		said:   []store.Testimony{said(unheard, work(store.SaidWorkload{Pod: "workload-1", Word: "failed", Failed: true, Reason: store.CrashLoop}))},
		health: store.Degraded, reason: store.CrashLoop, why: "2 workloads are unwell. The agyn API says crashloop. workload-1 is lost.",
		work: map[string]string{"workload-1": "unhealthy crashloop: The agyn API says crashloop. workload-1 is lost."}},
	{name: "the same reason changes nothing", observed: shownRunner(workFails),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-1", Word: "failed", Failed: true, Reason: store.RuntimeLost, Message: "gone"}))},
		health: store.Degraded, reason: store.RuntimeLost, why: "2 workloads are unwell. workload-1 is lost.", work: map[string]string{"workload-1": "unhealthy runtime_lost: workload-1 is lost."}},
	{name: "a reason wins where the pod seems well", observed: shownRunner(),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-1", Word: "failed", Failed: true, Reason: store.CrashLoop}))},
		health: store.Degraded, reason: store.CrashLoop, why: "Workload workload-1: The agyn API says crashloop.",
		work:  map[string]string{"workload-1": "unhealthy crashloop: The agyn API says crashloop."},
		facts: []string{"Pool: 3 of 3", "agyn API: says enrolled", "Disagreement: the agyn API says failed of workload-1, whose pod is well"}},
	{name: "a failure without a reason degrades", observed: shownRunner(),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-1", Word: "failed", Failed: true}))},
		health: store.Degraded, why: "Workload workload-1: The agyn API says failed.", work: map[string]string{"workload-1": "degraded : The agyn API says failed."}},
	{name: "the source still says running of work that failed", observed: shownRunner(workFails),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-1", Word: "running", Active: true}))},
		health: store.Degraded, reason: store.RuntimeLost, why: "2 workloads are unwell. workload-1 is lost. The agyn API still says running.",
		facts: []string{"Pool: 3 of 3", "agyn API: says enrolled", "Disagreement: the agyn API says running of workload-1, which the cluster shows failed"}},
	{name: "running and the pod is gone, within the grace", observed: shownRunner(),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "running", Active: true, Missing: ago(20 * time.Second)}))},
		health: store.Healthy, why: "It is ready.", next: joinNow.Add(40 * time.Second),
		work: map[string]string{"workload-9": "unknown : The agyn API says running; the pod is gone. Unless it says otherwise, that is a failure in 40 s."}},
	{name: "running and the pod is gone", observed: shownRunner(),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "running", Active: true, Missing: ago(61 * time.Second)}))},
		health: store.Degraded, reason: store.RuntimeLost, why: "Workload workload-9: The agyn API says running; the pod is gone.",
		work:  map[string]string{"workload-9": "unhealthy runtime_lost: The agyn API says running; the pod is gone."},
		facts: []string{"Pool: 3 of 3", "agyn API: says enrolled", "Disagreement: the agyn API says running of workload-9, whose pod is gone"}},
	{name: "starting and the pod is gone", observed: shownRunner(),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "starting", Starting: true, Missing: ago(time.Minute)}))},
		health: store.Degraded, reason: store.StartFailed, why: "Workload workload-9: The agyn API says starting; the pod is gone."},
	{name: "running was said before the pod went", observed: shownRunner(),
		said: []store.Testimony{said(func(t *store.Testimony) { t.Heard = ago(2 * time.Minute) },
			work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "running", Active: true, Missing: ago(90 * time.Second)}))},
		health: store.Healthy, why: "It is ready.",
		work: map[string]string{"workload-9": "unknown : The agyn API says running; the pod is gone. That is a failure unless it says otherwise soon."}},
	{name: "running, where nobody watches", observed: shownRunner(),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "running", Active: true}))},
		health: store.Healthy, why: "It is ready.", work: map[string]string{"workload-9": "unknown : The agyn API says running; no watched cluster shows its pod."}},
	{name: "running by a source that is not heard", observed: shownRunner(),
		said:   []store.Testimony{said(unheard, work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "running", Active: true, Missing: ago(time.Hour)}))},
		health: store.Healthy, why: "It is ready.", work: map[string]string{"workload-9": "unknown : The agyn API last said running; it is not heard now, and no pod of that name is shown."}},
	{name: "failed, and its pod was taken away", observed: shownRunner(),
		said: []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "failed", Failed: true, Reason: store.ImagePullFailed, Message: "401",
			Changed: ago(10 * time.Minute)}))},
		health: store.Degraded, reason: store.ImagePullFailed, why: "Workload workload-9: The agyn API says image_pull_failed: 401. Its pod is gone.",
		next: joinNow.Add(50 * time.Minute), work: map[string]string{"workload-9": "unhealthy image_pull_failed: The agyn API says image_pull_failed: 401. Its pod is gone."}},
	{name: "failed long ago", observed: shownRunner(),
		said:   []store.Testimony{said(work(store.SaidWorkload{Pod: "workload-9", ID: "9", Word: "failed", Failed: true, Changed: ago(time.Hour)}))},
		health: store.Healthy, why: "It is ready.", work: map[string]string{"workload-9": ""}},
	{name: "a disabled runner is not called unwell", observed: shownRunner(func(r *store.Runner) {
		r.Observed, r.Requested, r.Health, r.Why = store.Disabled, store.Disabled, store.Unknown, "Out of service."
	}), said: []store.Testimony{said(func(t *store.Testimony) { t.Word, t.Health = "offline", store.Unhealthy })},
		health: store.Unknown, why: "Out of service.", facts: []string{"Pool: 3 of 3", "agyn API: says offline"}},
	{name: "a runner that only the source knows", said: []store.Testimony{said(func(t *store.Testimony) {
		t.Word, t.Components = "ok", []store.SaidComponent{{Name: "b", Word: "ok", Health: store.Healthy}, {Name: "a", Word: "down", Health: store.Unhealthy, Error: "no route"}}
	})}, health: store.Unhealthy, why: "a: The agyn API says down: no route.", facts: []string{"agyn API: says ok", "Seen by: the agyn API only; no watched cluster shows it"}},
	{name: "the same, of parts only", said: []store.Testimony{said(func(t *store.Testimony) {
		t.Word, t.Health, t.Components = "", store.Unknown, []store.SaidComponent{{Name: "b", Word: "ok", Health: store.Healthy}}
	})}, health: store.Healthy, why: "The agyn API says that all its components are well."},
	{name: "the same, not heard", said: []store.Testimony{said(unheard, func(t *store.Testimony) {
		t.Components = []store.SaidComponent{{Name: "b", Word: "ok", Health: store.Healthy}}
	})}, health: store.Unknown, why: "The agyn API has not been heard for 1 min: GET https://api.example/runners: 503 Service Unavailable; it last said enrolled."},
	{name: "the same, by a word that proves nothing", said: []store.Testimony{said(func(t *store.Testimony) { t.Vacuous = "agyn never writes offline" })},
		health: store.Unknown, why: "The agyn API says enrolled, which proves nothing: agyn never writes offline. No watched cluster shows it."},
	{name: "the same, of which nothing is said", said: []store.Testimony{said(func(t *store.Testimony) { t.Word, t.Health = "", store.Unknown })},
		health: store.Unknown, why: "The agyn API says nothing of it."},
	{name: "facts that the cluster tells too", observed: shownRunner(), said: []store.Testimony{said(func(t *store.Testimony) {
		t.Facts = []store.Fact{{Name: "Pool", Value: "3 of 3"}, {Name: "Labels", Value: "a=b"}}
	}), said(func(t *store.Testimony) {
		t.Source, t.Facts = "other API", []store.Fact{{Name: "Pool", Value: "2 of 3"}}
	})}, health: store.Healthy, why: "It is ready.",
		facts: []string{"Pool: 3 of 3", "agyn API: says enrolled", "Labels: a=b", "other API: says enrolled", "Pool by the other API: 2 of 3"}},
	{name: "hostile words", observed: shownRunner(), said: []store.Testimony{said(func(t *store.Testimony) {
		t.Word, t.Health, t.Error = "\x02f0\x03\n%s"+strings.Repeat("x", 100), store.Unhealthy, "\xff\x00\x02a1\x03"
	})}, health: store.Degraded, why: "The agyn API says f0 %s" + strings.Repeat("x", 55) + "…: \ufffd a1."},
}

func TestJoin(t *testing.T) {
	for _, j := range joins {
		t.Run(j.name, func(t *testing.T) {
			var before store.Runner
			if j.observed != nil {
				before = *j.observed
				before.Components, before.Workloads = append([]store.Component(nil), before.Components...), append([]store.Workload(nil), before.Workloads...)
			}
			r := store.Join(j.observed, j.said, joinNow)
			if got := r.Why.At(joinNow); r.Health != j.health || r.Reason != j.reason || got != j.why {
				t.Errorf("%s %s: %q\nwant %s %s: %q", r.Health, r.Reason, got, j.health, j.reason, j.why)
			}
			checkWork(t, r, j.work)
			if got := factLines(r); j.facts != nil && !cmp.Equal(got, j.facts) {
				t.Error(cmp.Diff(j.facts, got))
			}
			if got := r.NextCheck(); !got.Equal(j.next) {
				t.Errorf("looked at again at %s, want %s", got, j.next)
			}
			if j.observed != nil && !j.observed.Equal(&before) {
				t.Error("Join changed what was observed")
			}
			checkSentences(t, r)
		})
	}
}

func checkWork(t *testing.T, r *store.Runner, want map[string]string) {
	t.Helper()
	for name, line := range want {
		got := ""
		for i := range r.Workloads {
			if w := &r.Workloads[i]; w.Name == name {
				got = w.Health.String() + " " + w.Reason.String() + ": " + w.Why.At(joinNow)
			}
		}
		if got != line {
			t.Errorf("%s is %q, want %q", name, got, line)
		}
	}
}

func factLines(r *store.Runner) (lines []string) {
	for _, f := range r.Facts {
		lines = append(lines, f.Name+": "+f.Value.At(joinNow))
	}
	return lines
}

// checkSentences holds for every joined runner: nothing is blank.
func checkSentences(t *testing.T, r *store.Runner) {
	t.Helper()
	for i := range r.Components {
		if r.Components[i].Why == "" {
			t.Errorf("%s has no why", r.Components[i].Name)
		}
	}
	for i := range r.Workloads {
		if r.Workloads[i].Why == "" || r.Workloads[i].UID == "" {
			t.Errorf("%s has no why or no UID", r.Workloads[i].Name)
		}
	}
	for _, f := range r.Facts {
		if f.Name == "" || f.Value == "" {
			t.Errorf("fact %q: %q", f.Name, f.Value)
		}
	}
	if r.Why == "" {
		t.Error("no why")
	}
}

// The order in which testimonies come does not matter.
func TestJoinOfSeveralSources(t *testing.T) {
	other := said(func(t *store.Testimony) {
		t.Cluster, t.Source, t.Word, t.Health = "other", "Other API", "down", store.Unhealthy
	})
	a := store.Join(shownRunner(), []store.Testimony{said(), other}, joinNow)
	b := store.Join(shownRunner(), []store.Testimony{other, said()}, joinNow)
	if !a.Equal(b) || a.Why != "The Other API says down." {
		t.Errorf("%v\n%v", a, b)
	}
}

// A source adds what it finds to what the cluster shows, and takes out what it knows not to be so.
func TestJoinOfFindings(t *testing.T) {
	probe := store.Finding{Code: "probe", Severity: store.Warning, Object: "deployment/a"}
	old := store.Finding{Code: "legacy-v1", Severity: store.Warning, Object: "deployment/operator"}
	told := store.Finding{Code: "legacy-v1", Severity: store.Warning, Object: "runner/a"}
	for _, c := range []struct {
		name                  string
		shown, finds, want    []store.Finding
		refutes               []string
		wantShared, noCluster bool
	}{
		{name: "nothing is said", shown: []store.Finding{old, probe}, want: []store.Finding{old, probe}, wantShared: true},
		{name: "one more", shown: []store.Finding{probe}, finds: []store.Finding{told}, want: []store.Finding{told, probe}},
		{name: "the cluster shows it too", shown: []store.Finding{old, probe}, finds: []store.Finding{told}, want: []store.Finding{old, probe}, wantShared: true},
		{name: "it is not so", shown: []store.Finding{old, probe}, refutes: []string{"legacy-v1"}, want: []store.Finding{probe}},
		{name: "nobody thought so", shown: []store.Finding{probe}, refutes: []string{"legacy-v1"}, want: []store.Finding{probe}, wantShared: true},
		{name: "no cluster shows the runner", finds: []store.Finding{told}, want: []store.Finding{told}, noCluster: true},
	} {
		observed := shownRunner(func(r *store.Runner) { r.Findings = c.shown })
		if c.noCluster {
			observed = nil
		}
		before := slices.Clone(c.shown)
		r := store.Join(observed, []store.Testimony{said(func(t *store.Testimony) { t.Findings, t.Refutes = c.finds, c.refutes })}, joinNow)
		if !slices.Equal(r.Findings, c.want) || !slices.Equal(c.shown, before) {
			t.Errorf("%s: %+v, want %+v", c.name, r.Findings, c.want)
		}
		if c.wantShared && &r.Findings[0] != &c.shown[0] {
			t.Errorf("%s: the list was copied", c.name)
		}
	}
}

func TestManyDisagreementsAreCounted(t *testing.T) {
	var change []func(*store.Testimony)
	for pod := range strings.FieldsSeq("a b c d e") {
		change = append(change, work(store.SaidWorkload{Pod: pod, ID: pod, Word: "running", Active: true, Missing: ago(time.Hour)}))
	}
	r := store.Join(shownRunner(), []store.Testimony{said(change...)}, joinNow)
	lines := factLines(r)
	if n := len(lines); n != 6 || lines[n-1] != "Disagreement: 2 more with the agyn API" {
		t.Errorf("%q", lines)
	}
}

func TestHealthSaid(t *testing.T) {
	for words, want := range map[string]store.Health{
		"true": store.Healthy, "TRUE": store.Healthy, " Ok ": store.Healthy, "running": store.Healthy, "Ready": store.Healthy,
		"false": store.Unhealthy, "False": store.Unhealthy, "non-responsive": store.Unhealthy, "": store.Unknown, "bananas": store.Unknown,
		"ok,false": store.Unhealthy, "ok,": store.Healthy, ",": store.Unknown, "bananas,true": store.Healthy, "partial,ok": store.Degraded, "partial,down": store.Unhealthy,
	} {
		if got := store.HealthSaid(strings.Split(words, ",")...); got != want {
			t.Errorf("%q is %s, want %s", words, got, want)
		}
	}
}

func TestReasonSaid(t *testing.T) {
	for word, want := range map[string]store.Reason{
		"WORKLOAD_FAILURE_REASON_IMAGE_PULL_FAILED": store.ImagePullFailed, "start_failed": store.StartFailed, "CrashLoop": store.CrashLoop,
		"WORKLOAD_FAILURE_REASON_UNSPECIFIED": store.NoReason, "": store.NoReason, "not_start_failed": store.NoReason,
		"WORKLOAD_FAILURE_REASON_RUNTIME_LOST": store.RuntimeLost, "WORKLOAD_FAILURE_REASON_CONFIG_INVALID": store.ConfigInvalid,
	} {
		if got := store.ReasonSaid(word); got != want {
			t.Errorf("%q is %q, want %q", word, got, want)
		}
	}
}

// Whatever is said, and in whatever order, no sentence is blank, no failed call makes anything healthy, and a failure that the cluster
// shows stays one.
func FuzzJoin(f *testing.F) {
	f.Add("ok", "timeout", "running", "crashloop", uint8(0))
	f.Add("", "", "", "", uint8(255))
	f.Add("\x02f1\x03", "\xff", "failed", "WORKLOAD_FAILURE_REASON_START_FAILED", uint8(90))
	f.Fuzz(func(t *testing.T, word, detail, status, reason string, bits uint8) {
		a := said(func(t *store.Testimony) {
			t.Word, t.Health, t.Error = word, store.HealthSaid(word), detail
			t.Components = []store.SaidComponent{{Name: "k8s-runner", Word: status, Health: store.HealthSaid(status), Error: detail, Version: word}, {Name: word, Word: word}}
			for i, pod := range []string{"workload-1", "workload-9", word} {
				w := store.SaidWorkload{Pod: pod, ID: status, Word: status, Active: bits&1 != 0, Failed: bits&2 != 0, Starting: bits&4 != 0, Reason: store.ReasonSaid(reason), Message: detail}
				if i > 0 && bits&8 != 0 {
					w.Missing, w.Changed = ago(time.Duration(bits)*time.Second), ago(time.Minute)
				}
				t.Workloads = append(t.Workloads, w)
			}
		})
		if bits&16 != 0 {
			unheard(&a)
		}
		b := said(func(t *store.Testimony) { t.Source, t.Word, t.Health = "B", detail, store.HealthSaid(detail) })
		for _, observed := range []*store.Runner{nil, shownRunner(), shownRunner(runnerFails), shownRunner(workFails)} {
			r := store.Join(observed, []store.Testimony{a, b}, joinNow)
			checkSentences(t, r)
			if observed != nil && r.Health.Severity() > observed.Health.Severity() {
				t.Errorf("%s became %s", observed.Health, r.Health)
			}
			if observed != nil && !r.Equal(store.Join(observed, []store.Testimony{b, a}, joinNow)) {
				t.Error("the order matters")
			}
			if observed == nil && bits&16 != 0 && store.Join(nil, []store.Testimony{a}, joinNow).Health == store.Healthy {
				t.Error("healthy by a failed call")
			}
		}
	})
}
