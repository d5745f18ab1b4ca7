package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"trackside/e2e/rig"
	"trackside/store"
)

// Every system: what the plan says will go is gone, what it says will stay is there, and asked five times it is done once.
func TestActDeleteEverySystem(t *testing.T) {
	c := ownCluster(t, "--fleet")
	h := newHands(t, c, t.TempDir())
	for _, s := range switched {
		t.Run(s.ref.System+"/"+s.ref.Name, func(t *testing.T) {
			own := *h
			own.t = t
			a := action(store.VerbDelete, s.ref)
			plan, err := own.desk.Plan(t.Context(), a)
			must(t, err)
			if len(plan.Goes) == 0 || len(plan.Blocked()) > 0 {
				t.Errorf("the plan: goes %v, blocked %v", plan.Goes, plan.Blocked())
			}
			if s.ref.System == "release" && (!slices.ContainsFunc(plan.Stays, func(o store.Object) bool { return o.String() == "Secret digitalai/release-runner-registration-token" }) ||
				!slices.ContainsFunc(plan.Traps, func(x store.Trap) bool { return x.Code == "whole-set" })) {
				t.Errorf("stays %v, traps %v", plan.Stays, plan.Traps)
			}
			stays := slices.DeleteFunc(slices.Clone(plan.Stays), func(o store.Object) bool { return !own.there(o) })
			own.five(a)
			own.until(s.ref, "gone", func(r *store.Runner) bool { return r == nil })
			own.gone(plan.Goes)
			for _, o := range stays {
				if !own.there(o) {
					t.Errorf("%s was to stay, and is gone", o)
				}
			}
			if left := own.fields(s.ref.Namespace); s.ref.Namespace != "ci" && left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
	entries, err := h.db.Entries(t.Context(), store.EntryFilter{Verb: "delete"}, 100)
	must(t, err)
	if len(entries) != len(switched) || slices.ContainsFunc(entries, func(e store.Entry) bool { return e.Result != store.ResultDone || e.By.Name != "ada" }) {
		t.Errorf("the audit: %+v", entries)
	}
}

// plannedKinds are the resources of the kinds that the plan of a deletion names.
var plannedKinds = map[string]schema.GroupVersionResource{
	"Deployment":              actKinds["deployments"],
	"StatefulSet":             actKinds["statefulsets"],
	"CronJob":                 actKinds["cronjobs"],
	"Pod":                     actKinds["pods"],
	"AgenticSession":          actKinds["agenticsessions"],
	"ProjectSettings":         actKinds["projectsettings"],
	"AutoscalingRunnerSet":    actKinds["autoscalingrunnersets"],
	"Runner":                  {Group: "platform.agyn.io", Version: "v1alpha1", Resource: "runners"},
	"HorizontalPodAutoscaler": {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	"Service":                 {Version: "v1", Resource: "services"},
	"Secret":                  {Version: "v1", Resource: "secrets"},
	"ConfigMap":               {Version: "v1", Resource: "configmaps"},
	"ServiceAccount":          {Version: "v1", Resource: "serviceaccounts"},
	"PersistentVolumeClaim":   {Version: "v1", Resource: "persistentvolumeclaims"},
}

// there reports whether an object that a plan names is in the cluster.
func (h *hands) there(o store.Object) bool {
	h.t.Helper()
	gvr, known := plannedKinds[o.Kind]
	if !known {
		h.t.Fatalf("a plan names %s, of a kind that is not known here", o)
	}
	_, err := h.dyn.Resource(gvr).Namespace(o.Namespace).Get(h.t.Context(), o.Name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		must(h.t, err)
	}
	return err == nil
}

// gone waits until nothing of that is left.
func (h *hands) gone(goes []store.Object) {
	h.t.Helper()
	rig.Eventually(h.t, 30*time.Second, "what was to go is gone", func() error {
		if left := slices.DeleteFunc(slices.Clone(goes), func(o store.Object) bool { return !h.there(o) }); len(left) > 0 {
			return fmt.Errorf("left are %v", left)
		}
		return nil
	})
}

// A finalizer that nobody takes off is told before and after, with whoever set it; the runner is shown as being deleted until it is gone.
func TestActDeleteIsBlocked(t *testing.T) {
	h := newHands(t, cluster, t.TempDir())
	f := newRunner(t, cluster, "", "held", "30s")
	ref := store.Ref{Cluster: "k", System: "labelled", Namespace: f.ns, Name: "held"}
	h.until(ref, "seen", enabled)
	finalize := func(body string) {
		_, err := cluster.Client.AppsV1().Deployments(f.ns).Patch(background(), "held-agent", types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "storage-operator"})
		must(t, err)
	}
	finalize(`{"metadata":{"finalizers":["acme.example/volumes"]}}`)
	a := action(store.VerbDelete, ref)
	plan, err := h.desk.Plan(t.Context(), a)
	must(t, err)
	told := func(text string) bool {
		return strings.Contains(text, "acme.example/volumes") && strings.Contains(text, "set by storage-operator")
	}
	if !slices.ContainsFunc(plan.Traps, func(x store.Trap) bool { return x.Code == "finalizer" && told(string(x.Why)) }) {
		t.Errorf("traps %v", plan.Traps)
	}
	wrong := a
	wrong.Key, wrong.Confirm = a.Key+"x", "hold"
	if _, err := h.desk.Do(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), `type its name "held"`) {
		t.Errorf("with another name typed: %v", err)
	}
	if out := h.five(a); !told(string(out.Waits)) {
		t.Errorf("waits %q", out.Waits)
	}
	h.until(ref, "being deleted", func(r *store.Runner) bool { return r != nil && r.Requested == store.Deleting })
	finalize(`{"metadata":{"finalizers":null}}`)
	h.until(ref, "gone", func(r *store.Runner) bool { return r == nil })
}

// A runner that was deleted and made anew is not the one that somebody looked at.
func TestActOnAnotherIncarnation(t *testing.T) {
	h := newHands(t, cluster, t.TempDir())
	f := newRunner(t, cluster, "", "twin", "30s")
	ref := store.Ref{Cluster: "k", System: "labelled", Namespace: f.ns, Name: "twin"}
	h.until(ref, "seen", enabled)
	a := action(store.VerbDelete, ref)
	a.Incarnation = h.runner(ref).Incarnation
	h.five(action(store.VerbDelete, ref))
	h.until(ref, "gone", func(r *store.Runner) bool { return r == nil })
	newRunner(t, cluster, f.ns, "twin", "30s")
	h.until(ref, "back", enabled)
	_, err := h.desk.Do(t.Context(), a)
	if err == nil || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("acting on what is gone: %v", err)
	}
	rig.Eventually(t, 5*time.Second, "the twin is untouched", func() error {
		_, err := cluster.Client.AppsV1().Deployments(f.ns).Get(t.Context(), "twin-agent", metav1.GetOptions{})
		return err
	})
}
