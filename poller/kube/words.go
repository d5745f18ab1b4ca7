package kube

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
)

// sentenceLimit is how much of a raw message a sentence quotes, in characters.
const sentenceLimit = 160

// wrappers stand at the head of messages and say nothing that the sentence does not say already.
var wrappers = []*regexp.Regexp{
	regexp.MustCompile(`^Back-off pulling image "[^"]*"(: )?`),
	regexp.MustCompile(`^ErrImagePull: `),
	regexp.MustCompile(`^Failed to (pull|inspect) image "[^"]*": `),
	regexp.MustCompile(`^Failed to apply default image tag "[^"]*": `),
	regexp.MustCompile(`^couldn't parse image name "[^"]*": `),
	regexp.MustCompile(`^image pull failed for \S+ because the (registry is unavailable|signature validation failed)(: )?`),
	regexp.MustCompile(`^rpc error: code = \w+ desc = `),
	regexp.MustCompile(`^Failed to create pod sandbox: `),
	regexp.MustCompile(`^Pod was rejected: `),
}

func unwrap(m string) string {
	for again := true; again; {
		again = false
		for _, w := range wrappers {
			if loc := w.FindStringIndex(m); loc != nil {
				m, again = m[loc[1]:], true
			}
		}
	}
	return m
}

// detail is the decisive part of a raw message, fit for the middle of a sentence.
func detail(m string) string {
	c := store.Clean(unwrap(m), sentenceLimit)
	if rest, cut := strings.CutSuffix(c, "…"); cut {
		return strings.TrimRight(rest, " .") + "…"
	}
	return strings.TrimRight(c, " .")
}

// colon puts what is known behind a colon, and nothing when nothing is known.
func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// causes are what registries answer, most telling first. The first fragment found in the message, in any case, decides.
var causes = []struct {
	fragments []string
	cause     string
}{
	{[]string{"unauthorized", "authentication required", "no basic auth credentials"}, "the registry refused the pull (401 unauthorized)"},
	{[]string{"forbidden"}, "the registry refused the pull (403 forbidden)"},
	{[]string{"pull access denied", "insufficient_scope", "denied:"}, "the registry denies access, or has no such repository"},
	{[]string{"toomanyrequests", "too many requests", " 429"}, "the registry is limiting pulls (429)"},
	{[]string{"x509"}, "the registry's certificate is not trusted"},
	{[]string{"i/o timeout", "no such host", "connection refused", "dial tcp"}, unreachable},
	{[]string{"not found", "manifest unknown", "404"}, "the image does not exist in the registry"},
}

const unreachable = "the registry cannot be reached"

// pullCause says why an image cannot be pulled. The image's own name may hold any of the fragments, so it is taken out first.
func pullCause(reason, message, image string, events []*notice) string {
	switch reason {
	case "SignatureValidationFailed":
		return "its signature is not accepted"
	case "ImageInspectError":
		return detail(message)
	}
	if strings.TrimSpace(unwrap(message)) == "" {
		if e := newest(events, func(e *notice) bool {
			return e.reason == "Failed" && strings.HasPrefix(e.message, "Failed to pull image")
		}); e != nil {
			message = e.message
		}
	}
	low := message
	if image != "" {
		low = strings.ReplaceAll(message, image, "")
	}
	low = strings.ToLower(low)
	for _, c := range causes {
		for _, f := range c.fragments {
			if strings.Contains(low, f) {
				return c.cause
			}
		}
	}
	if reason == "RegistryUnavailable" {
		return unreachable
	}
	return detail(message)
}

// exit words a termination: "(OOMKilled, exit 137)".
func exit(t *corev1.ContainerStateTerminated) string {
	code := "exit " + strconv.Itoa(int(t.ExitCode))
	if t.Signal != 0 && t.ExitCode == 0 {
		code = "signal " + strconv.Itoa(int(t.Signal))
	}
	if r := store.Clean(t.Reason, 60); r != "" {
		code = r + ", " + code
	}
	return "(" + code + ")"
}

// ago words when a container terminated, with a leading space; nothing when the time is missing.
func ago(t *corev1.ContainerStateTerminated) string {
	if !real(t.FinishedAt.Time) {
		return ""
	}
	return " " + store.Ago(t.FinishedAt.Time)
}

// real tells a time from the zero values that kubelets write: year 1, and the Unix epoch.
func real(t time.Time) bool { return t.Year() > 1970 }

// newest is the latest of the events that match; nil when none does.
func newest(events []*notice, match func(*notice) bool) (latest *notice) {
	for _, e := range events {
		if match(e) && (latest == nil || e.last.After(latest.last.Time)) {
			latest = e
		}
	}
	return latest
}
