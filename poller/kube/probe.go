package kube

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"trackside/store"
	"trackside/systems"
)

// How probes are paced.
const (
	// DefaultProbeLimit is how many probes may be under way at once.
	DefaultProbeLimit = 32
	// probePace is the time between two probes of a component that answers, give or take a fifth.
	probePace = 10 * time.Second
	// httpTimeout bounds one probe.
	httpTimeout = 3 * time.Second
	// firstRetry doubles with each failure up to lastRetry: a recovery is to be seen soon.
	firstRetry = time.Second
	lastRetry  = 2 * probePace
	// deniedRetry is the time until the API server is asked again whether we may.
	deniedRetry = time.Minute
	// failuresForVerdict is the kubelet's own default failureThreshold.
	failuresForVerdict = 3
)

// targetKey names what is probed: a component.
type targetKey struct {
	ref       store.Ref
	component string
}

// target is one component under probing; its fields are guarded by the prober's lock.
type target struct {
	key      targetKey
	probe    systems.Probe
	pods     []podAddress
	next     time.Time
	index    int // in the heap; -1 while its probe is under way
	turn     int // which pod is asked next
	failures int
	failing  map[types.UID]bool // the pods whose latest probe failed
	answered types.UID          // the pod that a probe last succeeded with
	result   store.Probe
	resultOf types.UID // the pod that gave it
	outcome  string    // what would have to differ for the result to be news
	gone     bool
}

// down reports whether the component does not answer: probes failed often enough, and no pod's latest one succeeded.
func (t *target) down() bool {
	return t.failures >= failuresForVerdict && len(t.failing) >= len(t.pods)
}

// podAddress is a pod to ask. A StatefulSet's next pod has the name of the one before, and another UID.
type podAddress struct {
	namespace, name, ip string
	uid                 types.UID
}

// prober asks components whether they work, a bounded number at once, and tells which runners' answers have changed.
type prober struct {
	ask     asker
	changed func(...store.Ref)
	limit   int

	mu      sync.Mutex
	targets map[targetKey]*target
	queue   targetHeap
	kick    chan struct{}
	paused  func() bool                 // nothing can be learnt now: the way to the pods is down
	way     func(context.Context) error // whether the way to the pods is open, asked when a probe got no answer on it
	denied  func(namespace string)      // the API server does not let us probe there
}

func newProber(cfg Config, tuned *rest.Config, changed func(...store.Ref)) (*prober, error) {
	ask, err := newAsker(cfg.Probes, tuned)
	limit := cfg.ProbeLimit
	if limit <= 0 {
		limit = DefaultProbeLimit
	}
	return &prober{ask: ask, changed: changed, limit: limit, targets: map[targetKey]*target{}, kick: make(chan struct{}, 1),
		paused: func() bool { return false }, way: func(context.Context) error { return nil }, denied: func(string) {}}, err
}

// of returns the latest result for a component, and has it probed from now on. Before the first answer the result is blank.
func (p *prober) of(ref store.Ref, component string, probe systems.Probe, pods []*corev1.Pod) store.Probe {
	if p.ask == nil {
		return store.Probe{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := targetKey{ref, component}
	t := p.targets[key]
	if t == nil || t.probe != probe {
		p.remove(t)
		t = &target{key: key, probe: probe, next: time.Now(), failing: map[types.UID]bool{}}
		p.targets[key] = t
		heap.Push(&p.queue, t)
		p.wakeUp()
	}
	p.point(t, addressesOf(pods))
	return t.result
}

func addressesOf(pods []*corev1.Pod) []podAddress {
	out := make([]podAddress, 0, len(pods))
	for _, pod := range pods {
		out = append(out, podAddress{pod.Namespace, pod.Name, pod.Status.PodIP, pod.UID})
	}
	return out
}

// point has a target ask these pods. What pods that are gone have said is no answer of the present ones, and they had their own pace.
func (p *prober) point(t *target, pods []podAddress) {
	if slices.Equal(t.pods, pods) {
		return
	}
	gone := func(uid types.UID) bool {
		return !slices.ContainsFunc(pods, func(a podAddress) bool { return a.uid == uid })
	}
	if (t.failures > 0 || gone(t.resultOf)) && t.index >= 0 {
		t.next = time.Now()
		heap.Fix(&p.queue, t.index)
		p.wakeUp()
	}
	maps.DeleteFunc(t.failing, func(uid types.UID, _ bool) bool { return gone(uid) })
	if len(t.failing) == 0 {
		t.failures = 0
	}
	if gone(t.resultOf) {
		t.outcome = "" // the next answer is news; until then the others that fail have one that failed speak for them
		if len(t.failing) == 0 {
			t.result = store.Probe{}
		}
	}
	if gone(t.answered) {
		t.answered = ""
	}
	t.pods = pods
}

// failures is how many probes of a component have failed in a row; fewer than make a verdict while some pod of it answers.
func (p *prober) failures(ref store.Ref, component string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[targetKey{ref, component}]
	switch {
	case t == nil:
		return 0
	case t.down():
		return t.failures
	}
	return min(t.failures, failuresForVerdict-1)
}

// answered reports whether a component's present pods have ever answered; those that have not may still be starting.
func (p *prober) answered(ref store.Ref, component string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[targetKey{ref, component}]
	return t != nil && t.answered != ""
}

// drop ends the probing of a component, forget that of a runner.
func (p *prober) drop(ref store.Ref, component string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(p.targets[targetKey{ref, component}])
}

func (p *prober) forget(ref store.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, t := range p.targets {
		if k.ref == ref {
			p.remove(t)
		}
	}
}

func (p *prober) remove(t *target) {
	if t == nil {
		return
	}
	t.gone = true
	delete(p.targets, t.key)
	if t.index >= 0 && t.index < len(p.queue) && p.queue[t.index] == t {
		heap.Remove(&p.queue, t.index)
	}
}

func (p *prober) wakeUp() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// run probes what is due until the context ends, and waits for the probes under way.
func (p *prober) run(ctx context.Context) {
	if p.ask == nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, p.limit)
	for {
		t, wait := p.due(time.Now())
		if t == nil {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-p.kick:
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		wg.Go(func() {
			defer func() { <-slots }()
			p.once(ctx, t)
		})
	}
}

// due takes the next target out of the queue, or says how long there is to wait for one.
func (p *prober) due(now time.Time) (*target, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil, time.Minute
	}
	if wait := p.queue[0].next.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&p.queue).(*target), 0
}

// once probes one pod of a component. A pod that fails is asked again until that is certain; otherwise the pods take turns.
func (p *prober) once(ctx context.Context, t *target) {
	p.mu.Lock()
	probe, pods, turn := t.probe, t.pods, t.turn
	p.mu.Unlock()
	if len(pods) == 0 || p.paused() {
		p.again(t, firstRetry)
		return
	}
	pod := pods[turn%len(pods)]
	limited, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	start := time.Now()
	a := p.ask.ask(limited, pod, probe)
	took := time.Since(start)
	if ctx.Err() != nil || p.paused() || p.astray(ctx, a) {
		p.again(t, firstRetry) // we, or the way to the pod, are going: nothing was learnt
		return
	}
	if a.denied {
		p.denied(pod.namespace)
		p.again(t, deniedRetry)
		return
	}
	p.learn(t, pods, pod, a, took)
}

// astray reports whether an answer is of the way to the pod. One that did not come in time is the pod's when the way is open.
func (p *prober) astray(ctx context.Context, a answer) bool {
	return a.onWay && (a.kind != noAnswer || p.way(ctx) != nil)
}

// learn keeps an answer; only another outcome is news, so that a runner is not published at each probe. Pods may have come and gone
// since these were looked up: what a pod that is gone has said is nothing, and new ones are asked at once.
func (p *prober) learn(t *target, known []podAddress, pod podAddress, a answer, took time.Duration) {
	p.mu.Lock()
	if !slices.Contains(t.pods, pod) {
		p.mu.Unlock()
		p.again(t, 0)
		return
	}
	problem := a.problem(took)
	news := t.count(pod.uid, problem == "")
	if outcome := fmt.Sprint(a.url, a.status, a.kind); problem != "" && outcome != t.outcome || (news || t.outcome == "") && (problem != "" || len(t.failing) == 0) {
		news = news || t.outcome == "" || t.outcome != outcome
		t.outcome, t.resultOf = outcome, pod.uid
		t.result = store.Probe{URL: a.url, Status: a.status, Problem: problem, Took: took.Round(time.Millisecond), At: time.Now().Add(-took)}
	}
	pause := t.pause(problem == "")
	if t.failures > 0 && !slices.Equal(known, t.pods) {
		pause = 0
	}
	p.mu.Unlock()
	p.again(t, pause)
	if news {
		p.changed(t.key.ref)
	}
}

// pause is the time to the next probe. Once one pod answers again, so may the others.
func (t *target) pause(ok bool) time.Duration {
	switch {
	case t.failures == 0:
		return jitter(probePace)
	case ok:
		return firstRetry
	}
	return min(lastRetry, firstRetry<<min(t.failures-1, 10))
}

// count keeps the score of a component's pods; it reports whether the component's own state has changed.
func (t *target) count(pod types.UID, ok bool) (news bool) {
	down := t.down()
	switch {
	case !ok:
		t.failing[pod] = true
		t.failures++
		news = t.failures == failuresForVerdict
	default:
		t.answered = pod
		delete(t.failing, pod)
		if len(t.failing) == 0 {
			news, t.failures = t.failures > 0, 0
		}
	}
	if ok || t.failures >= failuresForVerdict {
		t.turn++
	}
	return news || t.down() != down
}

func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5)
}

func (p *prober) again(t *target, in time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.gone {
		return
	}
	t.next = time.Now().Add(in)
	heap.Push(&p.queue, t)
	p.wakeUp()
}

type targetHeap []*target

func (h targetHeap) Len() int           { return len(h) }
func (h targetHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h targetHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *targetHeap) Push(x any) {
	t := x.(*target)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *targetHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.index = -1
	*h = old[:len(old)-1]
	return t
}

// probed names the components of a runner that are probed, or the one of that name.
func (p *prober) probed(ref store.Ref, component string) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.targets {
		if k.ref == ref && (component == "" || k.component == component) {
			names = append(names, k.component)
		}
	}
	slices.Sort(names)
	return names
}

// soon has a component probed at once, unless that is under way.
func (p *prober) soon(ref store.Ref, component string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[targetKey{ref, component}]
	if t == nil || t.index < 0 {
		return
	}
	t.next = time.Now()
	heap.Fix(&p.queue, t.index)
	p.wakeUp()
}
