package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// job is an action taken apart, to be told and to be done.
type job struct {
	steps        []step
	goes, stays  []store.Object
	traps        []store.Trap
	waits        store.Sentence
	reason, said string // of the Event that tells of it
	about        *grip
	// after looks at what came of it.
	after func(ctx context.Context, out *store.Outcome) error
}

// step is one change of one object.
type step struct {
	effect store.Effect
	// hidden steps finish what others began, and are nobody's business.
	hidden bool
	verb   string
	gvr    schema.GroupVersionResource
	uid    types.UID // of what it deletes
	do     func(ctx context.Context) error
	// undo takes back what do has done, where that can be; nil where it cannot.
	undo func(ctx context.Context) (undone bool, err error)
}

// Plan says what an action would do to a runner of this cluster; it changes nothing. Errors are of the closed set.
func (c *Cluster) Plan(ctx context.Context, a store.Action, r *store.Runner) (store.Plan, error) {
	h, err := c.hand(ctx, a.Ref, a.By)
	if err != nil {
		return store.Plan{}, err
	}
	j, err := h.prepare(ctx, a, r)
	if errors.Is(err, store.ErrForbidden) { // what cannot be looked at is told as what it would take
		if traps := h.lacks(ctx, h.presumed(a.Verb)); len(traps) > 0 {
			return store.Plan{Action: a, Work: h.ending(a, r), Traps: traps}, nil
		}
	}
	if err != nil {
		return store.Plan{}, err
	}
	p := store.Plan{Action: a, Goes: j.goes, Stays: j.stays, Work: h.ending(a, r), Traps: slices.Concat(j.traps, h.lacks(ctx, j.steps), h.untended(ctx, a.Verb, j.steps))}
	for _, s := range j.steps {
		if !s.hidden {
			p.Steps = append(p.Steps, s.effect)
		}
	}
	return p, nil
}

// presumed are the steps that an action would take as the caches show its objects.
func (h *hand) presumed(verb store.Verb) (steps []step) {
	objects, does := holds(h.sw, h.parts, h.customs), "patch"
	if verb == store.VerbDelete {
		objects, does = h.removed(), "delete"
	}
	for _, o := range objects {
		for _, v := range []string{"get", does} {
			steps = append(steps, step{verb: v, gvr: resourceOf(o.object.Kind), effect: store.Effect{Object: store.Object{Kind: o.object.Kind, Namespace: o.object.Namespace}}})
		}
	}
	return steps
}

// Do does it. What it did before an error is in the outcome. Doing it again does what is left, and no more.
func (c *Cluster) Do(ctx context.Context, a store.Action, r *store.Runner) (out store.Outcome, err error) {
	release, err := c.hold(ctx, a.Ref)
	if err != nil {
		return out, err
	}
	defer release()
	h, err := c.handFor(ctx, a)
	if err != nil {
		return out, err
	}
	j, err := h.prepare(ctx, a, r)
	if err != nil {
		return out, err
	}
	if traps := h.lacks(ctx, j.steps); len(traps) > 0 {
		return out, fmt.Errorf("%w: %s of runner %s: %s", store.ErrForbidden, a.Verb, a.Ref, traps[0].Why.Absolute())
	}
	out, err = h.perform(ctx, j)
	if err == nil && j.after != nil {
		err = j.after(ctx, &out)
	}
	switch {
	case err == nil:
		h.tell(ctx, a, j)
	case h.wrote && slices.ContainsFunc(out.Steps, func(e store.Effect) bool { return e.Problem == "" }): // what is taken back has one
		j.said = "partly " + j.said
		h.tell(context.WithoutCancel(ctx), a, j)
	}
	c.touch(a.Ref)
	return out, err
}

// run takes the steps in turn, and stops at the first that fails.
func (j *job) run(ctx context.Context) (out store.Outcome, err error) {
	out.Waits, out.Left = j.waits, j.stays
	for _, s := range j.steps {
		if err == nil {
			err = s.do(ctx)
		}
		if s.hidden {
			continue
		}
		if err != nil {
			s.effect.Problem = store.Plain(err)
		}
		out.Steps = append(out.Steps, s.effect)
	}
	return out, err
}

// prepare takes an action apart.
func (h *hand) prepare(ctx context.Context, a store.Action, r *store.Runner) (*job, error) {
	switch a.Verb {
	case store.VerbDisable:
		return h.disable(ctx, a, r)
	case store.VerbEnable:
		return h.enable(ctx, a)
	case store.VerbDelete:
		return h.remove(ctx, a, r)
	case store.VerbRestart:
		return h.restart(ctx, a, r)
	case store.VerbDeleteWorkload:
		return h.removeWork(a)
	case store.VerbProbe:
		return h.probe(a)
	case store.VerbAcknowledge: // is the board's own
	}
	return nil, fmt.Errorf("%w: a cluster has no way to %s a runner", store.ErrInvalid, a.Verb)
}

// hold keeps two actions on one runner apart, and the reconciler from both. Call what it returns. It is store.ErrUnavailable when the
// context ends before it is this one's turn.
func (c *Cluster) hold(ctx context.Context, ref store.Ref) (release func(), err error) {
	c.acting.Lock()
	turn := c.turns[ref]
	if turn == nil {
		turn = make(chan struct{}, 1)
		c.turns[ref] = turn
	}
	c.acting.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: another action on %s is under way", store.ErrUnavailable, ref)
	}
}

// underWay is the work of a runner that has not ended.
func underWay(r *store.Runner) (out []store.Workload) {
	if r == nil {
		return nil
	}
	for _, w := range r.Workloads {
		if w.Component == "" && !w.Ended() {
			out = append(out, w)
		}
	}
	return out
}

// disable takes the runner out of service, or has that wait for its work.
func (h *hand) disable(ctx context.Context, a store.Action, r *store.Runner) (*job, error) {
	grips, err := h.grips(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(grips) == 0:
		return nil, fmt.Errorf("%w: %s has nothing that can be scaled: its parts are pods of their own, or all its work has ended; delete them instead", store.ErrInvalid, a.Ref)
	}
	if err := h.overtaken(a, grips); err != nil {
		return nil, err
	}
	m := marking{By: a.By.Name, At: a.At.UTC(), Note: a.Note, Until: a.Until.UTC(), Drain: a.Drain, Key: a.Key, looked: a.Looked}
	if a.Until.IsZero() {
		m.Until = time.Time{}
	}
	j := &job{reason: "DisabledByTrackside", said: "disabled", about: grips[0], traps: append(h.traps(a.Verb, grips, r), h.sharedTrap(a)...)}
	if a.Drain && !h.sw.Outlives {
		j.traps = append(j.traps, store.Trap{Code: "takes-new-work", Why: "It takes new work until it is out of service: one that is never without work is never drained. Then disable it at once."})
	}
	if a.Drain && !h.sw.Outlives && h.busy() {
		h.pullEarly(j, grips, m)
		j.reason, j.said = "DrainingByTrackside", "draining, as asked for" // that it is disabled is told when it is
		j.waits = store.Sentence(fmt.Sprintf("%s is taken out of service when its work has ended: %s.", a.Ref.Name, someWork(len(h.ending(a, r)))))
		return j, nil
	}
	h.pullAll(j, grips, m)
	if !a.Drain {
		_, held := h.heldPods(ctx, slices.DeleteFunc(slices.Clone(h.work), func(p *corev1.Pod) bool { return !living(p) }))
		j.traps = slices.Concat(j.traps, held, h.jobTraps(a.Verb, h.work))
	}
	if a.Drain && h.busy() {
		j.waits = store.Sentence(fmt.Sprintf("It takes no more work; what runs goes on until it ends: %s.", someWork(len(h.ending(a, r)))))
	}
	return j, nil
}

func someWork(n int) string {
	if n == 1 {
		return "1 workload runs"
	}
	return fmt.Sprintf("%d workloads run", n)
}

// pullEarly marks the runner as draining, and pulls the levers that cannot wait.
func (h *hand) pullEarly(j *job, grips []*grip, m marking) {
	lead := m
	lead.Phase = phaseDraining
	for i, g := range grips {
		if i > 0 && !g.lever.Early {
			continue
		}
		own := m
		if i == 0 {
			own = lead
		}
		j.steps = append(j.steps, h.pulling(g, own, g.lever.Early))
	}
}

// pullAll takes everything out of service. The first object bears the phase until all is done.
func (h *hand) pullAll(j *job, grips []*grip, m marking) {
	ends := []step(nil)
	if !m.Drain {
		ends = h.own(h.endWork())
	}
	lead := m
	if len(grips) > 1 || len(ends) > 0 {
		lead.Phase = phaseDisabling
	}
	for i, g := range grips {
		own := m
		if i == 0 {
			own = lead
		}
		j.steps = append(j.steps, h.pulling(g, own, true))
	}
	j.steps = append(j.steps, ends...)
	if lead.Phase != "" {
		g := grips[0]
		j.steps = append(j.steps, h.changing(step{hidden: true, verb: "patch", gvr: g.gvr, effect: store.Effect{Object: g.name()}}, g, rephase("", false)))
	}
}

func (h *hand) pulling(g *grip, m marking, apply bool) step {
	e := store.Effect{Object: g.name(), Before: g.word(false), After: "marked, and unchanged until its work has ended"}
	switch {
	case apply && len(g.lever.Settings) > 0:
		e.After = g.word(true)
	case apply:
		e.Before, e.After = "unmarked", "marked"
	}
	return h.changing(step{effect: e, verb: "patch", gvr: g.gvr}, g, h.still(g, pull(m, apply)))
}

// word says what the fields of an object are, or would be when it is off.
func (g *grip) word(off bool) (words string) {
	for _, s := range g.lever.Settings {
		v := g.value(s)
		if off {
			v = s.Off
		}
		words = joined(words, s.Word(v))
	}
	return words
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// enable gives everything back, in the opposite order; the object that was marked first comes last.
func (h *hand) enable(ctx context.Context, a store.Action) (*job, error) {
	grips, err := h.grips(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range grips {
		if g.markedSince(a.Looked, a.At) {
			return nil, disabledSince(g, "enable it if that is still meant")
		}
	}
	if err := h.overtaken(a, grips); err != nil {
		return nil, err
	}
	return h.enabling(a.Verb, grips)
}

func (h *hand) enabling(verb store.Verb, grips []*grip) (*job, error) {
	back := toGiveBack(grips)
	if len(back) == 0 {
		return &job{}, nil // it is in service, or nothing of it can be out
	}
	begun := slices.ContainsFunc(grips, func(g *grip) bool { return g.marked && g.mark.Usual })
	on := func(g *grip) bool { return !g.marked || g.broken || !wasOff(g.mark, g.lever) }
	if say := deciding(grips); begun || !slices.ContainsFunc(say, on) {
		h.usual = say // otherwise it would be done, and nothing in service
	}
	j := &job{reason: "EnabledByTrackside", said: "enabled", about: back[0], traps: h.traps(verb, back, nil)}
	if !slices.ContainsFunc(back, func(g *grip) bool { return g.marked && !g.broken }) {
		j.traps = append(j.traps, store.Trap{Code: "nothing-remembered", Why: "Nothing remembers how it was, for it was not taken out of service here: it gets one replica, or as many as its autoscaler asks for."})
	}
	h.giveBack(j, back)
	return j, nil
}

// toGiveBack chooses what is marked. Where nothing is, it is what somebody has taken out by hand: but a schedule that is suspended only
// where there is nothing else, for that may be meant.
func toGiveBack(grips []*grip) []*grip {
	if slices.ContainsFunc(grips, func(g *grip) bool { return g.marked }) {
		return slices.DeleteFunc(slices.Clone(grips), func(g *grip) bool { return !g.marked })
	}
	back := slices.DeleteFunc(slices.Clone(grips), func(g *grip) bool {
		return len(g.lever.Settings) == 0 || slices.ContainsFunc(g.lever.Settings, func(s systems.Setting) bool { return !s.IsOff(g.value(s)) })
	})
	if slices.ContainsFunc(grips, func(g *grip) bool { return g.object.Kind != "CronJob" }) {
		back = slices.DeleteFunc(back, func(g *grip) bool { return g.object.Kind == "CronJob" })
	}
	return back
}

// giveBack makes the steps: the phase first, on one object, then the others, then that one.
func (h *hand) giveBack(j *job, back []*grip) {
	slices.SortStableFunc(back, func(a, b *grip) int {
		return cmp.Or(cmp.Compare(phased(b), phased(a)), 0)
	})
	lead := back[0]
	if len(back) > 1 && lead.marked && !lead.broken {
		j.steps = append(j.steps, h.changing(step{hidden: true, verb: "patch", gvr: lead.gvr, effect: store.Effect{Object: lead.name()}}, lead, rephase(phaseEnabling, len(h.usual) > 0)))
	}
	for _, g := range slices.Backward(back) {
		e := store.Effect{Object: g.name(), Before: g.word(false), After: h.wordBack(g)}
		j.steps = append(j.steps, h.changing(step{verb: "patch", gvr: g.gvr, effect: e}, g, h.letting(g)))
	}
}

// deciding chooses those whose fields say whether the runner is in service: a schedule does only where there is nothing else.
func deciding(grips []*grip) []*grip {
	says := slices.DeleteFunc(slices.Clone(grips), func(g *grip) bool { return len(g.lever.Settings) == 0 })
	if slices.ContainsFunc(says, func(g *grip) bool { return g.object.Kind != "CronJob" }) {
		says = slices.DeleteFunc(says, func(g *grip) bool { return g.object.Kind == "CronJob" })
	}
	return says
}

// phased is 1 for the object whose mark has a phase.
func phased(g *grip) int {
	if g.marked && g.mark.Phase != "" {
		return 1
	}
	return 0
}

// wordBack says what an object's fields will be.
func (h *hand) wordBack(g *grip) (words string) {
	for _, s := range g.lever.Settings {
		v := g.value(s)
		if s.IsOff(v) && !g.onlyMarked() {
			v, _ = h.back(g, s)
		}
		words = joined(words, s.Word(v))
	}
	if words == "" {
		return "unmarked"
	}
	return words
}
