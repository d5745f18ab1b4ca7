package views

import (
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"trackside/store"
)

const hostileName = "<script>alert(1)</script>\r\n\u202e@post('/x')"

func renderFor(t *testing.T, v Viewer, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(ForViewer(t.Context(), v), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestThePersonStandsAroundWhatStreamsSend(t *testing.T) {
	m := NewFleetModel(store.NewSnapshot(storyHostile(), nil, StoryTime), store.Filter{}, StoryTime)
	v := Viewer{Name: hostileName, Role: store.Admin, MayLeave: true}
	d := checkMarkup(t, renderFor(t, v, FleetPage(m)))
	if d.Find("body").AttrOr("data-role", "") != "admin" || d.Find("body > #person form[action='/signout'][method=post] button").Length() != 1 || d.Find("#person a[href='/tokens']").Length() != 1 {
		t.Error("the document does not say who it is for")
	}
	if d.Find("#page #person").Length() != 0 {
		t.Error("the person stands in what streams replace")
	}
	if full := renderFor(t, v, FleetMain(m)); full != renderFor(t, Viewer{}, FleetMain(m)) {
		t.Error("what streams send depends on the person")
	}
	for name, v := range map[string]Viewer{"nobody has to sign in": {Role: store.Admin}, "a wall": {Role: store.Viewer}} {
		if d := checkMarkup(t, renderFor(t, v, FleetPage(m))); d.Find("#person").Length() != 0 {
			t.Errorf("%s: there is a menu", name)
		}
	}
	if d := checkMarkup(t, renderFor(t, Viewer{Role: store.Viewer, MayEnter: true}, FleetPage(m))); d.Find("#person a[href='/signin']").Length() != 1 {
		t.Error("who may only look is not shown the way in")
	}
}

func TestSignInPages(t *testing.T) {
	m := SignInModel{Ways: store.SignInWays{Local: true, Provider: "Sign in with X"}, Next: "/a?b=\"<", Name: hostileName, Problem: "the name or the password is wrong", Now: StoryTime}
	d := checkMarkup(t, render(t, SignInPage(m)))
	if got := d.Find("[role=alert]").Text(); got != "The name or the password is wrong." {
		t.Error(got)
	}
	if d.Find("form[action='/signin'] input[name=next]").AttrOr("value", "") != m.Next || d.Find("a.button").AttrOr("href", "") != "/signin/provider?next=%2Fa%3Fb%3D%22%3C" {
		t.Error("the way back is lost")
	}
	if d.Find("input[name=password][value]").Length() != 0 || d.Find("input[autofocus]").AttrOr("name", "") != "password" {
		t.Error("the password is shown, or its field has no focus")
	}
	m.Ways = store.SignInWays{}
	if d := checkMarkup(t, render(t, SignInPage(m))); d.Find("form").Length() != 1 || !strings.Contains(d.Find("main").Text(), "proxy in front") {
		t.Error("a board behind a proxy offers a form") // the one form is the help's
	}
}

func TestTokensPage(t *testing.T) {
	hour := func(n int) time.Time { return StoryTime.Add(time.Duration(n) * time.Hour) }
	m := TokensModel{Now: StoryTime, Form: "f", Tokens: []store.Token{
		{ID: "a", Name: hostileName, Kind: store.TokenAPI, Role: store.Admin, By: hostileName, Created: hour(-3), Revoked: hour(-1)},
		{ID: "b", Name: "old", Kind: store.TokenWall, Role: store.Viewer, Created: hour(-9), Expires: hour(-1)},
		{ID: "c", Name: "ci", Kind: store.TokenAPI, Role: store.Operator, Created: hour(-2), Expires: hour(5), Used: hour(-1)},
		{ID: "d", Name: "lobby", Kind: store.TokenWall, Role: store.Viewer, Created: hour(-1)}}}
	d := checkMarkup(t, render(t, TokensPage(m)))
	var order []string
	for _, id := range d.Find("tbody td:first-child small").EachIter() {
		order = append(order, id.Text())
	}
	if got := strings.Join(order, ""); got != "dcab" {
		t.Errorf("the order is %s", got)
	}
	if n := d.Find("form[action$='/revoke']").Length(); n != 2 {
		t.Errorf("%d can be revoked", n)
	}
	if d.Find("#made").Length() != 0 {
		t.Error("a token is shown that nobody made")
	}
}
