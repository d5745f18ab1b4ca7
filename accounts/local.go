package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"trackside/store"
)

// local is the sign-in by name and password.
type local struct {
	byAddress, byPair, byName *limiter
	// nobody is compared with where there is no user of a name, so that the answer takes as long.
	nobody argon
	// turns bounds how many passwords are tried at once: each takes 19 MiB and a processor, of which the board keeps half for its own.
	turns chan struct{}
}

// A person mistypes a few times; a program that guesses gets to 10 names and passwords a minute from an address, and to 4 a minute for one name there.
// A name as such bears much more, from all addresses together: else whoever knows it could keep its owner out. What fits costs no turn: behind a
// proxy all of a team have one address, and begin their day together.
const (
	addressBurst, addressEvery = 20, 6 * time.Second
	pairBurst, pairEvery       = 10, 15 * time.Second
	nameBurst, nameEvery       = 200, 2 * time.Second
	// maxKeys bounds what a limiter remembers.
	maxKeys = 10_000
)

func newLocal() *local {
	nobody := argon{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: random(saltBytes), key: random(keyBytes)}
	return &local{byAddress: newLimiter(addressBurst, addressEvery), byPair: newLimiter(pairBurst, pairEvery), byName: newLimiter(nameBurst, nameEvery),
		nobody: nobody, turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

var (
	errPassword = fmt.Errorf("%w: the name or the password is wrong", store.ErrForbidden)
	errNoLocal  = fmt.Errorf("%w: this board has no users of its own", store.ErrNotFound)
)

// SignIn by name and password: store.ErrForbidden if they do not fit, *store.TooOften.
func (s *Service) SignIn(ctx context.Context, from netip.Addr, name, password string) (store.SignedIn, error) {
	if !s.cfg.Local {
		return store.SignedIn{}, errNoLocal
	}
	name, bad := store.UserName(name)
	if err := s.local.mayTry(from, name); err != nil {
		return store.SignedIn{}, err
	}
	select {
	case s.local.turns <- struct{}{}:
		defer func() { <-s.local.turns }()
	case <-ctx.Done():
		return store.SignedIn{}, ctx.Err()
	}
	if err := s.local.mayTry(from, name); err != nil { // others may have failed while this one waited
		return store.SignedIn{}, err
	}
	u, err := s.user(ctx, name, bad)
	if err != nil {
		return store.SignedIn{}, err
	}
	have := s.local.nobody
	if u.Hash != "" {
		if have, err = parsePHC(u.Hash); err != nil {
			return store.SignedIn{}, fmt.Errorf("the user %s: %w", u.Name, err)
		}
	}
	if !have.fits(password) || u.Hash == "" {
		s.local.failed(from, name)
		return store.SignedIn{}, errPassword
	}
	return s.begin(ctx, store.Person{Name: u.Name, Role: u.Role, Via: store.ViaLocal}, time.Now().Add(s.cfg.Max))
}

// mayTry is *store.TooOften for an address or a name that has failed too often, above all the one with the other.
func (l *local) mayTry(from netip.Addr, name string) error {
	now, place := time.Now(), network(from)
	if wait := max(l.byAddress.wait(place, now), l.byPair.wait(pair(place, name), now), l.byName.wait(name, now)); wait > 0 {
		return &store.TooOften{After: wait}
	}
	return nil
}

// failed counts a name and a password that did not fit.
func (l *local) failed(from netip.Addr, name string) {
	now, place := time.Now(), network(from)
	l.byAddress.take(place, now)
	l.byPair.take(pair(place, name), now)
	l.byName.take(name, now)
}

// pair is the key of a name at a network, which has no blank in it.
func pair(place, name string) string { return place + " " + name }

// user is the zero User where there is none of the name.
func (s *Service) user(ctx context.Context, name string, bad error) (store.User, error) {
	if bad != nil {
		return store.User{}, nil //nolint:nilerr // what cannot be a name is nobody's
	}
	u, err := s.cfg.Book.User(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, nil
	}
	return u, err
}

// network is what one person can choose addresses from: an IPv4 address, or the /64 of an IPv6 one.
func network(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// limiter gives each key its turns, and remembers a bounded number of keys.
type limiter struct {
	burst int
	every time.Duration
	mu    sync.Mutex
	keys  map[string]*rate.Limiter
}

func newLimiter(burst int, every time.Duration) *limiter {
	return &limiter{burst: burst, every: every, keys: map[string]*rate.Limiter{}}
}

// wait is how long to wait for a turn: nothing where there is one.
func (l *limiter) wait(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	x, ok := l.keys[key]
	if !ok || x.TokensAt(now) >= 1 {
		return 0
	}
	return time.Duration((1 - x.TokensAt(now)) * float64(l.every))
}

// take takes a turn; false where there is none.
func (l *limiter) take(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x, ok := l.keys[key]
	if !ok {
		if len(l.keys) >= maxKeys {
			l.forget(now)
		}
		x = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.keys[key] = x
	}
	return x.AllowN(now, 1)
}

// forget makes room for some more: all keys go that have all their turns again, then some that have turns, and those without only when there is no other.
func (l *limiter) forget(now time.Time) {
	for _, least := range []float64{float64(l.burst), 1, -1} {
		for key, x := range l.keys {
			if len(l.keys) <= maxKeys-maxKeys/8 && least < float64(l.burst) {
				return
			}
			if x.TokensAt(now) >= least {
				delete(l.keys, key)
			}
		}
	}
}
