package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"trackside/handlers/api"
	"trackside/store"
)

// follower reads /api/stream as a program does.
type follower struct {
	t    *testing.T
	res  *http.Response
	r    *bufio.Reader
	last string // the id of the latest event
}

func (w *world) follow(t *testing.T, query, last string) *follower {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.s.URL()+"/api/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	return &follower{t: t, res: res, r: bufio.NewReader(res.Body), last: last}
}

// next reads one event; an error says that the stream has ended.
func (f *follower) next() (kind, data string, err error) {
	for {
		line, err := f.r.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case line == "\n" && kind != "":
			return kind, data, nil
		case field == "id":
			f.last = value
		case field == "event":
			kind = value
		case field == "data":
			data = value
		}
	}
}

func (f *follower) begins() (b api.Begins) {
	f.t.Helper()
	kind, data, err := f.next()
	if err != nil || kind != "begins" || json.Unmarshal([]byte(data), &b) != nil {
		f.t.Fatalf("the first event is %s %s, %v", kind, data, err)
	}
	return b
}

func (f *follower) event() (e api.Event) {
	f.t.Helper()
	kind, data, err := f.next()
	if err != nil || kind != "transition" || json.Unmarshal([]byte(data), &e) != nil || strconv.FormatInt(e.ID, 10) != f.last {
		f.t.Fatalf("%s %s with the id %s, %v", kind, data, f.last, err)
	}
	return e
}

// flip is one transition. Each has a sentence of its own: a transition that says the same within a millisecond is recorded once.
func flip(w *world, i int) {
	w.publish(store.Touched{Runners: []*store.Runner{made("eu", "agyn", "platform", "k8s-runner", []store.Health{store.Healthy, store.Unhealthy}[i%2],
		func(r *store.Runner) { r.Why = store.Sentence(fmt.Sprintf("This is flip %d.", i)) })}})
}

func TestStreamBeginsNowAndResumes(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	f := w.follow(t, "", "")
	b := f.begins()
	if b.Missed || b.After != b.Newest || b.Oldest != 1 || f.last != strconv.FormatInt(b.After, 10) {
		t.Errorf("%+v, id %s", b, f.last)
	}
	flip(w, 0)
	e := f.event()
	if e.ID != b.After+1 || e.Name != "k8s-runner" || e.From != "degraded" || e.To != "healthy" || e.Kind != "health" || e.Path == "" {
		t.Errorf("%+v", e)
	}
	c := schemas(t)
	fits(t, c, string(mustJSON(e)), "components", "schemas", "Event")
	fits(t, c, string(mustJSON(b)), "components", "schemas", "Begins")
	_ = f.res.Body.Close()
	for i := range 3 {
		flip(w, i+1)
	}
	w.again() // the program is restarted meanwhile
	flip(w, 4)
	g := w.follow(t, "", f.last)
	if b := g.begins(); b.After != e.ID || b.Missed {
		t.Errorf("resumed with %+v", b)
	}
	for i := range 4 {
		if got := g.event(); got.ID != e.ID+int64(i)+1 {
			t.Errorf("the %dth is %d", i, got.ID)
		}
	}
	h := w.follow(t, "?name=nobody&after=0", "")
	h.begins()
	k := w.follow(t, "?name=runner-0&after=0", "")
	k.begins()
	if e := k.event(); e.Name != "runner-0" || e.Kind != "added" {
		t.Errorf("%+v", e)
	}
}

func mustJSON(v any) []byte { b, _ := json.Marshal(v); return b }

func TestStreamSaysWhatIsMissing(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	if b := w.follow(t, "", "9000").begins(); !b.Missed || !strings.Contains(b.Why, "9000") || b.After != b.Newest {
		t.Errorf("a number of another file: %+v", b)
	}
	w.publish(store.Touched{Gone: []store.Ref{assorted()[0].Ref}})
	if _, err := w.db.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	all, err := w.db.Feed(t.Context(), 0, 100)
	if err != nil || len(all) == 0 || all[len(all)-1].ID == int64(len(all)) {
		t.Fatalf("nothing was pruned: %v, %v", all, err)
	}
	hole := int64(0)
	for _, e := range all {
		if e.ID != hole+1 {
			break
		}
		hole = e.ID
	}
	b := w.follow(t, "", strconv.FormatInt(hole, 10)).begins()
	if !b.Missed || b.Why == "" {
		t.Errorf("after pruning: %+v", b)
	}
}

// TestAFilteredStreamKeepsItsPlace: what the filter leaves out was not missed, also when retention has deleted it meanwhile.
func TestAFilteredStreamKeepsItsPlace(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	f := w.follow(t, "?name=nobody", "")
	f.begins()
	for i := range 3 {
		flip(w, i)
	}
	_, newest, err := w.db.FeedEnds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for want := strconv.FormatInt(newest, 10); f.last != want; {
		line, err := f.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			f.last = strings.TrimSpace(id)
		}
		if strings.HasPrefix(line, "data:") {
			t.Errorf("the filter lets through %s", line)
		}
	}
	if b := w.follow(t, "?name=nobody", f.last).begins(); b.Missed || b.After != newest {
		t.Errorf("%+v", b)
	}
}

// TestStreamUnderWrites has three programs that follow, leave and come back while a board publishes: each sees every transition once, in order.
func TestStreamUnderWrites(t *testing.T) {
	const rounds = 120
	w := newWorld(t, assorted()).serve()
	_, newest, err := w.db.FeedEnds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			last := strconv.FormatInt(newest, 10)
			for want := newest + 1; want <= newest+rounds; {
				f := w.follow(t, "", last)
				if b := f.begins(); b.After != want-1 || b.Missed {
					t.Errorf("begins %+v, want after %d", b, want-1)
					return
				}
				for range 7 * (n + 1) {
					if e := f.event(); e.ID != want {
						t.Errorf("%d instead of %d", e.ID, want)
						return
					}
					if want++; want > newest+rounds {
						break
					}
				}
				last = f.last
				_ = f.res.Body.Close()
			}
		})
	}
	wg.Go(func() {
		for i := range rounds {
			_ = w.db.Accept(context.Background(), store.Acceptance{Ref: someRunner().Ref, Code: fmt.Sprint(i), Object: "x", Note: "n", At: time.Now(), Until: time.Now()})
		}
	})
	for i := range rounds { // one transition each; a runner that fails again and again would be damped
		w.publish(store.Touched{Runners: []*store.Runner{made("eu", "plue", "workflows", fmt.Sprint("w", i), store.Healthy)}})
	}
	wg.Wait()
}

// TestStreamTellsWhatIsRecordedLate publishes before it records, as the poller does when the disk is slow.
func TestStreamTellsWhatIsRecordedLate(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	f := w.follow(t, "", "")
	b := f.begins()
	next, changes := store.Apply(w.live.Current(), store.Touched{Gone: []store.Ref{assorted()[1].Ref}}, time.Now())
	w.live.Publish(store.Update{Snapshot: next, Changes: changes})
	if err := w.db.Record(t.Context(), next, changes); err != nil {
		t.Fatal(err)
	}
	if e := f.event(); e.ID != b.After+1 || e.Kind != "removed" {
		t.Errorf("%+v", e)
	}
}

func TestStreamEndsWithTheBoard(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	f := w.follow(t, "", "")
	f.begins()
	if res, _ := ask(t, http.MethodHead, w.s.URL()+"/api/stream"); res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", res.StatusCode, res.Header)
	}
	took, err := w.stop()
	if err != nil || took > drainTime {
		t.Errorf("stopping took %s, %v", took, err)
	}
	if _, _, err := f.next(); err == nil {
		t.Error("the stream goes on")
	}
	for _, last := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		w.again()
		res, body := ask(t, "GET", w.s.URL()+"/api/stream", "Last-Event-ID", last)
		if res.StatusCode != 400 || !strings.Contains(body, "Last-Event-ID") {
			t.Errorf("%q: %d %s", last, res.StatusCode, body)
		}
	}
}

func TestStreamWithoutHistory(t *testing.T) {
	w := newWorld(t, assorted()).serve(func(o *Options) { o.History = nil })
	for _, path := range []string{"/api/stream", "/api/events"} {
		if res, body := ask(t, "GET", w.s.URL()+path); res.StatusCode != 503 || !strings.Contains(body, "no transitions") {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}
