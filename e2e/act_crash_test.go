package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/e2e/rig"
	"trackside/poller/kube"
	"trackside/store"
)

// gate lets a number of changes through to the API server, and then none: as far as the cluster and the data file can tell, the board was
// killed at that moment.
type gate struct {
	http.RoundTripper
	left *atomic.Int64
	shut chan struct{}
	once *sync.Once
}

func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	acts := (r.Method == http.MethodPatch || r.Method == http.MethodDelete) && !strings.Contains(r.URL.Path, "selfsubject")
	if acts && g.left.Add(-1) < 0 {
		g.once.Do(func() { close(g.shut) })
		<-r.Context().Done()
		return nil, errors.New("killed")
	}
	return g.RoundTripper.RoundTrip(r)
}

// cut is a board that is as good as killed after so many changes.
func cut(changes int64) (actingAs, <-chan struct{}) {
	g := gate{left: &atomic.Int64{}, shut: make(chan struct{}), once: &sync.Once{}}
	g.left.Store(changes)
	return func(cfg *kube.Config) {
		cfg.REST.WrapTransport = func(rt http.RoundTripper) http.RoundTripper { g.RoundTripper = rt; return g }
	}, g.shut
}

// Killed before, and after each of the changes of an action: the next board finishes what was asked for, and the audit has its end.
func TestActSurvivesAKill(t *testing.T) {
	c := ownCluster(t, "--fleet")
	ref := store.Ref{Cluster: "k", System: "kubiya", Namespace: "kubiya-eu", Name: "runner-eu"}
	start := newHands(t, c, t.TempDir())
	start.until(ref, "seen", enabled)
	before := start.fields(ref.Namespace)
	start.stop()
	for _, verb := range []store.Verb{store.VerbDisable, store.VerbEnable} {
		for _, changes := range []int64{0, 1, 3, 7} {
			a := action(verb, ref)
			dir := t.TempDir()
			kill, dead := cut(changes)
			h := newHands(t, c, dir, kill)
			h.until(ref, "seen", func(r *store.Runner) bool { return r != nil })
			gone := make(chan struct{})
			go func() { defer close(gone); _, _ = h.desk.Do(background(), a) }()
			select {
			case <-dead:
			case <-gone:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s is not cut after %d changes", verb, changes)
			}
			h.stop()
			next := newHands(t, c, dir)
			must(t, next.desk.Resume(t.Context()))
			if verb == store.VerbDisable {
				next.until(ref, "disabled", disabled)
			} else {
				next.until(ref, "enabled", enabled)
			}
			rig.Eventually(t, 10*time.Second, "the audit has an end", func() error {
				entries, err := next.db.Entries(t.Context(), store.EntryFilter{Verb: string(verb), By: "ada"}, 10)
				if err == nil && (len(entries) != 1 || entries[0].Result != store.ResultDone) {
					err = fmt.Errorf("it holds %+v", entries)
				}
				return err
			})
			if out, err := next.desk.Do(t.Context(), a); err != nil || !out.Repeated {
				t.Errorf("asked again after the kill: repeated %t, %v", out.Repeated, err)
			}
			if verb == store.VerbDisable && changes != 7 { // from the start again, but for the last, which is to be enabled
				must(t, do(next, store.VerbEnable, ref))
				next.until(ref, "enabled", enabled)
			}
			if verb == store.VerbEnable {
				if after := next.fields(ref.Namespace); after != before {
					t.Errorf("killed after %d changes, and enabled, it is\n%s\nand was\n%s", changes, after, before)
				}
				if changes != 7 {
					must(t, do(next, store.VerbDisable, ref))
					next.until(ref, "disabled", disabled)
				}
			}
			next.stop()
		}
	}
}

// Killed before, and after each of some changes of a deletion: the next board deletes what is left, the Services and what else nothing tells to be
// the runner's any more included.
func TestActDeleteSurvivesAKill(t *testing.T) {
	c := ownCluster(t, "--fleet")
	for _, x := range []struct {
		ref     store.Ref
		changes int64
	}{
		{store.Ref{Cluster: "k", System: "agyn", Namespace: "platform-2", Name: "k8s-runner"}, 0},
		{store.Ref{Cluster: "k", System: "kubiya", Namespace: "kubiya-ap", Name: "runner-ap"}, 1},
		{store.Ref{Cluster: "k", System: "kubiya", Namespace: "kubiya-us", Name: "runner-us"}, 3},
		{store.Ref{Cluster: "k", System: "kubiya", Namespace: "kubiya-eu", Name: "runner-eu"}, 5},
	} {
		a, dir := action(store.VerbDelete, x.ref), t.TempDir()
		kill, dead := cut(x.changes)
		h := newHands(t, c, dir, kill)
		h.until(x.ref, "seen", func(r *store.Runner) bool { return r != nil })
		plan, err := h.desk.Plan(t.Context(), a)
		must(t, err)
		go func() { _, _ = h.desk.Do(background(), a) }()
		select {
		case <-dead:
		case <-time.After(20 * time.Second):
			t.Fatalf("the deletion of %s is not cut after %d changes", x.ref, x.changes)
		}
		h.stop()
		next := newHands(t, c, dir)
		must(t, next.desk.Resume(t.Context()))
		next.gone(plan.Goes)
		next.until(x.ref, "gone", func(r *store.Runner) bool { return r == nil })
		entries, err := next.db.Entries(t.Context(), store.EntryFilter{Verb: "delete", By: "ada"}, 10)
		must(t, err)
		if len(entries) != 1 || entries[0].Result != store.ResultDone {
			t.Errorf("killed after %d changes of %s, the audit holds %+v", x.changes, x.ref, entries)
		}
		if out, err := next.desk.Do(t.Context(), a); err != nil || !out.Repeated {
			t.Errorf("asked again after the kill: repeated %t, %v", out.Repeated, err)
		}
		next.stop()
	}
}

func do(h *hands, verb store.Verb, ref store.Ref) error {
	_, err := h.desk.Do(h.t.Context(), action(verb, ref))
	return err
}

// A board that was killed in the middle, and lost its data file too: another board finishes by the marks alone.
func TestActHalfDoneIsFinishedByAnotherBoard(t *testing.T) {
	c := ownCluster(t, "--fleet")
	ref := store.Ref{Cluster: "k", System: "kubiya", Namespace: "kubiya-us", Name: "runner-us"}
	kill, dead := cut(2)
	h := newHands(t, c, t.TempDir(), kill)
	h.until(ref, "seen", enabled)
	go func() { _, _ = h.desk.Do(background(), action(store.VerbDisable, ref)) }()
	<-dead
	h.stop()
	other := newHands(t, c, t.TempDir())
	other.until(ref, "disabled", disabled)
	other.expire(ref.Namespace)
	third := newHands(t, c, t.TempDir()) // two boards see the end at once
	third.until(ref, "enabled by itself", enabled)
	other.until(ref, "enabled by itself", enabled)
	var told int
	for _, b := range []*hands{other, third} {
		entries, err := b.db.Entries(t.Context(), store.EntryFilter{Verb: "enable", By: "trackside"}, 10)
		must(t, err)
		told += len(entries)
	}
	if told == 0 {
		t.Error("no audit tells that its time was over")
	}
}

// Two operators at once: one is told who was first. A person with kubectl is respected.
func TestActTwoOperators(t *testing.T) {
	h := newHands(t, cluster, t.TempDir())
	other := newHands(t, cluster, t.TempDir()) // a board of its own
	f := newRunner(t, cluster, "", "wanted", "30s")
	ref := store.Ref{Cluster: "k", System: "labelled", Namespace: f.ns, Name: "wanted"}
	h.until(ref, "seen", enabled)
	other.until(ref, "seen", enabled)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, b := range []*hands{h, other} {
		wg.Go(func() {
			a := action(store.VerbDisable, ref)
			a.By.Name = []string{"ada", "bob"}[i]
			_, errs[i] = b.desk.Do(background(), a)
		})
	}
	wg.Wait()
	refused := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, store.ErrConflict) })
	if refused < 0 || errs[1-refused] != nil || !strings.Contains(errs[refused].Error(), "was disabled by") {
		t.Fatalf("%v", errs)
	}
	h.until(ref, "disabled", disabled)
	// Somebody scales it back by hand: the mark goes, and the replicas stay as they want them.
	_, err := cluster.Client.AppsV1().Deployments(f.ns).Patch(t.Context(), "wanted-agent", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{})
	must(t, err)
	h.until(ref, "back by hand", enabled)
	d, err := cluster.Client.AppsV1().Deployments(f.ns).Get(t.Context(), "wanted-agent", metav1.GetOptions{})
	must(t, err)
	if *d.Spec.Replicas != 2 || d.Annotations["trackside.dev/disabled"] != "" {
		t.Errorf("%d replicas, mark %q", *d.Spec.Replicas, d.Annotations["trackside.dev/disabled"])
	}
}
