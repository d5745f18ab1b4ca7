package systems

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trackside/store"
	"trackside/systems/finding"
)

// Names read in ambient-code/platform: components/operator/internal/handlers/{sessions,reconciler,helpers}.go (the operator's pods and
// conditions), components/ambient-control-plane/internal/reconciler/kube_reconciler.go (the other maker of pods),
// components/manifests/base (the platform's Deployments) and its crds/{agenticsessions,projectsettings}-crd.yaml.
const (
	ambientPod       = "ambient-code-runner" // the label app of the operator's pods, and the main container of both makers'
	ambientManagedBy = "ambient-code.io/managed-by"
	ambientPlane     = "ambient-control-plane"
	ambientSession   = "agentic-session" // the label that names the session of the operator's pods
	ambientSessionID = "ambient-code.io/session-id"
	ambientDesired   = "ambient-code.io/desired-phase"
	ambientStop      = "ambient-code.io/stop-reason"
	ambientOperator  = "agentic-operator"
	ambientSessions  = "sessions"
	agenticSession   = "AgenticSession"
	projectSettings  = "ProjectSettings"
	secretsReady     = "SecretsReady"
	podMissing       = "PodMissing" // the operator's word
	ambientService   = "session-"   // and the name of its session, for the Service
)

// Ambient is the Ambient Code Platform. A runner is a namespace in which its sessions run: that is what a team is given, what has
// quotas, secrets and settings of its own, and what a fault of those takes down. A session is work of it, for it comes and goes by the
// hour. The platform's own namespace is a runner by the same rule, whose components are the operator and the services beside it.
var Ambient = register(System{
	Name:  "ambient",
	Title: "Ambient Code",
	LooksFor: "Pods labelled app=" + ambientPod + " or " + ambientManagedBy + "=" + ambientPlane + ", AgenticSessions and ProjectSettings, and Deployments labelled app=" +
		ambientOperator + " and the like",
	Claim:       claimAmbient,
	Main:        mainAmbient,
	Probe:       probeAmbient,
	Labels:      []string{appLabel, ambientManagedBy, ambientSession, ambientSessionID},
	Annotations: []string{ambientDesired, ambientStop},
	// Of a session's spec nothing is kept: its environmentVariables and its prompt are nobody's business.
	Watches: []Watch{
		{Group: "vteam.ambient-code", Version: "v1alpha1", Resource: "agenticsessions", Kind: agenticSession,
			Keep: []string{"status.phase", "status.conditions", "status.stoppedReason", "status.startTime", "status.completionTime", "status.sdkRestartCount"}},
		{Group: "vteam.ambient-code", Version: "v1alpha1", Resource: "projectsettings", Kind: projectSettings, Keep: []string{"spec.inactivityTimeoutSeconds"}},
	},
	Assess:   assessAmbient,
	Switch:   &ambientSwitch,
	Manifest: ambientManifest,
})

// ambientServices are the platform's Deployments by their label app. Those of a common name must also run one of its images; its
// database, MinIO and Unleash run others' and are left to whoever labels them.
var ambientServices = map[string]bool{ambientOperator: true, ambientPlane: true, "ambient-api-server": true, "ambient-ui": true,
	"backend-api": false, "frontend": false, "public-api": false}

func claimAmbient(o Object) (Claim, bool) {
	c := Claim{Namespace: o.Namespace, Runner: o.Namespace}
	switch o.Kind {
	case agenticSession, projectSettings:
		c.Component = ambientSessions
		return c, true
	case "Pod":
		if o.Labels[appLabel] == ambientPod || o.Labels[ambientManagedBy] == ambientPlane || hasContainer(o.Spec, ambientPod) {
			return c, true
		}
	case "Deployment":
	default:
		return c, false
	}
	unmistakable, known := ambientServices[o.Labels[appLabel]]
	c.Component = o.Labels[appLabel]
	return c, known && (unmistakable || ambientImage(o.Spec))
}

// ambientImage accepts quay.io/ambient_code/vteam_backend and a mirror of it.
func ambientImage(spec *corev1.PodSpec) bool {
	return spec != nil && slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool {
		repository := repositoryOf(c.Image)
		return path.Base(path.Dir(repository)) == "ambient_code" || strings.HasPrefix(path.Base(repository), "vteam_")
	})
}

func mainAmbient(_ Object, component string) string {
	if component == "" {
		return ambientPod
	}
	return component
}

// probeAmbient is the operator's readiness endpoint; the other services' are asked by the kubelet.
func probeAmbient(_ Object, component string) (Probe, bool) {
	return Probe{"/readyz", 8081}, component == ambientOperator
}

func assessAmbient(v *View) {
	sessions := v.Of(agenticSession)
	prerequisites(v)
	joinSessions(v, sessions)
	missingSecrets(v, sessions)
	v.Fact("Sessions", sessionCounts(sessions))
	for _, o := range v.Of(projectSettings) {
		v.Fact("Inactivity timeout", inactivity(o))
	}
	if len(v.Runner.Components) == 0 {
		v.Runner.Components = append(v.Runner.Components, sessionsOf(v, sessions))
		v.Runner.Version = v.Runner.Components[0].Version
	}
}

// missingSecrets finds the Secret that the operator misses, while that is the last it says of Secrets here: a session that failed for want of
// it says so for ever. One that could not be looked up is not known to be missing.
func missingSecrets(v *View, sessions []Object) {
	var last statusCondition
	for _, o := range sessions {
		list, _ := dig(o.Custom, "status", "conditions").([]any)
		for _, item := range list {
			if textAt(item, "type") != secretsReady {
				continue
			}
			if c := conditionOf(item); last.kind == "" || c.later(last) {
				last = c
			}
		}
	}
	name := finding.ToldSecret(last.message)
	if last.status == "False" && strings.HasSuffix(last.reason, "Missing") && name != "" {
		v.Runner.Findings = append(v.Runner.Findings, finding.Told(name, "status.conditions["+secretsReady+"]",
			store.Sentence("Sessions need the secret "+name+", which the operator does not find: none starts before it is there.")))
	}
}

// later orders what several objects say of one kind; of one moment by the words, so that their order does not matter.
func (c statusCondition) later(o statusCondition) bool {
	return cmp.Or(c.since.Compare(o.since), strings.Compare(o.status, c.status), strings.Compare(o.message, c.message), strings.Compare(o.reason, c.reason)) > 0
}

// prerequisites gives pods whose runner ended with 2 the reason that the operator gives for it, at once: nothing heals it.
func prerequisites(v *View) {
	for i := range v.Runner.Workloads {
		w := &v.Runner.Workloads[i]
		for _, c := range w.Containers {
			if c.Name == ambientPod && w.Component == "" && c.State == "terminated" && c.HasExit && c.ExitCode == 2 {
				w.Health, w.Reason, w.Raw, w.Container, w.Message = store.Unhealthy, store.ConfigInvalid, "PrerequisiteFailed", ambientPod, c.Message
				w.Why, w.Next = store.Sentence(ambientPod+" misses a prerequisite (exit 2)"+after(c.Message)+"."), time.Time{}
			}
		}
	}
}

// after puts a raw message behind a colon, and nothing when it is blank.
func after(message string) string {
	if m := strings.TrimRight(store.Clean(message, 160), " ."); m != "" {
		return ": " + m
	}
	return ""
}

// podless bounds the sessions without a pod that are shown, newest first: a namespace may keep thousands that failed.
const podless = 50

// joinSessions compares what sessions say with what their pods do.
func joinSessions(v *View, sessions []Object) {
	pods := map[string]*store.Workload{}
	for i := range v.Runner.Workloads {
		if w := &v.Runner.Workloads[i]; w.Component == "" {
			pods[sessionNamed(v, w)] = w
		}
	}
	var alone []store.Workload
	for _, o := range sessions {
		if w := pods[o.Name]; w != nil {
			drift(v, o, w)
		} else if verdict := sessionAlone(v, o); verdict.Why != "" {
			verdict.Inspect = v.Kubectl("get agenticsession " + o.Name + " -n " + o.Namespace + " -o jsonpath='{.status}'")
			alone = append(alone, store.Workload{Namespace: o.Namespace, Name: o.Name, UID: string(o.UID), Verdict: verdict,
				Phase: sessionPhase(o), Created: o.Created})
		}
	}
	slices.SortStableFunc(alone, func(a, b store.Workload) int { return b.Created.Compare(a.Created) })
	v.Runner.Workloads = append(v.Runner.Workloads, alone[:min(len(alone), podless)]...)
}

// sessionNamed is the name of the session that a pod runs: as its label says, else by its own name.
func sessionNamed(v *View, w *store.Workload) string {
	if pod := v.Pods[w.UID]; pod != nil && pod.Labels[ambientSession] != "" {
		return pod.Labels[ambientSession]
	}
	return strings.TrimSuffix(w.Name, "-runner")
}

// sessionPhase is a session's own word for its state; one of which nothing is written yet is pending.
func sessionPhase(o Object) string {
	if p := store.Clean(textAt(o.Custom, "status", "phase"), 32); p != "" {
		return p
	}
	return "Pending"
}

// sessionAlone is the verdict on a session that has no pod; blank when it needs none.
func sessionAlone(v *View, o Object) store.Verdict {
	created := conditionsOf(o)["PodCreated"]
	switch phase := sessionPhase(o); {
	case phase == "Failed":
		return sessionFailure(o)
	case o.Deleting || o.Annotations[ambientDesired] == "Stopped":
		return store.Verdict{}
	case phase == "Running":
		return podGone(v, o)
	case phase != "Pending" && phase != "Creating":
		return store.Verdict{}
	case created.reason == podMissing && created.status == "False":
		return store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: created.reason, Message: created.message, Since: created.since,
			Why: store.Sentence("The session lost its pod and waits for another" + after(created.message) + ".")}
	default:
		return sessionWaits(v, o, phase)
	}
}

// podGoneGrace is how long a session may say Running without a pod: it is told of its pod's end, and so are we, a moment later.
const podGoneGrace = 5 * time.Second

// podGone is a session that says Running and has no pod. A pod that is gone leaves no time: it counts from when that was first seen.
func podGone(v *View, o Object) store.Verdict {
	since := v.Now
	if v.Prior != nil {
		for i := range v.Prior.Workloads {
			if w := &v.Prior.Workloads[i]; w.UID == string(o.UID) && w.Raw == podMissing {
				since = lacking(w.Verdict, podGoneGrace)
			}
		}
	}
	if end := since.Add(podGoneGrace); v.Now.Before(end) {
		return store.Verdict{Health: store.Unknown, Raw: podMissing, Since: since, Next: end, Why: "The session says Running, but its pod is gone; it may have just ended."}
	}
	return store.Verdict{Health: store.Unhealthy, Reason: store.RuntimeLost, Raw: podMissing, Since: since,
		Why: store.Sentence("The session says Running, but its pod has been gone for " + store.For(since) + ".")}
}

// sessionWaits is a session for which no pod has been made yet.
func sessionWaits(v *View, o Object, phase string) store.Verdict {
	begun := o.Created
	if t := timeAt(o.Custom, "status", "startTime"); t.After(begun) {
		begun = t
	}
	end := begun.Add(DefaultThresholds.StartGrace)
	why := store.Sentence("The session has been " + strings.ToLower(phase) + " for " + store.For(begun) + " and has no pod")
	if v.Now.Before(end) {
		return store.Verdict{Health: store.Unknown, Why: why + " yet; grace ends " + store.Sentence(store.Until(end)) + ".", Next: end}
	}
	c, _ := sessionCondition(o)
	return store.Verdict{Health: store.Unhealthy, Reason: store.StartFailed, Raw: cmp.Or(c.reason, "NoPod"), Message: c.message, Why: why + store.Sentence(after(c.message)) + "."}
}

// sessionCondition is the condition that tells a failure: Ready, where the operator sums up, else the first that is false in the order in
// which a session comes up.
func sessionCondition(o Object) (statusCondition, bool) {
	all := conditionsOf(o)
	for _, kind := range []string{"Ready", secretsReady, "PodCreated", "PodScheduled", "RunnerStarted", "ReposReconciled", "WorkflowReconciled", "Reconciled"} {
		if c := all[kind]; c.status == "False" && c.reason != "" {
			return c, true
		}
	}
	return statusCondition{}, false
}

// sessionFailure is a session's own word for why it failed. It outlives the pod, which the operator deletes at once.
func sessionFailure(o Object) store.Verdict {
	c, ok := sessionCondition(o)
	v := store.Verdict{Health: store.Unhealthy, Reason: sessionReason(o, c), Raw: c.reason, Message: c.message, Since: timeAt(o.Custom, "status", "completionTime"),
		Why: "The session failed and does not say why."}
	if v.Since.IsZero() {
		v.Since = c.since
	}
	if ok {
		v.Why = store.Sentence("The session failed (" + store.Clean(c.reason, 60) + ")" + after(c.message) + ".")
	}
	return v
}

// sessionReason maps the operator's reasons onto the five.
func sessionReason(o Object, c statusCondition) store.Reason {
	switch c.reason {
	case "ImagePullBackOff", "ErrImagePull":
		return store.ImagePullFailed
	case "CreateContainerConfigError", "InvalidImageName", "PrerequisiteFailed":
		return store.ConfigInvalid
	case "CrashLoopBackOff":
		return store.CrashLoop
	case podMissing:
		return store.RuntimeLost
	}
	switch started := conditionsOf(o)["RunnerStarted"]; {
	case c.kind == secretsReady:
		return store.ConfigInvalid
	case started.status == "True":
		return store.RuntimeLost
	}
	return store.StartFailed
}

// sessionCounts words how many sessions there are, by phase.
func sessionCounts(sessions []Object) store.Sentence {
	count, inactive := map[string]int{}, 0
	for _, o := range sessions {
		count[strings.ToLower(sessionPhase(o))]++
		if textAt(o.Custom, "status", "stoppedReason") == "inactivity" {
			inactive++
		}
	}
	var parts []string
	for _, phase := range slices.Sorted(maps.Keys(count)) {
		parts = append(parts, fmt.Sprintf("%d %s", count[phase], phase))
	}
	if inactive > 0 {
		parts = append(parts, fmt.Sprintf("%d of them for inactivity", inactive))
	}
	return store.Sentence(strings.Join(parts, ", "))
}

// inactivity is after how long without activity the operator stops a session.
func inactivity(o Object) store.Sentence {
	n, ok := number(dig(o.Custom, "spec", "inactivityTimeoutSeconds"))
	switch {
	case !ok || n < 0 || n > int64(math.MaxInt64/time.Second):
		return ""
	case n == 0:
		return "none"
	}
	return store.Sentence(store.Duration(time.Duration(n) * time.Second))
}

// sessionsOf is the component of a namespace that has nothing but sessions: what they show of it. Work that fails degrades its runner
// besides; here it is asked whether anything works at all.
func sessionsOf(v *View, sessions []Object) store.Component {
	c := store.Component{Name: ambientSessions, Kind: "Namespace", Object: v.Runner.Ref.Namespace}
	waits, unproven := 0, true
	for i := range v.Runner.Workloads {
		w := &v.Runner.Workloads[i]
		switch {
		case w.Phase != string(corev1.PodRunning) && w.Phase != string(corev1.PodPending):
			continue
		case w.Health == store.Healthy:
			c.Ready++
			unproven = unproven && w.Unproven
		case w.Health == store.Unknown:
			waits++
		}
		c.Desired++
		c.Version, c.Image = common(c.Version, sessionImage(w)), sessionImage(w)
	}
	c.Verdict = placeVerdict(int(c.Ready), waits, int(c.Desired), sessions)
	c.Unproven = c.Unproven || c.Ready > 0 && unproven
	return c
}

// sessionImage is the image of the runner in a session's pod.
func sessionImage(w *store.Workload) string {
	for _, c := range w.Containers {
		if c.Name == ambientPod {
			return c.Image
		}
	}
	return ""
}

// common is the version that images have in common so far.
func common(version, image string) string {
	own := ImageVersion(image)
	if version != "" && version != own {
		return "mixed"
	}
	return own
}

// placeVerdict is how a namespace is in which so many sessions run well, so many come up, and so many have a pod at all.
func placeVerdict(run, waits, pods int, sessions []Object) store.Verdict {
	latest, ended := Object{}, time.Time{}
	for _, o := range sessions {
		if t := timeAt(o.Custom, "status", "completionTime"); t.After(ended) {
			latest, ended = o, t
		}
	}
	switch {
	case run > 0:
		return store.Verdict{Health: store.Healthy, Why: store.Sentence(fmt.Sprintf("%s %s.", plural(run, "session"), verb(run, "runs", "run")))}
	case waits > 0:
		return store.Verdict{Health: store.Unknown, Raw: "Starting", Why: store.Sentence(fmt.Sprintf("%s %s up.", plural(waits, "session"), verb(waits, "comes", "come")))}
	case pods > 0:
		return store.Verdict{Health: store.Unknown, Raw: "NoSessions", Why: store.Sentence(fmt.Sprintf("None of %s runs well.", plural(pods, "session")))}
	case ended.IsZero():
		return store.Verdict{Health: store.Unknown, Raw: "NoSessions", Why: "No session has run here yet, so that nothing shows whether one would."}
	case sessionPhase(latest) == "Failed":
		return store.Verdict{Health: store.Unknown, Raw: "NoSessions", Why: store.Sentence("No session runs, and the last one failed " + store.Ago(ended) + ".")}
	}
	return store.Verdict{Health: store.Healthy, Unproven: true, Why: store.Sentence("No session runs; the last one ended " + store.Ago(ended) + ".")}
}

func plural(n int, what string) string { return fmt.Sprintf("%d %s", n, what) + verb(n, "", "s") }

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
