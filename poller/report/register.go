package report

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"time"

	"trackside/store"
)

// How much of what a runner says of itself is kept, in characters.
const (
	maxWord         = 120
	maxKey          = 4096
	maxCapabilities = 50
	maxCapacity     = 1_000_000
	maxEviction     = 10 * 365 * 24 * time.Hour
)

// DefaultSystem is what a runner is of that does not say: the protocol is Plue's.
const DefaultSystem = "plue"

// systemName is what a system may be called.
var systemName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Register takes a runner in, or hears again of one that is known, and hands it the task that waits for it. Plue's client has no
// heartbeat: it registers every five seconds while it is idle. A task that was handed out and never begun is handed out again, since
// the answer may have been lost. Errors: store.ErrInvalid, store.ErrForbidden, store.ErrConflict for a name that a runner of another namespace
// holds, and store.ErrUnavailable when there is no room, or when a task cannot be recorded as handed out.
func (s *Source) Register(ctx context.Context, g store.Grant, reg store.Registration) (store.Assignment, error) {
	if err := store.CheckName("pod_name", reg.Name); err != nil {
		return store.Assignment{}, err
	}
	if !g.Covers(reg.Name) {
		return store.Assignment{}, notCovered(reg.Name)
	}
	reg, err := tidy(g, reg)
	if err != nil {
		s.refuse(ctx, reg, err)
		return store.Assignment{}, err
	}
	a, news, err := s.enrol(reg, time.Now())
	if err != nil || !news {
		return a, err
	}
	if err := s.save(ctx); err != nil {
		if a.Task != nil {
			return store.Assignment{}, err
		}
		s.cfg.Log.Error("a registration is not saved; it is tried again", "runner", reg.Name, "error", store.ErrorText(err))
	}
	return a, nil
}

func notCovered(name string) error {
	return fmt.Errorf("%w: this token is not for the runner %q", store.ErrForbidden, name)
}

// tidy makes a registration fit to keep. Where it cannot, what it returns beside the error still names the runner.
func tidy(g store.Grant, r store.Registration) (store.Registration, error) {
	if g.System != "" {
		r.System = g.System
	}
	if r.System == "" {
		r.System = DefaultSystem
	}
	r.IP, r.UUID, r.Version = store.Clean(r.IP, maxWord), store.Clean(r.UUID, maxWord), store.NormalizeVersion(store.Clean(r.Version, maxWord))
	r.PublicKey = store.Clean(r.PublicKey, maxKey)
	r.Capabilities = slices.Clone(r.Capabilities[:min(len(r.Capabilities), maxCapabilities)])
	for i, c := range r.Capabilities {
		r.Capabilities[i] = store.Clean(c, maxWord)
	}
	switch {
	case r.Wrong != "":
		wrong := r.Wrong
		r.Wrong, r.Capacity, r.Eviction = "", 0, nil
		if !systemName.MatchString(r.System) {
			r.System = DefaultSystem
		}
		return r, fmt.Errorf("%w: %s", store.ErrInvalid, wrong)
	case !systemName.MatchString(r.System):
		bad := store.Clean(r.System, maxWord)
		r.System = DefaultSystem
		return r, fmt.Errorf("%w: system %q is not a word of lower-case letters, digits and hyphens", store.ErrInvalid, bad)
	case r.Capacity < 0 || r.Capacity > maxCapacity:
		return r, fmt.Errorf("%w: capacity %d is not between 0 and %d", store.ErrInvalid, r.Capacity, maxCapacity)
	case r.Eviction != nil && (*r.Eviction < 0 || *r.Eviction > maxEviction):
		return r, fmt.Errorf("%w: the eviction time is not between 0 and ten years", store.ErrInvalid)
	case r.Namespace == "-":
		r.Namespace = ""
	}
	if r.Namespace != "" {
		if err := store.CheckName("namespace", r.Namespace); err != nil {
			r.Namespace = ""
			return r, err
		}
	}
	r.Control = r.Control || r.System == "release"
	return r, nil
}

// refuse remembers why a runner that may report is not taken in, so that the board says so. One that is in already stays as it is.
func (s *Source) refuse(ctx context.Context, reg store.Registration, problem error) {
	now := time.Now()
	s.mu.Lock()
	r := s.byName[reg.Name]
	if r == nil {
		if len(s.byID) >= maxRunners {
			s.mu.Unlock()
			return
		}
		r = s.newRunner(reg, now)
		r.ProblemSince = now
	} else if r.Problem == "" {
		s.hear(r, now)
		s.mu.Unlock()
		return
	}
	news := r.Problem != store.Plain(problem)
	if news {
		r.Problem = store.Plain(problem)
		s.changed(r)
	}
	s.hear(r, now)
	s.mu.Unlock()
	if news {
		s.saveAll(ctx)
	}
}

// newRunner adds a runner. The caller holds mu.
func (s *Source) newRunner(reg store.Registration, now time.Time) *runner {
	r := &runner{Report: store.Report{ID: s.next.NextRunner, Registration: reg, Registered: now, Heard: now}}
	r.Incarnation = incarnation(reg)
	s.next.NextRunner++
	s.add(r)
	return r
}

// incarnation tells a process from its predecessor: by its UUID, or by the fact that it was not known.
func incarnation(reg store.Registration) string {
	if reg.UUID != "" {
		return reg.UUID
	}
	return rand.Text()
}

// changed notes that a runner is to be saved and looked at.
func (s *Source) changed(r *runner) {
	s.book.runner(r.ID)
	s.touch(r)
}

// enrol does what Register says, in memory; news says that something is to be saved before it is answered.
func (s *Source) enrol(reg store.Registration, now time.Time) (a store.Assignment, news bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byName[reg.Name]
	switch {
	case r == nil && len(s.byID) >= maxRunners:
		return a, false, fmt.Errorf("%w: %d runners report already, which is all there may be", store.ErrUnavailable, maxRunners)
	case r == nil:
		r, news = s.newRunner(reg, now), true
		s.changed(r)
	case s.held(r, reg, now):
		return a, false, fmt.Errorf("%w: pod_name %q is held by the runner in namespace %s, last heard %s ago, so the one in namespace %s is not taken in; "+
			"give one of them another pod_name, or try again when the other has been silent for %s", store.ErrConflict, r.Name, r.Namespace,
			store.Duration(now.Sub(r.Heard)), reg.Namespace, store.Duration(s.cfg.Lost))
	default:
		news = s.again(r, reg, now)
	}
	s.hear(r, now)
	if s.available(r, now) {
		news = s.assign(r, now) || news
	}
	a = store.Assignment{Runner: r.ID, Commands: s.tell(r)}
	if t := r.task; t != nil && t.Begun.IsZero() && r.Requested == store.Enabled {
		news = s.hand(r, t, now) || news
	}
	if t := r.task; t != nil && t.Begun.IsZero() && t.Handed > 0 {
		given := t.kept()
		a.Task = &given
	}
	return a, news, nil
}

// held reports whether a runner of another namespace has the name and still reports: then it is no move, but two that are called alike. One that
// carries a task and speaks only when that does is given the time that it is given before it counts as lost.
func (s *Source) held(r *runner, reg store.Registration, now time.Time) bool {
	if reg.Namespace == "" || r.Namespace == "" || reg.Namespace == r.Namespace || r.Problem != "" || r.Observed == store.Deleting {
		return false
	}
	limit := s.cfg.Lost
	if r.task != nil && !r.Beats && !r.Control {
		limit = max(limit, workLimit)
	}
	return now.Sub(s.basis(r)) < limit
}

// again is a registration of a runner that is known.
func (s *Source) again(r *runner, reg store.Registration, now time.Time) (news bool) {
	reborn := reg.UUID != "" && r.UUID != "" && reg.UUID != r.UUID || r.Observed == store.Deleting
	reg.Control = reg.Control || r.Control
	if reg.UUID == "" && !reborn {
		reg.UUID = r.UUID
	}
	if t := r.task; t != nil && !t.Begun.IsZero() {
		// A runner registers when it is idle: it has given up what it carried.
		s.finish(t, true, "The runner registered again without having finished it.", now)
		news = true
	}
	if sameRegistration(r.Registration, reg) && !reborn && r.Problem == "" && !r.Idle {
		return news
	}
	old := s.ref(r)
	r.Registration, r.Problem, r.ProblemSince, r.Idle = reg, "", time.Time{}, false
	if ref := s.ref(r); ref != old {
		delete(s.byRef, old)
		s.gone[old], s.byRef[ref] = struct{}{}, r
	}
	if reborn {
		s.rebear(r, now)
	}
	s.changed(r)
	return true
}

// rebear begins the life of another process under a runner's name. What was asked of the runner is asked of it too, but for a
// deletion that was carried out.
func (s *Source) rebear(r *runner, now time.Time) {
	r.Incarnation, r.Registered, r.Beats = incarnation(r.Registration), now, false
	if r.Observed == store.Deleting {
		r.Requested = store.Enabled
	}
	r.Observed, r.Commands = store.Enabled, nil
	s.instruct(r, r.Requested, now)
}

func sameRegistration(a, b store.Registration) bool {
	eviction := a.Eviction == nil && b.Eviction == nil || a.Eviction != nil && b.Eviction != nil && *a.Eviction == *b.Eviction
	return eviction && a.IP == b.IP && a.System == b.System && a.Namespace == b.Namespace && a.UUID == b.UUID && a.PublicKey == b.PublicKey &&
		a.Version == b.Version && a.Capacity == b.Capacity && a.Control == b.Control && slices.Equal(a.Capabilities, b.Capabilities)
}

// hear notes that a runner lives. Only one that was silent, or that nobody had heard since the start, makes news by it.
func (s *Source) hear(r *runner, now time.Time) {
	s.unawait(r)
	if r.unheard || r.late || !r.Lost.IsZero() {
		if !r.Lost.IsZero() {
			r.Lost = time.Time{}
			s.book.runner(r.ID)
		}
		r.unheard, r.late = false, false
		s.touch(r)
	}
	r.Heard = now
	s.book.heard[r.ID] = struct{}{}
	s.arm(r, now.Add(s.cfg.Late))
}

// Hear takes a heartbeat, and returns what the runner has not acknowledged. A runner that nobody knows is answered as Plue answers it,
// without complaint, and is not made: only a registration does that. Digital.ai's runner may say that it is idle or ready.
func (s *Source) Hear(_ context.Context, g store.Grant, name, state string) ([]store.Command, error) {
	if !g.Covers(name) {
		return nil, notCovered(name)
	}
	if state != "" && state != "idle" && !store.SaysHealthy(state) {
		return nil, fmt.Errorf("%w: state %q is not idle or ready", store.ErrInvalid, store.Clean(state, maxWord))
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byName[name]
	if r == nil {
		s.cfg.Log.Debug("a heartbeat of a runner that has not registered", "runner", store.Clean(name, maxWord))
		return nil, nil
	}
	s.hear(r, now)
	idle := state == "idle" || state == "" && r.Idle
	if idle != r.Idle || !r.Beats {
		r.Idle, r.Beats = idle, true
		s.changed(r)
	}
	if s.available(r, now) && len(s.queue) > 0 {
		s.assign(r, now)
	}
	return s.tell(r), nil
}
