package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"trackside/accounts"
	"trackside/store"
	"trackside/store/sqlite"
)

// authFlags say who may do what. Several ways to be known may be on at once; with none everybody who reaches the board may do everything.
type authFlags struct {
	LocalUsers    bool `help:"Let users sign in with a name and a password: trackside user add NAME --role ROLE."`
	AnonymousView bool `help:"Let everybody look; who wants to act signs in."`

	OIDCIssuer           string   `name:"oidc-issuer" help:"An OpenID provider to sign in at, as https://id.example.com; needs --public-url, at which it sends people back to /signin/callback." placeholder:"URL"`
	OIDCName             string   `name:"oidc-name" help:"What people call it." placeholder:"NAME"`
	OIDCClientID         string   `name:"oidc-client-id" help:"The board's id there." placeholder:"ID"`
	OIDCClientSecretFile string   `name:"oidc-client-secret-file" help:"File with the board's secret there; read anew for each sign-in." placeholder:"FILE"`
	OIDCScope            []string `name:"oidc-scope" help:"What to ask for beside openid; repeatable (default ${default})." default:"profile,email" placeholder:"SCOPE"`
	OIDCNameClaim        string   `name:"oidc-name-claim" help:"The claim that names a person (default ${default})." default:"email" placeholder:"CLAIM"`
	OIDCGroupsClaim      string   `name:"oidc-groups-claim" help:"The claim with the person's groups (default ${default})." default:"groups" placeholder:"CLAIM"`
	OIDCRole             []string `name:"oidc-role" help:"Give a group a role, as operator=my-team; viewer=* is everybody there; repeatable." placeholder:"ROLE=GROUP" sep:"none"`

	ProxyFrom         []string `help:"Believe what a proxy whose connections come from this network says of who it is, as 10.1.2.3/32; repeatable." placeholder:"CIDR"`
	ProxyUserHeader   string   `help:"Its header with the person's name (default ${default})." default:"X-Forwarded-User" placeholder:"HEADER"`
	ProxyGroupsHeader string   `help:"Its header with the groups, separated by commas (default ${default})." default:"X-Forwarded-Groups" placeholder:"HEADER"`
	ProxyRole         []string `help:"Give a group a role, as operator=my-team; viewer=* is everybody whom the proxy names; repeatable." placeholder:"ROLE=GROUP" sep:"none"`

	SessionIdle time.Duration `help:"End a sign-in after so long without a page open (default ${default})." default:"8h" placeholder:"DURATION"`
	SessionMax  time.Duration `help:"End a sign-in after so long in any case (default ${default})." default:"24h" placeholder:"DURATION"`
}

// config reads the flags.
func (f authFlags) config(publicURL string, db *sqlite.DB, log *slog.Logger) (c accounts.Config, err error) {
	c = accounts.Config{Book: db, Local: f.LocalUsers, AnonymousView: f.AnonymousView, Idle: f.SessionIdle, Max: f.SessionMax, Log: log}
	if f.SessionIdle < time.Minute || f.SessionMax < f.SessionIdle {
		return c, fmt.Errorf("%w: --session-idle %s and --session-max %s: the first is 1m at least, and the second is not shorter", store.ErrInvalid, f.SessionIdle, f.SessionMax)
	}
	if f.OIDCIssuer != "" {
		o := accounts.OIDC{Issuer: f.OIDCIssuer, Name: f.OIDCName, ClientID: f.OIDCClientID, SecretFile: f.OIDCClientSecretFile, Scopes: f.OIDCScope,
			NameClaim: f.OIDCNameClaim, GroupsClaim: f.OIDCGroupsClaim}
		if publicURL != "" {
			o.RedirectURL = strings.TrimSuffix(publicURL, "/") + "/signin/callback"
		}
		if o.Grants, err = accounts.ParseGrants("--oidc-role", f.OIDCRole); err != nil {
			return c, err
		}
		c.OIDC = &o
	}
	if len(f.ProxyFrom) > 0 {
		c.Proxy, err = f.proxy()
	}
	return c, err
}

func (f authFlags) proxy() (*accounts.Proxy, error) {
	p := &accounts.Proxy{UserHeader: f.ProxyUserHeader, GroupsHeader: f.ProxyGroupsHeader}
	for _, s := range f.ProxyFrom {
		from, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%w: --proxy-from %q is no network such as 10.1.2.3/32", store.ErrInvalid, s)
		}
		p.From = append(p.From, from.Masked())
	}
	var err error
	p.Grants, err = accounts.ParseGrants("--proxy-role", f.ProxyRole)
	return p, err
}

// accounts makes the service of who is who, and whether anybody has to sign in.
func (f authFlags) accounts(ctx context.Context, publicURL string, db *sqlite.DB, log *slog.Logger) (*accounts.Service, bool, error) {
	c, err := f.config(publicURL, db, log)
	if err != nil {
		return nil, false, err
	}
	users, err := db.Users(ctx)
	switch {
	case err != nil:
		return nil, false, err
	case f.LocalUsers && len(users) == 0:
		log.Warn("nobody can sign in with a password yet; make a user: trackside user add NAME --role admin")
	case !f.LocalUsers && len(users) > 0:
		log.Warn("there are users, but they cannot sign in without --local-users", "users", len(users))
	}
	s, err := accounts.New(c)
	return s, c.SignIn(), err
}
