package store

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// LostGrace is how long a control plane may say that work runs whose pod is gone: its own records lag behind, up to a minute.
const LostGrace = time.Minute

// FailedNews is how long failed work that no cluster shows any more is shown by the word of its control plane.
const FailedNews = time.Hour

// Raw reasons of verdicts that rest on a testimony.
const (
	RawSaidUnwell = "SaidUnhealthy"
	RawSaidFailed = "SaidFailed"
	RawGone       = "Gone"
)

// saidLimit bounds a foreign word in a sentence, saidDetail an explanation; both in characters.
const (
	saidLimit  = 60
	saidDetail = 200
)

// Join composes a runner out of what its cluster shows and what other sources say of it; observed is nil for a runner that no
// cluster shows. It is pure, and changes neither. Where they disagree:
//   - a failure reason that the control plane itself gives for work wins over ours;
//   - where a source says that all is well and the cluster shows a failure, the cluster is right, and the runner says so;
//   - where a source says unhealthy and the cluster is green, the runner is degraded, in the source's words;
//   - a source whose latest call failed decides nothing: the cluster's verdict stands. Nothing is healthy by a failed call.
func Join(observed *Runner, said []Testimony, now time.Time) *Runner {
	if len(said) == 0 {
		return observed
	}
	said = slices.Clone(said)
	slices.SortFunc(said, func(a, b Testimony) int { return a.Compare(b.TestimonyKey) })
	if observed == nil {
		return alone(said, now)
	}
	r := *observed
	r.Components, r.Workloads = slices.Clone(r.Components), slices.Clone(r.Workloads)
	r.Facts = slices.Clip(r.Facts)
	for i := range said {
		j := joining{r: &r, t: &said[i], now: now}
		j.join()
	}
	return &r
}

// joining is one testimony on its way into a runner.
type joining struct {
	r      *Runner
	t      *Testimony
	now    time.Time
	differ []string // where the source and the cluster disagree
}

func (j *joining) join() {
	j.fact(j.t.Source, j.word())
	inService := j.r.Observed == Enabled && j.r.Requested == Enabled
	if inService && j.t.Problem == nil {
		j.components()
	}
	if inService {
		j.workloads()
	}
	if inService && j.t.Problem == nil {
		j.itself()
	}
	for _, f := range j.t.facts() {
		j.add(f)
	}
	j.findings()
	j.r.Offer = j.r.Offer.Or(j.t.Offer)
	j.disagreements()
}

// findings adds what the source finds and the cluster does not show, and takes out what it refutes. A list that stays as it is is shared.
func (j *joining) findings() {
	if slices.ContainsFunc(j.t.Refutes, j.r.Has) {
		j.r.Findings = slices.DeleteFunc(slices.Clone(j.r.Findings), func(f Finding) bool { return slices.Contains(j.t.Refutes, f.Code) })
	}
	for _, f := range j.t.Findings {
		if !j.r.Has(f.Code) {
			j.r.Findings = append(slices.Clip(j.r.Findings), f)
			slices.SortStableFunc(j.r.Findings, func(a, b Finding) int {
				return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Object, b.Object))
			})
		}
	}
}

func (j *joining) fact(name string, value Sentence) {
	j.r.Facts = append(j.r.Facts, Fact{Name: name, Value: value})
}

// add adds a fact of the source: one that the cluster tells too, once where both say the same, else under a name of its own.
func (j *joining) add(f Fact) {
	i := slices.IndexFunc(j.r.Facts, func(o Fact) bool { return o.Name == f.Name })
	switch {
	case i < 0:
	case j.r.Facts[i].Value == f.Value:
		return
	default:
		f.Name += " by the " + j.t.Source
	}
	j.r.Facts = append(j.r.Facts, f)
}

// word is what the source says of the runner as a whole, or why it says nothing.
func (j *joining) word() Sentence {
	t := j.t
	word, detail := quoted(t.Word), explained(t.Error)
	switch {
	case t.Problem != nil:
		return t.unheard("not heard")
	case word == "":
		return "says nothing of the runner as a whole"
	case t.Vacuous != "":
		return Sentence("says " + word + detail + "; " + Clean(t.Vacuous, saidDetail))
	}
	return Sentence("says " + word + detail)
}

// unheard says since when the source is not heard, in those words, why, and what it said last.
func (t *Testimony) unheard(words string) Sentence {
	p := t.Problem
	since := p.Last
	if since.IsZero() {
		since = p.Since
	}
	s := Sentence(words + " for " + For(since) + ": " + Clean(p.Call, saidDetail) + ": " + Clean(p.What, saidDetail))
	if word := quoted(t.Word); word != "" {
		s += Sentence("; it last said " + word)
	}
	return s
}

// facts are the testimony's own, and what it says of each part.
func (t *Testimony) facts() []Fact {
	out := slices.Clone(t.Facts)
	for _, c := range t.Components {
		value := cmp.Or(quoted(c.Word), "says nothing") + explained(c.Error)
		if v := NormalizeVersion(Clean(c.Version, saidLimit)); v != "" {
			value += ", version " + v
		}
		out = append(out, Fact{Name: Clean(c.Name, saidLimit) + " by the " + t.Source, Value: Sentence(value)})
	}
	return out
}

func quoted(word string) string { return Clean(word, saidLimit) }

// explained is an explanation to follow a word; blank when there is none.
func explained(s string) string {
	if s = strings.TrimRight(Clean(s, saidDetail), ". "); s == "" {
		return ""
	}
	return ": " + s
}

// components holds what the source says of each part against what the cluster shows of it.
func (j *joining) components() {
	for _, said := range j.t.Components {
		i := slices.IndexFunc(j.r.Components, func(c Component) bool { return c.Name == said.Name })
		if i < 0 {
			continue
		}
		c := &j.r.Components[i]
		if c.Version == "" {
			c.Version = NormalizeVersion(Clean(said.Version, saidLimit))
		}
		switch {
		case said.Health == Healthy && c.Health == Unhealthy:
			c.Why += Sentence(" The " + j.t.Source + " says " + quoted(said.Word) + " all the same.")
			j.differs("says %s of "+c.Name+", which fails", said.Word)
		case unwell(said.Health) && c.Health == Healthy:
			c.Verdict = j.degraded(said.Word, said.Error)
			j.differs("says %s of "+c.Name+", which the cluster shows healthy", said.Word)
			v := c.Verdict
			v.Why = Sentence(c.Name+": ") + v.Why
			j.worsen(v)
		}
	}
}

func unwell(h Health) bool { return h == Unhealthy || h == Degraded }

// degraded is the verdict on what the cluster shows healthy and the source does not.
func (j *joining) degraded(word, detail string) Verdict {
	return Verdict{Health: Degraded, Raw: RawSaidUnwell, Message: Clean(detail, MaxMessage),
		Why: Sentence("The " + j.t.Source + " says " + quoted(word) + explained(detail) + ".")}
}

// itself holds what the source says of the runner as a whole against what the cluster shows.
func (j *joining) itself() {
	switch {
	case j.t.Health == Healthy && j.r.Health == Unhealthy:
		if len(j.differ) == 0 {
			j.r.Why += Sentence(" The " + j.t.Source + " says " + quoted(j.t.Word) + " all the same.")
		}
		j.differs("says %s, and the cluster shows a failure", j.t.Word)
	case unwell(j.t.Health) && j.r.Health == Healthy:
		j.differs("says %s, and the cluster shows nothing amiss", j.t.Word)
		j.worsen(j.degraded(j.t.Word, j.t.Error))
	case unwell(j.t.Health):
		j.worsen(j.degraded(j.t.Word, j.t.Error))
	}
}

// differs notes a disagreement; the word stands where %s is.
func (j *joining) differs(format, word string) {
	j.differ = append(j.differ, strings.Replace(format, "%s", quoted(word), 1))
}

// maxDiffer is how many disagreements of one source are told one by one.
const maxDiffer = 3

func (j *joining) disagreements() {
	n := len(j.differ)
	for _, d := range j.differ[:min(n, maxDiffer)] {
		j.fact("Disagreement", Sentence("the "+j.t.Source+" "+d))
	}
	if n > maxDiffer {
		j.fact("Disagreement", Sentence(count(n-maxDiffer)+" more with the "+j.t.Source))
	}
}

// worsen gives the runner a verdict that wants attention before the one it has.
func (j *joining) worsen(v Verdict) {
	if v.Health.Severity() < j.r.Health.Severity() {
		j.r.Verdict = v
	}
}
