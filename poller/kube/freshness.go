package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"trackside/store"
)

// The probe of the API server. A quiet watch proves nothing, so freshness rests on these answers: one that does not come within
// the timeout makes the cluster stale, at most interval + timeout after it last answered.
const (
	probeInterval = 2 * time.Second
	probeTimeout  = 1500 * time.Millisecond
	// retryInterval is the pace while the API server does not answer.
	retryInterval = 500 * time.Millisecond
)

type freshness struct {
	interval, timeout time.Duration
	ask               func(context.Context) error // whether the API server is there
}

// watchFreshness asks the API server whether it is there, for as long as the context lives. When it comes back, the set of informers
// is replaced at once: their own back-off would wait up to half a minute, and a watch that hung may never say so.
func (c *Cluster) watchFreshness(ctx context.Context, rebuild chan<- struct{}) {
	live := true // nothing has failed yet
	for ctx.Err() == nil {
		err := c.fresh.ask(ctx)
		pause := c.fresh.interval
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			live = false
			pause = retryInterval
			c.goStale(err)
		default:
			if !live {
				c.install(nil) // what it holds is from before: the next one makes the cluster live again
				select {
				case rebuild <- struct{}{}:
				default:
				}
			}
			c.heard()
			live = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// askReady asks /readyz, which any authenticated client may read and which fails with etcd.
func (c *Cluster) askReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.fresh.timeout)
	defer cancel()
	return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

func (c *Cluster) goStale(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	problem := apiProblem(err)
	if c.source.State == store.SourceStale && c.source.Problem == problem {
		return
	}
	if c.source.State != store.SourceStale {
		c.cfg.Log.Warn("cluster is stale", "cluster", c.cfg.Alias, "error", store.ErrorText(err))
		c.source.Since = time.Now()
		if !c.source.Heard.IsZero() {
			c.source.Since = c.source.Heard
		}
	}
	c.answers = false
	c.source.State, c.source.Problem = store.SourceStale, problem
	c.changed()
}

// heard notes an answer.
func (c *Cluster) heard() {
	now := time.Now()
	c.cfg.Heard(c.cfg.Alias, now)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers, c.source.Heard = true, now
	c.goLive()
	c.lift()
}

// goLive makes the source live once the API server answers and the set is complete: until then the board shows what it knew
// before. c.mu is held.
func (c *Cluster) goLive() {
	if c.source.State == store.SourceLive || c.set == nil || !c.answers {
		return
	}
	c.cfg.Log.Info("cluster is live", "cluster", c.cfg.Alias, "was", string(c.source.State))
	c.source.State, c.source.Problem, c.source.Since = store.SourceLive, "", time.Now()
	c.changed()
}

// changed publishes the source's state; c.mu is held.
func (c *Cluster) changed() {
	c.dirty = true
	c.signal()
}

// apiProblem says in a sentence why the API server does not answer, and what to do.
func apiProblem(err error) string {
	var u *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err):
		return fmt.Sprintf("The API server does not answer within %s.", elapsed(probeTimeout))
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The API server refuses connections: it is down, or the address in the kubeconfig is wrong."
	case apierrors.IsUnauthorized(err):
		return "The API server refuses our credentials (401): renew the token or the client certificate."
	case apierrors.IsForbidden(err):
		return "The API server does not let us ask /readyz (403): grant the ClusterRole system:public-info-viewer."
	case errors.As(err, &u):
		return "The API server cannot be reached: " + store.Clean(u.Err.Error(), 200) + "."
	}
	return "The API server is not ready: " + store.Clean(store.ErrorText(err), 200) + "."
}

// noteFailed hears of every list and watch that fails. A refusal is shown; anything else is the API server's, which its own probe tells.
func (c *Cluster) noteFailed(w *watched, err error) {
	if !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
		c.cfg.Log.Debug("watch failed", "cluster", c.cfg.Alias, "resource", w.name, "namespace", w.namespace, "error", store.ErrorText(err))
		return
	}
	if w.custom != nil && apierrors.IsNotFound(err) {
		w.refuse() // its CRD was removed: what is served is looked at again
		select {
		case w.missing <- struct{}{}:
		default:
		}
		return
	}
	c.limit(w.key(), refusal(w, err), w.HasSynced() || strings.Contains(err.Error(), "cannot watch"))
	w.refuse()
}

// noteProbeDenied hears that probes may not pass through the API server.
func (c *Cluster) noteProbeDenied(namespace string) {
	c.limit("probe/"+namespace, "Cannot get pods/proxy in namespace "+namespace+": forbidden. Health probes are off there; grant the verb get on pods/proxy.", false)
}

// limit is something that the cluster does not let us see.
type limit struct {
	sentence string
	// lift is when it may be withdrawn although its informer had synced before; the informer tries again at least once until then.
	lift time.Time
}

// refusalLasts is longer than the longest back-off of an informer: one that is not refused for that long is not refused any more.
const refusalLasts = 2 * time.Minute

// limit shows what the cluster does not let us see; it is logged once. known says that the informer's cache is full from before.
func (c *Cluster) limit(key, sentence string, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := limit{sentence: sentence}
	if known {
		l.lift = time.Now().Add(refusalLasts)
	}
	said := c.limits[key].sentence == sentence
	c.limits[key] = l
	if !said {
		c.cfg.Log.Warn("cluster refuses", "cluster", c.cfg.Alias, "what", sentence)
		c.sayLimits()
	}
}

// sayLimits publishes the limits; c.mu is held.
func (c *Cluster) sayLimits() {
	sentences := make([]string, 0, len(c.limits))
	for _, l := range c.limits {
		sentences = append(sentences, l.sentence)
	}
	slices.Sort(sentences)
	c.source.Limits = sentences
	c.changed()
}

// refusal names the verb, the resource and the namespace.
func refusal(w *watched, err error) string {
	verb := "list"
	if strings.Contains(err.Error(), "cannot watch") {
		verb = "watch"
	}
	where := "in all namespaces"
	switch {
	case w.cluster:
		where = "in the cluster"
	case w.namespace != "":
		where = "in namespace " + w.namespace
	}
	resource := w.name
	if w.group != "" {
		resource += "." + w.group
	}
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("Cannot %s %s %s: the API server does not know the resource.", verb, resource, where)
	}
	return fmt.Sprintf("Cannot %s %s %s: forbidden. Grant the verbs list and watch on %s.", verb, resource, where, resource)
}

// lift withdraws a refusal once its informer has synced after all; c.mu is held.
func (c *Cluster) lift() {
	if c.set == nil || len(c.limits) == 0 {
		return
	}
	before, now := len(c.limits), time.Now()
	for _, w := range c.set.watched {
		if l := c.limits[w.key()]; w.HasSynced() && !now.Before(l.lift) {
			delete(c.limits, w.key())
		}
	}
	if len(c.limits) != before {
		c.full = true
		c.sayLimits()
	}
}
