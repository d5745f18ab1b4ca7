package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
	"trackside/systems"
)

// Which field of the form stands where in the objects is not written down anywhere: it is found by changing one value and looking at
// what else changes. So it cannot part from what is built.

// place is where a value stands: an object by its kind and its number among those of that kind, and the path in it.
type place struct {
	object string
	path   string // joined with dots; a list's items are numbers
}

// leaves are the values of objects by place, as text.
type leaves map[place]string

func flatten(objects []runtime.Object) leaves {
	out, n := leaves{}, map[string]int{}
	for _, o := range objects {
		u, err := bare(o)
		if err != nil {
			continue
		}
		key := u.GetKind() + "/" + strconv.Itoa(n[u.GetKind()])
		n[u.GetKind()]++
		walk(out, key, "", u.Object)
	}
	return out
}

func walk(out leaves, object, path string, v any) {
	switch x := v.(type) {
	case map[string]any:
		for k, item := range x {
			walk(out, object, join(path, k), item)
		}
	case []any:
		for i, item := range x {
			walk(out, object, join(path, strconv.Itoa(i)), item)
		}
	default:
		out[place{object, path}] = fmt.Sprint(v)
	}
}

func join(path, key string) string {
	key = strings.ReplaceAll(key, ".", "\x00") // a label's key has dots of its own
	if path == "" {
		return key
	}
	return path + "." + key
}

// placement is where the values of a form stand.
type placement struct {
	// touches are the places that a field has to do with; holds are those that hold its very value.
	touches, holds map[string][]place
}

func placementOf(m *systems.Manifest, v systems.Values) placement {
	base := flatten(m.Build(v))
	p := placement{map[string][]place{}, map[string][]place{}}
	for _, f := range m.Fields {
		other := another(f, v.Text(f.Name))
		with := flatten(m.Build(v.With(f.Name, other)))
		for at, text := range with {
			if base[at] == text {
				continue
			}
			p.touches[f.Name] = append(p.touches[f.Name], at)
			if text == other {
				p.holds[f.Name] = append(p.holds[f.Name], at)
			}
		}
		for _, list := range [][]place{p.touches[f.Name], p.holds[f.Name]} {
			slices.SortFunc(list, func(a, b place) int { return strings.Compare(rank(a), rank(b)) })
		}
	}
	return p
}

// rank puts an object's own name before everything else.
func rank(p place) string {
	if p.path == "metadata.name" {
		return "0" + p.object
	}
	return "1" + p.object + p.path
}

// another is a value of the same kind that is not the one given.
func another(f store.ManifestField, value string) string {
	switch f.Kind {
	case store.FieldNumber:
		n, _ := strconv.ParseInt(value, 10, 32)
		return strconv.FormatInt(n+1, 10)
	case store.FieldQuantity:
		if value == "77Mi" {
			return "78Mi"
		}
		return "77Mi"
	case store.FieldChoice:
		for _, c := range f.Choices {
			if c != value {
				return c
			}
		}
	case store.FieldText, store.FieldName, store.FieldImage, store.FieldURL, store.FieldPath:
	}
	return value + "x"
}

// fieldAt is the field of the form that has to do with a path of an object, as an API server writes it: spec.containers[0].image. Of
// several the one whose value the server quotes. Blank when there is none.
func (p placement) fieldAt(m *systems.Manifest, v systems.Values, object, path, message string) string {
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	best, score := "", 0
	for _, f := range m.Fields {
		for _, at := range p.touches[f.Name] {
			if at.object != object {
				continue
			}
			here := strings.ReplaceAll(at.path, "\x00", ".")
			if n := common(here, path); n > 0 {
				if value := v.Text(f.Name); value != "" && strings.Contains(message, strconv.Quote(value)) {
					n += 1000
				}
				if n > score {
					best, score = f.Name, n
				}
			}
		}
	}
	return best
}

// common is how many steps two paths share where one leads to the other; 0 where neither does.
func common(a, b string) int {
	switch {
	case a == b, strings.HasPrefix(a, b+"."):
		return 1 + strings.Count(b, ".")
	case strings.HasPrefix(b, a+"."):
		return 1 + strings.Count(a, ".")
	}
	return 0
}

// read finds the values of a form in objects that run.
func (p placement) read(m *systems.Manifest, v systems.Values, live []*unstructured.Unstructured) map[string]string {
	built := map[string]*unstructured.Unstructured{}
	n := map[string]int{}
	for _, o := range m.Build(v) {
		if u, err := bare(o); err == nil {
			built[u.GetKind()+"/"+strconv.Itoa(n[u.GetKind()])] = u
			n[u.GetKind()]++
		}
	}
	out := map[string]string{}
	for _, f := range m.Fields {
		for _, at := range p.holds[f.Name] {
			if text, ok := valueAt(built[at.object], counterpart(built[at.object], live), at.path); ok {
				out[f.Name] = text
				break
			}
		}
	}
	return maps.Clone(out)
}

// counterpart is the live object that stands for a written one: that of its kind and name, or the only one of its kind.
func counterpart(built *unstructured.Unstructured, live []*unstructured.Unstructured) (found *unstructured.Unstructured) {
	if built == nil {
		return nil
	}
	alike := 0
	for _, o := range live {
		if o.GetKind() != built.GetKind() {
			continue
		}
		if o.GetName() == built.GetName() {
			return o
		}
		alike++
		found = o
	}
	if alike != 1 {
		return nil
	}
	return found
}

// valueAt follows a path through a live object beside the written one: an item of a list is found by its name, where it has one.
func valueAt(built, live *unstructured.Unstructured, path string) (string, bool) {
	if built == nil || live == nil {
		return "", false
	}
	var b, l any = built.Object, live.Object
	for step := range strings.SplitSeq(path, ".") {
		step = strings.ReplaceAll(step, "\x00", ".")
		switch x := l.(type) {
		case map[string]any:
			l = x[step]
			own, _ := b.(map[string]any)
			b = own[step]
		case []any:
			l, b = itemOf(x, b, step)
		default:
			return "", false
		}
	}
	switch l.(type) {
	case nil, map[string]any, []any:
		return "", false
	}
	return fmt.Sprint(l), true
}

func itemOf(live []any, built any, step string) (l, b any) {
	i, err := strconv.Atoi(step)
	if err != nil {
		return nil, nil
	}
	if own, _ := built.([]any); i < len(own) {
		b = own[i]
	}
	if named, _ := b.(map[string]any); named["name"] != nil {
		for _, item := range live {
			if x, _ := item.(map[string]any); x["name"] == named["name"] {
				return x, b
			}
		}
		return nil, b
	}
	if i < len(live) {
		return live[i], b
	}
	return nil, b
}
