package systems

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"trackside/store"
	"trackside/systems/finding"
)

// Keys of agynio/k8s-runner charts/k8s-runner, agynio/base-chart and k8s-runner internal/server/workload.go.
const (
	nameLabel      = "app.kubernetes.io/name"
	managedByLabel = "app.kubernetes.io/managed-by"
	agynRunner     = "k8s-runner"
	agynWorkload   = "agyn.io/workload-id"
	appLabel       = "app"
	agynNamespace  = "KUBE_NAMESPACE"

	agynImplementations = "CAPABILITY_IMPLEMENTATIONS"
	agynVolumeSize      = "PVC_STORAGE_SIZE"
	agynZiti            = "ZITI_ENABLED"
	agynPatience        = "ZITI_ENROLLMENT_TIMEOUT"
)

// Agyn is agyn's k8s-runner: one Deployment, and the workload pods that it makes in the namespace KUBE_NAMESPACE.
// No label says which runner made a pod: the namespace joins them.
var Agyn = register(System{
	Name:  "agyn",
	Title: "agyn",
	LooksFor: "Deployments labelled " + nameLabel + "=" + agynRunner + " or app=" + agynRunner +
		", and Pods labelled " + managedByLabel + "=" + agynRunner,
	Claim:   claimAgyn,
	Version: func(o Object) string { return o.Labels[versionLabel] },
	Labels:  []string{nameLabel, managedByLabel, agynWorkload, appLabel, instanceLabel, versionLabel},
	KeepEnv: []string{agynNamespace, agynImplementations, agynVolumeSize, agynZiti, agynPatience},
	Watches: []Watch{
		{Group: "platform.agyn.io", Version: "v1alpha1", Resource: "runners", Kind: "Runner",
			Keep: []string{"spec.labels", "spec.capabilities", "spec.tokenSecretName", "status.runnerId", "status.conditions"}},
		{Version: "v1", Resource: "persistentvolumeclaims", Kind: "PersistentVolumeClaim", Keep: []string{"status.phase"}},
	},
	Assess:   assessAgyn,
	Switch:   &Switch{Levers: []Lever{scaleDeployments}, Outlives: true, Deletes: []string{"Runner"}, Traps: trapsAgyn},
	Manifest: agynManifest,
})

func claimAgyn(o Object) (Claim, bool) {
	switch o.Kind {
	case "Runner": // no field of it names its Deployment, so their names join them
		return Claim{Namespace: o.Namespace, Runner: o.Name, Component: agynEnrolment}, true
	case "PersistentVolumeClaim":
		return Claim{Namespace: o.Namespace}, o.Labels[managedByLabel] == agynRunner
	}
	if o.Labels[managedByLabel] == agynRunner && o.Labels[agynWorkload] != "" {
		return Claim{Namespace: o.Namespace}, o.Kind == "Pod"
	}
	if o.Labels[nameLabel] != agynRunner && o.Labels[appLabel] != agynRunner {
		return Claim{}, false
	}
	c := Claim{Namespace: o.Namespace, Runner: o.Name, Component: agynRunner, Carries: envValue(o.Spec, agynNamespace)}
	if o.Kind == "Pod" {
		c.Runner = o.Labels[instanceLabel]
	}
	return c, o.Kind == "Deployment" || o.Kind == "Pod"
}

// trapsAgyn tells that deleting the objects does not unregister the runner: no object's deletion does.
func trapsAgyn(verb store.Verb, _ []Object) []store.Trap {
	if verb != store.VerbDelete {
		return nil
	}
	return []store.Trap{{Code: "stays-registered", Why: "agyn still lists the runner afterwards: only its own DeleteRunner takes it out of there."}}
}

// agynEnrolment is the component that a Runner object, where its CRD is installed, adds to the runner of its name.
const agynEnrolment = "enrolment"

// agynLost is the reason of a Runner object whose Secret, spec.tokenSecretName, holds the token no more
// (platform-controller internal/controller/runner_controller.go).
const agynLost = "CredentialMissing"

// assessAgyn adds what a Runner object says of the enrolment, what the runner offers, and how much it carries.
func assessAgyn(v *View) {
	for _, o := range v.Of("Runner") {
		agynDeclare(v, o)
	}
	for _, o := range v.Of("Deployment") {
		v.Fact("Workload namespace", clean(envValue(o.Spec, agynNamespace)))
		implementations := envValue(o.Spec, agynImplementations)
		v.Fact("Capabilities", agynCapabilities(implementations))
		if names := agynImplemented(implementations); names != nil && v.Runner.Offer.Capabilities == nil {
			v.Runner.Offer.Capabilities = names
		}
		v.Fact("Volume size", clean(envValue(o.Spec, agynVolumeSize)))
	}
	agynEnrols(v)
	agynVolumes(v)
	agynLoad(v)
}

// agynEnrols tells a runner that may still be enrolling from one that has: its probe asks for a TCP connection, which the port accepts
// from the start. One that cannot enrol gives up and exits after ZITI_ENROLLMENT_TIMEOUT, so that running on proves it, and so does work
// made since.
func agynEnrols(v *View) {
	c, ok := v.Runner.Component(agynRunner)
	if !ok || c.Health != store.Healthy || c.Probe.URL != "" && c.Probe.Problem == "" {
		return
	}
	started, patience := agynStarted(v)
	end := started.Add(patience)
	worked := slices.ContainsFunc(v.works(), func(w *store.Workload) bool { return w.Created.After(started) })
	if worked || !v.Now.Before(end) {
		return
	}
	v.Judge(agynRunner, store.Verdict{Health: store.Unknown, Raw: "Enrolling", Container: agynRunner, Since: started, Next: end,
		Why: store.Sentence(agynRunner + " started " + store.Ago(started) + " and may still be enrolling, which its probe does not tell; it counts as healthy " + store.Until(end) + ".")})
}

// agynStarted is when the latest of the runner's pods started, and how long it tries to enrol; not at all without OpenZiti.
func agynStarted(v *View) (at time.Time, patience time.Duration) {
	for _, w := range v.Runner.Workloads {
		pod := v.Pods[w.UID]
		if w.Component != agynRunner || pod == nil || envValue(&pod.Spec, agynZiti) == "false" {
			continue
		}
		if s := statusOf(pod, agynRunner); s != nil && s.State.Running != nil && s.State.Running.StartedAt.After(at) {
			at, patience = s.State.Running.StartedAt.Time, 2*time.Minute // the program's own default
			if d, err := time.ParseDuration(envValue(&pod.Spec, agynPatience)); err == nil && d >= 0 && d <= time.Hour {
				patience = d
			}
		}
	}
	return at, patience
}

func agynDeclare(v *View, o Object) {
	c := store.Component{Name: agynEnrolment, Kind: "Runner", Object: o.Name, Verdict: agynReady(o, v.Now)}
	if c.Health != store.Healthy {
		c.Inspect = v.Kubectl("describe runners.platform.agyn.io " + o.Name + " -n " + o.Namespace)
	}
	v.Runner.Components = append(v.Runner.Components, c)
	if c.Raw == agynLost && c.Health == store.Unhealthy {
		agynToken(v, o)
	}
	v.Fact("Runner ID", clean(textAt(o.Custom, "status", "runnerId")))
	var capabilities, labels []string
	list, _ := dig(o.Custom, "spec", "capabilities").([]any)
	for _, c := range list {
		if s, ok := c.(string); ok {
			capabilities = append(capabilities, s)
		}
	}
	v.Fact("Declared capabilities", clean(strings.Join(capabilities, ", ")))
	if list != nil {
		slices.Sort(capabilities)
		v.Runner.Offer.Capabilities = append([]string{}, slices.Compact(capabilities)...)
	}
	pairs, _ := dig(o.Custom, "spec", "labels").(map[string]any)
	offered := []store.Label{}
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		labels = append(labels, k+"="+textAt(pairs, k))
		offered = append(offered, store.Label{Key: k, Value: textAt(pairs, k)})
	}
	v.Fact("Labels", clean(strings.Join(labels, ", ")))
	if pairs != nil {
		v.Runner.Offer.Labels = offered
	}
}

// agynToken finds the Secret that a Runner object names and that holds its token no more.
func agynToken(v *View, o Object) {
	name := store.Clean(textAt(o.Custom, "spec", "tokenSecretName"), 253)
	if name == "" {
		return
	}
	v.Runner.Findings = append(v.Runner.Findings, finding.Told(name, "spec.tokenSecretName",
		store.Sentence("The secret "+name+" holds no token of the runner, as its Runner object says: it cannot enrol at its next start.")))
}

// agynReady is the verdict that the Ready condition of a Runner object makes.
func agynReady(o Object, now time.Time) store.Verdict {
	c, ok := conditionsOf(o)["Ready"]
	end := o.Created.Add(DefaultThresholds.StartGrace)
	switch {
	case !ok && now.Before(end):
		return store.Verdict{Health: store.Unknown, Raw: "NoCondition", Why: store.Sentence("The Runner object does not say yet whether it is enrolled; grace ends " + store.Until(end) + "."), Next: end}
	case !ok:
		return store.Verdict{Health: store.Unknown, Raw: "NoCondition", Why: "The Runner object does not say whether it is enrolled: it has no condition Ready. Look at the platform-controller."}
	}
	said := ""
	if m := store.Clean(c.message, 160); m != "" {
		said = ": " + strings.TrimRight(m, ".")
	}
	v := store.Verdict{Raw: c.reason, Message: c.message, Since: c.since}
	switch {
	case c.status == "True":
		v.Health, v.Why = store.Healthy, "The runner is registered."
	case c.reason == agynLost:
		v.Health, v.Reason = store.Unhealthy, store.ConfigInvalid
		v.Why = store.Sentence("The runner's token is lost (CredentialMissing" + said + "). Delete its Runner object and declare it again: that is the only way to a new one.")
	case c.reason == "Failed":
		v.Health, v.Reason = store.Unhealthy, store.ConfigInvalid
		v.Why = store.Sentence("The runner could not be registered (Failed" + said + ").")
	default:
		v.Health, v.Why = store.Degraded, store.Sentence("The runner is not registered yet ("+store.Clean(cmp.Or(c.reason, c.status, "no reason"), 60)+said+").")
	}
	return v
}

// agynImplemented names the capabilities that have an implementation; nil when the variable is not set or cannot be read.
func agynImplemented(text string) []string {
	var implementations map[string]string
	if json.Unmarshal([]byte(text), &implementations) != nil {
		return nil
	}
	return store.ParseCapabilities(strings.Join(slices.Collect(maps.Keys(implementations)), ","))
}

// agynCapabilities words CAPABILITY_IMPLEMENTATIONS, a JSON object such as {"docker":"rootless"}.
func agynCapabilities(text string) store.Sentence {
	var implementations map[string]string
	if text == "" {
		return ""
	}
	if err := json.Unmarshal([]byte(text), &implementations); err != nil {
		return store.Sentence(agynImplementations + " is not a JSON object of strings: " + store.Clean(store.ErrorText(err), 120))
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(implementations)) {
		out = append(out, k+" ("+implementations[k]+")")
	}
	return clean(strings.Join(out, ", "))
}

// agynVolumes counts the claims that the runner made for its workloads.
func agynVolumes(v *View) {
	claims := v.Of("PersistentVolumeClaim")
	unbound := 0
	for _, o := range claims {
		if textAt(o.Custom, "status", "phase") != string(corev1.ClaimBound) {
			unbound++
		}
	}
	switch {
	case len(claims) > 0 && unbound > 0:
		v.Fact("Volume claims", store.Sentence(fmt.Sprintf("%d, of which %d are not bound", len(claims), unbound)))
	case len(claims) > 0:
		v.Fact("Volume claims", store.Sentence(fmt.Sprintf("%d, all bound", len(claims))))
	}
}

// agynLoad compares what the runner's workloads ask for with what the nodes that are ready and not cordoned can give, whatever
// else runs on them.
func agynLoad(v *View) {
	var asked, given Requests
	for _, w := range v.works() {
		if !w.Ended() {
			asked = asked.Plus(CachedRequests(v.Pods[w.UID]))
		}
	}
	for _, n := range v.Nodes() {
		if n.Ready {
			given = given.Plus(RequestsOf(n.Allocatable))
		}
	}
	v.Fact("Workloads now", store.Sentence(fmt.Sprint(v.Runner.Carried())))
	if given == (Requests{}) {
		return
	}
	v.Fact("Requests", store.Sentence(fmt.Sprintf("CPU %s of %s, memory %s of %s GiB on ready nodes, before other pods' requests",
		cores(asked.MilliCPU), cores(given.MilliCPU), gib(asked.Memory), gib(given.Memory))))
	if given.GPU > 0 || asked.GPU > 0 {
		v.Fact("GPUs", store.Sentence(fmt.Sprintf("%d of %d", asked.GPU, given.GPU)))
	}
}

func cores(milli int64) string { return resource.NewMilliQuantity(milli, resource.DecimalSI).String() }

func gib(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<30)) }
