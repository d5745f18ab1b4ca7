package kube

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
)

// services are those that lead to the pods of objects that go: the steps that delete the ones that lead to nothing else of their namespace,
// and the ones that stay for what else they lead to. Where they cannot be listed there are none: they stay, and lead nowhere.
func (h *hand) services(ctx context.Context, lives []*grip) (gone []*grip, stay []store.Object) {
	seen := map[string]bool{}
	for _, g := range lives {
		ns := g.object.Namespace
		if templateLabels(g.live) == nil || seen[ns] {
			continue
		}
		seen[ns] = true
		list, err := h.list(ctx, "Service", ns, "")
		if err != nil {
			continue
		}
		for i := range list {
			s := &list[i]
			selector, _, _ := unstructured.NestedStringMap(s.Object, "spec", "selector")
			switch by := labels.SelectorFromSet(selector); {
			case len(selector) == 0 || !leads(by, ns, lives):
			case h.leadsElsewhere(ctx, by, ns, lives):
				stay = append(stay, store.Object{Kind: "Service", Namespace: ns, Name: s.GetName()})
			default:
				s.SetKind("Service") // what is in a list need not say it
				g := &grip{gvr: kinds["Service"], live: s}
				g.object.Kind, g.object.Namespace, g.object.Name = "Service", ns, s.GetName()
				gone = append(gone, g)
			}
		}
	}
	return gone, stay
}

// leads reports whether a selector chooses pods of any of the objects.
func leads(by labels.Selector, namespace string, lives []*grip) bool {
	return slices.ContainsFunc(lives, func(g *grip) bool {
		own := templateLabels(g.live)
		return own != nil && g.object.Namespace == namespace && by.Matches(labels.Set(own))
	})
}

// leadsElsewhere reports whether a selector chooses pods that do not go with the objects: those that a Deployment or a StatefulSet would
// make, also one that is scaled to 0 now, and those that are there. What cannot be looked at may be such.
func (h *hand) leadsElsewhere(ctx context.Context, by labels.Selector, namespace string, lives []*grip) bool {
	goes := map[types.UID]bool{}
	for _, g := range lives {
		goes[g.live.GetUID()] = true
	}
	for _, p := range h.work {
		goes[p.UID] = true
	}
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		list, err := h.list(ctx, kind, namespace, "")
		if err != nil || slices.ContainsFunc(list, func(o unstructured.Unstructured) bool {
			own := templateLabels(&o)
			return own != nil && !goes[o.GetUID()] && o.GetDeletionTimestamp() == nil && by.Matches(labels.Set(own))
		}) {
			return true
		}
	}
	pods, err := h.list(ctx, "Pod", namespace, by.String())
	return err != nil || slices.ContainsFunc(pods, func(p unstructured.Unstructured) bool {
		phase, _, _ := unstructured.NestedString(p.Object, "status", "phase")
		ended := phase == string(corev1.PodSucceeded) || phase == string(corev1.PodFailed) // no Service leads to such a pod
		return !ended && p.GetDeletionTimestamp() == nil && !h.goesWith(&p, goes)
	})
}

// goesWith reports whether a pod is one of those objects, or has one of them above it.
func (h *hand) goesWith(pod *unstructured.Unstructured, goes map[types.UID]bool) bool {
	c := metav1.GetControllerOfNoCopy(pod)
	if goes[pod.GetUID()] || c == nil {
		return goes[pod.GetUID()]
	}
	if goes[c.UID] {
		return true
	}
	for o := range h.set.above(c.UID) {
		if goes[uidOf(o)] || goes[ownerOf(o)] {
			return true
		}
	}
	return false
}

// templateLabels are the labels of the pods that an object makes; nil for one that makes none.
func templateLabels(o *unstructured.Unstructured) map[string]string {
	own, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
	return own
}

// list reads the objects of a kind and a namespace that a label selector chooses; all of them when it is blank.
func (h *hand) list(ctx context.Context, kind, namespace, selector string) ([]unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	list, err := h.read.Resource(kinds[kind]).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
