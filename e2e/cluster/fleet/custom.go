package fleet

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// custom writes objects of kinds that no typed client is kept for: custom resources, their definitions, and the rarer ones of Kubernetes.
type custom struct {
	client dynamic.Interface
	kinds  *restmapper.DeferredDiscoveryRESTMapper
}

func newCustom(cfg *rest.Config) (*custom, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to fill the cluster: %w", err)
	}
	asks, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to ask for kinds: %w", err)
	}
	return &custom{client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(asks))}, nil
}

// resource is where objects of a kind are written. A definition takes a moment to be served.
func (c *custom) resource(ctx context.Context, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	for range 100 {
		m, err := c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil && m.Scope.Name() == meta.RESTScopeNameNamespace {
			return c.client.Resource(m.Resource).Namespace(namespace), nil
		}
		if err == nil {
			return c.client.Resource(m.Resource), nil
		}
		if !meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("looking up %s: %w", kind, err)
		}
		c.kinds.Reset()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("the cluster does not serve %s", kind)
}

// create creates an object, and writes its status where it brings one.
func (c *custom) create(ctx context.Context, o runtime.Object) error {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			return fmt.Errorf("writing a %T: %w", o, err)
		}
		delete(content, "status") // the empty one of a typed object
		u = &unstructured.Unstructured{Object: content}
	}
	resource, err := c.resource(ctx, u.GroupVersionKind(), u.GetNamespace())
	if err != nil {
		return err
	}
	made, err := resource.Create(ctx, u, metav1.CreateOptions{FieldManager: "helm"})
	if err != nil || u.Object["status"] == nil {
		return err
	}
	made.Object["status"] = u.Object["status"]
	_, err = resource.UpdateStatus(ctx, made, metav1.UpdateOptions{FieldManager: "operator"})
	if apierrors.IsNotFound(err) { // the kind has no status of its own to write
		return nil
	}
	return err
}

// Session is the kind of the sessions that pods labelled agentic-session belong to.
var Session = schema.GroupVersionResource{Group: "vteam.ambient-code", Version: "v1alpha1", Resource: "agenticsessions"}

// own makes a session the owner of its pod, as the operator does.
func (c *custom) own(ctx context.Context, pod *corev1.Pod) error {
	name := pod.Labels["agentic-session"]
	if name == "" || len(pod.OwnerReferences) > 0 {
		return nil
	}
	session, err := c.client.Resource(Session).Namespace(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up the session %s: %w", name, err)
	}
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(session, schema.GroupVersionKind{Group: Session.Group, Version: Session.Version, Kind: "AgenticSession"})}
	return nil
}
