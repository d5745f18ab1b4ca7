// Package manifests writes manifests of runners, asks a cluster what it makes of them, applies them, and reads back what runs. What a
// runner of a system is made of is said in package systems.
package manifests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"trackside/store"
	"trackside/systems"
)

// Forms are what can be asked, one form for each system that can be written, by name.
func Forms() (out []store.ManifestForm) {
	for _, s := range systems.All() {
		if f, ok := s.Form(); ok {
			out = append(out, f)
		}
	}
	return out
}

// written is a draft with what it was made of.
type written struct {
	store.ManifestDraft
	manifest *systems.Manifest
	values   systems.Values
	typed    []runtime.Object
	objects  []*unstructured.Unstructured
}

// Draft writes a manifest; no cluster is asked. An unknown system or field is store.ErrInvalid; what is wrong with a value stands in
// the draft, which has no text then.
func Draft(ask store.ManifestAsk) (store.ManifestDraft, error) {
	w, err := write(ask)
	return w.ManifestDraft, err
}

func write(ask store.ManifestAsk) (w written, err error) {
	sys := systems.Named(ask.System)
	if sys == nil || sys.Manifest == nil {
		return w, fmt.Errorf("%w: there is no manifest for a system %q; there are %s", store.ErrInvalid, store.Clean(ask.System, 40), strings.Join(Systems(), ", "))
	}
	m := sys.Manifest
	if unknown := m.Unknown(ask.Values); len(unknown) > 0 {
		return w, fmt.Errorf("%w: a manifest of %s has no field %q; its fields are %s", store.ErrInvalid, sys.Name, store.Clean(unknown[0], 60), fieldNames(m))
	}
	v := systems.NewValues(m.Fields, ask.Values)
	w = written{manifest: m, values: v, ManifestDraft: store.ManifestDraft{System: sys.Name, Cluster: ask.Cluster, Namespace: v.Text("namespace"), Name: m.Name(v)}}
	if w.Problems = m.Check(v); len(w.Problems) > 0 {
		return w, nil
	}
	w.typed = m.Build(v)
	for _, o := range w.typed {
		u, err := bare(o)
		if err != nil {
			return w, fmt.Errorf("writing a manifest of %s: %w", sys.Name, err)
		}
		w.objects = append(w.objects, u)
	}
	w.Secrets = m.Secrets(v)
	if m.Notes != nil {
		w.Notes = m.Notes(v)
	}
	w.Findings = findings(w.typed)
	return w, w.finish(sys)
}

// finish writes the text, its sum, and the values of the chart.
func (w *written) finish(sys *systems.System) error {
	text, err := document(w.heading(sys), w.objects)
	if err != nil {
		return fmt.Errorf("writing a manifest of %s: %w", sys.Name, err)
	}
	sum := sha256.Sum256(text)
	w.YAML, w.SHA256 = string(text), hex.EncodeToString(sum[:])
	if w.manifest.Chart == nil {
		return nil
	}
	c := w.manifest.Chart(w.values)
	values, err := asYAML(c.Values)
	if err != nil {
		return fmt.Errorf("writing the values of %s's chart: %w", sys.Name, err)
	}
	w.Helm = &store.HelmInstall{Values: string(values), Command: helmCommand(c, w.Namespace)}
	return nil
}

func helmCommand(c systems.Chart, namespace string) string {
	line := "helm upgrade --install " + c.Release + " " + c.Name
	if c.Repo != "" {
		line += " --repo " + c.Repo
	}
	if c.Version != "" {
		line += " --version " + c.Version
	}
	return line + " --namespace " + namespace + " --create-namespace --values values.yaml"
}

// heading are the comments at the top: what it is, and what must be there before. All in it passed the checks of the form.
func (w *written) heading(sys *systems.System) string {
	lines := []string{sys.Title + ": " + w.Namespace + "/" + w.Name + ". Written by Trackside."}
	for _, s := range w.Secrets {
		lines = append(lines, "It needs the Secret "+s.Name+": "+s.Why, "  "+s.Command)
	}
	return comments(lines)
}

// comments makes lines comments, whatever they hold.
func comments(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("# " + strings.NewReplacer("\n", " ", "\r", " ").Replace(l) + "\n")
	}
	return b.String()
}

// document writes objects as YAML, always the same: keys are in order, and what only a cluster says is left out.
func document(heading string, objects []*unstructured.Unstructured) ([]byte, error) {
	b := bytes.NewBufferString(heading)
	for _, o := range objects {
		text, err := asYAML(o.Object)
		if err != nil {
			return nil, err
		}
		b.WriteString("---\n")
		b.Write(text)
	}
	return b.Bytes(), nil
}

// asYAML writes what can be JSON as YAML. It is not read as YAML on the way, as sigs.k8s.io/yaml does: that refuses some characters that
// JSON lets stand, and keys of more than 1024 (YAML 1.2, sections 5.1 and 7.4.2). A cluster takes both.
func asYAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := utiljson.Unmarshal(text, &plain); err != nil { // keeps whole numbers whole
		return nil, err
	}
	return yaml.Marshal(plain)
}

// bare is an object without what it says of no own will: an empty status, the time of its creation.
func bare(o runtime.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(content)}
	unstructured.RemoveNestedField(u.Object, "status")
	for _, at := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		unstructured.RemoveNestedField(u.Object, append(at, "creationTimestamp")...)
	}
	if empty, _, _ := unstructured.NestedMap(u.Object, "spec", "strategy"); len(empty) == 0 {
		unstructured.RemoveNestedField(u.Object, "spec", "strategy")
	}
	if empty, _, _ := unstructured.NestedMap(u.Object, "spec", "updateStrategy"); len(empty) == 0 {
		unstructured.RemoveNestedField(u.Object, "spec", "updateStrategy")
	}
	return u, nil
}

// Systems names those that can be written.
func Systems() (out []string) {
	for _, f := range Forms() {
		out = append(out, f.System)
	}
	return out
}

func fieldNames(m *systems.Manifest) string {
	var names []string
	for _, f := range m.Fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}
