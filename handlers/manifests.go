package handlers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// Manifests writes manifests of new runners. Errors are of the closed set; what is wrong with a value, or what a cluster has against it,
// stands in the draft.
type Manifests interface {
	// Forms are what can be asked, one for each system.
	Forms() []store.ManifestForm
	// Preview writes a manifest and asks its cluster what it makes of it; it changes nothing.
	Preview(ctx context.Context, ask store.ManifestAsk) (store.ManifestDraft, error)
	// Apply applies it. The text must be the one of ask.SHA256.
	Apply(ctx context.Context, ask store.ManifestAsk) (store.ManifestDraft, error)
}

// Running reads what runs, as manifests.
type Running interface {
	// Values are those of the form that fit a runner.
	Values(ctx context.Context, r *store.Runner, by store.Person) (map[string]string, error)
	// Written is the manifest of a runner as it runs.
	Written(ctx context.Context, r *store.Runner, by store.Person) (store.ManifestDraft, error)
	// Archive writes those of many as one tar.gz.
	Archive(ctx context.Context, w io.Writer, runners []*store.Runner, by store.Person) error
}

// ManifestOptions are what the pages of manifests need.
type ManifestOptions struct {
	Manifests Manifests
	Running   Running
	Links     ManifestLinks
	// Clusters are the aliases that can be asked.
	Clusters []string
	// ReadOnly boards apply nothing.
	ReadOnly bool
}

// WritesManifests says that this board writes manifests.
func (h *Handlers) WritesManifests() bool { return h.manifests.Manifests != nil }

// valuePrefix stands before the names of a form's own fields in a request.
const valuePrefix = "v."

// ParseManifestForm reads a form that somebody has filled in. It is store.ErrInvalid when it is larger than any form of ours.
func ParseManifestForm(form url.Values) (store.ManifestAsk, error) {
	ask := store.ManifestAsk{System: form.Get("system"), Cluster: form.Get("cluster"), SHA256: form.Get("sha256"), Force: form.Get("force") == "1", Values: map[string]string{}}
	for key, values := range form {
		name, ok := strings.CutPrefix(key, valuePrefix)
		if !ok || len(values) == 0 {
			continue
		}
		if len(ask.Values) == 100 || len(name) > 60 || len(values[0]) > 4096 {
			return ask, fmt.Errorf("%w: the form is larger than any that this board has", store.ErrInvalid)
		}
		ask.Values[name] = values[0]
	}
	return ask, nil
}

// manifestAsk reads the form of a request, in the name of who sent it.
func (h *Handlers) manifestAsk(c echo.Context) (store.ManifestAsk, error) {
	if err := c.Request().ParseForm(); err != nil {
		return store.ManifestAsk{}, fmt.Errorf("%w: the form cannot be read: %w", store.ErrInvalid, err)
	}
	ask, err := ParseManifestForm(c.Request().PostForm)
	ask.By = PersonOf(c)
	if err == nil && ask.Cluster != "" && !slices.Contains(h.manifests.Clusters, ask.Cluster) {
		err = fmt.Errorf("%w: there is no cluster %q; there are %s", store.ErrInvalid, store.Clean(ask.Cluster, 80), strings.Join(h.manifests.Clusters, ", "))
	}
	return ask, err
}

// NewManifest answers with the form of a system, or of a runner's successor: /manifests/new?system=…&cluster=… or ?runner=….
func (h *Handlers) NewManifest(c echo.Context) error {
	q, err := query(c.Request())
	if err != nil {
		return err
	}
	ask := store.ManifestAsk{System: q.Get("system"), Cluster: q.Get("cluster"), By: PersonOf(c), Values: map[string]string{}}
	forms := h.manifests.Manifests.Forms()
	if ask.System == "" && len(forms) > 0 {
		ask.System = forms[0].System
	}
	if ask.Cluster == "" && len(h.manifests.Clusters) > 0 {
		ask.Cluster = h.manifests.Clusters[0]
	}
	var successor store.Ref
	if path := q.Get("runner"); path != "" {
		r, err := h.runnerAt(path)
		if err != nil {
			return err
		}
		successor, ask.System, ask.Cluster = r.Ref, r.Ref.System, r.Ref.Cluster
		if ask.Values, err = h.manifests.Running.Values(c.Request().Context(), r, ask.By); err != nil {
			return err
		}
	}
	draft, err := h.manifests.Manifests.Preview(c.Request().Context(), ask)
	if err != nil {
		return err
	}
	m := h.manifestModel(ask, draft)
	m.Successor, m.Asked = successor, successor.Name != ""
	return h.page(c, http.StatusOK, views.ManifestPage(m))
}

// runnerAt finds a runner by the end of its permalink. One that is not there is answered with those that are.
func (h *Handlers) runnerAt(path string) (*store.Runner, error) {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		s, err := url.PathUnescape(p)
		if err != nil {
			return nil, fmt.Errorf("%w: the runner's address cannot be read: %w", store.ErrInvalid, err)
		}
		parts[i] = s
	}
	if len(parts) != 4 {
		return nil, fmt.Errorf("%w: a runner is named as cluster/system/namespace/name", store.ErrInvalid)
	}
	ref, err := store.RefFromPath(parts[0], parts[1], parts[2], parts[3])
	if err != nil {
		return nil, err
	}
	snap := h.live.Current()
	r, err := snap.Runner(ref)
	if err != nil {
		return nil, &NoRunner{Err: err, Near: snap.Near(ref, 5)}
	}
	return r, nil
}

func (h *Handlers) manifestModel(ask store.ManifestAsk, d store.ManifestDraft) views.ManifestModel {
	m := views.ManifestModel{Frame: h.frame(), Forms: h.manifests.Manifests.Forms(), Clusters: h.manifests.Clusters, Values: ask.Values, Draft: d, Key: newKey(),
		CanApply: !h.manifests.ReadOnly && ask.By.Role.May(store.Operator), Asked: true, Snapshot: h.live.Current(), Now: time.Now()}
	m.Draft.Cluster = ask.Cluster
	for _, f := range m.Forms {
		if f.System == ask.System {
			m.Form = f
		}
	}
	return m
}

// PreviewManifest answers with what a cluster makes of a form: to a script of the page with what changes in it, to anybody else with the page.
func (h *Handlers) PreviewManifest(c echo.Context) error {
	ask, err := h.manifestAsk(c)
	if err != nil {
		return err
	}
	draft, err := h.manifests.Manifests.Preview(c.Request().Context(), ask)
	if err != nil {
		return err
	}
	m := h.manifestModel(ask, draft)
	if c.Request().Header.Get("Datastar-Request") == "" {
		return h.page(c, http.StatusOK, views.ManifestPage(m))
	}
	var b bytes.Buffer
	if err := views.ManifestAnswer(m).Render(c.Request().Context(), &b); err != nil {
		return fmt.Errorf("rendering the answer to a form: %w", err)
	}
	return Write(c, http.StatusOK, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

// complete previews a form and refuses one that has no text yet.
func (h *Handlers) complete(c echo.Context) (ask store.ManifestAsk, d store.ManifestDraft, err error) {
	if ask, err = h.manifestAsk(c); err != nil {
		return ask, d, err
	}
	alone := ask
	alone.Cluster = "" // the text is the same whatever the cluster says of it
	if d, err = h.manifests.Manifests.Preview(c.Request().Context(), alone); err != nil {
		return ask, d, err
	}
	d.Cluster = ask.Cluster
	if d.YAML == "" {
		err = fmt.Errorf("%w: the form is not complete: %s: %s", store.ErrInvalid, d.Problems[0].Field, d.Problems[0].Text)
	}
	return ask, d, err
}

// DownloadManifest answers with the text as a file.
func (h *Handlers) DownloadManifest(c echo.Context) error {
	ask, d, err := h.complete(c)
	if err != nil {
		return err
	}
	h.note(c, store.Entry{By: ask.By, Verb: store.VerbManifestDownload, Ref: d.Ref(), Object: d.File(), Note: "sha256 " + d.SHA256, Result: store.ResultDone})
	return writeYAML(c, d.File(), d.YAML, true)
}

// ApplyManifest applies what was looked at, and answers with the page that says so.
func (h *Handlers) ApplyManifest(c echo.Context) error {
	if h.manifests.ReadOnly {
		return fmt.Errorf("%w: this board was started with --read-only, so nothing can be applied here", store.ErrForbidden)
	}
	ask, err := h.manifestAsk(c)
	if err != nil {
		return err
	}
	if ask.Cluster == "" || ask.SHA256 == "" {
		return fmt.Errorf("%w: to apply a manifest, look at it first: cluster and sha256 say what was looked at", store.ErrInvalid)
	}
	d, err := h.manifests.Manifests.Apply(c.Request().Context(), ask)
	entry := store.Entry{By: ask.By, Verb: store.VerbManifestApply, Ref: d.Ref(), Object: d.File(), Note: "sha256 " + d.SHA256, Result: store.ResultDone}
	if err != nil {
		entry.Result, entry.Problem = store.ResultFailed, store.Plain(err)
	}
	h.note(c, entry)
	if err != nil {
		return err
	}
	checked, err := h.manifests.Manifests.Preview(c.Request().Context(), ask)
	if err != nil {
		return err
	}
	m := h.manifestModel(ask, checked)
	m.Said = store.Sentence("Applied to " + store.Clean(ask.Cluster, 80) + ". " + store.Clean(d.Name, 63) + " comes up on the board as soon as it is seen.")
	return h.page(c, http.StatusOK, views.ManifestPage(m))
}

// note enters something into the audit. What cannot be entered is logged: the deed is done.
func (h *Handlers) note(c echo.Context, e store.Entry) {
	if h.audit == nil {
		return
	}
	e.At = time.Now()
	e.Ended = e.At
	if _, err := h.audit.Enter(context.WithoutCancel(c.Request().Context()), e); err != nil {
		h.log.Error("the audit misses an entry", "verb", e.Verb, "object", e.Object, "by", e.By.Name, "error", store.ErrorText(err))
	}
}

// writeYAML answers with a manifest, to be saved under a name or to be shown.
func writeYAML(c echo.Context, file, text string, save bool) error {
	way := "inline"
	if save {
		way = "attachment"
	}
	c.Response().Header().Set("Content-Disposition", way+`; filename="`+file+`"`)
	return Write(c, http.StatusOK, "application/yaml", []byte(text))
}

// ArchiveManifests answers with the manifests of all healthy runners, streamed as one tar.gz.
func (h *Handlers) ArchiveManifests(c echo.Context) error {
	res := c.Response()
	res.Header().Set("Content-Type", "application/gzip")
	res.Header().Set("Cache-Control", "no-store")
	res.Header().Set("Content-Disposition", `attachment; filename="runners.tar.gz"`)
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	runners := h.healthy()
	h.note(c, store.Entry{By: PersonOf(c), Verb: store.VerbManifestDownload, Object: "runners.tar.gz", Note: fmt.Sprintf("%d runners", len(runners)), Result: store.ResultDone})
	res.WriteHeader(http.StatusOK)
	if err := h.manifests.Running.Archive(c.Request().Context(), onwards{res}, runners, PersonOf(c)); err != nil {
		h.log.Warn("an archive of manifests broke off", "error", store.ErrorText(err))
		panic(http.ErrAbortHandler) // the answer has begun: its reader must see that it is not whole
	}
	return nil
}

// onwards moves the deadline of an answer on with every write: an archive may take longer than a page.
type onwards struct{ res *echo.Response }

func (w onwards) Write(b []byte) (int, error) {
	_ = http.NewResponseController(w.res.Writer).SetWriteDeadline(time.Now().Add(30 * time.Second)) // a recorder has none
	return w.res.Write(b)
}

// healthy lists the runners that are well, and that a cluster shows.
func (h *Handlers) healthy() (out []*store.Runner) {
	for r := range h.live.Current().Runners() {
		if r.Health == store.Healthy && slices.Contains(h.manifests.Clusters, r.Ref.Cluster) {
			out = append(out, r)
		}
	}
	return out
}
