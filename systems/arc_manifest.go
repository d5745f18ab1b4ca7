package systems

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

// A scale set as the chart gha-runner-scale-set writes it in its default mode: templates/autoscalingrunnerset.yaml (03c274d),
// manager_role.yaml (11c4b95), manager_role_binding.yaml and no_permission_serviceaccount.yaml.
var arcManifest = &Manifest{
	Fields: forms(whereFields("linux-x64", "arc-runners"), []store.ManifestField{
		required(store.ManifestField{Name: "url", Label: "GitHub", Kind: store.FieldURL, Example: "https://github.com/acme", Group: groupRunner, Help: "The enterprise, organization or repository whose jobs it takes."}),
		{Name: "group", Label: "Runner group", Kind: store.FieldText, Default: "default", Required: true, Group: groupRunner, Help: "At GitHub."},
		{Name: "least", Label: "Least runners", Kind: store.FieldNumber, Default: "0", Min: 0, Max: 1000, Required: true, Group: groupRunner, Help: "How many wait for a job when there is none."},
		{Name: "most", Label: "Most runners", Kind: store.FieldNumber, Default: "5", Min: 1, Max: 10000, Required: true, Group: groupRunner, Help: "How many run at once."},
		{Name: "version", Label: "Version of the controller", Kind: store.FieldText, Default: "0.12.1", Required: true, Group: groupPrograms, Help: "The scale set bears it as a label: a controller of another version deletes the scale set."},
		{Name: "controller", Label: "The controller's account", Kind: store.FieldName, Default: "arc-gha-rs-controller", Required: true, Group: groupWhere, Help: "It gets the rights to make runners here."},
		{Name: "controllerNamespace", Label: "Its namespace", Kind: store.FieldName, Default: "arc-systems", Required: true, Group: groupWhere, Help: "Where the controller runs."},
		imageField("image", "Runner's image", "ghcr.io/actions/actions-runner:2.328.0", "GitHub stops serving old versions: keep up with it."),
	}, sizeFields("500m", "2", "1Gi", "4Gi"), []store.ManifestField{
		secretField("githubSecret", "Secret for GitHub", "github-config-secret", "Holds github_token, or github_app_id, github_app_installation_id and github_app_private_key."),
		userField(1001)}),
	Build: buildARC,
	Secrets: func(v Values) []store.NeededSecret {
		return []store.NeededSecret{{Name: v.Text("githubSecret"), Why: "A token of GitHub, or the keys of an app.", Command: literal(v, v.Text("githubSecret"), "github_token")}}
	},
	Notes: func(Values) []store.Sentence {
		return []store.Sentence{"The controller must run in the cluster: helm upgrade --install arc --namespace arc-systems --create-namespace oci://ghcr.io/actions/actions-runner-controller-charts/gha-runner-scale-set-controller",
			"A runner lives for one job and is never restarted, so that it has no probes: its controller watches it."}
	},
	Chart: func(v Values) Chart {
		return Chart{Release: v.Text("name"), Name: "oci://ghcr.io/actions/actions-runner-controller-charts/gha-runner-scale-set", Version: v.Text("version"), Values: map[string]any{
			"githubConfigUrl": v.Text("url"), "githubConfigSecret": v.Text("githubSecret"), "runnerGroup": v.Text("group"), "minRunners": v.Number("least"), "maxRunners": max(v.Number("least"), v.Number("most")),
			"controllerServiceAccount": map[string]any{"name": v.Text("controller"), "namespace": v.Text("controllerNamespace")},
			"template":                 map[string]any{"spec": plain(arcPod(newPlan(v, v.Text("name"), v.Text("version"))))}}}
	},
}

// plain is a typed value as JSON decodes it.
func plain(v any) map[string]any {
	out, err := runtime.DefaultUnstructuredConverter.ToUnstructured(v)
	if err != nil {
		return nil // a struct of Kubernetes is always convertible
	}
	return out
}

func arcPod(p plan) *corev1.PodSpec {
	c := corev1.Container{Name: "runner", Image: p.v.Text("image"), Command: []string{"/home/runner/run.sh"}, Resources: p.sized()}
	spec := alike(p.pod(p.name+"-gha-rs-no-permission", c))
	spec.RestartPolicy = corev1.RestartPolicyNever
	return &spec
}

func buildARC(v Values) []runtime.Object {
	p := newPlan(v, v.Text("name"), v.Text("version"))
	p.labels[partOfLabel] = "gha-rs"
	p.labels[arcScaleSetName], p.labels[arcScaleSetNamespace] = p.name, p.namespace
	name, own := p.name+"-gha-rs-manager", []string{"create", "delete", "get", "patch", "update"}
	role, binding := p.role(p.namespace, name, "", rule("", own, "pods"), rule("", []string{"get"}, "pods/status"),
		rule("", append([]string{"list"}, own...), "secrets", "serviceaccounts"), rule(rbacv1.GroupName, own, "roles", "rolebindings"))
	binding.Subjects = []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: v.Text("controllerNamespace"), Name: v.Text("controller")}}
	meta := p.meta(p.name, map[string]string{componentLabel: "autoscaling-runner-set"})
	set := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "actions.github.com/v1alpha1", "kind": arcScaleSet, "spec": map[string]any{
		"githubConfigUrl": v.Text("url"), "githubConfigSecret": v.Text("githubSecret"), "runnerGroup": v.Text("group"), "runnerScaleSetName": p.name,
		"minRunners": int64(v.Number("least")), "maxRunners": int64(max(v.Number("least"), v.Number("most"))), "template": map[string]any{"spec": plain(arcPod(p))}}}}
	set.SetName(meta.Name)
	set.SetNamespace(meta.Namespace)
	set.SetLabels(meta.Labels)
	set.SetAnnotations(map[string]string{"actions.github.com/cleanup-manager-role-binding": name, "actions.github.com/cleanup-manager-role-name": name,
		"actions.github.com/cleanup-no-permission-service-account-name": p.name + "-gha-rs-no-permission"})
	return []runtime.Object{p.account(p.name + "-gha-rs-no-permission"), role, binding, set}
}
