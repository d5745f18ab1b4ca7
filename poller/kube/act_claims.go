package kube

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"trackside/store"
)

// maxClaims bounds how many claims of each template are named.
const maxClaims = 50

// claims are the volumes that a StatefulSet has made, one for each replica it has, or had before it was taken out of service.
func claims(g *grip) (out []store.Object) {
	templates, _, _ := unstructured.NestedSlice(g.live.Object, "spec", "volumeClaimTemplates")
	first, _, _ := unstructured.NestedInt64(g.live.Object, "spec", "ordinals", "start")
	for _, t := range templates {
		m, _ := t.(map[string]any)
		name, _, _ := unstructured.NestedString(m, "metadata", "name")
		for i := range max(1, min(g.replicas(), maxClaims)) {
			out = append(out, store.Object{Kind: "PersistentVolumeClaim", Namespace: g.object.Namespace, Name: fmt.Sprintf("%s-%s-%d", name, g.object.Name, first+i)})
		}
	}
	return out
}

// replicas is how many an object has, or had before it was taken out of service.
func (g *grip) replicas() int64 {
	n, _, _ := unstructured.NestedInt64(g.live.Object, "spec", "replicas")
	if v, known := g.mark.Restore["/spec/replicas"].(float64); known {
		n = max(n, int64(v))
	}
	return n
}

// lost reports whether the claims of a StatefulSet are deleted by its controller, on whenScaled down or whenDeleted, as its
// persistentVolumeClaimRetentionPolicy says; they are retained by default.
func lost(g *grip, when string) bool {
	policy, _, _ := unstructured.NestedString(g.live.Object, "spec", "persistentVolumeClaimRetentionPolicy", when)
	return policy == "Delete" && len(claims(g)) > 0
}

// claimsTrap tells of volumes that go with the pods: what is on them does not come back.
func (h *hand) claimsTrap(verb store.Verb, g *grip) (t store.Trap, ok bool) {
	does, when := "Scaling "+g.name().String()+" down", "whenScaled"
	if verb == store.VerbDelete {
		does, when = "Deleting "+g.name().String(), "whenDeleted"
	}
	if verb != store.VerbDisable && verb != store.VerbDelete || !lost(g, when) {
		return t, false
	}
	return store.Trap{Code: "claims-deleted", Why: store.Sentence(fmt.Sprintf(
		"%s deletes its PersistentVolumeClaims, and what is on them: its persistentVolumeClaimRetentionPolicy has %s: Delete. Set that to Retain first to keep them.", does, when))}, true
}

// workClaims are the claims of the runner's work, where its system knows them: they outlive the runner.
func (h *hand) workClaims() (out []store.Object) {
	for _, c := range h.customs {
		if c.kind == "PersistentVolumeClaim" {
			out = append(out, store.Object{Kind: c.kind, Namespace: c.Namespace, Name: c.Name})
		}
	}
	return out
}
