package api

import (
	"time"

	"trackside/handlers/live"
	"trackside/store"
	"trackside/store/versions"
	"trackside/views"
)

// Verdict is how something is, and everything that rests on.
type Verdict struct {
	Health string `json:"health" enum:"unhealthy,degraded,unknown,healthy"`
	Reason string `json:"reason,omitempty" enum:"image_pull_failed,config_invalid,crashloop,start_failed,runtime_lost" description:"The class of a failure."`
	// Why is a sentence; its instants are UTC.
	Why       string    `json:"why" description:"A sentence, with UTC times in it; never blank."`
	Since     time.Time `json:"since,omitzero" description:"When this health, for this reason, began."`
	Raw       string    `json:"raw,omitempty" description:"The reason as Kubernetes writes it."`
	Message   string    `json:"message,omitempty" description:"The raw message: hostile text."`
	Container string    `json:"container,omitempty"`
	Unproven  bool      `json:"unproven,omitempty" description:"Healthy by time alone: no probe proves it."`
	Inspect   string    `json:"inspect,omitempty" description:"The kubectl line to look further."`
}

func verdictOf(v store.Verdict) Verdict {
	why := v.Why.Absolute()
	if why == "" {
		why = "Nothing is said of why."
	}
	return Verdict{Health: v.Health.String(), Reason: v.Reason.String(), Why: why, Since: utc(v.Since), Raw: v.Raw, Message: v.Message,
		Container: v.Container, Unproven: v.Unproven, Inspect: v.Inspect}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// Component is a part of a runner.
type Component struct {
	Name    string `json:"name"`
	Kind    string `json:"kind,omitempty"`
	Object  string `json:"object,omitempty" description:"The name of the Kubernetes object."`
	Version string `json:"version,omitempty"`
	Image   string `json:"image,omitempty"`
	Verdict
	Ready    int32  `json:"ready" description:"Pods that are ready."`
	Desired  int32  `json:"desired" description:"Pods that there are to be."`
	Restarts int32  `json:"restarts"`
	Probe    *Probe `json:"probe,omitempty"`
}

// Probe is the latest HTTP probe of a component by the board.
type Probe struct {
	URL     string    `json:"url"`
	Status  int       `json:"status,omitempty" description:"The HTTP status; absent when no answer came."`
	Problem string    `json:"problem,omitempty"`
	TookMS  int64     `json:"took_ms"`
	At      time.Time `json:"at,omitzero"`
}

func componentsOf(r *store.Runner) []Component {
	out := make([]Component, len(r.Components))
	for i := range r.Components {
		c := &r.Components[i]
		out[i] = Component{Name: c.Name, Kind: c.Kind, Object: c.Object, Version: c.Version, Image: c.Image, Verdict: verdictOf(c.Verdict),
			Ready: c.Ready, Desired: c.Desired, Restarts: c.Restarts}
		if c.Probe.URL != "" {
			out[i].Probe = &Probe{URL: c.Probe.URL, Status: c.Probe.Status, Problem: c.Probe.Problem, TookMS: c.Probe.Took.Milliseconds(), At: utc(c.Probe.At)}
		}
	}
	return out
}

// Workload is a pod: a part of a component, or work that the runner carries.
type Workload struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Component string `json:"component,omitempty" description:"The component that the pod is part of; absent for work."`
	Verdict
	Phase    string    `json:"phase,omitempty"`
	Node     string    `json:"node,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Restarts int       `json:"restarts"`
}

func workloadsOf(r *store.Runner) []Workload { return workloads(r.Workloads) }

func workloads(ws []store.Workload) []Workload {
	out := make([]Workload, len(ws))
	for i := range ws {
		w := &ws[i]
		out[i] = Workload{Namespace: w.Namespace, Name: w.Name, Component: w.Component, Verdict: verdictOf(w.Verdict), Phase: w.Phase,
			Node: w.Node, Created: utc(w.Created), Restarts: w.Restarts()}
	}
	return out
}

// Runner is a runner in a list.
type Runner struct {
	Cluster   string `json:"cluster"`
	System    string `json:"system"`
	Namespace string `json:"namespace" description:"Blank for a runner outside a cluster."`
	Name      string `json:"name"`
	Path      string `json:"path" description:"The runner's page, and behind /api its JSON."`
	Verdict
	Version   string `json:"version,omitempty"`
	Requested string `json:"requested" enum:"enabled,disabled,deleting"`
	Observed  string `json:"observed" enum:"enabled,disabled,deleting"`
	Mark      *Mark  `json:"mark,omitempty" description:"Who took it out of service."`
	// Stale is about the whole cluster.
	Stale        string      `json:"stale,omitempty" description:"Why what is said may no longer be so; absent while the runner's cluster is heard."`
	Incarnation  string      `json:"incarnation,omitempty" description:"Tells a runner that was made again from its predecessor."`
	Components   []Component `json:"components"`
	Workloads    int         `json:"workloads" description:"Pods, of components and of work."`
	Failing      int         `json:"failing" description:"Workloads and components that fail."`
	FindingCount int         `json:"finding_count" description:"Findings that nobody has accepted."`
	Doubts       int         `json:"doubts" description:"Findings that make green doubtful and that nobody has accepted."`
	Recovered    time.Time   `json:"recovered,omitzero" description:"When it was last failing, if that was just now."`
}

// Mark says who took a runner out of service, why, and until when.
type Mark struct {
	By       string    `json:"by"`
	Note     string    `json:"note,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Until    time.Time `json:"until,omitzero" description:"When it comes back by itself; absent when somebody has to enable it."`
	Drain    bool      `json:"drain,omitempty"`
	Draining bool      `json:"draining,omitempty"`
}

func markOf(m store.Mark) *Mark {
	if m.IsZero() {
		return nil
	}
	return &Mark{By: m.By, Note: m.Note, At: utc(m.At), Until: utc(m.Until), Drain: m.Drain, Draining: m.Draining}
}

// shown is a snapshot as one answer reads it.
type shown struct {
	*store.Snapshot
	now    time.Time
	newest versions.Newest
	stales map[string]string // by cluster, what makes it stale
}

func (a *API) shown() shown {
	s := shown{a.o.Live.Current(), time.Now(), nil, map[string]string{}}
	s.newest = a.newestOf(s.Snapshot)
	for i := range s.Sources {
		src := &s.Sources[i]
		if why, stale := a.sourceStale(src, s.now); stale {
			s.stales[src.Cluster] = why
		}
	}
	return s
}

// sourceStale reports whether a source is silent, and words it: the page shows the same beside what was last true. A source that
// is asked now and then tells of itself.
func (a *API) sourceStale(src *store.Source, now time.Time) (why string, stale bool) {
	heard, ok := a.o.Live.Heard(src.Cluster)
	if !ok {
		heard = src.Heard
	}
	switch {
	case src.State == store.SourceLive && (src.Every > 0 || now.Sub(heard) <= live.StaleAfter):
		return "", false
	case src.Problem != "":
		why = store.Clean(src.Problem, 300)
	case heard.IsZero():
		why = "The source " + store.Clean(src.Name, 80) + " of the cluster " + store.Clean(src.Cluster, 80) + " has not spoken yet."
	default:
		why = "The source " + store.Clean(src.Name, 80) + " of the cluster " + store.Clean(src.Cluster, 80) + " does not answer."
	}
	if !heard.IsZero() {
		why += " This was last true at " + heard.UTC().Format(time.RFC3339) + "."
	}
	return why, true
}

func (s shown) runner(r *store.Runner) Runner {
	failing := 0
	for _, n := range r.Reasons() {
		failing += n
	}
	return Runner{Cluster: r.Ref.Cluster, System: r.Ref.System, Namespace: r.Ref.Namespace, Name: r.Ref.Name, Path: r.Ref.Path(),
		Verdict: verdictOf(r.Verdict), Version: r.Version, Requested: r.Requested.String(), Observed: r.Observed.String(), Mark: markOf(r.Mark),
		Stale: s.stales[r.Ref.Cluster], Incarnation: r.Incarnation, Components: componentsOf(r), Workloads: len(r.Workloads), Failing: failing,
		FindingCount: s.findingCount(r), Doubts: r.Doubts, Recovered: utc(r.Recovered)}
}

func (s shown) findingCount(r *store.Runner) (n int) {
	for _, f := range views.AllFindings(r, s.newest) {
		if _, ok := s.Accepted(r.Ref, f.Code, f.Object); !ok {
			n++
		}
	}
	return n
}

// Detail is one runner with all that is known of it.
type Detail struct {
	Runner
	WorkloadList []Workload `json:"workload_list"`
	Findings     []Finding  `json:"findings"`
	Facts        []Fact     `json:"facts"`
	Offer        Offer      `json:"offer"`
}

// Fact is something a system says of a runner beside its health.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Offer is what a runner offers to a workload that looks for a place. What is absent is not said.
type Offer struct {
	Scope        string   `json:"scope,omitempty" description:"cluster, or organization/NAME."`
	Labels       []string `json:"labels,omitempty" description:"KEY=VALUE."`
	Capabilities []string `json:"capabilities,omitempty"`
	CPUMillis    int64    `json:"cpu_millis,omitempty"`
	MemoryBytes  int64    `json:"memory_bytes,omitempty"`
	GPU          int64    `json:"gpu,omitempty"`
}

func offerOf(o store.Offer) Offer {
	out := Offer{Capabilities: o.Capabilities, CPUMillis: o.Room.CPU, MemoryBytes: o.Room.Memory, GPU: o.Room.GPU}
	if o.Scope.Kind != "" {
		out.Scope = o.Scope.String()
	}
	for _, l := range o.Labels {
		out.Labels = append(out.Labels, l.Key+"="+l.Value)
	}
	return out
}

func (s shown) detail(r *store.Runner) Detail {
	d := Detail{Runner: s.runner(r), WorkloadList: workloadsOf(r), Findings: []Finding{}, Facts: []Fact{}, Offer: offerOf(r.Offer)}
	for _, f := range views.AllFindings(r, s.newest) {
		d.Findings = append(d.Findings, s.finding(r, &f))
	}
	for _, f := range r.Facts {
		d.Facts = append(d.Facts, Fact{f.Name, f.Value.Absolute()})
	}
	return d
}

// Finding is something that makes green untrustworthy or a failure likely.
type Finding struct {
	Cluster   string `json:"cluster"`
	System    string `json:"system"`
	Namespace string `json:"namespace"`
	Name      string `json:"name" description:"The runner's."`
	Path      string `json:"path"`
	Code      string `json:"code"`
	Severity  string `json:"severity" enum:"critical,warning,notice"`
	Object    string `json:"object"`
	Field     string `json:"field,omitempty"`
	Why       string `json:"why"`
	Fix       string `json:"fix,omitempty"`
	Doubt     bool   `json:"doubt,omitempty" description:"A green of the object is worth little while this holds."`
	// Accepted is until when somebody lives with it.
	Accepted time.Time `json:"accepted_until,omitzero" description:"Until when somebody lives with it; absent when nobody does."`
	Note     string    `json:"note,omitempty" description:"Why it is accepted."`
}

func (s shown) finding(r *store.Runner, f *store.Finding) Finding {
	out := Finding{Cluster: r.Ref.Cluster, System: r.Ref.System, Namespace: r.Ref.Namespace, Name: r.Ref.Name, Path: r.Ref.Path(), Code: f.Code,
		Severity: f.Severity.String(), Object: f.Object, Field: f.Field, Why: f.Why.Absolute(), Fix: f.Fix, Doubt: f.Doubt}
	if a, ok := s.Accepted(r.Ref, f.Code, f.Object); ok {
		out.Accepted, out.Note = utc(a.Until), a.Note
	}
	return out
}
