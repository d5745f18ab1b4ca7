package views

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackside/store"
)

// maxPlacements is how many runners of one sort the page of places shows.
const maxPlacements = 100

// PlaceModel is `/place`: which runners could host a workload, and why each other one could not.
type PlaceModel struct {
	Frame Frame

	form     PlaceForm
	asked    bool
	groups   []placeGroup
	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
}

// PlaceForm is what was asked, as it was written.
type PlaceForm struct{ Scope, Organization, Labels, Capabilities, CPU, Memory, GPU string }

// placeGroup are the runners that fit, that may, or that do not.
type placeGroup struct {
	mark
	ID, Title string
	Items     []placeItem
	More      string
}

type placeItem struct {
	Href      string
	Name      name
	Place     string
	Step, Why string
	Offer     string
}

// ParseNeed reads what a workload asks for from a URL's query. What cannot be read is [store.ErrInvalid]. The form is what was written.
func ParseNeed(v url.Values) (n store.Need, form PlaceForm, err error) {
	get := func(key string) string { return strings.TrimSpace(v.Get(key)) }
	form = PlaceForm{get("scope"), get("organization"), get("labels"), get("capabilities"), get("cpu"), get("memory"), get("gpu")}
	for _, s := range []string{form.Scope, form.Organization, form.Labels, form.Capabilities, form.CPU, form.Memory, form.GPU} {
		if len(s) > 4*maxText {
			return n, form, fmt.Errorf("%w: an answer is longer than %d bytes", store.ErrInvalid, 4*maxText)
		}
	}
	if n.Scope, err = parseScope(form); err != nil {
		return n, form, err
	}
	if n.Labels, err = store.ParseLabels(form.Labels); err != nil {
		return n, form, err
	}
	n.Capabilities = store.ParseCapabilities(form.Capabilities)
	if len(n.Labels) > maxValues || len(n.Capabilities) > maxValues {
		return n, form, fmt.Errorf("%w: at most %d labels and capabilities can be asked for", store.ErrInvalid, maxValues)
	}
	n.Room, err = parseRoom(form)
	return n, form, err
}

func parseScope(form PlaceForm) (store.Scope, error) {
	switch {
	case form.Scope == store.ScopeOrganization && form.Organization == "":
		return store.Scope{}, fmt.Errorf("%w: name the organization whose workload it is", store.ErrInvalid)
	case form.Scope == store.ScopeOrganization:
		return store.Scope{Kind: form.Scope, Organization: form.Organization}, nil
	}
	return store.ParseScope(form.Scope)
}

func parseRoom(form PlaceForm) (r store.Room, err error) {
	if r.CPU, err = parseQuantity("CPU", form.CPU, map[string]float64{"m": 1, "": 1000}); err != nil {
		return r, err
	}
	if r.Memory, err = parseQuantity("memory", form.Memory, memoryUnits); err != nil {
		return r, err
	}
	r.GPU, err = parseQuantity("GPU", form.GPU, map[string]float64{"": 1})
	return r, err
}

// memoryUnits are those of Kubernetes' quantities.
var memoryUnits = map[string]float64{"": 1, "K": 1e3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}

// parseQuantity reads a number with a unit, as Kubernetes writes it: 500m, 1.5, 4Gi.
func parseQuantity(what, s string, units map[string]float64) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number := strings.TrimRight(s, "KkMmGTi")
	unit, known := units[s[len(number):]]
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) || v*unit > 1e17 {
		return 0, fmt.Errorf("%w: %s %q is not a quantity such as %s", store.ErrInvalid, what, store.Clean(s, 40), map[string]string{"CPU": "500m or 2", "memory": "512Mi or 4Gi", "GPU": "1"}[what])
	}
	return int64(math.Ceil(v * unit)), nil
}

// Encode writes the question as a canonical query.
func (f PlaceForm) Encode() string {
	v := url.Values{}
	for key, value := range map[string]string{"scope": f.Scope, "organization": f.Organization, "labels": f.Labels, "capabilities": f.Capabilities,
		"cpu": f.CPU, "memory": f.Memory, "gpu": f.GPU} {
		if value != "" {
			v.Set(key, value)
		}
	}
	return v.Encode()
}

// NewPlaceModel asks every runner; without a question it asks none.
func NewPlaceModel(s *store.Snapshot, n store.Need, form PlaceForm, now time.Time) PlaceModel {
	m := PlaceModel{form: form, asked: form != PlaceForm{}, now: now, snapshot: s, totals: totalLinks(s, store.Filter{})}
	if !m.asked {
		return m
	}
	yes := placeGroup{mark: mark{"h", "fits"}, ID: "yes", Title: "Could host it"}
	maybe := placeGroup{mark: mark{"k", "unknown"}, ID: "maybe", Title: "May host it: not all that was asked is known"}
	no := placeGroup{mark: mark{"x", "refused"}, ID: "no", Title: "Could not"}
	for _, p := range s.Place(n) {
		switch p.Fit {
		case store.FitYes:
			yes.add(p)
		case store.FitMaybe:
			maybe.add(p)
		case store.FitNo:
			no.add(p)
		}
	}
	m.groups = []placeGroup{yes, maybe, no}
	for i := range m.groups {
		g := &m.groups[i]
		if over := len(g.Items) - maxPlacements; over > 0 {
			g.Items, g.More = g.Items[:maxPlacements], plural(over, "more runner")+" not shown."
		}
	}
	return m
}

func (g *placeGroup) add(p store.Placement) {
	g.Items = append(g.Items, placeItem{Href: p.Runner.Ref.Path(), Name: newName(p.Runner.Ref.Name), Place: place(p.Runner.Ref), Step: string(p.Step),
		Why: store.Clean(p.Why, lineLimit), Offer: offerText(p.Runner.Offer)})
}

// offerText words what a runner says of itself.
func offerText(o store.Offer) string {
	var out []string
	if o.Scope.Kind != "" {
		out = append(out, "scope "+o.Scope.String())
	}
	if o.Labels != nil {
		pairs := make([]string, len(o.Labels))
		for i, l := range o.Labels {
			pairs[i] = l.Key + "=" + l.Value
		}
		out = append(out, orNothing("labels", pairs))
	}
	if o.Capabilities != nil {
		out = append(out, orNothing("capabilities", o.Capabilities))
	}
	if room := o.Room.String(); room != "" {
		out = append(out, room)
	}
	return store.Clean(strings.Join(out, " · "), lineLimit)
}

func orNothing(what string, list []string) string {
	if len(list) == 0 {
		return "no " + what
	}
	return what + " " + strings.Join(list, ", ")
}

// scopes are the choices of the form.
func (f PlaceForm) scopes() []option {
	return []option{{"", "any", f.Scope == ""}, {store.ScopeCluster, "the cluster's", f.Scope == store.ScopeCluster},
		{store.ScopeOrganization, "an organization's", strings.HasPrefix(f.Scope, store.ScopeOrganization)}}
}

func (m PlaceModel) shell() shell {
	return shell{Frame: m.Frame, Title: "Place · Trackside", Icon: IconURL(m.snapshot.Totals()), Stream: insightURL("/place/stream", m.form.Encode()), Now: m.now, Class: classPlace}
}

// PlaceTouched reports whether a change may have changed an answer of `/place`.
func PlaceTouched(c store.Change) bool {
	if c.Before == nil || c.After == nil {
		return true
	}
	return !c.Before.Offer.Equal(c.After.Offer) || c.Before.Health != c.After.Health || c.Before.Observed != c.After.Observed || c.Before.Requested != c.After.Requested
}

// stepWords says of which step a refusal is; the order is agyn's.
func stepWords(step string) string {
	i := slices.Index(store.Steps(), store.Step(step))
	if i < 0 {
		return ""
	}
	return strconv.Itoa(i+1) + " " + step
}
