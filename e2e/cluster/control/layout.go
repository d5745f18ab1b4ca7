// Package control starts a Kubernetes control plane on loopback, supervises
// it, and lets one part of it die or hang without the rest.
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// layout is where one cluster keeps its things. Sockets lie apart from the
// rest: a socket's path holds 108 bytes, and the state folder may be deep.
type layout struct {
	dir     string
	sockets string
}

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l layout) socket(name string) string { return filepath.Join(l.sockets, name+".sock") }

// State is what a cluster leaves in its folder for other commands to find it by.
type State struct {
	PID        int    `json:"pid"`
	Server     string `json:"server"`
	Port       int    `json:"port"`
	Kubelet    int    `json:"kubeletPort"`
	Kubeconfig string `json:"kubeconfig"`
	Control    string `json:"controlSocket"`
	Podnet     string `json:"podnetSocket"`
	Sockets    string `json:"socketDir"`
}

const stateFile = "state.json"

func (s State) write(l layout) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.path(stateFile), data, 0o644); err != nil {
		return fmt.Errorf("writing the cluster's state: %w", err)
	}
	return nil
}

// errNotRunning is returned when no cluster answers for a folder.
var errNotRunning = errors.New("no cluster is running there")

// readState finds the cluster of a folder. A state file whose supervisor does
// not answer is stale, whatever process has its number by now.
func readState(dir string) (State, error) {
	var s State
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("%s: %w", dir, errNotRunning)
	}
	if err != nil {
		return s, fmt.Errorf("reading the cluster's state: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("reading %s: %w", filepath.Join(dir, stateFile), err)
	}
	conn, err := net.Dial("unix", s.Control)
	if err != nil {
		return s, fmt.Errorf("%s (its state file is stale): %w", dir, errNotRunning)
	}
	return s, conn.Close()
}

// clean removes what a dead cluster left: its state file, its mark of readiness and its sockets.
func clean(dir string, s State) {
	_ = os.Remove(filepath.Join(dir, stateFile))
	_ = os.Remove(filepath.Join(dir, readyFile))
	if s.Sockets != "" {
		_ = os.RemoveAll(s.Sockets)
	}
}

// alive reports whether a process exists.
func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }

// The ports for servers of ours. They lie below those that Linux gives to outgoing connections (net.ipv4.ip_local_port_range, 32768
// and up unless somebody moved it): a port from there could be lent to one between being found and being listened on.
const (
	lowestPort  = 20000
	highestPort = 29999
)

// freePort finds a port that nobody listens on.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("looking for a free port from %d to %d: %w", lowestPort, highestPort, err)
}
