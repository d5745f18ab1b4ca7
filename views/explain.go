package views

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"trackside/store"
)

// explanation says what a failure means, and what to do next, in words. Names stand between backquotes.
type explanation struct{ Means, Next string }

// rule is one line of the table of explanations: for a reason, of which raw words, when what was said holds one of some fragments.
type rule struct {
	reason store.Reason
	raws   []string // any, when there is none
	says   []string // any, when there is none; lower case
	explanation
}

// registryRules are the answers of registries.
var registryRules = []rule{
	{store.ImagePullFailed, []string{"ErrImageNeverPull"}, nil, explanation{"The image is not on the node, and the pod's imagePullPolicy is Never, so that nobody fetches it.",
		"Load {image} onto the node {node}, or set imagePullPolicy to IfNotPresent."}},
	{store.ImagePullFailed, []string{"SignatureValidationFailed"}, nil, explanation{"The node's policy does not accept the image's signature.",
		"Sign {image}, or correct the policy of the node {node}."}},
	{store.ImagePullFailed, []string{"ImageInspectError"}, nil, explanation{"The image is on the node, but cannot be read there.",
		"Delete {image} from the node {node}, so that it is pulled again; look at the node's disk if it comes back."}},
	{store.ImagePullFailed, nil, []string{"unauthorized", "authentication required", "no basic auth", "401"}, explanation{"The registry said 401: it does not know who is asking.", "{pullsecret}"}},
	{store.ImagePullFailed, nil, []string{"toomanyrequests", "too many requests", "429"}, explanation{"The registry said 429: this address has pulled too often.",
		"Wait, or pull as a signed-in user or through a mirror of your own. {pullsecret}"}},
	{store.ImagePullFailed, nil, []string{"forbidden", "403", "denied", "insufficient_scope"}, explanation{"The registry knows who is asking and refuses the image, or hides that it does not exist.",
		"Check that {image} is spelt as it was pushed, and that the account may pull it. {pullsecret}"}},
	{store.ImagePullFailed, nil, []string{"x509", "certificate"}, explanation{"The node does not trust the registry's certificate.",
		"Install the registry's CA on the node {node}, or renew the certificate if it has expired."}},
	{store.ImagePullFailed, nil, []string{"no such host", "i/o timeout", "connection refused", "dial tcp", "cannot be reached"}, explanation{"The node {node} cannot reach the registry.",
		"Check the registry's name in {image}, then DNS, proxy and firewall from the node {node}."}},
	{store.ImagePullFailed, nil, []string{"not found", "manifest unknown", "404", "does not exist"}, explanation{"The registry has no such image or tag.",
		"Check that {image} was pushed, for the architecture of the node {node}, and that the tag is spelt right."}},
	{store.ImagePullFailed, nil, nil, explanation{"The image could not be pulled.", "Read the events below for the registry's answer; try to pull {image} by hand. {pullsecret}"}},
}

// configRules are of what the pod asks for and cannot have.
var configRules = []rule{
	{store.ConfigInvalid, []string{"InvalidImageName"}, nil, explanation{"The image's name cannot be read as one; this does not heal by itself.", "Correct {image} in {owner}."}},
	{store.ConfigInvalid, nil, []string{"secret \"", "secret not found"}, explanation{"The container needs a Secret that is not there, or a key that is not in it.",
		"Create the Secret that the message names in namespace {namespace}, or correct the reference in {owner}. Trackside reads no Secrets."}},
	{store.ConfigInvalid, nil, []string{"configmap"}, explanation{"The container needs a ConfigMap that is not there, or a key that is not in it.",
		"Create the ConfigMap that the message names in namespace {namespace}, or correct the reference in {owner}."}},
	{store.ConfigInvalid, []string{"FailedCreatePodSandBox"}, nil, explanation{"The node {node} has no runtime of the class that the pod asks for.",
		"Install the runtime on the node, or correct runtimeClassName in {owner}."}},
	{store.ConfigInvalid, []string{"FailedMount"}, nil, explanation{"A volume cannot be mounted because what it refers to is not there.", "Create what the message names in namespace {namespace}, or correct the volume in {owner}."}},
	{store.ConfigInvalid, []string{"CreateContainerError"}, nil, explanation{"The runtime refuses to make the container as it is described.", "Read the message; correct the command, mounts or security settings in {owner}."}},
	{store.ConfigInvalid, []string{"RegistrationRefused"}, nil, explanation{"The runner reports itself, and what it says of itself is refused.", "Correct what the message names where the runner is started; it is let in when it registers again."}},
	{store.ConfigInvalid, []string{"CredentialMissing"}, nil, explanation{"The token that the runner was declared with is lost, and its control plane shows it only once.",
		"Delete the Runner object in namespace {namespace} and declare it again: that is the only way to a new token."}},
	{store.ConfigInvalid, nil, []string{"could not be registered"}, explanation{"The control plane did not take the runner in.", "Read the message; correct the Runner object in namespace {namespace}, or look at the log of its controller."}},
	{store.ConfigInvalid, nil, nil, explanation{"What the pod asks for cannot be had, so that it can never start.", "Read the message, and correct {owner} in namespace {namespace}."}},
}

// crashRules are of programs that start and end.
var crashRules = []rule{
	{store.CrashLoop, nil, []string{"oomkilled"}, explanation{"The kernel killed {container} for using more memory than its limit, again and again.",
		"Raise the memory limit of {container} in {owner}, or find what makes it grow."}},
	{store.CrashLoop, nil, []string{"exit 127", "exit 126", "executable file not found", "permission denied"}, explanation{"The command of {container} is not in the image, or may not be run.",
		"Check command and args in {owner} against {image}."}},
	{store.CrashLoop, nil, []string{"exit 139", "sigsegv"}, explanation{"{container} crashed with a memory fault, again and again.", "Try the version before {image}; look at its log for a stack."}},
	{store.CrashLoop, nil, []string{"exit 137"}, explanation{"{container} was killed from outside (exit 137), again and again: mostly by its liveness probe or for its memory.",
		"Look at the events below for Unhealthy or OOM; give the probe more time, or {container} more memory, in {owner}."}},
	{store.CrashLoop, nil, []string{"exit 0", "completed"}, explanation{"{container} ends without an error, but it should keep running.", "Check command and args of {container} in {owner}: it has nothing to do, or goes to the background."}},
	{store.CrashLoop, nil, nil, explanation{"{container} starts, ends with an error, and is restarted, again and again.", "Read the end of its log: the last lines before the exit say why. Then look at what changed last in {owner}."}},
}

// startRules are of pods that do not get to run.
var startRules = []rule{
	{store.StartFailed, []string{"Unschedulable", "FailedScheduling"}, []string{"insufficient"}, explanation{"No node has the room that the pod requests.", "Lower the requests in {owner}, add a node, or remove what is not needed."}},
	{store.StartFailed, []string{"Unschedulable", "FailedScheduling"}, []string{"taint"}, explanation{"The nodes that have room keep the pod away by a taint.", "Add the toleration to {owner}, or take the taint off a node."}},
	{store.StartFailed, []string{"Unschedulable", "FailedScheduling"}, []string{"affinity", "selector"}, explanation{"No node carries the labels that the pod asks for.", "Label a node, or correct nodeSelector and affinity in {owner}."}},
	{store.StartFailed, []string{"Unschedulable", "FailedScheduling"}, []string{"persistentvolumeclaim", "volume"}, explanation{"The pod waits for a volume that cannot be had where it could run.", "Look at the claims of namespace {namespace}: `kubectl get pvc`."}},
	{store.StartFailed, []string{"Unschedulable", "FailedScheduling"}, nil, explanation{"The scheduler finds no node for the pod.", "Read the message: it counts the nodes by what is wrong with each."}},
	{store.StartFailed, []string{"FailedCreate"}, []string{"quota"}, explanation{"The namespace's quota has no room for the pod.", "Raise the ResourceQuota of namespace {namespace}, or lower the requests in {owner}."}},
	{store.StartFailed, []string{"FailedCreate"}, []string{"serviceaccount"}, explanation{"The pod's ServiceAccount is not there.", "Create the ServiceAccount that the message names in namespace {namespace}."}},
	{store.StartFailed, []string{"FailedCreate"}, nil, explanation{"The API server refuses the pods that {owner} wants to make.", "Read the message: quota, admission policy or security level of namespace {namespace}."}},
	{store.StartFailed, []string{"NoPods"}, nil, explanation{"There should be pods and there is none, and nobody says why.", "Check that the controller manager runs, and look at the events of {owner}."}},
	{store.StartFailed, []string{"FailedMount", "FailedAttachVolume"}, nil, explanation{"A volume cannot be attached or mounted on the node {node}.", "Look at the claim and its storage; a volume may still be attached to another node."}},
	{store.StartFailed, []string{"FailedCreatePodSandBox", "NetworkNotReady"}, nil, explanation{"The node {node} cannot give the pod a network or a sandbox.", "Look at the network plug-in and the runtime on the node {node}."}},
	{store.StartFailed, nil, []string{"rejected by its node"}, explanation{"The node {node} refused the pod after it was scheduled there.", "Look at the node: what it reports as free is not what it has."}},
	{store.StartFailed, nil, []string{"keeps failing"}, explanation{"The init container {container} fails, so that the rest never starts.", "Read the log of {container}: what it waits for, or prepares, is not there."}},
	{store.StartFailed, nil, nil, explanation{"The pod was made and never got to run in the time it is given.", "Read the events and the states of the containers below; the first that is not ready holds up the rest."}},
}

// lostRules are of what ran and does not any more.
var lostRules = []rule{
	{store.RuntimeLost, []string{"Evicted", "TerminationByKubelet"}, nil, explanation{"The node {node} ran short of memory or disk and evicted the pod.", "Give {owner} requests that match its use; look at what fills the node {node}."}},
	{store.RuntimeLost, []string{"NodeLost", "DeletionByTaintManager"}, nil, explanation{"The node {node} is no longer heard of, and what ran on it with it.", "Look at the node {node}: machine, kubelet, network. Its pods are made anew elsewhere once it is given up."}},
	{store.RuntimeLost, []string{"NodeNotReady"}, nil, explanation{"The node {node} says itself that it is not ready.", "`kubectl describe node` says why: disk, memory, network plug-in or runtime."}},
	{store.RuntimeLost, []string{"Preempting", "PreemptionByScheduler"}, nil, explanation{"The scheduler took its place for a pod of higher priority.", "Give {owner} a higher priorityClassName, or the cluster more room."}},
	{store.RuntimeLost, []string{"DeadlineExceeded"}, nil, explanation{"The pod ran longer than its activeDeadlineSeconds allows.", "Raise the deadline in {owner}, or find why the work takes so long."}},
	{store.RuntimeLost, []string{"EvictionByEvictionAPI"}, nil, explanation{"Somebody, or an autoscaler, drained the node {node}.", "Nothing, if that was meant; a PodDisruptionBudget makes a drain wait."}},
	{store.RuntimeLost, []string{store.RawSilent}, nil, explanation{"It reports itself, and has stopped: its process has ended or hangs, or it cannot reach this board.",
		"Look whether its process lives, and whether this board can be reached from there; it is well again with its next report."}},
	{store.RuntimeLost, []string{"Gone"}, nil, explanation{"The pod vanished while it ran: nobody deleted it, and it did not finish.", "Look at the node {node}, and at who may delete pods in namespace {namespace}."}},
	{store.RuntimeLost, nil, []string{"oomkilled"}, explanation{"The kernel killed {container} for using more memory than its limit, and the pod is never restarted.", "Raise the memory limit of {container}, or find what makes it grow."}},
	{store.RuntimeLost, nil, []string{"exit 137"}, explanation{"{container} was killed from outside (exit 137), and the pod is never restarted: mostly by its liveness probe or for its memory.", "Look at the events below for Unhealthy or OOM."}},
	{store.RuntimeLost, nil, nil, explanation{"It was running, and ended without success and without anybody having asked for it.", "Read the end of the log of {container}, and look at the node {node}."}},
}

// otherRules are of what is unhealthy for none of the five reasons.
var otherRules = []rule{
	{store.NoReason, []string{"ProbeFailed"}, nil, explanation{"Its pods say that they are ready, but it does not answer Trackside's own health probe.",
		"Ask the same path from within the cluster; if that works, a NetworkPolicy keeps Trackside away."}},
	{store.NoReason, nil, nil, explanation{"It is unhealthy for a reason of its own.", "Read the sentence and the message; look at {owner} in namespace {namespace}."}},
}

var rules = slices.Concat(registryRules, configRules, crashRules, startRules, lostRules, otherRules)

// explain says what a failure means and what to do: the first rule that fits. There is one for each reason, whatever else is said.
func explain(e *store.Evidence) explanation {
	said := strings.ToLower(e.Verdict.Message + "\n" + e.Verdict.Why.Absolute())
	if e.Image != "" {
		said = strings.ReplaceAll(said, strings.ToLower(e.Image), "") // its name may hold any of the fragments
	}
	fits := func(r rule) bool {
		return r.reason == e.Verdict.Reason && (len(r.raws) == 0 || slices.Contains(r.raws, e.Verdict.Raw)) &&
			(len(r.says) == 0 || slices.ContainsFunc(r.says, func(f string) bool { return strings.Contains(said, f) }))
	}
	i := slices.IndexFunc(rules, fits)
	if i < 0 {
		i = len(rules) - 1
	}
	fill := filler(e)
	return explanation{fill.Replace(rules[i].Means), fill.Replace(strings.ReplaceAll(rules[i].Next, "{pullsecret}", pullSecret(e)))}
}

// maxExplained is how many causes of one page are worded by a proof: each is read alone.
const maxExplained = 50

// Explain words what to do about each cause by the proof of its latest failure, which names pull secrets and owners: a list of failures comes
// without. Where it cannot be read the words stay general.
func (m *FailuresModel) Explain(read func(id string) (store.Evidence, error)) {
	n := 0
	for i := range m.groups {
		for j := range m.groups[i].causes {
			c := &m.groups[i].causes[j]
			if c.first == "" || n == maxExplained {
				continue
			}
			n++
			if e, err := read(c.first); err == nil {
				c.explanation = explain(&e)
			}
		}
	}
}

// filler puts a failure's own names into an explanation; what is not known is worded in general.
func filler(e *store.Evidence) *strings.Replacer {
	quoted := func(s, otherwise string) string {
		if s = store.Clean(strings.ReplaceAll(s, "`", "'"), nameLimit); s == "" {
			return otherwise
		}
		return "`" + s + "`"
	}
	owner := ""
	if n := len(e.Proof.Owners); n > 0 {
		owner = e.Proof.Owners[n-1]
	}
	return strings.NewReplacer("{image}", quoted(e.Image, "the image"), "{namespace}", quoted(e.Namespace, "of the runner"), "{container}", quoted(e.Verdict.Container, "the container"),
		"{node}", quoted(e.Node, "it was to run on"), "{owner}", quoted(owner, "the object that made it"))
}

// pullSecret is what to check where a registry asks who is there.
func pullSecret(e *store.Evidence) string {
	var names []string
	for _, s := range e.Proof.PullSecrets {
		names = append(names, "`"+store.Clean(strings.ReplaceAll(s, "`", "'"), nameLimit)+"`")
	}
	switch {
	case len(names) == 0 && len(e.Proof.Containers) == 0: // what the pod asked for is not at hand
		return "Check the pull secret of the pod, or of its ServiceAccount, in namespace {namespace}: that it is there, is for this registry, and has not expired."
	case len(names) == 0:
		return "Check the pull secret in namespace {namespace}: the pod names none itself, so that its ServiceAccount's count, if it has any."
	case len(names) == 1:
		return "Check the pull secret " + names[0] + " in namespace {namespace}: that it is there, is for this registry, and has not expired."
	}
	return "Check the pull secrets " + strings.Join(names, ", ") + " in namespace {namespace}: that they are there, that one is for this registry, and has not expired."
}

// reasonMeans says in a sentence what a reason is.
func reasonMeans(r store.Reason) string {
	switch r {
	case store.ImagePullFailed:
		return "A node could not get the image of a container."
	case store.ConfigInvalid:
		return "What a pod asks for is not there or not valid, so that it can never start."
	case store.CrashLoop:
		return "A program starts and ends with an error, again and again."
	case store.StartFailed:
		return "A pod did not get to run in the time it is given."
	case store.RuntimeLost:
		return "Something ran, and ended without success and without anybody having asked for it."
	case store.NoReason:
	}
	return "Unhealthy for none of the five reasons, such as a health probe of Trackside's own that fails."
}

// reasonTitle is the title of a reason, the absence of one included.
func reasonTitle(r store.Reason) string {
	if r == store.NoReason {
		return "Unhealthy otherwise"
	}
	return r.Title()
}

// codeText is a text in which names stand between backquotes. It is written by hand because nothing, not even a space, may come between a
// name and the full stop behind it.
func codeText(s string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		for i, t := range strings.Split(s, "`") {
			switch {
			case t == "":
			case i%2 == 1:
				b.WriteString("<code>" + templ.EscapeString(t) + "</code>")
			default:
				b.WriteString(templ.EscapeString(t))
			}
		}
		_, err := io.WriteString(w, b.String())
		return err
	})
}
