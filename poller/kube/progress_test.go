package kube

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// informerAt is an informer whose resourceVersion changes at a time.
type informerAt struct {
	cache.SharedIndexInformer
	moves time.Time
}

func (i informerAt) HasSynced() bool { return true }

func (i informerAt) LastSyncResourceVersion() string {
	if time.Now().Before(i.moves) {
		return "1"
	}
	return "2"
}

func TestAWatchStandsStillWhenItDoesNotFollow(t *testing.T) {
	for _, c := range []struct {
		name  string
		newer bool
		moves time.Duration
		want  bool
	}{
		{"nothing is newer", false, time.Hour, false},
		{"it follows at once", true, progressListen, false},
		{"it follows within the grace", true, progressListen + progressGrace/2, false},
		{"it does not follow", true, time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newCluster(t, Config{})
				b.progress.newer = func(ctx context.Context, _ *watched, _ string) bool {
					sleep(ctx, progressListen)
					return c.newer
				}
				w := &watched{SharedIndexInformer: informerAt{moves: time.Now().Add(c.moves)}, refused: make(chan struct{})}
				if got := b.stalled(t.Context(), &set{watched: []*watched{w}}) == w; got != c.want {
					t.Errorf("stands still: %t, want %t", got, c.want)
				}
			})
		})
	}
}

func TestARefusedWatchDoesNotStandStill(t *testing.T) {
	b := newCluster(t, Config{})
	b.progress.newer = func(context.Context, *watched, string) bool { return true }
	w := &watched{SharedIndexInformer: informerAt{moves: time.Now().Add(time.Hour)}, refused: make(chan struct{})}
	w.refuse()
	if b.standing(t.Context(), w) {
		t.Error("a watch that may not be opened is said to stand still")
	}
}

func TestOnlyAChangeIsNewer(t *testing.T) {
	object := `"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"p","resourceVersion":"9"}}`
	for _, c := range []struct {
		name, body string
		code       int
		want       bool
	}{
		{"changed", `{"type":"MODIFIED",` + object + `}`, 200, true},
		{"gone", `{"type":"DELETED",` + object + `}`, 200, true},
		{"bookmark", `{"type":"BOOKMARK",` + object + `}`, 200, false},
		{"expired in the stream", `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired"}}`, 200, false},
		{"expired", `{"kind":"Status","apiVersion":"v1","code":410}`, 410, false},
		{"nothing", ``, 200, false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); r.URL.Path != "/apis/apps/v1/namespaces/ns/deployments" || q.Get("resourceVersion") != "5" || q.Get("timeoutSeconds") != "1" {
				t.Errorf("asked %s", r.URL)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.code)
			_, _ = w.Write([]byte(c.body))
		}))
		client, err := metadata.NewForConfig(&rest.Config{Host: srv.URL})
		if err != nil {
			t.Fatal(err)
		}
		w := &watched{resource: resource{group: "apps", name: "deployments"}, namespace: "ns"}
		if got := listenFrom(client)(t.Context(), w, "5"); got != c.want {
			t.Errorf("%s: newer %t, want %t", c.name, got, c.want)
		}
		srv.Close()
	}
}
