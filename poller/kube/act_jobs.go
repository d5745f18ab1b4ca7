package kube

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
)

// maxJobs is how many Jobs are named in a plan.
const maxJobs = 3

// triesAgain reports whether a Job makes its pod anew when that fails, as a pod does that is deleted. Without a limit it is the API's, 6.
func triesAgain(j *batchv1.Job) bool { return j.Spec.BackoffLimit == nil || *j.Spec.BackoffLimit > 0 }

// jobOf is the Job that a pod is of, and what the caches know of it: nil when it is not seen.
func (h *hand) jobOf(p *corev1.Pod) (owner *metav1.OwnerReference, seen *stub) {
	owner = metav1.GetControllerOfNoCopy(p)
	if owner == nil || owner.Kind != "Job" {
		return nil, nil
	}
	for _, o := range h.set.lookup("jobs", byUID, string(owner.UID)) {
		if j, ok := o.(*stub); ok {
			return owner, j
		}
	}
	return owner, nil
}

// jobTraps tell of work that goes on when its pods are deleted, for its Jobs make them anew. The board deletes no Jobs: they are their own
// maker's, and of the systems that run work in Jobs, Buildkite's try once only.
func (h *hand) jobTraps(verb store.Verb, pods []*corev1.Pod) (traps []store.Trap) {
	var again, unseen []store.Object
	for _, p := range pods {
		owner, seen := h.jobOf(p)
		if owner == nil || !living(p) || p.DeletionTimestamp != nil {
			continue
		}
		o := store.Object{Kind: "Job", Namespace: p.Namespace, Name: owner.Name}
		switch {
		case seen == nil:
			unseen = append(unseen, o)
		case seen.triesAgain && (verb != store.VerbDelete || !h.owns(seen)):
			again = append(again, o)
		}
	}
	return append(jobTrap(again, "made anew by %s, whose backoffLimit lets it try again", "is ", "are "),
		jobTrap(unseen, "made anew by %s, which is not seen", "may be ", "may be ")...)
}

// owns reports whether a part of the runner owns a Job, which goes with it then.
func (h *hand) owns(j *stub) bool {
	return slices.ContainsFunc(h.parts, func(p part) bool { return p.object.UID != "" && p.object.UID == j.owner.UID })
}

func jobTrap(jobs []store.Object, why, one, many string) []store.Trap {
	n := len(jobs)
	if n == 0 {
		return nil
	}
	what, whose, is := "1 workload ", "its Job", one
	if n > 1 {
		what, whose, is = fmt.Sprintf("%d workloads ", n), "their Jobs", many
	}
	jobs = distinctObjects(jobs)
	names := make([]string, 0, maxJobs)
	for _, o := range jobs[:min(len(jobs), maxJobs)] {
		names = append(names, store.Clean(o.String(), 320))
	}
	list := strings.Join(names, ", ")
	if more := len(jobs) - maxJobs; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	first := fmt.Sprintf("kubectl delete job %s -n %s", store.Clean(jobs[0].Name, 253), store.Clean(jobs[0].Namespace, 63))
	return []store.Trap{{Code: "made-anew", Why: store.Sentence(what + is + fmt.Sprintf(why, whose) + ": " + list + ". To end the work, delete the Job: " + first + ".")}}
}
