package store

import (
	"cmp"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
)

// Ref identifies a runner everywhere: map key, URL, DOM id, SQLite key.
type Ref struct {
	// Cluster is the alias given by --cluster.
	Cluster string `json:"cluster"`
	// System is the name of the runner system, such as kubiya.
	System string `json:"system"`
	// Namespace is the Kubernetes namespace; blank for a runner outside a cluster.
	Namespace string `json:"namespace"`
	// Name is what an operator calls the runner.
	Name string `json:"name"`
}

// String is the reference in one line, for logs and errors.
func (r Ref) String() string {
	return strings.Join([]string{r.Cluster, r.System, r.Namespace, r.Name}, "/")
}

// Full is the reference in one line as programs write it in an address, behind a prefix of its own: a blank namespace is "-".
func (r Ref) Full() string {
	r.Namespace = orDash(r.Namespace)
	return r.String()
}

// Path is the runner's permalink: every part is escaped, so that a part may hold a slash.
func (r Ref) Path() string {
	return "/runners/" + url.PathEscape(r.Cluster) + "/" + url.PathEscape(r.System) + "/" +
		url.PathEscape(orDash(r.Namespace)) + "/" + url.PathEscape(r.Name)
}

// RefFromPath reads the four unescaped parts of a permalink.
func RefFromPath(cluster, system, namespace, name string) (Ref, error) {
	if cluster == "" || system == "" || namespace == "" || name == "" {
		return Ref{}, fmt.Errorf("%w: a runner's path is /runners/{cluster}/{system}/{namespace}/{name}", ErrInvalid)
	}
	if namespace == "-" {
		namespace = ""
	}
	return Ref{cluster, system, namespace, name}, nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

var idEncoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// ID is the runner's DOM id: letters, digits, hyphens and underscores only, whatever the parts hold, and different for different
// runners. A part of lower-case letters, digits and hyphens stands for itself; any other becomes an X and base32.
func (r Ref) ID() string {
	return "r-" + idPart(r.Cluster) + "_" + idPart(r.System) + "_" + idPart(r.Namespace) + "_" + idPart(r.Name)
}

// idPart holds no underscore, which parts the parts, and begins with a capital only when it is encoded.
func idPart(s string) string {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "X" + idEncoding.EncodeToString([]byte(s))
		}
	}
	return s
}

// Compare orders references by name of cluster, system, namespace and runner.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Cluster, o.Cluster), cmp.Compare(r.System, o.System),
		cmp.Compare(r.Namespace, o.Namespace), cmp.Compare(r.Name, o.Name))
}
