package fleet

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// runner is one runner to be: its objects, and its workloads.
type runner struct {
	system, namespace, name string
	objects                 []runtime.Object
	workloads               []*corev1.Pod
}

// kind is one sort of runner that fixtures describe.
type kind struct {
	system    string
	files     []string // the components' fixtures
	name      string   // the runner's name in them
	namespace string   // its namespace in them
	workspace string   // its workloads' namespace in them
}

var kubiyaFiles = []string{"agent-manager", "tool-manager", "kubiya-operator", "workflow-engine", "dagger-engine", "helm-updater"}

var (
	kubiya = kind{system: "kubiya", files: kubiyaFiles, name: "runner-eu", namespace: "kubiya-eu", workspace: "kubiya-eu"}
	agyn   = kind{system: "agyn", files: []string{"k8s-runner"}, name: "k8s-runner", namespace: "platform", workspace: "agyn-workloads"}

	plue    = kind{system: "plue", files: []string{"warm-pool"}, name: "runner-standby-pool", namespace: "workflows", workspace: "workflows"}
	release = kind{system: "release", files: []string{"runner"}, name: "release-runner", namespace: "digitalai", workspace: "digitalai"}
	// The definitions come with the platform.
	ambient     = kind{system: "ambient", files: []string{"crds", "platform"}, name: "ambient-code", namespace: "ambient-code"}
	ambientTeam = kind{system: "ambient", files: []string{"team-blue"}, name: "team-blue", namespace: "team-blue"}

	labelled = []kind{
		{system: "labelled", files: []string{"ci-linux"}, name: "ci-linux", namespace: "ci", workspace: "ci"},
		{system: "labelled", files: []string{"builds-docker"}, name: "builds-docker", namespace: "builds", workspace: "builds"},
		{system: "labelled", files: []string{"gpu-a100"}, name: "gpu-a100", namespace: "gpu", workspace: "gpu"},
		{system: "labelled", files: []string{"edge-berlin"}, name: "edge-berlin", namespace: "edge", workspace: "edge"},
	}
)

// place is where one more runner of a kind goes.
type place struct {
	kind
	newName, newNamespace, newWorkspace string
	behind                              int // how many versions it is behind the newest
	workloads                           int
}

// standard is the fleet of "--fleet".
func standard() []place {
	places := []place{
		{kind: kubiya, newName: "runner-eu", newNamespace: "kubiya-eu", newWorkspace: "kubiya-eu", workloads: 2},
		{kind: kubiya, newName: "runner-us", newNamespace: "kubiya-us", newWorkspace: "kubiya-us", behind: 1, workloads: 2},
		{kind: kubiya, newName: "runner-ap", newNamespace: "kubiya-ap", newWorkspace: "kubiya-ap", behind: 2, workloads: 1},
		{kind: agyn, newName: "k8s-runner", newNamespace: "platform", newWorkspace: "agyn-workloads", workloads: 3},
		{kind: agyn, newName: "k8s-runner", newNamespace: "platform-2", newWorkspace: "agyn-workloads-2", behind: 1, workloads: 2},
	}
	places[0].files = append([]string{"enforcer"}, kubiyaFiles...) // the optional part, in one runner
	places[3].files = append([]string{"declared"}, agyn.files...)  // one with a platform-controller, one without
	for i, k := range labelled {
		places = append(places, place{kind: k, newName: k.name, newNamespace: k.namespace, newWorkspace: k.workspace, workloads: 2 - i%2})
	}
	for _, p := range []place{{kind: plue, workloads: 2}, {kind: release, workloads: 1}, {kind: ambient}, {kind: ambientTeam}} {
		p.newName, p.newNamespace, p.newWorkspace = p.name, p.namespace, p.workspace
		places = append(places, p)
	}
	return append(places, beyond()...)
}

// large is a fleet of n runners: of ten, two Kubiya, three agyn and five labelled.
func large(n int) []place {
	var places []place
	for i := range n {
		p := place{behind: lag(i)}
		switch i % 10 {
		case 0, 5:
			name := fmt.Sprintf("kubiya-%04d", i)
			p.kind, p.newName, p.newNamespace, p.newWorkspace = kubiya, fmt.Sprintf("runner-%04d", i), name, name
		case 1, 4, 7:
			p.kind, p.newName = agyn, "k8s-runner"
			p.newNamespace, p.newWorkspace = fmt.Sprintf("platform-%04d", i), fmt.Sprintf("agyn-workloads-%04d", i)
		default:
			p.kind = labelled[i%len(labelled)]
			p.newName, p.newNamespace, p.newWorkspace = fmt.Sprintf("%s-%04d", p.name, i), p.namespace, p.workspace
		}
		places = append(places, p)
	}
	return places
}

// lag leaves most runners at the newest version and some behind it.
func lag(i int) int {
	switch {
	case i%17 == 16:
		return 2
	case i%6 == 5:
		return 1
	}
	return 0
}

// plan makes the runners of a fleet.
func plan(size Size) ([]*runner, error) {
	places := standard()
	if size.Runners > 0 {
		places = large(size.Runners)
	}
	var runners []*runner
	pods := 0
	for _, p := range places {
		r, err := p.build()
		if err != nil {
			return nil, err
		}
		pods += r.componentPods()
		runners = append(runners, r)
	}
	if size.Runners > 0 {
		share(places, size, pods)
	}
	for i, p := range places {
		if err := p.addWorkloads(runners[i]); err != nil {
			return nil, err
		}
	}
	return runners, nil
}

// share gives the workloads that the components leave room for to the runners in turn.
func share(places []place, size Size, components int) {
	left := size.Pods - components
	if size.Pods == 0 {
		left = 3*size.Runners - components
	}
	for i := 0; i < left; i++ {
		places[i%len(places)].workloads++
	}
}

// build makes the runner's components out of its kind's fixtures.
func (p place) build() (*runner, error) {
	r := &runner{system: p.system, namespace: p.newNamespace, name: p.newName}
	rename := p.renaming()
	for _, file := range p.files {
		objects, err := read(p.system + "/" + file + ".yaml")
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			rename.object(o)
			age(o, p.behind)
			furnish(o)
		}
		r.objects = append(r.objects, objects...)
	}
	return r, nil
}

// addWorkloads makes the runner's workload pods, each with names of its own.
func (p place) addWorkloads(r *runner) error {
	for i := range p.workloads {
		objects, err := read(p.system + "/workload.yaml")
		if err != nil {
			return err
		}
		pod := objects[0].(*corev1.Pod)
		rename := p.renaming()
		id := identity(r.namespace, r.name, i)
		switch p.system {
		case "agyn":
			rename.parts = append(rename.parts, "00000000-0000-4000-8000-000000000000", id, "00000000", id[:8])
		case "plue":
			rename.parts = append(rename.parts, "00000000", id[:8])
		case "release":
			rename.parts = append(rename.parts, pod.Name, fmt.Sprintf("%x", sha1.Sum([]byte(id))))
		case "labelled": // its template is of the runner ci-linux, whatever the kind
			rename = renaming{
				exact: map[string]string{"ci": p.newWorkspace},
				parts: []string{"ci-linux-job", p.newName + "-job-" + id[:8], "ci-linux", p.newName},
			}
		default:
			rename.parts = append(rename.parts, "tool-terraform", tools[i%len(tools)]+"-"+id[:8])
		}
		rename.object(pod)
		furnish(pod)
		r.workloads = append(r.workloads, pod)
	}
	return nil
}

var tools = []string{"tool-terraform", "tool-kubectl", "tool-aws-cli", "tool-github"}

// identity is a UUID that follows from what it is for, so that a second seeding makes the same names.
func identity(namespace, name string, i int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", namespace, name, i))
	hex := fmt.Sprintf("%x", sum)
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", hex[:8], hex[8:12], hex[12:15], hex[15:18], hex[18:30])
}

func (p place) renaming() renaming {
	return renaming{
		exact: map[string]string{p.namespace: p.newNamespace, p.workspace: p.newWorkspace},
		parts: []string{p.name, p.newName},
	}
}

// namespaces are those the runner's objects live in.
func (r *runner) namespaces() []string {
	var out []string
	for _, o := range r.objects {
		if namespace := o.(metav1.Object).GetNamespace(); namespace != "" {
			out = append(out, namespace)
		}
	}
	for _, pod := range r.workloads {
		out = append(out, pod.Namespace)
	}
	return out
}
