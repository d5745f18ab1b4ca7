package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/e2e/rig"
)

// The program itself, killed with SIGKILL while a mark holds: started again, it brings the runner back at the mark's time. It finishes what
// another began, and one that is read only touches nothing.
func TestActProgramTendsMarks(t *testing.T) {
	f := newRunner(t, cluster, "", "tended", "30s")
	readOnly := rig.StartBoard(t, cluster.Kubeconfig, "--namespace", f.ns, "--read-only")
	f.mark(t, map[string]any{"by": "ada", "at": time.Now(), "until": time.Now().Add(-time.Second), "restore": map[string]any{"/spec/replicas": 1}}, 0)
	row := openLive(t, readOnly, "/").Locator("#rows [data-row]")
	has(t, row, "tended", soon)
	has(t, row, "disabled", soon)
	if n, marked := f.replicas(t); n != 0 || !marked {
		t.Errorf("a board that is read only has made it %d replicas, marked %t", n, marked)
	}
	readOnly.Kill()

	until := time.Now().Add(6 * time.Second)
	f.mark(t, map[string]any{"by": "ada", "at": time.Now(), "note": "broken disk", "until": until, "restore": map[string]any{"/spec/replicas": 2}}, 0)
	b := rig.StartBoard(t, cluster.Kubeconfig, "--namespace", f.ns)
	b.Kill()
	if n, _ := f.replicas(t); n != 0 {
		t.Errorf("%d replicas before its time", n)
	}
	b.Start(t)
	f.becomes(t, 2, false)
	if time.Now().Before(until) {
		t.Error("it came back before its time")
	}
	f.mark(t, map[string]any{"by": "bob", "at": time.Now(), "phase": "disabling"}, 2)
	f.becomes(t, 0, true)
	f.mark(t, map[string]any{"by": "bob", "at": time.Now(), "phase": "enabling", "restore": map[string]any{"/spec/replicas": 1}}, 0)
	f.becomes(t, 1, false)
}

// mark writes a mark and replicas, as another board would.
func (f fixture) mark(t *testing.T, m map[string]any, replicas int) {
	t.Helper()
	text, err := json.Marshal(m)
	must(t, err)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{"trackside.dev/disabled": string(text)}}, "spec": map[string]any{"replicas": replicas}})
	must(t, err)
	_, err = f.cluster.Client.AppsV1().Deployments(f.ns).Patch(t.Context(), f.name+"-agent", types.MergePatchType, patch, metav1.PatchOptions{})
	must(t, err)
}

func (f fixture) replicas(t *testing.T) (n int32, marked bool) {
	t.Helper()
	d, err := f.cluster.Client.AppsV1().Deployments(f.ns).Get(t.Context(), f.name+"-agent", metav1.GetOptions{})
	must(t, err)
	return *d.Spec.Replicas, d.Annotations["trackside.dev/disabled"] != ""
}

func (f fixture) becomes(t *testing.T, replicas int32, marked bool) {
	t.Helper()
	rig.Eventually(t, 20*time.Second, fmt.Sprintf("%d replicas, marked %t", replicas, marked), func() error {
		if n, m := f.replicas(t); n != replicas || m != marked {
			return errors.New(fmt.Sprint(n, " replicas, marked ", m))
		}
		return nil
	})
}
