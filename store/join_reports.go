package store

import (
	"cmp"
	"slices"
	"strings"
)

// RawSilent is the raw reason of what stopped reporting itself.
const RawSilent = "HeartbeatStopped"

// maxReported is how many reporting pods of one runner are told one by one.
const maxReported = 10

// IsPod reports whether a workload is a pod that a cluster shows, and not only spoken of: no UID of Kubernetes holds a slash, and
// each that [Join] makes does.
func (w *Workload) IsPod() bool { return w.UID != "" && !strings.Contains(w.UID, "/") }

// JoinReports composes a runner that its cluster shows with what its pods report of themselves; each of reported bears the name of
// one of its pods. It is pure, and changes neither.
//   - where the cluster shows that a pod fails, that stands: it says more than silence does;
//   - a pod that the cluster does not show failing, and whose report is late, refused or has fallen silent, is unwell by the word of
//     its report, and so are its component and the runner: a probe that always passes proves nothing;
//   - a pod that is green by time alone, and of whose process the report says that nobody knows, is not known to be well;
//   - a pod that ends, or has ended well, owes no report, nor does one of a runner that is out of service;
//   - where the runner is the pod, and its cluster has it in service and does not show it failing, what was asked of it over its control channel
//     holds for the runner: it takes no work;
//   - the tasks that a pod reports are work of the runner.
func JoinReports(observed *Runner, reported []*Runner) *Runner {
	if len(reported) == 0 {
		return observed
	}
	r := *observed
	r.Components, r.Workloads, r.Facts = slices.Clone(r.Components), slices.Clone(r.Workloads), slices.Clip(r.Facts)
	reported = slices.SortedFunc(slices.Values(reported), func(a, b *Runner) int { return a.Ref.Compare(b.Ref) })
	j := reporting{joining: joining{r: &r, t: &Testimony{TestimonyKey: TestimonyKey{Source: "pod's own report"}}}, pods: map[string][]int{},
		silent: map[int]bool{}, inService: r.Observed == Enabled && r.Requested == Enabled}
	for i := range r.Workloads {
		if w := &r.Workloads[i]; w.IsPod() {
			j.pods[w.Name] = append(j.pods[w.Name], i)
		}
	}
	for _, p := range reported {
		j.hear(p)
	}
	for i := range r.Components {
		j.component(&r.Components[i])
	}
	j.facts(reported)
	j.service(reported)
	j.disagreements()
	slices.SortFunc(r.Workloads, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return &r
}

// reporting is a runner on its way to being joined with the reports of its pods.
type reporting struct {
	joining
	inService bool
	// pods are the places of the pods in r.Workloads by name; silent are those that are unwell by their reports.
	pods   map[string][]int
	silent map[int]bool
}

// hear takes in what one pod reports.
func (j *reporting) hear(p *Runner) {
	at := -1
	for _, i := range j.pods[p.Ref.Name] {
		if p.Ref.Namespace == "" || p.Ref.Namespace == j.r.Workloads[i].Namespace {
			at = i
		}
	}
	if at < 0 {
		return
	}
	w := &j.r.Workloads[at]
	next := earlier(w.Next, p.NextCheck()) // nobody else looks at the report again: its own runner is not on the board
	if v := process(p); j.inService && owesReport(w) && (unwell(v.Health) || doubtful(v, w)) {
		j.contradict(w, v, p)
		j.silent[at] = true
	}
	w.Next = next
	j.tasks(p, w.Namespace)
}

// owesReport reports whether a pod is one whose silence tells something: its cluster shows that it neither fails nor ends.
func owesReport(w *Workload) bool {
	return !w.Failing() && w.Phase != "Succeeded" && w.Raw != "Terminating"
}

// doubtful reports whether neither the report nor the cluster shows that a pod works.
func doubtful(v Verdict, w *Workload) bool {
	return v.Health == Unknown && w.Health == Healthy && w.Unproven
}

// process is how the process of a runner that reports itself is, whatever became of its tasks.
func process(p *Runner) Verdict {
	if len(p.Components) > 0 {
		return p.Components[0].Verdict
	}
	return p.Verdict
}

// contradict gives a pod the verdict of its report.
func (j *reporting) contradict(w *Workload, v Verdict, p *Runner) {
	old := w.Verdict
	w.Verdict = v
	w.Inspect = old.Inspect
	switch {
	case v.Health == Unknown:
		w.Why += " The cluster shows that its pod runs, and nothing proves that it works."
	case old.Health == Healthy:
		w.Why += " The cluster shows its pod well."
		j.differ = append(j.differ, "says "+cmp.Or(fact(p, "State"), v.Health.String())+" of "+w.Name+", whose pod is well")
	case old.Why != "":
		w.Why += " " + old.Why
	}
	j.carries(w)
}

// tasks takes over the tasks that a pod carries or has ended, and their trouble.
func (j *reporting) tasks(p *Runner, namespace string) {
	for i := range p.Workloads {
		t := p.Workloads[i]
		t.Namespace = namespace
		j.r.Workloads = append(j.r.Workloads, t)
	}
	if v := p.Verdict; j.inService && unwell(v.Health) && !v.Equal(process(p)) {
		v.Health, v.Why = Degraded, Sentence("Pod "+p.Ref.Name+": ")+v.Why
		j.worsen(v)
	}
}

// component gives a part the verdict of its pods that are unwell by their reports: it fails when no pod of it is left that does not.
func (j *reporting) component(c *Component) {
	v, pod, well, silent, all := Verdict{Health: Healthy}, "", 0, 0, 0
	for i := range j.r.Workloads {
		w := &j.r.Workloads[i]
		if w.Component != c.Name || !w.IsPod() || w.Phase == "Succeeded" {
			continue
		}
		if all++; !w.Failing() {
			well++
		}
		if j.silent[i] {
			silent++
			if w.Health.Severity() < v.Health.Severity() {
				v, pod = w.Verdict, w.Name
			}
		}
	}
	if silent == 0 || v.Health == Unknown && !c.Unproven {
		return // what a probe of the component proves stands
	}
	if well > 0 && v.Failing() {
		v.Health = Degraded
	}
	v.Why = Sentence("Pod "+pod+": ") + v.Why
	if silent > 1 {
		v.Why = Sentence(count(silent)+" of "+count(all)+" pods are unwell by their own reports. ") + v.Why
	}
	v.Next = earlier(c.Next, v.Next)
	if v.Health.Severity() < c.Health.Severity() {
		c.Verdict = v
	}
	if c.Name != j.r.Ref.Name {
		v.Why = Sentence(c.Name+": ") + v.Why
	}
	j.worsen(v)
}

// facts are what the reports say: all of it where the runner is the pod, else a line for each.
func (j *reporting) facts(reported []*Runner) {
	if j.isPod(reported) {
		for _, f := range reported[0].Facts {
			j.add(f)
		}
		if asked := control(reported[0]); asked != "" {
			j.add(Fact{Name: "Control", Value: asked})
		}
		return
	}
	for _, p := range reported[:min(len(reported), maxReported)] {
		line := Sentence("reports itself: " + cmp.Or(fact(p, "State"), p.Health.String()))
		if task := fact(p, "Current task"); task != "" {
			line += Sentence(", carries " + task)
		}
		if id := fact(p, "Runner id"); id != "" {
			line += Sentence(", runner id " + id)
		}
		if asked := control(p); asked != "" {
			line += ", " + asked
		}
		j.fact(p.Ref.Name, line)
	}
	if n := len(reported) - maxReported; n > 0 {
		j.fact("Reports", Sentence(count(n)+" more of its pods report themselves"))
	}
}

// isPod reports whether the runner is the one pod that reports itself: Digital.ai's are.
func (j *reporting) isPod(reported []*Runner) bool {
	return len(reported) == 1 && reported[0].Ref.Name == j.r.Ref.Name
}

// service takes over what was asked of a runner that is the pod over its control channel, for its cluster knows nothing of that. One that
// fails stays in service, so that its failure counts.
func (j *reporting) service(reported []*Runner) {
	if !j.isPod(reported) || !j.inService || j.r.Failing() {
		return
	}
	p := reported[0]
	if p.Requested == Enabled && p.Observed == Enabled {
		return
	}
	j.r.Requested, j.r.Observed, j.r.Mark = p.Requested, p.Observed, p.Mark
	switch p.Observed {
	case Disabled:
		j.r.Why += " It is disabled over its control channel: it takes no work."
	case Deleting:
		j.r.Why += " It was told over its control channel to exit: it takes no work."
	default:
	}
}

// control says what was asked of a runner over its control channel, by whom and why; blank where nothing out of the ordinary was. It is about
// the process in the pod: whether a runner of several pods is in service is its cluster's to say.
func control(p *Runner) Sentence {
	if p.Requested == Enabled && p.Observed == Enabled {
		return ""
	}
	s := Sentence("asked to be " + p.Requested.String())
	if p.Mark.By != "" {
		s += Sentence(" by " + Clean(p.Mark.By, saidLimit))
	}
	if p.Mark.Note != "" {
		s += Sentence(": " + Clean(p.Mark.Note, saidLimit))
	}
	return s
}

// fact is the value of a runner's fact; blank when it has none of that name.
func fact(r *Runner, name string) string {
	for _, f := range r.Facts {
		if f.Name == name {
			return string(f.Value)
		}
	}
	return ""
}
