package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"trackside/store"
	"trackside/store/sqlite/internal/db"
)

// Acceptances lists every acceptance that is kept, those that have ended too, by runner, code and object. Errors are
// store.ErrUnavailable.
func (d *DB) Acceptances(ctx context.Context) ([]store.Acceptance, error) {
	rows, err := d.read.ListAcceptances(ctx)
	if err != nil {
		return nil, unavailable("read the accepted findings in", d.path, err)
	}
	out := make([]store.Acceptance, len(rows))
	for i, x := range rows {
		out[i] = store.Acceptance{Ref: store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}, Code: x.Code,
			Object: x.Object, Note: x.Note, At: time.UnixMilli(x.At).UTC(), Until: time.UnixMilli(x.Until).UTC()}
	}
	return out, nil
}

// Accept keeps an acceptance, in place of the one of the same runner, code and object. Errors are store.ErrUnavailable.
func (d *DB) Accept(ctx context.Context, a store.Acceptance) error {
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) error {
		return q.PutAcceptance(ctx, db.PutAcceptanceParams{Cluster: a.Ref.Cluster, System: a.Ref.System, Namespace: a.Ref.Namespace, Name: a.Ref.Name,
			Code: a.Code, Object: a.Object, Note: a.Note, At: a.At.UnixMilli(), Until: a.Until.UnixMilli()})
	})
	return unavailable("record in", d.path, err)
}

// Withdraw forgets the acceptance of that runner, code and object. Errors are store.ErrNotFound and store.ErrUnavailable.
func (d *DB) Withdraw(ctx context.Context, a store.Acceptance) error {
	var n int64
	err := d.transact(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		n, err = q.DeleteAcceptance(ctx, db.DeleteAcceptanceParams{Cluster: a.Ref.Cluster, System: a.Ref.System, Namespace: a.Ref.Namespace, Name: a.Ref.Name,
			Code: a.Code, Object: a.Object})
		return err
	})
	if err == nil && n == 0 {
		return fmt.Errorf("%w: no acceptance of %s of %s is kept", store.ErrNotFound, store.Clean(a.Code, 100), a.Ref)
	}
	return unavailable("record in", d.path, err)
}

// VersionsSince is since when each runner, and each of its components, has the version it has, as far as transitions are kept: its last
// change of version, or its first appearance. A component that never changed its version is not named: then its runner's is the time.
// Errors are store.ErrUnavailable.
func (d *DB) VersionsSince(ctx context.Context) (map[store.PartRef]time.Time, error) {
	rows, err := d.read.VersionsSince(ctx)
	if err != nil {
		return nil, unavailable("read the versions in", d.path, err)
	}
	out := make(map[store.PartRef]time.Time, len(rows))
	for _, x := range rows {
		ref := store.Ref{Cluster: x.Cluster, System: x.System, Namespace: x.Namespace, Name: x.Name}
		out[store.PartRef{Ref: ref, Component: x.Component}] = time.UnixMilli(x.Since).UTC()
	}
	return out, nil
}

// offer is store.Offer with the names it has in JSON. A list that says nothing is null, one that is empty is [].
type offer struct {
	Scope        string      `json:"scope,omitempty"`
	Organization string      `json:"organization,omitempty"`
	Labels       [][2]string `json:"labels"`
	Capabilities []string    `json:"capabilities"`
	CPU          int64       `json:"cpuMillis,omitempty"`
	Memory       int64       `json:"memoryBytes,omitempty"`
	GPU          int64       `json:"gpu,omitempty"`
}

func offerRow(o store.Offer) offer {
	out := offer{Scope: o.Scope.Kind, Organization: o.Scope.Organization, Capabilities: o.Capabilities, CPU: o.Room.CPU, Memory: o.Room.Memory, GPU: o.Room.GPU}
	if o.Labels != nil {
		out.Labels = make([][2]string, len(o.Labels))
	}
	for i, l := range o.Labels {
		out.Labels[i] = [2]string{l.Key, l.Value}
	}
	return out
}

// offerOf reads an offer back; one that a hand has broken says nothing.
func offerOf(s string) store.Offer {
	var x offer
	if json.Unmarshal([]byte(s), &x) != nil {
		return store.Offer{}
	}
	out := store.Offer{Scope: store.Scope{Kind: x.Scope, Organization: x.Organization}, Capabilities: x.Capabilities, Room: store.Room{CPU: x.CPU, Memory: x.Memory, GPU: x.GPU}}
	if x.Labels != nil {
		out.Labels = make([]store.Label, len(x.Labels))
	}
	for i, l := range x.Labels {
		out.Labels[i] = store.Label{Key: l[0], Value: l[1]}
	}
	return out
}
