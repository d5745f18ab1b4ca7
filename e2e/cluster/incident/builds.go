package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/cluster/stages"
)

const (
	gitlabJob    = "job.runner.gitlab.com/pod"
	buildkiteJob = "buildkite.com/job-uuid"
)

func gitlabKinds() []kind {
	return []kind{
		{"gitlab-image-pull", "a new job whose image cannot be pulled", oneMore(badImage)},
		{"gitlab-helper", "a new job whose helper image cannot be pulled: the build runs, and waits", oneMore(badHelper)},
		{"gitlab-token", "GitLab refuses the token: the manager ends with 1 after 30 attempts to register, and restarts", gitlabToken},
	}
}

func buildkiteKinds() []kind {
	return []kind{
		{"buildkite-image-pull", "a new job whose image cannot be pulled: the controller deletes its pod after 30 s (--now: it stays)", buildkiteImagePull},
		{"buildkite-job-failed", "a job's command ends with 2: the job's own failure, and none of the runner's", buildkiteJobFailed},
	}
}

// oneMore plays a fault on one more of the runner's workloads.
func oneMore(f fault) func(context.Context, *player, *subject) error {
	return func(ctx context.Context, p *player, s *subject) error {
		if len(s.workloads) == 0 {
			return errors.New("it has no workload to make another like")
		}
		s.component, s.workload, s.unborn = nil, nil, "new"
		return broken(f)(ctx, p, s)
	}
}

func badHelper(p *player, _ string, meta *metav1.ObjectMeta, spec *corev1.PodSpec) (string, [][2]string) {
	c := &spec.Containers[1]
	c.Image += "-absent"
	message := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve image: %s: not found", c.Image, c.Image)
	p.mark(meta, "image-pull", c.Name, message)
	return "image-pull", [][2]string{{"Failed", fmt.Sprintf("Failed to pull image %q: %s", c.Image, message)}}
}

// gitlabToken lets the manager end as often as asked, each time as late as its last attempt to register.
func gitlabToken(ctx context.Context, p *player, s *subject) error {
	pods, err := p.runningPods(s)
	if err != nil {
		return err
	}
	p.now = true
	for _, pod := range pods {
		name := pod.Spec.Containers[0].Name
		if err := p.touched(ctx, &pod, "gitlab-token"); err != nil {
			return err
		}
		late, err := p.status(ctx, &pod, func(pod *corev1.Pod) {
			if r := containerStatus(pod, name).State.Running; r != nil {
				r.StartedAt = metav1.NewTime(time.Now().Add(-152 * time.Second))
			}
		})
		if err != nil {
			return err
		}
		if err := p.crash(ctx, late, name, death{"gitlab-token", "Error", 1, ""}); err != nil {
			return err
		}
	}
	return nil
}

// buildkiteImagePull makes one more job whose image check cannot pull, and fails it as the controller does: its pod is deleted.
func buildkiteImagePull(ctx context.Context, p *player, s *subject) error {
	if len(s.workloads) == 0 {
		return errors.New("it has no job to make another like")
	}
	s.unborn = "new"
	pod := p.newborn(s)
	check := &pod.Spec.InitContainers[1]
	check.Image = "ghcr.io/acme/build-tools:9"
	pod.Spec.Containers[0].Image = check.Image
	pod.Annotations[stages.Incident] = "buildkite-image-pull"
	if _, err := p.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{FieldManager: "agent-stack-k8s"}); err != nil {
		return fmt.Errorf("creating the pod %s: %w", pod.Name, err)
	}
	var placed *corev1.Pod
	if err := until(ctx, pod.Name+" to have a node", func(ctx context.Context) (bool, error) {
		var err error
		placed, err = p.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		return err == nil && placed.Spec.NodeName != "", err
	}); err != nil {
		return err
	}
	message := fmt.Sprintf("Back-off pulling image %q: ErrImagePull: failed to pull and unpack image %q: pull access denied, repository does not exist or may require authorization", check.Image, check.Image)
	shown, err := p.status(ctx, placed, func(pod *corev1.Pod) { pulling(pod, message) })
	if err != nil {
		return err
	}
	p.say("pod %s/%s: %s", shown.Namespace, shown.Name, standing(shown))
	if p.now {
		return nil
	}
	if err := pause(ctx, 30*time.Second); err != nil {
		return err
	}
	p.say("pod %s/%s: the job is failed, and the pod deleted", shown.Namespace, shown.Name)
	return p.remove(ctx, shown)
}

// pulling is a pod whose second init container cannot pull its image.
func pulling(pod *corev1.Pod, message string) {
	now := metav1.Now()
	pod.Status.Phase, pod.Status.StartTime = corev1.PodPending, &now
	pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses = nil, nil
	for i, c := range pod.Spec.InitContainers {
		state := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
		if i == 1 {
			state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: message}}
		}
		pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Ready: i != 1})
	}
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}})
	}
}

func buildkiteJobFailed(ctx context.Context, p *player, s *subject) error {
	pod := s.workload
	if pod == nil && len(s.workloads) > 0 {
		pod = &s.workloads[0]
	}
	if pod == nil {
		return errors.New("it has no job")
	}
	if err := p.touched(ctx, pod, "buildkite-job-failed"); err != nil {
		return err
	}
	ended, err := p.status(ctx, pod, func(pod *corev1.Pod) {
		for i := range pod.Status.ContainerStatuses {
			c := &pod.Status.ContainerStatuses[i]
			d := death{reason: "Error", code: 2}
			if c.Name == "checkout" {
				d = death{reason: "Completed"}
			}
			no := false
			c.State, c.Ready, c.Started = corev1.ContainerState{Terminated: d.terminated(c)}, false, &no
		}
		pod.Status.Phase = corev1.PodFailed
		judge(pod)
	})
	if err != nil {
		return err
	}
	p.say("pod %s/%s: %s", ended.Namespace, ended.Name, standing(ended))
	return nil
}
