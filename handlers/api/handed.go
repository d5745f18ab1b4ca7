package api

import (
	"context"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/store"
	"trackside/views"
)

// ManifestLinks lists links to manifests without their texts, newest first, at most limit.
type ManifestLinks interface {
	ManifestLinks(ctx context.Context, limit int) ([]store.ManifestLink, error)
}

// Tokens lists every token, revoked ones included.
type Tokens interface {
	Tokens(ctx context.Context) ([]store.Token, error)
}

// ManifestLink is a link to a manifest. Its address is a secret, and is known to whoever made it only.
type ManifestLink struct {
	ID        string    `json:"id" description:"Names the link in the audit; it opens nothing."`
	State     string    `json:"state" enum:"lives,used,revoked,expired"`
	File      string    `json:"file"`
	Cluster   string    `json:"cluster,omitempty"`
	System    string    `json:"system,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name,omitempty" description:"Of the runner that the manifest makes."`
	SHA256    string    `json:"sha256" description:"Of the manifest's text, in hexadecimal."`
	By        string    `json:"by"`
	Made      time.Time `json:"made"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"`
	Single    bool      `json:"single" description:"It is for one use."`
	Uses      int64     `json:"uses"`
	LastUsed  time.Time `json:"last_used,omitzero"`
}

// ManifestLinkList are the links to manifests, newest first.
type ManifestLinkList struct {
	linksHead
	Links []ManifestLink `json:"links"`
}

type linksHead struct {
	More bool `json:"more" description:"There were more than are listed."`
}

var linkColumns = []string{"id", "state", "file", "cluster", "system", "namespace", "name", "sha256", "by", "made", "expires", "revoked", "single", "uses", "last_used"}

// maxLinks is how many links one list holds.
const maxLinks = 10_000

// ManifestLinks is GET /manifests.json and /manifests.csv.
func (a *API) ManifestLinks(c echo.Context) error {
	var links []store.ManifestLink
	if a.o.ManifestLinks != nil {
		ctx, cancel := context.WithTimeout(c.Request().Context(), readTime)
		defer cancel()
		var err error
		if links, err = a.o.ManifestLinks.ManifestLinks(ctx, maxLinks+1); err != nil {
			return err
		}
	}
	l, err := a.list(c, linksHead{len(links) > maxLinks}, "links", "manifests", linkColumns)
	if err != nil {
		return err
	}
	now := time.Now()
	for i := range links[:min(len(links), maxLinks)] {
		x := linkOf(&links[i], now)
		l.row(x, x.cells)
	}
	return l.end()
}

func linkOf(l *store.ManifestLink, now time.Time) ManifestLink {
	return ManifestLink{ID: l.ID, State: views.LinkState(*l, now), File: l.File, Cluster: l.Ref.Cluster, System: l.Ref.System, Namespace: l.Ref.Namespace, Name: l.Ref.Name,
		SHA256: l.SHA256, By: l.By, Made: utc(l.Made), Expires: utc(l.Expires), Revoked: utc(l.Revoked), Single: l.Single, Uses: l.Uses, LastUsed: utc(l.LastUsed)}
}

func (l ManifestLink) cells() []string {
	return []string{l.ID, l.State, l.File, l.Cluster, l.System, l.Namespace, l.Name, l.SHA256, l.By, timeCell(l.Made), timeCell(l.Expires), timeCell(l.Revoked),
		strconv.FormatBool(l.Single), strconv.FormatInt(l.Uses, 10), timeCell(l.LastUsed)}
}

// Token is a token of a program or a wall screen: what it is for, and never what it is.
type Token struct {
	ID      string    `json:"id" description:"Its public part, which stands in the audit."`
	State   string    `json:"state" enum:"counts,revoked,expired"`
	Name    string    `json:"name" description:"What it is for, in its maker's words."`
	Kind    string    `json:"kind" enum:"api,wall"`
	Role    string    `json:"role" enum:"viewer,operator,admin"`
	By      string    `json:"by" description:"Who made it."`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero" description:"When it was last used, up to a minute behind; absent where it never was."`
	Expires time.Time `json:"expires,omitzero" description:"Absent where it does not end by itself."`
	Revoked time.Time `json:"revoked,omitzero"`
}

// TokenList are the tokens, in the order of their page: those that count first, each part newest first.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

var tokenColumns = []string{"id", "state", "name", "kind", "role", "by", "created", "used", "expires", "revoked"}

// Tokens is GET /tokens.json and /tokens.csv.
func (a *API) Tokens(c echo.Context) error {
	var all []store.Token
	if a.o.Tokens != nil {
		ctx, cancel := context.WithTimeout(c.Request().Context(), readTime)
		defer cancel()
		var err error
		if all, err = a.o.Tokens.Tokens(ctx); err != nil {
			return err
		}
	}
	l, err := a.list(c, struct{}{}, "tokens", "tokens", tokenColumns)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, t := range views.TokensInOrder(all, now) {
		x := Token{ID: t.ID, State: views.TokenState(t, now), Name: t.Name, Kind: string(t.Kind), Role: t.Role.String(), By: t.By, Created: utc(t.Created), Used: utc(t.Used),
			Expires: utc(t.Expires), Revoked: utc(t.Revoked)}
		l.row(x, func() []string {
			return []string{x.ID, x.State, x.Name, x.Kind, x.Role, x.By, timeCell(x.Created), timeCell(x.Used), timeCell(x.Expires), timeCell(x.Revoked)}
		})
	}
	return l.end()
}
