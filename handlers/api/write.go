package api

import (
	"bufio"
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// writer writes an answer of unknown length as it is made: no list is held whole. What fails after the first byte ends the answer where it
// is, which a reader of JSON sees.
type writer struct {
	c   echo.Context
	b   *bufio.Writer
	err error
}

// bufferSize is how much is gathered before it is sent.
const bufferSize = 32 << 10

// deadlined moves the deadline on with each write: a list of a large fleet may take longer than one page, a client that takes nothing may not.
type deadlined struct {
	w  io.Writer
	rc *http.ResponseController
}

func (d deadlined) Write(p []byte) (int, error) {
	// A ResponseWriter without deadlines, as in a test, has no client that could be stuck.
	_ = d.rc.SetWriteDeadline(time.Now().Add(writeTime))
	return d.w.Write(p)
}

// respond begins an answer.
func (a *API) respond(c echo.Context, contentType string) *writer {
	hd := c.Response().Header()
	hd.Set(echo.HeaderContentType, contentType)
	hd.Set("Cache-Control", "no-store")
	c.Response().WriteHeader(http.StatusOK)
	return &writer{c: c, b: bufio.NewWriterSize(deadlined{c.Response().Writer, http.NewResponseController(c.Response().Writer)}, bufferSize)}
}

func (w *writer) text(s string) {
	if w.err == nil {
		_, w.err = w.b.WriteString(s)
	}
}

// item writes the ith value of an array, each on a line of its own.
func (w *writer) item(i int, v any) {
	if i > 0 {
		w.text(",")
	}
	w.text("\n")
	w.value(v)
}

func (w *writer) value(v any) {
	b, err := encode(v)
	if err != nil {
		w.err = err
		return
	}
	w.text(strings.TrimSuffix(string(b), "\n"))
}

// end sends what is left. A client that has gone is no failure of the board.
func (w *writer) end() error {
	if w.err == nil {
		w.err = w.b.Flush()
	}
	return nil
}

// list is an answer of many rows: an object whose last field is the array, or a table of comma-separated values.
type list struct {
	w     *writer
	table *csv.Writer
	n     int
}

// asTable reports whether an address asks for comma-separated values.
func asTable(c echo.Context) bool { return strings.HasSuffix(c.Request().URL.Path, ".csv") }

// list begins a list. head is an object, whose fields come first; field is the name of the array; columns head the table.
func (a *API) list(c echo.Context, head any, field, name string, columns []string) (*list, error) {
	if asTable(c) {
		c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="trackside-`+name+`.csv"`)
		w := a.respond(c, "text/csv; charset=utf-8; header=present")
		t := csv.NewWriter(w.b)
		t.UseCRLF = true
		l := &list{w: w, table: t}
		l.w.err = t.Write(columns)
		return l, nil
	}
	b, err := encode(head)
	if err != nil {
		return nil, err
	}
	w := a.respond(c, echo.MIMEApplicationJSON)
	begin := strings.TrimSuffix(strings.TrimSpace(string(b)), "}")
	if begin != "{" {
		begin += ","
	}
	w.text(begin + `"` + field + `":[`)
	return &list{w: w}, nil
}

// row adds one: as an object, or as the cells of a line.
func (l *list) row(v any, cells func() []string) {
	switch {
	case l.w.err != nil:
	case l.table != nil:
		line := cells()
		for i := range line {
			line[i] = guard(line[i])
		}
		l.w.err = l.table.Write(line)
	default:
		l.w.item(l.n, v)
	}
	l.n++
}

func (l *list) end() error {
	if l.table != nil {
		l.table.Flush()
	} else {
		l.w.text("]}\n")
	}
	return l.w.end()
}

// guard keeps a spreadsheet from taking a cell for a formula: names and messages come from clusters (OWASP, "CSV Injection").
func guard(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

// timeCell is an instant as a cell.
func timeCell(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
