package kube

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
	"trackside/systems"
	"trackside/systems/finding"
)

func codes(r *store.Runner) (out []string) {
	for _, f := range r.Findings {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func has(r *store.Runner, code, object string) bool {
	return slices.ContainsFunc(r.Findings, func(f store.Finding) bool { return f.Code == code && f.Object == object })
}

// faulty is a container with a vacuous probe and a moving image, privileged and without bounds.
func faulty(name string) corev1.Container {
	yes := true
	return corev1.Container{Name: name, Image: "acme/" + name + ":latest", SecurityContext: &corev1.SecurityContext{Privileged: &yes},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"python", "-c", "import sys; sys.exit(0)"}}}}}
}

func TestFindingsSurviveTheCacheAndFollowTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment(meta("ns", "d", labelled("r", "main")), 1, faulty("main"))
		b := newBoard(t, Config{}, nil, d)
		defer b.end()
		r := b.runner("labelled", "r")
		want := []string{finding.ImageMoves, finding.LimitsMissing, finding.LivenessMissing, finding.Privileged, finding.ReadinessVacuous, finding.RequestsMissing, finding.SingleReplica}
		if got := codes(r); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		if r.Doubts != 1 || r.Findings[0].Severity != store.Critical || r.Findings[0].Object != "deployment/d" {
			t.Errorf("%d doubts, first %+v", r.Doubts, r.Findings[0])
		}
		fixed := d.DeepCopy()
		fixed.ResourceVersion, fixed.Spec.Template.Spec.Containers[0].SecurityContext = "2", nil
		if _, err := b.client.AppsV1().Deployments("ns").Update(t.Context(), fixed, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if has(b.runner("labelled", "r"), finding.Privileged, "deployment/d") || len(b.changes) != 1 {
			t.Errorf("%v after %d changes", codes(b.runner("labelled", "r")), len(b.changes))
		}
	})
}

func TestPodsOfARunnersObjectAreNotJudgedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := labelled("r", "main")
		d := deployment(meta("ns", "d", l), 1, container("main", "acme/main:1.0.0"))
		rs := replicaSet(d)
		old := podOf(rs.ObjectMeta, "ReplicaSet", "p", l, faulty("main")) // of before the last roll-out
		bare := running(&corev1.Pod{ObjectMeta: meta("ns", "bare", labelled("r", "other")), Spec: corev1.PodSpec{Containers: []corev1.Container{faulty("main")}}})
		b := newBoard(t, Config{}, nil, d, rs, old, bare)
		defer b.end()
		r := b.runner("labelled", "r")
		if !has(r, finding.Privileged, "pod/bare") || has(r, finding.Privileged, "deployment/d") || has(r, finding.Privileged, "pod/p") {
			t.Errorf("%+v", r.Findings)
		}
	})
}

func TestWorkIsJudgedAsASort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("r", 1)
		for i := range 3 {
			l := map[string]string{systems.LabelRunner: "r", systems.LabelWorkload: "true"}
			p := running(&corev1.Pod{ObjectMeta: meta("ns", fmt.Sprintf("job-%d", i), l), Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever,
				Containers: []corev1.Container{{Name: fmt.Sprintf("agent-%d", i), Image: "acme/agent:1.0.0", LivenessProbe: &corev1.Probe{}}}}})
			objects = append(objects, p)
		}
		b := newBoard(t, Config{}, nil, objects...)
		defer b.end()
		n := 0
		for _, f := range b.runner("labelled", "r").Findings {
			if f.Code == finding.LivenessNever {
				n++
				if f.Object != "pods" || f.Field != "spec.containers[*].livenessProbe" {
					t.Errorf("%+v", f)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d findings of three pods of one sort", n)
		}
	})
}

func TestAMissingSecretIsFoundUntilThePodRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("r", 1)
		pod := objects[2].(*corev1.Pod)
		pod.Status.Phase = corev1.PodPending
		pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
		event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "e", UID: "e", ResourceVersion: "1"}, Type: corev1.EventTypeWarning,
			InvolvedObject: corev1.ObjectReference{UID: pod.UID}, Reason: "FailedMount", LastTimestamp: metav1.Now(),
			Message: `MountVolume.SetUp failed for volume "creds" : secret "nats-creds" not found`}
		b := newBoard(t, Config{}, nil, append(objects, event)...)
		defer b.end()
		r := b.runner("labelled", "r")
		if !has(r, finding.SecretMissing, "secret/nats-creds") || r.Findings[0].Field != "spec.volumes" {
			t.Fatalf("%+v", r.Findings)
		}
		well := running(pod.DeepCopy())
		well.ResourceVersion = "2"
		if _, err := b.client.CoreV1().Pods("ns").Update(t.Context(), well, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.look()
		if r := b.runner("labelled", "r"); has(r, finding.SecretMissing, "secret/nats-creds") {
			t.Errorf("the pod runs, and %+v", r.Findings)
		}
	})
}

func TestAMissingKeyOfASecretIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := labelledRunner("r", 1)
		pod := objects[2].(*corev1.Pod)
		pod.Status.Phase = corev1.PodPending
		pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError",
			Message: "couldn't find key token in Secret ns/service-token"}}
		b := newBoard(t, Config{}, nil, objects...)
		defer b.end()
		if r := b.runner("labelled", "r"); !has(r, finding.SecretMissing, "secret/service-token") {
			t.Errorf("%+v", r.Findings)
		}
	})
}

func TestAProbeOfOursProvesTheGreen(t *testing.T) {
	c := newCluster(t, Config{})
	o := &observation{set: filled(t, 0), cluster: c, now: time.Now()}
	d := deployment(meta("ns", "d", labelled("r", "main")), 2, corev1.Container{Name: "main", Image: "acme/main:1.0.0"})
	p := part{kind: "Deployment", name: "main", desired: 2, object: objectOf("Deployment", &d.ObjectMeta, &d.Spec.Template.Spec), marks: mark("Deployment", &d.ObjectMeta, &d.Spec.Template.Spec, "")}
	for url, doubt := range map[string]bool{"": true, "http://10.0.0.1:8080/health": false} {
		r := &store.Runner{Components: []store.Component{{Name: "main", Version: "1.0.0", Probe: store.Probe{URL: url}}}}
		if got := slices.ContainsFunc(o.findings(&p, r), func(f store.Finding) bool { return f.Doubt }); got != doubt {
			t.Errorf("asked at %q: %t", url, got)
		}
	}
}

func TestNobodyWritesMarksOfHisOwn(t *testing.T) {
	s := &set{}
	d := deployment(meta("ns", "d", labelled("r", "main")), 1, faulty("main"))
	d.GenerateName = "privileged\t\t\t"
	if got := transformed(t, s, d).(*appsv1.Deployment).GenerateName; !strings.HasPrefix(got, finding.Prefix) || !strings.Contains(got, finding.ReadinessVacuous) {
		t.Errorf("%q", got)
	}
	p := running(&corev1.Pod{ObjectMeta: meta("ns", "p", labelled("r", "main"))})
	p.GenerateName = "d-"
	if got := transformed(t, s, p).(*corev1.Pod).GenerateName; got != finding.Prefix {
		t.Errorf("%q", got)
	}
}

func TestOffers(t *testing.T) {
	said := func(a map[string]string) store.Offer {
		return offerOf([]part{{object: systems.Object{}}, {object: systems.Object{Annotations: a}}})
	}
	got := said(map[string]string{systems.AnnotationScope: "organization/acme", systems.AnnotationLabels: "region=eu,arch=arm64",
		systems.AnnotationCapabilities: "", systems.AnnotationRoom: "cpu=500m,memory=1Gi,gpu=2,disk=x,memory2=-1"})
	want := store.Offer{Scope: store.Scope{Kind: store.ScopeOrganization, Organization: "acme"}, Labels: []store.Label{{Key: "arch", Value: "arm64"}, {Key: "region", Value: "eu"}},
		Capabilities: []string{}, Room: store.Room{CPU: 500, Memory: 1 << 30, GPU: 2}}
	if !got.Equal(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := said(map[string]string{systems.AnnotationScope: "everywhere", systems.AnnotationLabels: "=", systems.AnnotationRoom: "cpu=lots,memory=-1,gpu=1e-2147483647"}); !got.Equal(store.Offer{}) {
		t.Errorf("what cannot be read says %+v", got)
	}
}
