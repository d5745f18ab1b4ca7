// Package agyn reads agyn's gateway: the runners that are registered, and the workloads of organizations. Calls and shapes are those
// of agynio/api proto/agynio/api/gateway/v1/runners.proto and runners/v1/runners.proto, as Connect writes them in JSON.
package agyn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"trackside/poller/api"
	"trackside/store"
)

// Alias and SourceName are what the source is called on the board.
const (
	Alias      = "agyn-api"
	SourceName = "agyn API"
	system     = "agyn"
)

// How it is asked.
const (
	DefaultInterval = 15 * time.Second
	servicePath     = "/agynio.api.gateway.v1.RunnersGateway/"
	pageSize        = 100
	// maxPages bounds a list: one of more pages has no end.
	maxPages = 50
	// failedPages is how much of the list of failed workloads is read.
	failedPages = 5
)

// Config says which gateway to ask and how.
type Config struct {
	// URL is the gateway's address, with the path before the service's name if there is one. TokenFile holds the token.
	URL, TokenFile string
	// Organizations are those whose runners and workloads are asked for, beside the runners of the platform.
	Organizations []string
	Interval      time.Duration // 0 means DefaultInterval
	// Timeout bounds one attempt of a call; 0 means api.DefaultTimeout.
	Timeout   time.Duration
	Transport http.RoundTripper // http.DefaultTransport when nil
	Heard     func(alias string, t time.Time)
	Log       *slog.Logger
}

type source struct {
	client        *api.Client
	organizations []string
	// work is the latest list of each organization's workloads.
	work map[string][]workload
}

// New prepares the source; nothing is asked before Run. A setting that cannot be is store.ErrInvalid.
func New(cfg Config) (*api.Source, error) {
	base, err := api.ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Interval == 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Interval < time.Second {
		return nil, fmt.Errorf("%w: agyn's API is asked every second at most", store.ErrInvalid)
	}
	s := &source{organizations: cfg.Organizations, work: map[string][]workload{},
		client: &api.Client{Base: base, Scheme: "Bearer", SecretFile: cfg.TokenFile, Transport: cfg.Transport, Timeout: cfg.Timeout,
			Header: http.Header{"Connect-Protocol-Version": {"1"}}}}
	return api.New(api.Config{Alias: Alias, Name: SourceName, System: system, Every: cfg.Interval, Round: s.round, Heard: cfg.Heard, Log: cfg.Log,
		KeyFlag: "--agyn-token-file", PaceFlag: "--agyn-interval", Scope: "Runners that agyn's API at " + base.Host + " knows"}), nil
}

// round asks for the runners, then for the workloads of each organization.
func (s *source) round(ctx context.Context, r *api.Round) error {
	runners, err := s.runners(ctx, r)
	if err != nil {
		return err
	}
	r.Answered()
	s.workloads(ctx, r, runners)
	said := s.testimonies(r, runners, time.Now())
	keys := make([]store.TestimonyKey, len(said))
	for i := range said {
		keys[i] = said[i].TestimonyKey
	}
	r.Only(keys)
	r.Say(said...)
	return nil
}

// runners lists those of the platform and those of the organizations, each once. That the platform's are not ours to see is a limit
// where there are organizations, and a failure where there are none.
func (s *source) runners(ctx context.Context, r *api.Round) ([]runner, error) {
	var all []runner
	seen := map[string]bool{}
	for _, organization := range append([]string{""}, s.organizations...) {
		var some []runner
		err := s.pages(ctx, "ListRunners", api.Object{}, organization, func(o api.Object) (err error) {
			some, err = read(r, o, "runners", runnerOf, some)
			return err
		})
		var f *api.Failure
		switch {
		case err == nil:
		case organization == "" && len(s.organizations) > 0 && errors.As(err, &f) && f.Status() == http.StatusForbidden:
			r.Limit("The runners of the platform as a whole are not shown: " + store.Clean(f.Error(), 300) + ".")
		default:
			return nil, err
		}
		for _, x := range some {
			if !seen[x.id] {
				seen[x.id] = true
				all = append(all, x)
			}
		}
	}
	return all, nil
}

// workloads lists those that are not over, or failed. An organization whose list fails keeps what it said last, marked stale.
func (s *source) workloads(ctx context.Context, r *api.Round, runners []runner) {
	organizations := slices.Clone(s.organizations)
	for _, x := range runners {
		if x.organization != "" {
			organizations = append(organizations, x.organization)
		}
	}
	slices.Sort(organizations)
	organizations = slices.Compact(organizations)
	if len(organizations) == 0 {
		r.Limit("Workloads are not shown: agyn tells them by organization only. Name organizations with --agyn-organization.")
	}
	for _, o := range organizations {
		some, err := s.workloadsOf(ctx, r, o)
		if err != nil {
			r.Limit("The workloads of organization " + store.Clean(o, nameLimit) + " are as they were last heard: " + store.Clean(err.Error(), 300) + ".")
			for i := range s.work[o] {
				s.work[o][i].said.Stale = true
			}
			continue
		}
		r.Answered()
		s.work[o] = some
	}
	for o := range s.work {
		if !slices.Contains(organizations, o) {
			delete(s.work, o)
		}
	}
}

// workloadsOf asks for an organization's workloads that are not over, and for those that failed. Of the latter, which nobody may ever
// have removed, those that began last are enough: the API sorts by no other time.
func (s *source) workloadsOf(ctx context.Context, r *api.Round, organization string) (all []workload, err error) {
	for _, statuses := range [][]string{present, failed} {
		filter := api.Object{"filter": map[string]any{"statusIn": statuses}, "sort": latest}
		n := 0
		err := s.pages(ctx, "ListWorkloads", filter, organization, func(page api.Object) (err error) {
			if n++; n > failedPages && slices.Equal(statuses, failed) {
				return errEnough
			}
			all, err = read(r, page, "workloads", workloadOf, all)
			return err
		})
		if errors.Is(err, errEnough) {
			r.Limit(fmt.Sprintf("Of the failed workloads of organization %s the %d that began last are shown.", store.Clean(organization, nameLimit), failedPages*pageSize))
		} else if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// latest sorts a list of workloads: the one that began last comes first.
var latest = map[string]any{"field": "LIST_WORKLOADS_SORT_FIELD_STARTED", "direction": "SORT_DIRECTION_DESC"}

// errEnough ends a list of which the rest is not wanted.
var errEnough = errors.New("enough")

// pages asks for a list page by page.
func (s *source) pages(ctx context.Context, method string, request api.Object, organization string, take func(api.Object) error) error {
	seen := map[string]bool{}
	token := ""
	for range maxPages {
		body := api.Object{"pageSize": pageSize}
		maps.Copy(body, request)
		if token != "" {
			body["pageToken"] = token
		}
		if organization != "" {
			body["organizationId"] = organization
		}
		var page api.Object
		if err := s.client.Call(ctx, http.MethodPost, servicePath+method, body, func(r io.Reader) error { return api.ReadObject(r, &page) }); err != nil {
			return err
		}
		if err := take(page); err != nil {
			return s.unfit(method, err)
		}
		token = page.Text("nextPageToken")
		if token == "" {
			return nil
		}
		if seen[token] {
			return s.unfit(method, api.Unfit("the pages of the list go round in a circle"))
		}
		seen[token] = true
	}
	return s.unfit(method, api.Unfit(fmt.Sprintf("the list does not end after %d pages", maxPages)))
}

func (s *source) unfit(method string, err error) error {
	return &api.Failure{Call: "POST " + s.client.Base.JoinPath(servicePath+method).String(), Err: err}
}
