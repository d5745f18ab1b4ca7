package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
)

// Reports takes what runners report themselves. Its errors are those of package store.
type Reports interface {
	Reporting
	Tasks
	Control
}

// Reporting takes runners in and hears them.
type Reporting interface {
	// Admit says what a token allows; a blank one too. A token that does not count is store.ErrForbidden.
	Admit(ctx context.Context, token string) (store.Grant, error)
	Register(ctx context.Context, g store.Grant, r store.Registration) (store.Assignment, error)
	// Hear takes a heartbeat with the state the runner says it is in, mostly blank, and returns what it has not acknowledged.
	Hear(ctx context.Context, g store.Grant, name, state string) ([]store.Command, error)
}

// Tasks is the work of runners that report.
type Tasks interface {
	Queue(ctx context.Context, g store.Grant, t store.Task) (store.Task, error)
	Event(ctx context.Context, g store.Grant, task int64, e store.TaskEvent) error
	Complete(ctx context.Context, g store.Grant, task int64, success bool) error
}

// Control tells runners what is asked of them.
type Control interface {
	// Control sends commands and pings from after last until the context ends, send fails or the channel is over.
	Control(ctx context.Context, g store.Grant, runner, last int64, send func(store.Command) error) error
	Acknowledge(ctx context.Context, g store.Grant, runner, command int64) error
	Ask(ctx context.Context, g store.Grant, runner int64, want store.State) error
}

// ErrUnauthorized says that a request needs a token that counts.
var ErrUnauthorized = errors.New("unauthorized")

// tokenHeader is Plue's own; Authorization: Bearer does as well. Its public client can send neither, so a token may also stand in the URL
// as a password (http://runner:TOKEN@host/…), which every HTTP client sends as Authorization: Basic.
const tokenHeader = "X-Plue-Internal-Token"

// credentials are the token of a request, and the URL part that carries it on for a client that has nothing but URLs.
func credentials(r *http.Request) (token string, user *url.Userinfo) {
	if t := r.Header.Get(tokenHeader); t != "" {
		return t, nil
	}
	if name, password, ok := r.BasicAuth(); ok {
		return password, url.UserPassword(name, password)
	}
	scheme, t, _ := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(t), nil
	}
	return "", nil
}

// admit finds out what the client may do.
func (h *Handlers) admit(c echo.Context) (store.Grant, error) {
	token, _ := credentials(c.Request())
	g, err := h.reports.Admit(c.Request().Context(), token)
	if errors.Is(err, store.ErrForbidden) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
		return g, fmt.Errorf("%w: %s", ErrUnauthorized, store.Plain(err))
	}
	return g, err
}

// RegisterRunner is Plue's POST /internal/runners/register.
func (h *Handlers) RegisterRunner(c echo.Context) error {
	g, err := h.admit(c)
	if err != nil {
		return err
	}
	f, err := readFields(c.Request())
	if err != nil {
		return err
	}
	reg, err := registration(f)
	if err != nil && reg.Name == "" {
		return err
	}
	if err != nil {
		reg.Wrong = store.Plain(err)
	}
	a, err := h.reports.Register(c.Request().Context(), g, reg)
	if err != nil {
		return err
	}
	out := registerAnswer{RunnerID: a.Runner, Commands: commandsOf(a.Commands)}
	if t := a.Task; t != nil {
		out.Task = &taskAnswer{ID: t.ID, Type: t.Type, Config: t.Config, Session: t.Session}
		out.Callback = h.callback(c, t.ID)
	}
	return answerJSON(c, http.StatusOK, out)
}

// registerAnswer has Plue's fields, and commands for runners that listen to them.
type registerAnswer struct {
	RunnerID int64           `json:"runner_id"`
	Task     *taskAnswer     `json:"task"`
	Callback string          `json:"callback_url,omitempty"`
	Commands []commandAnswer `json:"commands,omitempty"`
}

// taskAnswer always has a config: Plue's client fails without.
type taskAnswer struct {
	ID      int64           `json:"id"`
	Type    string          `json:"type"`
	Config  json.RawMessage `json:"config"`
	Session string          `json:"session_id,omitempty"`
}

type commandAnswer struct {
	ID    int64  `json:"id"`
	Event string `json:"event"`
	At    string `json:"at"`
}

func commandsOf(cmds []store.Command) (out []commandAnswer) {
	for _, x := range cmds {
		out = append(out, commandOf(x))
	}
	return out
}

func commandOf(x store.Command) commandAnswer {
	return commandAnswer{x.ID, x.Event, x.At.UTC().Format(time.RFC3339)}
}

// callback is where the task's events go: on this board, as the client reaches it, with the token where that was in the URL.
func (h *Handlers) callback(c echo.Context, task int64) string {
	u := h.origin(c)
	_, u.User = credentials(c.Request())
	u.Path = "/internal/tasks/" + strconv.FormatInt(task, 10) + "/stream"
	return u.String()
}

// registration reads what a runner says of itself. Plue's client says the first two.
func registration(f fields) (r store.Registration, err error) {
	r.Name, r.IP = f.text("pod_name"), f.text("pod_ip")
	for _, name := range []string{"pod_name", "pod_ip"} {
		if !f.has(name) {
			return r, fmt.Errorf("%w: missing %s", store.ErrInvalid, name)
		}
	}
	r.System, r.Namespace, r.UUID, r.PublicKey, r.Version = f.text("system"), f.text("namespace"), f.text("uuid"), f.text("public_key"), f.text("version")
	r.Control = f.yes("control")
	r.Capabilities = f.texts("capabilities")
	capacity, _ := f.number("capacity")
	r.Capacity = int(capacity)
	if ms, ok := f.number("eviction_time_ms"); ok {
		r.Eviction = new(time.Duration(clamp(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
	}
	return r, f.err
}

func clamp(n, limit int64) int64 { return max(-limit, min(n, limit)) }

// Heartbeat is Plue's POST /internal/runners/{pod}/heartbeat. A body is optional: {"state":"idle"}.
func (h *Handlers) Heartbeat(c echo.Context) error {
	g, err := h.admit(c)
	if err != nil {
		return err
	}
	f, err := readFieldsOrNone(c.Request())
	if err != nil {
		return err
	}
	name, err := segment(c.Request(), 2)
	if err != nil {
		return err
	}
	state := f.text("state")
	if f.err != nil {
		return f.err
	}
	cmds, err := h.reports.Hear(c.Request().Context(), g, name, state)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, okAnswer{OK: true, Commands: commandsOf(cmds)})
}

type okAnswer struct {
	OK       bool            `json:"ok"`
	Commands []commandAnswer `json:"commands,omitempty"`
}

// QueueTask is POST /internal/tasks: {"type":"agent","config":{…},"session_id":"…"} waits for a runner. It needs an admin token.
func (h *Handlers) QueueTask(c echo.Context) error {
	g, err := h.admit(c)
	if err != nil {
		return err
	}
	f, err := readFields(c.Request())
	if err != nil {
		return err
	}
	t := store.Task{Type: f.text("type"), Session: f.text("session_id"), Config: f.raw("config")}
	switch {
	case f.err != nil:
		return f.err
	case t.Type == "":
		return fmt.Errorf("%w: missing type, such as agent or workflow", store.ErrInvalid)
	case len(t.Config) == 0:
		t.Config = []byte("{}")
	case t.Config[0] != '{':
		return fmt.Errorf("%w: config is not a JSON object", store.ErrInvalid)
	}
	if t, err = h.reports.Queue(c.Request().Context(), g, t); err != nil {
		return err
	}
	out := queueAnswer{ID: t.ID}
	if t.Runner != 0 {
		out.Runner = &t.Runner
	}
	return answerJSON(c, http.StatusCreated, out)
}

// queueAnswer names the runner that was chosen; null while the task waits.
type queueAnswer struct {
	ID     int64  `json:"id"`
	Runner *int64 `json:"runner_id"`
}

// TaskEvent is Plue's POST /internal/tasks/{id}/stream.
func (h *Handlers) TaskEvent(c echo.Context) error {
	g, err := h.admit(c)
	if err != nil {
		return err
	}
	id, err := number(c.Request(), 2, "task_id")
	if err != nil {
		return err
	}
	f, err := readFields(c.Request())
	if err != nil {
		return err
	}
	if !f.has("type") {
		return fmt.Errorf("%w: missing event type", store.ErrInvalid)
	}
	e := store.TaskEvent{Type: f.text("type")}
	if f.err != nil {
		return f.err
	}
	if err := h.reports.Event(c.Request().Context(), g, id, eventFields(e, f)); err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, okAnswer{OK: true})
}

// eventFields takes from an event what its type has. Values of another type than Plue's are taken as their JSON: an event is never
// refused for a detail, since the client would drop it.
func eventFields(e store.TaskEvent, f fields) store.TaskEvent {
	e.Message, e.Index, e.Level = f.loose("message_id"), -1, f.loose("level")
	e.Name = f.loose("tool_name") + f.loose("step_name")
	e.State = f.loose("tool_state") + f.loose("step_state")
	for _, name := range []string{"text", "token", "message", "output"} {
		if e.Text == "" {
			e.Text = f.loose(name)
		}
	}
	if n, err := strconv.Atoi(f.loose("token_index")); err == nil && n >= 0 {
		e.Index = n
	}
	return e
}

// CompleteTask is Plue's POST /internal/tasks/{id}/complete.
func (h *Handlers) CompleteTask(c echo.Context) error {
	g, err := h.admit(c)
	if err != nil {
		return err
	}
	id, err := number(c.Request(), 2, "task_id")
	if err != nil {
		return err
	}
	f, err := readFields(c.Request())
	if err != nil {
		return err
	}
	success := f.yes("success")
	if f.err != nil {
		return f.err
	}
	if err := h.reports.Complete(c.Request().Context(), g, id, success); err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, okAnswer{OK: true})
}

// answerJSON writes a value as JSON, config and all as they came.
func answerJSON(c echo.Context, status int, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(status, echo.MIMEApplicationJSON, []byte(b.String()))
}

// WriteError answers with an error as Plue does.
func WriteError(c echo.Context, status int, text string) error {
	return answerJSON(c, status, map[string]string{"error": text})
}

// segment is the nth part of the path, unescaped: a pod's name may hold an escaped slash.
func segment(r *http.Request, n int) (string, error) {
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	if n >= len(parts) {
		return "", fmt.Errorf("%w: the address is too short", store.ErrInvalid)
	}
	s, err := url.PathUnescape(parts[n])
	if err != nil {
		return "", fmt.Errorf("%w: the address cannot be read: %w", store.ErrInvalid, err)
	}
	return s, nil
}

// number is the nth part of the path as an id.
func number(r *http.Request, n int, what string) (int64, error) {
	s, err := segment(r, n)
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%w: invalid %s", store.ErrInvalid, what)
	}
	return id, nil
}

// fields are a JSON object as a client sent it. The first field that is not what it should be is kept in err.
type fields struct {
	m   map[string]json.RawMessage
	err error
}

// readFields reads a body, which must be there.
func readFields(r *http.Request) (fields, error) {
	f, err := readFieldsOrNone(r)
	if err == nil && f.m == nil {
		err = fmt.Errorf("%w: missing request body", store.ErrInvalid)
	}
	return f, err
}

// readFieldsOrNone reads a body that may be blank.
func readFieldsOrNone(r *http.Request) (f fields, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return f, err
		}
		return f, fmt.Errorf("%w: the request broke off: %w", store.ErrInvalid, err)
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return f, nil
	}
	if json.Unmarshal(body, &f.m) != nil || f.m == nil {
		return f, fmt.Errorf("%w: invalid JSON: the body is to be one object", store.ErrInvalid)
	}
	return f, nil
}

func (f *fields) has(name string) bool { v, ok := f.m[name]; return ok && string(v) != "null" }

// into decodes a field that may be missing or null.
func (f *fields) into(name, kind string, v any) bool {
	if !f.has(name) {
		return false
	}
	if err := json.Unmarshal(f.m[name], v); err != nil {
		if f.err == nil {
			f.err = fmt.Errorf("%w: %s is not %s", store.ErrInvalid, name, kind)
		}
		return false
	}
	return true
}

func (f *fields) text(name string) (s string)    { f.into(name, "a text", &s); return s }
func (f *fields) texts(name string) (s []string) { f.into(name, "a list of texts", &s); return s }
func (f *fields) yes(name string) (b bool)       { f.into(name, "true or false", &b); return b }

func (f *fields) number(name string) (n int64, ok bool) {
	ok = f.into(name, "a whole number", &n)
	return n, ok
}

func (f *fields) raw(name string) json.RawMessage {
	if !f.has(name) {
		return nil
	}
	return f.m[name]
}

// loose is a field as text, whatever it is.
func (f *fields) loose(name string) string {
	if !f.has(name) {
		return ""
	}
	var s string
	if json.Unmarshal(f.m[name], &s) == nil {
		return s
	}
	return string(f.m[name])
}
