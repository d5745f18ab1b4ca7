package store

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func count(n int) string { return strconv.Itoa(n) }

// workloads holds what the source says of work against the pods that the cluster shows.
func (j *joining) workloads() {
	pods := make(map[string]int, len(j.r.Workloads))
	for i := range j.r.Workloads {
		pods[j.r.Workloads[i].Name] = i
	}
	added := false
	for i := range j.t.Workloads {
		said := &j.t.Workloads[i]
		at, shown := pods[said.Pod]
		if shown && (said.Namespace == "" || said.Namespace == j.r.Workloads[at].Namespace) {
			j.shown(said, &j.r.Workloads[at])
		} else if w, ok := j.absent(said); ok {
			j.r.Workloads, added = append(j.r.Workloads, w), true
			j.carries(&w)
		}
	}
	if added {
		slices.SortFunc(j.r.Workloads, func(a, b Workload) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
		})
	}
}

// shown joins what is said of work with the pod of it that the cluster shows.
func (j *joining) shown(said *SaidWorkload, w *Workload) {
	old := w.Verdict
	switch {
	case said.Failed && said.Reason != NoReason && (!w.Failing() || w.Reason != said.Reason):
		w.Health, w.Reason, w.Next, w.Unproven = Unhealthy, said.Reason, time.Time{}, false
		w.Raw, w.Message = RawSaidFailed, Clean(cmp.Or(said.Message, old.Message), MaxMessage)
		w.Why = j.failure(said)
		if old.Health == Healthy {
			j.differs("says %s of "+w.Name+", whose pod is well", said.Word)
		} else if old.Why != "" {
			w.Why += " " + old.Why
		}
		j.reword(old, w)
	case said.Failed && !old.Failing() && !j.unheard(said):
		w.Verdict = j.degraded(said.Word, said.Message)
		j.differs("says %s of "+w.Name+", whose pod is well", said.Word)
		j.carries(w)
	case said.Active && old.Failing() && !j.unheard(said):
		w.Why += Sentence(" The " + j.t.Source + " still says " + quoted(said.Word) + ".")
		j.differs("says %s of "+w.Name+", which the cluster shows failed", said.Word)
		j.reword(old, w)
	}
}

// unheard reports whether what is said of work is not known to hold still.
func (j *joining) unheard(said *SaidWorkload) bool { return said.Stale || j.t.Problem != nil }

func (j *joining) failure(said *SaidWorkload) Sentence {
	return Sentence("The " + j.t.Source + " says " + said.Reason.String() + explained(said.Message) + ".")
}

// reword takes the changed verdict of work into the runner's, where that rests on it, or where it is worse now.
func (j *joining) reword(old Verdict, w *Workload) {
	v := &j.r.Verdict
	if v.Health != Healthy && old.Why != "" && v.Reason == old.Reason && v.Raw == old.Raw && strings.Contains(string(v.Why), string(old.Why)) {
		v.Why = Sentence(strings.Replace(string(v.Why), string(old.Why), string(w.Why), 1))
		v.Reason, v.Raw, v.Message = w.Reason, w.Raw, w.Message
		return
	}
	j.carries(w)
}

// carries degrades the runner for work that is unwell: the runner itself still works.
func (j *joining) carries(w *Workload) {
	if w.Component != "" || !unwell(w.Health) {
		return
	}
	v := w.Verdict
	v.Health = Degraded
	v.Why = Sentence("Workload "+w.Name+": ") + v.Why
	j.worsen(v)
}

// absent is work that the source speaks of and no pod stands for; false for what is not worth a line.
func (j *joining) absent(said *SaidWorkload) (Workload, bool) {
	name := cmp.Or(Clean(said.Pod, MaxMessage), Clean(said.ID, MaxMessage))
	w := Workload{Namespace: said.Namespace, Name: name, UID: j.t.Cluster + "/" + cmp.Or(said.ID, said.Pod), Phase: quoted(said.Word), Created: said.Began}
	if w.Namespace == "" {
		w.Namespace = j.place()
	}
	var ok bool
	switch {
	case said.Failed:
		w.Verdict, ok = j.failedAway(said)
	case said.Active || said.Starting:
		w.Verdict, ok = j.gone(said), true
	}
	return w, ok && name != ""
}

// place is the namespace of the runner's other work, for work whose own is not told.
func (j *joining) place() string {
	for i := range j.r.Workloads {
		if w := &j.r.Workloads[i]; w.Component == "" {
			return w.Namespace
		}
	}
	return j.r.Ref.Namespace
}

// failedAway is the verdict on failed work whose pod was taken away, while it is news.
func (j *joining) failedAway(said *SaidWorkload) (Verdict, bool) {
	if said.Changed.IsZero() || j.now.Sub(said.Changed) >= FailedNews {
		return Verdict{}, false
	}
	v := Verdict{Health: Unhealthy, Reason: said.Reason, Raw: RawSaidFailed, Message: Clean(said.Message, MaxMessage), Since: said.Changed,
		Next: said.Changed.Add(FailedNews), Why: j.failure(said) + " Its pod is gone."}
	if said.Reason == NoReason {
		v.Why = Sentence("The " + j.t.Source + " says " + quoted(said.Word) + explained(said.Message) + ". Its pod is gone.")
	}
	return v, true
}

// gone is the verdict on work that the source says is there and the cluster does not show.
func (j *joining) gone(said *SaidWorkload) Verdict {
	says := "The " + j.t.Source + " says " + quoted(said.Word)
	switch {
	case j.unheard(said):
		return Verdict{Raw: RawGone, Why: Sentence("The " + j.t.Source + " last said " + quoted(said.Word) + "; it is not heard now, and no pod of that name is shown.")}
	case said.Missing.IsZero():
		return Verdict{Raw: RawGone, Why: Sentence(says + "; no watched cluster shows its pod.")}
	}
	end := said.Missing.Add(LostGrace)
	if j.now.Before(end) || !j.t.Heard.After(said.Missing) {
		v := Verdict{Raw: RawGone, Why: Sentence(says + "; the pod is gone. That is a failure unless it says otherwise soon.")}
		if j.now.Before(end) {
			v.Next, v.Why = end, Sentence(says+"; the pod is gone. Unless it says otherwise, that is a failure "+Until(end)+".")
		}
		return v
	}
	v := Verdict{Health: Unhealthy, Reason: RuntimeLost, Raw: RawGone, Since: said.Missing, Why: Sentence(says + "; the pod is gone.")}
	if said.Starting {
		v.Reason = StartFailed
	}
	j.differs("says %s of "+Clean(said.Pod, saidLimit)+", whose pod is gone", said.Word)
	return v
}
