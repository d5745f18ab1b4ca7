package kube

import (
	"strings"
	"testing"
	"testing/synctest"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trackside/store"
)

// A Job that may try again makes its pod anew when that is deleted: whoever ends work by an action is told so, and how to end the Job.
func TestAJobMakesItsPodAnew(t *testing.T) {
	const anew = "1 workload is made anew by its Job, whose backoffLimit lets it try again: Job ns/job-a. To end the work, delete the Job: kubectl delete job job-a -n ns."
	now, drain, gone := store.Action{Verb: store.VerbDisable}, store.Action{Verb: store.VerbDisable, Drain: true}, store.Action{Verb: store.VerbDelete}
	pod := store.Action{Verb: store.VerbDeleteWorkload, Target: "ns/job-a"}
	limit := func(n int32) *int32 { return &n }
	for name, c := range map[string]struct {
		a    store.Action
		job  *batchv1.JobSpec
		ends bool
		told string
	}{
		"disabled, and tried again":       {now, &batchv1.JobSpec{BackoffLimit: limit(3)}, false, anew},
		"disabled, and by default":        {now, &batchv1.JobSpec{}, false, anew},
		"deleted, and tried again":        {gone, &batchv1.JobSpec{BackoffLimit: limit(1)}, false, anew},
		"disabled, and tried once":        {now, &batchv1.JobSpec{BackoffLimit: limit(0)}, false, ""},
		"deleted, and tried once":         {gone, &batchv1.JobSpec{BackoffLimit: limit(0)}, false, ""},
		"drained":                         {drain, &batchv1.JobSpec{BackoffLimit: limit(3)}, false, ""},
		"the pod has ended":               {now, &batchv1.JobSpec{BackoffLimit: limit(3)}, true, ""},
		"a Job that is not seen":          {now, nil, false, "1 workload may be made anew by its Job, which is not seen: Job ns/job-a. "},
		"of a pod alone, and tried once":  {pod, &batchv1.JobSpec{BackoffLimit: limit(0)}, false, ""},
		"of a pod alone, and tried again": {pod, &batchv1.JobSpec{BackoffLimit: limit(3)}, false, "Job job-a owns the pod, and may make another at once."},
		"of a pod alone, of a Job unseen": {pod, nil, false, "Job job-a owns the pod, and may make another at once."},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				job := meta("ns", "job-a", nil)
				p := buildJob("job-a", "ctl-a")
				p.OwnerReferences = ownedBy(p.ObjectMeta, "Job", job).OwnerReferences
				if c.ends {
					p.Status.Phase = corev1.PodFailed
				}
				objects := append(controller("ctl-a"), runtime.Object(p))
				if c.job != nil {
					objects = append(objects, &batchv1.Job{ObjectMeta: job, Spec: *c.job})
				}
				b, _ := withHands(t, nil, objects...)
				defer b.end()
				if got := trap(b.planned(c.a, "buildkite", "ctl-a"), "made-anew"); c.told == "" && got != "" || !strings.HasPrefix(got, c.told) {
					t.Errorf("told %q, want %q", got, c.told)
				}
			})
		})
	}
}
