package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPullCause(t *testing.T) {
	failed := []*notice{{reason: "Failed", message: `Failed to pull image "x": 401 Unauthorized`}}
	for _, c := range []struct {
		name, reason, message, image string
		events                       []*notice
		want                         string
	}{
		{"401", "ErrImagePull", "failed to authorize: 401 Unauthorized", "", nil, "the registry refused the pull (401 unauthorized)"},
		{"403", "ErrImagePull", "unexpected status: 403 Forbidden", "", nil, "the registry refused the pull (403 forbidden)"},
		{"denied", "ErrImagePull", "pull access denied, repository does not exist", "", nil, "the registry denies access, or has no such repository"},
		{"limited", "ErrImagePull", "TOOMANYREQUESTS: You have reached your pull rate limit", "", nil, "the registry is limiting pulls (429)"},
		{"certificate", "ErrImagePull", "tls: x509: unknown authority", "", nil, "the registry's certificate is not trusted"},
		{"no host", "ErrImagePull", "dial tcp: lookup reg: no such host", "", nil, unreachable},
		{"no tag", "ErrImagePull", "manifest unknown", "", nil, "the image does not exist in the registry"},
		{"the most telling wins", "ErrImagePull", "not found: dial tcp: unauthorized", "", nil, "the registry refused the pull (401 unauthorized)"},
		{"the image's name is no cause", "ErrImagePull", "cannot read unauthorized/not-found:404", "unauthorized/not-found:404", nil, "cannot read unauthorized/not-found:404"},
		{"a signature", "SignatureValidationFailed", "anything", "", nil, "its signature is not accepted"},
		{"inspection", "ImageInspectError", "rpc error: code = Unknown desc = disk broken.", "", nil, "disk broken"},
		{"the registry is away", "RegistryUnavailable", "", "", nil, unreachable},
		{"an event knows more", "ImagePullBackOff", `Back-off pulling image "x"`, "x", failed, "the registry refused the pull (401 unauthorized)"},
		{"nothing is known", "ImagePullBackOff", `Back-off pulling image "x"`, "x", nil, ""},
		{"something else", "ErrImagePull", "no space left on device", "", nil, "no space left on device"},
	} {
		if got := pullCause(c.reason, c.message, c.image, c.events); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestExit(t *testing.T) {
	for _, c := range []struct {
		t    corev1.ContainerStateTerminated
		want string
	}{
		{corev1.ContainerStateTerminated{ExitCode: 1}, "(exit 1)"},
		{corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", Signal: 9}, "(OOMKilled, exit 137)"},
		{corev1.ContainerStateTerminated{Signal: 9}, "(signal 9)"},
		{corev1.ContainerStateTerminated{Reason: "Completed"}, "(Completed, exit 0)"},
		{corev1.ContainerStateTerminated{ExitCode: -1, Reason: "a\r\nb\x02"}, "(a b, exit -1)"},
	} {
		if got := exit(&c.t); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestAgoIsSilentWithoutATime(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0)} {
		if got := ago(&corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at)}); got != "" {
			t.Errorf("%s is worded %q", at, got)
		}
	}
	if got := ago(&corev1.ContainerStateTerminated{FinishedAt: metav1.Now()}); !strings.HasPrefix(got, " ") || len(got) < 3 {
		t.Errorf("now is worded %q", got)
	}
}

func TestDetail(t *testing.T) {
	for in, want := range map[string]string{
		"":               "",
		"disk broken...": "disk broken",
		"a\r\n\tb\x02":   "a b",
		"rpc error: code = Unknown desc = Failed to create pod sandbox: no runtime": "no runtime",
		`Failed to pull image "x": rpc error: code = NotFound desc = gone.`:         "gone",
		strings.Repeat("x", 200):            strings.Repeat("x", 160) + "…",
		strings.Repeat("x", 159) + ". more": strings.Repeat("x", 159) + "…",
	} {
		if got := detail(in); got != want {
			t.Errorf("detail(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"prod": "prod", "arn:aws:eks:eu-1:1:cluster/c": "arn:aws:eks:eu-1:1:cluster/c", "me@host_1.x": "me@host_1.x",
		"": "''", "a b": "'a b'", "a;rm -rf /": "'a;rm -rf /'", "$(id)": "'$(id)'", "it's": `'it'\''s'`, "a\nb": "'a\nb'", "ü": "'ü'", "`x`": "'`x`'",
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
	if got := (&Cluster{cfg: Config{Context: "a b"}}).kubectl("get pods"); got != "kubectl --context 'a b' get pods" {
		t.Error(got)
	}
	if got := (&Cluster{}).kubectl("get pods"); got != "kubectl get pods" {
		t.Error(got)
	}
}

func TestNewestIsTheLatestThatMatches(t *testing.T) {
	at := func(s int) metav1.Time { return metav1.NewTime(time.Unix(int64(s), 0)) }
	events := []*notice{{reason: "a", last: at(1)}, {reason: "a", last: at(3)}, {reason: "b", last: at(9)}, {reason: "a", last: at(2)}}
	if n := newest(events, func(n *notice) bool { return n.reason == "a" }); n != events[1] {
		t.Errorf("%+v", n)
	}
	if n := newest(events, func(*notice) bool { return false }); n != nil {
		t.Errorf("%+v", n)
	}
}
