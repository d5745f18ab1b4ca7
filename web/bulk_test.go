package web

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"trackside/store"
)

// several are runners r0, r1 and so on; r3 is disabled, and r4 dead.
func several(n int) (rs []*store.Runner) {
	for i := range n {
		r := someRunner()
		r.Ref.Name, r.Incarnation = fmt.Sprintf("r%d", i), fmt.Sprintf("uid-%d", i)
		switch i {
		case 3:
			r.Requested, r.Observed = store.Disabled, store.Disabled
		case 4:
			r.Health, r.Reason, r.Since = store.Unhealthy, store.RuntimeLost, time.Now().Add(-48*time.Hour)
		}
		rs = append(rs, r)
	}
	return rs
}

func names(as []store.Action) (out []string) {
	for _, a := range as {
		out = append(out, a.Ref.Name)
	}
	slices.Sort(out)
	return out
}

func TestManyAreActedOnByTheirOwnKeys(t *testing.T) {
	h := &hands{plan: func(a store.Action) (p store.Plan, err error) {
		if a.Ref.Name == "r2" {
			p.Traps = []store.Trap{{Why: "The board may not.", Blocks: true}}
		}
		return p, nil
	}}
	site := acting(t, h, several(5)...)
	form, page := formOf(t, site+"/actions/disable?namespace=runners-eu")
	if got := page.Find("#deed-title").Text(); got != "Disable 4 runners" {
		t.Errorf("the heading is %q", got)
	}
	if n := len(form["ref"]); n != 3 || page.Find("[name=ref][disabled]").Length() != 1 {
		t.Fatalf("%d are chosen: %v", n, form["ref"])
	}
	form["ref"] = form["ref"][:2]
	form.Set("note", "upgrade")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if res, body := send(t, site+"/actions/disable?namespace=runners-eu", form, true); res.StatusCode != 200 || strings.Count(body, ">asked<") != 2 {
				t.Errorf("%d %.400s", res.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if len(h.actions) != 2 || h.actions[0].Key == h.actions[1].Key || h.actions[0].Incarnation == "" || h.actions[0].Note != "upgrade" || h.actions[0].Until.IsZero() {
		t.Errorf("%+v", h.actions)
	}
}

func TestWhatComesOfManyIsToldForEach(t *testing.T) {
	h := &hands{do: func(a store.Action) (store.Outcome, error) {
		switch a.Ref.Name {
		case "r1":
			return store.Outcome{}, fmt.Errorf("%w: it was made anew", store.ErrConflict)
		case "gone":
			return store.Outcome{}, fmt.Errorf("%w: there is no such runner", store.ErrNotFound)
		}
		return store.Outcome{}, nil
	}}
	site := acting(t, h, several(3)...)
	form, _ := formOf(t, site+"/actions/probe")
	form.Add("ref", "/runners/eu/kubiya/runners-eu/gone#uid")
	res, body := send(t, site+"/actions/probe", form, false)
	_, page := fields(t, body)
	if res.StatusCode != 200 || page.Find("#deed-title").Text() != "Probe now: asked of 2 of 4 runners" {
		t.Errorf("%d %q", res.StatusCode, page.Find("#deed-title").Text())
	}
	lines := page.Find(".lines").Text()
	if !strings.Contains(lines, "It was made anew.") || !strings.Contains(lines, "It is no longer there.") || page.Find(".result").Length() != 2 {
		t.Errorf("%s", lines)
	}
}

func TestManyAreDeletedByTypingTheirNumber(t *testing.T) {
	h := &hands{}
	site := acting(t, h, several(3)...)
	form, _ := formOf(t, site+"/actions/delete")
	form["ref"] = form["ref"][:2]
	form.Set("note", "kept")
	for _, typed := range []string{"", "3", "two", "2 runners"} {
		form.Set("confirm", typed)
		res, body := send(t, site+"/actions/delete", form, false)
		again, page := fields(t, body)
		if res.StatusCode != 400 || !strings.Contains(page.Find(".problem").Text(), "type the number 2") || again.Get("note") != "kept" || len(again["ref"]) != 2 {
			t.Errorf("%q: %d, the form came back as %v", typed, res.StatusCode, again)
		}
	}
	form.Set("confirm", "2")
	if res, _ := send(t, site+"/actions/delete", form, false); res.StatusCode != 200 || len(h.actions) != 2 || h.actions[0].Confirm != h.actions[0].Ref.Name {
		t.Errorf("%d %+v", res.StatusCode, h.actions)
	}
}

func TestCleaningUpTakesTheDeadOnly(t *testing.T) {
	h := &hands{}
	site := acting(t, h, several(6)...)
	form, page := formOf(t, site+"/actions/delete?dead=1")
	if page.Find("#deed-title").Text() != "Clean up 1 dead runner" || !strings.Contains(page.Find("#deed").Text(), "unhealthy for more than a day") {
		t.Errorf("%s", page.Find("#deed").Text())
	}
	form.Set("confirm", "1")
	if res, _ := send(t, site+"/actions/delete?dead=1", form, false); res.StatusCode != 200 || !slices.Equal(names(h.actions), []string{"r4"}) {
		t.Errorf("%d %v", res.StatusCode, names(h.actions))
	}
	_, menu := formOf(t, site+"/actions")
	var words []string
	menu.Find(".menu a").Each(func(_ int, a *goquery.Selection) { words = append(words, a.Text()) })
	if want := []string{"Disable 5 runners", "Enable 1 runner", "Probe now 6 runners", "Acknowledge 1 runner", "Delete 6 runners", "Clean up 1 dead runner"}; !slices.Equal(words, want) {
		t.Errorf("%q", words)
	}
}

// Between the form and its sending a runner may recover, and its cluster fall silent.
func TestCleaningUpLeavesWhatIsNotDeadAnyMore(t *testing.T) {
	for state, want := range map[store.SourceState][]string{store.SourceLive: {"r4"}, store.SourceStale: nil} {
		h := &hands{}
		o := options(io.Discard)
		o.Live = store.NewLive(store.NewSnapshot(several(6), []store.Source{{Cluster: "eu", Name: "Kubernetes API", State: state, Heard: time.Now()}}, time.Now()))
		o.Actions, o.Audit = h, h
		s, _ := start(t, o)
		form := url.Values{"key": {"k"}, "confirm": {"2"}, "ref": {"/runners/eu/kubiya/runners-eu/r0#uid-0", "/runners/eu/kubiya/runners-eu/r4#uid-4"}}
		res, body := send(t, s.URL()+"/actions/delete?dead=1", form, false)
		if n := strings.Count(body, "It is not dead any more"); res.StatusCode != 200 || !slices.Equal(names(h.actions), want) || n != 2-len(want) {
			t.Errorf("%v: %d, deleted %v, told %d times", state, res.StatusCode, names(h.actions), n)
		}
	}
}

// Datastar sends a form again when its answer is lost. What it has deleted is gone from the board by then, and not told as not done.
func TestManyThatAreGoneByTheFirstSendingAreTold(t *testing.T) {
	for _, query := range []string{"", "?dead=1"} {
		h := &hands{}
		o := options(io.Discard)
		o.Live = store.NewLive(store.NewSnapshot(several(6), []store.Source{{Cluster: "eu", Name: "Kubernetes API", State: store.SourceLive, Heard: time.Now()}}, time.Now()))
		o.Actions, o.Audit = h, h
		s, _ := start(t, o)
		form := url.Values{"key": {"k"}, "confirm": {"1"}, "ref": {"/runners/eu/kubiya/runners-eu/r4#uid-4"}}
		for n := range 2 {
			if res, body := send(t, s.URL()+"/actions/delete"+query, form, true); res.StatusCode != 200 || strings.Count(body, ">asked<") != 1 || len(h.actions) != 1 {
				t.Errorf("sent %d times: %d, done %d times, %.600s", n+1, res.StatusCode, len(h.actions), body)
			}
			next, changes := store.Apply(o.Live.Current(), store.Touched{Gone: []store.Ref{{Cluster: "eu", System: "kubiya", Namespace: "runners-eu", Name: "r4"}}}, time.Now())
			o.Live.Publish(store.Update{Snapshot: next, Changes: changes})
		}
	}
}

func TestFormsOfManyThatMeanNothing(t *testing.T) {
	h := &hands{}
	site := acting(t, h, several(3)...)
	good := "/runners/eu/kubiya/runners-eu/r0#uid-0"
	for name, form := range map[string]url.Values{
		"nobody":       {"key": {"k"}, "note": {"n"}, "for": {"1h"}, "mode": {"now"}},
		"no key":       {"ref": {good}, "note": {"n"}, "for": {"1h"}, "mode": {"now"}},
		"no note":      {"ref": {good}, "key": {"k"}, "for": {"1h"}, "mode": {"now"}},
		"no time":      {"ref": {good}, "key": {"k"}, "note": {"n"}, "mode": {"now"}},
		"a bad ref":    {"ref": {"/etc/passwd"}, "key": {"k"}, "note": {"n"}, "for": {"1h"}, "mode": {"now"}},
		"a short ref":  {"ref": {"/runners/a/b"}, "key": {"k"}, "note": {"n"}, "for": {"1h"}, "mode": {"now"}},
		"a broken ref": {"ref": {"/runners/a/b/c/%zz"}, "key": {"k"}, "note": {"n"}, "for": {"1h"}, "mode": {"now"}},
		"too many":     {"ref": slices.Repeat([]string{good}, 101), "key": {"k"}, "note": {"n"}, "for": {"1h"}, "mode": {"now"}},
	} {
		if res, _ := send(t, site+"/actions/disable", form, false); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if len(h.actions) > 0 {
		t.Errorf("%+v", h.actions)
	}
}

func TestAudit(t *testing.T) {
	h := &hands{}
	for i := range 150 {
		h.entries = append(h.entries, store.Entry{ID: int64(150 - i), At: time.Now(), By: store.Person{Name: "anonymous"}, Verb: "disable", Ref: someRunner().Ref, Note: "<i>note</i>", Before: "2 replicas", After: "0 replicas", Result: store.ResultDone})
	}
	site := acting(t, h)
	_, page := formOf(t, site+"/audit?by=ada&verb=disable&since=2026-11-01&until=2026-11-02&runner=alpha&q=up&cluster=eu")
	f := h.asked[len(h.asked)-1]
	if f.By != "ada" || f.Verb != "disable" || f.Runner != "alpha" || f.Text != "up" || f.Cluster != "eu" || f.Until.Sub(f.Since) != 48*time.Hour {
		t.Errorf("asked for %+v", f)
	}
	if n := page.Find("tbody tr").Length(); n != 100 {
		t.Errorf("%d lines", n)
	}
	next, _ := page.Find("a[rel=next]").Attr("href")
	if u, _ := url.Parse(next); u.Query().Get("before") != "51" || u.Query().Get("by") != "ada" {
		t.Errorf("older is %q", next)
	}
	if got, _ := page.Find(".lead a").First().Attr("href"); !strings.HasPrefix(got, "/audit.json?") || !strings.Contains(got, "by=ada") {
		t.Errorf("as JSON is %q", got)
	}
	if page.Find("tbody i:contains(note)").Length() > 0 {
		t.Error("a note was taken for markup")
	}
	for _, q := range []string{"since=yesterday", "until=2026-13-01", "before=x", "before=-1", "q=%00"} {
		if res, _ := ask(t, http.MethodGet, site+"/audit?"+q); res.StatusCode != 400 {
			t.Errorf("%s: %d", q, res.StatusCode)
		}
	}
	h.err = fmt.Errorf("the disk is away")
	if res, body := ask(t, http.MethodGet, site+"/audit"); res.StatusCode != 200 || !strings.Contains(body, "cannot be read now") || strings.Contains(body, "disk is away") {
		t.Errorf("without a disk: %d", res.StatusCode)
	}
}

func TestWhoeverIsSentBackIsToldWhatTheyDid(t *testing.T) {
	h := &hands{entries: []store.Entry{
		{ID: 3, By: store.Person{Name: "eve"}, Verb: "delete", Ref: someRunner().Ref, Result: store.ResultDone},
		{ID: 2, By: store.Person{Name: "anonymous"}, Verb: "disable", Ref: someRunner().Ref, After: "0 replicas", Result: store.ResultDone},
		{ID: 1, By: store.Person{Name: "anonymous"}, Verb: "disable", Ref: store.Ref{Name: "other"}, Result: store.ResultDone},
	}}
	site := acting(t, h)
	for did, want := range map[string]string{"2": "Disable: done · 0 replicas", "3": "", "1": "", "7": "", "x": "", "-1": ""} {
		_, page := formOf(t, site+alpha+"?did="+did)
		if got := page.Find("#did i").Text(); got != want {
			t.Errorf("did=%s says %q", did, got)
		}
	}
}
