package incident

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The labels runners and their parts are known by.
const (
	kubiyaComponent = "app.kubernetes.io/kubiya-runner-component"
	instance        = "app.kubernetes.io/instance"
	appName         = "app.kubernetes.io/name"
	appComponent    = "app.kubernetes.io/component"
	managedBy       = "app.kubernetes.io/managed-by"
	app             = "app"
	sessionLabel    = "agentic-session"
	ownRunner       = "trackside.dev/runner"
	ownComponent    = "trackside.dev/component"
	ownWorkload     = "trackside.dev/workload"
)

// component is a part of a runner: a Deployment, a StatefulSet, or pods of its own.
type component struct {
	name       string
	deployment *appsv1.Deployment
	set        *appsv1.StatefulSet
	pods       []corev1.Pod
}

// subject is whom an incident befalls: one component of a runner, or one workload.
type subject struct {
	namespace, name string
	components      []*component
	workloads       []corev1.Pod
	component       *component  // the one meant
	workload        *corev1.Pod // or the workload meant, instead
	unborn          string      // or the name of a workload to be made
}

// find looks up the runner of the flags, its parts and the one of them meant.
func (p *player) find(ctx context.Context) (*subject, error) {
	namespace, name, ok := strings.Cut(p.runner, "/")
	if !ok {
		return nil, fmt.Errorf("--runner is NAMESPACE/NAME, not %q", p.runner)
	}
	s := &subject{namespace: namespace, name: name}
	if err := p.findComponents(ctx, s); err != nil {
		return nil, fmt.Errorf("looking up the runner %s: %w", p.runner, err)
	}
	if err := p.findWorkloads(ctx, s); err != nil {
		return nil, fmt.Errorf("looking up the workloads of %s: %w", p.runner, err)
	}
	if len(s.components) == 0 && namespace != name { // a namespace of sessions has no components
		return nil, fmt.Errorf("there is no runner %s: nothing in %s is labelled with it", p.runner, namespace)
	}
	return s, p.choose(s)
}

func (p *player) findComponents(ctx context.Context, s *subject) error {
	deployments, err := p.client.AppsV1().Deployments(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	sets, err := p.client.AppsV1().StatefulSets(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pods, err := p.client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range deployments.Items {
		if d := &deployments.Items[i]; s.owns(d) {
			s.components = append(s.components, &component{name: partName(d), deployment: d, pods: selected(pods.Items, d.Spec.Selector)})
		}
	}
	for i := range sets.Items {
		if set := &sets.Items[i]; s.isReplicaOf(set) {
			own := slices.DeleteFunc(selected(pods.Items, set.Spec.Selector), func(pod corev1.Pod) bool { return pod.Name != s.name })
			s.components = append(s.components, &component{name: "runner", set: set, pods: own})
		} else if s.owns(set) {
			s.components = append(s.components, &component{name: partName(set), set: set, pods: selected(pods.Items, set.Spec.Selector)})
		}
	}
	s.addBare(pods.Items)
	if err := p.addScaleSet(ctx, s); err != nil {
		return err
	}
	slices.SortFunc(s.components, func(a, b *component) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// owns reports whether an object belongs to the runner: by label, or by being all of it.
func (s *subject) owns(o metav1.Object) bool {
	l := o.GetLabels()
	return l[instance] == s.name || l[ownRunner] == s.name || o.GetName() == s.name || s.name == s.namespace && platform[l[app]]
}

// platform are the labels of Ambient Code's own Deployments, whose runner is their namespace.
var platform = map[string]bool{"agentic-operator": true, "backend-api": true, "frontend": true, "ambient-control-plane": true}

// isReplicaOf holds for a runner that is one replica of a StatefulSet: Digital.ai's.
func (s *subject) isReplicaOf(set *appsv1.StatefulSet) bool {
	ordinal, ok := strings.CutPrefix(s.name, set.Name+"-")
	_, err := strconv.Atoi(ordinal)
	return ok && err == nil && slices.ContainsFunc(set.Spec.Template.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "RELEASE_RUNNER_RELEASE_URL" })
}

func partName(o metav1.Object) string {
	l := o.GetLabels()
	return cmp.Or(l[kubiyaComponent], l[ownComponent], l[appComponent], o.GetName())
}

// addBare groups the runner's pods without an owner into components.
func (s *subject) addBare(pods []corev1.Pod) {
	groups := map[string]*component{}
	for _, pod := range pods {
		name := pod.Labels[ownComponent]
		if pod.Labels[ownRunner] != s.name || name == "" || metav1.GetControllerOf(&pod) != nil {
			continue
		}
		if groups[name] == nil {
			groups[name] = &component{name: name}
			s.components = append(s.components, groups[name])
		}
		groups[name].pods = append(groups[name].pods, pod)
	}
}

func selected(pods []corev1.Pod, by *metav1.LabelSelector) []corev1.Pod {
	selector := labels.SelectorFromSet(by.MatchLabels)
	var out []corev1.Pod
	for _, pod := range pods {
		if selector.Matches(labels.Set(pod.Labels)) && pod.DeletionTimestamp == nil {
			out = append(out, pod)
		}
	}
	return out
}

func (p *player) findWorkloads(ctx context.Context, s *subject) error {
	namespace := s.workspace()
	pods, err := p.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if !controlled(&pod) && s.runs(&pod) {
			s.workloads = append(s.workloads, pod)
		}
	}
	return nil
}

// workspace is the namespace of the runner's workloads: agyn's runner names it in its environment.
func (s *subject) workspace() string {
	for _, c := range s.components {
		if c.deployment == nil {
			continue
		}
		for _, e := range c.deployment.Spec.Template.Spec.Containers[0].Env {
			if e.Name == "KUBE_NAMESPACE" {
				return e.Value
			}
		}
	}
	return s.namespace
}

func (s *subject) runs(pod *corev1.Pod) bool {
	l := pod.Labels
	switch {
	case l[ownWorkload] == "true":
		return l[ownRunner] == s.name
	case l[managedBy] == "tool-manager":
		return l[instance] == s.name
	case l[sessionLabel] != "" || l["ambient-code.io/managed-by"] == "ambient-control-plane":
		return s.name == s.namespace
	case l[scaleSetName] != "":
		return l[scaleSetName] == s.name && l[appComponent] == "runner"
	case l[buildkiteJob] != "", l[gitlabJob] != "":
		return true
	case l[app] == "workflow-runner", executor.MatchString(pod.Name):
		return true
	}
	return l[managedBy] == "k8s-runner"
}

// controlled reports whether a controller that is here makes a pod anew; a session does not.
func controlled(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind != "AgenticSession"
}

// executor is the name of a pod in which Digital.ai's runner executes a step.
var executor = regexp.MustCompile(`^[0-9a-f]{40}$`)

// choose settles which component or workload is meant.
func (p *player) choose(s *subject) error {
	if p.workload != "" {
		for i := range s.workloads {
			if s.workloads[i].Name == p.workload {
				s.workload = &s.workloads[i]
				return nil
			}
		}
		s.unborn = p.workload
		if len(s.workloads) == 0 {
			return fmt.Errorf("%s has no workload to make another like", p.runner)
		}
		return nil
	}
	if len(s.components) == 0 {
		if len(s.workloads) > 0 {
			s.workload = &s.workloads[0]
		}
		return nil
	}
	var names []string
	for _, c := range s.components {
		if p.component == "" || c.name == p.component {
			s.component = c
			return nil
		}
		names = append(names, c.name)
	}
	return fmt.Errorf("%s has no component %q: it has %s", p.runner, p.component, strings.Join(names, ", "))
}

// runningPods are the pods meant that run: one, or all of the component with --all.
func (p *player) runningPods(s *subject) ([]corev1.Pod, error) {
	if w := s.workload; w != nil && w.Status.Phase != corev1.PodRunning {
		return nil, fmt.Errorf("the workload %s is %s, not Running", w.Name, w.Status.Phase)
	}
	if s.workload != nil {
		return []corev1.Pod{*s.workload}, nil
	}
	if s.component == nil {
		return nil, fmt.Errorf("%s has no workload %q", p.runner, s.unborn)
	}
	var out []corev1.Pod
	for _, pod := range s.component.pods {
		if pod.Status.Phase == corev1.PodRunning && (p.all || len(out) == 0) {
			out = append(out, pod)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no pod of %s runs", s.component.name)
	}
	return out, nil
}

// allPods are the runner's pods, components' and workloads'.
func (s *subject) allPods() []corev1.Pod {
	var out []corev1.Pod
	for _, c := range s.components {
		out = append(out, c.pods...)
	}
	return append(out, s.workloads...)
}
