// Package report is the source of runners that report themselves: on a VM, under Nomad, or as the pods of a control plane. It
// knows no HTTP: package handlers speaks Plue's protocol and the control channel, and calls it.
//
// Sources: the four calls and their fields, the 30 s and 60 s of Plue, and the life of Digital.ai's runner with its commands
// over SSE were read in evmts/agent (server/routes/internal.zig, db/daos/workflows.zig, runner/streaming.py, runner/main.py) and in
// docs.digital.ai (Release remote runner).
//
// A report is not news. A runner says every few seconds that it lives; that moves a time in memory and nothing else. News is what
// comes out: it registered, it is late, it is lost, it carries a task, the task ended. When it is next to be looked at stands in
// a heap, or, once it wants attention, in its verdict's Next: nothing walks through the fleet.
package report

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"trackside/store"
)

// SourceName is the name of the source on the board.
const SourceName = "Reports"

// The limits of silence, as Plue has them, and how long what is over stays on the board.
const (
	DefaultLate = 30 * time.Second
	DefaultLost = 60 * time.Second
	// DefaultForget is when a runner that is lost leaves the board. Its history stays.
	DefaultForget = 24 * time.Hour
	// workLimit is how long a runner that sends no heartbeats may be silent while it carries a task: Plue's pods have an hour.
	workLimit = time.Hour
	// registerGrace is how long a runner may be refused before that is a failure.
	registerGrace = time.Minute
	// taskLinger is how long a task that ended is shown, and taskNews how long a failed one is its runner's trouble.
	taskLinger = time.Hour
	taskNews   = 10 * time.Minute
	// keptTasks bounds the ended tasks that are shown of one runner.
	keptTasks = 10
	// maxRunners and maxQueue bound what clients can fill.
	maxRunners = 10_000
	maxQueue   = 10_000
	// maxHanded is how often a task is handed out that never begins.
	maxHanded = 3
)

// Book keeps what must outlive the process. SaveReports is all or nothing, and may be repeated.
type Book interface {
	SaveReports(ctx context.Context, b store.ReportBook) error
	Reports(ctx context.Context) (store.ReportBook, error)
	ReportToken(ctx context.Context, id string) (store.ReportToken, error)
}

// Config of a source.
type Config struct {
	// Alias is the cluster under which its runners stand on the board.
	Alias string
	// Late is the silence after which a runner is given no work, Lost that after which it counts as lost, and Forget that after which a
	// lost one leaves the board. 0 means the default. Pings are sent three times within Late.
	Late, Lost, Forget time.Duration
	// Open takes reports without a token.
	Open bool
	// ReadOnly asks nothing of runners: nobody can, and no mark ends.
	ReadOnly bool
	// Tended is told of what was asked of a runner with a token, or because its time was over; it may be nil.
	Tended func(context.Context, store.Entry)
	Book   Book
	Log    *slog.Logger
	// Heard is told that the source is at work; Live.Hear is one.
	Heard func(cluster string, t time.Time)
}

// runner is one that reports, as it is in memory.
type runner struct {
	store.Report
	// unheard says that it has said nothing since the program started.
	unheard bool
	// stands says that it stands on the board as it was restored, until it speaks, is late, or something is asked of it.
	stands bool
	// awaited says that it was restored in service, so that the source waits for it to speak or to be late.
	awaited bool
	// late says that it was silent beyond the first limit when last looked at.
	late bool
	// due is its entry in the heap; zero for none.
	due time.Time
	// task is what it carries, nil for nothing; ended are the latest that ended, oldest first.
	task    *task
	ended   []*task
	channel *channel
	// told is the id of the latest command that was sent to it.
	told int64
}

// Source holds the runners that report. Its methods may be called by several goroutines.
type Source struct {
	cfg     Config
	wake    chan struct{}
	rearm   chan struct{}
	saving  chan struct{} // held by whoever writes to the book
	started time.Time
	tokens  tokens

	mu      sync.Mutex
	byName  map[string]*runner
	byID    map[int64]*runner
	byRef   map[store.Ref]*runner
	tasks   map[int64]*task
	queue   []*task // those that wait for a runner, oldest first
	book    dirt
	next    store.ReportBook // its two ids only
	due     dueHeap
	touched map[store.Ref]struct{}
	gone    map[store.Ref]struct{}
	// waiting counts restored runners that may yet speak before they are late.
	waiting int
	synced  bool
	// shown says that the source stands on the board.
	shown   bool
	source  store.Source
	closed  chan struct{}
	command int64
	// untold are the entries of marks that have ended and are not in the audit yet.
	untold []store.Entry
}

// Alias is the cluster under which its runners stand on the board.
func (s *Source) Alias() string { return s.cfg.Alias }

// Reports implements poller.Reporter.
func (s *Source) Reports() string { return s.cfg.Alias }

// New reads back the runners that reported before. Errors are those of the book.
func New(ctx context.Context, cfg Config) (*Source, error) {
	cfg.Late, cfg.Lost, cfg.Forget = orElse(cfg.Late, DefaultLate), orElse(cfg.Lost, DefaultLost), orElse(cfg.Forget, DefaultForget)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Heard == nil {
		cfg.Heard = func(string, time.Time) {}
	}
	if cfg.Tended == nil {
		cfg.Tended = func(context.Context, store.Entry) {}
	}
	kept, err := cfg.Book.Reports(ctx)
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, wake: make(chan struct{}, 1), rearm: make(chan struct{}, 1), saving: make(chan struct{}, 1), started: time.Now(),
		byName: map[string]*runner{}, byID: map[int64]*runner{}, byRef: map[store.Ref]*runner{}, tasks: map[int64]*task{}, book: newDirt(),
		touched: map[store.Ref]struct{}{}, gone: map[store.Ref]struct{}{}, closed: make(chan struct{})}
	s.tokens.book = cfg.Book
	s.next = store.ReportBook{NextRunner: max(1, kept.NextRunner), NextTask: max(1, kept.NextTask)}
	s.restore(kept)
	return s, nil
}

func orElse(d, standard time.Duration) time.Duration {
	if d <= 0 {
		return standard
	}
	return d
}

// restore takes over what was kept. Nobody is late for the time we were away: silence counts from now on.
func (s *Source) restore(kept store.ReportBook) {
	for _, x := range kept.Runners {
		r := &runner{Report: x, unheard: true}
		s.add(r)
		if n := len(r.Commands); n > 0 { // whether they were sent is not known: they may have been
			r.told = r.Commands[n-1].ID
			s.command = max(s.command, r.told)
		}
		if r.Lost.IsZero() && r.Observed == store.Enabled && r.Problem == "" {
			r.awaited = true
			s.waiting++
		}
		r.stands = r.awaited || r.Observed == store.Disabled
		s.arm(r, s.started.Add(s.cfg.Late))
	}
	for _, x := range kept.Tasks {
		t := newTask(x)
		s.tasks[t.ID] = t
		r := s.byID[t.Runner]
		switch {
		case r == nil && t.Ended.IsZero():
			t.Runner = 0
			s.queue = append(s.queue, t)
		case r == nil:
			s.dropTask(t)
		case t.Ended.IsZero():
			r.task = t
		default:
			r.ended = append(r.ended, t)
		}
	}
	for _, r := range s.byID {
		sortTasks(r.ended)
	}
}

func (s *Source) add(r *runner) {
	s.byName[r.Name], s.byID[r.ID], s.byRef[s.ref(r)] = r, r, r
}

// ref is where a runner stands on the board.
func (s *Source) ref(r *runner) store.Ref {
	return store.Ref{Cluster: s.cfg.Alias, System: r.System, Namespace: r.Namespace, Name: r.Name}
}

// Wake implements poller.Source.
func (s *Source) Wake() <-chan struct{} { return s.wake }

// touch has a runner looked at anew.
func (s *Source) touch(r *runner) {
	s.touched[s.ref(r)] = struct{}{}
	s.signal()
}

func (s *Source) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

const (
	// aliveEvery is the pace at which the source says that it is at work; saveEvery, at which it saves who was heard.
	aliveEvery = 2 * time.Second
	saveEvery  = 30 * time.Second
)

// Run implements poller.Source: it looks at the runners that are due, and saves now and then. At the end it closes the control channels.
func (s *Source) Run(ctx context.Context) error {
	defer func() { close(s.closed) }()
	alive, save := time.NewTicker(aliveEvery), time.NewTicker(saveEvery)
	defer alive.Stop()
	defer save.Stop()
	for {
		s.tellAudit(ctx)
		timer := time.NewTimer(s.fire(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			s.tellAudit(context.WithoutCancel(ctx))
			s.saveAll(context.WithoutCancel(ctx))
			return nil
		case <-timer.C:
		case <-s.rearm:
		case <-alive.C:
			s.alive(time.Now())
		case <-save.C:
			s.saveAll(ctx)
		}
		timer.Stop()
	}
}

// alive says that the source is at work, unless it still waits for what it restored.
func (s *Source) alive(now time.Time) {
	s.mu.Lock()
	waiting := s.waiting
	s.mu.Unlock()
	if waiting == 0 {
		s.cfg.Heard(s.cfg.Alias, now)
	}
}

// Observe implements poller.Source.
func (s *Source) Observe(prev *store.Snapshot, due []store.Ref, now time.Time) (t store.Touched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sync(prev)
	for _, ref := range due {
		if ref.Cluster == s.cfg.Alias {
			s.touched[ref] = struct{}{}
			s.unmark(ref, now)
		}
	}
	for ref := range s.touched {
		r := s.byRef[ref]
		if r == nil {
			continue
		}
		if _, err := prev.Runner(ref); err == nil && r.stands {
			continue // what was restored stands until the runner speaks, or is late
		}
		if s.over(r, now) {
			s.forget(r)
			continue
		}
		t.Runners = append(t.Runners, s.observe(r, now))
	}
	for ref := range s.gone {
		if s.byRef[ref] == nil {
			t.Gone = append(t.Gone, ref)
		}
	}
	clear(s.touched)
	clear(s.gone)
	t.Sources = s.freshness(now)
	return t
}

// sync compares, once, what the board restored with what is kept here: a process that was killed may have saved one and not the other.
func (s *Source) sync(prev *store.Snapshot) {
	if s.synced {
		return
	}
	s.synced = true
	_, s.shown = prev.Source(s.cfg.Alias, SourceName)
	for r := range prev.Runners() {
		if r.Ref.Cluster == s.cfg.Alias && s.byRef[r.Ref] == nil {
			s.gone[r.Ref] = struct{}{}
		}
	}
	for ref, r := range s.byRef {
		if _, err := prev.Runner(ref); err != nil || !r.stands {
			s.touched[ref] = struct{}{}
		}
	}
}

// waits says how much work waits for a runner, and for how long; blank when none does.
func (s *Source) waits() store.Sentence {
	switch n := len(s.queue); n {
	case 0:
		return ""
	case 1:
		return store.Sentence("1 task waits for a runner, for " + store.For(s.queue[0].Queued))
	default:
		return store.Sentence(strconv.Itoa(n) + " tasks wait for a runner, the oldest for " + store.For(s.queue[0].Queued))
	}
}

// freshness is the source itself, when its state or what waits has changed. It is not on the board before the first runner or task is.
func (s *Source) freshness(now time.Time) []store.Source {
	state, problem := store.SourceLive, ""
	if s.waiting > 0 {
		state, problem = store.SourceRestored, "Trackside has just started; not all runners have reported since."
	}
	note := s.waits()
	s.shown = s.shown || len(s.byID) > 0 || note != ""
	if !s.shown || s.source.State == state && s.source.Note == note {
		return nil
	}
	since := now
	if s.source.State == state {
		since = s.source.Since
	}
	s.source = store.Source{Cluster: s.cfg.Alias, Name: SourceName, State: state, Since: since, Heard: now, Problem: problem, Note: note,
		Scope: "runners that report themselves to /internal/runners/register"}
	if state == store.SourceRestored {
		s.source.Heard = s.lastHeard()
	} else {
		s.cfg.Heard(s.cfg.Alias, now)
	}
	return []store.Source{s.source}
}

func (s *Source) lastHeard() (latest time.Time) {
	for _, r := range s.byID {
		if r.Heard.After(latest) {
			latest = r.Heard
		}
	}
	return latest
}
