package handlers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
)

// pen is a Manifests and a Running made of what it is told to say.
type pen struct {
	draft   store.ManifestDraft
	err     error
	applied []store.ManifestAsk
}

func (*pen) Forms() []store.ManifestForm {
	return []store.ManifestForm{{System: "labelled", Title: "Labelled", Fields: []store.ManifestField{
		{Name: "name", Label: "Name", Kind: store.FieldName, Default: "x", Required: true, Group: "Where"},
		{Name: "image", Label: "Image", Kind: store.FieldImage, Required: true, Group: "Programs"}}}}
}

func (p *pen) Preview(_ context.Context, ask store.ManifestAsk) (store.ManifestDraft, error) {
	d := p.draft
	d.Cluster = ask.Cluster
	return d, nil
}

func (p *pen) Apply(_ context.Context, ask store.ManifestAsk) (store.ManifestDraft, error) {
	p.applied = append(p.applied, ask)
	return p.draft, p.err
}

func (*pen) Values(context.Context, *store.Runner, store.Person) (map[string]string, error) {
	return map[string]string{"name": "prefilled"}, nil
}

func (p *pen) Written(context.Context, *store.Runner, store.Person) (store.ManifestDraft, error) {
	return p.draft, nil
}

func (*pen) Archive(_ context.Context, w io.Writer, runners []*store.Runner, _ store.Person) error {
	_, err := fmt.Fprintf(w, "%d runners", len(runners))
	return err
}

// shelf is a ManifestLinks in memory.
type shelf map[string]*store.ManifestLink

func (s shelf) AddManifestLink(_ context.Context, l store.ManifestLink) error {
	for _, o := range s {
		if o.ID == l.ID {
			return fmt.Errorf("%w: there is a link %s", store.ErrConflict, l.ID)
		}
	}
	s[string(l.Hash)] = &l
	return l.Check()
}

func (s shelf) ManifestLink(_ context.Context, hash []byte) (store.ManifestLink, error) {
	if l, ok := s[string(hash)]; ok {
		return *l, nil
	}
	return store.ManifestLink{}, fmt.Errorf("%w: there is no such link", store.ErrNotFound)
}

func (s shelf) UseManifestLink(ctx context.Context, hash []byte, now time.Time) (store.ManifestLink, bool, error) {
	l, err := s.ManifestLink(ctx, hash)
	if err != nil || l.Dead(now) != "" {
		return l, false, err
	}
	s[string(hash)].Uses++
	return l, true, nil
}

func (s shelf) RevokeManifestLink(_ context.Context, id string, now time.Time) (bool, error) {
	for _, l := range s {
		if l.ID == id {
			before := l.Revoked
			l.Revoked = now
			return before.IsZero(), nil
		}
	}
	return false, store.ErrNotFound
}

func (s shelf) ManifestLinks(context.Context, int) (out []store.ManifestLink, _ error) {
	for _, l := range s {
		out = append(out, *l)
	}
	return out, nil
}

// book is an Audit that keeps what is entered.
type book []store.Entry

func (b *book) Enter(_ context.Context, e store.Entry) (int64, error) {
	*b = append(*b, e)
	return int64(len(*b)), nil
}

func (b *book) Entries(context.Context, store.EntryFilter, int) ([]store.Entry, error) {
	return *b, nil
}

// desk is the handlers of manifests on an echo of their own.
type desk struct {
	*pen
	h     *Handlers
	links shelf
	audit *book
	serve func(method, path string, form url.Values, header ...string) *httptest.ResponseRecorder
}

func newDesk(t *testing.T, readOnly bool) desk {
	t.Helper()
	d := desk{pen: &pen{draft: store.ManifestDraft{System: "labelled", Namespace: "ns", Name: "x", YAML: "kind: Pod\n", SHA256: "00ff", Checked: true}}, links: shelf{}, audit: &book{}}
	r := &store.Runner{Ref: store.Ref{Cluster: "prod", System: "labelled", Namespace: "ns", Name: "x"}, Verdict: store.Verdict{Health: store.Healthy, Why: "well"}}
	public := &url.URL{Scheme: "https", Host: "board.example"}
	h := New(Options{Live: store.NewLive(store.NewSnapshot([]*store.Runner{r}, nil, time.Now())), Audit: d.audit, PublicURL: public,
		Manifests: ManifestOptions{Manifests: d.pen, Running: d.pen, Links: d.links, Clusters: []string{"prod"}, ReadOnly: readOnly}})
	t.Cleanup(h.Close)
	d.h = h
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		code := http.StatusInternalServerError
		for class, status := range map[error]int{ErrGone: 410, store.ErrNotFound: 404, store.ErrInvalid: 400, store.ErrConflict: 409, store.ErrForbidden: 403} {
			if errors.Is(err, class) {
				code = status
			}
		}
		_ = c.String(code, err.Error())
	}
	e.Pre(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			SetPerson(c, store.Person{Name: "anna", Role: store.Operator})
			return next(c)
		}
	})
	e.Match([]string{http.MethodGet, http.MethodHead}, "/m/:file", h.ManifestByLink)
	e.GET("/manifests", h.ManifestLinkList)
	e.GET("/manifests/new", h.NewManifest)
	e.GET("/manifests/archive", h.ArchiveManifests)
	e.POST("/manifests/preview", h.PreviewManifest)
	e.POST("/manifests/download", h.DownloadManifest)
	e.POST("/manifests/apply", h.ApplyManifest)
	e.POST("/manifests/links", h.MakeManifestLink)
	e.POST("/manifests/links/:id/revoke", h.RevokeManifestLink)
	d.serve = func(method, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, req)
		return rec
	}
	return d
}

func form(more ...string) url.Values {
	v := url.Values{"system": {"labelled"}, "cluster": {"prod"}, "v.name": {"x"}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func TestALinkHandsOutItsManifest(t *testing.T) {
	d := newDesk(t, false)
	res := d.serve("POST", "/manifests/links", form("single", "1"))
	_, rest, _ := strings.Cut(res.Body.String(), "kubectl apply -f https://board.example")
	path, _, _ := strings.Cut(rest, "<")
	if res.Code != 200 || !strings.HasPrefix(path, "/m/") || len(path) != len("/m/.yaml")+32 {
		t.Fatalf("%d %q", res.Code, path)
	}
	for _, l := range d.links {
		if l.SHA256 != "af0e5d10555f1d22187ec68b0d9945d404e48ef4fd0ab333f0d6e7cd4c0db89b" {
			t.Errorf("the sum %s is not of the text", l.SHA256)
		}
		if l.By != "anna" || !l.Single || strings.Contains(fmt.Sprintf("%+v", *l), path[3:35]) {
			t.Errorf("%+v keeps the token, or not who made it", *l)
		}
	}
	if res := d.serve("HEAD", path, nil); res.Code != 200 {
		t.Errorf("HEAD: %d", res.Code)
	}
	res = d.serve("GET", path+"?download=1", nil)
	if res.Code != 200 || res.Body.String() != "kind: Pod\n" || res.Header().Get("Content-Type") != "application/yaml" || res.Header().Get("Content-Disposition") != `attachment; filename="labelled-x.yaml"` {
		t.Errorf("%d %s %v", res.Code, res.Body, res.Header())
	}
	for _, method := range []string{"GET", "HEAD"} {
		if res := d.serve(method, path, nil); res.Code != http.StatusGone {
			t.Errorf("%s again: %d", method, res.Code)
		}
	}
	var verbs []string
	for _, e := range *d.audit {
		verbs = append(verbs, e.Verb+" "+e.Result)
	}
	if got := strings.Join(verbs, ", "); got != "manifest-link done, manifest-download done, manifest-download refused" {
		t.Errorf("the audit has %s", got)
	}
}

func TestManifestRequests(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		form         url.Values
		code         int
		want         string
	}{
		"the form":            {"GET", "/manifests/new", nil, 200, `name="v.image"`},
		"a successor":         {"GET", "/manifests/new?runner=prod%2Flabelled%2Fns%2Fx", nil, 200, `value="prefilled"`},
		"of nobody":           {"GET", "/manifests/new?runner=prod%2Flabelled%2Fns%2Fnobody", nil, 404, "there is prod/labelled/ns/x"},
		"of nonsense":         {"GET", "/manifests/new?runner=a", nil, 400, "cluster/system/namespace/name"},
		"the archive":         {"GET", "/manifests/archive", nil, 200, "1 runners"},
		"a download":          {"POST", "/manifests/download", form(), 200, "kind: Pod"},
		"an apply":            {"POST", "/manifests/apply", form("sha256", "00ff"), 200, "Applied to prod."},
		"an apply unseen":     {"POST", "/manifests/apply", form(), 400, "look at it first"},
		"an unknown cluster":  {"POST", "/manifests/preview", form("cluster", "none"), 400, "there are prod"},
		"a link for years":    {"POST", "/manifests/links", form("life", "9999h"), 400, "a minute to seven days"},
		"no link to revoke":   {"POST", "/manifests/links/none/revoke", nil, 404, ""},
		"a token of nonsense": {"GET", "/m/..%2f..yaml", nil, 404, "no such link"},
	} {
		t.Run(name, func(t *testing.T) {
			res := newDesk(t, false).serve(c.method, c.path, c.form)
			if res.Code != c.code || !strings.Contains(res.Body.String(), c.want) {
				t.Errorf("%d, want %d and %q:\n%s", res.Code, c.code, c.want, res.Body)
			}
		})
	}
}

// While somebody types, what comes back is what changes in the page, and no page.
func TestAnswersWhileOneTypes(t *testing.T) {
	d := newDesk(t, false)
	d.draft.Problems = []store.FieldProblem{{Field: "image", Object: "pod/x", Path: "spec", Text: "no <b>good</b>"}}
	body := d.serve("POST", "/manifests/preview", form(), "Datastar-Request", "true").Body.String()
	for _, want := range []string{`<span id="f-image-e"`, "prod says of pod/x: no &lt;b&gt;good", `<section id="preview"`} {
		if !strings.Contains(body, want) {
			t.Errorf("it lacks %q:\n%s", want, body)
		}
	}
	if strings.Contains(body, "<html") {
		t.Error("it is a page")
	}
}

func TestApplyingIsToldToTheAudit(t *testing.T) {
	d := newDesk(t, false)
	d.err = fmt.Errorf("%w: somebody else keeps spec.replicas", store.ErrConflict)
	if res := d.serve("POST", "/manifests/apply", form("sha256", "00ff", "force", "1")); res.Code != http.StatusConflict || !strings.Contains(res.Body.String(), "spec.replicas") {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	if len(d.applied) != 1 || !d.applied[0].Force || d.applied[0].By.Name != "anna" || d.applied[0].SHA256 != "00ff" {
		t.Errorf("%+v", d.applied)
	}
	if e := (*d.audit)[0]; e.Verb != "manifest-apply" || e.Result != store.ResultFailed || e.Problem == "" {
		t.Errorf("%+v", e)
	}
	if res := newDesk(t, true).serve("POST", "/manifests/apply", form("sha256", "00ff")); res.Code != http.StatusForbidden {
		t.Errorf("read only: %d", res.Code)
	}
}

// An address that the board tells of itself is --public-url's, or how the connection came: never what a client's headers say.
func TestTheBoardsOwnAddress(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "board.example"}
	for _, c := range []struct {
		public *url.URL
		secure bool
		want   string
	}{{nil, false, "http://here:8080/x"}, {&url.URL{}, true, "https://here:8080/x"}, {public, false, "https://board.example/x"}} {
		r := httptest.NewRequest(http.MethodGet, "http://here:8080/", nil)
		for _, h := range []string{"X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Url-Scheme", "X-Forwarded-Host"} {
			r.Header.Set(h, "javascript")
		}
		r.Header.Set("X-Forwarded-Ssl", "on")
		if c.secure {
			r.TLS = &tls.ConnectionState{}
		}
		h := &Handlers{publicURL: c.public}
		if got := h.at(echo.New().NewContext(r, httptest.NewRecorder()), "/x"); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func FuzzParseLinkFile(f *testing.F) {
	for _, s := range []string{"", ".yaml", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.yaml", "../../etc.yaml", "\x00.yaml",
		"AAAAAAAAAAAAAAAA\r\nAAAAAAAAAAAAAAAA.yaml"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		hash, err := ParseLinkFile(file)
		if err != nil && (hash != nil || !errors.Is(err, store.ErrNotFound)) || err == nil && (len(hash) != 32 || len(file) != 37) {
			t.Errorf("%q: %x, %v", file, hash, err)
		}
	})
}

func FuzzParseManifestForm(f *testing.F) {
	f.Add("system=labelled&v.name=x&v.image=a%00b&force=1")
	f.Add(strings.Repeat("v.a=1&", 300))
	f.Fuzz(func(t *testing.T, body string) {
		q, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		ask, err := ParseManifestForm(q)
		if err != nil && !errors.Is(err, store.ErrInvalid) || len(ask.Values) > 100 {
			t.Errorf("%d values, %v", len(ask.Values), err)
		}
	})
}
