package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiext "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/kwok/kustomize/crd"
	"sigs.k8s.io/yaml"
)

// installCRDs installs the resources by which kwok serves logs, exec and
// port-forward, and waits until they are served: kwok gives up on missing ones.
func installCRDs(ctx context.Context, cfg *rest.Config) error {
	client, err := apiext.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("connecting to install kwok's resources: %w", err)
	}
	definitions := client.ApiextensionsV1().CustomResourceDefinitions()
	var names []string
	for _, text := range [][]byte{crd.Logs, crd.ClusterLogs, crd.Exec, crd.ClusterExec, crd.PortForward, crd.ClusterPortForward} {
		var d apiextv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &d); err != nil {
			return fmt.Errorf("reading one of kwok's resources: %w", err)
		}
		if _, err := definitions.Create(ctx, &d, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("installing %s: %w", d.Name, err)
		}
		names = append(names, d.Name)
	}
	return poll(ctx, 30*time.Second, "kwok's resources", func(ctx context.Context) error {
		for _, name := range names {
			d, err := definitions.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !established(d) {
				return errors.New(name + " is not established")
			}
		}
		return nil
	})
}

func established(d *apiextv1.CustomResourceDefinition) bool {
	for _, c := range d.Status.Conditions {
		if c.Type == apiextv1.Established && c.Status == apiextv1.ConditionTrue {
			return true
		}
	}
	return false
}

// waitForNodes waits until pods can be created and scheduled: nodes Ready and
// without the taint of the first moment, and the default ServiceAccount there.
func waitForNodes(ctx context.Context, client kubernetes.Interface) error {
	return poll(ctx, 90*time.Second, "Ready nodes and the default ServiceAccount", func(ctx context.Context) error {
		if _, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, n := range nodes.Items {
			if !nodeReady(&n) {
				return errors.New(n.Name + " is not Ready")
			}
			if len(n.Spec.Taints) > 0 {
				return errors.New(n.Name + " has the taint " + n.Spec.Taints[0].Key)
			}
		}
		return nil
	})
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
