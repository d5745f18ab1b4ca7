package statuses

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trackside/systems"
)

// dir is Dir as seen from here.
const dir = "../testdata"

func TestEveryReasonOfEverySystemIsKeyedOrExplained(t *testing.T) {
	all, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	unreachable, err := ReadUnreachable(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, gap := range Gaps(all, unreachable) {
		t.Error(gap)
	}
}

// keyedAll has a status for every pair but those left out.
func keyedAll(without ...Pair) (all []*Status) {
	for _, p := range Pairs() {
		if !slices.Contains(without, p) {
			all = append(all, &Status{Name: "of " + p.String(), System: p.System, Expect: Verdict{Health: p.Health, Reason: p.Reason}})
		}
	}
	return all
}

func TestGaps(t *testing.T) {
	lost, unknown := Pair{"labelled", "unhealthy", "runtime_lost"}, Pair{"kubiya", "unknown", ""}
	explain := func(p Pair, why string) Unreachable { return Unreachable{p.System, p.Health, p.Reason, why} }
	for _, c := range []struct {
		name        string
		all         []*Status
		unreachable []Unreachable
		want        []string
	}{
		{"all are keyed", keyedAll(), nil, nil},
		{"a reason is not", keyedAll(lost), nil, []string{"labelled runtime_lost has no keyed status"}},
		{"a health is not", keyedAll(unknown), nil, []string{"kubiya unknown has no keyed status"}},
		{"both are explained", keyedAll(lost, unknown), []Unreachable{explain(lost, "It cannot be."), explain(unknown, "Nor that.")}, nil},
		{"explained without a word", keyedAll(lost), []Unreachable{explain(lost, " ")}, []string{"does not say why labelled runtime_lost is", "labelled runtime_lost has no keyed"}},
		{"explained, and reached", keyedAll(), []Unreachable{explain(lost, "It cannot be.")}, []string{"but of labelled runtime_lost reaches it"}},
		{"explained for no system", keyedAll(), []Unreachable{explain(Pair{"nobody", "unknown", ""}, "x")}, []string{"speaks of nobody unknown, which there is not"}},
		{"explained for no verdict", keyedAll(), []Unreachable{explain(Pair{"kubiya", "degraded", "crashloop"}, "x")}, []string{"speaks of kubiya crashloop, which there is not"}},
	} {
		got := Gaps(c.all, c.unreachable)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], c.want[i]) {
				t.Errorf("%s: %q, want %q", c.name, got[i], c.want[i])
			}
		}
	}
	if got, want := len(Pairs()), 8*len(systems.All()); got != want {
		t.Errorf("%d pairs, want %d", got, want)
	}
}

func TestAStatusThatCannotBeReadSaysWhichAndWhy(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no source", "now: '2026-11-20T12:00:00Z'\nsystem: labelled\n", "the first line must be # Source: …"},
		{"no such system", "# Source: a/b\nsystem: nobody\n", `there is no system "nobody"`},
		{"no system", "# Source: a/b\ncomponent: true\n", `there is no system ""`},
		{"a field that is misspelt", "# Source: a/b\nsystem: labelled\nexpect: {helth: healthy}\n", "helth"},
		{"no YAML", "# Source: a/b\n\t{", "converting YAML"},
	} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "statuses"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "statuses", "one.yaml"), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(root); err == nil || !strings.Contains(err.Error(), "one.yaml") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no statuses") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := ReadUnreachable(t.TempDir()); err == nil {
		t.Error("there need be no unreachable.yaml")
	}
}

func TestSources(t *testing.T) {
	for text, want := range map[string][]string{
		"none; constructed":                                 nil,
		"kubernetes/kubernetes pkg/kubelet (a, b)":          {"kubernetes/kubernetes"},
		"a/b#1; kubernetes.io/docs/x; a/b#1; seen in words": {"a/b#1", "kubernetes.io/docs/x"},
	} {
		if got := sourcesOf(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
