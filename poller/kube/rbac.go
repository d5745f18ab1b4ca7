package kube

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"trackside/systems"
)

// The rules that a cluster must grant, made from what is used: the manifests in deploy are generated from these functions.

// Rules are for namespaced objects: a Role may hold them, or a ClusterRole.
func Rules() []rbacv1.PolicyRule {
	g := grants{}
	for _, r := range resources {
		if !r.cluster {
			g.add(r.group, r.name, "list", "watch")
		}
	}
	g.add("", "pods", "get") // adoption reads a pod whose cache entry is a stub: set.read
	g.watches(false)
	return g.rules()
}

// watches adds what is read beside the common resources.
func (g grants) watches(clusterScoped bool) {
	for _, w := range Watches() {
		if w.ClusterScoped == clusterScoped {
			g.add(w.Group, w.Resource, "list", "watch")
		}
	}
}

// ClusterRules are for what has no namespace, which only a ClusterRole may hold. Without nodes the board says that it cannot
// see them, and cannot tell a lost node; /readyz, by which freshness is judged, is mostly granted to everybody already.
func ClusterRules() []rbacv1.PolicyRule {
	g := grants{}
	for _, r := range resources {
		if r.cluster {
			g.add(r.group, r.name, "list", "watch")
		}
	}
	g.watches(true)
	return append(g.rules(), rbacv1.PolicyRule{NonResourceURLs: []string{"/readyz"}, Verbs: []string{"get"}})
}

// ProbeRules are for probes that pass through the API server: ProbeAPIProxy, and no other way, needs them.
func ProbeRules() []rbacv1.PolicyRule {
	g := grants{}
	g.add("", "pods/proxy", "get")
	return g.rules()
}

// LogRules are for the logs of failures: Config.CaptureLogs, and nothing else, needs them.
func LogRules() []rbacv1.PolicyRule {
	g := grants{}
	g.add("", "pods/log", "get")
	return g.rules()
}

// ActRules are for acting on runners, beside Rules. They are made from what systems say of their switches, and never name a Secret.
func ActRules() []rbacv1.PolicyRule {
	g := grants{}
	g.add("", "events", "create")
	g.add("", "services", "get", "list", "delete")
	g.add("", "pods", "get", "delete")
	g.kind(scalerKind, "list", "get", "delete")
	for _, kind := range []string{"Deployment", "StatefulSet", "CronJob"} {
		g.kind(kind, "get", "delete")
	}
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		g.kind(kind, "patch") // a restart
	}
	for _, s := range systems.All() {
		sw := s.SwitchOf()
		for _, l := range sw.Levers {
			g.kind(l.Kind, "get", "patch")
		}
		for _, kind := range sw.Deletes {
			g.kind(kind, "get", "delete")
		}
		if sw.Work != "" {
			g.kind(sw.Work, "delete")
		}
	}
	return g.rules()
}

// kind adds verbs on the resource of a kind.
func (g grants) kind(kind string, verbs ...string) {
	gvr := resourceOf(kind)
	g.add(gvr.Group, gvr.Resource, verbs...)
}

// ImpersonateRules are for Config.Impersonate: acting in the name of whoever has signed in.
func ImpersonateRules() []rbacv1.PolicyRule {
	g := grants{}
	g.add("", "users", "impersonate")
	g.add("", "groups", "impersonate")
	return g.rules()
}

// grants are verbs by API group and resource.
type grants map[[2]string]map[string]bool

func (g grants) add(group, resource string, verbs ...string) {
	key := [2]string{group, resource}
	if g[key] == nil {
		g[key] = map[string]bool{}
	}
	for _, v := range verbs {
		g[key][v] = true
	}
}

// rules are the grants in order, one rule for all resources of a group that need the same verbs.
func (g grants) rules() []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, key := range slices.SortedFunc(maps.Keys(g), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		verbs := slices.Sorted(maps.Keys(g[key]))
		same := func(r rbacv1.PolicyRule) bool { return r.APIGroups[0] == key[0] && slices.Equal(r.Verbs, verbs) }
		if i := slices.IndexFunc(out, same); i >= 0 {
			out[i].Resources = append(out[i].Resources, key[1])
			continue
		}
		out = append(out, rbacv1.PolicyRule{APIGroups: []string{key[0]}, Resources: []string{key[1]}, Verbs: verbs})
	}
	return out
}
