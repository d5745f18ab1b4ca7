package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/e2e/cluster/stages"
)

func kubiyaKinds() []kind {
	return []kind{
		{"kubiya-missing", "the Deployment workflow-engine is gone from its release; what is left is Ready", kubiyaMissing},
		{kubiyaStarts, "kubiya-operator is made anew: without a probe, Ready means that its container started", kubiyaStarted},
	}
}

const (
	kubiyaStarts = "kubiya-started"
	// lostPart on a Deployment holds another of its release that was taken away, as JSON.
	lostPart = stages.Prefix + "lost-part"
)

// part is a component of the runner by its name.
func (s *subject) part(name string) (*component, error) {
	i := slices.IndexFunc(s.components, func(c *component) bool { return c.name == name && c.deployment != nil })
	if i < 0 {
		return nil, fmt.Errorf("it has no Deployment %s", name)
	}
	return s.components[i], nil
}

func kubiyaStarted(ctx context.Context, p *player, s *subject) error {
	c, err := s.part("kubiya-operator")
	if err != nil {
		return err
	}
	return p.renew(ctx, c, kubiyaStarts, "503 no operator answers")
}

// kubiyaMissing takes a Deployment away, with its pods, and notes in another what it was.
func kubiyaMissing(ctx context.Context, p *player, s *subject) error {
	lost, err := s.part("workflow-engine")
	if err != nil {
		return err
	}
	keeper, err := s.part("kubiya-operator")
	if err != nil {
		return err
	}
	d := lost.deployment
	was := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: d.Name, Namespace: d.Namespace, Labels: d.Labels, Annotations: d.Annotations}, Spec: d.Spec}
	text, err := json.Marshal(was)
	if err != nil {
		return err
	}
	if err := p.annotateDeployment(ctx, d.Namespace, keeper.deployment.Name, map[string]string{lostPart: string(text)}); err != nil {
		return err
	}
	foreground := metav1.DeletePropagationForeground
	if err := p.client.AppsV1().Deployments(d.Namespace).Delete(ctx, d.Name, metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		return fmt.Errorf("deleting the Deployment %s: %w", d.Name, err)
	}
	p.say("Deployment %s/%s: deleted", d.Namespace, d.Name)
	return until(ctx, "the end of "+d.Name, func(ctx context.Context) (bool, error) {
		_, err := p.client.AppsV1().Deployments(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

// recoverPart brings back what a Deployment has noted of another.
func (p *player) recoverPart(ctx context.Context, c *component) error {
	if c.deployment == nil || c.deployment.Annotations[lostPart] == "" {
		return nil
	}
	was := &appsv1.Deployment{}
	if err := json.Unmarshal([]byte(c.deployment.Annotations[lostPart]), was); err != nil {
		return fmt.Errorf("reading the Deployment that was: %w", err)
	}
	_, err := p.client.AppsV1().Deployments(was.Namespace).Create(ctx, was, metav1.CreateOptions{FieldManager: "helm"})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("bringing back the Deployment %s: %w", was.Name, err)
	}
	p.say("Deployment %s/%s: there again", was.Namespace, was.Name)
	return errors.Join(p.annotateDeployment(ctx, was.Namespace, c.deployment.Name, map[string]string{lostPart: ""}), p.seasoned(ctx, &component{name: was.Name, deployment: was}))
}
