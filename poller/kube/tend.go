package kube

import (
	"context"
	"errors"
	"fmt"
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
	h.alone = true
	grips, err := h.grips(ctx)
	if err != nil {
		return err
	}
	err = h.tend(ctx, grips)
	c.touch(ref)
	return err
}

// tend does it, and tells the audit when this board has changed anything: another may have been first.
func (h *hand) tend(ctx context.Context, grips []*grip) error {
	m, marked, broken := leadingGrip(grips)
	if !marked || broken {
		return nil
	}
	j, t := h.tending(grips, m)
	_, err := j.run(ctx)
	if err == nil && h.wrote {
		h.c.tended(ctx, h.ref, m, t)
		reason, said := "EnabledByTrackside", "enabled"
		if t.verb == store.VerbDisable {
			reason, said = "DisabledByTrackside", "disabled"
		}
		h.tell(ctx, store.Action{By: store.Person{Name: fieldManager}, Note: t.note + "; disabled by " + m.By}, &job{reason: reason, said: said, about: grips[0]})
	}
	return err
}

// telling is what the audit tells of what was done without anybody asking for it.
type telling struct {
	verb store.Verb
	note string
}

func leadingGrip(grips []*grip) (marking, bool, bool) {
	hs := make([]held, len(grips))
	for i, g := range grips {
		hs[i] = g.held
		hs[i].object.Annotations = g.live.GetAnnotations()
	}
	return leading(hs)
}

// tending is what is to be done, and what the audit tells of it.
func (h *hand) tending(grips []*grip, m marking) (*job, telling) {
	j, finished := &job{}, "what was begun is finished"
	switch {
	case m.Phase == phaseEnabling:
		if m.Usual {
			h.usual = deciding(grips)
		}
		h.giveBack(j, toGiveBack(grips))
		return j, telling{store.VerbEnable, finished}
	case !m.Until.IsZero() && !time.Now().Before(m.Until):
		h.giveBack(j, toGiveBack(grips))
		return j, telling{store.VerbEnable, "its time was over"}
	case m.Phase == phaseDraining && h.busy():
		return j, telling{}
	case m.Phase == phaseDraining, m.Phase == phaseDisabling:
		own := m
		own.Phase, own.Restore = "", nil
		h.pullAll(j, leadFirst(h.reached(grips)), own)
		return j, h.finishing(m, finished)
	}
	for _, g := range grips {
		if now := g.now(); g.marked && !g.broken && g.mark.Restore != nil && now.reverted() && !wasOff(g.mark, g.lever) {
			j.steps = append(j.steps, step{verb: "patch", gvr: g.gvr, effect: store.Effect{Object: g.name()},
				do: func(ctx context.Context) error { return h.change(ctx, g, forget) }})
		}
	}
	return j, telling{store.VerbEnable, "it was brought back by hand"}
}

// finishing tells of taking a runner out of service.
func (h *hand) finishing(m marking, finished string) telling {
	if m.Phase == phaseDraining {
		finished = "its work has ended"
	}
	if all := h.endWork(); !m.Drain && len(h.own(all)) < len(all) {
		finished += ", but for work in other namespaces"
	}
	return telling{store.VerbDisable, finished}
}

// still has the board by itself make a change only as long as the object's mark is the one that asks for it.
func (h *hand) still(g *grip, edit func(*grip) (map[string]any, error)) func(*grip) (map[string]any, error) {
	was, marked := g.mark, g.marked
	return func(g *grip) (map[string]any, error) {
		if h.alone && marked && (!g.marked || g.mark.Key != was.Key || g.mark.Phase != was.Phase) {
			return nil, fmt.Errorf("%w: the mark of %s was changed meanwhile", store.ErrConflict, g.name())
		}
		return edit(g)
	}
}

// own leaves out what a mark does not reach: ending work outside of the runner's namespace is for those who ask for it themselves. A runner
// says by its own fields where its work is, and whoever can write those need not be allowed to delete pods there.
func (h *hand) own(ends []step) []step {
	if !h.alone {
		return ends
	}
	return slices.DeleteFunc(ends, func(s step) bool { return s.effect.Object.Namespace != h.ref.Namespace })
}

// reached leaves out the objects of other namespaces that bear no mark of their own.
func (h *hand) reached(grips []*grip) []*grip {
	return slices.DeleteFunc(slices.Clone(grips), func(g *grip) bool { return !g.marked && g.object.Namespace != h.ref.Namespace })
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
func (c *Cluster) tended(ctx context.Context, ref store.Ref, m marking, t telling) {
	if c.cfg.Tended == nil {
		return
	}
	now, before, after := time.Now(), store.Disabled, store.Enabled
	if t.verb == store.VerbDisable {
		before, after = after, before
	}
	c.cfg.Tended(ctx, store.Entry{At: now, Ended: now, By: store.Person{Name: fieldManager}, Verb: string(t.verb), Ref: ref,
		Note: t.note + "; disabled by " + m.By, Before: before.String(), After: after.String(), Result: store.ResultDone})
}
