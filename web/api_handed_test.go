package web

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"trackside/handlers"
	"trackside/handlers/api"
	"trackside/store"
)

// someLinks adds a link of each state; it answers with what must be in no list.
func someLinks(t *testing.T, w *world) (secrets []string) {
	t.Helper()
	now := time.Now()
	for i, l := range []store.ManifestLink{{ID: "lives"}, {ID: "used", Single: true}, {ID: "revoked"}, {ID: "expired", Made: now.Add(-2 * time.Hour)}} {
		l.Hash, l.YAML = bytes.Repeat([]byte{byte(i + 7)}, 32), "kind: Secretive"+fmt.Sprint(i)
		if l.Made.IsZero() {
			l.Made = now.Add(-time.Duration(i) * time.Minute)
		}
		l.File, l.Ref, l.SHA256, l.By, l.Expires = "=eu.yaml", store.Ref{Cluster: "eu", System: "kubiya", Name: "=eu"}, "00ff", "@ana", l.Made.Add(time.Hour)
		if err := w.db.AddManifestLink(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, l.YAML, hex.EncodeToString(l.Hash), base64.StdEncoding.EncodeToString(l.Hash))
		if l.ID == "used" {
			if _, ok, err := w.db.UseManifestLink(t.Context(), l.Hash, now); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
	if _, err := w.db.RevokeManifestLink(t.Context(), "revoked", now); err != nil {
		t.Fatal(err)
	}
	return secrets
}

func TestManifestLinksForPrograms(t *testing.T) {
	w := newWorld(t, nil)
	secrets := someLinks(t, w)
	w.serve(func(o *Options) {
		o.Manifests = handlers.ManifestOptions{Manifests: noManifests{}, Links: w.db}
	})
	list := get[api.ManifestLinkList](t, w, "/manifests.json")
	if len(list.Links) != 4 || list.More {
		t.Fatalf("%+v", list)
	}
	for i, want := range []string{"lives", "used", "revoked", "expired"} {
		if l := list.Links[i]; l.ID != want || l.State != want || l.Name != "=eu" || l.Expires.Sub(l.Made) != time.Hour || (l.Uses == 1) != l.Single {
			t.Errorf("%s: %+v", want, l)
		}
	}
	rows := tableOf(t, w, "/manifests.csv")
	if len(rows) != 5 || rows[1][2] != "'=eu.yaml" || rows[1][8] != "'@ana" {
		t.Errorf("%q", rows)
	}
	for _, path := range []string{"/manifests.json", "/manifests.csv"} {
		_, body := ask(t, "GET", w.s.URL()+path)
		if strings.HasSuffix(path, ".json") {
			fits(t, schemas(t), body, "components", "schemas", "ManifestLinkList")
		}
		for _, s := range secrets {
			if strings.Contains(body, s) {
				t.Errorf("%s tells %q", path, s)
			}
		}
	}
	page(t, w, "/manifests")
}

// page says that a list's page leads to its JSON and its table.
func page(t *testing.T, w *world, path string, header ...string) {
	t.Helper()
	_, body := ask(t, "GET", w.s.URL()+path, append(header, "Accept", "text/html")...)
	for _, ending := range []string{".json", ".csv"} {
		if !strings.Contains(body, `href="`+path+ending+`"`) {
			t.Errorf("the page has no link to %s%s:\n%.2000s", path, ending, body)
		}
	}
}

func TestTokensForPrograms(t *testing.T) {
	in := newSignedIn(t, nil)
	w := newWorld(t, nil).serve(func(o *Options) { o.Accounts = in.accounts })
	admin := []string{"Authorization", "Bearer " + in.tokens["admin"]}
	list := get[api.TokenList](t, w, "/tokens.json", admin...)
	kept, err := in.db.Tokens(t.Context())
	if err != nil || len(list.Tokens) != len(kept) {
		t.Fatalf("%d of %d tokens, %v", len(list.Tokens), len(kept), err)
	}
	states := ""
	for _, x := range list.Tokens {
		states += x.Name + " " + x.State + ", "
	}
	if want := "wall counts, "; !strings.Contains(states, want) || !strings.HasSuffix(states, "revoked revoked, ") && !strings.HasSuffix(states, "ended expired, ") || strings.Count(states, "counts") != len(kept)-2 {
		t.Errorf("%s", states)
	}
	for _, path := range []string{"/tokens.json", "/tokens.csv"} {
		res, body := ask(t, "GET", w.s.URL()+path, admin...)
		if res.StatusCode != 200 || strings.Count(body, "\n") < len(kept) {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
		if strings.HasSuffix(path, ".json") {
			fits(t, schemas(t), body, "components", "schemas", "TokenList")
		}
		for _, k := range kept {
			if strings.Contains(body, hex.EncodeToString(k.Hash)) || strings.Contains(body, base64.StdEncoding.EncodeToString(k.Hash)) {
				t.Errorf("%s tells the hash of %s", path, k.Name)
			}
		}
		for name, word := range in.tokens {
			if strings.Contains(body, word) || strings.Contains(body, word[strings.LastIndex(word, "_")+1:]) {
				t.Errorf("%s tells the token of %s", path, name)
			}
		}
		if res, _ := ask(t, "GET", w.s.URL()+path, "Authorization", "Bearer "+in.tokens["operator"]); res.StatusCode != 403 {
			t.Errorf("%s answers an operator with %d", path, res.StatusCode)
		}
	}
	page(t, w, "/tokens", admin...)
	for path, want := range map[string]int{"/manifests.json": 403, "/manifests.csv": 403} {
		if res, _ := ask(t, "GET", w.s.URL()+path, "Authorization", "Bearer "+in.tokens["viewer"]); res.StatusCode != want {
			t.Errorf("%s answers a viewer with %d", path, res.StatusCode)
		}
	}
}
