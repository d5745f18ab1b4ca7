package manifests

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"trackside/store"
	"trackside/systems"
)

// kinds are those of a runner's own objects.
func kinds() map[string]schema.GroupVersionKind {
	out := map[string]schema.GroupVersionKind{
		"Deployment": {Group: "apps", Version: "v1", Kind: "Deployment"}, "StatefulSet": {Group: "apps", Version: "v1", Kind: "StatefulSet"},
		"CronJob": {Group: "batch", Version: "v1", Kind: "CronJob"}, "Pod": {Version: "v1", Kind: "Pod"},
	}
	for _, s := range systems.All() {
		for _, w := range s.Watches {
			out[w.Kind] = schema.GroupVersionKind{Group: w.Group, Version: w.Version, Kind: w.Kind}
		}
	}
	return out
}

// beside are the kinds of objects that belong to others: by their selector, or by what they scale.
var beside = []schema.GroupVersionKind{{Version: "v1", Kind: "Service"}, {Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}, {Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}}

var ordinal = regexp.MustCompile(`-\d+$`)

// Values are those of the form that fit what runs: where the runner was not made by it, as far as they can be found. An object that is
// gone is left out; store.ErrUnavailable when the cluster cannot be asked.
func (s *Service) Values(ctx context.Context, r *store.Runner, by store.Person) (map[string]string, error) {
	sys := systems.Named(r.Ref.System)
	if sys == nil || sys.Manifest == nil {
		return nil, fmt.Errorf("%w: there is no manifest for a runner of %s", store.ErrInvalid, store.Clean(r.Ref.System, 40))
	}
	a, err := s.asker(r.Ref.Cluster, by)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	own, err := a.own(ctx, r)
	if err != nil {
		return nil, err
	}
	m := sys.Manifest
	v := systems.NewValues(m.Fields, map[string]string{"namespace": r.Ref.Namespace})
	out := placementOf(m, v).read(m, v, own)
	out["namespace"] = r.Ref.Namespace
	if m.Runner == nil {
		out["name"] = r.Ref.Name
	}
	return out, nil
}

// own reads the objects of a runner's components, and of its work where it has no other.
func (a asker) own(ctx context.Context, r *store.Runner) (out []*unstructured.Unstructured, err error) {
	known := kinds()
	seen := map[string]bool{}
	add := func(kind, namespace, name string) error {
		gvk, ok := known[kind]
		if !ok || name == "" || seen[kind+"/"+name] {
			return nil
		}
		seen[kind+"/"+name] = true
		o, err := a.get(ctx, gvk, namespace, name)
		if o != nil {
			out = append(out, o)
		}
		return err
	}
	for _, c := range r.Components {
		err = errors.Join(err, add(c.Kind, r.Ref.Namespace, c.Object))
		if c.Kind == "Pod" || ordinal.MatchString(r.Ref.Name) { // a replica that is a runner: its StatefulSet makes it
			err = errors.Join(err, add("StatefulSet", r.Ref.Namespace, ordinal.ReplaceAllString(r.Ref.Name, "")))
		}
	}
	if len(out) == 0 && err == nil {
		for i := range min(1, len(r.Workloads)) {
			err = add("Pod", r.Workloads[i].Namespace, r.Workloads[i].Name)
		}
	}
	return out, err
}

// get reads an object; nil when it is not there.
func (a asker) get(ctx context.Context, gvk schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	r, err := a.resource(gvk, namespace)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // what is not served any more is not there
	}
	o, err := r.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // it is gone, which is no error
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("%w: reading %s %s/%s in %s: grant the verb get on %s", store.ErrForbidden, gvk.Kind, namespace, name, a.alias, strings.ToLower(gvk.Kind))
	case err != nil:
		return nil, fmt.Errorf("%w: reading %s %s/%s in %s: %s", store.ErrUnavailable, gvk.Kind, namespace, name, a.alias, store.Clean(store.ErrorText(err), 200))
	}
	return o, nil
}

// Written is the manifest of a runner as it runs, or ran before it was taken out of service: its objects, their accounts, and what selects or
// scales them, without what only the cluster says of them. What looks like a secret, and annotations of which nobody knows what they hold, are
// left out, and named in its heading. No Secret is read.
func (s *Service) Written(ctx context.Context, r *store.Runner, by store.Person) (store.ManifestDraft, error) {
	d := store.ManifestDraft{System: r.Ref.System, Cluster: r.Ref.Cluster, Namespace: r.Ref.Namespace, Name: r.Ref.Name}
	a, err := s.asker(r.Ref.Cluster, by)
	if err != nil {
		return d, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	objects, err := a.whole(ctx, r)
	if err != nil {
		return d, err
	}
	if len(objects) == 0 {
		return d, fmt.Errorf("%w: %s has no object left in %s that a manifest could be written of", store.ErrConflict, r.Ref, r.Ref.Cluster)
	}
	heading := []string{r.Ref.String() + " as it ran at " + time.Now().UTC().Format(time.RFC3339) + ". Written by Trackside."}
	for i, o := range objects {
		var said []string
		objects[i], said = writeOut(systems.Named(r.Ref.System), o)
		heading = append(heading, said...)
	}
	text, err := document(comments(heading), objects)
	d.YAML = string(text)
	return d, err
}

// whole reads a runner's own objects and what stands beside them.
func (a asker) whole(ctx context.Context, r *store.Runner) ([]*unstructured.Unstructured, error) {
	own, err := a.own(ctx, r)
	if err != nil {
		return nil, err
	}
	var before, after []*unstructured.Unstructured
	for _, o := range own {
		account, _, _ := unstructured.NestedString(o.Object, "spec", "template", "spec", "serviceAccountName")
		if account == "" || account == "default" || slices.ContainsFunc(before, func(x *unstructured.Unstructured) bool { return x.GetName() == account }) {
			continue
		}
		found, err := a.get(ctx, schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"}, o.GetNamespace(), account)
		if err != nil {
			return nil, err
		}
		if found != nil {
			before = append(before, found)
		}
	}
	for _, gvk := range beside {
		if more := a.list(ctx, gvk, r.Ref.Namespace); len(more) > 0 {
			after = append(after, slices.DeleteFunc(more, func(o *unstructured.Unstructured) bool { return !belongs(o, own) })...)
		}
	}
	return slices.Concat(before, own, after), nil
}

// list reads all objects of a kind in a namespace; none where that may not be done.
func (a asker) list(ctx context.Context, gvk schema.GroupVersionKind, namespace string) (out []*unstructured.Unstructured) {
	r, err := a.resource(gvk, namespace)
	if err != nil {
		return nil
	}
	list, err := r.List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil {
		return nil
	}
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out
}

// belongs reports whether an object selects the pods of one of a runner's, or scales it.
func belongs(o *unstructured.Unstructured, own []*unstructured.Unstructured) bool {
	selector, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector")
	if o.GetKind() == "PodDisruptionBudget" {
		selector, _, _ = unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
	}
	scaled, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
	return slices.ContainsFunc(own, func(x *unstructured.Unstructured) bool {
		pods, _, _ := unstructured.NestedStringMap(x.Object, "spec", "template", "metadata", "labels")
		return scaled != "" && scaled == x.GetName() || len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(pods))
	})
}

// theirs are the fields that a cluster writes, and that an apply must not bring back.
var theirs = [][]string{{"status"}, {"metadata", "managedFields"}, {"metadata", "uid"}, {"metadata", "resourceVersion"}, {"metadata", "generation"}, {"metadata", "creationTimestamp"},
	{"metadata", "selfLink"}, {"metadata", "ownerReferences"}, {"metadata", "annotations", lastApplied}, {"metadata", "annotations", "deployment.kubernetes.io/revision"},
	{"spec", "template", "metadata", "creationTimestamp"}, {"spec", "nodeName"}, {"spec", "clusterIPs"}, {"spec", "ipFamilies"}, {"spec", "ipFamilyPolicy"}, {"spec", "internalTrafficPolicy"}}

// Clean is an object without what only its cluster says of it.
func Clean(o *unstructured.Unstructured) *unstructured.Unstructured {
	out := o.DeepCopy()
	for _, path := range theirs {
		unstructured.RemoveNestedField(out.Object, path...)
	}
	if ip, _, _ := unstructured.NestedString(out.Object, "spec", "clusterIP"); ip != "None" {
		unstructured.RemoveNestedField(out.Object, "spec", "clusterIP")
	}
	if len(out.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(out.Object, "metadata", "annotations")
	}
	return out
}

// Archive writes the manifests of runners as one tar.gz, one file each. Of a runner that cannot be read, NOT-WRITTEN.txt says why.
func (s *Service) Archive(ctx context.Context, w io.Writer, runners []*store.Runner, by store.Person) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	now := time.Now()
	put := func(name, text string) error {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: now}); err != nil {
			return err
		}
		_, err := io.WriteString(out, text)
		return err
	}
	var missing strings.Builder
	for _, r := range runners {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d, err := s.Written(ctx, r, by)
		if err != nil {
			fmt.Fprintf(&missing, "%s: %s\n", r.Ref, store.Clean(store.Plain(err), 300))
			continue
		}
		if err := put(fileOf(r.Ref), d.YAML); err != nil {
			return err
		}
	}
	if missing.Len() > 0 {
		if err := put("NOT-WRITTEN.txt", missing.String()); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zip.Close())
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]+|\.\.+|^\.`)

// fileOf is the path of a runner's manifest in an archive; a name holds no slash and no step upwards.
func fileOf(ref store.Ref) string {
	var parts []string
	for _, p := range []string{ref.Cluster, ref.System, ref.Namespace, ref.Name} {
		parts = append(parts, cmp.Or(unfit.ReplaceAllString(p, "_"), "-"))
	}
	return strings.Join(parts, "/") + ".yaml"
}
