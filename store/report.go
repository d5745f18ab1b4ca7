package store

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Registration is what a runner says of itself when it reports for work. Plue's client says a name and an address; the rest is
// for systems that know more, such as Digital.ai's.
type Registration struct {
	// Name identifies the runner among all that report: a pod's name, a host's.
	Name string
	// IP is its address as it says itself. It is shown, and nothing is ever sent there.
	IP string
	// System and Namespace place it on the board; blank means plue, and none.
	System, Namespace string
	// UUID tells a new process under an old name; blank if it has none.
	UUID, PublicKey, Version string
	// Capacity is how many pieces of work it says it can carry, 0 if it does not say.
	Capacity int
	// Eviction is how long it keeps work that ended, and is nil if it does not say; 0 is a runner for one piece of work.
	Eviction     *time.Duration
	Capabilities []string
	// Control says that it listens on a control channel.
	Control bool
	// Wrong says what could not be read of it, blank if all could. It is refused then, and the board shows why.
	Wrong string
}

// Command is what a runner is told on its control channel.
type Command struct {
	// ID grows with every command and ping to the runner, over restarts too.
	ID int64
	// Event is enable, disable, delete or ping.
	Event string
	// At is when it was asked for.
	At time.Time
}

// The events of a control channel.
const (
	CommandEnable  = "enable"
	CommandDisable = "disable"
	CommandDelete  = "delete"
	CommandPing    = "ping"
)

// Report is a runner that reports itself, as it outlives a restart.
type Report struct {
	ID int64
	Registration
	// Incarnation changes when another process takes the name.
	Incarnation string
	// Registered is when this incarnation first did; Heard, when it last said anything; Lost, when it was judged lost, else zero.
	Registered, Heard, Lost time.Time
	// Beats says that it sends heartbeats; Idle, that it says itself it has lost its way to us and recovers.
	Beats, Idle bool
	// Problem is why its registration is refused, blank if it was accepted, and ProblemSince when that began.
	Problem      string
	ProblemSince time.Time
	Requested    State
	Observed     State
	// Mark says who took it out of service by way of the board, and until when.
	Mark Mark
	// Commands are those it has not acknowledged, oldest first.
	Commands []Command
}

// Task is a piece of work for a runner that reports itself.
type Task struct {
	ID int64
	// Type is a word such as agent; Config is JSON, and goes to the runner as it is; Session may be blank.
	Type, Session string
	Config        []byte
	// Runner carries it; 0 while it waits for one.
	Runner int64
	// Queued, Claimed (a runner is chosen), Begun (it has said something of the task) and Ended are zero until they happen.
	Queued, Claimed, Begun, Ended time.Time
	// Handed counts how often it was handed out.
	Handed int
	Failed bool
	// Error is the runner's own message, Words the last lines it said.
	Error string
	Words []string
}

// TaskEvent is what a runner streams about a task: one of Plue's events. Fields that an event does not have are blank.
type TaskEvent struct {
	// Type is token, llm_token, tool_start, tool_end, step_start, step_end, done, error or log; any other is taken and ignored.
	Type string
	// Text is a token's text, an error's or a log's message, or what a tool or a step put out.
	Text string
	// Name is a tool's or a step's; State, how it ended; Level, a log's.
	Name, State, Level string
	// Message and Index number the tokens of a message, so that one sent twice counts once. Index is -1 if there is none.
	Message string
	Index   int
}

// Assignment answers a registration.
type Assignment struct {
	Runner int64
	// Task is nil when there is none for it now.
	Task *Task
	// Commands are those it has not acknowledged.
	Commands []Command
}

// ReportToken lets runners report. The token itself is shown once and kept nowhere.
type ReportToken struct {
	// ID is its public part.
	ID string
	// Name is the runner it is for, or a pattern such as pool-*, as path.Match reads it.
	Name string
	// System is what its runners are of, whatever they say; blank lets them say.
	System string
	// Admin lets its bearer queue work, and enable, disable and delete every runner; it lets nobody report.
	Admin bool
	// Hash is the SHA-256 of the secret part.
	Hash []byte
	// Created, and Revoked if it no longer counts.
	Created, Revoked time.Time
}

// Grant is what a token lets its bearer do.
type Grant struct {
	// Any is for a board that takes reports without a token.
	Any    bool
	Admin  bool
	Name   string
	System string
}

// Covers reports whether the bearer may speak for the runner of that name.
func (g Grant) Covers(name string) bool {
	if g.Any || g.Admin {
		return g.Any
	}
	ok, err := path.Match(g.Name, name)
	return g.Name == name || err == nil && ok
}

// ReportBook is what is kept of the runners that report themselves: all of it, or what changed.
type ReportBook struct {
	Runners []Report
	Tasks   []Task
	// NextRunner and NextTask are the next ids; no id is given twice.
	NextRunner, NextTask int64
	// Heard is when runners were last heard that are not among Runners, by id.
	Heard map[int64]time.Time
	// GoneRunners and GoneTasks are no longer kept.
	GoneRunners, GoneTasks []int64
}

// MaxName bounds the name and the namespace of a runner that reports itself, in bytes.
const MaxName = 253

// CheckName reports ErrInvalid for what cannot be a runner's name or namespace: it becomes part of an address.
func CheckName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: %s is blank", ErrInvalid, what)
	case len(s) > MaxName:
		return fmt.Errorf("%w: %s is %d bytes long; %d are allowed", ErrInvalid, what, len(s), MaxName)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable):
		return fmt.Errorf("%w: %s holds bytes that are no text, or characters that cannot be seen", ErrInvalid, what)
	case s == "." || s == ".." || s == "-":
		return fmt.Errorf("%w: %s may not be %q", ErrInvalid, what, s)
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) }
