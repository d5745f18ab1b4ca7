package finding

import (
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The paths that a probe asks by custom.
const (
	readyPath = "/ready"
	livePath  = "/healthz"
)

// probes are the rules about probes. That one is missing is said of the main container alone: it is what the runner is.
func probes(s *Subject) (out []mark) {
	each(s, func(c *corev1.Container, place string, init bool) {
		if s.lasting() && c.Name == s.Main && !init {
			if c.ReadinessProbe == nil {
				out = append(out, mark{code: ReadinessMissing, place: place + ".readinessProbe", handler: suggest(s, c, nil, readyPath)})
			}
			if c.LivenessProbe == nil && s.Spec.RestartPolicy != corev1.RestartPolicyNever {
				out = append(out, mark{code: LivenessMissing, place: place + ".livenessProbe", handler: suggest(s, c, nil, livePath)})
			}
		}
		weak := func(p *corev1.Probe, field, path, vacuous, tcp string) {
			for _, m := range probe(p, place+field, vacuous, tcp) {
				m.handler = suggest(s, c, p, path)
				out = append(out, m)
			}
		}
		weak(c.ReadinessProbe, ".readinessProbe", readyPath, ReadinessVacuous, ReadinessTCP)
		weak(c.LivenessProbe, ".livenessProbe", livePath, LivenessVacuous, LivenessTCP)
		weak(c.StartupProbe, ".startupProbe", livePath, LivenessVacuous, "")
		if c.LivenessProbe != nil && !init && s.Spec.RestartPolicy == corev1.RestartPolicyNever {
			out = append(out, mark{code: LivenessNever, place: place + ".livenessProbe"})
		}
	})
	return out
}

func probe(p *corev1.Probe, place, vacuous, tcp string) []mark {
	switch {
	case p == nil:
		return nil
	case p.Exec != nil && Vacuous(p.Exec.Command):
		return []mark{{code: vacuous, place: place + ".exec.command", detail: strings.Join(p.Exec.Command, " ")}}
	case p.TCPSocket != nil && tcp != "":
		return []mark{{code: tcp, place: place + ".tcpSocket"}}
	}
	return nil
}

// each calls f for every container of a pod with its field. Work has containers whose names are made up for each pod, so it has one
// field for all of them.
func each(s *Subject, f func(c *corev1.Container, place string, init bool)) {
	field := func(list, name string) string {
		if s.work() {
			name = "*"
		}
		return list + "[" + name + "]"
	}
	for i := range s.Spec.InitContainers {
		c := &s.Spec.InitContainers[i]
		f(c, field("initContainers", c.Name), true)
	}
	for i := range s.Spec.Containers {
		c := &s.Spec.Containers[i]
		f(c, field("containers", c.Name), false)
	}
}

// Programs that succeed whatever happens, and those that run a script.
var (
	always = []string{"true", ":", "echo", "printf", "exit", "sleep", "pwd", "date", "whoami", "id", "hostname", "uname"}
	shells = []string{"sh", "bash", "ash", "dash", "zsh", "ksh"}
	script = []string{"python", "node", "nodejs", "deno", "perl", "ruby", "php"}
)

// Vacuous reports whether a probe's command always succeeds: true, echo, a shell that ends in exit 0 or || true, an interpreter that is
// only told to exit. In doubt it does not.
func Vacuous(command []string) bool {
	if len(command) == 0 {
		return false
	}
	program := strings.TrimRight(path.Base(command[0]), "0123456789.") // python3.12 is a Python
	switch {
	case program == "env" || program == "busybox":
		return Vacuous(command[1:])
	case slices.Contains(shells, program):
		text, strict, ok := inline(command[1:], "c")
		return ok && vacuousShell(text, strict)
	case slices.Contains(script, program):
		text, _, ok := inline(command[1:], "cer")
		return ok && vacuousScript(text)
	}
	return vacuousWord(program, command[1:])
}

// inline is the script that a program is given on its command line; the flags may stand together, as in -ec. strict says that it stops at
// the first failure.
func inline(args []string, flags string) (text string, strict, ok bool) {
	for i, a := range args {
		if !strings.HasPrefix(a, "-") {
			return "", false, false
		}
		strict = strict || strings.Contains(a, "e") && flags == "c"
		if strings.ContainsAny(a[len(a)-1:], flags) && i+1 < len(args) {
			return args[i+1], strict, true
		}
	}
	return "", false, false
}

// vacuousWord holds for a command that always succeeds; an exit only with status 0.
func vacuousWord(program string, args []string) bool {
	switch program {
	case "exit":
		return len(args) == 0 || len(args) == 1 && args[0] == "0"
	case "exec", "command":
		return len(args) > 0 && vacuousWord(path.Base(args[0]), args[1:])
	}
	return slices.Contains(always, program) && !strings.ContainsAny(strings.Join(args, " "), "$`<>")
}

// unsteady are the words that may let a script end before its last command, or by another way.
var unsteady = regexp.MustCompile(`\b(if|case|while|until|for|trap|set|exec|kill|return|function)\b|\bexit\s+[^0\s]|\bexit\s+0\S|&&\s*exit|\|\|\s*exit\s+[^0]`)

// vacuousShell holds for a script that ends well whatever its commands do.
func vacuousShell(text string, strict bool) bool {
	commands := statements(text)
	if len(commands) == 0 {
		return strings.TrimSpace(text) == ""
	}
	if strict || unsteady.MatchString(text) {
		return !slices.ContainsFunc(commands, func(c string) bool { return !vacuousCommand(c) })
	}
	return vacuousCommand(commands[len(commands)-1])
}

// vacuousCommand holds for alternatives of which the last always succeeds, or a chain of which each does.
func vacuousCommand(c string) bool {
	if i := strings.LastIndex(c, "||"); i >= 0 && !strings.Contains(c[i:], "&&") {
		return vacuousCommand(c[i+2:])
	}
	for link := range strings.SplitSeq(c, "&&") {
		piped := strings.Split(link, "|")
		fields := strings.Fields(piped[len(piped)-1])
		if len(fields) == 0 || !vacuousWord(path.Base(strings.Trim(fields[0], `"'()`)), trimmed(fields[1:])) {
			return false
		}
	}
	return true
}

func trimmed(args []string) (out []string) {
	for _, a := range args {
		if a = strings.Trim(a, `"'()`); a != "" && a != "2>&1" && a != ">/dev/null" {
			out = append(out, a)
		}
	}
	return out
}

// statements splits a script at its line ends and semicolons.
func statements(text string) (out []string) {
	for _, s := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		if s = strings.TrimSpace(s); s != "" && !strings.HasPrefix(s, "#") {
			out = append(out, s)
		}
	}
	return out
}

// idle are the statements of a script that do nothing but end well.
var idle = regexp.MustCompile(`^(import [\w., ]+|from [\w.]+ import [\w., ]+|pass|None|(sys\.|os\.)?_?(exit|quit)\(0?\)|process\.exit\(0?\)|exit( 0)?|raise SystemExit(\(0?\))?|(print|console\.log|puts)\s*\(?["'\w .!-]*\)?|const \w+ ?= ?require\(["'\w:/-]+\))$`)

func vacuousScript(text string) bool {
	for _, s := range statements(text) {
		if !idle.MatchString(s) {
			return false
		}
	}
	return true
}
