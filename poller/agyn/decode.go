package agyn

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trackside/poller/api"
	"trackside/store"
)

// nameLimit bounds a name, textLimit other text, in characters; maxFacts the labels and capabilities that are listed one by one.
const (
	nameLimit = 253
	textLimit = 200
	maxFacts  = 12
)

// neverOffline is why the word "enrolled" proves nothing: agynio/runners assigns pending and enrolled only.
const neverOffline = "agyn never writes offline, so the cluster decides"

// The statuses of workloads that are asked for: what has stopped is no news.
var (
	present = []string{"WORKLOAD_STATUS_STARTING", "WORKLOAD_STATUS_RUNNING", "WORKLOAD_STATUS_STOPPING"}
	failed  = []string{"WORKLOAD_STATUS_FAILED"}
)

// runner is one of ListRunners.
type runner struct {
	id, name, organization, word string
	labels                       []store.Label
	capabilities                 []string
}

// workload is one of ListWorkloads.
type workload struct {
	runnerID, runnerName string
	said                 store.SaidWorkload
}

// read takes the objects of a page's list; those that cannot be read are counted and left out.
func read[T any](r *api.Round, page api.Object, field string, of func(api.Object) (T, bool), into []T) ([]T, error) {
	n, ok := page.Count(field)
	if !ok {
		return into, api.Unfit("the field " + field + " is no list")
	}
	for _, o := range page.List(field) {
		if x, ok := of(o); ok {
			into = append(into, x)
			n--
		}
	}
	if n > 0 {
		r.Limit(fmt.Sprintf("Of a page of %s, %d entries cannot be read: they are no objects, or have no name.", field, n))
	}
	return into, nil
}

func runnerOf(o api.Object) (runner, bool) {
	meta := o.Object("meta")
	x := runner{id: clean(cmp.Or(meta.Text("id"), o.Text("id"))), name: clean(o.Text("name")), organization: clean(o.Text("organizationId")),
		word: enum(o.Text("status"), "RUNNER_STATUS_"), capabilities: o.Texts("capabilities")}
	labels := o.Object("labels")
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		x.labels = append(x.labels, store.Label{Key: k, Value: labels.Text(k)})
	}
	x.name = cmp.Or(x.name, x.id)
	x.id = cmp.Or(x.id, x.name)
	return x, x.name != ""
}

func workloadOf(o api.Object) (workload, bool) {
	meta := o.Object("meta")
	word := enum(o.Text("status"), "WORKLOAD_STATUS_")
	w := workload{runnerID: clean(o.Text("runnerId")), runnerName: clean(o.Text("runnerName")), said: store.SaidWorkload{
		Pod: clean(o.Text("instanceId")), ID: clean(cmp.Or(meta.Text("id"), o.Text("id"))), Word: word,
		Active: word == "running", Starting: word == "starting", Failed: word == "failed",
		Reason: store.ReasonSaid(o.Text("failureReason")), Message: store.Clean(o.Text("failureMessage"), store.MaxMessage),
		Began: meta.Time("createdAt"), Changed: later(meta.Time("updatedAt"), o.Time("removedAt"))}}
	return w, (w.said.Pod != "" || w.said.ID != "") && (w.runnerID != "" || w.runnerName != "")
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// enum is the word of an enum's value, as "enrolled"; unspecified is no word.
func enum(s, prefix string) string {
	word := strings.ToLower(strings.TrimPrefix(store.Clean(s, textLimit), prefix))
	if word == "unspecified" {
		return ""
	}
	return word
}

// clean is a name that is fit to stand in a reference; one that holds anything else is none.
func clean(s string) string {
	if len(s) > nameLimit || store.Clean(s, nameLimit) != s || s == "." || s == ".." {
		return ""
	}
	return s
}

// testimonies are what is said of each runner, with the workloads that name it.
func (s *source) testimonies(r *api.Round, runners []runner, now time.Time) []store.Testimony {
	out := make([]store.Testimony, 0, len(runners))
	byID, byName := map[string]int{}, map[string]int{}
	for _, x := range runners {
		key := store.TestimonyKey{Cluster: Alias, Source: SourceName, System: system, Runner: x.name, UID: x.id}
		if _, taken := byName[x.name]; taken {
			key.Runner = x.name + " (" + x.id + ")" // two organizations may use one name
		}
		byID[x.id], byName[key.Runner] = len(out), len(out)
		out = append(out, store.Testimony{TestimonyKey: key, Word: x.word, Health: health(x.word), Error: explain(x.word), Vacuous: vacuous(x.word),
			Facts: x.facts(), Offer: x.offer(), Heard: now})
	}
	orphans := 0
	for _, list := range s.work {
		for _, w := range list {
			i, ok := byID[w.runnerID]
			if !ok {
				i, ok = byName[w.runnerName]
			}
			if !ok {
				orphans++
				continue
			}
			out[i].Workloads = append(out[i].Workloads, w.said)
		}
	}
	if orphans > 0 {
		r.Limit(fmt.Sprintf("%d workloads are of runners that are not listed.", orphans))
	}
	for i := range out {
		slices.SortFunc(out[i].Workloads, func(a, b store.SaidWorkload) int { return cmp.Or(cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.ID, b.ID)) })
	}
	return out
}

func health(word string) store.Health {
	switch word {
	case "enrolled":
		return store.Healthy
	case "pending":
		return store.Degraded
	}
	return store.HealthSaid(word)
}

func explain(word string) string {
	if word == "pending" {
		return "it is registered and has not enrolled"
	}
	return ""
}

func vacuous(word string) string {
	if word == "enrolled" {
		return neverOffline
	}
	return ""
}

// offer is what the runner offers to a workload, in the order in which agyn looks for a place.
func (x runner) offer() store.Offer {
	o := store.Offer{Scope: store.Scope{Kind: store.ScopeCluster}}
	if x.organization != "" {
		o.Scope = store.Scope{Kind: store.ScopeOrganization, Organization: x.organization}
	}
	// As they are told, and not as a person writes a list of them: a value may hold commas and blanks.
	o.Labels = append([]store.Label{}, x.labels...)
	o.Capabilities = append([]string{}, x.capabilities...)
	slices.Sort(o.Capabilities)
	o.Capabilities = slices.Compact(o.Capabilities)
	return o
}

func (x runner) facts() (out []store.Fact) {
	scope := "the whole platform"
	if x.organization != "" {
		scope = "organization " + x.organization
	}
	labels := make([]string, len(x.labels))
	for i, l := range x.labels {
		labels[i] = l.Key + "=" + l.Value
	}
	out = append(out, store.Fact{Name: "Scope", Value: store.Sentence(scope)})
	for _, f := range []struct {
		name   string
		values []string
	}{{"Labels", labels}, {"Capabilities", x.capabilities}} {
		if v := listedShort(f.values); v != "" {
			out = append(out, store.Fact{Name: f.name, Value: store.Sentence(v)})
		}
	}
	return out
}

// listedShort lists values, the first of them only where there are many.
func listedShort(values []string) string {
	var out []string
	for _, v := range values[:min(len(values), maxFacts)] {
		if v = store.Clean(v, textLimit); v != "" {
			out = append(out, v)
		}
	}
	if n := len(values) - maxFacts; n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, ", ")
}
