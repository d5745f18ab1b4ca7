package statuses

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"trackside/store"
	"trackside/systems"
)

// Pair is a reason of one system; where there is no reason, a health.
type Pair struct{ System, Health, Reason string }

// Pair is what the key says.
func (s *Status) Pair() Pair { return Pair{s.System, s.Expect.Health, s.Expect.Reason} }

// Pairs are all that there can be: each system's five reasons, and its three healths that have none.
func Pairs() (out []Pair) {
	for _, s := range systems.All() {
		for _, r := range store.Reasons() {
			out = append(out, Pair{s.Name, store.Unhealthy.String(), r.String()})
		}
		for _, h := range []store.Health{store.Degraded, store.Unknown, store.Healthy} {
			out = append(out, Pair{s.Name, h.String(), ""})
		}
	}
	return out
}

// Unreachable is a pair that no pod of a system can come to, and why.
type Unreachable struct{ System, Health, Reason, Why string }

// Pair is the pair of which it is said.
func (u Unreachable) Pair() Pair { return Pair{u.System, u.Health, u.Reason} }

// ReadUnreachable reads unreachable.yaml, beside the folder of the statuses.
func ReadUnreachable(dir string) (out []Unreachable, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "unreachable.yaml"))
	if err != nil {
		return nil, err
	}
	err = yaml.UnmarshalStrict(b, &out)
	return out, err
}

// Gaps says in words what is wrong with the coverage: pairs that are neither keyed nor explained, and explanations that are wrong, blank
// or about nothing.
func Gaps(all []*Status, unreachable []Unreachable) (gaps []string) {
	keyed, explained := map[Pair]string{}, map[Pair]bool{}
	for _, s := range all {
		keyed[s.Pair()] = s.Name
	}
	for _, u := range unreachable {
		switch p := u.Pair(); {
		case !slices.Contains(Pairs(), p):
			gaps = append(gaps, fmt.Sprintf("unreachable.yaml speaks of %s, which there is not", p))
		case keyed[p] != "":
			gaps = append(gaps, fmt.Sprintf("unreachable.yaml calls %s unreachable, but %s reaches it", p, keyed[p]))
		case strings.TrimSpace(u.Why) == "":
			gaps = append(gaps, fmt.Sprintf("unreachable.yaml does not say why %s is", p))
		default:
			explained[p] = true
		}
	}
	for _, p := range Pairs() {
		if keyed[p] == "" && !explained[p] {
			gaps = append(gaps, fmt.Sprintf("%s has no keyed status, and unreachable.yaml does not say why", p))
		}
	}
	return gaps
}

// String names the pair in a message.
func (p Pair) String() string { return p.System + " " + cmp.Or(p.Reason, p.Health) }
