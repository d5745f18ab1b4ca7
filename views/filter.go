package views

import (
	"cmp"
	"net/url"
	"strings"

	"trackside/store"
)

// filterChip is one value of the present filter with the address that drops it.
type filterChip struct{ Field, Value, Href string }

// formField is a hidden field that keeps the rest of a filter when the form is sent.
type formField struct{ Name, Value string }

// filterChips lists what the filter asks for, in words.
func filterChips(f store.Filter) (out []filterChip) {
	add := func(field, value string, drop func(*store.Filter)) {
		g := f
		drop(&g)
		out = append(out, filterChip{field, value, fleetURL(g)})
	}
	for _, h := range f.Healths {
		add("health", h.String(), func(g *store.Filter) {
			g.Healths = toggle(g.Healths, h, func(a, b store.Health) int { return a.Severity() - b.Severity() })
		})
	}
	if f.Disabled {
		add("health", wordDisabled, func(g *store.Filter) { g.Disabled = false })
	}
	for _, r := range f.Reasons {
		add("reason", r.Title(), func(g *store.Filter) {
			g.Reasons = toggle(g.Reasons, r, func(a, b store.Reason) int { return cmp.Compare(a, b) })
		})
	}
	for _, l := range []struct {
		field string
		of    func(*store.Filter) *[]string
	}{
		{"system", func(g *store.Filter) *[]string { return &g.Systems }},
		{"namespace", func(g *store.Filter) *[]string { return &g.Namespaces }},
		{"version", func(g *store.Filter) *[]string { return &g.Versions }},
		{"cluster", func(g *store.Filter) *[]string { return &g.Clusters }},
	} {
		for _, v := range *l.of(&f) {
			add(l.field, chipWord(l.field, v), func(g *store.Filter) { list := l.of(g); *list = toggle(*list, v, strings.Compare) })
		}
	}
	if f.Text != "" {
		add("text", store.Clean(f.Text, maxText), func(g *store.Filter) { g.Text = "" })
	}
	return out
}

func chipWord(field, v string) string {
	if field == "version" {
		return version(v)
	}
	return store.Clean(v, nameLimit)
}

// hiddenFields are the fields of a filter that the form does not show.
func hiddenFields(f store.Filter) (out []formField) {
	f.Text = ""
	for _, kv := range strings.FieldsFunc(EncodeQuery(f), func(r rune) bool { return r == '&' }) {
		out = append(out, unescape(kv))
	}
	return out
}

// unescape reads one field of a query made by [EncodeQuery].
func unescape(kv string) formField {
	k, v, _ := strings.Cut(kv, "=")
	value, err := url.QueryUnescape(v)
	if err != nil {
		value = v // cannot be: the encoder wrote it
	}
	return formField{k, value}
}
