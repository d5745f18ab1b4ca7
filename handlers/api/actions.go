package api

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/store"
)

// keyHeader carries the key by which repeats of a request are one action.
const keyHeader = "Idempotency-Key"

// ActionBody is what an action takes. All of it is optional, as far as the verb does not need it.
type ActionBody struct {
	Note string `json:"note,omitempty" description:"Why; disable and acknowledge need it."`
	// Until and For are two ways to say one thing.
	Until       time.Time `json:"until,omitzero" description:"When a disabled runner comes back by itself, in 15 minutes to 7 days; without it, when somebody enables it."`
	For         string    `json:"for,omitempty" description:"The same as a length of time, such as 90m, 24h or 7d."`
	Drain       bool      `json:"drain,omitempty" description:"Let work that runs finish first."`
	Target      string    `json:"target,omitempty" description:"The component, or the namespace/name of the workload, or its namespace/name/uid."`
	Incarnation string    `json:"incarnation,omitempty" description:"The runner's as it was seen; another one is a conflict."`
	Confirm     string    `json:"confirm,omitempty" description:"The runner's name; delete needs it."`
}

// Object is a Kubernetes object, or what a source calls one.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Step is one change to one object.
type Step struct {
	Object  Object `json:"object"`
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
	Problem string `json:"problem,omitempty" description:"Why it was not done."`
}

// Outcome is what an action had done when it was answered. What comes of it is seen on the board.
type Outcome struct {
	Verb      string    `json:"verb"`
	Cluster   string    `json:"cluster"`
	System    string    `json:"system"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Key       string    `json:"key" description:"By which a repeated request is known."`
	Audit     int64     `json:"audit,omitempty" description:"The id of its entry in the audit."`
	Steps     []Step    `json:"steps"`
	Waits     string    `json:"waits,omitempty" description:"What is awaited."`
	Left      []Object  `json:"left" description:"What was left behind."`
	Repeated  bool      `json:"repeated,omitempty" description:"The same key had been done before: this is the outcome of then."`
	Path      string    `json:"path"`
	At        time.Time `json:"at"`
}

// Trap is something that will undo, block or surprise an action.
type Trap struct {
	Code   string `json:"code"`
	Why    string `json:"why"`
	Blocks bool   `json:"blocks"`
}

// Plan is what an action would do.
type Plan struct {
	Verb      string     `json:"verb"`
	Cluster   string     `json:"cluster"`
	System    string     `json:"system"`
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Steps     []Step     `json:"steps"`
	Work      []Workload `json:"work" description:"What runs on the runner now."`
	Goes      []Object   `json:"goes" description:"What else will be gone."`
	Stays     []Object   `json:"stays" description:"What will be left, by the names in specs."`
	Traps     []Trap     `json:"traps"`
	Blocked   bool       `json:"blocked"`
}

func objectsOf(in []store.Object) []Object {
	out := make([]Object, len(in))
	for i, o := range in {
		out[i] = Object(o)
	}
	return out
}

func stepsOf(in []store.Effect) []Step {
	out := make([]Step, len(in))
	for i, e := range in {
		out[i] = Step{Object(e.Object), e.Before, e.After, e.Problem}
	}
	return out
}

func outcomeOf(a store.Action, o store.Outcome) Outcome {
	return Outcome{Verb: string(a.Verb), Cluster: a.Ref.Cluster, System: a.Ref.System, Namespace: a.Ref.Namespace, Name: a.Ref.Name, Key: a.Key, Audit: o.ID,
		Steps: stepsOf(o.Steps), Waits: o.Waits.Absolute(), Left: objectsOf(o.Left), Repeated: o.Repeated, Path: a.Ref.Path(), At: utc(a.At)}
}

func planOf(p store.Plan) Plan {
	ref := p.Action.Ref
	out := Plan{Verb: string(p.Action.Verb), Cluster: ref.Cluster, System: ref.System, Namespace: ref.Namespace, Name: ref.Name, Steps: stepsOf(p.Steps),
		Work: workloads(p.Work), Goes: objectsOf(p.Goes), Stays: objectsOf(p.Stays), Traps: []Trap{}, Blocked: len(p.Blocked()) > 0}
	for _, t := range p.Traps {
		out.Traps = append(out.Traps, Trap{t.Code, t.Why.Absolute(), t.Blocks})
	}
	return out
}

// runnersPrefix stands before the four parts of a runner's reference.
const runnersPrefix = "/api/runners/"

// action reads which action an address names.
func action(c echo.Context) (store.Action, error) {
	ref, rest, err := refOf(c, runnersPrefix)
	if err != nil {
		return store.Action{}, err
	}
	if len(rest) < 2 {
		return store.Action{}, fmt.Errorf("%w: an action's address ends in /actions/{verb}", store.ErrNotFound)
	}
	verb, err := store.ParseVerb(rest[1])
	return store.Action{Ref: ref, Verb: verb, By: handlers.PersonOf(c), At: time.Now()}, err
}

// Act is POST /api/runners/{cluster}/{system}/{namespace}/{name}/actions/{verb}. It answers 202 with what it has done. The header
// Idempotency-Key makes repeats one action; without one a key is made up, and the answer names it, unless a repeat would do it again.
func (a *API) Act(c echo.Context) error {
	act, err := action(c)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(c.Request().Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: the request broke off: %w", store.ErrInvalid, err)
	}
	b, err := decodeAction(body)
	if err != nil {
		return err
	}
	if err := b.into(&act); err != nil {
		return err
	}
	if act.Key = c.Request().Header.Get(keyHeader); act.Key == "" {
		if err := repeatable(act); err != nil {
			return err
		}
		act.Key = rand.Text()
	}
	return a.do(c, http.StatusAccepted, a.o.Live.Current(), act)
}

// repeatable is store.ErrInvalid for what would be done again if a request without a key were sent again, as clients do that got no answer: a
// component rolls out once more, and a pod that bears the name of the one that was deleted goes too.
func repeatable(a store.Action) error {
	parts := strings.Split(a.Target, "/")
	switch {
	case a.Target == "":
		return nil // refused for that
	case a.Verb == store.VerbRestart:
		return fmt.Errorf("%w: to restart %s of %s needs the header %s, else the same request sent again would restart it again; send a key of your own, such as a UUID",
			store.ErrInvalid, store.Clean(a.Target, 80), a.Ref, keyHeader)
	case a.Verb == store.VerbDeleteWorkload && (len(parts) != 3 || parts[2] == ""):
		return fmt.Errorf("%w: to delete the workload %s of %s needs the header %s, or the pod's UID in the target as namespace/name/uid, else the same request sent again "+
			"would delete the pod that has taken its place; send a key of your own, such as a UUID", store.ErrInvalid, store.Clean(a.Target, 330), a.Ref, keyHeader)
	}
	return nil
}

// PlanAction is GET …/actions/{verb}/plan: what the action would do, with the fields of the body as a query.
func (a *API) PlanAction(c echo.Context) error {
	act, err := action(c)
	if err != nil {
		return err
	}
	if a.o.Actions == nil {
		return errReadOnly
	}
	q, err := query(c)
	if err != nil {
		return err
	}
	b, err := actionQuery(q)
	if err != nil {
		return err
	}
	if err := b.into(&act); err != nil {
		return err
	}
	act.Key = "plan"
	p, err := a.o.Actions.Plan(c.Request().Context(), act)
	if errors.Is(err, store.ErrNotFound) {
		return noRunner(err, a.o.Live.Current(), act.Ref)
	}
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, planOf(p))
}

// decodeAction reads a body; a blank one asks for nothing special. A field that nobody knows is an error: it may have been meant.
func decodeAction(body []byte) (b ActionBody, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return b, nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return b, fmt.Errorf("%w: the body is to be one JSON object with the fields note, until, for, drain, target, incarnation and confirm: %s",
			store.ErrInvalid, store.Clean(strings.TrimPrefix(store.ErrorText(err), "json: "), 200))
	}
	if dec.More() {
		return b, fmt.Errorf("%w: the body goes on after its one JSON object", store.ErrInvalid)
	}
	return b, nil
}

// actionQuery reads the same fields from a query.
func actionQuery(q url.Values) (b ActionBody, err error) {
	b = ActionBody{Note: q.Get("note"), For: q.Get("for"), Target: q.Get("target"), Incarnation: q.Get("incarnation"), Confirm: q.Get("confirm")}
	if s := q.Get("drain"); s != "" {
		if b.Drain, err = strconv.ParseBool(s); err != nil {
			return b, fmt.Errorf("%w: drain %q is not true or false", store.ErrInvalid, store.Clean(s, 40))
		}
	}
	if s := q.Get("until"); s != "" {
		if b.Until, err = time.Parse(time.RFC3339, s); err != nil {
			return b, fmt.Errorf("%w: until %q is not an instant such as 2026-12-31T18:00:00Z", store.ErrInvalid, store.Clean(s, 40))
		}
	}
	return b, nil
}

// into completes an action. Its bounds are checked by the action itself.
func (b ActionBody) into(a *store.Action) error {
	a.Note, a.Drain, a.Target, a.Incarnation, a.Confirm, a.Until = store.Clean(b.Note, store.MaxNote+1), b.Drain, b.Target, b.Incarnation, b.Confirm, b.Until
	if b.For == "" {
		return nil
	}
	d, err := parseFor(b.For)
	switch {
	case err != nil:
		return err
	case !b.Until.IsZero():
		return fmt.Errorf("%w: until and for say one thing; give one of them", store.ErrInvalid)
	}
	a.Until = a.At.Add(d)
	return nil
}

// parseFor reads a length of time; days are written as 7d.
func parseFor(s string) (time.Duration, error) {
	days, isDays := strings.CutSuffix(s, "d")
	if n, err := strconv.Atoi(days); isDays && err == nil && n > 0 && n <= 366 {
		return time.Duration(n) * 24 * time.Hour, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%w: for %q is not a length of time such as 90m, 24h or 7d", store.ErrInvalid, store.Clean(s, 40))
}
