// Package kubiya reads a Kubiya-compatible API: the list of runners, and the health of each. Its shapes are those that public clients
// decode: kubiyabot/cli internal/kubiya (types.go, client.go), kubiyabot/sdk-py kubiya/resources/services/runners.py and
// kubiyabot/workflow_sdk kubiya_workflow_sdk/client.py. Unlike those clients it never takes a call that failed for an answer.
package kubiya

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trackside/poller/api"
	"trackside/store"
)

// Alias and SourceName are what the source is called on the board.
const (
	Alias      = "kubiya-api"
	SourceName = "Kubiya API"
	system     = "kubiya"
)

// How it is asked.
const (
	DefaultInterval = 30 * time.Second
	// DefaultParallel is how many health calls are under way at once, as in the public clients, and the least there may be: with fewer, a round
	// of a large fleet outlives its interval. MaxParallel is the most.
	DefaultParallel = 5
	MaxParallel     = 32
	// maxRunners bounds the list: one that is longer has no end.
	maxRunners = 5000
	// healthTime is the least time that a round has for its health calls; else it is the interval.
	healthTime = 20 * time.Second
	listPath   = "/api/v3/runners"
)

// Config says which API to ask and how.
type Config struct {
	// URL is the API's address, as "https://api.kubiya.ai". KeyFile holds the API key; blank sends none.
	URL, KeyFile string
	Interval     time.Duration // 0 means DefaultInterval
	Parallel     int           // 0 means DefaultParallel
	// Timeout bounds one attempt of a call; 0 means api.DefaultTimeout.
	Timeout   time.Duration
	Transport http.RoundTripper // http.DefaultTransport when nil
	Heard     func(alias string, t time.Time)
	Log       *slog.Logger
}

type source struct {
	client   *api.Client
	parallel int
	budget   time.Duration
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
	if cfg.Parallel == 0 {
		cfg.Parallel = DefaultParallel
	}
	if cfg.Interval < time.Second || cfg.Parallel < DefaultParallel || cfg.Parallel > MaxParallel {
		return nil, fmt.Errorf("%w: the Kubiya API is asked every second at most, with %d to %d calls at once", store.ErrInvalid, DefaultParallel, MaxParallel)
	}
	s := &source{parallel: cfg.Parallel, budget: max(cfg.Interval, healthTime),
		client: &api.Client{Base: base, Scheme: "UserKey", SecretFile: cfg.KeyFile, Transport: cfg.Transport, Timeout: cfg.Timeout}}
	return api.New(api.Config{Alias: Alias, Name: SourceName, System: system, Every: cfg.Interval, Round: s.round, Heard: cfg.Heard, Log: cfg.Log,
		KeyFlag: "--kubiya-key-file", PaceFlag: "--kubiya-interval", Scope: "Runners that the API at " + base.Host + " knows"}), nil
}

// round asks for the list, then for the health of each runner in it.
func (s *source) round(ctx context.Context, r *api.Round) error {
	runners, err := s.list(ctx, r)
	if err != nil {
		return err
	}
	r.Answered()
	keys := make([]store.TestimonyKey, len(runners))
	for i := range runners {
		keys[i] = runners[i].TestimonyKey
	}
	r.Only(keys)
	s.healths(ctx, r, runners)
	return nil
}

// list reads the runners. One that has no name, or one that is there already, is told as a limit.
func (s *source) list(ctx context.Context, r *api.Round) ([]store.Testimony, error) {
	var l *listing
	err := s.client.Call(ctx, http.MethodGet, listPath, nil, func(body io.Reader) error {
		l = &listing{seen: map[store.Ref]bool{}}
		if err := api.Each(body, l.take); err != nil {
			return err
		}
		return l.check()
	})
	if err != nil {
		return nil, err
	}
	if l.unread > 0 {
		r.Limit(fmt.Sprintf("Of the list of runners, %d entries cannot be read: they are no objects, or have no name.", l.unread))
	}
	if l.doubles > 0 {
		r.Limit(fmt.Sprintf("Of the list of runners, %d entries repeat the name of another; the first counts.", l.doubles))
	}
	return l.runners, nil
}

// healths asks for the health of each runner, a bounded number at once and for a bounded time.
func (s *source) healths(ctx context.Context, r *api.Round, runners []store.Testimony) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.budget, errBudget)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(s.parallel)
	var failed failures
	for i := range runners {
		group.Go(func() error {
			t := runners[i]
			h, err := s.health(ctx, t.Runner)
			if f := (*api.Failure)(nil); errors.As(err, &f) {
				failed.add(f)
				r.Fail(t, f)
				return nil
			}
			r.Answered()
			r.Say(withHealth(t, h, time.Now()))
			return nil
		})
	}
	_ = group.Wait() // no call of it returns an error
	if failed.n > 0 {
		r.Limit(fmt.Sprintf("The health of %d of %d runners is not known: %s.", failed.n, len(runners), store.Clean(failed.first.Error(), 300)))
	}
}

var errBudget = errors.New("not asked: the calls before it took the round's time")

// health asks for one runner's.
func (s *source) health(ctx context.Context, name string) (h api.Object, err error) {
	path := listPath + "/" + url.PathEscape(name) + "/health"
	if cause := context.Cause(ctx); cause != nil {
		return nil, &api.Failure{Call: "GET " + s.client.Base.JoinPath(path).String(), Err: cause}
	}
	err = s.client.Call(ctx, http.MethodGet, path, nil, func(body io.Reader) error { return api.ReadObject(body, &h) })
	return h, err
}

// failures counts calls that failed, and keeps the one that a person is told: the first by name.
type failures struct {
	mu    sync.Mutex
	n     int
	first *api.Failure
}

func (f *failures) add(x *api.Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.first == nil || x.Call < f.first.Call {
		f.first = x
	}
}
