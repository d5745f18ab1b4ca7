package main

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"trackside/poller"
	"trackside/poller/agyn"
	"trackside/poller/kubiya"
	"trackside/store"
)

// besideFlags name the sources beside the clusters. A credential is named by its file, never given on the command line.
type besideFlags struct {
	KubiyaURL      string        `name:"kubiya-url" help:"A Kubiya-compatible API to ask about runners, as https://api.kubiya.ai." placeholder:"URL"`
	KubiyaKeyFile  string        `help:"File with the API key for it; read anew for each call." placeholder:"FILE"`
	KubiyaInterval time.Duration `help:"How often it is asked (default ${default})." default:"30s" placeholder:"DURATION"`
	KubiyaParallel int           `help:"Its health calls under way at once, 5 to 32 (default ${default})." default:"5" placeholder:"N"`

	AgynURL          string        `name:"agyn-url" help:"agyn's gateway to ask about runners and workloads, as https://agyn.example.com/api." placeholder:"URL"`
	AgynTokenFile    string        `help:"File with the token for it; read anew for each call." placeholder:"FILE"`
	AgynOrganization []string      `help:"An organization whose runners and workloads are asked for; repeatable." placeholder:"ID" sep:","`
	AgynInterval     time.Duration `help:"How often it is asked (default ${default})." default:"15s" placeholder:"DURATION"`
}

// besideAliases adds the places on the board of the sources that are named to those of the clusters. None may have that of another:
// nobody could tell their runners apart.
func (f besideFlags) besideAliases(all []string) ([]string, error) {
	for alias, url := range map[string]string{kubiya.Alias: f.KubiyaURL, agyn.Alias: f.AgynURL} {
		switch {
		case url == "":
		case slices.Contains(all, alias):
			return nil, fmt.Errorf("%w: the cluster %q has the name of a source beside the clusters; give it another as --cluster ALIAS=CONTEXT", store.ErrInvalid, alias)
		default:
			all = append(all, alias)
		}
	}
	return all, nil
}

// sources prepares those that are named.
func (f besideFlags) sources(live *store.Live, log *slog.Logger) ([]poller.Source, error) {
	var out []poller.Source
	if f.KubiyaURL != "" {
		s, err := kubiya.New(kubiya.Config{URL: f.KubiyaURL, KeyFile: f.KubiyaKeyFile, Interval: f.KubiyaInterval, Parallel: f.KubiyaParallel, Heard: live.Hear, Log: log})
		if err != nil {
			return nil, fmt.Errorf("--kubiya-url: %w", err)
		}
		out = append(out, s)
	}
	if f.AgynURL != "" {
		s, err := agyn.New(agyn.Config{URL: f.AgynURL, TokenFile: f.AgynTokenFile, Organizations: f.AgynOrganization, Interval: f.AgynInterval, Heard: live.Hear, Log: log})
		if err != nil {
			return nil, fmt.Errorf("--agyn-url: %w", err)
		}
		out = append(out, s)
	}
	return out, nil
}
