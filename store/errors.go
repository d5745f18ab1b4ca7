package store

import (
	"errors"
	"fmt"
	"strings"
)

// The closed set of errors. Adapters translate foreign errors into these at their border, wrapped once with what was
// being attempted and on which runner; one table in web maps them to HTTP.
var (
	// ErrNotFound says that what was asked for is not there.
	ErrNotFound = errors.New("not found")
	// ErrInvalid says that the question itself is wrong; its text names what is allowed.
	ErrInvalid = errors.New("invalid")
	// ErrConflict says that the thing has changed meanwhile.
	ErrConflict = errors.New("conflict")
	// ErrForbidden says that somebody lacks a permission, and whose.
	ErrForbidden = errors.New("forbidden")
	// ErrUnavailable says that what would answer cannot be reached now.
	ErrUnavailable = errors.New("unavailable")
)

// Plain is the text of an error for a person: without the word of its class, which is for programs.
func Plain(err error) string {
	text := ErrorText(err)
	for _, class := range []error{ErrNotFound, ErrInvalid, ErrConflict, ErrForbidden, ErrUnavailable} {
		if rest, ok := strings.CutPrefix(text, class.Error()+": "); ok && errors.Is(err, class) {
			return rest
		}
	}
	return text
}

// ErrorText is the text of an error and never blank: an error without text is shown by its type.
func ErrorText(err error) string {
	if err == nil {
		return "no error"
	}
	if s := err.Error(); s != "" {
		return s
	}
	return fmt.Sprintf("%T", err)
}
