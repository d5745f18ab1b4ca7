package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers/live"
	"trackside/store"
	"trackside/views"
)

// AuditPage answers with who did what, or the part of it that the query asks for.
func (h *Handlers) AuditPage(c echo.Context) error {
	if h.audit == nil {
		return fmt.Errorf("%w: this board keeps no audit, since it changes nothing", store.ErrNotFound)
	}
	q, err := query(c.Request())
	if err != nil {
		return err
	}
	f, err := views.ParseAudit(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), historyTimeout)
	defer cancel()
	problem := ""
	entries, err := h.audit.Entries(ctx, f, views.AuditPageSize+1)
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		return err
	case err != nil:
		h.log.Warn("the audit cannot be read", "error", err)
		problem = "The audit cannot be read now; the log says why. Try again in a few seconds."
	}
	more := len(entries) > views.AuditPageSize
	m := views.NewAuditModel(h.live.Current(), f, entries[:min(len(entries), views.AuditPageSize)], more, problem, time.Now())
	m.Frame = h.frame()
	return h.page(c, http.StatusOK, views.AuditPage(m))
}

// didQuery is how a runner's page is told what it follows; blank where there is no entry to show.
func didQuery(id int64) string {
	if id <= 0 {
		return ""
	}
	return "?did=" + strconv.FormatInt(id, 10)
}

// did reads the entry that a runner's page follows. Nobody is shown what others did, or did to another runner: the number is in the address.
func (h *Handlers) did(c echo.Context, ref store.Ref) (m views.DidModel) {
	id, err := strconv.ParseInt(c.QueryParam("did"), 10, 64)
	p := PersonOf(c)
	if err != nil || id < 1 || h.audit == nil || !p.Role.May(store.Operator) {
		return m
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), historyTimeout)
	defer cancel()
	list, err := h.audit.Entries(ctx, store.EntryFilter{Before: id + 1}, 1)
	if err != nil || len(list) == 0 || list[0].ID != id || list[0].Ref != ref || list[0].By.Name != p.Name {
		return m
	}
	return views.NewDid(list[0])
}

// acknowledged reports whether somebody is on a failure, or no longer, since the step before.
func acknowledged(st *live.Step) bool {
	for _, c := range st.Changes {
		before, was := st.Before.Acknowledged(c.Ref())
		after, is := st.After.Acknowledged(c.Ref())
		if was != is || !before.Equal(after) {
			return true
		}
	}
	return false
}
