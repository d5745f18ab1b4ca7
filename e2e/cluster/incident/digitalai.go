package incident

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/cluster/stages"
)

func releaseKinds() []kind {
	return []kind{
		{"release-unregistered", "the runner is alive, but Release does not let it register: /ready answers 503 from its start", unregistered},
		{"release-idle", "the runner was registered and has lost Release: /ready answers 503 now", idle},
		{"release-diagnostic", "the chart's diagnostic mode: the container sleeps, without probes, and is Ready", reshaped(diagnostic)},
		{"release-hostnetwork", "the chart's hostNetwork: no probes, and Ready says nothing", reshaped(hostNetwork)},
	}
}

// notRegistered is how the runner's endpoint answers while it is not registered.
const notRegistered = "503 {\"status\":\"DOWN\",\"components\":{\"registration\":{\"status\":\"DOWN\"}}}"

func unregistered(ctx context.Context, p *player, s *subject) error {
	return p.unreadyRunner(ctx, s, "release-unregistered", func(pod *corev1.Pod, c *corev1.ContainerStatus) {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && c.State.Running != nil { // it has never been ready since it began
				c.State.Running.StartedAt = condition.LastTransitionTime
			}
		}
	})
}

func idle(ctx context.Context, p *player, s *subject) error {
	return p.unreadyRunner(ctx, s, "release-idle", func(pod *corev1.Pod, c *corev1.ContainerStatus) {
		if c.State.Running != nil && pod.Status.StartTime != nil {
			c.State.Running.StartedAt = metav1.NewTime(pod.Status.StartTime.Add(-1e9)) // it began before the second in which it lost Release
		}
	})
}

// unreadyRunner takes a running container its readiness, as its kubelet does when the probe fails.
func (p *player) unreadyRunner(ctx context.Context, s *subject, name string, change func(*corev1.Pod, *corev1.ContainerStatus)) error {
	pods, err := p.runningPods(s)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err := p.annotate(ctx, &pod, map[string]string{stages.Incident: name, stages.HTTP: notRegistered}); err != nil {
			return err
		}
		if _, err := p.status(ctx, &pod, func(pod *corev1.Pod) {
			c := containerStatus(pod, pod.Spec.Containers[0].Name)
			c.Ready = false
			judge(pod)
			change(pod, c)
		}); err != nil {
			return err
		}
		if err := p.warn(ctx, &pod, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"); err != nil {
			return err
		}
		p.say("pod %s/%s: alive and not ready", pod.Namespace, pod.Name)
	}
	return nil
}

func diagnostic(spec *corev1.PodSpec) {
	c := &spec.Containers[0]
	c.Command, c.Args = []string{"sleep"}, []string{"infinity"}
	c.LivenessProbe, c.ReadinessProbe = nil, nil
}

func hostNetwork(spec *corev1.PodSpec) {
	spec.HostNetwork = true
	spec.Containers[0].LivenessProbe, spec.Containers[0].ReadinessProbe = nil, nil
}

// reshaped is a change of the StatefulSet's template that breaks nothing that Kubernetes could see.
func reshaped(change func(*corev1.PodSpec)) func(context.Context, *player, *subject) error {
	return func(ctx context.Context, p *player, s *subject) error {
		c := s.component
		if c == nil || c.set == nil {
			return errors.New("only a StatefulSet's runner can be reshaped")
		}
		err := p.changeTemplate(ctx, c, func(meta *metav1.ObjectMeta, template *corev1.PodTemplateSpec, _ *appsv1.DeploymentStrategy) error {
			was, err := remember(meta, before{Template: *template.DeepCopy()})
			if err != nil {
				return err
			}
			*template = was.Template
			change(&template.Spec)
			return nil
		})
		if err != nil {
			return fmt.Errorf("changing %s: %w", c.set.Name, err)
		}
		if err := until(ctx, "the pods of "+c.set.Name, func(ctx context.Context) (bool, error) {
			now, err := p.find(ctx)
			return err == nil && now.healthy(), err
		}); err != nil {
			return err
		}
		p.say("%s: rolled out, and Ready", c.set.Name)
		return nil
	}
}
