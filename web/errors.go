package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/store"
	"trackside/views"
)

// statusGone is what nginx calls a request whose client left before the answer: it is for the log, nobody reads it.
const statusGone = 499

// table is the one place where an error becomes a status. The first entry that is in the error's chain counts.
var table = []struct {
	err         error
	status      int
	title, next string
}{
	{handlers.ErrUnauthorized, http.StatusUnauthorized, "Not signed in", "Sign in, or send a token as Authorization: Bearer."},
	{store.ErrNotFound, http.StatusNotFound, "Not found", "Look for it on the fleet's page."},
	{store.ErrInvalid, http.StatusBadRequest, "The question is wrong", "Correct the address, or start again from the fleet's page."},
	{store.ErrConflict, http.StatusConflict, "It has changed meanwhile", "Look at it again, and decide again."},
	{store.ErrForbidden, http.StatusForbidden, "Not allowed", "Ask whoever runs this board for the permission."},
	{store.ErrUnavailable, http.StatusServiceUnavailable, "Not now", "Try again in a few seconds."},
	{errHost, http.StatusMisdirectedRequest, "Another host", "Open the board at its own address."},
	{context.Canceled, statusGone, "The client left", ""},
}

// problem is an error as the client is told of it.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"` // the request's word in the log
	next     string
	near     []store.Ref
}

// problemOf maps an error. What an operator can act on is told; what only the log can explain is not.
func problemOf(err error, id string) problem {
	p := problem{Type: "about:blank", Instance: id}
	var tooLarge *http.MaxBytesError
	var he *echo.HTTPError
	if none, ok := errors.AsType[*handlers.NoRunner](err); ok {
		p.near = none.Near
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			p.Title, p.Status, p.next, p.Detail = row.title, row.status, row.next, sentence(err, row.err, row.title)
			return p
		}
	}
	switch {
	case errors.As(err, &tooLarge):
		p.Status, p.Title = http.StatusRequestEntityTooLarge, "Too large"
		p.Detail = fmt.Sprintf("A request may carry %d bytes at most.", tooLarge.Limit)
	case errors.As(err, &he) && he.Code >= 400 && he.Code < 500:
		p.ofHTTP(he.Code)
	default:
		p.Status, p.Title = http.StatusInternalServerError, "Trackside failed"
		p.Detail = "Something failed inside Trackside; its log says what, beside the word " + id + "."
		p.next = "Reload the page; if it fails again, report the line in the log."
	}
	return p
}

// ofHTTP words what the router finds: its own texts are for developers.
func (p *problem) ofHTTP(status int) {
	p.Status, p.Title, p.next = status, http.StatusText(status), "Start again from the fleet's page."
	switch status {
	case http.StatusNotFound:
		p.Title, p.Detail = "Not found", "There is no page at this address."
	case http.StatusMethodNotAllowed:
		p.Title, p.Detail = "Not possible here", "This address does not take that method."
	default:
		p.Detail = "The request was refused: " + http.StatusText(status) + "."
	}
}

// sentence is what follows the closed error's own word in the chain: adapters put there what a person can use.
func sentence(err, closed error, title string) string {
	text := store.ErrorText(err)
	if i := strings.LastIndex(text, closed.Error()+": "); i >= 0 {
		text = text[i+len(closed.Error())+2:]
	} else {
		text = title
	}
	text = store.Clean(text, 600)
	first, n := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[n:]
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "…") {
		text += "."
	}
	return text
}

// answerError answers with an error in the form the client understands: a status and a sentence for a script of the page, problem
// details for a program, a page for a person.
func (rt routing) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return // too late: the answer has begun
	}
	p := problemOf(err, requestID(c))
	if err := rt.send(c, p); err != nil {
		rt.log.Debug("an error could not be answered", "id", requestID(c), "error", err)
	}
}

func (rt routing) send(c echo.Context, p problem) error {
	accept := c.Request().Header.Get(echo.HeaderAccept)
	person := strings.Contains(accept, "text/html") && c.Request().Header.Get("Datastar-Request") == ""
	switch {
	case p.Status == statusGone:
		c.Response().Status = statusGone
		return nil
	case strings.HasPrefix(c.Request().URL.Path, internalPath):
		return handlers.WriteError(c, p.Status, p.Detail)
	case c.Request().Header.Get("Datastar-Request") != "":
		return handlers.Write(c, p.Status, echo.MIMETextPlainCharsetUTF8, []byte(p.Detail+"\n"))
	case p.Status == http.StatusUnauthorized && person && c.Request().Header.Get(echo.HeaderAuthorization) == "":
		return handlers.ToSignIn(c)
	case wantsJSON(accept), p.Status == http.StatusUnauthorized && !person:
		body, err := json.Marshal(p)
		if err != nil {
			return err
		}
		return handlers.Write(c, p.Status, "application/problem+json", body)
	}
	var b bytes.Buffer
	m := views.ErrorModel{Frame: views.Frame{Version: rt.version}, Status: p.Status, Title: p.Title, Sentence: p.Detail, Next: p.next, Near: p.near}
	if err := views.ErrorPage(m).Render(c.Request().Context(), &b); err != nil {
		return handlers.Write(c, p.Status, echo.MIMETextPlainCharsetUTF8, []byte(p.Detail+"\n"))
	}
	return handlers.Write(c, p.Status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

func wantsJSON(accept string) bool {
	return !strings.Contains(accept, "text/html") && (strings.Contains(accept, "application/json") || strings.Contains(accept, "+json"))
}
