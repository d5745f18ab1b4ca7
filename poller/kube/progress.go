package kube

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"

	"trackside/store"
)

// A watch can stand still behind an API server that answers: a proxy that holds one stream back, a connection half dead. Bookmarks
// do not tell, because a resource to which nothing has happened since the API server started gets none. So a second watch is
// opened, now and then, where ours stands: it must have nothing to say that ours does not know moments later.
const (
	progressInterval = 5 * time.Second
	// progressListen is for how long the second watch listens; the API server answers with what is newer at once.
	progressListen = time.Second
	// progressGrace is how much later than the second watch ours may be.
	progressGrace = 2 * time.Second
	// progressLimit bounds the second watches at a time.
	progressLimit = 16
)

// progress checks the watches of a cluster.
type progress struct {
	// newer reports whether the API server has something of that resource that is newer than a resourceVersion.
	newer func(ctx context.Context, w *watched, resourceVersion string) bool
}

// watchProgress checks every watch every few seconds, for as long as the context lives. When one stands still the whole set is
// replaced, as after an outage.
func (c *Cluster) watchProgress(ctx context.Context, rebuild chan<- struct{}) {
	for sleep(ctx, progressInterval) {
		s := c.current()
		if s == nil {
			continue
		}
		start := time.Now()
		w := c.stalled(ctx, s)
		if w == nil || c.current() != s || ctx.Err() != nil {
			continue
		}
		c.standsStill(w, start.Add(-progressInterval))
		c.install(nil)
		select {
		case rebuild <- struct{}{}:
		default:
		}
	}
}

// sleep waits; it returns false when the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// current is the set that is observed, nil while there is none.
func (c *Cluster) current() *set {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.set
}

// stalled returns a watch that stands still; nil when none does.
func (c *Cluster) stalled(ctx context.Context, s *set) *watched {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		still *watched
	)
	slots := make(chan struct{}, progressLimit)
	for _, w := range s.watched {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if c.standing(ctx, w) {
				mu.Lock()
				defer mu.Unlock()
				still = w
			}
		})
	}
	wg.Wait()
	return still
}

// standing reports whether a watch stays where it is although there is something newer.
func (c *Cluster) standing(ctx context.Context, w *watched) bool {
	rv := w.LastSyncResourceVersion()
	if rv == "" || !w.HasSynced() || w.isRefused() || !c.progress.newer(ctx, w, rv) {
		return false
	}
	end := time.Now().Add(progressGrace)
	for w.LastSyncResourceVersion() == rv {
		if time.Now().After(end) {
			return true
		}
		if !sleep(ctx, progressGrace/20) {
			return false
		}
	}
	return false
}

// isRefused reports whether the API server does not let us watch.
func (w *watched) isRefused() bool {
	select {
	case <-w.refused:
		return true
	default:
		return false
	}
}

// standsStill makes the source stale; since is when the watch was last known to be in step.
func (c *Cluster) standsStill(w *watched, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.source.Problem = "The watch of " + w.name + " stands still although the API server answers; it is being opened anew."
	c.cfg.Log.Warn("watch stands still", "cluster", c.cfg.Alias, "resource", w.name, "namespace", w.namespace)
	if c.source.State != store.SourceStale {
		c.source.State, c.source.Since = store.SourceStale, since
	}
	c.changed()
}

// listenFrom opens a watch of metadata. What goes wrong with it says nothing about ours: an expired resourceVersion (410) only means
// that too much has happened since to be told.
func listenFrom(client metadata.Interface) func(context.Context, *watched, string) bool {
	return func(ctx context.Context, w *watched, resourceVersion string) bool {
		ctx, cancel := context.WithTimeout(ctx, progressListen)
		defer cancel()
		seconds := int64(progressListen / time.Second)
		opts := metav1.ListOptions{ResourceVersion: resourceVersion, TimeoutSeconds: &seconds}
		if w.tweak != nil {
			w.tweak(&opts)
		}
		stream, err := client.Resource(schema.GroupVersionResource{Group: w.group, Version: firstOf(w.version, "v1"), Resource: w.name}).Namespace(w.namespace).Watch(ctx, opts)
		if err != nil {
			return false
		}
		defer stream.Stop()
		select {
		case <-ctx.Done():
			return false
		case e, ok := <-stream.ResultChan():
			return ok && (e.Type == watch.Added || e.Type == watch.Modified || e.Type == watch.Deleted)
		}
	}
}
