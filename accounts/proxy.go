package accounts

import (
	"fmt"
	"net/netip"
	"net/textproto"
	"strings"

	"trackside/store"
)

// Proxy says which proxy in front is believed, and what it says.
type Proxy struct {
	// From are the networks its connections come from.
	From []netip.Prefix
	// UserHeader names the header with the person's name, GroupsHeader the one with the groups, separated by commas.
	UserHeader, GroupsHeader string
	Grants                   Grants
}

func (p *Proxy) check() error {
	switch {
	case p == nil:
		return nil
	case len(p.From) == 0 || p.UserHeader == "":
		return fmt.Errorf("%w: a proxy that is believed needs --proxy-from and --proxy-user-header", store.ErrInvalid)
	case len(p.Grants) == 0:
		return fmt.Errorf("%w: nobody who comes through the proxy would have a role; say --proxy-role, as --proxy-role viewer='*'", store.ErrInvalid)
	}
	return nil
}

// trusts reports whether a connection comes from the proxy. Only the machine at its other end counts, whatever headers say.
func (p *Proxy) trusts(peer netip.Addr) bool {
	if p == nil {
		return false
	}
	peer = peer.Unmap().WithZone("")
	for _, from := range p.From {
		if from.Contains(peer) {
			return true
		}
	}
	return false
}

var errProxy = fmt.Errorf("%w: the proxy in front names nobody, or more than one person; it must set its header, and drop the one a client sends", store.ErrForbidden)

var errGroups = fmt.Errorf("%w: the proxy in front passes on more than one header with groups; it must set one, blank where there are none, and drop those a client sends", store.ErrForbidden)

// person reads who the proxy says it is; ok is false where it says nothing.
func (p *Proxy) person(header map[string][]string) (who store.Person, ok bool, err error) {
	users := header[textproto.CanonicalMIMEHeaderKey(p.UserHeader)]
	if len(users) == 0 {
		return who, false, nil
	}
	name, fine := personName(users[0])
	if len(users) > 1 || !fine {
		return who, false, errProxy
	}
	var groups []string
	if p.GroupsHeader != "" {
		lines := header[textproto.CanonicalMIMEHeaderKey(p.GroupsHeader)]
		if len(lines) > 1 { // one of them may be the client's own
			return who, false, errGroups
		}
		groups = strings.Split(strings.Join(lines, ""), ",")
	}
	groups = cleanGroups(groups)
	return store.Person{Name: name, Groups: groups, Role: p.Grants.roleOf(groups), Via: store.ViaProxy}, true, nil
}
