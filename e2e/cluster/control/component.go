package control

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// The states of a component.
const (
	running = "running"
	stopped = "stopped"
	frozen  = "frozen"
)

// component is one process of the control plane. It can be killed, started
// again and frozen at any time; nobody else minds.
type component struct {
	name  string
	log   string
	dir   string
	env   []string
	args  []string
	spawn spawner
	tell  func(format string, args ...any)

	mu    sync.Mutex
	cmd   *exec.Cmd
	gone  chan struct{} // closed when cmd has ended
	state string
	meant bool      // the end of cmd was asked for
	lost  time.Time // when it last ceased to run
}

// spawner starts processes from one thread that never ends: the kernel kills
// a child marked with Pdeathsig when the thread that forked it is gone.
type spawner chan spawnRequest

type spawnRequest struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() spawner {
	s := make(spawner)
	go func() {
		runtime.LockOSThread()
		for request := range s {
			request.done <- request.cmd.Start()
		}
	}()
	return s
}

func (s spawner) start(cmd *exec.Cmd) error {
	request := spawnRequest{cmd: cmd, done: make(chan error, 1)}
	s <- request
	return <-request.done
}

func (c *component) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == running || c.state == frozen {
		return fmt.Errorf("starting %s: it is %s", c.name, c.state)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", c.name, err)
	}
	defer log.Close() // the child has its own copy
	cmd := exec.Command(self, append([]string{c.name}, c.args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = log, log, c.dir, c.env
	// A group of its own: Ctrl-C in a terminal reaches the supervisor alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := c.spawn.start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	c.cmd, c.gone, c.state, c.meant = cmd, make(chan struct{}), running, false
	go c.wait(cmd, c.gone)
	return nil
}

// wait notes the end of the process, and tells of it when nobody asked for it.
func (c *component) wait(cmd *exec.Cmd, gone chan struct{}) {
	err := cmd.Wait()
	c.mu.Lock()
	c.leave(stopped)
	meant := c.meant
	c.mu.Unlock()
	close(gone)
	if !meant {
		c.tell("%s ended by itself: %v. Its log is %s; \"cluster start %s\" brings it back. It said last:\n%s", c.name, err, c.log, c.name, c.lastWords())
	}
}

// lastWords is the end of the log: whoever reads of the death may be where the file is not.
func (c *component) lastWords() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// stop kills the process, frozen or not, and returns when it is dead.
func (c *component) stop() error {
	c.mu.Lock()
	if c.state == stopped {
		c.mu.Unlock()
		return nil
	}
	c.meant = true
	err := c.cmd.Process.Kill()
	gone := c.gone
	c.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", c.name, err)
	}
	select {
	case <-gone:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("stopping %s: it is still there 10 s after SIGKILL", c.name)
	}
}

func (c *component) freeze() error { return c.signal(syscall.SIGSTOP, running, frozen) }

func (c *component) thaw() error { return c.signal(syscall.SIGCONT, frozen, running) }

// signal takes the component from one state to another. Being there already is no error.
func (c *component) signal(sig syscall.Signal, from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == to {
		return nil
	}
	if c.state != from {
		return fmt.Errorf("%s is %s, not %s", c.name, c.state, from)
	}
	if err := c.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("sending %s to %s: %w", sig, c.name, err)
	}
	c.leave(to)
	return nil
}

// leave changes the state, and notes when running ends. Callers hold mu.
func (c *component) leave(to string) {
	if c.state == running {
		c.lost = time.Now()
	}
	c.state = to
}

// outage is for how long the component has not run: nothing while it runs.
func (c *component) outage() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == running || c.lost.IsZero() {
		return 0
	}
	return time.Since(c.lost)
}

// is reports the component's state and, while it lives, its process.
func (c *component) is() (state string, pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stopped || c.cmd == nil {
		return stopped, 0
	}
	return c.state, c.cmd.Process.Pid
}
