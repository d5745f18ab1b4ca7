package kube

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"

	"trackside/store"
	"trackside/systems"
)

// Marks are tended by whoever sees that something is left to be done: the caches wake it when an object or a pod changes, and the poller
// when a mark's time has come. Nothing ticks. Two boards may do so at once: each change holds only for the object as it was read.

// tends are the runners whose marks want something.
type tends struct {
	queue workqueue.TypedRateLimitingInterface[store.Ref]
}

// How what failed is tried again.
const (
	tendRetry = 500 * time.Millisecond
	tendLast  = 5 * time.Minute
)

// newTends is without a queue, which has a goroutine of its own, where nothing is tended.
func newTends(act bool) tends {
	if !act {
		return tends{}
	}
	return tends{queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[store.Ref](tendRetry, tendLast))}
}

// tendMarks works until the context ends.
func (c *Cluster) tendMarks(ctx context.Context) {
	if !c.cfg.Act {
		return
	}
	stop := context.AfterFunc(ctx, c.tends.queue.ShutDown)
	defer stop()
	for {
		ref, over := c.tends.queue.Get()
		if over {
			return
		}
		err := c.tend(ctx, ref)
		switch {
		case err == nil, errors.Is(err, store.ErrNotFound):
			c.tends.queue.Forget(ref)
		case ctx.Err() == nil:
			c.cfg.Log.Warn("a mark is not tended", "runner", ref.String(), "error", store.ErrorText(err))
			c.tends.queue.AddRateLimited(ref)
		}
		c.tends.queue.Done(ref)
	}
}

// service says what the runner's objects say of its being in service, and has its mark tended when that wants something.
func (o *observation) service(sys *systems.System, r *store.Runner, parts []part, customs []*custom, work []*corev1.Pod) {
	_, marked, _ := leading(holds(sys.SwitchOf(), parts, customs))
	busy := marked && slices.ContainsFunc(o.affected(sys, r.Ref, parts, work), living) // nothing waits for work without a mark
	s := serviceOf(sys.SwitchOf(), parts, customs, busy, o.now)
	r.Observed, r.Requested, r.Mark = s.observed, s.requested, s.mark
	if s.tend && o.cluster.cfg.Act {
		o.cluster.tends.queue.Add(r.Ref)
	}
}

// tend does what a runner's mark asks for now, by what the API server says and not the caches.
func (c *Cluster) tend(ctx context.Context, ref store.Ref) error {
	release, err := c.hold(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	h, err := c.hand(ctx, ref, store.Person{})
	if err != nil {
		return err
	}
	grips, err := h.grips(ctx)
	if err != nil {
		return err
	}
	m, marked, broken := leadingGrip(grips)
	if !marked || broken {
		return nil
	}
	j, note := h.tending(grips, m)
	if len(j.steps) == 0 {
		return nil
	}
	_, err = j.run(ctx)
	if err == nil && note != "" {
		c.tended(ctx, ref, m, note)
	}
	c.touch(ref)
	return err
}

func leadingGrip(grips []*grip) (marking, bool, bool) {
	hs := make([]held, len(grips))
	for i, g := range grips {
		hs[i] = g.held
		hs[i].object.Annotations = g.live.GetAnnotations()
	}
	return leading(hs)
}

// tending is what is to be done, and the note under which the audit tells of it; blank for what an action already told.
func (h *hand) tending(grips []*grip, m marking) (*job, string) {
	j := &job{}
	switch {
	case m.Phase == phaseEnabling:
		h.giveBack(j, toGiveBack(grips))
		return j, ""
	case !m.Until.IsZero() && !time.Now().Before(m.Until):
		h.giveBack(j, toGiveBack(grips))
		return j, "its time was over"
	case m.Phase == phaseDraining && h.busy():
		return j, ""
	case m.Phase == phaseDraining, m.Phase == phaseDisabling:
		own := m
		own.Phase, own.Restore = "", nil
		h.pullAll(j, leadFirst(grips), own)
		return j, ""
	}
	for _, g := range grips {
		if now := g.now(); g.marked && !g.broken && g.mark.Restore != nil && now.reverted() && !wasOff(g.mark, g.lever) {
			j.steps = append(j.steps, step{verb: "patch", gvr: g.gvr, effect: store.Effect{Object: g.name()},
				do: func(ctx context.Context) error { return h.change(ctx, g, forget) }})
		}
	}
	return j, "it was brought back by hand"
}

// leadFirst puts the object that bears the phase first, so that it goes on bearing it.
func leadFirst(grips []*grip) []*grip {
	out := slices.Clone(grips)
	slices.SortStableFunc(out, func(a, b *grip) int { return phased(b) - phased(a) })
	return out
}

// now is the object as the API server has it, in the cache's words.
func (g *grip) now() held {
	h := g.held
	h.object.Annotations = g.live.GetAnnotations()
	if h.object.Custom != nil {
		h.object.Custom = g.live.Object
	}
	h.off = !slices.ContainsFunc(g.lever.Settings, func(s systems.Setting) bool { return !s.IsOff(g.value(s)) })
	return h
}

// tended tells the audit what was done without anybody asking for it.
func (c *Cluster) tended(ctx context.Context, ref store.Ref, m marking, note string) {
	if c.cfg.Tended == nil {
		return
	}
	now := time.Now()
	c.cfg.Tended(ctx, store.Entry{At: now, Ended: now, By: store.Person{Name: fieldManager}, Verb: string(store.VerbEnable), Ref: ref,
		Note: note + "; disabled by " + m.By, Before: store.Disabled.String(), After: store.Enabled.String(), Result: store.ResultDone})
}
