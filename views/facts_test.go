package views

import (
	"strings"
	"testing"
	"time"

	"trackside/store"
)

// Facts are shown in their order, as text whatever they hold, and instants are worded by the browser.
func TestFacts(t *testing.T) {
	key := strings.Repeat("A", 400)
	r := storyHealthy(1)[0]
	r.Facts = []store.Fact{
		{Name: "State", Value: "claimed"},
		{Name: "Last heard", Value: store.Sentence(store.Ago(StoryTime))},
		{Name: "Public key", Value: store.Sentence(key)},
		{Name: "<b>\x02", Value: "</dd><script>alert(1)</script>\r\ndata: x"},
	}
	html := render(t, storyRunner(store.NewSnapshot(nil, nil, StoryTime), r))
	at := -1
	for _, s := range []string{`id="facts"`, "State", "claimed", "Last heard", "<time data-ago", "Public key", key, "&lt;b&gt;", "&lt;script&gt;"} {
		i := strings.Index(html, s)
		if i < at {
			t.Errorf("%q is missing, or not in its place", s)
		}
		at = max(at, i)
	}
	if strings.Contains(html, "<script>alert") || strings.Contains(html, "\r") {
		t.Error("a fact broke out of its place")
	}
	if n := strings.Count(html, `class="long"`); n != 1 {
		t.Errorf("%d facts have a line of their own", n)
	}
	r.Facts = nil
	if strings.Contains(render(t, storyRunner(store.NewSnapshot(nil, nil, StoryTime), r)), `id="facts"`) {
		t.Error("a runner without facts has a section for them")
	}
	if n := len(newFacts(make([]store.Fact, 1000))); n != maxFacts {
		t.Errorf("%d facts are shown", n)
	}
}

func TestLoadIsToldOnceThereIsAMean(t *testing.T) {
	if got := loadFacts(store.Load{Now: 3, Since: time.Unix(0, 0), At: time.Unix(0, 0)}, time.Unix(59, 0)); got != nil {
		t.Errorf("%v", got)
	}
	if got := loadFacts(store.Load{Since: time.Unix(0, 0), At: time.Unix(0, 0)}, time.Unix(7200, 0)); got != nil {
		t.Errorf("of a runner that never carried work: %v", got)
	}
	l := store.Load{Now: 3, Since: time.Unix(0, 0), At: time.Unix(600, 0), Sum: 25 * time.Minute}
	now := time.Unix(7200, 0)
	if got := loadFacts(l, now); len(got) != 1 || got[0].Value.At(now) != "3.0, counted since 2 h ago" {
		t.Errorf("%v", got)
	}
}
