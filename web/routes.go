package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/handlers/api"
	"trackside/static"
	"trackside/store"
)

// routing is what the routes and their middleware need.
type routing struct {
	handlers *handlers.Handlers
	api      *api.API
	log      *slog.Logger
	metrics  *metrics
	version  string
	hosts    hosts
}

// router makes the handler of these routes.
func router(rt routing, all []Route) http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = rt.answerError
	// From the outside in. All of it comes before routing, so that an address without a route gets it too.
	e.Pre(rt.identify, rt.record, rt.recoverPanic, secure, rt.checkHost, crossOrigin(), rt.recognise)
	for _, r := range all {
		f := allow(r.Need, r.handler)
		if r.Acts {
			f = fromHere(f)
		}
		e.Match(r.Methods, r.Path, f)
	}
	return http.MaxBytesHandler(e, maxBody)
}

// Route is one address of the board: who may ask for it, and what answers.
type Route struct {
	Methods []string
	Path    string
	// Need is the role that it takes. Nobody is for what is open to all: what signing in needs, and what carries a secret of its own, such
	// as a runner's token or a manifest's link.
	Need store.Role
	// Acts says that it changes something.
	Acts    bool
	handler echo.HandlerFunc
}

// read is a route that only reads, and write one that changes something.
func read(need store.Role, path string, f echo.HandlerFunc) Route {
	return Route{Methods: []string{http.MethodGet, http.MethodHead}, Path: path, Need: need, handler: f}
}

func write(need store.Role, method, path string, f echo.HandlerFunc) Route {
	return Route{Methods: []string{method}, Path: path, Need: need, Acts: true, handler: f}
}

const runnerPath = "/runners/:cluster/:system/:namespace/:name"

// Routes is every address the board answers, for tests of who may ask for which.
func (s *Server) Routes() []Route { return routes(s.handlers, s.api) }

// routes is every address the board answers.
func routes(h *handlers.Handlers, a *api.API) []Route {
	all := [][]Route{pages(h), acts(h), assets(h), programs(a)}
	if h.HasAccounts() {
		all = append(all, signing(h))
	}
	if h.WritesManifests() {
		all = append(all, manifests(h))
	}
	if h.TakesReports() {
		all = append(all, reports(h))
	}
	return slices.Concat(all...)
}

// pages are for people.
func pages(h *handlers.Handlers) []Route {
	return []Route{
		read(store.Viewer, "/", h.Fleet),
		read(store.Viewer, "/stream", h.FleetStream),
		read(store.Viewer, runnerPath, h.Runner),
		read(store.Viewer, runnerPath+"/stream", h.RunnerStream),
		read(store.Viewer, "/failures", h.FailureList),
		read(store.Viewer, "/failures/stream", h.FailureListStream),
		read(store.Viewer, "/failures/:id", h.Failure),
		read(store.Viewer, "/failures/:id/stream", h.FailureStream),
		read(store.Viewer, "/board", h.Board),
		read(store.Viewer, "/board/stream", h.BoardStream),
		read(store.Viewer, "/findings", h.Findings),
		read(store.Viewer, "/findings/stream", h.FindingsStream),
		write(store.Operator, http.MethodPost, "/findings/accept", h.AcceptFinding),
		write(store.Operator, http.MethodPost, "/findings/withdraw", h.WithdrawAcceptance),
		read(store.Viewer, "/versions", h.Versions),
		read(store.Viewer, "/versions/stream", h.VersionsStream),
		read(store.Viewer, "/place", h.Place),
		read(store.Viewer, "/place/stream", h.PlaceStream),
	}
}

// acts is what operators do, and the record of it. Whoever may look may look at what an action would do.
func acts(h *handlers.Handlers) []Route {
	return []Route{
		read(store.Viewer, runnerPath+"/actions", h.ActionMenu),
		read(store.Viewer, runnerPath+"/actions/:verb", h.Action),
		write(store.Operator, http.MethodPost, runnerPath+"/actions/:verb", h.Act),
		read(store.Viewer, "/actions", h.BulkMenu),
		read(store.Viewer, "/actions/:verb", h.Bulk),
		write(store.Operator, http.MethodPost, "/actions/:verb", h.ActOnMany),
		read(store.Operator, "/audit", h.AuditPage),
	}
}

// manifests are where manifests are written, and handed out. A link's token is its own secret.
func manifests(h *handlers.Handlers) []Route {
	return []Route{
		read(store.Operator, "/manifests", h.ManifestLinkList),
		read(store.Operator, "/manifests/new", h.NewManifest),
		read(store.Operator, "/manifests/archive", h.ArchiveManifests),
		write(store.Operator, http.MethodPost, "/manifests/preview", h.PreviewManifest),
		write(store.Operator, http.MethodPost, "/manifests/download", h.DownloadManifest),
		write(store.Operator, http.MethodPost, "/manifests/apply", h.ApplyManifest),
		write(store.Operator, http.MethodPost, "/manifests/links", h.MakeManifestLink),
		write(store.Operator, http.MethodPost, "/manifests/links/:id/revoke", h.RevokeManifestLink),
		read(store.Nobody, "/m/:file", h.ManifestByLink),
	}
}

// assets are what pages are made of; they tell nothing.
func assets(h *handlers.Handlers) []Route {
	return []Route{
		read(store.Nobody, iconPath, h.Icon),
		read(store.Nobody, static.Prefix+"*", echo.WrapHandler(static.Handler())),
	}
}

// reports is where runners report themselves: Plue's four calls, and the control channel. Each call carries a token of its own.
func reports(h *handlers.Handlers) []Route {
	return []Route{
		write(store.Nobody, http.MethodPost, "/internal/runners/register", h.RegisterRunner),
		write(store.Nobody, http.MethodPost, "/internal/runners/:pod/heartbeat", h.Heartbeat),
		write(store.Nobody, http.MethodPost, "/internal/tasks", h.QueueTask),
		write(store.Nobody, http.MethodPost, "/internal/tasks/:id/stream", h.TaskEvent),
		write(store.Nobody, http.MethodPost, "/internal/tasks/:id/complete", h.CompleteTask),
		{Methods: []string{http.MethodGet}, Path: "/internal/runners/:id/control", Acts: true, handler: h.ControlChannel},
		write(store.Nobody, http.MethodPost, "/internal/runners/:id/control/ack", h.AcknowledgeCommand),
		write(store.Nobody, http.MethodPost, "/internal/runners/:id/enable", h.AskRunner(store.Enabled)),
		write(store.Nobody, http.MethodPost, "/internal/runners/:id/disable", h.AskRunner(store.Disabled)),
		write(store.Nobody, http.MethodPost, "/internal/runners/:id/delete", h.AskRunner(store.Deleting)),
	}
}

// signing is where people sign in and out, and where tokens are made.
func signing(h *handlers.Handlers) []Route {
	return []Route{
		read(store.Nobody, "/signin", h.SignInPage),
		write(store.Nobody, http.MethodPost, "/signin", h.SignIn),
		read(store.Nobody, "/signin/provider", h.SignInAtProvider),
		read(store.Nobody, "/signin/callback", h.SignInFromProvider),
		write(store.Nobody, http.MethodPost, "/signout", h.SignOut),
		read(store.Admin, "/tokens", h.Tokens),
		write(store.Admin, http.MethodPost, "/tokens", h.MakeToken),
		write(store.Admin, http.MethodPost, "/tokens/:id/revoke", h.RevokeToken),
	}
}

// programs are for programs: the board's own API, its lists as JSON and CSV, and Kubiya's API.
func programs(a *api.API) (out []Route) {
	for _, o := range api.Operations() {
		r := read(o.Need, o.Path, func(c echo.Context) error { return o.Handler(a, c) })
		if r.Acts = o.Acts; o.Method != http.MethodGet || o.NoHead {
			r.Methods = []string{o.Method}
		}
		out = append(out, r)
	}
	return out
}

// allow lets through who has the role that a route needs.
func allow(need store.Role, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p := handlers.PersonOf(c)
		switch {
		case p.Role.May(need):
			return next(c)
		case p.Role == store.Nobody && p.Name != "":
			return fmt.Errorf("%w: this takes the role %s, and no group of %s has a role on this board", store.ErrForbidden, need, store.Clean(p.Name, 100))
		case p.Role == store.Nobody || p.Via == store.ViaNone:
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, handlers.Challenge)
			return fmt.Errorf("%w: sign in first: this takes the role %s", handlers.ErrUnauthorized, need)
		}
		return fmt.Errorf("%w: this takes the role %s, and %s has the role %s", store.ErrForbidden, need, store.Clean(p.Name, 100), p.Role)
	}
}
