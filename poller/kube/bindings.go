package kube

import (
	"slices"
	"strings"

	"k8s.io/client-go/tools/cache"

	"trackside/store"
	"trackside/systems"
	"trackside/systems/finding"
)

// bindings are read by the board itself, for every system: which service accounts may do anything in the cluster. Of those to other roles
// nothing is kept.
var bindings = systems.Watch{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings", Kind: "ClusterRoleBinding",
	Keep: []string{"roleRef", "subjects"}, ClusterScoped: true}

// adminRole is the role that may do anything; byAdmin finds the bindings to it.
const (
	adminRole = "cluster-admin"
	byAdmin   = "admin"
)

// isAdminBinding tells a binding to cluster-admin from all else.
func (c *custom) isAdminBinding() bool {
	role, _ := c.content["roleRef"].(map[string]any)
	return c.kind == bindings.Kind && role["kind"] == "ClusterRole" && role["name"] == adminRole
}

// grantees are the service accounts that a binding is for, each with its namespace; a blank name is every account there, and a blank namespace
// every namespace.
func (c *custom) grantees() (out []cache.ObjectName) {
	subjects, _ := c.content["subjects"].([]any)
	for _, s := range subjects {
		x, _ := s.(map[string]any)
		name, _ := x["name"].(string)
		namespace, _ := x["namespace"].(string)
		switch {
		case x["kind"] == "ServiceAccount" && name != "" && namespace != "":
			out = append(out, cache.NewObjectName(namespace, name))
		case x["kind"] != "Group":
		case name == "system:serviceaccounts" || name == "system:authenticated":
			out = append(out, cache.ObjectName{})
		default:
			if ns, ok := strings.CutPrefix(name, "system:serviceaccounts:"); ok && ns != "" {
				out = append(out, cache.NewObjectName(ns, ""))
			}
		}
	}
	return out
}

// adminBinding names the binding by which an account may do anything in the cluster; blank where none is known.
func (s *set) adminBinding(namespace, account string) (name string) {
	for _, w := range s.watched {
		if w.custom == nil || !sameWatch(*w.custom, bindings) || !w.readable() {
			continue
		}
		for _, b := range byIndex[*custom](w, byAdmin, adminRole) {
			if (name == "" || b.Name < name) && slices.ContainsFunc(b.grantees(), func(g cache.ObjectName) bool {
				return (g.Namespace == "" || g.Namespace == namespace) && (g.Name == "" || g.Name == account)
			}) {
				name = b.Name
			}
		}
	}
	return name
}

// admins are the findings about an account, by what its object is called and where it names the account.
func (s *set) admins(object, field, namespace, account string) []store.Finding {
	if account == "" {
		account = "default"
	}
	if b := s.adminBinding(namespace, account); b != "" {
		return []store.Finding{finding.ClusterAdmin(object, field, account, b)}
	}
	return nil
}

// granted are the runners that a binding may be about: those with an object where it is for somebody.
func (s *set) granted(cluster string, c *custom) (refs []store.Ref) {
	seen := map[store.Ref]bool{}
	for _, g := range c.grantees() {
		for _, o := range s.accounted(g.Namespace) {
			for _, ref := range claimRefs(cluster, o) {
				if !seen[ref] {
					seen[ref] = true
					refs = append(refs, ref)
				}
			}
		}
	}
	return refs
}

// accounted are the objects that may name a service account, in a namespace or, for a blank one, anywhere.
func (s *set) accounted(namespace string) (out []any) {
	for _, w := range s.watched {
		switch {
		case !slices.Contains([]string{"deployments", "statefulsets", "cronjobs", "pods"}, w.name):
		case namespace == "":
			out = append(out, w.GetIndexer().List()...)
		default:
			objs, _ := w.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
			out = append(out, objs...)
		}
	}
	return out
}
