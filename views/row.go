package views

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// maxChips is how many components a row shows; the unwell ones come first.
const maxChips = 8

// wholeVersion is how many bytes of a version always have room.
const wholeVersion = 10

// row is one runner in the fleet's table. It depends on the runner alone, so that it can be rendered once and shared.
type row struct {
	ID, Href string
	mark
	Moving movingView
	// Out is who took it out of service, Ack who is on its failure; nil for nobody.
	Out, Ack []store.Part
	// Acts is the address of what can be done to it; blank on a board that cannot act.
	Acts  string
	Name  name
	Place string
	// Why is what is wrong, in words; blank for the healthy.
	Why []store.Part
	// Recovered is when it was last failing, zero when that is long ago; Note says what else is worth knowing of a green.
	Recovered time.Time
	Note      string
	// Doubts counts the findings that make a green doubtful; blank for none.
	Doubts  string
	Inspect string
	// Chips are the components; More counts those that have nothing to say, and MoreTip names them.
	Chips         []chip
	More, MoreTip string
	Version       string
	// VersionTip is the version again when it has no room.
	VersionTip string
	Since      time.Time
}

// chip is one component in a row.
type chip struct {
	mark
	Name name
	// Detail is what differs from the expected: another version than the runner's, restarts; and ready/desired.
	Detail string
}

func newRow(s *store.Snapshot, r *store.Runner, acts bool) row {
	v := row{
		ID: r.Ref.ID(), Href: r.Ref.Path(), mark: runnerMark(r), Moving: newMoving(r), Out: shortMark(r), Ack: ackParts(s, r), Name: newName(r.Ref.Name), Place: place(r.Ref),
		Version: version(r.Version), Since: r.Since, Recovered: r.Recovered,
	}
	if acts {
		v.Acts = ActPath(r.Ref, "", "")
	}
	if len(v.Version) > wholeVersion {
		v.VersionTip = v.Version
	}
	v.setChips(r)
	if unwell(r) {
		v.Why, v.Inspect = parts(r.Why), store.Clean(r.Inspect, lineLimit)
	} else if r.Unproven && r.Observed != store.Disabled {
		v.Note = "Green by time alone: no probe proves it."
	}
	if !unwell(r) && r.Observed != store.Disabled && r.Doubts > 0 {
		v.Doubts = plural(r.Doubts, "finding")
	}
	return v
}

// setChips shows the components, the unwell ones first. In a row that has something to say of its own, those that have nothing to
// say become one number, so that a row that turns red hardly grows.
func (v *row) setChips(r *store.Runner) {
	cs := slices.Clone(r.Components)
	slices.SortStableFunc(cs, func(a, b store.Component) int { return a.Health.Severity() - b.Health.Severity() })
	var quiet []string
	for i := range cs {
		if len(v.Chips) == maxChips || unwell(r) && nothingToSay(&cs[i]) {
			quiet = append(quiet, store.Clean(cs[i].Name, versionLimit))
			continue
		}
		v.Chips = append(v.Chips, newChip(r, &cs[i]))
	}
	switch {
	case len(quiet) == 0:
	case unwell(r) && len(v.Chips) < maxChips:
		v.More = strconv.Itoa(len(quiet)) + " healthy"
	default:
		v.More = strconv.Itoa(len(quiet)) + " more"
	}
	v.MoreTip = store.Clean(strings.Join(quiet, ", "), lineLimit)
}

// nothingToSay holds for a component that is as it should be.
func nothingToSay(c *store.Component) bool {
	return c.Health == store.Healthy && c.Ready >= c.Desired && c.Restarts == 0
}

func newChip(r *store.Runner, c *store.Component) chip {
	ch := chip{mark: markOf(c.Health), Name: newName(c.Name), Detail: ratio(c)}
	if r.Observed == store.Disabled {
		ch.mark = disabledMark
	}
	if c.Version != r.Version && !bodiless(c) {
		ch.Detail = strings.TrimSpace(version(c.Version) + " " + ch.Detail)
	}
	if c.Restarts > 0 {
		ch.Detail += " · " + plural(int(c.Restarts), "restart")
	}
	return ch
}

// ratio is ready/desired; a schedule keeps nothing running and has none, nor has a part of which only an API tells.
func ratio(c *store.Component) string {
	if c.Kind == "CronJob" || bodiless(c) {
		return ""
	}
	return strconv.Itoa(int(c.Ready)) + "/" + strconv.Itoa(int(c.Desired))
}

// bodiless reports whether a component runs nothing of its own in a cluster: only an API tells of it, it is an object that says something
// of the runner, or it is missing.
func bodiless(c *store.Component) bool {
	return c.Image == "" && c.Desired == 0 && c.Ready == 0
}

// restartable reports whether a component can be rolled out anew: a process that reports itself, a pod of its own and a schedule cannot.
func restartable(c *store.Component) bool {
	return (c.Kind == "Deployment" || c.Kind == "StatefulSet") && !bodiless(c)
}

// restarts words the restarts of a component's pods.
func restarts(c *store.Component) string {
	if bodiless(c) {
		return ""
	}
	return strconv.Itoa(int(c.Restarts))
}
