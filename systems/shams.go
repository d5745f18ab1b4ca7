package systems

import (
	"path"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"trackside/systems/finding"
)

// idles are a shell's ways of waiting for ever.
var idles = regexp.MustCompile(`^(exec )?(sleep (inf|infinity)|tail -f /dev/null|while (true|:) ?; ?do sleep \d+ ?; ?done);?$`)

// Vacuous reports whether a probe passes whatever its container does: a command that always succeeds.
func Vacuous(p *corev1.Probe) bool {
	return p != nil && p.Exec != nil && finding.Vacuous(p.Exec.Command)
}

// Idles reports whether a container's command only waits, which is how a chart's diagnostic mode keeps a pod for a person to look into.
func Idles(c *corev1.Container) bool {
	return idles.MatchString(does(append(c.Command[:len(c.Command):len(c.Command)], c.Args...)))
}

// does is what a command line does: its script, where it hands one to a shell or to Python.
func does(argv []string) string {
	if len(argv) == 0 {
		return ""
	}
	program := path.Base(argv[0])
	switch strings.TrimRight(program, "0123456789.") {
	case "sh", "ash", "bash", "dash", "zsh", "python":
		if len(argv) == 3 && argv[1] == "-c" {
			return strings.TrimSpace(argv[2])
		}
	}
	return strings.Join(append([]string{program}, argv[1:]...), " ")
}
