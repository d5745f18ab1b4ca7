package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"trackside/store"
	"trackside/systems"
	"trackside/systems/finding"
)

// budgets are read by the board itself, for every system: whether a single replica survives the draining of its node.
var budgets = systems.Watch{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets", Kind: "PodDisruptionBudget", Keep: []string{"spec.selector"}}

// Watches are all resources that are read beside the common ones: what systems name, and the board's own.
func Watches() []systems.Watch {
	out := []systems.Watch{bindings, budgets}
	for _, s := range systems.All() {
		out = append(out, s.Watches...)
	}
	return out
}

// isBudget tells a disruption budget from what only a system reads.
func (c *custom) isBudget() bool { return c.kind == budgets.Kind }

// guarded are the runners that a disruption budget may be about: those with an object in its namespace.
func (s *set) guarded(cluster, namespace string) (refs []store.Ref) {
	for _, kind := range []string{"deployments", "statefulsets"} {
		for _, o := range s.lookup(kind, cache.NamespaceIndex, namespace) {
			refs = append(refs, claimRefs(cluster, o)...)
		}
	}
	return refs
}

// budget says whether a disruption budget guards the pods of an object: unknown where budgets are not served, or may not be read.
func (s *set) budget(namespace string, podLabels map[string]string) finding.Budget {
	known := false
	for _, w := range s.watched {
		if w.custom == nil || !sameWatch(*w.custom, budgets) || w.namespace != "" && w.namespace != namespace || !w.readable() {
			continue
		}
		known = true
		for _, b := range byIndex[*custom](w, cache.NamespaceIndex, namespace) {
			if b.selects(podLabels) {
				return finding.BudgetThere
			}
		}
	}
	if !known {
		return finding.BudgetUnknown
	}
	return finding.BudgetNone
}

// readable holds for an informer that has its list, and has not been refused it.
func (w *watched) readable() bool {
	select {
	case <-w.refused:
		return false
	default:
		return w.HasSynced()
	}
}

// selects reports whether a budget is about pods of those labels. One without a selector is about none, and an empty selector about all,
// as policy/v1 has it.
func (c *custom) selects(podLabels map[string]string) bool {
	spec, _ := c.content["spec"].(map[string]any)
	raw, ok := spec["selector"].(map[string]any)
	if !ok {
		return false
	}
	var sel metav1.LabelSelector
	if runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &sel) != nil {
		return false
	}
	match, err := metav1.LabelSelectorAsSelector(&sel)
	return err == nil && match.Matches(labels.Set(podLabels))
}

// singleLabels are the labels of a template's pods, kept only where there is one replica: nothing else asks for them.
func singleLabels(n *int32, t *corev1.PodTemplateSpec) map[string]string {
	if replicas(n) != 1 || len(t.Labels) == 0 {
		return nil
	}
	out := make(map[string]string, len(t.Labels))
	for k, v := range t.Labels {
		out[intern(k)] = intern(v)
	}
	return out
}
