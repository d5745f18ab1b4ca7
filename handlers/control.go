package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
)

// controlWrite bounds how long a runner may take to take a command.
const controlWrite = 10 * time.Second

// ControlChannel is GET /internal/runners/{id}/control: Server-Sent Events named enable, disable, delete and ping, whose ids a runner
// acknowledges, and from which it goes on with Last-Event-ID.
func (h *Handlers) ControlChannel(c echo.Context) error {
	g, id, err := h.admitRunner(c)
	if err != nil {
		return err
	}
	last := int64(0)
	if s := c.Request().Header.Get("Last-Event-ID"); s != "" {
		if last, err = strconv.ParseInt(s, 10, 64); err != nil || last < 0 {
			return fmt.Errorf("%w: Last-Event-ID %q is no id of this channel", store.ErrInvalid, store.Clean(s, 40))
		}
	}
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	defer context.AfterFunc(h.closing, cancel)()
	w := &controlWriter{c: c}
	err = h.reports.Control(ctx, g, id, last, func(cmd store.Command) error {
		if _, err := h.admit(c); errors.Is(err, ErrUnauthorized) {
			return err // its token was revoked since: a channel lives for weeks
		}
		return w.send(cmd)
	})
	if w.begun {
		return nil // it is over, whatever the reason: the client connects again
	}
	if err == nil {
		return c.NoContent(http.StatusNoContent)
	}
	return err
}

// controlWriter writes events, each at once and within its own deadline.
type controlWriter struct {
	c     echo.Context
	begun bool
}

func (w *controlWriter) begin() {
	res := w.c.Response()
	hd := res.Header()
	hd.Set(echo.HeaderContentType, "text/event-stream")
	hd.Set("Cache-Control", "no-cache, no-transform")
	hd.Set("X-Accel-Buffering", "no")
	res.WriteHeader(http.StatusOK)
	w.begun = true
}

func (w *controlWriter) send(cmd store.Command) error {
	rc := http.NewResponseController(w.c.Response().Writer)
	if err := rc.SetWriteDeadline(time.Now().Add(controlWrite)); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	if !w.begun {
		w.begin()
	}
	data, err := json.Marshal(commandOf(cmd))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w.c.Response(), "id: %d\nevent: %s\ndata: %s\n\n", cmd.ID, cmd.Event, data); err != nil {
		return err
	}
	if err := rc.Flush(); err != nil {
		return err
	}
	return rc.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream whose deadline passes, also while nothing is written
}

// AcknowledgeCommand is POST /internal/runners/{id}/control/ack: {"id":…}.
func (h *Handlers) AcknowledgeCommand(c echo.Context) error {
	g, id, err := h.admitRunner(c)
	if err != nil {
		return err
	}
	f, err := readFields(c.Request())
	if err != nil {
		return err
	}
	command, ok := f.number("id")
	switch {
	case f.err != nil:
		return f.err
	case !ok:
		return fmt.Errorf("%w: missing id, of the event that is acknowledged", store.ErrInvalid)
	}
	if err := h.reports.Acknowledge(c.Request().Context(), g, id, command); err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, okAnswer{OK: true})
}

// AskRunner is POST /internal/runners/{id}/enable, disable and delete. It needs an admin token, and answers 202: what was asked for
// is recorded, and the board shows it beside what is.
func (h *Handlers) AskRunner(want store.State) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, id, err := h.admitRunner(c)
		if err != nil {
			return err
		}
		if err := h.reports.Ask(c.Request().Context(), g, id, want); err != nil {
			return err
		}
		return answerJSON(c, http.StatusAccepted, okAnswer{OK: true})
	}
}

// admitRunner is what the client may do, and the runner it names.
func (h *Handlers) admitRunner(c echo.Context) (store.Grant, int64, error) {
	g, err := h.admit(c)
	if err != nil {
		return g, 0, err
	}
	id, err := number(c.Request(), 2, "runner_id")
	return g, id, err
}
