package kube

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// loops finds the crash loops that no pod shows by itself: pods that are never restarted fail one after the other, and their owner makes
// another each time. The newest of them bears the verdict, unless it has finished well. Shown are the pods' workloads, in the same order.
func (o *observation) loops(p part, pods []*corev1.Pod, shown []store.Workload) {
	groups := map[types.UID][]int{}
	for i, pod := range pods {
		c := metav1.GetControllerOfNoCopy(pod)
		switch {
		case c == nil || pod.Spec.RestartPolicy != corev1.RestartPolicyNever:
		case p.name != "":
			groups[p.uid] = append(groups[p.uid], i) // a CronJob makes a Job for each run
		default:
			groups[c.UID] = append(groups[c.UID], i)
		}
	}
	for _, group := range groups {
		newest := slices.MaxFunc(group, func(a, b int) int {
			return cmp.Or(shown[a].Created.Compare(shown[b].Created), cmp.Compare(shown[a].Name, shown[b].Name))
		})
		limit := systems.ThresholdsOf(merged(p.object.Annotations, pods[newest].Annotations)).Restarts
		c := metav1.GetControllerOfNoCopy(pods[newest])
		whose := c.Kind + " " + store.Clean(c.Name, 80)
		if p.name != "" {
			whose = p.kind + " " + store.Clean(p.object.Name, 80)
		}
		o.loop(whose, group, shown, &shown[newest], int(limit))
	}
}

// loop gives the newest pod of one owner the verdict that those which failed make together.
func (o *observation) loop(whose string, group []int, shown []store.Workload, newest *store.Workload, limit int) {
	var failed []*store.Workload
	for _, i := range group {
		if w := &shown[i]; w.Phase == string(corev1.PodFailed) && w.Failing() && !w.Since.IsZero() && o.now.Sub(w.Since) < stable {
			failed = append(failed, w)
		}
	}
	if len(failed) <= limit || newest.Phase == string(corev1.PodSucceeded) {
		return
	}
	slices.SortFunc(failed, func(a, b *store.Workload) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Name, b.Name)) })
	last := failed[0].Verdict
	newest.Verdict = store.Verdict{Health: store.Unhealthy, Reason: store.CrashLoop, Raw: last.Raw, Message: last.Message, Container: last.Container,
		Inspect: last.Inspect, Since: newest.Since, Next: failed[limit].Since.Add(stable),
		Why: store.Sentence(fmt.Sprintf("%d pods of %s failed within 10 min; the last: ", len(failed), whose)) + last.Why}
}
