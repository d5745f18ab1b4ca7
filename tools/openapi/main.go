// Command openapi writes the OpenAPI 3.1 document of the board's API from its table of operations and from the Go types that they
// answer with: handlers/api/openapi.json.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/swaggest/jsonschema-go"

	"trackside/handlers/api"
	"trackside/store"
)

const file = "handlers/api/openapi.json"

func main() {
	b, err := document()
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

type info struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Version     string `json:"version"`
}

type spec struct {
	OpenAPI    string                          `json:"openapi"`
	Info       info                            `json:"info"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components components                      `json:"components"`
}

type components struct {
	Schemas map[string]jsonschema.Schema `json:"schemas"`
}

type operation struct {
	ID          string              `json:"operationId"`
	Summary     string              `json:"summary"`
	Role        string              `json:"x-role"`
	Parameters  []parameter         `json:"parameters,omitempty"`
	RequestBody *body               `json:"requestBody,omitempty"`
	Responses   map[string]response `json:"responses"`
}

type parameter struct {
	Name        string            `json:"name"`
	In          string            `json:"in"`
	Description string            `json:"description,omitempty"`
	Required    bool              `json:"required,omitempty"`
	Schema      jsonschema.Schema `json:"schema"`
}

type body struct {
	Content map[string]media `json:"content"`
}

type response struct {
	Description string           `json:"description"`
	Content     map[string]media `json:"content"`
}

type media struct {
	Schema jsonschema.Schema `json:"schema"`
}

const about = "What Trackside knows of a fleet of runners, what happened, and what can be done. Errors are problem details (RFC 9457). " +
	"Authorization: Bearer TOKEN, or as Kubiya's clients send it, UserKey TOKEN. x-role is the role that an operation takes."

func document() ([]byte, error) {
	s := spec{OpenAPI: "3.1.0", Info: info{"Trackside", about, "1"}, Paths: map[string]map[string]operation{}, Components: components{map[string]jsonschema.Schema{}}}
	for _, o := range api.Operations() {
		path := parameters.ReplaceAllString(o.Path, "{$1}")
		if s.Paths[path] == nil {
			s.Paths[path] = map[string]operation{}
		}
		x, err := s.operation(o)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Method, o.Path, err)
		}
		s.Paths[path][strings.ToLower(o.Method)] = x
	}
	for _, v := range []any{api.Begins{}, api.Event{}} { // what the stream carries
		if _, err := s.schema(v); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(s)
	return b.Bytes(), err
}

var parameters = regexp.MustCompile(`:([a-z]+)`)

func (s spec) operation(o api.Operation) (operation, error) {
	x := operation{ID: o.ID, Summary: o.Summary, Role: o.Need.String(), Responses: map[string]response{}}
	for _, m := range parameters.FindAllStringSubmatch(o.Path, -1) {
		p := parameter{Name: m[1], In: "path", Required: true, Schema: text()}
		if m[1] == "verb" {
			p.Schema.Enum = verbs()
		}
		x.Parameters = append(x.Parameters, p)
	}
	for _, p := range o.Query {
		x.Parameters = append(x.Parameters, parameter{Name: p.Name, In: "query", Description: p.Description, Schema: schemaOf(p)})
	}
	for _, p := range o.Header {
		x.Parameters = append(x.Parameters, parameter{Name: p.Name, In: "header", Description: p.Description, Schema: text()})
	}
	answer, err := s.media(o.Answer)
	if err != nil {
		return x, err
	}
	problem, err := s.media(api.Problem{})
	if err != nil {
		return x, err
	}
	x.Responses[strconv.Itoa(o.Status)] = response{"Success.", map[string]media{o.Type: answer}}
	x.Responses["default"] = response{"An error.", map[string]media{"application/problem+json": problem}}
	if o.Body != nil {
		b, err := s.media(o.Body)
		if err != nil {
			return x, err
		}
		x.RequestBody = &body{map[string]media{"application/json": b}}
	}
	return x, nil
}

func verbs() (out []any) {
	for _, v := range store.Verbs() {
		out = append(out, string(v))
	}
	return out
}

func text() (s jsonschema.Schema) { s.AddType(jsonschema.String); return s }

func schemaOf(p api.Param) (s jsonschema.Schema) {
	if !p.Many {
		return text()
	}
	item := text()
	s.AddType(jsonschema.Array)
	s.WithItems(*(&jsonschema.Items{}).WithSchemaOrBool(item.ToSchemaOrBool()))
	return s
}

func (s spec) media(v any) (media, error) {
	if v == nil {
		return media{text()}, nil
	}
	schema, err := s.schema(v)
	return media{schema}, err
}

// schema reflects a type. A field that is always written is required, a list that is always written is never null, and no field stands
// beside those there are: the shapes are a promise both ways.
func (s spec) schema(v any) (jsonschema.Schema, error) {
	r := jsonschema.Reflector{}
	return r.Reflect(v, jsonschema.DefinitionsPrefix("#/components/schemas/"), jsonschema.RootRef,
		jsonschema.InterceptDefName(func(t reflect.Type, _ string) string { return t.Name() }),
		jsonschema.InterceptNullability(func(p jsonschema.InterceptNullabilityParams) {
			if p.NullAdded {
				p.Schema.RemoveType(jsonschema.Null)
			}
		}),
		jsonschema.InterceptProp(func(p jsonschema.InterceptPropParams) error {
			if p.Processed && !strings.Contains(p.Field.Tag.Get("json"), ",omit") {
				p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
			}
			return nil
		}),
		jsonschema.CollectDefinitions(func(name string, schema jsonschema.Schema) {
			if schema.HasType(jsonschema.Object) {
				no := false
				schema.WithAdditionalProperties(jsonschema.SchemaOrBool{TypeBoolean: &no})
			}
			s.Components.Schemas[name] = schema
		}))
}
