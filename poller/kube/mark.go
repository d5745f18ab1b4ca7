package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
	"trackside/systems"
)

// The phases of a mark. Only the object that is marked first has one, and it loses it last: as long as it is there, something is left to
// be done, by whichever board sees it.
const (
	phaseDraining  = "draining"  // work is let finish before the rest is done
	phaseDisabling = "disabling" // the other objects are yet to be changed
	phaseEnabling  = "enabling"  // the other objects are yet to be given back
)

// maxMark bounds what is read of a mark, in bytes: whoever may annotate an object can write anything into it.
const maxMark = 8 << 10

// marking is the annotation systems.AnnotationDisabled.
type marking struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Note  string    `json:"note,omitempty"`
	Until time.Time `json:"until,omitzero"`
	Drain bool      `json:"drain,omitempty"`
	Phase string    `json:"phase,omitempty"`
	// Key is of the action that made it.
	Key string `json:"key,omitempty"`
	// Restore holds what the fields were, by JSON pointer; null for one that was not there. It is missing until the object is changed.
	Restore map[string]any `json:"restore,omitempty"`
	// Usual says, beside phaseEnabling, that what was off before gets its usual value: all was, and somebody wants it in service.
	Usual bool `json:"usual,omitempty"`
	// looked is when whoever makes it looked at the runner. It is not written.
	looked time.Time
}

// readMark reads the mark of an object; there is none without the annotation. One that cannot be read is told in its note, and restores
// nothing.
func readMark(annotations map[string]string) (m marking, marked, broken bool) {
	text, marked := annotations[systems.AnnotationDisabled]
	if !marked {
		return marking{}, false, false
	}
	if len(text) > maxMark || json.Unmarshal([]byte(text), &m) != nil || m.At.IsZero() {
		return marking{By: "somebody", Note: store.Clean("The annotation "+systems.AnnotationDisabled+" cannot be read: "+text[:min(len(text), 200)], 160)}, true, true
	}
	m.By, m.Note, m.Key = store.Clean(m.By, 200), store.Clean(m.Note, store.MaxNote), store.Clean(m.Key, 128)
	return m, true, false
}

// text is the mark as it is written.
func (m marking) text() string {
	b, _ := json.Marshal(m) // strings, times and what JSON gave us
	return string(b)
}

// pointer is a path as RFC 6901 writes it.
func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	return b.String()
}

// held is an object that a lever moves, as the cache shows it.
type held struct {
	object    systems.Object
	component string
	lever     *systems.Lever
	order     int
	// off says that it is out of service as its own fields say; busy that pods of its own are still there.
	off, busy bool
}

// holds lists what the levers of a switch move, in the order in which they are pulled.
func holds(sw systems.Switch, parts []part, customs []*custom) (out []held) {
	take := func(h held) {
		if h.lever, h.order = sw.Lever(h.object, h.component); h.lever != nil {
			if h.lever.Out != nil {
				h.off = h.lever.Out(h.object)
			}
			out = append(out, h)
		}
	}
	for _, p := range parts {
		object := p.object
		object.Kind = p.kind
		off := p.desired == 0
		if p.kind == "CronJob" {
			off = p.suspended
		}
		take(held{object: object, component: p.claimed, off: off, busy: p.kind != "CronJob" && slices.ContainsFunc(p.pods, living)})
	}
	for _, c := range customs {
		take(held{object: c.object()})
	}
	slices.SortStableFunc(out, func(a, b held) int {
		if a.order != b.order {
			return a.order - b.order
		}
		return strings.Compare(a.object.Kind+"/"+a.object.Name, b.object.Kind+"/"+b.object.Name)
	})
	return out
}

// living tells a pod that has not come to its end.
func living(p *corev1.Pod) bool {
	return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// service is what the objects of a runner say of its being in service.
type service struct {
	observed, requested store.State
	mark                store.Mark
	// tend says that something is to be done about the mark, and when: at once when it is zero.
	tend bool
}

// serviceOf judges it. Busy says that work runs. A schedule counts only where there is nothing else: an updater goes on while its
// runner is off.
func serviceOf(sw systems.Switch, parts []part, customs []*custom, busy bool, now time.Time) service {
	hs := holds(sw, parts, customs)
	s := service{observed: store.Enabled, requested: store.Enabled}
	m, marked, broken := leading(hs)
	off := allOff(hs, marked && m.Phase != phaseDraining)
	waits := marked && m.Drain && busy
	if off && !waits && !slices.ContainsFunc(hs, func(h held) bool { return h.busy }) {
		s.observed = store.Disabled
	}
	s.requested = s.observed
	if off {
		s.requested = store.Disabled
	}
	if marked {
		s.mark = store.Mark{By: m.By, Note: m.Note, At: m.At, Until: m.Until, Drain: m.Drain, Draining: m.Phase == phaseDraining || m.Drain && busy}
	}
	if marked && !broken {
		back := revoked(hs)
		s.tend = back || wants(m, busy, now)
		switch {
		case m.Phase == phaseEnabling || m.Phase == "" && back && !off:
			s.requested = store.Enabled
		default:
			s.requested = store.Disabled
		}
	}
	if goes(sw, parts, customs) {
		s.requested = store.Deleting
	}
	return s
}

// goes reports whether everything that makes the runner is being deleted.
func goes(sw systems.Switch, parts []part, customs []*custom) bool {
	var all, pods []bool
	for _, p := range parts {
		switch p.kind {
		case "CronJob":
		case "Pod":
			pods = append(pods, p.object.Deleting)
		default:
			all = append(all, p.object.Deleting)
		}
	}
	for _, c := range customs {
		if slices.Contains(sw.Deletes, c.kind) {
			all = append(all, c.DeletionTimestamp != nil)
		}
	}
	if len(all) == 0 {
		all = pods // nothing would make them anew
	}
	return len(all) > 0 && !slices.Contains(all, false)
}

// wants reports whether a mark asks for something to be done now.
func wants(m marking, busy bool, now time.Time) bool {
	switch {
	case !m.Until.IsZero() && !now.Before(m.Until):
		return true
	case m.Phase == phaseDraining:
		return !busy
	}
	return m.Phase != ""
}

// leading is the mark that speaks for the runner: the one with a phase, otherwise the latest that can be read.
func leading(hs []held) (lead marking, marked, broken bool) {
	for _, h := range hs {
		m, ok, bad := readMark(h.object.Annotations)
		if !ok {
			continue
		}
		if !marked || broken && !bad || !bad && m.Phase != "" || !bad && lead.Phase == "" && m.At.After(lead.At) {
			lead, broken = m, bad
		}
		marked = true
	}
	return lead, marked, broken
}

// allOff reports whether everything that can be out of service is. Where nothing says it, the mark does.
func allOff(hs []held, marked bool) bool {
	says := func(h held) bool { return len(h.lever.Settings) > 0 }
	others := slices.ContainsFunc(hs, func(h held) bool { return says(h) && h.object.Kind != "CronJob" })
	if !slices.ContainsFunc(hs, says) {
		return marked
	}
	return !slices.ContainsFunc(hs, func(h held) bool { return says(h) && !h.off && (!others || h.object.Kind != "CronJob") })
}

// revoked reports whether somebody has brought an object back by hand that was taken out: its mark is then to go.
func revoked(hs []held) bool {
	return slices.ContainsFunc(hs, func(h held) bool {
		m, marked, broken := readMark(h.object.Annotations)
		return marked && !broken && m.Phase == "" && m.Restore != nil && h.reverted() && !wasOff(m, h.lever)
	})
}

// reverted reports whether the fields that were changed are not as the lever set them.
func (h held) reverted() bool {
	if h.lever.Out == nil {
		return len(h.lever.Settings) > 0 && !h.off
	}
	return slices.ContainsFunc(h.lever.Settings, func(s systems.Setting) bool {
		if key, ok := annotationOf(s); ok {
			return !s.IsOff(h.object.Annotations[key])
		}
		v, _, _ := unstructured.NestedFieldNoCopy(h.object.Custom, s.Path...)
		return !s.IsOff(v)
	})
}

// annotationOf is the key of a setting that is an annotation.
func annotationOf(s systems.Setting) (string, bool) {
	if len(s.Path) == 3 && s.Path[1] == "annotations" {
		return s.Path[2], true
	}
	return "", false
}

// wasOff holds for a mark that remembers nothing but being off.
func wasOff(m marking, l *systems.Lever) bool {
	return !slices.ContainsFunc(l.Settings, func(s systems.Setting) bool { return !s.IsOff(m.Restore[pointer(s.Path)]) })
}
