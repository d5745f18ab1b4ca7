package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// Several systems delete a failed pod within seconds. So the proof of a failure is taken by the observation that first sees it, out of the
// caches, and goes to disk with the transition. A pod that failed and went between two observations is remembered as it last was.

// troubled reports whether a pod's status may be a failure's: then it is worth remembering until it is looked at.
func troubled(p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodFailed || p.Status.Reason != "" {
		return true
	}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			s := &list[i].State
			if s.Terminated != nil && s.Terminated.ExitCode != 0 {
				return true
			}
			if s.Waiting != nil && s.Waiting.Reason != "" && s.Waiting.Reason != "ContainerCreating" && s.Waiting.Reason != "PodInitializing" {
				return true
			}
		}
	}
	return false
}

// remember keeps a pod's last words: how it was before anybody began to delete it. c.mu is held.
func (c *Cluster) remember(p *corev1.Pod, refs []store.Ref) {
	if p.DeletionTimestamp != nil || !troubled(p) {
		return
	}
	for _, ref := range refs {
		if c.words[ref] == nil {
			c.words[ref] = map[types.UID]*corev1.Pod{}
		}
		c.words[ref][p.UID] = p
	}
}

// subjectPod is a pod with the part of the runner that it belongs to.
type subjectPod struct {
	pod  *corev1.Pod
	part part
}

// prove takes the evidence of what newly fails of a runner. R is the runner as it is now, nil when nothing of it is left.
func (o *observation) prove(sys *systems.System, ref store.Ref, r, prior *store.Runner, parts []part, work []*corev1.Pod) {
	pods := map[string]subjectPod{}
	for _, p := range append(slices.Clone(parts), part{pods: work}) {
		for _, pod := range p.pods {
			pods[string(pod.UID)] = subjectPod{pod, p}
		}
	}
	before := priorWorkloads(prior)
	gone := o.lastWords(sys, ref, pods, before, parts)
	if r == nil {
		r = &store.Runner{Ref: ref}
		if prior != nil {
			r.Incarnation = prior.Incarnation
		}
	}
	failing := map[string]bool{}
	for i := range r.Workloads {
		w := &r.Workloads[i]
		if !w.Failing() {
			continue
		}
		failing[w.Component] = true
		if newlyFailing(w, before[w.UID]) {
			o.take(r, w, pods[w.UID])
		}
	}
	for _, g := range gone {
		o.take(r, &g.w, g.subjectPod)
	}
	for i := range r.Components {
		c := &r.Components[i]
		if c.Failing() && !failing[c.Name] && componentNewlyFails(c, prior) {
			o.takeComponent(r, c, parts)
		}
	}
}

func newlyFailing(w, before *store.Workload) bool {
	// A pod that only its own report called lost has not failed by what the cluster shows, and its evidence was not taken.
	return before == nil || !before.Failing() || before.Reason != w.Reason || before.Raw == store.RawSilent
}

func componentNewlyFails(c *store.Component, prior *store.Runner) bool {
	if prior == nil {
		return true
	}
	old, known := prior.Component(c.Name)
	return !known || !old.Failing() || old.Reason != c.Reason
}

// goneWorkload is a workload that failed and went before it was looked at.
type goneWorkload struct {
	subjectPod
	w store.Workload
}

// lastWords examines the pods that were in trouble since the last observation and are being deleted, or have gone.
func (o *observation) lastWords(sys *systems.System, ref store.Ref, present map[string]subjectPod, before map[string]*store.Workload, parts []part) (out []goneWorkload) {
	for uid, pod := range o.words[ref] {
		if p, there := present[string(uid)]; there && p.pod.DeletionTimestamp == nil {
			continue
		}
		p := o.partOf(pod, parts)
		w := o.workload(sys, pod, p, before[string(uid)])
		if w.Failing() && newlyFailing(&w, before[string(uid)]) {
			out = append(out, goneWorkload{subjectPod{pod, p}, w})
		}
	}
	slices.SortFunc(out, func(a, b goneWorkload) int { return cmp.Compare(a.w.UID, b.w.UID) })
	return out
}

// partOf finds the part that a pod was of: by its owners, or by the component that it names itself.
func (o *observation) partOf(pod *corev1.Pod, parts []part) part {
	for owner := range o.set.above(ownerOf(pod)) {
		for _, p := range parts {
			if p.uid == uidOf(owner) {
				return p
			}
		}
	}
	_, claim, _ := claimOf(pod)
	for _, p := range parts {
		if claim.Component != "" && p.name == claim.Component {
			return p
		}
	}
	return part{name: claim.Component}
}

// take keeps the proof of a workload's failure. The pod is nil when it vanished and all that is left is what the board knew.
func (o *observation) take(r *store.Runner, w *store.Workload, s subjectPod) {
	e := r.EvidenceOf(w)
	if s.pod == nil {
		s.pod = o.cluster.lostPod(w.UID)
	}
	e.At = o.now
	if e.Verdict.Since.IsZero() {
		e.Verdict.Since = o.now
	}
	if s.pod != nil {
		e.Proof = o.proof(s.pod, s.part, w)
		if cause := o.cause(s.pod, w); cause != "" {
			e.Fingerprint = store.Fingerprint(cause)
		}
	} else {
		e.Proof = store.Proof{Phase: w.Phase, Created: w.Created, Node: o.proofNode(w.Node)}
	}
	e.Verdict.Message = store.Mask(e.Verdict.Message)
	e.Identify()
	if s.pod != nil {
		e.Logs = o.cluster.logs.want(e.ID, r.Ref, s.pod, w)
	}
	o.taken = append(o.taken, e)
}

// takeComponent keeps the proof of a component that fails although no pod of it does: it has none, or does not answer our probe.
func (o *observation) takeComponent(r *store.Runner, c *store.Component, parts []part) {
	e := r.EvidenceOfComponent(c)
	e.At = o.now
	if e.Verdict.Since.IsZero() {
		e.Verdict.Since = o.now
	}
	if i := slices.IndexFunc(parts, func(p part) bool { return p.name == c.Name }); i >= 0 {
		p := parts[i]
		e.Namespace = p.object.Namespace
		e.Proof = store.Proof{Created: p.created, Owners: []string{strings.ToLower(p.kind) + "/" + p.object.Name}, Events: proofEvents(p.notices, "")}
		specProof(&e.Proof, p.object.Spec)
	}
	if c.Probe.Problem != "" {
		e.Proof.Probe = c.Probe.Problem
	}
	e.Verdict.Message = store.Mask(e.Verdict.Message)
	e.Identify()
	o.taken = append(o.taken, e)
}

// lostPod is a pod that vanished while it ran; nil when it is not known.
func (c *Cluster) lostPod(uid string) *corev1.Pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost[uid].pod
}

// cause is the decisive part of what was said, without the names of the failing one itself; blank when nothing was.
func (o *observation) cause(pod *corev1.Pod, w *store.Workload) string {
	m := unwrap(w.Message)
	if strings.TrimSpace(m) == "" && w.Reason == store.ImagePullFailed {
		if e := newest(o.set.notices(pod.UID), func(n *notice) bool { return n.reason == "Failed" }); e != nil {
			m = unwrap(e.message)
		}
	}
	if strings.TrimSpace(m) == "" && w.Reason == store.StartFailed {
		if e := newest(o.set.notices(pod.UID), func(n *notice) bool { return n.reason == w.Raw }); e != nil {
			m = unwrap(e.message)
		}
	}
	if w.Raw == "CrashLoopBackOff" { // the kubelet says only how long it waits; why is what the program said last
		m = firstOf(lastWords(pod, w.Container), m)
	}
	return strings.ReplaceAll(m, pod.Name, "<pod>")
}

// lastWords is what a container's program said when it last ended; blank when it said nothing.
func lastWords(pod *corev1.Pod, container string) string {
	for i := range pod.Status.ContainerStatuses {
		if s := &pod.Status.ContainerStatuses[i]; s.Name == container {
			if t := lastExit(s); t != nil {
				return t.Message
			}
		}
	}
	return ""
}

// proof writes down what the caches know of a pod.
func (o *observation) proof(pod *corev1.Pod, p part, w *store.Workload) store.Proof {
	st := &pod.Status
	out := store.Proof{Phase: string(st.Phase), Reason: st.Reason, Message: store.Mask(st.Message), Created: pod.CreationTimestamp.UTC(), Node: o.proofNode(pod.Spec.NodeName)}
	if st.StartTime != nil {
		out.Started = st.StartTime.UTC()
	}
	uids := []types.UID{}
	if c := metav1.GetControllerOfNoCopy(pod); c != nil {
		out.Owners = append(out.Owners, strings.ToLower(c.Kind)+"/"+c.Name)
		uids = append(uids, c.UID)
	}
	if p.kind != "" && p.uid != pod.UID {
		if name := strings.ToLower(p.kind) + "/" + p.object.Name; !slices.Contains(out.Owners, name) {
			out.Owners, uids = append(out.Owners, name), append(uids, p.uid)
		}
	}
	specProof(&out, &pod.Spec)
	statusProof(&out, pod, w)
	out.Events = append(proofEvents(o.set.notices(pod.UID), "pod"), proofEvents(o.set.notices(uids...), "owner")...)
	slices.SortStableFunc(out.Events, func(a, b store.ProofEvent) int { return b.At.Compare(a.At) })
	out.Events = out.Events[:min(len(out.Events), store.MaxProofEvents)]
	return out
}

// specProof writes down what was asked for.
func specProof(out *store.Proof, spec *corev1.PodSpec) {
	if spec == nil {
		return
	}
	out.RestartPolicy = string(spec.RestartPolicy)
	if spec.RuntimeClassName != nil {
		out.RuntimeClass = *spec.RuntimeClassName
	}
	for _, s := range spec.ImagePullSecrets {
		out.PullSecrets = append(out.PullSecrets, s.Name)
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			c := &list[i]
			out.Containers = append(out.Containers, store.ProofContainer{Name: c.Name, Image: c.Image, Readiness: c.ReadinessProbe != nil,
				Requests: resourceList(c.Resources.Requests), Limits: resourceList(c.Resources.Limits)})
		}
	}
}

func resourceList(l corev1.ResourceList) (out []string) {
	for name, q := range l {
		out = append(out, fmt.Sprintf("%s %s", name, q.String()))
	}
	slices.Sort(out)
	return out
}

// statusProof writes down how the pod and its containers were.
func statusProof(out *store.Proof, pod *corev1.Pod, w *store.Workload) {
	for _, c := range pod.Status.Conditions {
		out.Conditions = append(out.Conditions, store.ProofCondition{Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: store.Mask(c.Message), Since: c.LastTransitionTime.UTC()})
	}
	for i := range out.Containers {
		c := &out.Containers[i]
		if j := slices.IndexFunc(w.Containers, func(k store.Container) bool { return k.Name == c.Name }); j >= 0 {
			c.Role = w.Containers[j].Role
		}
		for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
			for k := range list {
				if s := &list[k]; s.Name == c.Name {
					c.Restarts, c.Ready, c.State = s.RestartCount, s.Ready, proofState(&s.State)
					if last := proofState(&s.LastTerminationState); last.State != "" {
						c.Last = &last
					}
				}
			}
		}
	}
}

func proofState(s *corev1.ContainerState) store.ProofState {
	switch {
	case s.Waiting != nil:
		return store.ProofState{State: "waiting", Reason: s.Waiting.Reason, Message: store.Mask(s.Waiting.Message)}
	case s.Running != nil:
		return store.ProofState{State: "running", Started: s.Running.StartedAt.UTC()}
	case s.Terminated != nil:
		t := s.Terminated
		return store.ProofState{State: "terminated", Reason: t.Reason, Message: store.Mask(t.Message), ExitCode: t.ExitCode, Signal: t.Signal, Started: t.StartedAt.UTC(), Finished: t.FinishedAt.UTC()}
	}
	return store.ProofState{}
}

// proofEvents are the latest of some Warning events.
func proofEvents(notices []*notice, about string) []store.ProofEvent {
	out := make([]store.ProofEvent, 0, len(notices))
	for _, n := range notices {
		out = append(out, store.ProofEvent{At: n.last.UTC(), Reason: n.reason, Message: store.Mask(n.message), Count: n.count, About: about})
	}
	slices.SortFunc(out, func(a, b store.ProofEvent) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return out[:min(len(out), store.MaxProofEvents)]
}

func (o *observation) proofNode(name string) *store.ProofNode {
	if name == "" {
		return nil
	}
	out := &store.ProofNode{Name: name}
	if f := o.set.node(name); f != nil {
		out.Ready, out.Reason, out.Since = string(f.ready), f.reason, f.since.UTC()
	}
	return out
}
