package sqlite_test

import (
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// plain is a verdict as the disk gives it back: its sentence in absolute times.
func plain(v store.Verdict) store.Verdict {
	v.Why = store.Sentence(v.Why.Absolute())
	return v
}

func plainRunner(r *store.Runner) *store.Runner {
	c := *r
	c.Verdict = plain(r.Verdict)
	c.Components, c.Workloads, c.Failures = slices.Clone(r.Components), slices.Clone(r.Workloads), nil
	for _, t := range r.Failures {
		c.Failures = append(c.Failures, time.UnixMilli(t.UnixMilli()).UTC())
	}
	c.Facts = slices.Clone(r.Facts)
	for i := range c.Facts {
		c.Facts[i].Value = store.Sentence(c.Facts[i].Value.Absolute())
	}
	for i := range c.Components {
		c.Components[i].Verdict = plain(c.Components[i].Verdict)
	}
	for i := range c.Workloads {
		c.Workloads[i].Verdict = plain(c.Workloads[i].Verdict)
	}
	return &c
}

// sameFleet checks that what is restored equals a snapshot.
func sameFleet(t *testing.T, d *sqlite.DB, want *store.Snapshot) {
	t.Helper()
	got, err := d.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Len() != want.Len() || got.Totals() != want.Totals() {
		t.Errorf("restored %d runners, totals %+v; want %d, %+v", got.Len(), got.Totals(), want.Len(), want.Totals())
	}
	for w := range want.Runners() {
		g, err := got.Runner(w.Ref)
		if err != nil {
			t.Error(err)
		} else if w = plainRunner(w); !g.Equal(w) {
			t.Errorf("restored\n%+v\nwant\n%+v", g, w)
		}
	}
}

// sameEvents compares transitions, latest first, with events in their order of time.
func sameEvents(t *testing.T, got, want []store.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d transitions, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[len(got)-1-i]
		if !g.Verdict.Equal(plain(w.Verdict)) || !g.At.Equal(w.At) {
			t.Errorf("transition %d: %+v, want %+v", i, g, w)
		}
		g.Verdict, w.Verdict, g.At, w.At = store.Verdict{}, store.Verdict{}, time.Time{}, time.Time{}
		if g != w {
			t.Errorf("transition %d: %+v, want %+v", i, g, w)
		}
	}
}

func TestRestoreRoundTrip(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	disabled := runner("off", store.Unknown, 0)
	disabled.Facts = []store.Fact{{Name: "Scope", Value: "cluster"}, {Name: "Last seen", Value: store.Sentence(store.Ago(at(0)))}}
	disabled.Findings = []store.Finding{{Code: "liveness-probe-missing", Severity: store.Warning, Object: "deployment/off", Field: "spec", Why: "It hangs unseen.", Fix: "livenessProbe: {}"}}
	disabled.Requested, disabled.Observed, disabled.Unproven = store.Deleting, store.Disabled, true
	live := store.Source{Cluster: "prod", Name: "Kubernetes API", State: store.SourceLive, Since: at(0), Heard: at(0),
		Limits: []string{"Pods in x are forbidden."}, Scope: "all namespaces"}
	stale := store.Source{Cluster: "test", Name: "Kubernetes API", State: store.SourceStale, Since: at(0), Problem: "Refused."}
	b.record(b.apply(at(0), store.Touched{Runners: []*store.Runner{runner("a", store.Healthy, 4), disabled}, Sources: []store.Source{live, stale}}))
	b.observe(at(1), runner("a", store.Unhealthy, 5)) // Failures
	b.observe(at(2), runner("a", store.Healthy, 5))   // Recovered
	b.observe(at(3), runner("b", store.Unhealthy, 1))
	if err := d.Hear(t.Context(), "prod", at(50)); err != nil {
		t.Fatal(err)
	}
	b.observe(at(4), runner("b", store.Degraded, 1)) // must not set Heard back
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, d.Path())
	sameFleet(t, d, b.snap)
	a, _ := b.snap.Runner(ref("a"))
	if len(a.Failures) != 1 || a.Recovered.IsZero() {
		t.Errorf("the test does not test Failures %v and Recovered %v", a.Failures, a.Recovered)
	}
	checkRestored(t, d, live)
}

func checkRestored(t *testing.T, d *sqlite.DB, live store.Source) {
	t.Helper()
	snap, err := d.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !snap.At.Equal(at(4)) || len(snap.Sources) != 2 {
		t.Fatalf("At %v, sources %+v", snap.At, snap.Sources)
	}
	for i, heard := range []time.Time{at(50), {}} {
		if s := snap.Sources[i]; s.State != store.SourceRestored || !s.Heard.Equal(heard) || !s.Since.Equal(clock()) || s.Problem == "" {
			t.Errorf("source %+v, want restored, heard %v", s, heard)
		}
	}
	if s := snap.Sources[0]; !slices.Equal(s.Limits, live.Limits) || s.Scope != live.Scope {
		t.Errorf("source %+v lost limits or scope", s)
	}
}

func TestRestoreNothing(t *testing.T) {
	snap, err := fresh(t).Restore(t.Context())
	if err != nil || snap.Rev != 0 || snap.Len() != 0 {
		t.Errorf("restored %+v, %v from a new file", snap, err)
	}
}

// TestRestoreForgets: a source that is no longer there is not restored.
func TestRestoreForgets(t *testing.T) {
	d := fresh(t)
	for _, name := range []string{"old", "new"} {
		b := newBoard(t, d)
		b.record(b.apply(at(0), store.Touched{Sources: []store.Source{{Cluster: name, Name: "api"}}}))
	}
	snap, err := d.Restore(t.Context())
	if err != nil || len(snap.Sources) != 1 || snap.Sources[0].Cluster != "new" {
		t.Errorf("sources %+v, %v", snap.Sources, err)
	}
}

// TestRestoreStrangeWords: words that nobody knows degrade their runner, not the fleet.
func TestRestoreStrangeWords(t *testing.T) {
	d := fresh(t)
	newBoard(t, d).observe(at(0), runner("a", store.Unhealthy, 1), runner("b", store.Healthy, 1))
	for _, q := range []string{"UPDATE runners SET health = 'splendid', reason = 'luck', observed = 'gone', failures = '{' WHERE name = 'a'",
		"UPDATE workloads SET containers = 'x' WHERE runner = 1"} {
		if _, err := d.Writer().ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := d.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a, err := snap.Runner(ref("a")); err != nil || a.Health != store.Unknown || a.Reason != store.NoReason || a.Observed != store.Enabled {
		t.Errorf("runner %+v, %v", a, err)
	}
	if snap.Totals().Health(store.Healthy) != 1 {
		t.Error("the other runner was harmed")
	}
}

// TestHostileStrings: any bytes survive, in keys too, and nothing that follows is lost.
func TestHostileStrings(t *testing.T) {
	hostile := []string{"\xff\xfe", "\xff\xfd", "a\x00b", "\x00", "'; DROP TABLE runners; --", "\x1b[31m\r\n\x02a5\x03", "\u202e\ufeff", strings.Repeat("\xf0", 1<<20)}
	d := fresh(t)
	b := newBoard(t, d)
	var runners []*store.Runner
	for i, s := range hostile {
		r := runner("r", store.Unhealthy, 1)
		r.Ref = store.Ref{Cluster: s, System: s, Namespace: s, Name: s}
		r.Incarnation, r.Message, r.Raw, r.Container, r.Inspect, r.Version = s, s, s, s, s, s
		r.Components[0].Name, r.Components[0].Message, r.Components[0].Probe.URL = s, s, s
		r.Components[1].Name = s + "z"
		w := &r.Workloads[0]
		w.Namespace, w.Name, w.UID, w.Component, w.Node, w.Phase = s, s, s, s, s, s
		if i%2 == 0 {
			w.Verdict = verdict(store.Unhealthy)
		}
		runners = append(runners, r)
	}
	b.record(b.apply(at(0), store.Touched{Runners: runners, Sources: []store.Source{{Cluster: hostile[0], Name: hostile[2], Problem: hostile[3]}}}))
	sameFleet(t, d, b.snap)
	for _, r := range runners {
		events, err := d.Transitions(t.Context(), r.Ref, 10)
		if err != nil || len(events) == 0 || events[len(events)-1].Verdict.Message != r.Message {
			t.Errorf("transitions of %.20q: %d, %v", r.Ref.Name, len(events), err)
		}
	}
	if n := rows(t, d, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"); n != 0 {
		t.Errorf("%d problems of integrity", n)
	}
}

// TestHostileContainer: in JSON an invalid byte becomes U+FFFD, and the rest stays.
func TestHostileContainer(t *testing.T) {
	d := fresh(t)
	r := runner("a", store.Healthy, 1)
	r.Workloads[0].Containers[0].Message = "a\xff\x00\u2028b"
	newBoard(t, d).observe(at(0), r)
	snap, err := d.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := snap.Runner(ref("a"))
	if err != nil {
		t.Fatal(err)
	}
	if m := got.Workloads[0].Containers[0].Message; m != "a\ufffd\x00\u2028b" {
		t.Errorf("message %q", m)
	}
}

// TestReadable: a person reads the fleet with any SQLite program while it is written.
func TestReadable(t *testing.T) {
	d := fresh(t)
	newBoard(t, d).observe(at(0), runner("a", store.Unhealthy, 1))
	other, err := sql.Open("sqlite", "file:"+d.Path()+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	var got [6]string
	err = other.QueryRowContext(t.Context(), "select cluster, name, health, reason, why, since from runners").Scan(&got[0], &got[1], &got[2], &got[3], &got[4], &got[5])
	want := [6]string{"prod", "a", "unhealthy", "image_pull_failed", "The registry refused the pull at 2026-03-01 12:00:03 UTC.", itoa(at(0).UnixMilli())}
	if err != nil || got != want {
		t.Errorf("read %q, %v; want %q", got, err, want)
	}
}

func TestTransitionsPages(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	var want []store.Event
	for i := range 25 {
		changes := b.apply(at(i/3), store.Touched{Runners: []*store.Runner{runner("a", store.Health(1+i%3), i%5), runner("b", store.Health(1+i%2), 0)}})
		b.record(changes)
		for _, c := range changes {
			if c.Ref() == ref("a") {
				want = append(want, c.Events...)
			}
		}
	}
	var got []store.Event
	for cursor := ""; ; {
		page, next, err := d.TransitionsBefore(t.Context(), ref("a"), cursor, 7)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if cursor = next; cursor == "" {
			break
		}
	}
	sameEvents(t, got, want)
	since, err := d.Since(t.Context(), at(8), 100)
	if err != nil || len(since) == 0 || since[0].At.Before(at(8)) {
		t.Errorf("Since: %d, %v", len(since), err)
	}
	if since, err = d.Since(t.Context(), at(0), 3); err != nil || len(since) != 3 || !since[0].At.Equal(at(0)) {
		t.Errorf("Since with a limit: %+v, %v", since, err)
	}
}

func TestTransitionsInvalid(t *testing.T) {
	d := fresh(t)
	if events, err := d.Transitions(t.Context(), ref("none"), 5); err != nil || len(events) != 0 {
		t.Errorf("a runner nobody knows: %v, %v", events, err)
	}
	for _, limit := range []int{0, -1} {
		if _, err := d.Transitions(t.Context(), ref("a"), limit); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	for _, cursor := range []string{"x", "1", "1-", "1-2-3", "1-2 ", "99999999999999999999-1"} {
		if _, _, err := d.TransitionsBefore(t.Context(), ref("a"), cursor, 5); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

// TestRestoreEveryField fills every field there is, so that a field that is added to the domain and forgotten here is found.
func TestRestoreEveryField(t *testing.T) {
	r := &store.Runner{}
	fill(reflect.ValueOf(r).Elem(), new(int))
	d := fresh(t)
	snap := store.NewSnapshot([]*store.Runner{r}, nil, at(0))
	if err := d.Record(t.Context(), snap, []store.Change{{After: r}}); err != nil {
		t.Fatal(err)
	}
	sameFleet(t, d, snap)
}

// fill sets every field to a value that is not zero: numbers to 1 or more, strings to words, lists to one element.
func fill(v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = at(*n)
		return
	case *time.Duration:
		*x = time.Duration(*n) * time.Millisecond
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.String:
		v.SetString("word" + itoa(int64(*n)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8: // the closed sets
		v.SetUint(1)
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		v.SetInt(int64(*n))
	}
}
