package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"trackside/handlers"
	"trackside/store"
)

// refusing answers as a desk does: what was refused once for a key is refused for it ever after.
type refusing struct {
	fakeActions
	left int
	book map[string]error
}

func (r *refusing) Do(ctx context.Context, a store.Action) (store.Outcome, error) {
	if err, ok := r.book[a.Key]; ok && err != nil {
		return store.Outcome{ID: 1, Repeated: true}, err
	}
	if r.left--; r.left >= 0 {
		r.book[a.Key] = fmt.Errorf("%w: the board may not delete deployments", store.ErrForbidden)
		return store.Outcome{ID: 1}, r.book[a.Key]
	}
	return r.fakeActions.Do(ctx, a)
}

// Kubiya's clients send no key, so a DELETE that was refused must not be refused for good.
func TestKubiyaClientMayDeleteAgainWhatWasRefused(t *testing.T) {
	desk := &refusing{left: 2, book: map[string]error{}}
	w := newWorld(t, assorted()).serve(func(o *Options) { o.Actions = desk })
	for n, want := range []int{403, 403, 0} {
		if err := w.client().Delete(t.Context(), "eu/kubiya/runners-us/alpha"); status(err) != want || want == 0 && err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	if len(desk.done) != 1 {
		t.Errorf("done %d times", len(desk.done))
	}
}

// A runner that nobody can tell from the one before it is deleted each time.
func TestKubiyaClientDeletesWhatWasMadeAnew(t *testing.T) {
	w := newWorld(t, []*store.Runner{made("eu", "kubiya", "runners-eu", "alpha", store.Healthy, func(r *store.Runner) { r.Incarnation = "" })}).serve()
	for range 2 {
		if err := w.client().Delete(t.Context(), "alpha"); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.acts.done) != 2 {
		t.Errorf("done %d times", len(w.acts.done))
	}
}

// A link is a secret with an entry in the audit: a look with HEAD, as monitors take, must make none.
func TestNoLinkIsMadeByHead(t *testing.T) {
	found := 0
	for _, r := range routes(&handlers.Handlers{}, nil) {
		if !strings.HasSuffix(r.Path, "/manifest") {
			continue
		}
		if found++; !slices.Equal(r.Methods, []string{http.MethodGet}) {
			t.Errorf("%s takes %v", r.Path, r.Methods)
		}
	}
	if found != 4 {
		t.Errorf("%d routes", found)
	}
	w := newWorld(t, assorted()).serve()
	if res, _ := ask(t, http.MethodHead, w.s.URL()+"/api/v3/runners/k8s-runner/manifest"); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %d", res.StatusCode)
	}
}
