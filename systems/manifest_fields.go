package systems

import (
	"fmt"
	"slices"
	"strings"

	"trackside/store"
)

// The headings of forms.
const (
	groupWhere     = "Where"
	groupRunner    = "Runner"
	groupPrograms  = "Programs"
	groupResources = "Resources"
	groupSecurity  = "Security"
)

// forms puts the fields of a form together.
func forms(parts ...[]store.ManifestField) []store.ManifestField { return slices.Concat(parts...) }

func whereFields(name, namespace string) []store.ManifestField {
	return []store.ManifestField{
		{Name: "name", Label: "Name", Kind: store.FieldName, Default: name, Required: true, Group: groupWhere,
			Help: "What the runner is called, on the board and in the cluster."},
		{Name: "namespace", Label: "Namespace", Kind: store.FieldName, Default: namespace, Required: true, Group: groupWhere,
			Help: "It must exist: kubectl create namespace makes it."},
	}
}

// required is a field that nobody can know the value of but who fills it in.
func required(f store.ManifestField) store.ManifestField {
	f.Required = true
	return f
}

func imageField(name, label, image, help string) store.ManifestField {
	f := store.ManifestField{Name: name, Label: label, Kind: store.FieldImage, Default: image, Required: true, Group: groupPrograms, Help: help}
	return f
}

// ownImage is an image whose publisher names no versions: whoever runs it says which one was tested.
func ownImage(name, label, example, help string) store.ManifestField {
	return store.ManifestField{Name: name, Label: label, Kind: store.FieldImage, Example: example, Required: true, Group: groupPrograms, Help: help}
}

func secretField(name, label, secret, help string) store.ManifestField {
	return store.ManifestField{Name: name, Label: label, Kind: store.FieldName, Default: secret, Required: true, Group: groupSecurity, Help: help}
}

func replicasField(n, most int) store.ManifestField {
	return store.ManifestField{Name: "replicas", Label: "Replicas", Kind: store.FieldNumber, Default: fmt.Sprint(n), Min: 1, Max: int64(most), Required: true, Group: groupResources,
		Help: "One is guarded by a disruption budget, so that draining its node waits; more lose one at a time."}
}

// sizeFields are the requests and limits of the main container.
func sizeFields(cpuRequest, cpuLimit, memoryRequest, memoryLimit string) []store.ManifestField {
	field := func(name, label, value, help string) store.ManifestField {
		return store.ManifestField{Name: name, Label: label, Kind: store.FieldQuantity, Default: value, Required: true, Group: groupResources, Help: help}
	}
	return []store.ManifestField{
		field("cpuRequest", "CPU request", cpuRequest, "What the scheduler keeps free for it."),
		field("cpuLimit", "CPU limit", cpuLimit, "Above it, it is slowed down."),
		field("memoryRequest", "Memory request", memoryRequest, "What the scheduler keeps free for it."),
		field("memoryLimit", "Memory limit", memoryLimit, "Above it, it is killed (OOMKilled)."),
	}
}

func userField(id int) store.ManifestField {
	return store.ManifestField{Name: "user", Label: "User ID", Kind: store.FieldNumber, Default: fmt.Sprint(id), Min: 1, Max: 1 << 30, Required: true, Group: groupSecurity,
		Help: "The number of the user that its processes run as; never 0, which is root."}
}

// literal is one line that makes a Secret of literals; each value is left to whoever runs it.
func literal(v Values, name string, keys ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kubectl create secret generic %s --namespace %s", name, v.Text("namespace"))
	for _, k := range keys {
		fmt.Fprintf(&b, " --from-literal=%s=%s", k, "VALUE")
	}
	return b.String()
}

// fromFile is one line that makes a Secret of a file.
func fromFile(v Values, name, key string) string {
	return fmt.Sprintf("kubectl create secret generic %s --namespace %s --from-file=%s=FILE", name, v.Text("namespace"), key)
}
