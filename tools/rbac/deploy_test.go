package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kinds are the types of what may stand in deploy.
var kinds = map[string]func() any{
	"ServiceAccount":        func() any { return &corev1.ServiceAccount{} },
	"Service":               func() any { return &corev1.Service{} },
	"PersistentVolumeClaim": func() any { return &corev1.PersistentVolumeClaim{} },
	"Deployment":            func() any { return &appsv1.Deployment{} },
	"NetworkPolicy":         func() any { return &networkingv1.NetworkPolicy{} },
	"Role":                  func() any { return &rbacv1.Role{} },
	"RoleBinding":           func() any { return &rbacv1.RoleBinding{} },
	"ClusterRole":           func() any { return &rbacv1.ClusterRole{} },
	"ClusterRoleBinding":    func() any { return &rbacv1.ClusterRoleBinding{} },
}

// typed parses one object, refusing fields that its type does not have.
func typed(t *testing.T, where string, doc []byte) any {
	t.Helper()
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(doc, &head); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	blank, ok := kinds[head.Kind]
	if !ok {
		t.Fatalf("%s: unknown kind %q", where, head.Kind)
	}
	o := blank()
	if err := yaml.UnmarshalStrict(doc, o); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	return o
}

func TestFilesParse(t *testing.T) {
	err := filepath.WalkDir(deploy, func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || e.Name() == "kustomization.yaml" {
			return err
		}
		body, err := os.ReadFile(path)
		if err == nil {
			typed(t, path, body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The container cannot become root, write to its image or gain what it was not given, and cannot take the node's memory.
func TestDeploymentIsConfined(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(deploy, "base/deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d := typed(t, "base/deployment.yaml", body).(*appsv1.Deployment)
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	for what, ok := range map[string]bool{
		"one writer":             *d.Spec.Replicas == 1 && d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
		"not root":               *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser == 65532,
		"seccomp":                pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"no escalation":          !*c.SecurityContext.AllowPrivilegeEscalation,
		"read-only root":         *c.SecurityContext.ReadOnlyRootFilesystem,
		"no capabilities":        len(c.SecurityContext.Capabilities.Drop) == 1 && c.SecurityContext.Capabilities.Drop[0] == "ALL" && len(c.SecurityContext.Capabilities.Add) == 0,
		"memory is limited":      !c.Resources.Limits.Memory().IsZero(),
		"CPU is limited":         !c.Resources.Limits.Cpu().IsZero(),
		"liveness and readiness": c.LivenessProbe != nil && c.ReadinessProbe != nil,
		"no service links":       !*pod.EnableServiceLinks,
	} {
		if !ok {
			t.Errorf("%s: no", what)
		}
	}
	for _, e := range c.Env {
		if e.Name == "TRACKSIDE_LISTEN" && !strings.HasPrefix(e.Value, "127.0.0.1:") || e.Name == "TRACKSIDE_INSECURE_NO_AUTH" {
			t.Errorf("base listens beyond the Pod: %s=%s", e.Name, e.Value)
		}
	}
}

// Each overlay, and an overlay of a user's own with every component, renders to typed objects whose bindings follow the namespace.
func TestOverlaysRender(t *testing.T) {
	root, err := filepath.Abs(deploy)
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	rel, err := filepath.Rel(own, root)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(`
namespace: fleet
resources: [DEPLOY/base]
components: [DEPLOY/components/namespaced, DEPLOY/components/exposed, DEPLOY/components/nodes, DEPLOY/components/probe-api-proxy, DEPLOY/components/capture-logs, DEPLOY/components/manifests]
images: [{name: trackside, newName: registry.example.com/trackside, newTag: v1}]
`, "DEPLOY", rel)
	if err := os.WriteFile(filepath.Join(own, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{root + "/base": "trackside", root + "/namespaced": "trackside", root + "/exposed": "trackside", own: "fleet"} {
		rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		out, err := rendered.AsYaml()
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		for doc := range bytes.SplitSeq(out, []byte("\n---\n")) {
			var subjects []rbacv1.Subject
			switch o := typed(t, dir, doc).(type) {
			case *rbacv1.ClusterRoleBinding:
				subjects = o.Subjects
			case *rbacv1.RoleBinding:
				subjects = o.Subjects
			case *appsv1.Deployment:
				if o.Namespace != want {
					t.Errorf("%s: the Deployment is in %q", dir, o.Namespace)
				}
			}
			for _, s := range subjects {
				if s.Namespace != want {
					t.Errorf("%s: a binding names the ServiceAccount of namespace %q, not %q", dir, s.Namespace, want)
				}
			}
		}
	}
}
