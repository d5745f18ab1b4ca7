package systems

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// FuzzProbeAnnotations reads whatever stands for a path and a port. What is taken asks that pod, at that port, and nothing above its root; what is
// refused is refused in words that a page can show.
func FuzzProbeAnnotations(f *testing.F) {
	for _, s := range [][2]string{{"/ready", "8080"}, {"/h?deep=1", ""}, {"//evil/x", "1"}, {"/a/%2e%2E/b", "65535"}, {"/..%2Fs", "65536"}, {"http://evil/", "-1"}, {"/a\u202eb", "+8"},
		{"/\x00", "http\r"}, {"/@evil:1/", "08"}, {"/é", "0x10"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, path, port string) {
		pod := Object{Annotations: map[string]string{AnnotationProbePath: path, AnnotationProbePort: port},
			Spec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Ports: []corev1.ContainerPort{{ContainerPort: 8081}}}}}}
		p, declared, err := Labelled.ProbeOf(pod, "x")
		switch {
		case err != nil:
			if s := err.Error(); declared || !errors.Is(err, store.ErrInvalid) || s != store.Clean(s, 400) {
				t.Errorf("%q, %q: %v %q", path, port, declared, err)
			}
			return
		case declared != (path != ""):
			t.Errorf("%q, %q: declared is %v", path, port, declared)
		case !declared:
			return
		}
		u, err := url.Parse("http://10.0.0.1:1" + p.Path)
		if err != nil || u.Host != "10.0.0.1:1" || u.User != nil || u.Fragment != "" || slices.Contains(strings.Split(u.Path, "/"), "..") || p.Path != path ||
			strings.ContainsFunc(p.Path, unicode.IsControl) || p.Port < 1 || p.Port > 65535 {
			t.Errorf("%q, %q: %+v asks %v, %v", path, port, p, u, err)
		}
	})
}

// FuzzThresholds reads whatever stands for a grace and a count: within bounds, or the default.
func FuzzThresholds(f *testing.F) {
	for _, s := range [][2]string{{"60s", "3"}, {"-1s", "-1"}, {"24h", "65535"}, {"24h1ns", "65536"}, {"1e9h", "3.0"}, {"9999999h", "+3"}, {"", ""}, {"0", "0"}, {"1µs", "٣"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, grace, n string) {
		got := ThresholdsOf(map[string]string{AnnotationStartGrace: grace, AnnotationInitRetries: n, AnnotationRestarts: n})
		if got.StartGrace < 0 || got.StartGrace > 24*time.Hour || got.InitRetries < 0 || got.InitRetries > 65535 || got.InitRetries != got.Restarts && got.Restarts != DefaultThresholds.Restarts {
			t.Errorf("%q, %q: %+v", grace, n, got)
		}
		again := ThresholdsOf(map[string]string{AnnotationStartGrace: got.StartGrace.String()})
		if again.StartGrace != got.StartGrace {
			t.Errorf("%q is read as %s, and that as %s", grace, got.StartGrace, again.StartGrace)
		}
	})
}

// FuzzImplementations reads whatever stands in agyn's CAPABILITY_IMPLEMENTATIONS: words for a page, and names in order.
func FuzzImplementations(f *testing.F) {
	for _, s := range []string{"", `{"docker":"rootless","gvisor":"runsc"}`, `{"a":1}`, `[]`, `null`, `{"a,b c":"x"}`, "{\"\x00\\u001b\":\"\\u202e\"}", `{"":""}`, `{"a":"` + strings.Repeat("x", 500) + `"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s := string(agynCapabilities(text)); s != store.Clean(s, 300) {
			t.Errorf("%q is worded as %q", text, s)
		}
		names := agynImplemented(text)
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) || len(names) > len(text) {
			t.Errorf("%q has %q", text, names)
		}
		for _, n := range names {
			if n == "" || strings.ContainsAny(n, ", \r\n\t") {
				t.Errorf("%q has the name %q", text, n)
			}
		}
	})
}
