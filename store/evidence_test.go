package store

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestFingerprintsOfOneCauseAreOne(t *testing.T) {
	for name, same := range map[string][]string{
		"numbers":   {"exit status 137 after 12 retries", "exit status 1 after 3 retries"},
		"uuid":      {"workload 0b0ff6a6-2f0f-4b5c-8f3c-8a4f3d0c7a11 is gone", "workload 5F0DF6A6-2F0F-4B5C-8F3C-8A4F3D0C7A22 is gone"},
		"times":     {"at 2026-11-20T15:34:28.123Z: timeout after 5m40s", "at 2026-11-21 01:02:03+02:00: timeout after 10s"},
		"clock":     {"E 15:34:28.1 deadline of 30 seconds, 12 s left", "E 5:04:28 deadline of 1 minute, 200 ms left"},
		"addresses": {"dial tcp 10.0.3.7:5432: connect: connection refused", "dial tcp 192.168.12.250:6379: connect: connection refused"},
		"ipv6":      {"dial tcp [fd00:10:244::1f]:443: refused", "dial tcp [::1]:8080: refused"},
		"bare ipv6": {"from fd00:10:244::1f refused", "from 2001:db8:0:0:1:2:3:4 refused"},
		"pods":      {"pod web-5d4f8c7b9d-x7k2p not found", "pod api-server-6c9f7d8b4f-2zq9m not found"},
		"job pods":  {`pods "task-x7k2p" exceeded quota`, `pods "nightly-build-9zqkm" exceeded quota`},
		"replicas":  {"release-runner-0 lost", "release-runner-11 lost"},
		"hashes":    {"failed to pull sha256:9f86d081884c7d659a2feaa0", "failed to pull sha256:aaaa"},
		"hex":       {"commit 9f86d08 broke container 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "commit a0b1c2d broke container 1f86d081884c7d65"},
		"spaces":    {"no  such\n\thost", "no such host."},
		"case":      {"Connection Refused", "connection refused"},
	} {
		if a, b := Fingerprint(same[0]), Fingerprint(same[1]); a != b || a == "" {
			t.Errorf("%s: %q and %q", name, a, b)
		}
	}
}

func TestFingerprintsOfDifferentCausesDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, m := range []string{"401 Unauthorized", "manifest unknown", "dial tcp 10.0.0.1:5432: connection refused", "dial tcp 10.0.0.1:5432: i/o timeout",
		`secret "agent-credentials" not found`, `configmap "settings" not found`, "the word defaced is no hash", "OOMKilled"} {
		f := Fingerprint(m)
		if other, taken := seen[f]; taken {
			t.Errorf("%q and %q are both %q", m, other, f)
		}
		seen[f] = m
	}
	if f := Fingerprint("the word defaced is no hash"); !strings.Contains(f, "defaced") {
		t.Errorf("%q", f)
	}
	if f := Fingerprint(" \n"); f != "" {
		t.Errorf("a blank message has the fingerprint %q", f)
	}
}

func FuzzFingerprint(f *testing.F) {
	for _, s := range []string{"", "a 1 b", "\xff\x00\x02a1\x03", "::1 [::]:80", strings.Repeat("deadbeef01 ", 100), "web-5d4f8c7b9d-x7k2p", "2026-11-20T15:34:28Z", "1.5s 2 hours"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Fingerprint(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > fingerprintLimit+1 || strings.ContainsAny(got, "\x02\x03\n\r") {
			t.Errorf("Fingerprint(%q) = %q", s, got)
		}
		if strings.ContainsAny(got, "0123456789") {
			t.Errorf("Fingerprint(%q) = %q holds a number", s, got)
		}
	})
}

func TestMaskHidesSecrets(t *testing.T) {
	const secret = "hunter2SuperSecretValue99"
	for _, line := range []string{
		"password=" + secret, "DB_PASSWORD: " + secret, `{"password":"` + secret + `"}`, `{"password" : "` + secret + `"}`, `{\"api_key\": \"` + secret + `\"}`, "passwd='" + secret + "'",
		"starting with --token " + secret, "starting with --db-password=" + secret, "token: " + secret + ", retrying", "client_secret=" + secret + "&grant=x",
		"Authorization: Bearer " + secret, "authorization=Basic " + secret, `"Authorization":"Token ` + secret + `"`, "using bearer " + secret, "Proxy-Authorization: " + secret,
		"postgres://admin:" + secret + "@db:5432/app", "cloning https://" + secret + "@github.com/acme/x.git", "redis://:" + secret + "@cache:6379",
		"aws_secret_access_key = " + secret, "AWS_ACCESS_KEY_ID=" + secret, "x-api-key: " + secret, "AccountKey=" + secret + ";EndpointSuffix=x", "?sig=" + secret,
		"Set-Cookie: session=" + secret + "; HttpOnly", "privateKey: " + secret, `passphrase => "` + secret + `"`, "GITHUB_TOKEN=" + secret,
		"key\n-----BEGIN RSA PRIVATE KEY-----\n" + secret + "\n-----END RSA PRIVATE KEY-----\nafter", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + secret + "\nno end",
		strings.Repeat("A", 64) + "\n" + secret + "==\n-----END PRIVATE KEY-----",
	} {
		if got := Mask(line); strings.Contains(got, secret) || !strings.Contains(got, masked) {
			t.Errorf("Mask(%q) = %q", line, got)
		}
	}
	for _, s := range []string{"AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "glpat-0123456789abcdefghij", "xoxb-123456789012-abcdef",
		"sk-" + "0123456789abcdefghijkl", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "npm_0123456789abcdefghij0123456789abcdef", "github_pat_11ABCDEFG0123456789_abc"} {
		if got := Mask("got " + s + " here"); strings.Contains(got, s) || !strings.HasPrefix(got, "got ") || !strings.HasSuffix(got, " here") {
			t.Errorf("Mask(%q) = %q", s, got)
		}
	}
}

func TestMaskLeavesTheRest(t *testing.T) {
	for _, line := range []string{"", "GET https://registry.acme.example/v2/ 401 Unauthorized", "dial tcp 10.0.0.1:5432: connection refused", "mail to ops@acme.example",
		"the token has expired", "no password given", "basic auth is off", "loaded 3 secrets", "listening on http://0.0.0.0:8080/health",
		`fetching agent token from secret: secrets "agent-stack" is forbidden`, "fetching a token: Unauthorized (401)", "credentials: 403 Forbidden",
		`MountVolume.SetUp failed for volume "runner-token" : secret "runner-token" not found`} {
		if got := Mask(line); got != line {
			t.Errorf("Mask(%q) = %q", line, got)
		}
	}
	if got := Mask("a\n-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\nb"); !strings.HasPrefix(got, "a\n") || !strings.HasSuffix(got, "\nb") {
		t.Errorf("lines around a key are gone: %q", got)
	}
}

func TestEvidenceIdentity(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_123)
	e := Evidence{Ref: Ref{"c", "s", "n", "r"}, UID: "u", Name: "pod", At: now, Verdict: Verdict{Reason: CrashLoop}}
	e.Identify()
	same := e
	same.Fingerprint, same.At = "more", now.Add(200*time.Microsecond).UTC()
	same.Identify()
	if same.ID != e.ID || len(e.ID) != 16 {
		t.Errorf("IDs %q and %q", e.ID, same.ID)
	}
	for name, change := range map[string]func(*Evidence){"time": func(e *Evidence) { e.At = now.Add(time.Millisecond) }, "uid": func(e *Evidence) { e.UID = "v" },
		"reason": func(e *Evidence) { e.Verdict.Reason = StartFailed }, "runner": func(e *Evidence) { e.Ref.Name = "q" }} {
		other := e
		change(&other)
		if other.Identify(); other.ID == e.ID {
			t.Errorf("another %s has the same ID", name)
		}
	}
}

func TestFailedAgreesWithReasons(t *testing.T) {
	bad := Verdict{Health: Unhealthy, Reason: CrashLoop, Why: "x exits."}
	r := &Runner{Ref: Ref{"c", "s", "n", "r"},
		Components: []Component{{Name: "a", Verdict: bad}, {Name: "b", Object: "b-object", Verdict: Verdict{Health: Unhealthy, Reason: StartFailed}}, {Name: "ok", Verdict: Verdict{Health: Healthy}}},
		Workloads:  []Workload{{UID: "1", Component: "a", Verdict: bad}, {UID: "2", Component: "ok", Verdict: bad}, {UID: "3", Verdict: bad}, {UID: "4", Verdict: Verdict{Health: Healthy}}}}
	var n [numReasons]int
	var got []Failure
	for _, e := range r.Failed() {
		n[e.Verdict.Reason]++
		got = append(got, e.Failure())
	}
	if n != r.Reasons() {
		t.Errorf("%v, counted %v", n, r.Reasons())
	}
	if len(got) != 3 || got[0].UID != "1" || got[1].UID != "3" || got[2].Component != "b" {
		t.Errorf("%v", got)
	}
}

func TestFingerprintWithoutMessageForgetsTheName(t *testing.T) {
	r := &Runner{}
	of := func(name string, at time.Time) string {
		return r.EvidenceOf(&Workload{Name: name, Verdict: Verdict{Why: Sentence(name + " was running and has been gone for " + For(at) + ".")}}).Fingerprint
	}
	if a, b := of("agent-one", time.Unix(1, 0)), of("agent-two", time.Unix(99, 0)); a != b || !strings.Contains(a, "was running") {
		t.Errorf("%q and %q", a, b)
	}
}
