package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// maxPid is more than the digits of any process id.
const maxPid = 20

// acquire takes the lock of a database: an flock on the file beside it, which the kernel releases when the process dies.
// SQLite's own locks would let two programs take turns, each overwriting what the other knows. The lock file is never
// removed: removing it would let a third program lock another file of the same name.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(refusal(f, err), f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func refusal(f *os.File, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("cannot lock %s: %w", f.Name(), err)
	}
	who := "another trackside"
	b, readErr := io.ReadAll(io.LimitReader(f, maxPid))
	if pid, numErr := strconv.Atoi(strings.TrimSpace(string(b))); readErr == nil && numErr == nil {
		who += " (process " + strconv.Itoa(pid) + ")"
	}
	return advice{who + " has it open; stop that one, or name another file with --data", err}
}
