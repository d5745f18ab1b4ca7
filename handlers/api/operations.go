package api

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"trackside/store"
)

// Operation is one address of the API: the route table and the OpenAPI document are both made of these.
type Operation struct {
	Method, Path string
	// ID is the operation's name in generated clients; Summary, what it does.
	ID, Summary string
	// Need is the role it takes; Acts says that it changes something.
	Need store.Role
	Acts bool
	// NoHead says that a GET makes what it answers with, so that HEAD must not be the same.
	NoHead bool
	// Query and Header are the parameters beside those of the path.
	Query, Header []Param
	// Body is a value of the type that a request carries; nil for none.
	Body any
	// Status and Answer are those of success: a value of the type that is answered; nil for text of the type Type.
	Status int
	Answer any
	Type   string
	// Handler answers.
	Handler func(*API, echo.Context) error
}

// Param is a parameter of a query, or a header.
type Param struct {
	Name, Description string
	// Many says that it may be repeated; its values are alternatives.
	Many bool
}

const (
	typeJSON = echo.MIMEApplicationJSON
	typeCSV  = "text/csv"
	typeSSE  = "text/event-stream"
	typeSpec = "application/vnd.oai.openapi+json"
)

func many(name, description string) Param { return Param{name, description, true} }
func one(name, description string) Param  { return Param{name, description, false} }

var (
	whereParams = []Param{many("cluster", "The alias of a cluster."), many("system", "A runner system; one that nobody knows is 400."), many("namespace", "A Kubernetes namespace.")}
	fleetParams = slices.Concat(whereParams, []Param{many("health", "unhealthy, degraded, unknown, healthy or disabled; several with commas."),
		many("reason", "A reason of a failure; several with commas."), many("version", "A version, or none."), one("q", "Text in the name, namespace, why, or a component's name or image.")})
	failureParams = slices.Concat(whereParams, []Param{many("reason", "A reason of a failure; several with commas."), one("since", "How far back: 1h, 24h, 7d or 30d; 24h without it.")})
	findingParams = slices.Concat(whereParams, []Param{many("severity", "critical, warning or notice; several with commas."), many("code", "The code of a rule; several with commas.")})
	eventParams   = slices.Concat(whereParams, []Param{many("name", "A runner's name."), many("kind", "added, removed, health, state or version; several with commas."), many("health", "The health that holds from then on.")})
	pageParams    = []Param{one("before", "Transitions with a smaller number."), one("limit", "At most so many, from 1 to 1000; 100 without it.")}
	placeParams   = []Param{one("scope", "cluster or organization."), one("organization", "Whose workload it is."), one("labels", "KEY=VALUE, several with commas."),
		one("capabilities", "Several with commas."), one("cpu", "Such as 500m or 2."), one("memory", "Such as 512Mi."), one("gpu", "Such as 1.")}
	auditParams = []Param{one("since", "A day or an instant."), one("until", "An instant, or a day, which is meant whole."), one("by", "Who."), one("verb", "What."), one("q", "Text."),
		one("cluster", "Of the runner."), one("runner", "Its name."), one("before", "Entries with a smaller id.")}
	nameParams = []Param{one("cluster", "Chooses among runners of one name."), one("system", "Chooses among runners of one name."), one("namespace", "Chooses among runners of one name.")}
	planParams = []Param{one("note", "As in the body of the action."), one("until", "An instant."), one("for", "Such as 90m, 24h or 7d."), one("drain", "true or false."),
		one("target", "A component, or namespace/name of a workload."), one("incarnation", "The runner's as it was seen."), one("confirm", "The runner's name.")}
	keyParams    = []Param{one(keyHeader, "Makes repeats of a request one action; made up where it is absent, and answered.")}
	actParams    = []Param{one(keyHeader, keyParams[0].Description+" Restart needs it, and so does delete-workload without a UID.")}
	followParams = []Param{one("Last-Event-ID", "The number to go on after.")}
)

// Operations is every address of the API.
func Operations() []Operation {
	return slices.Concat(boardOperations(), listOperations(), kubiyaOperations())
}

const runnerPath = "/runners/:cluster/:system/:namespace/:name"

func boardOperations() []Operation {
	return []Operation{
		get("/api/openapi.json", "document", "This document.", store.Viewer, nil, nil, typeSpec, (*API).Document),
		get("/api/report", "report", "The fleet in numbers.", store.Viewer, nil, Report{}, typeJSON, (*API).Report),
		get("/api"+runnerPath, "runner", "One runner, with all that is known of it. A namespace of - is none.", store.Viewer, nil, Detail{}, typeJSON, (*API).Runner),
		get("/api/events", "events", "Transitions, latest first, by pages.", store.Viewer, slices.Concat(eventParams, pageParams), Events{}, typeJSON, (*API).Events),
		{Method: http.MethodGet, Path: "/api/stream", ID: "stream", Summary: "Transitions as they are recorded: Server-Sent Events named begins (Begins) and transition (Event), whose id is the transition's number.",
			Need: store.Viewer, Query: slices.Concat(eventParams, []Param{one("after", "As Last-Event-ID.")}), Header: followParams, Status: http.StatusOK, Type: typeSSE, Handler: (*API).Stream},
		{Method: http.MethodPost, Path: "/api" + runnerPath + "/actions/:verb", ID: "act", Summary: "Do something to a runner: disable, enable, delete, restart, delete-workload, probe or acknowledge.",
			Need: store.Operator, Acts: true, Header: actParams, Body: ActionBody{}, Status: http.StatusAccepted, Answer: Outcome{}, Type: typeJSON, Handler: (*API).Act},
		get("/api"+runnerPath+"/actions/:verb/plan", "planAction", "What an action would do; it changes nothing.", store.Viewer, planParams, Plan{}, typeJSON, (*API).PlanAction),
	}
}

func get(path, id, summary string, need store.Role, query []Param, answer any, contentType string, f func(*API, echo.Context) error) Operation {
	return Operation{Method: http.MethodGet, Path: path, ID: id, Summary: summary, Need: need, Query: query, Status: http.StatusOK, Answer: answer, Type: contentType, Handler: f}
}

// onlyGet is an operation without HEAD.
func onlyGet(o Operation) Operation {
	o.NoHead = true
	return o
}

// listOperations are the lists: behind /api, and beside the pages that show them as .json and .csv.
func listOperations() (out []Operation) {
	for _, l := range []struct {
		page, api, id, summary string
		need                   store.Role
		query                  []Param
		answer                 any
		handler                func(*API, echo.Context) error
	}{
		{"/runners", "/api/runners", "runners", "The fleet, in the order of its page.", store.Viewer, fleetParams, Runners{}, (*API).Runners},
		{"/failures", "/api/failures", "failures", "What fails, and what failed.", store.Viewer, failureParams, Failures{}, (*API).Failures},
		{"/findings", "/api/findings", "findings", "What makes green untrustworthy, or a failure likely.", store.Viewer, findingParams, Findings{}, (*API).Findings},
		{"/versions", "", "versions", "Which runner runs which versions.", store.Viewer, fleetParams, Versions{}, (*API).Versions},
		{"/place", "", "place", "Which runners could host a workload.", store.Viewer, placeParams, Placements{}, (*API).Place},
		{"/audit", "", "audit", "Who did what, newest first.", store.Operator, auditParams, Audit{}, (*API).Audit},
		{"/manifests", "", "manifests", "Links to manifests, newest first, without their addresses.", store.Operator, nil, ManifestLinkList{}, (*API).ManifestLinks},
		{"/tokens", "", "tokens", "Tokens of programs and wall screens, without what is secret of them.", store.Admin, nil, TokenList{}, (*API).Tokens},
	} {
		if l.api != "" {
			out = append(out, get(l.api, l.id, l.summary, l.need, l.query, l.answer, typeJSON, l.handler))
		}
		out = append(out, get(l.page+".json", l.id+"JSON", l.summary, l.need, l.query, l.answer, typeJSON, l.handler),
			get(l.page+".csv", l.id+"CSV", l.summary, l.need, l.query, nil, typeCSV, l.handler))
	}
	return out
}

// kubiyaOperations speak Kubiya's API. A name that stands for several runners is written in full, with its slashes escaped or not: the
// public clients escape nothing.
func kubiyaOperations() (out []Operation) {
	out = []Operation{
		get("/api/v3/runners", "kubiyaRunners", "Kubiya: all runners, of whatever system.", store.Viewer, fleetParams, []KubiyaRunner{}, typeJSON, (*API).KubiyaRunners),
		get("/api/v1/runners", "kubiyaRunnersV1", "Kubiya: the same for its older clients.", store.Viewer, fleetParams, []KubiyaRunner{}, typeJSON, (*API).KubiyaRunners),
	}
	for _, form := range []struct{ path, id string }{{":name", ""}, {":cluster/:system/:namespace/:name", "InFull"}} {
		v3, v1 := kubiyaV3+form.path, kubiyaV1+form.path
		out = append(out,
			get(v3+"/health", "kubiyaHealth"+form.id, "Kubiya: how a runner is.", store.Viewer, nameParams, KubiyaHealthCall{}, typeJSON, (*API).KubiyaHealth),
			get(v1+"/health", "kubiyaHealthV1"+form.id, "Kubiya: the same for its older clients.", store.Viewer, nameParams, KubiyaHealthCall{}, typeJSON, (*API).KubiyaHealth),
			get(v3+"/describe", "kubiyaDescribe"+form.id, "Kubiya: one runner.", store.Viewer, nameParams, KubiyaDetail{}, typeJSON, (*API).KubiyaDescribe),
			get(v1+"/describe", "kubiyaDescribeV1"+form.id, "Kubiya: the same for its older clients.", store.Viewer, nameParams, KubiyaDetail{}, typeJSON, (*API).KubiyaDescribe),
			onlyGet(get(v3+"/manifest", "kubiyaGetManifest"+form.id, "Kubiya: a link to a runner's manifest, for API tokens only.", store.Operator, nameParams, KubiyaURL{}, typeJSON, (*API).KubiyaGetManifest)),
			onlyGet(get(v1+"/manifest", "kubiyaGetManifestV1"+form.id, "Kubiya: the same for its older clients.", store.Operator, nameParams, KubiyaURL{}, typeJSON, (*API).KubiyaGetManifest)),
			Operation{Method: http.MethodPost, Path: v3, ID: "kubiyaManifest" + form.id, Summary: "Kubiya: a link to a runner's manifest. It makes no runner: an unknown name is 404.",
				Need: store.Operator, Acts: true, Query: nameParams, Status: http.StatusOK, Answer: KubiyaURL{}, Type: typeJSON, Handler: (*API).KubiyaManifest},
			Operation{Method: http.MethodDelete, Path: v3, ID: "kubiyaDelete" + form.id, Summary: "Kubiya: delete a runner.",
				Need: store.Operator, Acts: true, Query: nameParams, Header: keyParams, Status: http.StatusOK, Answer: Outcome{}, Type: typeJSON, Handler: (*API).KubiyaDelete},
		)
	}
	return out
}

// Problem is an error: RFC 9457 problem details. It is what every error of the API is, also where the answer would be a table.
type Problem struct {
	Type     string `json:"type" description:"about:blank: the status says what it is."`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail" description:"A sentence: what is so, and what to do; never blank."`
	Message  string `json:"message" description:"The same sentence, where Kubiya's clients look for it."`
	Instance string `json:"instance,omitempty" description:"The request's word in the board's log."`
	Runner   string `json:"runner,omitempty" description:"The runner that was asked for, in full where that is known."`
	// Near are references in full.
	Near []string `json:"near,omitempty" description:"Runners there are, in full: the choices, or those of a similar name."`
}
