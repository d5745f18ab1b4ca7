package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
	"trackside/systems"
)

// writeOut is an object as a manifest says it: in service, without what only its cluster says, and without secrets. Said tells what was left
// out. The object itself stays as it is.
func writeOut(sys *systems.System, o *unstructured.Unstructured) (out *unstructured.Unstructured, said []string) {
	out = Clean(inService(sys, o))
	for _, at := range [][]string{{"metadata"}, {"spec", "template", "metadata"}, {"spec", "jobTemplate", "metadata"}, {"spec", "jobTemplate", "spec", "template", "metadata"}} {
		said = append(said, harmless(named(out), out, at)...)
	}
	r := redaction{object: named(out)}
	r.value("", out.Object)
	return out, append(said, r.said...)
}

// inService is an object as it was before the board took it out of service. What somebody has changed since stays.
func inService(sys *systems.System, o *unstructured.Unstructured) *unstructured.Unstructured {
	out := o.DeepCopy()
	text, marked := out.GetAnnotations()[systems.AnnotationDisabled]
	if !marked {
		return out
	}
	unstructured.RemoveNestedField(out.Object, "metadata", "annotations", systems.AnnotationDisabled)
	var mark struct {
		Restore map[string]any `json:"restore"`
	}
	broken := json.Unmarshal([]byte(text), &mark) != nil
	for _, l := range sys.SwitchOf().Levers {
		if l.Kind != out.GetKind() {
			continue
		}
		for _, s := range l.Settings {
			remembered, known := mark.Restore[pointer(s.Path)]
			now, _, _ := unstructured.NestedFieldNoCopy(out.Object, s.Path...)
			if !known && !broken || !s.IsOff(now) {
				continue
			}
			if v, set := s.Back(remembered); set {
				_ = unstructured.SetNestedField(out.Object, v, s.Path...) // its parents are there, for it is
			} else {
				unstructured.RemoveNestedField(out.Object, s.Path...)
			}
		}
	}
	return out
}

// pointer is a path as RFC 6901 writes it, by which a mark remembers.
func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	return b.String()
}

// plain are the beginnings of annotations that are known to hold no secret, and without which a runner may not work.
var plain = []string{"prometheus.io/", "checksum/", "meta.helm.sh/", "app.kubernetes.io/", "kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/restartedAt",
	"cluster-autoscaler.kubernetes.io/", "karpenter.sh/", "eks.amazonaws.com/", "iam.gke.io/", "azure.workload.identity/", "service.beta.kubernetes.io/", "cloud.google.com/",
	"linkerd.io/", "config.linkerd.io/", "sidecar.istio.io/", "traffic.sidecar.istio.io/", "container.apparmor.security.beta.kubernetes.io/"}

// harmless drops the annotations of which nobody knows what they hold.
func harmless(object string, o *unstructured.Unstructured, at []string) (said []string) {
	path := append(slices.Clone(at), "annotations")
	all, _, _ := unstructured.NestedMap(o.Object, path...)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		known := func(p string) bool { return strings.HasPrefix(key, p) }
		if key == lastApplied || !systems.KeepsAnnotation(key) && !slices.ContainsFunc(plain, known) {
			unstructured.RemoveNestedField(o.Object, append(slices.Clone(path), key)...)
			if key != lastApplied {
				said = append(said, fmt.Sprintf("The annotation %s of %s is left out: it is not known to be harmless.", store.Clean(key, 120), object))
			}
		}
	}
	if left, found, _ := unstructured.NestedMap(o.Object, path...); found && len(left) == 0 {
		unstructured.RemoveNestedField(o.Object, path...)
	}
	return said
}

// lastApplied repeats the object as somebody applied it, with all that was in it.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// secretive are names of variables whose value is nobody's business.
var secretive = regexp.MustCompile(`(?i)(token|secret|passw|credential|private|authorization|cookie|api_?key|access_?key)`)

// redacted stands for what is left out.
const redacted = "REDACTED"

// redaction takes secrets out of an object, by the names of variables and by the forms that secrets have.
type redaction struct {
	object string
	said   []string
}

// value returns what is left of a value at a path; lists and maps are changed in place.
func (r *redaction) value(path string, v any) any {
	switch v := v.(type) {
	case string:
		return r.text(path, v)
	case []any:
		for i, x := range v {
			if flag, ok := x.(string); ok && i+1 < len(v) && isSecretFlag(flag) {
				v[i+1] = r.argument(path, v[i+1])
			}
			v[i] = r.value(path, v[i])
		}
	case map[string]any:
		r.variable(v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = r.value(strings.TrimPrefix(path+"."+key, "."), v[key])
		}
	}
	return v
}

// variable redacts what has a name and a value, such as a variable or a header.
func (r *redaction) variable(m map[string]any) {
	name, named := m["name"].(string)
	value, ok := m["value"].(string)
	if !ok || !named || value == "" {
		return
	}
	if secretive.MatchString(name) || hides(name+"="+value) || hides(value) {
		m["value"] = redacted
		r.said = append(r.said, fmt.Sprintf("The variable %s of %s is left out: put it into a Secret.", store.Clean(name, 80), r.object))
	}
}

// text redacts what looks like a secret in a text, and leaves the rest of it.
func (r *redaction) text(path, s string) string {
	if !hides(s) {
		return s
	}
	r.tell(path)
	return strings.ReplaceAll(store.Mask(s), "***", redacted)
}

// argument redacts the word after a flag such as --token.
func (r *redaction) argument(path string, v any) any {
	s, ok := v.(string)
	if !ok || s == "" || strings.HasPrefix(s, "-") || references.ReplaceAllString(s, "") == "" {
		return v
	}
	r.tell(path)
	return redacted
}

func (r *redaction) tell(path string) {
	r.said = append(r.said, fmt.Sprintf("What looks like a secret in %s of %s is left out: put it into a Secret.", store.Clean(path, 120), r.object))
}

// isSecretFlag tells a flag whose value is the next argument. The name of a Secret is none.
func isSecretFlag(s string) bool {
	return strings.HasPrefix(s, "-") && !strings.ContainsAny(s, "= \t\n") && secretive.MatchString(s) && !whereabouts.MatchString(s+"=")
}

// references are to variables, which hold the secret in their place.
var references = regexp.MustCompile(`\$\([A-Za-z_][A-Za-z0-9_.-]*\)|\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// whereabouts are names of what only says where a secret is.
var whereabouts = regexp.MustCompile(`(?i)[\w.-]+[-_](file|path|dir|name)=`)

// hides reports whether a text looks as if a secret were in it, beside references.
func hides(s string) bool {
	s = whereabouts.ReplaceAllString(references.ReplaceAllString(s, ""), "")
	return store.Mask(s) != s
}
