package report_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trackside/poller"
	"trackside/poller/report"
	"trackside/store"
)

// book is a Book in memory, whose disk can fail. What it holds is what a restart would find.
type book struct {
	mu       sync.Mutex
	runners  map[int64]store.Report
	tasks    map[int64]store.Task
	next     [2]int64
	tokens   map[string]store.ReportToken
	err      error
	saves    int
	rows     int
	lookedUp int
}

func newBook() *book {
	return &book{runners: map[int64]store.Report{}, tasks: map[int64]store.Task{}, tokens: map[string]store.ReportToken{}}
}

func (b *book) SaveReports(_ context.Context, x store.ReportBook) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.saves++
	b.rows += len(x.Runners) + len(x.Tasks)
	for _, r := range x.Runners {
		b.runners[r.ID] = r
	}
	for _, t := range x.Tasks {
		b.tasks[t.ID] = t
	}
	for id, at := range x.Heard {
		r := b.runners[id]
		r.Heard = at
		b.runners[id] = r
	}
	for _, id := range x.GoneRunners {
		delete(b.runners, id)
	}
	for _, id := range x.GoneTasks {
		delete(b.tasks, id)
	}
	b.next = [2]int64{x.NextRunner, x.NextTask}
	return nil
}

func (b *book) Reports(context.Context) (store.ReportBook, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := store.ReportBook{NextRunner: b.next[0], NextTask: b.next[1]}
	out.Runners = slices.Collect(maps.Values(b.runners))
	out.Tasks = slices.Collect(maps.Values(b.tasks))
	slices.SortFunc(out.Runners, func(x, y store.Report) int { return int(x.ID - y.ID) })
	slices.SortFunc(out.Tasks, func(x, y store.Task) int { return int(x.ID - y.ID) })
	return out, nil
}

func (b *book) ReportToken(_ context.Context, id string) (store.ReportToken, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lookedUp++
	if t, ok := b.tokens[id]; ok {
		return t, nil
	}
	return store.ReportToken{}, fmt.Errorf("%w: no token", store.ErrNotFound)
}

func (b *book) fail(err error) { b.mu.Lock(); defer b.mu.Unlock(); b.err = err }

func (b *book) written() (saves, rows int) { b.mu.Lock(); defer b.mu.Unlock(); return b.saves, b.rows }

// disk records publications and remembers the last, as the data file does for a restart.
type disk struct {
	mu   sync.Mutex
	last *store.Snapshot
	rows int
}

func (d *disk) Record(_ context.Context, s *store.Snapshot, changes []store.Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = s
	d.rows += len(changes)
	return nil
}

func (d *disk) count() int { d.mu.Lock(); defer d.mu.Unlock(); return d.rows }

// world is a running board with nothing but reports. It lives inside a synctest bubble.
type world struct {
	t      *testing.T
	book   *book
	disk   *disk
	live   *store.Live
	source *report.Source
	cancel context.CancelFunc
	ended  chan struct{}
	// readOnly holds from the next start on; told is the audit, to be read when the bubble is quiet.
	readOnly bool
	mu       sync.Mutex
	told     []store.Entry
}

// tended is a Config's Tended.
func (w *world) tended(_ context.Context, e store.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, e)
}

var (
	anyone = store.Grant{Any: true}
	admin  = store.Grant{Admin: true, Name: "ops"}
)

func newWorld(t *testing.T) *world {
	w := &world{t: t, book: newBook(), disk: &disk{}}
	w.start()
	return w
}

// start begins the program, anew after stop: what it knows is what book and disk hold.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.live, w.cancel, w.ended = store.NewLive(w.disk.last), cancel, make(chan struct{})
	s, err := report.New(ctx, report.Config{Alias: "reported", Open: true, ReadOnly: w.readOnly, Tended: w.tended, Book: w.book, Log: slog.New(slog.DiscardHandler), Heard: w.live.Hear})
	if err != nil {
		w.t.Fatal(err)
	}
	w.source = s
	p := poller.New(w.live, w.disk, slog.New(slog.DiscardHandler), nil, s)
	go func() { defer close(w.ended); _ = p.Run(ctx) }()
	synctest.Wait()
}

func (w *world) stop() { w.cancel(); <-w.ended }

// restart ends the program, lets it be away, and starts it again.
func (w *world) restart(away time.Duration) { w.stop(); time.Sleep(away); w.start() }

// pass lets time go by, and publications that wait for quiet come out.
func (w *world) pass(d time.Duration) { time.Sleep(d + 2*poller.Ceiling); synctest.Wait() }

func (w *world) register(r store.Registration) store.Assignment {
	w.t.Helper()
	a, err := w.source.Register(context.Background(), anyone, r)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) beat(name string) []store.Command {
	w.t.Helper()
	cmds, err := w.source.Hear(context.Background(), anyone, name, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return cmds
}

func (w *world) queue(kind string) store.Task {
	w.t.Helper()
	t, err := w.source.Queue(context.Background(), admin, store.Task{Type: kind, Config: []byte(`{"a":1}`)})
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) event(task int64, e store.TaskEvent) {
	w.t.Helper()
	if err := w.source.Event(context.Background(), anyone, task, e); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ask(id int64, want store.State) {
	w.t.Helper()
	if err := w.source.Ask(context.Background(), admin, id, want); err != nil {
		w.t.Fatal(err)
	}
}

func plue(name string) store.Registration { return store.Registration{Name: name, IP: "10.0.0.1"} }

// runner is what the board shows of one; nil if it shows none.
func (w *world) runner(name string) *store.Runner {
	for r := range w.live.Current().Runners() {
		if r.Ref.Name == name {
			return r
		}
	}
	return nil
}

func fact(r *store.Runner, name string) string {
	for _, f := range r.Facts {
		if f.Name == name {
			return f.Value.At(time.Now())
		}
	}
	return ""
}

// wants checks a runner's health, its state in a word, and parts of its sentence.
func (w *world) wants(name string, h store.Health, state string, words ...string) {
	w.t.Helper()
	r := w.runner(name)
	if r == nil {
		w.t.Fatalf("the board does not show %s", name)
	}
	why := r.Why.At(time.Now())
	if r.Health != h || fact(r, "State") != state {
		w.t.Fatalf("%s is %s and %q (%s), want %s and %q", name, r.Health, fact(r, "State"), why, h, state)
	}
	for _, x := range words {
		if !contains(why, x) {
			w.t.Errorf("%s: %q does not say %q", name, why, x)
		}
	}
}
