package live

import (
	"runtime/debug"
	"sync"
	"time"

	"trackside/store"
)

// view is one page and those who look at it. All but its whole page is guarded by the hub's mutex.
type view struct {
	page    Page
	viewers []*viewer
	// behind: there were steps that the page was not told of, nobody looking.
	behind bool
	// left is when the last viewer left; framed and beaten are when the view was last sent a frame and a heartbeat.
	left, framed, beaten time.Time

	mu    sync.Mutex
	whole *Frame
	made  time.Time
}

// offer puts a frame into each viewer's queue and waits for none.
func (v *view) offer(f *Frame, now time.Time) {
	v.framed = now
	for _, x := range v.viewers {
		x.offer(f)
	}
}

// due reports whether a heartbeat is: on a quiet view every beat, on a busy one every other.
func (v *view) due(now time.Time, beat time.Duration) bool {
	quiet := now.Sub(v.beaten)
	return quiet >= 2*beat || quiet >= beat && now.Sub(v.framed) >= beat
}

func (v *view) sendBeat(f *Frame, now time.Time) {
	v.beaten = now
	for _, x := range v.viewers {
		x.offer(f)
	}
}

func (v *view) remove(x *viewer) {
	last := len(v.viewers) - 1
	v.viewers[x.place] = v.viewers[last]
	v.viewers[x.place].place = x.place
	v.viewers[last] = nil
	v.viewers = v.viewers[:last]
	if last == 0 {
		v.left = time.Now()
	}
}

// full is the frame of the whole page at a snapshot: one for all who need it, rendered by the first of them.
func (v *view) full(h *Hub, s *store.Snapshot) *Frame {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.whole == nil || v.whole.Rev != s.Rev {
		v.whole = LazyFrame(s.Rev, func() []byte { return h.render(v.page, s) })
		v.made = time.Now()
	}
	return v.whole
}

// forget lets go of a whole page that was made some time ago: it may be large, and views are many.
func (v *view) forget(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.whole != nil && now.Sub(v.made) > 4*tick {
		v.whole = nil
	}
}

// render renders a page in full; nil if that fails, which is logged here, once for all its viewers.
func (h *Hub) render(p Page, s *store.Snapshot) (events []byte) {
	defer func() {
		if err := recover(); err != nil {
			h.opts.Log.Error("rendering a page failed", "view", p.Key(), "error", err, "stack", string(debug.Stack()))
			events = nil
		}
	}()
	start := time.Now()
	events, err := p.Full(s)
	if err != nil {
		h.opts.Log.Error("rendering a page failed", "view", p.Key(), "error", err)
		return nil
	}
	h.opts.Rendered("full", time.Since(start))
	return events
}
