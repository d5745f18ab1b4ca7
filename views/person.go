package views

import (
	"context"
	"slices"
	"time"

	"trackside/store"
)

// Viewer is the person a document is made for. It stands around what streams send, and never in it: that is everybody's.
type Viewer struct {
	// Name is blank where nobody has signed in.
	Name string
	Role store.Role
	// MayEnter offers to sign in, MayLeave to sign out.
	MayEnter, MayLeave bool
}

type viewerKey struct{}

// ForViewer carries the person to the document that is rendered with the context.
func ForViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

func viewerOf(ctx context.Context) Viewer {
	v, _ := ctx.Value(viewerKey{}).(Viewer)
	return v
}

func (v Viewer) shown() bool { return v.Name != "" || v.MayEnter }

func (v Viewer) name() string { return store.Clean(v.Name, nameLimit) }

// SignInModel is the page to sign in on.
type SignInModel struct {
	Frame Frame
	Ways  store.SignInWays
	// Next is a local path to go on to.
	Next string
	// Name is what was typed, and Problem why it was refused.
	Name, Problem string
	// Left says that the person has just signed out.
	Left bool
	Now  time.Time
}

func (m SignInModel) shell() shell { return plainShell(m.Frame, "Sign in", m.Now) }

// plainShell is that of a page that stands by itself: it is no snapshot of the fleet and has no stream.
func plainShell(f Frame, title string, now time.Time) shell {
	f.Live = false
	return shell{Frame: f, Title: title + " · Trackside", Icon: IconURL(store.Totals{}), Now: now, Class: "account"}
}

func (m SignInModel) problem() string { return upper(sentenceEnd(store.Clean(m.Problem, lineLimit))) }

func (m SignInModel) name() string { return store.Clean(m.Name, nameLimit) }

// TokensModel is the page of tokens.
type TokensModel struct {
	Frame  Frame
	Tokens []store.Token
	// Made is the token that has just been made, or the wall's address with it; it is never shown again. MadeName is what it is for.
	Made, MadeName string
	// Name and Kind are what was typed, and Problem why it was refused.
	Name    string
	Kind    store.TokenKind
	Problem string
	// Form is a word for the form on this page.
	Form string
	Now  time.Time
}

func (m TokensModel) shell() shell { return plainShell(m.Frame, "Tokens", m.Now) }

func (m TokensModel) problem() string { return upper(sentenceEnd(store.Clean(m.Problem, lineLimit))) }

func (m TokensModel) name() string { return store.Clean(m.Name, store.MaxTokenName) }

func (m TokensModel) madeName() string { return store.Clean(m.MadeName, store.MaxTokenName) }

// tokenRow is a token as the page shows it.
type tokenRow struct {
	ID, Name, Kind, Role, By string
	Created, Used, Expires   time.Time
	// State is blank while it counts.
	State string
}

// rows are the tokens that count, newest first, and then those that do not.
func (m TokensModel) rows() []tokenRow {
	var out []tokenRow
	for _, t := range TokensInOrder(m.Tokens, m.Now) {
		r := tokenRow{ID: t.ID, Name: store.Clean(t.Name, nameLimit), Kind: kindWord(t.Kind), Role: t.Role.String(), By: store.Clean(t.By, nameLimit),
			Created: t.Created, Used: t.Used, Expires: t.Expires}
		if state := TokenState(t, m.Now); state != tokenCounts {
			r.State = state
		}
		out = append(out, r)
	}
	return out
}

// tokenCounts is the state of a token that lets in.
const tokenCounts = "counts"

// TokenState says in a word whether a token counts at a time, or how it ended: counts, revoked or expired.
func TokenState(t store.Token, now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Counts(now):
		return "expired"
	}
	return tokenCounts
}

// TokensInOrder are tokens in the order of their page: those that count at a time, newest first, and then those that do not.
func TokensInOrder(all []store.Token, now time.Time) []store.Token {
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b store.Token) int {
		first, then := TokenState(a, now) == tokenCounts, TokenState(b, now) == tokenCounts
		switch {
		case first && !then:
			return -1
		case then && !first:
			return 1
		}
		return b.Created.Compare(a.Created)
	})
	return out
}

func kindWord(k store.TokenKind) string {
	if k == store.TokenWall {
		return "wall"
	}
	return "API"
}

// roleHelp says what a role may do.
func roleHelp(r store.Role) string {
	switch r {
	case store.Operator:
		return "operator: acts on runners, writes manifests"
	case store.Admin:
		return "admin: also makes tokens"
	case store.Viewer, store.Nobody:
	}
	return "viewer: only looks"
}
