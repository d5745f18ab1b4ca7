package sqlite

import (
	"database/sql"
	"encoding/json"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// Strings go into TEXT columns byte for byte, invalid UTF-8 and NUL included: SQLite keeps them, and two hostile names never
// become one key. Only inside JSON columns does an invalid byte become U+FFFD.

// millis is a time as it is stored: Unix milliseconds, NULL for the zero time.
func millis(t time.Time) sql.NullInt64 {
	if t.IsZero() {
		return sql.NullInt64{} // as it is read back, so that rows can be compared
	}
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
}

func instant(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// verdict is a store.Verdict as four tables hold it.
type verdict struct {
	Health, Reason, Why     string
	Since                   sql.NullInt64
	Raw, Message, Container string
	Next                    sql.NullInt64
	Unproven                int64
	Inspect                 string
}

func flatten(v store.Verdict) verdict {
	return verdict{v.Health.String(), v.Reason.String(), v.Why.Absolute(), millis(v.Since), v.Raw, v.Message, v.Container,
		millis(v.Next), number(v.Unproven), v.Inspect}
}

// domain reads a verdict back. A word that nobody knows, written by a hand or by another version, becomes unknown, or no reason.
func (v verdict) domain() store.Verdict {
	health, _ := store.ParseHealth(v.Health)
	reason, _ := store.ParseReason(v.Reason)
	return store.Verdict{Health: health, Reason: reason, Why: store.Sentence(v.Why), Since: instant(v.Since), Raw: v.Raw,
		Message: v.Message, Container: v.Container, Next: instant(v.Next), Unproven: v.Unproven != 0, Inspect: v.Inspect}
}

// text writes a value of this package as JSON. None of them can fail.
func text(v any) string {
	b, _ := json.Marshal(v) // lists of numbers, strings and flat structs
	return string(b)
}

// list reads a JSON list back; one that a hand has broken is empty.
func list[T any](s string) (out []T) {
	if json.Unmarshal([]byte(s), &out) != nil {
		return nil
	}
	return out
}

func runnerRow(id int64, r *store.Runner) db.Runner {
	v := flatten(r.Verdict)
	failures := make([]int64, len(r.Failures))
	for i, t := range r.Failures {
		failures[i] = t.UnixMilli()
	}
	return db.Runner{ID: id, Cluster: r.Ref.Cluster, System: r.Ref.System, Namespace: r.Ref.Namespace, Name: r.Ref.Name,
		Health: v.Health, Reason: v.Reason, Why: v.Why, Since: v.Since, Version: r.Version, Requested: r.Requested.String(),
		Observed: r.Observed.String(), Raw: v.Raw, Message: v.Message, Container: v.Container, Next: v.Next, Unproven: v.Unproven,
		Inspect: v.Inspect, Incarnation: r.Incarnation, Recovered: millis(r.Recovered), Failures: text(failures),
		Facts: text(factRows(r.Facts)), Findings: text(findingRows(r.Findings)), Offer: text(offerRow(r.Offer)), Mark: text(markRow(r.Mark))}
}

// fact and finding are store.Fact and store.Finding with the names they have in JSON.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type finding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Object   string `json:"object"`
	Field    string `json:"field,omitempty"`
	Why      string `json:"why"`
	Fix      string `json:"fix,omitempty"`
	Doubt    bool   `json:"doubt,omitempty"`
}

func factRows(facts []store.Fact) []fact {
	out := make([]fact, len(facts))
	for i, f := range facts {
		out[i] = fact{f.Name, f.Value.Absolute()}
	}
	return out
}

func findingRows(findings []store.Finding) []finding {
	out := make([]finding, len(findings))
	for i, f := range findings {
		out[i] = finding{f.Code, f.Severity.String(), f.Object, f.Field, f.Why.Absolute(), f.Fix, f.Doubt}
	}
	return out
}

// details reads facts and findings back into a runner.
func details(r *store.Runner, facts, findings string) {
	for _, f := range list[fact](facts) {
		r.Facts = append(r.Facts, store.Fact{Name: f.Name, Value: store.Sentence(f.Value)})
	}
	for _, f := range list[finding](findings) {
		severity, _ := store.ParseSeverity(f.Severity)
		r.Findings = append(r.Findings, store.Finding{Code: f.Code, Severity: severity, Object: f.Object, Field: f.Field, Why: store.Sentence(f.Why), Fix: f.Fix, Doubt: f.Doubt})
	}
}

func runnerOf(x db.Runner) *store.Runner {
	v := verdict{x.Health, x.Reason, x.Why, x.Since, x.Raw, x.Message, x.Container, x.Next, x.Unproven, x.Inspect}
	requested, _ := store.ParseState(x.Requested)
	observed, _ := store.ParseState(x.Observed)
	r := &store.Runner{Ref: store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name},
		Incarnation: x.Incarnation, Verdict: v.domain(), Version: x.Version, Requested: requested, Observed: observed,
		Recovered: instant(x.Recovered), Rev: 1}
	for _, ms := range list[int64](x.Failures) {
		r.Failures = append(r.Failures, time.UnixMilli(ms).UTC())
	}
	details(r, x.Facts, x.Findings)
	r.Offer, r.Mark = offerOf(x.Offer), markOf(x.Mark)
	return r
}

func componentRow(runner int64, c *store.Component) db.Component {
	v := flatten(c.Verdict)
	return db.Component{Runner: runner, Name: c.Name, Kind: c.Kind, Object: c.Object, Health: v.Health, Reason: v.Reason,
		Why: v.Why, Since: v.Since, Version: c.Version, Image: c.Image, Ready: int64(c.Ready), Desired: int64(c.Desired),
		Restarts: int64(c.Restarts), Raw: v.Raw, Message: v.Message, Container: v.Container, Next: v.Next, Unproven: v.Unproven,
		Inspect: v.Inspect, ProbeUrl: c.Probe.URL, ProbeStatus: int64(c.Probe.Status), ProbeProblem: c.Probe.Problem,
		ProbeTook: c.Probe.Took.Milliseconds(), ProbeAt: millis(c.Probe.At), Podless: millis(c.Podless)}
}

func componentOf(x db.Component) store.Component {
	v := verdict{x.Health, x.Reason, x.Why, x.Since, x.Raw, x.Message, x.Container, x.Next, x.Unproven, x.Inspect}
	probe := store.Probe{URL: x.ProbeUrl, Status: int(x.ProbeStatus), Problem: x.ProbeProblem,
		Took: time.Duration(x.ProbeTook) * time.Millisecond, At: instant(x.ProbeAt)}
	return store.Component{Name: x.Name, Kind: x.Kind, Object: x.Object, Verdict: v.domain(), Version: x.Version, Image: x.Image,
		Ready: int32(x.Ready), Desired: int32(x.Desired), Restarts: int32(x.Restarts), Probe: probe, Podless: instant(x.Podless)}
}

// container is store.Container with the names it has in JSON.
type container struct {
	Name     string              `json:"name"`
	Role     store.ContainerRole `json:"role"`
	Image    string              `json:"image"`
	State    string              `json:"state"`
	Reason   string              `json:"reason,omitempty"`
	Message  string              `json:"message,omitempty"`
	ExitCode int32               `json:"exitCode,omitempty"`
	HasExit  bool                `json:"hasExit,omitempty"`
	Restarts int32               `json:"restarts,omitempty"`
	Ready    bool                `json:"ready,omitempty"`
	Ran      bool                `json:"ran,omitempty"`
}

func workloadRow(runner int64, w *store.Workload) db.Workload {
	v := flatten(w.Verdict)
	containers := make([]container, len(w.Containers))
	for i, c := range w.Containers {
		containers[i] = container(c)
	}
	return db.Workload{Runner: runner, Namespace: w.Namespace, Name: w.Name, Uid: w.UID, Component: w.Component,
		Health: v.Health, Reason: v.Reason, Why: v.Why, Since: v.Since, Phase: w.Phase, Node: w.Node, Created: millis(w.Created),
		Raw: v.Raw, Message: v.Message, Container: v.Container, Next: v.Next, Unproven: v.Unproven, Inspect: v.Inspect,
		Containers: text(containers)}
}

func workloadOf(x db.Workload) store.Workload {
	v := verdict{x.Health, x.Reason, x.Why, x.Since, x.Raw, x.Message, x.Container, x.Next, x.Unproven, x.Inspect}
	w := store.Workload{Namespace: x.Namespace, Name: x.Name, UID: x.Uid, Component: x.Component, Verdict: v.domain(),
		Phase: x.Phase, Node: x.Node, Created: instant(x.Created)}
	for _, c := range list[container](x.Containers) {
		w.Containers = append(w.Containers, store.Container(c))
	}
	return w
}

func sourceRow(s *store.Source) db.Source {
	return db.Source{Cluster: s.Cluster, Name: s.Name, State: string(s.State), Since: millis(s.Since), Heard: millis(s.Heard),
		Problem: s.Problem, Limits: text(s.Limits), Scope: s.Scope}
}

// transitionRow leaves Seq to whoever knows what else happened in that millisecond.
func transitionRow(runner int64, e *store.Event) db.Transition {
	v := flatten(e.Verdict)
	return db.Transition{Runner: runner, At: e.At.UnixMilli(), Kind: string(e.Kind), Component: e.Component, Workload: e.Workload,
		FromValue: e.From, ToValue: e.To, Health: v.Health, Reason: v.Reason, Why: v.Why, Since: v.Since, Raw: v.Raw,
		Message: v.Message, Container: v.Container, Next: v.Next, Unproven: v.Unproven, Inspect: v.Inspect, Incarnation: e.Incarnation}
}

func eventOf(ref store.Ref, x db.Transition) store.Event {
	v := verdict{x.Health, x.Reason, x.Why, x.Since, x.Raw, x.Message, x.Container, x.Next, x.Unproven, x.Inspect}
	return store.Event{At: time.UnixMilli(x.At).UTC(), Kind: store.EventKind(x.Kind), Ref: ref, Incarnation: x.Incarnation,
		Component: x.Component, Workload: x.Workload, From: x.FromValue, To: x.ToValue, Verdict: v.domain()}
}
