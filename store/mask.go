package store

import (
	"regexp"
	"strings"
)

// masked stands where a secret stood.
const masked = "***"

// Names whose value is a secret, and the quote that may end them. After a colon a password may be any word; the others also begin
// what programs say of them («fetching token: Unauthorized», «from secret: secrets "x" is forbidden»).
const (
	passwordName = `(?:[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|pwd)[a-z0-9_.-]*\\?["']?)`
	otherName    = `(?:[a-z0-9_.-]*(?:secret|token|api[-_.]?key|apikey|access[-_.]?key(?:[-_.]?id)?|private[-_.]?key|account[-_.]?key|credentials?|session[-_.]?key|sig(?:nature)?)[a-z0-9_.-]*\\?["']?)`
	secretName   = `(?:` + passwordName + `|` + otherName + `)`
	bareValue    = `([^\s,;&"'}\])]+)`
)

// secrets are the forms that secrets have in logs, and what is left of each. Those that span lines come first.
var secrets = []shape{
	{regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]*)-----.*?(-----END [A-Z0-9 ]*-----|\z)`), "-----BEGIN ${1}----- " + masked},
	// The end of a block whose beginning is above the first line that was read: lines of base64 before the END.
	{regexp.MustCompile(`(?:[A-Za-z0-9+/=]{40,}\s+)*[A-Za-z0-9+/=]*\s*-----END [A-Z0-9 ]*-----`), masked},
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#"'<>]*@`), "${1}" + masked + "@"},
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?)(?:[a-z]+\s+)?[^\s"',;]+`), "${1}" + masked},
	{regexp.MustCompile(`(?i)\b(bearer|basic)(\s+|%20)[a-z0-9._~+/=-]{6,}`), "${1}${2}" + masked},
	{regexp.MustCompile(`(?i)\b((?:set-)?cookie["']?\s*[:=]\s*).+`), "${1}" + masked},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`), masked},
	{regexp.MustCompile(`\b(AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA)[0-9A-Z]{12,}\b`), masked},
	{regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|glrt-[\w-]{16,}|xox[a-z]-[\w-]{10,}|sk-[\w-]{16,}|AIza[\w-]{30,}|npm_\w{20,}|dckr_pat_[\w-]{16,}|hf_\w{16,}|ya29\.[\w.-]{16,}|dop_v1_\w{16,})`), masked},
	// name=value, "name": "value", --name value: whatever the name says is secret.
	{regexp.MustCompile(`(?i)(` + secretName + `\s*(?:=>|:=|=|:)\s*)(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*')`), "${1}" + masked},
	{regexp.MustCompile(`(?i)(` + secretName + `\s*(?:=>|:=|=)\s*)` + bareValue), "${1}" + masked},
	{regexp.MustCompile(`(?i)(` + passwordName + `:\s*)` + bareValue), "${1}" + masked},
	{regexp.MustCompile(`(?i)(\s--?[a-z0-9-]*(?:password|passwd|secret|token|api-?key|private-?key|credential)[a-z0-9-]*\s+)[^\s-]\S*`), "${1}" + masked},
}

// Mask takes what looks like a secret out of the lines of a log: passwords, tokens, keys, authorization and cookies, PEM blocks, and the
// credentials in URLs. It knows forms and not values, so it is a net with holes: whoever may see logs may see what passes.
func Mask(text string) string {
	for _, x := range secrets {
		text = x.pattern.ReplaceAllString(text, x.as)
	}
	return told.ReplaceAllStringFunc(text, func(s string) string {
		if m := told.FindStringSubmatch(s); random(m[2]) {
			return m[1] + masked
		}
		return s
	})
}

// told is the name of a secret, and after a colon the secret or what is said of it.
var told = regexp.MustCompile(`(?i)(` + otherName + `:\s*)` + bareValue)

// random reports whether a word is long enough, or odd enough, to be a secret rather than the beginning of a sentence.
func random(word string) bool {
	return len(word) >= 20 || len(word) >= 8 && strings.ContainsAny(word, "0123456789")
}
