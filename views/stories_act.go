package views

import (
	"time"

	"github.com/a-h/templ"

	"trackside/store"
)

// storyActing are runners that somebody has acted on: taken out, going out, coming back, going, and a failure that somebody is on.
func storyActing() *store.Snapshot {
	rs := storyMix()
	out := storyRunnerNamed("prod", "kubiya", "runners-eu", "kubiya-eu-night", "1.14.2", kubiyaParts...)
	out.Requested, out.Observed = store.Disabled, store.Disabled
	out.Mark = store.Mark{By: "ada@example.com", Note: "node pool upgrade, see CHG-2231", At: ago(40 * time.Minute), Until: StoryTime.Add(3 * time.Hour), Drain: true}
	going := storyRunnerNamed("prod", "agyn", "agyn-runners", "k8s-runner-7", "0.9.4", "k8s-runner")
	going.Requested, going.Asked = store.Disabled, ago(8*time.Second)
	going.Mark = store.Mark{By: "Grace", Note: "leaks connections", At: ago(8 * time.Second), Drain: true, Draining: true}
	back := storyRunnerNamed("staging", "labelled", "lab", "gpu-batch-3", "2.0.1", "controller")
	back.Requested, back.Observed, back.Asked = store.Enabled, store.Disabled, ago(3*time.Second)
	leaving := storyRunnerNamed("prod", "kubiya", "runners-us", "kubiya-us-old", "1.12.7", kubiyaParts...)
	leaving.Requested, leaving.Asked = store.Deleting, ago(95*time.Second)
	s := store.NewSnapshot(append(rs, out, going, back, leaving), []store.Source{liveSource("prod"), liveSource("staging")}, StoryTime)
	s, _ = store.Apply(s, store.Touched{Acknowledged: &[]store.Acknowledgement{{Ref: rs[0].Ref, By: "Ada", Note: "the registry's token has run out; a new one is on its way", At: ago(4 * time.Minute)}}}, StoryTime)
	return s
}

// actingRunner is one of them by name.
func actingRunner(s *store.Snapshot, name string) *store.Runner {
	for r := range s.Runners() {
		if r.Ref.Name == name {
			return r
		}
	}
	return nil
}

// storyPlan is what a verb would do to a runner.
func storyPlan(v store.Verb, r *store.Runner) store.Plan {
	p := store.Plan{Action: store.Action{Verb: v, Ref: r.Ref}, Work: r.Workloads}
	for _, c := range r.Components {
		p.Steps = append(p.Steps, store.Effect{Object: store.Object{Kind: c.Kind, Namespace: r.Ref.Namespace, Name: c.Object}, Before: "1 replica", After: "0 replicas"})
	}
	if v == store.VerbDelete {
		for i := range p.Steps {
			p.Steps[i].After, p.Steps[i].Before = "deleted", ""
		}
		p.Goes = []store.Object{{Kind: "Pod", Namespace: r.Ref.Namespace, Name: "agent-manager-6f7c9d8b5-x2k4p"}, {Kind: "Pod", Namespace: r.Ref.Namespace, Name: "tool-manager-79c6c54b8-qq7vd"}}
		p.Stays = []store.Object{{Kind: "PersistentVolumeClaim", Namespace: r.Ref.Namespace, Name: "workspace-" + r.Ref.Name}, {Kind: "Secret", Namespace: r.Ref.Namespace, Name: "regcred"}, {Kind: "ConfigMap", Namespace: r.Ref.Namespace, Name: "runner-settings"}}
	}
	return p
}

var (
	storyArgo      = store.Trap{Code: "managed-by-argo", Why: "Argo CD manages this runner (Application runners-eu, self-heal on): it will set the replicas back within minutes. Pause the sync there first."}
	storyVerb      = store.Trap{Code: "forbidden", Why: "The board may not patch deployments/scale in runners-eu. Bind the ClusterRole trackside-act to its ServiceAccount there.", Blocks: true}
	storyFinalizer = store.Trap{Code: "finalizer", Why: "StatefulSet runners-eu/workflow-engine has the finalizer backup.velero.io/protect, which is Velero's: the object stays until Velero takes it off.", Blocks: true}
)

// actStories are the dialogs of actions, as pages, and what is seen of them afterwards.
func actStories() []Story {
	s := storyActing()
	failing := storyMix()[0]
	failing.Workloads = storyWork(failing)
	form := ActForm{Key: "KEY", Incarnation: failing.Incarnation}
	act := func(p store.Plan, f ActForm, problem string, traps ...store.Trap) templ.Component {
		p.Traps = traps
		return ActPage(NewActModel(p, failing, f, problem, StoryTime))
	}
	typed := form
	typed.Note, typed.For, typed.Mode = "looking at the registry", "8h", "now"
	night := actingRunner(s, "kubiya-eu-night")
	return []Story{
		{"act-menu", ActMenuPage(NewActMenu(failing, StoryTime))},
		{"act-disable", act(storyPlan(store.VerbDisable, failing), form, "", storyArgo)},
		{"act-disable-blocked", act(storyPlan(store.VerbDisable, failing), form, "", storyArgo, storyVerb)},
		{"act-disable-conflict", act(storyPlan(store.VerbDisable, failing), typed, "the runner was made anew 12 s ago; look at it again, and decide again")},
		{"act-delete", act(storyPlan(store.VerbDelete, failing), form, "")},
		{"act-delete-blocked", act(storyPlan(store.VerbDelete, failing), form, "", storyFinalizer)},
		{"act-restart-choice", ActPage(NewActChoice(store.VerbRestart, failing, StoryTime))},
		{"act-acknowledge", act(store.Plan{Action: store.Action{Verb: store.VerbAcknowledge, Ref: failing.Ref}}, form, "")},
		{"act-done", DonePage(NewDoneModel(store.VerbDelete, failing.Ref, store.Outcome{ID: 42, Steps: storyPlan(store.VerbDelete, failing).Steps[:2], Waits: store.Sentence("Waits for Velero to take its finalizer off StatefulSet runners-eu/workflow-engine, for " + store.For(ago(12*time.Second)) + "."), Left: storyPlan(store.VerbDelete, failing).Stays}, StoryTime))},
		{"act-bulk-menu", BulkMenuPage(NewBulkMenu(s.Select(store.Filter{}), store.Filter{}, StoryTime))},
		{"act-bulk", storyBulk(store.VerbDisable, false)},
		{"act-bulk-delete", storyBulk(store.VerbDelete, false)},
		{"act-bulk-done", storyBulk(store.VerbDisable, true)},
		{"acted-fleet", actingPage(FleetPage, s)},
		{"acted-runner", actingRunnerPage(s, night)},
		{"acted-runner-going", actingRunnerPage(s, actingRunner(s, "k8s-runner-7"))},
		{"acted-runner-failing", actingRunnerPage(s, actingRunner(s, failing.Ref.Name))},
		{"acted-failures", storyFailures(s)},
		{"acted-board", BoardPage(NewBoardModel(s, StoryTime))},
		{"audit", AuditPage(NewAuditModel(s, store.EntryFilter{}, storyEntries(failing.Ref), true, "", StoryTime))},
		{"audit-none", AuditPage(NewAuditModel(s, store.EntryFilter{By: "nobody"}, nil, false, "", StoryTime))},
	}
}

func actingPage(page func(FleetModel) templ.Component, s *store.Snapshot) templ.Component {
	m := NewFleetModel(s, store.Filter{}, StoryTime)
	m.Frame.Acts = true
	return page(m)
}

func actingRunnerPage(s *store.Snapshot, r *store.Runner) templ.Component {
	m := NewRunnerModel(s, r, storyEvents(r), StoryTime)
	m.Frame.Acts = true
	return RunnerPage(m)
}

func storyWork(r *store.Runner) (out []store.Workload) {
	for _, name := range []string{"session-7c1f", "session-90ab", "nightly-benchmark-of-everything-that-can-be-measured-5d7"} {
		out = append(out, store.Workload{Namespace: r.Ref.Namespace, Name: name, UID: name, Verdict: well(), Phase: "Running", Node: "worker-3", Created: ago(time.Hour)})
	}
	return out
}

func storyBulk(v store.Verb, done bool) templ.Component {
	var items []BulkItem
	for i, r := range storyHealthy(5) {
		it := BulkItem{Runner: r, Plan: storyPlan(v, r), Chosen: true}
		it.Plan.Action.Key, it.Plan.Steps = "KEY", it.Plan.Steps[:1]
		switch {
		case i == 2:
			it.Plan.Traps = []store.Trap{storyArgo}
		case i == 3 && !done:
			it.Plan.Traps = []store.Trap{storyVerb}
		case i == 3:
			it.Problem = "the board may not patch deployments/scale in runners-eu"
		}
		if done && i != 3 {
			it.Outcome = &store.Outcome{ID: int64(i), Steps: it.Plan.Steps}
		}
		items = append(items, it)
	}
	return BulkPage(NewBulkModel(v, store.Filter{Namespaces: []string{"runners-eu"}}, false, items, 0, ActForm{Key: "KEY"}, "", StoryTime))
}

func storyEntries(ref store.Ref) []store.Entry {
	ada := store.Person{Name: "ada@example.com", Role: store.Operator, Via: store.ViaOIDC}
	bot := store.Person{Name: "deploy-bot", Role: store.Operator, Via: store.ViaToken, Token: "t-7f3a"}
	entry := func(id int64, at time.Duration, by store.Person, verb store.Verb, note, before, after, result, problem string) store.Entry {
		return store.Entry{ID: id, At: ago(at), By: by, Verb: string(verb), Ref: ref, Note: note, Before: before, After: after, Result: result, Problem: problem}
	}
	return []store.Entry{
		entry(47, 2*time.Second, ada, store.VerbDelete, "replaced by kubiya-eu-9", "", "", "", ""),
		entry(46, 9*time.Minute, ada, store.VerbDisable, "node pool upgrade, see CHG-2231", "5 replicas", "0 replicas, back at 18:34 UTC", store.ResultDone, ""),
		entry(45, 40*time.Minute, bot, store.VerbRestart, "", "", "", store.ResultFailed, "the API server refused the patch (409): the object was changed by helm meanwhile"),
		entry(44, 2*time.Hour, store.Person{Name: "eve", Role: store.Operator, Via: store.ViaProxy}, store.VerbDelete, "", "", "", store.ResultRefused, "the name typed is not the runner's"),
		{ID: 43, At: ago(26 * time.Hour), By: ada, Verb: "token-create", Object: "token t-7f3a (operator)", Result: store.ResultDone},
	}
}
