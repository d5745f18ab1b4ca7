package store

import (
	"fmt"
	"strings"
)

// Role is what a person or a program may do. Each role may do what those before it may.
type Role uint8

// The roles.
const (
	// Nobody may open what needs no sign-in.
	Nobody Role = iota
	// Viewer may look at everything but the accounts.
	Viewer
	// Operator may act on runners, and write manifests and links to them.
	Operator
	// Admin may also make and revoke tokens.
	Admin
	numRoles
)

var roleNames = [numRoles]string{Nobody: "nobody", Viewer: "viewer", Operator: "operator", Admin: "admin"}

// String is the word shown and stored.
func (r Role) String() string {
	if r < numRoles {
		return roleNames[r]
	}
	return fmt.Sprintf("Role(%d)", uint8(r))
}

// May reports whether the role may do what need may.
func (r Role) May(need Role) bool { return r >= need }

// Roles are those that can be given, the least first.
func Roles() []Role { return []Role{Viewer, Operator, Admin} }

// ParseRole reads a role that can be given.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles() {
		if strings.EqualFold(s, r.String()) {
			return r, nil
		}
	}
	return Nobody, fmt.Errorf("%w: role %q is not one of viewer, operator, admin", ErrInvalid, Clean(s, 40))
}

// Via says how somebody is known.
type Via string

// The ways to be known.
const (
	ViaNone  Via = "none"  // nobody signs in on this board
	ViaLocal Via = "local" // a user of this board
	ViaOIDC  Via = "oidc"  // a provider's
	ViaProxy Via = "proxy" // a proxy in front says so
	ViaToken Via = "token" // an API token
	ViaWall  Via = "wall"  // a wall screen's token
)

// Person is who makes a request: a person or a program. The zero Person is somebody unknown who may do nothing.
type Person struct {
	// Name is what the audit shows, and what the cluster is told with --impersonate.
	Name string
	// Groups are the provider's or the proxy's, as they name them.
	Groups []string
	Role   Role
	Via    Via
	// Token is the id of the API token that was used; blank without one.
	Token string
}

// CheckImpersonation is ErrForbidden for somebody whom the board must never be towards a cluster: a name or a group that begins with
// system: is Kubernetes' own, and may do what nobody meant to give.
func (p Person) CheckImpersonation() error {
	for _, name := range append([]string{p.Name}, p.Groups...) {
		if strings.HasPrefix(name, "system:") {
			return fmt.Errorf("%w: %s bears a name or is in a group that begins with system:, which is Kubernetes' own; the board impersonates none of those", ErrForbidden, Clean(p.Name, 80))
		}
	}
	return nil
}
