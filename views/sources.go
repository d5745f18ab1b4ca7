package views

import (
	"slices"
	"strings"
	"time"

	"trackside/store"
)

// sourceView is one source in the strip under the header.
type sourceView struct {
	mark
	// Name is the cluster's, with the source's own where a cluster has several.
	Name string
	// State words the state; Since is when it began, zero when that is not worth a word.
	State string
	Since time.Time
	Tip   string
	// Problem is a sentence, blank while all is well.
	Problem string
	// Note is what it tells beside its freshness.
	Note   []store.Part
	Limits []string
	// LimitsWord counts the limits.
	LimitsWord string
}

// sourcesModel is the strip that says where the board's knowledge comes from, and how fresh it is.
type sourcesModel struct {
	Sources []sourceView
	// HistoryProblem is a sentence, and HistorySince when it began; blank while transitions are being recorded.
	HistoryProblem string
	HistorySince   time.Time
	// Loud says that something in it wants attention.
	Loud bool
}

func newSources(s *store.Snapshot) sourcesModel {
	var m sourcesModel
	perCluster := map[string]int{}
	for _, src := range s.Sources {
		perCluster[src.Cluster]++
	}
	for _, src := range s.Sources {
		v := newSource(src, perCluster[src.Cluster] > 1)
		m.Loud = m.Loud || v.Problem != "" || src.State != store.SourceLive
		m.Sources = append(m.Sources, v)
	}
	if !s.History.LostSince.IsZero() {
		m.Loud, m.HistorySince = true, s.History.LostSince
		m.HistoryProblem = store.Clean(s.History.Problem, lineLimit)
	}
	return m
}

func newSource(src store.Source, several bool) sourceView {
	v := sourceView{Name: store.Clean(src.Cluster, nameLimit), Tip: store.Clean(src.Name, nameLimit), Problem: store.Clean(src.Problem, lineLimit), Note: parts(src.Note)}
	if several {
		v.Name += " " + v.Tip
	}
	for _, l := range src.Limits {
		v.Limits = append(v.Limits, store.Clean(l, lineLimit))
	}
	if len(v.Limits) > 0 {
		v.LimitsWord = plural(len(v.Limits), "limit")
	}
	switch src.State {
	case store.SourceLive:
		v.mark, v.State = markOf(store.Healthy), "live"
	case store.SourceStale:
		v.mark, v.State, v.Since = markOf(store.Degraded), "stale for", src.Since
		if !src.Heard.IsZero() {
			v.Since = src.Heard
		}
	case store.SourceRestored:
		v.mark, v.State, v.Since = markOf(store.Unknown), "restored from disk, last true", src.Heard
	default:
		v.mark, v.State = markOf(store.Unknown), store.Clean(string(src.State), versionLimit)
	}
	return v
}

// Ago says that the state's instant is worded "40 s ago" rather than "40 s".
func (v sourceView) Ago() bool { return strings.HasPrefix(v.State, "restored") }

// SourcesChanged reports whether [Sources] differ between two snapshots.
func SourcesChanged(before, after *store.Snapshot) bool {
	return before.History != after.History || !slices.EqualFunc(before.Sources, after.Sources, sameSource)
}

// sameSource compares what is shown: the time a live source was last heard is not.
func sameSource(a, b store.Source) bool {
	heard := a.State == store.SourceLive || a.Heard.Equal(b.Heard)
	return heard && a.Cluster == b.Cluster && a.Name == b.Name && a.State == b.State && a.Since.Equal(b.Since) &&
		a.Problem == b.Problem && a.Note == b.Note && a.Scope == b.Scope && slices.Equal(a.Limits, b.Limits)
}
