package accounts

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trackside/store"
)

func TestPasswords(t *testing.T) {
	phc, err := HashPassword("correct horse battery")
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(phc, err)
	}
	a, err := parsePHC(phc)
	if err != nil || a.String() != phc || !a.fits("correct horse battery") || a.fits("correct horse batterx") || a.fits("") {
		t.Fatal("the password does not fit its hash, or another does", err)
	}
	if other, _ := HashPassword("correct horse battery"); other == phc {
		t.Error("two hashes have one salt")
	}
	for _, bad := range []string{"short", strings.Repeat("x", MaxPassword+1)} {
		if _, err := HashPassword(bad); err == nil {
			t.Errorf("%d bytes are taken", len(bad))
		}
	}
	if (argon{}).fits("") {
		t.Error("no hash fits a blank password")
	}
	for _, bad := range []string{"", "$2a$10$x", "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5", "$argon2id$v=16$m=19456,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5",
		"$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5", "$argon2id$v=19$m=19456,t=0,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5",
		"$argon2id$v=19$m=19456,t=2,p=1 $c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5", "$argon2id$v=19$m=19456,t=2,p=1$$"} {
		if _, err := parsePHC(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestGuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(pairBurst, pairEvery)
		tries := func(key string) (n int) {
			for l.take(key, time.Now()) {
				n++
			}
			return n
		}
		if n := tries("ada"); n != pairBurst {
			t.Errorf("%d tries at once", n)
		}
		if n := tries("bob"); n != pairBurst {
			t.Errorf("another name has %d", n)
		}
		if wait := l.wait("ada", time.Now()); wait <= 0 || wait > pairEvery {
			t.Errorf("wait %s", wait)
		}
		time.Sleep(pairEvery)
		if n := tries("ada"); n != 1 {
			t.Errorf("%d tries after %s", n, pairEvery)
		}
		time.Sleep(time.Hour)
		if n := tries("ada"); n != pairBurst {
			t.Errorf("%d tries after an hour", n)
		}
	})
}

// Who guesses from one place keeps nobody out elsewhere; who guesses from everywhere is slowed down for the name.
func TestAGuesserLocksNobodyOutElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal()
		place := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
		open := func(i int, name string) bool { return l.mayTry(place(i), name) == nil }
		for range pairBurst {
			l.failed(place(1), "root")
		}
		if open(1, "root") || !open(1, "ada") || !open(2, "root") {
			t.Errorf("root there: %t, another name there: %t, root elsewhere: %t", open(1, "root"), open(1, "ada"), open(2, "root"))
		}
		for range addressBurst - pairBurst {
			l.failed(place(1), "eve")
		}
		if open(1, "ada") || !open(2, "root") {
			t.Error("an address may try other names for ever, or keeps a name from another")
		}
		for i := range nameBurst {
			l.failed(place(1000+i), "root")
		}
		if open(2, "root") || !open(2, "ada") {
			t.Errorf("root from %d places: %t, another name: %t", nameBurst, open(2, "root"), open(2, "ada"))
		}
		time.Sleep(nameEvery)
		if !open(2, "root") {
			t.Errorf("root is kept out after %s", nameEvery)
		}
	})
}

func TestTheLimiterRemembersABoundedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(2, time.Minute)
		l.take("ada", time.Now())
		l.take("ada", time.Now())
		for i := range 3 * maxKeys {
			l.take(fmt.Sprint("x", i), time.Now())
			if i%1000 == 999 {
				time.Sleep(time.Second)
			}
		}
		if len(l.keys) > maxKeys {
			t.Errorf("%d keys", len(l.keys))
		}
		if l.take("ada", time.Now()) {
			t.Error("many other names have made a name's tries be forgotten")
		}
	})
}

func TestNetworksOfPeople(t *testing.T) {
	for addr, want := range map[string]string{"10.1.2.3": "10.1.2.3", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64"} {
		if got := network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}

func TestGrants(t *testing.T) {
	g, err := ParseGrants("--x", []string{"viewer=*", "operator=ops", "admin=a=b", "viewer=ops"})
	if err != nil {
		t.Fatal(err)
	}
	for groups, want := range map[string]store.Role{"": store.Viewer, "ops": store.Operator, "x,a=b": store.Admin, "*": store.Viewer} {
		if got := g.roleOf(strings.Split(groups, ",")); got != want {
			t.Errorf("%q: %s", groups, got)
		}
	}
	for _, bad := range []string{"ops", "root=ops", "operator=", "nobody=x"} {
		if _, err := ParseGrants("--x", []string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestClaims(t *testing.T) {
	p := newProvider(OIDC{NameClaim: "email", GroupsClaim: "groups", Grants: Grants{"ops": store.Operator}}, nil)
	for _, c := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"email": "ada@x", "email_verified": true, "groups": []any{"ops", 3, "system:masters"}}, "ada@x operator [ops]"},
		{map[string]any{"email": "ada@x", "groups": "ops"}, "sub-1 operator [ops]"},
		{map[string]any{"email": "ada@x", "email_verified": "true"}, "ada@x nobody []"},
		{map[string]any{"email": "ada@x", "email_verified": 1, "preferred_username": "root"}, "sub-1 nobody []"},
		{map[string]any{"email": "ada@x", "email_verified": true, "groups": "ops"}, "ada@x operator [ops]"},
		{map[string]any{"email": "ada@x", "email_verified": false}, "sub-1 nobody []"},
		{map[string]any{"email": "system:admin", "email_verified": true}, "sub-1 nobody []"},
		{map[string]any{"email": 3}, "sub-1 nobody []"},
		{nil, "sub-1 nobody []"},
	} {
		who, err := p.person("sub-1", c.claims)
		if got := fmt.Sprint(who.Name, " ", who.Role, " ", who.Groups); err != nil || got != c.want {
			t.Errorf("%v: %s %v", c.claims, got, err)
		}
	}
	if _, err := p.person("system:x", nil); err == nil {
		t.Error("a reserved subject is taken")
	}
}

func TestWhatTheBrowserCarries(t *testing.T) {
	now := time.Now()
	c := carried{State: "s", Nonce: "n", Verifier: "v", Next: "/failures?a=b&c=<d>", Until: now.Add(time.Minute).Unix()}
	if got, err := decodeCarried(c.encode(), now); err != nil || got != c {
		t.Errorf("%v %v", got, err)
	}
	if _, err := decodeCarried(c.encode(), now.Add(2*time.Minute)); err == nil {
		t.Error("an old one is taken")
	}
	for _, bad := range []string{"", "e30", "!!", carried{State: "s"}.encode()} {
		if _, err := decodeCarried(bad, now); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
