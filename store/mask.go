package store

import "regexp"

// masked stands where a secret stood.
const masked = "***"

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
	{regexp.MustCompile(`(?i)((?:[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[-_.]?key|apikey|access[-_.]?key(?:[-_.]?id)?|private[-_.]?key|account[-_.]?key|credentials?|session[-_.]?key|sig(?:nature)?))[a-z0-9_.-]*\\?["']?\s*(?:=>|:=|=|:)\s*)(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s,;&"'}\])]+)`), "${1}" + masked},
	{regexp.MustCompile(`(?i)(\s--?[a-z0-9-]*(?:password|passwd|secret|token|api-?key|private-?key|credential)[a-z0-9-]*\s+)[^\s-]\S*`), "${1}" + masked},
}

// Mask takes what looks like a secret out of the lines of a log: passwords, tokens, keys, authorization and cookies, PEM blocks, and the
// credentials in URLs. It knows forms and not values, so it is a net with holes: whoever may see logs may see what passes.
func Mask(text string) string {
	for _, x := range secrets {
		text = x.pattern.ReplaceAllString(text, x.as)
	}
	return text
}
