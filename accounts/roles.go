package accounts

import (
	"fmt"
	"strings"

	"trackside/store"
)

// Grants say which group has which role. The group * is everybody who is known.
type Grants map[string]store.Role

// ParseGrants reads pairs such as admin=platform-team.
func ParseGrants(flag string, pairs []string) (Grants, error) {
	g := Grants{}
	for _, pair := range pairs {
		word, group, ok := strings.Cut(pair, "=")
		role, err := store.ParseRole(word)
		if !ok || err != nil || group == "" {
			return nil, fmt.Errorf("%w: %s %q is not ROLE=GROUP with a role of viewer, operator, admin", store.ErrInvalid, flag, pair)
		}
		g[group] = max(g[group], role)
	}
	return g, nil
}

// roleOf is the highest role of the groups; Nobody if none has one.
func (g Grants) roleOf(groups []string) store.Role {
	role := g["*"]
	for _, group := range groups {
		if group != "*" {
			role = max(role, g[group])
		}
	}
	return role
}

// The bounds of what others say of a person.
const (
	maxPerson = 256
	maxGroups = 500
	// reserved begins the names of Kubernetes' own users and groups. Nobody outside of a cluster may go by one: with --impersonate it would
	// be believed.
	reserved = "system:"
)

// personName checks a name that others vouch for.
func personName(s string) (string, bool) {
	name := strings.TrimSpace(s)
	return name, name != "" && len(name) <= maxPerson && name == store.Clean(name, maxPerson) && !strings.HasPrefix(name, reserved)
}

// cleanGroups are those of the groups that can be some.
func cleanGroups(groups []string) (out []string) {
	for _, s := range groups {
		if name, ok := personName(s); ok && len(out) < maxGroups {
			out = append(out, name)
		}
	}
	return out
}
