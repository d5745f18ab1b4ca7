package e2e

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"trackside/e2e/rig"
)

// board's own namespace and ServiceAccount in deploy.
const (
	deployNamespace = "trackside"
	deployAccount   = deployNamespace + "/trackside"
)

// kustomization is the part of a kustomization file that the tests follow, so that they need no kubectl: the resources, and the
// namespace they go to, the subjects of bindings included.
type kustomization struct {
	Resources []string `json:"resources"`
}

// resources reads the objects of a folder in deploy.
func resources(t *testing.T, folder string) (out []*unstructured.Unstructured) {
	t.Helper()
	dir := filepath.Join("..", "deploy", folder)
	text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	must(t, err)
	var k kustomization
	must(t, yaml.Unmarshal(text, &k))
	for _, name := range k.Resources {
		f, err := os.Open(filepath.Join(dir, name))
		must(t, err)
		defer f.Close()
		for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
			o := &unstructured.Unstructured{}
			if err := d.Decode(o); errors.Is(err, io.EOF) {
				break
			} else if must(t, err); len(o.Object) > 0 {
				out = append(out, o)
			}
		}
	}
	return out
}

// apply creates the objects of a folder in deploy in the cluster.
func apply(t *testing.T, c *rig.Cluster, folder string) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.Config)
	must(t, err)
	groups, err := restmapper.GetAPIGroupResources(c.Client.Discovery())
	must(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	for _, o := range resources(t, folder) {
		mapping, err := mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		must(t, err)
		if subjects, ok, _ := unstructured.NestedSlice(o.Object, "subjects"); ok {
			for _, s := range subjects {
				s.(map[string]any)["namespace"] = deployNamespace
			}
			must(t, unstructured.SetNestedSlice(o.Object, subjects, "subjects"))
		}
		var to dynamic.ResourceInterface = client.Resource(mapping.Resource)
		if mapping.Scope.Name() == "namespace" {
			to = client.Resource(mapping.Resource).Namespace(deployNamespace)
		}
		if _, err := to.Create(t.Context(), o, metav1.CreateOptions{FieldValidation: "Strict"}); err != nil {
			t.Fatalf("applying %s %s of deploy/%s: %v", o.GetKind(), o.GetName(), folder, err)
		}
	}
}

// standardFleet is how many runners "cluster up --fleet" makes.
const standardFleet = "18"

// With the permissions of deploy the board sees the whole fleet and lacks nothing.
func TestDeployedPermissions(t *testing.T) {
	t.Parallel()
	c := ownCluster(t, "--fleet")
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: deployNamespace}}, metav1.CreateOptions{})
	must(t, err)
	apply(t, c, "base")
	kubeconfig := c.Token(t, deployAccount)

	t.Run("base", func(t *testing.T) {
		b := rig.StartBoard(t, kubeconfig, "--probe-via", "off")
		p := openLive(t, b, "/")
		is(t, p.Locator("#n-all"), standardFleet, soon)
		has(t, p.Locator("#rows"), "edge-berlin", soon)
		unlimited(t, p)
	})
	t.Run("without probes", func(t *testing.T) {
		p := openLive(t, rig.StartBoard(t, kubeconfig, "--probe-via", "api-proxy"), "/")
		limits := p.Locator("#sources details")
		has(t, limits, regexp.MustCompile(`Cannot get pods/proxy in namespace \S+: forbidden`), 2*soon)
		is(t, p.Locator("#n-all"), standardFleet, soon)
		is(t, p.Locator("#n-unhealthy"), "0", soon)
	})
	apply(t, c, filepath.Join("components", "probe-api-proxy"))
	t.Run("with probes", func(t *testing.T) {
		p := openLive(t, rig.StartBoard(t, kubeconfig, "--probe-via", "api-proxy"), "/?q=edge-berlin")
		is(t, p.Locator("#rows i").First(), "healthy", soon)
		must(t, p.Locator("#rows [data-row]").Click())
		has(t, p.Locator("#components"), regexp.MustCompile(`200 in \d+ ms`), 2*soon)
		unlimited(t, p)
	})
	for resource, where := range map[string]string{"cronjobs": "cronjobs.batch in all namespaces", "nodes": "nodes in the cluster", "events": "events in all namespaces"} {
		t.Run("without "+resource, func(t *testing.T) {
			restore := forbid(t, c, resource)
			defer restore()
			p := openLive(t, rig.StartBoard(t, kubeconfig), "/")
			has(t, p.Locator("#sources details"), "Cannot list "+where+": forbidden. Grant the verbs", 2*soon)
			is(t, p.Locator("#n-all"), standardFleet, soon)
			has(t, p.Locator("#sources"), "live", soon)
		})
	}
}

// unlimited checks that the page says of nothing that it may not be read.
func unlimited(t *testing.T, p *rig.Page) {
	t.Helper()
	has(t, p.Locator("#sources"), "live", soon)
	if n, err := p.Locator("#sources details").Count(); err != nil || n > 0 {
		t.Errorf("the page lists limits: %s", text(t, p.Locator("#sources")))
	}
}

// forbid takes a resource out of the board's ClusterRole until restore is called.
func forbid(t *testing.T, c *rig.Cluster, resource string) (restore func()) {
	t.Helper()
	roles := c.Client.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "trackside-view", metav1.GetOptions{})
	must(t, err)
	before := role.DeepCopy()
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
		return slices.Equal(r.Resources, []string{resource})
	})
	for i := range role.Rules {
		role.Rules[i].Resources = slices.DeleteFunc(role.Rules[i].Resources, func(s string) bool { return s == resource })
	}
	_, err = roles.Update(t.Context(), role, metav1.UpdateOptions{})
	must(t, err)
	forbidden(t, c, resource)
	return func() {
		before.ResourceVersion = ""
		_, err := roles.Update(background(), before, metav1.UpdateOptions{})
		must(t, err)
	}
}

// forbidden waits until the API server, which reads roles through a watch, refuses the board the resource.
func forbidden(t *testing.T, c *rig.Cluster, resource string) {
	t.Helper()
	account := strings.Replace(deployAccount, "/", ":", 1)
	as := *c.Config
	as.Impersonate.UserName = "system:serviceaccount:" + account
	client, err := dynamic.NewForConfig(&as)
	must(t, err)
	groups, err := restmapper.GetAPIGroupResources(c.Client.Discovery())
	must(t, err)
	kind, err := restmapper.NewDiscoveryRESTMapper(groups).ResourceFor(resourceNamed(resource))
	must(t, err)
	rig.Eventually(t, soon, resource+" are refused", func() error {
		_, err := client.Resource(kind).List(t.Context(), metav1.ListOptions{Limit: 1})
		if apierrors.IsForbidden(err) {
			return nil
		}
		return errors.Join(errors.New("they are not refused"), err)
	})
}

func resourceNamed(name string) schema.GroupVersionResource {
	group := map[string]string{"cronjobs": "batch"}[name]
	return schema.GroupVersionResource{Group: group, Resource: name}
}
