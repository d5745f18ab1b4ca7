// Trackside is a live status board for fleets of runners on Kubernetes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"trackside/store"
	"trackside/store/sqlite"
)

// version is set at link time.
var version = "dev"

type cli struct {
	Serve   serveCmd   `cmd:"" default:"withargs" help:"Watch clusters and serve the board (the default command)."`
	Report  reportCmd  `cmd:"" help:"Make, list and revoke the tokens with which runners report themselves."`
	User    userCmd    `cmd:"" help:"Add, list, change and remove the users of a board with --local-users."`
	Backup  backupCmd  `cmd:"" help:"Write a consistent copy of the data file; the server may be running."`
	Version versionCmd `cmd:"" help:"Print the version and exit."`
}

const description = `A live status board for fleets of runners on Kubernetes: what is unwell, why, and since when.

Name a cluster in one of three ways:
  --kubeconfig FILE          the file's current context (or the variable KUBECONFIG, or ~/.kube/config)
  --cluster ALIAS=CONTEXT    a context of the kubeconfig, under a name of its own; repeat for more clusters
  inside a cluster           nothing: the Pod's ServiceAccount is used

Every flag may be given as a variable: --metrics-listen is TRACKSIDE_METRICS_LISTEN.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var c cli
	parsed := kong.Parse(&c, kong.Name("trackside"), kong.Description(description), kong.UsageOnError(),
		kong.DefaultEnvars("TRACKSIDE"), kong.BindTo(ctx, (*context.Context)(nil)), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}))
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "trackside: "+store.Plain(err))
		os.Exit(1)
	}
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	fmt.Printf("trackside %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// buildVersion is the version set at link time, else that of the module.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}

type backupCmd struct {
	Data string `help:"The data file to copy (default ${default})." default:"trackside.db" placeholder:"FILE"`
	To   string `arg:"" help:"The copy; it must not exist yet."`
}

// Run copies the data file.
func (b backupCmd) Run(ctx context.Context) error {
	if err := sqlite.BackupFile(ctx, b.Data, b.To); err != nil {
		return err
	}
	fmt.Printf("%s is a copy of %s.\n", b.To, b.Data)
	return nil
}
