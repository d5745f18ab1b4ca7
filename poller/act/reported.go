package act

import (
	"context"
	"fmt"
	"time"

	"trackside/store"
)

// Asker asks runners that report themselves, by their number. The source of reports is one.
type Asker interface {
	ID(ref store.Ref) (int64, error)
	AskMarked(ctx context.Context, g store.Grant, id int64, want store.State, m store.Mark) error
	Ping(ref store.Ref) error
}

// Pods asks runners that report themselves and stand on the board as the pod that a cluster shows. The source of reports is one.
type Pods interface {
	// Away is the number of the runner that reports itself under the name of a cluster's, where it was asked to be disabled;
	// store.ErrNotFound where there is none.
	Away(ref store.Ref) (int64, error)
	AskMarked(ctx context.Context, g store.Grant, id int64, want store.State, m store.Mark) error
}

// away reports whether an action would enable a runner that was disabled over its control channel: its cluster has nothing to undo then.
func (d *Desk) away(a store.Action, r *store.Runner) bool {
	if a.Verb != store.VerbEnable || d.cfg.Pods == nil || r.Requested != store.Disabled {
		return false
	}
	_, err := d.cfg.Pods.Away(a.Ref)
	return err == nil
}

func askedBack(r *store.Runner) store.Effect {
	return store.Effect{Object: object(r), Before: r.Observed.String(), After: store.Enabled.String()}
}

// askBack asks a runner that is the pod of a cluster's to take work again.
func (d *Desk) askBack(ctx context.Context, a store.Action, r *store.Runner) (store.Outcome, error) {
	id, err := d.cfg.Pods.Away(a.Ref)
	if err == nil {
		err = unseen(a, r.Mark)
	}
	if err == nil {
		err = d.cfg.Pods.AskMarked(ctx, store.Grant{Admin: true}, id, store.Enabled, store.Mark{})
	}
	if err != nil {
		return store.Outcome{}, err
	}
	return store.Outcome{Steps: []store.Effect{askedBack(r)}, Waits: store.Sentence(a.Ref.Name + " is told over its control channel, and does it itself.")}, nil
}

// Reported are the hands of runners that report themselves: they are asked over their control channel, and do it themselves.
type Reported struct{ Asker }

// wants are the states that verbs ask for.
var wants = map[store.Verb]store.State{store.VerbDisable: store.Disabled, store.VerbEnable: store.Enabled, store.VerbDelete: store.Deleting}

// Plan implements Hands.
func (h Reported) Plan(_ context.Context, a store.Action, r *store.Runner) (store.Plan, error) {
	want, known := wants[a.Verb]
	if !known && a.Verb != store.VerbProbe {
		return store.Plan{}, noWay(a)
	}
	if _, err := h.ID(a.Ref); err != nil {
		return store.Plan{}, err
	}
	p := store.Plan{Action: a, Work: r.Workloads}
	if a.Verb == store.VerbProbe {
		p.Steps = []store.Effect{{Object: object(r), Before: "heard now and then", After: "pinged"}}
		return p, nil
	}
	p.Steps = []store.Effect{{Object: object(r), Before: r.Observed.String(), After: want.String()}}
	if a.Verb == store.VerbDisable {
		p.Traps = disableTraps(a)
	}
	return p, nil
}

// Pin implements Hands: a runner that reports itself goes as a whole.
func (h Reported) Pin(context.Context, store.Action, *store.Runner) ([]store.Pinned, error) {
	return nil, nil
}

// disableTraps tells what a runner's own way to be disabled does not know.
func disableTraps(a store.Action) (out []store.Trap) {
	if !a.Drain {
		out = append(out, store.Trap{Code: "work-finishes", Why: "It finishes what it carries: there is no way to make it drop that."})
	}
	return out
}

// Do implements Hands.
func (h Reported) Do(ctx context.Context, a store.Action, r *store.Runner) (out store.Outcome, err error) {
	p, err := h.Plan(ctx, a, r)
	if err != nil {
		return out, err
	}
	out.Steps = p.Steps
	if a.Verb == store.VerbProbe {
		return out, h.Ping(a.Ref)
	}
	id, err := h.ID(a.Ref)
	if err == nil {
		err = unseen(a, r.Mark)
	}
	if err != nil {
		return store.Outcome{}, err
	}
	if r.Observed != wants[a.Verb] {
		out.Waits = store.Sentence(a.Ref.Name + " is told over its control channel, and does it itself.")
	}
	var m store.Mark
	if a.Verb == store.VerbDisable {
		m = store.Mark{By: a.By.Name, Note: a.Note, At: a.At, Until: a.Until, Drain: a.Drain}
	}
	return out, h.AskMarked(ctx, store.Grant{Admin: true}, id, wants[a.Verb], m)
}

// justNow is how old somebody's mark may be to be one that another person cannot have seen, who does not say when they looked.
const justNow = time.Minute

// unseen is store.ErrConflict for a runner that somebody has disabled since whoever acts has looked at it. It may be deleted all the same.
func unseen(a store.Action, m store.Mark) error {
	since := !a.Looked.IsZero() && m.At.After(a.Looked)
	if a.Looked.IsZero() {
		since = a.Verb == store.VerbDisable && m.By != a.By.Name && a.At.Sub(m.At) <= justNow
	}
	same := a.Verb == store.VerbDisable && m.By == a.By.Name && m.Note == a.Note && m.Drain == a.Drain // this very action, before a crash
	if m.IsZero() || a.Verb == store.VerbDelete || !since || same {
		return nil
	}
	return fmt.Errorf("%w: %s was disabled by %s at %s, with the note %q; look at it, and %s it if that is still meant",
		store.ErrConflict, a.Ref, m.By, m.At.UTC().Format("15:04:05 UTC"), m.Note, a.Verb)
}

func object(r *store.Runner) store.Object { return store.Object{Kind: "runner", Name: r.Ref.Name} }

func noWay(a store.Action) error {
	return fmt.Errorf("%w: %s reports itself; it can be enabled, disabled, deleted and pinged, and nothing else of it is in reach", store.ErrInvalid, a.Ref)
}
