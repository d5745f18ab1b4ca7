package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers/live"
	"trackside/store"
)

// maxStreams is how many clients may follow at once.
const maxStreams = 128

// Begins is the first event of a stream, named begins: where it goes on from.
type Begins struct {
	After  int64  `json:"after" description:"The first transition that is sent has a number above this."`
	Oldest int64  `json:"oldest" description:"The number of the oldest transition that is kept."`
	Newest int64  `json:"newest" description:"The newest number that was given when the stream began."`
	Missed bool   `json:"missed" description:"Some transitions between Last-Event-ID and the first that is sent are no longer kept."`
	Why    string `json:"why,omitempty" description:"What is missing, in words."`
}

// Stream is GET /api/stream: Server-Sent Events named transition, whose data is an [Event] and whose id is its number. With Last-Event-ID,
// or ?after=, it goes on after that number; otherwise it begins now. A client has no queue: it is its number, and reads on from the data
// file at its own pace, so that none is missed or sent twice, however slow it is and whoever is restarted.
func (a *API) Stream(c echo.Context) error {
	v, err := query(c)
	if err != nil {
		return err
	}
	f, err := parseEvents(v)
	if err != nil {
		return err
	}
	last := c.Request().Header.Get("Last-Event-ID")
	if last == "" {
		last = v.Get("after")
	}
	after, err := lastEvent(last)
	switch {
	case err != nil:
		return err
	case a.o.Feed == nil:
		return errNoFeed
	case c.Request().Method == http.MethodHead:
		live.Headers(c.Response().Header(), live.Identity)
		return c.NoContent(http.StatusOK)
	}
	if a.streams.Add(1) > maxStreams {
		a.streams.Add(-1)
		return fmt.Errorf("%w: %d programs follow the stream, which is all there may be", store.ErrUnavailable, maxStreams)
	}
	defer a.streams.Add(-1)
	return a.follow(c, f, after)
}

// fromNow is where a stream without Last-Event-ID begins.
const fromNow = -1

// lastEvent reads a Last-Event-ID.
func lastEvent(s string) (int64, error) {
	if s == "" {
		return fromNow, nil
	}
	return number("Last-Event-ID", s)
}

// follow sends what there is, and then what comes.
func (a *API) follow(c echo.Context, f eventFilter, after int64) error {
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	defer context.AfterFunc(a.closing, cancel)()
	_, sub := a.o.Live.Subscribe() // before the first read: what is published from here on wakes us
	defer sub.Close()
	b, err := a.begins(ctx, after)
	if err != nil {
		return err
	}
	w := &follower{c: c, rc: http.NewResponseController(c.Response().Writer), filter: f, after: b.After}
	defer func() { _ = w.rc.SetWriteDeadline(time.Time{}) }()
	if err := w.begin(b); err != nil {
		return nil // the client has gone
	}
	beat := time.NewTicker(a.o.Beat)
	defer beat.Stop()
	for {
		if err := w.drain(ctx, a.o.Feed); err != nil {
			if ctx.Err() == nil {
				a.o.Log.Info("a stream of transitions ends", "after", w.after, "error", store.ErrorText(err))
			}
			return nil // it has begun: the client connects again, and goes on where it was
		}
		select {
		case <-ctx.Done():
			return nil
		case <-sub.Wake():
		case <-beat.C: // a slow disk may have recorded after it was published
			if err := w.write(": \n\n"); err != nil {
				return nil // the client has gone
			}
		}
	}
}

// begins says where a stream goes on from. Numbers have no hole until retention makes one, so what is missing is seen.
func (a *API) begins(ctx context.Context, after int64) (b Begins, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	if b.Oldest, b.Newest, err = a.o.Feed.FeedEnds(ctx); err != nil {
		return b, err
	}
	b.After = after
	switch {
	case after == fromNow:
		b.After = b.Newest
		return b, nil
	case after > b.Newest:
		b.After, b.Missed, b.Why = b.Newest, true, fmt.Sprintf("The number %d was not given by this data file; the stream begins now.", after)
		return b, nil
	case after == b.Newest:
		return b, nil
	}
	next, err := a.o.Feed.Feed(ctx, after, 1)
	if err != nil {
		return b, err
	}
	if len(next) == 0 || next[0].ID != after+1 {
		b.Missed, b.Why = true, fmt.Sprintf("Transitions after %d are no longer kept; the first that is has the number %d.", after, b.Newest+1)
		if len(next) > 0 {
			b.Why = fmt.Sprintf("Transitions after %d are no longer kept; the first that is has the number %d.", after, next[0].ID)
		}
	}
	return b, nil
}

// follower writes to one client.
type follower struct {
	c      echo.Context
	rc     *http.ResponseController
	filter eventFilter
	after  int64 // the number up to which all is sent
}

func (w *follower) begin(b Begins) error {
	data, err := encode(b)
	if err != nil {
		return err
	}
	res := w.c.Response()
	live.Headers(res.Header(), live.Identity)
	res.WriteHeader(http.StatusOK)
	return w.write("retry: 2000\nid: " + strconv.FormatInt(b.After, 10) + "\nevent: begins\ndata: " + string(data) + "\n")
}

// drain sends all that is recorded, page by page.
func (w *follower) drain(ctx context.Context, feed Feed) error {
	for {
		rows, err := w.read(ctx, feed)
		if err != nil || len(rows) == 0 {
			return err
		}
		var out []byte
		for i := range rows {
			if !w.filter.match(&rows[i]) {
				continue
			}
			data, err := encode(eventOf(&rows[i]))
			if err != nil {
				return err
			}
			out = fmt.Appendf(out, "id: %d\nevent: transition\ndata: %s\n", rows[i].ID, data)
		}
		last := &rows[len(rows)-1]
		if !w.filter.match(last) { // an id without data is no event: the client goes on from here and misses nothing that it asked for
			out = fmt.Appendf(out, "id: %d\n\n", last.ID)
		}
		if err := w.write(string(out)); err != nil {
			return err
		}
		w.after = last.ID
	}
}

func (w *follower) read(ctx context.Context, feed Feed) ([]store.Numbered, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	return feed.Feed(ctx, w.after, feedPage)
}

// write sends a piece within its own deadline.
func (w *follower) write(s string) error {
	// A ResponseWriter without deadlines, as in a test, has no client that could be stuck.
	_ = w.rc.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := w.c.Response().Writer.Write([]byte(s)); err != nil {
		return err
	}
	if err := w.rc.Flush(); err != nil {
		return err
	}
	_ = w.rc.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream whose deadline passes, also while nothing is written
	return nil
}
