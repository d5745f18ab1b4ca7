package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"trackside/e2e/rig"
)

// BenchmarkMemory is the largest resident set of the board while it starts on a fleet of realistic pods, and settles.
func BenchmarkMemory(b *testing.B) {
	for _, f := range []struct{ runners, pods, foreign int }{{100, 1000, 0}, {500, 5000, 0}, {500, 5000, 20000}} {
		b.Run(fmt.Sprintf("pods=%d/foreign=%d", f.pods, f.foreign), func(b *testing.B) {
			c, board := fleet(b, f.runners, f.pods, f.foreign)
			for _, p := range runnerPods(b, c, 20) {
				patch(b, c, p, "token-1")
			}
			settle(board)
			b.ReportMetric(peakRSS(b, board.PID()), "peak-MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// settle gives the board's probes and heartbeats time to run.
func settle(board *rig.Board) {
	for range 20 {
		_, _ = rig.Get(board.URL + "/")
	}
}

// BenchmarkCPUPerChange is the processor time that one change costs the whole program, with one viewer, at two sizes of the fleet.
func BenchmarkCPUPerChange(b *testing.B) {
	for _, runners := range []int{100, 2000} {
		b.Run(fmt.Sprintf("runners=%d", runners), func(b *testing.B) {
			c, board := fleet(b, runners, runners*3, 0, "--probe-via", "off")
			stream := openStream(b, board.URL+"/stream")
			pods := runnerPods(b, c, 20)
			patch(b, c, pods[0], "token-0")
			stream.await(b, "token-0")
			const changes = 300
			idle := perSecond(b, board.PID(), 5*time.Second)
			start, before := time.Now(), cpu(b, board.PID())
			for i := 1; i <= changes; i++ {
				token := fmt.Sprintf("token-%d", i)
				patch(b, c, pods[i%len(pods)], token)
				stream.await(b, token)
			}
			used := cpu(b, board.PID()) - before - time.Duration(float64(idle)*time.Since(start).Seconds())
			b.ReportMetric(float64(used.Microseconds())/changes, "cpu-µs/change")
			b.ReportMetric(float64(stream.bytes.Load())/changes, "raw-B/change")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// perSecond is the processor time that the program uses in a second in which nothing changes.
func perSecond(b *testing.B, pid int, over time.Duration) time.Duration {
	before := cpu(b, pid)
	<-time.After(over)
	return time.Duration(float64(cpu(b, pid)-before) / over.Seconds())
}

// BenchmarkBytes is what travels: the first page, the first frame, and one change from healthy to failing, totals and order included.
func BenchmarkBytes(b *testing.B) {
	c, board := fleet(b, 500, 2000, 0)
	b.ReportMetric(float64(len(fetch(b, board.URL+"/", "zstd"))), "page-zstd-B")
	b.ReportMetric(float64(len(fetch(b, board.URL+"/", "gzip"))), "page-gzip-B")
	for _, encoding := range []string{"zstd", "gzip"} {
		sizes := changeSizes(b, c, board, encoding)
		b.ReportMetric(sizes.largest, "change-"+encoding+"-max-B")
		b.ReportMetric(sizes.mean, "change-"+encoding+"-mean-B")
	}
	b.ReportMetric(0, "ns/op")
}

type sizes struct{ largest, mean float64 }

// changeSizes makes twenty healthy runners fail, one after the other, and counts what each sends to a viewer of the whole fleet. A frame
// that carries only a heartbeat is told apart by its size: heartbeats are under 150 bytes.
func changeSizes(b *testing.B, c *rig.Cluster, board *rig.Board, encoding string) (s sizes) {
	b.Helper()
	reads := openReads(b, board.URL+"/stream", encoding)
	offset := 0
	if encoding == "gzip" {
		offset = 20
	}
	pods := runnerPods(b, c, 40)[offset : offset+20]
	n := 0
	for _, p := range pods {
		drain(reads)
		patch(b, c, p, "token-1")
		size := 0
		for size < 150 {
			select {
			case size = <-reads:
			case <-time.After(10 * time.Second):
				b.Fatal("the change never came")
			}
		}
		n++
		s.largest = max(s.largest, float64(size))
		s.mean += float64(size)
	}
	s.mean /= float64(n)
	return s
}

func drain(reads <-chan int) {
	for {
		select {
		case <-reads:
		default:
			return
		}
	}
}

// openReads opens a stream and reports the size of each piece that arrives, as compressed.
func openReads(b *testing.B, url, encoding string) <-chan int {
	b.Helper()
	resp := open(b, url, encoding)
	reads := make(chan int, 1024)
	go func() {
		buf := make([]byte, 1<<20)
		for {
			n, err := resp.Body.Read(buf)
			if err != nil {
				return
			}
			reads <- n
		}
	}()
	first := 0
	for first < 4096 { // the first frame is the whole page
		first += <-reads
	}
	<-time.After(3 * time.Second) // and may come in several pieces
	return reads
}

func fetch(b *testing.B, url, encoding string) []byte {
	b.Helper()
	resp := open(b, url, encoding)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func open(b *testing.B, url, encoding string) *http.Response {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", encoding) // set by hand, the client does not decode
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("GET %s: %s", url, resp.Status)
	}
	return resp
}

// stream is an open stream in plain text.
type stream struct {
	tokens chan string
	bytes  atomic.Int64
}

func openStream(b *testing.B, url string) *stream {
	b.Helper()
	resp := open(b, url, "identity")
	s := &stream{tokens: make(chan string, 4096)}
	go func() {
		buf := make([]byte, 1<<20)
		for {
			n, err := resp.Body.Read(buf)
			if err != nil {
				return
			}
			s.bytes.Add(int64(n))
			for _, t := range tokenPattern.FindAll(bytes.Clone(buf[:n]), -1) {
				s.tokens <- string(t)
			}
		}
	}()
	return s
}

func (s *stream) await(b *testing.B, token string) {
	b.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case t := <-s.tokens:
			if t == token {
				return
			}
		case <-limit:
			b.Fatalf("%s never came", token)
		}
	}
}
