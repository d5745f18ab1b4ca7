package client

import (
	"context"
	"io"
	"net"
	"sync"
)

// Cable is a TCP connection to the board that can be cut: what was open breaks off, and nothing new gets through until it is mended. It can be
// stalled too: then nothing breaks off, and nothing gets through either.
type Cable struct {
	// Addr is where to call.
	Addr   string
	target string
	ln     net.Listener
	mu     sync.Mutex
	cut    bool
	conns  map[net.Conn]struct{}
	// stalled is closed when what is held back may go on; nil while nothing is.
	stalled chan struct{}
}

// NewCable lays one to an address, from a free port on loopback.
func NewCable(target string) (*Cable, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Cable{Addr: ln.Addr().String(), target: target, ln: ln, conns: map[net.Conn]struct{}{}}
	go c.accept()
	return c, nil
}

// Cut breaks it; Mend makes it whole.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for conn := range c.conns {
		_ = conn.Close()
	}
}

// Stall holds back what is sent in either direction, while connections stay open, as a network does that loses packets.
func (c *Cable) Stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalled == nil {
		c.stalled = make(chan struct{})
	}
}

// Mend lets calls through again, and what was held back.
func (c *Cable) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
	c.release()
}

// release lets what is held back go on.
func (c *Cable) release() {
	if c.stalled != nil {
		close(c.stalled)
		c.stalled = nil
	}
}

// Close takes it away.
func (c *Cable) Close() {
	_ = c.ln.Close()
	c.Cut()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
}

// gated writes to a connection what is not held back.
type gated struct {
	net.Conn
	cable *Cable
}

// Write waits while the cable is stalled.
func (g gated) Write(b []byte) (int, error) {
	g.cable.mu.Lock()
	stalled := g.cable.stalled
	g.cable.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	return g.Conn.Write(b)
}

func (c *Cable) accept() {
	for {
		conn, err := c.ln.Accept()
		if err != nil {
			return
		}
		go c.carry(conn)
	}
}

// hold keeps a connection for Cut; false if it is cut already.
func (c *Cable) hold(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return false
	}
	c.conns[conn] = struct{}{}
	return true
}

func (c *Cable) drop(conn net.Conn) {
	_ = conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
}

func (c *Cable) carry(from net.Conn) {
	defer c.drop(from)
	if !c.hold(from) {
		return
	}
	to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", c.target)
	if err != nil {
		return
	}
	defer c.drop(to)
	if !c.hold(to) {
		return
	}
	ended := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(gated{to, c}, from); ended <- struct{}{} }()
	go func() { _, _ = io.Copy(gated{from, c}, to); ended <- struct{}{} }()
	<-ended
}
