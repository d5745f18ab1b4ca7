package e2e

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"trackside/e2e/rig"
	"trackside/poller/kube"
	"trackside/store"
)

// With the view role alone every plan says which verb lacks and nothing is changed; with the act role everything works, and Secrets are out
// of reach; in the name of a person, the person's own rights count.
func TestActWithDeployedPermissions(t *testing.T) {
	c := ownCluster(t, "--fleet")
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: deployNamespace}}, metav1.CreateOptions{})
	must(t, err)
	apply(t, c, "base")
	config, err := clientcmd.BuildConfigFromFlags("", c.Token(t, deployAccount))
	must(t, err)
	deployed := func(cfg *kube.Config) { cfg.REST, cfg.Probes = config, kube.ProbeOff }
	ci := store.Ref{Cluster: "k", System: "labelled", Namespace: "ci", Name: "ci-linux"}
	h := newHands(t, c, t.TempDir(), deployed)
	h.until(ci, "seen", func(r *store.Runner) bool { return r != nil })
	h.lacks(ci, "the board's ServiceAccount may not patch deployments.apps in namespace ci")

	apply(t, c, filepath.Join("components", "act"))
	h.granted(ci)
	for _, s := range switched {
		must(t, do(h, store.VerbDisable, s.ref))
		must(t, do(h, store.VerbEnable, s.ref))
	}
	agyn := switched[1].ref
	must(t, do(h, store.VerbDelete, agyn))
	h.until(agyn, "gone", func(r *store.Runner) bool { return r == nil })
	board, err := kubernetes.NewForConfig(config)
	must(t, err)
	if _, err := board.CoreV1().Secrets("ci").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("reading Secrets: %v", err)
	}
	h.stop()

	apply(t, c, filepath.Join("components", "impersonate"))
	role := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "ops"}, Subjects: []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "ops"}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "trackside-act"}}
	_, err = c.Client.RbacV1().RoleBindings("ci").Create(t.Context(), role, metav1.CreateOptions{})
	must(t, err)
	p := newHands(t, c, t.TempDir(), deployed, func(cfg *kube.Config) { cfg.Impersonate = true })
	p.until(ci, "back in service", enabled)
	as := func(ref store.Ref, name string, groups ...string) error {
		a := action(store.VerbDisable, ref)
		a.By = store.Person{Name: name, Groups: groups}
		_, err := p.desk.Do(t.Context(), a)
		return err
	}
	rig.Eventually(t, 10*time.Second, "ada of ops may act in ci", func() error { return as(ci, "ada", "ops") })
	if err := as(switched[9].ref, "ada", "ops"); !errors.Is(err, store.ErrForbidden) || !strings.Contains(err.Error(), "user ada may not patch deployments.apps in namespace buildkite") {
		t.Errorf("ada elsewhere: %v", err)
	}
	if err := as(switched[9].ref, "bob"); !errors.Is(err, store.ErrForbidden) {
		t.Errorf("bob: %v", err)
	}
	if err := as(switched[9].ref, "eve", "system:masters"); !errors.Is(err, store.ErrForbidden) || !strings.Contains(err.Error(), "system:") {
		t.Errorf("eve, who says she is one of Kubernetes' masters: %v", err)
	}
}

// lacks checks that a plan is blocked by that sentence, and that doing it changes nothing.
func (h *hands) lacks(ref store.Ref, why string) {
	h.t.Helper()
	before := h.fields(ref.Namespace)
	a := action(store.VerbDisable, ref)
	plan, err := h.desk.Plan(h.t.Context(), a)
	if blocked := plan.Blocked(); err != nil || !slices.ContainsFunc(blocked, func(x store.Trap) bool { return x.Code == "forbidden" && strings.Contains(string(x.Why), why) }) {
		h.t.Errorf("the plan: %v, %v", blocked, err)
	}
	_, err = h.desk.Do(h.t.Context(), a)
	if !errors.Is(err, store.ErrForbidden) || !strings.Contains(err.Error(), "lacks the verb get") && !strings.Contains(err.Error(), why) {
		h.t.Errorf("without the right: %v", err)
	}
	if after := h.fields(ref.Namespace); after != before {
		h.t.Errorf("changed all the same: %s", after)
	}
}

// granted waits until a plan is not blocked: the API server reads roles through a watch.
func (h *hands) granted(ref store.Ref) {
	h.t.Helper()
	rig.Eventually(h.t, 10*time.Second, "the board may act", func() error {
		plan, err := h.desk.Plan(h.t.Context(), action(store.VerbDisable, ref))
		if err == nil && len(plan.Blocked()) > 0 {
			err = errors.New(string(plan.Blocked()[0].Why))
		}
		return err
	})
}

// A restart rolls the pods out anew; a pod that is deleted is another afterwards; a probe is asked at once; who is on a failure is shown until
// the runner recovers. An Event on the object tells who did what.
func TestActOnParts(t *testing.T) {
	h := newHands(t, cluster, t.TempDir())
	f := newRunner(t, cluster, "", "parts", "2s")
	ref := store.Ref{Cluster: "k", System: "labelled", Namespace: f.ns, Name: "parts"}
	h.until(ref, "healthy", func(r *store.Runner) bool { return r != nil && r.Health == store.Healthy })
	pod := func() string {
		r := h.runner(ref)
		if r == nil || len(r.Workloads) != 1 {
			return ""
		}
		return r.Workloads[0].UID
	}
	for _, verb := range []store.Verb{store.VerbRestart, store.VerbDeleteWorkload} {
		before := pod()
		a := action(verb, ref)
		a.Target = "agent"
		if verb == store.VerbDeleteWorkload {
			w := h.runner(ref).Workloads[0]
			a.Target = w.Namespace + "/" + w.Name
		}
		h.five(a)
		h.until(ref, "with another pod", func(r *store.Runner) bool { u := pod(); return u != "" && u != before && r.Health == store.Healthy })
	}
	a := action(store.VerbProbe, ref)
	h.five(a)
	if err := do(h, store.VerbAcknowledge, ref); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("being on the failure of a runner that is well: %v", err)
	}
	must(t, do(h, store.VerbDisable, ref))
	h.until(ref, "disabled", disabled)
	rig.Eventually(t, 5*time.Second, "an Event tells of it", func() error {
		list, err := cluster.Client.CoreV1().Events(f.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=DisabledByTrackside"})
		if err == nil && !slices.ContainsFunc(list.Items, func(e corev1.Event) bool {
			return e.InvolvedObject.Name == "parts-agent" && e.Message == "parts disabled by ada: broken disk"
		}) {
			err = errors.New("none does")
		}
		return err
	})
	must(t, do(h, store.VerbAcknowledge, ref)) // one that is out of service is not well either
	rig.Eventually(t, 5*time.Second, "who is on it is shown", func() error {
		if a, ok := h.live.Current().Acknowledged(ref); !ok || a.By != "ada" {
			return errors.New("nobody is")
		}
		return nil
	})
	must(t, do(h, store.VerbEnable, ref))
	h.until(ref, "healthy again", func(r *store.Runner) bool { return r != nil && r.Health == store.Healthy })
	rig.Eventually(t, 5*time.Second, "that has ended", func() error {
		kept, err := h.db.Acknowledgements(t.Context())
		if _, ok := h.live.Current().Acknowledged(ref); ok || len(kept) > 0 {
			err = errors.Join(err, errors.New("it has not"))
		}
		return err
	})
}
