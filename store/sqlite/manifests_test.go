package sqlite_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trackside/store"
)

// manifestLink is a link made at at(0) that lives for an hour.
func manifestLink(id string, single bool) store.ManifestLink {
	return store.ManifestLink{ID: id, Hash: []byte("hash of " + id), File: "labelled-x.yaml", Ref: store.Ref{Cluster: "c", System: "labelled", Namespace: "ns", Name: "x"},
		SHA256: "00ff", YAML: "kind: Pod\n", By: "anna", Made: at(0), Expires: at(3600), Single: single}
}

func TestManifestLinksLiveAndDie(t *testing.T) {
	d := fresh(t)
	ctx := t.Context()
	many, once := manifestLink("many", false), manifestLink("once", true)
	for _, l := range []store.ManifestLink{many, once} {
		if err := d.AddManifestLink(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		got, used, err := d.UseManifestLink(ctx, many.Hash, at(10))
		if err != nil || !used || got.YAML != many.YAML || got.Uses != int64(i+1) || !got.LastUsed.Equal(at(10)) || got.Ref != many.Ref {
			t.Fatalf("use %d: %+v, %v, %v", i, got, used, err)
		}
	}
	if got, used, err := d.UseManifestLink(ctx, many.Hash, at(3600)); err != nil || used || got.Dead(at(3600)) != "it has expired" {
		t.Errorf("at its end: %+v, %v, %v", got, used, err)
	}
	if revoked, err := d.RevokeManifestLink(ctx, "many", at(20)); err != nil || !revoked {
		t.Fatal(revoked, err)
	}
	if got, used, err := d.UseManifestLink(ctx, many.Hash, at(21)); err != nil || used || got.YAML != "" || got.Dead(at(21)) != "it was revoked" {
		t.Errorf("revoked: %+v, %v, %v", got, used, err)
	}
	if revoked, err := d.RevokeManifestLink(ctx, "many", at(22)); err != nil || revoked {
		t.Errorf("revoked again: %t %v", revoked, err)
	}
	if got, err := d.ManifestLink(ctx, many.Hash); err != nil || !got.Revoked.Equal(at(20)) {
		t.Errorf("revoked at %s (%v)", got.Revoked, err)
	}
	if _, err := d.RevokeManifestLink(ctx, "none", at(22)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoking one that never was: %v", err)
	}
	if _, _, err := d.UseManifestLink(ctx, []byte("nobody's"), at(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that never was: %v", err)
	}
	if all, err := d.ManifestLinks(ctx, 10); err != nil || len(all) != 2 || all[0].YAML != "" || all[0].Hash != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// Of many who use a single-use link at once, one gets it.
func TestASingleUseIsOne(t *testing.T) {
	d := fresh(t)
	l := manifestLink("once", true)
	if err := d.AddManifestLink(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, used, err := d.UseManifestLink(t.Context(), l.Hash, at(1)); err != nil {
				t.Error(err)
			} else if used {
				got.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d got it", got.Load())
	}
}

func TestWhatNoLinkIs(t *testing.T) {
	d := fresh(t)
	for name, change := range map[string]func(*store.ManifestLink){
		"too long a life":  func(l *store.ManifestLink) { l.Expires = l.Made.Add(8 * 24 * time.Hour) },
		"too short a life": func(l *store.ManifestLink) { l.Expires = l.Made },
		"no text":          func(l *store.ManifestLink) { l.YAML = "" },
		"too much of it":   func(l *store.ManifestLink) { l.YAML = strings.Repeat("x", store.MaxManifest+1) },
	} {
		l := manifestLink("a", false)
		change(&l)
		if err := d.AddManifestLink(t.Context(), l); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeadLinksLoseTheirTextAndAreForgotten(t *testing.T) {
	d := fresh(t)
	l := manifestLink("old", false)
	if err := d.AddManifestLink(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if n, err := d.PruneManifestLinks(t.Context(), at(-1)); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	if got, err := d.ManifestLink(t.Context(), l.Hash); err != nil || got.YAML != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if n, err := d.PruneManifestLinks(t.Context(), at(3601)); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}

// The ID of a link is taken once: a form that is sent again makes no other.
func TestALinkIsMadeOnce(t *testing.T) {
	d := auditFile(t)
	first, again := manifestLink("a", false), manifestLink("a", false)
	again.Hash = []byte("another token's")
	if err := d.AddManifestLink(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := d.AddManifestLink(t.Context(), again); !errors.Is(err, store.ErrConflict) {
		t.Errorf("again: %v", err)
	}
	if _, err := d.ManifestLink(t.Context(), again.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the other token leads to a link: %v", err)
	}
}
