package kubiya

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"trackside/poller/api"
	"trackside/store"
)

// nameLimit bounds a name that an API gives, textLimit any other text, both in characters.
const (
	nameLimit = 253
	textLimit = 200
)

// listing takes in the list as it is read.
type listing struct {
	runners         []store.Testimony
	seen            map[store.Ref]bool
	n               int
	unread, doubles int
	wrapped         bool   // the list stands in a field
	other           string // a field that is no runner
}

// take reads one entry. Some answers are an object of runners by name, and some wrap the list in a field.
func (l *listing) take(key string, v any) error {
	switch x := v.(type) {
	case map[string]any:
		if key == "error" || key == "errors" {
			l.other = key
			return nil
		}
		return l.runner(key, x)
	case []any:
		if key != "runners" && key != "items" && key != "data" {
			break
		}
		l.wrapped = true
		for _, e := range x {
			m, _ := e.(map[string]any)
			if err := l.runner("", m); err != nil {
				return err
			}
		}
		return nil
	default:
		if key != "" {
			l.other = key // what stands beside the runners, such as a total
			return nil
		}
	}
	return l.runner("", nil)
}

// check refuses an answer that is no list at all, such as an error that was sent with the status 200.
func (l *listing) check() error {
	if l.n == 0 && !l.wrapped && l.other != "" {
		return api.Unfit("it is an object with the field " + store.Clean(l.other, textLimit) + " and without runners")
	}
	return nil
}

func (l *listing) runner(key string, o api.Object) error {
	if l.n++; l.n > maxRunners {
		return api.Unfit(fmt.Sprintf("the list does not end after %d runners", maxRunners))
	}
	t, ok := runnerOf(key, o)
	switch {
	case !ok:
		l.unread++
	case l.seen[t.Ref()]:
		l.doubles++
	default:
		l.seen[t.Ref()] = true
		l.runners = append(l.runners, t)
	}
	return nil
}

// runnerOf reads an entry of the list. It takes out of it what is shown, so that a gateway's password is never kept.
func runnerOf(key string, o api.Object) (store.Testimony, bool) {
	name := cleanName(cmp.Or(o.Text("name"), key))
	if name == "" || o == nil {
		return store.Testimony{}, false
	}
	namespace := cleanName(cmp.Or(o.Text("namespace"), o.Text("kubernetes_namespace")))
	t := store.Testimony{TestimonyKey: store.TestimonyKey{Cluster: Alias, Source: SourceName, System: system, Namespace: namespace, Runner: name}}
	for field, component := range map[string]string{"runner_health": "", "tool_manager_health": "tool-manager", "agent_manager_health": "agent-manager"} {
		c, said := componentOf(o, field, component)
		if component == "" {
			t.Word, t.Health, t.Error = c.Word, c.Health, c.Error
		} else if said {
			t.Components = append(t.Components, c)
		}
	}
	t.Facts = facts(o)
	legacy(&t, o)
	sortComponents(&t)
	return t, true
}

// cleanName is a name that is fit to stand in a reference; one that holds anything but what Kubernetes and people put in names is none.
func cleanName(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > nameLimit || store.Clean(s, nameLimit) != s || s == "." || s == ".." {
		return ""
	}
	return s
}

// componentOf reads a health of the list: an object, or just a word; false when it says nothing.
func componentOf(o api.Object, field, name string) (store.SaidComponent, bool) {
	h := o.Object(field)
	switch {
	case h != nil:
	case o.Text(field) == "" && name == "":
		h = api.Object{"status": o.Text("status"), "health": o.Text("health")} // the list of the second control plane
	default:
		h = api.Object{"status": o.Text(field)}
	}
	c := component(name, h)
	return c, c.Word != "" || c.Error != "" || c.Version != ""
}

// component reads {status, health, error, version}: both words must be well for it to be well, and an error makes it less than that. Where
// the API itself says that it does not know, the error says why.
func component(name string, h api.Object) store.SaidComponent {
	status, health := h.Text("status"), h.Text("health", "healthy")
	c := store.SaidComponent{Name: name, Health: store.HealthSaid(status, health), Error: store.Clean(h.Text("error"), textLimit),
		Version: store.Clean(h.Text("version"), textLimit), Word: word(status, health)}
	if c.Error != "" && c.Health != store.Unhealthy && !strings.EqualFold(status, store.Unknown.String()) {
		c.Health, c.Word = store.Degraded, cmp.Or(c.Word, "an error")
	}
	return c
}

// word is the status, unless the boolean beside it contradicts it.
func word(status, health string) string {
	status, health = store.Clean(status, textLimit), store.Clean(health, textLimit)
	if store.HealthSaid(health) == store.Unhealthy && store.HealthSaid(status) != store.Unhealthy {
		return strings.TrimPrefix(status+" and unhealthy", " and ")
	}
	switch {
	case status != "":
		return status
	case strings.EqualFold(health, "true"):
		return "healthy"
	}
	return health
}

// facts are what the list says beside health. The generation is v1 for 0 and v2 for 2, as in the public clients.
func facts(o api.Object) (out []store.Fact) {
	add := func(name, value string) {
		if value = store.Clean(value, textLimit); value != "" {
			out = append(out, store.Fact{Name: name, Value: store.Sentence(value)})
		}
	}
	add("Generation", generation(o))
	add("Managed by", o.Text("managed_by"))
	add("Runner type", o.Text("runner_type"))
	add("Authentication", o.Text("authentication_type"))
	add("Description", o.Text("description"))
	return out
}

func generation(o api.Object) string {
	n, ok := o.Int("version")
	switch {
	case !ok:
		return ""
	case n == 0 || n == 1:
		return "v1, the legacy generation"
	}
	return fmt.Sprintf("v%d", n)
}

// legacy finds a runner of generation v1, and knows of one of a later generation that it is none.
func legacy(t *store.Testimony, o api.Object) {
	switch n, ok := o.Int("version"); {
	case !ok:
	case n > 1:
		t.Refutes = []string{store.LegacyV1}
	case n == 0 || n == 1:
		t.Findings = []store.Finding{{Code: store.LegacyV1, Severity: store.Warning, Object: "runner/" + t.Runner, Field: "version",
			Why: "By the Kubiya API it is a runner of generation v1, which gets no further releases.",
			Fix: "image: ghcr.io/kubiyabot/kubiya-operator:runner_v2"}}
	}
}

// withHealth joins what the health call says with what the list said: the call is about now, the list may be older.
func withHealth(t store.Testimony, h api.Object, now time.Time) store.Testimony {
	t.Heard = now
	t.Components = slices.Clone(t.Components)
	if c := component("", h); c.Word != "" {
		t.Word, t.Health, t.Error = c.Word, c.Health, c.Error
	}
	t.Version = store.Clean(h.Text("version"), textLimit)
	checks := h.List("checks")
	for i := range checks[:min(len(checks), maxChecks)] {
		c := component(cleanName(checks[i].Text("name")), checks[i])
		if c.Name == "" {
			continue
		}
		if c.Version == "" {
			c.Version = store.Clean(checks[i].Object("metadata").Text("release", "git_sha"), textLimit)
		}
		t.Components = slices.DeleteFunc(t.Components, func(o store.SaidComponent) bool { return o.Name == c.Name })
		t.Components = append(t.Components, c)
	}
	sortComponents(&t)
	return t
}

// maxChecks is how many checks of one runner are read.
const maxChecks = 50

func sortComponents(t *store.Testimony) {
	slices.SortFunc(t.Components, func(a, b store.SaidComponent) int { return cmp.Compare(a.Name, b.Name) })
}
