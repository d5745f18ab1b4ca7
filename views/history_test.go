package views

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"trackside/store"
)

// pulled are n workloads that cannot pull one image, each of a runner of its own.
func pulled(n int, image string, at time.Time) (out []store.Evidence) {
	for i := range n {
		r := storyHealthy(n)[i]
		e := store.Evidence{Ref: r.Ref, Namespace: r.Ref.Namespace, Name: "agent-6c9f7d5b8-x2x7k", UID: "uid" + image + string(rune('a'+i)), Component: "agent", At: at, Image: image, Node: "worker-3",
			Fingerprint: "# unauthorized", Verdict: store.Verdict{Health: store.Unhealthy, Reason: store.ImagePullFailed, Raw: "ImagePullBackOff", Message: "401 Unauthorized", Container: "agent", Why: "agent cannot pull its image."},
			Proof: store.Proof{PullSecrets: []string{"regcred"}}}
		e.Identify()
		out = append(out, e)
	}
	return out
}

// failingWith is a fleet in which the workloads of some evidence still fail.
func failingWith(evidence ...store.Evidence) *store.Snapshot {
	var runners []*store.Runner
	for _, e := range evidence {
		r := storyRunnerNamed(e.Ref.Cluster, e.Ref.System, e.Ref.Namespace, e.Ref.Name, "1", "agent")
		r.Components[0].Verdict = e.Verdict
		r.Workloads = []store.Workload{{Namespace: e.Namespace, Name: e.Name, UID: e.UID, Component: "agent", Verdict: e.Verdict}}
		runners = append(runners, r)
	}
	return store.NewSnapshot(runners, []store.Source{liveSource("prod")}, StoryTime)
}

func TestTwelveWorkloadsOneCause(t *testing.T) {
	past := pulled(12, "registry.acme.example/agent:v2", ago(time.Hour))
	other := pulled(1, "registry.acme.example/other:v1", ago(2*time.Hour))
	s := failingWith(past[:5]...)
	d := parse(t, render(t, FailuresPage(NewFailuresModel(s, FailuresQuery{Since: defaultSince}, append(past, other...), false, "", StoryTime))))
	causes := d.Find("#g-image_pull_failed article.cause")
	if causes.Length() != 2 {
		t.Fatalf("%d causes", causes.Length())
	}
	first := causes.First()
	text := strings.Join(strings.Fields(first.Text()), " ")
	for _, want := range []string{"12 workloads, one cause", "5 now", "image registry.acme.example/agent:v2", "The registry said 401", "Check the pull secret regcred in namespace", "4 more failures of this cause"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if n := first.Find("li").Length(); n != maxMembers {
		t.Errorf("%d members", n)
	}
	if n := first.Find("li.u").Length(); n != 5 {
		t.Errorf("%d members fail now", n)
	}
	if href := first.Find("li > a").First().AttrOr("href", ""); !slices.ContainsFunc(past, func(e store.Evidence) bool { return href == "/failures/"+e.ID }) {
		t.Errorf("link %q", href)
	}
	if got := d.Find("#summary").Text(); got != "5 of 13 failures go on now." {
		t.Errorf("summary %q", got)
	}
	if d.Find(`header .pages a[href="/failures"][aria-current="page"]`).Length() != 1 {
		t.Error("the page is not marked in the header")
	}
}

// What fails is there without evidence too: the disk may be away.
func TestPresentFailuresNeedNoEvidence(t *testing.T) {
	e := pulled(1, "x:1", ago(time.Minute))[0]
	m := NewFailuresModel(failingWith(e), FailuresQuery{Since: defaultSince}, nil, false, "It cannot be read.", StoryTime)
	d := parse(t, render(t, FailuresPage(m)))
	li := d.Find(".cause li")
	if li.Length() != 1 || li.Find("a").First().AttrOr("href", "") != e.Ref.Path() || !li.HasClass("u") || !strings.Contains(d.Find(".note").Text(), "It cannot be read.") {
		t.Errorf("%s", d.Find("main").Text())
	}
	q := FailuresQuery{Since: defaultSince, Filter: store.FailureFilter{Reasons: []store.Reason{store.CrashLoop}}}
	if m = NewFailuresModel(failingWith(e), q, nil, false, "", StoryTime); len(m.groups) != 0 {
		t.Error("the filter does not hold for the present")
	}
	if m = NewFailuresModel(failingWith(), FailuresQuery{Since: defaultSince}, nil, false, "", StoryTime); m.summary != "Nothing failed." {
		t.Errorf("summary %q", m.summary)
	}
}

func TestCauses(t *testing.T) {
	for want, e := range map[string]store.Evidence{
		"image x:1":       {Image: "x:1", Fingerprint: "f", Verdict: store.Verdict{Reason: store.ImagePullFailed}},
		"message f":       {Image: "x:1", Node: "n", Fingerprint: "f", Verdict: store.Verdict{Reason: store.CrashLoop}},
		"node n":          {Image: "x:1", Node: "n", Fingerprint: "f", Verdict: store.Verdict{Reason: store.RuntimeLost, Raw: "Evicted"}},
		"message g":       {Node: "n", Fingerprint: "g", Verdict: store.Verdict{Reason: store.RuntimeLost, Raw: "Gone"}},
		"said Unknown":    {Verdict: store.Verdict{Reason: store.StartFailed, Raw: "Unknown"}},
		"said nothing":    {},
		"message no node": {Fingerprint: "no node", Verdict: store.Verdict{Reason: store.RuntimeLost, Raw: "NodeLost"}},
	} {
		if kind, cause := causeOf(&e); kind+" "+cause != want {
			t.Errorf("%s %s, want %s", kind, cause, want)
		}
	}
}

func TestFailuresQuery(t *testing.T) {
	for in, want := range map[string]string{
		"": "/failures", "since=24h": "/failures", "since=7d": "/failures?since=7d", "reason=": "/failures",
		"reason=crashloop,start_failed&namespace=b&namespace=a&since=1h&q=ignored": "/failures?namespace=a&namespace=b&reason=crashloop&reason=start_failed&since=1h",
		"cluster=c%2Fd&system=agyn": "/failures?cluster=c%2Fd&system=agyn",
	} {
		v, err := url.ParseQuery(in)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParseFailures(v)
		if err != nil || q.URL() != want {
			t.Errorf("%q: %q, %v; want %q", in, q.URL(), err, want)
		}
	}
	for _, in := range []url.Values{{"since": {"2d"}}, {"reason": {"bad"}}, {"since": {"<script>"}}} {
		if _, err := ParseFailures(in); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: %v", in, err)
		}
	}
}

func TestFailuresForm(t *testing.T) {
	q := FailuresQuery{Since: time.Hour, Filter: store.FailureFilter{Reasons: []store.Reason{store.CrashLoop}, Namespaces: []string{"nobody's"}}}
	d := parse(t, render(t, FailuresPage(NewFailuresModel(failingWith(pulled(3, "x", StoryTime)...), q, nil, false, "", StoryTime))))
	form := d.Find(".choices form")
	if form.Find(`input[name="since"][value="1h"]`).Length() != 1 || form.Find(`input[name="reason"][value="crashloop"]`).Length() != 1 ||
		form.Find(`select[name="namespace"] option[selected]`).AttrOr("value", "") != "nobody's" || form.Find(`select[name="cluster"] option[value="prod"]`).Length() != 1 {
		t.Error("the form loses the filter")
	}
	if got := d.Find(".choices .chip").AttrOr("href", ""); got != "/failures?reason=crashloop&since=1h" {
		t.Errorf("the chip leads to %q", got)
	}
	if got := d.Find(`body[data-stream]`).AttrOr("data-stream", "none"); got != "none" {
		t.Errorf("a page that is not live has the stream %q", got)
	}
	m := NewFailuresModel(failingWith(), q, nil, false, "", StoryTime)
	if got := m.StreamURL(); got != "/failures/stream?namespace=nobody%27s&reason=crashloop&since=1h" {
		t.Errorf("stream %q", got)
	}
}

// Every reason has its words whatever is said, and no word is left to be filled in.
func TestEveryFailureIsExplained(t *testing.T) {
	raws := map[string]bool{"": true, "Unheard": true}
	said := map[string]bool{"": true}
	for _, r := range rules {
		for _, x := range r.raws {
			raws[x] = true
		}
		for _, x := range r.says {
			said[x] = true
		}
	}
	for _, reason := range append(store.Reasons(), store.NoReason) {
		for raw := range raws {
			for text := range said {
				for _, e := range []store.Evidence{{}, *storyEvidence()} {
					e.Verdict.Reason, e.Verdict.Raw, e.Verdict.Message = reason, raw, text
					x := explain(&e)
					if x.Means == "" || x.Next == "" || strings.ContainsAny(x.Means+x.Next, "{}") {
						t.Fatalf("%s, %s, %q: %+v", reason, raw, text, x)
					}
				}
			}
		}
		if reasonMeans(reason) == "" || reasonTitle(reason) == "" {
			t.Errorf("%s has no words", reason)
		}
	}
}

func TestExplanations(t *testing.T) {
	image := "registry.acme.example/not-found/agent:401"
	for _, c := range []struct {
		name    string
		reason  store.Reason
		raw     string
		message string
		want    string
	}{
		{"401", store.ImagePullFailed, "ImagePullBackOff", "pulling " + image + ": 401 Unauthorized", "The registry said 401"},
		{"the image's name is not what was said", store.ImagePullFailed, "ErrImagePull", image + ": x509: certificate signed by unknown authority", "does not trust"},
		{"404", store.ImagePullFailed, "ErrImagePull", "manifest unknown", "no such image or tag"},
		{"network", store.ImagePullFailed, "ErrImagePull", "dial tcp: lookup registry: no such host", "cannot reach the registry"},
		{"limit", store.ImagePullFailed, "ErrImagePull", "toomanyrequests: limit", "429"},
		{"secret", store.ConfigInvalid, "CreateContainerConfigError", `secret "agent-credentials" not found`, "needs a Secret"},
		{"memory", store.CrashLoop, "CrashLoopBackOff", "last exit (OOMKilled, exit 137)", "more memory than its limit"},
		{"room", store.StartFailed, "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.", "No node has the room"},
		{"quota", store.StartFailed, "FailedCreate", "exceeded quota: compute", "quota has no room"},
		{"evicted", store.RuntimeLost, "Evicted", "The node was low on resource: memory", "ran short of memory or disk"},
		{"probe", store.NoReason, "ProbeFailed", "503", "does not answer Trackside's own health probe"},
		{"silence", store.RuntimeLost, store.RawSilent, "", "It reports itself, and has stopped"},
		{"a report refused", store.ConfigInvalid, "RegistrationRefused", "capacity is not a whole number", "what it says of itself is refused"},
		{"a token lost", store.ConfigInvalid, "CredentialMissing", "", "The token that the runner was declared with is lost"},
	} {
		e := store.Evidence{Image: image, Verdict: store.Verdict{Reason: c.reason, Raw: c.raw, Message: c.message}}
		if got := explain(&e); !strings.Contains(got.Means, c.want) {
			t.Errorf("%s: %q", c.name, got.Means)
		}
	}
	e := store.Evidence{Namespace: "runners-eu", Verdict: store.Verdict{Reason: store.ImagePullFailed, Message: "401"}, Proof: store.Proof{PullSecrets: []string{"regcred"}}}
	if got := explain(&e).Next; !strings.HasPrefix(got, "Check the pull secret `regcred` in namespace `runners-eu`") {
		t.Errorf("%q", got)
	}
	e.Proof = store.Proof{Containers: []store.ProofContainer{{Name: "agent"}}}
	if got := explain(&e).Next; !strings.Contains(got, "names none itself") {
		t.Errorf("%q", got)
	}
	e.Proof = store.Proof{} // nobody has looked what the pod names
	if got := explain(&e).Next; strings.Contains(got, "names none") || !strings.HasPrefix(got, "Check the pull secret of the pod") {
		t.Errorf("%q", got)
	}
}

func TestFailurePage(t *testing.T) {
	e := storyEvidence()
	d := parse(t, render(t, FailurePage(NewFailureModel(failingWith(*e), e, StoryTime))))
	text := strings.Join(strings.Fields(d.Find("main").Text()), " ")
	for _, want := range []string{"failing", "Crash loop", "agent keeps exiting", "kubectl --context prod logs", "terminated · Error · exit code 137", "5 restarts", "limits memory 1Gi", "BackOff Back-off restarting", "7 times",
		"worker-3, not ready (KubeletNotReady) since", "statefulset/agent", "regcred", "connecting to the control plane", "Ready", "What it means"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if d.Find("section.head").HasClass("x") || d.Find(".crumb a").Length() != 3 {
		t.Error("the head is wrong")
	}
	on := store.Acknowledgement{Ref: e.Ref, By: "Ada", Note: "a new token is coming", At: StoryTime}
	r, err := failingWith(*e).Runner(e.Ref)
	if err != nil {
		t.Fatal(err)
	}
	ill := *r
	ill.Verdict = e.Verdict
	failing := store.NewSnapshot([]*store.Runner{&ill}, []store.Source{liveSource("prod")}, StoryTime)
	acked, _ := store.Apply(failing, store.Touched{Acknowledged: &[]store.Acknowledgement{on}}, StoryTime)
	if got := parse(t, render(t, FailurePage(NewFailureModel(acked, e, StoryTime)))).Find("main").Text(); !strings.Contains(got, "Ada is on it: a new token is coming") {
		t.Errorf("it does not say who is on it: %s", got)
	}
	gone := parse(t, render(t, FailurePage(NewFailureModel(store.NewSnapshot(nil, nil, StoryTime), e, StoryTime))))
	if !gone.Find("section.head").HasClass("x") || !strings.Contains(gone.Find(".state").Text(), "no longer there") {
		t.Error("a failure of a runner that has gone is not over")
	}
}

// What only a source's word tells of has no events, no node and no pod that could have been looked at.
func TestAFailureThatIsOnlyTold(t *testing.T) {
	r := storyHealthy(1)[0]
	e := store.Evidence{Ref: r.Ref, Name: "task-7", UID: "task-7", At: ago(time.Hour), Node: "vm-17", Proof: store.Proof{Told: true, Phase: "lost"},
		Verdict: store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: store.RawSilent, Why: "Its runner stopped reporting.", Message: "step build starts"}}
	e.Identify()
	text := strings.Join(strings.Fields(parse(t, render(t, FailurePage(NewFailureModel(failingWith(e), &e, StoryTime)))).Find("main").Text()), " ")
	for _, want := range []string{"No pod was examined", "Workloadtask-7", "Wherevm-17", "step build starts", "It reports itself, and has stopped"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	for _, not := range []string{"None was there", "not scheduled", "Podtask-7", "Pod/"} {
		if strings.Contains(text, not) {
			t.Errorf("%q says %q", text, not)
		}
	}
}

// An attack in any field stays text.
func TestEvidenceIsHostile(t *testing.T) {
	for _, r := range storyHostile() {
		a := r.Ref.Name
		e := storyEvidence()
		e.Ref, e.Namespace, e.Name, e.Component, e.Image, e.Node, e.Fingerprint = r.Ref, a, a, a, a, a, a
		e.Verdict = r.Verdict
		e.Proof = store.Proof{Phase: a, Reason: a, Message: a, Owners: []string{a}, PullSecrets: []string{a}, RestartPolicy: a, RuntimeClass: a, Probe: a, Conditions: []store.ProofCondition{{Type: a, Status: a, Reason: a, Message: a}},
			Containers: []store.ProofContainer{{Name: a, Role: store.ContainerRole(a), Image: a, Limits: []string{a}, State: store.ProofState{State: a, Reason: a, Message: a}}}, Events: []store.ProofEvent{{Reason: a, Message: a, About: a}}, Node: &store.ProofNode{Name: a, Ready: a, Reason: a}}
		e.Logs = []store.Log{{Container: a, Text: a + "\n" + a}, {Container: a, Problem: a}}
		e.ID = a
		s := store.NewSnapshot([]*store.Runner{r}, nil, StoryTime)
		m := NewRunnerModel(s, r, []store.Event{{Component: a, Workload: a, Verdict: r.Verdict, Kind: store.EventHealth, At: e.At}}, StoryTime)
		m.SetPast(Past{Uptime: map[string][]store.Account{"": nil, a: storyAccounts()}, Evidence: []store.Evidence{*e}})
		for name, html := range map[string]string{
			"failure":  render(t, FailurePage(NewFailureModel(s, e, StoryTime))),
			"failures": render(t, FailuresPage(NewFailuresModel(s, FailuresQuery{Since: defaultSince, Filter: store.FailureFilter{}}, []store.Evidence{*e}, false, "", StoryTime))),
			"runner":   render(t, RunnerPage(m)),
		} {
			d := parse(t, html)
			if d.Find("main script, main img, [onerror], [onmouseover], [style]").Length() > 0 || strings.Contains(html, "\r") || strings.ContainsAny(html, "\x00\x1b\u202e") {
				t.Errorf("%s: an attack of %.20q gets through", name, a)
			}
			d.Find("a").Each(func(_ int, l *goquery.Selection) {
				if h := l.AttrOr("href", ""); !strings.HasPrefix(h, "/") {
					t.Errorf("%s: link %.40q", name, h)
				}
			})
		}
	}
}

func TestUptimeTable(t *testing.T) {
	r := storyMix()[0]
	e := storyEvidence()
	e.Ref = r.Ref
	m := NewRunnerModel(store.NewSnapshot(nil, nil, StoryTime), r, nil, StoryTime)
	m.SetPast(Past{Uptime: map[string][]store.Account{"": storyAccounts(), r.Components[0].Name: storyAccounts(), "gone-component": nil}})
	d := parse(t, render(t, RunnerPage(m)))
	lines := d.Find("#uptime tbody tr")
	if lines.Length() != 2 {
		t.Fatalf("%d lines", lines.Length())
	}
	words := strings.Join(strings.Fields(lines.First().Text()), " ")
	for _, want := range []string{"the runner", "97.6 %", "2", "15 min", "not observed 8 h", "unhealthy 30 min"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q does not say %q", words, want)
		}
	}
	week := lines.First().Find("svg").Eq(1)
	if !strings.HasPrefix(week.AttrOr("aria-label", ""), "Last 7 days: unhealthy 30 min") || week.AttrOr("role", "") != "img" {
		t.Errorf("alternative %q", week.AttrOr("aria-label", ""))
	}
	heights := map[string]string{}
	week.Find("rect").Each(func(_ int, b *goquery.Selection) { heights[b.AttrOr("class", "")] = b.AttrOr("height", "") })
	if heights["u"] != "12" || heights["h"] != "4" || len(heights) != 2 {
		t.Errorf("bars %v", heights)
	}
	if d.Find("#uptime [style]").Length() > 0 {
		t.Error("a style stands in the page")
	}
}

// storyAccounts are 40 hours: healthy, a night that nobody saw, two failures.
func storyAccounts() []store.Account {
	start := StoryTime.Truncate(time.Hour).Add(-30 * time.Hour)
	whole := store.Account{Start: start, Hours: 20}
	whole.In[store.Healthy] = 20 * time.Hour
	night := store.Account{Start: start.Add(20 * time.Hour), Hours: 8, Unseen: 8 * time.Hour}
	bad := store.Account{Start: start.Add(28 * time.Hour), Hours: 1, Failures: 2, Recoveries: 2, Recovering: 30 * time.Minute}
	bad.In[store.Unhealthy], bad.In[store.Healthy] = 30*time.Minute, 30*time.Minute
	return []store.Account{whole, night, bad}
}

func TestPercentIsNeverRoundedUp(t *testing.T) {
	for share, want := range map[float64]string{1: "100 %", 0.999999: "99.99 %", 0.99999: "99.99 %", 0.99759: "99.75 %", 0.9876: "98.7 %", 0: "0.0 %"} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestLinksToEvidence(t *testing.T) {
	e := storyEvidence()
	s := failingWith(*e)
	r, err := s.Runner(e.Ref)
	if err != nil {
		t.Fatal(err)
	}
	history := []store.Event{{At: e.At, Kind: store.EventHealth, Ref: e.Ref, Component: "agent", Workload: e.Namespace + "/" + e.Name, To: "unhealthy", Verdict: e.Verdict},
		{At: e.At.Add(-time.Hour), Kind: store.EventHealth, Ref: e.Ref, Component: "agent", Workload: e.Namespace + "/" + e.Name, To: "unhealthy", Verdict: e.Verdict}}
	m := NewRunnerModel(s, r, history, StoryTime)
	m.SetPast(Past{Evidence: []store.Evidence{*e}})
	d := parse(t, render(t, RunnerPage(m)))
	for _, where := range []string{"#workloads", "#events"} {
		links := d.Find(where + " a.evidence")
		if links.Length() != 1 || links.AttrOr("href", "") != "/failures/"+e.ID {
			t.Errorf("%s has %d links", where, links.Length())
		}
	}
}
