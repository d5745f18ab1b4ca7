package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"trackside/e2e/rig"
	"trackside/poller"
	"trackside/poller/act"
	"trackside/poller/kube"
	"trackside/store"
	"trackside/store/sqlite"
)

// hands is a board without pages, in this process: what acts, against a real API server.
type hands struct {
	t    *testing.T
	c    *rig.Cluster
	dyn  dynamic.Interface
	live *store.Live
	desk *act.Desk
	db   *sqlite.DB
	stop func()
}

// actingAs changes how a board reaches the cluster.
type actingAs func(*kube.Config)

// newHands starts one that keeps its data in a folder.
func newHands(t *testing.T, c *rig.Cluster, dir string, change ...actingAs) *hands {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "trackside.db"))
	must(t, err)
	start, err := db.Restore(t.Context())
	must(t, err)
	h := &hands{t: t, c: c, live: store.NewLive(start), db: db}
	h.dyn, err = dynamic.NewForConfig(c.Config)
	must(t, err)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := kube.Config{Alias: "k", REST: rest.CopyConfig(c.Config), Probes: kube.ProbeAPIProxy, Act: true, Log: log, Heard: h.live.Hear,
		Tended: func(ctx context.Context, e store.Entry) { _, _ = db.Enter(ctx, e) }}
	for _, f := range change {
		f(&cfg)
	}
	cluster, err := kube.New(cfg)
	must(t, err)
	acknowledged, err := poller.NewAcknowledged(t.Context(), db)
	must(t, err)
	h.desk = act.New(act.Config{Current: h.live.Current, Hands: map[string]act.Hands{"k": cluster}, Book: db, Failures: acknowledged, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = poller.New(h.live, db, log, nil, cluster, acknowledged).Run(ctx) })
	h.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); _ = db.Close() })
	t.Cleanup(h.stop)
	rig.Eventually(t, 30*time.Second, "the fleet is seen", func() error {
		for _, s := range h.live.Current().Sources {
			if s.State == store.SourceLive {
				return nil
			}
		}
		return errors.New("no source is live")
	})
	return h
}

func (h *hands) runner(ref store.Ref) *store.Runner {
	r, err := h.live.Current().Runner(ref)
	if err != nil {
		return nil
	}
	return r
}

var actions atomic.Int64

// action is one by ada, with a key of its own.
func action(verb store.Verb, ref store.Ref) store.Action {
	a := store.Action{Key: fmt.Sprintf("key-%d-%d", os.Getpid(), actions.Add(1)), Verb: verb, Ref: ref, Note: "broken disk", At: time.Now(),
		By: store.Person{Name: "ada", Role: store.Operator}}
	if verb == store.VerbDelete {
		a.Confirm = ref.Name
	}
	return a
}

// five does an action five times at once. It is done once, and every answer is that of the first.
func (h *hands) five(a store.Action) store.Outcome {
	h.t.Helper()
	var mu sync.Mutex
	var outs []store.Outcome
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			out, err := h.desk.Do(h.t.Context(), a)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				h.t.Errorf("%s of %s: %v", a.Verb, a.Ref, err)
			}
			outs = append(outs, out)
		})
	}
	wg.Wait()
	first := 0
	for _, o := range outs {
		if !o.Repeated {
			first++
		}
		if o.ID != outs[0].ID || len(o.Steps) != len(outs[0].Steps) {
			h.t.Errorf("%s of %s: the answers differ: %+v and %+v", a.Verb, a.Ref, o, outs[0])
		}
	}
	if first != 1 {
		h.t.Errorf("%s of %s was done %d times", a.Verb, a.Ref, first)
	}
	return outs[0]
}

// until waits for a runner to be as it should.
func (h *hands) until(ref store.Ref, what string, ok func(r *store.Runner) bool) {
	h.t.Helper()
	rig.Eventually(h.t, 30*time.Second, ref.String()+" is "+what, func() error {
		r := h.runner(ref)
		if ok(r) {
			return nil
		}
		if r == nil {
			return errors.New("it is not on the board")
		}
		return fmt.Errorf("asked %s, seen %s, mark %+v, %s", r.Requested, r.Observed, r.Mark, r.Why)
	})
}

func disabled(r *store.Runner) bool {
	return r != nil && r.Observed == store.Disabled && r.Requested == store.Disabled
}

func enabled(r *store.Runner) bool {
	return r != nil && r.Observed == store.Enabled && r.Requested == store.Enabled && r.Mark.IsZero()
}

var actKinds = map[string]schema.GroupVersionResource{
	"deployments":           {Group: "apps", Version: "v1", Resource: "deployments"},
	"statefulsets":          {Group: "apps", Version: "v1", Resource: "statefulsets"},
	"cronjobs":              {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"pods":                  {Version: "v1", Resource: "pods"},
	"agenticsessions":       {Group: "vteam.ambient-code", Version: "v1alpha1", Resource: "agenticsessions"},
	"projectsettings":       {Group: "vteam.ambient-code", Version: "v1alpha1", Resource: "projectsettings"},
	"autoscalingrunnersets": {Group: "actions.github.com", Version: "v1alpha1", Resource: "autoscalingrunnersets"},
}

// fields are what acting changes of the objects of a namespace, so that before and after can be compared.
func (h *hands) fields(ns string) string {
	h.t.Helper()
	var out []string
	for _, kind := range []string{"deployments", "statefulsets", "cronjobs", "agenticsessions", "projectsettings", "autoscalingrunnersets"} {
		list, err := h.dyn.Resource(actKinds[kind]).Namespace(ns).List(h.t.Context(), metav1.ListOptions{})
		must(h.t, err)
		for _, o := range list.Items {
			at := func(path ...string) any { v, _, _ := unstructured.NestedFieldNoCopy(o.Object, path...); return v }
			suspend := at("spec", "suspend")
			if suspend == nil {
				suspend = false
			}
			out = append(out, fmt.Sprint(kind, "/", o.GetName(), " replicas=", at("spec", "replicas"), " suspend=", suspend, " runners=", at("spec", "minRunners"), "..", at("spec", "maxRunners"),
				" mark=", o.GetAnnotations()["trackside.dev/disabled"] != ""))
		}
	}
	return strings.Join(out, "\n")
}

// expire rewrites the ends of all marks in a namespace to a moment from now, as a person with kubectl may.
func (h *hands) expire(ns string) {
	h.t.Helper()
	for _, gvr := range actKinds {
		list, err := h.dyn.Resource(gvr).Namespace(ns).List(h.t.Context(), metav1.ListOptions{})
		must(h.t, err)
		for _, o := range list.Items {
			var m map[string]any
			if text := o.GetAnnotations()["trackside.dev/disabled"]; text == "" || json.Unmarshal([]byte(text), &m) != nil {
				continue
			}
			m["until"] = time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339Nano)
			text, _ := json.Marshal(m)
			patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{"trackside.dev/disabled": string(text)}}})
			_, err := h.dyn.Resource(gvr).Namespace(ns).Patch(h.t.Context(), o.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
			must(h.t, err)
		}
	}
}

// endWork ends the work of a runner, as its system does: pods succeed, sessions that are told to stop have stopped.
func (h *hands) endWork(ref store.Ref) {
	h.t.Helper()
	r := h.runner(ref)
	for _, w := range r.Workloads {
		if w.Component != "" {
			continue
		}
		zero := int64(0)
		_ = h.c.Client.CoreV1().Pods(w.Namespace).Delete(h.t.Context(), w.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
	}
}

// operator plays ambient's operator in a namespace until the test ends: a session that is to be stopped is, and loses its pod; one that is
// to run runs.
func (h *hands) operator(ctx context.Context, ns string) {
	sessions := h.dyn.Resource(actKinds["agenticsessions"]).Namespace(ns)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		list, err := sessions.List(ctx, metav1.ListOptions{})
		if err != nil {
			continue
		}
		for _, o := range list.Items {
			phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
			want := o.GetAnnotations()["ambient-code.io/desired-phase"]
			if phase == "Completed" || want == "" || phase == want {
				continue
			}
			patch := fmt.Sprintf(`{"status":{"phase":%q}}`, want)
			_, _ = sessions.Patch(ctx, o.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
			if want == "Stopped" {
				zero := int64(0)
				_ = h.c.Client.CoreV1().Pods(ns).Delete(ctx, o.GetName()+"-runner", metav1.DeleteOptions{GracePeriodSeconds: &zero})
			}
		}
	}
}
