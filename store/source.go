package store

import "time"

// SourceState is how a source is doing.
type SourceState string

// The states of a source.
const (
	// SourceRestored: what is shown was read from disk; the source has not spoken since the program started.
	SourceRestored SourceState = "restored"
	// SourceLive: the source answers.
	SourceLive SourceState = "live"
	// SourceStale: the source has stopped answering; what is shown is the last that it said.
	SourceStale SourceState = "stale"
)

// Source is one place the board learns from, such as a cluster's API server, and how fresh it is.
type Source struct {
	// Cluster is the alias of the cluster; Name says what is there, such as "Kubernetes API".
	Cluster, Name string
	State         SourceState
	// Since is when this state began; Heard, when the source last answered (exact only at the change of state: see Live.Heard).
	Since, Heard time.Time
	// Every is the pace at which a source that is asked now and then is asked; zero for one that is listened to all the time.
	Every time.Duration
	// Problem is a sentence: what failed and what to do; blank while live.
	Problem string
	// Note is what else it tells of itself now, such as work that waits; blank for nothing. It is not kept on disk.
	Note Sentence
	// Limits are sentences: what this source does not show, and why, such as a forbidden list.
	Limits []string
	// Scope says in words what is looked for and where, for the page of an empty fleet.
	Scope string
}

// History says whether transitions are being recorded.
type History struct {
	// LostSince is when recording began to fail; zero while it works.
	LostSince time.Time
	// Problem is a sentence, blank while it works.
	Problem string
}
