// Package finding holds the rules that say what makes a green untrustworthy or a failure likely, as far as an object and its pod
// spec tell: probes that prove nothing, images that move, containers without bounds. Every rule is pure.
//
// An object's full spec is seen once, before the cache drops most of it. [Scan] reduces what the rules find there to a short
// string, the same for all objects with the same faults, and [Read] words it again.
package finding

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unique"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// Subject is an object as the rules see it: whole, as the API server sends it.
type Subject struct {
	// Kind is Deployment, StatefulSet, CronJob or Pod.
	Kind string
	// System and Component are where the object belongs; Component is blank for work that a runner carries.
	System, Component string
	// Main names the main container.
	Main string
	// Name, Labels and Annotations are the object's own.
	Name                string
	Labels, Annotations map[string]string
	// Spec is the pod's, or the pod template's.
	Spec *corev1.PodSpec
	// Probe is what the main container is known to answer over HTTP; its Path is blank where nothing is known.
	Probe struct {
		Path string
		Port int32
	}
	// Schedule is a CronJob's; blank while it is suspended.
	Schedule string
}

// work holds for a pod that a runner carries: it comes and goes, and its containers may have names of their own.
func (s *Subject) work() bool { return s.Component == "" }

// lasting holds for what should keep running, so that a probe has something to say.
func (s *Subject) lasting() bool { return !s.work() && s.Kind != "CronJob" }

// mark is one thing that a rule found.
type mark struct {
	code string
	// place is the field: below the pod spec, or below the object when it begins with a dot.
	place string
	// detail is a word of the object that the sentence quotes; blank where it quotes none.
	detail string
	// object is what it is about when that is not the object itself, such as application/ci.
	object string
	// handler is the handler of the probe to write, where that is the fix.
	handler string
}

// Marks are found in an object, and then stand for it in the cache. The first byte of a scanned object's marks is
// [Prefix], which tells them from anything that an API server would accept as a name.
const (
	Prefix = "\x00"
	line   = "\n"
	part   = "\t"
)

// maxDetail is how much of an object's own text a sentence quotes, in characters.
const maxDetail = 120

// rules are asked in this order.
var rules = []func(*Subject) []mark{probes, bounds, images, dangers, generation, updater, managed}

// Scan looks at an object with every rule and returns the marks; [Prefix] alone for one without fault.
func Scan(s Subject) string {
	if s.Spec == nil {
		return Prefix
	}
	var found []string
	for _, rule := range rules {
		for _, m := range rule(&s) {
			found = append(found, strings.Join([]string{m.code, store.Clean(m.place, maxDetail), store.Clean(m.detail, maxDetail), store.Clean(m.object, maxDetail), store.Clean(m.handler, maxDetail)}, part))
		}
	}
	slices.Sort(found)
	return intern(Prefix + strings.Join(slices.Compact(found), line))
}

// Read words the marks of an object: kind and name are the object's. What was not made by [Scan] says nothing.
func Read(kind, name, marks string) []store.Finding {
	out := slices.Clone(known.read(reading{kind, marks}))
	object := ""
	for i := range out {
		if out[i].Object != "" {
			continue
		}
		if object == "" {
			object = Object(kind, name)
		}
		out[i].Object = object
	}
	return out
}

// reading is what the same words are said of, whatever the object is called.
type reading struct{ kind, marks string }

// readings remembers what marks say: objects are looked at again and again, and a fleet has few different marks.
type readings struct {
	mu   sync.Mutex
	said map[reading][]store.Finding
}

// maxReadings bounds what is remembered, should somebody make up marks without end.
const maxReadings = 4096

var known = readings{said: map[reading][]store.Finding{}}

func (k *readings) read(r reading) []store.Finding {
	k.mu.Lock()
	defer k.mu.Unlock()
	if fs, ok := k.said[r]; ok {
		return fs
	}
	if len(k.said) == maxReadings {
		clear(k.said)
	}
	fs := decode(r)
	k.said[r] = fs
	return fs
}

// decode words marks; the object is blank where it is the marked one.
func decode(r reading) (out []store.Finding) {
	marks, ok := strings.CutPrefix(r.marks, Prefix)
	if !ok || marks == "" {
		return nil
	}
	prefix := prefixOf(r.kind)
	for l := range strings.SplitSeq(marks, line) {
		f := strings.Split(l, part)
		if _, known := words[f[0]]; !known || len(f) != 5 {
			continue
		}
		place, absolute := strings.CutPrefix(f[1], ".")
		if !absolute {
			place = prefix + place
		}
		out = append(out, worded(f[0], f[3], place, f[2], f[4]))
	}
	return out
}

// Object names an object as kubectl does.
func Object(kind, name string) string { return intern(strings.ToLower(kind) + "/" + name) }

// prefixOf is where the pod spec stands in an object.
func prefixOf(kind string) string {
	switch kind {
	case "Pod":
		return "spec."
	case "CronJob":
		return "spec.jobTemplate.spec.template.spec."
	}
	return "spec.template.spec."
}

// anyHandler is the handler of a probe of which nothing is known.
const anyHandler = "httpGet: {path: /ready, port: PORT}"

// New words one finding of a known code. The detail is cleaned text that its sentence quotes.
func New(code, object, field, detail string) store.Finding {
	return worded(code, object, field, detail, "")
}

func worded(code, object, field, detail, handler string) store.Finding {
	w := words[code]
	put := func(s string) string {
		if !strings.Contains(s, "$") {
			return s
		}
		return intern(strings.ReplaceAll(s, "$", detail))
	}
	return store.Finding{Code: code, Severity: w.severity, Doubt: w.doubt, Object: object, Field: intern(field),
		Why: store.Sentence(put(w.why)), Fix: put(intern(strings.Replace(w.fix, "{@}", "{"+cmp.Or(handler, anyHandler)+"}", 1)))}
}

// Sort puts findings in the order of a runner's: worst first, then by code, object and field; doubles are dropped.
func Sort(fs []store.Finding) []store.Finding {
	slices.SortFunc(fs, func(a, b store.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Why, b.Why))
	})
	return slices.Compact(fs)
}

// intern makes equal strings one: a fleet repeats its faults.
func intern(s string) string { return unique.Make(s).Value() }
