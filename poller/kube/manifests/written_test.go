package manifests

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/systems"
)

func object(kind string, annotations map[string]any, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind, "spec": spec,
		"metadata": map[string]any{"name": "x", "namespace": "ci", "annotations": annotations}}}
}

// What is out of service is written as it was before, or whoever applies it makes a runner that never starts.
func TestARunnerOutOfServiceIsWrittenAsItWas(t *testing.T) {
	mark := func(restore string) string {
		return `{"by":"ada","at":"2026-01-02T03:04:05Z","note":"the disk"` + restore + `}`
	}
	for _, c := range []struct {
		name, kind, mark string
		field            string
		now, want        any
	}{
		{"it had three", "Deployment", mark(`,"restore":{"/spec/replicas":3}`), "replicas", int64(0), int64(3)},
		{"it had none set", "StatefulSet", mark(`,"restore":{"/spec/replicas":null}`), "replicas", int64(0), int64(1)},
		{"it had none", "Deployment", mark(`,"restore":{"/spec/replicas":0}`), "replicas", int64(0), int64(0)},
		{"somebody gave it two since", "Deployment", mark(`,"restore":{"/spec/replicas":3}`), "replicas", int64(2), int64(2)},
		{"it is only marked", "Deployment", mark(``), "replicas", int64(0), int64(0)},
		{"a mark nobody can read", "Deployment", "{", "replicas", int64(0), int64(1)},
		{"a mark that asks for too much", "Deployment", mark(`,"restore":{"/spec/replicas":1e9,"/spec/template":null}`), "replicas", int64(0), int64(1)},
		{"a schedule", "CronJob", mark(`,"restore":{"/spec/suspend":false}`), "suspend", true, false},
		{"no mark", "Deployment", "", "replicas", int64(0), int64(0)},
	} {
		o := object(c.kind, map[string]any{}, map[string]any{c.field: c.now, "template": map[string]any{}})
		if c.mark != "" {
			o.SetAnnotations(map[string]string{systems.AnnotationDisabled: c.mark})
		}
		out, said := writeOut(systems.Labelled, o)
		spec, _, _ := unstructured.NestedMap(out.Object, "spec")
		if spec[c.field] != c.want || spec["template"] == nil || len(out.GetAnnotations()) > 0 || len(said) > 0 {
			t.Errorf("%s: %v, %v, %q", c.name, spec, out.GetAnnotations(), said)
		}
		if now, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", c.field); now != c.now {
			t.Errorf("%s: what was read is changed", c.name)
		}
	}
}

func TestWhatIsSecretIsLeftOutOfAManifest(t *testing.T) {
	container := map[string]any{"name": "main", "image": "ghcr.io/x/y:v1",
		"command": []any{"sh", "-c", "curl -H 'Authorization: Bearer s3cr3t-a' https://x/ && run"},
		"args":    []any{"--token=s3cr3t-b", "--password", "s3cr3t-c", "--token=$(TOKEN)", "--verbose", "--secret-name", "kept-name", "--token-file=/kept/file", "--level=3"},
		"env": []any{map[string]any{"name": "API_TOKEN", "value": "s3cr3t-d"}, map[string]any{"name": "DB", "value": "postgres://u:s3cr3t-e@db/x"},
			map[string]any{"name": "X", "value": "ghp_s3cr3tf0123456789abcdef"}, map[string]any{"name": "URL", "value": "https://kept/"},
			map[string]any{"name": "PASSWORD", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "kept-secret", "key": "password"}}}},
		"livenessProbe": map[string]any{"httpGet": map[string]any{"httpHeaders": []any{map[string]any{"name": "Authorization", "value": "s3cr3t-g"}}}}}
	pod := map[string]any{"containers": []any{container}, "serviceAccountName": "kept-account"}
	o := object("Deployment", map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "s3cr3t-h", "vault.example.com/role": "s3cr3t-i", "prometheus.io/port": "8080",
		systems.AnnotationProbePath: "/kept"}, map[string]any{"githubConfigSecret": "kept-secret", "proxy": map[string]any{"url": "http://u:s3cr3t-j@proxy"},
		"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{"a.example/key": "s3cr3t-k", "checksum/config": "abc"}}, "spec": pod}})
	out, said := writeOut(systems.Labelled, o)
	text, err := document("", []*unstructured.Unstructured{out})
	if err != nil || strings.Contains(strings.ToLower(string(text)), "s3cr3t") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, kept := range []string{"--token=$(TOKEN)", "--verbose", "--level=3", "https://kept/", "kept-secret", "kept-account", "kept-name", "--token-file=/kept/file", "/kept", "prometheus.io/port", "checksum/config", "ghcr.io/x/y:v1", "&& run"} {
		if !strings.Contains(string(text), kept) {
			t.Errorf("%s is lost:\n%s", kept, text)
		}
	}
	for _, part := range []string{"variable API_TOKEN", "variable DB", "variable X", "vault.example.com/role", "a.example/key", "args", "spec.proxy.url"} {
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, part) }) || strings.Contains(strings.Join(said, ""), "s3cr3t") {
			t.Errorf("%s is not told of, or too much is: %q", part, said)
		}
	}
}
