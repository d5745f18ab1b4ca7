package main

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"trackside/store"
)

// target is one cluster to watch.
type target struct {
	alias, context string
	config         *rest.Config
	inside         bool // we run in it
}

var errNoCluster = errors.New("no cluster is named; say --kubeconfig FILE, or --cluster ALIAS=CONTEXT with a context of your kubeconfig, or run inside a cluster with a ServiceAccount")

// targets finds the clusters to watch: those named, else the current context of the kubeconfig, else the one we run in.
func (s serveCmd) targets() ([]target, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = s.Kubeconfig
	raw, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if len(s.Cluster) == 0 && len(raw.Contexts) == 0 {
		return insideTarget()
	}
	wanted := s.Cluster
	if len(wanted) == 0 {
		if raw.CurrentContext == "" {
			return nil, fmt.Errorf("the kubeconfig has no current context; %w", errNoCluster)
		}
		wanted = []string{raw.CurrentContext}
	}
	var out []target
	seen := map[string]bool{}
	for _, w := range wanted {
		alias, context, ok := strings.Cut(w, "=")
		if !ok {
			context = alias
		}
		if alias == "" || seen[alias] {
			return nil, fmt.Errorf("%w: --cluster %q: every cluster needs an alias of its own, as ALIAS=CONTEXT", store.ErrInvalid, w)
		}
		seen[alias] = true
		config, err := clientcmd.NewNonInteractiveClientConfig(*raw, context, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("cluster %s: context %q of the kubeconfig: %w", alias, context, err)
		}
		out = append(out, target{alias: alias, context: context, config: config})
	}
	return out, nil
}

func insideTarget() ([]target, error) {
	config, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, errNoCluster
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Pod's ServiceAccount: %w", err)
	}
	return []target{{alias: "local", config: config, inside: true}}, nil
}

func names(targets []target) string { return "cluster " + strings.Join(aliasesOf(targets), ", ") }

func aliasesOf(targets []target) []string {
	all := make([]string, len(targets))
	for i, t := range targets {
		all[i] = t.alias
	}
	return all
}
