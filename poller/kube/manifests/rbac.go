package manifests

import (
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"trackside/systems"
)

// Grant is one resource and what is done with it.
type Grant struct {
	Group, Resource string
	Verbs           []string
}

// applied are the verbs of a server-side apply, of its dry run too: get for the difference, patch, and create for what is not there.
var applied = []string{"create", "get", "patch"}

// Grants are what checking and applying manifests takes of a cluster, and reading those of what runs: each kind that a manifest of some
// system makes. Secrets are never among them. A Role that gives more than Trackside itself may is refused by the API server, since the
// verb escalate is not granted: apply such a manifest with kubectl, or as a person with --impersonate.
func Grants() (out []Grant) {
	seen := map[schema.GroupKind]bool{}
	for _, s := range systems.All() {
		if s.Manifest == nil {
			continue
		}
		for _, all := range []bool{false, true} {
			for _, o := range s.Manifest.Build(everything(s.Manifest, all)) {
				seen[o.GetObjectKind().GroupVersionKind().GroupKind()] = true
			}
		}
	}
	for _, gk := range slices.SortedFunc(maps.Keys(seen), func(a, b schema.GroupKind) int { return strings.Compare(a.String(), b.String()) }) {
		g := Grant{gk.Group, pluralOf(gk.Kind), slices.Clone(applied)}
		if slices.ContainsFunc(beside, func(k schema.GroupVersionKind) bool { return k.GroupKind() == gk }) {
			g.Verbs = append(g.Verbs, "list")
		}
		slices.Sort(g.Verbs)
		out = append(out, g)
	}
	return append(out, Grant{"batch", "cronjobs", []string{"get"}})
}

// everything is a form with its defaults, or with the last of each choice.
func everything(m *systems.Manifest, last bool) systems.Values {
	v := systems.NewValues(m.Fields, nil)
	for _, f := range m.Fields {
		if n := len(f.Choices); last && n > 0 {
			v = v.With(f.Name, f.Choices[n-1])
		}
	}
	return v
}

// pluralOf is the resource of a kind; it suits all that are written here.
func pluralOf(kind string) string {
	if strings.HasSuffix(kind, "s") {
		return strings.ToLower(kind) + "es"
	}
	return strings.ToLower(kind) + "s"
}

// Rules are the grants as a role has them: those of one group with the same verbs stand together.
func Rules() (out []rbacv1.PolicyRule) {
	for _, g := range Grants() {
		same := func(r rbacv1.PolicyRule) bool { return r.APIGroups[0] == g.Group && slices.Equal(r.Verbs, g.Verbs) }
		if i := slices.IndexFunc(out, same); i >= 0 {
			out[i].Resources = append(out[i].Resources, g.Resource)
			continue
		}
		out = append(out, rbacv1.PolicyRule{APIGroups: []string{g.Group}, Resources: []string{g.Resource}, Verbs: g.Verbs})
	}
	return out
}
