package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"trackside/handlers"
	"trackside/store"
)

// hands is an Actions made of functions, that does each key once as the real one does, and an Audit that holds what it is given.
type hands struct {
	mu      sync.Mutex
	plan    func(store.Action) (store.Plan, error)
	do      func(store.Action) (store.Outcome, error)
	done    map[string]store.Outcome
	actions []store.Action // those that were done
	entries []store.Entry
	asked   []store.EntryFilter
	err     error
}

func (h *hands) Plan(_ context.Context, a store.Action) (store.Plan, error) {
	if h.plan == nil {
		return store.Plan{Action: a, Steps: []store.Effect{{Object: store.Object{Kind: "Deployment", Namespace: "runners-eu", Name: "agent"}, Before: "2 replicas", After: "0 replicas"}}}, nil
	}
	return h.plan(a)
}

func (h *hands) Do(_ context.Context, a store.Action) (store.Outcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if out, ok := h.done[a.Key]; ok {
		out.Repeated = true
		return out, nil
	}
	out := store.Outcome{ID: int64(len(h.actions) + 1)}
	if h.do != nil {
		var err error
		if out, err = h.do(a); err != nil {
			return out, err
		}
	}
	if h.done == nil {
		h.done = map[string]store.Outcome{}
	}
	h.done[a.Key] = out
	h.actions = append(h.actions, a)
	return out, nil
}

func (h *hands) Enter(context.Context, store.Entry) (int64, error) { return 0, nil }

func (h *hands) Entries(_ context.Context, f store.EntryFilter, limit int) (out []store.Entry, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, f)
	for _, e := range h.entries {
		if (f.Before == 0 || e.ID < f.Before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, h.err
}

const alpha = "/runners/eu/kubiya/runners-eu/alpha"

// acting is a board that can act.
func acting(t *testing.T, h *hands, rs ...*store.Runner) string {
	t.Helper()
	o := options(io.Discard)
	if len(rs) == 0 {
		r := someRunner()
		r.Incarnation = "uid-1"
		rs = []*store.Runner{r}
	}
	o.Live = store.NewLive(store.NewSnapshot(rs, []store.Source{{Cluster: "eu", Name: "Kubernetes API", State: store.SourceLive, Heard: time.Now()}}, time.Now()))
	if h != nil {
		o.Actions, o.Audit = h, h
	}
	s, _ := start(t, o)
	return s.URL()
}

// send sends a form as a browser does; with script, as a script of the page.
func send(t *testing.T, to string, form url.Values, script bool) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept", "text/html")
	if script {
		req.Header.Set("Datastar-Request", "true")
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res, string(b)
}

// formOf fetches the form of an action, as it is filled in when it comes.
func formOf(t *testing.T, at string) (form url.Values, page *goquery.Document) {
	t.Helper()
	res, body := ask(t, http.MethodGet, at, "Accept", "text/html")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %.300s", at, res.StatusCode, body)
	}
	return fields(t, body)
}

func fields(t *testing.T, body string) (form url.Values, page *goquery.Document) {
	t.Helper()
	page, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	form = url.Values{}
	page.Find("form.deed input, form.deed select").Each(func(_ int, el *goquery.Selection) {
		name, value := el.AttrOr("name", ""), el.AttrOr("value", "")
		kind := el.AttrOr("type", "")
		_, checked := el.Attr("checked")
		if el.Is("select") {
			value = el.Find("option[selected]").AttrOr("value", "")
		}
		if kind != "radio" && kind != "checkbox" || checked {
			form.Add(name, value)
		}
	})
	return form, page
}

func TestNothingActsOnGet(t *testing.T) {
	h := &hands{}
	site := acting(t, h)
	for _, v := range store.Verbs() {
		for _, path := range []string{alpha + "/actions/" + string(v) + "?key=k&note=n&for=1h&mode=now&confirm=alpha&target=x", "/actions/" + string(v) + "?key=k&note=n&for=1h&ref=" + url.QueryEscape(alpha)} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if res, body := ask(t, method, site+path); res.StatusCode >= 500 {
					t.Errorf("%s %s: %d %s", method, path, res.StatusCode, body)
				}
			}
		}
	}
	if len(h.actions) > 0 {
		t.Errorf("done on GET: %+v", h.actions)
	}
}

func TestAFormSentFiveTimesIsOneAction(t *testing.T) {
	for _, script := range []bool{false, true} {
		h := &hands{}
		site := acting(t, h)
		form, page := formOf(t, site+alpha+"/actions/disable")
		if form.Get("key") == "" || form.Get("incarnation") != "uid-1" || form.Get("for") != "4h" || form.Get("mode") != "drain" || !strings.Contains(page.Find(".steps").Text(), "2 replicas") {
			t.Fatalf("the form is %v", form)
		}
		form.Set("note", "upgrade")
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				res, body := send(t, site+alpha+"/actions/disable", form, script)
				if script && (res.StatusCode != 200 || !strings.HasPrefix(body, `<div id="deed"`)) {
					t.Errorf("a script gets %d %.200s", res.StatusCode, body)
				}
				if !script && (res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != alpha+"?did=1") {
					t.Errorf("a person gets %d %q", res.StatusCode, res.Header.Get("Location"))
				}
			})
		}
		wg.Wait()
		if len(h.actions) != 1 {
			t.Fatalf("done %d times", len(h.actions))
		}
		a := h.actions[0]
		if a.Verb != store.VerbDisable || a.Note != "upgrade" || !a.Drain || a.Incarnation != "uid-1" || a.By.Name != "anonymous" || a.Until.Sub(a.At) != 4*time.Hour || a.Ref.Name != "alpha" {
			t.Errorf("%+v", a)
		}
	}
}

func TestEveryVerbIsReadFromItsForm(t *testing.T) {
	for _, c := range []struct {
		verb  store.Verb
		query string
		fill  url.Values
		want  func(store.Action) bool
	}{
		{store.VerbDisable, "", url.Values{"note": {"x"}, "for": {"open"}, "mode": {"now"}}, func(a store.Action) bool { return a.Until.IsZero() && !a.Drain }},
		{store.VerbDisable, "", url.Values{"note": {"x"}, "for": {"7d"}}, func(a store.Action) bool { return a.Until.Sub(a.At) == store.MaxDisabled }},
		{store.VerbEnable, "", nil, func(a store.Action) bool { return a.Until.IsZero() }},
		{store.VerbDelete, "", url.Values{"confirm": {"alpha"}}, func(a store.Action) bool { return a.Confirm == "alpha" }},
		{store.VerbRestart, "?target=agent+x", nil, func(a store.Action) bool { return a.Target == "agent x" }},
		{store.VerbDeleteWorkload, "?target=ns%2Fpod", nil, func(a store.Action) bool { return a.Target == "ns/pod" }},
		{store.VerbProbe, "", nil, func(a store.Action) bool { return a.Target == "" }},
		{store.VerbAcknowledge, "", url.Values{"note": {"looking"}}, func(a store.Action) bool { return a.Note == "looking" }},
	} {
		h := &hands{}
		site := acting(t, h)
		form, _ := formOf(t, site+alpha+"/actions/"+string(c.verb)+c.query)
		maps.Copy(form, c.fill)
		res, body := send(t, site+alpha+"/actions/"+string(c.verb), form, false)
		if res.StatusCode != http.StatusSeeOther || len(h.actions) != 1 || h.actions[0].Verb != c.verb || !c.want(h.actions[0]) {
			t.Errorf("%s: %d %+v %.300s", c.verb, res.StatusCode, h.actions, body)
		}
	}
}

// A form holds what was looked at and when: the pod by its UID, so that another which takes its name is not meant.
func TestAFormIsAboutWhatWasLookedAt(t *testing.T) {
	h, r, begin := &hands{}, someRunner(), time.Now().Truncate(time.Millisecond)
	r.Workloads = []store.Workload{{Namespace: "ns", Name: "pod-0", UID: "u1"}}
	site := acting(t, h, r)
	to := site + alpha + "/actions/delete-workload"
	form, page := formOf(t, to+"?target=ns%2Fpod-0")
	if got := page.Find("#deed-title").Text(); got != "Delete workload ns/pod-0" {
		t.Errorf("the heading is %q", got)
	}
	if res, _ := send(t, to, form, false); res.StatusCode != http.StatusSeeOther || len(h.actions) != 1 || h.actions[0].Target != "ns/pod-0/u1" || h.actions[0].Looked.Before(begin) || h.actions[0].Looked.After(time.Now()) {
		t.Errorf("%d %+v", res.StatusCode, h.actions)
	}
	h.do = func(store.Action) (store.Outcome, error) {
		return store.Outcome{}, fmt.Errorf("%w: it was made anew", store.ErrConflict)
	}
	form.Set("key", "other")
	form.Set("target", "ns/pod-0/u0")
	form.Set("looked", "1")
	res, body := send(t, to, form, false)
	if again, _ := fields(t, body); res.StatusCode != http.StatusConflict || again.Get("target") != "ns/pod-0/u1" || len(again.Get("looked")) < 10 {
		t.Errorf("after a conflict: %d, the form came back as %v", res.StatusCode, again)
	}
	for _, looked := range []string{"x", "-1", "99999999999999999999"} {
		form.Set("looked", looked)
		if res, _ := send(t, to, form, false); res.StatusCode != http.StatusBadRequest {
			t.Errorf("looked %q: %d", looked, res.StatusCode)
		}
	}
}

// ended is the error of an action whose entry in the audit has its end.
type ended struct{ error }

// Unwrap returns what it wraps.
func (e *ended) Unwrap() error { return e.error }

func TestWhatIsWrongIsSaidInTheFormAndNothingTypedIsLost(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		fill   url.Values
		status int
		says   string
		newKey bool
	}{
		{"no note", nil, url.Values{"note": {" "}}, 400, "needs a note", true},
		{"no such time", nil, url.Values{"note": {"kept"}, "for": {"2w"}}, 400, "15m, 1h", true},
		{"no such mode", nil, url.Values{"note": {"kept"}, "mode": {"softly"}}, 400, "drain or now", true},
		{"conflict", fmt.Errorf("%w: the runner was made anew 3 s ago", store.ErrConflict), url.Values{"note": {"kept"}}, 409, "The runner was made anew 3 s ago.", true},
		{"forbidden", fmt.Errorf("disabling alpha: %w: the board may not patch deployments/scale", store.ErrForbidden), url.Values{"note": {"kept"}}, 403, "The board may not patch deployments/scale.", true},
		{"under way", fmt.Errorf("%w: disabling alpha is under way", store.ErrUnavailable), url.Values{"note": {"kept"}}, 503, "Disabling alpha is under way.", false},
		{"unavailable", &ended{fmt.Errorf("%w: the API server does not answer", store.ErrUnavailable)}, url.Values{"note": {"kept"}}, 503, "The API server does not answer.", true},
		{"a bug", errors.New("secret text"), url.Values{"note": {"kept"}}, 500, "Something failed inside Trackside", true},
	} {
		for _, script := range []bool{false, true} {
			h := &hands{do: func(store.Action) (out store.Outcome, _ error) {
				if _, ok := errors.AsType[*ended](c.err); ok {
					out.ID = 7
				}
				return out, c.err
			}}
			site := acting(t, h)
			form, _ := formOf(t, site+alpha+"/actions/disable")
			maps.Copy(form, c.fill)
			res, body := send(t, site+alpha+"/actions/disable", form, script)
			if want := map[bool]int{false: c.status, true: 200}[script]; res.StatusCode != want {
				t.Errorf("%s, script %t: %d, not %d", c.name, script, res.StatusCode, want)
			}
			again, page := fields(t, body)
			if got := page.Find(".problem").Text(); !strings.Contains(got, c.says) {
				t.Errorf("%s: it says %q in %.400s", c.name, got, body)
			}
			if again.Get("note") != strings.TrimSpace(form.Get("note")) || (again.Get("key") == form.Get("key")) == c.newKey || again.Get("key") == "" {
				t.Errorf("%s: the form came back as %v", c.name, again)
			}
			if len(h.actions) > 0 || strings.Contains(body, "secret text") {
				t.Errorf("%s: done, or told too much", c.name)
			}
		}
	}
}

func TestDeleteWantsTheNameTyped(t *testing.T) {
	h := &hands{}
	site := acting(t, h)
	form, _ := formOf(t, site+alpha+"/actions/delete")
	for _, typed := range []string{"", "Alpha", "alpha ", "eu/kubiya/runners-eu/alpha"} {
		form.Set("confirm", typed)
		if res, body := send(t, site+alpha+"/actions/delete", form, false); res.StatusCode != 400 || !strings.Contains(body, "type its name") {
			t.Errorf("%q: %d", typed, res.StatusCode)
		}
	}
	if len(h.actions) > 0 {
		t.Error("deleted")
	}
}

func TestTrapsAreToldAndWhatBlocksDisablesTheButton(t *testing.T) {
	h := &hands{plan: func(a store.Action) (store.Plan, error) {
		return store.Plan{Action: a, Traps: []store.Trap{{Code: "argo", Why: "Argo CD will set it back."}, {Code: "rbac", Why: `The board lacks <b>patch</b>.`, Blocks: true}},
			Stays: []store.Object{{Kind: "Secret", Namespace: "runners-eu", Name: "regcred"}}}, nil
	}}
	_, page := formOf(t, acting(t, h)+alpha+"/actions/delete")
	if got := page.Find(".traps li").First().Text(); !strings.Contains(got, "blocks") || !strings.Contains(got, "<b>patch</b>") {
		t.Errorf("first is told %q", got)
	}
	if page.Find("form.deed button[disabled]").Length() != 1 || page.Find("form.deed button:not([disabled])").Length() != 0 {
		t.Error("it can be pressed")
	}
	if got := page.Find("form.deed button").Text(); got != "Delete alpha: not possible now" {
		t.Errorf("the button says %q", got)
	}
	if !strings.Contains(page.Find("#deed").Text(), "Secret runners-eu/regcred") {
		t.Error("what stays is not told")
	}
}

func TestTheButtonSaysThatARightIsMissing(t *testing.T) {
	h := &hands{plan: func(a store.Action) (store.Plan, error) {
		return store.Plan{Action: a, Traps: []store.Trap{{Code: store.TrapForbidden, Why: "The board may not patch deployments in namespace ci.", Blocks: true}}}, nil
	}}
	_, page := formOf(t, acting(t, h)+alpha+"/actions/disable")
	if got := page.Find("form.deed button[disabled]").Text(); got != "Disable: a right is missing" {
		t.Errorf("the button says %q", got)
	}
}

func TestAReadOnlyBoardOffersNothingAndRefuses(t *testing.T) {
	site := acting(t, nil)
	for _, path := range []string{"/", alpha} {
		if _, body := ask(t, http.MethodGet, site+path); strings.Contains(body, "data-act") || strings.Contains(body, "/actions") {
			t.Errorf("%s offers actions", path)
		}
	}
	for _, path := range []string{alpha + "/actions", alpha + "/actions/disable", "/actions", "/actions/disable"} {
		if res, body := ask(t, http.MethodGet, site+path); res.StatusCode != 403 || !strings.Contains(body, "--read-only") {
			t.Errorf("GET %s: %d", path, res.StatusCode)
		}
	}
	for _, path := range []string{alpha + "/actions/disable", "/actions/disable"} {
		if res, _ := send(t, site+path, url.Values{"key": {"k"}, "note": {"n"}, "for": {"1h"}, "mode": {"now"}, "ref": {alpha}}, false); res.StatusCode != 403 {
			t.Errorf("POST %s: %d", path, res.StatusCode)
		}
	}
	if res, _ := ask(t, http.MethodGet, site+"/audit"); res.StatusCode != 404 {
		t.Errorf("/audit: %d", res.StatusCode)
	}
}

func TestWhoMayAct(t *testing.T) {
	for _, r := range routes(&handlers.Handlers{}, nil) {
		if !strings.Contains(r.Path, "/actions") && r.Path != "/audit" {
			continue
		}
		want := store.Viewer
		if r.Acts || r.Path == "/audit" {
			want = store.Operator
		}
		if r.Need != want || r.Acts != slices.Contains(r.Methods, http.MethodPost) {
			t.Errorf("%v %s takes %s", r.Methods, r.Path, r.Need)
		}
	}
	res, body := ask(t, http.MethodPost, acting(t, &hands{})+alpha+"/actions/disable", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if res.StatusCode != 403 || !strings.Contains(body, "another site") {
		t.Errorf("another site's: %d", res.StatusCode)
	}
}

func TestAddressesOfActionsThatMeanNothing(t *testing.T) {
	site := acting(t, &hands{})
	for path, want := range map[string]int{alpha + "/actions/explode": 400, alpha + "/actions/%ff%0a": 400, "/runners/eu/kubiya/runners-eu/beta/actions/disable": 404, "/runners/eu/kubiya/runners-eu/beta/actions": 404,
		"/actions/restart": 400, "/actions/disable?health=sick": 400, "/actions/disable?dead=1": 400, "/actions/explode": 400, "/actions/delete?dead=1": 200, alpha + "/actions/restart": 200} {
		if res, body := ask(t, http.MethodGet, site+path, "Accept", "text/html"); res.StatusCode != want {
			t.Errorf("%s: %d %.200s", path, res.StatusCode, body)
		}
		res, body := ask(t, http.MethodGet, site+path, "Datastar-Request", "true")
		if res.StatusCode != 200 || !strings.HasPrefix(body, `<div id="deed"`) {
			t.Errorf("a script gets %s: %d %.100s", path, res.StatusCode, body)
		}
	}
}

func TestHostileRunnersCanBeActedOn(t *testing.T) {
	for _, ref := range []store.Ref{{Cluster: "gke/eu-1", System: "kubiya", Namespace: "a b", Name: "x%2Fy"}, {Cluster: "c:d", System: "kubiya", Namespace: "", Name: "actions"},
		{Cluster: "%", System: "kubiya", Namespace: "é☃", Name: `"><script>alert(1)</script>`}, {Cluster: "?#", System: "kubiya", Namespace: "..", Name: "a;b&c=d+e"}} {
		r := someRunner()
		r.Ref, r.Incarnation = ref, `"#&`
		h := &hands{}
		site := acting(t, h, r)
		form, page := formOf(t, site+ref.Path()+"/actions/delete")
		if page.Find("script:not([src])").Length() > 0 {
			t.Errorf("%s: a script", ref)
		}
		form.Set("confirm", ref.Name)
		action, _ := page.Find("form.deed").Attr("action")
		if res, body := send(t, site+action, form, false); res.StatusCode != http.StatusSeeOther || len(h.actions) != 1 || h.actions[0].Ref != ref || h.actions[0].Incarnation != `"#&` {
			t.Errorf("%s: %d %+v %.300s", ref, res.StatusCode, h.actions, body)
		}
		many, _ := formOf(t, site+"/actions/probe")
		if res, body := send(t, site+"/actions/probe", many, false); res.StatusCode != 200 || len(h.actions) != 2 || h.actions[1].Ref != ref || h.actions[1].Incarnation != `"#&` {
			t.Errorf("%s among several: %d %+v %.300s", ref, res.StatusCode, h.actions, body)
		}
	}
}
