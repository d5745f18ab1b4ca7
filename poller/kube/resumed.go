package kube

import (
	"fmt"
	"slices"
	"time"

	"trackside/store"
)

// overtaken is store.ErrConflict for an action that was begun before the board started, where the objects show that it may have been done and undone
// since, or that somebody has disabled the runner since: by another board, or by another runner of the same objects. The audit of this one
// need not know of it.
func (h *hand) overtaken(a store.Action, grips []*grip) error {
	if !a.Resumed || len(grips) == 0 {
		return nil
	}
	for _, g := range grips {
		if g.marked && !g.broken && g.mark.Key != a.Key && g.mark.At.After(a.At) {
			return disabledSince(g, fmt.Sprintf("%s it if that is still meant", a.Verb))
		}
	}
	lead := grips[0] // is marked first, and is unmarked last
	at := lead.changedByBoard()
	if a.Verb != store.VerbDisable || slices.ContainsFunc(grips, func(g *grip) bool { return g.marked }) || !at.After(a.At) {
		return nil
	}
	return fmt.Errorf("%w: %s was changed by a board at %s, after this was begun, and bears no mark: it may have been disabled and brought back; look at it, and disable it again if that is still meant",
		store.ErrConflict, lead.name(), at.UTC().Format("15:04:05 UTC"))
}

// changedByBoard is when a board last changed an object, as its managed fields tell; zero when none has.
func (g *grip) changedByBoard() (last time.Time) {
	for _, f := range g.live.GetManagedFields() {
		if f.Manager == fieldManager && f.Time != nil && f.Time.After(last) {
			last = f.Time.Time
		}
	}
	return last
}
