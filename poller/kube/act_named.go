package kube

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

// named lists what an object's pods refer to by name, and what stays when they are gone. Nothing of it is read.
func named(g *grip) (out []store.Object) {
	raw, ok, _ := unstructured.NestedMap(g.live.Object, "spec", "template", "spec")
	if !ok {
		raw, ok, _ = unstructured.NestedMap(g.live.Object, "spec", "jobTemplate", "spec", "template", "spec")
	}
	if g.object.Kind == "Pod" {
		raw, ok, _ = unstructured.NestedMap(g.live.Object, "spec")
	}
	var spec corev1.PodSpec
	if !ok || runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &spec) != nil {
		return nil
	}
	ns := g.object.Namespace
	add := func(kind, name string) {
		if name != "" {
			out = append(out, store.Object{Kind: kind, Namespace: ns, Name: store.Clean(name, 253)})
		}
	}
	for _, v := range spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil:
			add("PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName)
		case v.Secret != nil:
			add("Secret", v.Secret.SecretName)
		case v.ConfigMap != nil:
			add("ConfigMap", v.ConfigMap.Name)
		case v.CSI != nil && v.CSI.NodePublishSecretRef != nil:
			add("Secret", v.CSI.NodePublishSecretRef.Name)
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					add("Secret", s.Secret.Name)
				}
			}
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		namedBy(&c, add)
	}
	for _, s := range spec.ImagePullSecrets {
		add("Secret", s.Name)
	}
	if spec.ServiceAccountName != "default" { // which every namespace has
		add("ServiceAccount", spec.ServiceAccountName)
	}
	return out
}

func namedBy(c *corev1.Container, add func(kind, name string)) {
	for _, e := range c.EnvFrom {
		if e.SecretRef != nil {
			add("Secret", e.SecretRef.Name)
		}
		if e.ConfigMapRef != nil {
			add("ConfigMap", e.ConfigMapRef.Name)
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			add("Secret", e.ValueFrom.SecretKeyRef.Name)
		}
	}
}

// secrets are those that a custom object names in the fields that its system knows.
func (h *hand) secrets(g *grip) (out []store.Object) {
	for _, path := range h.sw.Secrets[g.object.Kind] {
		if name, _, _ := unstructured.NestedString(g.live.Object, strings.Split(path, ".")...); name != "" {
			out = append(out, store.Object{Kind: "Secret", Namespace: g.object.Namespace, Name: store.Clean(name, 253)})
		}
	}
	return out
}

// maxNamed bounds how many pods of work are read for what they name: each takes a request.
const maxNamed = 20

// namedByWork lists what only the pods of work name, and what stays when they are gone. The caches do not hold it: one pod of each owner is
// read. What a custom object's pod names may have been made for it, and go with that.
func (h *hand) namedByWork(ctx context.Context) (out []store.Object) {
	seen, read := map[string]bool{}, 0
	for _, p := range h.work {
		c := metav1.GetControllerOfNoCopy(p)
		if c != nil && (seen[string(c.UID)] || !slices.Contains([]string{"Job", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"}, c.Kind)) {
			continue
		}
		if c != nil {
			seen[string(c.UID)] = true
		}
		if read++; read > maxNamed {
			break
		}
		if live, err := h.get(ctx, kinds["Pod"], p.Namespace, p.Name); err == nil && live.GetUID() == p.UID {
			out = append(out, named(&grip{held: heldPod(p), live: live})...)
		}
	}
	return out
}
