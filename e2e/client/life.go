package client

import (
	"context"
	"sync"
	"time"
)

// Life is the life of a Digital.ai runner: it registers until it is accepted, listens on its control channel, and does as it is told. When
// no ping comes it opens the channel anew; while that fails it is idle, and registers again.
type Life struct {
	*Runner
	// Poll is the pace of registering anew, and of polling while it is disabled.
	Poll time.Duration
	// Silence is how long it waits for a ping.
	Silence time.Duration

	mu       sync.Mutex
	state    string
	disabled bool
	deleted  bool
	done     []string // the commands it carried out
}

// State is registering, ready, idle, disabled or deleted.
func (l *Life) State() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Done are the commands that it carried out, in order.
func (l *Life) Done() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.done...)
}

func (l *Life) become(state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
}

// Run lives until it is deleted or the context ends.
func (l *Life) Run(ctx context.Context) {
	l.become("registering")
	for ctx.Err() == nil && !l.deleted {
		a, err := l.Register(ctx)
		if err != nil {
			if l.State() != "registering" {
				l.become("idle")
			}
			wait(ctx, l.Poll)
			continue
		}
		for _, c := range a.Commands {
			l.obey(ctx, c)
		}
		switch {
		case l.deleted:
		case l.disabled:
			l.become("disabled")
			wait(ctx, l.Poll)
		default:
			l.become("ready")
			if err := l.Listen(ctx, l.Silence, func(c Command) bool { l.obey(ctx, c); return !l.disabled && !l.deleted }); err != nil {
				wait(ctx, l.Poll/10)
			}
		}
	}
}

// obey carries a command out and acknowledges it. A command that came before is acknowledged again: the first answer may have been lost.
func (l *Life) obey(ctx context.Context, c Command) {
	switch c.Event {
	case "disable":
		l.disabled = true
		l.become("disabled")
	case "enable":
		l.disabled = false
	case "delete":
		l.deleted = true
		l.become("deleted")
	}
	if l.Acknowledge(ctx, c.ID) == nil && c.Event != "ping" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.done = append(l.done, c.Event)
	}
}
