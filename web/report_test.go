package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trackside/e2e/client"
	"trackside/poller"
	"trackside/poller/report"
	"trackside/store"
	"trackside/store/sqlite"
)

// reporting is a board that takes reports, on disk, with a token for the runners pod-* and one for an administrator.
type reporting struct {
	url          string
	runner, ops  string
	live         *store.Live
	db           *sqlite.DB
	stop         func() (time.Duration, error)
	tokenStrange string // for a runner with a strange name
}

const strangeName = "a/b <i>&c%2f é"

func newReporting(t *testing.T, open bool, change ...func(*report.Config)) *reporting {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := &reporting{live: store.NewLive(nil), db: db}
	r.runner, r.ops, r.tokenStrange = r.token(t, "pod-*", false), r.token(t, "ops", true), r.token(t, strangeName, false)
	log := slog.New(slog.DiscardHandler)
	cfg := report.Config{Alias: "reported", Late: 3 * time.Second, Open: open, Book: db, Log: log, Heard: r.live.Hear}
	for _, f := range change {
		f(&cfg)
	}
	source, err := report.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := options(io.Discard)
	o.Live, o.History, o.Reports = r.live, db, source
	s, stop := start(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = poller.New(r.live, db, log, nil, source).Run(ctx) }()
	r.stop = stop
	t.Cleanup(func() { _, _ = stop(); cancel(); <-ended; _ = db.Close() })
	r.url = s.URL()
	return r
}

func (r *reporting) token(t *testing.T, name string, admin bool) string {
	t.Helper()
	word, kept, err := report.NewToken(name, "", admin, time.Now())
	if err == nil {
		err = r.db.AddReportToken(t.Context(), kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	return word
}

// call posts a body as it is; header is "none", "plue", "bearer", "basic" or "admin".
func (r *reporting) call(t *testing.T, header, method, path, body string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	switch header {
	case "plue":
		req.Header.Set("X-Plue-Internal-Token", r.runner)
	case "strange":
		req.Header.Set("X-Plue-Internal-Token", r.tokenStrange)
	case "bearer":
		req.Header.Set("Authorization", "bearer "+r.runner)
	case "basic":
		req.SetBasicAuth("runner", r.runner)
	case "admin":
		req.Header.Set("Authorization", "Bearer "+r.ops)
	case "wrong":
		req.Header.Set("Authorization", "Bearer "+r.runner+"0")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(b)), res.Header
}

// Plue's client is answered as Plue answers it, byte for byte where there is nothing to add.
func TestPlueShapes(t *testing.T) {
	r := newReporting(t, false)
	host := strings.TrimPrefix(r.url, "http://")
	const pod = `{"pod_name":"pod-1","pod_ip":"10.0.0.1"}`
	withTask := `{"runner_id":1,"task":{"id":1,"type":"agent","config":{"type":"agent","q":"<&>"},"session_id":"s-1"},"callback_url":"http://`
	for _, c := range []struct {
		header, path, body string
		status             int
		answer             string
	}{
		{"plue", "/internal/runners/register", pod, 200, `{"runner_id":1,"task":null}`},
		{"bearer", "/internal/runners/register", pod, 200, `{"runner_id":1,"task":null}`},
		{"plue", "/internal/runners/pod-1/heartbeat", "", 200, `{"ok":true}`},
		{"plue", "/internal/runners/pod-1/heartbeat", "{}", 200, `{"ok":true}`},
		{"plue", "/internal/runners/pod-unknown/heartbeat", "", 200, `{"ok":true}`},
		{"admin", "/internal/tasks", `{"type":"agent","config":{"type":"agent","q":"<&>"},"session_id":"s-1"}`, 201, `{"id":1,"runner_id":1}`},
		{"admin", "/internal/tasks", `{"type":"workflow"}`, 201, `{"id":2,"runner_id":null}`},
		{"plue", "/internal/runners/register", pod, 200, withTask + host + `/internal/tasks/1/stream"}`},
		{"basic", "/internal/runners/register", pod, 200, withTask + "runner:" + r.runner + "@" + host + `/internal/tasks/1/stream"}`},
		{"basic", "/internal/tasks/1/stream", `{"type":"token","task_id":1,"message_id":null,"text":"hi","token_index":0}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/stream", `{"type":"llm_token","token":"hi"}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/stream", `{"type":"tool_start","message_id":"m","tool_id":"t","tool_name":"bash","args":{"a":[1]}}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/stream", `{"type":"tool_end","tool_id":"t","tool_state":"error","output":"no"}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/stream", `{"type":"step_start","step_name":"build","step_index":0}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/stream", `{"type":"step_end","step_name":"build","step_index":0,"step_state":"failure","output":{"a":1}}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/stream", `{"type":"log","level":7,"message":["odd"]}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/stream", `{"type":"done"}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/1/complete", `{"success":true}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/99/stream", `{"type":"done"}`, 200, `{"ok":true}`},
		{"plue", "/internal/tasks/99/complete", `{"success":true}`, 200, `{"ok":true}`},
		{"plue", "/internal/runners/register", pod, 200, `{"runner_id":1,"task":{"id":2,"type":"workflow","config":{}},"callback_url":"http://` + host + `/internal/tasks/2/stream"}`},
		{"strange", "/internal/runners/register", `{"pod_name":"` + strangeName + `","pod_ip":""}`, 200, `{"runner_id":2,"task":null}`},
		{"strange", "/internal/runners/" + url.PathEscape(strangeName) + "/heartbeat", "", 200, `{"ok":true}`},
	} {
		status, answer, hd := r.call(t, c.header, "POST", c.path, c.body)
		if status != c.status || answer != c.answer || !strings.HasPrefix(hd.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s: %d %s\nwant %d %s", c.path, c.body, status, answer, c.status, c.answer)
		}
	}
}

// What is wrong is said as {"error": …}, with the status that makes Plue's client try again or not.
func TestReportRefusals(t *testing.T) {
	r := newReporting(t, false)
	r.call(t, "plue", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x"}`)
	r.call(t, "plue", "POST", "/internal/runners/register", `{"pod_name":"pod-2","pod_ip":"x","namespace":"a"}`)
	for _, c := range []struct {
		header, method, path, body string
		status                     int
		says                       string
	}{
		{"none", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x"}`, 401, "trackside report token --name"},
		{"wrong", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x"}`, 401, "does not count"},
		{"none", "POST", "/internal/runners/pod-1/heartbeat", "", 401, "A token is needed"},
		{"none", "POST", "/internal/tasks/1/stream", `{"type":"done"}`, 401, "A token is needed"},
		{"none", "POST", "/internal/tasks/1/complete", `{}`, 401, "A token is needed"},
		{"none", "GET", "/internal/runners/1/control", "", 401, "A token is needed"},
		{"none", "POST", "/internal/runners/1/control/ack", `{"id":1}`, 401, "A token is needed"},
		{"none", "POST", "/internal/runners/1/delete", "", 401, "A token is needed"},
		{"plue", "POST", "/internal/runners/1/disable", "", 403, "--admin"},
		{"plue", "POST", "/internal/tasks", `{"type":"agent"}`, 403, "--admin"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":"other","pod_ip":"x"}`, 403, "not for the runner"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":"pod-2","pod_ip":"x","namespace":"b"}`, 409, "held by the runner in namespace a"},
		{"admin", "POST", "/internal/runners/register", `{"pod_name":"ops","pod_ip":"x"}`, 403, "not for the runner"},
		{"plue", "POST", "/internal/runners/register", "", 400, "Missing request body"},
		{"plue", "POST", "/internal/runners/register", "{", 400, "Invalid JSON"},
		{"plue", "POST", "/internal/runners/register", "[]", 400, "Invalid JSON"},
		{"plue", "POST", "/internal/runners/register", "null", 400, "Invalid JSON"},
		{"plue", "POST", "/internal/runners/register", `{"pod_ip":"x"}`, 400, "Missing pod_name"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":"pod-1"}`, 400, "Missing pod_ip"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":7,"pod_ip":"x"}`, 400, "Pod_name is not a text"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x","capacity":1e400}`, 400, "Capacity is not a whole number"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x","eviction_time_ms":9223372036854775807}`, 400, "eviction time"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x","capabilities":"k8s"}`, 400, "Capabilities is not a list"},
		{"plue", "POST", "/internal/runners/register", `{"pod_name":"pod-\u0000","pod_ip":"x"}`, 400, "Pod_name holds"},
		{"plue", "POST", "/internal/runners/pod-1/heartbeat", "[", 400, "Invalid JSON"},
		{"plue", "POST", "/internal/runners/pod-1/heartbeat", `{"state":"poorly"}`, 400, "idle or ready"},
		{"plue", "POST", "/internal/tasks/x/stream", `{"type":"done"}`, 400, "Invalid task_id"},
		{"plue", "POST", "/internal/tasks/0/complete", `{}`, 400, "Invalid task_id"},
		{"plue", "POST", "/internal/tasks/1/stream", `{}`, 400, "Missing event type"},
		{"plue", "POST", "/internal/tasks/1/complete", `{"success":"yes"}`, 400, "Success is not true or false"},
		{"admin", "POST", "/internal/tasks", `{}`, 400, "Missing type"},
		{"admin", "POST", "/internal/tasks", `{"type":"a","config":[]}`, 400, "not a JSON object"},
		{"admin", "POST", "/internal/runners/9/enable", "", 404, "No runner 9"},
		{"admin", "POST", "/internal/runners/pod-1/enable", "", 400, "Invalid runner_id"},
		{"admin", "POST", "/internal/runners/1/delete", "", 409, "no control channel"},
		{"plue", "GET", "/internal/runners/9/control", "", 404, "No runner 9"},
		{"plue", "POST", "/internal/runners/1/control/ack", `{}`, 400, "Missing id"},
		{"plue", "POST", "/internal/tasks/1/stream", `{"type":"log","message":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "1048576 bytes"},
		{"plue", "POST", "/internal/nothing", "", 404, "no page"},
		{"plue", "GET", "/internal/tasks", "", 405, "does not take"},
	} {
		status, answer, hd := r.call(t, c.header, c.method, c.path, c.body)
		var e struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(answer), &e); err != nil || status != c.status || !strings.Contains(e.Error, c.says) {
			t.Errorf("%s %s %.80s: %d %.300s, want %d %q", c.method, c.path, c.body, status, answer, c.status, c.says)
		}
		if (status == http.StatusUnauthorized) != (hd.Get("Www-Authenticate") != "") {
			t.Errorf("%s: %d with WWW-Authenticate %q", c.path, status, hd.Get("Www-Authenticate"))
		}
	}
}

// On a board that is read only, a token acts on no runner.
func TestReportReadOnly(t *testing.T) {
	r := newReporting(t, false, func(c *report.Config) { c.ReadOnly = true })
	r.call(t, "plue", "POST", "/internal/runners/register", `{"pod_name":"pod-1","pod_ip":"x","control":true}`)
	for _, verb := range []string{"enable", "disable", "delete"} {
		if status, answer, _ := r.call(t, "admin", "POST", "/internal/runners/1/"+verb, ""); status != http.StatusForbidden || !strings.Contains(answer, "--read-only") {
			t.Errorf("%s: %d %s", verb, status, answer)
		}
	}
	if x, err := r.live.Current().Runner(store.Ref{Cluster: "reported", System: "plue", Name: "pod-1"}); err == nil && x.Requested != store.Enabled {
		t.Errorf("it is asked to be %s", x.Requested)
	}
}

// A runner that may report and is refused is on the board, and says why.
func TestRefusedIsShown(t *testing.T) {
	r := newReporting(t, false)
	status, answer, _ := r.call(t, "plue", "POST", "/internal/runners/register", `{"pod_name":"pod-9","pod_ip":"x","capacity":"four","system":"<b>"}`)
	if status != http.StatusBadRequest || !strings.Contains(answer, "Capacity is not a whole number") {
		t.Errorf("%d %s", status, answer)
	}
	eventually(t, "the board says why it is refused", func() bool {
		x, err := r.live.Current().Runner(store.Ref{Cluster: "reported", System: "plue", Name: "pod-9"})
		return err == nil && x.Health == store.Degraded && strings.Contains(string(x.Why), "is refused: capacity is not a whole number")
	})
}

// A board that is told to takes reports without a token; a wrong one is wrong there too, and changing things takes an administrator.
func TestReportOpen(t *testing.T) {
	r := newReporting(t, true)
	const pod = `{"pod_name":"pod-1","pod_ip":"x"}`
	for _, c := range []struct {
		header, path, body string
		status             int
	}{
		{"none", "/internal/runners/register", pod, 200},
		{"none", "/internal/runners/pod-1/heartbeat", "", 200},
		{"wrong", "/internal/runners/register", pod, 401},
		{"none", "/internal/tasks", `{"type":"a"}`, 403},
		{"none", "/internal/runners/1/disable", "", 403},
		{"admin", "/internal/runners/1/disable", "", 202},
	} {
		if status, answer, _ := r.call(t, c.header, "POST", c.path, c.body); status != c.status {
			t.Errorf("%s %s: %d %s", c.header, c.path, status, answer)
		}
	}
}

// The channel over real HTTP: its frames, its resumption, and its end when the board goes.
func TestControlChannel(t *testing.T) {
	r := newReporting(t, false)
	one := &client.Runner{Base: r.url, Token: r.runner, Name: "pod-1", Self: map[string]any{"system": "release"}}
	ops := client.Admin{Base: r.url, Token: r.ops}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := one.Register(t.Context())
	must(err)
	var seen []client.Command
	must(one.Listen(t.Context(), 10*time.Second, func(c client.Command) bool {
		seen = append(seen, c)
		if len(seen) == 1 {
			must(ops.Ask(t.Context(), one.ID(), "disable"))
		}
		return c.Event != "disable"
	}))
	if seen[0].Event != "ping" || seen[len(seen)-1].Event != "disable" {
		t.Fatalf("the runner was told %+v", seen)
	}
	must(one.Listen(t.Context(), 10*time.Second, func(c client.Command) bool { // it has the disable: only a ping comes
		if c.Event != "ping" || c.ID <= seen[len(seen)-1].ID {
			t.Errorf("resumed, it was told %+v", c)
		}
		return false
	}))
	forgot := &client.Runner{Base: r.url, Token: r.runner, Name: "pod-1", Self: one.Self}
	a, err := forgot.Register(t.Context())
	must(err)
	if len(a.Commands) != 1 || a.Commands[0] != seen[len(seen)-1] {
		t.Errorf("registered again, it was told %+v", a.Commands)
	}
	must(forgot.Acknowledge(t.Context(), a.Commands[0].ID))
	status, answer, _ := r.call(t, "plue", "GET", "/internal/runners/7/control", "")
	if status != 404 {
		t.Errorf("a channel of nobody: %d %s", status, answer)
	}

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	must(err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /internal/runners/1/control HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+r.runner+"\r\nLast-Event-ID: 5\r\n\r\n")
	must(err)
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	must(err)
	if ct := res.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("the channel is %q", ct)
	}
	took, err := r.stop()
	must(err)
	if took > time.Second {
		t.Errorf("an open channel held the end up for %s", took)
	}
	if _, err := io.ReadAll(res.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the channel ended with %v", err)
	}
}

// A Digital.ai runner's life over a cable that is cut: it registers until it is let in, goes idle and comes back, and does as it is told, also
// what it was told while it was away.
func TestReleaseLife(t *testing.T) {
	r := newReporting(t, false)
	cable, err := client.NewCable(strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer cable.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	life := &client.Life{Runner: &client.Runner{Base: "http://" + cable.Addr, Token: r.runner, Name: "pod-7", Self: map[string]any{"system": "release"},
		HTTP: &http.Client{Transport: transport}}, Poll: 50 * time.Millisecond, Silence: 3 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	cable.Cut()
	go func() { defer close(ended); life.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	ops := client.Admin{Base: r.url, Token: r.ops}
	state := func(want string) {
		t.Helper()
		eventually(t, "the runner is "+want, func() bool { return life.State() == want })
	}
	ask := func(verb string) {
		t.Helper()
		if err := ops.Ask(ctx, 1, verb); err != nil {
			t.Fatal(err)
		}
	}
	board := func(health store.Health, requested, observed store.State) {
		t.Helper()
		ref := store.Ref{Cluster: "reported", System: "release", Name: "pod-7"}
		eventually(t, "the board shows it "+health.String()+", to be "+requested.String()+" and "+observed.String(), func() bool {
			x, err := r.live.Current().Runner(ref)
			return err == nil && x.Health == health && x.Requested == requested && x.Observed == observed
		})
	}
	state("registering")
	cable.Mend()
	state("ready")
	board(store.Healthy, store.Enabled, store.Enabled)
	ask("disable")
	state("disabled")
	board(store.Healthy, store.Disabled, store.Disabled)
	ask("enable")
	state("ready")
	board(store.Healthy, store.Enabled, store.Enabled)
	cable.Cut()
	state("idle")
	board(store.Degraded, store.Enabled, store.Enabled)
	ask("disable")
	board(store.Degraded, store.Disabled, store.Enabled)
	cable.Mend()
	state("disabled")
	board(store.Healthy, store.Disabled, store.Disabled)
	ask("enable")
	state("ready")
	ask("delete")
	<-ended
	eventually(t, "the board is empty", func() bool { return r.live.Current().Len() == 0 })
	if got := strings.Join(life.Done(), " "); got != "disable enable disable enable delete" {
		t.Errorf("the runner did %s", got)
	}
}

// eventually fails the test when something has not come true in ten seconds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(10 * time.Second); !f(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("not: %s", what)
		}
	}
}
