package handlers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// atOnce is how many runners of a request are looked at or acted on at the same time: enough to be quick, few enough for any API server.
const atOnce = 6

// manyTime bounds how long several runners may take together.
const manyTime = 5 * time.Minute

// bulk is what an address below /actions asks for.
type bulk struct {
	verb   store.Verb
	filter store.Filter
	// dead asks for the dead among the filter's runners.
	dead bool
}

func (h *Handlers) bulkOf(c echo.Context) (b bulk, err error) {
	if err = h.mayAct(); err != nil {
		return b, err
	}
	q, err := query(c.Request())
	if err != nil {
		return b, err
	}
	if s := strings.TrimPrefix(strings.TrimPrefix(c.Request().URL.EscapedPath(), "/actions"), "/"); s != "" {
		if b.verb, err = verbOf(s); err != nil {
			return b, err
		}
		if b.verb == store.VerbRestart || b.verb == store.VerbDeleteWorkload {
			return b, fmt.Errorf("%w: to %s needs a part of one runner; there is no doing it to several", store.ErrInvalid, b.verb)
		}
	}
	b.dead = q.Get("dead") != ""
	if b.dead && b.verb != store.VerbDelete {
		return b, fmt.Errorf("%w: dead runners can be deleted together, and nothing else", store.ErrInvalid)
	}
	q.Del("dead")
	if b.filter, err = views.ParseQuery(q); err != nil {
		return b, err
	}
	return b, views.CheckSystems(b.filter, h.knownSystems())
}

// BulkMenu answers with what can be done to the runners of a filter.
func (h *Handlers) BulkMenu(c echo.Context) error {
	b, err := h.bulkOf(c)
	if err != nil {
		return h.unseen("", store.Ref{}, err)
	}
	m := views.NewBulkMenu(h.live.Current().Select(b.filter), b.filter, time.Now())
	m.Frame = h.frame()
	return h.deed(c, views.BulkMenuPage(m), views.BulkMenuDeed(m))
}

// Bulk answers with what an action would do to each runner of a filter to which it applies. It changes nothing.
func (h *Handlers) Bulk(c echo.Context) error {
	b, err := h.bulkOf(c)
	if err != nil {
		return h.unseen(b.verb, store.Ref{}, err)
	}
	patient(c, manyTime)
	form := views.ActForm{Key: newKey(), Looked: looked()}
	items, beyond := h.bulkItems(b)
	h.planAll(c, b.verb, form, items)
	m := views.NewBulkModel(b.verb, b.filter, b.dead, items, beyond, form, "", time.Now())
	m.Frame = h.frame()
	return h.deed(c, views.BulkPage(m), views.BulkDeed(m))
}

// bulkItems are the runners of a filter to which the verb applies, all chosen, and how many more there are.
func (h *Handlers) bulkItems(b bulk) (items []views.BulkItem, beyond int) {
	now := time.Now()
	for _, r := range h.live.Current().Select(b.filter) {
		switch {
		case !views.BulkApplies(b.verb, r, b.dead, now) || b.dead && !h.heard(r.Ref.Cluster):
		case len(items) == views.MaxBulk:
			beyond++
		default:
			items = append(items, views.BulkItem{Runner: r, Chosen: true})
		}
	}
	return items, beyond
}

// heard reports whether all that tells of a cluster is live: what nobody has confirmed is not dead.
func (h *Handlers) heard(cluster string) bool {
	for _, s := range h.live.Current().Sources {
		if s.Cluster == cluster && s.State != store.SourceLive {
			return false
		}
	}
	return true
}

// planAll looks at each of the runners.
func (h *Handlers) planAll(c echo.Context, v store.Verb, form views.ActForm, items []views.BulkItem) {
	by := PersonOf(c)
	each(items, func(it *views.BulkItem) {
		f := form
		f.Key, f.Incarnation = keyFor(form.Key, it.Runner.Ref), it.Runner.Incarnation
		p, err := h.plan(c.Request().Context(), action(by, v, it.Runner.Ref, f))
		if it.Plan = p; err != nil {
			it.Plan, it.Problem = store.Plan{}, store.Plain(err)
		}
	})
}

// each calls f for all items, some at the same time, and waits.
func each(items []views.BulkItem, f func(*views.BulkItem)) {
	var wg sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for i := range items {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			f(&items[i])
		})
	}
	wg.Wait()
}

// keyFor makes a key for one of the runners out of the form's, so that a form that is sent twice acts once on each.
func keyFor(key string, ref store.Ref) string {
	sum := sha256.Sum256([]byte(key + "\x00" + ref.Path()))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20])
}

// ActOnMany does an action to each of the runners whose boxes are ticked, and answers with what came of it for each.
func (h *Handlers) ActOnMany(c echo.Context) error {
	b, err := h.bulkOf(c)
	if err == nil {
		err = parseForm(c.Request())
	}
	if err == nil && b.verb == "" {
		err = fmt.Errorf("%w: the address names no action", store.ErrInvalid)
	}
	if err != nil {
		return h.unseen(b.verb, store.Ref{}, err)
	}
	patient(c, manyTime)
	form := actForm(c.Request().PostForm)
	chosen, err := h.chosen(c.Request().PostForm["ref"])
	if err == nil {
		err = checkMany(b.verb, form, len(chosen))
	}
	if err != nil {
		return h.refuseMany(c, b, form, err)
	}
	h.doAll(c.Request().Context(), PersonOf(c), b, form, chosen)
	m := views.NewBulkModel(b.verb, b.filter, b.dead, chosen, 0, form, "", time.Now())
	m.Done, m.Frame = true, h.frame()
	return h.deed(c, views.BulkPage(m), views.BulkDeed(m))
}

// chosen reads the ticked boxes. A runner that has gone since is told of as such.
func (h *Handlers) chosen(values []string) (items []views.BulkItem, err error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("%w: no runner is chosen", store.ErrInvalid)
	}
	if len(values) > views.MaxBulk {
		return nil, fmt.Errorf("%w: %d runners can be acted on at once, not %d", store.ErrInvalid, views.MaxBulk, len(values))
	}
	snap := h.live.Current()
	seen := map[store.Ref]bool{}
	for _, v := range values {
		ref, incarnation, err := bulkRef(v)
		if err != nil {
			return nil, err
		}
		if seen[ref] {
			continue
		}
		seen[ref] = true
		it := views.BulkItem{Chosen: true}
		if it.Runner, err = snap.Runner(ref); err != nil {
			it.Runner = &store.Runner{Ref: ref} // whether this very form has deleted it is known by its key
		}
		it.Plan.Action = store.Action{Ref: ref, Incarnation: incarnation}
		items = append(items, it)
	}
	return items, nil
}

// bulkRef reads what [views.BulkRef] writes.
func bulkRef(s string) (ref store.Ref, incarnation string, err error) {
	path, inc, _ := strings.Cut(s, "#")
	rest, ok := strings.CutPrefix(path, "/runners/")
	if incarnation, err = url.PathUnescape(inc); err != nil || !ok {
		return ref, "", fmt.Errorf("%w: ref is a runner's address, and %q is none", store.ErrInvalid, store.Clean(s, 100))
	}
	ref, err = refOfParts(strings.Split(rest, "/"))
	return ref, incarnation, err
}

// checkMany is store.ErrInvalid for a form that nobody could mean, before anything is done to the first.
func checkMany(v store.Verb, f views.ActForm, n int) error {
	probe := action(store.Person{}, v, store.Ref{}, f)
	if probe.Key == "" {
		return probe.Check()
	}
	if v == store.VerbDelete {
		if strings.TrimSpace(f.Confirm) != strconv.Itoa(n) {
			return fmt.Errorf("%w: to delete %d, type the number %d; %q was typed", store.ErrInvalid, n, n, store.Clean(f.Confirm, 40))
		}
		probe.Confirm = ""
	}
	return cmp.Or(checkForm(v, f), probe.Check())
}

func (h *Handlers) doAll(ctx context.Context, by store.Person, b bulk, form views.ActForm, items []views.BulkItem) {
	each(items, func(it *views.BulkItem) {
		if it.Problem == "" && b.dead && !h.stillDead(it.Runner.Ref) {
			it.Problem = "it is not dead any more, or its cluster is not heard"
		}
		if it.Problem != "" {
			return
		}
		f := form
		f.Key, f.Incarnation, f.Confirm = keyFor(form.Key, it.Runner.Ref), it.Plan.Action.Incarnation, it.Runner.Ref.Name
		a := action(by, b.verb, it.Runner.Ref, f)
		it.Plan.Action = a
		out, err := h.do(ctx, a)
		if errors.Is(err, store.ErrNotFound) {
			it.Problem = "it is no longer there"
			return
		}
		if err != nil {
			it.Problem = store.Plain(err)
			return
		}
		it.Outcome = &out
	})
}

// stillDead looks again before a dead runner is deleted: it may have recovered since the form was made. One that is being deleted is no other,
// and one that is gone may have been by this form, when it is sent again.
func (h *Handlers) stillDead(ref store.Ref) bool {
	r, err := h.live.Current().Runner(ref)
	return err != nil || (r.Requested == store.Deleting || r.Dead(time.Now()) && h.heard(ref.Cluster))
}

// refuseMany shows the form again, with what was typed and ticked.
func (h *Handlers) refuseMany(c echo.Context, b bulk, form views.ActForm, err error) error {
	form.Key, form.Looked = newKey(), looked()
	items, beyond := h.bulkItems(b)
	ticked := map[string]bool{}
	for _, v := range c.Request().PostForm["ref"] {
		path, _, _ := strings.Cut(v, "#")
		ticked[path] = true
	}
	for i := range items {
		items[i].Chosen = ticked[items[i].Runner.Ref.Path()]
	}
	h.planAll(c, b.verb, form, items)
	model := func(sentence string) views.BulkModel {
		m := views.NewBulkModel(b.verb, b.filter, b.dead, items, beyond, form, sentence, time.Now())
		m.Frame = h.frame()
		return m
	}
	return &Refused{Err: err, Page: func(s string) templ.Component { return views.BulkPage(model(s)) }, Part: func(s string) templ.Component { return views.BulkDeed(model(s)) }}
}
