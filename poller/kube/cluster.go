// Package kube is everything that speaks to Kubernetes: informers, discovery of runners, probes, and the classification of what
// they show. One Cluster is one source of the poller.
package kube

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"trackside/store"
	"trackside/systems"
)

// SourceName is the name of the source that a cluster's API server is.
const SourceName = "Kubernetes API"

// Config says which cluster to watch and how.
type Config struct {
	// Alias names the cluster on the board; Context is the kubeconfig context for kubectl lines, blank inside a cluster.
	Alias, Context string
	REST           *rest.Config
	// Namespaces scopes what is watched; empty means all.
	Namespaces []string
	// Probes says how HTTP probes reach pods.
	Probes ProbeVia
	// CaptureLogs keeps the ends of failed containers' logs, masked, with the evidence: see LogRules.
	CaptureLogs bool
	// ProbeLimit bounds the probes under way; 0 means DefaultProbeLimit.
	ProbeLimit int
	Log        *slog.Logger
	// Act has marks tended: what was disabled comes back at its time, and what was begun is finished. Impersonate has actions done in the
	// name of whoever asks for them.
	Act, Impersonate bool
	// Tended is told of what was done without anybody asking for it; it may be nil.
	Tended func(context.Context, store.Entry)
	// Heard is told each time the API server answers; Live.Hear is one.
	Heard func(cluster string, t time.Time)
}

// Cluster watches one cluster.
type Cluster struct {
	cfg    Config
	client kubernetes.Interface
	prober *prober
	wake   chan struct{}
	fresh  freshness
	// progress finds watches that stand still.
	progress progress
	dynamic  dynamic.Interface
	// served lists the resources that the API server serves of a group and version.
	served func(ctx context.Context, groupVersion string) ([]string, error)
	logs   logs
	// rest is how the API server is reached; turns keeps two actions on one runner apart.
	rest   *rest.Config
	acting sync.Mutex
	turns  map[store.Ref]chan struct{}
	tends  tends

	mu      sync.Mutex
	set     *set // nil until the first set is complete
	touched map[store.Ref]struct{}
	full    bool // the next observation is of everything
	lost    map[string]lostPod
	words   map[store.Ref]map[types.UID]*corev1.Pod // of pods in trouble since the last observation
	arrived []store.Evidence                        // logs that are to be published
	source  store.Source
	dirty   bool            // source has changed
	answers bool            // the API server answered when it was last asked
	found   []systems.Watch // what the latest set watches for systems; only generation touches it
	limits  map[string]limit
}

// lostPod is work that vanished while it ran, without anybody having deleted it.
type lostPod struct {
	pod *corev1.Pod
	at  time.Time
}

// New prepares a cluster; nothing is contacted before Run.
func New(cfg Config) (*Cluster, error) {
	tuned := rest.CopyConfig(cfg.REST)
	tuned.ContentType = "application/vnd.kubernetes.protobuf"
	tuned.AcceptContentTypes = tuned.ContentType + ",application/json"
	tuned.QPS, tuned.Burst = 50, 100
	client, err := kubernetes.NewForConfig(tuned)
	if err != nil {
		return nil, fmt.Errorf("%w: cluster %s: %s", store.ErrInvalid, cfg.Alias, store.ErrorText(err))
	}
	c := &Cluster{cfg: cfg, client: client, wake: make(chan struct{}, 1), touched: map[store.Ref]struct{}{},
		lost: map[string]lostPod{}, limits: map[string]limit{}, words: map[store.Ref]map[types.UID]*corev1.Pod{}}
	c.rest, c.turns, c.tends = tuned, map[store.Ref]chan struct{}{}, newTends(cfg.Act)
	c.logs = logs{on: cfg.CaptureLogs, cluster: c, queue: make(chan logJob, logQueue)}
	c.source = store.Source{Cluster: cfg.Alias, Name: SourceName, State: store.SourceRestored, Since: time.Now(), Scope: scope(cfg.Namespaces)}
	c.dirty = true
	c.fresh = freshness{interval: probeInterval, timeout: probeTimeout, ask: c.askReady}
	second, err := metadata.NewForConfig(tuned)
	if err != nil {
		return nil, fmt.Errorf("%w: cluster %s: %s", store.ErrInvalid, cfg.Alias, store.ErrorText(err))
	}
	c.progress.newer = listenFrom(second)
	if c.dynamic, err = dynamic.NewForConfig(tuned); err != nil {
		return nil, fmt.Errorf("%w: cluster %s: %s", store.ErrInvalid, cfg.Alias, store.ErrorText(err))
	}
	c.served = c.askServed
	if c.prober, err = newProber(cfg, tuned, c.touch); err != nil {
		return nil, err
	}
	c.prober.denied = c.noteProbeDenied
	if cfg.Probes == ProbeAPIProxy {
		c.prober.paused = c.silent
		c.prober.way = c.askReady
	}
	return c, nil
}

// silent reports whether the API server does not answer.
func (c *Cluster) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.answers
}

// scope says in words what is looked for, and where.
func scope(namespaces []string) string {
	looks := make([]string, 0, len(systems.All()))
	for _, s := range systems.All() {
		looks = append(looks, s.LooksFor)
	}
	where := "in all namespaces"
	switch len(namespaces) {
	case 0:
	case 1:
		where = "in the namespace " + namespaces[0]
	default:
		where = "in the namespaces " + strings.Join(namespaces, ", ")
	}
	return strings.Join(looks, "; ") + " — " + where
}

// Wake implements poller.Source.
func (c *Cluster) Wake() <-chan struct{} { return c.wake }

// Run implements poller.Source: it keeps one set of informers at work, and replaces it whenever the API server comes back.
func (c *Cluster) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	rebuild := make(chan struct{}, 1)
	wg.Go(func() { c.watchFreshness(ctx, rebuild) })
	wg.Go(func() { c.watchProgress(ctx, rebuild) })
	wg.Go(func() { c.prober.run(ctx) })
	wg.Go(func() { c.logs.run(ctx) })
	wg.Go(func() { c.tendMarks(ctx) })
	for ctx.Err() == nil {
		if err := c.generation(ctx, rebuild); err != nil {
			return err
		}
	}
	return nil
}

// generation runs one set of informers until it is to be replaced.
func (c *Cluster) generation(ctx context.Context, rebuild <-chan struct{}) error {
	found, known := c.discover(ctx, c.found)
	s, err := newSet(ctx, c.client, c.dynamic, found, c.cfg.Namespaces, hooks{touched: c.noteTouched, gone: c.noteGone, failed: c.noteFailed})
	if err != nil {
		return fmt.Errorf("cluster %s: preparing to watch: %w", c.cfg.Alias, err)
	}
	c.found = found
	changed := make(chan struct{})
	go c.rediscover(s.ctx, s, known, sync.OnceFunc(func() { close(changed) }))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.start() {
			c.install(s)
		}
	}()
	select {
	case <-ctx.Done():
	case <-rebuild:
	case <-changed:
	}
	c.install(nil)
	s.stop()
	<-done
	c.install(nil)
	return nil
}

// install makes a complete set the one that is observed. Until then what was last known stays on the board.
func (c *Cluster) install(s *set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set, c.full = s, s != nil
	if s != nil {
		c.goLive()
		c.signal()
	}
}

// signal wakes the poller; a wake-up that is pending is enough.
func (c *Cluster) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// touch marks a runner for the next observation.
func (c *Cluster) touch(refs ...store.Ref) {
	if len(refs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range refs {
		c.touched[r] = struct{}{}
	}
	c.signal()
}

// Observe implements poller.Source.
func (c *Cluster) Observe(prev *store.Snapshot, due []store.Ref, now time.Time) store.Touched {
	c.inherit(prev)
	s, refs, full, words, t := c.take(due)
	if s == nil {
		return t
	}
	if full {
		refs = s.refs(c.cfg.Alias)
		t.Full = []string{c.cfg.Alias}
	}
	o := observation{set: s, cluster: c, now: now, words: words}
	for _, ref := range refs {
		prior, _ := prev.Runner(ref)
		if r := o.runner(ref, prior); r != nil {
			t.Runners = append(t.Runners, r)
		} else {
			t.Gone = append(t.Gone, ref)
			c.prober.forget(ref)
		}
	}
	t.Evidence = append(t.Evidence, o.taken...)
	return t
}

// inherit takes over when the cluster was last heard before the program started: until it speaks, that is how old the data is.
func (c *Cluster) inherit(prev *store.Snapshot) {
	old, ok := prev.Source(c.cfg.Alias, SourceName)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok || !c.source.Heard.IsZero() || old.Heard.IsZero() {
		return
	}
	c.source.Heard, c.dirty = old.Heard, true
	if c.source.State == store.SourceStale {
		c.source.Since = old.Heard
	}
}

// take collects what there is to observe. Without a complete set only the source's own state is news, and the rest waits for it.
func (c *Cluster) take(due []store.Ref) (s *set, refs []store.Ref, full bool, words map[store.Ref]map[types.UID]*corev1.Pod, t store.Touched) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dirty {
		t.Sources, c.dirty = []store.Source{c.source}, false
	}
	t.Evidence, c.arrived = c.arrived, nil
	if c.set == nil {
		return nil, nil, false, nil, t
	}
	for _, r := range due {
		if r.Cluster == c.cfg.Alias {
			c.touched[r] = struct{}{}
		}
	}
	for r := range c.touched {
		refs = append(refs, r)
	}
	full, c.full = c.full, false
	clear(c.touched)
	words, c.words = c.words, map[store.Ref]map[types.UID]*corev1.Pod{}
	return c.set, refs, full, words, t
}

// noteTouched marks the runners that an object belongs to.
func (c *Cluster) noteTouched(s *set, obj any) {
	refs := s.refsOf(c.cfg.Alias, obj)
	if p, ok := obj.(*corev1.Pod); ok {
		c.mu.Lock()
		c.remember(p, refs)
		c.mu.Unlock()
	}
	c.touch(refs...)
}

// noteGone marks the runners that a vanished object belonged to. Work that ran and that nobody deleted is remembered as lost.
func (c *Cluster) noteGone(s *set, obj any) {
	if p, ok := obj.(*corev1.Pod); ok && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
		c.mu.Lock()
		c.lost[string(p.UID)] = lostPod{p, time.Now()}
		c.mu.Unlock()
	}
	c.touch(s.refsOf(c.cfg.Alias, obj)...)
}
