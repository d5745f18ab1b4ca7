package store

import (
	"regexp"
	"strings"
)

// fingerprintLimit is how long a fingerprint may be, in characters.
const fingerprintLimit = 200

// shape is a part of a message that differs from one failure to the next, and what stands for it.
type shape struct {
	pattern *regexp.Regexp
	as      string
}

// suffix are the letters and digits that Kubernetes makes names up from: no vowels, so that no words arise, and nothing that could
// be taken for another. Source: k8s.io/apimachinery/pkg/util/rand.
const suffix = `[bcdfghjklmnpqrstvwxz2456789]`

// shapes are applied in their order: what holds numbers goes before the numbers.
var shapes = []shape{
	{regexp.MustCompile(`\d{4}-\d{2}-\d{2}[t ]\d{2}:\d{2}(:\d{2})?([.,]\d+)?(z|[+-]\d{2}:?\d{2})?`), "<time>"},
	{regexp.MustCompile(`\b\d{1,2}:\d{2}:\d{2}([.,]\d+)?\b`), "<time>"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<id>"},
	{regexp.MustCompile(`\b(sha256|sha512|md5):[0-9a-f]+\b`), "<hash>"},
	{regexp.MustCompile(`\b(\d{1,3}\.){3}\d{1,3}(:\d+)?\b`), "<ip>"},
	{regexp.MustCompile(`\[[0-9a-f]*:[0-9a-f:]*(%\w+)?\](:\d+)?`), "<ip>"},
	{regexp.MustCompile(`\b([0-9a-f]{1,4}:){2,7}(:?[0-9a-f]{1,4})(:[0-9a-f]{1,4})*\b`), "<ip>"},
	{regexp.MustCompile(`\b[a-z0-9][-.a-z0-9]*-` + suffix + `{6,10}-` + suffix + `{5}\b`), "<pod>"},
	{regexp.MustCompile(`\b[a-z0-9][-.a-z0-9]*-` + suffix + `{5}\b`), "<pod>"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ns|µs|us|ms|s|m|h|d))+\b`), "<time>"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?(ms|s|sec|seconds?|min|minutes?|h|hours?|d|days?)\b`), "<time>"},
}

var (
	hexWord = regexp.MustCompile(`\b(0x)?[0-9a-f]{7,128}\b`)
	numbers = regexp.MustCompile(`\d+([.,]\d+)*`)
)

// Fingerprint reduces a raw message to what it has in common with others of the same cause: times, addresses, identifiers, hashes,
// names of pods and numbers are replaced by a word for what they are, and letters become small. It is for grouping and for reading;
// a blank message has a blank fingerprint. A fingerprint is its own fingerprint.
func Fingerprint(message string) string {
	s := strings.ToLower(Clean(message, 4*fingerprintLimit))
	for _, x := range shapes {
		s = x.pattern.ReplaceAllLiteralString(s, x.as)
	}
	s = hexWord.ReplaceAllStringFunc(s, func(w string) string {
		if strings.ContainsAny(w, "0123456789") {
			return "<hash>"
		}
		return w // a word such as "defaced"
	})
	s = numbers.ReplaceAllLiteralString(s, "#")
	return Clean(strings.TrimRight(s, " .…"), fingerprintLimit)
}
