package web

import (
	"net"
	"net/url"
	"testing"
)

// FuzzHost reads whatever a client says that the board is called. On loopback no name counts but the board's own.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"localhost:8080", "[::1]:80", "127.0.0.1.evil.example", "evil.localhost.example", "LOCALHOST.", "[::ffff:127.0.0.1]", "localhost:80:80", "evil.example#.localhost", "0x7f.1"} {
		f.Add(s)
	}
	own := hostsFor(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, "127.0.0.1:8080", &url.URL{Scheme: "https", Host: "board.example:443"})
	f.Fuzz(func(t *testing.T, host string) {
		name := hostname(host)
		if own[name] && name != "localhost" && name != "board.example" && !net.ParseIP(name).IsLoopback() {
			t.Errorf("%q counts", host)
		}
	})
}
