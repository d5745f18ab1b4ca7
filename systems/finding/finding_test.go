package finding_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"trackside/store"
	"trackside/systems/finding"
)

func http() *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}}}
}

func tcp() *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
}

func exec(command ...string) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}}}
}

func bounded() corev1.ResourceRequirements {
	l := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	return corev1.ResourceRequirements{Requests: l, Limits: l}
}

// sound is an object without fault; each case breaks one thing in it.
func sound(kind string) finding.Subject {
	return finding.Subject{Kind: kind, System: "labelled", Component: "agent", Main: "agent", Name: "ci-agent",
		Spec: &corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways, ServiceAccountName: "runner",
			InitContainers: []corev1.Container{{Name: "init", Image: "acme/init:1.0.0", Resources: bounded()}},
			Containers: []corev1.Container{
				{Name: "agent", Image: "acme/agent:v1.2.3", ReadinessProbe: http(), LivenessProbe: http(), Resources: bounded()},
				{Name: "sidecar", Image: "acme/sidecar@sha256:0123456789abcdef", Resources: bounded()}}}}
}

// scan words what is found in an object.
func scan(s finding.Subject) []store.Finding { return finding.Read(s.Kind, s.Name, finding.Scan(s)) }

func codes(fs []store.Finding) (out []string) {
	for _, f := range fs {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return out
}

func TestASoundObjectHasNoFinding(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet", "CronJob", "Pod"} {
		if fs := scan(sound(kind)); len(fs) > 0 {
			t.Errorf("%s: %+v", kind, fs)
		}
	}
	if m := finding.Scan(finding.Subject{}); m != finding.Prefix {
		t.Errorf("without a spec: %q", m)
	}
}

// rules break one thing each in a sound object.
var rules = []struct {
	name   string
	change func(*finding.Subject)
	want   string // code and field; blank for nothing
	say    string // what the sentence says
}{
	{"no readiness", func(s *finding.Subject) { s.Spec.Containers[0].ReadinessProbe = nil }, "readiness-probe-missing spec.template.spec.containers[agent].readinessProbe", "no readiness probe"},
	{"no readiness of a sidecar", func(s *finding.Subject) { s.Spec.Containers[1].ReadinessProbe = nil }, "", ""},
	{"no readiness of a schedule", func(s *finding.Subject) { s.Kind = "CronJob"; s.Spec.Containers[0].ReadinessProbe = nil }, "", ""},
	{"no readiness of work", func(s *finding.Subject) { s.Component = ""; s.Spec.Containers[0].ReadinessProbe = nil }, "", ""},
	{"no liveness", func(s *finding.Subject) { s.Spec.Containers[0].LivenessProbe = nil }, "liveness-probe-missing spec.template.spec.containers[agent].livenessProbe", "never restarted"},
	{"vacuous readiness", func(s *finding.Subject) { s.Spec.Containers[0].ReadinessProbe = exec("true") }, "readiness-probe-vacuous spec.template.spec.containers[agent].readinessProbe.exec.command", "“true”"},
	{"vacuous liveness of a sidecar", func(s *finding.Subject) { s.Spec.Containers[1].LivenessProbe = exec("/bin/true") }, "liveness-probe-vacuous spec.template.spec.containers[sidecar].livenessProbe.exec.command", "always succeeds"},
	{"vacuous start-up", func(s *finding.Subject) { s.Spec.Containers[0].StartupProbe = exec("sh", "-c", "exit 0") }, "liveness-probe-vacuous spec.template.spec.containers[agent].startupProbe.exec.command", "sh -c exit 0"},
	{"a probe that looks", func(s *finding.Subject) { s.Spec.Containers[0].ReadinessProbe = exec("buildctl", "debug", "workers") }, "", ""},
	{"TCP readiness", func(s *finding.Subject) { s.Spec.Containers[0].ReadinessProbe = tcp() }, "readiness-probe-tcp spec.template.spec.containers[agent].readinessProbe.tcpSocket", "TCP"},
	{"TCP liveness", func(s *finding.Subject) { s.Spec.Containers[0].LivenessProbe = tcp() }, "liveness-probe-tcp spec.template.spec.containers[agent].livenessProbe.tcpSocket", "TCP"},
	{"TCP start-up", func(s *finding.Subject) { s.Spec.Containers[0].StartupProbe = tcp() }, "", ""},
	{"liveness under Never", func(s *finding.Subject) { s.Kind = "Pod"; s.Spec.RestartPolicy = corev1.RestartPolicyNever }, "liveness-under-never spec.containers[agent].livenessProbe", "Never"},
	{"liveness of work under Never", func(s *finding.Subject) {
		s.Kind, s.Component, s.Spec.RestartPolicy = "Pod", "", corev1.RestartPolicyNever
	}, "liveness-under-never spec.containers[*].livenessProbe", "for good"},
	{"no requests", func(s *finding.Subject) {
		s.Spec.Containers[1].Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}}
	},
		"requests-missing spec.template.spec.containers[sidecar].resources.requests", "requests no cpu"},
	{"no memory limit of an init container", func(s *finding.Subject) { s.Spec.InitContainers[0].Resources.Limits = nil }, "limits-missing spec.template.spec.initContainers[init].resources.limits.memory", "memory limit"},
	{"no CPU limit", func(s *finding.Subject) {
		s.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
	}, "", ""},
	{"latest", func(s *finding.Subject) { s.Spec.Containers[0].Image = "registry:5000/acme/agent:latest" }, "image-latest spec.template.spec.containers[agent].image", "registry:5000/acme/agent names no version"},
	{"untagged", func(s *finding.Subject) { s.Spec.Containers[0].Image = "registry:5000/acme/agent" }, "image-latest spec.template.spec.containers[agent].image", ""},
	{"a tag that moves", func(s *finding.Subject) { s.Spec.Containers[0].Image = "acme/agent:v1.2" }, "image-unpinned spec.template.spec.containers[agent].image", "acme/agent:v1.2"},
	{"a tag that moves, by digest", func(s *finding.Subject) { s.Spec.Containers[0].Image = "acme/agent:main@sha256:00" }, "", ""},
	{"a build's hash", func(s *finding.Subject) { s.Spec.Containers[0].Image = "acme/agent:main-4e9f2ca" }, "", ""},
	{"a build's date", func(s *finding.Subject) { s.Spec.Containers[0].Image = "acme/agent:20260501" }, "", ""},
	{"no image", func(s *finding.Subject) { s.Spec.Containers[0].Image = "" }, "", ""},
	{"privileged", func(s *finding.Subject) {
		s.Spec.InitContainers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
	}, "privileged spec.template.spec.initContainers[init].securityContext.privileged", "owns the node"},
	{"not privileged", func(s *finding.Subject) {
		s.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(bool)}
	}, "", ""},
	{"host network", func(s *finding.Subject) { s.Spec.HostNetwork = true }, "host-access spec.template.spec.hostNetwork", "hostNetwork"},
	{"host PIDs", func(s *finding.Subject) { s.Spec.HostPID = true }, "host-access spec.template.spec.hostPID", ""},
	{"host path", func(s *finding.Subject) {
		s.Spec.Volumes = []corev1.Volume{{Name: "sock", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run/docker.sock"}}}}
	}, "host-path spec.template.spec.volumes[sock].hostPath", "mounts /var/run/docker.sock"},
	{"an empty volume", func(s *finding.Subject) {
		s.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}, "", ""},
	{"an admin", func(s *finding.Subject) { s.Spec.ServiceAccountName = "cluster-admin" }, "service-account-admin spec.template.spec.serviceAccountName", "cluster-admin"},
	{"an administrator of something", func(s *finding.Subject) { s.Spec.ServiceAccountName = "administration" }, "", ""},
	{"an updater every hour", hourly("0 * * * *", "helm-updater"), "updater-hourly spec.schedule", "“0 * * * *”"},
	{"an updater every quarter of an hour", hourly("*/15 * * * *", "helm-updater"), "updater-hourly spec.schedule", ""},
	{"an updater at @hourly", hourly("@hourly", "upgrade"), "updater-hourly spec.schedule", ""},
	{"an updater in a time zone", hourly("CRON_TZ=UTC 0 */1 * * *", "updater"), "updater-hourly spec.schedule", ""},
	{"an updater once a week", hourly("0 6 * * 1", "helm-updater"), "", ""},
	{"an updater that is suspended", hourly("", "helm-updater"), "", ""},
	{"an hourly report", hourly("0 * * * *", "report"), "", ""},
	{"a Deployment has no schedule", func(s *finding.Subject) { s.Schedule, s.Name = "0 * * * *", "updater" }, "", ""},
	{"Argo CD by annotation", noted("argocd.argoproj.io/tracking-id", "ci:apps/Deployment:ns/agent"), "managed-by-argocd metadata", "application ci"},
	{"Argo CD in a namespace of its own", noted("argocd.argoproj.io/tracking-id", "teams_ci:apps/Deployment:ns/agent"), "managed-by-argocd metadata", "application teams/ci"},
	{"Argo CD by label", labelled("argocd.argoproj.io/instance", "ci"), "managed-by-argocd metadata", ""},
	{"Argo CD by the common label", func(s *finding.Subject) {
		noted("argocd.argoproj.io/sync-wave", "1")(s)
		labelled("app.kubernetes.io/instance", "ci")(s)
	}, "managed-by-argocd metadata", ""},
	{"Argo CD before Helm", func(s *finding.Subject) {
		noted("argocd.argoproj.io/tracking-id", "ci:apps/Deployment:ns/agent")(s)
		labelled("app.kubernetes.io/managed-by", "Helm")(s)
	}, "managed-by-argocd metadata", ""},
	{"Flux", labelled("kustomize.toolkit.fluxcd.io/name", "runners"), "managed-by-flux metadata", "kustomization runners"},
	{"Flux with Helm", func(s *finding.Subject) {
		labelled("helm.toolkit.fluxcd.io/name", "runners")(s)
		noted("meta.helm.sh/release-name", "runners")(s)
	}, "managed-by-flux metadata", "helmrelease runners"},
	{"Helm", noted("meta.helm.sh/release-name", "runner-eu"), "managed-by-helm metadata", "release runner-eu"},
	{"Helm by label", labelled("app.kubernetes.io/managed-by", "Helm"), "managed-by-helm metadata", ""},
	{"an instance of nobody's", labelled("app.kubernetes.io/instance", "ci"), "", ""},
	{"operator of v1", operator("v0.4.1"), "legacy-v1 spec.template.spec.containers[kubiya-operator].image", "v1"},
	{"operator of runner_v1", operator("runner_v1.0.0"), "legacy-v1 spec.template.spec.containers[kubiya-operator].image", ""},
	{"operator of v2", operator("v2.0.1"), "", ""},
	{"operator of another system", func(s *finding.Subject) { operator("v0.4.1")(s); s.System = "labelled" }, "", ""},
}

func TestRules(t *testing.T) {
	for _, c := range rules {
		s := sound("Deployment")
		c.change(&s)
		var got []string
		for _, f := range scan(s) {
			got = append(got, f.Code+" "+f.Field)
			if !strings.Contains(string(f.Why), c.say) || f.Fix == "" || strings.Contains(string(f.Why)+f.Fix, "$") || strings.Contains(f.Fix, "{@}") {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if all := strings.Join(got, ", "); all != c.want {
			t.Errorf("%s: %s; want %s", c.name, all, c.want)
		}
	}
}

func hourly(schedule, name string) func(*finding.Subject) {
	return func(s *finding.Subject) { s.Kind, s.Schedule, s.Name = "CronJob", schedule, name }
}

func noted(k, v string) func(*finding.Subject) {
	return func(s *finding.Subject) { s.Annotations = map[string]string{k: v} }
}

func labelled(k, v string) func(*finding.Subject) {
	return func(s *finding.Subject) { s.Labels = map[string]string{k: v} }
}

func operator(tag string) func(*finding.Subject) {
	return func(s *finding.Subject) {
		s.System, s.Component, s.Main = "kubiya", "kubiya-operator", "kubiya-operator"
		s.Spec.Containers[0].Name, s.Spec.Containers[0].Image = s.Main, "ghcr.io/kubiyabot/kubiya-operator:"+tag
	}
}

// Of an account that is known to be bound to cluster-admin it is not said as well that it is called so.
func TestABindingSaysMoreThanAName(t *testing.T) {
	named := finding.New(finding.AdminAccount, "deployment/a", finding.AccountField("Deployment"), "admin")
	other := finding.New(finding.AdminAccount, "deployment/b", finding.AccountField("Deployment"), "admin")
	bound := finding.ClusterAdmin("deployment/a", finding.AccountField("Deployment"), "admin", "too-much")
	if got := finding.Admins([]store.Finding{named, bound, other}); len(got) != 2 || got[0] != bound || got[1] != other {
		t.Errorf("%+v", got)
	}
	if bound.Field != "spec.template.spec.serviceAccountName" || bound.Fix != "kubectl delete clusterrolebinding too-much" || !strings.Contains(string(bound.Why), "account admin is bound") {
		t.Errorf("%+v", bound)
	}
}

func TestKubiyasOwnTagsOfTheOperator(t *testing.T) {
	for tag, want := range map[string]bool{"runner_v2": false, "runner_v3": false, "runner_v1": true, "runner_v1.2": true, "runner_v1-rc1": true, "runner_v0": true,
		"v1": true, "1.4.0": true, "2.0.1": false, "v10.1": false, "runner_v12": false,
		"runner": false, "latest": false, "main": false, "stable": false, "sha-1a2b3c": false, "v1alpha": false, "1a2b3c4": false, "99999999999999999999": false} {
		s := sound("Deployment")
		operator(tag)(&s)
		if got := slices.Contains(codes(scan(s)), store.LegacyV1); got != want {
			t.Errorf("%s: %t", tag, got)
		}
	}
}

func TestObjectsOfFindings(t *testing.T) {
	s := sound("StatefulSet")
	s.Spec.HostIPC = true
	s.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "eu"}
	fs := scan(s)
	if len(fs) != 2 || fs[0].Object != "statefulset/ci-agent" || fs[1].Object != "release/eu" {
		t.Errorf("%+v", fs)
	}
}

func TestVacuous(t *testing.T) {
	for _, c := range []struct {
		want    bool
		command []string
	}{
		{true, []string{"true"}},
		{true, []string{"/bin/true"}},
		{true, []string{"/usr/bin/env", "true"}},
		{true, []string{"busybox", "true"}},
		{true, []string{"echo", "ok"}},
		{true, []string{"sleep", "1"}},
		{true, []string{"sh", "-c", "exit 0"}},
		{true, []string{"sh", "-c", "exit"}},
		{true, []string{"sh", "-c", ""}},
		{true, []string{"/bin/bash", "-lc", "echo healthy"}},
		{true, []string{"sh", "-ec", "true; echo ok"}},
		{true, []string{"sh", "-c", "curl -f localhost:8080; exit 0"}},
		{true, []string{"sh", "-c", "curl -f localhost:8080 || true"}},
		{true, []string{"sh", "-c", "curl -f localhost:8080 || exit 0"}},
		{true, []string{"sh", "-c", "pgrep agent || echo gone"}},
		{true, []string{"sh", "-c", "pgrep agent | echo ok"}},
		{true, []string{"sh", "-c", "# a comment\ntrue\n"}},
		{true, []string{"python", "-c", "import sys; sys.exit(0)"}},
		{true, []string{"python3", "-u", "-c", "print('ok')"}},
		{true, []string{"python3", "-c", "import os, sys\nexit()"}},
		{true, []string{"python", "-c", "pass"}},
		{true, []string{"/usr/bin/python3.12", "-c", "import sys;sys.exit()"}},
		{true, []string{"node", "-e", "process.exit(0)"}},
		{true, []string{"perl", "-e", "exit 0"}},
		{false, nil},
		{false, []string{"false"}},
		{false, []string{"cat", "/tmp/healthy"}},
		{false, []string{"pgrep", "agent"}},
		{false, []string{"sh", "-c", "exit 1"}},
		{false, []string{"sh", "-c", "exit $?"}},
		{false, []string{"sh", "-c", "curl -f localhost:8080"}},
		{false, []string{"sh", "-c", "curl -f localhost:8080 || exit 1"}},
		{false, []string{"sh", "-c", "curl -f localhost:8080 && exit 0 || exit 1"}},
		{false, []string{"sh", "-c", "curl -f localhost:8080 && echo ok"}},
		{false, []string{"sh", "-ec", "curl -f localhost:8080; exit 0"}},
		{false, []string{"sh", "-c", "set -e; curl -f localhost:8080; exit 0"}},
		{false, []string{"sh", "-c", "if ! pgrep agent; then exit 1; fi; exit 0"}},
		{false, []string{"sh", "-c", "test -f /x || exit 1; exit 0"}},
		{false, []string{"sh", "-c", "echo $(curl -f x) > /dev/full"}},
		{false, []string{"sh", "/probe.sh"}},
		{false, []string{"sh", "-c"}},
		{false, []string{"python", "-c", "import sys; sys.exit(1)"}},
		{false, []string{"python", "-c", "import requests; requests.get('http://localhost').raise_for_status()"}},
		{false, []string{"python", "-c", "print(open('/tmp/x').read())"}},
		{false, []string{"python", "/probe.py"}},
		{false, []string{"node", "-e", "require('http').get('http://localhost', r => process.exit(r.statusCode === 200 ? 0 : 1))"}},
		{false, []string{"/app/trueness"}},
	} {
		if got := finding.Vacuous(c.command); got != c.want {
			t.Errorf("%q: %t", c.command, got)
		}
	}
}

func TestRuntimeRules(t *testing.T) {
	single := func(kind string, n int32, b finding.Budget) string {
		return strings.Join(codes(finding.Single(kind, "x", n, b)), " ")
	}
	for _, c := range []struct {
		name, got, want string
	}{
		{"one, unguarded", single("Deployment", 1, finding.BudgetNone), finding.SingleUnguarded},
		{"one, budgets not read", single("StatefulSet", 1, finding.BudgetUnknown), finding.SingleReplica},
		{"one, guarded", single("Deployment", 1, finding.BudgetThere), ""},
		{"two", single("Deployment", 2, finding.BudgetNone), ""},
		{"none", single("Deployment", 0, finding.BudgetNone), ""},
		{"a schedule", single("CronJob", 1, finding.BudgetNone), ""},
		{"a pod", single("Pod", 1, finding.BudgetNone), ""},
		{"no version", strings.Join(codes(finding.Unversioned("Deployment", "x", "")), " "), finding.VersionMissing},
		{"a version", strings.Join(codes(finding.Unversioned("Deployment", "x", "1.0.0")), " "), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestToldSecret(t *testing.T) {
	for message, want := range map[string]string{
		"Secret ambient-runner-secrets missing":            "ambient-runner-secrets",
		"secret 'regcred.eu' not found":                    "regcred.eu",
		`secrets "token" not found`:                        "token",
		"but ambient-vertex secret not found in namespace": "ambient-vertex",
		"a secret is missing":                              "",
		"the secret is not found":                          "",
		"secret ambient-vertex could not be read":          "",
		"": "",
	} {
		if got := finding.ToldSecret(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

func TestMissingSecret(t *testing.T) {
	for message, want := range map[string]string{
		`MountVolume.SetUp failed for volume "creds" : secret "nats-creds" not found`: "nats-creds",
		`secret "k8s-runner-service-token" not found`:                                 "k8s-runner-service-token",
		`couldn't find key token in Secret platform/k8s-runner-service-token`:         "k8s-runner-service-token",
		`references non-existent secret key: nats.creds in secret kubiya-creds`:       "kubiya-creds",
		`Unable to attach or mount volumes`:                                           "",
		`configmap "x" not found`:                                                     "",
		`secret "` + strings.Repeat("x", 300) + `" not found`:                         "",
		"secret \"a\x00\x1b[31mb\" not found":                                         "a [31mb",
	} {
		if got := finding.MissingSecret(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
	if f := finding.Secret("x", "spec"); f.Object != "secret/x" || f.Severity != store.Critical || !strings.Contains(string(f.Why), "secret x") {
		t.Errorf("%+v", f)
	}
}

func TestAProbeOfOursSoftensOnlyWhatItProves(t *testing.T) {
	s := sound("Deployment")
	s.Spec.Containers[0].ReadinessProbe = nil
	s.Spec.Containers[0].Image = "acme/agent"
	fs := scan(s)
	if !slices.ContainsFunc(fs, func(f store.Finding) bool { return f.Doubt }) {
		t.Fatalf("no doubt in %+v", fs)
	}
	fs = finding.Proven(fs)
	if slices.ContainsFunc(fs, func(f store.Finding) bool { return f.Doubt }) || strings.Join(codes(fs), " ") != finding.ImageMoves+" "+finding.ReadinessByUsOnly {
		t.Errorf("%+v", fs)
	}
	s.Spec.Containers[0].ReadinessProbe = exec("true")
	if fs := finding.Proven(scan(s)); fs[1].Doubt || fs[1].Severity != store.Critical {
		t.Errorf("%+v", fs)
	}
}

func TestMarksAreSharedAndHostileOnesSayNothing(t *testing.T) {
	a, b := sound("Deployment"), sound("Deployment")
	a.Name, b.Name = "a", "b"
	a.Spec.Containers[0].ReadinessProbe, b.Spec.Containers[0].ReadinessProbe = nil, nil
	if x, y := finding.Scan(a), finding.Scan(b); x != y {
		t.Errorf("%q, %q", x, y)
	}
	for _, marks := range []string{"", "readiness-probe-missing\tx\t\t", finding.Prefix, finding.Prefix + "x", finding.Prefix + "a\tb\n\n"} {
		if fs := finding.Read("Pod", "p", marks); len(fs) > 0 {
			t.Errorf("%q: %+v", marks, fs)
		}
	}
	a.Spec.ServiceAccountName = "admin-x\ty\nprivileged\t\t\t"
	for _, f := range scan(a) {
		if f.Code == finding.Privileged || strings.ContainsAny(string(f.Why), "\n\t\x00") {
			t.Errorf("%+v", f)
		}
	}
}

func TestSortIsWorstFirstWithoutDoubles(t *testing.T) {
	a := finding.New(finding.LivenessMissing, "deployment/a", "f", "")
	b := finding.New(finding.Privileged, "deployment/b", "f", "")
	c := finding.New(finding.RequestsMissing, "deployment/a", "f", "cpu")
	got := finding.Sort([]store.Finding{a, c, b, a})
	if !slices.Equal(got, []store.Finding{b, c, a}) {
		t.Errorf("%+v", got)
	}
}

// The line to write asks what the container answers, as far as its spec tells.
func TestTheProbeToWrite(t *testing.T) {
	ports := func(ps ...corev1.ContainerPort) func(*corev1.Container) {
		return func(c *corev1.Container) { c.Ports = ps }
	}
	bare := func(c *corev1.Container) { c.ReadinessProbe, c.LivenessProbe = nil, nil }
	for _, c := range []struct {
		name   string
		change []func(*corev1.Container)
		fix    string
	}{
		{"nothing is known", nil, "httpGet: {path: /ready, port: PORT}"},
		{"its port", []func(*corev1.Container){ports(corev1.ContainerPort{Name: "http", ContainerPort: 5001})}, "httpGet: {path: /ready, port: 5001}"},
		{"a gRPC port", []func(*corev1.Container){ports(corev1.ContainerPort{Name: "grpc", ContainerPort: 9000})}, "grpc: {port: 9000}"},
		{"gRPC by custom", []func(*corev1.Container){ports(corev1.ContainerPort{ContainerPort: 50051})}, "grpc: {port: 50051}"},
		{"the one for health", []func(*corev1.Container){ports(corev1.ContainerPort{Name: "metrics", ContainerPort: 1}, corev1.ContainerPort{Name: "http", ContainerPort: 2},
			corev1.ContainerPort{Name: "health", ContainerPort: 3}, corev1.ContainerPort{Name: "udp", ContainerPort: 4, Protocol: corev1.ProtocolUDP})}, "httpGet: {path: /ready, port: 3}"},
		{"as its liveness probe", []func(*corev1.Container){func(c *corev1.Container) { c.LivenessProbe = http() }}, "httpGet: {path: /ready, port: 8080}"},
		{"as its probe over gRPC", []func(*corev1.Container){func(c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 7}}}
		}}, "grpc: {port: 7}"},
		{"the port that it opens", []func(*corev1.Container){ports(corev1.ContainerPort{Name: "grpc", ContainerPort: 9000}, corev1.ContainerPort{Name: "health", ContainerPort: 3}), func(c *corev1.Container) {
			c.ReadinessProbe = tcp()
			c.ReadinessProbe.TCPSocket.Port = intstr.FromString("grpc")
		}}, "grpc: {port: 9000}"},
		{"a path of nobody's", []func(*corev1.Container){func(c *corev1.Container) { c.LivenessProbe = http(); c.LivenessProbe.HTTPGet.Path = "/a}, b: {" }}, "httpGet: {path: /, port: 8080}"},
	} {
		s := sound("Deployment")
		bare(&s.Spec.Containers[0])
		for _, f := range c.change {
			f(&s.Spec.Containers[0])
		}
		for _, f := range scan(s) {
			if strings.HasPrefix(f.Code, "readiness") && f.Fix != "readinessProbe: {"+c.fix+"}" {
				t.Errorf("%s: %s", c.name, f.Fix)
			}
		}
	}
	s := sound("Deployment")
	bare(&s.Spec.Containers[0])
	s.Probe.Path, s.Probe.Port = "/healthz", 3001
	if fs := finding.Proven(scan(s)); fs[1].Fix != "readinessProbe: {httpGet: {path: /healthz, port: 3001}}" {
		t.Errorf("%+v", fs)
	}
}
