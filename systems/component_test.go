package systems_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
	"trackside/systems"
)

// podOf is a pod of containers, the first with ports.
func podOf(annotations map[string]string, names ...string) systems.Object {
	spec := &corev1.PodSpec{}
	for _, n := range names {
		spec.Containers = append(spec.Containers, corev1.Container{Name: n, Image: "acme/" + n + ":v1.2.3"})
	}
	if len(names) > 0 {
		spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8081}, {ContainerPort: 9}}
	}
	return systems.Object{Kind: "Pod", Namespace: "n", Name: "p", Annotations: annotations, Spec: spec}
}

func TestMainContainer(t *testing.T) {
	main := func(n string) map[string]string { return map[string]string{systems.AnnotationMain: n} }
	for _, c := range []struct {
		name      string
		s         *systems.System
		pod       systems.Object
		component string
		want      string
	}{
		{"the first", systems.Labelled, podOf(nil, "a", "b"), "b", "a"},
		{"the annotated", systems.Labelled, podOf(main("b"), "a", "b"), "", "b"},
		{"annotated and not there", systems.Labelled, podOf(main("z"), "a", "b"), "", "a"},
		{"kubiya's, by component", systems.Kubiya, podOf(nil, "otel", "tool-manager"), "tool-manager", "tool-manager"},
		{"kubiya's, another name", systems.Kubiya, podOf(nil, "otel", "tm"), "tool-manager", "otel"},
		{"annotation before system", systems.Kubiya, podOf(main("otel"), "tool-manager", "otel"), "tool-manager", "otel"},
		{"no system", nil, podOf(nil, "a"), "", "a"},
		{"no containers", systems.Labelled, podOf(nil), "", ""},
		{"no spec", systems.Labelled, systems.Object{Annotations: main("a")}, "", ""},
	} {
		if got := c.s.MainContainer(c.pod, c.component); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestProbes(t *testing.T) {
	probe := func(path, port string) map[string]string {
		return map[string]string{systems.AnnotationProbePath: path, systems.AnnotationProbePort: port}
	}
	for _, c := range []struct {
		name        string
		s           *systems.System
		annotations map[string]string
		component   string
		want        systems.Probe
		declared    bool
	}{
		{"none", systems.Labelled, nil, "x", systems.Probe{}, false},
		{"no system", nil, nil, "x", systems.Probe{}, false},
		{"path and port", systems.Labelled, probe("/health", "9000"), "x", systems.Probe{Path: "/health", Port: 9000}, true},
		{"the container's first port", systems.Labelled, probe("/health", ""), "x", systems.Probe{Path: "/health", Port: 8081}, true},
		{"a query", systems.Labelled, probe("/h?deep=1", "1"), "x", systems.Probe{Path: "/h?deep=1", Port: 1}, true},
		{"dots in a name", systems.Labelled, probe("/v1.2/..health", "65535"), "x", systems.Probe{Path: "/v1.2/..health", Port: 65535}, true},
		{"kubiya's own", systems.Kubiya, nil, "agent-manager", systems.Probe{Path: "/healthz", Port: 8080}, true},
		{"kubiya's other", systems.Kubiya, nil, "tool-manager", systems.Probe{Path: "/health", Port: 3001}, true},
		{"kubiya's without one", systems.Kubiya, nil, "workflow-engine", systems.Probe{}, false},
		{"annotation before system", systems.Kubiya, probe("/mine", "1"), "agent-manager", systems.Probe{Path: "/mine", Port: 1}, true},
	} {
		got, declared, err := c.s.ProbeOf(podOf(c.annotations, "main"), c.component)
		if err != nil || got != c.want || declared != c.declared {
			t.Errorf("%s: %v %v %v, want %v %v", c.name, got, declared, err, c.want, c.declared)
		}
	}
}

func TestBadProbesAreErrorsThatSayWhy(t *testing.T) {
	for _, c := range []struct{ name, path, port, says string }{
		{"no slash", "health", "80", "begins with one slash"},
		{"a URL", "http://evil/", "80", "begins with one slash"},
		{"another host", "//evil/x", "80", "begins with one slash"},
		{"CR", "/a\rb", "80", "begins with one slash"},
		{"LF", "/a\nHost: evil", "80", "begins with one slash"},
		{"a space", "/a b", "80", "begins with one slash"},
		{"a fragment", "/a#b", "80", "begins with one slash"},
		{"a control character", "/a\x02u1\x03", "80", "begins with one slash"},
		{"delete", "/a\x7f", "80", "begins with one slash"},
		{"a direction override", "/a\u202Eb", "80", "begins with one slash"},
		{"not UTF-8", "/a\xff", "80", "begins with one slash"},
		{"upwards", "/../../secrets", "80", "begins with one slash"},
		{"upwards at the end", "/a/..", "80", "begins with one slash"},
		{"upwards, escaped", "/%2e%2E/secrets", "80", "begins with one slash"},
		{"upwards, the slash escaped", "/..%2Fsecrets", "80", "begins with one slash"},
		{"a broken escape", "/%zz", "80", "begins with one slash"},
		{"very long", "/" + strings.Repeat("a", 1024), "80", "begins with one slash"},
		{"port 0", "/h", "0", "port from 1 to 65535"},
		{"port 70000", "/h", "70000", "port from 1 to 65535"},
		{"port -1", "/h", "-1", "port from 1 to 65535"},
		{"a port's name", "/h", "http\r", "port from 1 to 65535"},
	} {
		pod := podOf(map[string]string{systems.AnnotationProbePath: c.path, systems.AnnotationProbePort: c.port}, "main")
		_, declared, err := systems.Labelled.ProbeOf(pod, "x")
		if declared || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", c.name, declared, err)
			continue
		}
		if s := err.Error(); s != store.Clean(s, 400) {
			t.Errorf("%s: the error is not fit for a page: %q", c.name, s)
		}
	}
	pod := podOf(map[string]string{systems.AnnotationProbePath: "/h"}, "main")
	pod.Spec.Containers[0].Ports = nil
	if _, declared, err := systems.Labelled.ProbeOf(pod, "x"); declared || err == nil || !strings.Contains(err.Error(), "declares no port") {
		t.Errorf("without any port: %v, %v", declared, err)
	}
}

func TestThresholds(t *testing.T) {
	for _, c := range []struct {
		name        string
		annotations map[string]string
		want        systems.Thresholds
	}{
		{"none", nil, systems.Thresholds{StartGrace: time.Minute, InitRetries: 3, Restarts: 3}},
		{"all", map[string]string{systems.AnnotationStartGrace: "90s", systems.AnnotationInitRetries: "5", systems.AnnotationRestarts: "0"}, systems.Thresholds{StartGrace: 90 * time.Second, Restarts: 0, InitRetries: 5}},
		{"unreadable", map[string]string{systems.AnnotationStartGrace: "soon", systems.AnnotationInitRetries: "-1", systems.AnnotationRestarts: "70000"}, systems.DefaultThresholds},
		{"negative", map[string]string{systems.AnnotationStartGrace: "-1s", systems.AnnotationRestarts: "3.5"}, systems.DefaultThresholds},
		{"none at all", map[string]string{systems.AnnotationStartGrace: "0s"}, systems.Thresholds{InitRetries: 3, Restarts: 3}},
		{"a whole day", map[string]string{systems.AnnotationStartGrace: "24h"}, systems.Thresholds{StartGrace: 24 * time.Hour, InitRetries: 3, Restarts: 3}},
		{"more than a day", map[string]string{systems.AnnotationStartGrace: "25h"}, systems.DefaultThresholds},
	} {
		if got := systems.ThresholdsOf(c.annotations); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestImageVersion(t *testing.T) {
	digest := "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for image, want := range map[string]string{
		"":                                 "",
		"nginx":                            "",
		"nginx:1.27":                       "1.27",
		"acme/agent:v1.2.3":                "1.2.3",
		"registry.local:5000/agent":        "",
		"registry.local:5000/agent:v2":     "2",
		"acme/agent" + digest:              "0123456789ab",
		"acme/agent:1.2" + digest:          "1.2",
		"registry.local:5000/a/b" + digest: "0123456789ab",
		"acme/agent@sha256:ab":             "ab",
		"acme/agent@":                      "",
		"acme/agent@sha256:\x02u1\x03":     "",
		"acme/agent@sha256:abc\u202Edef":   "abc",
		"acme/agent:":                      "",
		"acme/agent:a\x00b":                "a b",
	} {
		if got := systems.ImageVersion(image); got != want {
			t.Errorf("ImageVersion(%q) = %q, want %q", image, got, want)
		}
	}
}

func TestVersionOf(t *testing.T) {
	labels := map[string]string{"app.kubernetes.io/version": "v0.9.4"}
	pod := podOf(nil, "main", "other")
	labelled := pod
	labelled.Labels = labels
	for _, c := range []struct {
		name string
		s    *systems.System
		o    systems.Object
		want string
	}{
		{"the label", systems.Labelled, labelled, "0.9.4"},
		{"the image's tag", systems.Labelled, pod, "1.2.3"},
		{"kubiya's chart version is not the component's", systems.Kubiya, labelled, "1.2.3"},
		{"no system", nil, pod, "1.2.3"},
		{"no spec", systems.Labelled, systems.Object{}, ""},
	} {
		if got := c.s.VersionOf(c.o, "x"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := systems.Kubiya.RunnerVersion(labelled); got != "v0.9.4" {
		t.Errorf("the runner's version is %q", got)
	}
	if got := systems.Image(pod.Spec, "none"); got != "" {
		t.Errorf("a container that is not there has the image %q", got)
	}
}
