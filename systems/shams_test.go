package systems_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"trackside/systems"
)

func TestVacuousProbes(t *testing.T) {
	for command, want := range map[string]bool{
		"python|-c|import sys; sys.exit(0)":            true,
		"/usr/bin/python3.12|-c|import sys;sys.exit()": true,
		"true":                                true,
		"/bin/true":                           true,
		"sh|-c|exit 0":                        true,
		"/bin/bash|-c| true ":                 true,
		"echo|ok":                             true,
		"sh|-c|echo ok":                       true,
		"sh|-c|echo ok; kill -0 1":            false,
		"sh|-c|echo $(pidof runner)":          false,
		"python|-c|import sys; sys.exit(1)":   false,
		"python|-c|import check; check.run()": false,
		"buildctl|debug|workers":              false,
		"sh|-c|pgrep runner":                  false,
		"sh|-c":                               false,
		"false":                               false,
	} {
		p := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: strings.Split(command, "|")}}}
		if got := systems.Vacuous(p); got != want {
			t.Errorf("Vacuous(%s) = %v", command, got)
		}
	}
	for name, p := range map[string]*corev1.Probe{"none": nil, "empty": {}, "no command": {ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}}},
		"http": {ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/true"}}}} {
		if systems.Vacuous(p) {
			t.Errorf("%s is said to be vacuous", name)
		}
	}
}

func TestIdleCommands(t *testing.T) {
	for command, want := range map[string]bool{
		"sleep infinity":                           true,
		"/bin/sleep inf":                           true,
		"tail -f /dev/null":                        true,
		"sh -c|exec sleep infinity":                true,
		"/bin/sh -c|while true; do sleep 30; done": true,
		"sleep 5":                                  false,
		"":                                         false,
		"runner --sleep infinity":                  false,
		"sh -c|while true; do run-one; sleep 30; done": false,
	} {
		line, script, _ := strings.Cut(command, "|")
		argv := strings.Fields(line)
		if script != "" {
			argv = append(argv, script)
		}
		for split := range len(argv) + 1 { // bitnami's charts put the program into command and the rest into args
			c := &corev1.Container{Command: argv[:split], Args: argv[split:]}
			if got := systems.Idles(c); got != want {
				t.Errorf("Idles(%q, %q) = %v", c.Command, c.Args, got)
			}
		}
	}
}
