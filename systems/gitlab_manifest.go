package systems

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

const gitlabMetrics = 9252

// gitlabEntry registers with the authentication token and then runs, as the chart's entrypoint does; all it says is read from variables.
const gitlabEntry = `#!/bin/sh
set -eu
export CI_SERVER_TOKEN="$(cat /secrets/runner-token)"
gitlab-runner register --non-interactive
exec gitlab-runner run --working-directory /home/gitlab-runner
`

var gitlabManifest = &Manifest{
	Fields: forms(whereFields("gitlab-runner", "gitlab"), []store.ManifestField{
		{Name: "url", Label: "GitLab", Kind: store.FieldURL, Default: "https://gitlab.com", Required: true, Group: groupRunner, Help: "The server that gives it jobs (CI_SERVER_URL)."},
		{Name: "builds", Label: "Namespace of builds", Kind: store.FieldName, Default: "gitlab", Required: true, Group: groupWhere, Help: "Where it makes its build pods. It must exist, and the runner gets its rights there."},
		{Name: "concurrent", Label: "Jobs at once", Kind: store.FieldNumber, Default: "10", Min: 1, Max: 1000, Required: true, Group: groupRunner, Help: "The most that run at the same time."},
		imageField("image", "Image", "registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v18.1.1", "The version of your GitLab server, or one below it."),
		imageField("buildImage", "Image of builds", "docker.io/library/alpine:3.20.3", "For jobs that name none."),
	}, sizeFields("100m", "1", "128Mi", "512Mi"), []store.ManifestField{
		secretField("tokenSecret", "Secret of the token", "gitlab-runner-token", "Holds the authentication token (glrt-…) under the key runner-token."),
		userField(100)}),
	Build: buildGitLab,
	Secrets: func(v Values) []store.NeededSecret {
		return []store.NeededSecret{{Name: v.Text("tokenSecret"), Why: "The authentication token that GitLab shows when the runner is made there.", Command: literal(v, v.Text("tokenSecret"), "runner-token")}}
	},
	Notes: func(Values) []store.Sentence {
		return []store.Sentence{"Both probes ask the metrics, which are served once the runner is registered: until then it is not ready."}
	},
	Chart: func(v Values) Chart {
		return Chart{Release: v.Text("name"), Name: "gitlab-runner", Repo: "https://charts.gitlab.io", Values: map[string]any{
			"gitlabUrl": v.Text("url"), "concurrent": v.Number("concurrent"), "fullnameOverride": v.Text("name"), "rbac": map[string]any{"create": true}, "metrics": map[string]any{"enabled": true},
			"runners": map[string]any{"secret": v.Text("tokenSecret"), "config": "[[runners]]\n  [runners.kubernetes]\n    namespace = \"" + v.Text("builds") + "\"\n    image = \"" + v.Text("buildImage") + "\"\n"}}}
	},
}

func buildGitLab(v Values) []runtime.Object {
	p := newPlan(v, gitlabImage, versionGitLabOf(v.Text("image")))
	selector := map[string]string{appLabel: p.name}
	every := []string{"create", "delete", "get", "list", "patch", "update", "watch"}
	// What the executor needs by the documentation of the Kubernetes executor, "Configure runner API permissions".
	role, binding := p.role(v.Text("builds"), p.name, p.name, rule("", every, "pods"), rule("", []string{"create", "delete", "get", "patch"}, "pods/attach", "pods/exec"),
		rule("", []string{"get", "list"}, "pods/log"), rule("", []string{"create", "delete", "get", "update"}, "configmaps", "secrets"),
		rule("", []string{"get"}, "serviceaccounts"), rule("", []string{"create", "get"}, "services"), rule("", []string{"list", "watch"}, "events"))
	c := corev1.Container{Name: gitlabImage, Image: v.Text("image"), Command: []string{"/bin/sh", "/scripts/entrypoint"}, Ports: []corev1.ContainerPort{port("metrics", gitlabMetrics)}, Resources: p.sized(),
		Env: []corev1.EnvVar{env(gitlabServer, v.Text("url")), env("RUNNER_EXECUTOR", "kubernetes"), env("RUNNER_NAME", p.name), env("LISTEN_ADDRESS", ":9252"), env("CONFIG_FILE", "/home/gitlab-runner/.gitlab-runner/config.toml"),
			env("HOME", "/home/gitlab-runner"), env(gitlabNamespace, v.Text("builds")), env("KUBERNETES_IMAGE", v.Text("buildImage")), env("RUNNER_REQUEST_CONCURRENCY", v.Text("concurrent"))},
		ReadinessProbe: httpProbe("/metrics", gitlabMetrics, 10, 10, 5, 3), LivenessProbe: httpProbe("/metrics", gitlabMetrics, 180, 30, 5, 6),
		VolumeMounts: []corev1.VolumeMount{mount("scripts", "/scripts", true), mount("token", "/secrets", true), mount("home", "/home/gitlab-runner/.gitlab-runner", false), mount("tmp", "/tmp", false)}}
	spec := alike(withAPI(p.pod(p.name, c)))
	grace := int64(3600) // builds end before their manager does
	spec.TerminationGracePeriodSeconds = &grace
	spec.Volumes = []corev1.Volume{configVolume("scripts", p.name), secretVolume("token", v.Text("tokenSecret")), scratch("home", "64Mi"), scratch("tmp", "256Mi")}
	return []runtime.Object{p.account(p.name), role, binding, p.config(p.name, map[string]string{"entrypoint": gitlabEntry}), p.budget(p.name, 1, selector), p.deployment(p.name, 1, selector, spec)}
}

func versionGitLabOf(image string) string {
	if m := gitlabVersion.FindStringSubmatch(ImageVersion(image)); m != nil {
		return m[1]
	}
	return ""
}
