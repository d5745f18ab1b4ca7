package views

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trackside/store"
)

// maxFacts bounds the facts shown of a runner: a system has about a dozen.
const maxFacts = 40

// factView is what a system says of a runner, in a word or two.
type factView struct {
	Name  string
	Value []store.Part
	// Long says that it wants a line of its own, such as a public key: one long word.
	Long bool
}

// longFact is from when a value is long, in bytes.
const longFact = 64

func newFacts(facts []store.Fact) (out []factView) {
	for _, f := range facts[:min(len(facts), maxFacts)] {
		v := factView{Name: store.Clean(f.Name, versionLimit), Value: parts(f.Value)}
		v.Long = slices.ContainsFunc(v.Value, func(p store.Part) bool { return len(p.Text) > longFact && !strings.Contains(p.Text, " ") })
		out = append(out, v)
	}
	return out
}

// loadFacts say how much work a runner carries on average; nothing of one that never carried any, or has not been counted for long.
func loadFacts(l store.Load, now time.Time) []store.Fact {
	mean, ok := l.Mean(now)
	if !ok || mean == 0 {
		return nil
	}
	return []store.Fact{{Name: "Workloads on average", Value: store.Sentence(fmt.Sprintf("%.1f, counted since ", mean) + store.Ago(l.Since))}}
}
