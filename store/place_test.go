package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trackside/store"
)

func TestPlaceAsksInOrder(t *testing.T) {
	acme := store.Scope{Kind: store.ScopeOrganization, Organization: "acme"}
	whole := store.Scope{Kind: store.ScopeCluster}
	full := store.Offer{Scope: whole, Labels: []store.Label{{Key: "region", Value: "eu"}}, Capabilities: []string{"docker", "gvisor"}, Room: store.Room{CPU: 4000, Memory: 8 << 30, GPU: 1}}
	need := store.Need{Scope: acme, Labels: []store.Label{{Key: "region", Value: "eu"}}, Capabilities: []string{"docker"}, Room: store.Room{CPU: 2000, Memory: 1 << 30, GPU: 1}}
	for _, c := range []struct {
		name   string
		change func(*store.Runner, *store.Need)
		fit    store.Fit
		step   store.Step
		why    string
	}{
		{"all of it", func(*store.Runner, *store.Need) {}, store.FitYes, "", "It offers all"},
		{"its own organization", func(r *store.Runner, _ *store.Need) { r.Offer.Scope = acme }, store.FitYes, "", ""},
		{"another organization", func(r *store.Runner, _ *store.Need) {
			r.Offer.Scope.Kind, r.Offer.Scope.Organization = store.ScopeOrganization, "umbrella"
		},
			store.FitNo, store.StepScope, "organization umbrella, not of acme"},
		{"an organization for the cluster's", func(r *store.Runner, n *store.Need) { r.Offer.Scope, n.Scope = acme, whole }, store.FitNo, store.StepScope, "acme only"},
		{"scope before labels", func(r *store.Runner, n *store.Need) {
			r.Offer.Scope, n.Scope, r.Offer.Labels = acme, whole, []store.Label{}
		}, store.FitNo, store.StepScope, ""},
		{"no such label", func(r *store.Runner, _ *store.Need) { r.Offer.Labels = []store.Label{} }, store.FitNo, store.StepLabels, "no label region"},
		{"another value", func(r *store.Runner, _ *store.Need) { r.Offer.Labels[0].Value = "us" }, store.FitNo, store.StepLabels, "Its label region is us; eu is asked"},
		{"labels before capabilities", func(r *store.Runner, _ *store.Need) { r.Offer.Labels[0].Value, r.Offer.Capabilities = "us", []string{} }, store.FitNo, store.StepLabels, ""},
		{"no capability", func(r *store.Runner, _ *store.Need) { r.Offer.Capabilities = []string{} }, store.FitNo, store.StepCapabilities, "lacks the capability docker; it has none"},
		{"another capability", func(r *store.Runner, _ *store.Need) { r.Offer.Capabilities = []string{"gvisor"} }, store.FitNo, store.StepCapabilities, "it has gvisor"},
		{"too much CPU", func(_ *store.Runner, n *store.Need) { n.Room.CPU = 4500 }, store.FitNo, store.StepRequests, "4.5 CPU are asked, and it has 4 CPU"},
		{"too much of two", func(_ *store.Runner, n *store.Need) { n.Room.Memory, n.Room.GPU = 9<<30, 2 }, store.FitNo, store.StepRequests, "9 GiB memory are asked, and it has 8 GiB memory for a workload; 2 GPU"},
		{"out of service", func(r *store.Runner, _ *store.Need) { r.Observed = store.Disabled }, store.FitNo, store.StepService, "out of service"},
		{"down", func(r *store.Runner, _ *store.Need) { r.Health = store.Unhealthy }, store.FitNo, store.StepService, "unhealthy"},
		{"nobody knows how it is", func(r *store.Runner, _ *store.Need) { r.Health = store.Unknown }, store.FitMaybe, store.StepService, "It offers all that was asked. Whether it works now is not known."},
		{"silent, and nobody knows how it is", func(r *store.Runner, _ *store.Need) { r.Health, r.Offer.Capabilities = store.Unknown, nil }, store.FitMaybe, store.StepCapabilities, "of its capabilities. Whether it works now is not known."},
		{"silent of its capabilities", func(r *store.Runner, _ *store.Need) { r.Offer.Capabilities = nil }, store.FitMaybe, store.StepCapabilities, "It says nothing of its capabilities."},
		{"silent of everything", func(r *store.Runner, _ *store.Need) { r.Offer = store.Offer{} }, store.FitMaybe, store.StepScope, "It says nothing of its scope, labels, capabilities, CPU, memory and GPUs."},
		{"silent, and refusing", func(r *store.Runner, _ *store.Need) { r.Offer.Scope, r.Offer.Labels = store.Scope{}, []store.Label{} }, store.FitNo, store.StepLabels, ""},
		{"nothing is asked of one that is silent", func(r *store.Runner, n *store.Need) { r.Offer, *n = store.Offer{}, store.Need{} }, store.FitYes, "", ""},
	} {
		r, n := runner("a", store.Healthy), need
		r.Offer = full
		r.Offer.Labels = append([]store.Label(nil), full.Labels...)
		c.change(r, &n)
		ps := store.NewSnapshot([]*store.Runner{r}, nil, time.Time{}).Place(n)
		if p := ps[0]; p.Fit != c.fit || p.Step != c.step || !strings.Contains(p.Why, c.why) {
			t.Errorf("%s: %v at %q: %s", c.name, p.Fit, p.Step, p.Why)
		}
	}
}

func TestPlacesThatFitComeFirst(t *testing.T) {
	var rs []*store.Runner
	for name, offer := range map[string]store.Offer{"a-wrong-scope": {Scope: store.Scope{Kind: store.ScopeOrganization, Organization: "x"}},
		"b-wrong-capability": {Scope: store.Scope{Kind: store.ScopeCluster}, Capabilities: []string{}}, "c-silent": {},
		"d-fits": {Scope: store.Scope{Kind: store.ScopeCluster}, Capabilities: []string{"docker"}}} {
		r := runner(name, store.Healthy)
		r.Offer = offer
		rs = append(rs, r)
	}
	var names []string
	for _, p := range store.NewSnapshot(rs, nil, time.Time{}).Place(store.Need{Scope: store.Scope{Kind: store.ScopeCluster}, Capabilities: []string{"docker"}}) {
		names = append(names, p.Runner.Ref.Name)
	}
	if got := strings.Join(names, " "); got != "d-fits c-silent b-wrong-capability a-wrong-scope" {
		t.Error(got)
	}
}

func TestParseOffers(t *testing.T) {
	for text, want := range map[string]string{"": "", "cluster": "cluster", "organization/acme": "organization/acme", " organization=acme ": "organization/acme", "organization:a/b": "organization/a/b"} {
		if s, err := store.ParseScope(text); err != nil || s.String() != want {
			t.Errorf("%q: %s, %v", text, s, err)
		}
	}
	for _, text := range []string{"acme", "organization", "organization/", "cluster/x"} {
		if _, err := store.ParseScope(text); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	ls, err := store.ParseLabels("b=2, a=1,a=1\nc")
	if err != nil || len(ls) != 3 || ls[0] != (store.Label{Key: "a", Value: "1"}) || ls[2] != (store.Label{Key: "c"}) {
		t.Errorf("%v, %v", ls, err)
	}
	if ls, err := store.ParseLabels(" "); err != nil || ls == nil || len(ls) != 0 {
		t.Errorf("%v, %v", ls, err)
	}
	for _, text := range []string{"=x", "a=1,a=2"} {
		if _, err := store.ParseLabels(text); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if cs := store.ParseCapabilities("b,a,,b"); strings.Join(cs, " ") != "a b" {
		t.Error(cs)
	}
	if cs := store.ParseCapabilities(""); cs == nil {
		t.Error("none is not the same as nothing said")
	}
	for room, want := range map[store.Room]string{{}: "", {CPU: 250}: "0.25 CPU", {Memory: 1536 << 20, GPU: 2}: "1.5 GiB memory, 2 GPU", {CPU: 100000}: "100 CPU"} {
		if room.String() != want {
			t.Errorf("%+v: %q", room, room)
		}
	}
}

func TestAnOfferFillsInWhatAnotherDoesNotSay(t *testing.T) {
	written := store.Offer{Scope: store.Scope{Kind: store.ScopeCluster}, Capabilities: []string{}}
	said := store.Offer{Scope: store.Scope{Kind: store.ScopeOrganization, Organization: "acme"}, Labels: []store.Label{{Key: "zone", Value: "eu"}},
		Capabilities: []string{"docker"}, Room: store.Room{GPU: 1}}
	got := written.Or(said)
	want := store.Offer{Scope: written.Scope, Labels: said.Labels, Capabilities: []string{}, Room: said.Room}
	if !got.Equal(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got = (store.Offer{}).Or(said); !got.Equal(said) {
		t.Errorf("an empty offer becomes %+v", got)
	}
	r := store.Join(&store.Runner{Offer: written}, []store.Testimony{{Offer: said}}, noon)
	if !r.Offer.Equal(want) {
		t.Errorf("joined: %+v", r.Offer)
	}
}
