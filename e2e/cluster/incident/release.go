package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"

	"trackside/e2e/cluster/fleet"
	"trackside/e2e/cluster/stages"
)

const (
	// undo on an object holds what it was before an incident, as JSON.
	undo = stages.Prefix + "undo"
	// made on a pod says that an incident made it: recovery takes it away.
	made = stages.Prefix + "made"
)

// fault breaks a pod template (or a pod) and returns the warnings a kubelet gives of it, by reason.
type fault func(p *player, owner string, meta *metav1.ObjectMeta, spec *corev1.PodSpec) (name string, warnings [][2]string)

// mark gives a template the annotations the Stages select and write by.
func (p *player) mark(meta *metav1.ObjectMeta, name, container, message string) {
	if meta.Annotations == nil {
		meta.Annotations = map[string]string{}
	}
	meta.Annotations[stages.Incident] = name
	meta.Annotations[stages.Container] = container
	meta.Annotations[stages.Message] = message
	meta.Annotations[stages.Restarts] = fmt.Sprint(p.restarts)
	meta.Annotations[stages.Step] = p.step.String()
}

func badImage(p *player, _ string, meta *metav1.ObjectMeta, spec *corev1.PodSpec) (string, [][2]string) {
	c := &spec.Containers[0]
	c.Image = strings.TrimSuffix(fleet.Bump(c.Image, 1), "-rc1") + "-rc1"
	name, _, _ := strings.Cut(c.Image[strings.Index(c.Image, "/")+1:], ":")
	message := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve image: %s: not found", c.Image, c.Image)
	if host, _, ok := strings.Cut(c.Image, "/"); ok && host == "ghcr.io" {
		message = fmt.Sprintf("failed to pull and unpack image %q: failed to resolve image: failed to authorize: failed to fetch anonymous token: "+
			"unexpected status from GET request to https://ghcr.io/token?scope=repository%%3A%s%%3Apull&service=ghcr.io: 403 Forbidden", c.Image, strings.ReplaceAll(name, "/", "%2F"))
	}
	p.mark(meta, "image-pull", c.Name, message)
	return "image-pull", [][2]string{
		{"Failed", fmt.Sprintf("Failed to pull image %q: %s", c.Image, message)},
		{"BackOff", fmt.Sprintf("Back-off pulling image %q", c.Image)},
	}
}

func badConfig(p *player, owner string, meta *metav1.ObjectMeta, spec *corev1.PodSpec) (string, [][2]string) {
	c := &spec.Containers[0]
	secret := owner + "-credentials"
	c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}})
	message := fmt.Sprintf("secret %q not found", secret)
	p.mark(meta, "bad-config", c.Name, message)
	return "bad-config", [][2]string{{"Failed", "Error: " + message}}
}

func badInit(p *player, _ string, meta *metav1.ObjectMeta, spec *corev1.PodSpec) (string, [][2]string) {
	failing := ""
	for _, c := range spec.InitContainers {
		if c.RestartPolicy == nil { // the others are sidecars: they are meant to run on
			failing = c.Name
		}
	}
	if failing == "" {
		failing = "migrate"
		c := spec.Containers[0]
		spec.InitContainers = append(spec.InitContainers, corev1.Container{Name: failing, Image: c.Image, Command: []string{"/bin/migrate", "up"}})
	}
	p.mark(meta, "init-retries", failing, "")
	return "init-retries", nil // its Stage tells of each restart
}

func tooLarge(p *player, _ string, meta *metav1.ObjectMeta, spec *corev1.PodSpec) (string, [][2]string) {
	c := &spec.Containers[0]
	if c.Resources.Requests == nil {
		c.Resources.Requests = corev1.ResourceList{}
	}
	c.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("500")
	p.mark(meta, "unschedulable", c.Name, "")
	return "unschedulable", nil // the scheduler tells
}

// broken is the incident of a release with a fault.
func broken(f fault) func(context.Context, *player, *subject) error {
	return func(ctx context.Context, p *player, s *subject) error {
		var found []corev1.Pod
		var warnings [][2]string
		var err error
		if c := s.component; c != nil && (c.deployment != nil || c.set != nil) {
			found, warnings, err = p.release(ctx, c, f)
		} else {
			found, warnings, err = p.replacePods(ctx, s, f)
		}
		if err != nil {
			return err
		}
		for _, pod := range found {
			for _, w := range warnings {
				if err := p.warn(ctx, &pod, w[0], w[1]); err != nil {
					return err
				}
			}
			p.say("pod %s/%s: %s", pod.Namespace, pod.Name, standing(&pod))
		}
		return nil
	}
}

// before is what recovery puts back.
type before struct {
	Template corev1.PodTemplateSpec     `json:"template"`
	Strategy *appsv1.DeploymentStrategy `json:"strategy,omitempty"`
}

// remember keeps the template before the first of several incidents, and takes the fault of the last off again.
func remember(meta *metav1.ObjectMeta, now before) (before, error) {
	if text := meta.Annotations[undo]; text != "" {
		return now, json.Unmarshal([]byte(text), &now)
	}
	data, err := json.Marshal(now)
	if err != nil {
		return now, err
	}
	if meta.Annotations == nil {
		meta.Annotations = map[string]string{}
	}
	meta.Annotations[undo] = string(data)
	return now, nil
}

// release rolls out the fault and waits until it shows in a pod.
func (p *player) release(ctx context.Context, c *component, f fault) ([]corev1.Pod, [][2]string, error) {
	var name string
	var warnings [][2]string
	change := func(meta *metav1.ObjectMeta, template *corev1.PodTemplateSpec, strategy *appsv1.DeploymentStrategy) error {
		was, err := remember(meta, before{*template.DeepCopy(), strategy.DeepCopy()})
		if err != nil {
			return err
		}
		*template = was.Template
		name, warnings = f(p, c.name, &template.ObjectMeta, &template.Spec)
		return nil
	}
	if err := p.changeTemplate(ctx, c, change); err != nil {
		return nil, nil, fmt.Errorf("rolling out a broken %s: %w", c.name, err)
	}
	if c.set != nil { // a StatefulSet replaces no pod while another is not Ready
		if err := p.deleteLast(ctx, c); err != nil {
			return nil, nil, err
		}
	}
	var found []corev1.Pod
	err := until(ctx, "a broken pod of "+c.name, func(ctx context.Context) (bool, error) {
		var err error
		found, err = p.failing(ctx, c, name)
		return len(found) > 0, err
	})
	return found, warnings, err
}

// changeTemplate changes the pod template of a component's workload, and lets
// a Deployment give up old pods for new ones: one, or all with --all.
func (p *player) changeTemplate(ctx context.Context, c *component, change func(*metav1.ObjectMeta, *corev1.PodTemplateSpec, *appsv1.DeploymentStrategy) error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if c.set != nil {
			set, err := p.client.AppsV1().StatefulSets(c.set.Namespace).Get(ctx, c.set.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if err := change(&set.ObjectMeta, &set.Spec.Template, nil); err != nil {
				return err
			}
			_, err = p.client.AppsV1().StatefulSets(set.Namespace).Update(ctx, set, metav1.UpdateOptions{})
			return err
		}
		d, err := p.client.AppsV1().Deployments(c.deployment.Namespace).Get(ctx, c.deployment.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := change(&d.ObjectMeta, &d.Spec.Template, &d.Spec.Strategy); err != nil {
			return err
		}
		if d.Annotations[undo] != "" {
			d.Spec.Strategy = p.strategy()
		}
		_, err = p.client.AppsV1().Deployments(d.Namespace).Update(ctx, d, metav1.UpdateOptions{})
		return err
	})
}

func (p *player) strategy() appsv1.DeploymentStrategy {
	surge, gone := intstr.FromInt32(0), intstr.FromInt32(1)
	if p.all {
		gone = intstr.FromString("100%")
	}
	return appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &gone},
	}
}

// deleteLast deletes a StatefulSet's last pod, or all, so that they come back by the new template.
func (p *player) deleteLast(ctx context.Context, c *component) error {
	for i := len(c.pods) - 1; i >= 0; i-- {
		pod := c.pods[i]
		if err := p.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting the pod %s: %w", pod.Name, err)
		}
		if !p.all {
			return nil
		}
	}
	return nil
}

// failing are the component's pods that show the incident.
func (p *player) failing(ctx context.Context, c *component, name string) ([]corev1.Pod, error) {
	o, selector := c.object()
	pods, err := p.client.CoreV1().Pods(o.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
	if err != nil {
		return nil, err
	}
	var out []corev1.Pod
	for _, pod := range pods.Items {
		if pod.Annotations[stages.Incident] == name && pod.DeletionTimestamp == nil && shows(&pod) {
			out = append(out, pod)
		}
	}
	return out, nil
}

func (c *component) object() (metav1.Object, *metav1.LabelSelector) {
	if c.set != nil {
		return c.set, c.set.Spec.Selector
	}
	return c.deployment, c.deployment.Spec.Selector
}

// replacePods breaks bare pods: an existing one goes and comes back broken under its name, a new one comes besides.
func (p *player) replacePods(ctx context.Context, s *subject, f fault) ([]corev1.Pod, [][2]string, error) {
	var models []corev1.Pod
	if s.unborn != "" {
		models = []corev1.Pod{*p.newborn(s)}
	} else {
		pods, err := p.runningPods(s)
		if err != nil {
			return nil, nil, err
		}
		models = pods
	}
	var found []corev1.Pod
	var warnings [][2]string
	for _, model := range models {
		pod := bareCopy(&model)
		if s.unborn == "" {
			if err := keep(pod, &model); err != nil {
				return nil, nil, fmt.Errorf("remembering the pod %s: %w", model.Name, err)
			}
			if err := p.remove(ctx, &model); err != nil {
				return nil, nil, err
			}
		}
		var name string
		name, warnings = f(p, pod.Name, &pod.ObjectMeta, &pod.Spec)
		shown, err := p.createBroken(ctx, pod, name)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, *shown)
	}
	return found, warnings, nil
}

// keep notes in a pod what it replaces, or what the pod it replaces had noted.
func keep(pod, was *corev1.Pod) error {
	if was.Annotations[undo] != "" || was.Annotations[made] != "" {
		return nil // copied with the annotations
	}
	data, err := json.Marshal(bareCopy(was))
	if err != nil {
		return err
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[undo] = string(data)
	return nil
}

// bareCopy is a pod as its maker would create it again.
func bareCopy(pod *corev1.Pod) *corev1.Pod {
	c := pod.DeepCopy()
	out := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: c.Name, Namespace: c.Namespace, Labels: c.Labels, Annotations: c.Annotations, OwnerReferences: c.OwnerReferences},
		Spec:       c.Spec,
	}
	out.Spec.NodeName = ""
	return out
}

// newborn is one more workload like those there are, under the name asked for or one of its own.
func (p *player) newborn(s *subject) *corev1.Pod {
	model := &s.workloads[0]
	pod := bareCopy(model)
	pod.Name = s.unborn
	id := fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", rand.Uint32(), rand.IntN(1<<16), rand.IntN(1<<12), rand.IntN(1<<12), rand.Int64N(1<<48))
	if old := pod.Labels["agyn.io/workload-id"]; old != "" {
		for key, value := range pod.Labels {
			pod.Labels[key] = strings.ReplaceAll(value, old, id)
		}
		if s.unborn == "new" {
			pod.Name = "workload-" + id
		}
	} else if s.unborn == "new" {
		pod.Name = model.Name[:strings.LastIndexByte(model.Name, '-')+1] + id[:8]
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	delete(pod.Annotations, undo)
	pod.Annotations[made] = "true"
	return pod
}

// remove deletes a pod and waits until its name is free.
func (p *player) remove(ctx context.Context, pod *corev1.Pod) error {
	pods := p.client.CoreV1().Pods(pod.Namespace)
	if err := pods.Delete(ctx, pod.Name, *metav1.NewDeleteOptions(0)); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting the pod %s: %w", pod.Name, err)
	}
	return until(ctx, "the end of pod "+pod.Name, func(ctx context.Context) (bool, error) {
		_, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

func (p *player) createBroken(ctx context.Context, pod *corev1.Pod, name string) (*corev1.Pod, error) {
	pods := p.client.CoreV1().Pods(pod.Namespace)
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{FieldManager: "runner-controller"}); err != nil {
		return nil, fmt.Errorf("creating the pod %s: %w", pod.Name, err)
	}
	var shown *corev1.Pod
	err := until(ctx, pod.Name+" to show "+name, func(ctx context.Context) (bool, error) {
		var err error
		shown, err = pods.Get(ctx, pod.Name, metav1.GetOptions{})
		return err == nil && shows(shown), err
	})
	return shown, err
}
