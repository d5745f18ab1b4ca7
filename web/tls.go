package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"trackside/store"
)

// tlsEvery is how often the certificate's files are looked at, when a browser connects.
const tlsEvery = 2 * time.Second

// certificates is a pair of files, read anew when they change. A pair that cannot be used leaves the one before in place.
type certificates struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	stamp  string // of the files that were read last
	looked time.Time
}

func tlsConfig(cert, key string, log *slog.Logger) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil //nolint:nilnil // no TLS is a configuration, not a failure
	}
	if cert == "" || key == "" {
		return nil, fmt.Errorf("%w: --tls-cert and --tls-key go together; only one of them was given", store.ErrInvalid)
	}
	c := &certificates{certFile: cert, keyFile: key, log: log, looked: time.Now()}
	c.stamp = c.stat()
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}, nil
}

func (c *certificates) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("%w: cannot use the certificate %s with the key %s: %w", store.ErrInvalid, c.certFile, c.keyFile, err)
	}
	c.pair = &pair
	return nil
}

// stat changes when one of the files does. Kubernetes replaces mounted files by way of a link, which gives them another time too.
func (c *certificates) stat() string {
	var stamp strings.Builder
	for _, f := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(f)
		if err != nil {
			return "" // it is being replaced
		}
		fmt.Fprintln(&stamp, info.ModTime().UnixNano(), info.Size())
	}
	return stamp.String()
}

// get answers a browser that connects.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < tlsEvery {
		return c.pair, nil
	}
	c.looked = time.Now()
	stamp := c.stat()
	if stamp == "" || stamp == c.stamp {
		return c.pair, nil
	}
	c.stamp = stamp
	if err := c.load(); err != nil {
		c.log.Error("the new certificate is not used, the one before is", "error", err)
	} else {
		c.log.Info("the certificate is read anew", "file", c.certFile)
	}
	return c.pair, nil
}
