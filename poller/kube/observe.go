package kube

import (
	"cmp"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// lostLinger is how long work that vanished stays on the board.
const lostLinger = time.Hour

// observation is one look at touched runners.
type observation struct {
	set     *set
	cluster *Cluster
	now     time.Time
	words   map[store.Ref]map[types.UID]*corev1.Pod // of pods that were in trouble since the last look
	taken   []store.Evidence
}

// part is a component before its verdict.
type part struct {
	object  systems.Object
	uid     types.UID
	kind    string
	name    string // of the component
	claimed string // the component as its system names it, before it was told from others of that name
	desired int32
	// suspended says that a CronJob is; failure is the controller's own word for why it makes no pods.
	suspended bool
	failure   string
	created   time.Time
	pods      []*corev1.Pod
	notices   []*notice
	carries   string
	marks     string // what the rules found in its object
	podLabels map[string]string
	replica   bool // each replica of the object is a runner of its own
	// before is the component as it was last published; nil when it was not.
	before *store.Component
}

// runner builds a runner from the caches; nil when nothing of it is there any more.
func (o *observation) runner(ref store.Ref, prior *store.Runner) *store.Runner {
	sys := systemNamed(ref.System)
	if sys == nil {
		return nil
	}
	parts := o.parts(sys, ref)
	work := o.work(sys, ref, parts)
	customs := o.customs(sys, ref, parts)
	if len(parts) == 0 && len(work) == 0 && !constitutes(sys, customs) {
		o.prove(sys, ref, nil, prior, nil, nil)
		return nil
	}
	r := &store.Runner{Ref: ref, Incarnation: incarnation(parts)}
	before := priorWorkloads(prior)
	for _, p := range parts {
		p.before = priorComponent(prior, p.name)
		pods := o.workloads(sys, p, before)
		r.Workloads = append(r.Workloads, pods...)
		r.Components = append(r.Components, o.component(sys, ref, p, pods))
	}
	r.Workloads = append(r.Workloads, o.workloads(sys, part{pods: work}, before)...)
	r.Workloads = append(r.Workloads, o.lostWork(ref, r.Workloads, before)...)
	r.Version = o.runnerVersion(sys, parts, r.Components)
	o.service(sys, r, parts, customs, work)
	o.assess(sys, r, prior, parts, work, customs)
	slices.SortFunc(r.Workloads, func(a, b store.Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	o.judge(r, prior, parts, work)
	r.Verdict = runnerVerdict(r, o.now)
	o.prove(sys, ref, r, prior, parts, work)
	return r
}

// constitutes reports whether custom objects make a runner by themselves: one that claims a component does.
func constitutes(sys *systems.System, customs []*custom) bool {
	return slices.ContainsFunc(customs, func(c *custom) bool {
		return slices.ContainsFunc(c.claims(), func(x customClaim) bool { return x.system == sys && x.Component != "" })
	})
}

func systemNamed(name string) *systems.System {
	for _, s := range systems.All() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// incarnation is the UID of the oldest object: it changes when the runner is made anew, not when a part is.
func incarnation(parts []part) string {
	if len(parts) == 0 {
		return ""
	}
	oldest := slices.MinFunc(parts, func(a, b part) int { return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.uid, b.uid)) })
	return string(oldest.uid)
}

// parts finds the components of a runner, by name.
func (o *observation) parts(sys *systems.System, ref store.Ref) []part {
	key := runnerKey(sys.Name, ref.Namespace, ref.Name)
	var parts []part
	for _, kind := range owners {
		for _, obj := range o.set.lookup(kind, byRunner, key) {
			parts = append(parts, o.part(obj, ref))
		}
	}
	var bare []part
	for _, obj := range o.set.lookup("pods", byRunner, key) {
		pod := obj.(*corev1.Pod)
		_, claim, _ := claimOf(pod)
		if claim.Component != "" && o.set.free(pod) {
			bare = append(bare, o.podPart(pod, claim))
		}
	}
	parts = append(parts, grouped(bare)...)
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.object.Name, b.object.Name))
	})
	return distinct(parts)
}

// grouped makes one part of all bare pods that name one component: its size is what there is of it.
func grouped(bare []part) (parts []part) {
	slices.SortFunc(bare, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.object.Name, b.object.Name))
	})
	for _, p := range bare {
		if n := len(parts); n > 0 && parts[n-1].name == p.name {
			parts[n-1].pods = append(parts[n-1].pods, p.pods...)
			parts[n-1].desired++
			continue
		}
		parts = append(parts, p)
	}
	return parts
}

// distinct gives parts of one component name names of their own: two objects may carry one label.
func distinct(parts []part) []part {
	count := map[string]int{}
	for _, p := range parts {
		count[p.name]++
	}
	for i := range parts {
		if count[parts[i].name] > 1 {
			parts[i].name += " (" + parts[i].object.Name + ")"
		}
	}
	return parts
}

// part is an object of a runner as a component; where each replica is a runner, only what that replica has of it.
func (o *observation) part(obj any, ref store.Ref) part {
	_, claim, _ := claimOf(obj)
	p := part{name: claim.Component, claimed: claim.Component, carries: claim.Carries, marks: marksOf(obj)}
	var m *metav1.ObjectMeta
	var template *corev1.PodTemplateSpec
	switch x := obj.(type) {
	case *appsv1.Deployment:
		p.kind, m, template, p.desired = "Deployment", &x.ObjectMeta, &x.Spec.Template, replicas(x.Spec.Replicas)
		p.failure = deploymentFailure(x)
		for _, rs := range o.set.lookup("replicasets", byOwner, string(x.UID)) {
			p.pods = append(p.pods, o.set.podsOwned(uidOf(rs))...)
			p.notices = append(p.notices, o.set.notices(uidOf(rs))...)
		}
	case *appsv1.StatefulSet:
		p.kind, m, template, p.desired = "StatefulSet", &x.ObjectMeta, &x.Spec.Template, replicas(x.Spec.Replicas)
		p.pods = o.set.podsOwned(x.UID)
		if p.replica = claim.Replicas; p.replica {
			p.pods = slices.DeleteFunc(p.pods, func(pod *corev1.Pod) bool { return pod.Name != ref.Name })
			p.desired = min(1, p.desired)
		}
	case *batchv1.CronJob:
		p.kind, m, template = "CronJob", &x.ObjectMeta, &x.Spec.JobTemplate.Spec.Template
		p.suspended = x.Spec.Suspend != nil && *x.Spec.Suspend
		for _, job := range o.set.lookup("jobs", byOwner, string(x.UID)) {
			p.pods = append(p.pods, o.set.podsOwned(uidOf(job))...)
		}
	}
	p.podLabels = template.Labels
	p.object, p.uid, p.created = objectOf(p.kind, m, &template.Spec), m.UID, m.CreationTimestamp.Time
	p.object.Annotations = merged(template.Annotations, m.Annotations)
	p.notices = append(p.notices, o.set.notices(m.UID)...)
	return p
}

func (o *observation) podPart(pod *corev1.Pod, claim systems.Claim) part {
	return part{object: objectOf("Pod", &pod.ObjectMeta, &pod.Spec), uid: pod.UID, kind: "Pod", name: claim.Component, claimed: claim.Component,
		desired: 1, created: pod.CreationTimestamp.Time, pods: []*corev1.Pod{pod}, carries: claim.Carries, marks: marksOf(pod)}
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1 // the API's default
	}
	return *n
}

// merged joins two sets of annotations; those of the object itself win.
func merged(template, object map[string]string) map[string]string {
	if len(template) == 0 {
		return object
	}
	out := make(map[string]string, len(template)+len(object))
	maps.Copy(out, template)
	maps.Copy(out, object)
	return out
}

// work finds the pods a runner carries: those that name it, and those in the namespace it carries work in.
func (o *observation) work(sys *systems.System, ref store.Ref, parts []part) (pods []*corev1.Pod) {
	for _, obj := range o.set.lookup("pods", byRunner, runnerKey(sys.Name, ref.Namespace, ref.Name)) {
		pod := obj.(*corev1.Pod)
		if _, claim, _ := claimOf(pod); claim.Component == "" && o.set.free(pod) {
			pods = append(pods, pod)
		}
	}
	for _, p := range parts {
		if p.carries == "" {
			continue
		}
		for _, obj := range o.set.lookup("pods", byCarry, carryKey(sys.Name, p.carries)) {
			pod := obj.(*corev1.Pod)
			if _, claim, _ := claimOf(pod); claim.Component != "" {
				continue // the runner's own pod carries its environment too
			}
			if refs := o.set.podRefs(ref.Cluster, pod); len(refs) > 0 && refs[0] == ref {
				pods = append(pods, pod)
			}
		}
	}
	return pods
}

func priorComponent(prior *store.Runner, name string) *store.Component {
	if prior == nil {
		return nil
	}
	c, known := prior.Component(name)
	if !known {
		return nil
	}
	return &c
}

func priorWorkloads(prior *store.Runner) map[string]*store.Workload {
	if prior == nil {
		return nil
	}
	before := make(map[string]*store.Workload, len(prior.Workloads))
	for i := range prior.Workloads {
		before[prior.Workloads[i].UID] = &prior.Workloads[i]
	}
	return before
}

func (o *observation) workloads(sys *systems.System, p part, before map[string]*store.Workload) []store.Workload {
	out := make([]store.Workload, 0, len(p.pods))
	for _, pod := range p.pods {
		out = append(out, o.workload(sys, pod, p, before[string(pod.UID)]))
	}
	o.loops(p, p.pods, out)
	return out
}

// workload examines one pod of a component, or of none. What the component's object is annotated with holds for its pods too.
func (o *observation) workload(sys *systems.System, pod *corev1.Pod, p part, before *store.Workload) store.Workload {
	component := p.name
	object := objectOf("Pod", &pod.ObjectMeta, &pod.Spec)
	object.Annotations = merged(p.object.Annotations, pod.Annotations)
	main := sys.MainContainer(object, component)
	f := Facts{Pod: pod, Main: main, Component: component != "" && !finite(pod), Ran: before.Ran(main),
		Node: o.set.node(pod.Spec.NodeName), Events: o.set.notices(pod.UID), Thresholds: systems.ThresholdsOf(object.Annotations)}
	v := Classify(f, o.now)
	if at := ended(pod); v.Since.IsZero() && !at.IsZero() {
		v.Since = at
	}
	v.Message, v.Inspect = rawMessage(pod, v), o.cluster.inspect(pod, v)
	return store.Workload{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Component: component, Verdict: v.Verdict,
		Phase: string(pod.Status.Phase), Node: pod.Spec.NodeName, Created: pod.CreationTimestamp.Time, Containers: withPast(containersOf(pod, main), before)}
}

// ended is when a pod that has come to its end did so; zero for one that has not, or does not say.
func ended(pod *corev1.Pod) (at time.Time) {
	if !past(pod.Status.Phase) {
		return at
	}
	for i := range pod.Status.ContainerStatuses {
		if t := pod.Status.ContainerStatuses[i].State.Terminated; t != nil && t.FinishedAt.After(at) {
			at = t.FinishedAt.Time
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.LastTransitionTime.After(at) {
			at = c.LastTransitionTime.Time
		}
	}
	return at
}

// finite reports whether a pod may end well although a component owns it: a Job's may.
func finite(pod *corev1.Pod) bool {
	c := metav1.GetControllerOfNoCopy(pod)
	return c != nil && c.Kind == "Job"
}

// withPast adds to the containers of a pod which of them were seen to run before.
func withPast(containers []store.Container, before *store.Workload) []store.Container {
	for i := range containers {
		c := &containers[i]
		c.Ran = c.Ran || before.Ran(c.Name)
	}
	return containers
}

// lostWork keeps work that vanished while it ran on the board for a while: nobody deleted it, and it did not finish.
func (o *observation) lostWork(ref store.Ref, present []store.Workload, before map[string]*store.Workload) (out []store.Workload) {
	o.cluster.mu.Lock()
	defer o.cluster.mu.Unlock()
	for uid, l := range o.cluster.lost {
		if o.now.Sub(l.at) >= lostLinger {
			delete(o.cluster.lost, uid)
			continue
		}
		w, known := before[uid]
		if !known || w.Component != "" || slices.ContainsFunc(present, func(p store.Workload) bool { return p.UID == uid }) {
			continue
		}
		gone := *w
		gone.Verdict = store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: store.RawGone, Next: l.at.Add(lostLinger),
			Why:     store.Sentence(w.Name + " was running and has been gone for " + store.For(l.at) + "; nobody deleted it and it did not finish."),
			Inspect: o.cluster.kubectl("get events -n " + w.Namespace + " --field-selector involvedObject.name=" + w.Name)}
		out = append(out, gone)
	}
	return out
}
