//go:build ignore

// Fetch writes datastar.js into the present directory. It takes the bundle out of the Go module that Datastar publishes, so that
// the Go checksum database vouches for the download, and then compares the file itself.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	module = "github.com/starfederation/datastar@v1.0.2"
	bundle = "bundles/datastar.js"
	sum    = "2837d87acf6ee0ba8e4e63765926c25a98d63883b02f88be194a86b81d3fd24a"
	out    = "datastar.js"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

func run() error {
	if have, err := os.ReadFile(out); err == nil && hash(have) == sum {
		return nil
	}
	dir, err := moduleDir()
	if err != nil {
		return err
	}
	body, err := os.ReadFile(filepath.Join(dir, bundle))
	if err != nil {
		return err
	}
	if got := hash(body); got != sum {
		return fmt.Errorf("%s of %s has sha256 %s, not %s: it is not the file this program was tested with", bundle, module, got, sum)
	}
	return os.WriteFile(out, body, 0o644)
}

func hash(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// moduleDir downloads the module, unless it is in the cache, and says where it is.
func moduleDir() (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, os.Stderr
	runErr := cmd.Run()
	var m struct{ Dir, Error string }
	if err := json.Unmarshal(stdout.Bytes(), &m); err != nil || m.Dir == "" {
		return "", fmt.Errorf("go mod download %s: %s %v", module, m.Error, runErr)
	}
	return m.Dir, nil
}
