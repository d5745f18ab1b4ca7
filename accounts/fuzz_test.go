package accounts

import (
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"trackside/store"
)

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parsePHC(s)
		if err != nil {
			return
		}
		if a.memory > 256<<10 || a.passes > 16 || a.lanes > 16 || a.lanes < 1 || len(a.key) < 16 || a.String() != s {
			t.Errorf("%q is read as %q", s, a)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add("Bearer tst_0123456789ab_"+strings.Repeat("0a", 32), "")
	f.Add("userkey\tx", "Basic eA==")
	f.Fuzz(func(t *testing.T, one, two string) {
		values := []string{one}
		if two != "" {
			values = append(values, two)
		}
		token, ours, err := parseAuthorization(values)
		if err == nil && ours && (len(values) > 1 || strings.TrimSpace(token) == "" || !strings.Contains(one, token)) {
			t.Errorf("%q is read as %q", values, token)
		}
		kind, id, secret, ok := parseToken(token)
		if ok && (len(id) != 2*idBytes || len(secret) != secretBytes || kind != store.TokenAPI && kind != store.TokenWall) {
			t.Errorf("%q: %s %s", token, kind, id)
		}
	})
}

func FuzzCookie(f *testing.F) {
	f.Add(newWord())
	f.Add(carried{State: "s", Nonce: "n", Verifier: "v", Next: "/", Until: 1 << 40}.encode())
	f.Fuzz(func(t *testing.T, word string) {
		if hash, ok := hashWord(word); ok && (len(hash) != 32 || len(word) != 43) {
			t.Errorf("%q", word)
		}
		if c, err := decodeCarried(word, time.Unix(1, 0)); err == nil && (c.State == "" || c.Nonce == "" || c.Verifier == "" || c.Until <= 1) {
			t.Errorf("%q: %+v", word, c)
		}
	})
}

func FuzzProxy(f *testing.F) {
	f.Add("ada", "a,b", "10.1.2.3")
	f.Add("system:admin", ",,", "::ffff:10.1.2.3")
	f.Fuzz(func(t *testing.T, user, groups, peer string) {
		p := &Proxy{From: []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")}, UserHeader: "x-user", GroupsHeader: "X-Groups", Grants: Grants{"b": store.Admin}}
		if a, err := netip.ParseAddr(peer); err == nil && p.trusts(a) && !strings.Contains(peer, "10.1.2.") && !strings.Contains(strings.ToLower(peer), "a01:2") {
			t.Errorf("%s is trusted", peer)
		}
		who, ok, err := p.person(map[string][]string{"X-User": {user}, "X-Groups": {groups}})
		if ok != (err == nil) {
			t.Errorf("%v %v", ok, err)
		}
		if !ok {
			return
		}
		if who.Name == "" || len(who.Name) > maxPerson || strings.HasPrefix(who.Name, reserved) || strings.ContainsAny(who.Name, "\r\n\x00") || len(who.Groups) > maxGroups {
			t.Errorf("%q: %q", user, who.Name)
		}
		for _, g := range who.Groups {
			if strings.HasPrefix(g, reserved) || g == "" {
				t.Errorf("group %q", g)
			}
		}
	})
}

// FuzzGrants reads whatever a flag says of groups and roles. What is taken gives each group at least the role that was written, and no group more
// than the highest one.
func FuzzGrants(f *testing.F) {
	f.Add("viewer=*", "operator=ops")
	f.Add("admin=a=b", "viewer=a=b")
	f.Add("root=x", "")
	f.Add("nobody=x", "admin=")
	f.Add("admin=\x00\n", "Admin=x")
	f.Fuzz(func(t *testing.T, one, two string) {
		g, err := ParseGrants("--oidc-role", []string{one, two})
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) || g != nil || strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("%q, %q: %v %q", one, two, g, err)
			}
			return
		}
		var again []string
		for group, role := range g {
			if group == "" || role < store.Viewer || role > store.Admin {
				t.Errorf("%q, %q: %q is %s", one, two, group, role)
			}
			again = append(again, role.String()+"="+group)
		}
		if back, err := ParseGrants("--oidc-role", again); err != nil || !maps.Equal(back, g) {
			t.Errorf("%v is written as %q and read as %v, %v", g, again, back, err)
		}
		for _, pair := range []string{one, two} {
			word, group, _ := strings.Cut(pair, "=")
			role, _ := store.ParseRole(word)
			if g.roleOf([]string{group}) < role && group != "*" || g.roleOf(nil) != g["*"] {
				t.Errorf("%q gives %s", pair, g.roleOf([]string{group}))
			}
		}
	})
}
