package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trackside/store"
)

// channel is one runner's open control channel.
type channel struct {
	wake chan struct{}
	over chan struct{}
	once sync.Once
	// last is the latest command that was sent on it, or that the runner had before.
	last int64
	// ping says that somebody wants one now.
	ping atomic.Bool
}

func (c *channel) end() { c.once.Do(func() { close(c.over) }) }

func (c *channel) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Control speaks to a runner until the context ends, send fails, another channel of the runner takes over, or the runner has
// acknowledged that it is disabled. last is the id of the latest command the runner has seen, 0 for none: what came after it, and was not
// acknowledged, is sent first. A ping goes out at once and then three times within the limit of silence.
func (s *Source) Control(ctx context.Context, g store.Grant, id, last int64, send func(store.Command) error) error {
	r, c, err := s.open(g, id, last)
	if err != nil {
		return err
	}
	defer s.shut(r, c)
	ping := time.NewTicker(s.cfg.Late / 3)
	defer ping.Stop()
	for due := true; ; {
		for _, cmd := range s.unsent(r, c, due) {
			if err := send(cmd); err != nil {
				return err
			}
		}
		due = false
		select {
		case <-ctx.Done():
			return nil
		case <-c.over:
			return nil
		case <-s.closed:
			return nil
		case <-c.wake:
			due = c.ping.Swap(false)
		case <-ping.C:
			due = true
		}
	}
}

func (s *Source) open(g store.Grant, id, last int64) (*runner, *channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.runner(id)
	switch {
	case err != nil:
		return nil, nil, err
	case !g.Covers(r.Name):
		return nil, nil, notCovered(r.Name)
	}
	if r.channel != nil {
		r.channel.end()
	}
	c := &channel{wake: make(chan struct{}, 1), over: make(chan struct{}), last: last}
	r.channel = c
	if !r.Control || r.Idle {
		r.Control, r.Idle = true, false
		s.changed(r)
	}
	s.hear(r, time.Now())
	return r, c, nil
}

// shut notes that a channel is closed. A runner that was being deleted has exited.
func (s *Source) shut(r *runner, c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.channel != c {
		return
	}
	r.channel = nil
	if r.Observed == store.Deleting && s.byID[r.ID] == r {
		s.forget(r)
	}
}

func (s *Source) runner(id int64) (*runner, error) {
	r := s.byID[id]
	if r == nil {
		return nil, fmt.Errorf("%w: no runner %d is registered; register, and use the runner_id of the answer", store.ErrNotFound, id)
	}
	return r, nil
}

// unsent are the commands that the channel has not sent, and a ping if one is due.
func (s *Source) unsent(r *runner, c *channel, ping bool) (out []store.Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cmd := range r.Commands {
		if cmd.ID > c.last {
			out = append(out, cmd)
			c.last, r.told = cmd.ID, max(r.told, cmd.ID)
		}
	}
	if ping {
		cmd := store.Command{ID: s.commandID(), Event: store.CommandPing, At: time.Now()}
		c.last = cmd.ID
		out = append(out, cmd)
	}
	return out
}

// tell is what a runner without an open channel is told with an answer.
func (s *Source) tell(r *runner) []store.Command {
	if n := len(r.Commands); n > 0 {
		r.told = max(r.told, r.Commands[n-1].ID)
	}
	return slices.Clone(r.Commands)
}

// commandID is greater than every id before it, those before a restart included.
func (s *Source) commandID() int64 {
	s.command = max(s.command+1, time.Now().UnixMilli())
	return s.command
}

// Acknowledge notes that a runner did what it was told, that and everything before it. A ping it answers by its id too; what is not
// known, such as a command that another has overtaken, only says that it lives.
func (s *Source) Acknowledge(ctx context.Context, g store.Grant, id, command int64) error {
	now := time.Now()
	s.mu.Lock()
	r, err := s.runner(id)
	if err == nil && !g.Covers(r.Name) {
		err = notCovered(r.Name)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.hear(r, now)
	i := slices.IndexFunc(r.Commands, func(c store.Command) bool { return c.ID == command })
	if i < 0 {
		s.mu.Unlock()
		return nil
	}
	done := r.Commands[i]
	r.Commands = slices.Clone(r.Commands[i+1:])
	r.Observed = stateOf(done.Event)
	if r.Observed == store.Disabled && r.channel != nil && len(r.Commands) == 0 {
		r.channel.end()
	}
	s.changed(r)
	if r.Observed == store.Enabled {
		s.dispatch(now)
	}
	s.mu.Unlock()
	return s.save(ctx)
}

func stateOf(event string) store.State {
	switch event {
	case store.CommandDisable:
		return store.Disabled
	case store.CommandDelete:
		return store.Deleting
	}
	return store.Enabled
}

func eventOf(st store.State) string {
	switch st {
	case store.Disabled:
		return store.CommandDisable
	case store.Deleting:
		return store.CommandDelete
	case store.Enabled:
	}
	return store.CommandEnable
}

// ID is the number of the runner that stands on the board under a reference; store.ErrNotFound if none does.
func (s *Source) ID(ref store.Ref) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byRef[ref]; r != nil {
		return r.ID, nil
	}
	return 0, fmt.Errorf("%w: no runner %s reports itself", store.ErrNotFound, ref)
}

// Away is the number of the runner that reports itself under the name, and from the namespace, of one that a cluster shows, and that was asked to
// be disabled; store.ErrNotFound if there is none.
func (s *Source) Away(ref store.Ref) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byName[ref.Name]
	if r == nil || r.System != ref.System || r.Namespace != "" && r.Namespace != ref.Namespace || r.Requested != store.Disabled {
		return 0, fmt.Errorf("%w: no runner that reports itself is %s and disabled", store.ErrNotFound, ref)
	}
	return r.ID, nil
}

// Ask asks a runner to be in a state for the bearer of a token, and tells the audit. It returns when that is recorded, and not when it is done: the board shows what was asked for
// beside what is, until the runner has acknowledged it. A runner without a control channel need not be told to be disabled: it
// is given no work. It cannot be told to exit: then deleting it is store.ErrConflict, unless it is silent.
func (s *Source) Ask(ctx context.Context, g store.Grant, id int64, want store.State) error {
	var m store.Mark
	by, now := "report token "+g.Name, time.Now()
	if want == store.Disabled {
		m = store.Mark{By: by, At: now}
	}
	e, known := s.entry(id, want)
	err := s.AskMarked(ctx, g, id, want, m)
	if !known || !g.Admin || s.cfg.ReadOnly {
		return err
	}
	e.At, e.Ended, e.By, e.Result = now, time.Now(), store.Person{Name: by, Via: store.ViaToken}, store.ResultDone
	if err != nil {
		e.After, e.Result, e.Problem = "", store.ResultFailed, store.ErrorText(err)
		if errors.Is(err, store.ErrConflict) {
			e.Result = store.ResultRefused
		}
	}
	s.cfg.Tended(context.WithoutCancel(ctx), e)
	return err
}

// entry is what the audit is to hold of asking a runner to be in a state; false for a runner that nobody knows.
func (s *Source) entry(id int64, want store.State) (store.Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[id]
	if r == nil {
		return store.Entry{}, false
	}
	return store.Entry{Verb: eventOf(want), Ref: s.ref(r), Before: r.Observed.String(), After: askedTo(want)}, true
}

// askedTo words what a runner is asked.
func askedTo(want store.State) string {
	if want == store.Deleting {
		return "asked to exit"
	}
	return "asked to be " + want.String()
}

// AskMarked is Ask by somebody who says who they are, why, and until when: then the runner is asked to be enabled again.
func (s *Source) AskMarked(ctx context.Context, g store.Grant, id int64, want store.State, m store.Mark) error {
	if !g.Admin {
		return notAdmin("change runners")
	}
	if s.cfg.ReadOnly {
		return fmt.Errorf("%w: this board was started with --read-only, so runner %d cannot be %s here; start it without", store.ErrForbidden, id, askedTo(want))
	}
	now := time.Now()
	s.mu.Lock()
	r, err := s.runner(id)
	if err == nil {
		err = s.ask(r, want, now)
	}
	if err == nil {
		r.Mark = m
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.save(ctx)
}

func (s *Source) ask(r *runner, want store.State, now time.Time) error {
	silent := !r.Lost.IsZero() || r.late
	switch {
	case want == store.Deleting && silent:
		s.forget(r) // there is nobody to be told
		return nil
	case want == store.Deleting && !r.Control:
		return fmt.Errorf("%w: %s has no control channel, so it cannot be told to exit; stop its process, and delete it when it is silent", store.ErrConflict, r.Name)
	case r.Requested == store.Deleting && want != store.Deleting:
		return fmt.Errorf("%w: %s is being deleted", store.ErrConflict, r.Name)
	}
	s.unawait(r)
	r.Requested = want
	s.instruct(r, want, now)
	if t := r.task; want != store.Enabled && t != nil && t.Handed == 0 {
		s.release(r)
		s.dispatch(now)
	}
	s.settle(r)
	s.changed(r)
	if want == store.Enabled {
		s.dispatch(now)
	}
	return nil
}

// unmark asks a runner to be enabled whose mark has ended. It is called with the lock held; what it changes is saved soon, and found again after
// a crash before that.
func (s *Source) unmark(ref store.Ref, now time.Time) {
	r := s.byRef[ref]
	if s.cfg.ReadOnly || r == nil || r.Mark.Until.IsZero() || now.Before(r.Mark.Until) {
		return
	}
	by := r.Mark.By
	r.Mark = store.Mark{}
	if r.Requested == store.Disabled {
		s.untold = append(s.untold, store.Entry{At: now, Ended: now, By: store.Person{Name: tender}, Verb: store.CommandEnable, Ref: ref, Note: "its time was over; disabled by " + by,
			Before: r.Observed.String(), After: askedTo(store.Enabled), Result: store.ResultDone})
		s.stir()
		_ = s.ask(r, store.Enabled, now) // who is disabled can always be asked back
	}
	s.changed(r)
}

// tender is who ends marks, as the audit names it.
const tender = "trackside"

// tellAudit tells the audit which marks have ended.
func (s *Source) tellAudit(ctx context.Context) {
	s.mu.Lock()
	untold := s.untold
	s.untold = nil
	s.mu.Unlock()
	for _, e := range untold {
		s.cfg.Tended(ctx, e)
	}
}

// instruct makes the command that brings a runner to a state, unless it is on its way there. A command that it contradicts and that was
// never sent is dropped.
func (s *Source) instruct(r *runner, want store.State, now time.Time) {
	if !r.Control {
		return
	}
	for n := len(r.Commands); n > 0 && r.Commands[n-1].ID > r.told && stateOf(r.Commands[n-1].Event) != want; n-- {
		r.Commands = slices.Clone(r.Commands[:n-1])
	}
	heading := r.Observed
	if n := len(r.Commands); n > 0 {
		heading = stateOf(r.Commands[n-1].Event)
	}
	if heading != want {
		r.Commands = append(slices.Clone(r.Commands), store.Command{ID: s.commandID(), Event: eventOf(want), At: now})
	}
	if r.channel != nil {
		r.channel.signal()
	}
}

// settle brings a runner without a control channel to what was asked for: it is disabled when it carries no task.
func (s *Source) settle(r *runner) {
	if r.Control || r.Observed == r.Requested || r.Requested == store.Disabled && r.task != nil {
		return
	}
	r.Observed = r.Requested
	s.changed(r)
}

// Ping has a runner with an open control channel asked at once whether it lives. Without one it is store.ErrConflict: nobody can be asked.
func (s *Source) Ping(ref store.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byRef[ref]
	switch {
	case r == nil:
		return fmt.Errorf("%w: no runner %s reports itself", store.ErrNotFound, ref)
	case r.channel == nil:
		return fmt.Errorf("%w: %s has no control channel open, so it cannot be pinged; it is heard when it reports", store.ErrConflict, r.Name)
	}
	r.channel.ping.Store(true)
	r.channel.signal()
	return nil
}
