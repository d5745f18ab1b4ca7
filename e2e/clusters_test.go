package e2e

import (
	"path/filepath"
	"regexp"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"trackside/e2e/rig"
)

// merged writes one kubeconfig of two clusters, whose contexts are called left and right.
func merged(t *testing.T, left, right *rig.Cluster) string {
	t.Helper()
	out := api.NewConfig()
	for name, c := range map[string]*rig.Cluster{"left": left, "right": right} {
		raw, err := clientcmd.LoadFromFile(c.Kubeconfig)
		must(t, err)
		current := raw.Contexts[raw.CurrentContext]
		out.Clusters[name], out.AuthInfos[name] = raw.Clusters[current.Cluster], raw.AuthInfos[current.AuthInfo]
		out.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*out, file))
	return file
}

// aliased is a fixture under the name that a board gives its cluster.
type aliased struct {
	fixture
	alias string
}

func (a aliased) id() string {
	ref := a.ref()
	ref.Cluster = a.alias
	return "#" + ref.ID()
}

// Two clusters are shown as one fleet; when one dies only that one is stale.
func TestTwoClusters(t *testing.T) {
	t.Parallel()
	first, second := ownCluster(t, "--nodes", "1"), ownCluster(t, "--nodes", "1")
	b := rig.StartBoard(t, merged(t, first, second), "--cluster", "a=left", "--cluster", "b=right")
	east := aliased{newRunner(t, first, "", "east", "60s"), "a"}
	west := aliased{newRunner(t, second, "", "west", "60s"), "b"}
	p := openLive(t, b, "/")
	mark(t, p)
	for _, r := range []aliased{east, west} {
		is(t, p.Locator(r.id()+" i").First(), "healthy", 2*soon)
		has(t, p.Locator(r.id()), "labelled · "+r.alias, soon)
	}
	second.Do(t, "stop", "kube-apiserver")
	sources := p.Locator("#sources > div")
	counts(t, sources, 2, soon)
	has(t, sources.Nth(1), regexp.MustCompile(`b\s+stale for \d+ s.*The API server`), limit)
	has(t, sources.Nth(0), regexp.MustCompile(`a\s+live`), soon)
	east.crash(t, "the other lives on")
	has(t, p.Locator(east.id()), "the other lives on", soon)
	has(t, p.Locator(east.id()), "kubectl --context left logs", soon)
	is(t, p.Locator(west.id()+" i").First(), "healthy", soon)
	second.Do(t, "start", "kube-apiserver")
	has(t, sources.Nth(1), regexp.MustCompile(`b\s+live`), limit)
	west.crash(t, "back again")
	has(t, p.Locator(west.id()), "back again", soon)
	same(t, p)
	visit(t, p, b.URL+"/?cluster=b")
	counts(t, p.Locator("#rows > tr"), 1, soon)
}
