// Truth asks the classifier about every recorded pod status and compares its verdict with the one that a person has keyed for it. It
// writes the result to docs/TRUTH.md and prints it; it fails when a verdict differs from its key, or when a reason that a system can come
// to has no key. With -write it only writes, which is what make generate asks for.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"

	"trackside/poller/kube"
	"trackside/poller/kube/statuses"
)

// page is where the result is published, from the root of the repository.
const page = "docs/TRUTH.md"

func main() {
	write := flag.Bool("write", false, "write "+page+" and print nothing")
	flag.Parse()
	if err := run(os.Stdout, *write); err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, quiet bool) error {
	all, err := statuses.Read(statuses.Dir)
	if err != nil {
		return err
	}
	unreachable, err := statuses.ReadUnreachable(statuses.Dir)
	if err != nil {
		return err
	}
	r := judge(all, unreachable)
	if err := update(page, r.markdown()); err != nil || quiet {
		return err
	}
	r.print(out)
	return r.problem()
}

// update writes a file unless it holds that already.
func update(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return os.WriteFile(path, text, 0o644)
}

// verdict is what the classifier says of a status.
func verdict(s *statuses.Status) statuses.Verdict {
	f := kube.FactsOf(s.Of(), &s.Pod, s.NodeObject(), s.EventObjects())
	f.Component, f.OwnerGone, f.Ran = s.Component, s.OwnerGone, s.Prior.Running
	v := kube.VerdictOf(s.Of(), f, s.Beside(), s.Now)
	return statuses.Worded(v.Verdict, v.Role, s.Now)
}
