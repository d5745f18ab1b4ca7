package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// viewer is one open stream.
type viewer struct {
	hub     *Hub
	view    *view
	enc     Encoding
	browser string
	poll    bool
	place   int // in view.viewers

	queue chan *Frame
	// owed: the queue overflowed and was emptied; the whole page is due. ended: the hub wants the stream to end. A nil frame in
	// the queue says that one of them was set.
	owed, ended atomic.Bool

	// What follows belongs to the goroutine that serves.
	w       http.ResponseWriter
	rc      *http.ResponseController
	rev     uint64
	renewed time.Time
}

// offer puts a frame into the queue, or, if there is no room, empties it and owes the whole page. Only the hub calls it.
func (x *viewer) offer(f *Frame) {
	if x.owed.Load() {
		return
	}
	select {
	case x.queue <- f:
		return
	default:
	}
	x.owed.Store(true)
	x.hub.lagged.Add(1)
	for {
		select {
		case <-x.queue:
		default:
			x.nudge()
			return
		}
	}
}

func (x *viewer) nudge() {
	select {
	case x.queue <- nil:
	default: // there is something in the queue, after which the flags are looked at
	}
}

func (x *viewer) end() {
	x.ended.Store(true)
	x.nudge()
}

// The signals a stream sets beside the elements, for the page to show how it stands:
//
//	_hb    counts heartbeats of the server; a page that sees none for some seconds is cut off
//	_age   milliseconds since the source that was quiet longest was heard; below zero: never
//	_stale true when some source is not live, or _age is above StaleAfter
//	_now   the server's clock, Unix milliseconds, to correct the browser's
//	_mode  "live" on a stream that stays open; "poll" on one that ends after the whole page, to be asked for again in 2 s
//
// A page needs no code for polling. A polled stream ends by itself and says "retry: 2000", and the page's @get, opened with
// retry:'always', asks again after that time; once one of the browser's streams has ended, the next request is given its
// place. The page must merely not call the 'retrying' events between two polls a lost connection.
var (
	liveMode = NewFrame(0, AppendSignals(nil, []byte(`{"_mode":"live"}`)))
	pollMode = NewFrame(0, AppendSignals(nil, []byte(`{"_mode":"poll"}`)))
)

// greetings begin a stream: how long to wait before connecting again, so that a restart is no stampede, and no event id, which
// belongs to polls. They are part of the first event.
var greetings = func() (fs [16]*Frame) {
	for i := range fs {
		fs[i] = NewFrame(0, fmt.Appendf(nil, "id:\nretry: %d\n", 500+i*2500/(len(fs)-1)))
	}
	return fs
}()

// Serve answers a request with a page's stream: the whole page, then what changes, until the client leaves, the hub closes or
// the client takes nothing for too long. It returns an error only if nothing has been written yet. w must be the server's
// own ResponseWriter, so that flushes and deadlines reach the connection.
//
// browser names the browser of a client that speaks HTTP/1.1, or is blank. When it holds [PerBrowser] streams already, this one ends after
// the whole page and the client asks again in two seconds, so that no page ever hangs for want of a connection.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, p Page, browser string) error {
	x, err := h.join(p, Negotiate(r.Header.Get("Accept-Encoding")), browser)
	if err != nil {
		return err
	}
	defer h.leave(x)
	x.w, x.rc = w, http.NewResponseController(w)
	Headers(w.Header(), x.enc)
	w.WriteHeader(http.StatusOK)
	// A deadline outlives the response on a connection that is kept for the next one.
	defer func() { _ = x.rc.SetWriteDeadline(time.Time{}) }()
	if x.poll {
		h.polls.Add(1)
		x.check(r.Context(), x.answer(r.Header.Get("Last-Event-ID")))
		return nil
	}
	x.check(r.Context(), x.stream(r.Context()))
	return nil
}

// Headers sets what every stream's response says of itself.
func Headers(hd http.Header, e Encoding) {
	hd.Set("Content-Type", "text/event-stream")
	hd.Set("Cache-Control", "no-cache, no-store, no-transform")
	hd.Set("X-Accel-Buffering", "no")
	hd.Add("Vary", "Accept-Encoding")
	if e != Identity {
		hd.Set("Content-Encoding", e.String())
	}
}

// stream writes the whole page and then whatever the queue brings.
func (x *viewer) stream(ctx context.Context) error {
	snap := x.hub.snap.Load()
	if err := x.open(greetings[rand.IntN(len(greetings))], x.view.full(x.hub, snap), liveMode, x.hub.beat.Load()); err != nil {
		return err
	}
	for !x.ended.Load() {
		select {
		case <-ctx.Done():
			return nil
		case f := <-x.queue:
			if err := x.drain(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer is a poll: the whole page, unless the client says that it has this very one.
func (x *viewer) answer(last string) error {
	snap := x.hub.snap.Load()
	id := x.hub.boot + "." + strconv.FormatUint(snap.Rev, 10)
	hello := NewFrame(0, []byte("id: "+id+"\nretry: 2000\n"))
	if last == id {
		return x.open(hello, pollMode, x.hub.beat.Load())
	}
	return x.open(hello, x.view.full(x.hub, snap), pollMode, x.hub.beat.Load())
}

func (x *viewer) open(frames ...*Frame) error {
	x.renew()
	if x.enc == Gzip {
		if _, err := x.w.Write(gzipHeader); err != nil {
			return err
		}
	}
	for _, f := range frames {
		if err := x.write(f); err != nil {
			return err
		}
	}
	return x.rc.Flush()
}

// drain writes a frame and all that wait behind it, and flushes once.
func (x *viewer) drain(f *Frame) error {
	x.renew()
	for {
		if err := x.write(f); err != nil {
			return err
		}
		select {
		case f = <-x.queue:
		default:
			return x.rc.Flush()
		}
	}
}

// errRender ends a stream whose page could not be rendered: better reconnecting than showing what is no longer so.
var errRender = errors.New("the page could not be rendered")

func (x *viewer) write(f *Frame) error {
	if f == nil {
		if x.ended.Load() || !x.owed.Swap(false) {
			return nil
		}
		f = x.view.full(x.hub, x.hub.snap.Load())
	}
	if f.Rev != 0 {
		if f.Rev <= x.rev {
			return nil // the whole page that was sent holds it
		}
		x.rev = f.Rev
	}
	b := f.Bytes(x.enc)
	if len(b) == 0 {
		return errRender
	}
	x.hub.frames.Add(1)
	x.hub.bytes.Add(uint64(len(b)))
	_, err := x.w.Write(b)
	return err
}

// renew moves the write deadline on. Every write has at least the time there is for one, and since a heartbeat comes before the
// rest is used up, an idle stream never runs into it; setting it for each write would cost more than the write's own bookkeeping.
func (x *viewer) renew() {
	now := time.Now()
	if beat := x.hub.opts.Beat; now.Sub(x.renewed) >= beat {
		x.renewed = now
		// A ResponseWriter without deadlines, as in a test, has no client that could be stuck.
		_ = x.rc.SetWriteDeadline(now.Add(x.hub.opts.WriteTimeout + beat))
	}
}

// check counts the clients that were cut off for taking nothing. All other errors say that the client left.
func (x *viewer) check(ctx context.Context, err error) {
	stuck := time.Since(x.renewed) >= x.hub.opts.WriteTimeout
	if err != nil && (errors.Is(err, os.ErrDeadlineExceeded) || stuck && ctx.Err() == nil) {
		x.hub.dropped.Add(1)
		x.hub.opts.Log.Warn("a viewer took nothing for too long and was cut off", "view", x.view.page.Key())
	}
}
