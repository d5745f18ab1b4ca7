package sqlite_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

func someReport(id int64, name string) store.Report {
	minute := time.Minute
	return store.Report{ID: id, Registration: store.Registration{Name: name, IP: "10.0.0.1", System: "release", Namespace: "a/b\xff\x00", UUID: "u", PublicKey: "k",
		Version: "1.2", Capacity: 3, Eviction: &minute, Capabilities: []string{"k8s", `"<b>`}, Control: true}, Incarnation: "u", Registered: at(1), Heard: at(2), Lost: at(3),
		Beats: true, Idle: true, Problem: "p", ProblemSince: at(4), Mark: store.Mark{By: "ada", Note: "disk", At: at(1).UTC(), Until: at(2).UTC(), Drain: true}, Requested: store.Disabled, Observed: store.Enabled,
		Commands: []store.Command{{ID: 9, Event: store.CommandDisable, At: at(5)}}}
}

func someTask(id int64) store.Task {
	return store.Task{ID: id, Type: "agent", Session: "s", Config: []byte(`{"a":[1,"<b>"]}`), Runner: 1, Queued: at(1), Claimed: at(2), Begun: at(3), Ended: at(4), Handed: 2,
		Failed: true, Error: "e", Words: []string{"one", "two"}}
}

// What is saved is read back as it was, and what is gone is gone.
func TestReports(t *testing.T) {
	d := fresh(t)
	none, err := d.Reports(t.Context())
	if err != nil || none.NextRunner != 1 || none.NextTask != 1 || len(none.Runners)+len(none.Tasks) != 0 {
		t.Fatalf("a new file holds %+v, %v", none, err)
	}
	want := store.ReportBook{Runners: []store.Report{someReport(1, "a"), someReport(2, "b"), {ID: 3, Registration: store.Registration{Name: "c"}}},
		Tasks: []store.Task{someTask(1), someTask(2)}, NextRunner: 4, NextTask: 3}
	for range 2 { // it may be written again
		if err := d.SaveReports(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.Reports(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back:\n%+v\nwritten:\n%+v\n%v", got, want, err)
	}
	change := store.ReportBook{Runners: []store.Report{someReport(4, "b")}, GoneRunners: []int64{2}, GoneTasks: []int64{1}, Heard: map[int64]time.Time{1: at(70), 99: at(1)},
		NextRunner: 5, NextTask: 3}
	if err := d.SaveReports(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	got, err = d.Reports(t.Context())
	if err != nil || len(got.Runners) != 3 || len(got.Tasks) != 1 || !got.Runners[0].Heard.Equal(at(70)) || got.Runners[2].ID != 4 || got.NextRunner != 5 {
		t.Errorf("after the change: %+v, %v", got, err)
	}
}

// What a hand has broken is read as far as it can be.
func TestReportsBroken(t *testing.T) {
	d := fresh(t)
	if err := d.SaveReports(t.Context(), store.ReportBook{Runners: []store.Report{someReport(1, "a")}, Tasks: []store.Task{someTask(1)}}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE report_runners SET commands = '{', requested = 'sideways'", "UPDATE report_tasks SET config = '{', words = '7'"} {
		if _, err := d.Writer().ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.Reports(t.Context())
	if err != nil || got.Runners[0].Requested != store.Enabled || got.Runners[0].Commands != nil || string(got.Tasks[0].Config) != "{}" || got.Tasks[0].Words != nil {
		t.Errorf("read back %+v, %v", got, err)
	}
}

// Tokens are made, listed and revoked beside a server that has the file open, and where none runs; the server sees them at once.
func TestReportTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trackside.db")
	alone, err := sqlite.OpenBeside(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	first := store.ReportToken{ID: "one", Name: "pool-*", System: "plue", Hash: bytes.Repeat([]byte{1}, 32), Created: at(1)}
	if err := alone.AddReportToken(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := alone.Close(); err != nil {
		t.Fatal(err)
	}
	server := open(t, path)
	beside, err := sqlite.OpenBeside(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	second := store.ReportToken{ID: "two", Name: "ops", Admin: true, Hash: bytes.Repeat([]byte{2}, 32), Created: at(2)}
	if err := beside.AddReportToken(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	for _, want := range []store.ReportToken{first, second} {
		if got, err := server.ReportToken(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the server finds %+v, %v; want %+v", got, err, want)
		}
	}
	if err := beside.RevokeReportToken(t.Context(), "one", at(9)); err != nil {
		t.Fatal(err)
	}
	if got, err := server.ReportToken(t.Context(), "one"); err != nil || !got.Revoked.Equal(at(9)) {
		t.Errorf("the server finds %+v, %v", got, err)
	}
	wantError(t, beside.RevokeReportToken(t.Context(), "one", at(10)), store.ErrNotFound, "one")
	_, err = server.ReportToken(t.Context(), "three")
	wantError(t, err, store.ErrNotFound)
	all, err := beside.ReportTokens(t.Context())
	if err != nil || len(all) != 2 {
		t.Errorf("listed: %+v, %v", all, err)
	}
}

func TestReportsClosed(t *testing.T) {
	d := fresh(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, d.SaveReports(t.Context(), store.ReportBook{}), store.ErrUnavailable, "closed")
	_, err := d.Reports(t.Context())
	wantError(t, err, store.ErrUnavailable, "closed")
	wantError(t, d.AddReportToken(t.Context(), store.ReportToken{}), store.ErrUnavailable, "closed")
	_, err = sqlite.OpenBeside(t.Context(), filepath.Join(t.TempDir(), "none", "t.db"))
	wantError(t, err, store.ErrUnavailable, "none/t.db")
}
