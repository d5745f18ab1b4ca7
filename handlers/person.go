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

const aboutKey = "trackside.about"

// SetAbout says which runner a request is about, as it was asked for: errors name it.
func SetAbout(c echo.Context, runner string) { c.Set(aboutKey, runner) }

// AboutOf is the runner that a request is about; blank where it is about none.
func AboutOf(c echo.Context) string {
	s, _ := c.Get(aboutKey).(string)
	return s
}
