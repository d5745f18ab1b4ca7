package views

import (
	"strings"
	"testing"
	"time"

	"trackside/store"
)

func TestWhoTookARunnerOutOfServiceIsTold(t *testing.T) {
	s := storyActing()
	at := func(name string) string {
		return parse(t, render(t, actingRunnerPage(s, actingRunner(s, name)))).Find(".head .out").Text()
	}
	if got := at("kubiya-eu-night"); !strings.Contains(got, "Taken out of service by ada@example.com") || !strings.Contains(got, "CHG-2231. It comes back by itself") {
		t.Errorf("a runner that is out says %q", got)
	}
	if got := at("k8s-runner-7"); !strings.Contains(got, "stays out until somebody enables it. Work that runs is let finish.") {
		t.Errorf("a runner that drains says %q", got)
	}
	if got := at("kubiya-eu-spare"); got != "" {
		t.Errorf("a runner that nobody marked says %q", got)
	}
	back := *actingRunner(s, "kubiya-eu-night")
	back.Requested, back.Observed = store.Enabled, store.Enabled
	if markParts(&back) != nil || shortMark(&back) != nil {
		t.Error("a mark outlives the time out of service")
	}
}

func TestWhatIsAskedForStandsBesideWhatIsSeen(t *testing.T) {
	s := storyActing()
	for name, want := range map[string]string{"k8s-runner-7": "disabling…", "gpu-batch-3": "enabling…", "kubiya-us-old": "deleting…"} {
		r := actingRunner(s, name)
		page := parse(t, render(t, actingRunnerPage(s, r))).Find(".head .moving")
		row := parse(t, "<table><tbody>"+render(t, RunnerRow(s, r, true))+"</tbody></table>").Find("td").First().Find("small")
		for _, el := range []string{page.Text(), row.Text()} {
			if !strings.HasPrefix(strings.TrimSpace(el), want) {
				t.Errorf("%s: %q", name, el)
			}
		}
		if got, _ := page.Find("time[data-for]").Attr("datetime"); got != iso(r.Asked) {
			t.Errorf("%s: since %q", name, got)
		}
	}
}

func TestSomebodyOnAFailureIsTold(t *testing.T) {
	s := storyActing()
	a := storyMix()[0].Ref
	r, err := s.Runner(a)
	if err != nil {
		t.Fatal(err)
	}
	for where, html := range map[string]string{
		"the runner's page": render(t, actingRunnerPage(s, r)), "the fleet": render(t, actingPage(FleetPage, s)),
		"the wall": render(t, BoardPage(NewBoardModel(s, StoryTime))), "the failures": render(t, storyFailures(s)),
	} {
		if !strings.Contains(parse(t, html).Find("main").Text(), "Ada is on it: the registry's token has run out") {
			t.Errorf("%s does not say who is on it", where)
		}
	}
	well := *r
	well.Health = store.Healthy
	if ackParts(s, &well) != nil {
		t.Error("it is told of a runner that is well")
	}
}

func TestActionsAreOfferedByStateAndOnlyWhereTheyWork(t *testing.T) {
	for _, c := range []struct {
		requested store.State
		health    store.Health
		want      string
	}{
		{store.Enabled, store.Healthy, "Disable…Probe now…Delete…"},
		{store.Disabled, store.Healthy, "Enable…Probe now…Delete…"},
		{store.Enabled, store.Unhealthy, "Acknowledge…Disable…Probe now…Delete…"},
		{store.Deleting, store.Unhealthy, "Delete…"},
	} {
		r := storyHealthy(1)[0]
		r.Requested, r.Health = c.requested, c.health
		s := store.NewSnapshot([]*store.Runner{r}, nil, StoryTime)
		m := NewRunnerModel(s, r, nil, StoryTime)
		m.Frame.Acts = true
		if got := parse(t, render(t, RunnerPage(m))).Find("nav.acts a").Text(); got != c.want {
			t.Errorf("%v, %v: %q", c.requested, c.health, got)
		}
		m.Frame.Acts = false
		if d := parse(t, render(t, RunnerPage(m))); d.Find(".acts, [data-act], dialog#act").Length() > 0 {
			t.Error("a board that cannot act offers to")
		}
	}
}

func TestTerms(t *testing.T) {
	for _, s := range []string{"15m", "1h", "4h", "8h", "1d", "3d", "7d", "open"} {
		d, ok := ParseTerm(s)
		if !ok || d != 0 && (d < store.MinDisabled || d > store.MaxDisabled) || (d == 0) != (s == "open") {
			t.Errorf("%s is %s, %t", s, d, ok)
		}
	}
	for _, s := range []string{"", "0", "2w", "4H", "-1h"} {
		if _, ok := ParseTerm(s); ok {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestAuditFiltersAreKept(t *testing.T) {
	f := store.EntryFilter{By: "a&b", Verb: "disable", Runner: `"><b>`, Text: "é", Cluster: "gke/eu", Since: StoryTime, Until: StoryTime.Add(time.Hour)}
	back, err := ParseAudit(EncodeAudit(f))
	if err != nil || back != f {
		t.Errorf("%+v %v", back, err)
	}
	d := checkMarkup(t, render(t, AuditPage(NewAuditModel(storyActing(), f, storyEntries(storyMix()[0].Ref), true, "", StoryTime))))
	if got := d.Find("tbody tr").Length(); got != 5 {
		t.Errorf("%d lines", got)
	}
	for i, want := range []string{"under way", "done", "failed", "refused", "done"} {
		if got := d.Find("tbody tr").Eq(i).Find("td i").Text(); got != want {
			t.Errorf("line %d is %q", i, got)
		}
	}
}

func TestHostileTextInADialogStaysText(t *testing.T) {
	for _, r := range storyHostile() {
		p := storyPlan(store.VerbDelete, r)
		p.Traps = []store.Trap{{Code: "x", Why: store.Sentence(r.Ref.Name), Blocks: true}}
		f := ActForm{Key: "k", Note: r.Ref.Name, Target: r.Ref.Name, Incarnation: r.Ref.Name, Confirm: "x"}
		checkMarkup(t, render(t, ActPage(NewActModel(p, r, f, "a problem", StoryTime))))
		checkMarkup(t, render(t, BulkPage(NewBulkModel(store.VerbDelete, store.Filter{}, false, []BulkItem{{Runner: r, Plan: p}}, 0, ActForm{Key: "k"}, "", StoryTime))))
		checkMarkup(t, render(t, DonePage(NewDoneModel(store.VerbDelete, r.Ref, store.Outcome{Steps: p.Steps, Waits: store.Sentence(r.Ref.Name)}, StoryTime))))
	}
}

func TestAPlanWithoutWorkSaysWhoseIsLeftOut(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"other", "Nothing runs on it now."},
		{store.TrapSharedNamespace, "Nothing runs now that is known to be its own."},
	} {
		p := store.Plan{Action: store.Action{Verb: store.VerbDelete}, Traps: []store.Trap{{Code: c.code, Why: "x."}}}
		if text := render(t, ActPage(NewActModel(p, nil, ActForm{}, "", StoryTime))); !strings.Contains(text, c.want) {
			t.Errorf("with trap %s it does not say %q", c.code, c.want)
		}
	}
}

// Only what can be rolled out anew is offered to be.
func TestOnlyWorkloadsOfTheClusterAreRestarted(t *testing.T) {
	for kind, want := range map[string]bool{"Deployment": true, "StatefulSet": true, "Pod": false, "CronJob": false, "": false} {
		r := storyHealthy(1)[0]
		r.Components = []store.Component{{Name: "agent", Kind: kind, Object: "agent", Image: "agent:1", Desired: 1, Ready: 1, Verdict: well()}}
		m := NewRunnerModel(store.NewSnapshot(nil, nil, StoryTime), r, nil, StoryTime)
		m.Frame.Acts = true
		if html := render(t, RunnerPage(m)); strings.Contains(html, "Restart…") != want {
			t.Errorf("the page offers to restart a %q: %t", kind, !want)
		}
		if html := render(t, ActMenuPage(NewActMenu(r, StoryTime))); strings.Contains(html, "Restart") != want {
			t.Errorf("the menu offers to restart a %q: %t", kind, !want)
		}
	}
}
