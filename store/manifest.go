package store

import (
	"fmt"
	"time"
)

// FieldKind is what can be filled into a field of a manifest's form.
type FieldKind string

// The kinds of fields.
const (
	FieldText     FieldKind = "text"
	FieldName     FieldKind = "name"  // of an object: an RFC 1123 label
	FieldImage    FieldKind = "image" // a container image with its tag or digest
	FieldURL      FieldKind = "url"   // http or https
	FieldPath     FieldKind = "path"  // that a runner is asked by HTTP
	FieldNumber   FieldKind = "number"
	FieldQuantity FieldKind = "quantity" // of a resource, such as 250m or 1Gi
	FieldChoice   FieldKind = "choice"
)

// ManifestField is one field of a manifest's form.
type ManifestField struct {
	// Name stands in addresses and on the command line; Label and Help are for people.
	Name, Label, Help string
	Kind              FieldKind
	// Default is used when nothing is given. A field without one that is Required shows its Example.
	Default, Example string
	Required         bool
	// Choices are those of a choice; Min and Max bound a number.
	Choices  []string
	Min, Max int64
	// Group is the heading under which it stands.
	Group string
}

// ManifestForm is what can be asked of a runner of one system.
type ManifestForm struct {
	// System stands in references, Title is for people.
	System, Title string
	Fields        []ManifestField
	// Helm says that there are values of a chart beside the objects.
	Helm bool
}

// Field is a field by its name; false when there is none.
func (f ManifestForm) Field(name string) (ManifestField, bool) {
	for _, x := range f.Fields {
		if x.Name == name {
			return x, true
		}
	}
	return ManifestField{}, false
}

// ManifestAsk is a form that somebody has filled in.
type ManifestAsk struct {
	System string
	// Cluster is the alias of the one that it is checked against and applied to; blank: it is not checked.
	Cluster string
	// Values are by field; a blank one is the default.
	Values map[string]string
	By     Person
	// SHA256 of the text that was looked at, for an apply; another text is a conflict.
	SHA256 string
	// Force takes fields over from whoever keeps them.
	Force bool
}

// FieldProblem is something wrong with a manifest: of a field, or, with a blank Field, of an object as the cluster sees it.
type FieldProblem struct {
	Field string
	// Object is as kubectl names it, and Path the field in it; blank where the form itself is wrong.
	Object, Path string
	Text         string
}

// NeededSecret is a Secret that a manifest refers to. Nobody but its owner ever writes its values.
type NeededSecret struct {
	Name string
	// Why says what it is for.
	Why string
	// Command makes it, with a place for each value.
	Command string
}

// HelmInstall is how the system's own chart installs the same runner.
type HelmInstall struct {
	// Values are YAML; Command refers to them as the file values.yaml.
	Values, Command string
}

// ObjectChange is what an apply does to one object.
type ObjectChange struct {
	Object string
	// What is new, changed, same or unknown.
	What string
	// Diff is in the unified form, blank unless something changes that is there.
	Diff string
}

// The words of an ObjectChange.
const (
	ChangeNew     = "new"
	ChangeChanged = "changed"
	ChangeSame    = "same"
)

// ManifestDraft is a manifest, and all that is known of it before it is applied.
type ManifestDraft struct {
	System, Cluster, Namespace, Name string
	// YAML is blank as long as the form itself has problems. SHA256 is of it, in hex.
	YAML, SHA256 string
	Problems     []FieldProblem
	// Checked says that the cluster was asked; Unchecked why it was not, or could not be.
	Checked   bool
	Unchecked Sentence
	Changes   []ObjectChange
	Findings  []Finding
	Secrets   []NeededSecret
	Notes     []Sentence
	// Helm is nil where the system has no chart.
	Helm *HelmInstall
}

// Ref is the runner that the manifest makes. A runner whose name the manifest does not choose is one of its namespace.
func (d ManifestDraft) Ref() Ref {
	return Ref{Cluster: d.Cluster, System: d.System, Namespace: d.Namespace, Name: d.Name}
}

// File is the name under which the text is saved.
func (d ManifestDraft) File() string { return d.System + "-" + d.Name + ".yaml" }

// Limits of links to manifests.
const (
	// MinLinkLife and MaxLinkLife bound how long a link lives.
	MinLinkLife = time.Minute
	MaxLinkLife = 7 * 24 * time.Hour
	// MaxManifest is how large a manifest behind a link may be, in bytes.
	MaxManifest = 256 << 10
)

// ManifestLink is an address that hands out a manifest for a while. Whoever has the address has the manifest: only its hash is kept.
type ManifestLink struct {
	// ID names it to people; it is no secret and opens nothing.
	ID string
	// Hash is the SHA-256 of its token.
	Hash []byte
	// File is the name under which the text is saved, Ref the runner that it makes, SHA256 that of the text, in hex.
	File   string
	Ref    Ref
	SHA256 string
	YAML   string
	By     string
	// Made, Expires and Revoked are instants; Revoked is zero while it holds.
	Made, Expires, Revoked time.Time
	Single                 bool
	// Uses counts how often the text was handed out, LastUsed when.
	Uses     int64
	LastUsed time.Time
}

// Check is ErrInvalid for a link that nobody could mean.
func (l ManifestLink) Check() error {
	switch life := l.Expires.Sub(l.Made); {
	case life < MinLinkLife || life > MaxLinkLife:
		return fmt.Errorf("%w: a link lives for a minute to seven days, and %s is asked", ErrInvalid, life)
	case l.YAML == "" || len(l.YAML) > MaxManifest:
		return fmt.Errorf("%w: the manifest behind a link has 1 to %d bytes, and this one has %d", ErrInvalid, MaxManifest, len(l.YAML))
	}
	return nil
}

// Dead says why a link hands out nothing at a time; blank while it does.
func (l ManifestLink) Dead(now time.Time) string {
	switch {
	case !l.Revoked.IsZero():
		return "it was revoked"
	case l.Single && l.Uses > 0:
		return "it could be used once, and was"
	case !now.Before(l.Expires):
		return "it has expired"
	}
	return ""
}

// The verbs under which manifests stand in the audit.
const (
	VerbManifestLink     = "manifest-link"
	VerbManifestDownload = "manifest-download"
	VerbManifestApply    = "manifest-apply"
	VerbManifestRevoke   = "manifest-revoke"
)
