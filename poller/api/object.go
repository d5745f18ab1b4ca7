package api

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Object is a JSON object of which nothing can be relied on: a field that is missing, or of another type, reads as its zero value.
type Object map[string]any

// Text is a field as text: a string as it is, a number or a boolean as written. The first field that is there counts.
func (o Object) Text(names ...string) string {
	for _, n := range names {
		switch v := o[n].(type) {
		case string:
			if v != "" {
				return v
			}
		case json.Number:
			return v.String()
		case float64:
			return fmt.Sprint(v)
		case bool:
			return fmt.Sprint(v)
		}
	}
	return ""
}

// Int is a whole number, also where it is written as a string; false when there is none.
func (o Object) Int(name string) (int64, bool) {
	n, err := json.Number(strings.TrimSpace(o.Text(name))).Int64()
	return n, err == nil
}

// Object is a field that is an object.
func (o Object) Object(name string) Object {
	m, _ := o[name].(map[string]any)
	return m
}

// List are the objects of a field that is a list; what is no object is left out.
func (o Object) List(name string) (out []Object) {
	l, _ := o[name].([]any)
	for _, v := range l {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// Count is how many elements a field has that is a list, whatever they are; false where it is there and is no list.
func (o Object) Count(name string) (int, bool) {
	l, ok := o[name].([]any)
	return len(l), ok || o[name] == nil
}

// Texts are the strings of a field that is a list.
func (o Object) Texts(name string) (out []string) {
	l, _ := o[name].([]any)
	for _, v := range l {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Time is a field in RFC 3339; zero when it is not.
func (o Object) Time(name string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, o.Text(name))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// ReadObject reads an answer that is one object.
func ReadObject(r io.Reader, into *Object) error {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return Unfit("it is " + kind(v) + " and not an object")
	}
	*into = m
	return nil
}

// Each reads an answer that is a list of objects, or an object of objects by name, one at a time, so that a long one costs no more
// memory than its longest part. The key is blank in a list. An error of f ends it.
func Each(r io.Reader, f func(key string, v any) error) error {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	begin, err := dec.Token()
	if err != nil {
		return err
	}
	d, ok := begin.(json.Delim)
	if !ok {
		return Unfit("it is " + kind(begin) + " and not a list")
	}
	for dec.More() {
		key := ""
		if d == '{' {
			k, err := dec.Token()
			if err != nil {
				return err
			}
			key, _ = k.(string)
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return err
		}
		if err := f(key, v); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// kind names the type of a JSON value.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "a number"
}
