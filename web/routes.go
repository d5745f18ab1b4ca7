package web

import (
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/static"
	"trackside/store"
)

// routing is what the routes and their middleware need.
type routing struct {
	handlers *handlers.Handlers
	log      *slog.Logger
	metrics  *metrics
	version  string
	hosts    hosts
}

// router makes the board's handler.
func router(rt routing) http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = rt.answerError
	// From the outside in. All of it comes before routing, so that an address without a route gets it too.
	e.Pre(rt.identify, rt.record, rt.recoverPanic, secure, rt.checkHost, crossOrigin())
	routes(e, rt.handlers)
	return http.MaxBytesHandler(e, maxBody)
}

// routes is every address the board answers.
func routes(e *echo.Echo, h *handlers.Handlers) {
	get := func(path string, f echo.HandlerFunc) { e.Match([]string{http.MethodGet, http.MethodHead}, path, f) }
	const runner = "/runners/:cluster/:system/:namespace/:name"

	get("/", h.Fleet)
	get("/stream", h.FleetStream)
	get(runner, h.Runner)
	get(runner+"/stream", h.RunnerStream)
	get("/failures", h.FailureList)
	get("/failures/stream", h.FailureListStream)
	get("/failures/:id", h.Failure)
	get("/failures/:id/stream", h.FailureStream)
	get("/board", h.Board)
	get("/board/stream", h.BoardStream)
	get("/findings", h.Findings)
	get("/findings/stream", h.FindingsStream)
	e.POST("/findings/accept", h.AcceptFinding)
	get("/versions", h.Versions)
	get("/versions/stream", h.VersionsStream)
	get("/place", h.Place)
	get("/place/stream", h.PlaceStream)
	get("/icon.svg", h.Icon)
	get("/static/*", echo.WrapHandler(static.Handler()))
	if h.TakesReports() {
		reports(e, h)
	}
}

// reports is where runners report themselves: Plue's four calls, and the control channel.
func reports(e *echo.Echo, h *handlers.Handlers) {
	e.POST("/internal/runners/register", h.RegisterRunner)
	e.POST("/internal/runners/:pod/heartbeat", h.Heartbeat)
	e.POST("/internal/tasks", h.QueueTask)
	e.POST("/internal/tasks/:id/stream", h.TaskEvent)
	e.POST("/internal/tasks/:id/complete", h.CompleteTask)
	e.GET("/internal/runners/:id/control", h.ControlChannel)
	e.POST("/internal/runners/:id/control/ack", h.AcknowledgeCommand)
	e.POST("/internal/runners/:id/enable", h.AskRunner(store.Enabled))
	e.POST("/internal/runners/:id/disable", h.AskRunner(store.Disabled))
	e.POST("/internal/runners/:id/delete", h.AskRunner(store.Deleting))
}
