package web

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"trackside/handlers/api"
	"trackside/store"
)

// documented is the part of the OpenAPI document that the test reads by itself.
type documented struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		ID         string `json:"operationId"`
		Role       string `json:"x-role"`
		Parameters []struct{ Name, In string }
		Responses  map[string]struct {
			Content map[string]json.RawMessage `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
}

var pathParam = regexp.MustCompile(`:([a-z]+)`)

// TestDocumentIsTheRoutes compares the document with the route table both ways: addresses, methods and roles.
func TestDocumentIsTheRoutes(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	doc := get[documented](t, w, "/api/openapi.json")
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi %q", doc.OpenAPI)
	}
	routed := map[string]string{}
	for _, r := range w.s.Routes() {
		if !strings.HasPrefix(r.Path, "/api") && !strings.HasSuffix(r.Path, ".json") && !strings.HasSuffix(r.Path, ".csv") {
			continue
		}
		for _, m := range r.Methods {
			if m != http.MethodHead {
				routed[strings.ToLower(m)+" "+pathParam.ReplaceAllString(r.Path, "{$1}")] = r.Need.String()
			}
			if (m == http.MethodGet || m == http.MethodHead) == r.Acts {
				t.Errorf("%s %s acts: %t", m, r.Path, r.Acts)
			}
		}
	}
	ids := map[string]bool{}
	for path, ops := range doc.Paths {
		for method, o := range ops {
			role, ok := routed[method+" "+path]
			if !ok || role != o.Role {
				t.Errorf("%s %s is documented for %s and routed for %q", method, path, o.Role, role)
			}
			delete(routed, method+" "+path)
			if ids[o.ID] || o.ID == "" {
				t.Errorf("operation %q twice", o.ID)
			}
			ids[o.ID] = true
			if n := strings.Count(path, "{"); n != len(slices.DeleteFunc(o.Parameters, func(p struct{ Name, In string }) bool { return p.In != "path" })) {
				t.Errorf("%s %s: path parameters", method, path)
			}
		}
	}
	for r := range routed {
		t.Errorf("%s is not documented", r)
	}
}

// schemas compiles the document that is served.
func schemas(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	b, err := os.ReadFile("../handlers/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("mem:///openapi.json", v); err != nil {
		t.Fatal(err)
	}
	return c
}

func pointer(parts ...string) string {
	out := "mem:///openapi.json#"
	for _, p := range parts {
		out += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(p)
	}
	return out
}

// fits checks a JSON text against the schema at a place of the document.
func fits(t *testing.T, c *jsonschema.Compiler, text string, place ...string) {
	t.Helper()
	schema, err := c.Compile(pointer(place...))
	if err != nil {
		t.Errorf("%v: %v", place, err)
		return
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("%v: %v\n%.500s", place, err, text)
	}
}

// example is an address that an operation answers with success.
var example = strings.NewReplacer("/:cluster/:system/:namespace/:name", "/eu/kubiya/runners-us/alpha", ":name", "k8s-runner", ":verb", "disable")

// TestEveryAnswerFitsTheDocument asks every operation, and validates what it answers; then it asks each for a runner that is not there.
func TestEveryAnswerFitsTheDocument(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	c := schemas(t)
	for _, o := range api.Operations() {
		path := example.Replace(o.Path)
		if o.ID == "place" || o.ID == "placeJSON" {
			path += "?cpu=1"
		}
		if o.ID == "stream" {
			continue // TestStream validates what it carries
		}
		var header []string
		body := io.Reader(nil)
		if o.Body != nil {
			body = strings.NewReader(`{"note":"broken disk","for":"24h","drain":true}`)
		}
		res, text := call(t, o.Method, w.s.URL()+path, body, header...)
		spec := pathParam.ReplaceAllString(o.Path, "{$1}")
		if strings.HasPrefix(o.ID, "kubiyaGetManifest") { // for tokens only
			fits(t, c, text, "components", "schemas", "Problem")
			continue
		}
		if res.StatusCode != o.Status || !strings.HasPrefix(res.Header.Get("Content-Type"), o.Type) {
			t.Errorf("%s %s: %d %s %.300s", o.Method, path, res.StatusCode, res.Header.Get("Content-Type"), text)
		}
		if o.Answer != nil {
			fits(t, c, text, "paths", spec, strings.ToLower(o.Method), "responses", strconv.Itoa(o.Status), "content", o.Type, "schema")
		}
		if res.Header.Get("Cache-Control") == "" {
			t.Errorf("%s may be cached", path)
		}
	}
}

func TestAPIErrorsAreProblems(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	c := schemas(t)
	for path, want := range map[string]struct {
		status int
		runner string
		word   string
	}{
		"/api/nowhere":                                {404, "", "no page at this address"},
		"/api/runners?health=sick":                    {400, "", "not one of"},
		"/runners.json?system=nonsense":               {400, "", "kubiya"},
		"/runners.csv?reason=x":                       {400, "", "crashloop"},
		"/failures.csv?since=1y":                      {400, "", "1h, 24h"},
		"/findings.json?severity=bad":                 {400, "", "critical"},
		"/api/events?kind=x":                          {400, "", "added"},
		"/api/events?limit=0":                         {400, "", "1 to 1000"},
		"/api/events?before=-1":                       {400, "", "number"},
		"/api/stream?after=x":                         {400, "", "Last-Event-ID"},
		"/audit.json?since=yesterday":                 {400, "", "2026-12-31"},
		"/place.json?cpu=much":                        {400, "", "500m"},
		"/api/runners?%zz":                            {400, "", "cannot be read"},
		"/api/runners/eu/kubiya/runners-eu/alpa":      {404, "eu/kubiya/runners-eu/alpa", "alpha"},
		"/api/runners/eu/kubiya/-/alpa":               {404, "eu/kubiya/-/alpa", "alpha"},
		"/api/v3/runners/a%2Fb/health":                {404, "a/b", "here is no runner"},
		"/api/runners/eu/kubiya/x/y/actions/fly/plan": {400, "eu/kubiya/x/y", "disable"},
	} {
		res, body := ask(t, "GET", w.s.URL()+path, "Accept", "text/html")
		var p api.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || res.StatusCode != want.status || p.Status != want.status || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s %s", path, res.StatusCode, res.Header.Get("Content-Type"), body)
			continue
		}
		if p.Runner != want.runner || !strings.Contains(p.Detail, want.word) || p.Message != p.Detail || p.Title == "" || p.Instance == "" || p.Type == "" {
			t.Errorf("%s: %+v", path, p)
		}
		if want.status == 404 && want.runner != "" && len(p.Near) == 0 {
			t.Errorf("%s names no runner there is", path)
		}
		fits(t, c, body, "components", "schemas", "Problem")
	}
	if res, body := call(t, "PUT", w.s.URL()+"/api/runners", nil); res.StatusCode != 405 || !strings.Contains(body, `"detail"`) {
		t.Errorf("PUT: %d %s", res.StatusCode, body)
	}
}

func TestActions(t *testing.T) {
	w := newWorld(t, assorted()).serve()
	at := w.s.URL() + "/api/runners/eu/kubiya/runners-eu/alpha/actions/"
	var first api.Outcome
	for i := range 5 {
		res, body := call(t, "POST", at+"disable", strings.NewReader(`{"note":"disk","for":"1d","drain":true,"incarnation":"uid-alpha"}`), "Idempotency-Key", "k1")
		var out api.Outcome
		if err := json.Unmarshal([]byte(body), &out); err != nil || res.StatusCode != 202 || res.Header.Get("Idempotency-Key") != "k1" || out.Repeated != (i > 0) {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		if i == 0 {
			first = out
		}
	}
	a := w.acts.last
	if a.Key != "k1" || a.Verb != store.VerbDisable || !a.Drain || a.Note != "disk" || a.Until.Sub(a.At).Hours() != 24 || a.Incarnation != "uid-alpha" || a.By.Name != "anonymous" {
		t.Errorf("%+v", a)
	}
	if first.Key != "k1" || first.Waits == "" || len(first.Steps) != 1 || first.Left[0].Name != "c" || first.Path != "/runners/eu/kubiya/runners-eu/alpha" {
		t.Errorf("%+v", first)
	}
	if res, _ := call(t, "POST", at+"enable", nil); res.StatusCode != 202 || len(res.Header.Get("Idempotency-Key")) < 16 {
		t.Errorf("without a key: %d %v", res.StatusCode, res.Header)
	}
	for verb, want := range map[string]map[string]int{"restart": {`{"target":"agent"}`: 400, `{}`: 400},
		"delete-workload": {`{"target":"jobs/pod-0"}`: 400, `{"target":"jobs/pod-0/"}`: 400, `{"target":"jobs/pod-0/uid-1"}`: 202}, "probe": {`{}`: 202}} {
		for body, status := range want { // done twice, these would do harm twice
			res, text := call(t, "POST", at+verb, strings.NewReader(body))
			if res.StatusCode != status || status == 400 && body != `{}` && !strings.Contains(text, "Idempotency-Key") {
				t.Errorf("%s %s without a key: %d %s", verb, body, res.StatusCode, text)
			}
			if res, text := call(t, "POST", at+verb, strings.NewReader(body), "Idempotency-Key", verb+body); body != `{}` && res.StatusCode != 202 {
				t.Errorf("%s %s with a key: %d %s", verb, body, res.StatusCode, text)
			}
		}
	}
	for body, word := range map[string]string{`{"note":"x","fro":"1h"}`: "fro", `{"note":1}`: "one JSON object", `[`: "one JSON object", `{} {}`: "goes on", `{"note":"x","for":"1h","until":"2030-01-01T00:00:00Z"}`: "one thing",
		`{"note":"x","for":"-1h"}`: "length of time", `{"note":"x","for":"8d"}`: "7 days", `{}`: "needs a note"} {
		res, text := call(t, "POST", at+"disable", strings.NewReader(body))
		if res.StatusCode != 400 || !strings.Contains(text, word) || !strings.Contains(text, `"runner":"eu/kubiya/runners-eu/alpha"`) {
			t.Errorf("%s: %d %s", body, res.StatusCode, text)
		}
	}
	if res, text := call(t, "POST", at+"delete", strings.NewReader(`{"confirm":"alpa"}`)); res.StatusCode != 400 || !strings.Contains(text, "alpha") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	w.acts.err = store.ErrConflict
	if res, text := call(t, "POST", at+"enable", nil); res.StatusCode != 409 {
		t.Errorf("%d %s", res.StatusCode, text)
	}
}
