package incident

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// loopKinds are what the loop chooses from. A lost node is not among them: it
// takes pods of other runners with it, and most of the fleet is to stay healthy.
var loopKinds = []string{"image-pull", "bad-config", "init-retries", "unschedulable", "crashloop", "oom", "evict", "probe-fail", "probe-slow", "rollout"}

// workloadKinds are those of them that befall a workload as well.
var workloadKinds = []string{"image-pull", "bad-config", "init-retries", "unschedulable", "crashloop", "oom", "evict"}

// loop lets one incident follow another, each with its recovery, until ctx ends.
func (p *player) loop(ctx context.Context) error {
	random := rand.New(rand.NewPCG(p.seed, 0))
	for {
		if err := p.episode(ctx, random); err != nil && ctx.Err() == nil {
			p.say("%s  %v", clock(), err) // the cluster may be down for a while: the loop goes on
		}
		if pause(ctx, p.period) != nil {
			return nil
		}
	}
}

func clock() string { return time.Now().Format(time.TimeOnly) }

// episode is one incident and its recovery, which also takes place when ctx ends in between.
func (p *player) episode(ctx context.Context, random *rand.Rand) error {
	runners, err := p.runners(ctx)
	if err != nil {
		return fmt.Errorf("looking for a runner: %w", err)
	}
	if len(runners) == 0 {
		return fmt.Errorf("there is no runner for anything to happen to")
	}
	one := &player{options: p.options, client: p.client, custom: p.custom}
	one.runner = runners[random.IntN(len(runners))]
	name := loopKinds[random.IntN(len(loopKinds))]
	s, err := one.find(ctx)
	if err != nil {
		return err
	}
	if len(s.workloads) > 0 && slices.Contains(workloadKinds, name) && random.IntN(3) == 0 {
		one.workload = "new"
		if slices.Index(workloadKinds, name) >= 4 { // what befalls a running pod needs one
			one.workload = s.workloads[random.IntN(len(s.workloads))].Name
		}
	} else {
		one.component = s.components[random.IntN(len(s.components))].name
	}
	p.say("%s  %s on %s %s%s", clock(), name, one.runner, one.component, one.workload)
	played := one.playNamed(ctx, name)
	_ = pause(ctx, p.period)
	p.say("%s  recover %s", clock(), one.runner)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	one.component, one.workload = "", ""
	if err := one.playNamed(end, "recover"); err != nil {
		return err
	}
	return played
}

// runners are all runners of the cluster, as NAMESPACE/NAME.
func (p *player) runners(ctx context.Context) ([]string, error) {
	var out []string
	add := func(o metav1.Object) {
		switch l := o.GetLabels(); {
		case l[kubiyaComponent] != "":
			out = append(out, o.GetNamespace()+"/"+l[instance])
		case l[appName] == "k8s-runner":
			out = append(out, o.GetNamespace()+"/"+o.GetName())
		case l[ownRunner] != "" && l[ownComponent] != "":
			out = append(out, o.GetNamespace()+"/"+l[ownRunner])
		case l[app] == "runner-standby":
			out = append(out, o.GetNamespace()+"/"+o.GetName())
		case l[app] == "agentic-operator":
			out = append(out, o.GetNamespace()+"/"+o.GetNamespace())
		}
	}
	deployments, err := p.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range deployments.Items {
		add(&deployments.Items[i])
	}
	sets, err := p.client.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range sets.Items {
		add(&sets.Items[i])
	}
	pods, err := p.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: ownRunner + "," + ownComponent})
	if err != nil {
		return nil, err
	}
	for i := range pods.Items {
		add(&pods.Items[i])
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
