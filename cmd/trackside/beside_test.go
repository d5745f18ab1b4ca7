package main

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"trackside/store"
)

func TestSourcesBesideTheClusters(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	both := besideFlags{KubiyaURL: "https://api.example", AgynURL: "https://agyn.example/api", KubiyaInterval: time.Minute, AgynInterval: time.Minute, KubiyaParallel: 5}
	for name, c := range map[string]struct {
		flags   besideFlags
		sources int
		err     string
	}{
		"none":         {besideFlags{}, 0, ""},
		"both":         {both, 2, ""},
		"no URL":       {besideFlags{KubiyaURL: "api.example"}, 0, "--kubiya-url: invalid: the address"},
		"too many":     {besideFlags{KubiyaURL: "https://a", KubiyaParallel: 64}, 0, "--kubiya-url: invalid: the Kubiya API is asked every second at most, with 5 to 32 calls at once"},
		"too often":    {besideFlags{AgynURL: "https://a", AgynInterval: time.Millisecond}, 0, "--agyn-url: invalid: agyn's API is asked every second at most"},
		"a key in it":  {besideFlags{AgynURL: "https://user:hunter2@a"}, 0, "--agyn-url: invalid: the address"},
		"other scheme": {besideFlags{AgynURL: "file:///etc/passwd"}, 0, "--agyn-url: invalid: the address"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.flags.sources(store.NewLive(nil), log)
			if len(got) != c.sources || (err == nil) != (c.err == "") {
				t.Fatalf("%d sources, %v", len(got), err)
			}
			if err != nil && (!strings.HasPrefix(err.Error(), c.err) || !errors.Is(err, store.ErrInvalid) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("%v, want %s…", err, c.err)
			}
		})
	}
}

// A cluster that bears the name of a source beside it would share its runners' references.
func TestAliasesAreOnesOwn(t *testing.T) {
	f := besideFlags{KubiyaURL: "https://a", AgynURL: "https://b"}
	all, err := f.besideAliases([]string{"prod"})
	slices.Sort(all)
	if err != nil || !slices.Equal(all, []string{"agyn-api", "kubiya-api", "prod"}) {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := f.besideAliases([]string{"agyn-api"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if all, err := (besideFlags{}).besideAliases([]string{"agyn-api"}); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}
