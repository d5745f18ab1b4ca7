// Command provider is a certified OpenID provider, zitadel/oidc, with two people and their groups, for the tests of signing in. It is a module of its own, so that
// it never enters the product's go.mod.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// grouped says of each person which groups she is in, which the example's storage does not.
type grouped struct{ *storage.Storage }

var groups = map[string][]string{"id1": {"platform", "everyone"}, "id2": {"everyone"}}

// SetUserinfoFromToken adds the groups to what the provider says when asked.
func (g grouped) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	if err := g.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin); err != nil {
		return err
	}
	info.AppendClaims("groups", groups[subject])
	return nil
}

func main() {
	listen := flag.String("listen", "127.0.0.1:9998", "address")
	redirect := flag.String("redirect", "", "the client's redirect URI")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	_, port, err := net.SplitHostPort(*listen)
	if err != nil {
		log.Error("the address", "error", err)
		os.Exit(2)
	}
	issuer := "http://localhost:" + port + "/"
	storage.RegisterClients(storage.WebClient("trackside", "the board's secret", *redirect))
	handler := exampleop.SetupServer(issuer, grouped{storage.NewStorage(storage.NewUserStore(issuer))}, log, false, op.WithAllowInsecure())
	if err := http.ListenAndServe(*listen, handler); err != nil { //nolint:gosec // a test's
		log.Error("the provider ended", "error", err)
		os.Exit(1)
	}
}
