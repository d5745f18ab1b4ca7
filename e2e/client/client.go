// Package client plays runners that report themselves, over real HTTP: Plue's, call by call as its public client makes them, and
// Digital.ai's, with its control channel. It shares no code with the board, so that what the two agree on is the protocol.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Runner is one runner. Its fields are set before it is used.
type Runner struct {
	// Base is where the board is, such as http://127.0.0.1:8080.
	Base string
	// Token goes along as X-Plue-Internal-Token; blank for none. One in Base (http://runner:TOKEN@host) does as well.
	Token string
	// Name is the pod's; Self is what else it says of itself when it registers.
	Name string
	Self map[string]any
	// HTTP makes the calls; http.DefaultClient if nil.
	HTTP *http.Client
	// Delay is the first wait of a retry, which doubles; half a second if 0, as Plue's client has it.
	Delay time.Duration

	id   atomic.Int64
	last string // the id of the latest event of the control channel
}

// Answer is what the board answers.
type Answer struct {
	OK       bool      `json:"ok"`
	RunnerID int64     `json:"runner_id"`
	Task     *Task     `json:"task"`
	Callback string    `json:"callback_url"`
	Commands []Command `json:"commands"`
	Error    string    `json:"error"`
}

// Task is a piece of work.
type Task struct {
	ID      int64          `json:"id"`
	Type    string         `json:"type"`
	Config  map[string]any `json:"config"`
	Session string         `json:"session_id"`
}

// Command is an event of the control channel, or one that came with an answer.
type Command struct {
	ID    int64  `json:"id"`
	Event string `json:"event"`
}

// Refused is an answer other than 200.
type Refused struct {
	Status int
	Text   string
}

// Error is the status and the board's own words.
func (r *Refused) Error() string { return fmt.Sprintf("%d: %s", r.Status, r.Text) }

func (r *Runner) client() *http.Client {
	if r.HTTP != nil {
		return r.HTTP
	}
	return http.DefaultClient
}

func (r *Runner) request(ctx context.Context, method, address string, body any) (*http.Request, error) {
	var b io.Reader = http.NoBody
	if body != nil {
		j, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		b = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, b)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if r.Token != "" {
		req.Header.Set("X-Plue-Internal-Token", r.Token)
	}
	return req, nil
}

func (r *Runner) post(ctx context.Context, address string, body any) (a Answer, err error) {
	req, err := r.request(ctx, http.MethodPost, address, body)
	if err != nil {
		return a, err
	}
	resp, err := r.client().Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("%s is no JSON: %w", text, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return a, &Refused{resp.StatusCode, a.Error}
	}
	return a, nil
}

// Register is one call. The board's task, if it has one, is in the answer.
func (r *Runner) Register(ctx context.Context) (Answer, error) {
	self := map[string]any{"pod_name": r.Name, "pod_ip": "10.0.0.1"}
	maps.Copy(self, r.Self)
	a, err := r.post(ctx, r.Base+"/internal/runners/register", self)
	if err == nil {
		r.id.Store(a.RunnerID)
	}
	return a, err
}

// ID is the number the board has given it; 0 before it registered.
func (r *Runner) ID() int64 { return r.id.Load() }

// Heartbeat is one call; state is mostly blank.
func (r *Runner) Heartbeat(ctx context.Context, state string) (Answer, error) {
	var body any
	if state != "" {
		body = map[string]string{"state": state}
	}
	return r.post(ctx, r.Base+"/internal/runners/"+url.PathEscape(r.Name)+"/heartbeat", body)
}

// Send streams an event to where the task's answer said, as often as Plue's client tries: what ends something, ten times more, the rest five.
// What the board calls wrong is not tried again.
func (r *Runner) Send(ctx context.Context, callback string, event map[string]any) error {
	retries := 5
	switch event["type"] {
	case "done", "error", "tool_end":
		retries = 10
	}
	return r.retry(ctx, retries, func() error {
		_, err := r.post(ctx, callback, event)
		return err
	})
}

// Complete ends a task.
func (r *Runner) Complete(ctx context.Context, task int64, success bool) error {
	_, err := r.post(ctx, r.Base+"/internal/tasks/"+strconv.FormatInt(task, 10)+"/complete", map[string]bool{"success": success})
	return err
}

// retry waits twice as long each time, half a minute at most, and up to a quarter more.
func (r *Runner) retry(ctx context.Context, retries int, call func() error) error {
	delay := r.Delay
	if delay == 0 {
		delay = 500 * time.Millisecond
	}
	for attempt := 0; ; attempt++ {
		err := call()
		var refused *Refused
		if err == nil || errors.As(err, &refused) && refused.Status < 500 || attempt == retries {
			return err
		}
		if !wait(ctx, delay+time.Duration(rand.Int64N(int64(delay)/4+1))) {
			return ctx.Err()
		}
		delay = min(2*delay, 30*time.Second)
	}
}

// wait reports false when the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Listen opens the control channel, from the latest event on that it has seen, and calls on for each event until that returns false or the
// channel breaks. Silence longer than limit breaks it too.
func (r *Runner) Listen(ctx context.Context, limit time.Duration, on func(Command) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := r.request(ctx, http.MethodGet, r.control(""), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if r.last != "" {
		req.Header.Set("Last-Event-ID", r.last)
	}
	watchdog := time.AfterFunc(limit, cancel)
	defer watchdog.Stop()
	resp, err := r.client().Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return &Refused{resp.StatusCode, string(text)}
	}
	return r.events(resp.Body, func(c Command) bool { watchdog.Reset(limit); return on(c) })
}

func (r *Runner) control(more string) string {
	return r.Base + "/internal/runners/" + strconv.FormatInt(r.id.Load(), 10) + "/control" + more
}

// events reads Server-Sent Events.
func (r *Runner) events(body io.Reader, on func(Command) bool) error {
	var id, event, data string
	for s := bufio.NewScanner(body); ; {
		if !s.Scan() {
			return errors.Join(io.ErrUnexpectedEOF, s.Err())
		}
		field, value, _ := strings.Cut(s.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			var c Command
			if err := json.Unmarshal([]byte(data), &c); err != nil || c.Event != event || strconv.FormatInt(c.ID, 10) != id {
				return fmt.Errorf("the event %q %q says %s: %w", id, event, data, err)
			}
			r.last = id
			if !on(c) {
				return nil
			}
		}
	}
}

// Acknowledge says that it did what it was told.
func (r *Runner) Acknowledge(ctx context.Context, id int64) error {
	_, err := r.post(ctx, r.control("/ack"), map[string]int64{"id": id})
	return err
}

// Admin queues work, and changes runners, with an admin's token.
type Admin struct {
	Base, Token string
	HTTP        *http.Client
}

// Queue hands in a task and returns its id.
func (a Admin) Queue(ctx context.Context, kind string, config map[string]any) (int64, error) {
	var out struct {
		ID int64 `json:"id"`
	}
	r := Runner{Base: a.Base, Token: a.Token, HTTP: a.HTTP}
	req, err := r.request(ctx, http.MethodPost, a.Base+"/internal/tasks", map[string]any{"type": kind, "config": config})
	if err != nil {
		return 0, err
	}
	resp, err := r.client().Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(resp.Body)
		return 0, &Refused{resp.StatusCode, string(text)}
	}
	err = json.NewDecoder(resp.Body).Decode(&out)
	return out.ID, err
}

// Ask enables, disables or deletes a runner: verb is one of these words.
func (a Admin) Ask(ctx context.Context, runner int64, verb string) error {
	r := Runner{Base: a.Base, Token: a.Token, HTTP: a.HTTP}
	_, err := r.post(ctx, a.Base+"/internal/runners/"+strconv.FormatInt(runner, 10)+"/"+verb, nil)
	return err
}
