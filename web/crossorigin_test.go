package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestAnotherSitesPageOpensNoControlChannel: opening one ends the runner's own, and an EventSource asks by GET, which is safe elsewhere.
func TestAnotherSitesPageOpensNoControlChannel(t *testing.T) {
	r := newReporting(t, true)
	if status, answer, _ := r.call(t, "none", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x"}`); status != 200 {
		t.Fatal(status, answer)
	}
	for _, c := range []struct {
		name, path string
		headers    []string
		status     int
	}{
		{"another site", "1", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"another site that hides", "1", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a neighbour of the site", "1", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"an old browser", "1", []string{"Origin", "https://evil.example"}, 403},
		{"a sandboxed page", "1", []string{"Origin", "null"}, 403},
		{"another site with a token", "1", []string{"Origin", "https://evil.example", "Authorization", "Bearer " + r.runner}, 403},
		{"the board's own page", "7", []string{"Sec-Fetch-Site", "same-origin", "Origin", r.url}, 404},
		{"an address that was typed", "7", []string{"Sec-Fetch-Site", "none"}, 404},
		{"an old browser on the board's page", "7", []string{"Origin", r.url}, 404},
		{"a runner", "7", nil, 404},
	} {
		res, body := ask(t, http.MethodGet, r.url+"/internal/runners/"+c.path+"/control", c.headers...)
		if res.StatusCode != c.status || c.status == 403 && !strings.Contains(body, "The request came from a page of another site") {
			t.Errorf("%s: %d %.200s", c.name, res.StatusCode, body)
		}
	}
}

// A browser attaches a password that it has kept for a proxy to whatever another site's page posts; a token it attaches to nothing by itself.
func TestAnotherSitesPageMayNotActWithAKeptPassword(t *testing.T) {
	site := acting(t, &hands{})
	for _, c := range []struct {
		name    string
		headers []string
		refused bool
	}{
		{"nothing", nil, true},
		{"a kept password", []string{"Authorization", "Basic YWRhOnB3"}, true},
		{"a digest", []string{"Authorization", "Digest username=ada"}, true},
		{"Windows' own", []string{"Authorization", "Negotiate YII="}, true},
		{"a scheme that only begins alike", []string{"Authorization", "Bearerish x"}, true},
		{"a token beside a cookie", []string{"Authorization", "Bearer x", "Cookie", "a=b"}, true},
		{"what a proxy adds to whatever it lets through", []string{"Authorization", "Bearer eyJhbGciOi"}, true},
		{"a token", []string{"Authorization", "bearer tst_x"}, false},
		{"Kubiya's token", []string{"Authorization", "UserKey x"}, false},
	} {
		headers := append([]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, c.headers...)
		res, body := ask(t, http.MethodPost, site+alpha+"/actions/probe", headers...)
		if refused := res.StatusCode == http.StatusForbidden; refused != c.refused {
			t.Errorf("%s: %d %.200s", c.name, res.StatusCode, body)
		}
	}
}
