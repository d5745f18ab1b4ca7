package fleet

// beyond are the runners of the systems that come with nothing to vary: one of each.
func beyond() (places []place) {
	for _, k := range []kind{
		{system: "arc", files: []string{"crds", "controller"}, name: "arc-gha-rs-controller", namespace: "arc-systems"},
		{system: "arc", files: []string{"scale-set"}, name: "linux-x64", namespace: "arc-runners"},
		{system: "gitlab", files: []string{"manager", "builds"}, name: "gitlab-runner", namespace: "gitlab"},
		{system: "buildkite", files: []string{"controller", "jobs"}, name: "agent-stack-k8s", namespace: "buildkite"},
	} {
		places = append(places, place{kind: k, newName: k.name, newNamespace: k.namespace, newWorkspace: k.workspace})
	}
	return places
}
