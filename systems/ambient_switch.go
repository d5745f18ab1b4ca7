package systems

import (
	"slices"

	"trackside/store"
)

// ambientSwitch stops the sessions of a team by the annotation that their operator heeds. Of the platform it takes away who makes
// sessions, and leaves the pages and the sessions that run: they live on without it.
var ambientSwitch = Switch{
	Levers: []Lever{
		{Kind: projectSettings}, // bears the mark, so that a team without a session can be told to be out of service
		{Kind: agenticSession, Pulls: ambientActive, Settings: []Setting{ambientPhase}, Out: func(o Object) bool { return ambientOver(sessionPhase(o)) }},
		{Kind: "Deployment", Settings: []Setting{replicasSetting}, Pulls: func(_ Object, component string) bool {
			return component == ambientOperator || component == ambientPlane
		}},
	},
	// The operator takes away the pods of the sessions that it is told to stop.
	Spares:  func(pod Object) bool { return pod.Labels[ambientSession] != "" },
	Deletes: []string{agenticSession, projectSettings}, Traps: trapsAmbient,
	Secrets: map[string][]string{projectSettings: {"spec.runnerSecretsName"}},
}

var ambientPhase = Setting{Path: []string{"metadata", "annotations", ambientDesired}, Off: "Stopped", On: "Running",
	Word: func(v any) string {
		if s, ok := v.(string); ok && s != "" {
			return "to be " + store.Clean(s, 20)
		}
		return "running"
	},
	Fits: func(v any) bool { return v == "Running" || v == "Stopped" }}

// ambientActive chooses the sessions that are under way, those that are told to run and are still stopped, and those that the board has
// stopped.
func ambientActive(o Object, _ string) bool {
	phase := sessionPhase(o)
	return !ambientOver(phase) || o.Annotations[AnnotationDisabled] != "" || phase == "Stopped" && o.Annotations[ambientDesired] == "Running"
}

// ambientOver tells the phases in which a session has no pod.
func ambientOver(phase string) bool {
	return phase == "Stopped" || phase == "Completed" || phase == "Failed"
}

func trapsAmbient(verb store.Verb, objects []Object) []store.Trap {
	platform := slices.ContainsFunc(objects, func(o Object) bool { return o.Kind == "Deployment" })
	switch {
	case verb == store.VerbDisable && platform:
		return []store.Trap{{Code: "sessions-live-on", Why: "Sessions that run live on, in every namespace; none is started, stopped or cleaned up until the platform is back."}}
	case verb == store.VerbDelete && platform:
		return []store.Trap{{Code: "sessions-orphaned", Why: "The sessions of every team are left without an operator: they can be neither started nor stopped."}}
	case verb == store.VerbDisable:
		return []store.Trap{{Code: "sessions-can-start", Why: "Nothing in the namespace keeps a new session from being started; one that is started is seen, and not stopped."}}
	}
	return nil
}
