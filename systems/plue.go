package systems

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// Names read in evmts/agent: infra/helm/plue/templates/runner-deployment.yaml (the warm pool as Helm makes it), infra/k8s/warm-pool.yaml
// (as kubectl does, with its autoscaler), infra/k8s/pod-template.yaml (a task's pod) and infra/k8s/gvisor-runtimeclass.yaml.
const (
	plueStandby   = "runner-standby"  // the label app of a warm pod, and of its Deployment
	plueTask      = "workflow-runner" // the label app of a task's pod
	plueContainer = "runner"
	pluePool      = "warm-pool"
	plueAPI       = "PLUE_API_URL" // the variant of infra/k8s/runner-pod.yaml
	plueRegister  = "REGISTER_URL"
	autoscaler    = "HorizontalPodAutoscaler"
)

// AnnotationIdleTimeout says how long a warm runner that was claimed may stay idle, such as 5m; it is shown and nothing else.
const AnnotationIdleTimeout = "trackside.dev/idle-timeout"

// Plue is a pool of warm pods under gVisor, which claim a task each, and the pods of tasks in the same namespace. The pool is the
// runner: its pods come and go, and each claim ends one. Its readiness probe is a command that always succeeds, so that Ready
// says nothing of the runner in the pod: see rule 45 of poller/kube/testdata/statuses.
var Plue = register(System{
	Name:  "plue",
	Title: "Plue",
	LooksFor: "Deployments and Pods labelled app=" + plueStandby + ", Pods labelled app=" + plueTask +
		", and containers named " + plueContainer + " with an image of Plue's runner and the variable " + plueRegister + " or " + plueAPI,
	Claim:   claimPlue,
	Main:    func(Object, string) string { return plueContainer },
	Labels:  []string{appLabel},
	KeepEnv: []string{plueAPI, plueRegister},
	Watches: []Watch{{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers", Kind: autoscaler,
		Keep: []string{"spec.scaleTargetRef", "spec.minReplicas", "spec.maxReplicas", "spec.metrics"}}},
	Assess:   assessPlue,
	Switch:   &Switch{Levers: []Lever{scaleDeployments}, Traps: trapsPlue},
	Manifest: plueManifest,
})

// trapsPlue tells that a warm pod which has been claimed looks like any other.
func trapsPlue(verb store.Verb, _ []Object) []store.Trap {
	if verb != store.VerbDisable && verb != store.VerbDelete {
		return nil
	}
	return []store.Trap{{Code: "claimed-unseen", Why: "Which warm pod has been claimed is known to Plue's server alone: one whose task has no pod of its own is not waited for."}}
}

func claimPlue(o Object) (Claim, bool) {
	switch {
	case o.Kind == autoscaler:
		// It says something of the pool that it scales; a Deployment of another system has no runner of that name.
		kind, _ := dig(o.Custom, "spec", "scaleTargetRef", "kind").(string)
		name, _ := dig(o.Custom, "spec", "scaleTargetRef", "name").(string)
		return Claim{Namespace: o.Namespace, Runner: name}, kind == "Deployment" && name != ""
	case o.Kind == "Pod" && o.Labels[appLabel] == plueTask:
		return Claim{Namespace: o.Namespace}, true
	case o.Kind != "Deployment" && o.Kind != "Pod":
		return Claim{}, false
	}
	return Claim{Namespace: o.Namespace, Runner: o.Name, Component: pluePool, Carries: o.Namespace}, o.Labels[appLabel] == plueStandby || plueMade(o.Spec)
}

// plueMade recognises a runner without the label: a container by its name, its image and one of the variables that it must have.
func plueMade(spec *corev1.PodSpec) bool {
	if spec == nil {
		return false
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if c.Name != plueContainer || !plueImage(c.Image) {
			continue
		}
		for _, e := range c.Env {
			if e.Name == plueAPI || e.Name == plueRegister {
				return true
			}
		}
	}
	return false
}

// plueImage accepts gcr.io/plue-prod/runner and plue-runner, with any tag.
func plueImage(image string) bool {
	repository := repositoryOf(image)
	base := path.Base(repository)
	return base == "plue-runner" || base == "runner" && strings.Contains(path.Dir(repository), "plue")
}

// repositoryOf is an image reference without its tag and digest.
func repositoryOf(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

// noRuntimeClass is what the API server's admission answers to a pod of a RuntimeClass that does not exist.
var noRuntimeClass = regexp.MustCompile(`RuntimeClass "([^"]{1,253})" not found`)

func assessPlue(v *View) {
	pool, ok := v.Runner.Component(pluePool)
	if !ok {
		return
	}
	v.Fact("Warm pool", store.Sentence(fmt.Sprintf("%d available of %d wanted", pool.Ready, pool.Desired)))
	v.Fact("Task pods", plueTasks(v))
	for _, o := range v.Of(autoscaler) {
		v.Fact("Autoscaler", scaling(o))
	}
	for _, o := range v.Objects {
		if o.Spec == nil {
			continue
		}
		if o.Spec.RuntimeClassName != nil {
			v.Fact("Runtime class", store.Sentence(store.Clean(*o.Spec.RuntimeClassName, 63)))
		}
		v.Fact("Idle timeout", idleTimeout(o))
	}
	if m := noRuntimeClass.FindStringSubmatch(pool.Message); m != nil && pool.Failing() {
		class := store.Clean(m[1], 63)
		worse := pool.Verdict
		worse.Why = store.Sentence(pluePool + " cannot create its pods: the cluster has no RuntimeClass " + class + ".")
		worse.Inspect = v.Kubectl("get runtimeclass")
		v.Judge(pluePool, worse)
	}
}

// plueTasks is how many tasks that have a pod of their own run: which warm pod was claimed is known to Plue's server, and to those of them
// that report themselves.
func plueTasks(v *View) store.Sentence {
	run, all := 0, 0
	for i := range v.Runner.Workloads {
		w := &v.Runner.Workloads[i]
		if w.Component != "" {
			continue
		}
		all++
		if w.Phase == string(corev1.PodRunning) && !w.Failing() {
			run++
		}
	}
	if all == 0 {
		return "no task has a pod"
	}
	return store.Sentence(fmt.Sprintf("%d of %d tasks run", run, all))
}

// scaling words the bounds of an autoscaler, and its target where that is the use of the CPU.
func scaling(o Object) store.Sentence {
	least, ok := number(dig(o.Custom, "spec", "minReplicas"))
	if !ok {
		least = 1 // the API's default
	}
	most, ok := number(dig(o.Custom, "spec", "maxReplicas"))
	if !ok {
		return ""
	}
	parts := []string{fmt.Sprintf("%d to %d pods", least, most)}
	metrics, _ := dig(o.Custom, "spec", "metrics").([]any)
	for _, m := range metrics {
		name, _ := dig(m, "resource", "name").(string)
		if percent, ok := number(dig(m, "resource", "target", "averageUtilization")); ok && name == "cpu" {
			parts = append(parts, fmt.Sprintf("at %d %% CPU", percent))
		}
	}
	return store.Sentence(strings.Join(parts, ", "))
}

// idleTimeout is how long a claimed runner may stay idle. Plue's own PoolConfig is nowhere in the cluster: a team may write it down.
func idleTimeout(o Object) store.Sentence {
	d, err := time.ParseDuration(o.Annotations[AnnotationIdleTimeout])
	if err != nil || d <= 0 {
		return ""
	}
	return store.Sentence(store.Duration(d))
}
