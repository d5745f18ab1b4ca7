package e2e

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"trackside/e2e/rig"
	"trackside/store"
)

// fleetFile reads the objects of one of the fleet's fixtures, by whether they are ARC's own.
func fleetFile(t *testing.T, file string) (custom, common []*unstructured.Unstructured) {
	t.Helper()
	f, err := os.Open(filepath.Join("cluster", "fleet", file))
	must(t, err)
	defer f.Close()
	for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(o); errors.Is(err, io.EOF) {
			return custom, common
		} else if must(t, err); o.GroupVersionKind().Group == "actions.github.com" {
			custom = append(custom, o)
		} else {
			common = append(common, o)
		}
	}
}

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	plurals     = map[string]string{"AutoscalingRunnerSet": "autoscalingrunnersets", "EphemeralRunnerSet": "ephemeralrunnersets",
		"EphemeralRunner": "ephemeralrunners", "AutoscalingListener": "autoscalinglisteners", "Pod": "pods"}
)

// put creates an object, and its status where it has one. A definition takes a moment to be served.
func put(t *testing.T, c *rig.Cluster, o *unstructured.Unstructured) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.Config)
	must(t, err)
	gvk := o.GroupVersionKind()
	resource := client.Resource(gvk.GroupVersion().WithResource(plurals[gvk.Kind])).Namespace(o.GetNamespace())
	rig.Eventually(t, 20*time.Second, gvk.Kind+" "+o.GetName()+" is created", func() error {
		made, err := resource.Create(t.Context(), o, metav1.CreateOptions{})
		if err != nil || o.Object["status"] == nil {
			return err
		}
		made.Object["status"] = o.Object["status"]
		_, err = resource.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
		return err
	})
}

// ARC's CRDs may be installed, and removed, while the board runs: without them its pods tell what they can.
func TestCRDsComeAndGo(t *testing.T) {
	t.Parallel()
	c := ownCluster(t, "--nodes", "1")
	client, err := dynamic.NewForConfig(c.Config)
	must(t, err)
	for _, ns := range []string{"arc-runners", "arc-systems"} {
		_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		must(t, err)
	}
	b := rig.StartBoard(t, c.Kubeconfig)
	pid := b.PID()
	custom, pods := fleetFile(t, "arc/scale-set.yaml")
	for _, o := range pods {
		put(t, c, o)
	}
	p := openLive(t, b, store.Ref{Cluster: c.Alias(), System: "arc", Namespace: "arc-runners", Name: "linux-x64"}.Path())
	rows := p.Locator("#components tbody tr")
	counts(t, rows, 1, 20*time.Second)
	has(t, rows, "listener", soon)
	mark(t, p)

	_, crds := fleetFile(t, "arc/crds.yaml")
	for _, o := range crds {
		_, err := client.Resource(definitions).Create(t.Context(), o, metav1.CreateOptions{})
		must(t, err)
	}
	for _, o := range custom {
		put(t, c, o)
	}
	counts(t, rows, 2, 60*time.Second) // it is asked every half minute what is served
	has(t, rows.Nth(1), "scale-set has 2 of 2 runners.", soon)
	has(t, p.Locator("#workloads"), "runs the job build (linux, go) of acme/shop", soon)
	has(t, p.Locator(".head .state"), "version 0.12.1", soon)

	must(t, client.Resource(schema.GroupVersionResource{Group: "actions.github.com", Version: "v1alpha1", Resource: "ephemeralrunners"}).Namespace("arc-runners").
		Delete(t.Context(), "linux-x64-7k2pd-runner-q8zd5", metav1.DeleteOptions{}))
	has(t, rows.Nth(1), regexp.MustCompile(`scale-set is making 1 of 2 runners`), soon)

	for _, o := range crds {
		if err := client.Resource(definitions).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	counts(t, rows, 1, 60*time.Second)
	hasNot(t, p.Locator("#sources"), "cannot", soon)
	same(t, p)
	if b.PID() != pid {
		t.Error("the board was started anew")
	}
}
