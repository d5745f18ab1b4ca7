package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"trackside/store"
	"trackside/store/sqlite"
)

// childEnv names the file that this test binary, started as its own child, records into until it is killed.
const childEnv = "TRACKSIDE_SQLITE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, recordForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// recordForever records the change number n as the n-th second and acknowledges it on standard output once it is committed.
func recordForever(path string) error {
	ctx := context.Background()
	d, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	snap := &store.Snapshot{}
	for n := 1; ; n++ {
		next, changes := store.Apply(snap, store.Touched{Runners: []*store.Runner{runner("a", store.Health(1+n%2), n%7)}}, at(n))
		if err := d.Record(ctx, next, changes); err != nil {
			return err
		}
		snap = next
		fmt.Println(n)
	}
}

// TestKilled kills a process that records, with SIGKILL, and looks for each record that it acknowledged.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trackside.db")
	for round := range 3 {
		acknowledged := killed(t, path, 100+37*round)
		d := open(t, path)
		if n := rows(t, d, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"); n != 0 {
			t.Errorf("round %d: %d problems of integrity", round, n)
		}
		if n := rows(t, d, "SELECT count(DISTINCT at) FROM transitions WHERE at <= "+itoa(at(acknowledged).UnixMilli())); n != int64(acknowledged) {
			t.Errorf("round %d: %d of %d acknowledged records are there", round, n, acknowledged)
		}
		snap, err := d.Restore(t.Context())
		if err != nil || snap.Len() != 1 || snap.At.Before(at(acknowledged)) && round == 0 {
			t.Errorf("round %d: restored %d runners at %v, %v", round, snap.Len(), snap.At, err)
		}
		wholeRunner(t, snap)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// wholeRunner checks that the runner and its workloads are of one and the same record.
func wholeRunner(t *testing.T, snap *store.Snapshot) {
	t.Helper()
	r, err := snap.Runner(ref("a"))
	if err != nil {
		t.Fatal(err)
	}
	n := int(snap.At.Sub(epoch) / time.Second)
	if len(r.Workloads) != n%7 {
		t.Errorf("record %d has %d workloads, want %d", n, len(r.Workloads), n%7)
	}
}

// killed starts a child, waits for some acknowledgements, kills it and returns the last number it acknowledged.
func killed(t *testing.T, path string, records int) (last int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childEnv+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if last == records {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || last < records {
		t.Fatalf("the child ended by itself after %d records: %v", last, err)
	}
	return last
}
