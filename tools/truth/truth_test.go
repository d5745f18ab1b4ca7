package main

import (
	"os"
	"strings"
	"testing"

	"trackside/poller/kube/statuses"
)

func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil { // the tool runs at the root of the repository
		panic(err)
	}
	os.Exit(m.Run())
}

func read(t *testing.T) []*statuses.Status {
	t.Helper()
	all, err := statuses.Read(statuses.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryVerdictAgrees(t *testing.T) {
	r := judge(read(t), nil)
	if r.agree != r.keyed || len(r.differ) != 0 {
		t.Errorf("%d of %d agree: %s", r.agree, r.keyed, strings.Join(r.differ, "\n"))
	}
}

// A word that differs in any field of a key is found, named, counted in its row, and makes the tool fail.
func TestAVerdictThatDiffersIsFound(t *testing.T) {
	for name, spoil := range map[string]func(*statuses.Verdict){
		"health":    func(v *statuses.Verdict) { v.Health, v.Reason = "unknown", "" },
		"reason":    func(v *statuses.Verdict) { v.Health, v.Reason = "unhealthy", "crashloop" },
		"raw":       func(v *statuses.Verdict) { v.Raw = "Other" },
		"container": func(v *statuses.Verdict) { v.Container = "other" },
		"role":      func(v *statuses.Verdict) { v.Role = "init" },
		"why":       func(v *statuses.Verdict) { v.Why += " " },
		"next":      func(v *statuses.Verdict) { v.Next = "2026-11-20T12:00:01Z" },
		"no pair":   func(v *statuses.Verdict) { v.Health = "poorly" },
	} {
		all := read(t)
		i := 0
		for all[i].Name != "86-pod-secret-volume-missing" {
			i++
		}
		spoil(&all[i].Expect)
		r := judge(all, nil)
		if r.agree != r.keyed-1 || len(r.differ) != 1 || !strings.HasPrefix(r.differ[0], all[i].Name) || r.problem() == nil {
			t.Errorf("%s: %d of %d agree, %q", name, r.agree, r.keyed, r.differ)
		}
		var out strings.Builder
		r.print(&out)
		if !strings.Contains(out.String(), all[i].Name) || !strings.Contains(out.String(), "1 differ") {
			t.Errorf("%s: printed %s", name, out.String())
		}
	}
}

func TestAGapMakesItFail(t *testing.T) {
	r := &result{keyed: 1, agree: 1}
	if err := r.problem(); err != nil {
		t.Error(err)
	}
	if r.gaps = []string{"kubiya crashloop"}; r.problem() == nil {
		t.Error("a gap is no problem")
	}
}

func TestThePage(t *testing.T) {
	p := statuses.Pair{System: "plue", Health: "unhealthy", Reason: "crashloop"}
	r := &result{rows: []*row{{Pair: p, keyed: 3, agree: 2, sources: []string{"a/b", "c.io"}}}, keyed: 3, agree: 2,
		unreachable: []statuses.Unreachable{{System: "plue", Health: "unknown", Why: "It cannot."}}}
	page := string(r.markdown())
	for _, want := range []string{"| plue | unhealthy | crashloop | 3 | 2 | a/b, c.io |\n", "| plue | unknown |  | It cannot. |\n", "3 statuses of 1 systems have a key; 2 verdicts agree with it, 1 differ."} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
	if place("a/b#1") != "a/b" || place("kubernetes.io/docs/x") != "kubernetes.io" || place("a/b") != "a/b" {
		t.Error("places")
	}
}
