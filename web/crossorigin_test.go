package web

import (
	"net/http"
	"testing"
)

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
		{"a token", []string{"Authorization", "bearer x"}, false},
		{"Kubiya's token", []string{"Authorization", "UserKey x"}, false},
	} {
		headers := append([]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, c.headers...)
		res, body := ask(t, http.MethodPost, site+alpha+"/actions/probe", headers...)
		if refused := res.StatusCode == http.StatusForbidden; refused != c.refused {
			t.Errorf("%s: %d %.200s", c.name, res.StatusCode, body)
		}
	}
}
