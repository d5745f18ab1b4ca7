package views

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"trackside/store"
)

// noVersion stands in a query for the runners that name no version.
const noVersion = "none"

// Limits of a question: beyond them it is a mistake or an attack.
const (
	maxText   = 256
	maxValues = 64
)

// wordDisabled joins the words of a health in a query, though it is a state.
const wordDisabled = "disabled"

// ParseQuery reads a filter from a URL's query. Fields may be repeated, and health and reason may be lists with commas; blank
// values are ignored. An unknown health or reason is [store.ErrInvalid] and names those there are; any namespace, version or
// cluster is accepted, so that links live on. The result is canonical: sorted, without doubles, versions normalised.
func ParseQuery(v url.Values) (f store.Filter, err error) {
	if err = parseHealths(&f, words(v["health"])); err != nil {
		return store.Filter{}, err
	}
	if err = parseReasons(&f, words(v["reason"])); err != nil {
		return store.Filter{}, err
	}
	if f.Text, err = parseText(v.Get("q")); err != nil {
		return store.Filter{}, err
	}
	for key, field := range map[string]*[]string{"system": &f.Systems, "namespace": &f.Namespaces, "version": &f.Versions, "cluster": &f.Clusters} {
		if len(v[key]) > maxValues {
			return store.Filter{}, fmt.Errorf("%w: a filter takes at most %d values of %s", store.ErrInvalid, maxValues, key)
		}
		*field = canonical(v[key], key == "version")
	}
	return f, nil
}

// words splits values at commas and drops blanks.
func words(values []string) (out []string) {
	for _, v := range values {
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

func parseHealths(f *store.Filter, in []string) error {
	seen := map[store.Health]bool{}
	for _, w := range in {
		if w == wordDisabled {
			f.Disabled = true
			continue
		}
		h, err := store.ParseHealth(w)
		if err != nil {
			return fmt.Errorf("%w: health %q is not one of unhealthy, degraded, unknown, healthy, disabled", store.ErrInvalid, store.Clean(w, versionLimit))
		}
		seen[h] = true
	}
	for _, h := range store.Healths() {
		if seen[h] {
			f.Healths = append(f.Healths, h)
		}
	}
	return nil
}

func parseReasons(f *store.Filter, in []string) error {
	seen := map[store.Reason]bool{}
	for _, w := range in {
		r, err := store.ParseReason(store.Clean(w, versionLimit))
		if err != nil {
			return err
		}
		seen[r] = true
	}
	for _, r := range store.Reasons() {
		if seen[r] {
			f.Reasons = append(f.Reasons, r)
		}
	}
	return nil
}

func parseText(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > maxText:
		return "", fmt.Errorf("%w: the text of a filter is longer than %d bytes", store.ErrInvalid, maxText)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("%w: the text of a filter holds control characters", store.ErrInvalid)
	}
	return s, nil
}

func canonical(values []string, versions bool) (out []string) {
	for _, v := range values {
		v = strings.TrimSpace(v)
		switch {
		case v == "":
		case versions && v == noVersion:
			out = append(out, "")
		case versions:
			out = append(out, store.NormalizeVersion(v))
		default:
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// CheckSystems is [store.ErrInvalid], naming the known systems, when a filter names one that is not known.
func CheckSystems(f store.Filter, known []string) error {
	for _, s := range f.Systems {
		if !slices.Contains(known, s) {
			return fmt.Errorf("%w: system %q is not one of %s", store.ErrInvalid, store.Clean(s, versionLimit), strings.Join(known, ", "))
		}
	}
	return nil
}

// EncodeQuery writes a filter as a canonical query, sorted; "" for the filter that lets everything through.
func EncodeQuery(f store.Filter) string {
	v := url.Values{}
	for _, h := range store.Healths() {
		if slices.Contains(f.Healths, h) {
			v.Add("health", h.String())
		}
	}
	if f.Disabled {
		v.Add("health", wordDisabled)
	}
	for _, r := range store.Reasons() {
		if slices.Contains(f.Reasons, r) {
			v.Add("reason", r.String())
		}
	}
	for key, values := range map[string][]string{"system": f.Systems, "namespace": f.Namespaces, "cluster": f.Clusters} {
		v[key] = sorted(values)
	}
	for _, s := range sorted(f.Versions) {
		if s == "" {
			s = noVersion
		}
		v.Add("version", s)
	}
	if f.Text != "" {
		v.Set("q", f.Text)
	}
	return v.Encode()
}

// sorted is a sorted copy without doubles; nil stays nil, so that an empty field leaves no trace in a query.
func sorted(values []string) []string {
	out := slices.Clone(values)
	slices.Sort(out)
	return slices.Compact(out)
}

// fleetURL is the fleet page with that filter.
func fleetURL(f store.Filter) string { return withQuery("/", f) }

func withQuery(path string, f store.Filter) string {
	if q := EncodeQuery(f); q != "" {
		return path + "?" + q
	}
	return path
}

// toggle returns a copy of a list with a value added, or taken out when it was there, sorted by the given order.
func toggle[T comparable](list []T, v T, compare func(a, b T) int) []T {
	if i := slices.Index(list, v); i >= 0 {
		list = slices.Delete(slices.Clone(list), i, i+1)
		if len(list) == 0 {
			return nil
		}
		return list
	}
	list = append(slices.Clone(list), v)
	slices.SortFunc(list, compare)
	return list
}
