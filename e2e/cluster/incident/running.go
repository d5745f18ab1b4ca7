package incident

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/cluster/fleet"
	"trackside/e2e/cluster/stages"
)

// death is how a container ends.
type death struct {
	incident string
	reason   string
	code     int32
	message  string
}

func crashloop(ctx context.Context, p *player, s *subject) error {
	return p.crashMain(ctx, s, death{"crashloop", "Error", 1, "fatal: dial tcp 10.96.14.3:4222: connect: connection refused\n"})
}

func oom(ctx context.Context, p *player, s *subject) error {
	return p.crashMain(ctx, s, death{"oom", "OOMKilled", 137, ""})
}

func (p *player) crashMain(ctx context.Context, s *subject, d death) error {
	pods, err := p.runningPods(s)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err := p.crash(ctx, &pod, pod.Spec.Containers[0].Name, d); err != nil {
			return err
		}
	}
	return nil
}

func sidecar(ctx context.Context, p *player, s *subject) error {
	pods, err := p.runningPods(s)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		name := beside(&pod)
		if name == "" {
			return fmt.Errorf("pod %s has no container beside its main one", pod.Name)
		}
		if err := p.crash(ctx, &pod, name, death{"sidecar", "Error", 2, "panic: runtime error: invalid memory address or nil pointer dereference\n"}); err != nil {
			return err
		}
	}
	return nil
}

// beside is the container that is not the main one: an init container that stays, or the second.
func beside(pod *corev1.Pod) string {
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil {
			return c.Name
		}
	}
	if len(pod.Spec.Containers) > 1 {
		return pod.Spec.Containers[1].Name
	}
	return ""
}

// crash lets a container die and restart as often as asked. In a pod that is
// never restarted it dies once; with it the pod, if it was the main one.
func (p *player) crash(ctx context.Context, pod *corev1.Pod, container string, d death) error {
	if err := p.touched(ctx, pod, d.incident); err != nil {
		return err
	}
	if !restarts(pod, container) {
		return p.crashForGood(ctx, pod, container, d)
	}
	had := int(containerStatus(pod, container).RestartCount)
	first := 1
	if p.now {
		first = p.restarts
	}
	var err error
	for n := first; n <= p.restarts; n++ {
		if n > first {
			if pod, err = p.status(ctx, pod, func(pod *corev1.Pod) { restart(pod, container, had+n) }); err != nil {
				return err
			}
			if err := pause(ctx, p.step/2); err != nil {
				return err
			}
		}
		if pod, err = p.status(ctx, pod, func(pod *corev1.Pod) { fall(pod, container, had+n, n, d) }); err != nil {
			return err
		}
		if err := p.warn(ctx, pod, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", container, pod.Name, pod.Namespace, pod.UID)); err != nil {
			return err
		}
		p.say("pod %s/%s: %s", pod.Namespace, pod.Name, standing(pod))
		if n < p.restarts {
			if err := pause(ctx, p.step/2); err != nil {
				return err
			}
		}
	}
	return nil
}

// restarts reports whether a kubelet restarts the container when it fails.
func restarts(pod *corev1.Pod, container string) bool {
	for _, c := range pod.Spec.InitContainers {
		if c.Name == container {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return pod.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// fall is a container that has died and waits to be started again.
func fall(pod *corev1.Pod, container string, count, turn int, d death) {
	c := containerStatus(pod, container)
	ended := d.terminated(c)
	no := false
	c.Ready, c.Started, c.RestartCount = false, &no, int32(count)
	c.LastTerminationState = corev1.ContainerState{Terminated: ended}
	c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason: "CrashLoopBackOff",
		Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			backOff(turn), container, pod.Name, pod.Namespace, pod.UID),
	}}
	judge(pod)
}

func (d death) terminated(c *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	now := metav1.Now()
	started := metav1.NewTime(now.Add(-3 * time.Second))
	if c.State.Running != nil {
		started = c.State.Running.StartedAt
	}
	return &corev1.ContainerStateTerminated{ExitCode: d.code, Reason: d.reason, Message: d.message, StartedAt: started, FinishedAt: now, ContainerID: c.ContainerID}
}

// restart is a container that runs again, in a new sandbox of its own ID.
func restart(pod *corev1.Pod, container string, count int) {
	c := containerStatus(pod, container)
	yes := true
	c.Ready, c.Started, c.RestartCount = true, &yes, int32(count)
	c.ContainerID = fmt.Sprintf("containerd://%x", sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", pod.UID, container, count)))
	c.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	judge(pod)
}

func (p *player) crashForGood(ctx context.Context, pod *corev1.Pod, container string, d death) error {
	pod, err := p.status(ctx, pod, func(pod *corev1.Pod) {
		c := containerStatus(pod, container)
		no := false
		c.State = corev1.ContainerState{Terminated: d.terminated(c)}
		c.Ready, c.Started = false, &no
		if container == pod.Spec.Containers[0].Name {
			pod.Status.Phase = corev1.PodFailed
			endRest(pod, death{reason: "Completed"})
		}
		judge(pod)
	})
	if err != nil {
		return err
	}
	p.say("pod %s/%s, which is never restarted: %s", pod.Namespace, pod.Name, standing(pod))
	return nil
}

// endRest ends the containers that still run in a pod that is over.
func endRest(pod *corev1.Pod, d death) {
	no := false
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if c := &list[i]; c.State.Running != nil {
				c.State = corev1.ContainerState{Terminated: d.terminated(c)}
				c.Ready, c.Started = false, &no
			}
		}
	}
}

func evict(ctx context.Context, p *player, s *subject) error {
	pods, err := p.runningPods(s)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		message := fmt.Sprintf("The node was low on resource: memory. Threshold quantity: 100Mi, available: 61436Ki. Container %s was using 1893Mi, request is 32Mi, has larger consumption of memory. ", pod.Spec.Containers[0].Name)
		if err := p.touched(ctx, &pod, "evict"); err != nil {
			return err
		}
		if err := p.warn(ctx, &pod, "Evicted", message); err != nil {
			return err
		}
		gone, err := p.status(ctx, &pod, func(pod *corev1.Pod) {
			pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, "Evicted", message
			endRest(pod, death{reason: "Error", code: 137})
			condition(pod, corev1.DisruptionTarget, corev1.ConditionTrue, corev1.PodReasonTerminationByKubelet, message)
			judge(pod)
		})
		if err != nil {
			return err
		}
		p.say("pod %s/%s: %s", gone.Namespace, gone.Name, standing(gone))
	}
	return nil
}

func probeFail(ctx context.Context, p *player, s *subject) error {
	return p.endpoint(ctx, s, map[string]string{stages.HTTP: "503 not ready: queue connection lost", stages.HTTPDelay: ""}, "answers 503")
}

func probeSlow(ctx context.Context, p *player, s *subject) error {
	return p.endpoint(ctx, s, map[string]string{stages.HTTPDelay: p.delay.String()}, "answers after "+p.delay.String())
}

// endpoint changes how pods answer over HTTP. A component's pods do so alike, since one cause lies behind them.
func (p *player) endpoint(ctx context.Context, s *subject, values map[string]string, what string) error {
	p.all = true
	pods, err := p.runningPods(s)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err := p.annotate(ctx, &pod, values); err != nil {
			return err
		}
		p.say("pod %s/%s: its endpoint %s", pod.Namespace, pod.Name, what)
	}
	return nil
}

// rollout brings a new version of a component, which works.
func rollout(ctx context.Context, p *player, s *subject) error {
	c := s.component
	if c == nil || c.deployment == nil && c.set == nil {
		return errors.New("only a Deployment or a StatefulSet can be rolled out")
	}
	var from, to string
	err := p.changeImage(ctx, c, func(image string) string {
		from, to = image, fleet.Bump(image, 1)
		if p.tag != "" {
			to = fleet.WithTag(image, p.tag)
		}
		return to
	})
	if err != nil {
		return fmt.Errorf("rolling out %s: %w", c.name, err)
	}
	p.say("%s: %s is being replaced by %s", c.name, from, to)
	return nil
}
