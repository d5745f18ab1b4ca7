package systems

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"trackside/store"
)

// Manifest is how a new runner of a system is written. Its functions are pure and never fail: a value that cannot be read counts as
// zero, since [Manifest.Check] comes first.
type Manifest struct {
	// Fields are those of the form. The fields name and namespace are in each.
	Fields []store.ManifestField
	// Build makes the objects, typed, in the order in which they are to be applied.
	Build func(Values) []runtime.Object
	// Secrets are those that the objects refer to. None is ever made here.
	Secrets func(Values) []store.NeededSecret
	// Notes say what somebody should know who applies it; may be nil.
	Notes func(Values) []store.Sentence
	// Chart is the system's own; nil where it has none.
	Chart func(Values) Chart
	// Runner is the name that the board gives the runner, where that is not the value name.
	Runner func(Values) string
}

// Chart is a Helm chart and the values for it.
type Chart struct {
	// Release and Name are as helm takes them: helm upgrade --install Release Name. Repo is blank for an OCI address.
	Release, Name, Repo, Version string
	Values                       map[string]any
}

// Values are what was filled in, with the defaults where nothing was.
type Values struct{ m map[string]string }

// NewValues completes what was filled in.
func NewValues(fields []store.ManifestField, given map[string]string) Values {
	v := Values{make(map[string]string, len(fields))}
	for _, f := range fields {
		if v.m[f.Name] = strings.TrimSpace(given[f.Name]); v.m[f.Name] == "" {
			v.m[f.Name] = f.Default
		}
	}
	return v
}

// With is the same but for one value.
func (v Values) With(name, value string) Values {
	out := Values{maps.Clone(v.m)}
	out.m[name] = value
	return out
}

// Text is a value as it was written.
func (v Values) Text(name string) string { return v.m[name] }

// Is reports whether a choice was made.
func (v Values) Is(name, choice string) bool { return v.m[name] == choice }

// Number is a whole number, 0 where there is none.
func (v Values) Number(name string) int32 {
	n, _ := strconv.ParseInt(v.m[name], 10, 32)
	return int32(n)
}

// Quantity is an amount of a resource, zero where there is none.
func (v Values) Quantity(name string) resource.Quantity {
	q, err := ParseQuantity(v.m[name])
	if err != nil {
		return resource.Quantity{}
	}
	return q
}

// maxValue is how long a value may be, in bytes.
const maxValue = 500

var (
	imageText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$`)
	plainText = regexp.MustCompile(`^[^\pC]*$`)
)

// Check says what is wrong with what was filled in, by field.
func (m *Manifest) Check(v Values) (out []store.FieldProblem) {
	for _, f := range m.Fields {
		if text := problemOf(f, v.m[f.Name]); text != "" {
			out = append(out, store.FieldProblem{Field: f.Name, Text: text})
		}
	}
	return out
}

// Unknown names the values that no field is for.
func (m *Manifest) Unknown(given map[string]string) (out []string) {
	for name := range given {
		if !slices.ContainsFunc(m.Fields, func(f store.ManifestField) bool { return f.Name == name }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// problemOf says in a sentence what is wrong with a value; blank when nothing is.
func problemOf(f store.ManifestField, s string) string {
	switch {
	case s == "" && f.Required:
		return "Fill this in: there is no value that fits everybody."
	case s == "":
		return ""
	case len(s) > maxValue:
		return fmt.Sprintf("This has %d bytes; %d is the most.", len(s), maxValue)
	}
	switch f.Kind {
	case store.FieldName:
		if errs := validation.IsDNS1123Label(s); len(errs) > 0 {
			return "Use lower-case letters, digits and hyphens, 63 at most; begin and end with a letter or digit."
		}
	case store.FieldImage:
		if !imageText.MatchString(s) {
			return "This is no image: write registry/name:tag or registry/name@sha256:…"
		}
	case store.FieldURL:
		if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || !plainText.MatchString(s) {
			return "Write an address that begins with https:// or http://, without a password in it."
		}
	case store.FieldPath:
		if !fitPath(s) {
			return "Write a path that begins with one slash, such as /ready, without a scheme, a host, spaces or steps upwards."
		}
	case store.FieldNumber:
		if n, err := strconv.ParseInt(s, 10, 32); err != nil || n < f.Min || n > f.Max {
			return fmt.Sprintf("Write a whole number from %d to %d.", f.Min, f.Max)
		}
	case store.FieldQuantity:
		if q, err := ParseQuantity(s); err != nil || q.Sign() <= 0 {
			return "Write an amount such as 250m, 2 or 512Mi."
		}
	case store.FieldChoice:
		if !slices.Contains(f.Choices, s) {
			return "Choose one of " + strings.Join(f.Choices, ", ") + "."
		}
	case store.FieldText:
		if !plainText.MatchString(s) {
			return "Control characters are not allowed here."
		}
	}
	return ""
}

// Name is the runner's name on the board.
func (m *Manifest) Name(v Values) string {
	if m.Runner != nil {
		return m.Runner(v)
	}
	return v.Text("name")
}

// Form is the form of a system; false when it has none.
func (s *System) Form() (store.ManifestForm, bool) {
	if s == nil || s.Manifest == nil {
		return store.ManifestForm{}, false
	}
	return store.ManifestForm{System: s.Name, Title: s.Title, Fields: s.Manifest.Fields, Helm: s.Manifest.Chart != nil}, true
}

// Named is the system of that name; nil when there is none.
func Named(name string) *System {
	for _, s := range registry {
		if s.Name == name {
			return s
		}
	}
	return nil
}
