package store_test

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trackside/store"
)

// hostile are parts of a reference that an encoding may confuse.
var hostile = []string{
	"", "-", "--", "a", "x", "x_", "_", "a_b", "44", "!", "x_44", "X44", "A", "a-b", "a/b", "%", "%2F", "..", ".", "a.b", "#", "é", "日本",
	"\x00", "\x02", "\xff", " ", "\"", "'", "<b>", "a:b", "a@b", "arn:aws:eks:eu-1:1/c", strings.Repeat("z", 253), "0", "9-", "r-",
}

func eachRef(n int, do func(store.Ref)) {
	rng := rand.New(rand.NewPCG(1, 2))
	part := func() string {
		if rng.IntN(2) == 0 {
			return hostile[rng.IntN(len(hostile))]
		}
		b := make([]byte, rng.IntN(4))
		for i := range b {
			b[i] = "x_!#09az-A\x00\xff"[rng.IntN(12)]
		}
		return string(b)
	}
	for range n {
		do(store.Ref{Cluster: part(), System: part(), Namespace: part(), Name: part()})
	}
	for _, a := range hostile {
		for _, b := range hostile {
			do(store.Ref{Cluster: a, System: "x", Namespace: b, Name: "n"})
			do(store.Ref{Cluster: "x", System: a, Namespace: b, Name: "n"})
		}
	}
}

func TestIDsAreDifferentForDifferentRunners(t *testing.T) {
	seen := map[string]store.Ref{}
	eachRef(20_000, func(r store.Ref) {
		if other, ok := seen[r.ID()]; ok && other != r {
			t.Fatalf("%#v and %#v have one id %q", other, r, r.ID())
		}
		seen[r.ID()] = r
	})
}

func TestIDsAreFitForDOMAndSelectors(t *testing.T) {
	fit := regexp.MustCompile(`^r-[A-Za-z0-9_-]*$`)
	eachRef(2_000, func(r store.Ref) {
		if id := r.ID(); !fit.MatchString(id) {
			t.Fatalf("%#v has the id %q", r, id)
		}
	})
}

func TestIDOfPlainNamesIsReadable(t *testing.T) {
	r := store.Ref{Cluster: "prod", System: "kubiya", Namespace: "kubiya-eu", Name: "runner-eu"}
	if got := r.ID(); got != "r-prod_kubiya_kubiya-eu_runner-eu" {
		t.Errorf("ID() = %q", got)
	}
}

func TestPathsRoundTrip(t *testing.T) {
	eachRef(2_000, func(r store.Ref) {
		if r.Cluster == "" || r.System == "" || r.Name == "" || r.Namespace == "-" {
			return // no runner is without them, and no namespace is called so
		}
		escaped := strings.Split(strings.TrimPrefix(r.Path(), "/runners/"), "/")
		if len(escaped) != 4 {
			t.Fatalf("%#v has the path %q", r, r.Path())
		}
		var parts []string
		for _, e := range escaped {
			p, err := url.PathUnescape(e)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, p)
		}
		got, err := store.RefFromPath(parts[0], parts[1], parts[2], parts[3])
		if err != nil || got != r {
			t.Fatalf("%#v came back as %#v, %v", r, got, err)
		}
	})
}

func TestPathIsEscaped(t *testing.T) {
	r := store.Ref{Cluster: "a/b", System: "labelled", Name: "50% ü"}
	if got, want := r.Path(), "/runners/a%2Fb/labelled/-/50%25%20%C3%BC"; got != want {
		t.Errorf("Path() = %q, want %q", got, want)
	}
}

func TestAPathWithAPartMissingIsInvalid(t *testing.T) {
	for i := range 4 {
		parts := []string{"c", "s", "ns", "n"}
		parts[i] = ""
		if _, err := store.RefFromPath(parts[0], parts[1], parts[2], parts[3]); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("without part %d: %v", i, err)
		}
	}
}

func TestRefsAreOrderedByTheirParts(t *testing.T) {
	want := []store.Ref{
		{Cluster: "a", System: "s", Namespace: "n", Name: "x"},
		{Cluster: "a", System: "s", Namespace: "n", Name: "y"},
		{Cluster: "a", System: "s", Namespace: "o", Name: "a"},
		{Cluster: "a", System: "t", Namespace: "a", Name: "a"},
		{Cluster: "b"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, store.Ref.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %v", got)
	}
}
