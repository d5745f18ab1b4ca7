package handlers

import (
	"github.com/labstack/echo/v4"

	"trackside/store"
)

const personKey = "trackside.person"

// SetPerson says who makes the request.
func SetPerson(c echo.Context, p store.Person) { c.Set(personKey, p) }

// PersonOf is who makes the request; the zero Person when nobody knows.
func PersonOf(c echo.Context) store.Person {
	p, _ := c.Get(personKey).(store.Person)
	return p
}
