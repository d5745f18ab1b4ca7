package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/store/versions"
	"trackside/views"
)

// Head begins every list.
type Head struct {
	Rev   uint64    `json:"rev" description:"The revision of the board's data; it counts from 1 and begins anew when the program does."`
	At    time.Time `json:"at" description:"When that was made."`
	Stale []string  `json:"stale" description:"Why something in it may no longer be so; empty while every source is heard."`
	Total int       `json:"total" description:"Runners there are."`
}

func (s shown) head() Head {
	h := Head{Rev: s.Rev, At: utc(s.At), Stale: []string{}, Total: s.Len()}
	for i := range s.Sources {
		if why := s.stales[s.Sources[i].Cluster]; why != "" && !slices.Contains(h.Stale, why) {
			h.Stale = append(h.Stale, why)
		}
	}
	return h
}

// Runners is the fleet, or the part of it that the filter lets through, in the order of the page.
type Runners struct {
	Head
	Shown   int      `json:"shown"`
	Runners []Runner `json:"runners"`
}

type runnersHead struct {
	Head
	Shown int `json:"shown"`
}

var runnerColumns = []string{"cluster", "system", "namespace", "name", "health", "reason", "why", "since", "version", "requested", "observed",
	"components", "workloads", "failing", "findings", "stale", "path"}

// Runners is GET /api/runners, /runners.json and /runners.csv: it takes the query of the fleet's page.
func (a *API) Runners(c echo.Context) error {
	s := a.shown()
	f, err := a.fleet(c, s.Snapshot)
	if err != nil {
		return err
	}
	rows := s.Select(f)
	l, err := a.list(c, runnersHead{s.head(), len(rows)}, "runners", "runners", runnerColumns)
	if err != nil {
		return err
	}
	for _, r := range rows {
		x := s.runner(r)
		l.row(x, func() []string {
			return []string{x.Cluster, x.System, x.Namespace, x.Name, x.Health, x.Reason, x.Why, timeCell(x.Since), x.Version, x.Requested, x.Observed,
				strconv.Itoa(len(x.Components)), strconv.Itoa(x.Workloads), strconv.Itoa(x.Failing), strconv.Itoa(x.FindingCount), x.Stale, x.Path}
		})
	}
	return l.end()
}

// Runner is GET /api/runners/{cluster}/{system}/{namespace}/{name}.
func (a *API) Runner(c echo.Context) error {
	ref, _, err := refOf(c, runnersPrefix)
	if err != nil {
		return err
	}
	s := a.shown()
	r, err := s.Runner(ref)
	if err != nil {
		return noRunner(err, s.Snapshot, ref)
	}
	return answer(c, http.StatusOK, s.detail(r))
}

// Failure is a failure of a workload or a component.
type Failure struct {
	ID        string `json:"id,omitempty" description:"Of its permalink; absent where no evidence was taken."`
	Cluster   string `json:"cluster"`
	System    string `json:"system"`
	Namespace string `json:"namespace"`
	Name      string `json:"name" description:"The runner's."`
	Path      string `json:"path" description:"The failure's page, or the runner's where it has none."`
	Component string `json:"component,omitempty"`
	Workload  string `json:"workload" description:"Namespace/name of the pod, or of the component's object."`
	Verdict
	At          time.Time `json:"at,omitzero" description:"When it was seen."`
	Now         bool      `json:"now" description:"It goes on."`
	Image       string    `json:"image,omitempty"`
	Node        string    `json:"node,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty" description:"The message without what differs from one failure to the next."`
}

// Failures are those of the time that is asked for, those that go on first.
type Failures struct {
	FailuresHead
	Failures []Failure `json:"failures"`
}

// FailuresHead begins a list of failures.
type FailuresHead struct {
	Head
	Since   time.Time `json:"since" description:"How far back the list goes."`
	More    bool      `json:"more" description:"There were more than are listed."`
	Problem string    `json:"problem,omitempty" description:"Why the past is missing."`
}

// maxFailures is how many of the past one list holds.
const maxFailures = 10_000

// maxOlderFailures is how many failures of a runner are looked through for one that goes on from before the time that is asked for.
const maxOlderFailures = 200

var failureColumns = []string{"id", "cluster", "system", "namespace", "name", "component", "workload", "reason", "raw", "why", "message", "container",
	"at", "now", "image", "node", "fingerprint", "path"}

// Failures is GET /api/failures, /failures.json and /failures.csv: it takes the query of the page of failures.
func (a *API) Failures(c echo.Context) error {
	s := a.shown()
	v, err := query(c)
	if err != nil {
		return err
	}
	q, err := views.ParseFailures(v)
	if err != nil {
		return err
	}
	if err := a.checkSystems(store.Filter{Systems: q.Filter.Systems}, s.Snapshot); err != nil {
		return err
	}
	h := FailuresHead{Head: s.head(), Since: s.now.Add(-q.Since).UTC()}
	past := a.pastFailures(c.Request().Context(), s, q, &h)
	l, err := a.list(c, h, "failures", "failures", failureColumns)
	if err != nil {
		return err
	}
	items := views.JoinFailures(s.Snapshot, q, past)
	for i := range items {
		x := failureOf(&items[i])
		l.row(x, x.cells)
	}
	return l.end()
}

func (a *API) pastFailures(ctx context.Context, s shown, q views.FailuresQuery, h *FailuresHead) []store.Evidence {
	if a.o.Failures == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	past, more, err := a.o.Failures.Failures(ctx, q.At(s.now), maxFailures)
	if err != nil {
		h.Problem = "What failed before cannot be read just now; what fails at present is here."
		a.o.Log.Warn("the failures of the past cannot be read", "error", store.ErrorText(err))
		return past
	}
	h.More = more
	return append(past, views.OlderEvidence(s.Snapshot, q, past, func(ref store.Ref) ([]store.Evidence, error) {
		return a.o.Failures.EvidenceOf(ctx, ref, time.Time{}, maxOlderFailures)
	})...)
}

func failureOf(it *views.FailureItem) Failure {
	e := &it.Evidence
	f := Failure{ID: e.ID, Cluster: e.Ref.Cluster, System: e.Ref.System, Namespace: e.Ref.Namespace, Name: e.Ref.Name, Path: e.Ref.Path(), Component: e.Component,
		Workload: e.Namespace + "/" + e.Name, Verdict: verdictOf(e.Verdict), At: utc(e.At), Now: it.Now, Image: e.Image, Node: e.Node, Fingerprint: e.Fingerprint}
	if e.ID != "" {
		f.Path = views.FailurePath(e.ID)
	}
	return f
}

func (f Failure) cells() []string {
	return []string{f.ID, f.Cluster, f.System, f.Namespace, f.Name, f.Component, f.Workload, f.Reason, f.Raw, f.Why, f.Message, f.Container,
		timeCell(f.At), strconv.FormatBool(f.Now), f.Image, f.Node, f.Fingerprint, f.Path}
}

// Findings are what makes green untrustworthy or a failure likely, by runner, worst first. Accepted ones are among them, and say so.
type Findings struct {
	Head
	Findings []Finding `json:"findings"`
}

var findingColumns = []string{"cluster", "system", "namespace", "name", "severity", "code", "object", "field", "why", "fix", "accepted_until", "note", "path"}

// Findings is GET /api/findings, /findings.json and /findings.csv: it takes the query of the page of findings.
func (a *API) Findings(c echo.Context) error {
	s := a.shown()
	v, err := query(c)
	if err != nil {
		return err
	}
	f, err := views.ParseFindingQuery(v)
	if err != nil {
		return err
	}
	if err := a.checkSystems(f.Fleet, s.Snapshot); err != nil {
		return err
	}
	l, err := a.list(c, s.head(), "findings", "findings", findingColumns)
	if err != nil {
		return err
	}
	views.EachFinding(s.Snapshot, s.newest, f, func(r *store.Runner, f *store.Finding) {
		x := s.finding(r, f)
		l.row(x, func() []string {
			return []string{x.Cluster, x.System, x.Namespace, x.Name, x.Severity, x.Code, x.Object, x.Field, x.Why, x.Fix, timeCell(x.Accepted), x.Note, x.Path}
		})
	})
	return l.end()
}

// VersionUse is a part of a runner with the version it runs.
type VersionUse struct {
	Cluster   string `json:"cluster"`
	System    string `json:"system"`
	Namespace string `json:"namespace"`
	Name      string `json:"name" description:"The runner's."`
	Path      string `json:"path"`
	Component string `json:"component,omitempty" description:"Absent for the runner itself."`
	Image     string `json:"image,omitempty" description:"The last part of the image's name."`
	Version   string `json:"version,omitempty"`
	Newest    string `json:"newest,omitempty" description:"The newest that any runner of the same program runs."`
	Behind    bool   `json:"behind"`
	// Updated and Pods count during a roll-out.
	Updated int `json:"updated" description:"Pods that run the image that their object names."`
	Pods    int `json:"pods"`
}

// Versions are the versions that run, by runner.
type Versions struct {
	Head
	Versions []VersionUse `json:"versions"`
}

var versionColumns = []string{"cluster", "system", "namespace", "name", "component", "image", "version", "newest", "behind", "updated", "pods", "path"}

// Versions is GET /versions.json and /versions.csv. It takes the query of the fleet's page.
func (a *API) Versions(c echo.Context) error {
	s := a.shown()
	f, err := a.fleet(c, s.Snapshot)
	if err != nil {
		return err
	}
	l, err := a.list(c, s.head(), "versions", "versions", versionColumns)
	if err != nil {
		return err
	}
	for r := range s.Runners() {
		if !f.Match(r) {
			continue
		}
		for _, u := range versions.Of(r) {
			x := s.use(u)
			l.row(x, func() []string {
				return []string{x.Cluster, x.System, x.Namespace, x.Name, x.Component, x.Image, x.Version, x.Newest, strconv.FormatBool(x.Behind),
					strconv.Itoa(x.Updated), strconv.Itoa(x.Pods), x.Path}
			})
		}
	}
	return l.end()
}

func (s shown) use(u versions.Use) VersionUse {
	ref := u.Runner.Ref
	x := VersionUse{Cluster: ref.Cluster, System: ref.System, Namespace: ref.Namespace, Name: ref.Name, Path: ref.Path(), Component: u.Part().Component,
		Image: u.Line.Image, Version: u.Version, Newest: s.newest[u.Line], Behind: s.newest.Behind(u)}
	x.Updated, x.Pods = u.Rollout()
	return x
}

// Placement says whether a runner could host a workload.
type Placement struct {
	Cluster   string `json:"cluster"`
	System    string `json:"system"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Path      string `json:"path"`
	Fit       string `json:"fit" enum:"yes,maybe,no"`
	Step      string `json:"step,omitempty" enum:"scope,labels,capabilities,requests,service" description:"The first that refuses it, or that it says nothing of."`
	Why       string `json:"why"`
	Offer     Offer  `json:"offer"`
}

// Placements are all runners, those that fit first; none when nothing is asked.
type Placements struct {
	Head
	Asked      bool        `json:"asked"`
	Placements []Placement `json:"placements"`
}

type placementsHead struct {
	Head
	Asked bool `json:"asked"`
}

var placementColumns = []string{"cluster", "system", "namespace", "name", "fit", "step", "why", "path"}

var fitWords = map[store.Fit]string{store.FitYes: "yes", store.FitMaybe: "maybe", store.FitNo: "no"}

// Place is GET /place.json and /place.csv: it takes the query of that page.
func (a *API) Place(c echo.Context) error {
	s := a.shown()
	v, err := query(c)
	if err != nil {
		return err
	}
	need, form, err := views.ParseNeed(v)
	if err != nil {
		return err
	}
	asked := form != views.PlaceForm{}
	l, err := a.list(c, placementsHead{s.head(), asked}, "placements", "place", placementColumns)
	if err != nil {
		return err
	}
	if asked {
		for _, p := range s.Place(need) {
			ref := p.Runner.Ref
			x := Placement{Cluster: ref.Cluster, System: ref.System, Namespace: ref.Namespace, Name: ref.Name, Path: ref.Path(), Fit: fitWords[p.Fit], Step: string(p.Step),
				Why: p.Why, Offer: offerOf(p.Runner.Offer)}
			l.row(x, func() []string {
				return []string{x.Cluster, x.System, x.Namespace, x.Name, x.Fit, x.Step, x.Why, x.Path}
			})
		}
	}
	return l.end()
}

// Entry is one line of the audit.
type Entry struct {
	ID        int64     `json:"id"`
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Role      string    `json:"role"`
	Via       string    `json:"via,omitempty"`
	Token     string    `json:"token,omitempty" description:"The id of the API token that was used."`
	Verb      string    `json:"verb"`
	Cluster   string    `json:"cluster,omitempty"`
	System    string    `json:"system,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name,omitempty" description:"The runner's; absent where it is about none."`
	Object    string    `json:"object,omitempty"`
	Note      string    `json:"note,omitempty"`
	Before    string    `json:"before,omitempty"`
	After     string    `json:"after,omitempty"`
	Result    string    `json:"result,omitempty" enum:"done,refused,failed" description:"Absent while it is under way."`
	Problem   string    `json:"problem,omitempty"`
	Ended     time.Time `json:"ended,omitzero"`
}

// Audit is who did what, newest first.
type Audit struct {
	Entries []Entry `json:"entries"`
}

var entryColumns = []string{"id", "at", "by", "role", "via", "verb", "cluster", "system", "namespace", "name", "object", "note", "before", "after", "result", "problem", "ended"}

// auditPage is how many entries are read at once.
const auditPage = 500

// Audit is GET /audit.json and /audit.csv: all entries that the filter selects, read page by page.
func (a *API) Audit(c echo.Context) error {
	f, err := auditFilter(c)
	if err != nil {
		return err
	}
	var page []store.Entry
	if a.o.Audit != nil {
		if page, err = a.o.Audit.Entries(c.Request().Context(), f, auditPage); err != nil {
			return err
		}
	}
	l, err := a.list(c, struct{}{}, "entries", "audit", entryColumns)
	if err != nil {
		return err
	}
	for len(page) > 0 && l.w.err == nil {
		for i := range page {
			x := entryOf(&page[i])
			l.row(x, x.cells)
		}
		if f.Before = page[len(page)-1].ID; len(page) < auditPage {
			break
		}
		if page, err = a.o.Audit.Entries(c.Request().Context(), f, auditPage); err != nil {
			return a.broken(c, "audit", err)
		}
	}
	return l.end()
}

// broken ends an answer that had begun and cannot go on: cutting the connection is the one way to say so.
func (a *API) broken(c echo.Context, what string, err error) error {
	if c.Request().Context().Err() == nil {
		a.o.Log.Warn("a list could not be read to its end", "list", what, "error", store.ErrorText(err))
	}
	panic(http.ErrAbortHandler)
}

func entryOf(e *store.Entry) Entry {
	return Entry{ID: e.ID, At: utc(e.At), By: e.By.Name, Role: e.By.Role.String(), Via: string(e.By.Via), Token: e.By.Token, Verb: e.Verb, Cluster: e.Ref.Cluster,
		System: e.Ref.System, Namespace: e.Ref.Namespace, Name: e.Ref.Name, Object: e.Object, Note: e.Note, Before: e.Before, After: e.After, Result: e.Result,
		Problem: e.Problem, Ended: utc(e.Ended)}
}

func (e Entry) cells() []string {
	return []string{strconv.FormatInt(e.ID, 10), timeCell(e.At), e.By, e.Role, e.Via, e.Verb, e.Cluster, e.System, e.Namespace, e.Name, e.Object, e.Note, e.Before,
		e.After, e.Result, e.Problem, timeCell(e.Ended)}
}

// auditFilter reads the query of the page of the audit.
func auditFilter(c echo.Context) (store.EntryFilter, error) {
	q, err := query(c)
	if err != nil {
		return store.EntryFilter{}, err
	}
	return views.ParseAudit(q)
}
