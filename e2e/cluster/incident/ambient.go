package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"

	"trackside/e2e/cluster/fleet"
)

func ambientKinds() []kind {
	return []kind{
		{"ambient-oom", "a session's runner is killed for its memory; the session still says Running", session(ambientOOM)},
		{"ambient-drift", "a session's runner has not been ready for two minutes; the session still says Running", session(ambientDrift)},
		{"ambient-prerequisite", "a session's runner ends with 2: something that it needs is missing", session(ambientPrerequisite)},
		{"ambient-deleted", "a session failed, and the operator has deleted its pod: only the session tells", session(ambientDeleted)},
		{"ambient-missing", "a session says Running, and its pod is gone", session(ambientMissing)},
		{"ambient-reset", "a session's pod went missing, and the operator waits to make another", session(ambientReset)},
		{"ambient-liveness", "a session's runner is ended by its liveness probe, and never restarted; the session still says Running", session(ambientLiveness)},
		{"ambient-creating", "a session's runner is ready for two minutes; the session still says Creating", session(ambientCreating)},
		{"ambient-plane-oom", "the runner in a pod of the control plane's is killed for its memory; the pod runs on", ambientPlaneOOM},
	}
}

const (
	ambientRunner = "ambient-code-runner"
	planeOOM      = "ambient-plane-oom"
)

// kept is what recovery makes a session be again.
type kept struct {
	Status map[string]any `json:"status"`
	Pod    *corev1.Pod    `json:"pod"`
}

// session plays an incident on the pod of a session: the one named, or the first.
func session(play func(context.Context, *player, *corev1.Pod) error) func(context.Context, *player, *subject) error {
	return func(ctx context.Context, p *player, s *subject) error {
		pod := s.workload
		for i := range s.workloads {
			if pod == nil && s.workloads[i].Labels[sessionLabel] != "" {
				pod = &s.workloads[i]
			}
		}
		if pod == nil || pod.Labels[sessionLabel] == "" {
			return errors.New("it has no session with a pod")
		}
		if err := p.keepSession(ctx, pod); err != nil {
			return err
		}
		return play(ctx, p, pod)
	}
}

// change changes a session, and its status apart, as the operator does.
func (p *player) changeSession(ctx context.Context, namespace, name string, change func(*unstructured.Unstructured) error) error {
	sessions := p.custom.Resource(fleet.Session).Namespace(namespace)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		o, err := sessions.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := change(o); err != nil {
			return err
		}
		status := o.Object["status"]
		if o, err = sessions.Update(ctx, o, metav1.UpdateOptions{}); err != nil {
			return err
		}
		o.Object["status"] = status
		_, err = sessions.UpdateStatus(ctx, o, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("changing the session %s: %w", name, err)
	}
	return nil
}

func (p *player) keepSession(ctx context.Context, pod *corev1.Pod) error {
	return p.changeSession(ctx, pod.Namespace, pod.Labels[sessionLabel], func(o *unstructured.Unstructured) error {
		notes := o.GetAnnotations()
		if notes[undo] != "" {
			return nil
		}
		status, _ := o.Object["status"].(map[string]any)
		text, err := json.Marshal(kept{status, bareCopy(pod)})
		if err != nil {
			return err
		}
		if notes == nil {
			notes = map[string]string{}
		}
		notes[undo] = string(text)
		o.SetAnnotations(notes)
		return nil
	})
}

// ends ends a container of a pod that is never restarted. The pod is over only when nothing else runs in it.
func (p *player) ends(ctx context.Context, pod *corev1.Pod, container string, d death) error {
	if err := p.touched(ctx, pod, d.incident); err != nil {
		return err
	}
	ended, err := p.status(ctx, pod, func(pod *corev1.Pod) {
		c := containerStatus(pod, container)
		no := false
		c.State = corev1.ContainerState{Terminated: d.terminated(c)}
		c.Ready, c.Started = false, &no
		if len(pod.Spec.Containers) == 1 {
			pod.Status.Phase = corev1.PodFailed
		}
		judge(pod)
	})
	if err != nil {
		return err
	}
	p.say("pod %s/%s: %s", ended.Namespace, ended.Name, standing(ended))
	return nil
}

func ambientOOM(ctx context.Context, p *player, pod *corev1.Pod) error {
	return p.ends(ctx, pod, ambientRunner, death{"ambient-oom", "OOMKilled", 137, ""})
}

func ambientPrerequisite(ctx context.Context, p *player, pod *corev1.Pod) error {
	return p.ends(ctx, pod, ambientRunner, death{"ambient-prerequisite", "Error", 2, "ANTHROPIC_API_KEY is not set in the secret ambient-runner-secrets"})
}

func ambientLiveness(ctx context.Context, p *player, pod *corev1.Pod) error {
	if err := p.warn(ctx, pod, "Unhealthy", "Liveness probe failed: Get \"http://10.0.0.1:8001/health\": context deadline exceeded"); err != nil {
		return err
	}
	return p.ends(ctx, pod, ambientRunner, death{"ambient-liveness", "Error", 137, ""})
}

// ambientPlaneOOM befalls the first pod that the control plane has made; it belongs to no session in the cluster.
func ambientPlaneOOM(ctx context.Context, p *player, s *subject) error {
	for i := range s.workloads {
		if pod := &s.workloads[i]; pod.Labels[sessionLabel] == "" {
			return p.ends(ctx, pod, ambientRunner, death{planeOOM, "OOMKilled", 137, ""})
		}
	}
	return errors.New("it has no pod of the control plane's")
}

func ambientCreating(ctx context.Context, p *player, pod *corev1.Pod) error {
	now := time.Now().UTC().Format(time.RFC3339)
	err := p.changeSession(ctx, pod.Namespace, pod.Labels[sessionLabel], func(o *unstructured.Unstructured) error {
		o.Object["status"] = map[string]any{"phase": "Creating", "startTime": now, "conditions": []any{map[string]any{
			"type": "PodCreated", "status": "True", "reason": "PodCreated", "lastTransitionTime": now}}}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = p.status(ctx, pod, func(pod *corev1.Pod) {
		if r := containerStatus(pod, ambientRunner).State.Running; r != nil {
			r.StartedAt = metav1.NewTime(time.Now().Add(-2 * time.Minute))
		}
	})
	p.say("session %s/%s: Creating, and its pod Ready", pod.Namespace, pod.Labels[sessionLabel])
	return err
}

func ambientDrift(ctx context.Context, p *player, pod *corev1.Pod) error {
	if err := p.touched(ctx, pod, "ambient-drift"); err != nil {
		return err
	}
	_, err := p.status(ctx, pod, func(pod *corev1.Pod) {
		c := containerStatus(pod, ambientRunner)
		c.Ready = false
		if c.State.Running != nil {
			c.State.Running.StartedAt = metav1.NewTime(time.Now().Add(-time.Hour))
		}
		judge(pod)
		for i := range pod.Status.Conditions {
			if pod.Status.Conditions[i].Type == corev1.PodReady {
				pod.Status.Conditions[i].LastTransitionTime = metav1.NewTime(time.Now().Add(-2 * time.Minute))
			}
		}
	})
	return err
}

func ambientDeleted(ctx context.Context, p *player, pod *corev1.Pod) error {
	now := time.Now().UTC().Format(time.RFC3339)
	err := p.changeSession(ctx, pod.Namespace, pod.Labels[sessionLabel], func(o *unstructured.Unstructured) error {
		o.Object["status"] = map[string]any{"phase": "Failed", "completionTime": now, "conditions": []any{map[string]any{
			"type": "Ready", "status": "False", "reason": "RunnerExit", "message": "Runner exited with code 1: Error - cannot clone the repository", "lastTransitionTime": now}}}
		return nil
	})
	if err != nil {
		return err
	}
	p.say("session %s/%s: Failed, and its pod deleted", pod.Namespace, pod.Labels[sessionLabel])
	return p.remove(ctx, pod)
}

func ambientReset(ctx context.Context, p *player, pod *corev1.Pod) error {
	now := time.Now().UTC().Format(time.RFC3339)
	err := p.changeSession(ctx, pod.Namespace, pod.Labels[sessionLabel], func(o *unstructured.Unstructured) error {
		o.Object["status"] = map[string]any{"phase": "Pending", "startTime": now, "conditions": []any{map[string]any{
			"type": "PodCreated", "status": "False", "reason": "PodMissing", "message": "Pod not found, will recreate", "lastTransitionTime": now}}}
		return nil
	})
	if err != nil {
		return err
	}
	p.say("session %s/%s: Pending again, and its pod gone", pod.Namespace, pod.Labels[sessionLabel])
	return p.remove(ctx, pod)
}

func ambientMissing(ctx context.Context, p *player, pod *corev1.Pod) error {
	p.say("session %s/%s: Running, and its pod deleted", pod.Namespace, pod.Labels[sessionLabel])
	return p.remove(ctx, pod)
}

// recoverSessions makes the sessions of a namespace, and their pods, what they were.
func (p *player) recoverSessions(ctx context.Context, namespace string) error {
	list, err := p.custom.Resource(fleet.Session).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing the sessions of %s: %w", namespace, err)
	}
	for _, o := range list.Items {
		text := o.GetAnnotations()[undo]
		if text == "" {
			continue
		}
		var was kept
		if err := json.Unmarshal([]byte(text), &was); err != nil {
			return fmt.Errorf("reading what the session %s was: %w", o.GetName(), err)
		}
		if err := p.remakePod(ctx, was.Pod); err != nil {
			return err
		}
		if err := p.changeSession(ctx, namespace, o.GetName(), func(o *unstructured.Unstructured) error {
			notes := o.GetAnnotations()
			delete(notes, undo)
			o.SetAnnotations(notes)
			o.Object["status"] = was.Status
			return nil
		}); err != nil {
			return err
		}
		p.say("session %s/%s: made anew", namespace, o.GetName())
	}
	return nil
}

func (p *player) remakePod(ctx context.Context, was *corev1.Pod) error {
	pods := p.client.CoreV1().Pods(was.Namespace)
	switch now, err := pods.Get(ctx, was.Name, metav1.GetOptions{}); {
	case err == nil:
		if err := p.remove(ctx, now); err != nil {
			return err
		}
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("looking up the pod %s: %w", was.Name, err)
	}
	if _, err := pods.Create(ctx, was, metav1.CreateOptions{FieldManager: "operator"}); err != nil {
		return fmt.Errorf("creating the pod %s: %w", was.Name, err)
	}
	return nil
}
