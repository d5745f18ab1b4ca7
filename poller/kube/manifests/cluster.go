package manifests

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"trackside/store"
)

// Manager is the field manager under which manifests are applied.
const Manager = "trackside"

const (
	// checkTime bounds a dry run of all objects, applyTime an apply of them.
	checkTime = 8 * time.Second
	applyTime = 30 * time.Second
)

// Target is a cluster that manifests can be checked against and applied to.
type Target struct {
	Alias string
	REST  *rest.Config
}

// Service writes manifests and knows the clusters.
type Service struct {
	targets     map[string]*target
	impersonate bool
}

type target struct {
	alias  string
	config *rest.Config
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// New prepares the clusters; none is asked yet. With impersonate, a cluster is asked as the person who asks.
func New(targets []Target, impersonate bool) (*Service, error) {
	s := &Service{targets: map[string]*target{}, impersonate: impersonate}
	for _, t := range targets {
		d, err := discovery.NewDiscoveryClientForConfig(t.REST)
		if err != nil {
			return nil, fmt.Errorf("%w: the cluster %s: %s", store.ErrInvalid, t.Alias, store.ErrorText(err))
		}
		s.targets[t.Alias] = &target{t.Alias, t.REST, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))}
	}
	return s, nil
}

// Forms are what can be asked.
func (s *Service) Forms() []store.ManifestForm { return Forms() }

// asker is a target as one person may ask it.
type asker struct {
	*target
	client dynamic.Interface
}

func (s *Service) asker(alias string, by store.Person) (asker, error) {
	t, ok := s.targets[alias]
	if !ok {
		return asker{}, fmt.Errorf("%w: there is no cluster %q here", store.ErrInvalid, store.Clean(alias, 80))
	}
	cfg := t.config
	if s.impersonate && by.Name != "" {
		if err := by.CheckImpersonation(); err != nil {
			return asker{}, err
		}
		cfg = rest.CopyConfig(cfg)
		cfg.Impersonate = rest.ImpersonationConfig{UserName: by.Name, Groups: by.Groups}
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return asker{}, fmt.Errorf("%w: the cluster %s: %s", store.ErrInvalid, alias, store.ErrorText(err))
	}
	return asker{t, client}, nil
}

// resource is where objects of a kind stand. What was not served a moment ago may be now.
func (a asker) resource(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	m, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		a.mapper.Reset()
		m, err = a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return a.client.Resource(m.Resource), nil
	}
	return a.client.Resource(m.Resource).Namespace(namespace), nil
}

// Preview writes a manifest and asks its cluster, by a dry run, what it makes of it. A cluster that does not answer leaves the draft
// unchecked. Errors are those of [Draft].
func (s *Service) Preview(ctx context.Context, ask store.ManifestAsk) (store.ManifestDraft, error) {
	w, err := write(ask)
	if err != nil || w.YAML == "" || ask.Cluster == "" {
		return w.ManifestDraft, err
	}
	a, err := s.asker(ask.Cluster, ask.By)
	if err != nil {
		return w.ManifestDraft, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	a.check(ctx, &w, ask.Force)
	return w.ManifestDraft, nil
}

// check asks the cluster about each object.
func (a asker) check(ctx context.Context, w *written, force bool) {
	w.Checked = true
	places := placementOf(w.manifest, w.values)
	seen := map[string]int{}
	for _, o := range w.objects {
		key := fmt.Sprintf("%s/%d", o.GetKind(), seen[o.GetKind()])
		seen[o.GetKind()]++
		change, errs := a.dryRun(ctx, o, w.accounts(), force)
		for _, err := range errs {
			if away(err) {
				w.Checked, w.Unchecked, w.Changes = false, store.Sentence("The cluster "+a.alias+" could not be asked: "+store.Clean(store.ErrorText(err), 200)+"."), nil
				return
			}
			for _, p := range problems(o, err) {
				p.Field = places.fieldAt(w.manifest, w.values, key, p.Path, p.Text)
				w.Problems = append(w.Problems, p)
			}
		}
		if change.What != "" {
			w.Changes = append(w.Changes, change)
		}
	}
}

// accounts names the service accounts that the manifest makes.
func (w *written) accounts() (out []string) {
	for _, o := range w.objects {
		if o.GetKind() == "ServiceAccount" {
			out = append(out, o.GetName())
		}
	}
	return out
}

// dryRun asks what an apply would make of an object, and what stands against it. Where somebody else keeps a field, the rest is told as it
// would be if it were taken over. A pod's account that comes with the same manifest is not there yet, and that is no fault: it is asked
// about the pod without.
func (a asker) dryRun(ctx context.Context, o *unstructured.Unstructured, accounts []string, force bool) (change store.ObjectChange, errs []error) {
	change.Object = named(o)
	r, err := a.resource(o.GroupVersionKind(), o.GetNamespace())
	if err != nil {
		return change, []error{err}
	}
	live, liveErr := r.Get(ctx, o.GetName(), metav1.GetOptions{})
	if away(liveErr) {
		return change, []error{liveErr}
	}
	try := func(o *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error) {
		return r.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: Manager, Force: force, DryRun: []string{metav1.DryRunAll}})
	}
	would, err := try(o, force)
	if awaitsAccount(err, accounts) {
		o = o.DeepCopy()
		unstructured.RemoveNestedField(o.Object, "spec", "serviceAccountName")
		would, err = try(o, force)
	}
	if apierrors.IsConflict(err) {
		errs = append(errs, err)
		would, err = try(o, true)
	}
	if err != nil {
		return change, append(errs, err)
	}
	if liveErr == nil {
		change.What, change.Diff = difference(live, would)
	} else if apierrors.IsNotFound(liveErr) {
		change.What = store.ChangeNew
	}
	return change, errs
}

// awaitsAccount holds for a pod that is refused because its account is not there, where the account comes with it.
func awaitsAccount(err error, accounts []string) bool {
	return apierrors.IsForbidden(err) && slices.ContainsFunc(accounts, func(name string) bool {
		return strings.Contains(err.Error(), `serviceaccount "`+name+`" not found`)
	})
}

// difference compares an object that runs with what it would be.
func difference(live, would *unstructured.Unstructured) (what, diff string) {
	before, _ := asYAML(Clean(live).Object) // what came as JSON can be written as YAML
	after, _ := asYAML(Clean(would).Object)
	if string(before) == string(after) {
		return store.ChangeSame, ""
	}
	return store.ChangeChanged, udiff.Unified("runs", "would run", string(before), string(after))
}

// away holds for an error that says nothing of the object: nobody answered.
func away(err error) bool {
	if err == nil {
		return false
	}
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &netErr) ||
		apierrors.IsUnauthorized(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsTooManyRequests(err)
}

// named is an object as kubectl names it.
func named(o *unstructured.Unstructured) string {
	return strings.ToLower(o.GetKind()) + "/" + o.GetName()
}

// problems says what a cluster has against an object.
func problems(o *unstructured.Unstructured, err error) (out []store.FieldProblem) {
	if err == nil {
		return nil
	}
	object := named(o)
	var status apierrors.APIStatus
	switch {
	case meta.IsNoMatchError(err):
		return []store.FieldProblem{{Object: object, Text: "The cluster serves no " + o.GetKind() + " of " + o.GroupVersionKind().GroupVersion().String() + ": install what defines it first."}}
	case errors.As(err, &status) && apierrors.IsNotFound(err) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces":
		ns := store.Clean(o.GetNamespace(), 63)
		return []store.FieldProblem{{Object: object, Path: "metadata.namespace", Text: "The namespace " + ns + " is not there: kubectl create namespace " + ns}}
	case errors.As(err, &status) && status.Status().Details != nil:
		for _, c := range status.Status().Details.Causes {
			out = append(out, store.FieldProblem{Object: object, Path: strings.TrimPrefix(c.Field, "."), Text: causeText(c)})
		}
	}
	if len(out) == 0 {
		out = []store.FieldProblem{{Object: object, Text: store.Clean(store.ErrorText(err), 400)}}
	}
	return out
}

func causeText(c metav1.StatusCause) string {
	text := store.Clean(c.Message, 300)
	if c.Type == metav1.CauseTypeFieldManagerConflict {
		return "Somebody else keeps this field (" + text + "); take it over, or change it there."
	}
	return text
}
