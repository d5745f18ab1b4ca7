package sqlite_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

// proofOf is evidence in which nothing is left out.
func proofOf(name string, reason store.Reason, when time.Time) store.Evidence {
	v := verdict(store.Unhealthy)
	v.Reason, v.Since, v.Why = reason, when, "The registry refused the pull."
	e := store.Evidence{Ref: ref(name), Incarnation: "uid-" + name, Namespace: "runners-eu", Name: name + "-000", UID: name + "-uid-0", Component: "agent-manager",
		At: when, Verdict: v, Image: "r/am:v1", Node: "n1", Fingerprint: "the registry said #",
		Proof: store.Proof{Phase: "Pending", Reason: "x", Message: "\"quoted\" \x00 ü", Created: at(-60), Started: at(-59), Owners: []string{"replicaset/am-1", "deployment/am"},
			RestartPolicy: "Always", RuntimeClass: "gvisor", PullSecrets: []string{"regcred"},
			Conditions: []store.ProofCondition{{Type: "Ready", Status: "False", Reason: "r", Message: "m", Since: at(-9)}},
			Containers: []store.ProofContainer{{Name: "main", Role: store.RoleMain, Image: "r/am:v1", Requests: []string{"cpu 1"}, Limits: []string{"memory 1Gi"}, Readiness: true, Restarts: 5, Ready: true,
				State: store.ProofState{State: "waiting", Reason: "CrashLoopBackOff", Message: "m"},
				Last:  &store.ProofState{State: "terminated", ExitCode: 137, Signal: 9, Started: at(-8), Finished: at(-7)}}},
			Events: []store.ProofEvent{{At: at(-5), Reason: "BackOff", Message: "m", Count: 7, About: "pod"}},
			Node:   &store.ProofNode{Name: "n1", Ready: "False", Reason: "KubeletNotReady", Since: at(-100)}, Probe: "GET / 503"}}
	e.Identify()
	return e
}

func TestEvidenceIsRecordedWithItsTransition(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trackside.db")
	d := open(t, path)
	b := newBoard(t, d)
	want := proofOf("a", store.ImagePullFailed, at(1))
	changes := b.apply(at(1), store.Touched{Runners: []*store.Runner{runner("a", store.Unhealthy, 1)}, Evidence: []store.Evidence{want}})
	b.record(changes)
	b.record(changes) // again: it is there once
	// What arrives later, even when the runner has gone by then, adds its logs and changes nothing else.
	b.record(b.apply(at(2), store.Touched{Gone: []store.Ref{ref("a")}}))
	late := want
	late.Logs = []store.Log{{Container: "main", Previous: true, Text: "line 1\nline 2"}, {Container: "sidecar", Problem: "the pod was gone"}}
	late.Proof, late.Image = store.Proof{}, "other"
	b.record(b.apply(at(3), store.Touched{Evidence: []store.Evidence{late}}))
	got, err := d.Evidence(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	want.Logs = late.Logs
	want.Proof.Message = "\"quoted\" \x00 ü"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if n := rows(t, d, "SELECT count(*) FROM evidence"); n != 1 {
		t.Errorf("%d rows", n)
	}
	_, err = d.Evidence(t.Context(), "nobody")
	wantError(t, err, store.ErrNotFound, "nobody")
}

func TestFailures(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	var evidence []store.Evidence
	for i := range 300 {
		e := proofOf(fmt.Sprintf("r%03d", i%150), store.Reasons()[i%5], at(i))
		e.Ref.Namespace = fmt.Sprintf("ns-%d", i%3)
		e.Identify()
		evidence = append(evidence, e)
	}
	b.record(b.apply(at(300), store.Touched{Evidence: evidence}))
	count := func(f store.FailureFilter, limit int) (int, bool) {
		t.Helper()
		got, more, err := d.Failures(t.Context(), f, limit)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(got, func(a, b store.Evidence) int { return b.At.Compare(a.At) }) {
			t.Error("not in order")
		}
		for _, e := range got {
			if !f.MatchRef(e.Ref) || !f.MatchReason(e.Verdict.Reason) || e.At.Before(f.Since) || len(e.Proof.Containers) > 0 {
				t.Errorf("%+v let through %v %v", f, e.Ref, e.At)
			}
		}
		return len(got), more
	}
	for _, c := range []struct {
		f     store.FailureFilter
		limit int
		want  int
		more  bool
	}{
		{store.FailureFilter{}, 1000, 300, false},
		{store.FailureFilter{}, 300, 300, false},
		{store.FailureFilter{}, 299, 299, true},
		{store.FailureFilter{Since: at(290)}, 1000, 10, false},
		{store.FailureFilter{Reasons: []store.Reason{store.CrashLoop}}, 1000, 60, false},
		{store.FailureFilter{Reasons: []store.Reason{store.CrashLoop, store.RuntimeLost}, Since: at(150)}, 1000, 60, false},
		{store.FailureFilter{Reasons: []store.Reason{store.CrashLoop, store.RuntimeLost}}, 25, 25, true},
		{store.FailureFilter{Reasons: []store.Reason{store.CrashLoop, store.RuntimeLost}}, 120, 120, false},
		{store.FailureFilter{Namespaces: []string{"ns-1"}}, 1000, 100, false},               // few runners
		{store.FailureFilter{Namespaces: []string{"ns-1", "ns-2", "none"}}, 20, 20, true},   // few runners, too many failures
		{store.FailureFilter{Clusters: []string{"prod"}, Since: at(100)}, 1000, 200, false}, // many runners
		{store.FailureFilter{Systems: []string{"kubiya"}, Since: at(100)}, 100, 100, true},  // many runners, too many failures
		{store.FailureFilter{Systems: []string{"agyn"}}, 1000, 0, false},                    // none
		{store.FailureFilter{Systems: []string{"kubiya"}, Reasons: []store.Reason{store.StartFailed}, Namespaces: []string{"ns-0"}}, 1000, 20, false},
	} {
		if n, more := count(c.f, c.limit); n != c.want || more != c.more {
			t.Errorf("%+v: %d failures, more %v; want %d, %v", c.f, n, more, c.want, c.more)
		}
	}
	two, _, err := d.Failures(t.Context(), store.FailureFilter{Reasons: []store.Reason{store.CrashLoop, store.RuntimeLost}}, 25)
	if all, _, _ := d.Failures(t.Context(), store.FailureFilter{Reasons: []store.Reason{store.CrashLoop, store.RuntimeLost}}, 1000); err != nil || !two[24].At.Equal(all[24].At) {
		t.Errorf("the last of the newest 25 is of %v, want %v (%v)", two[24].At, all[24].At, err)
	}
	got, err := d.EvidenceOf(t.Context(), evidence[7].Ref, at(0), 10)
	if err != nil || len(got) != 1 && len(got) != 2 || got[len(got)-1].ID != evidence[7].ID {
		t.Errorf("%v, %v", got, err)
	}
}

// Many failures of one moment are one page and more.
func TestFailuresOfOneMoment(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	var evidence []store.Evidence
	for i := range 2500 {
		e := proofOf("a", store.CrashLoop, at(5))
		e.UID = fmt.Sprint(i)
		e.Identify()
		evidence = append(evidence, e)
	}
	b.record(b.apply(at(6), store.Touched{Evidence: evidence}))
	got, more, err := d.Failures(t.Context(), store.FailureFilter{}, 1000)
	if err != nil || !more || len(got) < 500 {
		t.Errorf("%d, %v, %v", len(got), more, err)
	}
}

func TestPruneEvidence(t *testing.T) {
	d := fresh(t)
	b := newBoard(t, d)
	old, young := proofOf("a", store.CrashLoop, at(0)), proofOf("b", store.CrashLoop, at(100))
	old.Logs, young.Logs = []store.Log{{Container: "main", Text: "x"}}, []store.Log{{Container: "main", Text: "y"}}
	b.record(b.apply(at(1), store.Touched{Evidence: []store.Evidence{old}}))
	b.record(b.apply(at(100), store.Touched{Evidence: []store.Evidence{young}}))
	if n, err := d.PruneEvidence(t.Context(), at(50)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n := rows(t, d, "SELECT (SELECT count(*) FROM evidence) * 1000 + (SELECT count(*) FROM proofs) * 100 + (SELECT count(*) FROM logs) * 10 + (SELECT count(*) FROM refs)"); n != 1111 {
		t.Errorf("left: %d", n)
	}
	if _, err := d.Evidence(t.Context(), young.ID); err != nil {
		t.Error(err)
	}
}

// laterThanEvidence undoes the migrations that came after that of the evidence.
const laterThanEvidence = "DROP TABLE report_tokens; DROP TABLE report_runners; DROP TABLE report_tasks; DROP TABLE report_sequence;" +
	"DROP TABLE acceptances; ALTER TABLE runners DROP COLUMN offer; DROP INDEX transitions_version;" +
	"DROP TABLE audit; DROP TABLE acknowledgements; ALTER TABLE runners DROP COLUMN mark; DROP TABLE users; DROP TABLE sessions; DROP TABLE tokens; DROP TABLE manifest_links;" +
	"DROP INDEX transitions_id; ALTER TABLE transitions DROP COLUMN id; ALTER TABLE meta DROP COLUMN feed; ALTER TABLE components DROP COLUMN podless;"

// A file of the version before knows a fleet: counting begins with it.
func TestMigrationCountsTheFleetThatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trackside.db")
	d, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	b := newBoard(t, d)
	off := runner("off", store.Unknown, 0)
	off.Observed = store.Disabled
	b.observe(at(0), runner("a", store.Degraded, 0), off)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, "DROP TABLE evidence; DROP TABLE proofs; DROP TABLE logs; DROP TABLE standings; DROP TABLE observed; DROP TABLE rollups;"+
		laterThanEvidence+"DELETE FROM goose_db_version WHERE version_id >= 3")
	d = open(t, path)
	var words []string
	for _, q := range []string{"a", "off"} {
		var s string
		if err := d.Writer().QueryRowContext(t.Context(), "SELECT group_concat(component || '=' || condition, ' ' ORDER BY component) FROM standings JOIN refs ON refs.id = runner WHERE name = ?", q).Scan(&s); err != nil {
			t.Fatal(err)
		}
		words = append(words, s)
	}
	if got := strings.Join(words, "; "); got != "=degraded agent-manager=degraded tool-manager=healthy; =disabled agent-manager=unknown tool-manager=healthy" {
		t.Errorf("standings %q", got)
	}
}
