package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
)

// archive is a Failures that remembers what it is given, until it fails.
type archive struct {
	mu   sync.Mutex
	list []store.Evidence
	err  error
}

func (a *archive) add(e ...store.Evidence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(e, a.list...)
}

func (a *archive) Failures(_ context.Context, f store.FailureFilter, limit int) (out []store.Evidence, more bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.list {
		if f.MatchRef(e.Ref) && f.MatchReason(e.Verdict.Reason) && !e.At.Before(f.Since) {
			e.Proof = store.Proof{} // as sqlite has it: a list comes without
			out = append(out, e)
		}
	}
	return out[:min(len(out), limit)], len(out) > limit, a.err
}

func (a *archive) Evidence(_ context.Context, id string) (store.Evidence, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.list {
		if e.ID == id {
			return e, a.err
		}
	}
	return store.Evidence{}, fmt.Errorf("%w: there is no evidence of a failure %q", store.ErrNotFound, id)
}

func (a *archive) EvidenceOf(ctx context.Context, ref store.Ref, _ time.Time, limit int) ([]store.Evidence, error) {
	out, _, err := a.Failures(ctx, store.FailureFilter{Clusters: []string{ref.Cluster}, Systems: []string{ref.System}, Namespaces: []string{ref.Namespace}}, limit)
	return out, err
}

func (a *archive) Uptime(context.Context, store.Ref, time.Time, time.Time) (map[string][]store.Account, error) {
	x := store.Account{Start: time.Now().UTC().Truncate(time.Hour), Hours: 1, Failures: 3}
	x.In[store.Healthy] = time.Minute
	return map[string][]store.Account{"": {x}}, a.err
}

// failureSite serves the pages of failures.
func failureSite(t *testing.T, w *world, a Failures) string {
	t.Helper()
	h := New(Options{Live: w.live, Failures: a, Systems: []string{"kubiya", "agyn", "labelled"}, Log: slog.New(slog.DiscardHandler)})
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status := 500
		if errors.Is(err, store.ErrInvalid) {
			status = 400
		} else if errors.Is(err, store.ErrNotFound) || errors.Is(err, echo.ErrNotFound) {
			status = 404
		}
		_ = c.String(status, err.Error())
	}
	for path, f := range map[string]echo.HandlerFunc{"/failures": h.FailureList, "/failures/stream": h.FailureListStream, "/failures/:id": h.Failure,
		"/failures/:id/stream": h.FailureStream, "/runners/:cluster/:system/:namespace/:name": h.Runner} {
		e.Match([]string{"GET", "HEAD"}, path, f)
	}
	srv := httptest.NewServer(e)
	t.Cleanup(func() { h.Close(); srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

func failureOf(r *store.Runner) store.Evidence {
	e := r.EvidenceOfComponent(&r.Components[0])
	e.At = time.Now().Add(-time.Minute)
	e.Proof.Phase = "Pending"
	e.Identify()
	return e
}

func TestFailurePages(t *testing.T) {
	w := newWorld(20)
	e := failureOf(w.runner(4, store.Unhealthy))
	a := &archive{}
	a.add(e)
	url := failureSite(t, w, a)
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/failures", 200, "/failures/" + e.ID},
		{"/failures?reason=image_pull_failed&since=7d&namespace=team-04", 200, "/failures/" + e.ID},
		{"/failures?reason=crashloop", 200, "Nothing failed."},
		{"/failures?namespace=nobody", 200, "Nothing failed."},
		{"/failures?reason=bad", 400, "image_pull_failed"},
		{"/failures?since=2d", 400, "1h, 24h, 7d, 30d"},
		{"/failures?system=other", 400, "kubiya, agyn, labelled"},
		{"/failures?namespace=%zz", 400, "cannot be read"},
		{"/failures/stream?reason=bad", 400, "image_pull_failed"},
		{"/failures/" + e.ID, 200, "Pending"},
		{"/failures/none", 404, "no evidence of a failure"},
		{"/failures/none/stream", 404, "no evidence of a failure"},
		{e.Ref.Path(), 200, "Last 7 days: healthy 1 min."},
	} {
		if status, body, _ := get(t, url+c.path); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d, %q is missing in %.300s", c.path, status, c.want, body)
		}
	}
}

// What has failed for days is on the page of the last day with its permalink, and with what its proof says; when it is well it is not.
func TestWhatHasFailedForDaysHasItsPermalink(t *testing.T) {
	w := newWorld(20)
	bad := w.runner(4, store.Unhealthy)
	w.apply(store.Touched{Runners: []*store.Runner{bad}})
	e := failureOf(bad)
	e.At, e.Verdict.Message, e.Proof.PullSecrets = time.Now().Add(-72*time.Hour), "401 Unauthorized", []string{"regcred"}
	e.Identify()
	a := &archive{}
	a.add(e)
	url := failureSite(t, w, a)
	if _, body, _ := get(t, url+"/failures"); !strings.Contains(body, "/failures/"+e.ID) || !strings.Contains(body, "<code>regcred</code>") {
		t.Errorf("%.3000s", body)
	}
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(4, store.Healthy)}})
	if _, body, _ := get(t, url+"/failures"); strings.Contains(body, "/failures/"+e.ID) {
		t.Error("what is over is of another day")
	}
}

func TestFailuresWithoutADisk(t *testing.T) {
	w := newWorld(3)
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(1, store.Unhealthy)}})
	broken := &archive{err: errors.New("disk full")}
	for name, a := range map[string]Failures{"broken": broken, "none": nil} {
		url := failureSite(t, w, a)
		status, body, _ := get(t, url+"/failures")
		if status != 200 || !strings.Contains(body, "runner-0001") || (name == "broken") != strings.Contains(body, "cannot be read just now") {
			t.Errorf("%s: %d %.2000s", name, status, body)
		}
		status, body, _ = get(t, url+w.runner(1, store.Healthy).Ref.Path())
		if status != 200 || (name == "broken") != strings.Contains(body, "the evidence of its failures cannot be read just now") {
			t.Errorf("%s: the runner's page is %d: %.2000s", name, status, body)
		}
	}
	if status, _, _ := get(t, failureSite(t, w, nil)+"/failures/1"); status != 404 {
		t.Errorf("a failure without an archive is %d", status)
	}
}

func TestTheFailuresFollow(t *testing.T) {
	w := newWorld(20)
	a := &archive{}
	url := failureSite(t, w, a)
	list, _ := open(t, "GET", url+"/failures/stream")
	until(t, list, "Nothing failed.")
	bad := w.runner(4, store.Unhealthy)
	e := failureOf(bad)
	a.add(e)
	w.apply(store.Touched{Runners: []*store.Runner{bad}, Evidence: []store.Evidence{e}})
	until(t, list, "1 fails now.")

	one, _ := open(t, "GET", url+"/failures/"+e.ID+"/stream")
	until(t, one, "Pending")
	late := e
	late.Logs = []store.Log{{Container: "agent-manager", Text: "the last words"}}
	a.mu.Lock()
	a.list[0] = late
	a.mu.Unlock()
	w.apply(store.Touched{Evidence: []store.Evidence{late}})
	until(t, one, "the last words")
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(4, store.Healthy)}})
	until(t, one, "It is over")
	until(t, list, "Nothing fails now; 1 failure was seen.")

	// A change that fails nothing sends no list.
	w.apply(store.Touched{Runners: []*store.Runner{w.runner(7, store.Degraded)}})
	for {
		ev, err := list.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				t.Fatal("the stream ended")
			}
			t.Fatal(err)
		}
		if strings.Contains(ev.Args["elements"], `id="page"`) {
			t.Error("the whole page was sent for nothing")
		}
		if strings.Contains(ev.Args["elements"], `id="n-degraded"`) {
			return
		}
	}
}
