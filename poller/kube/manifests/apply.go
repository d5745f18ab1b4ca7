package manifests

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trackside/store"
)

// Apply applies a manifest, object by object, after a dry run of all of them has found nothing against it. The text must be that of
// ask.SHA256, if that is given: anything else is store.ErrConflict, as are fields that somebody else keeps. store.ErrInvalid says what is
// wrong, store.ErrForbidden which verb lacks.
func (s *Service) Apply(ctx context.Context, ask store.ManifestAsk) (store.ManifestDraft, error) {
	w, err := write(ask)
	switch {
	case err != nil:
		return w.ManifestDraft, err
	case w.YAML == "":
		return w.ManifestDraft, fmt.Errorf("%w: the form is not complete: %s", store.ErrInvalid, told(w.Problems))
	case ask.SHA256 != "" && ask.SHA256 != w.SHA256:
		return w.ManifestDraft, fmt.Errorf("%w: the form has changed since it was looked at; look at it again, and apply then", store.ErrConflict)
	}
	a, err := s.asker(ask.Cluster, ask.By)
	if err != nil {
		return w.ManifestDraft, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTime)
	defer cancel()
	if err := a.ready(ctx, w, ask.Force); err != nil {
		return w.ManifestDraft, err
	}
	return w.ManifestDraft, a.apply(ctx, &w, ask.Force)
}

// ready refuses what a dry run refuses, before anything is changed.
func (a asker) ready(ctx context.Context, w written, force bool) error {
	for _, o := range w.objects {
		if _, errs := a.dryRun(ctx, o, w.accounts(), force); len(errs) > 0 {
			return refused(a.alias, named(o), problems(o, errs[0]), errs[0])
		}
	}
	return nil
}

func (a asker) apply(ctx context.Context, w *written, force bool) error {
	var done []string
	for _, o := range w.objects {
		r, err := a.resource(o.GroupVersionKind(), o.GetNamespace())
		if err == nil {
			_, err = r.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: Manager, Force: force})
		}
		if err != nil {
			err = refused(a.alias, named(o), problems(o, err), err)
			if len(done) > 0 {
				err = fmt.Errorf("%w; before it these were applied: %s", err, strings.Join(done, ", "))
			}
			return err
		}
		done = append(done, named(o))
	}
	return nil
}

// refused is the border's error for an apply.
func refused(alias, object string, found []store.FieldProblem, err error) error {
	class := store.ErrInvalid
	switch {
	case away(err):
		class = store.ErrUnavailable
	case apierrors.IsConflict(err):
		class = store.ErrConflict
	case apierrors.IsForbidden(err):
		class = store.ErrForbidden
	}
	text := told(found)
	if text == "" {
		text = store.Clean(store.ErrorText(err), 400)
	}
	return fmt.Errorf("%w: applying %s in %s: %s", class, object, alias, text)
}

// told puts problems into one line.
func told(found []store.FieldProblem) string {
	var out []string
	for _, p := range found {
		at := p.Path
		if at == "" {
			at = p.Field
		}
		if at != "" {
			at += ": "
		}
		out = append(out, at+p.Text)
	}
	return strings.Join(out, "; ")
}
