package manifests_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/poller/kube/manifests"
	"trackside/store"
	"trackside/systems"
)

// filled is a form with the example of each field that has no default.
func filled(f store.ManifestForm) map[string]string {
	out := map[string]string{}
	for _, x := range f.Fields {
		if x.Default == "" {
			out[x.Name] = x.Example
		}
	}
	return out
}

// eachSystem runs a test for the manifest of every system.
func eachSystem(t *testing.T, f func(t *testing.T, form store.ManifestForm, d store.ManifestDraft)) {
	t.Helper()
	if len(manifests.Forms()) != len(systems.All()) {
		t.Errorf("%d of %d systems have a form", len(manifests.Forms()), len(systems.All()))
	}
	for _, form := range manifests.Forms() {
		t.Run(form.System, func(t *testing.T) {
			d, err := manifests.Draft(store.ManifestAsk{System: form.System, Values: filled(form)})
			if err != nil || len(d.Problems) > 0 {
				t.Fatalf("%v, %v", err, d.Problems)
			}
			f(t, form, d)
		})
	}
}

func TestNoManifestHasAFinding(t *testing.T) {
	eachSystem(t, func(t *testing.T, _ store.ManifestForm, d store.ManifestDraft) {
		for _, f := range d.Findings {
			t.Errorf("%s %s %s: %s", f.Code, f.Object, f.Field, f.Why)
		}
	})
}

func TestTextIsTheSameEachTimeAndNamesItsSum(t *testing.T) {
	eachSystem(t, func(t *testing.T, form store.ManifestForm, d store.ManifestDraft) {
		sum := sha256.Sum256([]byte(d.YAML))
		if d.SHA256 != hex.EncodeToString(sum[:]) {
			t.Error("the sum is of another text")
		}
		for range 5 {
			if again, _ := manifests.Draft(store.ManifestAsk{System: form.System, Values: filled(form)}); again.YAML != d.YAML {
				t.Fatal("the text is another one")
			}
		}
		for _, bad := range []string{"creationTimestamp", "\nstatus:", "null", "kind: Secret\n", "REDACTED"} {
			if strings.Contains(d.YAML, bad) {
				t.Errorf("it holds %q:\n%s", bad, d.YAML)
			}
		}
		if d.Helm != nil && (!strings.HasPrefix(d.Helm.Command, "helm upgrade --install ") || d.Helm.Values == "") {
			t.Errorf("the chart: %+v", d.Helm)
		}
		if len(d.YAML) > store.MaxManifest/4 {
			t.Errorf("%d bytes", len(d.YAML))
		}
	})
}

// specOf is the pod spec of an object, and its labels; nil for one without.
func specOf(o runtime.Object) (spec *corev1.PodSpec, labels map[string]string, kind string) {
	switch x := o.(type) {
	case *appsv1.Deployment:
		return &x.Spec.Template.Spec, x.Spec.Template.Labels, "Deployment"
	case *appsv1.StatefulSet:
		return &x.Spec.Template.Spec, x.Spec.Template.Labels, "StatefulSet"
	case *corev1.Pod:
		return &x.Spec, x.Labels, "Pod"
	}
	return nil, nil, ""
}

func TestEveryContainerIsBoundedAndConfined(t *testing.T) {
	eachSystem(t, func(t *testing.T, form store.ManifestForm, _ store.ManifestDraft) {
		m := systems.Named(form.System).Manifest
		for _, o := range m.Build(systems.NewValues(m.Fields, filled(form))) {
			spec, labels, kind := specOf(o)
			if spec == nil {
				continue
			}
			s := spec.SecurityContext
			if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0 || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: %+v", kind, s)
			}
			if spec.RestartPolicy == corev1.RestartPolicyNever || spec.HostNetwork || spec.ServiceAccountName == "" || len(labels) == 0 {
				t.Errorf("%s: restart %q, host %v, account %q", kind, spec.RestartPolicy, spec.HostNetwork, spec.ServiceAccountName)
			}
			for _, c := range append(append([]corev1.Container(nil), spec.InitContainers...), spec.Containers...) {
				container(t, c)
			}
			if main := spec.Containers[0]; main.ReadinessProbe == nil || main.LivenessProbe == nil {
				t.Errorf("%s has no probes", main.Name)
			}
		}
	})
}

func container(t *testing.T, c corev1.Container) {
	t.Helper()
	for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := c.Resources.Requests[r], c.Resources.Limits[r]
		if request.IsZero() || limit.IsZero() || request.Cmp(limit) > 0 {
			t.Errorf("%s: %s of %s to %s", c.Name, r, request.String(), limit.String())
		}
	}
	s := c.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
		t.Errorf("%s: %+v", c.Name, s)
	}
	for _, e := range c.Env {
		if name := strings.ToLower(e.Name); e.Value != "" && (strings.HasSuffix(name, "token") || strings.HasSuffix(name, "key") || strings.HasSuffix(name, "password")) {
			t.Errorf("%s writes the value of %s", c.Name, e.Name)
		}
	}
}

// A manifest is recognised as what it was written as, under the name that was promised.
func TestManifestsAreRecognised(t *testing.T) {
	eachSystem(t, func(t *testing.T, form store.ManifestForm, d store.ManifestDraft) {
		m := systems.Named(form.System).Manifest
		found := 0
		for _, o := range m.Build(systems.NewValues(m.Fields, filled(form))) {
			object, ok := manifests.Seen(o)
			if !ok {
				continue
			}
			sys, claim, ok := systems.Recognise(object)
			if !ok {
				continue
			}
			found++
			name := claim.Runner
			if claim.Replicas {
				name += "-0"
			}
			if sys.Name != form.System || name != d.Name || claim.Namespace != d.Namespace {
				t.Errorf("%s %s is %s %s/%s, want %s %s", object.Kind, object.Name, sys.Name, claim.Namespace, name, form.System, d.Ref())
			}
		}
		if found == 0 {
			t.Error("nothing of it is recognised")
		}
	})
}

func TestWhatIsWrongWithAForm(t *testing.T) {
	for name, c := range map[string]struct {
		field, value, want string
	}{
		"no name":      {"name", "Not A Name", "lower-case letters"},
		"no number":    {"port", "http", "whole number from 1024"},
		"too small":    {"port", "80", "whole number from 1024"},
		"no amount":    {"cpuLimit", "a lot", "amount such as"},
		"no end":       {"cpuLimit", "1e-2147483647", "amount such as"},
		"no image":     {"image", "not an image", "no image"},
		"root":         {"user", "0", "from 1"},
		"too long":     {"ready", "/" + strings.Repeat("x", 600), "500 is the most"},
		"control":      {"component", "a\x00b", "lower-case letters"},
		"no slash":     {"ready", "ready", "begins with one slash"},
		"a scheme":     {"ready", "http://evil/ready", "begins with one slash"},
		"a host":       {"live", "//evil/healthz", "begins with one slash"},
		"a space":      {"live", "/a b", "begins with one slash"},
		"upwards":      {"ready", "/../secrets", "begins with one slash"},
		"not a path":   {"ready", "/a\x00b", "begins with one slash"},
		"a line break": {"ready", "/a\nb: c", "begins with one slash"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := manifests.Draft(store.ManifestAsk{System: "labelled", Values: map[string]string{"image": "r/x:1.2.3", c.field: c.value}})
			if err != nil || d.YAML != "" || len(d.Problems) != 1 || d.Problems[0].Field != c.field || !strings.Contains(d.Problems[0].Text, c.want) {
				t.Errorf("%v, %+v", err, d)
			}
		})
	}
	d, err := manifests.Draft(store.ManifestAsk{System: "labelled"})
	if err != nil || len(d.Problems) != 1 || d.Problems[0].Field != "image" {
		t.Errorf("what must be filled in: %v, %+v", err, d.Problems)
	}
	for _, ask := range []store.ManifestAsk{{System: "nonesuch"}, {System: "labelled", Values: map[string]string{"nonesuch": "1"}}} {
		if _, err := manifests.Draft(ask); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "nonesuch") {
			t.Errorf("%+v: %v", ask, err)
		}
	}
}

// What a form takes for a path, the board can ask: of every system, the manifest's objects declare probes that are read back.
func TestAPathOfAFormCanBeAsked(t *testing.T) {
	for _, path := range []string{"/", "/ready?deep=1", "/v1.2/..ready", "/a%20b", "/é"} {
		d, err := manifests.Draft(store.ManifestAsk{System: "labelled", Values: map[string]string{"image": "r/x:1.2.3", "ready": path}})
		if err != nil || len(d.Problems) > 0 {
			t.Errorf("%s: %v, %+v", path, err, d.Problems)
			continue
		}
		pod := systems.Object{Annotations: map[string]string{systems.AnnotationProbePath: path, systems.AnnotationProbePort: "8080"}}
		if p, ok, err := systems.Labelled.ProbeOf(pod, "agent"); err != nil || !ok || p.Path != path {
			t.Errorf("%s: %+v %v %v", path, p, ok, err)
		}
	}
}

// Whatever is filled in, a draft is written or its problems are told; no value becomes another line of the text's comments.
func FuzzDraft(f *testing.F) {
	for _, form := range manifests.Forms() {
		f.Add(form.System, "name", "x")
		f.Add(form.System, "cpuRequest", "1e99999")
		f.Add(form.System, "cpuRequest", "1e-2147483647")
		f.Add(form.System, "namespace", "a\n---\nkind: Secret")
	}
	f.Fuzz(func(t *testing.T, system, field, value string) {
		values := map[string]string{}
		for _, form := range manifests.Forms() {
			if form.System == system {
				values = filled(form)
			}
		}
		values[field] = value
		d, err := manifests.Draft(store.ManifestAsk{System: system, Values: values})
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if (d.YAML == "") != (len(d.Problems) > 0) {
			t.Fatalf("a text of %d bytes and the problems %v", len(d.YAML), d.Problems)
		}
		if strings.Contains(d.YAML, "\nkind: Secret\n") {
			t.Fatal("a Secret was made")
		}
	})
}
