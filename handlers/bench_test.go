package handlers

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers/live"
	"trackside/store"
)

const viewers = 500

// crowd holds connections that read and count bytes, in as few goroutines' turns as reading takes.
type crowd struct {
	n     atomic.Int64
	bytes atomic.Int64
	conns []net.Conn
	done  sync.WaitGroup
}

// join opens one stream and reads it for ever; the answer's header is read first.
func (c *crowd) join(b *testing.B, addr, path string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	c.conns = append(c.conns, conn)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd\r\n\r\n", path)
	br := bufio.NewReaderSize(conn, 8<<10)
	for {
		l, err := br.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if l == "\r\n" {
			break
		}
	}
	c.done.Go(func() {
		buf := make([]byte, 8<<10)
		for {
			n, err := br.Read(buf)
			if err != nil {
				return
			}
			c.bytes.Add(int64(n))
			c.n.Add(1)
		}
	})
}

func (c *crowd) leave() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.done.Wait()
}

// settle waits until nothing has come for a while.
func (c *crowd) settle() {
	for last := int64(-1); c.n.Load() != last; time.Sleep(20 * time.Millisecond) {
		last = c.n.Load()
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured is what some changes cost the process, readers included.
type measured struct {
	cpu    time.Duration
	allocs float64
	bytes  float64
}

// run makes changes, each of which is to bring every viewer one write, and waits for that before the next.
func (c *crowd) run(changes int, each int64, change func()) measured {
	c.settle()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start, bytes := cpu(), c.bytes.Load()
	for range changes {
		want := c.n.Load() + each
		change()
		for end := time.Now().Add(2 * time.Second); c.n.Load() < want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	used := cpu() - start
	runtime.ReadMemStats(&after)
	n := float64(changes)
	return measured{used / time.Duration(changes), float64(after.Mallocs-before.Mallocs) / n, float64(c.bytes.Load()-bytes) / n}
}

// bare is the least that can be: each connection's goroutine is woken with ready bytes, writes and flushes.
type bare struct {
	mu    sync.Mutex
	chans []chan []byte
}

func (s *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ch := make(chan []byte, 16)
	s.mu.Lock()
	s.chans = append(s.chans, ch)
	s.mu.Unlock()
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	_ = rc.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case b := <-ch:
			if _, err := w.Write(b); err != nil {
				return
			}
			if err := rc.Flush(); err != nil {
				return
			}
		}
	}
}

func (s *bare) send(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range s.chans {
		ch <- b
	}
}

func listen(b *testing.B, h http.Handler) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	ctx, cancel := context.WithCancel(context.Background())
	srv.BaseContext = func(net.Listener) context.Context { return ctx }
	go func() { _ = srv.Serve(ln) }()
	b.Cleanup(func() { cancel(); _ = srv.Close() })
	return ln.Addr().String()
}

func board(b *testing.B, w *world) (string, *Handlers) {
	b.Helper()
	h := New(Options{Live: w.live, Log: slog.New(slog.DiscardHandler), Streams: live.Options{Beat: time.Hour}})
	b.Cleanup(h.Close)
	e := echo.New()
	e.GET("/stream", h.FleetStream)
	e.GET("/runners/:cluster/:system/:namespace/:name/stream", h.RunnerStream)
	return listen(b, e), h
}

// flip takes one runner from healthy to failing and back: the row moves, and the counts change.
func (w *world) flip() func() {
	i := 0
	return func() {
		i++
		w.apply(store.Touched{Runners: []*store.Runner{w.runner(37, []store.Health{store.Healthy, store.Unhealthy}[i%2])}})
	}
}

// BenchmarkFanOut compares what a change costs with 500 viewers of one page with a handler that merely writes the same bytes.
func BenchmarkFanOut(b *testing.B) {
	w := newWorld(500)
	addr, h := board(b, w)
	all := &crowd{}
	defer all.leave()
	for range viewers {
		all.join(b, addr, "/stream")
	}
	s := &bare{}
	plain := &crowd{}
	defer plain.leave()
	bareAddr := listen(b, s)
	for range viewers {
		plain.join(b, bareAddr, "/")
	}
	compare(b, w, all, plain, s, viewers)
	if st := h.Stats(); st.Viewers != viewers || st.Lagged > 0 {
		b.Errorf("%+v", st)
	}
}

// BenchmarkFanOutManyViews does so with 300 viewers of 50 filters and 200 of as many runners' pages.
func BenchmarkFanOutManyViews(b *testing.B) {
	w := newWorld(500)
	addr, h := board(b, w)
	all := &crowd{}
	defer all.leave()
	for i := range 300 {
		all.join(b, addr, fmt.Sprintf("/stream?namespace=team-%02d&version=1.%d.0", i%50%20, i%50/20))
	}
	for i := range 200 {
		all.join(b, addr, w.runner(i, store.Healthy).Ref.Path()+"/stream")
	}
	s := &bare{}
	plain := &crowd{}
	defer plain.leave()
	bareAddr := listen(b, s)
	for range viewers {
		plain.join(b, bareAddr, "/")
	}
	compare(b, w, all, plain, s, viewers)
	if st := h.Stats(); st.Viewers != viewers || st.Views < 240 {
		b.Errorf("%+v", st)
	}
}

// compare runs both in turns, in the same process and on the same number of bytes.
func compare(b *testing.B, w *world, all, plain *crowd, s *bare, n int64) {
	b.Helper()
	flip := w.flip()
	one := all.run(4, n, flip)
	ready := make([]byte, max(1, int(one.bytes)/int(n)-7)) // less the chunk's own line
	var ours, theirs measured
	rounds := 0
	for b.Loop() {
		m, t := all.run(20, n, flip), plain.run(20, n, func() { s.send(ready) })
		ours.cpu, theirs.cpu = ours.cpu+m.cpu, theirs.cpu+t.cpu
		ours.allocs, theirs.allocs = ours.allocs+m.allocs, theirs.allocs+t.allocs
		ours.bytes += m.bytes
		rounds++
	}
	b.ReportMetric(float64(ours.cpu.Microseconds())/float64(rounds), "cpu-µs/change")
	b.ReportMetric(float64(theirs.cpu.Microseconds())/float64(rounds), "bare-µs/change")
	b.ReportMetric(float64(ours.cpu)/float64(theirs.cpu), "ratio")
	b.ReportMetric(ours.allocs/float64(rounds), "allocs/change")
	b.ReportMetric(theirs.allocs/float64(rounds), "bare-allocs/change")
	b.ReportMetric(ours.bytes/float64(rounds)/float64(n), "B/viewer")
}

// BenchmarkBytesPerChange is what one runner's failure costs on the wire at 500 runners.
func BenchmarkBytesPerChange(b *testing.B) {
	w := newWorld(500)
	p := newFleet(&Handlers{live: w.live}, store.Filter{})
	p.Start(w.cur)
	flip := w.flip()
	var zstd, gzip, raw, n float64
	for b.Loop() {
		before := w.cur
		flip()
		updates, _ := w.live.Since(before.Rev)
		patch := p.Next(live.NewStep(before, updates))
		f := live.NewFrame(w.cur.Rev, patch.Events)
		raw += float64(len(f.Bytes(live.Identity)))
		gzip += float64(len(f.Bytes(live.Gzip)))
		zstd += float64(len(f.Bytes(live.Zstd)))
		n++
	}
	b.ReportMetric(raw/n, "raw-B")
	b.ReportMetric(gzip/n, "gzip-B")
	b.ReportMetric(zstd/n, "zstd-B")
}

// BenchmarkChangeByFleet shows that a change costs what it touched and not the fleet.
func BenchmarkChangeByFleet(b *testing.B) {
	for _, size := range []int{100, 2000} {
		b.Run(fmt.Sprintf("runners=%d", size), func(b *testing.B) {
			w := newWorld(size)
			p := newFleet(&Handlers{live: w.live}, store.Filter{})
			p.Start(w.cur)
			flip := w.flip()
			b.ReportAllocs()
			for b.Loop() {
				before := w.cur
				flip()
				updates, _ := w.live.Since(before.Rev)
				patch := p.Next(live.NewStep(before, updates))
				live.NewFrame(w.cur.Rev, patch.Events).Bytes(live.Zstd)
			}
		})
	}
}

// BenchmarkWholePage is the first frame of 500 runners.
func BenchmarkWholePage(b *testing.B) {
	w := newWorld(500)
	p := newFleet(&Handlers{live: w.live}, store.Filter{})
	var n int
	for b.Loop() {
		events, err := p.Full(w.cur)
		if err != nil {
			b.Fatal(err)
		}
		n = len(live.Compress(events, live.Zstd))
	}
	b.ReportMetric(float64(n), "zstd-B")
}
