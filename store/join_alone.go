package store

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// alone makes a runner out of testimonies only: no cluster shows it. The first names it.
func alone(said []Testimony, now time.Time) *Runner {
	t := &said[0]
	r := &Runner{Ref: t.Ref(), Incarnation: t.UID, Version: NormalizeVersion(Clean(t.Version, saidLimit))}
	r.Verdict = Verdict{Health: Healthy}
	for i := range said {
		j := joining{r: r, t: &said[i], now: now}
		j.alone()
	}
	return r
}

func (j *joining) alone() {
	t := j.t
	for _, c := range t.Components {
		v := Component{Name: Clean(c.Name, saidLimit), Version: NormalizeVersion(Clean(c.Version, saidLimit)), Verdict: j.own(c.Word, c.Error, c.Health)}
		if t.Problem != nil {
			v.Why = Sentence("Not known: the " + t.Source + " is not heard.") // the runner says the rest
		}
		if v.Name != "" && !slices.ContainsFunc(j.r.Components, func(o Component) bool { return o.Name == v.Name }) {
			j.r.Components = append(j.r.Components, v)
		}
	}
	slices.SortFunc(j.r.Components, func(a, b Component) int { return strings.Compare(a.Name, b.Name) })
	j.worst()
	j.workloads()
	j.fact(t.Source, j.word())
	j.r.Facts = append(j.r.Facts, t.Facts...)
	j.findings()
	j.r.Offer = j.r.Offer.Or(t.Offer)
	j.r.Facts = append(j.r.Facts, Fact{Name: "Seen by", Value: Sentence("the " + t.Source + " only; no watched cluster shows it")})
}

// worst decides how the runner is: as its worst part or the source's word for the whole, whichever wants attention first.
func (j *joining) worst() {
	v := j.own(j.t.Word, j.t.Error, j.t.Health)
	if j.t.Health == Unknown && j.t.Problem == nil && len(j.r.Components) > 0 {
		v = Verdict{Health: Healthy} // it speaks of the parts only
	}
	for i := range j.r.Components {
		if c := &j.r.Components[i]; c.Health.Severity() < v.Health.Severity() {
			v = c.Verdict
			v.Why = Sentence(c.Name+": ") + v.Why
		}
	}
	if v.Why == "" {
		v.Why = Sentence("The " + j.t.Source + " says that all its components are well.")
	}
	if j.r.Why == "" {
		j.r.Verdict = v
	} else {
		j.worsen(v)
	}
}

// own is the verdict that a source's word alone makes.
func (j *joining) own(word, detail string, h Health) Verdict {
	t := j.t
	says := "The " + t.Source + " says " + cmp.Or(quoted(word), "nothing of it")
	switch {
	case t.Problem != nil:
		return Verdict{Raw: rawNotHeard, Why: Sentence("The "+t.Source+" ") + t.unheard("has not been heard") + "."}
	case h == Healthy && t.Vacuous != "":
		return Verdict{Raw: "NotSeen", Why: Sentence(says + ", which proves nothing: " + Clean(t.Vacuous, saidDetail) + ". No watched cluster shows it.")}
	case h == Healthy:
		return Verdict{Health: Healthy, Why: Sentence(says + ".")}
	case h == Unknown:
		return Verdict{Why: Sentence(says + explained(detail) + ".")}
	}
	return Verdict{Health: h, Raw: RawSaidUnwell, Message: Clean(detail, MaxMessage), Why: Sentence(says + explained(detail) + ".")}
}

// Unheard is a runner that only one source knows, as it was read from disk, while that source does not answer: nobody can say how it
// is now. One that says so already is returned as it is.
func Unheard(r *Runner, s Source) *Runner {
	if r.Raw == rawNotHeard {
		return r
	}
	out := *r
	out.Verdict = unheardVerdict(s, r.Health)
	out.Components = slices.Clone(r.Components)
	for i := range out.Components {
		out.Components[i].Verdict = unheardVerdict(s, r.Components[i].Health)
	}
	return &out
}

// rawNotHeard is the raw reason of what nobody can say because its source is not heard.
const rawNotHeard = "NotHeard"

func unheardVerdict(s Source, was Health) Verdict {
	return Verdict{Raw: rawNotHeard, Why: Sentence("The " + s.Name + " has not answered since the program started. When it last did, this was " + was.String() + ".")}
}
