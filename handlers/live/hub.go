package live

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"trackside/store"
)

// Options of a Hub; a zero field means its default.
type Options struct {
	// Beat is how long a stream may be quiet before it carries a heartbeat: 2 s. A busy stream carries one every second beat.
	Beat time.Duration
	// Linger is how long a view outlives its last viewer: 5 s, for a page that is reloaded.
	Linger time.Duration
	// Views is how many distinct views there may be: 512.
	Views int
	// Queue is how many frames a viewer may be behind before it is sent the whole page instead: 16.
	Queue int
	// WriteTimeout is how long a browser may take nothing before its stream is cut: 10 s.
	WriteTimeout time.Duration
	// Log gets what went wrong; the default logger.
	Log *slog.Logger
	// Rendered is told how long each rendering took, of what "patch" or "full".
	Rendered func(what string, took time.Duration)
	// Published is told how long after its snapshot was made a step was in the queues.
	Published func(took time.Duration)
}

// tick is how often heartbeats, evictions and staleness are looked at: one timer for all views and viewers.
const tick = 500 * time.Millisecond

// StaleAfter is the age of the data at which every page says so: one of the sources' probes, at 2 s, missed, and the next one due.
const StaleAfter = 4 * time.Second

// PerBrowser is how many streams one browser may hold over HTTP/1.1. It allows itself six connections to a host, so two remain for
// pages, and a tab beyond it polls: see [Hub.Serve].
const PerBrowser = 4

// Stats are the hub's counts: the first three are of now, the others since the start.
type Stats struct {
	Viewers, Views, Idle int
	// Frames and Bytes were written to viewers; Polls were answered; Dropped viewers took nothing for too long; Lagged ones fell behind and
	// were sent the whole page; Refused ones found every view taken.
	Frames, Bytes, Polls, Dropped, Lagged, Refused uint64
}

// Hub sends the pages' changes to their viewers.
type Hub struct {
	live *store.Live
	opts Options
	boot string // tells this run's event ids from another's

	// mu orders steps against viewers that come and go; it guards what follows.
	mu       sync.Mutex
	views    map[string]*view
	browsers map[string]int
	viewers  int
	closed   bool

	// snap is the newest snapshot that went into the queues. It is set before the queues are filled: a viewer that
	// renders it after joining, or after it stopped owing, has missed nothing, and skips what the queue holds of it.
	snap  atomic.Pointer[store.Snapshot]
	beat  atomic.Pointer[Frame]
	beats uint64
	stale bool

	frames, bytes, polls, dropped, lagged, refused atomic.Uint64

	stop chan struct{}
	done chan struct{}
}

// NewHub starts a hub; Close ends it.
func NewHub(l *store.Live, o Options) *Hub {
	o.Beat = cmp.Or(o.Beat, 2*time.Second)
	o.Linger = cmp.Or(o.Linger, 5*time.Second)
	o.Views = cmp.Or(o.Views, 512)
	o.Queue = cmp.Or(o.Queue, 16)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Rendered == nil {
		o.Rendered = func(string, time.Duration) {}
	}
	if o.Published == nil {
		o.Published = func(time.Duration) {}
	}
	h := &Hub{live: l, opts: o, boot: rand.Text()[:8], views: map[string]*view{}, browsers: map[string]int{},
		stop: make(chan struct{}), done: make(chan struct{})}
	snap, sub := l.Subscribe()
	h.snap.Store(snap)
	h.pulse(time.Now())
	go h.follow(sub)
	return h
}

func (h *Hub) follow(sub *store.Subscription) {
	defer close(h.done)
	defer sub.Close()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-sub.Wake():
			h.step()
		case now := <-t.C:
			h.pulse(now)
		}
	}
}

// Close ends every stream at once and waits until the hub has stopped. It may be called again.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.stop)
		for _, v := range h.views {
			for _, x := range v.viewers {
				x.end()
			}
		}
	}
	h.mu.Unlock()
	<-h.done
}

// Stats counts.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Stats{Viewers: h.viewers, Views: len(h.views), Frames: h.frames.Load(), Bytes: h.bytes.Load(), Polls: h.polls.Load(),
		Dropped: h.dropped.Load(), Lagged: h.lagged.Load(), Refused: h.refused.Load()}
	for _, v := range h.views {
		if len(v.viewers) == 0 {
			s.Idle++
		}
	}
	return s
}

// step moves every view on to the newest snapshot.
func (h *Hub) step() {
	before := h.snap.Load()
	updates, ok := h.live.Since(before.Rev)
	if ok && len(updates) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !ok {
		h.restart(h.live.Current())
		return
	}
	st := NewStep(before, updates)
	h.snap.Store(st.After)
	now := time.Now()
	for _, v := range h.views {
		h.advance(v, st, now)
	}
	h.opts.Published(time.Since(st.After.At))
}

// restart is the step over a gap: nobody knows any more what changed.
func (h *Hub) restart(snap *store.Snapshot) {
	h.snap.Store(snap)
	for _, v := range h.views {
		v.page.Start(snap)
		v.offer(v.full(h, snap), time.Now())
	}
}

func (h *Hub) advance(v *view, st *Step, now time.Time) {
	if len(v.viewers) == 0 {
		v.behind = true
		return
	}
	switch p := h.next(v, st); {
	case p.Full:
		v.offer(v.full(h, st.After), now)
	case len(p.Events) > 0:
		v.offer(st.frame(p.Events), now)
	}
}

// next asks the page. A page that panics harms no other: its viewers are sent the whole of it.
func (h *Hub) next(v *view, st *Step) (p Patch) {
	defer func() {
		if err := recover(); err != nil {
			h.opts.Log.Error("rendering a change failed", "view", v.page.Key(), "error", err, "stack", string(debug.Stack()))
			v.page.Start(st.After)
			p = Patch{Full: true}
		}
	}()
	start := time.Now()
	p = v.page.Next(st)
	if len(p.Events) > 0 {
		h.opts.Rendered("patch", time.Since(start))
	}
	return p
}

// pulse makes the heartbeat and sends it to each view that is due one, at once if the data just turned stale or fresh.
func (h *Hub) pulse(now time.Time) {
	age, stale := h.age(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beats++
	f := NewFrame(0, AppendSignals(nil, fmt.Appendf(nil, `{"_hb":%d,"_age":%d,"_stale":%t,"_now":%d}`,
		h.beats, age.Milliseconds(), stale, now.UnixMilli())))
	h.beat.Store(f)
	turned := stale != h.stale
	h.stale = stale
	for key, v := range h.views {
		if turned || v.due(now, h.opts.Beat) {
			v.sendBeat(f, now)
		}
		v.forget(now)
		if len(v.viewers) == 0 && now.Sub(v.left) >= h.opts.Linger {
			delete(h.views, key)
		}
	}
}

// never is the age of data that no source has ever confirmed.
const never = -time.Millisecond

// age is how long ago the source that was quiet longest was heard, and whether that, or what a source says of itself, is stale.
// A source that has not spoken since the start is as old as what it was restored with.
func (h *Hub) age(now time.Time) (age time.Duration, stale bool) {
	s := h.snap.Load()
	unheard := false
	for i := range s.Sources {
		src := &s.Sources[i]
		if src.Every > 0 {
			continue // asked now and then, beside the clusters: the page says of it by itself when it does not answer
		}
		heard, ok := h.live.Heard(src.Cluster)
		if !ok {
			heard = src.Heard
		}
		unheard = unheard || heard.IsZero()
		age = max(age, now.Sub(heard))
		stale = stale || src.State != store.SourceLive
	}
	if unheard {
		return never, true
	}
	return age, stale || age > StaleAfter
}

// errFull says that one more view is one too many.
func errFull(n int) error {
	return fmt.Errorf("%w: %d different views of the board are open, which is all there may be; close a page, or try again in a few seconds", store.ErrUnavailable, n)
}

// errClosed says that the program is going.
var errClosed = fmt.Errorf("%w: Trackside is shutting down; the page reconnects by itself", store.ErrUnavailable)

// viewOf finds or makes the view of a page. The caller holds mu.
func (h *Hub) viewOf(p Page) (*view, error) {
	if h.closed {
		return nil, errClosed
	}
	snap := h.snap.Load()
	v, ok := h.views[p.Key()]
	if !ok {
		if len(h.views) >= h.opts.Views && !h.evict() {
			h.refused.Add(1)
			return nil, errFull(h.opts.Views)
		}
		now := time.Now()
		v = &view{page: p, behind: true, left: now, beaten: now}
		h.views[p.Key()] = v
	}
	if v.behind {
		v.page.Start(snap)
		v.behind = false
	}
	return v, nil
}

// evict makes room by ending the view that nobody has looked at for longest.
func (h *Hub) evict() bool {
	var oldest string
	for key, v := range h.views {
		if len(v.viewers) == 0 && (oldest == "" || v.left.Before(h.views[oldest].left)) {
			oldest = key
		}
	}
	delete(h.views, oldest)
	return oldest != ""
}

// join adds a viewer; one beyond the browser's share polls, and is not added to the view.
func (h *Hub) join(p Page, enc Encoding, browser string) (*viewer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, err := h.viewOf(p)
	if err != nil {
		return nil, err
	}
	x := &viewer{hub: h, view: v, enc: enc, browser: browser}
	if browser != "" && h.browsers[browser] >= PerBrowser {
		x.poll = true
		v.left = time.Now()
		return x, nil
	}
	x.queue = make(chan *Frame, h.opts.Queue)
	x.place = len(v.viewers)
	v.viewers = append(v.viewers, x)
	h.viewers++
	if browser != "" {
		h.browsers[browser]++
	}
	return x, nil
}

func (h *Hub) leave(x *viewer) {
	if x.poll {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	x.view.remove(x)
	h.viewers--
	if x.browser == "" {
		return
	}
	if h.browsers[x.browser]--; h.browsers[x.browser] == 0 {
		delete(h.browsers, x.browser)
	}
}
