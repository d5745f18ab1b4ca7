package finding

import (
	"regexp"
	"slices"

	"trackside/store"
)

// Budget says whether a disruption budget guards an object's pods.
type Budget uint8

// What is known of a disruption budget.
const (
	BudgetUnknown Budget = iota // budgets are not read
	BudgetNone
	BudgetThere
)

// Single is the rule about a single replica, which a drained node takes away. Out of service there is none to lose.
func Single(kind, name string, replicas int32, b Budget) []store.Finding {
	if replicas != 1 || kind != "Deployment" && kind != "StatefulSet" || b == BudgetThere {
		return nil
	}
	code := SingleReplica
	if b == BudgetNone {
		code = SingleUnguarded
	}
	return []store.Finding{New(code, Object(kind, name), "spec.replicas", "")}
}

// Unversioned is the rule about a component whose version nothing names.
func Unversioned(kind, name, version string) []store.Finding {
	if version != "" {
		return nil
	}
	return []store.Finding{New(VersionMissing, Object(kind, name), "metadata.labels", "")}
}

// AccountField is where an object of a kind names its service account.
func AccountField(kind string) string { return prefixOf(kind) + "serviceAccountName" }

// ClusterAdmin is the finding about an object whose service account may do anything in the cluster, by that binding.
func ClusterAdmin(object, field, account, binding string) store.Finding {
	f := New(ClusterAdminBound, object, field, store.Clean(account, maxDetail))
	f.Fix = "kubectl delete clusterrolebinding " + store.Clean(binding, maxDetail)
	return f
}

// Admins leaves out that an account is called an administrator where it is known to be one.
func Admins(fs []store.Finding) []store.Finding {
	bound := func(f store.Finding) bool {
		return f.Code == AdminAccount && slices.ContainsFunc(fs, func(o store.Finding) bool {
			return o.Code == ClusterAdminBound && o.Object == f.Object
		})
	}
	out := fs[:0:0]
	for _, f := range fs {
		if !bound(f) {
			out = append(out, f)
		}
	}
	return out
}

// Proven softens what is said of a component that a probe of ours asks: that it has no readiness probe, or a weak one, does not make our
// green doubtful.
func Proven(fs []store.Finding) []store.Finding {
	for i, f := range fs {
		switch f.Code {
		case ReadinessMissing:
			fs[i] = New(ReadinessByUsOnly, f.Object, f.Field, "")
			fs[i].Fix = f.Fix
		case ReadinessTCP, ReadinessVacuous:
			fs[i].Doubt = false
		}
	}
	return fs
}

// missing is how the kubelet says that a Secret, or a key of one, is not there: volume mounts, environment, image pulls.
var missing = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bsecrets? "([^"]{1,253})" (?:is )?not found`),
	regexp.MustCompile(`(?i)couldn't find key \S{1,253} in Secret (?:\S{1,253}/)?([a-z0-9.-]{1,253})`),
	regexp.MustCompile(`(?i)references non-existent secret key: \S{1,253} in secret "?([a-z0-9.-]{1,253})`),
}

// untold is how control planes say it, in words of their own. A name without quotes is taken for one by its hyphen or dot alone.
var untold = []*regexp.Regexp{
	regexp.MustCompile(`\b[Ss]ecret ["']?([a-z0-9]+(?:[-.]+[a-z0-9]+)+)["']? (?:is )?(?:missing|not found)`),
	regexp.MustCompile(`\b([a-z0-9]+(?:[-.]+[a-z0-9]+)+) secret (?:is )?(?:missing|not found)`),
}

// MissingSecret is the Secret that a message of a kubelet misses; blank when it misses none. No Secret is read.
func MissingSecret(message string) string {
	for _, m := range missing {
		if found := m.FindStringSubmatch(message); found != nil {
			return store.Clean(found[1], 253)
		}
	}
	return ""
}

// Secret is the finding about a Secret that a pod of an object waits for.
func Secret(name, field string) store.Finding {
	return New(SecretMissing, "secret/"+name, field, "secret "+name)
}

// ToldSecret is the Secret that a message of a control plane misses; blank when it names none.
func ToldSecret(message string) string {
	for _, m := range untold {
		if found := m.FindStringSubmatch(message); found != nil {
			return store.Clean(found[1], 253)
		}
	}
	return MissingSecret(message)
}

// Told is the finding about a Secret that a control plane misses, with what that means: no kubelet need wait for it.
func Told(name, field string, why store.Sentence) store.Finding {
	f := Secret(name, field)
	f.Why = why
	return f
}
