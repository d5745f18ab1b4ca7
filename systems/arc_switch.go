package systems

import (
	"slices"

	"trackside/store"
)

// arcSwitch lets a scale set have no runner: its listener stays and takes no job, runners that have one end by themselves, and the
// controller takes away those that have none (autoscalinglistener and ephemeralrunnerset controllers, as above).
var arcSwitch = Switch{
	Levers: []Lever{
		{Kind: arcScaleSet, Settings: []Setting{arcBound("maxRunners", "at most"), arcBound("minRunners", "at least")},
			Out: func(o Object) bool { n, ok := arcOf(o).count("spec", "maxRunners"); return ok && n == 0 }},
		scaleDeployments,
	},
	Outlives: true, Work: arcRunner, Deletes: []string{arcScaleSet}, Traps: trapsARC,
	Secrets: map[string][]string{arcScaleSet: {"spec.githubConfigSecret", "spec.proxy.http.credentialSecretRef", "spec.proxy.https.credentialSecretRef"}},
}

func arcBound(field, word string) Setting {
	return Setting{Path: []string{"spec", field}, Off: int64(0), Word: atMost(word), Fits: bounds}
}

func trapsARC(verb store.Verb, objects []Object) []store.Trap {
	if !slices.ContainsFunc(objects, func(o Object) bool { return o.Kind == "Deployment" }) {
		return nil
	}
	if verb == store.VerbDisable {
		return []store.Trap{{Code: "scale-sets-rest-on-it", Why: "All scale sets that this controller looks after stand still: jobs that run go on, and no runner is made or cleaned up."}}
	}
	if verb == store.VerbDelete {
		return []store.Trap{{Code: "scale-sets-rest-on-it", Why: "All scale sets that this controller looks after are left alone: nobody takes the finalizers off their objects, which then cannot be deleted."}}
	}
	return nil
}
