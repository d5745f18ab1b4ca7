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

	"github.com/a-h/templ"
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
	{handlers.ErrGone, http.StatusGone, "Gone", "Ask whoever gave it to you for another."},
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
	Message  string `json:"message"`            // the detail again: where Kubiya's clients look for it
	Instance string `json:"instance,omitempty"` // the request's word in the log
	// Runner is the one that was asked for, Near those there are of a similar name, or among which to choose: references in full.
	Runner  string   `json:"runner,omitempty"`
	Near    []string `json:"near,omitempty"`
	next    string
	near    []store.Ref
	refused *handlers.Refused // shows the form that it is about
}

// problemOf maps an error. What an operator can act on is told; what only the log can explain is not.
func problemOf(err error, id string) problem {
	p := problem{Type: "about:blank", Instance: id}
	var tooLarge *http.MaxBytesError
	var he *echo.HTTPError
	if none, ok := errors.AsType[*handlers.NoRunner](err); ok {
		p.near = none.Near
	}
	p.refused, _ = errors.AsType[*handlers.Refused](err)
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
	p.Runner = handlers.AboutOf(c)
	if err := rt.send(c, p); err != nil {
		rt.log.Debug("an error could not be answered", "id", requestID(c), "error", err)
	}
}

func (rt routing) send(c echo.Context, p problem) error {
	accept := c.Request().Header.Get(echo.HeaderAccept)
	refused := p.refused
	person := strings.Contains(accept, "text/html") && !handlers.IsScript(c.Request())
	switch {
	case p.Status == statusGone:
		c.Response().Status = statusGone
		return nil
	case strings.HasPrefix(c.Request().URL.Path, internalPath):
		return handlers.WriteError(c, p.Status, p.Detail)
	case wantsProblem(c):
		return p.send(c)
	case refused != nil && handlers.IsScript(c.Request()) && refused.Part != nil:
		return render(c, http.StatusOK, refused.Part(p.Detail)) // Datastar applies no other status
	case handlers.IsScript(c.Request()):
		return handlers.Write(c, p.Status, echo.MIMETextPlainCharsetUTF8, []byte(p.Detail+"\n"))
	case p.Status == http.StatusUnauthorized && person && c.Request().Header.Get(echo.HeaderAuthorization) == "":
		return handlers.ToSignIn(c)
	case wantsJSON(accept), p.Status == http.StatusUnauthorized && !person:
		return p.send(c)
	}
	if refused != nil && refused.Page != nil {
		return render(c, p.Status, refused.Page(p.Detail))
	}
	m := views.ErrorModel{Frame: views.Frame{Version: rt.version}, Status: p.Status, Title: p.Title, Sentence: p.Detail, Next: p.next, Near: p.near}
	if err := render(c, p.Status, views.ErrorPage(m)); err != nil {
		return handlers.Write(c, p.Status, echo.MIMETextPlainCharsetUTF8, []byte(p.Detail+"\n"))
	}
	return nil
}

// render answers with a component, whole.
func render(c echo.Context, status int, doc templ.Component) error {
	var b bytes.Buffer
	if err := doc.Render(c.Request().Context(), &b); err != nil {
		return err
	}
	return handlers.Write(c, status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

// send answers with problem details (RFC 9457).
func (p problem) send(c echo.Context) error {
	p.Message = p.Detail
	for _, r := range p.near {
		p.Near = append(p.Near, r.Full())
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return handlers.Write(c, p.Status, "application/problem+json", body)
}

// wantsProblem holds for the addresses that programs ask for, whatever they say that they accept.
func wantsProblem(c echo.Context) bool {
	path := c.Request().URL.Path // and not the route's, which is not known yet to what comes before routing
	list := strings.Count(path, "/") == 1 && (strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".csv"))
	return list || strings.HasPrefix(path, "/api/")
}

func wantsJSON(accept string) bool {
	return !strings.Contains(accept, "text/html") && (strings.Contains(accept, "application/json") || strings.Contains(accept, "+json"))
}
