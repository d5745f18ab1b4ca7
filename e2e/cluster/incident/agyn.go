package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// declaredRunner is the kind of agyn's declared runners.
var declaredRunner = schema.GroupVersionResource{Group: "platform.agyn.io", Version: "v1alpha1", Resource: "runners"}

func agynKinds() []kind {
	return []kind{
		{"agyn-credential", "the token of a declared runner is lost: its Runner object says CredentialMissing", agynCredential},
		{"agyn-enrolling", "the runner is made anew and cannot enrol yet; its port accepts connections all the same", agynEnrolling},
		{"agyn-agent-oom", "an agent is killed for its memory; its sidecars, and so its pod, run on", agynAgentOOM},
	}
}

// enrolling is the incident of a runner whose process has just begun.
const enrolling = "agyn-enrolling"

func agynEnrolling(ctx context.Context, p *player, s *subject) error {
	return p.renew(ctx, s.components[0], enrolling, "")
}

func agynAgentOOM(ctx context.Context, p *player, s *subject) error {
	if len(s.workloads) == 0 {
		return errors.New("it has no workload")
	}
	pod := &s.workloads[0]
	return p.ends(ctx, pod, pod.Spec.Containers[0].Name, death{"agyn-agent-oom", "OOMKilled", 137, ""})
}

func agynCredential(ctx context.Context, p *player, s *subject) error {
	return p.declare(ctx, s, func(o *unstructured.Unstructured) error {
		text, err := json.Marshal(o.Object["status"])
		if err != nil {
			return err
		}
		if notes := o.GetAnnotations(); notes[undo] == "" {
			o.SetAnnotations(map[string]string{undo: string(text)})
		}
		now := time.Now().UTC().Format(time.RFC3339)
		return unstructured.SetNestedSlice(o.Object, []any{map[string]any{"type": "Ready", "status": "False", "reason": "CredentialMissing",
			"message": "the secret k8s-runner-service-token does not exist", "lastTransitionTime": now}}, "status", "conditions")
	})
}

// declare changes the runner's Runner object and its status.
func (p *player) declare(ctx context.Context, s *subject, change func(*unstructured.Unstructured) error) error {
	runners := p.custom.Resource(declaredRunner).Namespace(s.namespace)
	o, err := runners.Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("looking up the Runner object %s: %w", s.name, err)
	}
	if err := change(o); err != nil {
		return err
	}
	status := o.Object["status"]
	if o, err = runners.Update(ctx, o, metav1.UpdateOptions{FieldManager: "platform-controller"}); err == nil {
		o.Object["status"] = status
		_, err = runners.UpdateStatus(ctx, o, metav1.UpdateOptions{FieldManager: "platform-controller"})
	}
	if err != nil {
		return fmt.Errorf("changing the Runner object %s: %w", s.name, err)
	}
	p.say("Runner object %s/%s: changed", s.namespace, s.name)
	return nil
}

// recoverDeclared makes the Runner object say again what it said before.
func (p *player) recoverDeclared(ctx context.Context, s *subject) error {
	o, err := p.custom.Resource(declaredRunner).Namespace(s.namespace).Get(ctx, s.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && o.GetAnnotations()[undo] == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up the Runner object %s: %w", s.name, err)
	}
	return p.declare(ctx, s, func(o *unstructured.Unstructured) error {
		var was map[string]any
		if err := json.Unmarshal([]byte(o.GetAnnotations()[undo]), &was); err != nil {
			return fmt.Errorf("reading what the Runner object %s said: %w", s.name, err)
		}
		o.SetAnnotations(nil)
		o.Object["status"] = was
		return nil
	})
}
