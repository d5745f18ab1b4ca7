package store

import "strings"

// NormalizeVersion makes v1.2.3 and 1.2.3 one version. Only a v directly before a digit is dropped.
func NormalizeVersion(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && (s[0] == 'v' || s[0] == 'V') && s[1] >= '0' && s[1] <= '9' {
		return s[1:]
	}
	return s
}

// PartRef is a component of a runner, or with a blank component the runner itself.
type PartRef struct {
	Ref       Ref
	Component string
}
